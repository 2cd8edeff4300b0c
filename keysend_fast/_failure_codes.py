"""What a failure message says: BOLT 4, Failure Messages; with codes that are no longer or not yet in it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, IntFlag
from types import MappingProxyType
from typing import Final, NamedTuple

from keysend_fast import _kernels
from keysend_fast._types import Buffer
from keysend_fast.errors import InputError

_ffi = _kernels.ffi
_api = _kernels.lib.ksf_get_api()


class FailureFlag(IntFlag):
    """The top bits of a failure code."""

    BADONION = 0x8000
    PERM = 0x4000
    NODE = 0x2000
    UPDATE = 0x1000


_B, _P, _N, _U = (int(flag) for flag in (FailureFlag.BADONION, FailureFlag.PERM, FailureFlag.NODE, FailureFlag.UPDATE))


class FailureCode(IntEnum):
    """A failure code with its flags, by the BOLT's name."""

    TEMPORARY_NODE_FAILURE = _N | 2
    PERMANENT_NODE_FAILURE = _P | _N | 2
    REQUIRED_NODE_FEATURE_MISSING = _P | _N | 3
    INVALID_ONION_VERSION = _B | _P | 4
    INVALID_ONION_HMAC = _B | _P | 5
    INVALID_ONION_KEY = _B | _P | 6
    TEMPORARY_CHANNEL_FAILURE = _U | 7
    PERMANENT_CHANNEL_FAILURE = _P | 8
    REQUIRED_CHANNEL_FEATURE_MISSING = _P | 9
    UNKNOWN_NEXT_PEER = _P | 10
    AMOUNT_BELOW_MINIMUM = _U | 11
    FEE_INSUFFICIENT = _U | 12
    INCORRECT_CLTV_EXPIRY = _U | 13
    EXPIRY_TOO_SOON = _U | 14
    INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS = _P | 15
    FINAL_INCORRECT_CLTV_EXPIRY = 18
    FINAL_INCORRECT_HTLC_AMOUNT = 19
    CHANNEL_DISABLED = _U | 20
    EXPIRY_TOO_FAR = 21
    INVALID_ONION_PAYLOAD = _P | 22
    MPP_TIMEOUT = 23
    INVALID_ONION_BLINDING = _B | _P | 24
    # No longer sent, still met.
    INVALID_REALM = _P | 1
    INCORRECT_PAYMENT_AMOUNT = _P | 16
    FINAL_EXPIRY_TOO_SOON = 17
    # Trampoline nodes: Eclair and Electrum (51, 52), LDK (25 to 27).
    TRAMPOLINE_FEE_INSUFFICIENT = _N | 51
    TRAMPOLINE_EXPIRY_TOO_SOON = _N | 52
    TEMPORARY_TRAMPOLINE_FAILURE = _N | 25
    TRAMPOLINE_FEE_OR_EXPIRY_INSUFFICIENT = _N | 26
    UNKNOWN_NEXT_TRAMPOLINE = _P | 27


Field = int | bytes
_SIZES: Final = {"u16": 2, "u32": 4, "u64": 8, "sha256": 32}
_SHA256_OF_ONION: Final = (("sha256_of_onion", "sha256"),)
_UPDATE: Final = ("channel_update", "update")

# The data of each code in order. "update" is a channel_update behind its u16 length; "bigsize" BOLT 1's.
_LAYOUTS: Final[Mapping[FailureCode, tuple[tuple[str, str], ...]]] = {
    FailureCode.INVALID_ONION_VERSION: _SHA256_OF_ONION,
    FailureCode.INVALID_ONION_HMAC: _SHA256_OF_ONION,
    FailureCode.INVALID_ONION_KEY: _SHA256_OF_ONION,
    FailureCode.INVALID_ONION_BLINDING: _SHA256_OF_ONION,
    FailureCode.TEMPORARY_CHANNEL_FAILURE: (_UPDATE,),
    FailureCode.AMOUNT_BELOW_MINIMUM: (("htlc_msat", "u64"), _UPDATE),
    FailureCode.FEE_INSUFFICIENT: (("htlc_msat", "u64"), _UPDATE),
    FailureCode.INCORRECT_CLTV_EXPIRY: (("cltv_expiry", "u32"), _UPDATE),
    FailureCode.EXPIRY_TOO_SOON: (_UPDATE,),
    FailureCode.CHANNEL_DISABLED: (("disabled_flags", "u16"), _UPDATE),
    FailureCode.INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS: (("htlc_msat", "u64"), ("height", "u32")),
    FailureCode.FINAL_INCORRECT_CLTV_EXPIRY: (("cltv_expiry", "u32"),),
    FailureCode.FINAL_INCORRECT_HTLC_AMOUNT: (("incoming_htlc_amt", "u64"),),
    FailureCode.INVALID_ONION_PAYLOAD: (("type", "bigsize"), ("offset", "u16")),
    FailureCode.TRAMPOLINE_FEE_OR_EXPIRY_INSUFFICIENT: (
        ("fee_base_msat", "u32"),
        ("fee_proportional_millionths", "u32"),
        ("cltv_expiry_delta", "u16"),
    ),
}


class FailureMessage(NamedTuple):
    """A failure message taken apart.

    code: FailureCode, or the plain number of an unknown one. data: its fields by the BOLT's names, integers in the BOLT's
    units. missing: the first field that the message is too short for, None where all are there. rest: bytes behind the
    known fields (a TLV stream, if anything); a receiver ignores them.
    """

    code: FailureCode | int
    data: Mapping[str, Field]
    missing: str | None
    rest: bytes


def _code(number: int) -> FailureCode | int:
    try:
        return FailureCode(number)
    except ValueError:
        return number


def _read(kind: str, data: bytes) -> tuple[Field, bytes] | None:
    """The field and what follows it, or None where the data is too short or its BigSize not minimal."""
    if kind == "bigsize":
        value, reason = _ffi.new("uint64_t *"), _ffi.new("int *")
        size = _api.bigsize_read(_ffi.from_buffer(data), len(data), value, reason)
        return (int(value[0]), data[size:]) if size else None
    begin = 2 if kind == "update" else 0
    end = begin + (int.from_bytes(data[:2], "big") if begin else _SIZES[kind])
    if len(data) < max(begin, end):
        return None
    value = data[begin:end]
    return (value if kind in ("update", "sha256") else int.from_bytes(value, "big")), data[end:]


def parse_message(message: bytes) -> FailureMessage:
    """Take a failure message apart (BOLT 4, Failure Messages). Raises InputError where it has not even a code."""
    if len(message) < 2:
        raise InputError("a failure message begins with a code of two bytes")
    code, rest = _code(int.from_bytes(message[:2], "big")), message[2:]
    data: dict[str, Field] = {}
    for name, kind in _LAYOUTS.get(code, ()) if isinstance(code, FailureCode) else ():
        read = _read(kind, rest)
        if read is None:
            return FailureMessage(code, MappingProxyType(data), name, rest)
        data[name], rest = read
    return FailureMessage(code, MappingProxyType(data), None, rest)


def _written(code: FailureCode, name: str, kind: str, value: int | Buffer) -> bytes:
    if isinstance(value, int):
        if kind == "bigsize":
            out = _ffi.new("uint8_t[9]")
            return bytes(_ffi.buffer(out, _api.bigsize_write(out, value)))
        if kind in ("u16", "u32", "u64"):
            return value.to_bytes(_SIZES[kind], "big")
    elif kind == "sha256" and len(bytes(value)) == _SIZES[kind]:
        return bytes(value)
    elif kind == "update":
        return len(bytes(value)).to_bytes(2, "big") + bytes(value)
    raise InputError(f"{code.name.lower()}: {name} is {kind}, not {value!r}")


def failure_message(code: FailureCode, **data: int | Buffer) -> bytes:
    """The failure message of a code and its data (BOLT 4, Failure Messages), for a node to send.

    data: every field of the code by the BOLT's name; ``channel_update`` defaults to an empty one, and
    ``invalid_onion_payload`` may have neither. Raises InputError for other fields or values that do not fit.
    """
    code = FailureCode(code)
    layout = _LAYOUTS.get(code, ())
    if code is FailureCode.INVALID_ONION_PAYLOAD and not data:
        layout = ()
    fields: dict[str, int | Buffer] = {"channel_update": b"", **data} if _UPDATE in layout else dict(data)
    if set(fields) != {name for name, _ in layout}:
        raise InputError(f"{code.name.lower()} has the data {[name for name, _ in layout]}, not {sorted(data)}")
    try:
        return code.to_bytes(2, "big") + b"".join(_written(code, name, kind, fields[name]) for name, kind in layout)
    except OverflowError as e:
        raise InputError(f"{code.name.lower()}: {e}") from None
