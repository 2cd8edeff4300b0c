"""One onion without tables runs where one is fastest, unless something is forced."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from keysend_fast import HopTables, _native, build_onions
from tests.implementations import with_tables
from tests.nodes import request_of

ASK = "from keysend_fast import _native; print(_native.lone_implementation())"


def asked(implementation: str) -> str:
    environment = os.environ | {"KEYSEND_FAST_IMPL": implementation}
    return subprocess.run(
        [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_libsecp256k1_where_nothing_is_forced() -> None:
    assert asked("") == "ecmult=libsecp256k1"
    assert _native.chosen_implementations("ecmult=libsecp256k1")["ecmult"] == "libsecp256k1"


@pytest.mark.parametrize("forced", ["portable", "sha256=portable"])
def test_what_is_forced_stays(forced: str) -> None:
    assert asked(forced) == "None"


@pytest.mark.parametrize("implementation", with_tables())
def test_the_bytes_are_the_same(implementation: str) -> None:
    request = request_of([1, 2, 3], [b"abc"] * 3)
    lone = bytes(build_onions([request]).packets)
    assert lone == bytes(build_onions([request], implementation=implementation).packets)
    assert lone == bytes(build_onions([request], hop_tables=HopTables()).packets)
