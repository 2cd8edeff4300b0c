"""Failure messages, taken apart and made, against the reference and literal bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keysend_fast.errors import InputError
from keysend_fast.failure import FailureCode, FailureFlag, failure_message, parse_message
from tests.reference import failure as reference

VALUES: dict[str, int | bytes] = {
    "u16": 0x0102,
    "u32": 0x01020304,
    "u64": 0x0102030405060708,
    "bigsize": 5482373484,
    "sha256": bytes(range(32)),
    "update": b"\x01\x02" + bytes(20),
}


def some_data(code: int) -> dict[str, int | bytes]:
    return {field: VALUES[kind] for field, kind in reference.CODES[code][1]}


def same(message: bytes) -> None:
    ours, theirs = parse_message(message), reference.parse_message(message)
    assert ours == (theirs.code, theirs.fields, theirs.missing, theirs.rest)


def test_codes_are_the_references() -> None:
    assert {code.value: code.name.lower() for code in FailureCode} == {
        code: name for code, (name, _) in reference.CODES.items()
    }
    assert FailureFlag(FailureCode.INVALID_ONION_HMAC & 0xF000) == FailureFlag.BADONION | FailureFlag.PERM


@pytest.mark.parametrize("code", FailureCode, ids=lambda code: code.name.lower())
def test_every_code_whole_and_cut_short(code: FailureCode) -> None:
    data = some_data(code)
    message = failure_message(code, **data)
    assert message == reference.build_message(code, data)
    parsed = parse_message(message + b"rest")
    assert (parsed.code, parsed.data, parsed.missing, parsed.rest) == (code, data, None, b"rest")
    assert isinstance(parsed.code, FailureCode)
    for length in range(2, len(message)):
        same(message[:length])
    same(message + b"rest")


@given(st.sampled_from([*FailureCode, 0x1234, 0xFFFF]), st.binary(max_size=60))
def test_any_bytes_are_read_like_the_reference(code: int, data: bytes) -> None:
    same(code.to_bytes(2, "big") + data)


def test_literals() -> None:
    assert parse_message(bytes.fromhex("400f0000000000000064000c3500")).data == {"htlc_msat": 100, "height": 800_000}
    assert parse_message(bytes.fromhex("4016ff0000000146c6616c000a")).data == {"type": 5482373484, "offset": 10}
    # 5482373484 would fit no shorter form, but 5 does: not minimal, so the field is not there
    assert parse_message(bytes.fromhex("4016fd0005000a")).missing == "type"
    assert parse_message(b"\x40\x16").missing == "type"
    assert failure_message(FailureCode.INVALID_ONION_PAYLOAD) == b"\x40\x16"
    assert failure_message(FailureCode.TEMPORARY_CHANNEL_FAILURE) == bytes.fromhex("10070000")
    assert failure_message(FailureCode.FEE_INSUFFICIENT, htlc_msat=1) == bytes.fromhex("100c00000000000000010000")
    unknown = parse_message(b"\x12\x34more")
    assert (unknown.code, unknown.data, unknown.rest) == (0x1234, {}, b"more")


def test_misuse_is_named() -> None:
    with pytest.raises(InputError, match="code of two bytes"):
        parse_message(b"\x20")
    with pytest.raises(InputError, match="fee_insufficient has the data"):
        failure_message(FailureCode.FEE_INSUFFICIENT)
    with pytest.raises(InputError, match="too big"):
        failure_message(FailureCode.FINAL_INCORRECT_CLTV_EXPIRY, cltv_expiry=1 << 32)
    with pytest.raises(InputError, match="negative"):
        failure_message(FailureCode.FINAL_INCORRECT_CLTV_EXPIRY, cltv_expiry=-1)
    with pytest.raises(InputError, match="sha256_of_onion is sha256"):
        failure_message(FailureCode.INVALID_ONION_HMAC, sha256_of_onion=b"short")
    with pytest.raises(InputError, match="type is bigsize"):
        failure_message(FailureCode.INVALID_ONION_PAYLOAD, type=b"5", offset=1)
    with pytest.raises(InputError, match="invalid_onion_payload"):
        failure_message(FailureCode.INVALID_ONION_PAYLOAD, type=1 << 64, offset=1)
    with pytest.raises(TypeError):
        parse_message(b"\x10\x07").data["channel_update"] = b""  # type: ignore[index]
