"""The one-item primitives against the reference, hashlib and the batch primitives; errors, and no secret in them."""

from __future__ import annotations

import hmac
from random import Random

import pytest

from keysend_fast import _single, kernels
from keysend_fast.errors import NodeKeyError, SessionKeyError
from keysend_fast.onion import OnionSecrets, build_onion, peel_onion
from tests.reference import chacha20, secp256k1

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
LENGTHS = (0, 1, 31, 32, 63, 64, 65, 127, 128, 1300)


def test_points(implementation: str) -> None:
    random = Random("points")
    for _ in range(3):
        k, p = random.randbytes(32), secp256k1.public_key(random.randbytes(32))
        assert _single.base_mul(k, implementation=implementation) == secp256k1.public_key(k)
        assert _single.ecdh(bytearray(k), memoryview(p), implementation=implementation) == secp256k1.ecdh(k, p)
        expected = kernels.point_mul_many([k], [p], implementation="portable").values[0]
        assert _single.point_mul(k, p, implementation=implementation) == expected


@pytest.mark.parametrize("scalar", [0, ORDER, ORDER + 1, 2**256 - 1])
def test_bad_scalars(implementation: str, scalar: int) -> None:
    point = secp256k1.public_key(bytes(31) + b"\1")
    k = scalar.to_bytes(32, "big")
    for call in (_single.ecdh, _single.point_mul):
        with pytest.raises(SessionKeyError) as error:
            call(k, point, implementation=implementation)
        assert k.hex() not in str(error.value)
    with pytest.raises(SessionKeyError):
        _single.base_mul(k, implementation=implementation)


@pytest.mark.parametrize("point", [bytes(33), b"\x02" + b"\xff" * 32, b"\x05" + bytes(32)])
def test_bad_points(implementation: str, point: bytes) -> None:
    for call in (_single.ecdh, _single.point_mul):
        with pytest.raises(NodeKeyError):
            call(b"\1" * 32, point, implementation=implementation)


def test_misuse() -> None:
    point = secp256k1.public_key(bytes(31) + b"\1")
    for scalar, key in ((bytes(31), point), (bytes(33), point), (b"\1" * 32, point[:32]), (b"\1" * 32, bytes(65))):
        with pytest.raises(ValueError):
            _single.ecdh(scalar, key)
    with pytest.raises(TypeError):
        _single.ecdh("1" * 32, point)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        _single.chacha20_stream(bytes(32), -1)
    with pytest.raises(ValueError):
        _single.chacha20_stream(bytes(31), 64)
    with pytest.raises(TypeError):
        _single.hmac_sha256(b"rho", None)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        _single.base_mul(b"\1" * 32, implementation="none such")


def test_hmac_and_stream(symmetric: str) -> None:
    random = Random("symmetric")
    for n in LENGTHS:
        message, key = random.randbytes(n), random.randbytes(32)
        for k in (b"rho", key, random.randbytes(n)):
            assert _single.hmac_sha256(k, message, implementation=symmetric) == hmac.digest(k, message, "sha256")
        assert _single.chacha20_stream(key, n, implementation=symmetric) == chacha20.stream(key, n)


@pytest.mark.parametrize("size", [1300, 500, 32768])
def test_frame_hmacs_are_those_that_peeling_finds(size: int) -> None:
    random = Random("frames")
    for hops in (1, 2, 5, 12):
        keys = [b"\1" + random.randbytes(31) for _ in range(hops)]
        payloads = [random.randbytes(random.choice((2, 7))) for _ in range(hops)]
        payloads[-1] = random.randbytes(random.choice((2, 300 if size > 1300 else 20)))
        onion = build_onion([_single.base_mul(key) for key in keys], payloads, keys[0], b"data", hop_payloads_size=size)
        lens = [len(payload) + 32 + (1 if len(payload) < 0xFD else 3) for payload in payloads]
        found, packet = _single.frame_hmacs(onion, lens), onion.packet
        for hop, key in enumerate(keys):
            peeled = peel_onion(packet, key, b"data")
            assert found[hop] == (bytes(32) if peeled.next_packet is None else peeled.next_packet[-32:])
            packet = peeled.next_packet or b""
        for wrong in (lens[1:], [*lens, 35], [31] * hops, [size + 1] * hops, [-1] * hops):
            with pytest.raises(ValueError):
                _single.frame_hmacs(onion, wrong)


def test_open_return_gives_the_packet_of_whoever_sent_it(symmetric: str) -> None:
    random = Random("returns")
    for hops, erring, size in (
        (1, 0, 292),
        (4, 0, 292),
        (4, 3, 292),
        (20, 19, 1060),
        (27, 26, 292),
        (3, 1, 32),
        (3, 2, 33),
    ):
        secrets = [random.randbytes(32) for _ in range(hops)]
        body = random.randbytes(size - 32)
        sent = hmac.digest(hmac.digest(b"um", secrets[erring], "sha256"), body, "sha256") + body
        packet = sent
        for secret in secrets[erring::-1]:
            packet = chacha20.xor(packet, chacha20.stream(hmac.digest(b"ammag", secret, "sha256"), size))
        kept = OnionSecrets.from_shared_secrets(secrets)
        assert _single.open_return(packet, kept, implementation=symmetric) == (sent, erring)
        changed = bytes((packet[0] ^ 1,)) + packet[1:]
        assert _single.open_return(changed, kept, implementation=symmetric) is None
        others = OnionSecrets.from_shared_secrets([random.randbytes(32) for _ in range(hops)])
        assert _single.open_return(packet, others, implementation=symmetric) is None
    for length in (0, 31, 65536):
        with pytest.raises(ValueError):
            _single.open_return(bytes(length), kept)
