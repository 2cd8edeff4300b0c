"""Our onions through other people's code, theirs through ours, and the bytes beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers.adapter import PACKET_SIZE
from benchmarks.peers.oracle import disagreement, reads_recipient
from benchmarks.peers.process import Adapter
from keysend_fast.keysend import KeysendPayment, accept_keysend, build_keysends
from keysend_fast.onion import OnionRequest, build_onions, peel_onion, peel_onions
from keysend_fast.route import Hop, Route

from .conftest import Oracle
from .keysends import is_full

pytestmark = pytest.mark.interop

Workload = dict[str, Any]
BUILDERS = (
    "ldk",
    "lnd",
    "electrum-raw",
    "electrum-dict",
    "electrum-4.5",
    "coincurve-ct",
    "coincurve-var",
    "coincurve-lib",
)


def _node_ids(workload: Workload) -> list[bytes]:
    return [bytes.fromhex(node["node_id"]) for node in workload["nodes"]]


def _keysends(workload: Workload, case: str) -> bytes:
    """The case's packets by `build_keysends`: routes and records in, payloads made by the product."""
    ids = _node_ids(workload)
    height = workload["block_height"]
    payments = []
    for onion in workload["cases"][case]:
        hops = [
            Hop(ids[hop["node"]], hop["scid"], hop["amount_msat"], hop["cltv_expiry"] - height) for hop in onion["hops"]
        ]
        records = {kind: bytes.fromhex(value) for kind, value in onion["records"]}
        preimage, session_key = bytes.fromhex(onion["preimage"]), bytes.fromhex(onion["session_key"])
        payments.append(KeysendPayment(Route(hops), records, preimage=preimage, session_key=session_key))
    batch = build_keysends(payments, block_height=height - 1)
    assert batch.errors() == []
    return bytes(batch.packets)


def _raw_onions(workload: Workload, case: str, implementation: str | None = None) -> bytes:
    """The case's packets by `build_onions`, from the workload's own payloads."""
    ids = _node_ids(workload)
    requests = [
        OnionRequest(
            [ids[hop["node"]] for hop in onion["hops"]],
            [bytes.fromhex(hop["payload"]) for hop in onion["hops"]],
            bytes.fromhex(onion["session_key"]),
            bytes.fromhex(onion["associated_data"]),
        )
        for onion in workload["cases"][case]
    ]
    batch = build_onions(requests, implementation=implementation)
    assert batch.errors() == []
    return bytes(batch.packets)


def _built_by(adapter: Adapter, case: str, path: Path) -> bytes:
    adapter.ask("digest", case=case, path=str(path))
    return path.read_bytes()


def _split(data: bytes) -> list[bytes]:
    return [data[i : i + PACKET_SIZE] for i in range(0, len(data), PACKET_SIZE)]


@pytest.fixture(scope="module")
def keysends(workloads: dict[str, Workload]) -> Workload:
    return workloads["keysends"]


@pytest.fixture(scope="module")
def ours(keysends: Workload, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our packets of the case `ours`, in a file."""
    path = tmp_path_factory.mktemp("packets") / "ours"
    path.write_bytes(_keysends(keysends, "ours"))
    return path


def test_the_keysends_are_as_varied_as_promised(keysends: Workload) -> None:
    onions = keysends["cases"]["ours"]
    assert len(onions) >= 500 and len(keysends["cases"]["theirs"]) >= 200
    assert {len(onion["hops"]) for onion in onions} >= {*range(1, 20)}
    assert sum(map(is_full, onions)) >= 100
    assert sum(1 for onion in onions if len({len(hop["payload"]) for hop in onion["hops"]}) > 1) > 400
    kinds = [kind for onion in onions for kind, _ in onion["records"]]
    assert {kind % 2 for kind in kinds} == {0, 1}


def test_payloads_of_build_keysends_are_the_specifications(keysends: Workload, ours: Path) -> None:
    assert ours.read_bytes() == _raw_onions(keysends, "ours")


@pytest.mark.parametrize("peer", BUILDERS)
def test_our_bytes_are_theirs(peer: str, oracle: Oracle, keysends: Workload, tmp_path: Path) -> None:
    adapter = oracle(peer, "keysends")
    for case in ("ours", "theirs"):
        theirs = _split(_built_by(adapter, case, tmp_path / case))
        differing = [
            i for i, (a, b) in enumerate(zip(_split(_keysends(keysends, case)), theirs, strict=True)) if a != b
        ]
        assert differing == []


@pytest.mark.parametrize("peer", ["ldk", "lnd", "pyln", "coincurve-ct"])
def test_they_peel_ours_to_the_recipient(peer: str, oracle: Oracle, keysends: Workload, ours: Path) -> None:
    """LDK answers with what it would act on: the preimage, the amount, the expiry and the custom records."""
    onions = keysends["cases"]["ours"]
    answers = oracle(peer, "keysends").ask("unwrap", case="ours", packets=str(ours))["onions"]
    assert len(answers) == len(onions)
    for i, (onion, read) in enumerate(zip(onions, answers, strict=True)):
        assert disagreement(onion, read) == "", f"onion {i}"
        assert reads_recipient(onion, read), f"onion {i}"


@pytest.mark.parametrize("peer", ["electrum-raw", "electrum-4.5"])
def test_electrum_peels_ours_up_to_the_recipient(peer: str, oracle: Oracle, keysends: Workload, ours: Path) -> None:
    """Electrum refuses the keysend record's even type, so the last hop is not asked."""
    onions = keysends["cases"]["ours"]
    answers = oracle(peer, "keysends").ask("unwrap", case="ours", packets=str(ours))["onions"]
    for i, (onion, read) in enumerate(zip(onions, answers, strict=True)):
        assert disagreement(onion, read) == "", f"onion {i}"
        assert len(read) == len(onion["hops"]) - 1


@pytest.mark.parametrize("peer", ["ldk", "lnd"])
def test_they_refuse_a_changed_packet(
    peer: str, oracle: Oracle, keysends: Workload, ours: Path, tmp_path: Path
) -> None:
    """Shows that the oracle can say no: one changed byte, anywhere, and the first hop refuses."""
    packets = [bytearray(packet) for packet in _split(ours.read_bytes())[:64]]
    for i, packet in enumerate(packets):
        packet[i * (PACKET_SIZE - 1) // 63] ^= 1
    changed = tmp_path / "changed"
    changed.write_bytes(b"".join(packets))
    answers = oracle(peer, "keysends").ask("unwrap", case="ours", packets=str(changed), limit=64)["onions"]
    read = [i for i, answer in enumerate(answers) if isinstance(answer, list)]
    assert read == []


@pytest.mark.parametrize("peer", ["ldk", "lnd", "electrum-dict"])
def test_we_peel_theirs_to_the_recipient(peer: str, oracle: Oracle, keysends: Workload, tmp_path: Path) -> None:
    packets = _split(_built_by(oracle(peer, "keysends"), "theirs", tmp_path / "theirs"))
    keys = [bytes.fromhex(node["privkey"]) for node in keysends["nodes"]]
    for onion, packet in zip(keysends["cases"]["theirs"], packets, strict=True):
        payment_hash = bytes.fromhex(onion["associated_data"])
        rest: bytes | None = packet
        for hop in onion["hops"]:
            assert rest is not None
            peeled = peel_onion(rest, keys[hop["node"]], payment_hash)
            assert peeled.payload.hex() == hop["payload"]
            rest = peeled.next_packet
        assert rest is None
        last = onion["hops"][-1]
        accepted = accept_keysend(
            peeled.payload,
            payment_hash,
            amount_msat=last["amount_msat"],
            cltv_expiry=last["cltv_expiry"],
            block_height=keysends["block_height"],
        )
        assert accepted.preimage.hex() == onion["preimage"]
        assert (accepted.amount_msat, accepted.cltv_expiry) == (last["amount_msat"], last["cltv_expiry"])
        assert {kind: value.hex() for kind, value in accepted.custom_records.items()} == dict(
            map(tuple, onion["records"])
        )


@pytest.mark.parametrize("peer", ["ldk", "lnd"])
def test_we_peel_theirs_in_batches(peer: str, oracle: Oracle, keysends: Workload, tmp_path: Path) -> None:
    """Layer by layer over the whole case: what has arrived at one node is peeled in one call."""
    onions = keysends["cases"]["theirs"]
    arrived = dict(enumerate(_split(_built_by(oracle(peer, "keysends"), "theirs", tmp_path / "theirs"))))
    depth = 0
    while arrived:
        following: dict[int, bytes] = {}
        for node in {onions[i]["hops"][depth]["node"] for i in arrived}:
            here = [i for i in arrived if onions[i]["hops"][depth]["node"] == node]
            hashes = [bytes.fromhex(onions[i]["associated_data"]) for i in here]
            key = bytes.fromhex(keysends["nodes"][node]["privkey"])
            batch = peel_onions([arrived[i] for i in here], key, hashes)
            assert batch.errors() == []
            for i, peeled in zip(here, batch, strict=True):
                assert peeled.payload.hex() == onions[i]["hops"][depth]["payload"]
                assert peeled.is_final == (depth == len(onions[i]["hops"]) - 1)
                if peeled.next_packet is not None:
                    following[i] = peeled.next_packet
        arrived, depth = following, depth + 1
    assert depth == max(len(onion["hops"]) for onion in onions)


def test_pyln_onions_are_invalid_where_frames_differ(
    oracle: Oracle, workloads: dict[str, Workload], tmp_path: Path
) -> None:
    """Its filler has the length of frames 2..n where BOLT 4 wants 1..n-1: equal frames hide it, all others show it."""
    equal = _built_by(oracle("pyln", "equal"), "equal", tmp_path / "equal")
    assert equal == _raw_onions(workloads["equal"], "equal")

    keysends = workloads["keysends"]
    theirs = tmp_path / "theirs"
    packets = _split(_built_by(oracle("pyln", "keysends"), "theirs", theirs))
    ours = _split(_keysends(keysends, "theirs"))
    onions = keysends["cases"]["theirs"]
    single = [len(onion["hops"]) == 1 for onion in onions]
    assert [a == b for a, b in zip(packets, ours, strict=True)] == single
    answers = oracle("coincurve-ct", "keysends").ask("unwrap", case="theirs", packets=str(theirs))["onions"]
    assert [isinstance(answer, list) for answer in answers] == single
    assert {answer["error"] for answer in answers if isinstance(answer, dict)} == {"ValueError: invalid onion HMAC"}
