"""Timing in interleaved rounds: every row has a turn in every round, so that a slow minute of the machine meets all of them.

A turn runs a row's pass until its share of time is over and keeps the best pass; a claim divides minima over all rounds.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any


@dataclass
class Row:
    """One thing measured: `run` does `count` items; `check` is called once before any timing, and raises where it is wrong."""

    name: str
    count: int
    run: Callable[[], object]
    check: Callable[[], None] = lambda: None
    note: str = ""
    ns: list[float] = field(default_factory=list)  # best pass of each round, per item

    @property
    def best(self) -> float:
        """ns per item of the best pass of all rounds."""
        return min(self.ns)

    def saved(self) -> dict[str, Any]:
        """For the JSON."""
        return {
            "name": self.name,
            "count": self.count,
            "note": self.note,
            "ns": self.ns,
            "best_ns": self.best,
            "median_ns": statistics.median(self.ns),
        }


@dataclass(frozen=True)
class Claim:
    """A ratio of two minima beside its target; `upper` where the ratio shall stay below.

    typical: the median of the rounds' own ratios, where both rows have rounds. Minima of two rows may come from different
    moments of a shared machine; where the two figures are far apart, the machine was not the same for both.
    """

    text: str
    ratio: float
    target: float
    source: str
    upper: bool = False
    typical: float | None = None

    @classmethod
    def of(cls, text: str, slow: Row, fast: Row, target: float, source: str, upper: bool = False) -> Claim:
        """How many times the second row is faster than the first."""
        rounds = statistics.median(a / b for a, b in zip(slow.ns, fast.ns, strict=True))
        return cls(text, slow.best / fast.best, target, source, upper, rounds)

    @property
    def met(self) -> bool:
        """Whether this run shows it."""
        return self.ratio <= self.target if self.upper else self.ratio >= self.target


def interleave(
    rows: Sequence[Row],
    *,
    rounds: int,
    seconds: float,
    clock: Callable[[], int] = perf_counter_ns,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Check each row once, then give each its turn in each round. The cyclic collector rests meanwhile.

    clock: of the passes, in ns; thread_time_ns leaves out what other processes take, and is for rows of one thread only.
    """
    for row in rows:
        row.check()
        row.run()  # caches, tables and pages are warm for everyone
    collecting = gc.isenabled()
    gc.disable()
    try:
        for round_ in range(rounds):
            for row in rows:
                best = float("inf")
                end = perf_counter_ns() + int(seconds * 1e9)
                while True:
                    start = clock()
                    row.run()
                    stop = clock()
                    best = min(best, (stop - start) / row.count)
                    if perf_counter_ns() >= end:
                        break
                row.ns.append(best)
                gc.collect(0)
            say(f"round {round_ + 1} of {rounds}")
    finally:
        if collecting:
            gc.enable()


def table(rows: Sequence[Row], unit: str = "onion") -> str:
    """Name, time per item, items per second, note."""
    width = max(len(row.name) for row in rows)
    lines = [f"{'':{width}}  {'µs/' + unit:>10}  {'per second':>10}"]
    lines += [
        f"{row.name:{width}}  {row.best / 1e3:10.3f}  {1e9 / row.best:10,.0f}  {row.note}".rstrip() for row in rows
    ]
    return "\n".join(lines)


def verdicts(claims: Sequence[Claim]) -> str:
    """Each claim with what was measured, its target and whether it was met."""
    width = max(len(claim.text) for claim in claims)
    return "\n".join(
        f"{claim.text:{width}}  {claim.ratio:8.2f}  {'≤' if claim.upper else '≥'} {claim.target:<6g}"
        f" {'met' if claim.met else 'NOT MET':7}"
        f" {'' if claim.typical is None else f'{claim.typical:8.2f} in the median round'}  ({claim.source})"
        for claim in claims
    )
