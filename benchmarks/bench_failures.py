"""Failures against the careful coincurve and `cryptography` loop: decoding from kept secrets, and making over five hops.

`python -m benchmarks.bench_failures`. Both sides run in turn in one process, a pass each, round after round, and the best
passes count: on a shared machine the minimum is the number that repeats. One thread. Before anything is timed both sides
must agree on every item. Ours is timed up to Python objects, index and message read, as the loop hands them out.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keysend_fast import _native, kernels
from keysend_fast.failure import create_failures, decode_failures, wrap_failures
from keysend_fast.onion import OnionBatch, build_onions

from .machine import header
from .peers.coincurve import loops

BATCH = 512
HOPS = (1, 2, 3, 4, 5, 8, 10, 15, 20, 27)
MADE_HOPS = 5
LOOP_ITEMS = 16  # the loop takes a quarter of a millisecond an item: a few make a pass
MESSAGE = bytes.fromhex("10070000")  # temporary_channel_failure with an empty channel_update
LEAST = 15.0  # times faster than the loop

Pass = Callable[[], object]


@dataclass
class Row:
    """One comparison: nanoseconds an item, best passes."""

    name: str
    ours: Pass
    loop: Pass
    ours_items: int = BATCH
    loop_items: int = LOOP_ITEMS
    ours_ns: float = float("inf")
    loop_ns: float = float("inf")

    @property
    def ratio(self) -> float:
        return self.loop_ns / self.ours_ns


def onions(n_hops: int) -> OnionBatch:
    """A batch over nodes of our own; what is built does not matter, its secrets do."""
    rng = random.Random(n_hops)
    ids = kernels.base_mul_many([rng.randbytes(32) for _ in range(n_hops)]).values
    requests = [(ids, [b"\0\0"] * n_hops, rng.randbytes(32), b"") for _ in range(BATCH)]
    return build_onions(requests, threads=1)


def kept(batch: OnionBatch) -> list[list[bytes]]:
    """The same secrets as the loop takes them."""
    return [[bytes(s.shared_secret(hop)) for hop in range(len(s))] for s in batch.secrets]


def agree(name: str, ours: Sequence[object], loop: Sequence[object]) -> None:
    """Raises SystemExit where the two sides differ."""
    if list(ours) != list(loop):
        raise SystemExit(f"{name}: ours and the loop's differ")


def decoding(n_hops: int, implementation: str | None) -> Row:
    """Any hop of the route may have erred."""
    batch = onions(n_hops)
    rows, rng = kept(batch), random.Random(n_hops)
    packets = [loops.make_failure(row, rng.randrange(n_hops), MESSAGE) for row in rows]
    secrets = batch.secrets

    def ours() -> list[tuple[int | None, bytes]]:
        found = decode_failures(packets, secrets, threads=1, implementation=implementation)
        return [(failure.erring_index, failure.message) for failure in found]

    def loop(items: int = LOOP_ITEMS) -> list[tuple[int, bytes]]:
        return [loops.decode_failure(packet, row) for packet, row in zip(packets[:items], rows[:items], strict=True)]

    agree(f"decode, {n_hops} hops", ours(), loop(BATCH))
    return Row(f"decode, {n_hops} hops", ours, loop)


def making(implementation: str | None) -> Row:
    """The last of five nodes errs; each node's part is a call of its own over the batch."""
    rows = kept(onions(MADE_HOPS))
    columns = [[row[hop] for row in rows] for hop in range(MADE_HOPS)]
    messages = [MESSAGE] * BATCH

    def ours() -> list[bytes]:
        made = create_failures(columns[-1], messages, threads=1, implementation=implementation)
        for column in columns[-2::-1]:
            made = wrap_failures(column, made, threads=1, implementation=implementation)
        return [packet for packet, _ in made]

    def loop(items: int = LOOP_ITEMS) -> list[bytes]:
        return [loops.make_failure(row, MADE_HOPS - 1, MESSAGE) for row in rows[:items]]

    agree("create and wrap", ours(), loop(BATCH))
    return Row(f"create and wrap, {MADE_HOPS} hops", ours, loop)


def timed(call: Pass, items: int) -> float:
    start = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start) / items


def measure(rows: Sequence[Row], rounds: int) -> None:
    """Both sides of every row in turn, `rounds` times."""
    for _ in range(rounds):
        for row in rows:
            row.ours_ns = min(row.ours_ns, timed(row.ours, row.ours_items))
            row.loop_ns = min(row.loop_ns, timed(row.loop, row.loop_items))


def report(rows: Sequence[Row], implementation: str | None, rounds: int) -> dict[str, Any]:
    """What is printed and saved."""
    return {
        "machine": header(),
        "implementation": _native.chosen_implementations(implementation),
        "batch": BATCH,
        "rounds": rounds,
        "rows": [
            {"name": r.name, "ours_ns": round(r.ours_ns), "loop_ns": round(r.loop_ns), "ratio": round(r.ratio, 2)}
            for r in rows
        ],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and fail where a row is below what is required."""
    parser = argparse.ArgumentParser(prog="benchmarks failures", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--implementation", help="as everywhere; the best if not given")
    parser.add_argument("--least", type=float, default=LEAST, help="fail below this ratio (0: never)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(arguments)
    rows = [*(decoding(n, options.implementation) for n in HOPS), making(options.implementation)]
    measure(rows, options.rounds)
    content = report(rows, options.implementation, options.rounds)
    print(" ".join(f"{slot}={name}" for slot, name in content["implementation"].items()))
    print(f"{'':28}{'ours, ns':>12}{'loop, ns':>12}{'times':>8}")
    for row in rows:
        print(f"{row.name:28}{row.ours_ns:12,.0f}{row.loop_ns:12,.0f}{row.ratio:8.1f}")
    if options.json:
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    slow = [row.name for row in rows if row.ratio < options.least]
    if slow:
        print(f"below {options.least:g} times: {', '.join(slow)}", file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
