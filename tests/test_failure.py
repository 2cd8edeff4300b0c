"""Return packets: the vectors and the slow reference on every implementation, batches, rounds, and calls that are wrong."""

from __future__ import annotations

import hmac
import random
import re
import threading
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keysend_fast import OnionSecrets, build_onions
from keysend_fast.errors import FailureError, NodeKeyError
from keysend_fast.failure import (
    Failure,
    FailureCode,
    HoldTimes,
    create_failure,
    create_failures,
    decode_failure,
    decode_failures,
    decode_fulfilled,
    decode_fulfilleds,
    derive_secrets,
    wrap_failure,
    wrap_failures,
    wrap_fulfilled,
    wrap_fulfilleds,
)
from keysend_fast.status import Status
from tests.nodes import NOT_A_POINT, node_id, request_of
from tests.reference import attribution, chacha20, sphinx
from tests.reference import failure as reference
from tests.returns import Sent, flipped, random_times, secrets_of, sent_by
from tests.support import load_vector

ERROR = load_vector("bolt04-onion-error-test")
TRACE = load_vector("bolt04-attribution-test")
LANES = (0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 33)


# --- vectors -----------------------------------------------------------------------------------------------------------


def test_error_vector(symmetric: str) -> None:
    secrets = [bytes.fromhex(hop["hop_shared_secret"]) for hop in ERROR["generate"]["hops"]]
    message = bytes.fromhex(ERROR["generate"]["failure_message"])
    sent = create_failure(secrets[4], message, implementation=symmetric)
    for secret in secrets[3::-1]:
        sent = wrap_failure(secret, sent.packet, implementation=symmetric)
    assert sent.packet.hex() == ERROR["errorpacket"]
    assert sent.attribution_data is None
    failure = decode_failure(sent.packet, secrets, implementation=symmetric)
    assert failure == Failure(Status.OK, 5, 4, message)
    assert failure.code is FailureCode.TEMPORARY_NODE_FAILURE


def test_attribution_vector(symmetric: str) -> None:
    secrets = [bytes.fromhex(hop["shared_secret"]) for hop in TRACE["hops"]]
    # The published trace lists hold times 1 to 5 for nodes 0 to 4, but its blocks have them the other way round.
    times = [hop["htlc_hold_time"] for hop in reversed(TRACE["hops"])]
    expected = TRACE["failure"]
    message = bytes.fromhex(expected["failure_message"])
    sent = create_failure(secrets[4], message, hold_time=times[4], size=1024, implementation=symmetric)
    fulfilled: bytes | None = None
    for hop in (4, 3, 2, 1, 0):
        if hop < 4:
            sent = wrap_failure(
                secrets[hop],
                sent.packet,
                attribution_data=sent.attribution_data,
                hold_time=times[hop],
                implementation=symmetric,
            )
        assert sent.packet.hex() == expected["error_packets"][hop]
        assert sent.attribution_data is not None
        assert sent.attribution_data.hex() == expected["attribution_data"][hop]
        fulfilled = wrap_fulfilled(
            secrets[hop], hold_time=times[hop], attribution_data=fulfilled, implementation=symmetric
        )
        assert fulfilled.hex() == TRACE["success"]["attribution_data"][hop]
    failure = decode_failure(sent.packet, secrets, attribution_data=sent.attribution_data, implementation=symmetric)
    assert failure == Failure(Status.OK, 5, 4, message, tuple(times))
    assert failure.data == {"htlc_msat": 100, "height": 800_000}
    assert fulfilled is not None
    assert decode_fulfilled(fulfilled, secrets, implementation=symmetric) == HoldTimes(tuple(times))


# --- the reference -----------------------------------------------------------------------------------------------------


def expected_failure(packet: bytes, block: bytes | None, secrets: list[bytes]) -> Failure:
    """What the reference makes of a return."""
    n = len(secrets)
    erring: int | None
    try:
        decoded = reference.decode(packet, secrets)
    except reference.MalformedFailure as malformed:
        status, erring, message = Status.FAILURE_MESSAGE, malformed.hop, b""
    else:
        status = Status.OK if decoded else Status.UNDECODABLE
        erring, message = (decoded.hop, decoded.message) if decoded else (None, b"")
    if block is None:
        return Failure(status, n, erring, message)
    report = attribution._read(block, packet, secrets, erring)
    return Failure(status, n, erring, message, tuple(report.hold_times), report.first_unverified)


def random_return(rng: random.Random) -> tuple[bytes, bytes | None, list[bytes]]:
    """A return over 1 … 20 hops, sometimes more; sometimes changed on the way."""
    n = rng.choice([*range(1, 21), 1, 2, 3, 21, 26, 27, 28, 40])
    secrets = [rng.randbytes(32) for _ in range(n)]
    message = rng.randbytes(rng.choice([2, 10, 254, 256, 257, 300, 1000]))
    without = {hop for hop in range(n) if rng.random() < rng.choice([0, 0, 0.2])}
    sent = sent_by(secrets, rng.randrange(n), message, random_times(rng, n), without, rng.choice([256, 256, 0, 400]))[0]
    packet, block = sent
    if rng.random() < 0.2:
        packet = flipped(packet, rng.randrange(len(packet)), rng.randrange(1, 256))
    if block is not None and rng.random() < 0.2:
        block = flipped(block, rng.randrange(920), rng.randrange(1, 256))
    return packet, (block if rng.random() < 0.8 else None), secrets


@cache
def random_returns() -> tuple[list[tuple[bytes, bytes | None, list[bytes]]], list[Failure]]:
    """Returns, and what the reference makes of them: slow, so once for all implementations."""
    rng = random.Random(2026)
    items = [random_return(rng) for _ in range(60)]
    return items, [expected_failure(*item) for item in items]


def test_agrees_with_the_reference(symmetric: str) -> None:
    """Routes, lengths and packets mixed in one batch, with and without attribution data."""
    items, expected = random_returns()
    packets, blocks, secrets = (list(column) for column in zip(*items, strict=True))
    batch = decode_failures(packets, secrets, attribution_data=blocks, implementation=symmetric)
    assert list(batch) == expected
    assert {Status.OK, Status.UNDECODABLE} <= {failure.status for failure in expected}
    assert {failure.erring_index for failure in expected} > {0, 5, None}
    assert [decode_failure(p, s, attribution_data=b, implementation=symmetric) for p, b, s in items[:20]] == expected[
        :20
    ]


@pytest.mark.parametrize("length", range(1, 21))
def test_every_route_length_and_erring_hop(length: int) -> None:
    rng = random.Random(length)
    secrets, times = secrets_of(length), random_times(rng, length)
    sent = [sent_by(secrets, erring, bytes([0x40, erring]), times)[0] for erring in range(length)]
    batch = decode_failures(
        [packet for packet, _ in sent], [secrets] * length, attribution_data=[block for _, block in sent]
    )
    for erring, failure in enumerate(batch):
        assert failure == Failure(Status.OK, length, erring, bytes([0x40, erring]), tuple(times[: erring + 1]))


@given(st.integers(0, 2**32), st.integers(1, 27))
@settings(max_examples=30, deadline=None)
def test_nodes_agree_with_the_reference(seed: int, length: int) -> None:
    rng = random.Random(seed)
    secrets, times = [rng.randbytes(32) for _ in range(length)], random_times(rng, length)
    erring, size = rng.randrange(length), rng.choice([256, 0, 500])
    message = rng.randbytes(rng.choice([2, 100, 256, 300]))
    expected = sent_by(secrets, erring, message, times, size=size)
    sent = create_failure(secrets[erring], message, hold_time=times[erring], size=size)
    for hop in range(erring, -1, -1):
        if hop < erring:
            sent = wrap_failure(secrets[hop], sent.packet, attribution_data=sent.attribution_data, hold_time=times[hop])
        assert (sent.packet, sent.attribution_data) == expected[hop]
    block: bytes | None = None
    for hop in range(length - 1, -1, -1):
        block = wrap_fulfilled(secrets[hop], hold_time=times[hop], attribution_data=block)
        if hop == 0:
            assert block == sent_by(secrets, None, hold_times=times)[0].block
            assert decode_fulfilled(block, secrets) == HoldTimes(tuple(times[:20]))


# --- batches -----------------------------------------------------------------------------------------------------------


class Five(NamedTuple):
    """A failure of the fourth of five nodes, and what arrives by the reference."""

    secrets: list[bytes]
    message: bytes
    times: list[int]
    arrived: Sent


@cache
def five(i: int) -> Five:
    rng = random.Random(i)
    secrets, times = [rng.randbytes(32) for _ in range(5)], random_times(rng, 4)
    message = rng.randbytes(2 + i % 3)
    return Five(secrets, message, times, sent_by(secrets, 3, message, times)[0])


@pytest.mark.parametrize("n", LANES)
def test_any_number_at_once(n: int, symmetric: str) -> None:
    """Nodes and origin in batches whose rest does not fill the lanes; the wrapped batch goes on without copies."""
    items = [five(i) for i in range(n)]
    secrets, messages = [item.secrets for item in items], [item.message for item in items]
    times = [[item.times[hop] for item in items] for hop in range(4)]
    batch = create_failures([s[3] for s in secrets], messages, hold_times=times[3], implementation=symmetric)
    for hop in (2, 1, 0):
        batch = wrap_failures([s[hop] for s in secrets], batch, hold_times=times[hop], implementation=symmetric)
    assert list(batch) == [item.arrived for item in items]
    decoded = decode_failures(batch, secrets, implementation=symmetric)
    assert [failure.erring_index for failure in decoded] == [3] * n
    assert [failure.message for failure in decoded] == messages
    assert [failure.hold_times for failure in decoded] == [tuple(item.times) for item in items]
    assert list(decoded.status) == [0] * n
    assert list(decoded.erring_indexes) == [3] * n


def test_a_bad_item_changes_no_other() -> None:
    secrets = [secrets_of(4, 1 + seed) for seed in range(40)]
    sent = [sent_by(s, i % 4) for i, s in enumerate(secrets)]
    packets, blocks = [s[0].packet for s in sent], [s[0].block for s in sent]
    whole = list(decode_failures(packets, secrets, attribution_data=blocks))
    for at in (0, 15, 16, 39):
        for bad in (flipped(packets[at], 7), packets[at][:31], b"", packets[at] + b"\0"):
            broken = [*packets[:at], bad, *packets[at + 1 :]]
            batch = decode_failures(broken, secrets, attribution_data=blocks)
            assert [*batch[:at], *batch[at + 1 :]] == [*whole[:at], *whole[at + 1 :]]
            assert batch[at].status is Status.UNDECODABLE
            assert batch[at].blame == batch[at].unverified is not None
            assert [(type(error), error.index) for error in batch.errors()] == [(FailureError, at)]
            assert batch.error(at - 40) is not None
            assert batch.error((at + 1) % 40) is None


def test_threads_agree() -> None:
    rng = random.Random(5)
    items = [random_return(rng) for _ in range(40)] * 15
    packets, blocks, secrets = (list(column) for column in zip(*items, strict=True))
    one = decode_failures(packets, secrets, attribution_data=blocks, threads=1)
    assert list(decode_failures(packets, secrets, attribution_data=blocks, threads=3)) == list(one)
    assert list(decode_failures(packets, secrets, attribution_data=blocks)) == list(one)
    keys = [s[0] for s in secrets]
    wrapped = wrap_failures(keys, packets, hold_times=9, threads=1)
    assert list(wrap_failures(keys, packets, hold_times=9, threads=3)) == list(wrapped)


def test_threads_of_python_do_not_meet() -> None:
    secrets = secrets_of(6)
    sent = [sent_by(secrets, erring)[0] for erring in range(6)] * 30
    found: list[list[int | None]] = []

    def decode() -> None:
        batch = decode_failures([p for p, _ in sent], [secrets] * len(sent), attribution_data=[b for _, b in sent])
        found.append([failure.erring_index for failure in batch])

    threads = [threading.Thread(target=decode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [list(range(6)) * 30] * 4


# --- rounds ------------------------------------------------------------------------------------------------------------


def test_hops_behind_the_27th() -> None:
    secrets = secrets_of(60)
    for erring in (25, 26, 27, 29, 59):
        packet, block = sent_by(secrets, erring)[0]
        failure = decode_failure(packet, secrets, attribution_data=block)
        assert failure == Failure(Status.OK, 60, erring, b"\x20\x02", tuple(range(100, 120)))


def test_a_dummy_round_is_no_hop() -> None:
    source = (Path(__file__).resolve().parent.parent / "csrc/sphinx/failure.c").read_text(encoding="utf-8")
    found = re.search(r'KSF_DUMMY_SECRET\[32\] = "(.{32})";', source)
    assert found
    dummy = found[1].encode()
    packet = reference.wrap(secrets_of(1)[0], reference.wrap(dummy, reference.create(dummy, b"\x20\x02")))
    assert decode_failure(packet, secrets_of(1)).status is Status.UNDECODABLE
    # The same packet decodes where the secret is somebody's: the rounds above did derive these keys.
    assert decode_failure(packet, [*secrets_of(1), dummy]).erring_index == 1


@pytest.mark.parametrize("body", [b"", b"\0", b"\0\0", b"\0\1\x20", b"\0\3\x20\x02"])
def test_authenticated_nonsense(body: bytes) -> None:
    secrets = [*secrets_of(3)]
    packet = hmac.digest(sphinx.key("um", secrets[1]), body, "sha256") + body
    block = None
    for hop in (1, 0):
        block = attribution.wrap(secrets[hop], block, packet, hop)
        packet = reference.wrap(secrets[hop], packet)
    failure = decode_failure(packet, secrets, attribution_data=block)
    assert failure == Failure(Status.FAILURE_MESSAGE, 3, 1, b"", (0, 1))
    assert failure.code is None
    assert failure.data == {}
    assert failure.blame is not None
    assert failure.blame.node == 1


@pytest.mark.parametrize("packet", [b"", bytes(31), bytes(32), bytes(33), bytes(292), bytes(65535)])
def test_noise(packet: bytes) -> None:
    failure = decode_failure(packet, secrets_of(3))
    assert failure == Failure(Status.UNDECODABLE, 3, None)
    assert failure.blame is None


def test_padding_is_not_looked_at() -> None:
    secret = bytes(range(32))
    body = (2).to_bytes(2, "big") + b"\x20\x02" + b"\xff" * 256
    packet = hmac.digest(sphinx.key("um", secret), body, "sha256") + body
    packet = chacha20.xor(packet, chacha20.stream(sphinx.key("ammag", secret), len(packet)))
    assert decode_failure(packet, [secret]).message == b"\x20\x02"


# --- where secrets come from -------------------------------------------------------------------------------------------


def test_secrets_of_any_origin() -> None:
    requests = [request_of(range(n), [b"ab"] * n, session=n) for n in (1, 3, 5)]
    onions = build_onions(requests)
    rows = [[bytes(onion.secrets.shared_secret(h)) for h in range(len(onion.secrets))] for onion in onions]
    packets = [sent_by(r, len(r) - 1)[0].packet for r in rows]
    sources: list[Any] = [
        onions,
        onions.secrets,
        (onion.secrets for onion in onions),
        rows,
        [b"".join(r) for r in rows],
        [bytearray(b"".join(r)) for r in rows],
        [onion.secrets.shared_secrets for onion in onions],
        [derive_secrets(r.session_key, r.public_keys) for r in requests],
        [OnionSecrets.from_shared_secrets(r) for r in rows],
    ]
    for source in sources:
        assert [failure.erring_index for failure in decode_failures(packets, source)] == [0, 2, 4]
    with onions:
        pass
    with pytest.raises(ValueError, match="secrets 0 are zero: they were wiped"):
        decode_failures(packets, onions)


def test_derived_secrets_of_long_routes_and_bad_keys() -> None:
    keys = [node_id(i) for i in range(27)]
    derived = derive_secrets(b"\x41" * 32, keys)
    expected = [hop.shared_secret for hop in sphinx.key_chain(b"\x41" * 32, keys)]
    assert [bytes(derived.shared_secret(h)) for h in range(27)] == expected
    with pytest.raises(NodeKeyError) as caught:
        derive_secrets(b"\x41" * 32, [node_id(0), NOT_A_POINT])
    assert caught.value.hop == 1
    with pytest.raises(ValueError, match="1 to"):
        derive_secrets(b"\x41" * 32, [])


def test_inputs_may_be_any_buffer_and_stay_as_they_are() -> None:
    secrets = secrets_of(3)
    packet, block = sent_by(secrets, 2)[0]
    assert block is not None
    expected = decode_failure(packet, secrets, attribution_data=block)
    buffers = bytearray(packet), bytearray(block)
    assert decode_failure(buffers[0], secrets, attribution_data=buffers[1]) == expected
    assert decode_failure(memoryview(packet), secrets, attribution_data=memoryview(block)) == expected
    matrix = memoryview(packet * 2).cast("B", (2, len(packet)))
    blocks = memoryview(block * 2).cast("B", (2, 920))
    assert list(decode_failures(matrix, [secrets] * 2, attribution_data=blocks)) == [expected] * 2
    wrapped = wrap_failures(
        memoryview(secrets[0] * 2).cast("B", (2, 32)), matrix, attribution_data=blocks, hold_times=1
    )
    assert wrapped[0] == wrapped[1] == tuple(sent_by_again(secrets[0], packet, block))
    assert buffers == (packet, block)
    with pytest.raises(TypeError):
        wrapped.packets[0, 0] = 0  # type: ignore[index, call-overload]


def sent_by_again(secret: bytes, packet: bytes, block: bytes) -> tuple[bytes, bytes]:
    return reference.wrap(secret, packet), attribution.wrap(secret, block, packet, 1)


# --- misuse ------------------------------------------------------------------------------------------------------------


def test_misuse_of_decoding() -> None:
    secrets, packet = secrets_of(2), sent_by(secrets_of(2), 1)[0].packet
    for error, match, call in (
        (TypeError, "packet 0 is bytes, not str", lambda: decode_failures(["00"], [secrets])),
        (TypeError, "sequence of rows", lambda: decode_failures(packet, [secrets])),
        (ValueError, "1 are due, one for each packet, not 2", lambda: decode_failures([packet], [secrets] * 2)),
        (ValueError, "secret of hop 1 has 32 bytes", lambda: decode_failures([packet], [[secrets[0], b"short"]])),
        (ValueError, "32 bytes a hop, not 33", lambda: decode_failures([packet], [bytes(33)])),
        (ValueError, "1 to 400 hops, not 0", lambda: decode_failures([packet], [[]])),
        (ValueError, "1 to 400 hops, not 401", lambda: decode_failures([packet], [secrets_of(1) * 401])),
        (TypeError, "not str", lambda: decode_failures([packet], ["00"])),
        (ValueError, "920 bytes, not 919", lambda: decode_failure(packet, secrets, attribution_data=bytes(919))),
        (ValueError, "at most 65535", lambda: decode_failure(bytes(65536), secrets)),
        (ValueError, "zero", lambda: decode_failure(packet, [bytes(32)])),
        (ValueError, "shape", lambda: decode_failures(memoryview(packet), [secrets] * len(packet))),
        (ValueError, "2 rows are due", lambda: decode_failures([packet] * 2, [secrets] * 2, attribution_data=[None])),
        (ValueError, "threads", lambda: decode_failures([packet], [secrets], threads=0)),
        (ValueError, "neither a packet", lambda: decode_failures([None], [secrets])),
    ):
        with pytest.raises(error, match=match):
            call()


def test_misuse_of_wrapping() -> None:
    secret, packet, block = bytes(32), bytes(292), bytes(920)
    for error, match, call in (
        (ValueError, "32 bytes", lambda: create_failure(b"short", b"\x20\x02")),
        (ValueError, "failure code of 2 bytes", lambda: create_failure(secret, b"\x20")),
        (ValueError, "more than 65535", lambda: create_failure(secret, bytes(65500))),
        (ValueError, "size is an int", lambda: create_failure(secret, b"\x20\x02", size=65500)),
        (ValueError, "size is an int", lambda: create_failure(secret, b"\x20\x02", size=-1)),
        (ValueError, "32 bits", lambda: create_failure(secret, b"\x20\x02", hold_time=1 << 32)),
        (ValueError, "32 bits", lambda: create_failure(secret, b"\x20\x02", hold_time=-1)),
        (ValueError, "packet 0 is empty", lambda: wrap_failure(secret, b"")),
        (ValueError, "more than 65535", lambda: wrap_failure(secret, bytes(65536))),
        (ValueError, "only with a hold time", lambda: wrap_failure(secret, packet, attribution_data=block)),
        (ValueError, "920", lambda: wrap_failure(secret, packet, attribution_data=bytes(921), hold_time=1)),
        (ValueError, "2 are due", lambda: wrap_failures([secret] * 2, [packet] * 2, hold_times=[1])),
        (ValueError, "2 rows are due", lambda: wrap_failures([secret] * 2, [packet])),
        (TypeError, "str", lambda: create_failures([secret], ["2002"])),
    ):
        with pytest.raises(error, match=match):
            call()


def test_longest_and_shortest_packets() -> None:
    secret = b"\x01" * 32
    message = b"\x20\x02" + bytes(65535 - 36 - 2)
    sent = create_failure(secret, message, hold_time=1)
    assert len(sent.packet) == 65535
    failure = decode_failure(sent.packet, [secret], attribution_data=sent.attribution_data)
    assert (failure.message, failure.hold_times) == (message, (1,))
    sent = create_failure(secret, b"\x20\x02", size=0)
    assert len(sent.packet) == 38
    assert decode_failure(sent.packet, [secret]).message == b"\x20\x02"


def test_fulfilled_in_batches() -> None:
    secrets = [secrets_of(4, 1 + seed) for seed in range(20)]
    blocks: list[bytes] | None = None
    for hop in (3, 2, 1, 0):
        blocks = wrap_fulfilleds([s[hop] for s in secrets], hold_times=hop, attribution_data=blocks)
    assert blocks is not None
    assert decode_fulfilleds(blocks, secrets) == [HoldTimes((0, 1, 2, 3))] * 20
    blocks[7] = flipped(blocks[7], 0)
    reports = decode_fulfilleds(blocks, iter(secrets))
    assert reports[7] == HoldTimes((), 0)
    assert reports[7].unverified is not None
    assert reports[7].unverified.nodes == (-1, 0)
    assert reports[6].unverified is None


def test_reprs_say_how_many_and_no_secret() -> None:
    secrets = secrets_of(2)
    packet = sent_by(secrets, 1)[0].packet
    assert repr(decode_failures([packet, bytes(292)], [secrets] * 2)) == "<FailureBatch of 2, 1 decoded>"
    assert repr(create_failures(secrets, [b"\x20\x02"] * 2, hold_times=0)) == "<ReturnPackets of 2, attributed>"
    assert repr(create_failures(secrets, [b"\x20\x02"] * 2)) == "<ReturnPackets of 2>"
