"""One run: checks every peer's bytes, then measures all peers round by round, and returns what goes into the JSON."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..machine import header
from .coincurve.loops import FAILURE_PACKET_SIZE, key_chain_lib, make_failure
from .install import BUILD, OURS, PEERS, REFERENCE, PeerSpec, UnavailableError
from .oracle import disagreement, misread_failure
from .process import Adapter, NotApplicableError, PeerError
from .workload import SWEEP, make, write

FORMAT = 1
HOP_COUNTS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
COMPARED = 64  # onions of every hop count whose bytes are compared, beside all of the real routes
CHECKED = 32  # onions that every peer must read rightly before it is timed
FAILURE_MESSAGE = bytes.fromhex("10070000")  # temporary_channel_failure with an empty channel_update
MIN_ONIONS = 4  # the least that a slow peer makes in a pass

Say = Callable[[str], None]


@dataclass(frozen=True)
class Task:
    """One measured number: an operation on (the first `limit` onions of) a case."""

    op: str
    case: str
    threads: int = 1
    limit: int = 0  # 0: as many as fit the time
    only: tuple[str, ...] = ()


@dataclass
class Series:
    """The passes of one peer at one task, over all rounds."""

    onions: int = 0
    ns: list[float] = field(default_factory=list)
    note: str = ""


def tasks(cores: int) -> list[Task]:
    """Everything that a full run measures."""
    threads = sorted({1, 2, cores} | {2**i for i in range(10) if 2**i < cores})
    natives = tuple(spec.key for spec in PEERS if spec.native)
    plan = [Task("build", "real")]
    plan += [Task("build", f"hops-{n}") for n in HOP_COUNTS]
    plan += [Task("peel", "peel-forward"), Task("peel", "peel-final"), Task("failure", "hops-4")]
    # The whole case, so that every thread has a batch worth the name.
    plan += [Task("build", "hops-4", t, 1024, natives) for t in threads if t > 1 and t <= cores]
    plan += [Task("peel", "peel-forward", t, 256, natives) for t in threads if t > 1 and t <= cores]
    batches = tuple(key for key in ("ours-batch", "ours-warm", "ours-libsecp256k1"))
    plan += [Task("build", "hops-4", 1, size, batches) for size in BATCH_SIZES]
    return plan


def start(stack: ExitStack, workload: Path, keys: Sequence[str], say: Say) -> tuple[dict[str, Adapter], dict[str, str]]:
    """The running adapters and, for the others, why they are not available."""
    running: dict[str, Adapter] = {}
    missing: dict[str, str] = {}
    for spec in PEERS:
        if keys and spec.key not in keys:
            continue
        say(f"preparing {spec.label}")
        try:
            running[spec.key] = stack.enter_context(Adapter(spec.key, spec.install(), workload))
        except UnavailableError as reason:
            missing[spec.key] = str(reason)
            say(f"  not available: {reason}")
    return running, missing


def _digest(adapter: Adapter, case: str) -> str:
    return str(adapter.ask("digest", case=case, limit=0 if case == "real" else COMPARED)["sha256"])


def check_bytes(running: Mapping[str, Adapter], say: Say) -> dict[str, dict[str, Any]]:
    """Compare every peer's packets with the reference's: all real routes and some of every hop count.

    Raises PeerError where a peer makes anything else than is expected of it.
    """
    reference = running.get(REFERENCE)
    if reference is None:
        raise PeerError(f"the reference {REFERENCE} is needed to compare the peers' bytes")
    cases = ["real", *(f"hops-{n}" for n in SWEEP)]
    expected = {case: _digest(reference, case) for case in cases}
    found: dict[str, dict[str, Any]] = {}
    for spec in PEERS:
        if spec.key not in running:
            continue
        say(f"comparing the bytes of {spec.label}")
        adapter = running[spec.key]
        differ = [case for case, sha256 in expected.items() if _digest(adapter, case) != sha256]
        if differ and not spec.invalid:
            raise PeerError(f"{spec.key} makes other packets than {REFERENCE}: {', '.join(differ)}")
        if spec.invalid and set(differ) != {case for case in cases if case != "hops-1"}:
            raise PeerError(f"{spec.key} was expected to differ in every case of more than one hop, not in {differ}")
        found[spec.key] = {"differ": differ, "why": spec.invalid if differ else ""}
    return found


def _packets(running: Mapping[str, Adapter], case: str) -> Path:
    path = BUILD / f"{case}.packets"
    running[REFERENCE].ask("digest", case=case, path=str(path))
    return path


def check_reading(running: Mapping[str, Adapter], workload: dict[str, Any], say: Say) -> None:
    """Let every peer peel and decode some of what it is timed on; raises PeerError where it reads anything else."""
    case, failing = "peel-forward", "hops-4"
    packets = _packets(running, case)
    failures = _failures(workload, failing).read_bytes()
    size = FAILURE_PACKET_SIZE
    returned = [{"packet": failures[i * size : (i + 1) * size].hex()} for i in range(CHECKED)]
    for key, adapter in running.items():
        say(f"checking what {key} reads")
        try:
            answers = adapter.ask("unwrap", case=case, packets=str(packets), limit=CHECKED)["onions"]
            for onion, read in zip(workload["cases"][case], answers, strict=False):
                if problem := disagreement(onion, read):
                    raise PeerError(f"{key} peels wrongly: {problem}")
        except NotApplicableError:
            pass
        try:
            answers = adapter.ask("decode", case=failing, returned=returned, limit=CHECKED)["failures"]
            for i, (onion, read) in enumerate(zip(workload["cases"][failing], answers, strict=False)):
                if problem := misread_failure(onion, i % 4, FAILURE_MESSAGE, read):
                    raise PeerError(f"{key} decodes failures wrongly: {problem}")
        except NotApplicableError:
            pass


def _failures(workload: dict[str, Any], case: str) -> Path:
    """One temporary_channel_failure an onion of the case, from each hop in turn."""
    packets = []
    for i, onion in enumerate(workload["cases"][case]):
        public_keys = [bytes.fromhex(workload["nodes"][hop["node"]]["node_id"]) for hop in onion["hops"]]
        secrets = key_chain_lib(public_keys, bytes.fromhex(onion["session_key"]))[1]
        packets.append(make_failure(secrets, i % len(secrets), FAILURE_MESSAGE))
    path = BUILD / f"{case}.failures"
    path.write_bytes(b"".join(packets))
    return path


_ONLY = {spec.key: spec.only for spec in PEERS}


def _series(plan: Sequence[Task], running: Mapping[str, Adapter]) -> Iterator[tuple[Task, str, Series]]:
    for task in plan:
        for key in running:
            if (not task.only or key in task.only) and (not (own := _ONLY[key]) or task.op in own):
                yield task, key, Series()


def measure(
    running: Mapping[str, Adapter],
    plan: Sequence[Task],
    workload: dict[str, Any],
    *,
    rounds: int,
    seconds: float,
    say: Say,
) -> list[tuple[Task, str, Series]]:
    """Every task of every peer, one slice of `seconds` after the other, `rounds` times round.

    The number of onions in a pass is set once, in an unrecorded first call, so that a pass takes about `seconds`.
    """
    packets = {task.case: _packets(running, task.case) for task in plan if task.op == "peel"}
    failures = {task.case: _failures(workload, task.case) for task in plan if task.op == "failure"}
    everything = list(_series(plan, running))
    for number in range(rounds + 1):
        say(f"round {number} of {rounds}" if number else "warming up")
        for task, key, series in everything:
            if series.note:
                continue
            request: dict[str, Any] = {"case": task.case, "threads": task.threads}
            if task.op == "peel":
                request["packets"] = str(packets[task.case])
            if task.op == "failure":
                request |= {"packets": str(failures[task.case]), "size": FAILURE_PACKET_SIZE}
            try:
                if number:
                    answer = running[key].ask(task.op, limit=series.onions, seconds=seconds, **request)
                    if answer["onions"] != series.onions:
                        raise PeerError(f"{key} made {answer['onions']} onions and not {series.onions}")
                    series.ns += answer["ns"]
                else:
                    series.onions = task.limit or _onions_in(running[key], task, request, seconds)
            except NotApplicableError as reason:
                series.note = str(reason)
    return everything


def _onions_in(adapter: Adapter, task: Task, request: Mapping[str, Any], seconds: float) -> int:
    answer = adapter.ask(task.op, limit=MIN_ONIONS, seconds=0.0, **request)
    for _ in range(2):  # twice, for a batched peer is faster at many onions than at four
        enough = max(MIN_ONIONS, int(seconds * 1e9 / min(answer["ns"])))
        answer = adapter.ask(task.op, limit=enough, seconds=0.0, **request)
    return int(answer["onions"])


def _row(task: Task, key: str, series: Series) -> dict[str, Any]:
    row: dict[str, Any] = {"peer": key, "op": task.op, "case": task.case, "threads": task.threads}
    if task.limit:
        row["batch"] = task.limit
    if series.note:
        return row | {"not_applicable": series.note}
    return row | {
        "onions": series.onions,
        "passes": len(series.ns),
        "min_ns": round(min(series.ns), 1),
        "median_ns": round(statistics.median(series.ns), 1),
    }


def run(keys: Sequence[str], *, rounds: int, seconds: float, quick: bool, say: Say) -> dict[str, Any]:
    """A whole run, from building the peers to the rows."""
    workload = BUILD / "workload.json"
    content = make()
    digest = write(workload, content)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    plan = tasks(cores)
    if quick:
        plan = [task for task in plan if task.case in ("real", "hops-1", "hops-4", "hops-20", "peel-forward")]
    if keys:
        keys = [*keys, REFERENCE]
    with ExitStack() as stack:
        running, missing = start(stack, workload, keys, say)
        differ = check_bytes(running, say)
        check_reading(running, content, say)
        machine = header()
        everything = measure(running, plan, content, rounds=rounds, seconds=seconds, say=say)
        return {
            "format": FORMAT,
            "machine": machine | {"load_average_after": list(os.getloadavg())},
            "workload_sha256": digest,
            "rounds": rounds,
            "seconds": seconds,
            "ours": OURS,
            "peers": [
                _peer(spec, running, missing, differ) for spec in PEERS if spec.key in running or spec.key in missing
            ],
            "rows": [_row(*entry) for entry in everything],
        }


def _peer(
    spec: PeerSpec, running: Mapping[str, Adapter], missing: Mapping[str, str], differ: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    entry: dict[str, Any] = {"key": spec.key, "label": spec.label}
    if spec.key in missing:
        return entry | {"not_available": missing[spec.key]}
    info = {key: value for key, value in running[spec.key].info.items() if key not in ("pid", "peer")}
    return (
        entry | info | {"bytes": "invalid" if differ[spec.key]["differ"] else "equal", "why": differ[spec.key]["why"]}
    )
