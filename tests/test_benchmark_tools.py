"""The parts of the benchmarks that decide: what counts as slower, what a peer may say, what the documents get."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from benchmarks.guard import regressions
from benchmarks.peers import workload
from benchmarks.peers.coincurve import loops
from benchmarks.peers.oracle import disagreement, reads_recipient
from benchmarks.peers.report import BEGIN, END, insert, markdown, table

from .support import load_vector


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return workload.make()


def test_regressions_are_what_got_worse_by_more_than_the_bound() -> None:
    baseline = {"a": 1.0, "b": 1.0, "c": 1.0, "gone": 1.0}
    worse = regressions({"a": 1.10, "b": 1.11, "c": 0.5, "new": 9.0}, baseline, 0.1)
    assert set(worse) == {"b", "gone"}
    assert "+11%" in worse["b"]


def test_the_workload_is_real_routes_that_fit(made: dict[str, Any]) -> None:
    assert len(made["cases"]["real"]) == 1745
    for case, onions in made["cases"].items():
        for onion in onions:
            streams = [bytes.fromhex(hop["payload"]) for hop in onion["hops"]]
            assert workload.frames_size(streams) <= workload.HOP_PAYLOADS_SIZE
            assert all(hop["node"] < len(made["nodes"]) for hop in onion["hops"])
            if case.startswith("hops-"):
                assert len(onion["hops"]) == int(case.removeprefix("hops-"))
    assert workload.make() == made


@pytest.mark.parametrize("build", [loops.build_onion_ct, loops.build_onion_var, loops.build_onion_lib])
@pytest.mark.parametrize("peel", [loops.peel_onion_ct, loops.peel_onion_var])
def test_the_coincurve_loops_make_the_specifications_onion(build: Any, peel: Any) -> None:
    """BOLT 4's onion test; the loops are the baseline of every ratio and the reference of every byte comparison."""
    vector = load_vector("bolt04-onion-test")
    generate = vector["generate"]
    prefixed = [bytes.fromhex(hop["payload"]) for hop in generate["hops"]]
    payloads = [payload[1 if payload[0] < 0xFD else 3 :] for payload in prefixed]
    keys = [bytes.fromhex(hop["pubkey"]) for hop in generate["hops"]]
    data = bytes.fromhex(generate["associated_data"])
    packet = build(keys, payloads, bytes.fromhex(generate["session_key"]), data)
    assert packet.hex() == vector["onion"]
    for payload, key in zip(payloads, vector["decode"], strict=True):
        read, packet, _ = peel(packet, bytes.fromhex(key), data)
        assert read == payload
    assert packet is None


def test_the_coincurve_loops_refuse_a_changed_packet(made: dict[str, Any]) -> None:
    onion = made["cases"]["peel-forward"][0]
    keys = [bytes.fromhex(made["nodes"][hop["node"]]["node_id"]) for hop in onion["hops"]]
    payloads = [bytes.fromhex(hop["payload"]) for hop in onion["hops"]]
    data = bytes.fromhex(onion["associated_data"])
    packet = bytearray(loops.build_onion_lib(keys, payloads, bytes.fromhex(onion["session_key"]), data))
    packet[700] ^= 1
    with pytest.raises(ValueError, match="HMAC"):
        loops.peel_onion_ct(bytes(packet), bytes.fromhex(made["nodes"][0]["privkey"]), data)


@pytest.mark.parametrize("hop", [0, 2, 3])
def test_failures_come_back_from_the_hop_that_made_them(made: dict[str, Any], hop: int) -> None:
    onion = made["cases"]["hops-4"][hop]
    keys = [bytes.fromhex(made["nodes"][each["node"]]["node_id"]) for each in onion["hops"]]
    secrets = loops.key_chain_lib(keys, bytes.fromhex(onion["session_key"]))[1]
    packet = loops.make_failure(secrets, hop, b"\x10\x07\0\0")
    assert len(packet) == loops.FAILURE_PACKET_SIZE
    assert loops.decode_failure(packet, secrets) == (hop, b"\x10\x07\0\0")
    with pytest.raises(ValueError, match="no hop"):
        loops.decode_failure(packet[:-1] + bytes([packet[-1] ^ 1]), secrets)


def _understood(onion: dict[str, Any]) -> list[dict[str, Any]]:
    hops = onion["hops"]
    said = [{key: to[key] for key in ("scid", "amount_msat", "cltv_expiry")} for to in hops[1:]]
    last = {key: hops[-1][key] for key in ("amount_msat", "cltv_expiry")}
    return [*said, last | {"preimage": onion["preimage"], "records": onion["records"], "payment_data": False}]


def test_an_oracle_that_reads_anything_else_disagrees(made: dict[str, Any]) -> None:
    onion = made["cases"]["hops-3"][0]
    right = _understood(onion)
    assert disagreement(onion, right) == "" and reads_recipient(onion, right)
    assert disagreement(onion, [{"payload": hop["payload"]} for hop in onion["hops"]]) == ""
    assert disagreement(onion, right[:-1]) == "" and not reads_recipient(onion, right[:-1])
    assert disagreement(onion, right[:1]) != ""
    assert disagreement(onion, {"error": "no"}) == "no"
    for hop, key in ((0, "scid"), (1, "amount_msat"), (2, "preimage"), (2, "records")):
        wrong = copy.deepcopy(right)
        wrong[hop][key] = "other"
        assert key in disagreement(onion, wrong)
    wrong = copy.deepcopy(right)
    wrong[2]["payment_data"] = True
    assert "payment_data" in disagreement(onion, wrong)


def test_documents_get_their_part_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    insert(page, "new")
    insert(page, "newer")
    assert page.read_text() == f"before\n{BEGIN}\nnewer\n{END}\nafter\n"
    page.write_text("no markers")
    with pytest.raises(ValueError, match="bench-peers"):
        insert(page, "new")


def test_tables_show_missing_peers_and_ratios() -> None:
    run = {
        "ours": "us",
        "peers": [
            {"key": "us", "label": "us", "bytes": "equal"},
            {"key": "them", "label": "them", "bytes": "invalid"},
            {"key": "nobody", "label": "nobody", "not_available": "not here"},
        ],
        "rows": [
            {"peer": "us", "op": "build", "case": "real", "threads": 1, "min_ns": 20_000.0},
            {"peer": "them", "op": "build", "case": "real", "threads": 1, "min_ns": 50_000.0},
        ],
    }
    lines = table(run, full=False).splitlines()
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == ["us", "20.0", "50,000", "1.00"]
    assert [cell.strip() for cell in lines[3].split("|")[1:-1]] == ["them ¹", "50.0", "20,000", "2.50"]
    assert "not available" in lines[4]
    assert len({len(line) for line in lines}) == 1
    assert markdown(["a", "b"], [["x", "1"]]).splitlines()[1] == "|---|--:|"
