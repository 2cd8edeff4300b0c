"""Peeling: every changed byte is refused, bad frames are told, refused packets change no other."""

from __future__ import annotations

import hmac
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keysend_fast import build_onion, build_onions, peel_onion, peel_onions
from keysend_fast.errors import (
    EphemeralKeyError,
    FrameError,
    HmacError,
    PeelError,
    SessionKeyError,
    VersionError,
)
from keysend_fast.status import Status
from tests.nodes import NOT_A_POINT, ORDER, node_id, privkey, random_payloads, reference_build, request_of, secret
from tests.reference import bigsize, chacha20, secp256k1, sphinx

NODE = 11
FORWARD = request_of([NODE, 12, 13], [b"to be forwarded", b"further", b"the end"])
FINAL = request_of([NODE], [b"for the node itself"])
KEY, DATA = privkey(NODE), FORWARD.associated_data


def packet_of(request: Any) -> bytes:
    return build_onion(*request).packet


def flip(packet: bytes, position: int, mask: int) -> bytes:
    return packet[:position] + bytes([packet[position] ^ mask]) + packet[position + 1 :]


def is_point(data: bytes) -> bool:
    try:
        secp256k1.parse(data)
    except ValueError:
        return False
    return True


# ---------------------------------------------------------------- any changed byte


@pytest.mark.parametrize("request_", [FORWARD, FINAL], ids=["forward", "final"])
def test_any_changed_byte_is_refused(implementation: str, request_: Any) -> None:
    """Each of the 1366 positions, by two masks, in one batch; and the packet as it was between them, untouched."""
    packet = packet_of(request_)
    good = peel_onion(packet, KEY, DATA, implementation=implementation)
    batch = []
    for position in range(1366):
        batch += [flip(packet, position, 1), packet, flip(packet, position, 0x80)]
    peeled = peel_onions(batch, KEY, DATA, implementation=implementation)
    codes = peeled.status.tolist()
    for i, changed in enumerate(batch):
        if changed == packet:
            assert codes[i] == Status.OK
        elif changed[0] != 0:
            assert codes[i] == Status.VERSION
        elif not is_point(changed[1:34]):
            assert codes[i] == Status.EPHEMERAL_KEY
        else:
            assert codes[i] == Status.HMAC
    assert peeled.count_ok() == 1366
    nexts, secrets = bytes(peeled.next_packets), bytes(peeled.shared_secrets)
    for i, code in enumerate(codes):
        here, shared = nexts[1366 * i : 1366 * (i + 1)], secrets[32 * i : 32 * (i + 1)]
        assert here == (b"" if code else (good.next_packet or b"")).ljust(1366, b"\0")
        assert shared == (bytes(32) if code else bytes(good.shared_secret))
        if code == 0:
            assert (peeled[i].payload, peeled[i].is_final) == (good.payload, good.is_final)


def test_changed_associated_data_is_refused(implementation: str) -> None:
    packet = packet_of(FORWARD)
    data = [flip(DATA, i // 8, 1 << i % 8) for i in range(256)]
    peeled = peel_onions([packet] * 256, KEY, data, implementation=implementation)
    assert set(peeled.status.tolist()) == {Status.HMAC}
    for other in (b"", DATA[:31], DATA + b"\0"):
        with pytest.raises(HmacError):
            peel_onion(packet, KEY, other, implementation=implementation)


def test_another_nodes_key_is_refused(implementation: str) -> None:
    for key in (privkey(12), secret(1), secret(ORDER - int.from_bytes(KEY, "big") - 1)):
        with pytest.raises(HmacError) as error:
            peel_onion(packet_of(FORWARD), key, DATA, implementation=implementation)
        assert error.value.failure_code == 0xC005
    # n - k is the negated key: the shared point has the other parity, so that SHA256 of it differs
    with pytest.raises(HmacError):
        peel_onion(packet_of(FORWARD), secret(ORDER - int.from_bytes(KEY, "big")), DATA, implementation=implementation)


# ---------------------------------------------------------------- what is wrong with a packet


@pytest.mark.parametrize(
    ("spoil", "error", "failure_code"),
    [
        (lambda p: b"\1" + p[1:], VersionError, 0xC004),
        (lambda p: b"\xff" + p[1:], VersionError, 0xC004),
        (lambda p: b"\0" + NOT_A_POINT + p[34:], EphemeralKeyError, 0xC006),
        (lambda p: b"\0\4" + p[2:], EphemeralKeyError, 0xC006),
        (lambda p: b"\0" + bytes(33) + p[34:], EphemeralKeyError, 0xC006),
        (lambda p: b"\0\2" + b"\xff" * 32 + p[34:], EphemeralKeyError, 0xC006),
        (lambda p: p[:-32] + bytes(32), HmacError, 0xC005),
        (lambda p: b"\1" + NOT_A_POINT + bytes(1332), VersionError, 0xC004),  # the first thing wrong is told
        (lambda p: b"\0" + NOT_A_POINT + bytes(1332), EphemeralKeyError, 0xC006),
        (lambda p: bytes(1366), EphemeralKeyError, 0xC006),
    ],
)
def test_refusals(implementation: str, spoil: Any, error: type[PeelError], failure_code: int) -> None:
    packet = packet_of(FORWARD)
    with pytest.raises(error) as caught:
        peel_onion(spoil(packet), KEY, DATA, implementation=implementation)
    assert caught.value.failure_code == failure_code
    for place in range(9):
        batch = [spoil(packet) if i == place else packet for i in range(9)]
        peeled = peel_onions(batch, KEY, DATA, implementation=implementation)
        assert [i for i, code in enumerate(peeled.status.tolist()) if code] == [place]
        assert [type(e) for e in peeled.errors()] == [error]
        with pytest.raises(error) as caught:
            peeled[place]
        assert caught.value.index == place
        assert not peeled.ok


def sealed(plain: bytes) -> bytes:
    """A packet for the node whose authenticated hop_payloads decrypt to `plain`."""
    (hop,) = sphinx.key_chain(b"\x41" * 32, [node_id(NODE)])
    hop_payloads = chacha20.xor(plain, chacha20.stream(sphinx.key("rho", hop.shared_secret), len(plain)))
    mac = hmac.digest(sphinx.key("mu", hop.shared_secret), hop_payloads + DATA, "sha256")
    return b"\0" + hop.public_key + hop_payloads + mac


FRAMES = {
    "length 0": b"\0",
    "length 1": b"\1",
    "not minimal": b"\xfd\0\xfc",
    "not minimal, 0": b"\xfd\0\0",
    "four bytes": b"\xfe\0\0\xff\xff",
    "eight bytes": b"\xff" + b"\xff" * 8,
    "most that 64 bits hold": b"\xff" + (2**64 - 1).to_bytes(8, "big"),
    "wraps with the hmac": b"\xff" + (2**64 - 32).to_bytes(8, "big"),
    "all of it": bigsize.encode(1300),
    "hmac runs out by one": bigsize.encode(1300 - 3 - 32 + 1),
    "length itself": bigsize.encode(1297),
}


@pytest.mark.parametrize("name", FRAMES)
def test_bad_frames_are_refused(implementation: str, name: str) -> None:
    packet = sealed(FRAMES[name].ljust(1300, b"\7"))
    with pytest.raises(sphinx.InvalidFrame):
        sphinx.peel(packet, KEY, DATA)
    with pytest.raises(FrameError) as error:
        peel_onion(packet, KEY, DATA, implementation=implementation)
    assert error.value.failure_code == 0x4016
    peeled = peel_onions([packet, packet_of(FINAL)], KEY, DATA, implementation=implementation)
    assert peeled.status.tolist() == [Status.FRAME, Status.OK]
    assert bytes(peeled.shared_secrets)[:32] == bytes(32)


@pytest.mark.parametrize("length", [2, 0xFC, 0xFD, 1300 - 3 - 32])
@pytest.mark.parametrize("next_hmac", [bytes(32), b"\7" * 32, bytes(31) + b"\1", b"\1" + bytes(31)])
def test_good_frames_of_any_length(implementation: str, length: int, next_hmac: bytes) -> None:
    """The longest frame leaves nothing of hop_payloads: the next packet is the stream over what was appended."""
    packet = sealed((bigsize.encode(length) + b"p" * length + next_hmac).ljust(1300, b"\7"))
    expected = sphinx.peel(packet, KEY, DATA)
    layer = peel_onion(packet, KEY, DATA, implementation=implementation)
    assert (layer.payload, layer.next_packet) == (b"p" * length, expected.next_packet)
    assert layer.is_final == (next_hmac == bytes(32))


@pytest.mark.parametrize("size", [34, 35, 36, 64, 107, 108, 109, 2000])
def test_frames_in_other_sizes(implementation: str, size: int) -> None:
    """Against the reference where hop_payloads is shorter than a usual frame."""
    for length in {2, 3, min(size, 100), max(2, size - 34), max(2, size - 33)}:
        packet = sealed((bigsize.encode(length) + b"p" * length + b"\7" * 32)[:size].ljust(size, b"\7"))
        try:
            expected = sphinx.peel(packet, KEY, DATA)
        except sphinx.InvalidFrame:
            with pytest.raises(FrameError):
                peel_onion(packet, KEY, DATA, implementation=implementation)
            continue
        layer = peel_onion(packet, KEY, DATA, implementation=implementation)
        assert (layer.payload, layer.next_packet) == (expected.payload, expected.next_packet)


# ---------------------------------------------------------------- against the reference


@settings(deadline=None, max_examples=20)
@given(st.data(), st.integers(1, ORDER - 1), st.sampled_from([35, 70, 1300, 1500]))
def test_differential(implementations: list[str], data: st.DataObject, key: int, size: int) -> None:
    """Any node key, onions that the reference built for it, some bytes of some of them changed."""
    rng = random.Random(data.draw(st.integers()))
    associated = data.draw(st.binary(max_size=80))
    packets = []
    for _ in range(data.draw(st.integers(1, 4))):
        hops = rng.randint(1, min(3, size // 35))
        request = request_of(range(hops), random_payloads(rng, hops, size), rng.randrange(1, ORDER), associated)
        request.public_keys[0] = secp256k1.public_key(secret(key))
        packet = reference_build(request, size).packet
        if rng.random() < 0.4:
            packet = flip(packet, rng.randrange(len(packet)), 1 << rng.randrange(8))
        packets.append(packet)
    kinds = {sphinx.InvalidVersion: 9, sphinx.InvalidKey: 10, sphinx.InvalidHmac: 11, sphinx.InvalidFrame: 12}
    expected: list[Any] = []
    for packet in packets:
        try:
            layer = sphinx.peel(packet, secret(key), associated)
            expected.append((layer.payload, layer.shared_secret, layer.next_packet))
        except sphinx.OnionError as error:
            expected.append(kinds[type(error)])
    for implementation in implementations:
        batch = peel_onions(
            packets,
            secret(key),
            [associated] * len(packets),
            hop_payloads_size=size,
            associated_data_size=len(associated),
            implementation=implementation,
        )
        for i, outcome in enumerate(expected):
            if isinstance(outcome, int):
                assert batch.status[i] == outcome, implementation
            else:
                layer_ = batch[i]
                found = (layer_.payload, bytes(layer_.shared_secret), layer_.next_packet)
                assert found == outcome, implementation


@pytest.mark.parametrize("key", [1, 2, 3, ORDER - 1, ORDER - 2, ORDER // 2, ORDER // 2 + 1, 1 << 255, (1 << 128) - 1])
def test_edge_keys(implementation: str, key: int) -> None:
    """Node keys at the edges, for their own onions and for ephemeral keys that are small multiples of them."""
    node = secp256k1.public_key(secret(key))
    for session in (1, 2, key, ORDER - key):
        request = request_of([0, 1], [b"ab", b"cd"], session)
        request.public_keys[0] = node
        expected = sphinx.peel(reference_build(request).packet, secret(key), DATA)
        layer = peel_onion(packet_of(request), secret(key), DATA, implementation=implementation)
        assert (layer.payload, layer.next_packet) == (expected.payload, expected.next_packet)


# ---------------------------------------------------------------- the call


def test_a_whole_batch_is_handed_on() -> None:
    """Built packets and hashes go into peel_onions as they are, node after node, buffers and all."""
    requests = [request_of([1, 2, 3], [b"a%d" % i, b"b%d" % i, b"c%d" % i], 1 + i) for i in range(20)]
    batch = build_onions(requests)
    packets: Any = batch.packets
    for hop in range(3):
        peeled = peel_onions(packets, privkey(hop + 1), DATA)
        assert peeled.ok
        assert [layer.payload for layer in peeled] == [r.payloads[hop] for r in requests]
        assert [bytes(layer.shared_secret) for layer in peeled] == [bytes(o.secrets.shared_secret(hop)) for o in batch]
        assert bytes(peeled.finals) == bytes([hop == 2]) * 20
        packets = peeled.next_packets
    assert not any(bytes(packets))


def test_kinds_of_input_agree() -> None:
    packet = packet_of(FORWARD)
    expected = peel_onion(packet, KEY, DATA)
    three: list[Any] = [
        [packet] * 3,
        (packet, bytearray(packet), memoryview(packet)),
        packet * 3,
        bytearray(packet * 3),
        memoryview(packet * 3).cast("B", (3, 1366)),
    ]
    for packets in three:
        for data in (DATA, [DATA] * 3, (DATA, bytearray(DATA), memoryview(DATA)), DATA * 3, bytearray(DATA * 3)):
            peeled = peel_onions(packets, KEY, data)
            assert [layer.next_packet for layer in peeled] == [expected.next_packet] * 3
    (layer,) = peel_onions(iter([packet]), bytearray(KEY), iter([DATA]))
    assert layer.next_packet == expected.next_packet


def test_numpy_arrays_are_taken() -> None:
    numpy = pytest.importorskip("numpy")
    packets = numpy.frombuffer(packet_of(FORWARD) * 4, numpy.uint8).reshape(4, 1366)
    data = numpy.frombuffer(DATA * 4, numpy.uint8).reshape(4, 32)
    peeled = peel_onions(packets, KEY, data)
    assert peeled.ok
    assert numpy.asarray(peeled.next_packets).shape == (4, 1366)
    with pytest.raises((ValueError, BufferError)):
        peel_onions(packets[:, ::2], KEY, data)


@pytest.mark.parametrize("key", [0, ORDER, ORDER + 1, 2**256 - 1])
def test_a_bad_node_key_fails_the_call(key: int) -> None:
    with pytest.raises(SessionKeyError) as error:
        peel_onions([packet_of(FORWARD)], secret(key), DATA)
    assert f"{key:064x}" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (([bytes(1365)], KEY, DATA), ValueError),
        (([bytes(1367)], KEY, DATA), ValueError),
        ((bytes(1365), KEY, DATA), ValueError),
        ((bytes(2 * 1366 + 1), KEY, [DATA] * 2), ValueError),
        (([bytes(1366)] * 2, KEY, [DATA]), ValueError),
        (([bytes(1366)] * 2, KEY, [DATA, DATA[:31]]), ValueError),
        (([bytes(1366)] * 2, KEY, bytes(63)), ValueError),
        (([bytes(1366)], KEY[:31], DATA), ValueError),
        (([bytes(1366)], KEY.hex(), DATA), TypeError),
        (([bytes(1366).hex()], KEY, DATA), TypeError),
        (([5], KEY, DATA), TypeError),
        ((5, KEY, DATA), TypeError),
        (([bytes(1366)], KEY, 5), TypeError),
    ],
)
def test_misuse_raises(arguments: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        peel_onions(*arguments)


def test_short_packets_raise() -> None:
    for size in (0, 1, 66):
        with pytest.raises(ValueError, match="more than 66"):
            peel_onion(bytes(size), KEY, DATA)


def test_no_packets() -> None:
    for packets in ([], b"", memoryview(b"")):
        peeled = peel_onions(packets, KEY, DATA)
        assert len(peeled) == 0
        assert peeled.ok
        assert peeled.errors() == []


def test_peeling_keeps_no_memory_of_packets() -> None:
    """Stateless, as documented: a replay is the caller's to refuse, by the shared secret."""
    packet = packet_of(FORWARD)
    peeled = peel_onions([packet, packet], KEY, DATA)
    assert peeled.ok
    assert bytes(peeled[0].shared_secret) == bytes(peeled[1].shared_secret)
