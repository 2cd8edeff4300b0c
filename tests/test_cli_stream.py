"""``keysend-fast stream`` from its command line: what it prints and writes, and how it refuses."""

import csv
import json
import pathlib
from typing import Any

import pytest

pytest.importorskip("click")
pytest.importorskip("rich")
pytest.importorskip("scipy")
pytest.importorskip("defusedxml")
from click.testing import CliRunner, Result

from keysend_fast import data
from keysend_fast.cli.stream import stream

VECTORS = pathlib.Path(__file__).parent / "vectors"
SMALL = ("--listeners", "6", "--minutes", "2", "--payers", "2")


def call(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(stream, arguments, input=stdin, env={"COLUMNS": "80"}, catch_exceptions=False)


def listchannels(path: pathlib.Path) -> str:
    """The answer of a real node's listchannels, as a file."""
    scenes = json.loads((VECTORS / "cln-26.06-rpc.json").read_text())["scenes"]
    (answer,) = [scene["calls"][0]["result"] for scene in scenes if scene["scene"] == "listchannels"]
    path.write_text(json.dumps(answer))
    return str(path)


def test_the_table_fits_80_columns() -> None:
    result = call(*SMALL)
    assert result.exit_code == 0
    assert max(len(line) for line in result.output.splitlines()) <= 80
    assert "Sats by the Minute" in result.output
    assert "checked to the msat" in result.output.replace("\n", " ")
    assert "address not resolved" in result.output


def test_json_csv_and_html_say_the_same(tmp_path: pathlib.Path) -> None:
    table, page = tmp_path / "a.csv", tmp_path / "a.html"
    result = call(*SMALL, "--json", "--csv", str(table), "--html", str(page))
    account: dict[str, Any] = json.loads(result.output)
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert sum(int(row["settled_msat"]) for row in rows) == account["totals"]["settled_msat"] > 0
    assert account["given_msat"] == 6 * 2 * 100_000
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.html"]


def test_a_feed_from_standard_input_over_another_graph(tmp_path: pathlib.Path) -> None:
    graph = listchannels(tmp_path / "channels.json")
    recipient = "031c7e6e58789dcdfd763e9951e1be96a134b39e2c37c13072df00cd2e35259574"
    feed = f"""<rss xmlns:podcast="https://podcastindex.org/namespace/1.0"><channel><title>C</title>
    <podcast:value type="lightning" method="keysend"><podcast:valueRecipient type="node" address="{recipient}" split="1"/>
    </podcast:value><item><guid>1</guid></item></channel></rss>"""
    result = call("-", "--graph", graph, "--json", "--listeners", "3", "--rate", "2500msat/min", stdin=feed.encode())
    account = json.loads(result.output)
    assert account["totals"]["settled_msat"] == 3 * 10 * 2500
    # A pays over B, and B its own share of the three listeners directly.
    assert account["hops"] == {"1": 20, "2": 10} or account["hops"] == {"1": 10, "2": 20}


def test_a_keysend_document_turns_an_address_into_a_node(tmp_path: pathlib.Path) -> None:
    document = tmp_path / "fund.json"
    pubkey = "02c2cc6212ea3b464b470e0269c1f1ecd6cf7f424d4cd06e085a5969f30780a39f"
    document.write_text(json.dumps({"status": "OK", "tag": "keysend", "pubkey": pubkey}))
    result = call(*SMALL, "--item", "sbtm-3", "--json", "--keysend-doc", "fund@example.com", str(document))
    totals = json.loads(result.output)["totals"]
    assert totals["failed_msat"] == 0
    assert totals["settled_msat"] == 6 * 2 * 100_000


def test_the_other_packaged_feed_has_no_route() -> None:
    result = call(data.EXAMPLE_FEED, *SMALL)
    assert result.exit_code == 0
    assert "no route" in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("no-such-feed.xml",), 1, "No such file"),
        (("--remote", "no-such-feed.xml"), 1, "No such file"),
        (("--item", "no-such-item"), 1, "no item"),
        (("--rate", "5"), 2, "is not an amount"),
        (("--rate", "-5sat"), 2, "is not an amount"),
        (("--rate", "0.5sat"), 2, "is not an amount"),
        (("--rate", "0sat"), 2, "is not an amount"),
        (("--minutes", "0"), 2, "minutes"),
        (("--graph", "no-such-file"), 2, "No such file"),
        (("--graph", "a.csv:b.csv"), 2, "No such file"),
        (("--graph", __file__), 2, "not JSON"),
        (("--keysend-doc", "a@b", __file__), 1, "not JSON"),
        (("--csv", "/no/such/folder/a.csv", *SMALL), 1, "No such file"),
    ],
)
def test_refusals(arguments: tuple[str, ...], code: int, message: str) -> None:
    result = call(*arguments)
    assert result.exit_code == code
    assert message in result.output.replace("\n", " ")
    assert "Traceback" not in result.output


def test_a_malformed_feed_is_refused_with_its_line(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "feed.xml"
    path.write_text("<rss>\n<channel>\n</rss>")
    result = call(str(path))
    assert result.exit_code == 1
    assert "line 3" in result.output


@pytest.mark.parametrize("implementation", ["portable", "libsecp256k1"])
def test_another_implementation_pays_the_same(implementation: str) -> None:
    best = json.loads(call(*SMALL, "--json").output)
    other = json.loads(call(*SMALL, "--json", "--implementation", implementation, "--threads", "1").output)
    assert other["recipients"] == best["recipients"]
    assert other["options"]["implementation"] == implementation


def test_csv_graph(tmp_path: pathlib.Path) -> None:
    paths = []
    for name in (data.NODES, data.CHANNELS):
        with data.open_data(name) as file:
            (tmp_path / name).write_bytes(file.read())
        paths.append(str(tmp_path / name))
    result = call(*SMALL, "--json", "--graph", ":".join(paths))
    assert json.loads(result.output)["totals"]["settled_msat"] > 0
