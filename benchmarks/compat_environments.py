"""Where pyln-proto and Electrum run beside keysend_fast: the environments of benchmarks/peers, with what this project needs."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from benchmarks.peers import install
from benchmarks.peers.install import ROOT, Command, UnavailableError

ELECTRUMS = {"4.3.4": "bookworm", "4.5.8": "trixie", "4.8.3": "sid"}
"""Releases and the Debian suites that carry them."""


@functools.cache
def pyln() -> Command | str:
    """The python of pyln-proto's environment, made with pip where it is missing; or why it cannot be had."""
    try:
        return Command(install.pyln().argv[:1])
    except UnavailableError as reason:
        return str(reason)


@functools.cache
def electrum(release: str, fetch: bool) -> Command | str:
    """A python that imports this Electrum and keysend_fast; or why there is none. fetch: from Debian, where it is missing."""
    suite = ELECTRUMS[release]
    if not fetch and not (install.BUILD / f"electrum-{suite}" / "unpacked").exists():
        return f"Electrum {release} is not here: `make long` fetches Debian's {suite} package"
    try:
        command = install.electrum("raw", suite)
        python = install._venv("electrum-compat", (*install.ELECTRUM_REQUIREMENTS, "cffi>=1.17", "coincurve>=21"))
    except UnavailableError as reason:
        return str(reason)
    return Command([python], dict(command.env))


def environment(command: Command) -> dict[str, str]:
    """The process's environment, with this project first and the command's own paths behind it."""
    env = os.environ | dict(command.env)
    paths = [str(ROOT), *filter(None, [command.env.get("PYTHONPATH")])]
    return env | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": "0"}


class Worker:
    """`python -m <module> <arguments>` in the command's environment, asked one JSON line at a time; a context manager."""

    def __init__(self, command: Command, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [*command.argv, "-m", module, *arguments],
            cwd=ROOT,
            env=environment(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, case: Mapping[str, Any]) -> Any:
        """The answer to one case. What the worker writes to stderr stands in the test's report."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(case) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the worker ended with {self._process.wait()} at {case}"
        return json.loads(line)

    def close(self) -> None:
        """End the process; it keeps nothing that would be lost."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
