"""ChaCha20, Poly1305 and their AEAD (RFC 8439)."""

from __future__ import annotations

import struct
from functools import lru_cache

MASK = 0xFFFFFFFF
COLUMNS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
DIAGONALS = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
QUARTERS = (COLUMNS + DIAGONALS) * 10  # 20 rounds


def _block(key: bytes, counter: int, nonce: bytes) -> bytes:
    """Return the 64 bytes of one block (RFC 8439, 2.3)."""
    start = struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<I", counter) + nonce)
    s = list(start)
    for ia, ib, ic, id_ in QUARTERS:  # RFC 8439, 2.1
        a, b, c, d = s[ia], s[ib], s[ic], s[id_]
        a = (a + b) & MASK
        d ^= a
        d = (d << 16 | d >> 16) & MASK
        c = (c + d) & MASK
        b ^= c
        b = (b << 12 | b >> 20) & MASK
        a = (a + b) & MASK
        d ^= a
        d = (d << 8 | d >> 24) & MASK
        c = (c + d) & MASK
        b ^= c
        b = (b << 7 | b >> 25) & MASK
        s[ia], s[ib], s[ic], s[id_] = a, b, c, d
    return struct.pack("<16I", *((x + y) & MASK for x, y in zip(s, start, strict=True)))


@lru_cache(maxsize=1024)  # a test often goes through the layers of one onion again
def stream(key: bytes, length: int, counter: int = 0, nonce: bytes = bytes(12)) -> bytes:
    """Return `length` bytes of key stream for a 32-byte key; BOLT 4 uses counter 0 and the zero nonce."""
    if len(key) != 32 or len(nonce) != 12:
        raise ValueError("ChaCha20 takes a key of 32 and a nonce of 12 bytes")
    blocks = (_block(key, counter + i, nonce) for i in range((length + 63) // 64))
    return b"".join(blocks)[:length]


def xor(a: bytes, b: bytes) -> bytes:
    """Return the bytewise XOR of two strings of one length."""
    if len(a) != len(b):
        raise ValueError(f"XOR of {len(a)} and {len(b)} bytes")
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(len(a), "big")


def poly1305(key: bytes, message: bytes) -> bytes:
    """Return the 16-byte tag of a message under a 32-byte one-time key (RFC 8439, 2.5)."""
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for at in range(0, len(message), 16):
        total = (total + int.from_bytes(message[at : at + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((total + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def _tag(key: bytes, nonce: bytes, ciphertext: bytes, associated_data: bytes) -> bytes:
    padded = b"".join(part + bytes(-len(part) % 16) for part in (associated_data, ciphertext))
    return poly1305(stream(key, 32, 0, nonce), padded + struct.pack("<QQ", len(associated_data), len(ciphertext)))


def seal(key: bytes, plaintext: bytes, associated_data: bytes = b"", nonce: bytes = bytes(12)) -> bytes:
    """Return the ChaCha20-Poly1305 ciphertext with its tag at the end (RFC 8439, 2.8)."""
    ciphertext = xor(plaintext, stream(key, len(plaintext), 1, nonce))
    return ciphertext + _tag(key, nonce, ciphertext, associated_data)


def open_(key: bytes, sealed: bytes, associated_data: bytes = b"", nonce: bytes = bytes(12)) -> bytes:
    """Return the plaintext of `seal`'s result; ValueError if the tag does not match."""
    ciphertext, tag = sealed[:-16], sealed[-16:]
    if len(sealed) < 16 or tag != _tag(key, nonce, ciphertext, associated_data):
        raise ValueError("the ciphertext is not authentic")
    return xor(ciphertext, stream(key, len(ciphertext), 1, nonce))
