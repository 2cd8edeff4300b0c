"""Every exception that keysend_fast raises on purpose, as one tree.

Bad input raises an ``InputError`` that says where the fault is. Inside a batch a bad item is a status, not an
exception; it becomes one of these only when the caller asks for that item.
"""

from __future__ import annotations


class KeysendFastError(Exception):
    """Base of every exception raised on purpose by this package."""


class InputError(KeysendFastError, ValueError):
    """What the caller gave cannot be used; nothing was built, paid or changed."""


class TlvError(InputError):
    """A TLV stream or record is malformed (BOLT 1, Type-Length-Value Format).

    type: the record's type, or None where it could not be read. offset: bytes from the start of the stream, or None.
    """

    def __init__(self, message: str, *, type: int | None = None, offset: int | None = None) -> None:
        super().__init__(message)
        self.type = type
        self.offset = offset


class FeedError(InputError):
    """A podcast feed cannot be read or says something that must not be paid.

    line: 1-based line of the feed where the element starts, or None. element: its name, such as
    ``podcast:valueRecipient``, or None where the fault is not inside one.
    """

    def __init__(self, message: str, *, line: int | None = None, element: str | None = None) -> None:
        where = "" if line is None else f"line {line}: "
        what = "" if element is None else f"<{element}>: "
        super().__init__(f"{where}{what}{message}")
        self.line = line
        self.element = element


class SplitError(InputError):
    """Shares, fees and amount cannot be divided as asked."""


class RouteError(InputError):
    """A route or channel description is malformed.

    hop: 0-based index of the hop at fault, or None where the fault is the route's as a whole.
    """

    def __init__(self, message: str, *, hop: int | None = None) -> None:
        super().__init__(message if hop is None else f"hop {hop}: {message}")
        self.hop = hop


class ReplyError(InputError):
    """A node's report of a failed payment holds no failure that could be read, or is not one."""


class NoRouteError(KeysendFastError):
    """The graph holds no route that can carry this payment."""


class MissingDependencyError(KeysendFastError, ImportError):
    """An optional library is missing or unusable; the message names the cure."""


class OnionError(KeysendFastError):
    """An onion cannot be built or peeled.

    index: its place in the batch, or None for a single call. hop: 0-based hop at fault, or None where there is none.
    offset: bytes, where the message says of what. type: TLV type where one is at fault. failure_code: what a node answers
    for it (BOLT 4, Failure Messages), or None where the fault is the sender's.
    """

    failure_code: int | None = None

    def __init__(
        self,
        message: str,
        *,
        index: int | None = None,
        hop: int | None = None,
        offset: int | None = None,
        type: int | None = None,
    ) -> None:
        super().__init__(message if index is None else f"item {index}: {message}")
        self.index = index
        self.hop = hop
        self.offset = offset
        self.type = type


class SessionKeyError(OnionError, InputError):
    """A session key, or a scalar blinded from it, is 0 or not below the group order."""


class NodeKeyError(OnionError, InputError):
    """A node id is not a compressed point of secp256k1."""


class PayloadSizeError(OnionError, InputError):
    """A payload has 0 or 1 bytes, lengths that BOLT 4 reserves."""


class OnionSizeError(OnionError, InputError):
    """The frames do not fit hop_payloads; offset is by how many bytes."""


class RecordError(OnionError, InputError):
    """A custom record stream breaks BOLT 1 or uses a type that is not for custom records."""


class AmountError(OnionError, InputError):
    """An amount is 0 or too large, or another amount was asked of a route whose hops say no policy."""


class CltvError(OnionError, InputError):
    """Block height and delta exceed 32 bits."""


class HopCountError(OnionError, InputError):
    """A route has no hops, or more than an onion could ever hold."""


class ChannelError(OnionError, InputError):
    """A hop behind the first has no short_channel_id."""


class PeelError(OnionError):
    """A packet was refused by the node that peeled it."""


class VersionError(PeelError):
    """The packet's version is not 0."""

    failure_code = 0xC004  # invalid_onion_version


class HmacError(PeelError):
    """The packet's HMAC does not match: it was changed on the way, or is for another node or payment."""

    failure_code = 0xC005  # invalid_onion_hmac


class EphemeralKeyError(PeelError):
    """The packet's public key is not a compressed point of secp256k1."""

    failure_code = 0xC006  # invalid_onion_key


class FrameError(PeelError):
    """The decrypted frame's length is reserved, not minimal or runs out of hop_payloads."""

    failure_code = 0x4016  # invalid_onion_payload


class FailureError(OnionError):
    """What came back for a payment cannot be decoded; hop is who authenticated a packet without a failure message."""


class CancelledError(OnionError):
    """The batch was interrupted before this item was reached."""


class KeysendRefused(KeysendFastError):  # noqa: N818 - what the recipient answers is a refusal, not an error of the caller
    """The recipient must not claim this payment.

    failure_code: BOLT 4's code. data: what follows the code in the failure message. type, offset: of the TLV record at fault,
    or None.
    """

    def __init__(
        self, message: str, failure_code: int, data: bytes, *, type: int | None = None, offset: int | None = None
    ) -> None:
        super().__init__(message)
        self.failure_code = failure_code
        self.data = data
        self.type = type
        self.offset = offset

    @classmethod
    def payload(cls, message: str, type: int, offset: int = 0) -> KeysendRefused:
        """PERM|22 invalid_onion_payload: BigSize type, u16 offset."""
        if type < 0xFD:
            head = bytes([type])
        else:
            marker, width = (0xFD, 2) if type <= 0xFFFF else (0xFE, 4) if type <= 0xFFFFFFFF else (0xFF, 8)
            head = bytes([marker]) + type.to_bytes(width, "big")
        data = head + min(offset, 0xFFFF).to_bytes(2, "big")
        return cls(message, 0x4016, data, type=type, offset=offset)

    @classmethod
    def amount(cls, received_msat: int, stated_msat: int) -> KeysendRefused:
        """19 final_incorrect_htlc_amount: u64 of the HTLC's."""
        message = f"the HTLC has {received_msat} msat, the payload says {stated_msat}"
        return cls(message, 19, received_msat.to_bytes(8, "big"))

    @classmethod
    def expiry(cls, received: int, stated: int) -> KeysendRefused:
        """18 final_incorrect_cltv_expiry: u32 of the HTLC's."""
        return cls(f"the HTLC expires at {received}, the payload says {stated}", 18, received.to_bytes(4, "big"))

    @classmethod
    def details(cls, message: str, amount_msat: int, block_height: int) -> KeysendRefused:
        """PERM|15 incorrect_or_unknown_payment_details: u64 amount, u32 height."""
        data = amount_msat.to_bytes(8, "big") + block_height.to_bytes(4, "big")
        return cls(message, 0x400F, data)
