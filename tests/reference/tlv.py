"""TLV streams and truncated integers (BOLT 1, "Type-Length-Value Format" and "Fundamental Types")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.reference import bigsize

# Types from here up are for custom records; those below are the specification's.
FIRST_CUSTOM_TYPE = 1 << 16

Decoder = Callable[[bytes], Any]


class TlvError(ValueError):
    """A stream that BOLT 1 refuses.

    `reason` is one of the keys below, `offset` the first byte of the offending record (of its type), and `type` the
    record's type, or None where the type itself cannot be read.

    "type truncated", "type not minimal", "types not increasing", "length truncated", "length not minimal",
    "value truncated", "unknown even type", "bad value".
    """

    def __init__(self, reason: str, type_: int | None, offset: int, detail: str = "") -> None:
        super().__init__(f"{reason}: type {type_} at byte {offset}" + (f" ({detail})" if detail else ""))
        self.reason = reason
        self.type = type_
        self.offset = offset


@dataclass(frozen=True)
class Record:
    """One record of a stream; `offset` is where its type begins."""

    type: int
    value: bytes
    offset: int


def read_records(stream: bytes) -> list[Record]:
    """Split a stream into records: encodings minimal, types strictly increasing, lengths within the stream."""
    records: list[Record] = []
    at = 0
    while at < len(stream):
        record, at = _read_record(stream, at, previous=records[-1].type if records else None)
        records.append(record)
    return records


def _read_record(stream: bytes, start: int, previous: int | None) -> tuple[Record, int]:
    try:
        type_, at = bigsize.read(stream, start)
    except bigsize.BigSizeError as error:
        raise TlvError(f"type {error.reason}", None, start) from None
    if previous is not None and type_ <= previous:
        raise TlvError("types not increasing", type_, start)
    try:
        length, at = bigsize.read(stream, at)
    except bigsize.BigSizeError as error:
        raise TlvError(f"length {error.reason}", type_, start) from None
    if length > len(stream) - at:
        raise TlvError("value truncated", type_, start)
    return Record(type_, stream[at : at + length], start), at + length


def decode(stream: bytes, known: Mapping[int, Decoder], keep_custom: bool = False) -> dict[int, Any]:
    """Decode a stream in a namespace and return {type: decoded value} of the known types.

    `known` maps a type to the decoder of its value, which raises ValueError for a value that it refuses. Unknown odd
    types are skipped, unknown even ones refused; with `keep_custom` the custom records are all known, as bytes.
    The first record at fault, in stream order, is the one reported.
    """
    values: dict[int, Any] = {}
    fault: TlvError | None = None
    try:
        records = read_records(stream)
    except TlvError as error:
        # Records before the broken one are judged first: a reader goes through the stream from its start.
        fault = error
        records = read_records(stream[: error.offset])
    for record in records:
        if record.type in known:
            try:
                values[record.type] = known[record.type](record.value)
            except ValueError as error:
                raise TlvError("bad value", record.type, record.offset, str(error)) from None
        elif keep_custom and record.type >= FIRST_CUSTOM_TYPE:
            values[record.type] = record.value
        elif record.type % 2 == 0:
            raise TlvError("unknown even type", record.type, record.offset)
    if fault is not None:
        raise fault
    return values


def encode_record(type_: int, value: bytes) -> bytes:
    """Return one record."""
    return bigsize.encode(type_) + bigsize.encode(len(value)) + value


def encode(records: Mapping[int, bytes]) -> bytes:
    """Return the stream of {type: value}, sorted by type."""
    return b"".join(encode_record(type_, records[type_]) for type_ in sorted(records))


def encode_tu(value: int, width: int) -> bytes:
    """Return the truncated integer (tu16, tu32, tu64: width 2, 4, 8): big-endian without leading zero bytes."""
    if not 0 <= value < 1 << (8 * width):
        raise ValueError(f"a tu{8 * width} holds 0 to 2**{8 * width} - 1")
    return value.to_bytes(width, "big").lstrip(b"\0")


def decode_tu(value: bytes, width: int) -> int:
    """Read a truncated integer that fills `value`; ValueError if it is too long or not minimal."""
    if len(value) > width:
        raise ValueError(f"longer than a tu{8 * width}")
    if value[:1] == b"\0":
        raise ValueError(f"tu{8 * width} with a leading zero byte")
    return int.from_bytes(value, "big")


def decode_tu16(value: bytes) -> int:
    """Read a tu16."""
    return decode_tu(value, 2)


def decode_tu32(value: bytes) -> int:
    """Read a tu32."""
    return decode_tu(value, 4)


def decode_tu64(value: bytes) -> int:
    """Read a tu64."""
    return decode_tu(value, 8)


def decode_fixed(value: bytes, width: int) -> bytes:
    """Return a value that must be exactly `width` bytes long."""
    if len(value) != width:
        raise ValueError(f"{len(value)} bytes where {width} are due")
    return value


def decode_u64(value: bytes) -> int:
    """Read a u64; a short_channel_id is one."""
    return int.from_bytes(decode_fixed(value, 8), "big")


def decode_u16(value: bytes) -> int:
    """Read a u16."""
    return int.from_bytes(decode_fixed(value, 2), "big")
