"""The oracles: each peer's adapter, built once a session, over the workloads of keysends.py."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers.install import PEERS, Command, UnavailableError
from benchmarks.peers.process import Adapter
from benchmarks.peers.workload import write

from .keysends import equal_frames, workload

Oracle = Callable[[str, str], Adapter]


@functools.cache
def _install(key: str) -> Command | str:
    spec = next(spec for spec in PEERS if spec.key == key)
    try:
        return spec.install()
    except UnavailableError as reason:
        return str(reason)


@pytest.fixture(scope="session")
def workloads() -> dict[str, dict[str, Any]]:
    """By name: `keysends` (cases ours and theirs) and `equal` (frames of one size)."""
    return {
        "keysends": workload("keysend_fast interop", ours=600, theirs=240),
        "equal": equal_frames("keysend_fast interop equal", 40),
    }


@pytest.fixture(scope="session")
def oracle(workloads: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    """`oracle(peer, workload)`: the peer's adapter over that workload, started once; skips where it cannot be had."""
    folder = tmp_path_factory.mktemp("interop")
    running: dict[tuple[str, str], Adapter] = {}
    with ExitStack() as stack:

        def start(key: str, name: str) -> Adapter:
            if (key, name) not in running:
                command = _install(key)
                if isinstance(command, str):
                    pytest.skip(f"{key} is not available: {command}")
                path = Path(folder) / f"{name}.json"
                if not path.exists():
                    write(path, workloads[name])
                running[key, name] = stack.enter_context(Adapter(key, command, path))
            return running[key, name]

        yield start
