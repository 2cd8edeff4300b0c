"""The packaged data files are present, whole, and what PROVENANCE.md says they are."""

import csv
import gzip
import io
import json

import pytest

from keysend_fast import data


def _rows(name: str) -> list[dict[str, str]]:
    with data.open_data(name) as raw, gzip.open(raw, "rt", encoding="utf-8", newline="") as text:
        return list(csv.DictReader(io.StringIO(text.read())))


def test_every_name_opens() -> None:
    for name in data.NAMES:
        with data.open_data(name) as stream:
            assert len(stream.read(16)) == 16


def test_unknown_name_is_refused() -> None:
    with pytest.raises(KeyError, match="no packaged data file"):
        data.open_data("../errors.py")


def test_graph_counts_and_references() -> None:
    nodes = _rows(data.NODES)
    channels = _rows(data.CHANNELS)
    assert len(nodes) == 17_324
    assert len(channels) == 65_810
    assert [int(n["node_index"]) for n in nodes] == list(range(len(nodes)))
    for row in channels:
        assert 0 <= int(row["source_index"]) < len(nodes)
        assert 0 <= int(row["destination_index"]) < len(nodes)


def test_direction_is_that_of_bolt_7() -> None:
    nodes = [bytes.fromhex(n["node_id"]) for n in _rows(data.NODES)]
    for row in _rows(data.CHANNELS):
        source, destination = nodes[int(row["source_index"])], nodes[int(row["destination_index"])]
        assert int(row["direction"]) == (source > destination)


def test_routes() -> None:
    with data.open_data(data.ROUTES) as raw, gzip.open(raw, "rt", encoding="utf-8") as text:
        routes = [json.loads(line) for line in text]
    assert len(routes) == 1_745
    assert all(1 <= len(r["route"]) <= 8 and r["route"][-1]["id"] == r["destination"] for r in routes)
    assert len({hop["id"] for r in routes for hop in r["route"]}) == 241
