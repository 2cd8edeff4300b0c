"""The reference's BigSize and TLV streams against the vectors of BOLT 1 and themselves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference import bigsize, secp256k1, tlv
from tests.support import load_vector

BIGSIZE = load_vector("bolt01-bigsize-test")
TLV = load_vector("bolt01-tlv-test")

u64 = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize("case", BIGSIZE["decode"], ids=lambda case: case["name"])
def test_bigsize_decode_vector(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["bytes"])
    if "exp_error" not in case:
        assert bigsize.read(data) == (case["value"], len(data))
        return
    with pytest.raises(bigsize.BigSizeError) as caught:
        bigsize.read(b"\x07" + data, 1)
    assert caught.value.reason == ("not minimal" if "canonical" in case["exp_error"] else "truncated")
    assert caught.value.offset == 1


@pytest.mark.parametrize("case", BIGSIZE["encode"], ids=lambda case: case["name"])
def test_bigsize_encode_vector(case: dict[str, Any]) -> None:
    assert bigsize.encode(case["value"]).hex() == case["bytes"]


@given(u64, st.binary(max_size=3), st.binary(max_size=3))
def test_bigsize_round_trip(value: int, before: bytes, after: bytes) -> None:
    encoded = bigsize.encode(value)
    assert bigsize.read(before + encoded + after, len(before)) == (value, len(before + encoded))


@given(st.binary(max_size=9))
def test_bigsize_reads_only_what_it_would_write(data: bytes) -> None:
    try:
        value, end = bigsize.read(data)
    except bigsize.BigSizeError:
        return
    assert bigsize.encode(value) == data[:end]


@pytest.mark.parametrize("value", [-1, 2**64])
def test_bigsize_range(value: int) -> None:
    with pytest.raises(ValueError, match="BigSize"):
        bigsize.encode(value)


def n1_tlv3(value: bytes) -> tuple[tuple[int, int], int, int]:
    tlv.decode_fixed(value, 49)
    return secp256k1.parse(value[:33]), tlv.decode_u64(value[33:41]), tlv.decode_u64(value[41:])


NAMESPACES: dict[str, dict[int, tlv.Decoder]] = {
    "n1": {1: tlv.decode_tu64, 2: tlv.decode_u64, 3: n1_tlv3, 254: tlv.decode_u16},
    "n2": {0: tlv.decode_tu64, 11: tlv.decode_tu32},
}
# What the notes of the vectors call each error.
REASONS = {
    "type truncated": "type truncated",
    "not minimally encoded type": "type not minimal",
    "missing length": "length truncated",
    "(length truncated)": "length truncated",
    "missing value": "value truncated",
    "not minimally encoded length": "length not minimal",
    "value truncated": "value truncated",
    "unknown even": "unknown even type",
    "invalid ordering": "types not increasing",
    "duplicate": "types not increasing",
    "encoding": "bad value",
    "valid point": "bad value",
}


def namespaces(case: dict[str, Any]) -> list[dict[int, tlv.Decoder]]:
    return list(NAMESPACES.values()) if case["namespace"] == "any" else [NAMESPACES[case["namespace"]]]


@pytest.mark.parametrize("case", TLV["failures"], ids=lambda case: case["stream"][:24])
def test_tlv_failure_vector(case: dict[str, Any]) -> None:
    expected = next(reason for words, reason in REASONS.items() if words in case["note"])
    for namespace in namespaces(case):
        with pytest.raises(tlv.TlvError) as caught:
            tlv.decode(bytes.fromhex(case["stream"]), namespace)
        assert caught.value.reason == expected


@pytest.mark.parametrize("case", TLV["successes"], ids=lambda case: case["stream"][:24] or "empty")
def test_tlv_success_vector(case: dict[str, Any]) -> None:
    stream = bytes.fromhex(case["stream"])
    for namespace in namespaces(case):
        values = tlv.decode(stream, namespace)
        if case["note"] == "empty message" or "Unknown odd" in case["note"]:
            assert values == {}
        elif "node_id" in case["note"]:
            node_id = secp256k1.parse(bytes.fromhex(case["note"].split("`node_id`=")[1].split()[0]))
            assert values == {3: (node_id, 1, 2)}
        else:
            (value,) = values.values()
            assert value == int(case["note"].replace("0x0x", "").split("=")[1])
    records = {record.type: record.value for record in tlv.read_records(stream)}
    assert tlv.encode(records) == stream


@given(st.dictionaries(u64, st.binary(max_size=300), max_size=6))
def test_tlv_round_trip(records: dict[int, bytes]) -> None:
    stream = tlv.encode(records)
    read = tlv.read_records(stream)
    assert {record.type: record.value for record in read} == records
    assert [record.type for record in read] == sorted(records)
    for record in read:
        assert stream[record.offset :].startswith(bigsize.encode(record.type))
    assert tlv.decode(stream, dict.fromkeys(records, bytes)) == records


@given(st.binary(max_size=40))
def test_tlv_reads_only_what_it_would_write(stream: bytes) -> None:
    try:
        records = tlv.read_records(stream)
    except tlv.TlvError as error:
        fault = error.offset
        assert 0 <= fault < len(stream)
        # What stands before the record at fault is a valid stream.
        records, stream = tlv.read_records(stream[:fault]), stream[:fault]
    assert tlv.encode({record.type: record.value for record in records}) == stream


@given(st.dictionaries(u64, st.binary(max_size=9), min_size=1, max_size=3))
def test_tlv_refuses_a_stream_cut_inside_a_record(records: dict[int, bytes]) -> None:
    stream = tlv.encode(records)
    starts = [record.offset for record in tlv.read_records(stream)]
    for length in range(len(stream)):
        if length in starts:
            tlv.read_records(stream[:length])
            continue
        with pytest.raises(tlv.TlvError, match="truncated") as caught:
            tlv.read_records(stream[:length])
        assert caught.value.offset == max(start for start in starts if start < length)


def test_tlv_reports_the_first_fault_of_the_stream() -> None:
    stream = tlv.encode({1: b"\0\1", 3: b""}) + b"\x05\x09"
    with pytest.raises(tlv.TlvError) as caught:
        tlv.decode(stream, {1: tlv.decode_tu64})
    assert (caught.value.reason, caught.value.type, caught.value.offset) == ("bad value", 1, 0)
    with pytest.raises(tlv.TlvError) as caught:
        tlv.decode(stream, {1: bytes})
    assert (caught.value.reason, caught.value.type, caught.value.offset) == ("value truncated", 5, 6)


def test_tlv_keep_custom() -> None:
    stream = tlv.encode({65535: b"", 65536: b"x", 2**64 - 2: b"y"})
    assert tlv.decode(stream, {}, keep_custom=True) == {65536: b"x", 2**64 - 2: b"y"}
    with pytest.raises(tlv.TlvError, match="type 65536"):
        tlv.decode(stream, {})


@given(st.sampled_from([2, 4, 8]), st.data())
def test_tu_round_trip(width: int, data: st.DataObject) -> None:
    value = data.draw(st.integers(0, 256**width - 1))
    encoded = tlv.encode_tu(value, width)
    assert len(encoded) == (value.bit_length() + 7) // 8
    assert tlv.decode_tu(encoded, width) == value
    with pytest.raises(ValueError, match=r"leading zero|longer"):
        tlv.decode_tu(b"\0" + encoded, width)
    with pytest.raises(ValueError, match="holds"):
        tlv.encode_tu(256**width, width)
