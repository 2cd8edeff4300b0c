"""What comes back in the embedded network: real return packets and attribution data, wrapped node by node.

All payments of a wave go back together, one distance from the payer after the other, so that each step is a batch.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from keysend_fast.failure import create_failures, wrap_failures, wrap_fulfilleds


class Fault(enum.Enum):
    """What can be wrong with a channel direction."""

    NO_LIQUIDITY = "no liquidity"
    DISABLED = "disabled"
    FEE_RAISED = "fee raised"
    SLOW = "slow"
    CORRUPTS_ONION = "corrupts onions"
    CORRUPTS_RETURN = "fails payments and corrupts what comes back"


FAILING_FAULTS = tuple(fault for fault in Fault if fault is not Fault.SLOW)


@dataclass(frozen=True, slots=True)
class Ending:
    """A payment whose end is known.

    secrets: what the nodes up to the one that answers share with the payer, SECRET, the payer's peer first; that node is
    the last. message: its failure message, None where the payment was fulfilled. ticks: how long the channel behind each
    node but the last took, in units of 100 ms. corrupted_by: the node whose answer is changed on its way to the one before
    it, or None.
    """

    secrets: Sequence[bytes]
    message: bytes | None
    ticks: Sequence[int]
    corrupted_by: int | None = None

    def hold_time(self, place: int) -> int:
        """How long the node at this place held the payment: as long as everything behind it took."""
        return sum(self.ticks[place:])


@dataclass(frozen=True, slots=True)
class Returned:
    """What the payer gets: the return packet (empty where fulfilled) and the attribution data."""

    packet: bytes
    attribution_data: bytes


def carry_back(endings: Sequence[Ending], *, threads: int = 1, implementation: str | None = None) -> list[Returned]:
    """Return what reaches the payer of each ending, in order. Every ending has at least one node."""
    sent: list[Returned | None] = [None] * len(endings)
    longest = max((len(ending.secrets) for ending in endings), default=0)
    for place in range(longest - 1, -1, -1):
        there = [i for i, ending in enumerate(endings) if place < len(ending.secrets)]
        failed = [i for i in there if endings[i].message is not None]
        made = [i for i in failed if sent[i] is None]
        passed = [i for i in failed if sent[i] is not None]
        fulfilled = [i for i in there if endings[i].message is None]
        keys = {i: endings[i].secrets[place] for i in there}
        times = {i: endings[i].hold_time(place) for i in there}
        before = {i: returned for i in there if (returned := sent[i]) is not None}
        for numbers, packets in (
            (
                made,
                create_failures(
                    [keys[i] for i in made],
                    [endings[i].message or b"" for i in made],
                    hold_times=[times[i] for i in made],
                    threads=threads,
                    implementation=implementation,
                ),
            ),
            (
                passed,
                wrap_failures(
                    [keys[i] for i in passed],
                    [before[i].packet for i in passed],
                    attribution_data=[before[i].attribution_data for i in passed],
                    hold_times=[times[i] for i in passed],
                    threads=threads,
                    implementation=implementation,
                ),
            ),
        ):
            for i, (packet, block) in zip(numbers, packets, strict=True):
                if endings[i].corrupted_by == place:
                    packet = packet[:-1] + bytes([packet[-1] ^ 1])  # noqa: PLW2901
                sent[i] = Returned(packet, block or b"")
        blocks = wrap_fulfilleds(
            [keys[i] for i in fulfilled],
            hold_times=[times[i] for i in fulfilled],
            attribution_data=[before[i].attribution_data if i in before else None for i in fulfilled],
            threads=threads,
            implementation=implementation,
        )
        for i, block in zip(fulfilled, blocks, strict=True):
            sent[i] = Returned(b"", block)
    return [returned for returned in sent if returned is not None]
