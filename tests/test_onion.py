"""Building raw onions: the vectors, the slow reference, sizes at their limits, and requests that are wrong."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keysend_fast import OnionRequest, build_onion, build_onions, peel_onion
from keysend_fast.errors import (
    NodeKeyError,
    OnionError,
    OnionSizeError,
    PayloadSizeError,
    SessionKeyError,
)
from keysend_fast.status import Status
from tests.nodes import (
    NOT_A_POINT,
    ORDER,
    OVERHEAD,
    Request,
    fill_exactly,
    node_id,
    privkey,
    random_payloads,
    reference_build,
    request_of,
    secret,
    strip_length,
)
from tests.reference import secp256k1, sphinx
from tests.support import load_vector

ONION = load_vector("bolt04-onion-test")
PAYMENT = load_vector("bolt04-blinded-payment-onion-test")
MESSAGE = load_vector("bolt04-blinded-onion-message-onion-test")


def vector_request() -> Request:
    generate = ONION["generate"]
    return Request(
        [bytes.fromhex(hop["pubkey"]) for hop in generate["hops"]],
        [strip_length(hop["payload"]) for hop in generate["hops"]],
        bytes.fromhex(generate["session_key"]),
        bytes.fromhex(generate["associated_data"]),
    )


def check_vector(implementation: str) -> None:
    request = vector_request()
    onion = build_onion(*request, implementation=implementation)
    assert onion.packet.hex() == ONION["onion"]
    assert onion.packet_hex == ONION["onion"]
    packet: bytes | None = onion.packet
    for hop, (node_secret, payload) in enumerate(zip(ONION["decode"], request.payloads, strict=True)):
        assert packet is not None
        layer = peel_onion(packet, bytes.fromhex(node_secret), request.associated_data, implementation=implementation)
        assert layer.payload == payload
        assert bytes(layer.shared_secret) == bytes(onion.secrets.shared_secret(hop))
        packet = layer.next_packet
    assert packet is None


def test_vector(implementation: str) -> None:
    check_vector(implementation)


def test_vector_over_every_hash_and_cipher(symmetric: str) -> None:
    check_vector(symmetric)


def test_error_vector_names_the_shared_secrets(implementation: str) -> None:
    hops = load_vector("bolt04-onion-error-test")["generate"]["hops"]
    keys = [bytes.fromhex(hop["pubkey"]) for hop in hops]
    onion = build_onion(keys, [b"ab"] * len(keys), b"\x41" * 32, b"", implementation=implementation)
    assert [bytes(onion.secrets.shared_secret(h)).hex() for h in range(len(keys))] == [
        hop["hop_shared_secret"] for hop in hops
    ]


def blinded_privkey(node_secret: str, path_key: str | None) -> bytes:
    """The key that an onion to a blinded node is peeled with (BOLT 4, Route Blinding)."""
    key = bytes.fromhex(node_secret)
    if path_key is None:
        return key
    shared = secp256k1.ecdh(key, bytes.fromhex(path_key))
    return secp256k1.tweak_secret(key, sphinx.key("blinded_node_id", shared))


def test_blinded_payment_vector(implementation: str) -> None:
    generate = PAYMENT["generate"]
    hops = generate["full_route"]["hops"]
    ids = [bytes.fromhex(hop["pubkey"]) for hop in hops]
    payloads = [strip_length(hop["payload"]) for hop in hops]
    session_key, data = bytes.fromhex(generate["session_key"]), bytes.fromhex(generate["associated_data"])
    onion = build_onion(ids, payloads, session_key, data, implementation=implementation)
    assert onion.packet.hex() == generate["onion"]
    # the path's first node is addressed by its real id, and finds the path_key in its payload
    path_keys = [None, None, *(hop["next_path_key"] for hop in PAYMENT["decrypt"]["hops"][1:])]
    for i, hop in enumerate(PAYMENT["decrypt"]["hops"]):
        key = blinded_privkey(hop["node_privkey"], path_keys[i])
        layer = peel_onion(bytes.fromhex(hop["onion"]), key, data, implementation=implementation)
        assert layer.payload == payloads[i]
        following = PAYMENT["decrypt"]["hops"][i + 1]["onion"] if i + 1 < len(hops) else None
        assert (layer.next_packet and layer.next_packet.hex()) == following


def test_onion_message_vector(implementation: str) -> None:
    ids = [bytes.fromhex(hop["blinded_node_id"]) for hop in MESSAGE["route"]["hops"]]
    records = [bytes.fromhex(hop["encrypted_recipient_data"]) for hop in MESSAGE["route"]["hops"]]
    # encrypted_recipient_data is type 4 of an onion message's payload; "hello" is the last node's type 1
    payloads = [bytes([4, len(record)]) + record for record in records]
    payloads[-1] = bytes([1, 5]) + bytes.fromhex(MESSAGE["onionmessage"]["unknown_tag_1"]) + payloads[-1]
    session_key = bytes.fromhex(MESSAGE["generate"]["session_key"])
    onion = build_onion(ids, payloads, session_key, b"", implementation=implementation)
    assert onion.packet.hex() == MESSAGE["onionmessage"]["onion_message_packet"]
    for i, hop in enumerate(MESSAGE["decrypt"]["hops"]):
        message = bytes.fromhex(hop["onion_message"])  # type, path_key, length, packet
        key = blinded_privkey(hop["privkey"], message[2:35].hex())
        layer = peel_onion(message[37:], key, b"", implementation=implementation)
        assert layer.payload == payloads[i]


# ---------------------------------------------------------------- against the reference

lengths = st.one_of(st.integers(2, 60), st.sampled_from([0xFB, 0xFC, 0xFD, 0xFE]), st.integers(2, 400))


@st.composite
def requests(draw: st.DrawFn, size: int) -> Request:
    """Any route whose frames fit `size`."""
    payloads: list[bytes] = []
    left = size
    for _ in range(draw(st.integers(1, 6))):
        length = draw(lengths)
        if sphinx.frame_size(bytes(length)) > left:
            break
        payloads.append(draw(st.binary(min_size=length, max_size=length)))
        left -= sphinx.frame_size(payloads[-1])
    payloads = payloads or [b"ab"]
    nodes = draw(st.lists(st.integers(0, 30), min_size=len(payloads), max_size=len(payloads)))
    session = draw(st.one_of(st.integers(1, ORDER - 1), st.sampled_from([1, 2, ORDER - 1, ORDER - 2, ORDER // 2])))
    return request_of(nodes, payloads, session, draw(st.binary(max_size=200)))


@settings(deadline=None, max_examples=25)
@given(st.data(), st.sampled_from([35, 66, 200, 1300, 1301, 2000]))
def test_differential(implementations: list[str], data: st.DataObject, size: int) -> None:
    """Batches of unlike requests: nodes twice on a route, payloads of every kind, any associated data."""
    batch = data.draw(st.lists(requests(size), min_size=1, max_size=5))
    expected = [reference_build(request, size) for request in batch]
    for implementation in implementations:
        built = build_onions(batch, hop_payloads_size=size, implementation=implementation)
        assert built.ok, implementation
        for i, onion in enumerate(expected):
            assert built[i].packet == onion.packet, implementation
            assert [bytes(built[i].secrets.shared_secret(h)) for h in range(len(onion.hops))] == onion.shared_secrets
            assert bytes(built[i].secrets.session_key) == batch[i].session_key


@pytest.mark.parametrize("hops", range(1, 28))
def test_every_hop_count(implementations: list[str], hops: int) -> None:
    """1 to 27 hops, some using the last of the 1300 bytes, built as the reference builds them and peeled to the end."""
    rng = random.Random(hops)
    batch = [request_of(rng.sample(range(40), hops), random_payloads(rng, hops), rng.randrange(1, ORDER))]
    batch.append(request_of(rng.sample(range(40), hops), fill_exactly(rng, hops), rng.randrange(1, ORDER)))
    assert sum(map(sphinx.frame_size, batch[1].payloads)) == 1300
    expected = [reference_build(request).packet for request in batch]
    for implementation in implementations:
        built = build_onions(batch, implementation=implementation)
        assert [built[i].packet for i in range(2)] == expected, implementation
        for i, request in enumerate(batch):
            packet = built[i].packet
            for hop, public_key in enumerate(request.public_keys):
                key = next(privkey(n) for n in range(40) if node_id(n) == public_key)
                layer = peel_onion(packet, key, request.associated_data, implementation=implementation)
                assert layer.payload == request.payloads[hop]
                assert layer.is_final == (hop == hops - 1)
                packet = layer.next_packet or b""


@pytest.mark.parametrize("first", [0xFA, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF, 0x100])
@pytest.mark.parametrize("last", [2, 3, 0xFC, 0xFD])
def test_payload_sizes_around_the_bigsize_step(implementation: str, first: int, last: int) -> None:
    request = request_of([1, 2, 3], [b"\1" * first, b"\2" * 2, b"\3" * last], session=first * 1000 + last)
    assert build_onion(*request, implementation=implementation).packet == reference_build(request).packet


@pytest.mark.parametrize("hops", [1, 2, 5, 20, 27])
def test_one_byte_too_many(implementation: str, hops: int) -> None:
    """The same onion with one more byte in any payload does not fit, by one byte, and says so."""
    rng = random.Random(hops)
    payloads = fill_exactly(rng, hops)
    nodes = rng.sample(range(40), hops)
    build_onion(*request_of(nodes, payloads), implementation=implementation)
    for hop in {0, hops // 2, hops - 1}:
        if len(payloads[hop]) == 252:
            continue  # would grow by three bytes
        longer = [*payloads[:hop], payloads[hop] + b"\0", *payloads[hop + 1 :]]
        with pytest.raises(OnionSizeError) as error:
            build_onion(*request_of(nodes, longer), implementation=implementation)
        assert error.value.offset == 1


@pytest.mark.parametrize("size", [35, 36, 99, 107, 108, 109, 1299, 1301, 4000])
def test_other_sizes_of_hop_payloads(implementation: str, size: int) -> None:
    """Onion messages may use any size (BOLT 4, Onion Messages)."""
    rng = random.Random(size)
    hops = min(size // 35, 9)
    request = request_of(rng.sample(range(40), hops), fill_exactly(rng, hops, size))
    onion = build_onion(*request, hop_payloads_size=size, implementation=implementation)
    assert len(onion.packet) == OVERHEAD + size
    assert onion.packet == reference_build(request, size).packet


def test_the_longest_route(implementation: str) -> None:
    """400 hops in the largest hop_payloads, peeled to the end (the reference would take minutes)."""
    nodes = [i % 7 for i in range(400)]
    payloads = [i.to_bytes(2, "big") * (1 + i % 30) for i in range(400)]
    request = request_of(nodes, payloads)
    packet: bytes | None = build_onion(*request, hop_payloads_size=65535, implementation=implementation).packet
    for hop in range(400):
        assert packet is not None
        layer = peel_onion(packet, privkey(nodes[hop]), request.associated_data, implementation=implementation)
        assert layer.payload == payloads[hop]
        packet = layer.next_packet
    assert packet is None


# ---------------------------------------------------------------- items that are wrong

GOOD = [request_of([i, i + 1, i + 2], [b"x%d" % i, b"y" * (2 + i), b"z" * 255], session=100 + i) for i in range(9)]
BAD: dict[str, tuple[Callable[[Request], Request], Status, type[OnionError], dict[str, Any]]] = {
    "node key off the curve": (
        lambda r: r._replace(public_keys=[r.public_keys[0], NOT_A_POINT, r.public_keys[2]]),
        Status.NODE_KEY,
        NodeKeyError,
        {"hop": 1},
    ),
    "node key of the wrong form": (
        lambda r: r._replace(public_keys=[*r.public_keys[:2], b"\4" + r.public_keys[2][1:]]),
        Status.NODE_KEY,
        NodeKeyError,
        {"hop": 2},
    ),
    "node key above the field": (
        lambda r: r._replace(public_keys=[b"\2" + b"\xff" * 32, *r.public_keys[1:]]),
        Status.NODE_KEY,
        NodeKeyError,
        {"hop": 0},
    ),
    "session key 0": (lambda r: r._replace(session_key=bytes(32)), Status.SESSION_KEY, SessionKeyError, {"hop": 0}),
    "session key n": (
        lambda r: r._replace(session_key=secret(ORDER)),
        Status.SESSION_KEY,
        SessionKeyError,
        {"hop": 0},
    ),
    "session key 2^256 - 1": (
        lambda r: r._replace(session_key=b"\xff" * 32),
        Status.SESSION_KEY,
        SessionKeyError,
        {"hop": 0},
    ),
    "payload of 0 bytes": (
        lambda r: r._replace(payloads=[*r.payloads[:2], b""]),
        Status.PAYLOAD_SIZE,
        PayloadSizeError,
        {"hop": 2},
    ),
    "payload of 1 byte": (
        lambda r: r._replace(payloads=[b"a", *r.payloads[1:]]),
        Status.PAYLOAD_SIZE,
        PayloadSizeError,
        {"hop": 0},
    ),
    "route too long": (
        lambda r: r._replace(public_keys=r.public_keys * 10, payloads=[bytes(12)] * 30),
        Status.ONION_SIZE,
        OnionSizeError,
        {"offset": 30 * 45 - 1300},
    ),
    "payload too long": (
        lambda r: r._replace(payloads=[r.payloads[0], bytes(1300), r.payloads[2]]),
        Status.ONION_SIZE,
        OnionSizeError,
        {"offset": 35 + 1335 + len(r"z" * 255) + 35 - 1300},
    ),
}


@pytest.mark.parametrize("place", [0, 4, 8])
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_item_is_told_and_changes_no_other(implementation: str, kind: str, place: int) -> None:
    spoil, status, error, facts = BAD[kind]
    expected = build_onions(GOOD, implementation=implementation)
    batch = [spoil(request) if i == place else request for i, request in enumerate(GOOD)]
    built = build_onions(batch, implementation=implementation)
    assert built.status.tolist() == [status if i == place else Status.OK for i in range(len(GOOD))]
    assert not built.ok
    assert built.count_ok() == len(GOOD) - 1
    packets, same = bytes(built.packets), bytes(expected.packets)
    for i in range(len(GOOD)):
        row = slice(1366 * i, 1366 * (i + 1))
        assert packets[row] == (bytes(1366) if i == place else same[row])
        if i != place:
            assert bytes(built[i].secrets.shared_secrets) == bytes(expected[i].secrets.shared_secrets)
    failed = built.secrets[place]
    assert not any(bytes(failed.session_key)) and not any(bytes(failed.shared_secrets))
    with pytest.raises(error) as caught:
        built[place]
    assert caught.value.index == place
    assert {name: getattr(caught.value, name) for name in facts} == facts
    (told,) = built.errors()
    assert (type(told), str(told)) == (error, str(caught.value))
    assert built.error(place) is not None and built.error(1) is None


def test_every_kind_at_once(implementation: str) -> None:
    """A bad item of each kind between good ones: the good ones are what they are alone."""
    batch, expected = [], []
    for i, (spoil, status, _, _) in enumerate(BAD.values()):
        batch += [spoil(GOOD[0]), GOOD[i % len(GOOD)]]
        expected += [status, Status.OK]
    built = build_onions(batch, implementation=implementation)
    assert built.status.tolist() == expected
    for i in range(len(BAD)):
        assert built[2 * i + 1].packet == build_onion(*GOOD[i % len(GOOD)], implementation=implementation).packet
    assert [error.index for error in built.errors()] == list(range(0, 2 * len(BAD), 2))


# ---------------------------------------------------------------- misuse of the call


def grown(request: Request) -> Any:
    """A payload sequence that says one thing and then another."""

    class Liar(list[bytes]):
        def __iter__(self) -> Any:
            return iter([b"ab" * 40] * 3)

    return request._replace(payloads=Liar(request.payloads))


def test_a_sequence_that_changes_is_read_once() -> None:
    onion = build_onion(*grown(GOOD[0]))
    assert onion.packet == build_onion(*GOOD[0]._replace(payloads=[b"ab" * 40] * 3)).packet


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda r: r._replace(public_keys=[]), ValueError),
        (lambda r: r._replace(public_keys=r.public_keys[:2]), ValueError),
        (lambda r: r._replace(public_keys=[], payloads=[]), ValueError),
        (lambda r: r._replace(public_keys=r.public_keys * 200, payloads=[b"ab"] * 600), ValueError),
        (lambda r: r._replace(public_keys=[r.public_keys[0][:32], *r.public_keys[1:]]), ValueError),
        (lambda r: r._replace(public_keys=[r.public_keys[0].hex(), *r.public_keys[1:]]), TypeError),
        (lambda r: r._replace(public_keys=[None, *r.public_keys[1:]]), TypeError),
        (lambda r: r._replace(session_key=bytes(31)), ValueError),
        (lambda r: r._replace(session_key="41" * 32), TypeError),
        (lambda r: r._replace(payloads=[*r.payloads[:2], "text"]), TypeError),
        (lambda r: r._replace(payloads=[*r.payloads[:2], bytes(65536)]), ValueError),
        (lambda r: r._replace(payloads=[*r.payloads[:2], memoryview(bytes(8)).cast("I")]), ValueError),
        (lambda r: r._replace(associated_data=bytearray(32)), TypeError),
        (lambda r: r[:3], ValueError),
        (lambda r: 5, TypeError),
    ],
)
def test_misuse_raises(spoil: Callable[[Request], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        build_onions([GOOD[0], spoil(GOOD[1])])


@pytest.mark.parametrize("size", [0, -1, 65536, 1300.0, "1300", None])
def test_bad_sizes_raise(size: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        build_onions(GOOD, hop_payloads_size=size)


@pytest.mark.parametrize("threads", [0, -1, 1025, 1.5, True, "2"])
def test_bad_thread_counts_raise(threads: Any) -> None:
    with pytest.raises(ValueError, match="threads"):
        build_onions(GOOD, threads=threads)


def test_bad_tables_and_implementations_raise() -> None:
    with pytest.raises(TypeError, match="HopTables"):
        build_onions(GOOD, hop_tables={})
    with pytest.raises(ValueError, match="there is no ecmult implementation 'mmx'"):
        build_onions(GOOD, implementation="mmx")
    with pytest.raises(TypeError, match="implementation"):
        build_onions(GOOD, implementation=5)  # type: ignore[arg-type]


def test_no_items() -> None:
    batch = build_onions([])
    assert len(batch) == 0
    assert batch.ok
    assert (batch.errors(), batch.secrets, bytes(batch.packets), batch.status.tolist()) == ([], [], b"", [])
    with pytest.raises(IndexError):
        batch[0]


def test_a_batch_is_a_sequence() -> None:
    batch = build_onions(OnionRequest(*request) for request in GOOD)
    assert [onion.packet for onion in batch] == [batch[i].packet for i in range(len(GOOD))]
    assert batch[-1].packet == batch[8].packet
    for index in (9, -10):
        with pytest.raises(IndexError):
            batch[index]


def test_facts_of_a_raw_onion() -> None:
    onion = build_onions(GOOD)[3]
    assert (onion.index, onion.n_hops, onion.payment_hash, onion.route, onion.block_height) == (3, 3, None, None, None)
    assert onion.secrets.preimage is None
    assert len(onion.secrets) == 3
    for name in ("amount_msat", "first_amount_msat", "first_cltv_expiry", "cltv_expiry"):
        with pytest.raises(AttributeError, match="keysend"):
            getattr(onion, name)


def test_inputs_may_be_any_buffer() -> None:
    request = GOOD[4]
    other = [bytearray(request.public_keys[0]), memoryview(request.public_keys[1]), request.public_keys[2]]
    payloads = [memoryview(p) for p in request.payloads]
    onion = build_onion(other, payloads, bytearray(request.session_key), request.associated_data)
    assert onion.packet == build_onion(*request).packet
