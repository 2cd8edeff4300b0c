"""The stubs of the compiled modules say what the modules have: names, arguments, defaults."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy comes with the lint extra")

ROOT = Path(__file__).parent.parent
STUBS = sorted(f"keysend_fast.{stub.stem}" for stub in (ROOT / "keysend_fast").glob("*.pyi"))


def test_every_compiled_module_has_a_stub() -> None:
    modules = {f"keysend_fast.{source.stem}" for source in (ROOT / "keysend_fast").glob("*.pyx")}
    assert modules | {"keysend_fast._kernels"} == set(STUBS)


def test_stubs_agree_with_the_modules() -> None:
    allowed = ROOT / "tests/stubtest_allowlist.txt"
    command = [sys.executable, "-m", "mypy.stubtest", *STUBS, "--concise", "--allowlist", str(allowed)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
