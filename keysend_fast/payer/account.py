"""What a stream did, to the millisatoshi: by recipient, by reason of failure, over time."""

import csv
import io
from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any

from keysend_fast.payer.culprits import Culprit


class AccountError(AssertionError):
    """The books do not balance: money was counted twice or lost. Never to be caught and carried on from."""


@dataclass(slots=True)
class RecipientAccount:
    """One recipient's money, in millisatoshis. due is all that its shares came to; failed_msat is by reason."""

    name: str
    address: str
    custom: str = ""
    due_msat: int = 0
    settled_msat: int = 0
    carried_msat: int = 0
    fee_msat: int = 0
    payments: int = 0
    settled: int = 0
    failed_msat: Counter[str] = field(default_factory=Counter)

    def check(self) -> None:
        """Raise AccountError unless due = settled + carried + failed."""
        failed = sum(self.failed_msat.values())
        if self.due_msat != self.settled_msat + self.carried_msat + failed:
            raise AccountError(
                f"{self.name or self.address}: due {self.due_msat} msat, settled {self.settled_msat}, "
                f"carried {self.carried_msat}, failed {failed}"
            )


@dataclass(slots=True)
class StreamAccount:
    """A whole stream.

    seconds is by phase of the work; timeline holds (seconds since the start, settled, failed) so far; culprits: who made
    attempts fail; slowest: the channels that held payments longest; unshared_msat:
    what listeners gave and no recipient's share came to: the dust of roundings that round down.
    """

    title: str
    options: dict[str, Any]
    recipients: list[RecipientAccount] = field(default_factory=list)
    given_msat: int = 0
    unshared_msat: int = 0
    attempts: int = 0
    retries: int = 0
    layers: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    hops: Counter[int] = field(default_factory=Counter)
    culprits: list[Culprit] = field(default_factory=list)
    slowest: list[Culprit] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    timeline: list[tuple[float, int, int]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def total(self, name: str) -> int:
        """Return the sum of one integer column over the recipients."""
        return sum(getattr(recipient, name) for recipient in self.recipients)

    @property
    def failed_msat(self) -> int:
        """What was due and could not be paid."""
        return sum(sum(recipient.failed_msat.values()) for recipient in self.recipients)

    def rate(self, count: int, *phases: str) -> float:
        """Return how many a second, over the seconds of the phases."""
        seconds = sum(self.seconds.get(phase, 0.0) for phase in phases)
        return count / seconds if seconds else 0.0

    def rates(self) -> dict[str, float]:
        """Return onions built, layers peeled and payments settled a second; the last over everything that was done."""
        return {
            "onions_per_second": self.rate(self.attempts, "build"),
            "layers_per_second": self.rate(self.layers, "network"),
            "payments_per_second": self.rate(self.total("settled"), "total"),
        }

    def check(self) -> None:
        """Raise AccountError unless every recipient's books balance and the listeners' money is all accounted for."""
        for recipient in self.recipients:
            recipient.check()
        if self.given_msat != self.total("due_msat") + self.unshared_msat:
            raise AccountError(
                f"given {self.given_msat} msat, due {self.total('due_msat')}, unshared {self.unshared_msat}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as what JSON can hold, with totals and rates."""
        names = ("due_msat", "settled_msat", "carried_msat", "fee_msat", "payments", "settled")
        totals = {name: self.total(name) for name in names} | {"failed_msat": self.failed_msat}
        return {
            **_columns(self),
            "recipients": [_columns(recipient) for recipient in self.recipients],
            "culprits": [_columns(culprit) for culprit in self.culprits],
            "slowest": [_columns(culprit) for culprit in self.slowest],
            "totals": totals,
            "rates": self.rates(),
        }

    def to_csv(self) -> str:
        """Return one row a recipient; failed amounts are added up, the reasons named."""
        file = io.StringIO(newline="")
        columns = ("name", "address", "custom", "payments", "settled", "due_msat", "settled_msat", "carried_msat")
        writer = csv.writer(file)
        writer.writerow([*columns, "failed_msat", "fee_msat", "reasons"])
        for recipient in self.recipients:
            reasons = "; ".join(f"{reason}: {msat}" for reason, msat in recipient.failed_msat.most_common())
            row = [_plain(getattr(recipient, column)) for column in columns]
            writer.writerow([*row, sum(recipient.failed_msat.values()), recipient.fee_msat, _plain(reasons)])
        return file.getvalue()


def _columns(record: RecipientAccount | StreamAccount | Culprit) -> dict[str, Any]:
    """Return a record's fields by name, counters as plain dictionaries."""
    values = {column.name: getattr(record, column.name) for column in fields(record)}
    return {name: dict(value) if isinstance(value, Counter) else value for name, value in values.items()}


def _plain(value: object) -> object:
    """Keep a feed's text from being run as a formula by the spreadsheet that opens it."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
