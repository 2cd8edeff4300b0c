"""Who made payments fail, how often and with what codes, and how long each channel held payments: for a stream's account."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from keysend_fast.failure import Blame, Failure, FailureCode
from keysend_fast.route import format_short_channel_id

if TYPE_CHECKING:  # the planner needs scipy, books and reports do not
    from keysend_fast.payer.plan import Plan

UNDECODABLE = "undecodable"
_UNIT_MS = 100  # BOLT 4: of hold times


@dataclass(slots=True)
class Culprit:
    """A channel direction or a node: the failures blamed on it, and how long it held payments.

    name: ``700000x1x0/1``, or a node id as hex. failures: by code. waited_p50, waited_p99: how long those failures kept
    payments, as the payer's peer tells. held: how many payments told how long the channel itself held them; hold_p50,
    hold_p99: of these. All in milliseconds; zero where nobody told: of nodes, and of the payers' own channels.
    """

    name: str
    failures: Counter[str] = field(default_factory=Counter)
    waited_p50: int = 0
    waited_p99: int = 0
    held: int = 0
    hold_p50: int = 0
    hold_p99: int = 0


def failure_name(failure: Failure) -> str:
    """The code by the BOLT's name, or why there is none."""
    code = failure.code
    if code is None:
        return UNDECODABLE
    return code.name.lower() if isinstance(code, FailureCode) else f"code {int(code):#06x}"


def percentile(counts: Counter[int], percent: int) -> int:
    """The least value that is not below `percent` of what was counted; 0 where nothing was."""
    due = -(-counts.total() * percent // 100)
    seen = 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= due:
            return value
    return 0


class Culprits:
    """Collects blame and hold times while a stream runs."""

    def __init__(self) -> None:
        self._failures: dict[str, Counter[str]] = {}
        self._waited: dict[str, Counter[int]] = {}
        self._held: dict[str, Counter[int]] = {}

    def held(self, plan: Plan, hold_times: Sequence[int]) -> None:
        """Take hold times (units of 100 ms, by node) apart: a node's less the next one's is the time of the channel
        between them."""
        for place, (here, behind) in enumerate(pairwise(hold_times)):
            self._held.setdefault(_channel_name(plan, place + 1), Counter())[here - behind] += 1

    def failed(self, plan: Plan, failure: Failure) -> None:
        """Book a failure on whom it blames."""
        if failure.blame is None:
            return
        name = _name(plan, failure.blame)
        self._failures.setdefault(name, Counter())[failure_name(failure)] += 1
        if failure.hold_times:
            self._waited.setdefault(name, Counter())[failure.hold_times[0]] += 1

    def rows(self) -> list[Culprit]:
        """Everyone with failures, the one with the most first."""
        return sorted(map(self._row, self._failures), key=lambda row: (-row.failures.total(), row.name))

    def slowest(self, most: int) -> list[Culprit]:
        """The channels that held payments longest, whether they failed them or not."""
        return sorted(map(self._row, self._held), key=lambda row: (-row.hold_p50, -row.held, row.name))[:most]

    def _row(self, name: str) -> Culprit:
        waited, held = self._waited.get(name, Counter()), self._held.get(name, Counter())
        times = (_UNIT_MS * percentile(counts, percent) for counts in (waited, held) for percent in (50, 99))
        waited_p50, waited_p99, hold_p50, hold_p99 = times
        failures = self._failures.get(name, Counter())
        return Culprit(name, failures, waited_p50, waited_p99, held.total(), hold_p50, hold_p99)


def _channel_name(plan: Plan, place: int) -> str:
    channel = plan.channels[place]
    return f"{format_short_channel_id(plan.graph.scid[channel])}/{plan.graph.direction[channel]}"


def _name(plan: Plan, blame: Blame) -> str:
    if blame.channel is not None:
        return _channel_name(plan, blame.channel[1])
    graph, node = plan.graph, blame.nodes[0]
    return graph.node_ids[graph.source[plan.channels[0]] if node < 0 else graph.destination[plan.channels[node]]].hex()
