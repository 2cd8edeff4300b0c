"""The loop that every Python peer shares: a JSON request a line in, a JSON answer a line out.

README.md in this folder documents the requests. Standard library only, because peers run in environments of their own.
A peer subclasses `Peer` and calls `serve`.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import perf_counter_ns
from typing import Any

PACKET_SIZE = 1366


class NotApplicableError(Exception):
    """The peer cannot do this, and why."""


@dataclass(frozen=True)
class Job:
    """One onion of a case as bytes, ready for a peer's own types."""

    public_keys: list[bytes]
    payloads: list[bytes]
    session_key: bytes
    associated_data: bytes
    hops: list[dict[str, Any]]
    records: list[tuple[int, bytes]]
    preimage: bytes


class Peer:
    """What a peer has to say: its name and versions, and a function per operation."""

    name = ""
    threads = False

    def __init__(self, workload: dict[str, Any]):
        self.block_height: int = workload["block_height"]
        self.privkeys = [bytes.fromhex(node["privkey"]) for node in workload["nodes"]]
        self.node_ids = [bytes.fromhex(node["node_id"]) for node in workload["nodes"]]
        self.cases: dict[str, list[Job]] = {
            name: [self._job(onion) for onion in onions] for name, onions in workload["cases"].items()
        }

    def _job(self, onion: dict[str, Any]) -> Job:
        return Job(
            [self.node_ids[hop["node"]] for hop in onion["hops"]],
            [bytes.fromhex(hop["payload"]) for hop in onion["hops"]],
            bytes.fromhex(onion["session_key"]),
            bytes.fromhex(onion["associated_data"]),
            onion["hops"],
            [(kind, bytes.fromhex(value)) for kind, value in onion["records"]],
            bytes.fromhex(onion["preimage"]),
        )

    def info(self) -> dict[str, Any]:
        """Version and build of the code under measurement."""
        raise NotImplementedError

    def prepare_build(self, jobs: Sequence[Job], threads: int) -> Callable[[], Sequence[bytes]]:
        """A function that builds all of `jobs`; conversion to the peer's types happens here, outside the clock."""
        raise NotImplementedError

    def prepare_peel(self, jobs: Sequence[Job], packets: Sequence[bytes], threads: int) -> Callable[[], object]:
        """A function that takes the first layer off every packet; all of them arrive at the first job's first node."""
        raise NotApplicableError("no peel")

    def unwrap(self, job: Job, packet: bytes) -> list[dict[str, Any]]:
        """Every layer of one packet: a list of what each hop reads, or an exception."""
        raise NotApplicableError("no peel")

    def prepare_failure(
        self, jobs: Sequence[Job], packets: Sequence[bytes], threads: int
    ) -> Callable[[], Sequence[tuple[int, bytes]]]:
        """A function that decodes one returned failure a job: (erring hop's index, failure message)."""
        raise NotApplicableError("no failure decoding")


def _timed(run: Callable[[], object], seconds: float, count: int) -> list[float]:
    """ns per onion of each pass over `count` onions, at least one pass and until `seconds` are over."""
    passes = []
    end = perf_counter_ns() + int(seconds * 1e9)
    while True:
        start = perf_counter_ns()
        run()
        stop = perf_counter_ns()
        passes.append((stop - start) / count)
        if stop >= end:
            return passes


def _packets(path: str, size: int = PACKET_SIZE) -> list[bytes]:
    data = Path(path).read_bytes()
    if len(data) % size:
        raise ValueError(f"{path}: not a whole number of {size}-byte packets")
    return [data[i : i + size] for i in range(0, len(data), size)]


def _build(peer: Peer, jobs: list[Job], request: dict[str, Any]) -> dict[str, Any]:
    run = peer.prepare_build(jobs, request["threads"])
    return {"onions": len(jobs), "ns": _timed(run, request["seconds"], len(jobs))}


def _digest(peer: Peer, jobs: list[Job], request: dict[str, Any]) -> dict[str, Any]:
    built = peer.prepare_build(jobs, request["threads"])()
    if len(built) != len(jobs) or any(len(packet) != PACKET_SIZE for packet in built):
        raise ValueError("not one 1366-byte packet per onion")
    data = b"".join(built)
    if "path" in request:
        Path(request["path"]).write_bytes(data)
    return {"onions": len(jobs), "sha256": sha256(data).hexdigest()}


def _peel(peer: Peer, jobs: list[Job], request: dict[str, Any]) -> dict[str, Any]:
    run = peer.prepare_peel(jobs, _packets(request["packets"])[: len(jobs)], request["threads"])
    return {"onions": len(jobs), "ns": _timed(run, request["seconds"], len(jobs))}


def _unwrap(peer: Peer, jobs: list[Job], request: dict[str, Any]) -> dict[str, Any]:
    onions: list[Any] = []
    for job, packet in zip(jobs, _packets(request["packets"]), strict=False):
        try:
            onions.append(peer.unwrap(job, packet))
        except NotApplicableError:
            raise
        except Exception as error:  # an oracle says what it thinks of any packet
            onions.append({"error": f"{type(error).__name__}: {error}"})
    return {"onions": onions}


def _decoder(peer: Peer, jobs: list[Job], request: dict[str, Any]) -> Callable[[], Sequence[tuple[int, bytes]]]:
    return peer.prepare_failure(jobs, _packets(request["packets"], request["size"])[: len(jobs)], request["threads"])


def _failure(peer: Peer, jobs: list[Job], request: dict[str, Any]) -> dict[str, Any]:
    return {"onions": len(jobs), "ns": _timed(_decoder(peer, jobs, request), request["seconds"], len(jobs))}


def _decode(peer: Peer, jobs: list[Job], request: dict[str, Any]) -> dict[str, Any]:
    failures: list[Any] = []
    for job, returned in zip(jobs, request["returned"], strict=False):
        try:
            ((hop, message),) = peer.prepare_failure([job], [bytes.fromhex(returned["packet"])], 1)()
            failures.append({"hop": hop, "message": message.hex()})
        except NotApplicableError:
            raise
        except Exception as error:  # an oracle says what it thinks of any packet
            failures.append({"error": f"{type(error).__name__}: {error}"})
    return {"failures": failures}


_OPERATIONS: dict[str, Callable[[Peer, list[Job], dict[str, Any]], dict[str, Any]]] = {
    "build": _build,
    "digest": _digest,
    "peel": _peel,
    "unwrap": _unwrap,
    "failure": _failure,
    "decode": _decode,
}


def _answer(peer: Peer, request: dict[str, Any]) -> dict[str, Any]:
    op = request["op"]
    if op == "info":
        base = {"peer": peer.name, "threads": peer.threads, "python": platform.python_version(), "pid": os.getpid()}
        return base | peer.info()
    if op not in _OPERATIONS:
        raise ValueError(f"unknown op {op!r}")
    jobs = peer.cases[request["case"]]
    if request.setdefault("threads", 1) > 1 and not peer.threads:
        raise NotApplicableError("one thread only")
    return _OPERATIONS[op](peer, jobs[: request.get("limit") or len(jobs)], request)


def serve(make: Callable[[dict[str, Any]], Peer]) -> None:
    """Answer requests until standard input ends; the workload's path is the last command-line argument."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # a chatty library must not write between the answers
    peer = make(json.loads(Path(sys.argv[-1]).read_bytes()))
    for line in sys.stdin:
        try:
            answer = {"ok": True} | _answer(peer, json.loads(line))
        except NotApplicableError as reason:
            answer = {"ok": False, "not_applicable": str(reason)}
        except Exception as error:  # the driver reports it
            answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
