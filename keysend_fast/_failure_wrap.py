"""The nodes' side of what comes back for an HTLC: making, wrapping, attributing (BOLT 4, Returning Errors)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keysend_fast import _failure
from keysend_fast._failure import ReturnPackets
from keysend_fast._types import Buffer, Rows

PADDED_SIZE = 256  # BOLT 4: failure_len + pad_len should be this


@dataclass(frozen=True, slots=True)
class ReturnPacket:
    """What a node sends upstream: the return packet and, where it supports them, 920 bytes of attribution data."""

    packet: bytes
    attribution_data: bytes | None


def create_failure(
    shared_secret: Buffer,
    message: Buffer,
    *,
    hold_time: int | None = None,
    size: int = PADDED_SIZE,
    implementation: str | None = None,
) -> ReturnPacket:
    """Make a failure at the node that refuses a payment (BOLT 4, Erring node), as it goes upstream.

    shared_secret: 32 bytes, SECRET (``peeled.shared_secret``). message: code and data, see failure_message. hold_time: in
    units of 100 ms; None for a node without attribution data. size: bytes that message and padding have at least; other than
    256 may not be understood upstream. Raises ValueError or TypeError for misuse.
    """
    times = None if hold_time is None else [hold_time]
    made = create_failures(
        [shared_secret], [message], hold_times=times, size=size, threads=1, implementation=implementation
    )
    return ReturnPacket(*made[0])


def create_failures(
    shared_secrets: Rows,
    messages: Sequence[Buffer],
    *,
    hold_times: int | Sequence[int] | None = None,
    size: int = PADDED_SIZE,
    threads: int | None = None,
    implementation: str | None = None,
) -> ReturnPackets:
    """create_failure for many. shared_secrets: (n, 32) bytes, SECRET. hold_times: one for all, or each."""
    return _failure.step_returns(
        shared_secrets, messages, hold_times=hold_times, size=size, threads=threads, implementation=implementation
    )


def wrap_failure(
    shared_secret: Buffer,
    packet: Buffer,
    *,
    attribution_data: Buffer | None = None,
    hold_time: int | None = None,
    implementation: str | None = None,
) -> ReturnPacket:
    """Put a forwarding node's layer on a return packet (BOLT 4, Intermediate nodes).

    packet, attribution_data: as they came from downstream. hold_time: as in create_failure; attribution data that did not
    come are then started here. Raises ValueError or TypeError for misuse.
    """
    blocks = None if attribution_data is None else [attribution_data]
    times = None if hold_time is None else [hold_time]
    made = wrap_failures(
        [shared_secret], [packet], attribution_data=blocks, hold_times=times, threads=1, implementation=implementation
    )
    return ReturnPacket(*made[0])


def wrap_failures(
    shared_secrets: Rows,
    packets: Rows | ReturnPackets,
    *,
    attribution_data: Rows | None = None,
    hold_times: int | Sequence[int] | None = None,
    threads: int | None = None,
    implementation: str | None = None,
) -> ReturnPackets:
    """Wrap many. packets: what create_failures or wrap_failures gave (with its attribution data), or as in decode_failures."""
    return _failure.step_returns(
        shared_secrets, None, packets, attribution_data, hold_times, threads=threads, implementation=implementation
    )


def wrap_fulfilled(
    shared_secret: Buffer,
    *,
    hold_time: int,
    attribution_data: Buffer | None = None,
    implementation: str | None = None,
) -> bytes:
    """Attribution data that a node sends with update_fulfill_htlc. attribution_data: None at the recipient. 920 bytes."""
    blocks = None if attribution_data is None else [attribution_data]
    return wrap_fulfilleds(
        [shared_secret], hold_times=[hold_time], attribution_data=blocks, threads=1, implementation=implementation
    )[0]


def wrap_fulfilleds(
    shared_secrets: Rows,
    *,
    hold_times: int | Sequence[int],
    attribution_data: Rows | None = None,
    threads: int | None = None,
    implementation: str | None = None,
) -> list[bytes]:
    """The same for many. Arguments as in wrap_failures."""
    steps = _failure.step_returns(
        shared_secrets,
        attribution_data=attribution_data,
        hold_times=hold_times,
        threads=threads,
        implementation=implementation,
    )
    return [block for _, block in steps if block is not None]
