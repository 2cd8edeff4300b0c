"""Arithmetic on secp256k1 with Python integers (SEC 2, section 2.4.1). Variable time: for tests only.

A point is an affine pair (x, y), or None for the point at infinity.
"""

from __future__ import annotations

import hashlib

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)

Point = tuple[int, int] | None
# (X, Y, Z) stands for x = X / Z**2, y = Y / Z**3; Z = 0 is infinity.
Jacobian = tuple[int, int, int]


def _double(point: Jacobian) -> Jacobian:
    x, y, z = point
    s = 4 * x * y * y % P
    m = 3 * x * x % P
    x3 = (m * m - 2 * s) % P
    return x3, (m * (s - x3) - 8 * y**4) % P, 2 * y * z % P


def _add(a: Jacobian, b: Jacobian) -> Jacobian:
    (x1, y1, z1), (x2, y2, z2) = a, b
    if z1 == 0:
        return b
    if z2 == 0:
        return a
    u1, u2 = x1 * z2 * z2 % P, x2 * z1 * z1 % P
    s1, s2 = y1 * z2**3 % P, y2 * z1**3 % P
    if u1 == u2:
        return _double(a) if s1 == s2 else (0, 1, 0)
    h, r = u2 - u1, s2 - s1
    x3 = (r * r - h**3 - 2 * u1 * h * h) % P
    return x3, (r * (u1 * h * h - x3) - s1 * h**3) % P, h * z1 * z2 % P


def _affine(point: Jacobian) -> Point:
    x, y, z = point
    if z == 0:
        return None
    inverse = pow(z, -1, P)
    return x * inverse**2 % P, y * inverse**3 % P


def _jacobian(point: Point) -> Jacobian:
    return (0, 1, 0) if point is None else (*point, 1)


def add(a: Point, b: Point) -> Point:
    """Return a + b."""
    return _affine(_add(_jacobian(a), _jacobian(b)))


def multiply(scalar: int, point: Point = G) -> Point:
    """Return scalar * point, by doubling and adding from the top bit; the scalar is taken mod N."""
    base = _jacobian(point)
    total: Jacobian = (0, 1, 0)
    for bit in f"{scalar % N:b}":
        total = _double(total)
        if bit == "1":
            total = _add(total, base)
    return _affine(total)


def serialize(point: Point) -> bytes:
    """Return the 33 bytes of the compressed form (SEC 1, 2.3.3); infinity has none."""
    if point is None:
        raise ValueError("the point at infinity has no compressed form")
    x, y = point
    return bytes([2 + (y & 1)]) + x.to_bytes(32, "big")


def parse(data: bytes) -> tuple[int, int]:
    """Return the point of 33 compressed bytes; ValueError unless the form is valid and the point is on the curve."""
    if len(data) != 33 or data[0] not in (2, 3):
        raise ValueError("a public key is 33 bytes that begin with 02 or 03")
    x = int.from_bytes(data[1:], "big")
    if x >= P:
        raise ValueError("x is not below the field's prime")
    square = (x**3 + 7) % P
    y = pow(square, (P + 1) // 4, P)
    if y * y % P != square:
        raise ValueError("no point of the curve has this x")
    return x, y if y & 1 == data[0] & 1 else P - y


def parse_secret(data: bytes) -> int:
    """Return the scalar of a 32-byte secret key; ValueError unless 0 < scalar < N."""
    scalar = int.from_bytes(data, "big")
    if len(data) != 32 or not 0 < scalar < N:
        raise ValueError("a secret key is 32 bytes, not zero and below the group order")
    return scalar


def public_key(secret: bytes) -> bytes:
    """Return the compressed public key of a 32-byte secret key."""
    return serialize(multiply(parse_secret(secret)))


def ecdh(secret: bytes, public: bytes) -> bytes:
    """Return SHA256 of the compressed product of a 32-byte secret and a 33-byte public key (BOLT 4, Shared Secret)."""
    return hashlib.sha256(serialize(multiply(parse_secret(secret), parse(public)))).digest()


def tweak_secret(secret: bytes, factor: bytes) -> bytes:
    """Return secret * factor mod N as 32 bytes; the factor is any 32 bytes and is reduced mod N."""
    return (parse_secret(secret) * int.from_bytes(factor, "big") % N).to_bytes(32, "big")


def tweak_public(public: bytes, factor: bytes) -> bytes:
    """Return factor * public; the factor is any 32 bytes and is reduced mod N."""
    return serialize(multiply(int.from_bytes(factor, "big"), parse(public)))
