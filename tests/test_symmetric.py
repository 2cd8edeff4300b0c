"""SHA-256, HMAC and ChaCha20: the C contracts checked in C, and mixtures against hashlib, hmac and `cryptography`.

tests/test_kernels.py has the vectors and the sizes.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import random
import shlex
import subprocess
import sysconfig
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from hypothesis import given
from hypothesis import strategies as st

from keysend_fast.kernels import chacha20_stream_many, hmac_sha256_many, sha256_many
from tests.implementations import names, runnable

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("flags", [[], pytest.param(["-fsanitize=address"], marks=pytest.mark.long)])
def test_the_contracts_in_c(tmp_path: Path, flags: list[str]) -> None:
    """tests/c/symm_check.c over every implementation that this CPU runs."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC"))[:1]
    sources = sorted(str(path) for noun in ("sha256", "chacha20") for path in (ROOT / "csrc" / noun).glob("*.c"))
    program = str(tmp_path / "symm_check")
    command = [
        *compiler,
        "-std=gnu11",
        "-O1",
        "-g",
        *flags,
        str(ROOT / "tests/c/symm_check.c"),
        *sources,
        "-o",
        program,
    ]
    subprocess.run(command, check=True)
    run = subprocess.run([program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    ran = [line.split(":")[0] for line in run.stdout.splitlines() if "NOT APPLICABLE" not in line]
    assert set(ran) >= {f"{slot} {name}" for slot in ("sha256", "chacha20") for name in runnable(slot)}


@given(st.lists(st.tuples(st.binary(max_size=140), st.binary(max_size=300)), max_size=40))
def test_any_mixture_of_messages(pairs: list[tuple[bytes, bytes]]) -> None:
    keys, messages = [key for key, _ in pairs], [message for _, message in pairs]
    digests = [hashlib.sha256(message).digest() for message in messages]
    macs = [hmac.digest(key, message, "sha256") for key, message in pairs]
    for name in runnable("sha256"):
        assert sha256_many(messages, implementation=f"sha256={name}") == digests
        assert hmac_sha256_many(keys, messages, implementation=f"sha256={name}") == macs


@pytest.mark.parametrize("name", runnable("sha256"))
def test_messages_at_every_alignment(name: str) -> None:
    data = random.Random(3).randbytes(64 + 200)
    views = [memoryview(data)[at : at + 200] for at in range(64)]
    expected = [hashlib.sha256(view).digest() for view in views]
    assert sha256_many(views, implementation=f"sha256={name}") == expected


@pytest.mark.parametrize("name", runnable("sha256"))
def test_a_long_message(name: str) -> None:
    message = random.Random(4).randbytes(1_000_003)
    assert sha256_many([message], implementation=f"sha256={name}") == [hashlib.sha256(message).digest()]


def stream(key: bytes, length: int) -> bytes:
    """OpenSSL's; its nonce is the 32-bit counter and RFC 8439's 96 bits."""
    return Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor().update(bytes(length))


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=40), st.integers(0, 700))
def test_any_keys(keys: list[bytes], length: int) -> None:
    expected = [stream(key, length) for key in keys]
    for name in runnable("chacha20"):
        assert chacha20_stream_many(keys, length, implementation=f"chacha20={name}") == expected


@pytest.mark.parametrize("name", runnable("chacha20"))
def test_streams_of_every_length(name: str) -> None:
    """Nineteen: a full group of each lane count and a rest. Odd lengths put the rows at every alignment."""
    rng = random.Random(1)
    keys = [rng.randbytes(32) for _ in range(19)]
    expected = [stream(key, 200) for key in keys]
    for length in range(200):
        got = chacha20_stream_many(keys, length, implementation=f"chacha20={name}")
        assert got == [whole[:length] for whole in expected]


def test_the_registry_has_what_this_machine_type_can_have() -> None:
    vectors = ["avx512", "avx2"] if os.uname().machine == "x86_64" else []
    assert set(names("chacha20")) == {*vectors, "portable"}
    assert set(names("sha256")) == {*vectors, *(["shani"] if vectors else []), "portable"}
