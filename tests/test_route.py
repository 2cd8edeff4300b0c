"""Routes: what each importer means, hop checks, and the recorded node's own answer."""

from __future__ import annotations

import copy
import gzip
import json
import pickle
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keysend_fast import Hop, Route, build_keysend
from keysend_fast.errors import RouteError
from keysend_fast.route import format_short_channel_id, parse_short_channel_id
from tests.nodes import node_id
from tests.reference import tlv
from tests.support import load_vector

CLN = load_vector("cln-26.06-rpc")
A, B, C = (node_id(i) for i in range(3))
SCID = 700_000 << 40 | 5 << 16 | 1
HOPS = (Hop(A, None, 100_003, 120), Hop(B, SCID, 100_001, 85), Hop(C, SCID + 1, 100_000, 45))


def scene(name: str) -> Any:
    (found,) = [s for s in CLN["scenes"] if s["scene"] == name]
    return found


# ---------------------------------------------------------------- hops


def test_hops_come_back_as_they_went_in() -> None:
    route = Route(HOPS)
    assert route.hops == HOPS
    assert (len(route), route.node_ids) == (3, [A, B, C])
    assert (route.first_amount_msat, route.amount_msat, route.final_cltv_delta) == (100_003, 100_000, 45)
    policy = Hop(A, 0, 2**63 - 1, 2**32 - 1, 2**32 - 1, 2**32 - 1)
    assert Route([policy]).hops == (policy,)
    assert Route([Hop(A, 2**64 - 1, 0, 0)]).hops[0].short_channel_id == 2**64 - 1


def test_tuples_and_iterators_make_routes() -> None:
    assert Route(tuple(h) for h in HOPS) == Route(HOPS) == Route([h[:4] for h in HOPS])
    assert Route([[B, "700000x5x1", 1, 2]]).hops[0].short_channel_id == SCID
    assert Route([(bytearray(A), None, 1, 2)]) == Route([(memoryview(A), None, 1, 2)])


def test_routes_are_values() -> None:
    route, other = Route(HOPS), Route([*HOPS[:2], HOPS[2]._replace(cltv_delta=46)])
    assert route == Route(HOPS)
    assert hash(route) == hash(Route(HOPS))
    assert route != other
    assert route != "route"
    assert len({route, Route(HOPS), other}) == 2
    assert pickle.loads(pickle.dumps(route)) == route
    assert copy.deepcopy(route) == route
    with pytest.raises(AttributeError):
        route.amount_msat = 5  # type: ignore[misc]
    with pytest.raises(TypeError):
        Route.__new__(Route)


@pytest.mark.parametrize(
    ("hop", "place"),
    [
        ((A[:32], None, 1, 1), 0),
        ((A.hex(), None, 1, 1), 0),
        ((None, None, 1, 1), 0),
        ((A, None, 1), 0),
        ((A, None, 1, 1, 1, 1, 1), 0),
        ((A, None, -1, 1), 0),
        ((A, None, 2**63, 1), 0),
        ((A, None, 1.5, 1), 0),
        ((A, None, "1", 1), 0),
        ((A, None, True, 1), 0),
        ((A, None, 1, -1), 0),
        ((A, None, 1, 2**32), 0),
        ((A, None, 1, None), 0),
        ((A, 2**64, 1, 1), 0),
        ((A, -1, 1, 1), 0),
        ((A, 1.0, 1, 1), 0),
        ((A, "700000x5", 1, 1), 0),
        ((A, 0, 1, 1, 5), 0),
        ((A, 0, 1, 1, None, 5), 0),
        ((A, 0, 1, 1, 2**32, 5), 0),
        ((A, 0, 1, 1, 5, -1), 0),
        ((A, None, 1, 1), 2),  # only the first hop's channel may be unknown
    ],
)
def test_bad_hops_name_their_place(hop: Any, place: int) -> None:
    hops: list[Any] = list(HOPS)
    hops[place] = hop
    with pytest.raises(RouteError) as error:
        Route(hops)
    assert error.value.hop == place


def test_routes_have_one_to_400_hops() -> None:
    with pytest.raises(RouteError):
        Route([])
    assert len(Route([Hop(A, i, 1, 1) for i in range(400)])) == 400
    with pytest.raises(RouteError):
        Route([Hop(A, i, 1, 1) for i in range(401)])
    for nothing in (None, 5):
        with pytest.raises(TypeError):
            Route(nothing)


# ---------------------------------------------------------------- short channel ids


@pytest.mark.parametrize("text", ["700000x5x1", "700000x5x1/0", "700000x5x1/1", "700000:5:1", str(SCID), f"{SCID}/1"])
def test_forms_of_short_channel_ids(text: str) -> None:
    assert parse_short_channel_id(text) == SCID


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "1x2",
        "1x2x3x4",
        "1xx3",
        "-1x2x3",
        "16777216x0x0",
        "0x16777216x0",
        "0x0x65536",
        str(2**64),
        "١x٢x٣",
        "1x2x 3",
        "0x1f",
    ],
)
def test_bad_short_channel_ids_raise(text: str) -> None:
    with pytest.raises(ValueError, match="short_channel_id"):
        parse_short_channel_id(text)


@given(st.integers(0, 2**64 - 1))
def test_short_channel_ids_round_trip(scid: int) -> None:
    assert parse_short_channel_id(format_short_channel_id(scid)) == scid
    block, tx, output = map(int, format_short_channel_id(scid).split("x"))
    assert (block << 40) + (tx << 16) + output == scid


# ---------------------------------------------------------------- Core Lightning, getroute

GETROUTE = [
    {"id": A.hex(), "channel": "1x1x1", "direction": 0, "amount_msat": 100_003, "delay": 120, "style": "tlv"},
    {"id": B.hex(), "channel": "700000x5x1", "direction": 1, "amount_msat": 100_001, "delay": 85, "style": "tlv"},
    {"id": C.hex(), "channel": "700000x5x2", "direction": 0, "amount_msat": 100_000, "delay": 45, "style": "tlv"},
]
FROM_GETROUTE = Route([HOPS[0]._replace(short_channel_id=1 << 40 | 1 << 16 | 1), *HOPS[1:]])


def test_getroute_says_what_the_end_of_a_hop_receives() -> None:
    assert Route.from_cln_getroute({"route": GETROUTE}) == FROM_GETROUTE
    assert Route.from_cln_getroute(GETROUTE) == FROM_GETROUTE
    old = [{**hop, "amount_msat": f"{hop['amount_msat']}msat"} for hop in GETROUTE]
    assert Route.from_cln_getroute(old) == FROM_GETROUTE


def test_absolute_expiry_counts_from_the_next_block() -> None:
    """getroute's delay 40 at height 900000 is outgoing_cltv_value 900041."""
    route = Route.from_cln_getroute([{**GETROUTE[0], "delay": 40}])
    assert build_keysend(route, block_height=900_000).cltv_expiry == 900_041


def test_the_packaged_routes_are_taken_as_they_are() -> None:
    """All 1,745, short final deltas included."""
    lines = gzip.decompress(files("keysend_fast.data").joinpath("routes-2026-02-03.jsonl.gz").read_bytes()).splitlines()
    short = 0
    for line in lines:
        obj = json.loads(line)
        hops = obj["route"] if isinstance(obj, dict) else obj
        route = Route.from_cln_getroute(obj)
        assert [h.amount_msat for h in route.hops] == [int(h["amount_msat"]) for h in hops]
        assert [h.cltv_delta for h in route.hops] == [h["delay"] for h in hops]
        assert [h.node_id.hex() for h in route.hops] == [h["id"] for h in hops]
        assert [format_short_channel_id(int(h.short_channel_id or 0)) for h in route.hops] == [
            h["channel"] for h in hops
        ]
        short += route.final_cltv_delta < 42
    assert (len(lines), short) == (1745, 655)


@pytest.mark.parametrize("name", ["id", "channel", "amount_msat", "delay"])
def test_missing_fields_of_getroute_are_named(name: str) -> None:
    hops = [dict(hop) for hop in GETROUTE]
    del hops[1][name]
    with pytest.raises(RouteError, match=name) as error:
        Route.from_cln_getroute({"route": hops})
    assert error.value.hop == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "zz"),
        ("id", 5),
        ("id", A.hex()[:64]),
        ("channel", "1x2"),
        ("channel", 1.5),
        ("amount_msat", "12sat"),
        ("amount_msat", "1_000"),
        ("amount_msat", " 5"),
        ("amount_msat", "-5"),
        ("amount_msat", "\u0665"),
        ("amount_msat", "msat"),
        ("amount_msat", 1.5),
        ("amount_msat", True),
        ("amount_msat", None),
        ("amount_msat", -1),
        ("delay", "soon"),
        ("delay", 2**32),
    ],
)
def test_bad_fields_of_getroute_are_placed(name: str, value: Any) -> None:
    hops: list[Any] = [dict(hop) for hop in GETROUTE]
    hops[2][name] = value
    with pytest.raises(RouteError) as error:
        Route.from_cln_getroute(hops)
    assert error.value.hop == 2


# ---------------------------------------------------------------- Core Lightning, getroutes

NEW_PATH = [
    {
        "short_channel_id_dir": "1x1x1/0",
        "node_id_in": node_id(9).hex(),
        "node_id_out": A.hex(),
        "amount_in_msat": 100_003,
        "amount_out_msat": 100_003,
        "cltv_in": 120,
        "cltv_out": 120,
    },
    {
        "short_channel_id_dir": "700000x5x1/1",
        "node_id_in": A.hex(),
        "node_id_out": B.hex(),
        "amount_in_msat": 100_003,
        "amount_out_msat": 100_001,
        "cltv_in": 120,
        "cltv_out": 85,
    },
    {
        "short_channel_id_dir": "700000x5x2/0",
        "node_id_in": B.hex(),
        "node_id_out": C.hex(),
        "amount_in_msat": 100_001,
        "amount_out_msat": 100_000,
        "cltv_in": 85,
        "cltv_out": 45,
    },
]
# The deprecated fields say what the start of a hop receives.
OLD_PATH = [
    {
        "short_channel_id_dir": hop["short_channel_id_dir"],
        "next_node_id": hop["node_id_out"],
        "amount_msat": hop["amount_in_msat"],
        "delay": hop["cltv_in"],
    }
    for hop in NEW_PATH
]
WHOLE = {"probability_ppm": 1, "amount_msat": 100_000, "final_cltv": 45}


def test_getroutes_in_new_fields_and_old() -> None:
    for path in (NEW_PATH, OLD_PATH):
        route = {**WHOLE, "path": path}
        assert Route.from_cln_getroutes({"probability_ppm": 1, "routes": [route]}) == FROM_GETROUTE
        assert Route.from_cln_getroutes(route) == FROM_GETROUTE
    assert Route.from_cln_getroutes(NEW_PATH) == FROM_GETROUTE
    both = [{**old, **new} for old, new in zip(OLD_PATH, NEW_PATH, strict=True)]
    assert Route.from_cln_getroutes({**WHOLE, "path": both}) == FROM_GETROUTE


def test_the_old_form_needs_the_final_values() -> None:
    for lacking in ("amount_msat", "final_cltv"):
        route = {k: v for k, v in WHOLE.items() if k != lacking} | {"path": OLD_PATH}
        with pytest.raises(RouteError) as error:
            Route.from_cln_getroutes(route)
        assert error.value.hop == 2
    without = {"amount_msat": 100_000, "path": OLD_PATH}
    assert Route.from_cln_getroutes(without, final_cltv=45) == FROM_GETROUTE


def test_one_of_several_routes_by_its_index() -> None:
    single = {"amount_msat": 100_003, "final_cltv": 120, "path": NEW_PATH[:1]}
    reply = {"routes": [{**WHOLE, "path": NEW_PATH}, single]}
    assert Route.from_cln_getroutes(reply) == FROM_GETROUTE
    assert len(Route.from_cln_getroutes(reply, index=1)) == 1
    for index in (2, -1):
        with pytest.raises(RouteError):
            Route.from_cln_getroutes(reply, index=index)
    with pytest.raises(RouteError):
        Route.from_cln_getroutes({"routes": []})


def test_the_own_node_first_for_injectpaymentonion() -> None:
    own = node_id(9)
    for path in (NEW_PATH, OLD_PATH):
        route = Route.from_cln_getroutes({**WHOLE, "path": path}, own_id=own)
        assert route.hops == (Hop(own, None, 100_003, 120), *FROM_GETROUTE.hops)


@pytest.mark.parametrize("path", [NEW_PATH, OLD_PATH], ids=["new", "old"])
def test_missing_fields_of_getroutes_are_placed(path: list[dict[str, Any]]) -> None:
    for name in path[1]:
        hops = [dict(hop) for hop in path]
        del hops[1][name]
        if name in ("node_id_in", "amount_in_msat", "cltv_in"):
            assert Route.from_cln_getroutes({**WHOLE, "path": hops}) == FROM_GETROUTE
            continue
        with pytest.raises(RouteError) as error:
            Route.from_cln_getroutes({**WHOLE, "path": hops})
        assert error.value.hop in (0, 1, 2)  # the old form looks at the next hop, too
    with pytest.raises(RouteError):
        Route.from_cln_getroutes({})


def read_payload(payload: str) -> dict[int, bytes]:
    return {record.type: record.value for record in tlv.read_records(bytes.fromhex(payload))}


def test_the_recorded_getroutes_is_the_route_that_settled() -> None:
    """What the node answered, built at its height, is the onion that it sent and that was paid."""
    (call,) = scene("getroutes A to C")["calls"]
    settled = scene("sendonion settles, then repeats")
    attempt, params = settled["attempt"], settled["calls"][0]["params"]
    final = read_payload(attempt["payloads"][-1])
    height = tlv.decode_tu32(final[4]) - 45 - 1
    onion = build_keysend(
        Route.from_cln_getroutes(call["result"]),
        {7629169: final[7629169]},
        block_height=height,
        preimage=bytes.fromhex(attempt["preimage"]),
        session_key=bytes.fromhex(attempt["session_key"]),
    )
    assert onion.packet_hex == params["onion"]
    assert onion.payment_hash == bytes.fromhex(params["payment_hash"])
    # first_hop of sendonion: the amount, and the delay counted from the node's height + 1
    blocks = scene("getinfo")["calls"][0]["result"]["blockheight"]
    assert params["first_hop"]["amount_msat"] == onion.first_amount_msat
    assert params["first_hop"]["delay"] == onion.first_cltv_expiry - blocks - 1


def test_the_recorded_own_node_first() -> None:
    """getroutes with the own node prepended gives the amounts and expiries of the injected onions."""
    (call,) = scene("getroutes A to C")["calls"]
    route = Route.from_cln_getroutes(call["result"], own_id=bytes.fromhex(call["params"]["source"]))
    attempt = scene("inject, unknown scid at the second node (218)")["attempt"]
    assert [hop.node_id.hex() for hop in route.hops] == attempt["node_ids"]
    told = [read_payload(payload) for payload in attempt["payloads"]]
    height = tlv.decode_tu32(told[-1][4]) - 45 - 1
    for hop, payload in zip(route.hops[1:], told, strict=False):
        assert tlv.decode_tu64(payload[2]) == hop.amount_msat
        assert tlv.decode_tu32(payload[4]) == height + 1 + hop.cltv_delta
    assert route.hops[1].short_channel_id == tlv.decode_u64(told[0][6])


# ---------------------------------------------------------------- LND

LND = {
    "total_time_lock": 900_121,
    "total_amt_msat": "100003",
    "total_fees_msat": "3",
    "hops": [
        {"chan_id": str(1 << 40 | 1 << 16 | 1), "pub_key": A.hex(), "amt_to_forward_msat": "100001", "expiry": 900_086},
        {"chan_id": str(SCID), "pub_key": B.hex(), "amt_to_forward_msat": "100000", "expiry": 900_046},
        {"chan_id": str(SCID + 1), "pub_key": C.hex(), "amt_to_forward_msat": "100000", "expiry": 900_046},
    ],
}


def test_lnd_says_what_a_hop_forwards() -> None:
    assert Route.from_lnd(LND, 900_000) == FROM_GETROUTE
    numbers = json.loads(json.dumps(LND).replace('"100003"', "100003"))
    assert Route.from_lnd(numbers, 900_000) == FROM_GETROUTE


def test_lnd_expiries_that_have_passed_raise() -> None:
    assert Route.from_lnd(LND, 900_045).final_cltv_delta == 0
    with pytest.raises(RouteError) as error:
        Route.from_lnd(LND, 900_046)
    assert error.value.hop == 2


def test_bad_fields_of_lnd_are_placed() -> None:
    for name in ("chan_id", "pub_key", "amt_to_forward_msat", "expiry"):
        broken = copy.deepcopy(LND)
        del broken["hops"][1][name]  # type: ignore[attr-defined]
        with pytest.raises(RouteError, match=name) as error:
            Route.from_lnd(broken, 900_000)
        assert error.value.hop == 1
    for name in ("total_time_lock", "total_amt_msat", "hops"):
        with pytest.raises(RouteError, match=name):
            Route.from_lnd({k: v for k, v in LND.items() if k != name}, 900_000)


@pytest.mark.parametrize("nonsense", [{}, [], None, 5, "text", [5], ["text"], [None], b"bytes"])
def test_answers_of_the_wrong_kind_raise(nonsense: Any) -> None:
    shapes = [nonsense, *({name: nonsense} for name in ("route", "path", "hops"))]
    shapes += [{"routes": nonsense}, {"routes": [{"path": nonsense}]}, {**LND, "hops": nonsense}]
    for shape in shapes:
        for importer in (Route.from_cln_getroute, Route.from_cln_getroutes, lambda o: Route.from_lnd(o, 1)):
            with pytest.raises(RouteError):
                importer(shape)
