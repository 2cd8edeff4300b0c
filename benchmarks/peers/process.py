"""A peer's adapter as a child process, asked one JSON line at a time."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .install import ROOT, Command, UnavailableError

ANSWER_SECONDS = 300


class PeerError(Exception):
    """The adapter answered with an error, or not at all."""


class NotApplicableError(Exception):
    """The peer has no such operation; the message says why."""


class Adapter:
    """A running adapter; use it as a context manager, which ends the process."""

    def __init__(self, key: str, command: Command, workload: Path):
        self.key = key
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  (a pipe that nobody reads would block the peer)
        try:
            self._process = subprocess.Popen(
                [*command.argv, str(workload)],
                cwd=ROOT,
                env=os.environ | dict(command.env),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                bufsize=0,
            )
        except OSError as error:
            self._stderr.close()
            raise UnavailableError(f"cannot start: {error}") from error
        self._rest = b""
        self.info = self._first_words()

    def _first_words(self) -> dict[str, Any]:
        try:
            return self.ask("info")
        except PeerError as error:
            self.close()
            raise UnavailableError(str(error)) from error

    def ask(self, op: str, **request: Any) -> dict[str, Any]:
        """The answer to one request. Raises PeerError, or NotApplicableError where the peer has no such operation."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"op": op} | request).encode() + b"\n")
            line = self._line()
        except BrokenPipeError:
            line = b""
        if not line:
            raise PeerError(f"{self.key} ended: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if answer.pop("ok"):
            return answer
        if "not_applicable" in answer:
            raise NotApplicableError(answer["not_applicable"])
        raise PeerError(f"{self.key}: {answer['error']}")

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        while b"\n" not in self._rest:
            if not select.select([self._process.stdout], [], [], ANSWER_SECONDS)[0]:
                raise PeerError(f"{self.key}: no answer in {ANSWER_SECONDS} seconds")
            part = self._process.stdout.read(1 << 16)
            if not part:
                return b""
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _last_words(self) -> str:
        self._process.kill()
        self._process.communicate()
        self._stderr.seek(0)
        words = [line.strip() for line in self._stderr.read().decode(errors="replace").splitlines() if line.strip()]
        return words[-1] if words else f"exit code {self._process.returncode}"

    def close(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            self._process.kill()
        if not self._stderr.closed:
            self._process.communicate()
            self._stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
