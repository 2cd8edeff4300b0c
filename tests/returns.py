"""Returns on their way back, made by the reference: what each node sends upstream."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from typing import NamedTuple

from tests.reference import attribution, failure


def secrets_of(length: int, seed: int = 7) -> list[bytes]:
    """Shared secrets of a route."""
    return [bytes([seed, hop]) * 16 for hop in range(length)]


class Sent(NamedTuple):
    """A return packet (empty for a fulfilled HTLC) and its attribution data."""

    packet: bytes
    block: bytes | None


def sent_by(
    secrets: Sequence[bytes],
    erring_hop: int | None,
    message: bytes = b"\x20\x02",
    hold_times: Sequence[int] | None = None,
    without: Collection[int] = (),
    size: int = failure.PADDED_SIZE,
) -> list[Sent]:
    """What the nodes 0 … erring_hop send upstream, first node first; nodes in `without` know no attribution data.

    erring_hop None: the payment was fulfilled. hold_times: by node, 100 + its index if not given.
    """
    last = len(secrets) - 1 if erring_hop is None else erring_hop
    packet = b"" if erring_hop is None else failure.create(secrets[last], message, size)
    block: bytes | None = None
    sent = []
    for hop in range(last, -1, -1):
        time = 100 + hop if hold_times is None else hold_times[hop]
        block = None if hop in without else attribution.wrap(secrets[hop], block, packet, time)
        packet = failure.wrap(secrets[hop], packet)
        sent.append(Sent(packet, block))
    return sent[::-1]


def flipped(data: bytes, at: int, mask: int = 1) -> bytes:
    """The bytes with one of them changed."""
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


def random_times(rng: random.Random, n: int) -> list[int]:
    """Hold times with their extremes."""
    return [rng.choice([0, 1, rng.randrange(1000), 0xFFFFFFFF]) for _ in range(n)]
