"""Returned failures and attribution data: ours decoded by others, theirs by us, and the bytes beside each other."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest

from benchmarks.peers.coincurve.loops import key_chain_lib
from benchmarks.peers.oracle import misread_failure
from keysend_fast.failure import create_failure, decode_failure, wrap_failure
from keysend_fast.status import Status
from tests.reference import attribution, failure

from .conftest import Oracle

pytestmark = pytest.mark.interop

CASE = "theirs"
# Codes for which LDK blames the channel behind a forwarding node, or the recipient's own.
FORWARDING = ("10070000", "400a", "4008", "100b00000000000003e80000")
FINAL = "400f00000000000003e8000e4458"


@dataclass(frozen=True)
class Failing:
    """An onion of the case, who fails with what, how long each hop held the HTLC, and the payer's shared secrets."""

    onion: dict[str, Any]
    hop: int
    message: bytes
    hold_times: list[int]
    secrets: list[bytes]

    def asked(self) -> dict[str, Any]:
        return {"hop": self.hop, "message": self.message.hex(), "hold_times": self.hold_times}

    def returned(self) -> tuple[bytes, bytes]:
        """Return packet and attribution data as the payer gets them, made and wrapped by our nodes."""
        secrets, hold_times = self.secrets, self.hold_times
        made = create_failure(secrets[self.hop], self.message, hold_time=hold_times[self.hop])
        for hop in reversed(range(self.hop)):
            made = wrap_failure(
                secrets[hop], made.packet, attribution_data=made.attribution_data, hold_time=hold_times[hop]
            )
        assert made.attribution_data is not None
        return made.packet, made.attribution_data

    def by_the_reference(self) -> tuple[bytes, bytes]:
        """The same by tests/reference."""
        packet = failure.create(self.secrets[self.hop], self.message)
        block: bytes | None = None
        for hop in range(self.hop, -1, -1):
            block = attribution.wrap(self.secrets[hop], block, packet, self.hold_times[hop])
            packet = failure.wrap(self.secrets[hop], packet)
        assert block is not None
        return packet, block


@pytest.fixture(scope="module")
def failing(workloads: dict[str, dict[str, Any]]) -> list[Failing]:
    rng = random.Random("keysend_fast interop failures")
    workload = workloads["keysends"]
    made = []
    for onion in workload["cases"][CASE]:
        keys = [bytes.fromhex(workload["nodes"][hop["node"]]["node_id"]) for hop in onion["hops"]]
        hop = rng.randrange(len(keys))
        message = FINAL if hop == len(keys) - 1 else rng.choice(FORWARDING)
        hold_times = [rng.randrange(1 << rng.randrange(1, 32)) for _ in keys]
        secrets = key_chain_lib(keys, bytes.fromhex(onion["session_key"]))[1]
        made.append(Failing(onion, hop, bytes.fromhex(message), hold_times, secrets))
    return made


def test_the_failures_come_from_everywhere(failing: list[Failing]) -> None:
    assert len(failing) >= 200
    assert {case.hop for case in failing} >= {*range(12)}
    assert {case.message.hex() for case in failing} == {*FORWARDING, FINAL}


def test_our_bytes_are_the_references(failing: list[Failing]) -> None:
    assert all(case.returned() == case.by_the_reference() for case in failing)


@pytest.mark.parametrize("peer", ["ldk-opened", "lnd", "electrum-raw", "electrum-4.5"])
def test_they_decode_failures(peer: str, oracle: Oracle, failing: list[Failing]) -> None:
    returned = [{"packet": case.returned()[0].hex()} for case in failing]
    answers = oracle(peer, "keysends").ask("decode", case=CASE, returned=returned)["failures"]
    assert len(answers) == len(failing)
    for i, (case, read) in enumerate(zip(failing, answers, strict=True)):
        assert misread_failure(case.onion, case.hop, case.message, read) == "", f"failure {i}"


def test_ldk_reads_the_hold_times(oracle: Oracle, failing: list[Failing]) -> None:
    returned = []
    for case in failing:
        packet, block = case.returned()
        returned.append({"packet": packet.hex(), "attribution_data": block.hex()})
    answers = oracle("ldk-opened", "keysends").ask("decode", case=CASE, returned=returned)["failures"]
    for case, read in zip(failing, answers, strict=True):
        assert misread_failure(case.onion, case.hop, case.message, read) == ""
        assert read["hold_times"] == case.hold_times[: case.hop + 1]


def test_ldk_stops_reading_where_attribution_data_was_changed(oracle: Oracle, failing: list[Failing]) -> None:
    """One bit of the first hold time: the first hop's own HMAC covers it, so nothing verifies."""
    returned = []
    for case in failing:
        packet, block = case.returned()
        changed = bytes([block[0] ^ 1]) + block[1:]
        returned.append({"packet": packet.hex(), "attribution_data": changed.hex()})
        decoded = decode_failure(packet, case.secrets, attribution_data=changed)
        assert (decoded.erring_index, decoded.hold_times, decoded.first_unverified) == (case.hop, (), 0)
    answers = oracle("ldk-opened", "keysends").ask("decode", case=CASE, returned=returned)["failures"]
    assert [read["hold_times"] for read in answers] == [[] for _ in failing]


@pytest.mark.parametrize("peer", ["ldk-opened", "lnd"])
def test_we_decode_theirs(peer: str, oracle: Oracle, failing: list[Failing]) -> None:
    made = oracle(peer, "keysends").ask("fail", case=CASE, failures=[case.asked() for case in failing])["packets"]
    assert len(made) == len(failing)
    for case, returned in zip(failing, made, strict=True):
        packet = bytes.fromhex(returned["packet"])
        assert packet == case.returned()[0]
        block = bytes.fromhex(returned["attribution_data"]) if "attribution_data" in returned else None
        decoded = decode_failure(packet, case.secrets, attribution_data=block)
        assert (decoded.status, decoded.erring_index, decoded.message) == (Status.OK, case.hop, case.message)
        assert decoded.hold_times == (None if block is None else tuple(case.hold_times[: case.hop + 1]))
        assert decoded.first_unverified is None


def test_ldk_attribution_data_is_ours_byte_for_byte(oracle: Oracle, failing: list[Failing]) -> None:
    made = oracle("ldk-opened", "keysends").ask("fail", case=CASE, failures=[case.asked() for case in failing])[
        "packets"
    ]
    for case, returned in zip(failing, made, strict=True):
        packet, block = case.returned()
        assert returned == {"packet": packet.hex(), "attribution_data": block.hex()}
