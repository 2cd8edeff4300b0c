"""Core Lightning's requests, held against what a real node was sent and accepted (tests/vectors/cln-26.06-rpc.json)."""

import json
import pathlib
from typing import Any

import pytest

from keysend_fast import Hop, KeysendPayment, Onion, Route, build_keysend, build_keysends, build_onion, tlv
from keysend_fast.errors import InputError, RouteError
from keysend_fast.payer.cln import injectpaymentonion, sendonion

# The recorded onions carry expiries of the node's height, 111; ours count from the block after the height given.
NODE_HEIGHT = 111
BUILD_HEIGHT = NODE_HEIGHT - 1
PREIMAGE = 5_482_373_484
SCENES = json.loads((pathlib.Path(__file__).parent / "vectors" / "cln-26.06-rpc.json").read_text())["scenes"]
# One scene sends an onion that was changed after it was made.
TAMPERED = "tampered"


def requests(method: str) -> list[Any]:
    return [
        pytest.param(scene, call["params"], id=f"{scene['scene'][:40]}-{number}")
        for scene in SCENES
        for number, call in enumerate(scene["calls"])
        if call["method"] == method and "attempt" in scene
    ]


def number(payload: dict[int, bytes], record_type: int) -> int:
    return int.from_bytes(payload[record_type], "big")


def rebuild(attempt: dict[str, Any], first_amount: int, first_expiry: int) -> Onion:
    """Build a scene's onion from its route and secrets."""
    payloads = [dict(tlv.parse(bytes.fromhex(text))) for text in attempt["payloads"]]
    hops = []
    for i, node_id in enumerate(attempt["node_ids"]):
        amount, expiry, scid = first_amount, first_expiry, None
        if i:
            amount, expiry = number(payloads[i - 1], 2), number(payloads[i - 1], 4)
            scid = number(payloads[i - 1], 6)
        hops.append(Hop(bytes.fromhex(node_id), scid, amount, expiry - BUILD_HEIGHT - 1))
    records = {key: value for key, value in payloads[-1].items() if key >= 65_536 and key != PREIMAGE}
    secrets = {name: bytes.fromhex(attempt[name]) for name in ("preimage", "session_key")}
    return build_keysend(Route(hops), records, block_height=BUILD_HEIGHT, **secrets)  # type: ignore[arg-type]


@pytest.mark.parametrize(("scene", "params"), requests("sendonion"))
def test_sendonion(scene: dict[str, Any], params: dict[str, Any]) -> None:
    first = params["first_hop"]
    onion = rebuild(scene["attempt"], first["amount_msat"], NODE_HEIGHT + 1 + first["delay"])
    made = sendonion(
        onion,
        groupid=params["groupid"],
        partid=params["partid"],
        block_height=NODE_HEIGHT,
        shared_secrets="shared_secrets" in params,
    )
    expected = dict(params)
    if TAMPERED in scene["scene"]:
        assert made["onion"] != params["onion"]
        expected["onion"] = made["onion"]
    assert made == expected


@pytest.mark.parametrize(("scene", "params"), requests("injectpaymentonion"))
def test_injectpaymentonion(scene: dict[str, Any], params: dict[str, Any]) -> None:
    onion = rebuild(scene["attempt"], params["amount_msat"], params["cltv_expiry"])
    own = bytes.fromhex(scene["attempt"]["node_ids"][0])
    assert scene["attempt"]["own_node_first"]
    made = injectpaymentonion(onion, own_id=own, groupid=params["groupid"], partid=params["partid"])
    assert made == params


def test_the_vectors_were_all_seen() -> None:
    assert len(requests("sendonion")) >= 5
    assert len(requests("injectpaymentonion")) >= 8


KEYS = [
    bytes.fromhex("033b1eb9e5988e3be6d7509d51ba7eedbaea828f1abb3c3eebe2f9f06891d5b2c2"),
    bytes.fromhex("02f16ab1649c802b9f50be7ce9cbdf864045949932667528255be7af51ec3f1f7a"),
    bytes.fromhex("031c7e6e58789dcdfd763e9951e1be96a134b39e2c37c13072df00cd2e35259574"),
]


def own_first() -> Route:
    return Route(
        [Hop(KEYS[0], None, 1_111, 90), Hop(KEYS[1], 1, 1_111, 85, 900, 9), Hop(KEYS[2], 2, 1_000, 45, 100, 10_000)]
    )


def test_the_own_channel_costs_nothing_and_its_delta_is_not_the_first_htlcs() -> None:
    made = injectpaymentonion(build_keysend(own_first(), block_height=1000), own_id=KEYS[0], groupid=7)
    assert (made["amount_msat"], made["cltv_expiry"]) == (1_111, 1086)
    other = build_keysends([KeysendPayment(own_first(), amount_msat=5_000)], block_height=1000)[0]
    made = injectpaymentonion(other, own_id=KEYS[0], groupid=7)
    assert made["amount_msat"] == 5_000 + 100 + 50


def test_labels_and_destination_amounts() -> None:
    onion = build_keysend(own_first(), block_height=1000)
    made = injectpaymentonion(onion, own_id=KEYS[0], groupid=2**64 - 1, label="a note", destination_msat=1_000)
    assert (made["label"], made["destination_msat"], made["groupid"], made["partid"]) == ("a note", 1_000, 2**64 - 1, 1)
    assert sendonion(onion, groupid=1, label="x")["label"] == "x"
    assert "shared_secrets" not in sendonion(onion, groupid=1)
    json.dumps(made)


def test_onions_methods_are_the_functions() -> None:
    onion = build_keysend(own_first(), block_height=1000)
    options: dict[str, Any] = {"groupid": 3, "partid": 2, "label": "x"}
    assert onion.to_cln_sendonion(**options, block_height=1001, shared_secrets=True) == sendonion(
        onion, **options, block_height=1001, shared_secrets=True
    )
    assert onion.to_cln_injectpaymentonion(**options, own_id=KEYS[0], destination_msat=1) == injectpaymentonion(
        onion, **options, own_id=KEYS[0], destination_msat=1
    )


@pytest.mark.parametrize("field", ["groupid", "partid"])
@pytest.mark.parametrize("value", [0, -1, 2**64, True])
def test_ids_that_would_not_identify_are_refused(field: str, value: int) -> None:
    onion = build_keysend(own_first(), block_height=1000)
    ids = {"groupid": 1, "partid": 1, field: value}
    with pytest.raises(InputError, match=field):
        sendonion(onion, **ids)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=field):
        injectpaymentonion(onion, own_id=KEYS[0], **ids)  # type: ignore[arg-type]


def test_routes_that_do_not_fit_the_call() -> None:
    onion = build_keysend(own_first(), block_height=1000)
    with pytest.raises(RouteError, match="starts at"):
        injectpaymentonion(onion, own_id=KEYS[1], groupid=1)
    alone = build_keysend(Route([Hop(KEYS[0], None, 1_000, 45)]), block_height=1000)
    with pytest.raises(RouteError, match="oneself"):
        injectpaymentonion(alone, own_id=KEYS[0], groupid=1)
    with pytest.raises(RouteError, match="expires"):
        sendonion(onion, groupid=1, block_height=1090)
    raw = build_onion(KEYS[:1], [b"\1" * 8], b"\1" * 32, b"\2" * 32)
    for call in (lambda: sendonion(raw, groupid=1), lambda: injectpaymentonion(raw, own_id=KEYS[0], groupid=1)):
        with pytest.raises(InputError, match="only a keysend"):
            call()
