"""`python -m tests.compat.electrum_sites`: install() and uninstall() in a whole Electrum, site by site. Prints what it saw.

Run by tests/test_compat_electrum.py in the environment of each release. Assertions end it with a traceback.
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import json
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from electrum import lnonion  # type: ignore[import-not-found]

from keysend_fast import HopTables
from keysend_fast.compat import electrum as compat
from keysend_fast.compat._electrum_functions import MAKERS
from tests.compat.electrum_worker import hop_of

ORIGINALS: dict[str, Any] = {name: vars(lnonion)[name] for name in MAKERS if name in vars(lnonion)}
# where Electrum is known to have bound them by name; those that a release does not have are left out
NAMED_SITES = [
    ("lnworker", "new_onion_packet"),
    ("lnworker", "decode_onion_error"),
    ("lnchannel", "decode_onion_error"),
    ("trampoline", "new_onion_packet"),
    ("lnpeer", "new_onion_packet"),
    ("lnpeer", "process_onion_packet"),
    ("lnpeer", "construct_onion_error"),
    ("lnpeer", "obfuscate_onion_error"),
    ("onion_message", "get_bolt04_onion_key"),
    ("onion_message", "process_onion_packet"),
    ("onion_message", "blinding_privkey"),
    ("onion_message", "get_shared_secrets_along_route"),
    ("onion_message", "new_onion_packet"),
    ("onion_message", "next_blinding_from_shared_secret"),
]


def load_everything() -> None:
    for name in ("lnworker", "lnpeer", "lnchannel", "trampoline", "submarine_swaps", "lnutil", "onion_message"):
        try:
            importlib.import_module(f"electrum.{name}")
        except ModuleNotFoundError as e:
            assert e.name == f"electrum.{name}", e


def references() -> dict[str, str]:
    """Where in the loaded modules an original stands: "module.name" -> which."""
    by_id = {id(function): name for name, function in ORIGINALS.items()}
    return {
        f"{module.__name__}.{key}": by_id[id(value)]
        for module in list(sys.modules.values())
        if isinstance(module, types.ModuleType) and module.__name__ != __name__
        for key, value in list(vars(module).items())
        if id(value) in by_id
    }


def everything() -> dict[str, int]:
    """Identity of every name of every module of Electrum."""
    return {
        f"{module.__name__}.{key}": id(value)
        for module in list(sys.modules.values())
        if isinstance(module, types.ModuleType) and module.__name__.split(".")[0] == "electrum"
        for key, value in list(vars(module).items())
    }


def no_reference_is_left() -> None:
    """Neither in a module nor, as the garbage collector sees it, in a class, an instance, a container or a default."""
    assert references() == {}
    allowed = {id(ORIGINALS), id(compat._state.live.originals)}  # type: ignore[union-attr]
    for name in list(ORIGINALS):
        for holder in gc.get_referrers(ORIGINALS[name]):
            if isinstance(holder, types.CellType | types.FrameType) or id(holder) in allowed:
                continue  # the replacements' closures, this loop, and the two dictionaries that remember
            raise AssertionError(f"{name} is still held by a {type(holder).__name__}: {str(holder)[:200]}")


def an_onion() -> bytes:
    """The wallet's call, through a name that another module bound."""
    module = sys.modules["electrum.trampoline"]
    keys = [bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")] * 2
    fields = {"amt_to_forward": {"amt_to_forward": 7}, "outgoing_cltv_value": {"outgoing_cltv_value": 8}}
    hops = [hop_of({"payload": fields}) for _ in keys]
    made: bytes = module.new_onion_packet(keys, b"\1" * 32, hops, associated_data=b"\2" * 32).to_bytes()  # type: ignore[attr-defined]
    return made


@contextmanager
def refused(kind: type[Exception], *words: str) -> Iterator[None]:
    """The block raises this, with these words, and changes no name of Electrum's."""
    before = everything()
    try:
        yield
    except kind as e:
        for word in words:
            assert word in str(e), (word, str(e))
    else:
        raise AssertionError(f"no {kind.__name__}")
    assert everything() == before
    assert not compat.installed()


@contextmanager
def in_place_of(name: str, function: Callable[..., Any] | None) -> Iterator[None]:
    before = vars(lnonion)[name]
    if function is None:
        delattr(lnonion, name)
    else:
        setattr(lnonion, name, function)
    try:
        yield
    finally:
        setattr(lnonion, name, before)


def sites_are_hit_and_given_back() -> dict[str, str]:
    before, sites, expected = everything(), references(), an_onion()
    acceleration = compat.install()
    assert compat.installed()
    no_reference_is_left()
    hit = []
    for module_name, name in NAMED_SITES:
        module = sys.modules.get(f"electrum.{module_name}")
        if f"electrum.{module_name}.{name}" in sites:
            assert vars(module)[name].__module__.startswith("keysend_fast.compat"), (module_name, name)
            hit.append(f"{module_name}.{name}")
    assert len(hit) >= 5, hit
    assert an_onion() == expected
    assert acceleration.calls()["new_onion_packet"] == (1, 0)
    # a module that is imported in the meantime, under a name of its own
    late = types.ModuleType("electrum.late")
    exec("from electrum.lnonion import process_onion_packet as peel, OnionPacket", vars(late))
    sys.modules["electrum.late"] = late
    assert late.peel is not ORIGINALS["process_onion_packet"]
    assert compat.uninstall()
    assert late.peel is ORIGINALS["process_onion_packet"]
    del sys.modules["electrum.late"]
    assert not compat.installed()
    assert everything() == before
    assert references() == sites
    assert an_onion() == expected
    assert acceleration.calls() == {}
    return sites


def nested_use_is_safe() -> None:
    before, expected = everything(), an_onion()
    first = compat.install(implementation="ecmult=portable")
    second = compat.install(implementation="libsecp256k1")
    live = compat._state.live
    assert live is not None
    assert live.onions.choice is second.choice
    assert not compat.uninstall()
    assert live.onions.choice is first.choice
    assert an_onion() == expected
    assert first.calls()["new_onion_packet"] == (1, 0)
    assert compat.uninstall()
    assert everything() == before
    assert compat.uninstall()
    assert compat.uninstall(first)
    assert everything() == before
    # blocks that overlap without nesting, and one that an exception ends
    one, two = compat.accelerated(), compat.accelerated(hop_tables=HopTables(build_after=1))
    one.__enter__()
    accelerated = two.__enter__()
    one.__exit__(None, None, None)
    assert compat.installed()
    assert an_onion() == expected
    assert accelerated.calls()["new_onion_packet"] == (1, 0)
    assert accelerated.choice.hop_tables is not None
    assert accelerated.choice.hop_tables.stats()["tables"] == 1
    two.__exit__(None, None, None)
    assert everything() == before
    try:
        with compat.accelerated(), compat.accelerated():
            raise RuntimeError("of the caller")
    except RuntimeError:
        assert everything() == before


def threads_are_safe() -> None:
    before, expected = everything(), an_onion()
    wrong: list[Any] = []

    def work() -> None:
        for _ in range(10):
            with compat.accelerated():
                if an_onion() != expected:
                    wrong.append("another onion")

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert everything() == before


def unknown_releases_are_refused() -> None:
    def other_signature(payment_path_pubkeys: Any, session_key: Any, hops_data: Any, *, another: Any) -> Any:
        """A signature that no release has."""

    def other_keys(key_type: Any, secret: Any) -> Any:
        return hashlib.sha256(key_type + secret).digest()

    def failing(onion_packet: Any, *arguments: Any, **options: Any) -> Any:
        raise RuntimeError

    for name, function, words in (
        ("new_onion_packet", other_signature, ("new_onion_packet(", "another", "nothing was changed")),
        ("get_bolt04_onion_key", other_keys, ("get_bolt04_onion_key", "computes something else")),
        ("process_onion_packet", failing, ("process_onion_packet",)),
        ("decode_onion_error", None, ("decode_onion_error",)),
    ):
        with in_place_of(name, function), refused(compat.UnsupportedElectrumError, *words):
            compat.install()
    with refused(ValueError):
        compat.install(implementation="none such")
    with refused(TypeError):
        compat.install(hop_tables={})  # type: ignore[arg-type]


def failures_on_the_wire_are_native() -> None:
    """What lnpeer sends back: through lnonion's own method where the release has it."""
    make = getattr(lnonion.OnionRoutingFailure, "to_wire_msg", None)
    if make is None:
        return
    packet = lnonion.OnionPacket.from_bytes(an_onion())
    expected = make(lnonion.OnionRoutingFailure(0x2002, b""), packet, b"\3" * 32, 800_000)
    with compat.accelerated() as acceleration:
        assert make(lnonion.OnionRoutingFailure(0x2002, b""), packet, b"\3" * 32, 800_000) == expected
        assert acceleration.calls()["construct_onion_error"] == (1, 0)
        assert acceleration.calls()["obfuscate_onion_error"] == (1, 0)


if __name__ == "__main__":
    load_everything()
    found = sites_are_hit_and_given_back()
    nested_use_is_safe()
    threads_are_safe()
    unknown_releases_are_refused()
    failures_on_the_wire_are_native()
    print(json.dumps(found))
