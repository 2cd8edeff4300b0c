"""A worker of tests/compat in another environment, asked one JSON line at a time."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from benchmarks.peers.install import ROOT, Command


def environment(command: Command) -> dict[str, str]:
    """The process's environment, with this project first and the command's own paths behind it."""
    env = os.environ | dict(command.env)
    paths = [str(ROOT), *filter(None, [command.env.get("PYTHONPATH")])]
    return env | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": "0"}


class Worker:
    """`python -m tests.compat.<module> <arguments>` in the command's environment; a context manager."""

    def __init__(self, command: Command, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [*command.argv, "-m", f"tests.compat.{module}", *arguments],
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
