"""Frames of hop_payloads as bytes, for callers that have them with their length prefix."""

from __future__ import annotations

__all__ = ["frame_size", "length_prefix", "payload_of", "xor"]

HMAC_BYTES = 32


def length_prefix(length: int) -> bytes:
    """BigSize (BOLT 1, Fundamental Types) of a length below 65536."""
    return bytes((length,)) if length < 0xFD else b"\xfd" + length.to_bytes(2, "big")


def frame_size(payload_length: int) -> int:
    """Bytes of a whole frame: length, payload, hmac."""
    return payload_length + (1 if payload_length < 0xFD else 3) + HMAC_BYTES


def payload_of(prefixed: bytes) -> bytes | None:
    """A payload without its length prefix; None where that is not its one valid encoding, or one of the reserved 0 and 1."""
    if len(prefixed) < 3:
        return None
    start, length = 1, prefixed[0]
    if length == 0xFD:
        start, length = 3, int.from_bytes(prefixed[1:3], "big")
        if length < 0xFD:
            return None
    elif length > 0xFD:
        return None
    return prefixed[start:] if length >= 2 and start + length == len(prefixed) else None


def xor(a: bytes | bytearray | memoryview, b: bytes | bytearray | memoryview) -> bytes:
    """Exclusive or of two byte strings of one length."""
    return (int.from_bytes(a, "little") ^ int.from_bytes(b, "little")).to_bytes(len(a), "little")
