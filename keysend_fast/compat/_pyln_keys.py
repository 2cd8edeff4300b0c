"""The key classes that compat.pyln works with, and the bytes of any key that it is given."""

from __future__ import annotations

from typing import Any

try:  # pyln-proto's own where it is installed, so that comparisons and isinstance hold
    from pyln.proto.primitives import PrivateKey, PublicKey, Secret
except ImportError:
    from keysend_fast.compat._own_keys import PrivateKey, PublicKey, Secret

__all__ = ["PrivateKey", "PublicKey", "Secret", "point_bytes", "scalar_bytes"]


def point_bytes(key: Any) -> bytes:
    """33 bytes of a public key: pyln-proto's, coincurve's, or bytes already. Raises TypeError for anything else."""
    if isinstance(key, bytes):
        return key
    for name in ("serializeCompressed", "format"):  # pyln-proto's PublicKey, coincurve's (compressed by default)
        if callable(encode := getattr(key, name, None)) and not isinstance(key, str):
            return bytes(encode())
    raise TypeError(f"a public key is pyln-proto's, coincurve's or bytes, not {type(key).__name__}")


def scalar_bytes(key: Any) -> bytes:
    """32 bytes of a secret: pyln-proto's Secret or PrivateKey, coincurve's PrivateKey, or bytes. Raises TypeError."""
    if isinstance(key, bytes):
        return key
    for name in ("data", "rawkey", "secret"):  # Secret, PrivateKey, coincurve.PrivateKey
        if isinstance(found := getattr(key, name, None), bytes):
            return found
    raise TypeError(
        f"a secret is pyln-proto's Secret or PrivateKey, coincurve's PrivateKey or bytes, not {type(key).__name__}"
    )
