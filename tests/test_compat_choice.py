"""What single calls run on, with and without coincurve, tables and a forced implementation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from keysend_fast import HopTables, _native
from keysend_fast.compat._choice import choose

ROOT = Path(__file__).parent.parent
BEST = _native.chosen_implementations("")["ecmult"]


@pytest.fixture(autouse=True)
def nothing_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_native, "DEFAULT_IMPLEMENTATION", "")


def test_lone_points_run_on_libsecp256k1_and_tables_on_lanes() -> None:
    names = choose().names()
    assert names["build"]["ecmult"] == names["point"]["ecmult"] == "libsecp256k1"
    tables = HopTables()
    choice = choose(None, tables)
    assert choice.hop_tables is tables
    assert choice.names()["build"]["ecmult"] == BEST
    assert choice.names()["point"]["ecmult"] == "libsecp256k1"


def test_forced(implementation: str) -> None:
    names = choose(f"ecmult={implementation}", HopTables()).names()
    assert names["build"]["ecmult"] == names["point"]["ecmult"] == implementation


def test_the_environment_forces_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_native, "DEFAULT_IMPLEMENTATION", "portable")
    assert choose()[:2] == (None, None)


def test_misuse() -> None:
    with pytest.raises(ValueError):
        choose("none such")
    with pytest.raises(TypeError):
        choose(None, "tables")  # type: ignore[arg-type]


def test_without_coincurve_the_lanes_serve() -> None:
    code = (
        "import sys; sys.modules['coincurve'] = None\n"
        "from keysend_fast.compat._choice import choose\n"
        "assert choose()[:2] == (None, None), choose()\n"
        "from keysend_fast import _single\n"
        "assert len(_single.ecdh(bytes([1] * 32), _single.base_mul(bytes([2] * 32)))) == 32\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
