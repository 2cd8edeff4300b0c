"""The reference's attribution data against the trace in BOLT 4, and tampering with it byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import attribution, failure
from tests.support import load_vector

TRACE = load_vector("bolt04-attribution-test")
SECRETS = [bytes.fromhex(hop["shared_secret"]) for hop in TRACE["hops"]]
# The published trace lists hold times 1 to 5 for nodes 0 to 4, but its blocks have them the other way round.
HOLD_TIMES: list[int] = [hop["htlc_hold_time"] for hop in reversed(TRACE["hops"])]
MESSAGE = b"\x20\x02"


def route(length: int) -> list[bytes]:
    return [bytes([7, hop]) * 16 for hop in range(length)]


class Return:
    """A failure of `erring_hop`, or a fulfilled HTLC if it is None, going back node by node."""

    def __init__(self, shared_secrets: list[bytes], erring_hop: int | None, without: frozenset[int] = frozenset()):
        last = len(shared_secrets) - 1 if erring_hop is None else erring_hop
        packet = b"" if erring_hop is None else failure.create(shared_secrets[last], MESSAGE)
        block: bytes | None = None
        # What each node sends upstream, by node.
        self.sent: dict[int, tuple[bytes, bytes | None]] = {}
        for hop in range(last, -1, -1):
            self.sent[hop] = packet, block = self.step(shared_secrets, hop, packet, block, without)
        self.shared_secrets = shared_secrets

    @staticmethod
    def step(
        shared_secrets: list[bytes], hop: int, packet: bytes, block: bytes | None, without: frozenset[int]
    ) -> tuple[bytes, bytes | None]:
        """Return what node `hop` makes of what it got; a node in `without` knows no attribution data."""
        sent = None if hop in without else attribution.wrap(shared_secrets[hop], block, packet, 100 + hop)
        return failure.wrap(shared_secrets[hop], packet), sent

    def tampered(self, sender: int, packet: bytes, block: bytes) -> tuple[bytes, bytes]:
        """Return what reaches the origin if these left node `sender` instead."""
        sent: tuple[bytes, bytes | None] = packet, block
        for hop in range(sender - 1, -1, -1):
            sent = self.step(self.shared_secrets, hop, *sent, frozenset())
        assert sent[1] is not None
        return sent[0], sent[1]

    @property
    def arrived(self) -> tuple[bytes, bytes]:
        packet, block = self.sent[0]
        assert block is not None
        return packet, block


def flip(data: bytes, at: int, mask: int = 1) -> bytes:
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


def test_layout() -> None:
    assert attribution.SIZE == 920
    assert len(attribution.ORDER) == 210
    assert attribution.ORDER[:2] == [(0, 19), (0, 18)]
    assert attribution.ORDER[20] == (1, 18)
    assert attribution.ORDER[-1] == (19, 0)
    data = bytes(range(230)) * 4
    assert attribution.serialize(attribution.parse(data)) == data
    with pytest.raises(ValueError, match="920"):
        attribution.parse(data[1:])


def test_failure_trace_vector() -> None:
    expected = TRACE["failure"]
    packet = bytes.fromhex(expected["raw_error_packet"])
    block: bytes | None = None
    for hop in (4, 3, 2, 1, 0):
        block = attribution.wrap(SECRETS[hop], block, packet, HOLD_TIMES[hop])
        packet = failure.wrap(SECRETS[hop], packet)
        assert block.hex() == expected["attribution_data"][hop]
        assert packet.hex() == expected["error_packets"][hop]
    assert block is not None
    decoded, report = attribution.read_failure(packet, block, SECRETS)
    assert decoded == failure.Decoded(4, bytes.fromhex(expected["failure_message"]))
    assert report == attribution.Report(HOLD_TIMES, None)
    assert report.suspects == ()


def test_fulfilled_trace_vector() -> None:
    block: bytes | None = None
    for hop in (4, 3, 2, 1, 0):
        block = attribution.wrap(SECRETS[hop], block, b"", HOLD_TIMES[hop])
        assert block.hex() == TRACE["success"]["attribution_data"][hop]
    assert block is not None
    assert attribution.read_fulfilled(block, SECRETS) == attribution.Report(HOLD_TIMES, None)


@pytest.mark.parametrize("length", [1, 2, 5, 19, 20, 21, 27])
def test_every_erring_hop_is_found(length: int) -> None:
    shared_secrets = route(length)
    for erring_hop in {0, length // 2, length - 1}:
        decoded, report = attribution.read_failure(*Return(shared_secrets, erring_hop).arrived, shared_secrets)
        assert decoded == failure.Decoded(erring_hop, MESSAGE)
        # Nothing behind the 20th hop reaches the origin.
        assert report == attribution.Report([100 + hop for hop in range(min(erring_hop + 1, 20))], None)
    _, block = Return(shared_secrets, None).arrived
    report = attribution.read_fulfilled(block, shared_secrets)
    assert report == attribution.Report([100 + hop for hop in range(min(length, 20))], None)


@pytest.mark.parametrize("stranger", [0, 1, 3])
def test_a_node_without_support_ends_what_is_known(stranger: int) -> None:
    shared_secrets = route(5)
    returned = Return(shared_secrets, 4, frozenset({stranger}))
    packet, block = returned.sent[0]
    if stranger == 0:
        assert block is None
        return
    assert block is not None
    decoded, report = attribution.read_failure(packet, block, shared_secrets)
    assert decoded == failure.Decoded(4, MESSAGE)
    assert report == attribution.Report([100 + hop for hop in range(stranger)], stranger)


@pytest.mark.parametrize(("length", "erring_hop", "sender"), [(3, 2, 0), (3, 0, 0), (4, 2, 1), (3, None, 2)])
def test_each_byte_is_read_or_not(length: int, erring_hop: int | None, sender: int) -> None:
    """Change every byte of the block in turn: the origin must notice exactly those in `bytes_read`."""
    shared_secrets = route(length)
    returned = Return(shared_secrets, erring_hop)
    packet, block = returned.sent[sender]
    assert block is not None
    last = length - 1 if erring_hop is None else erring_hop
    read = attribution.bytes_read(length, sender)
    assert len(read) == 8 * (length - sender)
    for at in range(attribution.SIZE):
        arrived = returned.tampered(sender, packet, flip(block, at))
        if erring_hop is None:
            report = attribution.read_fulfilled(arrived[1], shared_secrets)
        else:
            _, report = attribution.read_failure(*arrived, shared_secrets)
        if at in read:
            assert report == attribution.Report([100 + hop for hop in range(sender)], sender)
        else:
            assert report == attribution.Report([100 + hop for hop in range(last + 1)], None)


@given(st.integers(1, 27), st.data())
@settings(deadline=None, max_examples=60)
def test_tampering_on_long_routes(length: int, data: st.DataObject) -> None:
    erring_hop = data.draw(st.integers(0, length - 1))
    sender = data.draw(st.integers(0, min(erring_hop, 19)))
    shared_secrets = route(length)
    returned = Return(shared_secrets, erring_hop)
    packet, block = returned.sent[sender]
    assert block is not None
    read = attribution.bytes_read(length, sender)
    at = data.draw(st.one_of(st.sampled_from(sorted(read)), st.integers(0, attribution.SIZE - 1)))
    mask = data.draw(st.integers(1, 255))
    decoded, report = attribution.read_failure(
        *returned.tampered(sender, packet, flip(block, at, mask)), shared_secrets
    )
    assert decoded == failure.Decoded(erring_hop, MESSAGE)
    assert report.first_unverified == (sender if at in read else None)
    # A change to the packet itself is blamed on the same link, and nobody can be named as the failure's source.
    at = data.draw(st.integers(0, len(packet) - 1))
    decoded, report = attribution.read_failure(
        *returned.tampered(sender, flip(packet, at, mask), block), shared_secrets
    )
    assert decoded is None
    assert report.first_unverified == sender
    assert report.suspects == ((0,) if sender == 0 else (sender - 1, sender))
