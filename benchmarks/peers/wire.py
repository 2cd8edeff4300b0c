"""BOLT 1's encodings, apart from the product's, for the workload and the adapters. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable


def bigsize(value: int) -> bytes:
    """BOLT 1, Fundamental Types."""
    if value < 0xFD:
        return value.to_bytes(1, "big")
    for prefix, size in ((b"\xfd", 2), (b"\xfe", 4), (b"\xff", 8)):
        if value < 1 << 8 * size:
            return prefix + value.to_bytes(size, "big")
    raise ValueError("BigSize above 64 bits")


def truncated(value: int) -> bytes:
    """BOLT 1, tu64 and tu32."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def tlv_stream(records: Iterable[tuple[int, bytes]]) -> bytes:
    """BOLT 1, Type-Length-Value Format; sorts by type."""
    return b"".join(bigsize(kind) + bigsize(len(value)) + value for kind, value in sorted(records))
