"""The embedded network: every layer peeled, every rule checked, every millisatoshi accounted for."""

import hashlib
import random
from dataclasses import replace

import pytest

from keysend_fast import Hop, KeysendPayment, Route, build_keysends, build_onion
from keysend_fast.errors import NoRouteError, RouteError
from keysend_fast.failure import FailureCode
from keysend_fast.payer.graph import ChannelGraph
from keysend_fast.payer.local_network import LocalNetwork, NetworkError, Outcome, Outgoing
from tests.reference import keysend as reference
from tests.reference import tlv as reference_tlv

pytest.importorskip("scipy")
from keysend_fast.payer.plan import Plan, Planner

HEIGHT = 800_000
CAPACITY = 10**9
BASE, PPM, DELTA = 1000, 500, 40


def chain(nodes: int = 4, parallel: int = 1) -> ChannelGraph:
    """A line of nodes with ``parallel`` channels between neighbours, both directions enabled."""
    ids = sorted(b"\x02" + hashlib.sha256(bytes([i])).digest() for i in range(nodes))
    rows = []
    for i in range(nodes - 1):
        for k in range(parallel):
            scid = (i + 1) << 40 | k
            for source, destination in ((i, i + 1), (i + 1, i)):
                limits = 1000, CAPACITY
                rows.append((scid, source, destination, int(source > destination), CAPACITY, *limits, BASE, PPM, DELTA))
    return ChannelGraph(ids, rows)


def network(graph: ChannelGraph, threads: int = 1) -> LocalNetwork:
    return LocalNetwork(graph, seed=b"test", block_height=HEIGHT, threads=threads)


def plan_along(graph: ChannelGraph, amount: int = 50_000, nodes: int | None = None) -> Plan:
    return Planner(graph).plan(graph.node_ids[0], graph.node_ids[(nodes or len(graph.node_ids)) - 1], amount)


def outgoing(net: LocalNetwork, plan: Plan, **changes: int) -> Outgoing:
    """A good keysend along a plan, its HTLC changed as told."""
    batch = build_keysends([KeysendPayment(net.route(plan), amount_msat=plan.amounts_msat[-1])], block_height=HEIGHT)
    onion = batch[0]
    htlc = Outgoing(
        onion.packet, onion.payment_hash, plan.channels[0], onion.first_amount_msat, onion.first_cltv_expiry
    )
    return replace(htlc, **changes)  # type: ignore[arg-type]


def one(net: LocalNetwork, payment: Outgoing) -> Outcome:
    (outcome,) = net.send([payment])
    net.check_conserved()
    return outcome


def worth(net: LocalNetwork) -> list[int]:
    return net.balances()


def test_a_payment_moves_what_it_says() -> None:
    graph = chain()
    net = network(graph)
    before = worth(net)
    plan = plan_along(graph)
    payment = outgoing(net, plan)
    outcome = one(net, payment)
    assert (outcome.code, outcome.node, outcome.layers) == (0, 3, 3)
    assert hashlib.sha256(outcome.preimage or b"").digest() == payment.payment_hash
    fee = [plan.amounts_msat[i] - plan.amounts_msat[i + 1] for i in range(2)]
    assert [after - was for after, was in zip(worth(net), before, strict=True)] == [
        -plan.amounts_msat[0],
        fee[0],
        fee[1],
        50_000,
    ]
    assert net.received_msat == {3: 50_000}
    assert net.layers == 3


def test_twins_are_other_nodes_and_the_same_for_one_seed() -> None:
    graph = chain()
    first, second, other = network(graph), network(graph), LocalNetwork(graph)
    assert first.twin_ids == second.twin_ids
    assert not set(first.twin_ids) & (set(graph.node_ids) | set(other.twin_ids))


def test_one_hop() -> None:
    graph = chain(2)
    net = network(graph)
    assert one(net, outgoing(net, plan_along(graph))).code == 0


@pytest.mark.parametrize(
    ("changes", "code", "layers"),
    [
        ({"amount_msat": 51_000}, FailureCode.FEE_INSUFFICIENT, 1),
        ({"cltv_expiry": HEIGHT + 60}, FailureCode.INCORRECT_CLTV_EXPIRY, 1),
        ({"amount_msat": CAPACITY}, FailureCode.TEMPORARY_CHANNEL_FAILURE, 0),
    ],
)
def test_htlcs_that_do_not_match_the_onion(changes: dict[str, int], code: int, layers: int) -> None:
    graph = chain()
    net = network(graph)
    before = worth(net)
    outcome = one(net, outgoing(net, plan_along(graph), **changes))
    assert (outcome.code, outcome.layers, outcome.preimage) == (code, layers, None)
    assert worth(net) == before


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount_msat": 49_999}, 19),
        ({"cltv_expiry": HEIGHT + 45}, 18),
    ],
)
def test_the_recipient_refuses_what_its_penultimate_node_took(changes: dict[str, int], code: int) -> None:
    graph = chain(2)
    net = network(graph)
    before = worth(net)
    outcome = one(net, outgoing(net, plan_along(graph), **changes))
    assert (outcome.code, outcome.layers) == (code, 1)
    assert worth(net) == before


def test_replays_and_second_htlcs_of_a_hash_are_refused() -> None:
    graph = chain()
    net = network(graph)
    plan = plan_along(graph)
    payment = outgoing(net, plan)
    first, again = net.send([payment, payment])
    assert first.code == 0
    assert (again.code, again.node, again.layers) == (FailureCode.TEMPORARY_CHANNEL_FAILURE, 1, 1)
    preimage = first.preimage or b""
    batch = build_keysends([KeysendPayment(net.route(plan), preimage=preimage)], block_height=HEIGHT)
    second = replace(payment, packet=batch[0].packet)
    assert (batch[0].payment_hash, one(net, second).code) == (payment.payment_hash, 0x400F)
    assert net.received_msat == {3: 50_000}


def test_a_changed_packet_is_refused_where_it_arrives() -> None:
    graph = chain()
    net = network(graph)
    payment = outgoing(net, plan_along(graph))
    for place, code in ((0, 0xC004), (1, 0xC006), (700, 0xC005), (1365, 0xC005)):
        packet = bytearray(payment.packet)
        packet[place] ^= 0x10
        outcome = one(net, replace(payment, packet=bytes(packet)))
        assert (outcome.code, outcome.node, outcome.layers) == (code, 1, 0)
    assert one(net, payment).code == 0


def test_an_onion_for_other_nodes_is_refused() -> None:
    graph = chain()
    here, there = network(graph), LocalNetwork(graph, seed=b"other", block_height=HEIGHT)
    assert one(here, outgoing(there, plan_along(graph))).code == FailureCode.INVALID_ONION_HMAC


def crafted(net: LocalNetwork, first: bytes) -> Outgoing:
    """An onion over node 1 to node 2 whose first payload is of the test's making."""
    preimage = b"\7" * 32
    payment_hash = hashlib.sha256(preimage).digest()
    final = reference.final_payload(50_000, HEIGHT + 46, preimage, {})
    onion = build_onion(net.twin_ids[1:3], [first, final], b"\1" * 32, payment_hash)
    return Outgoing(onion.packet, payment_hash, 0, 60_000, HEIGHT + 1 + 200)


def forward(amount: int = 50_000, cltv: int = HEIGHT + 46, scid: int = 2 << 40) -> bytes:
    return reference.forward_payload(amount, cltv, scid)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (forward(), 0),
        (forward(scid=77 << 40), FailureCode.UNKNOWN_NEXT_PEER),
        (forward(scid=3 << 40), FailureCode.UNKNOWN_NEXT_PEER),
        (forward(amount=999), FailureCode.AMOUNT_BELOW_MINIMUM),
        (forward(amount=59_000), FailureCode.FEE_INSUFFICIENT),
        (forward(amount=70_000), FailureCode.FEE_INSUFFICIENT),
        (forward(cltv=HEIGHT + 162), FailureCode.INCORRECT_CLTV_EXPIRY),
        (forward(cltv=HEIGHT + 3), FailureCode.EXPIRY_TOO_SOON),
        (forward(cltv=HEIGHT + 2018), FailureCode.EXPIRY_TOO_FAR),
        (forward() + b"\xfe\x00\x01\x00\x00\x00", FailureCode.INVALID_ONION_PAYLOAD),
        (forward() + b"\xfe\x00\x01\x00\x01\x00", 0),
        (reference_tlv.encode({2: b"\1", 4: b"\1"}), FailureCode.INVALID_ONION_PAYLOAD),
        (reference_tlv.encode({2: b"\0\1", 4: b"\1", 6: bytes(8)}), FailureCode.INVALID_ONION_PAYLOAD),
        (reference_tlv.encode({2: b"\1", 4: b"\1" * 5, 6: bytes(8)}), FailureCode.INVALID_ONION_PAYLOAD),
        (reference_tlv.encode({2: b"\1", 4: b"\1", 6: bytes(7)}), FailureCode.INVALID_ONION_PAYLOAD),
        (b"\4\1\1\2\1\1", FailureCode.INVALID_ONION_PAYLOAD),
    ],
)
def test_forwarding_rules(payload: bytes, code: int) -> None:
    net = network(chain())
    before = worth(net)
    outcome = one(net, crafted(net, payload))
    assert outcome.code == code
    if code:
        assert (outcome.node, outcome.layers) == (1, 1)
        assert worth(net) == before


def test_a_direction_that_is_not_enabled() -> None:
    graph = chain()
    rows = [
        tuple(getattr(graph, name)[c] for name in COLUMNS)
        for c in range(len(graph))
        if (graph.source[c], graph.destination[c]) != (1, 2)
    ]
    net = network(ChannelGraph(graph.node_ids, rows))
    assert one(net, crafted(net, forward())).code == FailureCode.CHANNEL_DISABLED


COLUMNS = (
    "scid",
    "source",
    "destination",
    "direction",
    "capacity_msat",
    "htlc_minimum_msat",
    "htlc_maximum_msat",
    "fee_base_msat",
    "fee_ppm",
    "cltv_delta",
)


def test_another_channel_to_the_same_peer_takes_what_the_named_one_cannot() -> None:
    amount = CAPACITY // 5
    for parallel, carried in ((1, 2), (2, 4)):
        graph = chain(3, parallel)
        net = network(graph)
        # The payer's own channels differ, so that only the second hop is short of funds.
        plan = plan_along(graph, amount)
        payments = []
        for k in range(5):
            own = graph.by_scid[1 << 40 | k % parallel, graph.direction[plan.channels[0]]]
            payments.append(outgoing(net, plan, channel=own))
        outcomes = net.send(payments)
        net.check_conserved()
        assert [outcome.code for outcome in outcomes].count(0) == carried
        assert {outcome.code for outcome in outcomes} == {0, FailureCode.TEMPORARY_CHANNEL_FAILURE}


def test_money_that_moved_is_money_that_can_move_back() -> None:
    graph = chain(2)
    net = network(graph)
    there = plan_along(graph, CAPACITY // 2)
    back = Planner(graph).plan(graph.node_ids[1], graph.node_ids[0], CAPACITY)
    assert one(net, outgoing(net, back)).code == FailureCode.TEMPORARY_CHANNEL_FAILURE
    assert one(net, outgoing(net, there)).code == 0
    assert one(net, outgoing(net, there)).code == FailureCode.TEMPORARY_CHANNEL_FAILURE
    assert one(net, outgoing(net, back)).code == 0
    assert worth(net) == [CAPACITY, 0]


def test_conservation_is_really_checked() -> None:
    net = network(chain())
    net._balance[3] += 1
    with pytest.raises(NetworkError):
        net.check_conserved()


@pytest.mark.parametrize("threads", [1, 3])
def test_random_payments_over_the_real_graph(threads: int) -> None:
    graph = ChannelGraph.packaged()
    net = network(graph, threads)
    planner = Planner(graph)
    rng = random.Random(5)
    recipients = [bytes.fromhex("02d5c1bf8b940dc9cadca86d1b0a3c37fbe39cee4c7e839e33bef9174531d27f52")]
    recipients.append(bytes.fromhex("03ae9f91a0cb8ff43840e3c322c4c61f019d8c1c3cea15a25cfc425ac605e61a4a"))
    payers = [graph.node_ids[i] for i in range(200)]
    plans: list[Plan] = []
    while len(plans) < 300:
        try:
            plans.append(
                planner.plan(rng.choice(payers), rng.choice(recipients), rng.choice([1000, 21_000, 75_500, 999_999]))
            )
        except (NoRouteError, RouteError):  # some nodes have no way out; what is left is checked below
            continue
    payments = [KeysendPayment(net.route(plan), amount_msat=plan.amounts_msat[-1]) for plan in plans]
    batch = build_keysends(payments, block_height=HEIGHT)
    total = sum(net._balance)
    sent = [
        Outgoing(o.packet, o.payment_hash, p.channels[0], o.first_amount_msat, o.first_cltv_expiry)
        for o, p in zip((batch[i] for i in range(len(batch))), plans, strict=True)
    ]
    outcomes = net.send(sent)
    net.check_conserved()
    assert sum(net._balance) == total
    assert [outcome.code for outcome in outcomes] == [0] * 300
    for plan, payment, outcome in zip(plans, sent, outcomes, strict=True):
        assert hashlib.sha256(outcome.preimage or b"").digest() == payment.payment_hash
        assert outcome.layers == len(plan.channels)
        assert payment.amount_msat == plan.amounts_msat[0]
    assert net.layers == sum(len(plan.channels) for plan in plans)
    assert sum(net.received_msat.values()) == sum(plan.amounts_msat[-1] for plan in plans)


def test_routes_are_reused_for_other_amounts() -> None:
    graph = chain()
    net = network(graph)
    planner = Planner(graph)
    routes = {id(net.route(planner.plan(graph.node_ids[0], graph.node_ids[3], amount))) for amount in (5_000, 50_000)}
    assert len(routes) == 1
    assert isinstance(net.route(plan_along(graph)), Route)
    assert isinstance(net.route(plan_along(graph)).hops[0], Hop)
