"""The onions that every peer makes: real routes and synthetic ones, with locally made node keys, as one JSON file.

`python -m benchmarks.peers.workload OUT` writes it; README.md in this folder documents the format. Node keys and
secrets are derived from fixed labels, so the file is the same everywhere and nothing in it is worth protecting.
The payloads are encoded here, apart from the product, so that a digest over packets also checks the product's encoder.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from coincurve import PublicKey

from .wire import bigsize, tlv_stream, truncated

FORMAT = 1
BLOCK_HEIGHT = 935_000
FINAL_CLTV_DELTA = 45  # what the product adds by default; the packaged routes end with 40, which LDK refuses
KEYSEND_TYPE = 5482373484
PODCAST_TYPE = 7629169
ALBY_TYPE = 696969
HOP_PAYLOADS_SIZE = 1300
SWEEP = range(1, 21)
SWEEP_ONIONS = 256
BATCH_ONIONS = 1024
PEEL_ONIONS = 256

Records = Sequence[tuple[int, bytes]]


@dataclass(frozen=True)
class Node:
    """A node whose key is known: 32-byte private key and 33-byte public key, both in hex."""

    privkey: str
    node_id: str


@dataclass(frozen=True)
class HopSpec:
    """What one node receives (msat, absolute expiry), and the channel into it."""

    node: int
    scid: int
    amount_msat: int
    cltv_expiry: int


def node_key(label: str) -> Node:
    """The locally made key that stands in for a real node's or makes up a synthetic one."""
    privkey = sha256(b"keysend_fast peers node " + label.encode()).digest()
    return Node(privkey.hex(), _node_id(privkey))


@cache
def _node_id(privkey: bytes) -> str:
    return PublicKey.from_valid_secret(privkey).format().hex()


def payloads(hops: Sequence[HopSpec], records: Records, preimage: bytes) -> list[bytes]:
    """The keysend's TLV streams (BOLT 4, Payload Format; bLIP 3), first hop first, without length prefixes."""
    streams = [
        tlv_stream([(2, truncated(to.amount_msat)), (4, truncated(to.cltv_expiry)), (6, to.scid.to_bytes(8, "big"))])
        for to in hops[1:]
    ]
    last = hops[-1]
    final = [(2, truncated(last.amount_msat)), (4, truncated(last.cltv_expiry)), (KEYSEND_TYPE, preimage), *records]
    return [*streams, tlv_stream(final)]


def frames_size(streams: Iterable[bytes]) -> int:
    """How many of the 1300 bytes these payloads take, with length prefixes and HMACs."""
    return sum(len(bigsize(len(stream))) + len(stream) + 32 for stream in streams)


def onion(rng: random.Random, hops: Sequence[HopSpec], records: Records) -> dict[str, Any]:
    """One keysend as the file holds it; fresh preimage and session key from `rng`."""
    preimage = rng.randbytes(32)
    streams = payloads(hops, records, preimage)
    if frames_size(streams) > HOP_PAYLOADS_SIZE:
        raise ValueError("payloads do not fit in 1300 bytes")
    return {
        "session_key": rng.randbytes(32).hex(),  # a multiple of the group order with probability 2^-256
        "preimage": preimage.hex(),
        "associated_data": sha256(preimage).hexdigest(),
        "records": [[kind, value.hex()] for kind, value in records],
        "hops": [asdict(hop) | {"payload": stream.hex()} for hop, stream in zip(hops, streams, strict=True)],
    }


def random_hops(rng: random.Random, nodes: Sequence[int]) -> list[HopSpec]:
    """A synthetic route over these nodes: plausible amounts, fees, deltas and channels, built from the end."""
    amount, expiry = rng.randrange(1_000, 5_000_000), BLOCK_HEIGHT + FINAL_CLTV_DELTA
    hops: list[HopSpec] = []
    for node in reversed(nodes):
        hops.append(HopSpec(node, rng.randrange(1 << 40, 1 << 60), amount, expiry))
        amount += 1 + amount * rng.randrange(3000) // 1_000_000
        expiry += rng.choice((34, 40, 80, 144))
    return hops[::-1]


def metadata(rng: random.Random, size: int) -> bytes:
    """A compact bLIP 10 object of exactly `size` bytes, padded in its message (needs about 130)."""
    fields = {
        "podcast": "Made Up Hour",
        "feedID": rng.randrange(1_000_000, 9_999_999),
        "ts": rng.randrange(100, 999),
        "action": "boost",
        "app_name": "keysend_fast",
        "value_msat_total": 50000,
        "message": "",
    }
    text = json.dumps(fields, separators=(",", ":"))
    if len(text) > size:
        raise ValueError(f"metadata needs {len(text)} bytes")
    fields["message"] = "m" * (size - len(text))
    return json.dumps(fields, separators=(",", ":")).encode()


def _scid(text: str) -> int:
    block, transaction, output = map(int, text.split("x"))
    return block << 40 | transaction << 16 | output


def real_routes() -> list[list[dict[str, Any]]]:
    """The packaged routes of the public graph of 2026-02-03, in Core Lightning's getroute form."""
    # The file itself, not the package: peers run where the product is not installed.
    path = Path(__file__).parents[2] / "keysend_fast" / "data" / "routes-2026-02-03.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["route"] for line in lines]


def make() -> dict[str, Any]:
    """The whole workload; the same on every machine."""
    rng = random.Random("keysend_fast peers workload 1")
    routes = real_routes()
    names = sorted({hop["id"] for route in routes for hop in route})
    index = {name: i for i, name in enumerate(names)}
    rng.shuffle(routes)  # so that any first part of the case is a fair sample

    real = []
    for route in routes:
        slack = FINAL_CLTV_DELTA - route[-1]["delay"]
        hops = [
            HopSpec(index[hop["id"]], _scid(hop["channel"]), hop["amount_msat"], BLOCK_HEIGHT + hop["delay"] + slack)
            for hop in route
        ]
        records = [(PODCAST_TYPE, metadata(rng, rng.randrange(200, 420)))]
        if rng.random() < 0.5:
            records.append((ALBY_TYPE, rng.randbytes(10).hex().encode()))
        real.append(onion(rng, hops, sorted(records)))

    everyone = range(len(names))
    cases: dict[str, list[dict[str, Any]]] = {"real": real}
    for count in SWEEP:
        cases[f"hops-{count}"] = [
            onion(rng, random_hops(rng, rng.sample(everyone, count)), [(PODCAST_TYPE, metadata(rng, 140))])
            for _ in range(BATCH_ONIONS if count == 4 else SWEEP_ONIONS)
        ]
    for name, count in (("peel-forward", 4), ("peel-final", 1)):  # all of them arrive at node 0
        cases[name] = [
            onion(
                rng, random_hops(rng, [0, *rng.sample(everyone[1:], count - 1)]), [(PODCAST_TYPE, metadata(rng, 140))]
            )
            for _ in range(PEEL_ONIONS)
        ]
    return {
        "format": FORMAT,
        "block_height": BLOCK_HEIGHT,
        "nodes": [asdict(node_key(name)) for name in names],
        "cases": cases,
    }


def write(path: Path, workload: dict[str, Any]) -> str:
    """Write a workload file; returns its SHA-256 in hex."""
    text = json.dumps(workload, separators=(",", ":")).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    return sha256(text).hexdigest()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmarks.peers.workload OUT.json")
    print(write(Path(sys.argv[1]), make()))
