"""The primitives, implementation by implementation, called straight at the core's table of functions."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from keysend_fast import _kernels, _native

from .bench_onions import nodes
from .interleave import Row

ffi, api = _kernels.ffi, _kernels.lib.ksf_get_api()
POINTS, STREAMS = 256, 64
HMAC_INPUT = 1332  # hop_payloads and a payment hash
STREAM = 1300


def runnable(slot: str) -> list[str]:
    """Names of a slot's implementations that this CPU runs."""
    return [row["name"] for row in _native.list_implementations() if row["slot"] == slot and row["runs_here"]]


def suite() -> list[Row]:
    """A row per primitive and implementation. All agree with the slot's last one before anything is timed."""
    rng = random.Random(1)
    scalars = b"".join(bytes([1]) + rng.randbytes(31) for _ in range(POINTS))
    ids = b"".join(node.node_id for node in nodes(POINTS))
    keys = rng.randbytes(32 * STREAMS)
    messages = [ffi.new("uint8_t[]", rng.randbytes(HMAC_INPUT)) for _ in range(STREAMS)]
    pointers, lengths = ffi.new("const uint8_t *[]", messages), ffi.new("size_t[]", [HMAC_INPUT] * STREAMS)
    key_pointers = ffi.new("const uint8_t *[]", [ffi.from_buffer("uint8_t[]", keys) + 32 * i for i in range(STREAMS)])
    key_lengths = ffi.new("size_t[]", [32] * STREAMS)
    rows: list[Row] = []
    for name in runnable("ecmult"):
        suite_ = _suite(name)
        memory = ffi.new("uint8_t[]", api.point_scratch(suite_) + 64)
        scratch = memory + (-int(ffi.cast("uintptr_t", memory)) % 64)
        tail = (ffi.new("ksf_status[]", POINTS), POINTS, scratch)
        rows += [
            _row(f"ecdh, no tables: {name}", POINTS, 32, memory, api.ecdh_many, suite_, scalars, ids, *tail),
            _row(f"base point: {name}", POINTS, 33, memory, api.base_mul_many, suite_, scalars, *tail),
        ]
    texts = (pointers, lengths, STREAMS)
    for name in runnable("sha256"):
        suite_ = _suite(f"sha256={name}")
        hmac = (key_pointers, key_lengths, *texts)
        rows += [
            _row(f"SHA-256 of {HMAC_INPUT} bytes: {name}", STREAMS, 32, messages, api.sha256_many, suite_, *texts),
            _row(f"HMAC of {HMAC_INPUT} bytes: {name}", STREAMS, 32, messages, api.hmac_sha256_many, suite_, *hmac),
        ]
    for name in runnable("chacha20"):
        suite_ = _suite(f"chacha20={name}")
        text = f"ChaCha20, {STREAM} bytes: {name}"
        rows.append(_row(text, STREAMS, STREAM, keys, api.chacha20_stream_many, suite_, keys, STREAM, STREAMS))
    _agree(rows)
    return rows


def _suite(spec: str) -> Any:
    chosen = _native.chosen_implementations(spec)
    slot, _, name = ("ecmult=" + spec if "=" not in spec else spec).partition("=")
    if chosen[slot] != name:
        raise RuntimeError(f"asked for {spec}, and {chosen[slot]} runs")
    return ffi.cast("const ksf_suite *", _native.suite_address(spec))


def _row(name: str, count: int, width: int, keep: Any, call: Callable[..., None], suite_: Any, *arguments: Any) -> Row:
    """call(suite, out, *arguments), out having `width` bytes an item; keep: memory that the arguments point into."""
    out = ffi.new("uint8_t[]", width * count)
    row = Row(name, count, lambda: call(suite_, out, *arguments))
    row.output = lambda: bytes(ffi.buffer(out))  # type: ignore[attr-defined]
    row.keep = keep  # type: ignore[attr-defined]
    return row


def _agree(rows: list[Row]) -> None:
    answers: dict[str, bytes] = {}
    for row in rows:
        row.run()
        primitive = row.name.rsplit(":", 1)[0]
        output = row.output()  # type: ignore[attr-defined]
        if answers.setdefault(primitive, output) != output:
            raise RuntimeError(f"{row.name} does not agree with the others")
