"""Custom records as a TLV stream: the reference's encoding, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keysend_fast import _kernels
from keysend_fast.errors import TlvError
from keysend_fast.keysend import encode_records
from tests.reference import bigsize, tlv

KEYSEND_TYPE = 5482373484
types = st.one_of(
    st.integers(65536, 2**64 - 1), st.sampled_from([65536, 65537, KEYSEND_TYPE - 1, KEYSEND_TYPE + 1, 2**64 - 1])
)
records = st.dictionaries(types.filter(lambda t: t != KEYSEND_TYPE), st.binary(max_size=300), max_size=6)
ffi, api = _kernels.ffi, _kernels.lib.ksf_get_api()


@given(records)
def test_a_mapping_is_sorted(given_records: dict[int, bytes]) -> None:
    expected = tlv.encode(given_records)
    assert encode_records(given_records) == expected
    assert encode_records(dict(reversed(given_records.items()))) == expected
    assert encode_records(sorted(given_records.items())) == expected
    assert (
        encode_records(expected)
        == encode_records(bytearray(expected))
        == encode_records(memoryview(expected))
        == expected
    )


@given(records.filter(lambda r: len(r) > 1), st.data())
def test_unsorted_pairs_are_refused(given_records: dict[int, bytes], data: st.DataObject) -> None:
    """The first pair out of order is named, by its type and where its record begins."""
    pairs = data.draw(st.permutations(sorted(given_records.items())))
    wrong = next((i for i in range(1, len(pairs)) if pairs[i][0] < pairs[i - 1][0]), None)
    if wrong is None:
        assert encode_records(pairs) == tlv.encode(given_records)
        return
    with pytest.raises(TlvError) as error:
        encode_records(pairs)
    assert error.value.type == pairs[wrong][0]
    assert error.value.offset == sum(len(tlv.encode(dict([pair]))) for pair in pairs[:wrong])


@pytest.mark.parametrize("type_", [0, 1, 2, 252, 253, 65535, KEYSEND_TYPE])
def test_types_that_are_not_for_custom_records(type_: int) -> None:
    for form in ({type_: b"x"}, [(type_, b"x")], tlv.encode({type_: b"x"})):
        with pytest.raises(TlvError) as error:
            encode_records(form)
        assert (error.value.type, error.value.offset) == (type_, 0)
    behind = tlv.encode({70000: b"ab", type_: b"x"}) if type_ > 70000 else None
    if behind:
        with pytest.raises(TlvError) as error:
            encode_records(behind)
        assert (error.value.type, error.value.offset) == (type_, 8)


def record(type_: int, value: bytes) -> bytes:
    return bigsize.encode(type_) + bigsize.encode(len(value)) + value


@pytest.mark.parametrize(
    ("stream", "type_", "offset"),
    [
        (record(65536, b"a") * 2, 65536, 7),
        (record(65538, b"") + record(65536, b""), 65536, 6),
        (record(65536, b"abc")[:-1], 65536, 0),
        (record(65536, b"")[:-1], 65536, 0),
        (record(65536, b"") + b"\xfd", None, 6),
        (record(65536, b"") + b"\xfd\0\1\0", None, 6),
        (b"\xfe\0\1\0\0\xfd\0\1x", 65536, 0),
        (b"\xfe\0\0\xff\xff\0", None, 0),
        (record(2**64 - 1, b"") + record(65536, b""), 65536, 10),
        (record(2**64 - 1, b"") * 2, 2**64 - 1, 10),
        (bigsize.encode(65536) + b"\xff" + b"\xff" * 8, 65536, 0),
        (b"\0", 0, 0),
    ],
)
def test_streams_that_break_the_format(stream: bytes, type_: int | None, offset: int) -> None:
    with pytest.raises(TlvError) as error:
        encode_records(stream)
    assert (error.value.type, error.value.offset) == (type_, offset)


@given(st.binary(max_size=30))
def test_noise_is_refused_as_the_reference_refuses_it(stream: bytes) -> None:
    try:
        expected = tlv.read_records(stream)
        fine = all(r.type >= 65536 and r.type != KEYSEND_TYPE for r in expected)
    except tlv.TlvError:
        fine = False
    status = ffi.new("ksf_status *")
    assert (api.records_check(stream, len(stream), status) == 0) == fine
    if fine:
        assert encode_records(stream) == stream
    else:
        with pytest.raises(TlvError):
            encode_records(stream)


@pytest.mark.parametrize(
    "bad",
    [{-1: b""}, {2**64: b""}, {65536.0: b""}, {True: b""}, {"65536": b""}, {65536: "text"}, {65536: None}, {65536: 5}],
)
def test_records_of_the_wrong_kind_raise(bad: Any) -> None:
    with pytest.raises(TlvError):
        encode_records(bad)


@pytest.mark.parametrize("bad", [5, "text", [5], [(1, 2, 3)], [b""]])
def test_what_is_no_records_raises(bad: Any) -> None:
    with pytest.raises((TypeError, ValueError, TlvError)):
        encode_records(bad)


def test_errors_do_not_show_values() -> None:
    with pytest.raises(TlvError) as error:
        encode_records([(65538, b"a secret message"), (65536, b"a secret message")])
    assert "secret" not in str(error.value)


def test_empty_records() -> None:
    for empty in ({}, [], b"", ()):
        assert encode_records(empty) == b""
