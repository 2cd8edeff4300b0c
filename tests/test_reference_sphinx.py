"""The reference's onions against the vector of BOLT 4, against each other, and against input that is wrong."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import bigsize, chacha20, secp256k1, sphinx
from tests.support import load_vector

ONION = load_vector("bolt04-onion-test")


def secret(scalar: int) -> bytes:
    return scalar.to_bytes(32, "big")


def strip_length(frame: bytes) -> bytes:
    """Return the payload of a vector that carries its BigSize length in front."""
    length, start = bigsize.read(frame)
    assert start + length == len(frame)
    return frame[start:]


def onion_inputs() -> tuple[bytes, list[bytes], list[bytes], bytes]:
    generate = ONION["generate"]
    return (
        bytes.fromhex(generate["session_key"]),
        [bytes.fromhex(hop["pubkey"]) for hop in generate["hops"]],
        [strip_length(bytes.fromhex(hop["payload"])) for hop in generate["hops"]],
        bytes.fromhex(generate["associated_data"]),
    )


def test_onion_vector_builds() -> None:
    assert sphinx.build(*onion_inputs()).packet.hex() == ONION["onion"]


def test_onion_vector_peels() -> None:
    _, _, payloads, associated_data = onion_inputs()
    packet: bytes | None = bytes.fromhex(ONION["onion"])
    for node_secret, payload in zip(ONION["decode"], payloads, strict=True):
        assert packet is not None
        layer = sphinx.peel(packet, bytes.fromhex(node_secret), associated_data)
        assert layer.payload == payload
        packet = layer.next_packet
    assert packet is None


def test_error_vector_names_the_same_shared_secrets() -> None:
    hops = load_vector("bolt04-onion-error-test")["generate"]["hops"]
    chain = sphinx.key_chain(b"\x41" * 32, [bytes.fromhex(hop["pubkey"]) for hop in hops])
    assert [hop.shared_secret.hex() for hop in chain] == [hop["hop_shared_secret"] for hop in hops]


def frames(data: st.DataObject, size: int, limit: int) -> list[bytes]:
    """Draw at most `limit` payloads whose frames fit into `size` bytes, some filling them exactly."""
    payloads: list[bytes] = []
    left = size
    while left >= 35 and len(payloads) < limit:
        longest = left - 33 if left - 33 < 253 else max(252, left - 35)
        length = data.draw(st.one_of(st.integers(2, longest), st.just(longest), st.integers(2, min(60, longest))))
        payloads.append(bytes([len(payloads) + 1]) * length)
        left -= sphinx.frame_size(payloads[-1])
        if data.draw(st.booleans()) and len(payloads) > 1:
            break
    return payloads


@given(st.data(), st.sampled_from([35, 66, 200, 1300, 1500]), st.integers(1, secp256k1.N - 1), st.binary(max_size=40))
@settings(deadline=None, max_examples=40)
def test_onion_round_trip(data: st.DataObject, size: int, session: int, associated_data: bytes) -> None:
    payloads = frames(data, size, limit=6)
    secrets = [secret(1 + i + session % 1000) for i in range(len(payloads))]
    node_ids = [secp256k1.public_key(node_secret) for node_secret in secrets]
    onion = sphinx.build(secret(session), node_ids, payloads, associated_data, size)
    assert len(onion.packet) == 66 + size
    packet: bytes | None = onion.packet
    for i, node_secret in enumerate(secrets):
        assert packet is not None
        assert len(packet) == len(onion.packet)
        assert packet[1:34] == onion.hops[i].public_key
        layer = sphinx.peel(packet, node_secret, associated_data)
        assert (layer.payload, layer.shared_secret) == (payloads[i], onion.shared_secrets[i])
        packet = layer.next_packet
    assert packet is None


def test_onion_of_27_hops() -> None:
    """The longest route that BOLT 4 reckons with: 27 hops of 15-byte payloads fill 1296 of the 1300 bytes."""
    secrets = [secret(i) for i in range(1, 28)]
    payloads = [bytes([i]) * 15 for i in range(27)]
    onion = sphinx.build(b"\x41" * 32, [secp256k1.public_key(s) for s in secrets], payloads)
    packet: bytes | None = onion.packet
    for node_secret, payload in zip(secrets, payloads, strict=True):
        assert packet is not None
        layer = sphinx.peel(packet, node_secret)
        assert layer.payload == payload
        packet = layer.next_packet
    assert packet is None


def test_onion_starts_from_the_pad_stream() -> None:
    """Behind the only frame, one XOR with rho away, stands the stream of the pad key."""
    session_key, node = b"\x41" * 32, secret(9)
    onion = sphinx.build(session_key, [secp256k1.public_key(node)], [b"ab"])
    rho = sphinx.key("rho", onion.shared_secrets[0])
    plain = chacha20.xor(onion.packet[34:-32], chacha20.stream(rho, 1300))
    assert plain[35:] == chacha20.stream(sphinx.key("pad", session_key), 1300 - 35)


def seal_frame(plain: bytes, node_secret: bytes) -> bytes:
    """Return a one-hop packet whose authenticated hop_payloads decrypt to `plain`."""
    (hop,) = sphinx.key_chain(b"\x41" * 32, [secp256k1.public_key(node_secret)])
    hop_payloads = chacha20.xor(plain, chacha20.stream(sphinx.key("rho", hop.shared_secret), len(plain)))
    mac = hmac.digest(sphinx.key("mu", hop.shared_secret), hop_payloads, "sha256")
    return b"\0" + hop.public_key + hop_payloads + mac


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        (b"\0" + bytes(1299), "reserved"),
        (b"\1" + bytes(1299), "reserved"),
        (b"\xfd\x00\x20" + bytes(1297), "not minimal"),
        (b"\xff" + b"\xff" * 8 + bytes(1291), "hop_payloads of 1300"),
        (b"\xfd" + (1300 - 34).to_bytes(2, "big") + bytes(1297), "frame of 1301"),
        (b"\xfd" + (2600).to_bytes(2, "big") + bytes(1297), "frame of 2635"),
        (b"\x02" + bytes(33), "frame of 35 bytes in hop_payloads of 34"),
        (b"", "frame of|reserved|payload length"),
    ],
)
def test_peel_refuses_frames(plain: bytes, words: str) -> None:
    with pytest.raises(sphinx.InvalidFrame, match=words):
        sphinx.peel(seal_frame(plain, secret(9)), secret(9))


def test_peel_takes_a_frame_that_fills_hop_payloads() -> None:
    plain = b"\xfd" + (1300 - 35).to_bytes(2, "big") + b"\7" * (1300 - 35) + bytes(32)
    assert sphinx.peel(seal_frame(plain, secret(9)), secret(9)).payload == b"\7" * (1300 - 35)


def test_peel_refuses_headers() -> None:
    packet = bytes.fromhex(ONION["onion"])
    associated_data = bytes.fromhex(ONION["generate"]["associated_data"])
    node_secret = bytes.fromhex(ONION["decode"][0])
    sphinx.peel(packet, node_secret, associated_data)
    with pytest.raises(sphinx.InvalidVersion):
        sphinx.peel(b"\1" + packet[1:], node_secret, associated_data)
    with pytest.raises(sphinx.InvalidKey):
        sphinx.peel(packet[:1] + b"\4" + packet[2:], node_secret, associated_data)
    with pytest.raises(sphinx.InvalidHmac):
        sphinx.peel(packet, node_secret, associated_data[:-1])
    with pytest.raises(sphinx.InvalidHmac):
        sphinx.peel(packet, bytes.fromhex(ONION["decode"][1]), associated_data)
    with pytest.raises(sphinx.InvalidFrame):
        sphinx.peel(packet[:65], node_secret, associated_data)
    for at in (34, 700, 1333, 1334, 1365):
        broken = packet[:at] + bytes([packet[at] ^ 1]) + packet[at + 1 :]
        with pytest.raises(sphinx.InvalidHmac):
            sphinx.peel(broken, node_secret, associated_data)


def test_build_refuses() -> None:
    good = secp256k1.public_key(secret(1))
    off_curve = b"\2" + secret(5)
    for node_ids, payloads, session_key, hop in (
        ([], [], secret(1), None),
        ([good], [b"ab", b"cd"], secret(1), None),
        ([good, good], [b"ab", b"c"], secret(1), 1),
        ([good, off_curve], [b"ab", b"cd"], secret(1), 1),
        ([good], [bytes(1300 - 34)], secret(1), None),
        ([good], [b"ab"], bytes(32), None),
        ([good], [b"ab"], secret(secp256k1.N), None),
    ):
        with pytest.raises(sphinx.InvalidRoute) as caught:
            sphinx.build(session_key, node_ids, payloads)
        assert caught.value.hop == hop
