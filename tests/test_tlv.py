"""keysend_fast.tlv: parsing and encoding of TLV streams against the reference, and what their errors say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keysend_fast import tlv
from keysend_fast.errors import InputError
from tests.reference import tlv as reference
from tests.support import load_vector

TLV = load_vector("bolt01-tlv-test")
STREAMS = [bytes.fromhex(case["stream"]) for case in TLV["failures"] + TLV["successes"]]

types = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 300), st.integers(65530, 65540))
records = st.lists(st.tuples(types, st.binary(max_size=300)), max_size=40)


def fault(error: tlv.TlvError | reference.TlvError) -> tuple[int | None, int | None]:
    return error.type, error.offset


def check_parse(stream: bytes) -> None:
    """The same records as the reference's, or the same fault for the same reason."""
    try:
        expected = [(record.type, record.value) for record in reference.read_records(stream)]
    except reference.TlvError as error:
        with pytest.raises(tlv.TlvError) as caught:
            tlv.parse(stream)
        assert fault(caught.value) == fault(error)
        assert str(caught.value).startswith(error.reason)
    else:
        assert tlv.parse(stream) == expected
        assert tlv.encode(expected) == stream


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.hex()[:24] or "empty")
def test_vectors(stream: bytes) -> None:
    check_parse(stream)


@given(st.binary(max_size=60))
def test_noise(stream: bytes) -> None:
    check_parse(stream)


@given(records, st.booleans(), st.data())
def test_streams_whole_and_cut(pairs: list[tuple[int, bytes]], in_order: bool, data: st.DataObject) -> None:
    if in_order:
        pairs = sorted(dict(pairs).items())
    stream = b"".join(reference.encode_record(type_, value) for type_, value in pairs)
    check_parse(stream)
    check_parse(stream[: data.draw(st.integers(0, len(stream)))])


@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 1000])
def test_counts(n: int) -> None:
    """Around the count that the parser has room for without asking for memory."""
    pairs = [(3 * i, bytes([i % 256]) * (i % 5)) for i in range(n)]
    stream = tlv.encode(pairs)
    assert stream == reference.encode(dict(pairs))
    assert tlv.parse(stream) == pairs
    with pytest.raises(tlv.TlvError) as caught:
        tlv.parse(stream + b"\xfd")
    assert fault(caught.value) == (None, len(stream))
    assert tlv.parse(stream, known=range(0, 3 * n, 3)) == pairs


def check_known(stream: bytes, known: set[int]) -> None:
    """As the reference decides: the first record at fault in the stream is the one reported, whatever its fault."""
    try:
        reference.decode(stream, dict.fromkeys(known, bytes))
    except reference.TlvError as error:
        with pytest.raises(tlv.TlvError) as caught:
            tlv.parse(stream, known=known)
        assert fault(caught.value) == fault(error)
        message = "is not understood" if error.reason == "unknown even type" else error.reason
        assert message in str(caught.value)
    else:
        assert tlv.parse(stream, known=known) == [(r.type, r.value) for r in reference.read_records(stream)]


@given(records, st.sets(types), st.binary(max_size=3))
def test_known_types(pairs: list[tuple[int, bytes]], known: set[int], tail: bytes) -> None:
    check_known(reference.encode(dict(pairs)) + tail, known | {type_ for type_, _ in pairs[::2]})


@pytest.mark.parametrize("known", [{1, 2, 3, 254}, {0, 11}], ids=["n1", "n2"])
@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.hex()[:24] or "empty")
def test_vectors_in_their_namespaces(stream: bytes, known: set[int]) -> None:
    check_known(stream, known)


def test_inputs_that_are_bytes_like() -> None:
    stream = tlv.encode({1: b"ab", 3: b""})
    for view in (bytearray(stream), memoryview(stream), memoryview(b"\x00" + stream)[1:]):
        assert tlv.parse(view) == [(1, b"ab"), (3, b"")]
    mixed: dict[int, bytearray | memoryview] = {1: bytearray(b"ab"), 3: memoryview(b"")}
    assert tlv.encode(mixed) == stream
    wide = memoryview(b"abcd").cast("I")
    assert tlv.encode({1: wide}) == b"\x01\x04abcd"
    with pytest.raises(TypeError, match="fromhex"):
        tlv.parse("0100")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        tlv.parse(7)  # type: ignore[arg-type]
    with pytest.raises(BufferError):
        tlv.parse(memoryview(b"\x01\x00\x00\x00")[::2])


@given(st.dictionaries(types, st.binary(max_size=300), max_size=8))
def test_a_mapping_is_sorted(mapping: dict[int, bytes]) -> None:
    assert tlv.encode(mapping) == reference.encode(mapping)
    assert tlv.encode(iter(sorted(mapping.items()))) == reference.encode(mapping)


@pytest.mark.parametrize(
    ("pairs", "type_", "offset", "message"),
    [
        ([(3, b""), (1, b"")], 1, 2, "not increasing"),
        ([(3, b"x"), (3, b"")], 3, 3, "not increasing"),
        ([(-1, b"")], None, None, "2\\^64"),
        ([(2**64, b"")], None, None, "2\\^64"),
        ([("7", b"")], None, None, "2\\^64"),
        ([(True, b"")], None, None, "2\\^64"),
        ({"7": b"", 3: b""}, None, None, "2\\^64"),
        ([(1, b""), (5, "text")], 5, 2, "str, not bytes"),
        ([(1, None)], 1, 0, "NoneType, not bytes"),
    ],
)
def test_what_cannot_be_encoded(pairs: Any, type_: int | None, offset: int | None, message: str) -> None:
    with pytest.raises(tlv.TlvError, match=message) as caught:
        tlv.encode(pairs)
    assert fault(caught.value) == (type_, offset)
    assert isinstance(caught.value, InputError | ValueError)


def test_the_largest_type_ends_a_stream() -> None:
    last = 2**64 - 1
    stream = tlv.encode({last: b"", 0: b"z"})
    assert tlv.parse(stream) == [(0, b"z"), (last, b"")]
    with pytest.raises(tlv.TlvError, match="not increasing") as caught:
        tlv.parse(stream + tlv.encode({last: b""}))
    assert fault(caught.value) == (last, len(stream))
