"""Divisions: published vectors, the sum rule of every policy, independence of order, time splits and dust."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keysend_fast import data
from keysend_fast.errors import FeedError, SplitError
from keysend_fast.payer.splits import (
    Carry,
    FeeMode,
    Rounding,
    SplitPolicy,
    check_value,
    divide,
    due_for,
    shares_at,
    weights,
)
from keysend_fast.payer.value import Feed, Item, Recipient, RemoteItem, TimeSplit, Value, read_feed

SAT = 1000


def people(*splits: int | str) -> tuple[Recipient, ...]:
    """Recipients named by their index; a split written as text is a fee."""
    return tuple(Recipient(f"{i}", "node", f"02{i:064x}", int(s), isinstance(s, str)) for i, s in enumerate(splits))


# The v4v crate's published examples and tests (RSS Blue), amounts in satoshis; those with a share of 0 left out.
V4V = [
    ([60, 40], 1000, [600, 400]),
    ([1, 99], 10, [1, 9]),
    ([1, 99], 1, [0, 1]),
    ([1, 98, 1], 10, [1, 8, 1]),
    ([50, 50], 1000, [500, 500]),
    ([50, 50], 1, [1, 0]),
    ([50, 50, 1], 1, [1, 0, 0]),
    ([50, 50, 1], 100, [50, 49, 1]),
    ([1, 50, 50], 1, [0, 1, 0]),
    ([99, 1, 1], 10, [8, 1, 1]),
    ([1] * 10, 10, [1] * 10),
    ([1] * 10, 9, [1] * 9 + [0]),
    ([2, 2, 2, 2, 1, 2, 2, 2, 2, 2], 9, [1, 1, 1, 1, 0, 1, 1, 1, 1, 1]),
    (list(range(1, 11)), 55, list(range(1, 11))),
    ([2**64 - 1], 100, [100]),
    ([2**64 - 1, 1, 2**64 - 1], 100, [50, 1, 49]),
    ([1], 0, [0]),
]


@pytest.mark.parametrize(("shares", "sats", "expected"), V4V)
def test_v4v_vectors(shares: list[int], sats: int, expected: list[int]) -> None:
    assert divide(sats * SAT, shares, Rounding.V4V_MIN1SAT) == tuple(e * SAT for e in expected)


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        ((50, 50, "1"), (99, 99, 2)),
        ((50, 50), (1, 1)),
        ((50, 50, "2"), (49, 49, 2)),
        ((50, 50, "1", "1"), (49, 49, 1, 1)),
        ((1, 1, "2"), (49, 49, 2)),
        (("100",), (1,)),
        (("2", "1"), (2, 1)),
        ((10, 20, 30, 40, "1"), (99, 198, 297, 396, 10)),
        (("1", 10, 20, 30, "1", 40), (5, 49, 98, 147, 5, 196)),
        ((50, 40, 3, 2, 2, 1, "2"), (50, 40, 3, 2, 2, 1, 2)),
        ((2**64 - 1, "1"), (99, 1)),
    ],
)
def test_v4v_fee_vectors(splits: tuple[int | str, ...], expected: tuple[int, ...]) -> None:
    assert weights(people(*splits)) == expected


def test_fee_modes_differ_as_stated() -> None:
    block = people(50, 40, 9, 1, "3")
    assert divide(10_300, weights(block, FeeMode.PERCENT_OF_TOTAL))[4] == 309
    assert divide(10_300, weights(block, FeeMode.SHARES)) == (5000, 4000, 900, 100, 300)
    assert weights(block, FeeMode.SHARES) == weights(block, FeeMode.IGNORE)


@pytest.mark.parametrize("splits", [(1, "101"), (1, "60", "60"), (1, "100"), (0, 0), (0, 0, "5")])
def test_impossible_shares(splits: tuple[int | str, ...]) -> None:
    with pytest.raises(SplitError):
        weights(people(*splits))


def test_a_recipient_named_twice_is_paid_twice() -> None:
    twin = Recipient("a", "node", "02", 10, fee=True)
    assert weights((twin, twin, Recipient("b", "node", "03", 1))) == (1, 1, 8)
    block = Value("lightning", "keysend", None, (twin, twin, *people(1)), (TimeSplit(0, 60_000, people(1, 1)),))
    assert [share.weight for share in shares_at(block, 0)] == [1, 1, 4, 4]


def test_one_recipient_takes_all() -> None:
    assert weights((Recipient("a", "node", "02", None),)) == (1,)
    assert weights(people("5")) == weights(people(0)) == (1,)


@pytest.mark.parametrize(("amount", "shares"), [(-1, [1]), (1, [-1, 2]), (1, [0]), (1, [])])
def test_bad_divisions(amount: int, shares: list[int]) -> None:
    for rounding in Rounding:
        with pytest.raises(SplitError):
            divide(amount, shares, rounding)


amounts = st.integers(0, 10**7) | st.integers(0, 10**16)
share_lists = st.lists(st.integers(0, 20) | st.integers(0, 2**64), min_size=1, max_size=12).filter(any)


@given(amounts, share_lists, st.sampled_from(Rounding))
def test_sum_rules(amount: int, shares: list[int], rounding: Rounding) -> None:
    parts = divide(amount, shares, rounding)
    whole = sum(shares)
    total = sum(parts)
    assert all(part == 0 for part, share in zip(parts, shares, strict=True) if share == 0)
    if rounding is Rounding.LARGEST_REMAINDER_MSAT:
        assert total == amount
        assert all(abs(part - Fraction(amount * share, whole)) < 1 for part, share in zip(parts, shares, strict=True))
        return
    assert all(part % SAT == 0 for part in parts)
    exact = [Fraction(amount * share, whole) for share in shares]
    if rounding is Rounding.FLOOR_SAT:
        assert all(0 <= e - part < SAT for part, e in zip(parts, exact, strict=True))
    else:
        assert total == amount // SAT * SAT
    if rounding is Rounding.LARGEST_REMAINDER_SAT:
        assert all(abs(part - e) < 2 * SAT for part, e in zip(parts, exact, strict=True))
    if rounding is Rounding.V4V_MIN1SAT:
        claims = [part for part, share in zip(parts, shares, strict=True) if share]
        # Everyone gets a satoshi where there are enough and the amount does not divide exactly (which gives less to
        # none).
        assert min(claims) >= SAT or amount // SAT < len(claims)


@given(amounts, share_lists, st.sampled_from(Rounding), st.randoms(use_true_random=False))
def test_order_matters_between_equal_shares_only(
    amount: int, shares: list[int], rounding: Rounding, random: object
) -> None:
    order = list(range(len(shares)))
    random.shuffle(order)  # type: ignore[attr-defined]
    moved = divide(amount, [shares[i] for i in order], rounding)
    parts = divide(amount, shares, rounding)
    for share in set(shares):
        here = sorted(part for part, s in zip(parts, shares, strict=True) if s == share)
        there = sorted(part for part, i in zip(moved, order, strict=True) if shares[i] == share)
        assert here == there


@given(amounts, share_lists, st.sampled_from(Rounding))
def test_equal_shares_differ_by_one_unit_and_the_earlier_gets_it(
    amount: int, shares: list[int], rounding: Rounding
) -> None:
    parts = divide(amount, shares, rounding)
    unit = 1 if rounding is Rounding.LARGEST_REMAINDER_MSAT else SAT
    for (a, x), (b, y) in itertools.combinations(zip(shares, parts, strict=True), 2):
        if a == b:
            assert x - y in (0, unit)
        elif rounding is not Rounding.V4V_MIN1SAT:
            assert (x >= y) == (a > b) or x == y


@given(
    st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=1, max_size=8),
    st.sampled_from(FeeMode),
    st.sampled_from(Rounding),
    amounts,
)
def test_any_block_divides_or_says_why(
    block: list[tuple[int, bool]], mode: FeeMode, rounding: Rounding, amount: int
) -> None:
    recipients = people(*(str(s) if fee else s for s, fee in block))
    try:
        found = weights(recipients, mode)
    except SplitError:
        fees = sum(s for s, fee in block if fee)
        assert not all(s for s, _ in block) or fees >= 100
        return
    assert sum(divide(amount, found, rounding)) <= amount
    if mode is FeeMode.PERCENT_OF_TOTAL and len(block) > 1 and not all(fee for _, fee in block):
        for weight, (split, fee) in zip(found, block, strict=True):
            assert not fee or Fraction(weight, sum(found)) == Fraction(split, 100)


def timed() -> Value:
    """Default: 3 to 1 and a fee of 5; a guest in minutes 1 and 2; a remote song with 90 % in minute 3."""
    song = TimeSplit(180_000, 60_000, (), RemoteItem("music", "song"), 0, 90)
    return Value("lightning", "keysend", 21_000, people(3, 1, "5"), (TimeSplit(60_000, 120_000, people(7, 9)), song))


def music() -> dict[str, Feed]:
    value = Value("lightning", "keysend", None, (Recipient("band", "node", "03" + "1" * 64, 1),))
    return {"music": Feed("m", "music", "", None, (Item("s", "song", value),))}


def parts_at(minute: int, mode: FeeMode) -> list[tuple[str, Fraction]]:
    shares = shares_at(timed(), minute * 60_000, fee_mode=mode, feeds=music())
    whole = sum(share.weight for share in shares)
    return [(share.recipient.name, Fraction(share.weight, whole)) for share in shares]


def test_time_splits_come_after_the_fees() -> None:
    percent = Fraction(1, 100)
    assert parts_at(0, FeeMode.PERCENT_OF_TOTAL) == [
        ("0", 95 * percent * 3 / 4),
        ("1", 95 * percent / 4),
        ("2", 5 * percent),
    ]
    guest = [("2", 5 * percent), ("0", 95 * percent * 7 / 16), ("1", 95 * percent * 9 / 16)]
    assert parts_at(1, FeeMode.PERCENT_OF_TOTAL) == parts_at(2, FeeMode.PERCENT_OF_TOTAL) == guest
    assert parts_at(1, FeeMode.SHARES)[0] == ("2", Fraction(5, 9))
    assert parts_at(1, FeeMode.IGNORE) == [("0", Fraction(7, 16)), ("1", Fraction(9, 16))]
    rest = 95 * percent
    assert parts_at(3, FeeMode.PERCENT_OF_TOTAL) == [
        ("2", 5 * percent),
        ("0", rest / 10 * 3 / 4),
        ("1", rest / 10 / 4),
        ("band", rest * 9 / 10),
    ]
    assert parts_at(4, FeeMode.PERCENT_OF_TOTAL) == parts_at(0, FeeMode.PERCENT_OF_TOTAL)


def test_a_block_is_checked_for_all_positions_at_once() -> None:
    check_value(timed(), feeds=music())
    with pytest.raises(FeedError, match="not at hand"):
        check_value(timed())
    late = Value("lightning", "keysend", None, people(1), (TimeSplit(10**9, 1000, people(0, 0)),))
    shares_at(late, 0)
    with pytest.raises(SplitError):
        check_value(late)


def test_a_remote_feed_that_is_not_at_hand_is_an_error() -> None:
    with pytest.raises(FeedError, match="not at hand"):
        shares_at(timed(), 180_000)


def test_minutes_are_added_up_before_they_are_divided() -> None:
    value = Value("lightning", "keysend", None, people(1, 1, 1))
    assert [due.amount_msat for due in due_for(value, 0, 3, 100)] == [100, 100, 100]
    assert sum(due.amount_msat for due in due_for(timed(), 0, 5, 777, feeds=music())) == 5 * 777
    remote = [due for due in due_for(timed(), 3, 1, 1000, feeds=music()) if due.remote is not None]
    assert [(due.recipient.name, due.amount_msat) for due in remote] == [("band", 855)]


def test_the_real_feed() -> None:
    with data.open_data(data.SPLITS_FEED) as stream:
        value = read_feed(stream).value_of()
    assert [due.amount_msat for due in due_for(value, 0, 10, 100_000)] == [495_000, 396_000, 89_100, 9_900, 10_000]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3000)), max_size=60), st.integers(0, 2000))
def test_dust_is_carried_never_lost(payments: list[tuple[str, int]], least: int) -> None:
    carry: Carry[str] = Carry(least)
    sent = dict.fromkeys("abc", 0)
    for key, amount in payments:
        now = carry.take(key, amount)
        assert now == 0 or now >= least
        sent[key] += now
    for key in "abc":
        owed = carry.owed.get(key, 0)
        assert sent[key] + owed == sum(amount for k, amount in payments if k == key)
        assert owed < max(least, 1)
    assert carry.total_msat + sum(sent.values()) == sum(amount for _, amount in payments)


def test_carry_and_minutes_refuse_negative_amounts() -> None:
    with pytest.raises(SplitError):
        Carry[str](1000).take("a", -1)
    with pytest.raises(SplitError):
        due_for(timed(), 0, -1, 5)
    assert SplitPolicy().min_msat == 1000
