"""The handshake with coincurve and its cp314 fork, which own one folder; what happens without either, or with another thing."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from keysend_fast import _secp256k1
from tests.nodes import reference_build, request_of

ROOT = Path(__file__).resolve().parent.parent
CURE = "pip install --force-reinstall coincurve"
REQUEST = request_of([1, 2, 3], [b"ab", b"cd", b"ef"])
BUILD = """
from keysend_fast import build_onion, peel_onion, show_config
from tests.nodes import privkey, request_of
r = request_of([1, 2, 3], [b"ab", b"cd", b"ef"])
packet = build_onion(*r, implementation="libsecp256k1").packet
layer = peel_onion(packet, privkey(1), r.associated_data, implementation="libsecp256k1")
assert layer.payload == b"ab" and layer.next_packet
print(packet.hex(), show_config()["libsecp256k1"], show_config()["coincurve"], sep="|")
"""


def run(python: Path | str, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.build
@pytest.mark.parametrize("name", ["coincurve==21.0.0", "coincurve-cp314-fix"])
def test_each_in_an_environment_of_its_own(tmp_path: Path, name: str) -> None:
    """The extension modules of this build, over the libsecp256k1 of that environment."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv/bin/python"
    install = [python, "-m", "pip", "install", "-q", "--only-binary", ":all:", "cffi", "pynacl", name]
    installed = subprocess.run(install, capture_output=True, text=True, check=False)
    if installed.returncode != 0:
        pytest.skip(f"{name} has no wheel here: {installed.stderr.strip().splitlines()[-1]}")
    result = run(python, BUILD)
    assert result.returncode == 0, result.stderr
    packet, usable, found = result.stdout.strip().split("|")
    assert packet == reference_build(REQUEST).packet.hex()
    assert usable == "usable"
    assert found.startswith(name.split("==", maxsplit=1)[0] + " ")


def test_the_one_in_this_environment() -> None:
    result = run(sys.executable, BUILD)
    assert result.returncode == 0, result.stderr
    packet, usable, found = result.stdout.strip().split("|")
    assert (packet, usable) == (reference_build(REQUEST).packet.hex(), "usable")
    assert found == _secp256k1.distribution()


def test_both_installed_are_both_named(monkeypatch: pytest.MonkeyPatch) -> None:
    owners = {"coincurve": ["coincurve-cp314-fix", "coincurve", "coincurve"]}
    monkeypatch.setattr(metadata, "packages_distributions", lambda: owners)
    monkeypatch.setattr(
        metadata, "version", lambda name: {"coincurve": "21.0.0", "coincurve-cp314-fix": "22.0.1"}[name]
    )
    assert _secp256k1.distribution() == "coincurve 21.0.0 and coincurve-cp314-fix 22.0.1"
    monkeypatch.setattr(metadata, "packages_distributions", dict)
    assert _secp256k1.distribution() is None


# ---------------------------------------------------------------- without it, or with something else

MISSING = "import sys\nsys.modules['coincurve'] = None\n"


def test_without_coincurve_the_slot_is_missing_with_a_cure() -> None:
    for ask in ("libsecp256k1", "ecmult=libsecp256k1,sha256=portable"):
        build = f"build_onion([bytes(33)], [b'ab'], b'k' * 32, b'', implementation={ask!r})"
        code = f"{MISSING}from keysend_fast import build_onion\n{build}"
        result = run(sys.executable, code)
        assert result.returncode == 1
        last = result.stderr.strip().splitlines()[-1]
        assert last.startswith(
            "keysend_fast.errors.MissingDependencyError: implementation libsecp256k1 needs coincurve"
        )
        assert CURE in last


def test_without_coincurve_the_rest_works() -> None:
    code = MISSING + (
        "import keysend_fast as k\nfrom tests.nodes import request_of\n"
        "print(k.build_onion(*request_of([1, 2, 3], [b'ab', b'cd', b'ef'])).packet_hex)\n"
        "c = k.show_config()\nprint(c['chosen']['ecmult'])\nprint(c['libsecp256k1'])"
    )
    result = run(sys.executable, code)
    assert result.returncode == 0, result.stderr
    packet, chosen, usable = result.stdout.splitlines()
    assert packet == reference_build(REQUEST).packet.hex()
    assert chosen != "libsecp256k1"
    assert CURE in usable


# A module that is coincurve's but for one thing. The real one's functions stay what they are.
STAND_IN = """
import sys, types
from coincurve import _libsecp256k1 as real

class FFI:
    NULL = real.ffi.NULL
    def __getattr__(self, name):
        return getattr(real.ffi, name)
    def addressof(self, lib, name):
        return real.ffi.addressof(real.lib, name)
    {ffi}

class Lib:
    def __getattr__(self, name):
        return getattr(real.lib, name)
    {lib}

module = types.ModuleType("coincurve._libsecp256k1")
module.ffi, module.lib = FFI(), Lib()
package = types.ModuleType("coincurve")
package._libsecp256k1 = module
sys.modules["coincurve"] = package
sys.modules["coincurve._libsecp256k1"] = module

import keysend_fast as k
try:
    k._native.chosen_implementations("libsecp256k1")
except Exception as e:
    print(type(e).__name__, e)
"""
ADDRESSOF = """def addressof(self, lib, name):
        pointer = real.ffi.addressof(real.lib, name)
        if name != "secp256k1_{name}":
            return pointer
        {then}"""
CHANGES = {
    "another pubkey size": (
        "def sizeof(self, name): return 65",
        "pass",
        "MissingDependencyError coincurve's secp256k1_pubkey is not 64 bytes",
    ),
    "a function less": (
        ADDRESSOF.format(name="ecdh", then="raise AttributeError(name)"),
        "pass",
        "MissingDependencyError coincurve has no secp256k1_ecdh",
    ),
    "another signature": (
        ADDRESSOF.format(name="ecdh", then='return real.ffi.addressof(real.lib, "secp256k1_ec_pubkey_create")'),
        "pass",
        "MissingDependencyError coincurve declares secp256k1_ecdh as int(*)(",
    ),
    "no context": (
        "pass",
        "def secp256k1_context_create(self, flags): return real.ffi.NULL",
        "MissingDependencyError coincurve's libsecp256k1 makes no context",
    ),
    "no randomness": (
        "pass",
        "def secp256k1_context_randomize(self, context, seed): return 0",
        "MissingDependencyError coincurve's libsecp256k1 makes no context",
    ),
    # of the right type, and wrong: a point where ecdh's answer is due
    "wrong answers": (
        ADDRESSOF.format(
            name="ec_pubkey_create",
            then="""
        self.kept = real.ffi.callback(real.ffi.typeof(pointer), lambda ctx, out, key: pointer(ctx, out, b"k" * 32))
        return self.kept""",
        ),
        "pass",
        "ValueError ecmult implementation 'libsecp256k1' failed its self-test",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_something_else_of_that_name_is_refused(change: str) -> None:
    ffi, lib, expected = CHANGES[change]
    result = run(sys.executable, STAND_IN.replace("{ffi}", ffi).replace("{lib}", lib))
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(expected)
    if expected.startswith("Missing"):
        assert CURE in result.stdout
