"""Exit codes of every command; ``keysend-fast --help`` and the README say the same."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Exit"]


class Exit(IntEnum):
    """What a command's exit code says."""

    DONE = 0  # all that was asked for happened
    INCOMPLETE = 1  # it ran, and some payments were refused or an input could not be used
    USAGE = 2  # options that make no sense
    MISSING = 3  # a library, or what an implementation needs, is not on this machine
    INTERRUPTED = 130  # Ctrl-C
