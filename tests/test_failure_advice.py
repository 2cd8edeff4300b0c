"""Every row of the tables in docs/failures.md against what `Failure.advice` says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from keysend_fast import Hop, Route
from keysend_fast.failure import Action, Advice, Blame, Failure, FailureCode, Location, Role, failure_message
from keysend_fast.status import Status

DOCS = (Path(__file__).resolve().parent.parent / "docs/failures.md").read_text(encoding="utf-8")
HOPS, FORWARDING, RECIPIENT = 4, 1, 3


def table(*columns: str) -> list[list[str]]:
    """The rows of the table with these columns."""
    body = DOCS.split(f"| {' | '.join(columns)} |\n", 1)[1].split("\n\n", 1)[0]
    return [re.split(r"(?<!\\) ?\| ?", line.strip("| \n")) for line in body.splitlines()[1:]]


CODES = table("code", "number", "from a forwarding node", "from the recipient")
CASES = dict(table("case", "advice"))
PHRASES = {
    phrase.split(" *t*")[0]: Action[action.strip("`")] for phrase, action, _ in table("phrase", "`Action`", "meaning")
}


def advice(phrase: str, index: int | None) -> Advice:
    """What a cell says of a report by the node at index."""
    match = re.fullmatch(r"(.*?)(?:, | after |)(?:(\d+) s)?", phrase)
    assert match
    words, seconds = match[1], match[2]
    action = PHRASES["same route after" if words == "same route" else words]
    if action is Action.AVOID_ROUTE:
        return Advice(action, None, int(seconds))
    assert index is not None
    nodes = {"avoid outgoing channel": (index, index + 1), "avoid incoming channel": (index - 1, index)}.get(
        words, (index,)
    )
    if action is Action.WRONG_CLTV:
        return Advice(action, Blame(nodes), 0)
    return Advice(action, Blame(nodes), None if seconds is None else int(seconds))


def reported(code: int, index: int, n_hops: int = HOPS, data: bytes = b"") -> Failure:
    return Failure(Status.OK, n_hops, index, code.to_bytes(2, "big") + data)


def test_every_code_has_a_row_and_every_phrase_a_meaning() -> None:
    assert {row[0] for row in CODES} == {code.name.lower() for code in FailureCode}
    assert len(CODES) == len(FailureCode)
    assert set(PHRASES.values()) == set(Action)


@pytest.mark.parametrize("row", CODES, ids=lambda row: row[0])
def test_row(row: list[str]) -> None:
    name, number, forwarding, recipient = row
    code = FailureCode[name.upper()]
    assert code == int(number, 16)
    for index, phrase in ((FORWARDING, forwarding), (0, forwarding), (RECIPIENT, recipient)):
        failure = reported(code, index)
        assert failure.code is code
        assert failure.advice == advice(phrase, index)
        assert failure.blame == failure.advice.target


Case = Callable[[], tuple[Failure, int | None]]


def unreadable(hold_times: tuple[int, ...] | None, first_unverified: int | None) -> Failure:
    return Failure(Status.UNDECODABLE, HOPS, None, b"", hold_times, first_unverified)


SPECIAL: dict[str, Case] = {
    "invalid_onion_payload from the recipient, for a type other than 5482373484": lambda: (
        Failure(Status.OK, HOPS, RECIPIENT, failure_message(FailureCode.INVALID_ONION_PAYLOAD, type=818818, offset=9)),
        RECIPIENT,
    ),
    "final_incorrect_cltv_expiry from the payer's own peer as recipient": lambda: (reported(18, 0, 1), 0),
    "final_incorrect_htlc_amount from the payer's own peer as recipient": lambda: (reported(19, 0, 1), 0),
    "unknown code with BADONION from a forwarding node": lambda: (reported(0xC0FF, FORWARDING), FORWARDING),
    "unknown code with NODE from a forwarding node": lambda: (reported(0x20FF, FORWARDING), FORWARDING),
    "unknown code with PERM and NODE from a forwarding node": lambda: (reported(0x60FF, FORWARDING), FORWARDING),
    "unknown code from a forwarding node": lambda: (reported(0x00FF, FORWARDING), FORWARDING),
    "unknown code with PERM from a forwarding node": lambda: (reported(0x40FF, FORWARDING), FORWARDING),
    "unknown code from the recipient": lambda: (reported(0x00FF, RECIPIENT), RECIPIENT),
    "unknown code with PERM from the recipient": lambda: (reported(0x40FF, RECIPIENT), RECIPIENT),
    "a forwarding node authenticated no message": lambda: (
        Failure(Status.FAILURE_MESSAGE, HOPS, FORWARDING),
        FORWARDING,
    ),
    "the recipient authenticated no message": lambda: (Failure(Status.FAILURE_MESSAGE, HOPS, RECIPIENT), RECIPIENT),
    "undecodable, attribution data stop verifying at a hop": lambda: (unreadable((1,), 1), 1),
    "undecodable, attribution data of all hops verify": lambda: (unreadable((1, 2, 3, 4), None), RECIPIENT),
    "undecodable, no attribution data": lambda: (unreadable(None, None), None),
}


def test_every_case_is_tested() -> None:
    assert set(SPECIAL) == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_case(case: str) -> None:
    failure, index = SPECIAL[case]()
    assert failure.advice == advice(CASES[case], index)
    assert failure.blame == failure.advice.target


def test_the_peer_behind_the_own_node_counts_as_the_first() -> None:
    own = Failure(Status.OK, 2, 1, b"\x00\x12", own_node=True)
    assert own.advice.action is Action.WRONG_CLTV
    assert reported(18, 1, 2).advice == Advice(Action.AVOID_CHANNEL, Blame((0, 1)), 3600)


def test_more_than_20_hops_vouch_for_nobody() -> None:
    failure = Failure(Status.UNDECODABLE, 21, None, b"", tuple(range(20)), None)
    assert failure.blame is None
    assert failure.advice.action is Action.AVOID_ROUTE


def test_roles_and_retries() -> None:
    assert [reported(0x2002, index).role for index in (0, 2, 3)] == [Role.FORWARDING, Role.FORWARDING, Role.RECIPIENT]
    assert reported(0x2002, -1).role is Role.PAYER
    assert Failure(Status.OK, 3, 0, b"\x10\x07", own_node=True).role is Role.PAYER
    assert unreadable(None, None).role is None
    assert {action for action in Action if not Advice(action, None, None).retry} == {
        Action.GIVE_UP,
        Action.RECIPIENT_REFUSES_KEYSEND,
    }


def test_blame_is_found_on_the_route() -> None:
    low, high, payer = b"\x02" + bytes(32), b"\x03" + bytes(32), b"\x02" + b"\xff" * 32
    route = Route([Hop(high, "1x2x3", 1000, 90), Hop(low, 77, 1000, 50), Hop(high, 78, 1000, 45)])
    assert reported(0x2002, 1, 3).blame.locate(route) == Location(low, None, None)  # type: ignore[union-attr]
    assert reported(0x1007, 0, 3).blame.locate(route) == Location(None, 77, 1)  # type: ignore[union-attr]
    assert reported(0x1007, 1, 3).blame.locate(route) == Location(None, 78, 0)  # type: ignore[union-attr]
    own_channel = Blame((-1, 0))
    scid = 1 << 40 | 2 << 16 | 3
    assert own_channel.locate(route) == Location(None, scid, None)
    assert own_channel.locate(route, payer) == Location(None, scid, 0)
