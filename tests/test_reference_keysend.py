"""The reference's keysend payloads and checks, against onions that a real Core Lightning node took."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference import keysend, sphinx, tlv
from tests.support import load_vector

CLN = load_vector("cln-26.06-rpc")

PREIMAGE = bytes(range(32))
PAYMENT_HASH = hashlib.sha256(PREIMAGE).digest()


def attempts() -> list[Any]:
    """Return the recorded scenes that carry an onion built by the payer."""
    return [scene for scene in CLN["scenes"] if "attempt" in scene]


def recorded_onions(scene: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (onion, payment hash) of each request in a scene."""
    found = []
    for call in scene["calls"]:
        if call["method"] == "createonion":
            found.append((call["result"]["onion"], call["params"]["assocdata"]))
        elif "onion" in call["params"]:
            found.append((call["params"]["onion"], call["params"]["payment_hash"]))
    return found


@pytest.mark.parametrize("scene", attempts(), ids=lambda scene: scene["scene"])
def test_recorded_onions_are_built_again(scene: dict[str, Any]) -> None:
    attempt = scene["attempt"]
    payment_hash = hashlib.sha256(bytes.fromhex(attempt["preimage"])).digest()
    onion = sphinx.build(
        bytes.fromhex(attempt["session_key"]),
        [bytes.fromhex(node_id) for node_id in attempt["node_ids"]],
        [bytes.fromhex(payload) for payload in attempt["payloads"]],
        payment_hash,
    )
    assert [shared_secret.hex() for shared_secret in onion.shared_secrets] == attempt["shared_secrets"]
    for recorded, associated_data in recorded_onions(scene):
        assert associated_data == payment_hash.hex()
        if "tampered" in scene["scene"]:
            assert recorded != onion.packet.hex()
        else:
            assert recorded == onion.packet.hex()


def test_recorded_payloads_follow_from_the_recorded_route() -> None:
    """The recording counted expiries from its height 111 itself, the mapping counts from the block after."""
    scenes = {scene["scene"]: scene for scene in CLN["scenes"]}
    height = scenes["getinfo"]["calls"][0]["result"]["blockheight"]
    (route,) = scenes["getroutes A to C"]["calls"][0]["result"]["routes"]
    hops = []
    for step in route["path"]:
        block, tx, output = (int(part) for part in step["short_channel_id_dir"].split("/")[0].split("x"))
        scid = block << 40 | tx << 16 | output
        node_id = bytes.fromhex(step["node_id_out"])
        hops.append(keysend.Hop(node_id, scid, step["amount_out_msat"], step["cltv_out"]))
    attempt = scenes["createonion agrees"]["attempt"]
    assert [hop.node_id.hex() for hop in hops] == attempt["node_ids"]
    final = tlv.read_records(bytes.fromhex(attempt["payloads"][-1]))
    records = {r.type: r.value for r in final if r.type >= tlv.FIRST_CUSTOM_TYPE and r.type != keysend.KEYSEND_PREIMAGE}
    payloads = keysend.payloads(hops, bytes.fromhex(attempt["preimage"]), records, height - 1)
    assert [payload.hex() for payload in payloads] == attempt["payloads"]


def test_payloads_of_a_single_hop() -> None:
    (payload,) = keysend.payloads([keysend.Hop(bytes(33), 1, 1000, 45)], PREIMAGE, {}, 900_000)
    assert payload == bytes.fromhex("020203e8" + "04030dbbce" + "ff0000000146c6616c20") + PREIMAGE


custom_types = st.integers(65536, 2**64 - 1).filter(lambda type_: type_ != keysend.KEYSEND_PREIMAGE)


@given(
    st.dictionaries(custom_types, st.binary(max_size=60), max_size=5),
    st.integers(1, 2**64 - 1),
    st.integers(0, 2**31),
)
def test_final_payload_is_accepted(records: dict[int, bytes], amount: int, height: int) -> None:
    payload = keysend.final_payload(amount, height + 46, PREIMAGE, records)
    claim = keysend.accept(payload, PAYMENT_HASH, amount, height + 46, height, 42)
    assert claim == keysend.Claim(PREIMAGE, amount, records)
    assert keysend.accept(payload, PAYMENT_HASH, amount, height + 46, height, 42, records) == claim


def stream(without: int | None = None, changed: dict[int, bytes] | None = None) -> bytes:
    """Return a good final payload of 1000 msat and expiry 100, less one type, with others set."""
    records = {2: b"\x03\xe8", 4: b"\x64", keysend.KEYSEND_PREIMAGE: PREIMAGE, **(changed or {})}
    return tlv.encode({type_: value for type_, value in records.items() if type_ != without})


@pytest.mark.parametrize(
    ("payload", "amount", "cltv", "code", "type_"),
    [
        (stream(without=2), 1000, 100, 0x4016, 2),
        (stream(without=4), 1000, 100, 0x4016, 4),
        (stream(changed={2: b"\0\1"}), 1000, 100, 0x4016, 2),
        (stream(changed={4: bytes(5)}), 1000, 100, 0x4016, 4),
        (stream(changed={8: bytes(31)}), 1000, 100, 0x4016, 8),
        (stream(changed={12: bytes(33)}), 1000, 100, 0x4016, 12),
        (stream(changed={keysend.KEYSEND_PREIMAGE: bytes(31)}), 1000, 100, 0x4016, keysend.KEYSEND_PREIMAGE),
        (stream(without=keysend.KEYSEND_PREIMAGE), 1000, 100, 0x400F, None),
        (stream(), 999, 100, 19, None),
        (stream(), 1000, 99, 18, None),
        (stream(changed={4: b"\x61"}), 1000, 97, 0x400F, None),
        (stream(changed={8: bytes(32) + b"\x03\xe9"}), 1000, 100, 0x400F, None),
        (stream(changed={18: b"\x03\xe9"}), 1000, 100, 0x400F, None),
        (stream(changed={keysend.KEYSEND_PREIMAGE: bytes(32)}), 1000, 100, 0x400F, None),
    ],
)
def test_accept_refuses(payload: bytes, amount: int, cltv: int, code: int, type_: int | None) -> None:
    with pytest.raises(keysend.Refusal) as caught:
        keysend.accept(payload, PAYMENT_HASH, amount, cltv, 80, 18)
    assert (caught.value.code, caught.value.type) == (code, type_)


def test_accept_takes_more_than_asked_and_harmless_types() -> None:
    assert keysend.accept(stream(), PAYMENT_HASH, 1001, 101, 80, 18).amount_msat == 1001
    # The last expiry that is not too soon: block height 82 and a delta of 18.
    assert keysend.accept(stream(), PAYMENT_HASH, 1000, 100, 82, 18).preimage == PREIMAGE
    payload = stream(changed={8: bytes(32) + b"\x03\xe8", 16: b"", 18: b"\x03\xe8", 65535: b"odd"})
    assert keysend.accept(payload, PAYMENT_HASH, 1000, 100, 80, 18) == keysend.Claim(PREIMAGE, 1000, {})


def test_accept_and_the_records_it_knows() -> None:
    payload = keysend.final_payload(1000, 100, PREIMAGE, {65536: b"even", 65537: b"odd"})
    assert keysend.accept(payload, PAYMENT_HASH, 1000, 100, 80, 18, [65536]).records == {65536: b"even"}
    with pytest.raises(keysend.Refusal) as caught:
        keysend.accept(payload, PAYMENT_HASH, 1000, 100, 80, 18, [65537])
    assert (caught.value.type, caught.value.offset) == (65536, len(bytes.fromhex("020203e8040164")))


@pytest.mark.parametrize("type_", [0, 8, 65535, 5482373484])
def test_final_payload_refuses_records(type_: int) -> None:
    with pytest.raises(ValueError, match="custom records"):
        keysend.final_payload(1, 1, PREIMAGE, {type_: b""})


def test_payloads_refuse() -> None:
    hop = keysend.Hop(bytes(33), 1, 1, 45)
    with pytest.raises(ValueError, match="hop"):
        keysend.payloads([], PREIMAGE, {}, 1)
    with pytest.raises(ValueError, match="preimage"):
        keysend.payloads([hop], PREIMAGE[:31], {}, 1)
    with pytest.raises(ValueError, match="tu32"):
        keysend.payloads([hop], PREIMAGE, {}, 2**32)
    with pytest.raises(ValueError, match="tu64"):
        keysend.payloads([keysend.Hop(bytes(33), 1, 2**64, 45)], PREIMAGE, {}, 1)
