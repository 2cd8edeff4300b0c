"""Keysend: spontaneous payments (bLIP 3) as BOLT 4 onions, in batches, and the recipient's claim."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from typing import NamedTuple

from keysend_fast import _batch, _route
from keysend_fast._batch import KeysendBatch, Onion
from keysend_fast._route import KeysendPayment, Route, encode_records
from keysend_fast._tables import HopTables
from keysend_fast._types import Buffer, Records, Rows
from keysend_fast.errors import KeysendRefused, TlvError
from keysend_fast.status import Status, onion_error

__all__ = [
    "KEYSEND_PREIMAGE_TYPE",
    "AcceptedKeysend",
    "KeysendBatch",
    "KeysendPayment",
    "OnionBudget",
    "accept_keysend",
    "build_keysend",
    "build_keysends",
    "build_keysends_columns",
    "encode_records",
    "onion_budget",
]

KEYSEND_PREIMAGE_TYPE = 5482373484  # bLIP 3
CUSTOM_TYPE_MIN = 65536  # BOLT 4: custom records
HOP_PAYLOADS_SIZE = 1300


def build_keysend(
    route: Route,
    records: Records | None = None,
    *,
    block_height: int,
    amount_msat: int | None = None,
    preimage: Buffer | None = None,
    session_key: Buffer | None = None,
    implementation: str | None = None,
    hop_tables: HopTables | None = None,
) -> Onion:
    """Build one keysend's onion (bLIP 3; BOLT 4, Packet Construction).

    route, records, amount_msat, preimage, session_key: as in :class:`KeysendPayment`. block_height: current best block.
    Without implementation and hop_tables it runs on libsecp256k1, the fastest for one onion over new keys. The result owns its
    secrets (``.secrets``). Raises OnionError subclasses, TlvError, ValueError, TypeError.
    """
    payment = KeysendPayment(route, records, amount_msat=amount_msat, preimage=preimage, session_key=session_key)
    return build_keysends(
        (payment,), block_height=block_height, threads=1, implementation=implementation, hop_tables=hop_tables
    )[0]


def build_keysends(
    payments: Iterable[KeysendPayment],
    *,
    block_height: int,
    threads: int | None = None,
    implementation: str | None = None,
    hop_tables: HopTables | None = None,
    out: Buffer | None = None,
) -> KeysendBatch:
    """Build the onions of many keysends in one batch.

    payments: any iterable, read once. block_height: current best block; absolute CLTV values count from the next one.
    threads: None is one below 512 payments, else one a core. implementation: None is the best, or what KEYSEND_FAST_IMPL
    says (docs/implementations.md). hop_tables: the caller's cache of node tables, worth having where node ids repeat from
    batch to batch; without one a large batch makes tables for itself and drops them. out: writable buffer of n x 1366 bytes
    for the packets, owned by the caller; untouched where the call is misused, all zero where it is interrupted.

    Preimages and session keys come from the operating system's randomness, one request a batch, unless a payment brings its
    own. A payment that cannot be built sets its own status and changes no other: see ``batch.errors()``. Ctrl-C is seen
    within 100 ms. Raises TypeError, ValueError for misuse only.
    """
    return _batch.build_keysends(
        payments,
        block_height=block_height,
        threads=threads,
        implementation=implementation,
        hop_tables=hop_tables,
        out=out,
    )


def build_keysends_columns(
    routes: Iterable[Route],
    route_ids: Rows,
    *,
    block_height: int,
    amounts_msat: Rows | None = None,
    records: Rows | None = None,
    record_offsets: Rows | None = None,
    preimages: Rows | None = None,
    session_keys: Rows | None = None,
    threads: int | None = None,
    implementation: str | None = None,
    hop_tables: HopTables | None = None,
    out: Buffer | None = None,
) -> KeysendBatch:
    """Build keysends from columns (numpy or Arrow buffers) instead of objects.

    Payment i takes ``routes[route_ids[i]]`` and the TLV stream ``records[record_offsets[i]:record_offsets[i + 1]]``.
    route_ids: uint32 (n,). amounts_msat: uint64 (n,), 0 for the route's own. records: uint8; record_offsets: uint32
    (n + 1,). preimages, session_keys: uint8 (n, 32), SECRET, C-contiguous. The rest as in :func:`build_keysends`; records
    are checked per item. Raises TypeError, ValueError for misuse only.
    """
    return _batch.build_keysends_columns(
        routes,
        route_ids,
        block_height=block_height,
        amounts_msat=amounts_msat,
        records=records,
        record_offsets=record_offsets,
        preimages=preimages,
        session_keys=session_keys,
        threads=threads,
        implementation=implementation,
        hop_tables=hop_tables,
        out=out,
    )


class OnionBudget(NamedTuple):
    """Bytes of hop_payloads: total, used by all frames, free. Negative ``free`` means that the onion does not fit."""

    total: int
    used: int
    free: int
    final_payload: int

    def max_value_bytes(self, type: int) -> int:
        """Longest value of one more custom record of this type that still fits; -1 where not even an empty one does."""
        best = -1
        low, high = 0, self.total
        while low <= high:
            size = (low + high) // 2
            record = _bigsize_len(type) + _bigsize_len(size) + size
            growth = record + _bigsize_len(self.final_payload + record) - _bigsize_len(self.final_payload)
            if growth <= self.free:
                best, low = size, size + 1
            else:
                high = size - 1
        return best


def _bigsize_len(value: int) -> int:
    return 1 if value < 0xFD else 3 if value <= 0xFFFF else 5 if value <= 0xFFFFFFFF else 9


def onion_budget(
    route: Route, records: Records | None = None, *, block_height: int = 900_000, amount_msat: int | None = None
) -> OnionBudget:
    """What a keysend over this route with these records takes of the 1300 bytes.

    block_height matters by the length of its integers only. Raises TlvError, OnionError for what could not be built
    whatever its size.
    """
    payment = KeysendPayment(route, records, amount_msat=amount_msat)
    code, hop, offset, type_, used, *amounts = _route.plan(payment, block_height, HOP_PAYLOADS_SIZE)
    if code not in (Status.OK, Status.ONION_SIZE):
        raise onion_error(code, hop, offset, type_, None)
    amount, cltv = amounts[2], amounts[3]
    final = 4 + (amount.bit_length() + 7) // 8 + (cltv.bit_length() + 7) // 8 + len(payment.records) + 42
    return OnionBudget(HOP_PAYLOADS_SIZE, used, HOP_PAYLOADS_SIZE - used, final)


@dataclass(frozen=True, slots=True)
class AcceptedKeysend:
    """A keysend that its recipient may claim.

    preimage: 32 bytes, SECRET until it is used to claim, hidden from repr. amount_msat, cltv_expiry: what the sender put
    into the payload. custom_records: type to value, types >= 65536 but the keysend's own.
    """

    preimage: bytes = field(repr=False)
    amount_msat: int
    cltv_expiry: int
    custom_records: Mapping[int, bytes]


# BOLT 4, Payload Format; types of blinded paths are not understood here, so that a payload of one is refused
_AMT_TO_FORWARD, _OUTGOING_CLTV_VALUE, _SHORT_CHANNEL_ID, _PAYMENT_DATA, _PAYMENT_METADATA = 2, 4, 6, 8, 16
_TOTAL_AMOUNT_MSAT = 18
_UNDERSTOOD = frozenset(
    {_AMT_TO_FORWARD, _OUTGOING_CLTV_VALUE, _SHORT_CHANNEL_ID, _PAYMENT_DATA, _PAYMENT_METADATA, _TOTAL_AMOUNT_MSAT}
)


def _truncated(value: bytes, width: int, type_: int) -> int:
    """tu32 or tu64 (BOLT 1, Fundamental Types): big-endian, no leading zero bytes."""
    if len(value) > width or value[:1] == b"\0":
        raise KeysendRefused.payload(f"type {type_} is not a minimal integer of at most {width} bytes", type_)
    return int.from_bytes(value, "big")


def accept_keysend(
    payload: bytes,
    payment_hash: bytes,
    *,
    amount_msat: int | None = None,
    cltv_expiry: int | None = None,
    block_height: int | None = None,
    min_final_cltv_delta: int = 18,
    known_types: Collection[int] | None = None,
) -> AcceptedKeysend:
    """The recipient's decision about a final payload (BOLT 4, Requirements of the final node; bLIP 3).

    payload: the peeled TLV stream. payment_hash: 32 bytes, of the HTLC. amount_msat, cltv_expiry: the HTLC's; block_height:
    the current one; checks whose inputs are None are left out. known_types: custom even types that the application
    understands; None accepts every custom type, as LND does. Does not see other HTLCs of the hash: a second one is the
    caller's to refuse.

    Raises KeysendRefused with ``failure_code`` (invalid_onion_payload with type and offset, final_incorrect_cltv_expiry,
    final_incorrect_htlc_amount, incorrect_or_unknown_payment_details), the code that BOLT 4 has a node answer.
    """
    from keysend_fast import tlv  # noqa: PLC0415 - tlv is compiled, and only the recipient needs it

    try:
        records = dict(tlv.parse(payload))
    except TlvError as e:
        raise KeysendRefused.payload(str(e), e.type or 0, e.offset or 0) from None
    for type_ in records:
        odd, custom = type_ % 2 == 1, type_ >= CUSTOM_TYPE_MIN
        if odd or type_ in _UNDERSTOOD or type_ == KEYSEND_PREIMAGE_TYPE:
            continue
        if not custom or (known_types is not None and type_ not in known_types):
            raise KeysendRefused.payload(f"even type {type_} is not understood", type_, _offset_of(payload, type_))
    for type_ in (_AMT_TO_FORWARD, _OUTGOING_CLTV_VALUE, KEYSEND_PREIMAGE_TYPE):
        if type_ not in records:
            raise KeysendRefused.payload(f"type {type_} is missing", type_)
    amount = _truncated(records[_AMT_TO_FORWARD], 8, _AMT_TO_FORWARD)
    expiry = _truncated(records[_OUTGOING_CLTV_VALUE], 4, _OUTGOING_CLTV_VALUE)
    if len(records.get(_SHORT_CHANNEL_ID, bytes(8))) != 8:
        raise KeysendRefused.payload("a short_channel_id has 8 bytes", _SHORT_CHANNEL_ID)
    totals = []
    if _PAYMENT_DATA in records:
        if len(records[_PAYMENT_DATA]) < 32:
            raise KeysendRefused.payload("payment_data has no whole payment secret", _PAYMENT_DATA)
        totals.append(_truncated(records[_PAYMENT_DATA][32:], 8, _PAYMENT_DATA))
    if _TOTAL_AMOUNT_MSAT in records:
        totals.append(_truncated(records[_TOTAL_AMOUNT_MSAT], 8, _TOTAL_AMOUNT_MSAT))
    preimage = records[KEYSEND_PREIMAGE_TYPE]
    if len(preimage) != 32:
        raise KeysendRefused.payload(
            f"the preimage has {len(preimage)} bytes, not 32",
            KEYSEND_PREIMAGE_TYPE,
            _offset_of(payload, KEYSEND_PREIMAGE_TYPE),
        )
    if not compare_digest(sha256(preimage).digest(), bytes(payment_hash)):
        raise KeysendRefused.payload(
            "the preimage is not the payment hash's",
            KEYSEND_PREIMAGE_TYPE,
            _offset_of(payload, KEYSEND_PREIMAGE_TYPE),
        )
    height = 0 if block_height is None else block_height
    if amount_msat is not None and amount_msat < amount:
        raise KeysendRefused.amount(amount_msat, amount)
    if cltv_expiry is not None and cltv_expiry < expiry:
        raise KeysendRefused.expiry(cltv_expiry, expiry)
    if block_height is not None and (expiry if cltv_expiry is None else cltv_expiry) < height + min_final_cltv_delta:
        raise KeysendRefused.details(
            f"expiry leaves less than {min_final_cltv_delta} blocks",
            amount if amount_msat is None else amount_msat,
            height,
        )
    if any(total != amount for total in totals):  # BOLT 4, Basic Multi-Part Payments: without basic_mpp, one part only
        raise KeysendRefused.details(
            "a keysend of several parts is not accepted", amount if amount_msat is None else amount_msat, height
        )
    custom_records = {t: v for t, v in records.items() if t >= CUSTOM_TYPE_MIN and t != KEYSEND_PREIMAGE_TYPE}
    return AcceptedKeysend(preimage, amount, expiry, custom_records)


def _offset_of(payload: bytes, type_: int) -> int:
    from keysend_fast import tlv  # noqa: PLC0415 - see accept_keysend

    offset = 0
    for found, value in tlv.parse(payload):
        if found == type_:
            break
        offset += _bigsize_len(found) + _bigsize_len(len(value)) + len(value)
    return offset
