"""The planner: every route is checked hop by hop, by arithmetic of the test's own, and against exhaustive search."""

import csv
import gzip
import io
import json
import pathlib
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from keysend_fast import data
from keysend_fast.errors import InputError, NoRouteError, RouteError
from keysend_fast.payer.graph import ChannelGraph
from keysend_fast.payer.plan import CostModel, Plan, Planner
from keysend_fast.route import parse_short_channel_id

pytest.importorskip("scipy")


class Row(NamedTuple):
    """One line of the packaged channels file, read by the test itself."""

    source: str
    destination: str
    capacity_msat: int
    lowest: int
    highest: int
    base: int
    ppm: int
    delta: int


def read_rows() -> dict[tuple[int, int], Row]:
    """The packaged channels by (short channel id, direction)."""

    def lines(name: str) -> Iterator[dict[str, str]]:
        with data.open_data(name) as raw, gzip.open(raw, "rt", encoding="utf-8", newline="") as text:
            yield from csv.DictReader(text)

    ids = [row["node_id"] for row in lines(data.NODES)]
    rows = {}
    for r in lines(data.CHANNELS):
        block, transaction, output = map(int, r["short_channel_id"].split("x"))
        rows[block * 2**40 + transaction * 2**16 + output, int(r["direction"])] = Row(
            ids[int(r["source_index"])],
            ids[int(r["destination_index"])],
            int(r["capacity_sat"]) * 1000,
            int(r["htlc_minimum_msat"]),
            int(r["htlc_maximum_msat"]),
            int(r["base_fee_msat"]),
            int(r["fee_ppm"]),
            int(r["cltv_expiry_delta"]),
        )
    return rows


def check(plan: Plan, rows: dict[tuple[int, int], Row], payer: str, recipient: str, amount: int) -> None:
    """Walk a route as its nodes would: each keeps its fee and its delta by its own policy, within its limits."""
    hops = list(plan.hops())
    at = payer
    carried = plan.amounts_msat[0]
    expiry = plan.cltv_deltas[0]
    for number, hop in enumerate(hops):
        row = rows[hop.short_channel_id, hop.direction]
        assert row.source == at
        assert row.destination == hop.node_id.hex()
        if number:
            carried -= row.base + hop.amount_msat * row.ppm // 1_000_000
            expiry -= row.delta
        assert hop.amount_msat == carried
        assert hop.cltv_delta == expiry
        assert row.lowest <= carried <= min(row.highest, row.capacity_msat)
        at = row.destination
    assert (at, carried, expiry) == (recipient, amount, 45)
    assert plan.fee_msat == plan.amounts_msat[0] - amount
    assert len({payer} | {hop.node_id.hex() for hop in hops}) == len(hops) + 1
    assert len(hops) <= 20
    assert plan.cltv_deltas[0] <= 2016


def test_2000_random_pairs() -> None:
    """Every route is valid; where there is none, none is reachable over channels with room to spare."""
    rows = read_rows()
    graph = ChannelGraph.packaged()
    planner = Planner(graph)
    rng = random.Random(20260203)
    payers = sorted({row.source for row in rows.values()})
    recipients = rng.sample(sorted({row.destination for row in rows.values()}), 20)
    found = 0
    for _ in range(2000):
        payer, recipient = rng.choice(payers), rng.choice(recipients)
        amount = rng.choice([1000, 15_000, 77_777, 500_000, 4_000_000, 90_000_000, 700_000_000]) + rng.randrange(3)
        if payer == recipient:
            continue
        try:
            plan = planner.plan(bytes.fromhex(payer), bytes.fromhex(recipient), amount)
        except NoRouteError:
            assert recipient not in reachable(rows, payer, amount)
            continue
        found += 1
        check(plan, rows, payer, recipient, amount)
    assert found > 1000


def reachable(rows: dict[tuple[int, int], Row], payer: str, amount: int) -> set[str]:
    """Nodes that can be reached over channels that carry the amount and its fees ten times over."""
    by_source: dict[str, list[str]] = {}
    for row in rows.values():
        if row.lowest <= amount and min(row.highest, row.capacity_msat) >= 10 * amount + 1_000_000:
            by_source.setdefault(row.source, []).append(row.destination)
    seen, edge = {payer}, [payer]
    for _ in range(5):
        edge = [b for a in edge for b in by_source.get(a, []) if not (b in seen or seen.add(b))]  # type: ignore[func-returns-value]
    return seen


def small_graph(rng: random.Random, nodes: int, channels: int) -> ChannelGraph:
    ids = sorted(bytes([2 + rng.randrange(2)]) + rng.randbytes(32) for _ in range(nodes))
    rows = []
    for number in range(channels):
        a, b = rng.sample(range(nodes), 2)
        capacity = rng.choice([10**6, 10**8, 10**10])
        for source, destination in ((a, b), (b, a)):
            policy = rng.choice([0, 1, 1000, 5000]), rng.choice([0, 1, 100, 2500, 10_000]), rng.choice([6, 34, 80, 144])
            limits = rng.choice([0, 1, 1000, 2_000_000]), rng.choice([capacity, capacity // 2, 900_000])
            rows.append((number << 40, source, destination, int(source > destination), capacity, *limits, *policy))
    return ChannelGraph(ids, rows)


def every_cost(graph: ChannelGraph, here: int, there: int, amount: int, cost: CostModel) -> Iterator[float]:
    """The cost of every simple way that carries the amount, found by trying all."""

    def extend(node: int, carried: int, locked: int, spent: float, seen: frozenset[int]) -> Iterator[float]:
        for c in range(len(graph)):
            if graph.destination[c] != node or graph.source[c] in seen:
                continue
            if not graph.htlc_minimum_msat[c] <= carried <= graph.htlc_maximum_msat[c]:
                continue
            if graph.source[c] == here:
                yield spent
                continue
            fee = graph.fee_base_msat[c] + carried * graph.fee_ppm[c] // 10**6
            step = fee + carried * graph.cltv_delta[c] * cost.cltv_ppb / 10**9 + cost.hop_msat
            longer = seen | {graph.source[c]}
            yield from extend(graph.source[c], carried + fee, locked + graph.cltv_delta[c], spent + step, longer)

    yield from extend(there, amount, 45, 0.0, frozenset({there}))


def cost_of(plan: Plan, cost: CostModel) -> float:
    total = 0.0
    for c, amount, before in zip(plan.channels[1:], plan.amounts_msat[1:], plan.amounts_msat, strict=False):
        total += before - amount + amount * plan.graph.cltv_delta[c] * cost.cltv_ppb / 10**9 + cost.hop_msat
    return total


@pytest.mark.parametrize(
    "model", [CostModel(), CostModel(0, 1), CostModel(1000, 5000)], ids=["default", "fees", "short"]
)
def test_cost_is_within_one_percent_of_exhaustive_search(model: CostModel) -> None:
    rng = random.Random(7)
    planned = refused = 0
    for _ in range(600):
        graph = small_graph(rng, 7, 12)
        planner = Planner(graph, cost=model)
        for _ in range(4):
            here, there = rng.sample(range(7), 2)
            amount = rng.choice([1000, 12_345, 50_000, 999_999, 5_000_000])
            costs = list(every_cost(graph, here, there, amount, model))
            try:
                plan = planner.plan(graph.node_ids[here], graph.node_ids[there], amount)
            except NoRouteError:
                refused += 1
                assert not costs
                continue
            planned += 1
            # A bucket's fees are rounded at its middle: a millisatoshi or two beside the 1 %.
            assert min(costs) - 1e-6 <= cost_of(plan, model) <= min(costs) * 1.01 + 2
    assert planned > 1200
    assert refused > 80


def line(*policies: tuple[int, int, int], limits: tuple[int, int] = (0, 10**9)) -> ChannelGraph:
    """A chain of nodes; channel i from node i to node i + 1 with (base, ppm, delta)."""
    ids = [b"\x02" + bytes(31) + bytes([i + 1]) for i in range(len(policies) + 1)]
    return ChannelGraph(ids, [((i + 1) << 40, i, i + 1, 0, 10**9, *limits, *p) for i, p in enumerate(policies)])


def ends(graph: ChannelGraph) -> tuple[bytes, bytes]:
    return graph.node_ids[0], graph.node_ids[-1]


def test_the_example_of_bolt_7() -> None:
    """BOLT 7, HTLC Fees: A pays D over B, which takes 200 + 2000 ppm and 20 blocks, and C (300 + 3000 ppm, 30)."""
    graph = line((100, 1000, 10), (200, 2000, 20), (300, 3000, 30))
    plan = Planner(graph, final_cltv_delta=9).plan(*ends(graph), 4_999_999)
    assert plan.amounts_msat[2] == 4_999_999
    assert plan.amounts_msat[1] == 4_999_999 + 300 + 14_999
    assert plan.amounts_msat[0] == 5_015_298 + 200 + 10_030
    assert plan.cltv_deltas == (59, 39, 9)


def test_amounts_of_one_bucket_share_a_tree_but_not_a_price() -> None:
    graph = line((0, 0, 10), (0, 10_000, 10))
    planner = Planner(graph)
    assert [planner.plan(*ends(graph), amount).fee_msat for amount in (100_000, 100_100, 100_200)] == [1000, 1001, 1002]


def test_limits_are_exact_at_their_edges() -> None:
    graph = line((0, 0, 10), (0, 0, 10), limits=(1000, 2000))
    planner = Planner(graph)
    for amount, fits in ((999, False), (1000, True), (1001, True), (2000, True), (2001, False)):
        if fits:
            assert planner.plan(*ends(graph), amount).amounts_msat[0] == amount
        else:
            with pytest.raises(NoRouteError):
                planner.plan(*ends(graph), amount)


def test_parallel_channels_and_what_is_avoided() -> None:
    a, b = b"\x02" + b"\1" * 32, b"\x03" + b"\2" * 32
    c = b"\x03" + b"\3" * 32
    rows = [(1, 0, 1, 0, 10**9, 0, 10**9, 0, 0, 10)]
    rows += [(scid, 1, 2, 0, 10**9, 0, 10**9, fee, 0, 10) for scid, fee in ((2, 900), (3, 500), (4, 700))]
    planner = Planner(ChannelGraph([a, b, c], rows))
    for scid in (3, 4, 2):
        assert planner.plan(a, c, 5000).channels[1] == scid - 1
        planner.avoid(scid, 0)
    with pytest.raises(NoRouteError):
        planner.plan(a, c, 5000)
    with pytest.raises(RouteError):
        planner.avoid(99, 0)


def test_length_and_expiry_are_bounded() -> None:
    graph = line(*[(0, 0, 10)] * 21)
    with pytest.raises(NoRouteError):
        Planner(graph).plan(*ends(graph), 1000)
    assert len(Planner(graph, max_hops=21).plan(*ends(graph), 1000).channels) == 21
    graph = line((0, 0, 10), (0, 0, 2000))
    with pytest.raises(NoRouteError):
        Planner(graph).plan(*ends(graph), 1000)


def test_misuse_is_told_from_no_route() -> None:
    graph = line((0, 0, 10))
    planner = Planner(graph)
    here, there = ends(graph)
    for amount in (0, -1, 2**54):
        with pytest.raises(RouteError):
            planner.plan(here, there, amount)
    with pytest.raises(RouteError, match="same node"):
        planner.plan(here, here, 1)
    with pytest.raises(NoRouteError, match="not in the graph"):
        planner.plan(here, b"\x02" * 33, 1)
    with pytest.raises(NoRouteError):
        planner.plan(there, here, 1)
    with pytest.raises(InputError):
        Planner(graph, max_hops=0)
    with pytest.raises(InputError):
        CostModel(hop_msat=0)


def test_caches_are_bounded() -> None:
    graph = line((0, 0, 10), (0, 10, 10))
    planner = Planner(graph, max_trees=3)
    for amount in range(1000, 1_000_000, 1000):
        planner.plan(*ends(graph), amount)
    assert len(planner._trees) == 3
    assert len(planner._routes) == 3 * 64


def test_cln_listchannels() -> None:
    """A real node's answer makes a graph, and the node's own getroutes agrees with the plan."""
    path = pathlib.Path(__file__).parent / "vectors" / "cln-26.06-rpc.json"
    scenes = {scene["scene"]: scene["calls"][0] for scene in json.loads(path.read_text())["scenes"]}
    graph = ChannelGraph.from_cln_listchannels(scenes["listchannels"]["result"])
    request, answer = (scenes["getroutes A to C"][part] for part in ("params", "result"))
    source, destination = (bytes.fromhex(request[end]) for end in ("source", "destination"))
    plan = Planner(graph).plan(source, destination, request["amount_msat"])
    path_of_node = answer["routes"][0]["path"]
    assert [parse_short_channel_id(hop["short_channel_id_dir"].split("/")[0]) for hop in path_of_node] == [
        hop.short_channel_id for hop in plan.hops()
    ]
    assert [hop["amount_out_msat"] for hop in path_of_node] == list(plan.amounts_msat)
    assert [hop["cltv_out"] for hop in path_of_node] == list(plan.cltv_deltas)


def test_cln_listchannels_leaves_out_inactive_and_names_bad_ones() -> None:
    good = {
        "source": "02" + "11" * 32,
        "destination": "03" + "22" * 32,
        "short_channel_id": "1x2x3",
        "direction": 0,
        "active": True,
        "amount_msat": "5000msat",
        "htlc_minimum_msat": 0,
        "base_fee_millisatoshi": 1,
        "fee_per_millionth": 2,
        "delay": 3,
    }
    graph = ChannelGraph.from_cln_listchannels({"channels": [good, {**good, "active": False, "direction": 1}]})
    assert (len(graph), graph.capacity_msat, graph.htlc_maximum_msat) == (1, [5000], [5000])
    changes = {"source": "02", "direction": 1, "short_channel_id": "1x2", "amount_msat": True, "delay": 2**16}
    for key, value in changes.items():
        with pytest.raises(InputError, match="channel 1|channel 0" if key in ("direction", "delay") else "channel 1"):
            ChannelGraph.from_cln_listchannels({"channels": [{**good, "active": False}, {**good, key: value}]})
    with pytest.raises(InputError, match="given twice"):
        ChannelGraph.from_cln_listchannels({"channels": [good, good]})
    with pytest.raises(InputError):
        ChannelGraph.from_cln_listchannels({})


NODES = "node_index,node_id\n0,02" + "11" * 32 + "\n1,03" + "22" * 32 + "\n"
CHANNELS = (
    "short_channel_id,source_index,destination_index,direction,capacity_sat,htlc_minimum_msat,htlc_maximum_msat,"
    "base_fee_msat,fee_ppm,cltv_expiry_delta\n1x1x1,0,1,0,5,0,9000,1,2,3\n"
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n, c: (n.replace("1,03", "7,03"), c), "nodes: line 3"),
        (lambda n, c: (n.replace("03", "04"), c), "nodes: line 3"),
        (lambda n, c: (n.replace("node_id", "id"), c), "nodes: line 1"),
        (lambda n, c: (n, c.replace("1x1x1,0", "1x1x1,x")), "channels: line 2"),
        (lambda n, c: (n, c.replace("1x1x1", "1x1")), "channels: line 2"),
        (lambda n, c: (n, c.replace(",2,3", "")), "channels: line 2"),
        (lambda n, c: (n, c.replace("1x1x1,0,1,0", "1x1x1,0,9,0")), "channel 0"),
        (lambda n, c: (n, c.replace("1x1x1,0,1,0", "1x1x1,0,1,1")), "channel 0: direction"),
        (lambda n, c: (n, c.replace("9000", "-1")), "channel 0"),
        (lambda n, c: (n, "\udcff"), "channels: "),
    ],
)
def test_bad_csv(change: Callable[[str, str], tuple[str, str]], message: str) -> None:
    good = [io.BytesIO(text.encode()) for text in (NODES, CHANNELS)]
    assert ChannelGraph.from_csv(*good).htlc_maximum_msat == [5000]
    bad = [io.BytesIO(text.encode(errors="surrogateescape")) for text in change(NODES, CHANNELS)]
    with pytest.raises(InputError, match=message):
        ChannelGraph.from_csv(*bad)


def test_an_empty_graph_has_no_route() -> None:
    graph = ChannelGraph([b"\x02" + b"\1" * 32, b"\x02" + b"\2" * 32], [])
    with pytest.raises(NoRouteError):
        Planner(graph).plan(*ends(graph), 1000)
