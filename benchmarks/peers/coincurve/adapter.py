"""The coincurve peers: `python -m benchmarks.peers.coincurve.adapter {ct,var,lib} WORKLOAD`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..adapter import Job, NotApplicableError, Peer, serve
from . import loops

_BUILDERS = {"ct": loops.build_onion_ct, "var": loops.build_onion_var, "lib": loops.build_onion_lib}
_PEELERS = {"ct": loops.peel_onion_ct, "var": loops.peel_onion_var}
_CHAINS = {"ct": loops.key_chain_ct, "var": loops.key_chain_var, "lib": loops.key_chain_lib}


class Coincurve(Peer):
    """The three hand-written loops."""

    def __init__(self, variant: str, workload: dict[str, Any]):
        super().__init__(workload)
        self.variant = variant
        self.name = f"coincurve-{variant}"

    def info(self) -> dict[str, Any]:
        """Which of the distributions that own the coincurve folder is there."""
        for distribution in ("coincurve", "coincurve-cp314-fix"):
            try:
                found = f"{distribution} {version(distribution)}"
            except PackageNotFoundError:
                continue
            return {"version": found, "build": f"cryptography {version('cryptography')}"}
        raise PackageNotFoundError("coincurve")

    def prepare_build(self, jobs: Sequence[Job], threads: int) -> Callable[[], Sequence[bytes]]:
        """One onion after the other."""
        build = _BUILDERS[self.variant]
        return lambda: [build(job.public_keys, job.payloads, job.session_key, job.associated_data) for job in jobs]

    def prepare_peel(self, jobs: Sequence[Job], packets: Sequence[bytes], threads: int) -> Callable[[], object]:
        """One packet after the other."""
        if self.variant not in _PEELERS:
            raise NotApplicableError("the ct loop's peel is at the library already")
        peel = _PEELERS[self.variant]
        privkey = self.privkeys[jobs[0].hops[0]["node"]]
        pairs = [(packet, job.associated_data) for packet, job in zip(packets, jobs, strict=True)]
        return lambda: [peel(packet, privkey, data) for packet, data in pairs]

    def unwrap(self, job: Job, packet: bytes) -> list[dict[str, Any]]:
        """The payloads as each hop reads them."""
        read = []
        rest: bytes | None = packet
        for hop in job.hops:
            if rest is None:
                raise ValueError("the onion ends early")
            payload, rest, _ = loops.peel_onion_ct(rest, self.privkeys[hop["node"]], job.associated_data)
            read.append({"payload": payload.hex()})
        if rest is not None:
            raise ValueError("the onion goes on")
        return read

    def prepare_failure(
        self, jobs: Sequence[Job], packets: Sequence[bytes], threads: int
    ) -> Callable[[], Sequence[tuple[int, bytes]]]:
        """Shared secrets anew from the session key, as LDK and Electrum do."""
        chain = _CHAINS[self.variant]
        pairs = [(packet, job) for packet, job in zip(packets, jobs, strict=True)]
        return lambda: [
            loops.decode_failure(packet, chain(job.public_keys, job.session_key)[1]) for packet, job in pairs
        ]


if __name__ == "__main__":
    serve(partial(Coincurve, sys.argv[1]))
