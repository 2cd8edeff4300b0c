"""What the replacements of Electrum's functions compute: Electrum's objects in and out, the native core in between.

Every method returns None where the input is not what the core takes (keys of another form, legacy frames, frames that do not
fit, anything malformed): the caller then asks Electrum's own function, which does what it always did, errors included.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keysend_fast import _secp256k1, _single, kernels
from keysend_fast.compat._choice import Choice
from keysend_fast.compat._frames import frame_size, length_prefix, payload_of, xor
from keysend_fast.compat._key_chain import route_secrets, shared_secrets
from keysend_fast.errors import EphemeralKeyError, HmacError, KeysendFastError
from keysend_fast.onion import Onion, PeeledOnion, build_onion, peel_onion

__all__ = ["ElectrumOnions"]

_ZERO_HMAC = bytes(32)
_KEY_TYPES = (b"rho", b"mu", b"um", b"pad", b"ammag", b"ammagext", b"blinded_node_id")
_ROUNDS = 27  # BOLT 4, Returning Errors: what the origin loops, however short the route
_HMAC_SIZE = 32
_LONGEST_HOP_PAYLOADS = 65535
_UNUSABLE = (KeysendFastError, ValueError, TypeError)


class ElectrumOnions:
    """One live Electrum's `lnonion` module, with the native core behind its functions' work."""

    def __init__(self, lnonion: Any, choice: Choice) -> None:
        self.lnonion = lnonion
        self.choice = choice
        self.hops_are_frozen = dataclasses.is_dataclass(lnonion.OnionHopsDataSingle)
        self.checks_version = dataclasses.is_dataclass(lnonion.OnionPacket)  # until 4.5 from_bytes() did
        self.trampoline_size: int | None = getattr(lnonion, "TRAMPOLINE_HOPS_DATA_SIZE", None)
        self._make_packet = _packet_maker(lnonion.OnionPacket)

    @staticmethod
    def key_types(get_bolt04_onion_key: Callable[[bytes, bytes], bytes]) -> list[bytes]:
        """The key types that this release's function takes: the others it refuses."""
        accepted = []
        for key_type in _KEY_TYPES:
            with contextlib.suppress(Exception):
                get_bolt04_onion_key(key_type, bytes(32))
                accepted.append(key_type)
        return accepted

    # ------------------------------------------------------------ building

    def build(
        self,
        public_keys: Sequence[bytes],
        session_key: bytes,
        hops_data: Any,
        associated_data: bytes,
        trampoline: bool,
        onion_message: bool,
    ) -> Any:
        """An OnionPacket, with the hmacs written into hops_data; None (and nothing changed) where the core cannot."""
        payloads, frame_lens = [], []
        try:
            for hop in hops_data:
                payload = self._payload(hop)
                if payload is None:
                    return None
                payloads.append(payload)
                frame_lens.append(frame_size(len(payload)))
            size = self._hop_payloads_size(sum(frame_lens), trampoline, onion_message)
            if len(public_keys) != len(payloads) or not sum(frame_lens) <= size <= _LONGEST_HOP_PAYLOADS:
                return None
            onion = self._onion(public_keys, payloads, session_key, bytes(associated_data), size)
        except Exception:  # a payload that Electrum cannot encode raises anything, and will again in Electrum's hands
            return None
        self._write_hmacs(hops_data, _single.frame_hmacs(onion, frame_lens))
        packet = onion.packet
        return self._make_packet(packet[1:34], packet[34:-32], packet[-32:])

    def _hop_payloads_size(self, frames: int, trampoline: bool, onion_message: bool) -> int:
        if trampoline:
            return frames if self.trampoline_size is None else self.trampoline_size
        size: int = self.lnonion.HOPS_DATA_SIZE
        return self.lnonion.ONION_MESSAGE_LARGE_SIZE if onion_message and frames > size else size

    def _onion(
        self, public_keys: Sequence[bytes], payloads: Sequence[bytes], session_key: bytes, data: bytes, size: int
    ) -> Onion:
        choice = self.choice
        return build_onion(
            public_keys,
            payloads,
            session_key,
            data,
            hop_payloads_size=size,
            implementation=choice.build,
            hop_tables=choice.hop_tables,
        )

    def _payload(self, hop: Any) -> bytes | None:
        """The TLV stream of one hop, without length and hmac; None where its frame is not one of those."""
        if (
            type(hop) is self.lnonion.OnionHopsDataSingle
            and hop._raw_bytes_payload is None
            and getattr(hop, "is_tlv_payload", True)
            and getattr(hop, "tlv_stream_name", "payload") == "payload"
        ):
            encoded = encode_payload(hop.payload)
            if encoded is not None:
                return encoded if hop.hmac is None or len(hop.hmac) == _HMAC_SIZE else None
        return payload_of(hop.to_bytes()[:-_HMAC_SIZE])

    def _write_hmacs(self, hops_data: Any, hmacs: Sequence[bytes]) -> None:
        """As Electrum does it: from the last hop to the first; a new object where they are frozen."""
        kind = self.lnonion.OnionHopsDataSingle
        for i in range(len(hmacs) - 1, -1, -1):
            hop = hops_data[i]
            if not self.hops_are_frozen:
                hop.hmac = hmacs[i]
            elif type(hop) is kind:  # dataclasses.replace() without freezing again what is frozen
                new = object.__new__(kind)
                new.__dict__.update(hop.__dict__, hmac=hmacs[i])
                hops_data[i] = new
            else:
                hops_data[i] = dataclasses.replace(hop, hmac=hmacs[i])

    # ------------------------------------------------------------ the key chain

    def shared_secrets(self, public_keys: Sequence[bytes], session_key: bytes) -> list[bytes] | None:
        """The secret shared with each hop."""
        try:
            return shared_secrets(public_keys, session_key, self.choice)
        except _UNUSABLE:
            return None

    def blinded_node_ids(self, node_ids: Sequence[bytes], shared_secrets: Sequence[bytes]) -> list[bytes] | None:
        """Of a whole route."""
        factors = [_single.hmac_sha256(b"blinded_node_id", secret) for secret in shared_secrets]
        values, status = kernels.point_mul_many(factors, node_ids, implementation=self.choice.point)
        return values if not any(status) else None

    def blinded_node_id(self, node_id: bytes, shared_secret: bytes) -> bytes | None:
        """BOLT 4, Route Blinding: B = HMAC("blinded_node_id", ss) * N."""
        try:
            return _single.point_mul(
                _single.hmac_sha256(b"blinded_node_id", shared_secret), node_id, implementation=self.choice.point
            )
        except _UNUSABLE:
            return None

    def next_ephemeral(self, public_key: bytes, shared_secret: bytes) -> bytes | None:
        """SHA256(E || ss) * E: of onions and of path keys."""
        try:
            factor = hashlib.sha256(public_key + shared_secret).digest()
            return _single.point_mul(factor, public_key, implementation=self.choice.point)
        except _UNUSABLE:
            return None

    def blinded_privkey(self, privkey: bytes, path_key: bytes) -> bytes | None:
        """BOLT 4, Route Blinding: b = HMAC("blinded_node_id", ss) * k, constant time."""
        shared_secret = self.ecdh(privkey, path_key)
        if shared_secret is None:
            return None
        try:
            return _secp256k1.seckey_tweak_mul(privkey, _single.hmac_sha256(b"blinded_node_id", shared_secret))
        except (*_UNUSABLE, ImportError):
            return None

    def ecdh(self, privkey: bytes, public_key: bytes) -> bytes | None:
        """SHA256(compressed(k * P))."""
        try:
            return _single.ecdh(privkey, public_key, implementation=self.choice.point)
        except _UNUSABLE:
            return None

    # ------------------------------------------------------------ peeling

    def peel(self, packet: Any, privkey: bytes, associated_data: bytes, trampoline: bool, stream: str | None) -> Any:
        """A ProcessedOnionPacket; None where the core cannot. Raises Electrum's exceptions. stream: None before 4.6."""
        lnonion = self.lnonion
        if self.checks_version and packet.version != 0:
            raise lnonion.UnsupportedOnionPacketVersion()
        hops_data, size = packet.hops_data, lnonion.HOPS_DATA_SIZE
        if trampoline:
            size = len(hops_data) if self.trampoline_size is None else self.trampoline_size
        elif stream == "onionmsg_tlv" and len(hops_data) > size:
            size = lnonion.ONION_MESSAGE_LARGE_SIZE
        if len(hops_data) != size:
            return None
        try:
            peeled = peel_onion(
                b"".join((b"\0", packet.public_key, hops_data, packet.hmac)),
                privkey,
                associated_data,
                hop_payloads_size=size,
                implementation=self.choice.point,
            )
        except HmacError:
            raise lnonion.InvalidOnionMac() from None
        except EphemeralKeyError:
            raise lnonion.InvalidOnionPubkey() from None
        except _UNUSABLE:
            return None
        payload, following = peeled.payload, peeled.next_packet
        prefix = length_prefix(len(payload))
        next_hmac = _ZERO_HMAC if following is None else following[-32:]
        fd = io.BytesIO(b"".join((prefix, payload, next_hmac)))
        if stream is None:
            hop_data = lnonion.OnionHopsDataSingle.from_fd(fd)
        else:
            hop_data = lnonion.OnionHopsDataSingle.from_fd(fd, tlv_stream_name=stream)
        inner = self._trampoline_packet(hop_data, trampoline)
        if following is None:
            next_packet = self._behind_the_last(packet, peeled, len(prefix) + len(payload) + _HMAC_SIZE)
            if next_packet is None:
                return None
        else:
            next_packet = self._make_packet(following[1:34], following[34:-32], next_hmac)
        return lnonion.ProcessedOnionPacket(following is None, hop_data, next_packet, inner)

    def _trampoline_packet(self, hop_data: Any, inside_trampoline: bool) -> Any:
        fields = hop_data.payload.get("trampoline_onion_packet")
        if not fields:
            return fields
        kind = self.lnonion.OnionPacket
        if "trampoline_onion_packet" in fields:
            if inside_trampoline:
                raise Exception("found nested trampoline inside trampoline")  # Electrum's own type and words
            return kind.from_bytes(fields["trampoline_onion_packet"])
        hops_data = io.BytesIO(fields.get("hops_data")).read(self.trampoline_size)
        return kind(public_key=fields.get("public_key"), hops_data=hops_data, hmac=fields.get("hmac"))

    def _behind_the_last(self, packet: Any, peeled: PeeledOnion, frame_len: int) -> Any:
        """The packet that Electrum makes even where nobody is to receive it."""
        secret = bytes(peeled.shared_secret)
        public_key = self.next_ephemeral(packet.public_key, secret)
        if public_key is None:
            return None
        size = len(packet.hops_data)
        stream = _single.chacha20_stream(_single.hmac_sha256(b"rho", secret), size + frame_len)
        hops_data = xor(packet.hops_data[frame_len:], stream[frame_len:size]) + stream[size:]
        return self._make_packet(public_key, hops_data, _ZERO_HMAC)

    # ------------------------------------------------------------ failures

    def decode(self, error_packet: bytes, public_keys: Sequence[bytes], session_key: bytes) -> Any:
        """(the failure packet as its sender wrote it, who that was), False where nobody did, None where the core cannot.

        27 rounds in every release. Electrum before 4.6 takes the first match and has no bound, later releases take the last:
        two matches would need a forged HMAC, and longer routes are left to Electrum.
        """
        if len(public_keys) > _ROUNDS:
            return None
        try:
            secrets = route_secrets(public_keys, session_key, self.choice)
            found = _single.open_return(error_packet, secrets)
        except _UNUSABLE:
            return None
        secrets.wipe()
        return False if found is None else found

    def failure_packet(self, failure: Any, shared_secret: bytes | None) -> bytes | None:
        """BOLT 4, Returning Errors: what the erring node writes, before any obfuscation. None without a secret."""
        if shared_secret is None:
            return None
        failure_msg = failure.to_bytes()
        pad_len = 256 - len(failure_msg)
        assert pad_len >= 0  # noqa: S101 - what Electrum raises
        message = b"".join(
            (len(failure_msg).to_bytes(2, "big"), failure_msg, pad_len.to_bytes(2, "big"), bytes(pad_len))
        )
        return _single.hmac_sha256(_single.hmac_sha256(b"um", shared_secret), message) + message

    def obfuscate(self, error_packet: bytes | None, shared_secret: bytes | None) -> bytes | None:
        """One node's layer, put on or taken off. None without a packet or a secret."""
        if shared_secret is None or error_packet is None:
            return None
        return xor(
            error_packet, _single.chacha20_stream(_single.hmac_sha256(b"ammag", shared_secret), len(error_packet))
        )


# ---------------------------------------------------------------- encodings


def encode_payload(payload: Mapping[str, Mapping[str, Any]]) -> bytes | None:
    """The TLV stream of a payment's payload (BOLT 4, payload format): types 2, 4, 6 and 8. None where there is more to it.

    Electrum's own writer walks its schema of every type for each payload, 5 to 10 us a hop.
    """
    try:
        parts = []
        if (amount := payload.get("amt_to_forward")) is not None:
            parts.append(_truncated_record(2, amount["amt_to_forward"], 8))
        if (cltv := payload.get("outgoing_cltv_value")) is not None:
            parts.append(_truncated_record(4, cltv["outgoing_cltv_value"], 4))
        if (channel := payload.get("short_channel_id")) is not None:
            scid = channel["short_channel_id"]
            if not isinstance(scid, bytes) or len(scid) != 8:
                return None
            parts.append(b"\x06\x08" + scid)
        if (data := payload.get("payment_data")) is not None:
            secret, total = data["payment_secret"], _truncated(data["total_msat"], 8)
            if type(secret) is not bytes or len(secret) != 32:
                return None
            parts.append(b"".join((b"\x08", bytes((32 + len(total),)), secret, total)))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return b"".join(parts) if len(parts) == len(payload) and parts else None


def _truncated(value: Any, most: int) -> bytes:
    """BOLT 1, tu32 and tu64. Raises ValueError for what is not a plain int of that size."""
    if type(value) is not int or not 0 <= value < 1 << 8 * most:
        raise ValueError("not an unsigned integer of that size")
    return value.to_bytes((value.bit_length() + 7) >> 3, "big")


def _truncated_record(kind: int, value: Any, most: int) -> bytes:
    encoded = _truncated(value, most)
    return bytes((kind, len(encoded))) + encoded


def _packet_maker(kind: Any) -> Callable[[bytes, bytes, bytes], Any]:
    """A constructor of OnionPackets whose key is known to be a point: Electrum's own decompresses it again, for 8 us.

    Electrum's self-check at install() compares what it makes with the real one, attribute by attribute.
    """
    generator = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
    defaults = dict(vars(kind(public_key=generator, hops_data=bytes(1300), hmac=bytes(32))))

    def make(public_key: bytes, hops_data: bytes, hmac: bytes) -> Any:
        packet = object.__new__(kind)
        packet.__dict__.update(defaults, public_key=public_key, hops_data=hops_data, hmac=hmac)
        return packet

    return make
