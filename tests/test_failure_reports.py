"""Failures as nodes report them: the recorded conversation with a real Core Lightning node, and LND's encrypted_error_data."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from keysend_fast import Hop, OnionSecrets, Route
from keysend_fast.errors import ReplyError
from keysend_fast.failure import Action, Blame, Failure, FailureCode, Role, failure_message
from keysend_fast.status import Status
from tests.returns import flipped, secrets_of, sent_by
from tests.support import load_vector

SCENES = {scene["scene"]: scene for scene in load_vector("cln-26.06-rpc")["scenes"]}
SENDONION = "sendonion, unknown scid at the second node, no shared_secrets"
INJECT = "inject, unknown scid at the second node (218)"
RECIPIENT = "inject, final CLTV too small (218, recipient)"
DECODED = "sendonion, unknown scid, shared_secrets given (204)"
TAMPERED = "sendonion, tampered onion (first peer reports BADONION)"

# Scene: index in the onion, code, does the onion start at the payer's own node.
EXPECTED: dict[str, tuple[int, FailureCode, bool]] = {
    SENDONION: (0, FailureCode.UNKNOWN_NEXT_PEER, False),
    INJECT: (1, FailureCode.UNKNOWN_NEXT_PEER, True),
    RECIPIENT: (2, FailureCode.INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS, True),
    DECODED: (0, FailureCode.UNKNOWN_NEXT_PEER, False),
    TAMPERED: (-1, FailureCode.INVALID_ONION_HMAC, False),
}
MESSAGE = failure_message(FailureCode.FEE_INSUFFICIENT, htlc_msat=1000)


def secrets_in(scene: str) -> list[bytes]:
    return [bytes.fromhex(secret) for secret in SCENES[scene]["attempt"]["shared_secrets"]]


def reports() -> list[Any]:
    """Every report of a failure in the recording: errors, and rows of listsendpays."""
    found = []
    for name, scene in SCENES.items():
        for call in scene["calls"]:
            error, result = call.get("error"), call.get("result") or {}
            candidates = [(call["method"], error)] if error and error.get("data") and error["code"] != 219 else []
            candidates += [(call["method"], row) for row in result.get("payments", []) if "erroronion" in row]
            found += [
                pytest.param(name, report, id=f"{name}-{method}-{i}") for i, (method, report) in enumerate(candidates)
            ]
    return found


def test_the_recording_has_every_form() -> None:
    seen = {
        (report.get("code"), name) for _, report in (p.values for p in reports()) for name in report.get("data", report)
    }
    for form in (
        (202, "onionreply"),
        (202, "erroronion"),
        (218, "onionreply"),
        (204, "failcode"),
        (None, "erroronion"),
    ):
        assert form in seen
    assert {p.values[0] for p in reports()} == set(EXPECTED)


@pytest.mark.parametrize(("scene", "report"), reports())
def test_recorded(scene: str, report: Any) -> None:
    secrets = secrets_in(scene)
    index, code, own_node = EXPECTED[scene]
    for kept in (secrets, tuple(secrets), b"".join(secrets), OnionSecrets.from_shared_secrets(secrets)):
        failure = Failure.from_cln_error(report, kept)
        assert (failure.status, failure.erring_index, failure.code) == (Status.OK, index, code)
        assert (failure.n_hops, failure.own_node) == (len(secrets), own_node)
    assert Failure.from_cln_error(report, secrets, own_node=own_node) == failure


def test_recorded_facts() -> None:
    def read(scene: str) -> Failure:
        report = next(p.values[1] for p in reports() if p.values[0] == scene)
        return Failure.from_cln_error(report, secrets_in(scene))

    assert read(RECIPIENT).role is Role.RECIPIENT
    assert read(RECIPIENT).advice.action is Action.RECIPIENT_REFUSES_KEYSEND
    assert read(RECIPIENT).data["htlc_msat"] == 100000
    assert read(INJECT).role is Role.FORWARDING
    assert read(INJECT).blame == Blame((1, 2))
    assert read(SENDONION).blame == Blame((0, 1))
    # The own node reports what the first peer refused: the channel between them.
    assert read(TAMPERED).role is Role.PAYER
    assert read(TAMPERED).blame == Blame((-1, 0))


def test_the_other_layer_does_not_decode() -> None:
    """218 has the own node's layer, what waitsendpay keeps has not: told the wrong one, nothing is found."""
    reply, kept = [p.values[1] for p in reports() if p.values[0] == INJECT][:2]
    secrets = secrets_in(INJECT)
    wrong = {"code": 202, "data": {"erroronion": reply["data"]["onionreply"]}}
    assert Failure.from_cln_error(wrong, secrets, own_node=True).status is Status.UNDECODABLE
    assert Failure.from_cln_error(wrong, secrets, own_node=False).erring_index == 1
    assert Failure.from_cln_error(kept, secrets, own_node=False).status is Status.UNDECODABLE
    wrong = {"code": 218, "data": {"onionreply": kept["data"]["erroronion"]}}
    assert Failure.from_cln_error(wrong, secrets).status is Status.UNDECODABLE


def test_the_own_node_refuses_its_own_layer() -> None:
    """218 with index 0: the own channel could not carry it."""
    secrets = secrets_of(3)
    packet = sent_by(secrets, 0, b"\x10\x07\0\0")[0].packet
    failure = Failure.from_cln_error({"code": 218, "data": {"onionreply": packet.hex()}}, secrets)
    assert (failure.erring_index, failure.role, failure.blame) == (0, Role.PAYER, Blame((0, 1)))
    assert failure.to_cln_error()["data"]["erring_index"] == 0


def test_tampered_replies_are_undecodable() -> None:
    secrets = secrets_of(3)
    packet = flipped(sent_by(secrets, 1, MESSAGE)[0].packet, 99)
    for code in (202, 218):
        failure = Failure.from_cln_error({"code": code, "data": {"onionreply": packet.hex()}}, secrets)
        assert (failure.status, failure.n_hops) == (Status.UNDECODABLE, 3)
        assert failure.own_node is (code == 218)
        assert failure.to_cln_error() == {"code": 202, "message": "Malformed error reply", "data": {}}


def test_an_error_object_of_the_client_library() -> None:
    class RpcError(ValueError):
        def __init__(self, error: dict[str, Any]) -> None:
            super().__init__("RPC call failed")
            self.error = error

    packet = sent_by(secrets_of(2), 1, MESSAGE)[0].packet
    failure = Failure.from_cln_error(RpcError({"code": 202, "data": {"onionreply": packet.hex()}}), secrets_of(2))
    assert failure.code is FailureCode.FEE_INSUFFICIENT


@pytest.mark.parametrize(
    ("error", "match"),
    [
        ("218", "JSON object"),
        ({"code": 201, "message": "already", "data": None}, "error 201 carries no data"),
        ({"code": -32602, "message": "Unknown scid"}, "no failure: the cause is not known"),
        ({"code": 209, "data": {"status": "failed"}}, "error 209 carries no failure"),
        ({"code": 202, "data": {"onionreply": "xyz"}}, "onionreply is not hex"),
        ({"code": 202, "data": {"erroronion": 7}}, "erroronion is not hex"),
        ({"code": 204, "data": {"erring_index": 4, "failcode": 16394}}, "erring_index 4 is not on a route of 3 nodes"),
        ({"code": 204, "data": {"erring_index": -1, "failcode": 16394}}, "erring_index -1"),
        ({"code": 204, "data": {"erring_index": "1", "failcode": 16394}}, "are integers"),
        ({"code": 204, "data": {"erring_index": 1, "failcode": 65536}}, "are integers"),
        ({"code": 204, "data": {"erring_index": 1, "failcode": 1, "raw_message": "400a"}}, "does not begin with"),
    ],
)
def test_other_errors_are_refused(error: Any, match: str) -> None:
    with pytest.raises(ReplyError, match=match):
        Failure.from_cln_error(error, secrets_of(3))


def test_to_cln_error_is_shaped_like_the_recorded_one() -> None:
    recorded = next(p.values[1] for p in reports() if p.values[0] == DECODED)
    written = Failure.from_cln_error(recorded, secrets_in(DECODED)).to_cln_error()
    assert (written["code"], written["message"]) == (recorded["code"], recorded["message"])
    assert written["data"].items() <= recorded["data"].items()
    assert set(written["data"]) == {"erring_index", "failcode", "failcodename", "raw_message"}


def test_to_cln_error() -> None:
    ids = [b"\x02" + bytes([i]) * 32 for i in (5, 4, 6)]
    route = Route(Hop(node, f"{i}x1x0", 1000, 45) for i, node in enumerate(ids, 1))
    fee = Failure(Status.OK, 3, 0, MESSAGE)
    assert fee.to_cln_error(route) == {
        "code": 204,
        "message": "failed: WIRE_FEE_INSUFFICIENT (reply from remote)",
        "data": {
            "erring_index": 1,
            "failcode": 0x100C,
            "failcodename": "WIRE_FEE_INSUFFICIENT",
            "raw_message": MESSAGE.hex(),
            "erring_node": ids[0].hex(),
            "erring_channel": "2x1x0",
            "erring_direction": 1,
        },
    }
    refused = Failure(Status.OK, 3, 2, b"\x40\x0f").to_cln_error(route)
    assert refused["code"] == 203
    assert (refused["data"]["erring_index"], refused["data"]["erring_channel"]) == (3, "3x1x0")
    assert refused["data"]["erring_direction"] == 0
    assert Failure(Status.OK, 3, 2, b"\x20\x02").to_cln_error()["code"] == 204
    own = Failure(Status.OK, 3, -1, b"\xc0\x05" + bytes(32)).to_cln_error(route)
    assert own["message"] == "failed: WIRE_INVALID_ONION_HMAC (local failure)"
    assert "erring_node" not in own["data"]
    assert own["data"]["erring_channel"] == "1x1x0"
    assert Failure(Status.OK, 3, 1, b"\x12\x34").to_cln_error()["data"]["failcodename"] == "INVALID 4660"
    with pytest.raises(ValueError, match="3 nodes, the route has 2"):
        fee.to_cln_error(Route(route.hops[:2]))


@pytest.mark.parametrize("own_node", [False, True])
def test_errors_of_ours_are_read_again(own_node: bool) -> None:
    for index in range(0 if own_node else -1, 3):
        failure = Failure(Status.OK, 3, index, MESSAGE, own_node=own_node)
        assert Failure.from_cln_error(failure.to_cln_error(), secrets_of(3), own_node=own_node) == failure


def test_lnd() -> None:
    secrets = secrets_of(3)
    packet = sent_by(secrets, 2, MESSAGE)[0].packet
    expected = Failure(Status.OK, 3, 2, MESSAGE)
    assert Failure.from_lnd_error(packet, secrets) == expected
    assert Failure.from_lnd_error({"encrypted_error_data": packet}, secrets) == expected
    assert Failure.from_lnd_error({"encrypted_error_data": base64.b64encode(packet).decode()}, secrets) == expected
    for error, match in (
        ({}, "no encrypted_error_data"),
        ({"encrypted_error_data": "?"}, "base64"),
        (b"", "no encrypted"),
    ):
        with pytest.raises(ReplyError, match=match):
            Failure.from_lnd_error(error, secrets)
