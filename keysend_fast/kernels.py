"""The primitives of the core, one call each over cffi, for whole batches and with a status per item.

Inputs are checked for length here; everything else is the core's. Rows may be one buffer or a sequence of buffers.
Secrets that come back do so as ``bytes``, which cannot be wiped: streaming payers use :mod:`keysend_fast.keysend` instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from keysend_fast import _kernels, _native
from keysend_fast._types import Buffer, Rows
from keysend_fast.status import Status

__all__ = [
    "PointResults",
    "TlvScan",
    "base_mul_many",
    "chacha20_stream_many",
    "ecdh_many",
    "hmac_sha256_many",
    "point_mul_many",
    "sha256_many",
    "tlv_scan_many",
]

_ffi, _lib = _kernels.ffi, _kernels.lib
_api = _lib.ksf_get_api()
_SCALAR, _POINT, _KEY, _DIGEST = 32, 33, 32, 32


class PointResults(NamedTuple):
    """values: one bytes per item, all zero where its status is not OK. status: one Status per item."""

    values: list[bytes]
    status: list[Status]


class TlvScan(NamedTuple):
    """records: (type, offset of the value, length) of each record; status OK, or TLV with the offender's offset and type."""

    records: list[tuple[int, int, int]]
    status: Status
    offset: int
    type: int


def _suite(implementation: str | None) -> Any:
    return _ffi.cast("const ksf_suite *", _native.suite_address(implementation))


def _rows(rows: Rows, width: int, what: str) -> tuple[Any, int]:
    """One buffer of n rows, and n."""
    if isinstance(rows, bytes | bytearray | memoryview):
        view = memoryview(rows).cast("B") if isinstance(rows, memoryview) else memoryview(rows)
        if view.nbytes % width:
            raise ValueError(f"{what}: {view.nbytes} bytes are not rows of {width}")
        return view, view.nbytes // width
    parts = [bytes(row) for row in rows]
    for i, part in enumerate(parts):
        if len(part) != width:
            raise ValueError(f"{what} {i} has {width} bytes, not {len(part)}")
    return memoryview(b"".join(parts)), len(parts)


def _pointer(view: Any) -> Any:
    return _ffi.from_buffer("uint8_t[]", view)


def _split(buffer: Any, width: int, n: int) -> list[bytes]:
    data = bytes(_ffi.buffer(buffer, width * n))
    return [data[width * i : width * (i + 1)] for i in range(n)]


def _aligned(size: int) -> tuple[Any, Any]:
    """Scratch of the core: 64-byte aligned; the first value keeps it alive."""
    memory = _ffi.new("uint8_t[]", size + 64)
    return memory, memory + (-int(_ffi.cast("uintptr_t", memory)) % 64)


def _points(call: Any, width: int, scalars: Rows, public_keys: Rows | None, implementation: str | None) -> PointResults:
    suite = _suite(implementation)
    k, n = _rows(scalars, _SCALAR, "scalar")
    out = _ffi.new("uint8_t[]", width * n + 1)
    status = _ffi.new("ksf_status[]", n + 1)
    memory, scratch = _aligned(_api.point_scratch(suite))
    if public_keys is None:
        call(suite, out, _pointer(k), status, n, scratch)
    else:
        p, m = _rows(public_keys, _POINT, "public key")
        if m != n:
            raise ValueError(f"{n} scalars but {m} public keys")
        call(suite, out, _pointer(k), _pointer(p), status, n, scratch)
    del memory
    return PointResults(_split(out, width, n), [Status(status[i].code) for i in range(n)])


def ecdh_many(scalars: Rows, public_keys: Rows, *, implementation: str | None = None) -> PointResults:
    """SHA256 of each compressed product: BOLT 4's shared secrets.

    scalars: n x 32 bytes, SECRET, big-endian. public_keys: n x 33. Returns n values of 32 bytes. Status SCALAR, POINT.
    """
    return _points(_api.ecdh_many, _DIGEST, scalars, public_keys, implementation)


def point_mul_many(scalars: Rows, public_keys: Rows, *, implementation: str | None = None) -> PointResults:
    """Each scalar times its point, compressed; constant time.

    scalars: n x 32 bytes, SECRET, big-endian. public_keys: n x 33. Returns n values of 33 bytes. Status SCALAR, POINT.
    """
    return _points(_api.point_mul_many, _POINT, scalars, public_keys, implementation)


def base_mul_many(scalars: Rows, *, implementation: str | None = None) -> PointResults:
    """Each scalar times the base point, compressed; constant time.

    scalars: n x 32 bytes, SECRET, big-endian. Returns n values of 33 bytes. Status SCALAR.
    """
    return _points(_api.base_mul_many, _POINT, scalars, None, implementation)


def chacha20_stream_many(keys: Rows, length: int, *, implementation: str | None = None) -> list[bytes]:
    """ChaCha20 key streams (RFC 8439) with a zero nonce, from block 0 on: n of `length` bytes.

    keys: n x 32 bytes, SECRET.
    """
    if length < 0 or length > 1 << 32:
        raise ValueError(f"length is in 0 .. 2^32, not {length}")
    suite = _suite(implementation)
    k, n = _rows(keys, _KEY, "key")
    out = _ffi.new("uint8_t[]", length * n + 1)
    _api.chacha20_stream_many(suite, out, _pointer(k), length, n)
    return _split(out, length, n)


def _table(items: Sequence[Buffer]) -> tuple[Any, Any, list[Any]]:
    """Arrays of pointers and lengths, and what keeps the memory alive."""
    held = [_pointer(memoryview(item)) for item in items]
    pointers = _ffi.new("const uint8_t *[]", [*held, _ffi.NULL])
    lengths = _ffi.new("size_t[]", [*(len(h) for h in held), 0])
    return pointers, lengths, held


def sha256_many(messages: Sequence[Buffer], *, implementation: str | None = None) -> list[bytes]:
    """SHA-256 (FIPS 180-4) of each message, any lengths; equal neighbours run side by side."""
    suite = _suite(implementation)
    pointers, lengths, held = _table(messages)
    out = _ffi.new("uint8_t[]", _DIGEST * len(held) + 1)
    _api.sha256_many(suite, out, pointers, lengths, len(held))
    return _split(out, _DIGEST, len(held))


def hmac_sha256_many(
    keys: Sequence[Buffer], messages: Sequence[Buffer], *, implementation: str | None = None
) -> list[bytes]:
    """HMAC-SHA256 (RFC 2104) of each message under its key, any lengths. keys: SECRET."""
    if len(keys) != len(messages):
        raise ValueError(f"{len(keys)} keys but {len(messages)} messages")
    suite = _suite(implementation)
    key_pointers, key_lengths, key_held = _table(keys)
    pointers, lengths, held = _table(messages)
    out = _ffi.new("uint8_t[]", _DIGEST * len(held) + 1)
    _api.hmac_sha256_many(suite, out, key_pointers, key_lengths, pointers, lengths, len(held))
    del key_held
    return _split(out, _DIGEST, len(held))


def tlv_scan_many(streams: Sequence[Buffer]) -> list[TlvScan]:
    """Strict scan of TLV streams (BOLT 1, Type-Length-Value Format): order, minimal integers, lengths."""
    out = []
    n, status = _ffi.new("size_t *"), _ffi.new("ksf_status *")
    for stream in streams:
        view = memoryview(stream)
        most = view.nbytes // 2  # a record takes two bytes or more
        records = _ffi.new("ksf_tlv_record[]", most + 1)
        failed = _api.tlv_scan(_pointer(view), view.nbytes, records, most, n, status)
        found = [] if failed else [(r.type, r.offset, r.length) for r in (records[i] for i in range(n[0]))]
        out.append(TlvScan(found, Status(status.code), status.offset, status.type))
    return out
