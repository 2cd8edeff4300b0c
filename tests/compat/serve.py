"""The worker's side: one answer a line, an exception as an answer. Standard library only."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

Operation = Callable[..., Any]


def serve(operations: Mapping[str, Operation]) -> None:
    """Answer cases from standard input until it ends; whatever a library prints goes to stderr."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        case = json.loads(line)
        try:
            answer: Any = {"result": operations[case.pop("op")](**case)}
        except Exception as e:
            answer = {"error": [kind.__name__ for kind in type(e).__mro__], "message": str(e)}
        answers.write(json.dumps(plain(answer)) + "\n")
        answers.flush()


def plain(value: Any) -> Any:
    """As JSON has it: bytes as hexadecimal digits, other objects as their type and attributes."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return {"type": type(value).__name__, **plain(vars(value))}
