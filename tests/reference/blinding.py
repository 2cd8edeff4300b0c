"""Blinded paths: made by their recipient, read by the nodes on them (BOLT 4, "Route Blinding")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.reference import chacha20, secp256k1, tlv
from tests.reference.sphinx import blinding_factor, key

PADDING = 1
SHORT_CHANNEL_ID = 2
NEXT_NODE_ID = 4
PATH_ID = 6
NEXT_PATH_KEY_OVERRIDE = 8
PAYMENT_RELAY = 10
PAYMENT_CONSTRAINTS = 12
ALLOWED_FEATURES = 14

MILLION = 1_000_000


class BlindingError(ValueError):
    """Encrypted data that its node must refuse, or a payment outside of what it allows."""


@dataclass(frozen=True)
class PathHop:
    """What the recipient and one node of its path share."""

    path_secret: bytes
    path_key: bytes
    shared_secret: bytes


def path_chain(first_path_secret: bytes, node_ids: Sequence[bytes]) -> list[PathHop]:
    """Return e_i, E_i and ss_i of each node, from e_0."""
    chain: list[PathHop] = []
    path_secret = first_path_secret
    for node_id in node_ids:
        path_key = secp256k1.public_key(path_secret)
        shared_secret = secp256k1.ecdh(path_secret, node_id)
        chain.append(PathHop(path_secret, path_key, shared_secret))
        path_secret = secp256k1.tweak_secret(path_secret, blinding_factor(path_key, shared_secret))
    return chain


@dataclass(frozen=True)
class BlindedHop:
    """What a sender is told of one node."""

    blinded_node_id: bytes
    encrypted_recipient_data: bytes


@dataclass(frozen=True)
class BlindedPath:
    """What a sender is told of the path."""

    first_node_id: bytes
    first_path_key: bytes
    hops: list[BlindedHop]


def create_path(first_path_secret: bytes, node_ids: Sequence[bytes], encrypted_data: Sequence[bytes]) -> BlindedPath:
    """Return the path over these nodes; `encrypted_data` are their encrypted_data_tlv streams in the clear."""
    chain = path_chain(first_path_secret, node_ids)
    hops = [
        BlindedHop(
            secp256k1.tweak_public(node_id, key("blinded_node_id", hop.shared_secret)),
            chacha20.seal(key("rho", hop.shared_secret), data),
        )
        for node_id, hop, data in zip(node_ids, chain, encrypted_data, strict=True)
    ]
    return BlindedPath(node_ids[0], chain[0].path_key, hops)


@dataclass(frozen=True)
class Unblinded:
    """What a node on the path finds out: its blinded secret key, its data, and the path_key for the node after it."""

    blinded_secret: bytes
    encrypted_data: bytes
    next_path_key: bytes

    @property
    def fields(self) -> dict[int, Any]:
        """The decoded encrypted_data_tlv."""
        return decode_data(self.encrypted_data)


def unblind(node_secret: bytes, path_key: bytes, encrypted_recipient_data: bytes) -> Unblinded:
    """Decrypt a node's data; BlindingError if it is not authentic or not a valid encrypted_data_tlv."""
    try:
        shared_secret = secp256k1.ecdh(node_secret, path_key)
        data = chacha20.open_(key("rho", shared_secret), encrypted_recipient_data)
        override = decode_data(data).get(NEXT_PATH_KEY_OVERRIDE)
    except ValueError as error:
        raise BlindingError(str(error)) from None
    following = secp256k1.tweak_public(path_key, blinding_factor(path_key, shared_secret))
    blinded = secp256k1.tweak_secret(node_secret, key("blinded_node_id", shared_secret))
    return Unblinded(blinded, data, following if override is None else override)


@dataclass(frozen=True)
class Relay:
    """payment_relay: what a node takes for forwarding, in blocks and millisatoshis."""

    cltv_expiry_delta: int
    fee_proportional_millionths: int
    fee_base_msat: int

    def encode(self) -> bytes:
        """Return the TLV's value: u16, u32, tu32."""
        fixed = self.cltv_expiry_delta.to_bytes(2, "big") + self.fee_proportional_millionths.to_bytes(4, "big")
        return fixed + tlv.encode_tu(self.fee_base_msat, 4)

    @staticmethod
    def decode(value: bytes) -> Relay:
        """Read the TLV's value."""
        if len(value) < 6:
            raise ValueError("payment_relay is cut short")
        return Relay(int.from_bytes(value[:2], "big"), int.from_bytes(value[2:6], "big"), tlv.decode_tu32(value[6:]))


@dataclass(frozen=True)
class Constraints:
    """payment_constraints: the highest expiry and the lowest amount of an HTLC that may use the path."""

    max_cltv_expiry: int
    htlc_minimum_msat: int

    def encode(self) -> bytes:
        """Return the TLV's value: u32, tu64."""
        return self.max_cltv_expiry.to_bytes(4, "big") + tlv.encode_tu(self.htlc_minimum_msat, 8)

    @staticmethod
    def decode(value: bytes) -> Constraints:
        """Read the TLV's value."""
        if len(value) < 4:
            raise ValueError("payment_constraints is cut short")
        return Constraints(int.from_bytes(value[:4], "big"), tlv.decode_tu64(value[4:]))


def _point(value: bytes) -> bytes:
    secp256k1.parse(value)
    return value


DATA_TYPES: dict[int, tlv.Decoder] = {
    PADDING: bytes,
    SHORT_CHANNEL_ID: tlv.decode_u64,
    NEXT_NODE_ID: _point,
    PATH_ID: bytes,
    NEXT_PATH_KEY_OVERRIDE: _point,
    PAYMENT_RELAY: Relay.decode,
    PAYMENT_CONSTRAINTS: Constraints.decode,
    ALLOWED_FEATURES: bytes,
}


def decode_data(stream: bytes) -> dict[int, Any]:
    """Decode an encrypted_data_tlv stream; TlvError as for any namespace."""
    return tlv.decode(stream, DATA_TYPES)


def encode_data(fields: Mapping[int, int | bytes | Relay | Constraints]) -> bytes:
    """Return the encrypted_data_tlv stream of decoded fields; unknown types are given as bytes."""

    def value(field: int | bytes | Relay | Constraints) -> bytes:
        if isinstance(field, bytes):
            return field
        return field.to_bytes(8, "big") if isinstance(field, int) else field.encode()

    return tlv.encode({type_: value(field) for type_, field in fields.items()})


def forward(fields: Mapping[int, Any], amount_msat: int, cltv_expiry: int) -> tuple[int, int]:
    """Return (amt_to_forward, outgoing_cltv_value) of a payment that came in with these, by a node's decoded data.

    BlindingError where BOLT 4 has the reader refuse ("Payload Format", reader's requirements, not the final node).
    """
    constraints = fields.get(PAYMENT_CONSTRAINTS)
    if constraints is not None and cltv_expiry > constraints.max_cltv_expiry:
        raise BlindingError("the HTLC expires after the path does")
    if constraints is not None and amount_msat < constraints.htlc_minimum_msat:
        raise BlindingError("the HTLC is below the path's minimum")
    if any(fields.get(ALLOWED_FEATURES, b"")):
        raise BlindingError("the path allows a feature that is not known here")
    if (SHORT_CHANNEL_ID in fields) == (NEXT_NODE_ID in fields):
        raise BlindingError("either a channel or a node must be next")
    relay = fields.get(PAYMENT_RELAY)
    if relay is None:
        raise BlindingError("payment_relay is missing")
    proportional = MILLION + relay.fee_proportional_millionths
    amount = ((amount_msat - relay.fee_base_msat) * MILLION + proportional - 1) // proportional
    return amount, cltv_expiry - relay.cltv_expiry_delta


def aggregate(relays: Sequence[Relay], min_final_cltv_expiry_delta: int = 0) -> Relay:
    """Return what a whole path takes; `relays` are those of its nodes but the last, first node first."""
    base, proportional, delta = 0, 0, min_final_cltv_expiry_delta
    for relay in reversed(relays):
        base_before, part = base, relay.fee_proportional_millionths
        base = (relay.fee_base_msat * MILLION + base_before * (MILLION + part) + MILLION - 1) // MILLION
        proportional = ((proportional + part) * MILLION + proportional * part + MILLION - 1) // MILLION
        delta += relay.cltv_expiry_delta
    return Relay(delta, proportional, base)
