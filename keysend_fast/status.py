"""Per-item outcomes of a batch: the core's status codes and the exceptions that they become."""

from __future__ import annotations

from enum import IntEnum

from keysend_fast import errors

__all__ = ["Status", "onion_error"]


class Status(IntEnum):
    """Code of one item (csrc/include/ksf.h, KSF_ERR_*)."""

    OK = 0
    NO_HOPS = 1
    SESSION_KEY = 2
    NODE_KEY = 3
    PAYLOAD_SIZE = 4
    ONION_SIZE = 5
    TLV = 6
    AMOUNT = 7
    CLTV = 8
    VERSION = 9
    EPHEMERAL_KEY = 10
    HMAC = 11
    FRAME = 12
    SCALAR = 13
    POINT = 14
    NO_CHANNEL = 15
    CANCELLED = 16
    UNDECODABLE = 17
    FAILURE_MESSAGE = 18


_ERRORS: dict[Status, tuple[type[errors.OnionError], str]] = {
    Status.NO_HOPS: (errors.HopCountError, "the route has no hops or too many"),
    Status.SESSION_KEY: (errors.SessionKeyError, "the session key is 0 or not below the group order (at hop {hop})"),
    Status.NODE_KEY: (errors.NodeKeyError, "the node id of hop {hop} is not a compressed point"),
    Status.PAYLOAD_SIZE: (errors.PayloadSizeError, "the payload of hop {hop} has 0 or 1 bytes, which BOLT 4 reserves"),
    Status.ONION_SIZE: (errors.OnionSizeError, "the frames exceed hop_payloads by {offset} bytes"),
    Status.TLV: (errors.RecordError, "the custom records break the rules at offset {offset}, type {type}"),
    Status.AMOUNT: (errors.AmountError, "the amount at hop {hop} is 0, too large, or the hop's policy is unknown"),
    Status.CLTV: (errors.CltvError, "the CLTV expiry of hop {hop} does not fit 32 bits"),
    Status.VERSION: (errors.VersionError, "the packet's version is not 0"),
    Status.EPHEMERAL_KEY: (errors.EphemeralKeyError, "the packet's public key is not a compressed point"),
    Status.HMAC: (errors.HmacError, "the packet's HMAC does not match"),
    Status.FRAME: (errors.FrameError, "the decrypted frame's length is reserved, not minimal or runs out"),
    Status.SCALAR: (errors.SessionKeyError, "the scalar is 0 or not below the group order"),
    Status.POINT: (errors.NodeKeyError, "the public key is not a compressed point"),
    Status.NO_CHANNEL: (errors.ChannelError, "hop {hop} has no short_channel_id"),
    Status.CANCELLED: (errors.CancelledError, "the batch was interrupted before this item"),
    Status.UNDECODABLE: (errors.FailureError, "no node of the route authenticated the return packet"),
    Status.FAILURE_MESSAGE: (
        errors.FailureError,
        "hop {hop} authenticated a return packet that holds no failure message",
    ),
}
_WITH_HOP = {
    Status.SESSION_KEY,
    Status.NODE_KEY,
    Status.PAYLOAD_SIZE,
    Status.AMOUNT,
    Status.CLTV,
    Status.NO_CHANNEL,
    Status.FAILURE_MESSAGE,
}
_WITH_OFFSET = {Status.ONION_SIZE, Status.TLV, Status.FRAME}


def onion_error(code: int, hop: int, offset: int, type: int, index: int | None) -> errors.OnionError:
    """The exception that a status stands for; index None for a single call."""
    status = Status(code)
    kind, text = _ERRORS[status]
    return kind(
        text.format(hop=hop, offset=offset, type=type),
        index=index,
        hop=hop if status in _WITH_HOP else None,
        offset=offset if status in _WITH_OFFSET else None,
        type=type if status is Status.TLV else None,
    )
