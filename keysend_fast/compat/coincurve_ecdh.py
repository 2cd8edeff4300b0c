"""Many multiplications at once, for a loop of one's own over coincurve: its key objects in, bytes out.

>>> from keysend_fast.compat.coincurve_ecdh import ecdh_many
>>> secrets = ecdh_many(privkeys, pubkeys).values  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from keysend_fast import kernels
from keysend_fast.kernels import PointResults

__all__ = ["PointResults", "base_mul_many", "ecdh_many", "point_mul_many"]

_SCALAR_BYTES = 32


def _scalars(keys: Iterable[Any]) -> list[bytes]:
    """32 bytes each; shorter ones are padded as coincurve does."""
    scalars = []
    for i, key in enumerate(keys):
        scalar = key if isinstance(key, bytes | bytearray | memoryview) else getattr(key, "secret", None)
        if not isinstance(scalar, bytes | bytearray | memoryview):
            raise TypeError(f"scalar {i} is coincurve's PrivateKey or bytes, not {type(key).__name__}")
        scalars.append(bytes(scalar).rjust(_SCALAR_BYTES, b"\0"))
    return scalars


def _points(keys: Iterable[Any]) -> list[bytes]:
    points = []
    for i, key in enumerate(keys):
        if isinstance(key, bytes | bytearray | memoryview):
            points.append(bytes(key))
        elif callable(encode := getattr(key, "format", None)) and not isinstance(key, str):
            points.append(encode(compressed=True))
        else:
            raise TypeError(f"public key {i} is coincurve's PublicKey or 33 bytes, not {type(key).__name__}")
    return points


def ecdh_many(privkeys: Iterable[Any], pubkeys: Iterable[Any], *, implementation: str | None = None) -> PointResults:
    """``PrivateKey(k).ecdh(P)`` for each pair: SHA256 of the compressed product.

    privkeys: coincurve's PrivateKey or bytes, SECRET. pubkeys: coincurve's PublicKey or 33 bytes. Constant time in the
    scalars. Returns 32 bytes and a status for each; a bad pair has status SCALAR or POINT, zero bytes, and no effect on
    the others. Raises ValueError or TypeError for misuse.
    """
    return kernels.ecdh_many(_scalars(privkeys), _points(pubkeys), implementation=implementation)


def point_mul_many(
    scalars: Iterable[Any], pubkeys: Iterable[Any], *, implementation: str | None = None
) -> PointResults:
    """``PublicKey.multiply(k).format()`` for each pair, but constant time in the scalars.

    scalars: coincurve's PrivateKey or bytes, SECRET. pubkeys: coincurve's PublicKey or 33 bytes. Returns 33 bytes
    (compressed) and a status for each, as :func:`ecdh_many`.
    """
    return kernels.point_mul_many(_scalars(scalars), _points(pubkeys), implementation=implementation)


def base_mul_many(scalars: Iterable[Any], *, implementation: str | None = None) -> PointResults:
    """``PrivateKey(k).public_key.format()`` for each.

    scalars: coincurve's PrivateKey or bytes, SECRET. Returns 33 bytes (compressed) and a status for each.
    """
    return kernels.base_mul_many(_scalars(scalars), implementation=implementation)
