"""keysend_fast.compat.electrum against Electrum's own functions, release by release, byte by byte, error by error."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import compat_environments as environments
from benchmarks.compat_environments import Worker, environment
from benchmarks.peers.install import ROOT
from keysend_fast.compat import electrum as compat
from keysend_fast.compat._electrum_onions import encode_payload
from keysend_fast.compat._frames import frame_size, length_prefix, payload_of
from keysend_fast.errors import MissingDependencyError
from tests.compat.electrum_cases import Electrum

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
                running[release, kind] = Worker(command, "tests.compat.electrum_worker", kind)
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


@pytest.mark.parametrize("release", environments.ELECTRUMS)
def test_every_import_site_is_hit_and_given_back(release: str) -> None:
    command = environments.electrum(release, fetch=False)
    if isinstance(command, str):
        pytest.skip(command)
    done = subprocess.run(
        [*command.argv, "-m", "tests.compat.electrum_sites"],
        cwd=ROOT,
        env=environment(command),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    sites = json.loads(done.stdout)
    assert {"electrum.lnonion.new_onion_packet", "electrum.trampoline.new_onion_packet"} <= sites.keys()
    expected = {
        "4.3.4": {"electrum.lnchannel.decode_onion_error", "electrum.lnpeer.process_onion_packet"},
        "4.5.8": {"electrum.lnworker.decode_onion_error", "electrum.lnpeer.obfuscate_onion_error"},
        "4.8.3": {"electrum.lnworker.new_onion_packet", "electrum.onion_message.blinding_privkey"},
    }
    assert expected[release] <= sites.keys()


# ---------------------------------------------------------------- without Electrum


def test_without_electrum_install_says_so() -> None:
    if importlib.util.find_spec("electrum"):
        pytest.skip("Electrum is installed here")
    with pytest.raises(MissingDependencyError, match="Electrum cannot be imported"):
        compat.install()
    assert not compat.installed()
    assert compat.uninstall()


def test_payload_encoding_is_that_of_bolt_4() -> None:
    fields = {
        "amt_to_forward": {"amt_to_forward": 0},
        "outgoing_cltv_value": {"outgoing_cltv_value": 800_000},
        "short_channel_id": {"short_channel_id": bytes(range(8))},
        "payment_data": {"payment_secret": bytes(32), "total_msat": 256, "amount_msat": 1},
    }
    expected = "0200" + "04030c3500" + "06080001020304050607" + "0822" + "00" * 32 + "0100"
    encoded = encode_payload(fields)
    assert encoded is not None
    assert encoded.hex() == expected
    assert encode_payload(dict(reversed(fields.items()))) == encoded
    for change in (
        {"amt_to_forward": {"amt_to_forward": 2**64}},
        {"amt_to_forward": {"amt_to_forward": True}},
        {"amt_to_forward": {}},
        {"amt_to_forward": None},
        {"outgoing_cltv_value": {"outgoing_cltv_value": -1}},
        {"outgoing_cltv_value": {"outgoing_cltv_value": 2**32}},
        {"short_channel_id": {"short_channel_id": bytes(7)}},
        {"short_channel_id": {"short_channel_id": 7}},
        {"payment_data": {"payment_secret": bytes(31), "total_msat": 1}},
        {"payment_metadata": {"payment_metadata": b""}},
    ):
        assert encode_payload(fields | change) is None, change
    assert encode_payload({}) is None


@pytest.mark.parametrize(("prefixed", "payload"), [("020102", "0102"), ("fd00fd" + "07" * 253, "07" * 253)])
def test_payload_of(prefixed: str, payload: str) -> None:
    found = payload_of(bytes.fromhex(prefixed))
    assert found is not None
    assert found.hex() == payload
    assert length_prefix(len(found)) + found == bytes.fromhex(prefixed)
    assert frame_size(len(found)) == len(prefixed) // 2 + 32


@pytest.mark.parametrize("prefixed", ["", "00", "01", "0100", "0201", "02010203", "fd0002aabb", "fd", "fe00000002aabb"])
def test_payload_of_refuses(prefixed: str) -> None:
    assert payload_of(bytes.fromhex(prefixed)) is None
