"""Failures on their way back: who refused a payment, why, how long it was held, what to do next (BOLT 4, Returning Errors).

The payer decodes with the shared secrets that it kept from the build, 27 rounds whatever the route. Nodes create and wrap.
Both know attribution data (option_attribution_data), which names the link at fault even where the failure itself cannot be
read. docs/failures.md explains the advice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, TypeAlias, overload

from keysend_fast import _failure
from keysend_fast._batch import OnionBatch, OnionSecrets
from keysend_fast._failure import ReturnPackets
from keysend_fast._failure_advice import (
    CORRUPTION,
    LIQUIDITY,
    PAYER,
    Action,
    Advice,
    Blame,
    Location,
    blame_of,
    rule_of,
)
from keysend_fast._failure_codes import FailureCode, FailureFlag, FailureMessage, Field, failure_message, parse_message
from keysend_fast._failure_reports import INJECTPAYMENTONION_FAILED, cln_error, read_cln_error, read_lnd_error
from keysend_fast._failure_wrap import (
    ReturnPacket,
    create_failure,
    create_failures,
    wrap_failure,
    wrap_failures,
    wrap_fulfilled,
    wrap_fulfilleds,
)
from keysend_fast._route import Route
from keysend_fast._types import Buffer, Json, Rows
from keysend_fast.errors import FailureError, ReplyError
from keysend_fast.onion import HopTables, OnionRequest, build_onions
from keysend_fast.status import Status, onion_error

__all__ = [
    "Action",
    "Advice",
    "Blame",
    "Failure",
    "FailureBatch",
    "FailureCode",
    "FailureFlag",
    "FailureMessage",
    "HoldTimes",
    "Location",
    "ReturnPacket",
    "ReturnPackets",
    "Role",
    "create_failure",
    "create_failures",
    "decode_failure",
    "decode_failures",
    "decode_fulfilled",
    "decode_fulfilleds",
    "derive_secrets",
    "failure_message",
    "parse_message",
    "wrap_failure",
    "wrap_failures",
    "wrap_fulfilled",
    "wrap_fulfilleds",
]

Secrets: TypeAlias = OnionSecrets | Sequence[Buffer] | Buffer
"""Shared secrets of one onion, SECRET, the first hop's first: kept from the build, a sequence of 32 bytes, or n x 32 bytes."""


class Role(Enum):
    """What the node that reported a failure is to the payment."""

    PAYER = "the payer's own node"
    FORWARDING = "a forwarding node"
    RECIPIENT = "the recipient"


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed payment, explained.

    status: OK; UNDECODABLE where no node of the route authenticated the packet; FAILURE_MESSAGE where the node at
    erring_index did, but sent no failure message. n_hops: nodes of the onion. erring_index: 0 is the onion's first node, -1
    the payer's own node before it (only from a node's own report), None is nobody. message: the raw failure message, without
    padding. hold_times: as the hops report them, in units of 100 ms, up to the erring hop and as far as they verify; None
    without attribution data. first_unverified: the first hop up to the erring one whose HMAC in the attribution data does
    not match: tampering on the link before it, or a node without support. own_node: the onion's first node is the payer's.
    """

    status: Status
    n_hops: int
    erring_index: int | None
    message: bytes = b""
    hold_times: tuple[int, ...] | None = None
    first_unverified: int | None = None
    own_node: bool = False

    @property
    def parsed(self) -> FailureMessage | None:
        """The message taken apart, or None where there is none."""
        return parse_message(self.message) if self.message else None

    @property
    def code(self) -> FailureCode | int | None:
        """Failure code: FailureCode, the number of an unknown one, None where there is no message."""
        parsed = self.parsed
        return parsed.code if parsed else None

    @property
    def data(self) -> Mapping[str, Field]:
        """The code's data by the BOLT's field names (BOLT 4, Failure Messages); fields that are missing are absent."""
        parsed = self.parsed
        return parsed.data if parsed else {}

    @property
    def channel_update(self) -> bytes | None:
        """The channel_update as it came, perhaps behind its 2-byte message type; None where none did.

        Never to be applied to the public graph: that would tell the erring node who the payer is.
        """
        update = self.data.get("channel_update")
        return update if isinstance(update, bytes) and update else None

    @property
    def role(self) -> Role | None:
        """What the erring node is to the payment, by its position; None where nobody is known."""
        if self.erring_index is None:
            return None
        if self.erring_index == PAYER or (self.own_node and self.erring_index == 0):
            return Role.PAYER
        return Role.RECIPIENT if self.erring_index == self.n_hops - 1 else Role.FORWARDING

    @property
    def unverified(self) -> Blame | None:
        """The link that attribution data points to: it was tampered with there, or ends there for want of support."""
        if self.first_unverified is None:
            return None
        return Blame((self.first_unverified - 1, self.first_unverified))

    @property
    def blame(self) -> Blame | None:
        """Who is at fault: by the failure, or where it cannot be read by attribution data; None where nobody can be named.

        BADONION codes come from the node before the one that refused, so they blame the channel between the two.
        """
        if self.erring_index is None:
            if self.unverified is not None:
                return self.unverified
            verified = len(self.hold_times) if self.hold_times is not None else 0
            # The last node vouches for a packet that says nothing; nobody behind the 20th can vouch.
            return Blame((self.n_hops - 1,)) if verified == self.n_hops else None
        return self._reported(self.erring_index).target

    @property
    def advice(self) -> Advice:
        """What to do next, from code, position and role: the table in docs/failures.md."""
        if self.erring_index is not None:
            return self._reported(self.erring_index)
        blame = self.blame
        if blame is None:
            return Advice(Action.AVOID_ROUTE, None, LIQUIDITY)
        if blame.channel:
            return Advice(Action.AVOID_CHANNEL, blame, CORRUPTION)
        return Advice(Action.GIVE_UP, blame, None)

    def _reported(self, index: int) -> Advice:
        rule = rule_of(self.code, self.data, recipient=self.role is Role.RECIPIENT, first=index == int(self.own_node))
        return Advice(rule.action, blame_of(rule.place, index), rule.seconds)

    @classmethod
    def from_cln_error(cls, error: Json | Any, secrets: Secrets, *, own_node: bool | None = None) -> Failure:
        """Failure of a Core Lightning error: 202, 218 (as it arrived), 203, 204 (decoded by the node), or a listsendpays row.

        error: the JSON-RPC error object, a pyln RpcError, or a row with ``erroronion``. secrets: of the whole onion. own_node:
        whether the onion's first node is the payer's own, as injectpaymentonion wants it. None: 218 says so by itself, and
        for 202 both are tried. Raises ReplyError where the error is another or holds no failure.
        """
        report, rows = read_cln_error(error), _rows(secrets)
        if report.packet is not None:
            return _unwrapped(report.packet, rows, report.code == INJECTPAYMENTONION_FAILED, own_node)
        index = report.node_index - (0 if own_node else 1)
        if not PAYER <= index < len(rows):
            raise ReplyError(f"erring_index {report.node_index} is not on a route of {len(rows)} nodes")
        return cls(Status.OK, len(rows), index, report.message, own_node=bool(own_node))

    def to_cln_error(self, route: Route | None = None) -> dict[str, Any]:
        """The error object of Core Lightning's waitsendpay: 203 (recipient, for good), 204, or 202 (unreadable).

        Its erring_index counts the payer's node as 0. route: the onion's, for erring_node, erring_channel, erring_direction.
        """
        code, index = self.code, self.erring_index
        place = None
        if route is not None and index is not None:
            if route.n_hops != self.n_hops:
                raise ValueError(f"the onion had {self.n_hops} nodes, the route has {route.n_hops}")
            # what the node was to forward over, or for the last what led to it
            channel = (index - 1, index) if index == self.n_hops - 1 else (index, index + 1)
            place = (route.node_ids[index] if index != PAYER else None, Blame(channel).locate(route))
        return cln_error(
            None if index is None else index + (0 if self.own_node else 1),
            code,
            self.message,
            self.role is Role.RECIPIENT,
            place,
        )

    @classmethod
    def from_lnd_error(cls, error: Json | Buffer, secrets: Secrets) -> Failure:
        """Failure of LND's ``encrypted_error_data``: the bytes, or the JSON object (base64) that has them.

        The onion starts at LND's peer. Raises ReplyError where there are no such data.
        """
        return decode_failure(read_lnd_error(error), secrets)


def _rows(secrets: Secrets) -> OnionSecrets | Sequence[Buffer]:
    """One row a hop, without copies."""
    if isinstance(secrets, bytes | bytearray | memoryview):
        view = memoryview(secrets).cast("B")
        return [view[at : at + 32] for at in range(0, len(view), 32)]
    return secrets


def _unwrapped(
    packet: bytes, secrets: OnionSecrets | Sequence[Buffer], own_layer: bool, own_node: bool | None
) -> Failure:
    """Core Lightning's node, where the onion starts at it, puts its layer on what it answers to injectpaymentonion
    (own_layer), but keeps the reply as the peer sent it for waitsendpay and listsendpays: there the onion's first secret is
    not used, and the first index is 1."""
    n_hops = len(secrets)
    if own_layer or own_node is False or n_hops == 1:
        return replace(decode_failure(packet, secrets), own_node=bool(own_layer or own_node))
    if isinstance(secrets, OnionSecrets):
        secrets = [secrets.shared_secret(hop) for hop in range(n_hops)]
    whole, skipped = decode_failures([packet, packet], [secrets, secrets[1:]], threads=1)
    if own_node is None and (whole.erring_index is not None or skipped.erring_index is None):
        return whole
    index = None if skipped.erring_index is None else skipped.erring_index + 1
    return replace(skipped, erring_index=index, n_hops=n_hops, own_node=True)


class FailureBatch(Sequence[Failure]):
    """Outcome of decode_failures: a sequence of Failure, made when asked for. An undecodable packet is one by its status."""

    __slots__ = ("_returns",)

    def __init__(self, returns: _failure.ReturnBatch) -> None:
        self._returns = returns

    def __len__(self) -> int:
        return len(self._returns)

    @overload
    def __getitem__(self, i: int) -> Failure: ...
    @overload
    def __getitem__(self, i: slice) -> list[Failure]: ...
    def __getitem__(self, i: int | slice) -> Failure | list[Failure]:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        code, n_hops, erring, message, hold_times, first_unverified = self._returns[i]
        return Failure(Status(code), n_hops, erring, message, hold_times, first_unverified)

    def __iter__(self) -> Iterator[Failure]:
        return (self[i] for i in range(len(self)))

    def error(self, i: int) -> FailureError | None:
        """Why item i could not be decoded, or None where it was."""
        failure = self[i]
        if failure.status is Status.OK:
            return None
        error = onion_error(failure.status, failure.erring_index or 0, 0, 0, i if i >= 0 else i + len(self))
        return error if isinstance(error, FailureError) else None

    def errors(self) -> list[FailureError]:
        """The errors of the items that could not be decoded, each with its index."""
        found = (self.error(i) for i, code in enumerate(self.status) if code != Status.OK)
        return [error for error in found if error is not None]

    @property
    def status(self) -> memoryview:
        """(n,) 16-bit codes: keysend_fast.status.Status."""
        return self._returns.status

    @property
    def erring_indexes(self) -> memoryview:
        """(n,) 16-bit indexes of the erring nodes; 65535 where nobody is known."""
        return self._returns.erring_hops

    def __repr__(self) -> str:
        return f"<FailureBatch of {len(self)}, {sum(1 for code in self.status if code == Status.OK)} decoded>"


def decode_failure(
    packet: Buffer,
    shared_secrets: Secrets,
    *,
    attribution_data: Buffer | None = None,
    implementation: str | None = None,
) -> Failure:
    """Decode one return packet at the origin (BOLT 4, Origin node).

    packet: as it arrived in update_fail_htlc, at most 65535 bytes. shared_secrets: ``onion.secrets``, or see derive_secrets.
    attribution_data: the 920 bytes that came with it. 27 rounds whatever the route; constant time but for lengths and for
    the result. Raises ValueError or TypeError for misuse; an undecodable packet is a status.
    """
    blocks = None if attribution_data is None else [attribution_data]
    return decode_failures(
        [packet], [shared_secrets], attribution_data=blocks, threads=1, implementation=implementation
    )[0]


def decode_failures(
    packets: Rows | ReturnPackets,
    secrets: OnionBatch | Iterable[Secrets],
    *,
    attribution_data: Rows | None = None,
    threads: int | None = None,
    implementation: str | None = None,
) -> FailureBatch:
    """Decode many return packets at the origin (BOLT 4, Origin node).

    packets: bytes each, or a buffer (n, bytes). secrets: as many, each as in decode_failure, or the batch that built the
    onions. attribution_data: None, a buffer (n, 920), or a sequence whose items may be None. threads: None is one below 512
    packets, else one a core. Routes of different lengths and packets of one length run fastest together.
    Raises ValueError or TypeError for misuse only.
    """
    if not isinstance(secrets, OnionBatch | Sequence):
        secrets = list(secrets)
    return FailureBatch(
        _failure.decode_returns(packets, secrets, attribution_data, threads=threads, implementation=implementation)
    )


@dataclass(frozen=True, slots=True)
class HoldTimes:
    """What attribution data says of a payment that arrived (BOLT 4, Hold times for successful payments).

    hold_times: of the first hops, in units of 100 ms, as far as they verify, at most 20. first_unverified: the first hop that
    does not verify, None where all do.
    """

    hold_times: tuple[int, ...]
    first_unverified: int | None = None

    @property
    def unverified(self) -> Blame | None:
        """The link where the data were tampered with or end for want of support."""
        return None if self.first_unverified is None else Blame((self.first_unverified - 1, self.first_unverified))


def decode_fulfilled(
    attribution_data: Buffer, shared_secrets: Secrets, *, implementation: str | None = None
) -> HoldTimes:
    """Verify the attribution data of a fulfilled HTLC and read its hold times. Arguments as in decode_failure."""
    return decode_fulfilleds([attribution_data], [shared_secrets], threads=1, implementation=implementation)[0]


def decode_fulfilleds(
    attribution_data: Sequence[Buffer] | memoryview,
    secrets: OnionBatch | Iterable[Secrets],
    *,
    threads: int | None = None,
    implementation: str | None = None,
) -> list[HoldTimes]:
    """The same for many. Arguments as in decode_failures; every item has attribution data."""
    if not isinstance(secrets, OnionBatch | Sequence):
        secrets = list(secrets)
    returns = _failure.decode_returns(
        [None] * len(attribution_data), secrets, attribution_data, threads=threads, implementation=implementation
    )
    return [HoldTimes(times or (), unverified) for *_, times, unverified in returns]


def derive_secrets(
    session_key: Buffer,
    node_ids: Sequence[Buffer],
    *,
    implementation: str | None = None,
    hop_tables: HopTables | None = None,
) -> OnionSecrets:
    """The shared secrets of an onion again, from its session key (32 bytes, SECRET) and node ids (33 bytes each).

    Builds an onion over them and drops it: what BOLT 4 calls the key chain, in constant time. Raises OnionError subclasses
    with the hop at fault.
    """
    smallest_frame = 1 + 2 + 32
    request = OnionRequest(node_ids, [b"\0\0"] * len(node_ids), session_key, b"")
    size = max(1, smallest_frame * len(node_ids))
    batch = build_onions(
        [request], hop_payloads_size=size, threads=1, implementation=implementation, hop_tables=hop_tables
    )
    return batch[0].secrets
