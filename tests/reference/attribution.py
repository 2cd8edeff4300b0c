"""Attribution data: who held an HTLC how long, and who tampered (BOLT 4, "Returning Errors"; option_attribution_data).

The block is `htlc_hold_times`, 20 u32 in units of 100 ms, and `truncated_hmacs`, 210 times 4 bytes. Seen from the node
that holds the block, hmac_x_y is from the node x hops downstream, for the case that y more nodes follow that one.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from tests.reference import failure
from tests.reference.chacha20 import stream, xor
from tests.reference.sphinx import key

MAX_HOPS = 20
FIELD = 4
HOLD_TIMES_SIZE = FIELD * MAX_HOPS
SIZE = HOLD_TIMES_SIZE + FIELD * sum(range(1, MAX_HOPS + 1))

# (x, y) of the truncated HMACs as they lie in the block: 0_19 … 0_0, 1_18 … 1_0, …, 19_0.
ORDER = [(x, y) for x in range(MAX_HOPS) for y in reversed(range(MAX_HOPS - x))]


@dataclass
class Block:
    """A block taken apart: 20 hold times and the HMACs by (x, y)."""

    hold_times: list[bytes]
    hmacs: dict[tuple[int, int], bytes]


def parse(data: bytes) -> Block:
    """Take 920 bytes apart; ValueError for another length."""
    if len(data) != SIZE:
        raise ValueError(f"attribution data has {SIZE} bytes")
    fields = [data[at : at + FIELD] for at in range(0, SIZE, FIELD)]
    return Block(fields[:MAX_HOPS], dict(zip(ORDER, fields[MAX_HOPS:], strict=True)))


def serialize(block: Block) -> bytes:
    """Return the 920 bytes of a block."""
    return b"".join(block.hold_times) + b"".join(block.hmacs[position] for position in ORDER)


def truncated_hmac(um: bytes, packet: bytes, block: Block, y: int) -> bytes:
    """Return hmac_0_y: over the packet, the first y + 1 hold times and the y HMACs of the nodes that follow."""
    covered = packet + b"".join(block.hold_times[: y + 1])
    covered += b"".join(block.hmacs[x, y - x] for x in range(1, y + 1))
    return hmac.digest(um, covered, "sha256")[:FIELD]


def shift_right(block: Block) -> Block:
    """Make room for one node upstream: every node is one hop further, and what no longer fits goes."""
    hmacs = {(x, y): block.hmacs[x - 1, y] if x > 0 else bytes(FIELD) for x, y in ORDER}
    return Block([bytes(FIELD), *block.hold_times[:-1]], hmacs)


def shift_left(block: Block) -> Block:
    """Undo `shift_right`; what had gone is not known and stands as zeros, which nobody reads."""
    hmacs = {(x, y): block.hmacs.get((x + 1, y), bytes(FIELD)) for x, y in ORDER}
    return Block([*block.hold_times[1:], bytes(FIELD)], hmacs)


def wrap(shared_secret: bytes, data: bytes | None, packet: bytes, hold_time: int) -> bytes:
    """Return the block that a node sends upstream.

    `data` is what came from downstream, None at the erring or final node and behind a node without support. `packet` is
    the return packet as the node got or made it, before it puts its own layer on; empty for a fulfilled HTLC.
    """
    block = shift_right(parse(bytes(SIZE) if data is None else data))
    block.hold_times[0] = hold_time.to_bytes(FIELD, "big")
    um = key("um", shared_secret)
    block.hmacs |= {(0, y): truncated_hmac(um, packet, block, y) for y in range(MAX_HOPS)}
    return xor(serialize(block), stream(key("ammagext", shared_secret), SIZE))


@dataclass(frozen=True)
class Report:
    """What the origin learns from a block.

    `hold_times` are those of the first hops, as far as they verify. `first_unverified` is the first hop that does not,
    or None if all do up to the erring node, the end of the route or the 20th hop.
    """

    hold_times: list[int]
    first_unverified: int | None

    @property
    def suspects(self) -> tuple[int, ...]:
        """Who may have tampered: an HMAC shows the link at fault, not which of its two ends."""
        if self.first_unverified is None:
            return ()
        return tuple(hop for hop in (self.first_unverified - 1, self.first_unverified) if hop >= 0)


def _read(data: bytes, packet: bytes, shared_secrets: Sequence[bytes], erring_hop: int | None) -> Report:
    attributable = min(len(shared_secrets), MAX_HOPS)
    hold_times: list[int] = []
    for hop, shared_secret in enumerate(shared_secrets[:attributable]):
        data = xor(data, stream(key("ammagext", shared_secret), SIZE))
        packet = failure.wrap(shared_secret, packet)
        block = parse(data)
        # Counted to the end of the route, which the origin knows, not to the erring node, which it does not know yet:
        # behind that one the block was zeros when its HMACs were made.
        y = attributable - 1 - hop
        if block.hmacs[0, y] != truncated_hmac(key("um", shared_secret), packet, block, y):
            return Report(hold_times, hop)
        hold_times.append(int.from_bytes(block.hold_times[0], "big"))
        if hop == erring_hop:
            break
        data = serialize(shift_left(block))
    return Report(hold_times, None)


def read_fulfilled(data: bytes, shared_secrets: Sequence[bytes]) -> Report:
    """Verify the block of a payment that arrived, and return its hold times."""
    return _read(data, b"", shared_secrets, None)


def read_failure(packet: bytes, data: bytes, shared_secrets: Sequence[bytes]) -> tuple[failure.Decoded | None, Report]:
    """Decode a failure and verify the block that came with it.

    Where no node authenticated the failure and yet every block verifies, the last of the route's nodes (or one behind
    the 20th) authenticated nonsense: the report then has no suspects.
    """
    decoded = failure.decode(packet, shared_secrets)
    return decoded, _read(data, packet, shared_secrets, None if decoded is None else decoded.hop)


def bytes_read(route_length: int, sender: int = 0) -> frozenset[int]:
    """Return the offsets in the block, as node `sender` sends it upstream, that the origin's checks depend on.

    A change to any of these makes the sender the first unverified hop; a change to any other byte changes nothing.
    Every check counts to the end of the route, so which node erred makes no difference, as long as it is not upstream
    of the sender.
    """
    last = min(route_length, MAX_HOPS) - 1 - sender
    fields = [*range(last + 1), *(MAX_HOPS + ORDER.index((x, last - x)) for x in range(last + 1))]
    return frozenset(FIELD * field + byte for field in fields for byte in range(FIELD))
