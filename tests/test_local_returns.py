"""What the embedded network sends back, as the payer decodes it: every fault named, hold times as the channels took them."""

from __future__ import annotations

import pytest

pytest.importorskip("scipy")
from keysend_fast import KeysendPayment, build_keysends
from keysend_fast.failure import Action, Blame, Failure, FailureCode, decode_failure, decode_fulfilled
from keysend_fast.onion import OnionSecrets
from keysend_fast.payer.local_network import LocalNetwork, Outcome, Outgoing
from keysend_fast.payer.local_returns import FAILING_FAULTS, Ending, Fault, carry_back
from keysend_fast.status import Status
from tests.returns import secrets_of, sent_by
from tests.test_local_network import HEIGHT, chain, network, plan_along

HOPS = 5


def sent(net: LocalNetwork, hops: int = HOPS) -> tuple[Outcome, OnionSecrets, tuple[int, ...]]:
    """One keysend along the chain: how it ended, its secrets, the channels of its plan."""
    plan = plan_along(net.graph, nodes=hops + 1)
    onion = build_keysends([KeysendPayment(net.route(plan))], block_height=HEIGHT)[0]
    out = Outgoing(onion.packet, onion.payment_hash, plan.channels[0], onion.first_amount_msat, onion.first_cltv_expiry)
    (outcome,) = net.send([out])
    net.check_conserved()
    return outcome, onion.secrets, plan.channels


def read(outcome: Outcome, secrets: OnionSecrets) -> Failure:
    assert outcome.return_packet is not None
    return decode_failure(outcome.return_packet, secrets, attribution_data=outcome.attribution_data)


def held(net: LocalNetwork, channels: tuple[int, ...], last: int) -> tuple[int, ...]:
    """Hold times of the nodes up to the last, by the channels behind each."""
    ticks = [1 + channel % 3 + (50 if net._faults.get(channel) is Fault.SLOW else 0) for channel in channels]
    return tuple(sum(ticks[place + 1 : last + 1]) for place in range(last + 1))


EXPECTED = {
    Fault.NO_LIQUIDITY: FailureCode.TEMPORARY_CHANNEL_FAILURE,
    Fault.DISABLED: FailureCode.CHANNEL_DISABLED,
    Fault.FEE_RAISED: FailureCode.FEE_INSUFFICIENT,
    Fault.CORRUPTS_ONION: FailureCode.INVALID_ONION_HMAC,
}


@pytest.mark.parametrize("place", range(1, HOPS))
@pytest.mark.parametrize("fault", EXPECTED, ids=lambda fault: fault.value)
def test_the_node_before_a_faulty_channel_names_it(fault: Fault, place: int) -> None:
    net = network(chain(HOPS + 1))
    channels = plan_along(net.graph).channels
    net.inject(channels[place], fault)
    outcome, secrets, _ = sent(net)
    failure = read(outcome, secrets)
    assert (failure.status, failure.erring_index, failure.code) == (Status.OK, place - 1, EXPECTED[fault])
    assert failure.blame == Blame((place - 1, place))
    assert failure.advice.action is Action.AVOID_CHANNEL
    assert failure.hold_times == held(net, channels, place - 1)
    assert outcome.code == failure.code
    net.inject(channels[place], None)
    assert sent(net)[0].code == 0


@pytest.mark.parametrize("place", range(HOPS))
def test_a_link_that_corrupts_what_comes_back_is_found(place: int) -> None:
    net = network(chain(HOPS + 1))
    channels = plan_along(net.graph).channels
    net.inject(channels[place], Fault.CORRUPTS_RETURN)
    outcome, secrets, _ = sent(net)
    failure = read(outcome, secrets)
    assert (failure.status, failure.erring_index, failure.first_unverified) == (Status.UNDECODABLE, None, place)
    assert failure.blame == Blame((place - 1, place))
    assert failure.hold_times == held(net, channels, place)[:place]


@pytest.mark.parametrize("fault", [Fault.NO_LIQUIDITY, Fault.DISABLED, Fault.CORRUPTS_ONION], ids=lambda f: f.value)
def test_the_payers_own_channel_fails_without_a_packet(fault: Fault) -> None:
    net = network(chain(HOPS + 1))
    net.inject(plan_along(net.graph).channels[0], fault)
    outcome, _, _ = sent(net)
    assert (outcome.return_packet, outcome.attribution_data) == (None, None)
    assert outcome.local_message is not None
    failure = Failure(Status.OK, HOPS, -1, outcome.local_message)
    assert failure.code == EXPECTED[fault]
    assert failure.blame == Blame((-1, 0))


def test_hold_times_show_the_slow_channel() -> None:
    net = network(chain(HOPS + 1))
    channels = plan_along(net.graph).channels
    net.inject(channels[3], Fault.SLOW)
    outcome, secrets, _ = sent(net)
    assert (outcome.code, outcome.return_packet) == (0, None)
    assert outcome.attribution_data is not None
    report = decode_fulfilled(outcome.attribution_data, secrets)
    assert report.first_unverified is None
    assert report.hold_times == held(net, channels, HOPS - 1)
    spent = [here - behind for here, behind in zip(report.hold_times, report.hold_times[1:], strict=False)]
    assert [place + 1 for place, ticks in enumerate(spent) if ticks >= 50] == [3]


def test_faults_are_the_ones_that_fail_and_the_slow_one() -> None:
    assert {*FAILING_FAULTS, Fault.SLOW} == set(Fault)
    assert {*EXPECTED, Fault.CORRUPTS_RETURN} == set(FAILING_FAULTS)


def test_many_endings_go_back_like_each_alone() -> None:
    """Mixed distances, failures and fulfilments; checked against the reference's nodes."""
    endings = []
    for n in range(1, 9):
        secrets = secrets_of(n, n)
        ticks = list(range(1, n))
        endings += [Ending(secrets, None, ticks), Ending(secrets, bytes([0x20, 2]) * n, ticks)]
    together = carry_back(endings)
    for ending, returned in zip(endings, together, strict=True):
        assert carry_back([ending]) == [returned]
        last = None if ending.message is None else len(ending.secrets) - 1
        times = [ending.hold_time(place) for place in range(len(ending.secrets))]
        expected = sent_by(ending.secrets, last, ending.message or b"", times)[0]
        assert (returned.packet, returned.attribution_data) == expected
    assert carry_back([]) == []
