"""The stream: feed in, settled millisatoshis out, and every one of them recomputed here by other arithmetic."""

import hashlib
import json
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

pytest.importorskip("scipy")
pytest.importorskip("defusedxml")
from keysend_fast import KeysendPayment, data
from keysend_fast.errors import FeedError, InputError, SplitError
from keysend_fast.payer.account import StreamAccount
from keysend_fast.payer.graph import ChannelGraph
from keysend_fast.payer.lnaddress import KeysendAddress
from keysend_fast.payer.local_network import LocalNetwork, NetworkError
from keysend_fast.payer.splits import FeeMode, Rounding, SplitPolicy
from keysend_fast.payer.stream import NO_ADDRESS, NO_REMOTE, NO_ROOM, NO_ROUTE, Stream, StreamOptions
from keysend_fast.payer.value import Feed, Item, Recipient, RemoteItem, TimeSplit, Value, read_feed

# Real points, so that recipients look as they do in feeds; in order, as a graph's directions need it.
KEYS = sorted(
    [
        "02d5c1bf8b940dc9cadca86d1b0a3c37fbe39cee4c7e839e33bef9174531d27f52",
        "02c2cc6212ea3b464b470e0269c1f1ecd6cf7f424d4cd06e085a5969f30780a39f",
        "028eb5be336f7fdf2a4e40c57ff55d3d5d71277bb4197ea14957f756bff249e623",
        "0266ad2656c7a19a219d37e82b280046660f4d7f3ae0c00b64a1629de4ea567668",
        "03ae9f91a0cb8ff43840e3c322c4c61f019d8c1c3cea15a25cfc425ac605e61a4a",
    ]
)
PAYER, HUB, ALICE, BOB, LONELY = range(5)


def graph(capacity: int = 10**10, ways: tuple[tuple[int, int], ...] = ()) -> ChannelGraph:
    """The payer and the hub; the hub and Alice; the hub and Bob; further ways on demand. The last has no channel."""
    rows = []
    for number, (a, b) in enumerate([(PAYER, HUB), (HUB, ALICE), (HUB, BOB), *ways]):
        room = capacity if number else 10**12
        for source, destination in ((a, b), (b, a)):
            way = int(KEYS[source] > KEYS[destination])
            rows.append((number << 40, source, destination, way, room, 1, room, 10, 1000, 20))
    return ChannelGraph([bytes.fromhex(key) for key in KEYS], rows)


def who(index: int, split: int | None = 1, *, fee: bool = False, custom: tuple[tuple[int, str], ...] = ()) -> Recipient:
    return Recipient(f"r{index}", "node", KEYS[index], split, fee, custom)


def feed(*recipients: Recipient, splits: tuple[TimeSplit, ...] = (), title: str = "A show") -> Feed:
    value = Value("lightning", "keysend", None, recipients, splits)
    return Feed(title, "guid-of-the-show", "", value, (Item("One", "one"), Item("Two", "two")))


def run(show: Feed, net: ChannelGraph | None = None, **options: Any) -> tuple[StreamAccount, Stream]:
    extra = {name: options.pop(name) for name in ("addresses", "remotes") if name in options}
    options = {"listeners": 4, "minutes": 5, "payers": 1, "threads": 1} | options
    stream = Stream([show], net or graph(), StreamOptions(**options), **extra)
    return stream.run(), stream


def by_name(account: StreamAccount) -> dict[str, tuple[int, int, int, int]]:
    return {
        r.name: (r.due_msat, r.settled_msat, r.carried_msat, sum(r.failed_msat.values())) for r in account.recipients
    }


def check_against_network(account: StreamAccount, stream: Stream) -> None:
    """Nobody's books are believed: what nodes own now says what was paid."""
    network = stream.network
    fresh = LocalNetwork(network.graph)
    change = [now - was for now, was in zip(network.balances(), fresh.balances(), strict=True)]
    assert sum(change) == 0
    settled: Counter[str] = Counter()
    for recipient in account.recipients:
        settled[recipient.address] += recipient.settled_msat
    for index, node_id in enumerate(network.graph.node_ids):
        assert network.received_msat.get(index, 0) == settled[node_id.hex()]
    payers = {network.graph.index[payer] for payer in stream.payers}
    spent = -sum(change[payer] for payer in payers)
    earned = sum(c - network.received_msat.get(i, 0) for i, c in enumerate(change) if i not in payers)
    # Payers forward too: what they earn by it lowers what they spent and what the others earned alike.
    forwarded = account.total("fee_msat") - earned
    assert forwarded == account.total("settled_msat") + account.total("fee_msat") - spent
    assert forwarded == 0 if len(network.graph.node_ids) == len(KEYS) else forwarded >= 0


def test_minutes_reach_the_recipients() -> None:
    account, stream = run(feed(who(ALICE, 3), who(BOB, 1)))
    assert account.given_msat == 4 * 5 * 100_000
    assert by_name(account) == {"r2": (1_500_000, 1_500_000, 0, 0), "r3": (500_000, 500_000, 0, 0)}
    assert account.attempts == account.total("payments") == account.total("settled") == 40
    assert account.hops == {2: 40}
    assert stream.network.layers == account.layers == 80
    # The hub takes 10 msat and 0.1 %.
    assert account.total("fee_msat") == 40 * 10 + 2_000_000 // 1000
    check_against_network(account, stream)


def test_minutes_sent_together_are_fewer_payments_of_the_same_money() -> None:
    account, stream = run(feed(who(ALICE, 2), who(BOB, 1)), every=3, msat_per_minute=100_001)
    assert account.total("payments") == 4 * 2 * 2
    assert account.total("settled_msat") == account.given_msat == 4 * 5 * 100_001
    check_against_network(account, stream)


def test_dust_is_carried_and_what_stays_is_said() -> None:
    account, stream = run(feed(who(ALICE, 999), who(BOB, 1)), msat_per_minute=400_000, minutes=7, listeners=1)
    assert by_name(account)["r3"] == (2800, 2400, 400, 0)
    assert [r.payments for r in account.recipients] == [7, 2]
    check_against_network(account, stream)


def test_rounding_down_leaves_the_rest_with_the_listener() -> None:
    policy = SplitPolicy(FeeMode.PERCENT_OF_TOTAL, Rounding.FLOOR_SAT)
    account, stream = run(feed(who(ALICE, 1), who(BOB, 2)), policy=policy, msat_per_minute=10_000)
    assert account.unshared_msat == 20 * 1000
    assert by_name(account)["r2"][0] == 20 * 3000
    check_against_network(account, stream)


def test_unreachable_unresolved_and_missing_are_failures_by_name() -> None:
    song = TimeSplit(120_000, 60_000, (), RemoteItem("music", "song"), 0, 50)
    fund = Recipient("fund", "lnaddress", "fund@example.com", 1)
    account, stream = run(feed(who(ALICE), who(LONELY), fund, splits=(song,)), minutes=3, msat_per_minute=90_000)
    found = by_name(account)
    each = 4 * (2 * 30_000 + 15_000)
    assert found["r2"] == (each, each, 0, 0)
    assert found["r4"] == found["fund"] == (each, 0, 0, each)
    assert found["remote item"] == (4 * 45_000, 0, 0, 4 * 45_000)
    assert account.failed == {NO_ROUTE: 12, NO_ADDRESS: 12, NO_REMOTE: 4}
    assert account.total("due_msat") == account.given_msat
    check_against_network(account, stream)


def test_remote_items_and_addresses_that_are_at_hand_are_paid() -> None:
    song = TimeSplit(0, 600_000, (), RemoteItem("music", "song"), 0, 90)
    fund = Recipient("fund", "lnaddress", "Fund@example.com", 1)
    block = Value("lightning", "keysend", None, (who(BOB, None),))
    account, stream = run(
        feed(fund, splits=(song,)),
        remotes=[Feed("Music", "music", "", None, (Item("Song", "song", block),))],
        addresses={"fund@example.com": KeysendAddress(KEYS[ALICE], ((696_969, "w"),))},
    )
    assert by_name(account) == {"fund": (200_000, 200_000, 0, 0), "r3": (1_800_000, 1_800_000, 0, 0)}
    assert account.recipients[0].custom == "696969"
    check_against_network(account, stream)


def test_a_drained_channel_is_gone_round_and_the_money_arrives_once() -> None:
    # Half of 3,000,000 msat lies on the hub's side: enough for some payments, not for all.
    account, stream = run(
        feed(who(ALICE)), graph(3_000_000, ((HUB, BOB), (BOB, ALICE))), listeners=31, wave=4, minutes=1
    )
    assert account.retries > 0
    assert account.attempts == account.total("payments") + account.retries
    assert account.total("settled") == 30
    assert account.failed == {NO_ROUTE: 1}
    assert account.hops == {2: 15, 3: 15}
    check_against_network(account, stream)


def test_when_all_channels_are_drained_the_rest_is_failed() -> None:
    account, stream = run(feed(who(ALICE)), graph(3_000_000), listeners=40, wave=7, minutes=1)
    settled = account.total("settled")
    assert settled == 15
    assert account.failed == {NO_ROUTE: 40 - settled}
    assert account.failed_msat == (40 - settled) * 100_000
    check_against_network(account, stream)


def test_without_retries_the_code_is_the_reason() -> None:
    account, _ = run(feed(who(ALICE)), graph(3_000_000), listeners=40, minutes=1, retries=0)
    assert account.failed["temporary_channel_failure"] > 0
    assert account.total("due_msat") == account.total("settled_msat") + account.failed_msat


def test_recipients_get_their_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[int, bytes]] = []
    real = KeysendPayment

    def spy(route: Any, records: dict[int, bytes], **rest: Any) -> Any:
        seen.append(records)
        return real(route, records, **rest)

    monkeypatch.setattr("keysend_fast.payer.stream.KeysendPayment", spy)
    run(feed(who(ALICE, 3, custom=((696_969, "wallet"),)), who(BOB, 1)), listeners=2, minutes=2)
    assert len(seen) == 8
    assert [set(records) for records in seen[:2]] == [{696_969, 7_629_169}, {7_629_169}]
    first = json.loads(seen[0][7_629_169])
    assert first == {
        "podcast": "A show",
        "guid": "guid-of-the-show",
        "episode": "One",
        "episode_guid": "one",
        "ts": 60,
        "action": "stream",
        "app_name": "keysend-fast",
        "name": "r2",
        "value_msat": 75_000,
        "value_msat_total": 100_000,
    }
    assert {json.loads(records[7_629_169])["ts"] for records in seen} == {60, 120}


def test_metadata_is_shortened_to_the_room_there_is() -> None:
    title = "A title that is long beyond all reason " * 40
    account, stream = run(feed(who(ALICE, None), title=title))
    assert account.total("settled_msat") == account.given_msat
    (payee,) = [payee for payee in stream._payees.values() if payee.templates][:1]
    (template,) = payee.templates.values()
    assert len(template.encode(60, 1, 1)) < 1200
    assert b"guid-of-the-show" in template.encode(60, 1, 1)


def test_metadata_without_room_is_a_failure_and_stops_nobody_else() -> None:
    account, stream = run(feed(who(ALICE, 1, custom=((696_969, "x" * 1_150),)), who(BOB)))
    assert account.failed == {NO_ROOM: 20}
    assert by_name(account) == {"r2": (1_000_000, 0, 0, 1_000_000), "r3": (1_000_000, 1_000_000, 0, 0)}
    assert account.attempts == 20
    check_against_network(account, stream)


def test_a_feeds_own_metadata_record_gives_way_with_a_warning() -> None:
    account, _ = run(feed(who(ALICE, 1, custom=((7_629_169, "{}"),))))
    assert account.total("settled_msat") == account.given_msat
    assert "takes its place" in account.warnings[0]


def test_even_custom_types_are_warned_of_once() -> None:
    account, _ = run(feed(who(ALICE, 1, custom=((818_818, "hive"),)), who(BOB)))
    assert len(account.warnings) == 1
    assert "818818" in account.warnings[0]


def test_items_are_chosen_by_name_and_bad_ones_only_stop_themselves() -> None:
    good, bad = feed(who(ALICE)).items
    show = Feed("t", "g", "", feed(who(ALICE)).value, (good, Item("Bad", "bad", None, FeedError("bad split", line=9))))
    account, _ = run(show)
    assert account.total("settled_msat") == account.given_msat
    assert account.warnings == ["Bad: line 9: bad split"]
    for items in (("bad",), ("Bad",)):
        with pytest.raises(FeedError, match="bad split"):
            run(show, items=items)
    with pytest.raises(InputError, match="no item"):
        run(show, items=("missing",))
    assert bad.guid == "two"


def test_a_block_that_cannot_be_divided_later_is_refused_before_anyone_is_paid() -> None:
    late = TimeSplit(240_000, 60_000, (who(ALICE, 1), replace(who(BOB, 101), fee=True)))
    show = feed(who(ALICE), splits=(late,))
    with pytest.raises(InputError, match="no item"):
        run(show)
    with pytest.raises(SplitError, match="101 %"):
        run(show, items=("one",))
    own = Item("Fine", "fine", feed(who(BOB)).value)
    account, _ = run(replace(show, items=(*show.items, own)))
    assert by_name(account) == {"r3": (2_000_000, 2_000_000, 0, 0)}
    assert ["101 %" in warning for warning in account.warnings] == [True, True]


def test_other_methods_are_paid_by_keysend_and_said_to_be() -> None:
    block = replace(feed(who(ALICE)).value or Value("", ""), method="amp")
    account, _ = run(replace(feed(), value=block))
    assert account.total("settled_msat") == account.given_msat
    assert "'amp'" in account.warnings[0]


@pytest.mark.parametrize("name", ["msat_per_minute", "minutes", "every", "listeners", "payers", "wave", "threads"])
def test_options_are_checked(name: str) -> None:
    with pytest.raises(InputError, match=name):
        StreamOptions(**{name: 0})  # type: ignore[arg-type]
    with pytest.raises(InputError):
        StreamOptions(retries=-1)


def test_the_same_seed_is_the_same_stream() -> None:
    def books(seed: int) -> dict[str, Any]:
        account = run(feed(who(ALICE, 3), who(BOB, 1)), seed=seed)[0].to_dict()
        return {name: account[name] for name in ("recipients", "attempts", "layers", "hops")}

    assert books(1) == books(1)


def test_a_network_that_loses_money_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream([feed(who(ALICE))], graph(), StreamOptions(listeners=1, minutes=1))
    stream.network._balance[0] -= 1
    with pytest.raises(NetworkError):
        stream.run()


def test_progress_goes_to_the_end() -> None:
    ticks: list[tuple[int, int]] = []
    stream = Stream([feed(who(ALICE))], graph(), StreamOptions(listeners=10, minutes=3, wave=5))
    stream.run(lambda account, done, total: ticks.append((done, total)))
    assert ticks == sorted(ticks)
    assert ticks[-1] == (30, 30)


def recomputed(value: Value, minutes: int, rate: int) -> dict[tuple[str, str], Fraction]:
    """What each recipient of a real block is due for some minutes, exactly, by the namespace's rules as read here."""
    due: dict[tuple[str, str], Fraction] = {}

    def add(recipient: Recipient, amount: Fraction) -> None:
        key = (recipient.name, recipient.address)
        due[key] = due.get(key, Fraction(0)) + amount

    for minute in range(minutes):
        fees = [r for r in value.recipients if r.fee]
        left = Fraction(rate)
        for r in fees:
            add(r, Fraction(rate * (r.split or 0), 100))
            left -= Fraction(rate * (r.split or 0), 100)
        active = [t for t in value.time_splits if t.start_ms <= minute * 60_000 < t.start_ms + t.duration_ms]
        people = active[-1].recipients if active else tuple(r for r in value.recipients if not r.fee)
        for r in people:
            add(r, left * Fraction(r.split or 0, sum(p.split or 0 for p in people)))
    return due


def test_the_real_feed_over_the_real_graph() -> None:
    """due = settled + carried + failed for each recipient, against exact fractions worked out apart from the
    product."""
    with data.open_data(data.SPLITS_FEED) as file:
        show = read_feed(file)
    listeners, minutes, rate = 90, 7, 100_000
    options = StreamOptions(msat_per_minute=rate, minutes=minutes, listeners=listeners, payers=8, threads=2)
    stream = Stream([show], ChannelGraph.packaged(), options)
    account = stream.run()
    expected: dict[tuple[str, str], Fraction] = {}
    for item in show.items:
        for key, amount in recomputed(show.value_of(item), minutes, rate).items():
            expected[key] = expected.get(key, Fraction(0)) + amount * listeners // len(show.items)
    got = {(r.name, r.address): r for r in account.recipients}
    assert set(got) == set(expected)
    for key, amount in expected.items():
        recipient = got[key]
        # Each minute is rounded by less than a millisatoshi, for each listener.
        assert abs(recipient.due_msat - amount) <= listeners * minutes
        failed = sum(recipient.failed_msat.values())
        assert recipient.due_msat == recipient.settled_msat + recipient.carried_msat + failed
    assert account.given_msat == listeners * minutes * rate == account.total("due_msat")
    assert got["Hive pot", KEYS[0]].carried_msat == 30 * 990
    assert account.failed == {NO_ADDRESS: 30 * minutes}
    check_against_network(account, stream)


def test_the_namespace_example_has_no_route_for_its_podcaster() -> None:
    with data.open_data(data.EXAMPLE_FEED) as file:
        show = read_feed(file)
    account, stream = run(show, ChannelGraph.packaged(), listeners=8, minutes=2, payers=4)
    found = {r.name: r for r in account.recipients}
    assert found["podcaster"].settled == 0
    assert set(found["podcaster"].failed_msat) == {NO_ROUTE}
    assert found["Gigi (Guest)"].settled_msat == found["Gigi (Guest)"].due_msat > 0
    assert found["Paul Itoi (Guest)"].settled == 0
    check_against_network(account, stream)


def test_no_secret_leaves_in_the_books() -> None:
    account, stream = run(feed(who(ALICE)))
    text = json.dumps(account.to_dict())
    for key in stream.network._keys:
        assert key.hex() not in text
        assert hashlib.sha256(key).hexdigest() not in text
