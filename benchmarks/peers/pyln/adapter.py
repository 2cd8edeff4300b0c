"""The pyln-proto peer: `python -m benchmarks.peers.pyln.adapter WORKLOAD`, in an environment with pyln-proto.

`SphinxPath.get_filler` sizes the filler by hops 2..n where BOLT 4 (Filler Generation) says hops 1..n-1, so onions
whose first and last frames differ in size are invalid. They are timed all the same: the work done is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

from pyln.proto.onion import RoutingOnion, SphinxHop, SphinxPath
from pyln.proto.primitives import Secret
from pyln.proto.wire import PrivateKey, PublicKey

from ..adapter import Job, Peer, serve
from ..wire import bigsize


class Pyln(Peer):
    """`SphinxPath.compile` and `RoutingOnion.unwrap`."""

    name = "pyln"

    def info(self) -> dict[str, Any]:
        """Versions; pyln-proto brings a fork of coincurve."""
        fork = version("coincurve-cp314-fix")
        return {"version": f"pyln-proto {version('pyln-proto')}", "build": f"coincurve-cp314-fix {fork}"}

    def prepare_build(self, jobs: Sequence[Job], threads: int) -> Callable[[], Sequence[bytes]]:
        """Payloads are handed over with their length prefix; path objects are made inside the clock."""
        ready = [
            (
                [PublicKey(key) for key in job.public_keys],
                [bigsize(len(payload)) + payload for payload in job.payloads],
                job.associated_data,
                Secret(job.session_key),
            )
            for job in jobs
        ]
        return lambda: [
            SphinxPath(
                [SphinxHop(key, payload) for key, payload in zip(keys, payloads, strict=True)], data, session_key
            )
            .compile()
            .to_bin()
            for keys, payloads, data, session_key in ready
        ]

    def prepare_peel(self, jobs: Sequence[Job], packets: Sequence[bytes], threads: int) -> Callable[[], object]:
        """One packet after the other."""
        privkey = PrivateKey(self.privkeys[jobs[0].hops[0]["node"]])
        pairs = [(packet, job.associated_data) for packet, job in zip(packets, jobs, strict=True)]
        return lambda: [RoutingOnion.from_bin(packet).unwrap(privkey, data) for packet, data in pairs]

    def unwrap(self, job: Job, packet: bytes) -> list[dict[str, Any]]:
        """The payloads as each hop reads and re-encodes them."""
        read = []
        onion = RoutingOnion.from_bin(packet)
        for hop in job.hops:
            if onion is None:
                raise ValueError("the onion ends early")
            payload, onion = onion.unwrap(PrivateKey(self.privkeys[hop["node"]]), job.associated_data)
            read.append({"payload": payload.to_bytes(include_prefix=False).hex()})
        if onion is not None:
            raise ValueError("the onion goes on")
        return read


if __name__ == "__main__":
    serve(Pyln)
