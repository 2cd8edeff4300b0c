"""Onion packets: keys, construction and one layer's removal (BOLT 4, "Packet Construction", "Onion Decryption")."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from tests.reference import bigsize, secp256k1
from tests.reference.chacha20 import stream, xor

HMAC_SIZE = 32
PAYMENT_HOP_PAYLOADS = 1300
# version, public_key and hmac around the hop_payloads
OVERHEAD = 1 + 33 + HMAC_SIZE
FINAL = bytes(HMAC_SIZE)


class OnionError(ValueError):
    """An onion that cannot be built or peeled. `code` is the BOLT 4 failure code of a reader, where there is one."""

    code: int | None = None


class InvalidVersion(OnionError):
    """The version byte is not 0."""

    code = 0xC004


class InvalidHmac(OnionError):
    """The hmac does not match hop_payloads and associated data under this node's key."""

    code = 0xC005


class InvalidKey(OnionError):
    """The onion's public_key is no point."""

    code = 0xC006


class InvalidPathKey(OnionError):
    """The path_key given beside the onion is no point."""

    code = 0xC018


class InvalidFrame(OnionError):
    """The authenticated hop_payloads do not begin with a frame: the sender built it badly."""

    code = 0x4016


class InvalidRoute(OnionError):
    """The sender's input is unusable; `hop` is the index at fault, or None if it is the whole."""

    def __init__(self, reason: str, hop: int | None = None) -> None:
        super().__init__(reason if hop is None else f"hop {hop}: {reason}")
        self.hop = hop


def key(key_type: str, secret: bytes) -> bytes:
    """Return HMAC-SHA256(key_type, secret); types rho, mu, um, pad, ammag, ammagext, blinded_node_id."""
    return hmac.digest(key_type.encode("ascii"), secret, "sha256")


def blinding_factor(public_key: bytes, shared_secret: bytes) -> bytes:
    """Return SHA256(public_key || shared_secret), by which the ephemeral key is multiplied at a hop."""
    return hashlib.sha256(public_key + shared_secret).digest()


@dataclass(frozen=True)
class HopSecrets:
    """What sender and hop share: the ephemeral public key that the hop sees, and the shared secret."""

    public_key: bytes
    shared_secret: bytes


def key_chain(session_key: bytes, node_ids: Sequence[bytes]) -> list[HopSecrets]:
    """Return each hop's ephemeral public key and shared secret (BOLT 4, Blinding Ephemeral Onion Keys)."""
    chain: list[HopSecrets] = []
    ephemeral = session_key
    for hop, node_id in enumerate(node_ids):
        try:
            public = secp256k1.public_key(ephemeral)
        except ValueError as error:
            raise InvalidRoute(f"session key: {error}") from None
        try:
            shared_secret = secp256k1.ecdh(ephemeral, node_id)
        except ValueError as error:
            raise InvalidRoute(f"node id: {error}", hop) from None
        chain.append(HopSecrets(public, shared_secret))
        ephemeral = secp256k1.tweak_secret(ephemeral, blinding_factor(public, shared_secret))
    return chain


def frame_size(payload: bytes) -> int:
    """Return the bytes that a payload takes of the hop_payloads: its length, itself and the next hmac."""
    return len(bigsize.encode(len(payload))) + len(payload) + HMAC_SIZE


def filler(shared_secrets: Sequence[bytes], payloads: Sequence[bytes], size: int) -> bytes:
    """Return what the readers before the last leave at the tail of hop_payloads (BOLT 4, Filler Generation)."""
    tail = b""
    for shared_secret, payload in zip(shared_secrets[:-1], payloads[:-1], strict=True):
        # The reader appends zeros and removes its frame from the front: the same number of bytes on either side.
        tail += bytes(frame_size(payload))
        end = size + frame_size(payload)
        tail = xor(tail, stream(key("rho", shared_secret), end)[end - len(tail) :])
    return tail


@dataclass(frozen=True)
class Onion:
    """A built packet and what its sender keeps to read the answer."""

    packet: bytes
    hops: list[HopSecrets]

    @property
    def shared_secrets(self) -> list[bytes]:
        """The hops' shared secrets, first hop first."""
        return [hop.shared_secret for hop in self.hops]


def build(
    session_key: bytes,
    node_ids: Sequence[bytes],
    payloads: Sequence[bytes],
    associated_data: bytes = b"",
    size: int = PAYMENT_HOP_PAYLOADS,
) -> Onion:
    """Build an onion packet of 66 + size bytes.

    `session_key` is 32 bytes, `node_ids` 33 each, `payloads` the hops' TLV streams without their length prefix.
    The size is 1300 for payments; onion messages may use any. InvalidRoute names the hop at fault.
    """
    if not node_ids or len(node_ids) != len(payloads):
        raise InvalidRoute("as many payloads as nodes are due, and at least one")
    for hop, payload in enumerate(payloads):
        if len(payload) < 2:
            raise InvalidRoute("payload lengths 0 and 1 are reserved", hop)
    needed = sum(frame_size(payload) for payload in payloads)
    if needed > size:
        raise InvalidRoute(f"the frames take {needed} bytes of {size}")

    hops = key_chain(session_key, node_ids)
    tail = filler([hop.shared_secret for hop in hops], payloads, size)
    hop_payloads = stream(key("pad", session_key), size)
    next_hmac = FINAL
    for i in reversed(range(len(hops))):
        shared_secret, payload = hops[i].shared_secret, payloads[i]
        frame = bigsize.encode(len(payload)) + payload + next_hmac
        hop_payloads = xor((frame + hop_payloads)[:size], stream(key("rho", shared_secret), size))
        if i == len(hops) - 1:
            hop_payloads = hop_payloads[: size - len(tail)] + tail
        next_hmac = hmac.digest(key("mu", shared_secret), hop_payloads + associated_data, "sha256")
    return Onion(bytes([0]) + hops[0].public_key + hop_payloads + next_hmac, hops)


@dataclass(frozen=True)
class Layer:
    """What one reader learns; `next_packet` is None at the final node."""

    payload: bytes
    shared_secret: bytes
    next_packet: bytes | None


def peel(packet: bytes, node_secret: bytes, associated_data: bytes = b"", path_key: bytes | None = None) -> Layer:
    """Remove one layer as the node with this secret key; the size of hop_payloads follows from the packet's.

    With `path_key` the onion was encrypted to the node's blinded id (BOLT 4, Route Blinding). The checks come in the
    order of BOLT 4, "Onion Decryption". The reader's memory of earlier hmacs is not kept here.
    """
    if len(packet) < OVERHEAD:
        raise InvalidFrame(f"a packet has at least {OVERHEAD} bytes")
    version, public_key, hop_payloads, mac = packet[0], packet[1:34], packet[34:-HMAC_SIZE], packet[-HMAC_SIZE:]
    if version != 0:
        raise InvalidVersion(f"version {version}")
    try:
        secp256k1.parse(public_key)
    except ValueError as error:
        raise InvalidKey(str(error)) from None
    if path_key is not None:
        try:
            blinding = secp256k1.ecdh(node_secret, path_key)
        except ValueError as error:
            raise InvalidPathKey(str(error)) from None
        node_secret = secp256k1.tweak_secret(node_secret, key("blinded_node_id", blinding))
    shared_secret = secp256k1.ecdh(node_secret, public_key)
    if mac != hmac.digest(key("mu", shared_secret), hop_payloads + associated_data, "sha256"):
        raise InvalidHmac("wrong hmac")

    size = len(hop_payloads)
    unwrapped = xor(hop_payloads + bytes(size), stream(key("rho", shared_secret), 2 * size))
    try:
        length, start = bigsize.read(unwrapped)
    except bigsize.BigSizeError as error:
        raise InvalidFrame(f"payload length: {error}") from None
    if length < 2:
        raise InvalidFrame(f"payload length {length} is reserved")
    end = start + length + HMAC_SIZE
    # What is left must still fill hop_payloads; this covers a payload or an hmac that goes past the end as well.
    if end > size:
        raise InvalidFrame(f"a frame of {end} bytes in hop_payloads of {size}")
    payload, next_hmac = unwrapped[start : start + length], unwrapped[end - HMAC_SIZE : end]
    if next_hmac == FINAL:
        return Layer(payload, shared_secret, None)
    next_key = secp256k1.tweak_public(public_key, blinding_factor(public_key, shared_secret))
    return Layer(payload, shared_secret, bytes([0]) + next_key + unwrapped[end : end + size] + next_hmac)
