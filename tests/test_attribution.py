"""Attribution data: tampering with every byte, routes that only in part know them, and more hops than they have room for.

Which bytes of a block the payer reads is the reference's to say (`attribution.bytes_read`).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import pytest

from keysend_fast.failure import (
    Blame,
    Failure,
    HoldTimes,
    ReturnPackets,
    decode_failure,
    decode_failures,
    decode_fulfilled,
    decode_fulfilleds,
    wrap_failures,
    wrap_fulfilleds,
)
from keysend_fast.status import Status
from tests.reference import attribution
from tests.returns import flipped, secrets_of, sent_by

MESSAGE = b"\x20\x02"
FIRST = 100  # the hold time of hop 0; the others count on


def times(hops: int) -> tuple[int, ...]:
    return tuple(range(FIRST, FIRST + hops))


def arrived(
    secrets: Sequence[bytes], sender: int, packets: Iterable[bytes], blocks: Iterable[bytes]
) -> tuple[Sequence[bytes] | ReturnPackets, list[bytes] | None]:
    """What reaches the payer if the node at `sender` sends these upstream."""
    sent: Sequence[bytes] | ReturnPackets = list(packets)
    attached: list[bytes] | None = list(blocks)
    for hop in range(sender - 1, -1, -1):
        sent = wrap_failures([secrets[hop]] * len(sent), sent, attribution_data=attached, hold_times=FIRST + hop)
        attached = None  # now with the packets
    return sent, attached


def fulfilled(secrets: Sequence[bytes], sender: int, blocks: Iterable[bytes]) -> list[HoldTimes]:
    """What the payer reads if the node at `sender` sends these upstream."""
    sent = list(blocks)
    for hop in range(sender - 1, -1, -1):
        sent = wrap_fulfilleds([secrets[hop]] * len(sent), hold_times=FIRST + hop, attribution_data=sent)
    return decode_fulfilleds(sent, [secrets] * len(sent))


def link(hop: int) -> Blame:
    """The channel between a hop and the node before it."""
    return Blame((hop - 1, hop))


# --- the block ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", range(1, 21))
def test_every_byte_that_is_read_is_noticed(length: int) -> None:
    """Every route length, every sender, every byte that the reference says is read, changed by a random mask: the blame is on
    the sender and the node before it, and what is nearer still verifies."""
    rng = random.Random(length)
    secrets = secrets_of(length)
    for sender in range(length):
        erring = rng.randrange(sender, length)
        packet, block = sent_by(secrets, erring, MESSAGE)[sender]
        assert block is not None
        offsets = sorted(attribution.bytes_read(length, sender))
        assert len(offsets) == 8 * (length - sender)
        changed = [flipped(block, at, rng.randrange(1, 256)) for at in offsets]
        packets, blocks = arrived(secrets, sender, [packet] * len(changed), changed)
        for failure in decode_failures(packets, [secrets] * len(changed), attribution_data=blocks):
            assert failure == Failure(Status.OK, length, erring, MESSAGE, times(sender), sender)
            assert failure.unverified == link(sender)


@pytest.mark.parametrize("length", range(1, 21))
def test_every_byte_that_is_read_is_noticed_when_fulfilled(length: int) -> None:
    rng = random.Random(length)
    secrets = secrets_of(length)
    for sender in range(length):
        block = sent_by(secrets, None)[sender].block
        assert block is not None
        changed = [flipped(block, at, rng.randrange(1, 256)) for at in sorted(attribution.bytes_read(length, sender))]
        for report in fulfilled(secrets, sender, changed):
            assert report == HoldTimes(times(sender), sender)
            assert report.unverified == link(sender)


@pytest.mark.parametrize(
    ("length", "sender", "erring"), [(1, 0, 0), (3, 0, 2), (5, 2, 3), (20, 0, 19), (20, 7, 7), (27, 4, 26)]
)
def test_every_other_byte_changes_nothing(length: int, sender: int, erring: int) -> None:
    """All 920 bytes in turn: those that are read are blamed on the sender's link, the others leave every result as it was."""
    secrets = secrets_of(length)
    packet, block = sent_by(secrets, erring, MESSAGE)[sender]
    assert block is not None
    packets, blocks = arrived(secrets, sender, [packet] * 920, [flipped(block, at, 0x80) for at in range(920)])
    batch = decode_failures(packets, [secrets] * 920, attribution_data=blocks)
    read = attribution.bytes_read(length, sender)
    untouched = Failure(Status.OK, length, erring, MESSAGE, times(min(erring + 1, 20)))
    noticed = Failure(Status.OK, length, erring, MESSAGE, times(sender), sender)
    assert list(batch) == [noticed if at in read else untouched for at in range(920)]


def test_every_value_of_a_byte() -> None:
    """The three kinds of bytes that are read: a hold time, the own HMAC, a covered one; every other value is noticed."""
    secrets = secrets_of(4)
    packet, block = sent_by(secrets, 3, MESSAGE)[1]
    assert block is not None
    read = sorted(attribution.bytes_read(4, 1))
    for at in (read[0], read[4], read[12], read[-1]):
        changed = [flipped(block, at, mask) for mask in range(1, 256)]
        packets, blocks = arrived(secrets, 1, [packet] * 255, changed)
        for failure in decode_failures(packets, [secrets] * 255, attribution_data=blocks):
            assert failure == Failure(Status.OK, 4, 3, MESSAGE, times(1), 1)


def test_a_lie_about_ones_own_hold_time_is_no_tampering() -> None:
    secrets = secrets_of(3)
    packet, block = sent_by(secrets, 2, MESSAGE, [1, 0xFFFFFFFF, 3])[0]
    assert decode_failure(packet, secrets, attribution_data=block).hold_times == (1, 0xFFFFFFFF, 3)


# --- the failure packet ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "erring"), [(1, 0), (2, 1), (5, 4), (5, 2), (20, 19), (27, 20)])
def test_every_byte_of_the_packet(length: int, erring: int) -> None:
    """Whoever changes any byte of the packet on its way back makes it undecodable, and is blamed with a neighbour."""
    rng = random.Random(length)
    secrets = secrets_of(length)
    for sender, (packet, block) in enumerate(sent_by(secrets, erring, MESSAGE)):
        assert block is not None
        changed = [flipped(packet, at, rng.randrange(1, 256)) for at in range(len(packet))]
        packets, blocks = arrived(secrets, sender, changed, [block] * len(changed))
        for failure in decode_failures(packets, [secrets] * len(changed), attribution_data=blocks):
            if sender < 20:
                assert failure == Failure(Status.UNDECODABLE, length, None, b"", times(sender), sender)
                assert failure.blame == link(sender)
            else:  # behind what attribution data can show
                assert failure == Failure(Status.UNDECODABLE, length, None, b"", times(20))
                assert failure.blame is None


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 291, 293, 400])
def test_a_packet_of_another_length(size: int) -> None:
    """Cut short or made longer on the way: also where it is too short to hold an HMAC."""
    secrets = secrets_of(4)
    packet, block = sent_by(secrets, 3, MESSAGE)[1]
    assert block is not None
    changed = (packet + bytes(200))[:size]
    if not changed:  # nodes refuse to pass nothing on; the first may still send it
        packet, block = sent_by(secrets, 3, MESSAGE)[0]
        failure = decode_failure(b"", secrets, attribution_data=block)
        assert failure == Failure(Status.UNDECODABLE, 4, None, b"", (), 0)
        return
    packets, blocks = arrived(secrets, 1, [changed], [block])
    failure = decode_failures(packets, [secrets], attribution_data=blocks)[0]
    assert failure == Failure(Status.UNDECODABLE, 4, None, b"", times(1), 1)
    assert failure.blame == link(1)


def test_a_replayed_return_of_another_payment() -> None:
    """The second hop answers with what it got for another payment: it cannot be its own."""
    mine, others = secrets_of(4), secrets_of(4, 9)
    packet, block = sent_by(others, 3, MESSAGE)[1]
    assert block is not None
    packets, blocks = arrived(mine, 1, [packet], [block])
    failure = decode_failures(packets, [mine], attribution_data=blocks)[0]
    assert failure == Failure(Status.UNDECODABLE, 4, None, b"", times(1), 1)


# --- support -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("supported", range(1, 7))
def test_only_the_first_hops_know_attribution_data(supported: int) -> None:
    """What the first k say is read, and the data end at the link behind them; whoever erred further on is still named."""
    secrets = secrets_of(6)
    for erring in range(6):
        packet, block = sent_by(secrets, erring, MESSAGE, without=range(supported, 6))[0]
        failure = decode_failure(packet, secrets, attribution_data=block)
        heard = min(supported, erring + 1)
        end = None if erring < supported else supported
        assert failure == Failure(Status.OK, 6, erring, MESSAGE, times(heard), end)
        broken = decode_failure(flipped(packet, 40), secrets, attribution_data=block)
        assert broken == Failure(Status.UNDECODABLE, 6, None, b"", (), 0)
    block = sent_by(secrets, None, without=range(supported, 6))[0].block
    assert block is not None
    end = None if supported == 6 else supported
    assert decode_fulfilled(block, secrets) == HoldTimes(times(supported), end)


def test_a_stranger_in_the_middle_ends_what_is_known() -> None:
    secrets = secrets_of(5)
    packet, block = sent_by(secrets, 4, MESSAGE, without={2})[0]
    failure = decode_failure(packet, secrets, attribution_data=block)
    assert failure == Failure(Status.OK, 5, 4, MESSAGE, times(2), 2)
    assert failure.unverified == link(2)
    packet, none = sent_by(secrets, 4, MESSAGE, without={0})[0]
    assert none is None
    assert decode_failure(packet, secrets).hold_times is None


@pytest.mark.parametrize("length", [19, 20, 21, 22, 27, 40])
def test_around_the_20th_hop(length: int) -> None:
    secrets = secrets_of(length)
    for erring in {0, 18, min(19, length - 1), min(20, length - 1), length - 1}:
        packet, block = sent_by(secrets, erring, MESSAGE)[0]
        failure = decode_failure(packet, secrets, attribution_data=block)
        assert failure == Failure(Status.OK, length, erring, MESSAGE, times(min(erring + 1, 20)))
    block = sent_by(secrets, None)[0].block
    assert block is not None
    assert decode_fulfilled(block, secrets) == HoldTimes(times(min(length, 20)))


def test_the_last_node_may_vouch_for_nonsense() -> None:
    """Every HMAC matches and nobody authenticated the packet: its maker is the last node, who attributes what it sends."""
    secrets = secrets_of(3)
    noise = bytes(range(256)) + bytes(36)
    sent = wrap_failures([secrets[2]], [noise], hold_times=FIRST + 2)
    packets, blocks = arrived(secrets, 2, [sent[0][0]], [sent[0][1] or b""])
    failure = decode_failures(packets, [secrets], attribution_data=blocks)[0]
    assert failure == Failure(Status.UNDECODABLE, 3, None, b"", times(3))
    assert failure.blame == Blame((2,))
