"""Keysend: from a route to payloads, and the recipient's checks (bLIP 3; BOLT 4, "Payload Format")."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tests.reference import tlv

AMT_TO_FORWARD = 2
OUTGOING_CLTV_VALUE = 4
SHORT_CHANNEL_ID = 6
PAYMENT_DATA = 8
PAYMENT_METADATA = 16
TOTAL_AMOUNT_MSAT = 18
KEYSEND_PREIMAGE = 5482373484
# Either says the payment's total.
TOTALS = (PAYMENT_DATA, TOTAL_AMOUNT_MSAT)


@dataclass(frozen=True)
class Hop:
    """One node of a route, and what arrives at it.

    `short_channel_id` is the channel into the node, `amount_msat` what the node receives, `delay` the blocks between
    the block height that the sender knows, plus one, and the expiry of the HTLC that the node receives.
    """

    node_id: bytes
    short_channel_id: int
    amount_msat: int
    delay: int


def forward_payload(amount_msat: int, cltv: int, short_channel_id: int) -> bytes:
    """Return the TLV stream of a node that forwards: amount, absolute expiry and channel of the HTLC it sends."""
    return tlv.encode(
        {
            AMT_TO_FORWARD: tlv.encode_tu(amount_msat, 8),
            OUTGOING_CLTV_VALUE: tlv.encode_tu(cltv, 4),
            SHORT_CHANNEL_ID: short_channel_id.to_bytes(8, "big"),
        }
    )


def final_payload(amount_msat: int, cltv: int, preimage: bytes, records: Mapping[int, bytes]) -> bytes:
    """Return the recipient's TLV stream: amount, absolute expiry, custom records and the preimage, sorted by type."""
    if len(preimage) != 32:
        raise ValueError("a preimage has 32 bytes")
    for type_ in records:
        if type_ < tlv.FIRST_CUSTOM_TYPE or type_ == KEYSEND_PREIMAGE:
            raise ValueError(f"type {type_} is not for custom records")
    return tlv.encode(
        {
            AMT_TO_FORWARD: tlv.encode_tu(amount_msat, 8),
            OUTGOING_CLTV_VALUE: tlv.encode_tu(cltv, 4),
            **records,
            KEYSEND_PREIMAGE: preimage,
        }
    )


def payloads(hops: Sequence[Hop], preimage: bytes, records: Mapping[int, bytes], block_height: int) -> list[bytes]:
    """Return the payloads of a route: each node but the last is told what the node after it shall receive."""
    if not hops:
        raise ValueError("a route has at least one hop")
    cltvs = [block_height + 1 + hop.delay for hop in hops]
    forwards = [
        forward_payload(after.amount_msat, cltv, after.short_channel_id)
        for after, cltv in zip(hops[1:], cltvs[1:], strict=True)
    ]
    return [*forwards, final_payload(hops[-1].amount_msat, cltvs[-1], preimage, records)]


class Refusal(ValueError):
    """A payment that its recipient fails: `code` is the failure code, `type` the TLV at fault, `offset` its place."""

    def __init__(self, reason: str, code: int, type_: int | None = None, offset: int | None = None) -> None:
        super().__init__(f"{reason} (0x{code:04x})")
        self.code = code
        self.type = type_
        self.offset = offset


INVALID_ONION_PAYLOAD = 0x4016
UNKNOWN_PAYMENT_DETAILS = 0x400F
FINAL_INCORRECT_CLTV_EXPIRY = 18
FINAL_INCORRECT_HTLC_AMOUNT = 19


@dataclass(frozen=True)
class Claim:
    """What a recipient gets: the preimage, the amount in its HTLC and the custom records that it asked for."""

    preimage: bytes
    amount_msat: int
    records: dict[int, bytes]


def _payment_data(value: bytes) -> int:
    """Return total_msat of payment_data, which stands behind the 32-byte payment secret."""
    if len(value) < 32:
        raise ValueError("payment_data without a whole payment secret")
    return tlv.decode_tu64(value[32:])


def accept(
    payload: bytes,
    payment_hash: bytes,
    amount_msat: int,
    cltv_expiry: int,
    block_height: int,
    min_final_cltv_expiry_delta: int = 18,
    known_records: Collection[int] | None = None,
) -> Claim:
    """Check a final payload against its HTLC (amount_msat, cltv_expiry) and return what it pays; Refusal otherwise.

    `known_records` are the custom types that the recipient understands; None takes every one. The checks come in
    this order: the stream, its mandatory types, amount, expiry, final expiry delta, total, preimage. Types 10 and 12
    are unknown here, so a payload of a blinded path is refused.
    """
    known: dict[int, tlv.Decoder] = dict.fromkeys(known_records or (), bytes)
    known |= {
        AMT_TO_FORWARD: tlv.decode_tu64,
        OUTGOING_CLTV_VALUE: tlv.decode_tu32,
        SHORT_CHANNEL_ID: tlv.decode_u64,
        PAYMENT_DATA: _payment_data,
        PAYMENT_METADATA: bytes,
        TOTAL_AMOUNT_MSAT: tlv.decode_tu64,
        KEYSEND_PREIMAGE: lambda value: tlv.decode_fixed(value, 32),
    }
    try:
        fields = tlv.decode(payload, known, keep_custom=known_records is None)
    except tlv.TlvError as error:
        raise Refusal(str(error), INVALID_ONION_PAYLOAD, error.type, error.offset) from None
    for type_ in (AMT_TO_FORWARD, OUTGOING_CLTV_VALUE):
        if type_ not in fields:
            raise Refusal(f"type {type_} is missing", INVALID_ONION_PAYLOAD, type_, 0)
    if KEYSEND_PREIMAGE not in fields:
        raise Refusal("no keysend preimage", UNKNOWN_PAYMENT_DETAILS)
    if amount_msat < fields[AMT_TO_FORWARD]:
        raise Refusal("the HTLC has less than the onion says", FINAL_INCORRECT_HTLC_AMOUNT)
    if cltv_expiry < fields[OUTGOING_CLTV_VALUE]:
        raise Refusal("the HTLC expires before the onion says", FINAL_INCORRECT_CLTV_EXPIRY)
    if cltv_expiry < block_height + min_final_cltv_expiry_delta:
        raise Refusal("the HTLC expires too soon", UNKNOWN_PAYMENT_DETAILS)
    # A recipient without basic_mpp takes a payment in one part only (BOLT 4, Basic Multi-Part Payments).
    if any(fields.get(type_, fields[AMT_TO_FORWARD]) != fields[AMT_TO_FORWARD] for type_ in TOTALS):
        raise Refusal("one part of a payment in many", UNKNOWN_PAYMENT_DETAILS)
    preimage = fields[KEYSEND_PREIMAGE]
    if hashlib.sha256(preimage).digest() != payment_hash:
        raise Refusal("the preimage is not the payment hash's", UNKNOWN_PAYMENT_DETAILS)
    records = {t: v for t, v in fields.items() if t >= tlv.FIRST_CUSTOM_TYPE and t != KEYSEND_PREIMAGE}
    return Claim(preimage, amount_msat, records)
