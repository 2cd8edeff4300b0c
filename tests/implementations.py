"""The registry of implementations as the tests see it."""

from __future__ import annotations

from keysend_fast import _native


def names(slot: str) -> list[str]:
    """Every implementation of a slot, best first."""
    return [row["name"] for row in _native.list_implementations() if row["slot"] == slot]


def runnable(slot: str) -> list[str]:
    """Those whose instructions this CPU has."""
    return [row["name"] for row in _native.list_implementations() if row["slot"] == slot and row["runs_here"]]


def reason_missing(slot: str, name: str) -> str:
    """Why one is not run here."""
    try:
        _native.chosen_implementations(f"{slot}={name}")
    except ValueError as error:
        return str(error)
    return "it runs"


def with_tables() -> list[str]:
    """The runnable elliptic-curve implementations that keep hop tables."""
    rows = _native.list_implementations()
    return [row["name"] for row in rows if row["slot"] == "ecmult" and row["runs_here"] and row["windows"][2]]
