"""The C test programs of tests/c: the lanes over curves small enough to try every scalar, their one completed addition, and
products, key chains and peeling against libsecp256k1. tests/c/ct.sh (make ct) has the constant-time checks.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.c import exceptional_scalars, small_curves

C = Path(__file__).parent / "c"
TIERS = ["portable", "avx2", "avx512ifma"]
NOT_HERE = 77


def run(program: str, *arguments: str) -> str:
    """Build a program (what is up to date stays) and run it; what it printed, or a skip where this CPU cannot."""
    out = C.parent.parent / "build" / "c"
    subprocess.run(["make", "-s", "-C", C, f"OUT={out}", f"{out}/{program}"], check=True)
    done = subprocess.run([out / program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode == NOT_HERE:
        pytest.skip(f"{program}: {done.stdout.strip()}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_small_curves_are_those_that_are_written_down() -> None:
    assert (C / "small_curve.h").read_text() == small_curves.header()


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(("order", "points", "windows"), [(199, 198, 1), (10903, 3, 3)])
def test_every_scalar_of_a_small_curve(tier: str, order: int, points: int, windows: int) -> None:
    """With every bound of the field arithmetic checked (-DKSF_VERIFY)."""
    printed = run(f"exhaustive_{tier}_{order}_verify", str(points))
    assert printed == f"order {order}: {(order - 1) * points * windows * 2} products right\n"


@pytest.mark.parametrize("tier", TIERS)
def test_an_inadmissible_split_fails_at_the_predicted_scalars(tier: str) -> None:
    assert "fails where predicted, at 670 and 109233" in run(f"exhaustive_{tier}_109903", "1")


@pytest.mark.long
@pytest.mark.parametrize("tier", TIERS)
def test_every_scalar_of_a_larger_curve_with_every_window(tier: str) -> None:
    assert run(f"exhaustive_{tier}_5290657", "1") == f"order 5290657: {5290656 * 4 * 2} products right\n"


def test_the_exceptional_scalar_is_the_only_one() -> None:
    (scalar,) = exceptional_scalars.exceptional_scalars()
    words = re.search(r"exceptional = \{\{(.*?)\}\}", (C / "complete_addition.c").read_text())
    assert words is not None
    assert [int(word.removesuffix("ULL"), 16) for word in words[1].split(", ")] == [
        scalar >> 64 * i & 2**64 - 1 for i in range(4)
    ]


@pytest.mark.parametrize("tier", TIERS)
def test_the_exceptional_scalar(tier: str) -> None:
    assert "exceptional scalar right in each of" in run(f"complete_addition_{tier}")


def libsecp256k1_missing() -> bool:
    preprocess = [shutil.which("cc") or "gcc", "-E", "-include", "secp256k1_ecdh.h", "-x", "c", "/dev/null"]
    return subprocess.run(preprocess, capture_output=True, check=False).returncode != 0


needs_libsecp256k1 = pytest.mark.skipif(libsecp256k1_missing(), reason="needs libsecp256k1's headers")


@needs_libsecp256k1
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("program", ["diff_libsecp", pytest.param("diff_libsecp_verify", marks=pytest.mark.long)])
def test_against_libsecp256k1(tier: str, program: str) -> None:
    assert "products equal libsecp256k1's" in run(program, tier, "1024", "128")


@needs_libsecp256k1
@pytest.mark.long
@pytest.mark.parametrize("tier", TIERS)
def test_a_million_products_and_a_hundred_thousand_key_chains(tier: str) -> None:
    """Six kinds of tables with 170,000 products and 17,000 chains each, and as many products by the base point together."""
    printed = run("diff_libsecp", tier, "170000", "17000")
    assert int(re.search(r"(\d+) products", printed)[1]) > 2_000_000  # type: ignore[index]
