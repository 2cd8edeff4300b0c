"""pyln.proto.onion on the native core: ``from keysend_fast.compat.pyln import RoutingOnion, SphinxHop, SphinxPath``.

The same names, keys, bytes and exceptions, but for what docs/compat-pyln.md lists: the filler covers the hops but the last
(BOLT 4, Filler Generation) where pyln-proto's covers the hops but the first, and frames that do not fit are refused where
pyln-proto makes an onion that nobody can read. pyln-proto need not be installed; where it is, its key classes are used.
"""

from __future__ import annotations

import hashlib
import os
import struct
from binascii import hexlify, unhexlify
from io import BytesIO
from typing import Any, NamedTuple

from keysend_fast import _single
from keysend_fast.compat._choice import Choice, choose
from keysend_fast.compat._frames import length_prefix, payload_of
from keysend_fast.compat._frames import xor as _xor
from keysend_fast.compat._key_chain import shared_secrets
from keysend_fast.compat._pyln_keys import PrivateKey, PublicKey, Secret, point_bytes, scalar_bytes
from keysend_fast.compat._pyln_payloads import (
    HashField,
    LegacyOnionPayload,
    OnionPayload,
    RawPayload,
    ShortChannelIdField,
    SignatureField,
    TextField,
    TlvField,
    TlvPayload,
    Tu32Field,
    Tu64Field,
    tlv_types,
    varint_decode,
    varint_encode,
)
from keysend_fast.errors import EphemeralKeyError, FrameError, HmacError, OnionSizeError
from keysend_fast.onion import HopTables, build_onion, peel_onion

__all__ = [
    "HMAC_SIZE",
    "PUBKEY_SIZE",
    "REALM_SIZE",
    "ROUTING_INFO_SIZE",
    "TOTAL_PACKET_SIZE",
    "VERSION_SIZE",
    "HashField",
    "KeySet",
    "LegacyOnionPayload",
    "OnionPayload",
    "PrivateKey",
    "PublicKey",
    "RawPayload",
    "RoutingOnion",
    "Secret",
    "ShortChannelIdField",
    "SignatureField",
    "SphinxHop",
    "SphinxHopParam",
    "SphinxPath",
    "TextField",
    "TlvField",
    "TlvPayload",
    "Tu32Field",
    "Tu64Field",
    "blind",
    "blind_group_element",
    "chacha20_stream",
    "configure",
    "ecdh",
    "generate_key",
    "generate_keyset",
    "tlv_types",
    "varint_decode",
    "varint_encode",
    "xor",
    "xor_inplace",
]

VERSION_SIZE = 1
REALM_SIZE = 1
HMAC_SIZE = 32
PUBKEY_SIZE = 33
ROUTING_INFO_SIZE = 1300
TOTAL_PACKET_SIZE = VERSION_SIZE + PUBKEY_SIZE + HMAC_SIZE + ROUTING_INFO_SIZE

_choice: Choice = choose()


def configure(*, implementation: str | None = None, hop_tables: HopTables | None = None) -> dict[str, dict[str, str]]:
    """Choose what this module runs on, for every later call; returns what that is, "build" and "point" -> slot -> name.

    implementation: None is libsecp256k1 without hop_tables and the best lanes with them (docs/implementations.md).
    hop_tables: the caller's table cache, for routes whose nodes come again. Raises ValueError, TypeError.
    """
    global _choice  # noqa: PLW0603 - the module is the object that is configured
    _choice = choose(implementation, hop_tables)
    return _choice.names()


# ---------------------------------------------------------------- an onion


class RoutingOnion:
    """A packet (BOLT 4, Packet Structure): version, ephemeralkey, payloads, hmac."""

    def __init__(self, version: int, ephemeralkey: Any, payloads: bytes | bytearray, hmac: bytes) -> None:
        if len(payloads) != ROUTING_INFO_SIZE:
            raise AssertionError(f"payloads has {ROUTING_INFO_SIZE} bytes, not {len(payloads)}")
        self.version = version
        self.payloads = payloads
        self._ephemeralkey = ephemeralkey  # bytes until somebody asks for the object
        self.hmac = hmac

    @property
    def ephemeralkey(self) -> Any:
        """The packet's public key, as pyln-proto's PublicKey."""
        if isinstance(self._ephemeralkey, bytes):
            self._ephemeralkey = PublicKey(self._ephemeralkey)
        return self._ephemeralkey

    @ephemeralkey.setter
    def ephemeralkey(self, key: Any) -> None:
        self._ephemeralkey = key

    @classmethod
    def from_bin(cls, b: bytes) -> RoutingOnion:
        """From 1366 bytes. Raises ValueError for another length or a key that is no point."""
        if len(b) != TOTAL_PACKET_SIZE:
            raise ValueError(f"Encoded binary RoutingOnion size mismatch: {len(b)} != {TOTAL_PACKET_SIZE}")
        return cls(version=b[0], ephemeralkey=PublicKey(b[1:34]), payloads=b[34:1334], hmac=b[1334:])

    @classmethod
    def from_hex(cls, s: str | bytes) -> RoutingOnion:
        """from_bin() of hexadecimal digits."""
        return cls.from_bin(unhexlify(s))

    def to_bin(self) -> bytes:
        """1366 bytes."""
        return b"".join((struct.pack("b", self.version), point_bytes(self._ephemeralkey), self.payloads, self.hmac))

    def to_hex(self) -> bytes:
        """to_bin() in hexadecimal digits, as bytes."""
        return hexlify(self.to_bin())

    def unwrap(self, privkey: Any, assocdata: bytes | None) -> tuple[Any, RoutingOnion | None]:
        """(the payload for the owner of privkey, the onion to forward or None where there is no next hop).

        A payload that is no TLV stream comes as RawPayload. Raises ValueError where the HMAC does not match. Stateless:
        replays are the caller's to refuse. The version is not looked at.
        """
        key = scalar_bytes(privkey)
        public_key = point_bytes(self._ephemeralkey)
        try:
            peeled = peel_onion(
                b"".join((b"\0", public_key, self.payloads, self.hmac)),
                key,
                b"" if assocdata is None else bytes(assocdata),
                hop_payloads_size=ROUTING_INFO_SIZE,
                implementation=_choice.point,
            )
        except HmacError:
            # without the HMAC that would have matched: logs are no place for it
            raise ValueError("HMAC does not match, onion might have been tampered with") from None
        except EphemeralKeyError as e:
            raise ValueError(str(e)) from None
        except FrameError:
            return self._unwrap_other_frame(key, public_key)
        payload = _parse(BytesIO(length_prefix(len(peeled.payload)) + peeled.payload + bytes(HMAC_SIZE)))
        packet = peeled.next_packet
        if packet is None:
            return payload, None
        return payload, RoutingOnion(self.version, packet[1:34], bytearray(packet[34:1334]), packet[1334:])

    def _unwrap_other_frame(self, key: bytes, public_key: bytes) -> tuple[Any, RoutingOnion | None]:
        """What pyln-proto reads where BOLT 4 reads nothing: legacy frames, lengths that are not minimal. The HMAC was right."""
        secret = _single.ecdh(key, public_key, implementation=_choice.point)
        stream = _single.chacha20_stream(_single.hmac_sha256(b"rho", secret), 2 * ROUTING_INFO_SIZE)
        r = BytesIO(_xor(bytes(self.payloads) + bytes(ROUTING_INFO_SIZE), stream))
        payload = _parse(r)
        next_hmac = r.read(HMAC_SIZE)
        if next_hmac == bytes(HMAC_SIZE):
            return payload, None
        following = blind_group_element(public_key, blind(public_key, secret))
        return payload, RoutingOnion(self.version, following, bytearray(r.read(ROUTING_INFO_SIZE)), next_hmac)


def _parse(r: BytesIO) -> Any:
    start = r.tell()
    try:
        return OnionPayload.from_bytes(r)
    except ValueError:
        r.seek(start)
        return RawPayload.from_bytes(r)


# ---------------------------------------------------------------- a path


class SphinxHop:
    """One hop: its key (pyln-proto's, coincurve's or bytes) and its payload, length prefix included."""

    def __init__(self, pubkey: Any, payload: bytes) -> None:
        self.pubkey = pubkey
        self.payload = payload
        self.hmac: bytes | None = None

    def __len__(self) -> int:
        return len(self.payload) + HMAC_SIZE


class SphinxHopParam:
    """What sender and hop share: secret, ephemeralkey, blind, keys."""

    def __init__(self, secret: Any, ephemeralkey: Any) -> None:
        self.secret = secret
        self.ephemeralkey = ephemeralkey
        self.blind = blind(ephemeralkey, secret)
        self.keys = generate_keyset(secret)


class SphinxPath:
    """A route with its payloads. session_key: pyln-proto's Secret (coincurve's PrivateKey, bytes), random by default."""

    def __init__(self, hops: list[SphinxHop], assocdata: bytes | None = None, session_key: Any = None) -> None:
        self.hops = hops
        self.assocdata = assocdata
        self.session_key = Secret(os.urandom(32)) if session_key is None else session_key

    def compile(self) -> RoutingOnion:
        """The onion (BOLT 4, Packet Construction); each hop's hmac is set to what stands in its frame.

        Raises ValueError for keys that are none and for frames that exceed 1300 bytes, IndexError without hops.
        """
        hops, public_keys = self.hops, self._public_keys()
        session_key = scalar_bytes(self.session_key)
        data = b"" if self.assocdata is None else bytes(self.assocdata)
        payloads = [payload for hop in hops if (payload := payload_of(hop.payload)) is not None]
        if len(payloads) != len(hops):
            return self._compile_other_frames(public_keys, session_key, data)
        onion = build_onion(
            public_keys, payloads, session_key, data, implementation=_choice.build, hop_tables=_choice.hop_tables
        )
        for hop, hmac in zip(hops, _single.frame_hmacs(onion, [len(hop) for hop in hops]), strict=True):
            hop.hmac = hmac
        packet = onion.packet
        return RoutingOnion(0, packet[1:34], bytearray(packet[34:1334]), packet[1334:])

    def _public_keys(self) -> list[bytes]:
        if not self.hops:
            raise IndexError("a path has one hop or more")
        return [point_bytes(hop.pubkey) for hop in self.hops]

    def _compile_other_frames(self, public_keys: list[bytes], session_key: bytes, data: bytes) -> RoutingOnion:
        """Payloads are opaque to pyln-proto: legacy frames, any prefix. From the last hop to the first."""
        excess = sum(map(len, self.hops)) - ROUTING_INFO_SIZE
        if excess > 0:
            raise OnionSizeError(f"the frames exceed hop_payloads by {excess} bytes", offset=excess)
        secrets = shared_secrets(public_keys, session_key, _choice)
        filler = self._filler(secrets)
        buffer = _single.chacha20_stream(_single.hmac_sha256(b"pad", session_key), ROUTING_INFO_SIZE)
        hmac = bytes(HMAC_SIZE)
        for i in range(len(self.hops) - 1, -1, -1):
            hop, rho = self.hops[i], _single.hmac_sha256(b"rho", secrets[i])
            hop.hmac = hmac
            shifted = (hop.payload + hmac + buffer)[:ROUTING_INFO_SIZE]
            buffer = _xor(shifted, _single.chacha20_stream(rho, ROUTING_INFO_SIZE))
            if i == len(self.hops) - 1:
                buffer = buffer[: ROUTING_INFO_SIZE - len(filler)] + filler
            hmac = _single.hmac_sha256(_single.hmac_sha256(b"mu", secrets[i]), buffer + data)
        key = _single.base_mul(session_key, implementation=_choice.point)
        return RoutingOnion(0, key, bytearray(buffer), hmac)

    def _filler(self, secrets: list[bytes]) -> bytes:
        """BOLT 4, Filler Generation: over the hops but the last."""
        filler = b""
        for hop, secret in zip(self.hops[:-1], secrets, strict=False):
            stream = _single.chacha20_stream(_single.hmac_sha256(b"rho", secret), ROUTING_INFO_SIZE + len(hop))
            filler += bytes(len(hop))
            filler = _xor(filler, stream[-len(filler) :])
        return filler

    def get_filler(self) -> memoryview:
        """What the hops but the last append, as they see it. pyln-proto's covers the hops but the first."""
        secrets = shared_secrets(self._public_keys(), scalar_bytes(self.session_key), _choice)
        return memoryview(bytearray(self._filler(secrets)))

    def get_hop_params(self) -> list[SphinxHopParam]:
        """What is shared with each hop, the first one's first."""
        public_keys, session_key = self._public_keys(), scalar_bytes(self.session_key)
        key = PublicKey(_single.base_mul(session_key, implementation=_choice.point))
        params: list[SphinxHopParam] = []
        for secret in shared_secrets(public_keys, session_key, _choice):
            if params:
                key = blind_group_element(params[-1].ephemeralkey, params[-1].blind)
            params.append(SphinxHopParam(Secret(secret), key))
        return params


# ---------------------------------------------------------------- primitives


class KeySet(NamedTuple):
    """Keys derived from a shared secret; gamma and pi are of no use today."""

    rho: bytes
    mu: bytes
    um: bytes
    pad: bytes
    gamma: bytes
    pi: bytes
    ammag: bytes


def ecdh(k: Any, rk: Any) -> Any:
    """SHA256 of the compressed product, as a Secret."""
    return Secret(_single.ecdh(scalar_bytes(k), point_bytes(rk), implementation=_choice.point))


def generate_key(secret: bytes, prefix: bytes) -> bytes:
    """HMAC-SHA256 of the secret under a key type."""
    return _single.hmac_sha256(prefix, secret)


def generate_keyset(secret: Any) -> KeySet:
    """Every key type of one secret."""
    data = scalar_bytes(secret)
    return KeySet(*(generate_key(data, kind.encode()) for kind in KeySet._fields))


def blind(pubkey: Any, sharedsecret: Any) -> Any:
    """SHA256(E || ss), as a Secret."""
    return Secret(hashlib.sha256(point_bytes(pubkey) + scalar_bytes(sharedsecret)).digest())


def blind_group_element(pubkey: Any, blind: Any) -> Any:
    """The product of a scalar and a point, in constant time."""
    return PublicKey(_single.point_mul(scalar_bytes(blind), point_bytes(pubkey), implementation=_choice.point))


def chacha20_stream(key: bytes, dest: bytearray | memoryview) -> None:
    """XOR the key stream of a zero nonce, from block 0 on, into dest."""
    dest[:] = _xor(dest, _single.chacha20_stream(key, len(dest)))


def xor_inplace(
    d: bytearray | memoryview, a: bytes | bytearray | memoryview, b: bytes | bytearray | memoryview
) -> None:
    """d = a XOR b; one length."""
    if not len(a) == len(b) == len(d):
        raise AssertionError(f"three lengths that should be one: {len(d)}, {len(a)}, {len(b)}")
    d[:] = _xor(a, b)


def xor(a: bytes | bytearray | memoryview, b: bytes | bytearray | memoryview) -> bytearray:
    """a XOR b; one length."""
    d = bytearray(len(a))
    xor_inplace(d, a, b)
    return d
