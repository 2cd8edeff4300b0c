"""The reference's ChaCha20, Poly1305 and secp256k1 against RFC 8439, cryptography and coincurve."""

from __future__ import annotations

import hashlib

import coincurve
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import chacha20, secp256k1

scalars = st.integers(1, secp256k1.N - 1)


def secret(scalar: int) -> bytes:
    return scalar.to_bytes(32, "big")


RFC_TEXT = (
    b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
    b"sunscreen would be it."
)


def test_chacha20_rfc8439_2_4_2() -> None:
    key = bytes(range(32))
    nonce = bytes.fromhex("000000000000004a00000000")
    expected = (
        "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0bf91b65c5524733ab8f593dabcd62b357"
        "1639d624e65152ab8f530c359f0861d807ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab7793736"
        "5af90bbf74a35be6b40b8eedf2785e42874d"
    )
    assert chacha20.xor(RFC_TEXT, chacha20.stream(key, len(RFC_TEXT), 1, nonce)).hex() == expected


def test_poly1305_rfc8439_2_5_2() -> None:
    key = bytes.fromhex("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b")
    assert chacha20.poly1305(key, b"Cryptographic Forum Research Group").hex() == "a8061dc1305136c6c22b8baf0c0127a9"


def test_chacha20poly1305_rfc8439_2_8_2() -> None:
    key = bytes(range(0x80, 0xA0))
    nonce = bytes.fromhex("070000004041424344454647")
    associated_data = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    sealed = chacha20.seal(key, RFC_TEXT, associated_data, nonce)
    assert sealed[:16].hex() == "d31a8d34648e60db7b86afbc53ef7ec2"
    assert sealed[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"
    assert chacha20.open_(key, sealed, associated_data, nonce) == RFC_TEXT


@given(st.binary(min_size=32, max_size=32), st.integers(0, 400), st.integers(0, 5))
def test_chacha20_agrees_with_cryptography(key: bytes, length: int, counter: int) -> None:
    nonce = bytes(12)
    encryptor = Cipher(algorithms.ChaCha20(key, counter.to_bytes(4, "little") + nonce), mode=None).encryptor()
    assert chacha20.stream(key, length, counter, nonce) == encryptor.update(bytes(length))


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100), st.binary(max_size=40), st.data())
def test_chacha20poly1305_agrees_with_cryptography(key: bytes, text: bytes, extra: bytes, data: st.DataObject) -> None:
    sealed = chacha20.seal(key, text, extra)
    assert sealed == ChaCha20Poly1305(key).encrypt(bytes(12), text, extra)
    assert chacha20.open_(key, sealed, extra) == text
    at = data.draw(st.integers(0, len(sealed) - 1))
    broken = sealed[:at] + bytes([sealed[at] ^ data.draw(st.integers(1, 255))]) + sealed[at + 1 :]
    with pytest.raises(ValueError, match="authentic"):
        chacha20.open_(key, broken, extra)
    with pytest.raises(InvalidTag):
        ChaCha20Poly1305(key).decrypt(bytes(12), broken, extra)


EDGE_SCALARS = [1, 2, 3, secp256k1.N - 1, secp256k1.N - 2, (secp256k1.N - 1) // 2, (secp256k1.N + 1) // 2, 2**255]


@given(st.one_of(scalars, st.sampled_from(EDGE_SCALARS)))
@settings(deadline=None)
def test_public_key_agrees_with_coincurve(scalar: int) -> None:
    assert secp256k1.public_key(secret(scalar)) == coincurve.PrivateKey(secret(scalar)).public_key.format()


@given(st.one_of(scalars, st.sampled_from(EDGE_SCALARS)), scalars, st.binary(min_size=32, max_size=32))
@settings(deadline=None)
def test_ecdh_and_tweaks_agree_with_coincurve(a: int, b: int, factor: bytes) -> None:
    public = coincurve.PrivateKey(secret(b)).public_key
    product = public.multiply(secret(a))
    assert secp256k1.ecdh(secret(a), public.format()) == hashlib.sha256(product.format()).digest()
    assert secp256k1.ecdh(secret(a), public.format()) == secp256k1.ecdh(secret(b), secp256k1.public_key(secret(a)))
    if 0 < int.from_bytes(factor, "big") < secp256k1.N:
        assert secp256k1.tweak_public(public.format(), factor) == public.multiply(factor).format()
        tweaked = secp256k1.tweak_secret(secret(b), factor)
        assert secp256k1.public_key(tweaked) == public.multiply(factor).format()


@pytest.mark.parametrize("excess", [1, 2, 2**256 - 1 - secp256k1.N])
def test_a_factor_above_the_order_is_reduced(excess: int) -> None:
    public = secp256k1.public_key(secret(7))
    assert secp256k1.tweak_public(public, secret(secp256k1.N + excess)) == secp256k1.tweak_public(
        public, secret(excess)
    )
    assert secp256k1.tweak_secret(secret(7), secret(secp256k1.N + excess)) == secret(7 * excess % secp256k1.N)


def test_group_law_at_its_exceptions() -> None:
    point = secp256k1.multiply(5)
    assert point is not None
    negative = (point[0], secp256k1.P - point[1])
    assert secp256k1.add(point, None) == secp256k1.add(None, point) == point
    assert secp256k1.add(point, negative) is None
    assert secp256k1.add(point, point) == secp256k1.multiply(10)
    assert secp256k1.multiply(secp256k1.N) is None
    assert secp256k1.multiply(3, None) is None
    with pytest.raises(ValueError, match="infinity"):
        secp256k1.serialize(None)


@given(st.binary(min_size=32, max_size=32), st.integers(0, 255))
def test_parse_agrees_with_coincurve(x: bytes, first: int) -> None:
    for prefix in {first, 2, 3}:
        data = bytes([prefix]) + x
        try:
            expected = coincurve.PublicKey(data).point()
        except ValueError:
            with pytest.raises(ValueError, match=r"public key|below|no point"):
                secp256k1.parse(data)
        else:
            assert secp256k1.parse(data) == expected
            assert secp256k1.serialize(expected) == data


@pytest.mark.parametrize("x", [0, 5, secp256k1.P, secp256k1.P + 1, 2**256 - 1])
def test_parse_refuses_x(x: int) -> None:
    with pytest.raises(ValueError, match=r"below|no point"):
        secp256k1.parse(b"\2" + secret(x))


@pytest.mark.parametrize("value", [bytes(32), secret(secp256k1.N), secret(2**256 - 1), b"\1" * 31, b"\1" * 33])
def test_parse_secret_refuses(value: bytes) -> None:
    with pytest.raises(ValueError, match="secret key"):
        secp256k1.parse_secret(value)
