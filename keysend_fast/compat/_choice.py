"""Which implementation a single call runs on: what is measured best where there is one item and not a batch."""

from __future__ import annotations

from typing import NamedTuple

from keysend_fast import _native
from keysend_fast.onion import HopTables

__all__ = ["Choice", "choose"]


class Choice(NamedTuple):
    """build, point: implementations for building onions and for lone multiplications. hop_tables: for building."""

    build: str | None
    point: str | None
    hop_tables: HopTables | None

    def names(self) -> dict[str, dict[str, str]]:
        """What runs: "build" and "point" -> slot -> name."""
        return {
            "build": _native.chosen_implementations(self.build),
            "point": _native.chosen_implementations(self.point),
        }


def choose(implementation: str | None = None, hop_tables: HopTables | None = None) -> Choice:
    """The choice for single calls.

    implementation: forces one everywhere (as does KEYSEND_FAST_IMPL); None: libsecp256k1 for lone points and for building
    without tables, the best lanes for building with hop_tables. Without coincurve, the best lanes everywhere.
    Raises ValueError for an unknown implementation, TypeError for hop_tables that are none.
    """
    if hop_tables is not None and not isinstance(hop_tables, HopTables):
        raise TypeError(f"hop_tables is a HopTables or None, not {type(hop_tables).__name__}")
    if implementation is not None or _native.DEFAULT_IMPLEMENTATION:
        _native.suite_address(implementation)
        return Choice(implementation, implementation, hop_tables)
    lone = _native.lone_implementation()
    return Choice(None if hop_tables is not None else lone, lone, hop_tables)
