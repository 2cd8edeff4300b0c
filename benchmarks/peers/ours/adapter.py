"""This project as a peer: `python -m benchmarks.peers.ours.adapter VARIANT WORKLOAD`.

Variants: `batch` builds given payloads like the other peers, without tables of its own; `warm` has a hop table for every node
before the clock starts; `keysend` also encodes the payloads, from routes and records; `single` and
`single-warm` make one call an onion; `libsecp256k1` forces that elliptic-curve implementation.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import keysend_fast
from keysend_fast import _native
from keysend_fast.failure import Failure, decode_failure, decode_failures, derive_secrets
from keysend_fast.keysend import KeysendPayment, build_keysends
from keysend_fast.onion import (
    HopTables,
    OnionBatch,
    OnionRequest,
    build_onion,
    build_onions,
    peel_onion,
    peel_onions,
)
from keysend_fast.route import Hop, Route

from ..adapter import PACKET_SIZE, Job, NotApplicableError, Peer, serve

TABLE_BYTES = 1 << 28


class Packets(Sequence[bytes]):
    """A batch's packets, cut into bytes objects only when they are looked at."""

    def __init__(self, batch: OnionBatch):
        self._batch = batch

    def __len__(self) -> int:
        return len(self._batch)

    def __getitem__(self, index: Any) -> Any:
        return self._batch[index].packet

    def __iter__(self) -> Iterator[bytes]:
        data = bytes(self._batch.packets)
        return (data[i : i + PACKET_SIZE] for i in range(0, len(data), PACKET_SIZE))


def _whole(batch: OnionBatch) -> Packets:
    if not batch.ok:
        raise batch.errors()[0]
    return Packets(batch)


class Ours(Peer):
    """build_onions, build_keysends, peel_onions and their single forms."""

    def __init__(self, variant: str, workload: dict[str, Any]):
        super().__init__(workload)
        self.variant = variant
        self.name = f"ours-{variant}"
        self.single = variant.startswith("single")
        self.threads = not self.single
        self.implementation = "libsecp256k1" if variant == "libsecp256k1" else None
        self.tables: HopTables | None = None
        if variant in ("warm", "single-warm"):
            self.tables = HopTables(TABLE_BYTES)
            self.tables.warm(self.node_ids)

    def info(self) -> dict[str, Any]:
        """What runs, per primitive; a wish for an implementation that is not what runs is an error."""
        lone = _native.lone_implementation() if self.variant == "single" else None
        config = keysend_fast.show_config(self.implementation or lone)
        chosen = config["chosen"]
        if self.implementation is not None and chosen["ecmult"] != self.implementation:
            raise RuntimeError(f"asked for {self.implementation}, and {chosen['ecmult']} runs")
        parts = ", ".join(f"{slot} {name}" for slot, name in chosen.items())
        tables = self.tables.stats() if self.tables is not None else None
        return {
            "version": f"keysend_fast {config['keysend_fast']}",
            "build": f"{parts}, {config['compiler']}, {config['coincurve']}",
            "chosen": chosen,
            "tables": tables and {key: tables[key] for key in ("tables", "bytes")},
        }

    def prepare_build(self, jobs: Sequence[Job], threads: int) -> Callable[[], Sequence[bytes]]:
        """Requests and payments are made once, as a caller who reuses routes does."""
        if self.tables is not None and not self.tables.stats()["tables"]:
            raise NotApplicableError("the elliptic-curve implementation that runs here has no tables")
        if self.variant == "keysend":
            return self._prepare_keysends(jobs, threads)
        requests = [OnionRequest(job.public_keys, job.payloads, job.session_key, job.associated_data) for job in jobs]
        if self.single:
            return lambda: [build_onion(*request, hop_tables=self.tables).packet for request in requests]
        return lambda: _whole(
            build_onions(requests, threads=threads, implementation=self.implementation, hop_tables=self.tables)
        )

    def _prepare_keysends(self, jobs: Sequence[Job], threads: int) -> Callable[[], Sequence[bytes]]:
        payments = []
        for job in jobs:
            route = Route(
                [
                    Hop(public_key, hop["scid"], hop["amount_msat"], hop["cltv_expiry"] - self.block_height)
                    for public_key, hop in zip(job.public_keys, job.hops, strict=True)
                ]
            )
            records = dict(job.records)
            payments.append(KeysendPayment(route, records, preimage=job.preimage, session_key=job.session_key))
        # The workload's height is the next block's, the product's the best block's.
        return lambda: _whole(build_keysends(payments, block_height=self.block_height - 1, threads=threads))

    def prepare_peel(self, jobs: Sequence[Job], packets: Sequence[bytes], threads: int) -> Callable[[], object]:
        """One call for all of them, or one each."""
        if self.variant in ("warm", "single-warm", "keysend"):
            raise NotApplicableError("peeling has no tables and no payload encoding: see the batch row")
        privkey = self.privkeys[jobs[0].hops[0]["node"]]
        if self.single:
            pairs = [(packet, job.associated_data) for packet, job in zip(packets, jobs, strict=True)]
            return lambda: [peel_onion(packet, privkey, data).payload for packet, data in pairs]
        buffer = b"".join(packets)
        hashes = b"".join(job.associated_data for job in jobs)

        def run() -> object:
            batch = peel_onions(buffer, privkey, hashes, threads=threads, implementation=self.implementation)
            if not batch.ok:
                raise batch.errors()[0]
            return batch

        return run

    def unwrap(self, job: Job, packet: bytes) -> list[dict[str, Any]]:
        """The payloads as each hop reads them."""
        read = []
        rest: bytes | None = packet
        for hop in job.hops:
            if rest is None:
                raise ValueError("the onion ends early")
            peeled = peel_onion(
                rest, self.privkeys[hop["node"]], job.associated_data, implementation=self.implementation
            )
            read.append({"payload": peeled.payload.hex()})
            rest = peeled.next_packet
        if rest is not None:
            raise ValueError("the onion goes on")
        return read

    def prepare_failure(
        self, jobs: Sequence[Job], packets: Sequence[bytes], threads: int
    ) -> Callable[[], Sequence[tuple[int, bytes]]]:
        """Batches decode with the secrets kept from the build; single calls derive them anew, as the other peers do."""
        if self.variant in ("warm", "single-warm", "keysend"):
            raise NotApplicableError("decoding has no tables and no payload encoding: see the batch row")
        pairs = list(zip(packets, jobs, strict=True))
        if self.single:
            return lambda: [
                _said(decode_failure(packet, derive_secrets(job.session_key, job.public_keys))) for packet, job in pairs
            ]
        batch = build_onions(
            [OnionRequest(job.public_keys, job.payloads, job.session_key, job.associated_data) for job in jobs]
        )
        rows = [packet for packet, _ in pairs]

        def run() -> Sequence[tuple[int, bytes]]:
            decoded = decode_failures(rows, batch, threads=threads, implementation=self.implementation)
            return [_said(failure) for failure in decoded]

        return run


def _said(failure: Failure) -> tuple[int, bytes]:
    if failure.erring_index is None:
        raise ValueError("no hop of the route made this failure")
    return failure.erring_index, failure.message


if __name__ == "__main__":
    serve(partial(Ours, sys.argv[1]))
