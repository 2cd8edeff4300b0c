"""Key classes of pyln-proto's shape, for where pyln-proto is not installed."""

from __future__ import annotations

import coincurve

__all__ = ["PrivateKey", "PublicKey", "Secret"]


class Secret:
    """32 bytes that nobody else should see."""

    def __init__(self, data: bytes) -> None:
        if len(data) != 32:
            raise AssertionError(f"a Secret has 32 bytes, not {len(data)}")
        self.data = data

    def to_bytes(self) -> bytes:
        """The bytes."""
        return self.data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.data == other.data

    __hash__ = None  # type: ignore[assignment]  # as in pyln-proto

    def __str__(self) -> str:
        return "Secret[hidden]"


class PrivateKey:
    """A scalar of 32 bytes; ``key`` is coincurve's. Raises TypeError, ValueError."""

    def __init__(self, rawkey: bytes) -> None:
        if not isinstance(rawkey, bytes):
            raise TypeError(f"rawkey must be bytes, not {type(rawkey).__name__}")
        if len(rawkey) != 32:
            raise ValueError(f"rawkey must have 32 bytes, not {len(rawkey)}")
        self.rawkey = rawkey
        self.key = coincurve.PrivateKey(rawkey)

    def serializeCompressed(self) -> bytes:  # noqa: N802 - pyln-proto's name
        """The scalar."""
        secret: bytes = self.key.secret
        return secret

    def public_key(self) -> PublicKey:
        """Its point."""
        return PublicKey(self.key.public_key)


class PublicKey:
    """A point: 33 bytes, or coincurve's PublicKey; ``key`` is coincurve's. Raises TypeError, ValueError."""

    def __init__(self, innerkey: bytes | coincurve.PublicKey) -> None:
        if isinstance(innerkey, bytes):
            if len(innerkey) != 33 or innerkey[0] not in (2, 3):
                raise ValueError("a public key in bytes has 33 of them, the first 02 or 03")
            innerkey = coincurve.PublicKey(innerkey)
        elif not isinstance(innerkey, coincurve.PublicKey):
            raise TypeError(f"a public key is bytes or coincurve.PublicKey, not {type(innerkey).__name__}")
        self.key = innerkey

    def serializeCompressed(self) -> bytes:  # noqa: N802 - pyln-proto's name
        """33 bytes."""
        encoded: bytes = self.key.format(compressed=True)
        return encoded

    def to_bytes(self) -> bytes:
        """33 bytes."""
        return self.serializeCompressed()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and bool(self.key == other.key)

    def __hash__(self) -> int:
        return hash(self.to_bytes())

    def __str__(self) -> str:
        return f"PublicKey[0x{self.to_bytes().hex()}]"
