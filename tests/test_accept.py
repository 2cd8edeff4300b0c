"""The recipient's decision: against the reference, each refusal by its code, and the built onion's own payload accepted."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keysend_fast import Hop, Route, accept_keysend, build_keysend, peel_onion
from keysend_fast.errors import KeysendRefused
from tests.nodes import node_id, privkey
from tests.reference import bigsize, keysend, tlv

KEYSEND_TYPE = 5482373484
PREIMAGE = bytes(range(32))
HASH = sha256(PREIMAGE).digest()
HEIGHT, EXPIRY, AMOUNT = 900_000, 900_050, 70_000
HTLC: dict[str, Any] = {"amount_msat": AMOUNT, "cltv_expiry": EXPIRY, "block_height": HEIGHT}
FIELDS = {2: tlv.encode_tu(AMOUNT, 8), 4: tlv.encode_tu(EXPIRY, 4), KEYSEND_TYPE: PREIMAGE}


def stream(changes: dict[int, bytes | None] | None = None) -> bytes:
    fields = {**FIELDS, **(changes or {})}
    return tlv.encode({type_: value for type_, value in fields.items() if value is not None})


def refusal(payload: bytes, payment_hash: bytes = HASH, **changes: Any) -> KeysendRefused:
    with pytest.raises(KeysendRefused) as error:
        accept_keysend(payload, payment_hash, **(HTLC | changes))
    return error.value


def test_what_was_built_is_accepted(implementation: str) -> None:
    records = {7629169: b"{}", 696969: b"x", KEYSEND_TYPE + 2: b"behind"}
    route = Route([Hop(node_id(1), None, AMOUNT, 45)])
    onion = build_keysend(route, records, block_height=HEIGHT, implementation=implementation)
    assert onion.payment_hash is not None
    payload = peel_onion(onion.packet, privkey(1), onion.payment_hash, implementation=implementation).payload
    claim = accept_keysend(
        payload, onion.payment_hash, amount_msat=AMOUNT, cltv_expiry=HEIGHT + 46, block_height=HEIGHT
    )
    assert sha256(claim.preimage).digest() == onion.payment_hash
    assert (claim.amount_msat, claim.cltv_expiry, claim.custom_records) == (AMOUNT, HEIGHT + 46, records)
    refusal(payload, bytes(32), cltv_expiry=HEIGHT + 46)


def test_checks_without_inputs_are_left_out() -> None:
    claim = accept_keysend(stream(), HASH)
    assert (claim.preimage, claim.amount_msat, claim.cltv_expiry) == (PREIMAGE, AMOUNT, EXPIRY)


@pytest.mark.parametrize(
    ("changes", "type_"),
    [
        ({2: None}, 2),
        ({4: None}, 4),
        ({KEYSEND_TYPE: None}, KEYSEND_TYPE),
        ({KEYSEND_TYPE: PREIMAGE[:31]}, KEYSEND_TYPE),
        ({KEYSEND_TYPE: PREIMAGE + b"\0"}, KEYSEND_TYPE),
        ({KEYSEND_TYPE: bytes(32)}, KEYSEND_TYPE),
        ({2: b"\0" + FIELDS[2]}, 2),
        ({2: bytes([1] * 9)}, 2),
        ({4: b"\0" + FIELDS[4]}, 4),
        ({4: bytes([1] * 5)}, 4),
        ({6: bytes(7)}, 6),
        ({8: bytes(31)}, 8),
        ({8: bytes(32) + b"\0\1"}, 8),
        ({8: bytes(32) + bytes([1] * 9)}, 8),
        ({10: b"blinded"}, 10),
        ({12: node_id(1)}, 12),
        ({18: b"\0\1"}, 18),
        ({20: b""}, 20),
        ({65534: b""}, 65534),
    ],
)
def test_payloads_that_are_invalid(changes: dict[int, bytes | None], type_: int) -> None:
    """invalid_onion_payload with the type at fault, in data too: BigSize type, u16 offset (BOLT 4, Failure Messages)."""
    error = refusal(stream(changes))
    assert (error.failure_code, error.type) == (0x4016, type_)
    assert error.data[:-2] == bigsize.encode(type_)


def test_streams_that_are_malformed() -> None:
    twice = stream()[:5] * 2 + stream()[5:]
    for payload in (b"\2", b"\2\5\1", twice, stream()[:-1], stream() + b"\1\0", b"\xfd\0\2\0", stream()[::-1]):
        assert refusal(payload).failure_code == 0x4016


def test_htlcs_that_disagree() -> None:
    less = refusal(stream(), amount_msat=AMOUNT - 1)
    assert (less.failure_code, less.data) == (19, (AMOUNT - 1).to_bytes(8, "big"))
    early = refusal(stream(), cltv_expiry=EXPIRY - 1)
    assert (early.failure_code, early.data) == (18, (EXPIRY - 1).to_bytes(4, "big"))
    soon = refusal(stream(), block_height=EXPIRY - 17)
    assert (soon.failure_code, soon.data) == (0x400F, AMOUNT.to_bytes(8, "big") + (EXPIRY - 17).to_bytes(4, "big"))
    accept_keysend(stream(), HASH, **(HTLC | {"block_height": EXPIRY - 18}))
    accept_keysend(stream(), HASH, **(HTLC | {"amount_msat": AMOUNT + 1, "cltv_expiry": EXPIRY + 1}))
    assert refusal(stream(), min_final_cltv_delta=51).failure_code == 0x400F


@pytest.mark.parametrize("total", [AMOUNT - 1, AMOUNT + 1, 0])
def test_parts_of_a_larger_payment_are_refused(total: int) -> None:
    """payment_data and total_amount_msat both say a total; a keysend is one part."""
    for changes in ({8: bytes(32) + tlv.encode_tu(total, 8)}, {18: tlv.encode_tu(total, 8)}):
        assert refusal(stream(changes)).failure_code == 0x400F
    for changes in (
        {8: bytes(32) + tlv.encode_tu(AMOUNT, 8)},
        {18: tlv.encode_tu(AMOUNT, 8)},
        {6: bytes(8)},
        {16: b"m"},
    ):
        assert accept_keysend(stream(changes), HASH, **HTLC).amount_msat == AMOUNT


def test_known_types_decide_over_even_records() -> None:
    payload = stream({65536: b"even", 65537: b"odd"})
    assert accept_keysend(payload, HASH, **HTLC).custom_records == {65536: b"even", 65537: b"odd"}
    assert refusal(payload, known_types=[65537]).type == 65536
    assert accept_keysend(payload, HASH, known_types={65536}, **HTLC).custom_records[65536] == b"even"


CHANGES = st.dictionaries(
    st.sampled_from([2, 4, 6, 8, 9, 10, 16, 18, 20, 65535, 65536, 65537, KEYSEND_TYPE]),
    st.one_of(
        st.none(),
        st.binary(max_size=9),
        st.sampled_from([tlv.encode_tu(AMOUNT, 8), tlv.encode_tu(EXPIRY, 4), bytes(8), PREIMAGE]),
        st.sampled_from([bytes(32) + tlv.encode_tu(AMOUNT + d, 8) for d in (-1, 0, 1)]),
    ),
    max_size=3,
)


@settings(max_examples=400)
@given(CHANGES, st.sampled_from([None, (), (65536,)]), st.integers(-2, 2), st.integers(-2, 2), st.integers(30, 34))
def test_differential(changes: dict[int, bytes | None], known: Any, more: int, later: int, passed: int) -> None:
    """Accepted and refused as the reference does. Codes are compared where a payload has one fault only: which of several
    is told is not laid down. A missing or wrong preimage is PERM|22 here, as real nodes answer, and PERM|15 in bLIP 3."""
    payload = stream(changes)
    htlc = {"amount_msat": AMOUNT + more, "cltv_expiry": EXPIRY + later, "block_height": HEIGHT + passed}
    try:
        expected = keysend.accept(payload, HASH, *htlc.values(), known_records=known)
    except keysend.Refusal as reason:
        with pytest.raises(KeysendRefused) as error:
            accept_keysend(payload, HASH, known_types=known, **htlc)
        if len(changes) + (more < 0) + (later < 0) + (later + 50 - passed < 18) == 1 and KEYSEND_TYPE not in changes:
            assert error.value.failure_code == reason.code
        return
    claim = accept_keysend(payload, HASH, known_types=known, **htlc)
    assert claim.preimage == expected.preimage
    assert {t: v for t, v in claim.custom_records.items() if known is None or t in known} == expected.records
