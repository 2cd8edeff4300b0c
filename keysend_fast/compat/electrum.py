"""Electrum's onion functions on the native core, rebound inside a live Electrum and given back again.

>>> import keysend_fast.compat.electrum
>>> keysend_fast.compat.electrum.install()  # doctest: +SKIP

Electrum 4.3 to 4.8 (docs/compat-electrum.md). Nothing of Electrum is imported before :func:`install`.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

from keysend_fast.compat import _electrum_functions as functions
from keysend_fast.compat._choice import Choice, choose
from keysend_fast.compat._electrum_check import differences
from keysend_fast.compat._electrum_onions import ElectrumOnions
from keysend_fast.errors import KeysendFastError, MissingDependencyError
from keysend_fast.onion import HopTables

__all__ = ["Acceleration", "UnsupportedElectrumError", "accelerated", "install", "installed", "uninstall"]


class UnsupportedElectrumError(KeysendFastError):
    """This Electrum's functions have other signatures or other results than those that are known; nothing was changed."""


class Calls(NamedTuple):
    """How many calls of one function the native core answered, and how many it handed to Electrum's own."""

    native: int
    original: int


class Acceleration:
    """One install() in force. Its options count while it is the newest."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice

    def implementations(self) -> dict[str, dict[str, str]]:
        """What runs: "build" (onions) and "point" (peeling, failures) -> slot -> name."""
        return self.choice.names()

    def calls(self) -> dict[str, Calls]:
        """Name -> Calls since the first install(); empty once everything is uninstalled."""
        live = _state.live
        return {} if live is None else {name: Calls(*count) for name, count in live.counts.items()}

    def __repr__(self) -> str:
        return f"<Acceleration of Electrum, {'in force' if self in _state.stack else 'ended'}>"


class _Live:
    """The rebinding itself: there is one however often install() is called."""

    def __init__(self, lnonion: ModuleType, version: str) -> None:
        self.lnonion = lnonion
        self.onions = ElectrumOnions(lnonion, choose())
        self.originals: dict[str, Callable[..., Any]] = {}
        self.replacements: dict[str, Callable[..., Any]] = {}
        self.counts: dict[str, list[int]] = {}
        unknown = []
        for name, makers in functions.MAKERS.items():
            original: Any = getattr(lnonion, name, None)
            if original is None and name in functions.OPTIONAL:
                continue
            count = [0, 0]
            found = signature(original)
            replacement = next(
                (r for r in (m(self.onions, original, count) for m in makers) if signature(r) == found), None
            )
            if replacement is None:
                unknown.append(f"{name}{found}")
                continue
            self.originals[name], self.replacements[name], self.counts[name] = original, replacement, count
        if unknown:
            raise UnsupportedElectrumError(
                f"Electrum {version} has functions of unknown signature: {'; '.join(unknown)}. Known are the releases from "
                "4.3 to 4.8; nothing was changed"
            )

    def rebind(self, old: dict[str, Callable[..., Any]], new: dict[str, Callable[..., Any]]) -> None:
        """In every loaded module, whatever the name it goes by there."""
        by_id = {id(function): new[name] for name, function in old.items()}
        for module in list(sys.modules.values()):
            if isinstance(module, ModuleType):
                names = vars(module)
                for key, value in list(names.items()):
                    if id(value) in by_id:
                        names[key] = by_id[id(value)]


class _State:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.stack: list[Acceleration] = []
        self.live: _Live | None = None


_state = _State()


def signature(function: Any) -> str:
    """Names, kinds and defaults of the parameters, without annotations; "" for what has none."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ""
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
    return str(inspect.Signature(plain))


def install(*, implementation: str | None = None, hop_tables: HopTables | None = None) -> Acceleration:
    """Rebind Electrum's onion functions to the native core, in every module that has them.

    implementation: None is libsecp256k1 without hop_tables (what a lone onion is fastest with) and the best lanes with them;
    see docs/implementations.md. hop_tables: the caller's table cache, for routes whose nodes come again. Call it again to
    change the options; each call is undone by one :func:`uninstall`. Modules imported later are served too.

    Raises UnsupportedElectrumError for an Electrum whose functions are not known or compute something else (checked on
    random onions before anything is changed), MissingDependencyError without Electrum, ValueError, TypeError for bad options.
    """
    choice = choose(implementation, hop_tables)
    with _state.lock:
        if _state.live is None:
            _state.live = _begin(choice)
        _state.live.onions.choice = choice
        acceleration = Acceleration(choice)
        _state.stack.append(acceleration)
        return acceleration


def _begin(choice: Choice) -> _Live:
    try:
        lnonion = importlib.import_module("electrum.lnonion")
        version = str(importlib.import_module("electrum.version").ELECTRUM_VERSION)
    except ImportError as e:
        raise MissingDependencyError(f"Electrum cannot be imported: {e}") from e
    live = _Live(lnonion, version)
    live.onions.choice = choice
    wrong = differences(lnonion, live.originals, live.replacements)
    for count in live.counts.values():
        count[:] = [0, 0]
    if wrong:
        raise UnsupportedElectrumError(
            f"Electrum {version} computes something else in {', '.join(wrong)}; nothing was changed"
        )
    live.rebind(live.originals, live.replacements)
    return live


def uninstall(acceleration: Acceleration | None = None) -> bool:
    """Undo one :func:`install`: the newest, or the one given. Returns whether Electrum's own functions are back.

    Doing it once too often changes nothing. Functions are given back in every module, those imported meanwhile included.
    """
    with _state.lock:
        if acceleration is not None:
            if acceleration in _state.stack:
                _state.stack.remove(acceleration)
        elif _state.stack:
            _state.stack.pop()
        live = _state.live
        if live is None:
            return True
        if _state.stack:
            live.onions.choice = _state.stack[-1].choice
            return False
        live.rebind(live.replacements, live.originals)
        _state.live = None
        return True


def installed() -> bool:
    """Whether Electrum's functions are rebound now."""
    return _state.live is not None


@contextlib.contextmanager
def accelerated(*, implementation: str | None = None, hop_tables: HopTables | None = None) -> Iterator[Acceleration]:
    """:func:`install` for a ``with`` block; blocks may nest and overlap."""
    acceleration = install(implementation=implementation, hop_tables=hop_tables)
    try:
        yield acceleration
    finally:
        uninstall(acceleration)
