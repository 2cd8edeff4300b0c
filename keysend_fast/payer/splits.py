"""Exact division of millisatoshis among the recipients of a value block.

All arithmetic is on integers and fractions. The namespace settles neither what ``fee`` means nor how to round, so both
are policies here (podcast namespace, value and valueTimeSplit, Payment calculation).
"""

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Generic, TypeVar

from keysend_fast.errors import SplitError
from keysend_fast.payer.value import Feed, Recipient, RemoteItem, TimeSplit, Value, resolve_remote

MSAT_PER_SAT = 1000


class FeeMode(enum.Enum):
    """What ``fee="true"`` does."""

    PERCENT_OF_TOTAL = "percent-of-total"
    """The split is a percentage of the whole amount; the others share what is left by their own shares."""
    SHARES = "shares"
    """The split counts among all shares, and comes off the whole amount before a time split applies."""
    IGNORE = "ignore"
    """Nothing: a fee recipient is one like the others, replaced by a time split as they are."""


class Rounding(enum.Enum):
    """How exact shares become amounts. Of equal claims the larger share comes first, then the earlier."""

    LARGEST_REMAINDER_MSAT = "largest-remainder-msat"
    """Whole millisatoshis; those left over go to the largest remainders. The sum is the amount."""
    LARGEST_REMAINDER_SAT = "largest-remainder-sat"
    """The same in whole satoshis. The sum is the amount rounded down to a satoshi."""
    FLOOR_SAT = "floor-sat"
    """Each rounded down to a satoshi. The sum may be short by less than one satoshi a recipient."""
    V4V_MIN1SAT = "v4v-min1sat"
    """Whole satoshis, one for everyone first as far as they go, so that everyone gets the records; the rest in
    proportion, what is then left by largest share. An amount that divides exactly is divided exactly. The sum is the
    amount rounded down to a satoshi. (The v4v crate's way, but that a share of 0 gets nothing.)"""


@dataclass(frozen=True, slots=True)
class SplitPolicy:
    """How to divide.

    min_msat: less than this is not sent but carried forward; many nodes take no HTLC below 1,000 msat.
    """

    fee_mode: FeeMode = FeeMode.PERCENT_OF_TOTAL
    rounding: Rounding = Rounding.LARGEST_REMAINDER_MSAT
    min_msat: int = 1000


@dataclass(frozen=True, slots=True)
class Share:
    """A recipient's part of the whole.

    weight: integer, of the sum of all weights. remote: the item it is paid through.
    """

    recipient: Recipient
    weight: int
    remote: RemoteItem | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """What one recipient is to get for some minutes. amount_msat: 0 or more."""

    recipient: Recipient
    amount_msat: int
    remote: RemoteItem | None = None


def divide(
    amount_msat: int, weights: Sequence[int], rounding: Rounding = Rounding.LARGEST_REMAINDER_MSAT
) -> tuple[int, ...]:
    """Divide an amount in proportion to integer weights.

    amount_msat: millisatoshis, 0 or more. weights: 0 or more each. Returns one amount a weight, in millisatoshis; their
    sum is as the rounding says and never more than the amount. Raises SplitError for negative input or weights that add
    up to 0.
    """
    if amount_msat < 0 or any(weight < 0 for weight in weights):
        raise SplitError("amounts and weights must not be negative")
    whole = sum(weights)
    if whole == 0:
        raise SplitError("the shares add up to 0")
    if rounding is Rounding.LARGEST_REMAINDER_MSAT:
        return tuple(_largest_remainder(amount_msat, weights, whole))
    sats = amount_msat // MSAT_PER_SAT
    if rounding is Rounding.FLOOR_SAT:
        amounts = [amount_msat * weight // (whole * MSAT_PER_SAT) for weight in weights]
    elif rounding is Rounding.LARGEST_REMAINDER_SAT:
        amounts = _largest_remainder(sats, weights, whole)
    else:
        amounts = _min1(sats, weights, whole)
    return tuple(amount * MSAT_PER_SAT for amount in amounts)


def _by_share(weights: Sequence[int]) -> list[int]:
    """Return the indices of the weights above 0, largest first, equal ones in their order."""
    return sorted((i for i, weight in enumerate(weights) if weight), key=lambda i: (-weights[i], i))


def _largest_remainder(units: int, weights: Sequence[int], whole: int) -> list[int]:
    amounts = [units * weight // whole for weight in weights]
    left = units - sum(amounts)
    order = sorted(range(len(weights)), key=lambda i: (-(units * weights[i] % whole), -weights[i], i))
    for index in order[:left]:
        amounts[index] += 1
    return amounts


def _min1(units: int, weights: Sequence[int], whole: int) -> list[int]:
    if units % whole == 0:
        return [units * weight // whole for weight in weights]
    order = _by_share(weights)
    amounts = [0] * len(weights)
    for index in order[:units]:
        amounts[index] = 1
    left = units - sum(amounts)
    for index in order:
        amounts[index] += left * weights[index] // whole
    for index in order[: units - sum(amounts)]:
        amounts[index] += 1
    return amounts


def weights(recipients: Sequence[Recipient], fee_mode: FeeMode = FeeMode.PERCENT_OF_TOTAL) -> tuple[int, ...]:
    """Return each recipient's part of the whole as integer weights in lowest terms.

    One recipient takes all, whatever its split. Raises SplitError where fees pass 100 %, or leave nothing or nobody for
    the rest, or all shares are 0.
    """
    return tuple(share.weight for share in _integers(_parts(recipients, fee_mode)))


_Part = tuple[Recipient, Fraction, RemoteItem | None]


def _parts(recipients: Sequence[Recipient], fee_mode: FeeMode) -> list[_Part]:
    """Divide the whole, 1, among a block's recipients, in their order."""
    fees, rest = _fees(recipients, fee_mode)
    others = iter(_proportions([r for r, fee in zip(recipients, fees, strict=True) if fee is None], rest))
    return [(r, next(others) if fee is None else fee, None) for r, fee in zip(recipients, fees, strict=True)]


def _fees(recipients: Sequence[Recipient], fee_mode: FeeMode) -> tuple[list[Fraction | None], Fraction]:
    """Return what comes off the top, by recipient (None for one without fee), and what is left for the others."""
    is_fee = [r.fee and fee_mode is not FeeMode.IGNORE and len(recipients) > 1 for r in recipients]
    if not any(is_fee):
        return [None] * len(recipients), Fraction(1)
    if all(is_fee):
        return list(_proportions(recipients, Fraction(1))), Fraction(0)
    whole = 100 if fee_mode is FeeMode.PERCENT_OF_TOTAL else sum(r.split or 0 for r in recipients)
    if whole == 0:
        raise SplitError("the shares add up to 0")
    taken = sum(r.split or 0 for r, fee in zip(recipients, is_fee, strict=True) if fee)
    if taken > whole:
        raise SplitError(f"fees add up to {taken} % of the amount")
    if taken == whole and fee_mode is FeeMode.PERCENT_OF_TOTAL:
        raise SplitError("fees take all and leave nothing for the other recipients")
    fees = [Fraction(r.split or 0, whole) if fee else None for r, fee in zip(recipients, is_fee, strict=True)]
    return fees, 1 - Fraction(taken, whole)


def _proportions(recipients: Sequence[Recipient], of: Fraction) -> list[Fraction]:
    """Divide a part of the whole by shares, in the recipients' order."""
    if not of:
        return [of] * len(recipients)
    if len(recipients) == 1:
        return [of]
    total = sum(r.split or 0 for r in recipients)
    if total == 0:
        raise SplitError("the shares of those who divide the rest add up to 0")
    return [of * (r.split or 0) / total for r in recipients]


def _integers(parts: Sequence[_Part]) -> tuple[Share, ...]:
    """Bring fractions to integer weights without a common factor."""
    common = math.lcm(*(part.denominator for _, part, _ in parts))
    numbers = [int(part * common) for _, part, _ in parts]
    factor = math.gcd(*numbers) or 1
    return tuple(Share(r, n // factor, remote) for (r, _, remote), n in zip(parts, numbers, strict=True))


def shares_at(
    value: Value,
    position_ms: int,
    *,
    fee_mode: FeeMode = FeeMode.PERCENT_OF_TOTAL,
    feeds: Mapping[str, Feed] | None = None,
) -> tuple[Share, ...]:
    """Return who shares what is paid at a position of the episode, in which weights.

    position_ms: milliseconds. feeds: what remote items refer to, by podcast:guid. In a time split the default block's
    fees come off first; then the split's recipients share the rest, or a remote item's recipients share their
    percentage of it and the default recipients keep the remainder. Raises SplitError as ``weights`` does, FeedError for
    a remote item that is not at hand.
    """
    return _shares_in(value, value.at(position_ms), fee_mode, feeds or {})


def check_value(
    value: Value,
    *,
    fee_mode: FeeMode = FeeMode.PERCENT_OF_TOTAL,
    feeds: Mapping[str, Feed] | None = None,
) -> None:
    """Raise what ``shares_at`` would raise at any position, so that a stream learns it before it pays anyone."""
    for split in (None, *value.time_splits):
        _shares_in(value, split, fee_mode, feeds or {})


def _shares_in(
    value: Value, split: TimeSplit | None, fee_mode: FeeMode, feeds: Mapping[str, Feed]
) -> tuple[Share, ...]:
    if split is None:
        return _integers(_parts(value.recipients, fee_mode))
    fees, rest = _fees(value.recipients, fee_mode)
    parts: list[_Part] = [(r, fee, None) for r, fee in zip(value.recipients, fees, strict=True) if fee is not None]
    if not rest:
        # A block of fees alone leaves nothing for anyone else.
        return _integers(parts)
    if split.remote is None:
        inner, default, remote = split.recipients, Fraction(0), None
    else:
        inner, remote = resolve_remote(split.remote, feeds).recipients, split.remote
        default = rest * (100 - split.remote_percentage) / 100
    if default:
        others = [r for r, fee in zip(value.recipients, fees, strict=True) if fee is None]
        parts += [(r, part, None) for r, part in zip(others, _proportions(others, default), strict=True)]
    parts += [(r, part * (rest - default), remote) for r, part, _ in _parts(inner, fee_mode)]
    return _integers(parts)


def due_for(
    value: Value,
    first_minute: int,
    minutes: int,
    msat_per_minute: int,
    *,
    policy: SplitPolicy | None = None,
    feeds: Mapping[str, Feed] | None = None,
) -> list[Due]:
    """Return what every recipient is to get for some minutes of an episode, sent together.

    Minute m covers 60 m to 60 m + 60 seconds and is paid by the block in force at its start; playback speed does not
    matter. Minutes of one block are added up before they are divided, once. Amounts are exact but for the policy's
    rounding; nothing is held back here (see ``Carry``).
    """
    policy = policy or SplitPolicy()
    if minutes < 0 or msat_per_minute < 0 or first_minute < 0:
        raise SplitError("minutes and rate must not be negative")
    counts: dict[tuple[Share, ...], int] = {}
    by_split: dict[int, tuple[Share, ...]] = {}
    for minute in range(first_minute, first_minute + minutes):
        position = minute * 60_000
        block = id(value.at(position))
        if block not in by_split:
            by_split[block] = shares_at(value, position, fee_mode=policy.fee_mode, feeds=feeds)
        counts[by_split[block]] = counts.get(by_split[block], 0) + 1
    dues = []
    for shares, count in counts.items():
        amounts = divide(msat_per_minute * count, [share.weight for share in shares], policy.rounding)
        dues += [Due(share.recipient, amount, share.remote) for share, amount in zip(shares, amounts, strict=True)]
    return dues


Key = TypeVar("Key")


@dataclass(slots=True)
class Carry(Generic[Key]):
    """What was too little to send, by whom it is owed to: a ledger that is added to until it can be paid.

    min_msat: the least that is sent. owed: millisatoshis not yet sent, by key; the caller chooses the keys.
    """

    min_msat: int
    owed: dict[Key, int] = field(default_factory=dict)

    def take(self, key: Key, amount_msat: int) -> int:
        """Add what is due and return what to send now: everything owed, or 0 while that is less than ``min_msat``."""
        if amount_msat < 0:
            raise SplitError("an amount due must not be negative")
        owed = self.owed.pop(key, 0) + amount_msat
        if owed >= self.min_msat:
            return owed
        if owed:
            self.owed[key] = owed
        return 0

    @property
    def total_msat(self) -> int:
        """All that is owed, in millisatoshis."""
        return sum(self.owed.values())
