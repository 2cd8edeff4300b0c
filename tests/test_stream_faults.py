"""Streams over networks with faults: what has another route settles to the msat, and the right culprit is named each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("scipy")
pytest.importorskip("defusedxml")
from keysend_fast import data
from keysend_fast.errors import InputError, NoRouteError
from keysend_fast.failure import Failure
from keysend_fast.payer.account import StreamAccount
from keysend_fast.payer.culprits import Culprits, percentile
from keysend_fast.payer.graph import ChannelGraph
from keysend_fast.payer.local_network import LocalNetwork, Outcome, Outgoing
from keysend_fast.payer.local_returns import FAILING_FAULTS, Fault
from keysend_fast.payer.plan import Plan, Planner
from keysend_fast.payer.report import html_report
from keysend_fast.payer.stream import NO_ADDRESS, NO_REMOTE, NO_ROUTE, Stream, StreamOptions, _Payment
from keysend_fast.payer.value import read_feed
from tests.test_stream import ALICE, BOB, HUB, PAYER, check_against_network, feed, graph, who
from tests.test_stream import KEYS as NODE_KEYS


class Watched(LocalNetwork):
    """A network that remembers what it did, so that the payer's conclusions can be held against it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.outcomes: list[Outcome] = []

    def send(self, payments: Sequence[Outgoing]) -> list[Outcome]:
        outcomes = super().send(payments)
        self.outcomes += outcomes
        return outcomes


class Told(Culprits):
    """What the payer concluded, failure by failure."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[tuple[Plan, Failure]] = []

    def failed(self, plan: Plan, failure: Failure) -> None:
        super().failed(plan, failure)
        self.failures.append((plan, failure))


class Recorded(Stream):
    """A stream that remembers the payments for which it found no route."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.without_route: list[_Payment] = []
        super().__init__(*args, **options)

    def _fail(self, payment: _Payment, reason: str) -> None:
        super()._fail(payment, reason)
        if reason == NO_ROUTE:
            self.without_route.append(payment)


def streamed(show: Any, net: ChannelGraph, **options: Any) -> tuple[StreamAccount, Recorded, Watched, Told]:
    chosen = StreamOptions(**({"threads": 1} | options))
    network = Watched(net, seed=chosen.seed.to_bytes(8, "big"), threads=chosen.threads)
    stream = Recorded([show], net, chosen, network=network)
    told = stream._culprits = Told()
    return stream.run(), stream, network, told


def faulty_link(outcome: Outcome, plan: Plan, faults: dict[int, Fault]) -> tuple[int, int]:
    """The two nodes between which the network says that it happened, as graph indexes."""
    graph = plan.graph
    place = outcome.layers
    if outcome.return_packet is not None and place and _answered_and_corrupted(outcome, plan, faults):
        place -= 1
    channel = plan.channels[place]
    return graph.source[channel], graph.destination[channel]


def _answered_and_corrupted(outcome: Outcome, plan: Plan, faults: dict[int, Fault]) -> bool:
    """A temporary_node_failure in this network comes from nowhere but a link that corrupts what comes back."""
    return outcome.code == 0x2002


def check_culprits(network: Watched, told: Told, faults: dict[int, Fault]) -> set[Fault]:
    """Every failure's blame is the link where the network says it was; returns the kinds that were met."""
    failed = [outcome for outcome in network.outcomes if outcome.code]
    assert len(failed) == len(told.failures)
    met: set[Fault] = set()
    for outcome, (plan, failure) in zip(failed, told.failures, strict=True):
        assert failure.blame is not None
        assert failure.blame.channel is not None
        channel = plan.channels[failure.blame.channel[1]]
        link = plan.graph.source[channel], plan.graph.destination[channel]
        assert link == faulty_link(outcome, plan, faults)
        between = network._between[link]
        met |= {faults[c] for c in between if c in faults}
        assert any(c in faults for c in between) or outcome.code == 0x1007, "a fault that nobody put there"
    return met


def check_settled(account: StreamAccount, stream: Recorded, faults: dict[int, Fault]) -> None:
    """Each payment that failed has no route, for its payer, recipient and amount, that leaves out the faulty channels and
    those that ran dry."""
    assert set(account.failed) <= {NO_ROUTE, NO_ADDRESS, NO_REMOTE}
    assert account.failed[NO_ROUTE] == len(stream.without_route)
    planner = Planner(stream.planner.graph)
    dry = {channel for channel in stream._avoided if channel not in faults}
    for channel in dry | {channel for channel, fault in faults.items() if fault in FAILING_FAULTS}:
        planner.avoid(planner.graph.scid[channel], planner.graph.direction[channel])
    for payment in stream.without_route:
        assert payment.payee.recipient.node_id is not None
        assert not _routes(planner, payment.payer, payment.payee.recipient.node_id, payment.amount_msat)


def _routes(planner: Planner, payer: bytes, recipient: bytes, amount_msat: int) -> bool:
    try:
        planner.plan(payer, recipient, amount_msat)
    except NoRouteError:
        return False
    return True


WAYS = ((HUB, ALICE), (HUB, BOB), (PAYER, HUB))  # a second channel of each pair


@pytest.mark.parametrize("fault", FAILING_FAULTS, ids=lambda fault: fault.value)
def test_one_faulty_channel_is_gone_round(fault: Fault) -> None:
    """Either direction of either hop: the parallel channel carries everything once the fault is known."""
    net = graph(ways=WAYS)
    for number in (0, 1, 2):
        for channel in (c for c in range(len(net)) if net.scid[c] == number << 40):
            stream = Stream([feed(who(ALICE, 3), who(BOB, 1))], net, StreamOptions(listeners=4, payers=1, threads=1))
            stream.network.inject(channel, fault)
            account = stream.run()
            assert account.total("settled") == account.total("payments") == 80
            assert not account.failed
            check_against_network(account, stream)
            name = f"{number}x0x0/{net.direction[channel]}"
            assert [culprit.name for culprit in account.culprits] in ([], [name])


def test_a_slow_channel_is_nobodys_failure_but_shows_in_hold_times() -> None:
    net = graph(ways=WAYS)
    stream = Stream([feed(who(ALICE))], net, StreamOptions(listeners=20, payers=1, threads=1))
    plan = stream.planner.plan(bytes.fromhex(NODE_KEYS[PAYER]), bytes.fromhex(NODE_KEYS[ALICE]), 100_000)
    stream.network.inject(plan.channels[1], Fault.SLOW)
    account = stream.run()
    assert not account.culprits
    slowest, *others = account.slowest
    assert slowest.name == f"{net.scid[plan.channels[1]] >> 40}x0x0/{net.direction[plan.channels[1]]}"
    assert (slowest.held, slowest.hold_p50 // 1000, slowest.hold_p99 // 1000) == (200, 5, 5)
    assert all(other.hold_p99 < 1000 for other in others)
    assert not slowest.failures


def test_an_advice_of_seconds_ends() -> None:
    """No liquidity is avoided for two minutes of listening, then tried again, and named again."""
    net = graph(ways=WAYS)
    stream = Stream([feed(who(ALICE))], net, StreamOptions(listeners=1, minutes=9, payers=1, wave=1, threads=1))
    plan = stream.planner.plan(bytes.fromhex(NODE_KEYS[PAYER]), bytes.fromhex(NODE_KEYS[ALICE]), 100_000)
    for channel in stream.network._between[net.source[plan.channels[1]], net.destination[plan.channels[1]]]:
        stream.network.inject(channel, Fault.NO_LIQUIDITY)
    account = stream.run()
    # minutes 0, 2, 4, 6 and 8 find out; between them there is no route
    assert account.total("settled") == 0
    assert sum(culprit.failures.total() for culprit in account.culprits) == 10
    assert account.failed == {NO_ROUTE: 9}
    check_against_network(account, stream)


def test_faults_without_another_way_fail_and_are_said() -> None:
    stream = Stream([feed(who(ALICE), who(BOB))], graph(), StreamOptions(listeners=2, minutes=1, payers=1, threads=1))
    plan = stream.planner.plan(bytes.fromhex(NODE_KEYS[PAYER]), bytes.fromhex(NODE_KEYS[ALICE]), 50_000)
    stream.network.inject(plan.channels[1], Fault.CORRUPTS_RETURN)
    account = stream.run()
    assert account.failed == {NO_ROUTE: 2}
    assert account.total("settled") == 2
    check_against_network(account, stream)
    assert "undecodable" in html_report(account)
    (written,) = account.to_dict()["culprits"]
    assert written["failures"] == {"undecodable": 2}


@pytest.mark.parametrize("seed", range(3))
def test_five_percent_of_the_public_graph(seed: int) -> None:
    """Mixed kinds on 5 % of all channel directions of the packaged graph, and the packaged feed."""
    with data.open_data(data.SPLITS_FEED) as file:
        show = read_feed(file)
    account, stream, network, told = streamed(
        show, ChannelGraph.packaged(), faults=0.05, retries=20, listeners=150, minutes=3, seed=seed, payers=16
    )
    assert len(stream.faults) == round(0.05 * len(network.graph))
    met = check_culprits(network, told, stream.faults)
    assert met <= set(FAILING_FAULTS)
    assert met
    check_settled(account, stream, stream.faults)
    check_against_network(account, stream)
    assert account.total("settled") > 0.5 * account.total("payments")
    assert account.retries > 0
    assert sum(culprit.failures.total() for culprit in account.culprits) == len(told.failures)


def test_every_kind_where_the_payments_go() -> None:
    """Faults of all kinds on the very channels that the stream would use: all are met, named and gone round."""
    net = ChannelGraph.packaged()
    with data.open_data(data.SPLITS_FEED) as file:
        show = read_feed(file)
    options = StreamOptions(listeners=200, minutes=2, payers=32, retries=20, threads=1)
    network = Watched(net, seed=b"faults")
    stream = Recorded([show], net, options, network=network)
    told = stream._culprits = Told()
    recipients = {node_id for value in stream._values() for node_id in stream._node_ids(value)}
    used = {
        channel
        for payer in stream.payers
        for recipient in recipients
        if _routes(stream.planner, payer, recipient, 50_000)
        for channel in stream.planner.plan(payer, recipient, 50_000).channels[1:-1]
    }
    kinds = list(Fault)
    faults = {channel: kinds[place % len(kinds)] for place, channel in enumerate(sorted(used))}
    for channel, fault in faults.items():
        network.inject(channel, fault)
    account = stream.run()
    assert check_culprits(network, told, faults) >= set(FAILING_FAULTS) - {Fault.NO_LIQUIDITY}
    assert {outcome.code for outcome in network.outcomes} >= {0, 0x1007, 0x1014, 0x100C, 0xC005, 0x2002}
    check_settled(account, stream, faults)
    check_against_network(account, stream)


def test_percentiles() -> None:
    counts = Counter({1: 98, 7: 1, 9: 1})
    assert [percentile(counts, percent) for percent in (0, 1, 50, 98, 99, 100)] == [1, 1, 1, 1, 7, 9]
    assert percentile(Counter(), 99) == 0


def test_failures_tell_how_long_they_took() -> None:
    """The channel behind a slow one fails: the payer's peer held each payment for the slow one's time."""
    ids = [bytes.fromhex(key) for key in NODE_KEYS]
    rows = []
    for number, (a, b) in enumerate([(PAYER, HUB), (HUB, ALICE), (ALICE, BOB)]):
        for source, destination in ((a, b), (b, a)):
            way = int(ids[source] > ids[destination])
            rows.append((number << 40, source, destination, way, 10**12, 1, 10**12, 10, 1000, 20))
    net = ChannelGraph(ids, rows)
    stream = Stream([feed(who(BOB))], net, StreamOptions(listeners=6, minutes=1, payers=1, threads=1))
    plan = stream.planner.plan(stream.payers[0], ids[BOB], 100_000)
    assert len(plan.channels) == 3
    stream.network.inject(plan.channels[1], Fault.SLOW)
    stream.network.inject(plan.channels[2], Fault.DISABLED)
    (culprit,) = stream.run().culprits
    assert (culprit.name[:5], culprit.failures) == ("2x0x0", {"channel_disabled": 6})
    assert 5000 <= culprit.waited_p50 == culprit.waited_p99 < 6000


def test_options_are_checked() -> None:
    for faults in (-0.1, 1.1):
        with pytest.raises(InputError, match="faults"):
            StreamOptions(faults=faults)
