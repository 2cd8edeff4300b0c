"""keysend_fast.compat.electrum against Electrum's own functions, release by release, byte by byte, error by error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.compat import environments
from tests.compat.electrum_cases import Electrum
from tests.compat.process import Worker

SHORT, LONG = 40, 1000
FUNCTIONS = {
    "build": ("new_onion_packet",),
    "process": ("process_onion_packet",),
    "secrets": ("get_shared_secrets_along_route",),
    "decode": ("_decode_onion_error", "decode_onion_error"),
    "construct": ("construct_onion_error",),
    "obfuscate": ("obfuscate_onion_error",),
    "key": ("get_bolt04_onion_key",),
    "stream": ("generate_cipher_stream",),
    "blinded_node_id": ("get_blinded_node_id",),
    "blinded_privkey": ("blinding_privkey",),
    "next_blinding": ("next_blinding_from_shared_secret",),
}
FORMS = [
    pytest.param(release, n, id=f"{release}-{form}", marks=[pytest.mark.long] if form == "long" else [])
    for release in environments.ELECTRUMS
    for form, n in (("short", SHORT), ("long", LONG))
]


class Pair:
    """Electrum as it is, and accelerated."""

    def __init__(self, real: Worker, ours: Worker) -> None:
        self.real = real
        self.ours = ours

    def compare(self, case: dict[str, Any], native: bool) -> dict[str, Any]:
        """The answer of both. native: no function that the case calls may have been left to Electrum."""
        before = self.ours.ask({"op": "calls"})["result"]
        real, ours = self.real.ask(case), self.ours.ask(case)
        assert ours == real, case
        after = self.ours.ask({"op": "calls"})["result"]
        for name in FUNCTIONS[case["op"]] if native else ():
            assert after[name] == [before[name][0] + 1, before[name][1]], (name, case)
        return dict(real)


@pytest.fixture(scope="module")
def pairs() -> Iterator[Any]:
    running: dict[tuple[str, str], Worker] = {}

    def pair(release: str, n: int, form: str = "ours") -> Pair:
        command = environments.electrum(release, fetch=n >= LONG)
        if isinstance(command, str):
            pytest.skip(command)
        for kind in ("real", form):
            if (release, kind) not in running:
                running[release, kind] = Worker(command, "electrum_worker", kind)
        return Pair(running[release, "real"], running[release, form])

    yield pair
    for worker in running.values():
        worker.close()


@pytest.mark.parametrize(("release", "n"), FORMS)
@pytest.mark.parametrize("form", ["ours", "tables"])
def test_building(pairs: Any, release: str, n: int, form: str) -> None:
    pair, cases = pairs(release, n, form), Electrum(release, f"build {form}")
    errors = 0
    for _ in range(n):
        answer = pair.compare(*cases.building())["result"]
        errors += isinstance(answer["packet"], list)
    assert n // 20 < errors < n // 2


@pytest.mark.parametrize(("release", "n"), FORMS)
def test_processing(pairs: Any, release: str, n: int) -> None:
    pair, cases = pairs(release, n), Electrum(release, "process")
    refused: dict[str, int] = {}
    for _ in range(n):
        answer = pair.compare(*cases.processing())
        name = answer.get("error", ["none"])[0]
        refused[name] = refused.get(name, 0) + 1
    assert refused["none"] > n // 3
    assert {"InvalidOnionMac", "Exception"} | ({"InvalidOnionPubkey"} if n >= LONG else set()) <= refused.keys()


@pytest.mark.parametrize(("release", "n"), FORMS)
def test_decoding_failures(pairs: Any, release: str, n: int) -> None:
    pair, cases = pairs(release, n), Electrum(release, "decode")
    failed = 0
    for _ in range(n):
        case, usual = cases.failing()
        answer = pair.compare(case, usual and pair.ours.ask(case).get("error") is None)
        failed += answer.get("error", [None])[0] == "FailedToDecodeOnionError"
    assert failed > n // 20


@pytest.mark.parametrize(("release", "n"), FORMS)
def test_the_other_functions(pairs: Any, release: str, n: int) -> None:
    pair, cases = pairs(release, n), Electrum(release, "small")
    for _ in range(n):
        pair.compare(*cases.small())
