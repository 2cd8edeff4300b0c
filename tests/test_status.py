"""Status codes: the same in C and Python, each with an exception of its own, and the exceptions' facts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from keysend_fast import errors
from keysend_fast.status import Status, onion_error

HEADER = Path(__file__).resolve().parent.parent / "csrc/include/ksf.h"


def test_codes_are_the_cores() -> None:
    text = HEADER.read_text(encoding="utf-8")
    codes = {name: int(value) for name, value in re.findall(r"#define KSF_(?:ERR_)?(\w+) (\d+) *(?:/\*|\n)", text)}
    assert {name: codes[name] for name in Status.__members__} == {status.name: status.value for status in Status}
    in_c = re.findall(r"#define KSF_(OK|ERR_\w+|CANCELLED) ", text)
    assert len(in_c) == len(Status)


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.OK])
def test_every_code_becomes_an_exception(status: Status) -> None:
    error = onion_error(status, 3, 77, 65537, 5)
    assert isinstance(error, errors.OnionError)
    assert error.index == 5
    assert str(error).startswith("item 5: ")
    assert error.hop in (3, None)
    assert error.offset in (77, None)
    assert error.type in (65537, None)
    assert "{" not in str(error)
    alone = onion_error(status, 3, 77, 65537, None)
    assert (alone.index, str(alone)) == (None, str(error).removeprefix("item 5: "))


def test_facts_are_kept_where_they_mean_something() -> None:
    assert onion_error(Status.NODE_KEY, 3, 0, 0, None).hop == 3
    assert "hop 3" in str(onion_error(Status.NODE_KEY, 3, 0, 0, None))
    assert onion_error(Status.HMAC, 0, 0, 0, None).hop is None
    assert onion_error(Status.ONION_SIZE, 0, 12, 0, None).offset == 12
    tlv = onion_error(Status.TLV, 0, 12, 65537, None)
    assert (tlv.offset, tlv.type) == (12, 65537)


def test_peel_errors_carry_the_failure_code_of_bolt_4() -> None:
    """BADONION is 0x8000, PERM 0x4000 (BOLT 4, Failure Messages)."""
    codes = {Status.VERSION: 0xC004, Status.HMAC: 0xC005, Status.EPHEMERAL_KEY: 0xC006, Status.FRAME: 0x4016}
    for status, code in codes.items():
        error = onion_error(status, 0, 0, 0, None)
        assert isinstance(error, errors.PeelError)
        assert error.failure_code == code


def test_all_errors_are_one_family() -> None:
    for name in dir(errors):
        kind = getattr(errors, name)
        if isinstance(kind, type) and issubclass(kind, Exception):
            assert issubclass(kind, errors.KeysendFastError), name


def test_unknown_codes_raise() -> None:
    with pytest.raises(ValueError, match="99"):
        onion_error(99, 0, 0, 0, None)
