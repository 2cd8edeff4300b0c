"""The Electrum peer: `python -m benchmarks.peers.electrum.adapter {raw,dict} WORKLOAD`, with electrum importable.

`raw` hands every payload over encoded. `dict` lets Electrum encode the forwarding payloads, as its wallet does; the
recipient's is encoded all the same, for Electrum's schema has neither keysend nor custom records. Three editions of
the interface are known: 4.3, 4.5 and 4.8.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from electrum import lnonion
from electrum.version import ELECTRUM_VERSION

from ..adapter import Job, NotApplicableError, Peer, serve
from ..wire import bigsize

_RELEASE = tuple(map(int, ELECTRUM_VERSION.split(".")[:2]))


def _raw(payload: bytes) -> Any:
    prefixed = bigsize(len(payload)) + payload
    if _RELEASE >= (4, 6):
        return lnonion.OnionHopsDataSingle(_raw_bytes_payload=prefixed)
    if _RELEASE >= (4, 4):
        hop = lnonion.OnionHopsDataSingle()
        hop._raw_bytes_payload = prefixed
        return hop
    hop = lnonion.OnionHopsDataSingle(is_tlv_payload=True)
    hop._raw_bytes_payload = payload
    return hop


def _dict(to: dict[str, Any]) -> Any:
    fields = {
        "amt_to_forward": {"amt_to_forward": to["amount_msat"]},
        "outgoing_cltv_value": {"outgoing_cltv_value": to["cltv_expiry"]},
        "short_channel_id": {"short_channel_id": to["scid"].to_bytes(8, "big")},
    }
    if _RELEASE >= (4, 4):
        return lnonion.OnionHopsDataSingle(payload=fields)
    return lnonion.OnionHopsDataSingle(is_tlv_payload=True, payload=fields)


class Electrum(Peer):
    """`new_onion_packet`, `process_onion_packet`, `decode_onion_error`."""

    def __init__(self, variant: str, workload: dict[str, Any]):
        super().__init__(workload)
        self.variant = variant
        self.name = f"electrum-{variant}"

    def info(self) -> dict[str, Any]:
        """Versions, and which ChaCha20 and libsecp256k1 Electrum found."""
        cipher = "pycryptodomex" if getattr(lnonion.chacha20_encrypt, "__globals__", {}).get("HAS_CRYPTODOME") else ""
        maps = Path("/proc/self/maps").read_text().splitlines()
        loaded = sorted({line.rsplit("/", 1)[-1] for line in maps if "libsecp256k1" in line})
        return {
            "version": f"Electrum {ELECTRUM_VERSION}",
            "build": f"{', '.join(loaded)} by ctypes, {cipher or 'cryptography'}",
        }

    def _hops(self, job: Job) -> list[Any]:
        if self.variant == "raw":
            return [_raw(payload) for payload in job.payloads]
        return [*[_dict(to) for to in job.hops[1:]], _raw(job.payloads[-1])]

    def prepare_build(self, jobs: Sequence[Job], threads: int) -> Callable[[], Sequence[bytes]]:
        """Payload objects are made inside the clock: `new_onion_packet` writes into them."""

        def run() -> list[bytes]:
            return [
                lnonion.new_onion_packet(
                    job.public_keys, job.session_key, self._hops(job), associated_data=job.associated_data
                ).to_bytes()
                for job in jobs
            ]

        return run

    def prepare_peel(self, jobs: Sequence[Job], packets: Sequence[bytes], threads: int) -> Callable[[], object]:
        """One packet after the other; Electrum cannot read a keysend's last payload."""
        if any(len(job.hops) == 1 for job in jobs):
            raise NotApplicableError("Electrum refuses the even type 5482373484, so it cannot be paid by keysend")
        privkey = self.privkeys[jobs[0].hops[0]["node"]]
        pairs = [(packet, job.associated_data) for packet, job in zip(packets, jobs, strict=True)]
        peel = self._peel
        return lambda: [peel(packet, privkey, data) for packet, data in pairs]

    @staticmethod
    def _peel(packet: bytes, privkey: bytes, associated_data: bytes) -> Any:
        return lnonion.process_onion_packet(
            lnonion.OnionPacket.from_bytes(packet), associated_data=associated_data, our_onion_private_key=privkey
        )

    def unwrap(self, job: Job, packet: bytes) -> list[dict[str, Any]]:
        """What each forwarding hop reads; the recipient's payload is not readable for Electrum and is left out."""
        read = []
        for hop in job.hops[:-1]:
            processed = self._peel(packet, self.privkeys[hop["node"]], job.associated_data)
            if processed.are_we_final:
                raise ValueError("the onion ends early")
            payload = processed.hop_data.payload
            read.append(
                {
                    "scid": int.from_bytes(payload["short_channel_id"]["short_channel_id"], "big"),
                    "amount_msat": payload["amt_to_forward"]["amt_to_forward"],
                    "cltv_expiry": payload["outgoing_cltv_value"]["outgoing_cltv_value"],
                }
            )
            packet = processed.next_packet.to_bytes()
        return read

    def prepare_failure(
        self, jobs: Sequence[Job], packets: Sequence[bytes], threads: int
    ) -> Callable[[], Sequence[tuple[int, bytes]]]:
        """`decode_onion_error` with the route and the session key."""

        def run() -> list[tuple[int, bytes]]:
            decoded = []
            for packet, job in zip(packets, jobs, strict=True):
                failure, hop = lnonion.decode_onion_error(packet, job.public_keys, job.session_key)
                decoded.append((hop, failure.to_bytes()))
            return decoded

        return run


if __name__ == "__main__":
    serve(partial(Electrum, sys.argv[1]))
