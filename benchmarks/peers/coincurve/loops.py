"""BOLT 4 onions in plain Python over coincurve: a constant-time, a variable-time and a bare-library loop.

These are rivals, not product code, so they are written for speed as far as Python allows: one ChaCha20 stream a hop
serves filler and obfuscation, no multiplication is done that the construction does not need, whole buffers are combined
as integers, hashing and HMAC go to OpenSSL. They differ only in how the shared secrets are reached:

* ``ct``: coincurve's public classes, constant-time calls only. `PrivateKey` computes its public key and its x-only key
  when it is made, so each hop pays two base-point multiplications beside the Diffie-Hellman.
* ``var``: coincurve's public classes, `PublicKey.multiply` (`secp256k1_ec_pubkey_tweak_mul`) on secret scalars and
  Python integers for the scalar product: the fastest loop, and one that leaks the session key through time.
* ``lib``: coincurve's cffi handle to libsecp256k1 directly (not public API), constant-time calls only: the least work
  that libsecp256k1 allows, n Diffie-Hellmans and max(1, n-1) base-point multiplications.

A payload is a TLV stream without its length prefix. Errors are ValueError; a blinding factor outside 1..n-1
(probability 2^-128) makes coincurve raise.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from hashlib import sha256

from coincurve import PrivateKey, PublicKey
from coincurve._libsecp256k1 import ffi, lib
from coincurve.context import GLOBAL_CONTEXT
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from ..wire import bigsize

HOP_PAYLOADS_SIZE = 1300
PACKET_SIZE = 1 + 33 + HOP_PAYLOADS_SIZE + 32
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

_ZERO_NONCE = bytes(16)  # 32-bit counter 0, then the 96-bit nonce 0
_ZEROS = bytes(2 * HOP_PAYLOADS_SIZE)
_ZERO_HMAC = bytes(32)
_CTX = GLOBAL_CONTEXT.ctx

KeyChain = Callable[[Sequence[bytes], bytes], tuple[bytes, list[bytes]]]


def stream(key: bytes, size: int) -> bytes:
    """The first `size` bytes of the ChaCha20 stream (BOLT 4, Pseudo Random Byte Stream)."""
    return Cipher(ChaCha20(key, _ZERO_NONCE), mode=None).encryptor().update(_ZEROS[:size])


def xor(a: bytes, b: bytes) -> bytes:
    """Exclusive or of two byte strings of one length."""
    return (int.from_bytes(a, "little") ^ int.from_bytes(b, "little")).to_bytes(len(a), "little")


def key_chain_ct(public_keys: Sequence[bytes], session_key: bytes) -> tuple[bytes, list[bytes]]:
    """First ephemeral key and shared secrets by `PrivateKey.ecdh` and `PrivateKey.multiply`, constant-time."""
    key = PrivateKey(session_key)
    first = key.public_key.format()
    secrets = [key.ecdh(public_keys[0])]
    for public_key in public_keys[1:]:
        key = key.multiply(sha256(key.public_key.format() + secrets[-1]).digest())
        secrets.append(key.ecdh(public_key))
    return first, secrets


def key_chain_var(public_keys: Sequence[bytes], session_key: bytes) -> tuple[bytes, list[bytes]]:
    """The same by `PublicKey.multiply` and Python integers: variable-time in the session key."""
    key = session_key
    ephemeral = first = PublicKey.from_valid_secret(key).format()
    secrets = [sha256(PublicKey(public_keys[0]).multiply(key).format()).digest()]
    last = len(public_keys) - 1
    for i in range(1, last + 1):
        blinding = int.from_bytes(sha256(ephemeral + secrets[-1]).digest(), "big")
        key = (int.from_bytes(key, "big") * blinding % CURVE_ORDER).to_bytes(32, "big")
        if i < last:  # nothing is blinded after the last hop, so its ephemeral key is not needed
            ephemeral = PublicKey.from_valid_secret(key).format()
        secrets.append(sha256(PublicKey(public_keys[i]).multiply(key).format()).digest())
    return first, secrets


def key_chain_lib(public_keys: Sequence[bytes], session_key: bytes) -> tuple[bytes, list[bytes]]:
    """The same straight at libsecp256k1: ecdh, ec_pubkey_create and ec_seckey_tweak_mul, constant-time."""
    point = ffi.new("secp256k1_pubkey *")
    encoded = ffi.new("unsigned char[33]")
    size = ffi.new("size_t *", 33)
    shared = ffi.new("unsigned char[32]")
    key = ffi.new("unsigned char[32]", session_key)
    secrets: list[bytes] = []
    first = b""
    last = len(public_keys) - 1
    for i, public_key in enumerate(public_keys):
        if i < last or i == 0:
            if not lib.secp256k1_ec_pubkey_create(_CTX, point, key):
                raise ValueError("invalid session key")
            size[0] = 33
            lib.secp256k1_ec_pubkey_serialize(_CTX, encoded, size, point, lib.SECP256K1_EC_COMPRESSED)
            ephemeral = bytes(encoded)
            first = first or ephemeral
        if not lib.secp256k1_ec_pubkey_parse(_CTX, point, public_key, len(public_key)):
            raise ValueError(f"hop {i}: invalid public key")
        lib.secp256k1_ecdh(_CTX, shared, point, key, ffi.NULL, ffi.NULL)
        secrets.append(bytes(shared))
        if i < last:
            blinding = sha256(ephemeral + secrets[-1]).digest()
            if not lib.secp256k1_ec_seckey_tweak_mul(_CTX, key, blinding):
                raise ValueError(f"hop {i}: blinding factor out of range")
    ffi.memmove(key, bytes(32), 32)
    return first, secrets


def assemble(
    key_chain: KeyChain,
    public_keys: Sequence[bytes],
    payloads: Sequence[bytes],
    session_key: bytes,
    associated_data: bytes,
) -> bytes:
    """One 1366-byte packet (BOLT 4, Packet Construction) over any of the key chains."""
    if not public_keys or len(public_keys) != len(payloads):
        raise ValueError("as many payloads as public keys, and at least one")
    frames = []
    for payload in payloads:
        if len(payload) < 2:
            raise ValueError("payload lengths 0 and 1 are reserved")
        frames.append(bigsize(len(payload)) + payload)
    if sum(map(len, frames)) + 32 * len(frames) > HOP_PAYLOADS_SIZE:
        raise ValueError("payloads do not fit in 1300 bytes")

    ephemeral, secrets = key_chain(public_keys, session_key)
    last = len(frames) - 1
    streams = []
    filler = b""
    for frame, secret in zip(frames[:-1], secrets, strict=False):
        size = len(frame) + 32
        rho = stream(hmac.digest(b"rho", secret, "sha256"), HOP_PAYLOADS_SIZE + size)
        streams.append(rho[:HOP_PAYLOADS_SIZE])
        filler = xor(filler + _ZEROS[:size], rho[HOP_PAYLOADS_SIZE - len(filler) :])
    streams.append(stream(hmac.digest(b"rho", secrets[-1], "sha256"), HOP_PAYLOADS_SIZE))

    hop_payloads = stream(hmac.digest(b"pad", session_key, "sha256"), HOP_PAYLOADS_SIZE)
    mac = _ZERO_HMAC
    for i in range(last, -1, -1):
        frame = frames[i] + mac
        hop_payloads = xor(frame + hop_payloads[: HOP_PAYLOADS_SIZE - len(frame)], streams[i])
        if i == last:
            hop_payloads = hop_payloads[: HOP_PAYLOADS_SIZE - len(filler)] + filler
        mac = hmac.digest(hmac.digest(b"mu", secrets[i], "sha256"), hop_payloads + associated_data, "sha256")
    return b"\0" + ephemeral + hop_payloads + mac


def build_onion_ct(
    public_keys: Sequence[bytes], payloads: Sequence[bytes], session_key: bytes, associated_data: bytes
) -> bytes:
    """The constant-time loop over coincurve's public classes."""
    return assemble(key_chain_ct, public_keys, payloads, session_key, associated_data)


def build_onion_var(
    public_keys: Sequence[bytes], payloads: Sequence[bytes], session_key: bytes, associated_data: bytes
) -> bytes:
    """The fast loop over coincurve's public classes; variable-time in the session key."""
    return assemble(key_chain_var, public_keys, payloads, session_key, associated_data)


def build_onion_lib(
    public_keys: Sequence[bytes], payloads: Sequence[bytes], session_key: bytes, associated_data: bytes
) -> bytes:
    """The constant-time loop straight at coincurve's libsecp256k1."""
    return assemble(key_chain_lib, public_keys, payloads, session_key, associated_data)


@ffi.callback("int(unsigned char *, const unsigned char *, const unsigned char *, void *)")  # type: ignore[untyped-decorator]
def _return_point(output: object, x: object, y: object, _data: object) -> int:
    """An ECDH "hash" that hands back the compressed point: coincurve has no other constant-time point product."""
    ffi.buffer(output, 33)[:] = bytes([2 | ffi.buffer(y, 32)[31][0] & 1]) + ffi.buffer(x, 32)[:]
    return 1


def _point_mul_ct(point: PublicKey, scalar: bytes) -> bytes:
    output = ffi.new("unsigned char[33]")
    if not lib.secp256k1_ecdh(_CTX, output, point.public_key, scalar, _return_point, ffi.NULL):
        raise ValueError("blinding factor out of range")
    return bytes(output)


def _ecdh_ct(ephemeral: PublicKey, node_privkey: bytes) -> bytes:
    output = ffi.new("unsigned char[32]")
    if not lib.secp256k1_ecdh(_CTX, output, ephemeral.public_key, node_privkey, ffi.NULL, ffi.NULL):
        raise ValueError("invalid node key")
    return bytes(output)


def _ecdh_var(ephemeral: PublicKey, node_privkey: bytes) -> bytes:
    return sha256(ephemeral.multiply(node_privkey).format()).digest()


def _point_mul_var(point: PublicKey, scalar: bytes) -> bytes:
    return point.multiply(scalar).format()


def _peel(
    packet: bytes,
    node_privkey: bytes,
    associated_data: bytes,
    ecdh: Callable[[PublicKey, bytes], bytes],
    point_mul: Callable[[PublicKey, bytes], bytes],
) -> tuple[bytes, bytes | None, bytes]:
    """BOLT 4, Onion Decryption: (payload, next packet or None at the last hop, shared secret)."""
    if len(packet) != PACKET_SIZE or packet[0] != 0:
        raise ValueError("not a version 0 onion of 1366 bytes")
    ephemeral = PublicKey(packet[1:34])
    hop_payloads = packet[34:-32]
    secret = ecdh(ephemeral, node_privkey)
    mac = hmac.digest(hmac.digest(b"mu", secret, "sha256"), hop_payloads + associated_data, "sha256")
    if not hmac.compare_digest(mac, packet[-32:]):
        raise ValueError("invalid onion HMAC")
    clear = xor(
        hop_payloads + _ZEROS[:HOP_PAYLOADS_SIZE], stream(hmac.digest(b"rho", secret, "sha256"), 2 * HOP_PAYLOADS_SIZE)
    )
    if clear[0] < 0xFD:
        start, size = 1, clear[0]
    elif clear[0] == 0xFD:
        start, size = 3, int.from_bytes(clear[1:3], "big")
        if size < 0xFD:
            raise ValueError("payload length is not minimal")
    else:
        raise ValueError("payload longer than an onion")
    end = start + size
    if size < 2 or end + 32 > HOP_PAYLOADS_SIZE:
        raise ValueError("invalid payload length")
    next_mac = clear[end : end + 32]
    if next_mac == _ZERO_HMAC:
        return clear[start:end], None, secret
    next_key = point_mul(ephemeral, sha256(packet[1:34] + secret).digest())
    next_payloads = clear[end + 32 : end + 32 + HOP_PAYLOADS_SIZE]
    return clear[start:end], b"\0" + next_key + next_payloads + next_mac, secret


def peel_onion_ct(packet: bytes, node_privkey: bytes, associated_data: bytes) -> tuple[bytes, bytes | None, bytes]:
    """One layer off, constant-time: (payload, next packet or None, shared secret)."""
    return _peel(packet, node_privkey, associated_data, _ecdh_ct, _point_mul_ct)


def peel_onion_var(packet: bytes, node_privkey: bytes, associated_data: bytes) -> tuple[bytes, bytes | None, bytes]:
    """One layer off with `PublicKey.multiply`; variable-time in the node key."""
    return _peel(packet, node_privkey, associated_data, _ecdh_var, _point_mul_var)


FAILURE_ROUNDS = 27
FAILURE_PACKET_SIZE = 292
_DUMMY_SECRET = bytes(32)


def make_failure(shared_secrets: Sequence[bytes], hop: int, message: bytes) -> bytes:
    """The 292-byte packet that the origin gets when `hop` fails with `message` (BOLT 4, Returning Errors)."""
    padding = FAILURE_PACKET_SIZE - 32 - 2 - len(message) - 2
    if padding < 0:
        raise ValueError("failure message longer than 256 bytes")
    body = len(message).to_bytes(2, "big") + message + padding.to_bytes(2, "big") + bytes(padding)
    packet = hmac.digest(hmac.digest(b"um", shared_secrets[hop], "sha256"), body, "sha256") + body
    for secret in shared_secrets[hop::-1]:
        packet = xor(packet, stream(hmac.digest(b"ammag", secret, "sha256"), len(packet)))
    return packet


def decode_failure(packet: bytes, shared_secrets: Sequence[bytes]) -> tuple[int, bytes]:
    """Erring hop's index and failure message (BOLT 4, Returning Errors); always 27 rounds, like the product.

    Raises ValueError when no hop's HMAC fits.
    """
    found: tuple[int, bytes] | None = None
    padded = [*shared_secrets, *[_DUMMY_SECRET] * (FAILURE_ROUNDS - len(shared_secrets))]
    for i, secret in enumerate(padded):
        packet = xor(packet, stream(hmac.digest(b"ammag", secret, "sha256"), len(packet)))
        mac = hmac.digest(hmac.digest(b"um", secret, "sha256"), packet[32:], "sha256")
        if hmac.compare_digest(mac, packet[:32]) and found is None and i < len(shared_secrets):
            size = int.from_bytes(packet[32:34], "big")
            if 34 + size + 2 > len(packet):
                raise ValueError("failure message longer than its packet")
            found = i, packet[34 : 34 + size]
    if found is None:
        raise ValueError("no hop on the route made this failure")
    return found
