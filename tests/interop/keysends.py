"""Random keysends for the oracles: 1 to 20 hops, unequal payloads, odd and even custom records, exactly full onions."""

from __future__ import annotations

import random
from dataclasses import asdict
from typing import Any

from benchmarks.peers.wire import bigsize, tlv_stream
from benchmarks.peers.workload import (
    BLOCK_HEIGHT,
    FORMAT,
    HOP_PAYLOADS_SIZE,
    HopSpec,
    Records,
    frames_size,
    node_key,
    onion,
    payloads,
    random_hops,
)

NODES = 48
# LDK refuses to send this one as a custom record (77777 is its own), and 5482373484 is keysend's.
RESERVED = (77_777, 5482373484)
Onion = dict[str, Any]


def _custom_type(rng: random.Random) -> int:
    kind = rng.choice((rng.randrange(65536, 1 << 17), rng.randrange(65536, 1 << 32), rng.randrange(65536, 1 << 63)))
    return kind + 1 if kind in RESERVED else kind


def _room(hops: list[HopSpec], records: Records) -> int:
    return HOP_PAYLOADS_SIZE - frames_size(payloads(hops, records, bytes(32)))


def _records(rng: random.Random, hops: list[HopSpec]) -> Records:
    """Up to four custom records that fit."""
    records: list[tuple[int, bytes]] = []
    for kind in sorted({_custom_type(rng) for _ in range(rng.randrange(5))}):
        wanted = [*records, (kind, rng.randbytes(rng.choice((0, 1, rng.randrange(64), rng.randrange(600)))))]
        if _room(hops, wanted) >= 0:
            records = wanted
    return records


def _filled(rng: random.Random, hops: list[HopSpec]) -> Records | None:
    """One custom record that fills the 1300 bytes to the last; None where a length prefix skips over that size."""
    kind = _custom_type(rng)
    low, high = 0, HOP_PAYLOADS_SIZE
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _room(hops, [(kind, bytes(middle))]) >= 0 else (low, middle - 1)
    records = [(kind, rng.randbytes(low))]
    return records if _room(hops, records) == 0 else None


def random_keysend(rng: random.Random, *, full: bool) -> Onion:
    """One keysend over random nodes; `full`: with not a byte of hop_payloads left."""
    while True:
        hops = random_hops(rng, rng.sample(range(NODES), rng.randint(1, 20)))
        if _room(hops, []) < 0:
            continue
        # The pair of extremes that random_hops does not make: tiny and huge amounts.
        if rng.random() < 0.1:
            extra = rng.choice((0, 10**15))
            hops = [HopSpec(hop.node, hop.scid, hop.amount_msat + extra, hop.cltv_expiry) for hop in hops]
            if _room(hops, []) < 0:
                continue
        records = _filled(rng, hops) if full else _records(rng, hops)
        if records is not None:
            return onion(rng, hops, records)


def workload(seed: str, **counts: int) -> dict[str, Any]:
    """A workload file's content with one case per keyword; every fourth onion of a case is exactly full."""
    rng = random.Random(seed)
    return {
        "format": FORMAT,
        "block_height": BLOCK_HEIGHT,
        "nodes": [asdict(node_key(f"interop {i}")) for i in range(NODES)],
        "cases": {name: [random_keysend(rng, full=i % 4 == 0) for i in range(count)] for name, count in counts.items()},
    }


def equal_frames(seed: str, count: int) -> dict[str, Any]:
    """Onions whose frames all have one size: the payloads are plain odd records, and no keysends."""
    rng = random.Random(seed)
    onions = []
    for _ in range(count):
        hops = random_hops(rng, rng.sample(range(NODES), rng.randint(2, 10)))
        size = rng.randrange(1, 80)
        made = onion(rng, hops, [])
        for hop in made["hops"]:
            hop["payload"] = tlv_stream([(65537, rng.randbytes(size))]).hex()
        onions.append(made)
    return workload(seed) | {"cases": {"equal": onions}}


def is_full(made: Onion) -> bool:
    """Whether the frames take all 1300 bytes."""
    sizes = [len(hop["payload"]) // 2 for hop in made["hops"]]
    return sum(len(bigsize(size)) + size + 32 for size in sizes) == HOP_PAYLOADS_SIZE
