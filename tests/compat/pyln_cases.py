"""Random cases for pyln.proto.onion: what people build, and what they should not have sent."""

from __future__ import annotations

from random import Random
from typing import Any

from keysend_fast import _single
from keysend_fast.onion import build_onion

Case = dict[str, Any]
KNOWN_TYPES = (2, 4, 6, 8, 16, 34349334, 34349336, 7629169, 5482373484)


def bigsize(value: int) -> bytes:
    if value < 0xFD:
        return bytes((value,))
    marker, width = (0xFD, 2) if value <= 0xFFFF else (0xFE, 4) if value <= 0xFFFFFFFF else (0xFF, 8)
    return bytes((marker,)) + value.to_bytes(width, "big")


def scalar(random: Random) -> bytes:
    return b"\x01" + random.randbytes(31)


def tlv_stream(random: Random, most: int) -> bytes:
    """A stream of at most so many bytes, 2 or more; sometimes of another order than BOLT 1's."""
    stream = b""
    for kind in random.sample(KNOWN_TYPES, random.randint(1, 5)):
        text = kind == 34349334 and random.random() < 0.7
        value = b"good day" if text else random.randbytes(random.choice((0, 1, 8, 32, 40)))
        record = bigsize(kind) + bigsize(len(value)) + value
        if len(stream) + len(record) <= most:
            stream += record
    return stream if len(stream) >= 2 else b"\x02\x00"


def prefixed(payload: bytes) -> bytes:
    return bigsize(len(payload)) + payload


def payloads(random: Random, hops: int) -> list[bytes]:
    """Frames that fit: TLV streams, now and then a legacy payload, opaque bytes, or a last one that fills the onion."""
    room = 1300 // hops - 35
    made = []
    for _ in range(hops):
        style = random.random()
        if style < 0.1 and room >= 32:
            made.append(b"\x00" + random.randbytes(20) + bytes(12))
        elif style < 0.15:
            made.append(random.randbytes(random.randint(0, 3)))
        else:
            made.append(prefixed(tlv_stream(random, min(room, random.choice((10, 60, room))))))
    if random.random() < 0.1:
        left = 1300 - sum(len(payload) + 32 for payload in made[:-1]) - 35
        made[-1] = prefixed(random.randbytes(left))
        made[-1] = made[-1] if sum(len(p) + 32 for p in made) <= 1300 else b"\x02ab"
    return made


def path(random: Random) -> Case:
    hops = random.choice((1, 1, 2, 3, 4, 4, 5, 8, 12, 20))
    keys = [scalar(random) for _ in range(hops)]
    return {
        "public_keys": [_single.base_mul(key).hex() for key in keys],
        "payloads": [payload.hex() for payload in payloads(random, hops)],
        "assocdata": random.choice((None, "", random.randbytes(32).hex(), random.randbytes(7).hex())),
        "session_key": scalar(random).hex(),
    }


def frame(random: Random) -> bytes:
    """What a hop decrypts: frames of every kind, whole and broken."""
    style = random.randrange(9)
    if style == 0:
        return b"\x00" + random.randbytes(20) + bytes(12) + random.choice((bytes(32), random.randbytes(32)))
    if style == 1:
        return b"\x01" + random.randbytes(40)
    if style == 2:  # a length that is not minimal, or longer than hop_payloads
        return b"\xfd" + random.choice((5, 252, 253, 1298, 1400, 65535)).to_bytes(2, "big") + random.randbytes(300)
    if style == 3:
        return random.choice((b"\xfe", b"\xff")) + random.randbytes(20)
    if style == 4:  # no TLV stream
        return prefixed(random.randbytes(random.randint(2, 300))) + random.choice((bytes(32), random.randbytes(32)))
    if style == 5:  # a record that runs out
        return prefixed(b"\x02\x01\x07\x04" + random.choice((b"", b"\x05\x01", b"\xfd", b"\xfd\x00")))
    if style == 6:  # text that is none
        return prefixed(bigsize(34349334) + b"\x02\xff\xfe")
    if style == 7:
        return random.randbytes(60)
    return prefixed(tlv_stream(random, 1200)) + random.choice((bytes(32), random.randbytes(32)))


def packet_for(random: Random, key: bytes, data: bytes) -> bytes:
    """A packet whose HMAC is right and whose first frame is anything."""
    session_key = scalar(random)
    onion = build_onion([_single.base_mul(key)], [b"ab"], session_key, data)
    secret = bytes(onion.secrets.shared_secret(0))
    plain = (frame(random) + random.randbytes(1300))[:1300]
    stream = _single.chacha20_stream(_single.hmac_sha256(b"rho", secret), 1300)
    hop_payloads = bytes(a ^ b for a, b in zip(plain, stream, strict=True))
    hmac = _single.hmac_sha256(_single.hmac_sha256(b"mu", secret), hop_payloads + data)
    return onion.packet[:34] + hop_payloads + hmac


def unwrapping(random: Random) -> Case:
    """A packet at its first hop; sometimes changed, for another node, of another version or length."""
    key, data = scalar(random), random.choice((b"", random.randbytes(32)))
    if random.random() < 0.4:
        hops = random.randint(1, 6)
        keys = [_single.base_mul(key)] + [_single.base_mul(scalar(random)) for _ in range(hops - 1)]
        packet = build_onion(keys, [tlv_stream(random, 100) for _ in keys], scalar(random), data).packet
    else:
        packet = packet_for(random, key, data)
    fault = random.random()
    if fault < 0.1:
        at = random.randrange(34, 1366)
        packet = packet[:at] + bytes((packet[at] ^ 1 << random.randrange(8),)) + packet[at + 1 :]
    elif fault < 0.15:
        packet = bytes((random.choice((1, 127, 128, 255)),)) + packet[1:]
    elif fault < 0.2:
        packet = packet[: random.choice((0, 65, 66, 1365))] + b"\0" * random.choice((0, 2))
    elif fault < 0.25:
        packet = packet[:1] + random.choice((b"\x02" + b"\xff" * 32, b"\x04" + packet[2:34])) + packet[34:]
    elif fault < 0.3:
        key = scalar(random)
    return {"op": "unwrap", "packet": packet.hex(), "privkey": key.hex(), "assocdata": data.hex() if data else None}


def payload(random: Random) -> Case:
    style = random.randrange(5)
    if style == 0:
        kind = random.choice(("OnionPayload", "TlvPayload", "RawPayload", "LegacyOnionPayload"))
        return {"op": "read_payload", "data": frame(random).hex(), "kind": kind}
    if style == 1:
        return {"op": "read_payload", "data": tlv_stream(random, 300).hex(), "kind": "TlvPayload", "skip_length": True}
    if style == 2:
        data = frame(random).hex() if random.random() < 0.9 else "0x"
        return {"op": "read_hex", "data": data, "kind": random.choice(("OnionPayload", "TlvPayload"))}
    if style == 3:
        number = random.choice((0, 1, 255, 256, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1, 2**64))
        fields = [
            ["Tu64Field", 2, number],
            ["Tu32Field", 4, number],
            ["ShortChannelIdField", 6, random.randbytes(8).hex()],
            ["TextField", 34349334, random.choice(("", "good day", "f\u00fcr \u2713"))],
            ["HashField", 2**33, random.randbytes(32).hex()],
        ]
        return {"op": "write_payload", "fields": random.sample(fields, random.randint(0, 5))}
    return {
        "op": "write_legacy",
        "amt_to_forward": random.choice((0, 7, "12", 2**64 - 1, 2**64)),
        "outgoing_cltv_value": random.choice((0, 800000, 2**32)),
        "short_channel_id": random.choice((0, "1x2x3", "800000x1x0", 2**63, None, "x", "1x2")),
    }
