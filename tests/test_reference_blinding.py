"""The reference's blinded paths against the three vectors of BOLT 4 that use them, and round trips."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import bigsize, blinding, keysend, secp256k1, sphinx, tlv
from tests.support import load_vector

ROUTE = load_vector("bolt04-route-blinding-test")
PAYMENT = load_vector("bolt04-blinded-payment-onion-test")
MESSAGE = load_vector("bolt04-blinded-onion-message-onion-test")

TYPES = {
    "padding": blinding.PADDING,
    "short_channel_id": blinding.SHORT_CHANNEL_ID,
    "next_node_id": blinding.NEXT_NODE_ID,
    "path_id": blinding.PATH_ID,
    "next_path_key_override": blinding.NEXT_PATH_KEY_OVERRIDE,
    "payment_relay": blinding.PAYMENT_RELAY,
    "payment_constraints": blinding.PAYMENT_CONSTRAINTS,
    "allowed_features": blinding.ALLOWED_FEATURES,
}
# In the vectors, but told to the reader of the file only.
NOT_SENT = {"path_key_override_secret"}


def fields_of(tlvs: dict[str, Any]) -> dict[int, Any]:
    """Return the vectors' way to write encrypted_data_tlv as {type: decoded value}."""
    fields: dict[int, Any] = {}
    for name, value in tlvs.items():
        if name in NOT_SENT:
            continue
        type_ = int(name.removeprefix("unknown_tag_")) if name.startswith("unknown_tag_") else TYPES[name]
        if name == "short_channel_id":
            block, tx, output = (int(part) for part in value.split("x"))
            fields[type_] = block << 40 | tx << 16 | output
        elif name == "payment_relay":
            fields[type_] = blinding.Relay(
                value["cltv_expiry_delta"], value["fee_proportional_millionths"], value.get("fee_base_msat", 0)
            )
        elif name == "payment_constraints":
            fields[type_] = blinding.Constraints(value["max_cltv_expiry"], value["htlc_minimum_msat"])
        elif name == "allowed_features":
            bits = sum(1 << bit for bit in value["features"])
            fields[type_] = bits.to_bytes((bits.bit_length() + 7) // 8, "big")
        else:
            fields[type_] = bytes.fromhex(value)
    return fields


def known(fields: dict[int, Any]) -> dict[int, Any]:
    return {type_: value for type_, value in fields.items() if type_ in blinding.DATA_TYPES}


def strip_length(frame: str) -> bytes:
    data = bytes.fromhex(frame)
    length, start = bigsize.read(data)
    assert start + length == len(data)
    return data[start:]


# --- route-blinding-test.json ----------------------------------------------------------------------------------------


def test_route_vector_data() -> None:
    for hop in ROUTE["generate"]["hops"]:
        encoded = bytes.fromhex(hop["encoded_tlvs"])
        fields = fields_of(hop["tlvs"])
        assert blinding.encode_data(fields) == encoded
        assert blinding.decode_data(encoded) == known(fields)


def test_route_vector_is_created() -> None:
    """Bob's path to Carol and Eve's from Dave to herself, joined: a hop with a session key begins a path."""
    hops = ROUTE["generate"]["hops"]
    starts = [i for i, hop in enumerate(hops) if "session_key" in hop]
    assert starts == [0, 2]
    joined: list[blinding.BlindedHop] = []
    for start, end in ((0, 2), (2, 4)):
        part = hops[start:end]
        node_ids = [bytes.fromhex(hop["node_id"]) for hop in part]
        session_key = bytes.fromhex(part[0]["session_key"])
        for hop, step in zip(part, blinding.path_chain(session_key, node_ids), strict=True):
            assert step.path_secret.hex() == hop["path_privkey"]
            assert step.path_key.hex() == hop["path_key"]
            assert step.shared_secret.hex() == hop["shared_secret"]
            assert sphinx.key("rho", step.shared_secret).hex() == hop["rho"]
        path = blinding.create_path(session_key, node_ids, [bytes.fromhex(hop["encoded_tlvs"]) for hop in part])
        assert path.first_node_id.hex() == part[0]["node_id"]
        assert path.first_path_key.hex() == part[0]["path_key"]
        joined += path.hops
    expected = ROUTE["route"]
    assert [hop.blinded_node_id.hex() for hop in joined] == [hop["blinded_node_id"] for hop in expected["hops"]]
    assert [hop.encrypted_recipient_data.hex() for hop in joined] == [h["encrypted_data"] for h in expected["hops"]]
    assert (hops[0]["node_id"], hops[0]["path_key"]) == (expected["first_node_id"], expected["first_path_key"])


def test_route_vector_is_unblinded() -> None:
    for hop, public in zip(ROUTE["unblind"]["hops"], ROUTE["route"]["hops"], strict=True):
        unblinded = blinding.unblind(
            bytes.fromhex(hop["node_privkey"]), bytes.fromhex(hop["path_key"]), bytes.fromhex(public["encrypted_data"])
        )
        assert unblinded.blinded_secret.hex() == hop["blinded_privkey"]
        assert secp256k1.public_key(unblinded.blinded_secret).hex() == public["blinded_node_id"]
        assert unblinded.encrypted_data.hex() == hop["decrypted_data"]
        assert unblinded.next_path_key.hex() == hop.get("next_path_key_override", hop["next_path_key"])


# --- blinded-payment-onion-test.json ---------------------------------------------------------------------------------


def test_payment_vector_builds() -> None:
    generate = PAYMENT["generate"]
    hops = generate["full_route"]["hops"]
    onion = sphinx.build(
        bytes.fromhex(generate["session_key"]),
        [bytes.fromhex(hop["pubkey"]) for hop in hops],
        [strip_length(hop["payload"]) for hop in hops],
        bytes.fromhex(generate["associated_data"]),
    )
    assert onion.packet.hex() == generate["onion"]


def test_payment_vector_payloads() -> None:
    """The payloads follow from the path and its price; only Alice is paid nothing."""
    generate = PAYMENT["generate"]
    route, hops = generate["blinded_route"], generate["full_route"]["hops"]
    price = generate["blinded_payinfo"]
    relays = [blinding.decode_data(data)[blinding.PAYMENT_RELAY] for data in decrypted_data()[:-1]]
    total = blinding.aggregate(relays)
    assert (total.fee_base_msat, total.fee_proportional_millionths, total.cltv_expiry_delta) == (
        price["fee_base_msat"],
        price["fee_proportional_millionths"],
        price["cltv_expiry_delta"],
    )
    amount, cltv = generate["final_amount_msat"], generate["final_cltv"]
    whole = amount + total.fee_base_msat + amount * total.fee_proportional_millionths // 1_000_000
    payloads = [keysend.forward_payload(whole, cltv + total.cltv_expiry_delta, 10)]
    for i, hop in enumerate(route["hops"]):
        records = {10: bytes.fromhex(hop["encrypted_data"])}
        if i == 0:
            records[12] = bytes.fromhex(route["first_path_key"])
        if i == len(route["hops"]) - 1:
            total_msat = hops[-1]["tlvs"]["total_amount_msat"]
            records |= {2: tlv.encode_tu(amount, 8), 4: tlv.encode_tu(cltv, 4), 18: tlv.encode_tu(total_msat, 8)}
        payloads.append(tlv.encode(records))
    assert payloads == [strip_length(hop["payload"]) for hop in hops]


def decrypted_data() -> list[bytes]:
    """Return the blinded nodes' encrypted_data_tlv, unblinded node by node."""
    route = PAYMENT["generate"]["blinded_route"]
    path_key = bytes.fromhex(route["first_path_key"])
    data = []
    for hop, node in zip(route["hops"], PAYMENT["decrypt"]["hops"][1:], strict=True):
        unblinded = blinding.unblind(
            bytes.fromhex(node["node_privkey"]), path_key, bytes.fromhex(hop["encrypted_data"])
        )
        assert unblinded.next_path_key.hex() == node["next_path_key"]
        path_key = unblinded.next_path_key
        data.append(unblinded.encrypted_data)
    return data


def test_payment_vector_peels_and_forwards() -> None:
    generate = PAYMENT["generate"]
    associated_data = bytes.fromhex(generate["associated_data"])
    amount, cltv = 0, 0
    path_key: bytes | None = None
    nodes = PAYMENT["decrypt"]["hops"]
    for i, (node, hop) in enumerate(zip(nodes, generate["full_route"]["hops"], strict=True)):
        node_secret, packet = bytes.fromhex(node["node_privkey"]), bytes.fromhex(node["onion"])
        layer = sphinx.peel(packet, node_secret, associated_data, path_key)
        assert layer.payload == strip_length(hop["payload"])
        assert (layer.next_packet.hex() if layer.next_packet else None) == (
            nodes[i + 1]["onion"] if i + 1 < len(nodes) else None
        )
        records = {record.type: record.value for record in tlv.read_records(layer.payload)}
        if 10 not in records:
            amount, cltv = tlv.decode_tu64(records[2]), tlv.decode_tu32(records[4])
            continue
        # Only at the introduction point the path key is in the onion, behind it beside the HTLC.
        assert (12 in records) == (path_key is None)
        unblinded = blinding.unblind(node_secret, path_key or records[12], records[10])
        assert unblinded.fields == known(fields_of(hop["tlvs"]["encrypted_recipient_data"]))
        path_key = unblinded.next_path_key
        assert path_key.hex() == node["next_path_key"]
        if layer.next_packet is not None:
            amount, cltv = blinding.forward(unblinded.fields, amount, cltv)
    assert (amount, cltv) == (generate["final_amount_msat"], generate["final_cltv"])


# --- blinded-onion-message-onion-test.json ---------------------------------------------------------------------------


def test_message_vector_path() -> None:
    for hop in MESSAGE["generate"]["hops"]:
        data = bytes.fromhex(hop["encrypted_data_tlv"])
        assert blinding.encode_data(fields_of(hop["tlvs"])) == data
        secret = bytes.fromhex(hop["path_key_secret"])
        privkey = next(d["privkey"] for d in MESSAGE["decrypt"]["hops"] if d["alias"] == hop["alias"])
        node_id = secp256k1.public_key(bytes.fromhex(privkey))
        (step,) = blinding.path_chain(secret, [node_id])
        assert (step.shared_secret.hex(), step.path_key.hex()) == (hop["ss"], hop["E"])
        path = blinding.create_path(secret, [node_id], [data])
        assert path.hops[0].blinded_node_id.hex() == hop["blinded_node_id"]
        assert path.hops[0].encrypted_recipient_data.hex() == hop["encrypted_recipient_data"]
        factor = sphinx.blinding_factor(step.path_key, step.shared_secret)
        assert factor.hex() == hop["H(E || ss)"]
        # The vectors write e_(i+1) with the 01 of the wallet import format behind it.
        assert secp256k1.tweak_secret(secret, factor).hex() + "01" == hop["next_e"]


def test_message_vector_onion() -> None:
    hops = MESSAGE["route"]["hops"]
    payloads = [tlv.encode({4: bytes.fromhex(hop["encrypted_recipient_data"])}) for hop in hops]
    payloads[-1] = tlv.encode({1: bytes.fromhex(MESSAGE["onionmessage"]["unknown_tag_1"])}) + payloads[-1]
    onion = sphinx.build(
        bytes.fromhex(MESSAGE["generate"]["session_key"]),
        [bytes.fromhex(hop["blinded_node_id"]) for hop in hops],
        payloads,
    )
    assert onion.packet.hex() == MESSAGE["onionmessage"]["onion_message_packet"]
    packet: bytes | None = onion.packet
    path_key = bytes.fromhex(MESSAGE["route"]["first_path_key"])
    for node, payload in zip(MESSAGE["decrypt"]["hops"], payloads, strict=True):
        assert packet is not None
        message = (513).to_bytes(2, "big") + path_key + len(packet).to_bytes(2, "big") + packet
        assert message.hex() == node["onion_message"]
        node_secret = bytes.fromhex(node["privkey"])
        layer = sphinx.peel(packet, node_secret, b"", path_key)
        assert layer.payload == payload
        records = {record.type: record.value for record in tlv.read_records(payload)}
        unblinded = blinding.unblind(node_secret, path_key, records[4])
        assert unblinded.fields.get(blinding.NEXT_NODE_ID, b"").hex() == node.get("next_node_id", "")
        packet, path_key = layer.next_packet, unblinded.next_path_key
    assert packet is None


# --- Round trips and refusals ----------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=3), st.integers(1, secp256k1.N - 1))
@settings(deadline=None, max_examples=25)
def test_round_trip(path_ids: list[bytes], session: int) -> None:
    secrets = [(i + 1).to_bytes(32, "big") for i in range(len(path_ids))]
    data = [blinding.encode_data({blinding.PATH_ID: path_id, 65535: b"odd"}) for path_id in path_ids]
    node_ids = [secp256k1.public_key(secret) for secret in secrets]
    path = blinding.create_path(session.to_bytes(32, "big"), node_ids, data)
    onion = sphinx.build(b"\1" * 32, [hop.blinded_node_id for hop in path.hops], [b"ab"] * len(secrets))
    packet: bytes | None = onion.packet
    path_key = path.first_path_key
    for secret, hop, path_id in zip(secrets, path.hops, path_ids, strict=True):
        assert packet is not None
        packet = sphinx.peel(packet, secret, b"", path_key).next_packet
        unblinded = blinding.unblind(secret, path_key, hop.encrypted_recipient_data)
        assert secp256k1.public_key(unblinded.blinded_secret) == hop.blinded_node_id
        assert unblinded.fields == {blinding.PATH_ID: path_id}
        path_key = unblinded.next_path_key


def test_unblind_and_peel_refuse() -> None:
    secret = b"\1" * 32
    node_id = secp256k1.public_key(secret)
    path = blinding.create_path(b"\2" * 32, [node_id], [b"\x06\x00"])
    (hop,) = path.hops
    assert blinding.unblind(secret, path.first_path_key, hop.encrypted_recipient_data).fields == {6: b""}
    broken = hop.encrypted_recipient_data[:-1] + bytes([hop.encrypted_recipient_data[-1] ^ 1])
    unknown_even = blinding.create_path(b"\2" * 32, [node_id], [b"\x10\x00"]).hops[0].encrypted_recipient_data
    for path_key, data in (
        (path.first_path_key, broken),
        (path.first_path_key, b""),
        (path.first_path_key, unknown_even),
        (node_id, hop.encrypted_recipient_data),
        (b"\5" * 33, hop.encrypted_recipient_data),
    ):
        with pytest.raises(blinding.BlindingError):
            blinding.unblind(secret, path_key, data)
    onion = sphinx.build(b"\3" * 32, [hop.blinded_node_id], [b"ab"])
    assert sphinx.peel(onion.packet, secret, b"", path.first_path_key).payload == b"ab"
    with pytest.raises(sphinx.InvalidHmac):
        sphinx.peel(onion.packet, secret)
    with pytest.raises(sphinx.InvalidPathKey):
        sphinx.peel(onion.packet, secret, b"", b"\5" * 33)


GOOD: dict[int, Any] = {
    blinding.SHORT_CHANNEL_ID: 1,
    blinding.PAYMENT_RELAY: blinding.Relay(10, 1000, 100),
    blinding.PAYMENT_CONSTRAINTS: blinding.Constraints(1000, 500),
}


@pytest.mark.parametrize(
    ("changes", "amount", "cltv", "words"),
    [
        ({}, 499, 1000, "minimum"),
        ({}, 500, 1001, "expires"),
        ({blinding.ALLOWED_FEATURES: b"\x01"}, 500, 1000, "feature"),
        ({blinding.NEXT_NODE_ID: bytes(33)}, 500, 1000, "either"),
        ({blinding.SHORT_CHANNEL_ID: None}, 500, 1000, "either"),
        ({blinding.PAYMENT_RELAY: None}, 500, 1000, "payment_relay"),
    ],
)
def test_forward_refuses(changes: dict[int, Any], amount: int, cltv: int, words: str) -> None:
    fields = {type_: value for type_, value in {**GOOD, **changes}.items() if value is not None}
    with pytest.raises(blinding.BlindingError, match=words):
        blinding.forward(fields, amount, cltv)


@given(st.integers(0, 2**40), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_forward_inverts_the_fee_that_the_sender_added(amount: int, base: int, proportional: int) -> None:
    """The sender rounds its fee down and the node what it forwards up, so exactly the meant amount arrives."""
    fee = base + amount * proportional // 1_000_000
    fields = {blinding.SHORT_CHANNEL_ID: 1, blinding.PAYMENT_RELAY: blinding.Relay(40, proportional, base)}
    forwarded, cltv = blinding.forward(fields, amount + fee, 1000)
    assert forwarded == amount
    assert cltv == 960
