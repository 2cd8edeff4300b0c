"""The reference's failures against the vectors of BOLT 4 and failures of a real Core Lightning node."""

from __future__ import annotations

import hmac
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import chacha20, failure, sphinx
from tests.support import load_vector

ERROR = load_vector("bolt04-onion-error-test")
TRACE = load_vector("bolt04-attribution-test")
CLN = load_vector("cln-26.06-rpc")

secrets = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=6, unique=True)


def from_hop(shared_secrets: list[bytes], hop: int, message: bytes, padded_size: int = failure.PADDED_SIZE) -> bytes:
    """Return the packet that reaches the origin when `hop` fails."""
    packet = failure.create(shared_secrets[hop], message, padded_size)
    for shared_secret in reversed(shared_secrets[: hop + 1]):
        packet = failure.wrap(shared_secret, packet)
    return packet


def test_error_vector() -> None:
    hops = ERROR["generate"]["hops"]
    shared_secrets = [bytes.fromhex(hop["hop_shared_secret"]) for hop in hops]
    assert [sphinx.key("ammag", s).hex() for s in shared_secrets] == [hop["ammag_key"] for hop in hops]
    message = bytes.fromhex(ERROR["generate"]["failure_message"])
    packet = from_hop(shared_secrets, 4, message)
    assert packet.hex() == ERROR["errorpacket"]
    assert len(packet) == 292
    assert failure.decode(packet, shared_secrets) == failure.Decoded(4, message)


def test_trace_vector() -> None:
    """The specification's trace: a message of 320 bytes padded to 1024, as each node sends it."""
    shared_secrets = [bytes.fromhex(hop["shared_secret"]) for hop in TRACE["hops"]]
    node_ids = [bytes.fromhex(hop["pubkey"]) for hop in TRACE["hops"]]
    chain = sphinx.key_chain(bytes.fromhex(TRACE["session_key"]), node_ids)
    assert [hop.shared_secret for hop in chain] == shared_secrets
    assert [sphinx.key("ammag", s).hex() for s in shared_secrets] == [hop["ammag_key"] for hop in TRACE["hops"]]
    expected = TRACE["failure"]
    assert sphinx.key("um", shared_secrets[4]).hex() == expected["um_key"]
    message = bytes.fromhex(expected["failure_message"])
    packet = failure.create(shared_secrets[4], message, 1024)
    assert packet.hex() == expected["raw_error_packet"]
    for hop in (4, 3, 2, 1, 0):
        packet = failure.wrap(shared_secrets[hop], packet)
        assert packet.hex() == expected["error_packets"][hop]
    assert failure.decode(packet, shared_secrets) == failure.Decoded(4, message)
    parsed = failure.parse_message(message)
    assert parsed.name == "incorrect_or_unknown_payment_details"
    assert parsed.fields == {"htlc_msat": 100, "height": 800_000}
    assert parsed.rest == bytes.fromhex("fd84d1fd012c") + bytes([128]) * 300


def recorded_failures() -> list[tuple[str, str, str, list[str]]]:
    """Return (scene, method that answered, encrypted failure, shared secrets of the onion) of the recording."""
    found = []
    for scene in CLN["scenes"]:
        for call in scene["calls"]:
            data = call.get("error", {}).get("data") or call.get("result") or {}
            for answer in (data, *data.get("payments", [])):
                for name in ("onionreply", "erroronion"):
                    if name in answer:
                        found.append((scene["scene"], call["method"], answer[name], scene["attempt"]["shared_secrets"]))
    return found


# What the recorded scenes' failing nodes said: index in the onion, and name.
RECORDED = {
    "sendonion, unknown scid at the second node, no shared_secrets": (0, "unknown_next_peer"),
    "inject, unknown scid at the second node (218)": (1, "unknown_next_peer"),
    "inject, final CLTV too small (218, recipient)": (2, "incorrect_or_unknown_payment_details"),
}


def test_recorded_failures_are_there() -> None:
    assert {scene for scene, _, _, _ in recorded_failures()} == set(RECORDED)


@pytest.mark.parametrize(("scene", "method", "packet", "shared_secrets"), recorded_failures())
def test_recorded_failures_decode(scene: str, method: str, packet: str, shared_secrets: list[str]) -> None:
    secrets = [bytes.fromhex(secret) for secret in shared_secrets]
    # An injected onion's first layer is the own node's: it wraps its answer to injectpaymentonion like any hop, but
    # waitsendpay and listsendpays hand out the failure as it came from the peer.
    skipped = 1 if scene.startswith("inject") and method != "injectpaymentonion" else 0
    decoded = failure.decode(bytes.fromhex(packet), secrets[skipped:])
    assert decoded is not None
    parsed = failure.parse_message(decoded.message)
    assert (skipped + decoded.hop, parsed.name) == RECORDED[scene]
    assert parsed.missing is None
    if skipped:
        assert failure.decode(bytes.fromhex(packet), secrets) is None


def test_recorded_raw_message_parses() -> None:
    """A node that unwraps for its caller hands out the message alone."""
    scene = next(scene for scene in CLN["scenes"] if "tampered" in scene["scene"])
    data = scene["calls"][-1]["error"]["data"]
    parsed = failure.parse_message(bytes.fromhex(data["raw_message"]))
    assert (parsed.code, parsed.name, parsed.missing) == (data["failcode"], "invalid_onion_hmac", None)


@given(secrets, st.binary(min_size=2, max_size=300), st.data())
@settings(deadline=None)
def test_round_trip(shared_secrets: list[bytes], message: bytes, data: st.DataObject) -> None:
    hop = data.draw(st.integers(0, len(shared_secrets) - 1))
    padded_size = data.draw(st.sampled_from([0, 256, 300]))
    packet = from_hop(shared_secrets, hop, message, padded_size)
    assert len(packet) == 32 + 4 + max(len(message), padded_size)
    assert failure.decode(packet, shared_secrets) == failure.Decoded(hop, message)
    at = data.draw(st.integers(0, len(packet) - 1))
    broken = packet[:at] + bytes([packet[at] ^ data.draw(st.integers(1, 255))]) + packet[at + 1 :]
    assert failure.decode(broken, shared_secrets) is None
    # The origin needs every secret up to the failing hop, and no more.
    assert failure.decode(packet, shared_secrets[:hop]) is None
    assert failure.decode(packet, shared_secrets[: hop + 1]) == failure.Decoded(hop, message)


def test_decode_of_the_27th_hop_and_beyond() -> None:
    shared_secrets = [bytes([i]) * 32 for i in range(30)]
    for hop in (26, 27, 29):
        packet = from_hop(shared_secrets, hop, b"\x20\x02")
        assert failure.decode(packet, shared_secrets) == failure.Decoded(hop, b"\x20\x02")


@pytest.mark.parametrize(("length", "hop", "rounds"), [(1, 0, 27), (5, 0, 27), (5, 4, 27), (27, 3, 27), (30, 3, 30)])
def test_decode_unwraps_as_often_for_every_route(
    length: int, hop: int, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared_secrets = [bytes([i]) * 32 for i in range(length)]
    packet = from_hop(shared_secrets, hop, b"\x20\x02")
    lengths: list[int] = []

    def counted(a: bytes, b: bytes) -> bytes:
        lengths.append(len(a))
        return chacha20.xor(a, b)

    monkeypatch.setattr(failure, "xor", counted)
    assert failure.decode(packet, shared_secrets) == failure.Decoded(hop, b"\x20\x02")
    assert lengths == [292] * rounds


def test_decode_does_not_mistake_a_dummy_round_for_a_hop() -> None:
    body = (2).to_bytes(2, "big") + b"\x20\x02"
    packet = hmac.digest(failure.DUMMY_UM, body, "sha256") + body
    packet = chacha20.xor(packet, chacha20.stream(failure.DUMMY_AMMAG, len(packet)))
    shared_secret = bytes(32)
    assert failure.decode(failure.wrap(shared_secret, packet), [shared_secret]) is None


@pytest.mark.parametrize("body", [b"", b"\0", b"\0\0", b"\0\1\x20", b"\0\3\x20\x02"])
def test_authenticated_nonsense(body: bytes) -> None:
    shared_secret = bytes(32)
    packet = hmac.digest(sphinx.key("um", shared_secret), body, "sha256") + body
    with pytest.raises(failure.MalformedFailure) as caught:
        failure.decode(failure.wrap(b"\1" * 32, failure.wrap(shared_secret, packet)), [b"\1" * 32, shared_secret])
    assert caught.value.hop == 1


@pytest.mark.parametrize("packet", [b"", bytes(31), bytes(32), bytes(292)])
def test_decode_of_noise(packet: bytes) -> None:
    assert failure.decode(packet, [bytes(32), b"\1" * 32]) is None


# --- Codes -----------------------------------------------------------------------------------------------------------


def some_fields(code: int) -> dict[str, int | bytes]:
    values: dict[str, int | bytes] = {
        "u16": 0x0102,
        "u32": 0x01020304,
        "u64": 0x0102030405060708,
        "bigsize": 5482373484,
        "sha256": bytes(range(32)),
        "update": b"\x01\x02" + bytes(20),
    }
    return {field: values[kind] for field, kind in failure.CODES[code][1]}


@pytest.mark.parametrize("code", failure.CODES, ids=lambda code: failure.CODES[code][0])
def test_code_round_trip_and_truncation(code: int) -> None:
    fields = some_fields(code)
    message = failure.build_message(code, fields, b"rest")
    name = failure.CODES[code][0]
    assert failure.parse_message(message) == failure.FailureMessage(code, name, fields, None, b"rest")
    whole = len(message) - len(b"rest")
    for length in range(2, whole):
        parsed = failure.parse_message(message[:length])
        assert parsed.missing in fields
        assert {**fields, **parsed.fields} == fields


def test_data_by_the_specification() -> None:
    """Literal bytes, so that the table is not only checked against itself."""
    literals: dict[str, dict[str, Any]] = {
        "400f" + "0000000000000064" + "000c3500": {"htlc_msat": 100, "height": 800_000},
        "1007" + "0000": {"channel_update": b""},
        "100c" + "0000000000000001" + "0002abcd": {"htlc_msat": 1, "channel_update": b"\xab\xcd"},
        "100d" + "00000090" + "0000": {"cltv_expiry": 144, "channel_update": b""},
        "1014" + "0000" + "0000": {"disabled_flags": 0, "channel_update": b""},
        "0012" + "000003e8": {"cltv_expiry": 1000},
        "0013" + "00000000000003e8": {"incoming_htlc_amt": 1000},
        "4016" + "ff0000000146c6616c" + "000a": {"type": 5482373484, "offset": 10},
        "c005" + "11" * 32: {"sha256_of_onion": b"\x11" * 32},
        "400a": {},
    }
    for message, fields in literals.items():
        parsed = failure.parse_message(bytes.fromhex(message))
        assert (parsed.fields, parsed.missing, parsed.rest) == (fields, None, b"")


def test_absent_data_and_unknown_codes() -> None:
    assert failure.parse_message(b"\x40\x16").missing == "type"
    assert failure.build_message(failure.PERM | 22) == b"\x40\x16"
    unknown = failure.parse_message(b"\x12\x34more")
    assert (unknown.code, unknown.name, unknown.rest) == (0x1234, None, b"more")
    with pytest.raises(ValueError, match="code"):
        failure.parse_message(b"\x20")
