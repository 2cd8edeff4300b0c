"""The commands: what they print, their exit codes, and that the demo sees what goes wrong."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

pytest.importorskip("click", reason="comes with the cli extra")
pytest.importorskip("rich", reason="comes with the cli extra")

from keysend_fast import data
from keysend_fast.cli.relay import Network, run


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "keysend_fast", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "80", **environment},
        timeout=300,
    )


def demo_json(*arguments: str) -> dict[str, Any]:
    result = command("demo", "--json", *arguments)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_every_recipient_of_the_real_routes_claims() -> None:
    found = demo_json("--payments", "1745", "--implementation", "sha256=portable,chacha20=portable")
    assert found["claimed"] == found["payments"] == found["routes"] == 1745
    assert found["refused"] == {}
    assert found["nodes"] == 241
    assert found["build"]["count"] == 1745
    with gzip.open(data.open_data(data.ROUTES)) as lines:
        layers = sum(len(json.loads(line)["route"]) for line in lines)
    assert found["peel"]["count"] == found["read"]["count"] == layers
    assert found["implementation"]["sha256"] == found["implementation"]["chacha20"] == "portable"
    assert 0 < found["free_bytes"]["least"] <= found["free_bytes"]["median"] <= found["free_bytes"]["most"] < 1300


def test_threads_and_seed_change_no_outcome() -> None:
    one, two = demo_json("--payments", "300", "--threads", "1"), demo_json("--payments", "300", "--seed", "7")
    for name in ("claimed", "claimed_msat", "refused", "free_bytes"):
        assert one[name] == two[name]


def test_table_fits_80_columns() -> None:
    result = command("demo", "--payments", "50")
    assert result.returncode == 0, result.stderr
    assert "50 of 50 recipients" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.fixture
def network() -> Network:
    return Network.from_packaged_routes(seed=3)


def test_a_node_with_another_key_refuses_every_layer(network: Network) -> None:
    keys = dict(network.private_keys)
    victim = network.routes[0].node_ids[0]
    keys[victim] = next(key for key in keys.values() if key != keys[victim])
    hit = sum(victim in route.node_ids for route in network.routes)
    report = run(Network(network.routes, keys, network.peers), len(network.routes), threads=2)
    assert hit > 0
    assert report.refused == {"invalid_onion_hmac (0xc005)": hit}
    assert report.claimed == len(network.routes) - hit
    assert not report.all_claimed


def test_a_payload_that_leads_elsewhere_is_seen(network: Network) -> None:
    route = next(route for route in network.routes if len(route) > 2)
    here = route.node_ids[0], route.hops[1].short_channel_id
    lost = {key: value for key, value in network.peers.items() if key != here}
    report = run(Network([route], network.private_keys, lost), 3, threads=1)
    assert report.refused == {"unknown_next_peer (0x400a)": 3}
    wrong = {**network.peers, here: route.node_ids[-1]}
    report = run(Network([route], network.private_keys, wrong), 3, threads=1)
    assert report.refused == {"invalid_onion_hmac (0xc005)": 3}


def test_info() -> None:
    result = command("info", "--json", "--implementation", "portable")
    assert result.returncode == 0, result.stderr
    config = json.loads(result.stdout)
    assert config["chosen"]["ecmult"] == "portable"
    table = command("info")
    assert table.returncode == 0
    assert max(map(len, table.stdout.splitlines())) <= 80
    assert "portable" in table.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("demo", "--implementation", "nonsense"), 2, "there is no ecmult implementation 'nonsense'"),
        (("demo", "--payments", "0"), 2, "--payments"),
        (("nonsense",), 2, "nonsense"),
        (("demo", "--help"), 0, ""),
        (("--version",), 0, ""),
    ],
)
def test_exit_codes(arguments: tuple[str, ...], code: int, words: str) -> None:
    result = command(*arguments)
    assert result.returncode == code
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_without_the_extra_there_is_a_message() -> None:
    code = "import sys; sys.modules['click'] = None; from keysend_fast.cli.__main__ import main; main()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 3
    assert "keysend-fast[cli]" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_command_without_its_extras_names_them() -> None:
    code = "import sys; sys.modules['numpy'] = None; from keysend_fast.cli.__main__ import main; main()"
    for arguments, status in (["--help"], 0), (["stream", "--listeners", "3"], 3), (["info"], 0):
        result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
        assert result.returncode == status, result.stderr
        assert ("keysend-fast[cli,feed,graph]" in result.stderr) == (status == 3)
        assert "Traceback" not in result.stderr


def test_interrupt() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "keysend_fast", "demo", "--payments", "100000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "keysend-fast: interrupted"
    assert "Traceback" not in errors
