"""Failures and attribution data, beside the careful coincurve and `cryptography` loop in the same interleaved rounds.

One thread, batches of 512, secrets kept from the build. Ours is timed up to Python objects: index and message are read, as
the loop hands them out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from keysend_fast.failure import ReturnPackets, create_failures, decode_failures, wrap_failures
from keysend_fast.onion import OnionBatch, build_onions

from .bench_onions import WrongCodeError, nodes
from .interleave import Claim, Row
from .peers.coincurve import loops

BATCH = 512
LOOP_ITEMS = 8  # a loop's pass: it has no batch, so more of them say nothing more
HOP_COUNTS = (1, 2, 3, 4, 5, 8, 10, 15, 20, 27)
QUICK_HOP_COUNTS = (1, 5, 20)
MADE_HOPS = 5
MESSAGE = bytes.fromhex("10070000")  # temporary_channel_failure with an empty channel_update
TARGET = 15.0
ISSUE_6 = "issue 6"


@cache
def built(hops: int) -> OnionBatch:
    """A batch of onions; what they carry does not matter, their secrets do."""
    rng = random.Random(hops)
    ids = [node.node_id for node in nodes(hops)]
    return build_onions([(ids, [b"\0\0"] * hops, rng.randbytes(32), b"") for _ in range(BATCH)], threads=1)


@cache
def kept(hops: int) -> list[list[bytes]]:
    """The same secrets as the loop takes them."""
    return [[bytes(secrets.shared_secret(hop)) for hop in range(hops)] for secrets in built(hops).secrets]


def require_same(name: str, ours: Sequence[object], loop: Sequence[object]) -> None:
    """Every item, before anything is timed."""
    if list(ours) != list(loop):
        raise WrongCodeError(f"{name}: what comes out is not the loop's")


def decode_rows(hops: int, implementation: str) -> list[Row]:
    """Any hop of the route may have erred."""
    secrets, lists, rng = built(hops).secrets, kept(hops), random.Random(hops)
    packets = [loops.make_failure(row, rng.randrange(hops), MESSAGE) for row in lists]

    def run() -> list[tuple[int | None, bytes]]:
        found = decode_failures(packets, secrets, threads=1, implementation=implementation)
        return [(failure.erring_index, failure.message) for failure in found]

    def loop(items: int = LOOP_ITEMS) -> list[tuple[int, bytes]]:
        return [loops.decode_failure(packet, row) for packet, row in zip(packets[:items], lists[:items], strict=True)]

    name = f"decode, n = {hops}"
    return [
        Row(f"{name}, batch", BATCH, run, lambda: require_same(name, run(), loop(BATCH))),
        Row(f"{name}, loop", LOOP_ITEMS, loop),
    ]


def make_rows(implementation: str) -> list[Row]:
    """The last of five nodes errs; each node's part is a call of its own over the batch."""
    lists = kept(MADE_HOPS)
    columns = [[row[hop] for row in lists] for hop in range(MADE_HOPS)]
    messages = [MESSAGE] * BATCH

    def run() -> list[bytes]:
        made = create_failures(columns[-1], messages, threads=1, implementation=implementation)
        for column in columns[-2::-1]:
            made = wrap_failures(column, made, threads=1, implementation=implementation)
        return [packet for packet, _ in made]

    def loop(items: int = LOOP_ITEMS) -> list[bytes]:
        return [loops.make_failure(row, MADE_HOPS - 1, MESSAGE) for row in lists[:items]]

    name = f"create and wrap, n = {MADE_HOPS}"
    return [
        Row(f"{name}, batch", BATCH, run, lambda: require_same(name, run(), loop(BATCH))),
        Row(f"{name}, loop", LOOP_ITEMS, loop),
    ]


def attribution_rows(implementation: str) -> list[Row]:
    """The same with attribution data at every node; the loop has no counterpart."""
    secrets, lists = built(MADE_HOPS).secrets, kept(MADE_HOPS)
    columns = [[row[hop] for row in lists] for hop in range(MADE_HOPS)]
    messages = [MESSAGE] * BATCH

    def make() -> ReturnPackets:
        made = create_failures(columns[-1], messages, hold_times=1, threads=1, implementation=implementation)
        for column in columns[-2::-1]:
            made = wrap_failures(column, made, hold_times=1, threads=1, implementation=implementation)
        return made

    made = make()

    def decode() -> list[tuple[int | None, tuple[int, ...] | None]]:
        found = decode_failures(made, secrets, threads=1, implementation=implementation)
        return [(failure.erring_index, failure.hold_times) for failure in found]

    def check() -> None:
        require_same("attribution data", decode(), [(MADE_HOPS - 1, (1,) * MADE_HOPS)] * BATCH)

    return [
        Row(f"create and wrap with attribution data, n = {MADE_HOPS}, batch", BATCH, make),
        Row(f"decode with attribution data, n = {MADE_HOPS}, batch", BATCH, decode, check),
    ]


@dataclass
class Suite:
    """The rows of one run, and what is read off them."""

    rows: dict[str, Row]

    def claims(self) -> list[Claim]:
        """How many times the batch is faster than the loop, beside the target."""
        pairs = [name.removesuffix(", loop") for name in self.rows if name.endswith(", loop")]
        return [
            Claim.of(f"{name}, loop", self.rows[f"{name}, loop"], self.rows[f"{name}, batch"], TARGET, ISSUE_6)
            for name in pairs
        ]


def suite(implementation: str, *, quick: bool) -> Suite:
    """Everything that one run measures."""
    rows = [row for hops in (QUICK_HOP_COUNTS if quick else HOP_COUNTS) for row in decode_rows(hops, implementation)]
    rows += [*make_rows(implementation), *attribution_rows(implementation)]
    return Suite({row.name: row for row in rows})
