"""Failures on their way back, and what their codes mean (BOLT 4, "Returning Errors" and "Failure Messages")."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from tests.reference import bigsize
from tests.reference.chacha20 import stream, xor
from tests.reference.sphinx import HMAC_SIZE, key

# failure_len + pad_len that a node should use, and may not go below
PADDED_SIZE = 256
# The origin unwraps as many layers whatever the route's length.
ROUNDS = 27
# Constant keys for the rounds behind the end of the route.
DUMMY_AMMAG = bytes(range(32))
DUMMY_UM = bytes(range(32, 64))


def create(shared_secret: bytes, message: bytes, padded_size: int = PADDED_SIZE) -> bytes:
    """Return the erring node's return packet in the clear: hmac, message and padding. `wrap` it before sending."""
    padding = bytes(max(0, padded_size - len(message)))
    body = len(message).to_bytes(2, "big") + message + len(padding).to_bytes(2, "big") + padding
    return hmac.digest(key("um", shared_secret), body, "sha256") + body


def wrap(shared_secret: bytes, packet: bytes) -> bytes:
    """Return a return packet with this node's layer put on (or taken off): what every node does, the erring one too."""
    return xor(packet, stream(key("ammag", shared_secret), len(packet)))


@dataclass(frozen=True)
class Decoded:
    """Who failed, counted from 0 at the first hop, and the failure message: code, data, perhaps more."""

    hop: int
    message: bytes


class MalformedFailure(ValueError):
    """A packet that node `hop` authenticated, but that holds no failure message."""

    def __init__(self, hop: int) -> None:
        super().__init__(f"hop {hop} sent a return packet without a failure message")
        self.hop = hop


def decode(packet: bytes, shared_secrets: Sequence[bytes]) -> Decoded | None:
    """Return the failure that the origin finds under its shared secrets, or None if no node authenticated it.

    The padding is not looked at: what the erring node put behind its message changes nothing for the origin.
    """
    keys = [(key("ammag", secret), key("um", secret)) for secret in shared_secrets]
    keys += [(DUMMY_AMMAG, DUMMY_UM)] * (ROUNDS - len(keys))
    found: tuple[int, bytes] | None = None
    for hop, (ammag, um) in enumerate(keys):
        packet = xor(packet, stream(ammag, len(packet)))
        mac, body = packet[:HMAC_SIZE], packet[HMAC_SIZE:]
        genuine = mac == hmac.digest(um, body, "sha256")
        if genuine and found is None and hop < len(shared_secrets):
            found = hop, body
    if found is None:
        return None
    hop, body = found
    length = int.from_bytes(body[:2], "big")
    # A message begins with the two bytes of its code.
    if length < 2 or len(body) < 2 + length:
        raise MalformedFailure(hop)
    return Decoded(hop, body[2 : 2 + length])


BADONION = 0x8000
PERM = 0x4000
NODE = 0x2000
UPDATE = 0x1000

# code -> (name, its data in order as (field, kind)). Kinds: u16, u32, u64, bigsize, sha256, and "update", a
# channel_update behind its u16 length.
CODES: dict[int, tuple[str, tuple[tuple[str, str], ...]]] = {
    NODE | 2: ("temporary_node_failure", ()),
    PERM | NODE | 2: ("permanent_node_failure", ()),
    PERM | NODE | 3: ("required_node_feature_missing", ()),
    BADONION | PERM | 4: ("invalid_onion_version", (("sha256_of_onion", "sha256"),)),
    BADONION | PERM | 5: ("invalid_onion_hmac", (("sha256_of_onion", "sha256"),)),
    BADONION | PERM | 6: ("invalid_onion_key", (("sha256_of_onion", "sha256"),)),
    UPDATE | 7: ("temporary_channel_failure", (("channel_update", "update"),)),
    PERM | 8: ("permanent_channel_failure", ()),
    PERM | 9: ("required_channel_feature_missing", ()),
    PERM | 10: ("unknown_next_peer", ()),
    UPDATE | 11: ("amount_below_minimum", (("htlc_msat", "u64"), ("channel_update", "update"))),
    UPDATE | 12: ("fee_insufficient", (("htlc_msat", "u64"), ("channel_update", "update"))),
    UPDATE | 13: ("incorrect_cltv_expiry", (("cltv_expiry", "u32"), ("channel_update", "update"))),
    UPDATE | 14: ("expiry_too_soon", (("channel_update", "update"),)),
    PERM | 15: ("incorrect_or_unknown_payment_details", (("htlc_msat", "u64"), ("height", "u32"))),
    18: ("final_incorrect_cltv_expiry", (("cltv_expiry", "u32"),)),
    19: ("final_incorrect_htlc_amount", (("incoming_htlc_amt", "u64"),)),
    UPDATE | 20: ("channel_disabled", (("disabled_flags", "u16"), ("channel_update", "update"))),
    21: ("expiry_too_far", ()),
    PERM | 22: ("invalid_onion_payload", (("type", "bigsize"), ("offset", "u16"))),
    23: ("mpp_timeout", ()),
    BADONION | PERM | 24: ("invalid_onion_blinding", (("sha256_of_onion", "sha256"),)),
    # No longer sent by the BOLT, still met: the first three by old nodes, the others by trampoline nodes (51 and 52 of
    # Eclair and Electrum, 25 to 27 of the proposed trampoline specification).
    PERM | 1: ("invalid_realm", ()),
    PERM | 16: ("incorrect_payment_amount", ()),
    17: ("final_expiry_too_soon", ()),
    NODE | 51: ("trampoline_fee_insufficient", ()),
    NODE | 52: ("trampoline_expiry_too_soon", ()),
    NODE | 25: ("temporary_trampoline_failure", ()),
    NODE | 26: (
        "trampoline_fee_or_expiry_insufficient",
        (("fee_base_msat", "u32"), ("fee_proportional_millionths", "u32"), ("cltv_expiry_delta", "u16")),
    ),
    PERM | 27: ("unknown_next_trampoline", ()),
}
INTEGER_SIZES = {"u16": 2, "u32": 4, "u64": 8}


@dataclass(frozen=True)
class FailureMessage:
    """A failure message taken apart.

    `name` is None for an unknown code. `missing` names the first field that the message is too short for: the fields
    from there on are absent. `rest` is what follows the known fields, a TLV stream if anything.
    """

    code: int
    name: str | None
    fields: dict[str, int | bytes]
    missing: str | None
    rest: bytes


def parse_message(message: bytes) -> FailureMessage:
    """Take a failure message apart; ValueError if it has not even a code."""
    if len(message) < 2:
        raise ValueError("a failure message begins with a code of two bytes")
    code, rest = int.from_bytes(message[:2], "big"), message[2:]
    if code not in CODES:
        return FailureMessage(code, None, {}, None, rest)
    name, layout = CODES[code]
    fields: dict[str, int | bytes] = {}
    for field, kind in layout:
        try:
            fields[field], rest = _read_field(kind, rest)
        except ValueError:
            return FailureMessage(code, name, fields, field, rest)
    return FailureMessage(code, name, fields, None, rest)


def _read_field(kind: str, data: bytes) -> tuple[int | bytes, bytes]:
    """Return a field and what follows it; ValueError if the data is too short."""
    if kind == "bigsize":
        value, end = bigsize.read(data)
        return value, data[end:]
    if kind == "update":
        length, data = _read_field("u16", data)
        assert isinstance(length, int)
    else:
        length = 32 if kind == "sha256" else INTEGER_SIZES[kind]
    if len(data) < length:
        raise ValueError(f"{len(data)} bytes where {length} are due")
    taken, rest = data[:length], data[length:]
    return (int.from_bytes(taken, "big") if kind in INTEGER_SIZES else taken), rest


def build_message(code: int, fields: dict[str, int | bytes] | None = None, rest: bytes = b"") -> bytes:
    """Return the failure message of a known code; its fields must be all there or, for PERM|22, all absent."""
    message = code.to_bytes(2, "big")
    for field, kind in CODES[code][1] if fields else ():
        assert fields is not None
        value = fields[field]
        if isinstance(value, bytes):
            message += len(value).to_bytes(2, "big") + value if kind == "update" else value
        else:
            message += bigsize.encode(value) if kind == "bigsize" else value.to_bytes(INTEGER_SIZES[kind], "big")
    return message + rest
