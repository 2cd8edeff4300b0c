"""Shared fixtures: one test runs over every implementation of the registry that this CPU can run."""

from __future__ import annotations

from itertools import product

import pytest

from keysend_fast import _native
from tests.implementations import names, reason_missing, runnable

ECMULT, SHA256, CHACHA20 = (names(slot) for slot in ("ecmult", "sha256", "chacha20"))


def pytest_report_header() -> list[str]:
    """Say what is under test, and what is not because this machine cannot run it."""
    lines = []
    for slot in ("ecmult", "sha256", "chacha20"):
        missing = [f"{name} ({reason_missing(slot, name)})" for name in names(slot) if name not in runnable(slot)]
        lines.append(f"{slot}: {', '.join(runnable(slot))}" + (f"; NOT RUN: {', '.join(missing)}" if missing else ""))
    return lines


def checked(spec: str, **expected: str) -> str:
    """The spec, once it resolves to what it names: a failed self-test or a missing library fails the test that asks."""
    chosen = _native.chosen_implementations(spec)
    assert {slot: chosen[slot] for slot in expected} == expected
    return spec


@pytest.fixture(scope="session", params=ECMULT)
def implementation(request: pytest.FixtureRequest) -> str:
    """Each elliptic-curve implementation, by the name that `implementation=` takes."""
    name = request.param
    if name not in runnable("ecmult"):
        pytest.skip(f"ecmult implementation {name}: {reason_missing('ecmult', name)}")
    return checked(name, ecmult=name)


@pytest.fixture(scope="session", params=list(product(SHA256, CHACHA20)), ids="-".join)
def symmetric(request: pytest.FixtureRequest) -> str:
    """Each pair of SHA-256 and ChaCha20 implementations, over the default curve."""
    sha256, chacha20 = request.param
    for slot, name in (("sha256", sha256), ("chacha20", chacha20)):
        if name not in runnable(slot):
            pytest.skip(f"{slot} implementation {name}: {reason_missing(slot, name)}")
    return checked(f"sha256={sha256},chacha20={chacha20}", sha256=sha256, chacha20=chacha20)


@pytest.fixture(scope="session")
def implementations() -> list[str]:
    """All elliptic-curve implementations that run here, for tests that compare them on one slow reference answer."""
    return [checked(name, ecmult=name) for name in runnable("ecmult")]
