"""Building keysends: the reference's payloads and onions, policies, limits, columns, buffers, and payments that are wrong."""

from __future__ import annotations

import array
import json
import random
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keysend_fast import (
    Hop,
    KeysendPayment,
    Route,
    _kernels,
    build_keysend,
    build_keysends,
    build_keysends_columns,
    onion_budget,
    peel_onion,
)
from keysend_fast.errors import (
    AmountError,
    CltvError,
    NodeKeyError,
    OnionError,
    OnionSizeError,
    RecordError,
    SessionKeyError,
    TlvError,
)
from keysend_fast.keysend import encode_records
from keysend_fast.status import Status
from tests.nodes import NOT_A_POINT, ORDER, node_id, privkey, secret
from tests.reference import keysend, sphinx, tlv
from tests.support import load_vector

HEIGHT = 900_000
KEYSEND_TYPE = 5482373484
MOST = 2**63 - 1  # millisatoshi that a route can hold


def route(nodes: list[int], amounts: list[int] | None = None, deltas: list[int] | None = None, **policy: int) -> Route:
    """A route along nodes by number; the last hop is the recipient's."""
    n = len(nodes)
    amounts = amounts or [100_000 + 10 * (n - 1 - i) for i in range(n)]
    deltas = deltas or [45 + 40 * (n - 1 - i) for i in range(n)]
    fees = (policy["base"], policy["ppm"]) if policy else (None, None)
    return Route(
        Hop(node_id(node), (700_000 + i) << 40 | i << 16 | 1, amounts[i], deltas[i], *fees)
        for i, node in enumerate(nodes)
    )


def reference_hops(given_route: Route, amounts: list[int] | None = None) -> list[keysend.Hop]:
    return [
        keysend.Hop(
            hop.node_id, int(hop.short_channel_id or 0), amounts[i] if amounts else hop.amount_msat, hop.cltv_delta
        )
        for i, hop in enumerate(given_route.hops)
    ]


def reference_onion(
    given_route: Route,
    records: Mapping[int, bytes],
    preimage: bytes,
    session_key: bytes,
    height: int = HEIGHT,
    amounts: list[int] | None = None,
) -> sphinx.Onion:
    """The keysend as the reference builds it."""
    payloads = keysend.payloads(reference_hops(given_route, amounts), preimage, records, height)
    ids = [hop.node_id for hop in given_route.hops]
    return sphinx.build(session_key, ids, payloads, sha256(preimage).digest())


# ---------------------------------------------------------------- against the reference

custom_types = st.one_of(
    st.sampled_from([65536, 696969, 7629169, 7629171, KEYSEND_TYPE - 1, KEYSEND_TYPE + 1, 2**64 - 1]),
    st.integers(65536, 2**64 - 1),
).filter(lambda t: t != KEYSEND_TYPE)
# integers around each step of tu64 and tu32
steps = [1 << 8 * i for i in range(8)]
amounts_msat = st.one_of(
    st.integers(1, 10**9), st.sampled_from([s + d for s in steps for d in (-1, 0, 1) if 0 < s + d <= MOST] + [MOST])
)
deltas = st.one_of(st.integers(0, 2016), st.sampled_from([0, 0xFF, 0xFFFF, 0xFFFFFF]))
heights = st.one_of(st.integers(0, 10**6), st.sampled_from([0, 254, 255, 65534, 65535, 2**24 - 1, 2**24, 2**31]))


@st.composite
def routes(draw: st.DrawFn, policies: bool = False) -> Route:
    hops = []
    for i in range(draw(st.integers(1, 5))):
        policy = (draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 2**32 - 1))) if policies else (None, None)
        scid = draw(st.integers(0, 2**64 - 1)) if i or draw(st.booleans()) else None
        hops.append(Hop(node_id(draw(st.integers(0, 30))), scid, draw(amounts_msat), draw(deltas), *policy))
    return Route(hops)


@settings(deadline=None, max_examples=40)
@given(st.data(), heights)
def test_differential(implementations: list[str], data: st.DataObject, height: int) -> None:
    """Batches of unlike payments: any amounts and expiries, records below and above the keysend's type."""
    payments, expected = [], []
    for _ in range(data.draw(st.integers(1, 4))):
        given_route = data.draw(routes())
        records = data.draw(st.dictionaries(custom_types, st.binary(max_size=60), max_size=4))
        preimage = data.draw(st.binary(min_size=32, max_size=32))
        session_key = secret(data.draw(st.integers(1, ORDER - 1)))
        payments.append(KeysendPayment(given_route, records, preimage=preimage, session_key=session_key))
        expected.append((reference_onion(given_route, records, preimage, session_key, height), preimage))
    for implementation in implementations:
        batch = build_keysends(payments, block_height=height, implementation=implementation)
        assert batch.ok, implementation
        for i, (onion, preimage) in enumerate(expected):
            assert batch[i].packet == onion.packet, implementation
            assert batch[i].payment_hash == sha256(preimage).digest()
            assert [bytes(batch.secrets[i].shared_secret(h)) for h in range(len(onion.hops))] == onion.shared_secrets
        assert bytes(batch.payment_hashes) == b"".join(sha256(p).digest() for _, p in expected)
        assert bytes(batch.preimages) == b"".join(p for _, p in expected)


def amounts_by_policy(given_route: Route, amount: int) -> list[int]:
    """BOLT 7, HTLC Fees, in exact integers, from the recipient backwards."""
    amounts = [amount]
    for hop in reversed(given_route.hops[1:]):
        assert hop.fee_base_msat is not None and hop.fee_ppm is not None
        amounts.insert(0, amounts[0] + hop.fee_base_msat + amounts[0] * hop.fee_ppm // 1_000_000)
    return amounts


@settings(deadline=None, max_examples=30)
@given(routes(policies=True), amounts_msat)
def test_another_amount_takes_the_fees_of_the_policies(
    implementations: list[str], given_route: Route, amount: int
) -> None:
    amounts = amounts_by_policy(given_route, amount)
    payment = KeysendPayment(given_route, amount_msat=amount, preimage=b"p" * 32, session_key=b"s" * 32)
    for implementation in implementations:
        batch = build_keysends([payment], block_height=HEIGHT, implementation=implementation)
        if max(amounts) > MOST:
            assert batch.status[0] == Status.AMOUNT
            continue
        expected = reference_onion(given_route, {}, b"p" * 32, b"s" * 32, amounts=amounts)
        assert batch[0].packet == expected.packet
        assert (batch[0].amount_msat, batch[0].first_amount_msat) == (amount, amounts[0])


def test_a_fee_is_rounded_down_once() -> None:
    """floor(amount * ppm / 10^6), by hop, with 128-bit intermediates."""
    given_route = route([1, 2, 3], base=999, ppm=4_294_967_295)
    amount = 200_000_000_001
    amounts = amounts_by_policy(given_route, amount)
    onion = build_keysend(given_route, block_height=HEIGHT, amount_msat=amount)
    assert onion.first_amount_msat == amounts[0]
    layer = peel_onion(onion.packet, privkey(1), onion.payment_hash)
    assert layer.payload[:2] == b"\2" + bytes([len(tlv.encode_tu(amounts[1], 8))])


@pytest.mark.parametrize(
    "amount", [1, 255, 256, 65535, 65536, 2**24 - 1, 2**24, 2**32 - 1, 2**32, 2**56 - 1, 2**56, MOST]
)
def test_extreme_amounts(implementation: str, amount: int) -> None:
    given_route = route([1, 2], [amount, amount])
    onion = build_keysend(
        given_route, block_height=HEIGHT, preimage=b"p" * 32, session_key=b"s" * 32, implementation=implementation
    )
    assert onion.packet == reference_onion(given_route, {}, b"p" * 32, b"s" * 32).packet
    assert onion.amount_msat == onion.first_amount_msat == amount


@pytest.mark.parametrize(
    ("height", "delta"),
    [
        (0, 0),
        (0, 254),
        (0, 255),
        (0, 65534),
        (0, 65535),
        (2**24 - 2, 0),
        (2**24 - 2, 1),
        (0, 2**32 - 2),
        (2**32 - 2, 0),
    ],
)
def test_extreme_expiries(implementation: str, height: int, delta: int) -> None:
    given_route = route([1, 2], deltas=[delta, delta])
    onion = build_keysend(
        given_route, block_height=height, preimage=b"p" * 32, session_key=b"s" * 32, implementation=implementation
    )
    assert onion.packet == reference_onion(given_route, {}, b"p" * 32, b"s" * 32, height).packet
    assert onion.cltv_expiry == onion.first_cltv_expiry == height + 1 + delta


def test_every_hop_reads_what_the_next_receives(implementation: str) -> None:
    """Peeled by the nodes: amount, expiry and channel of the following hop, then the recipient's own and the preimage."""
    given_route = route([4, 5, 6], [100_002, 100_001, 100_000], [120, 85, 45])
    records = {7629169: b'{"podcast":"x"}', KEYSEND_TYPE + 2: b"behind"}
    onion = build_keysend(given_route, records, block_height=HEIGHT, implementation=implementation)
    packet = onion.packet
    for hop in range(2):
        following = given_route.hops[hop + 1]
        layer = peel_onion(packet, privkey(4 + hop), onion.payment_hash, implementation=implementation)
        assert layer.payload == keysend.forward_payload(
            following.amount_msat, HEIGHT + 1 + following.cltv_delta, int(following.short_channel_id or 0)
        )
        packet = layer.next_packet or b""
    layer = peel_onion(packet, privkey(6), onion.payment_hash, implementation=implementation)
    assert layer.is_final
    claim = keysend.accept(layer.payload, onion.payment_hash, 100_000, HEIGHT + 46, HEIGHT)
    assert claim.preimage == bytes(onion.secrets.preimage)
    assert claim.records == records


def test_real_onions_of_core_lightning(implementation: str) -> None:
    """The onions of the recorded conversation, made again from route, records and secrets; two of them from getroutes."""
    checked = 0
    for scene in load_vector("cln-26.06-rpc")["scenes"]:
        attempt = scene.get("attempt")
        onions = [call["params"]["onion"] for call in scene["calls"] if "onion" in call["params"]]
        onions += [call["result"]["onion"] for call in scene["calls"] if call["method"] == "createonion"]
        if not attempt or not onions or "tampered" in scene["scene"]:
            continue
        preimage, session_key = bytes.fromhex(attempt["preimage"]), bytes.fromhex(attempt["session_key"])
        payloads = [bytes.fromhex(p) for p in attempt["payloads"]]
        given_route, records, height = route_of_payloads([bytes.fromhex(i) for i in attempt["node_ids"]], payloads)
        onion = build_keysend(
            given_route,
            records,
            block_height=height,
            preimage=preimage,
            session_key=session_key,
            implementation=implementation,
        )
        assert {onion.packet_hex} == set(onions), scene["scene"]
        assert [bytes(onion.secrets.shared_secret(h)).hex() for h in range(onion.n_hops)] == attempt["shared_secrets"]
        checked += 1
    assert checked >= 8


def route_of_payloads(ids: list[bytes], payloads: list[bytes]) -> tuple[Route, dict[int, bytes], int]:
    """The route that such payloads stand for: what hop i + 1 receives is what hop i is told to forward."""
    height = 1
    fields = [{r.type: r.value for r in tlv.read_records(p)} for p in payloads]
    told = [(int.from_bytes(f[2], "big"), int.from_bytes(f[4], "big"), f.get(6)) for f in fields]
    hops = [Hop(ids[0], None, told[0][0], told[0][1] - height - 1)]  # the first hop's own HTLC is not in any payload
    for node, (amount, cltv, scid) in zip(ids[1:], told, strict=False):
        hops.append(Hop(node, int.from_bytes(scid or b"", "big"), amount, cltv - height - 1))
    records = {t: v for t, v in fields[-1].items() if t >= 65536 and t != KEYSEND_TYPE}
    return Route(hops), records, height


# ---------------------------------------------------------------- the 1300 bytes


@pytest.mark.parametrize("hops", [1, 2, 3, 5, 8, 12, 20])
def test_budget_is_used_to_the_last_byte(implementation: str, hops: int) -> None:
    """The longest value that onion_budget allows builds, one byte more does not and says by how much."""
    given_route = route(list(range(hops)))
    for kept in ({}, {696969: b"x" * 20}):
        budget = onion_budget(given_route, kept)
        assert budget.used + budget.free == budget.total == 1300
        longest = budget.max_value_bytes(7629169)
        fits = {**kept, 7629169: bytes(longest)}
        onion = build_keysend(
            given_route,
            fits,
            block_height=HEIGHT,
            preimage=b"p" * 32,
            session_key=b"s" * 32,
            implementation=implementation,
        )
        assert onion.packet == reference_onion(given_route, fits, b"p" * 32, b"s" * 32).packet
        over = {**kept, 7629169: bytes(longest + 1)}
        with pytest.raises(OnionSizeError) as error:
            build_keysend(given_route, over, block_height=HEIGHT, implementation=implementation)
        assert error.value.offset == -onion_budget(given_route, over).free
        assert error.value.offset in (1, 2, 3)


def test_budgets_of_the_usual_sizes() -> None:
    """JSON bytes by nodes in the onion, for amounts of three bytes: derived from the frame sizes of BOLT 4."""
    for hops, json_only, with_custom_value in [(1, 1205, 1179), (3, 1099, 1073), (5, 993, 967), (12, 622, 596)]:
        given_route = route(list(range(hops)), [70_000] * hops)
        assert onion_budget(given_route).max_value_bytes(7629169) == json_only
        assert onion_budget(given_route, {696969: bytes(20)}).max_value_bytes(7629169) == with_custom_value


@given(st.integers(0, 1300), st.integers(65536, 2**64 - 1).filter(lambda t: t != KEYSEND_TYPE))
def test_max_value_bytes_is_exact(kept: int, type_: int) -> None:
    given_route = route([1, 2, 3])
    budget = onion_budget(given_route, {65536: bytes(kept)} if type_ != 65536 else None)
    longest = budget.max_value_bytes(type_)
    records = {65536: bytes(kept), type_: b""} if type_ != 65536 else {type_: b""}

    def free(length: int) -> int:
        return onion_budget(given_route, {**records, type_: bytes(length)}).free

    if longest >= 0:
        assert free(longest) >= 0
    assert free(longest + 1) < 0


def test_budget_of_what_cannot_be_built() -> None:
    assert onion_budget(route([1]), {65536: bytes(2000)}).free < 0
    with pytest.raises(AmountError):
        onion_budget(route([1, 2]), amount_msat=5)
    with pytest.raises(CltvError):
        onion_budget(route([1], deltas=[2**32 - 1]))


# ---------------------------------------------------------------- items that are wrong

GOOD = [
    KeysendPayment(route([i, i + 1, i + 2]), {7629169: b"%d" % i}, preimage=secret(1 + i), session_key=secret(77 + i))
    for i in range(9)
]
NO_POLICY = route([1, 2, 3])
BAD: dict[str, tuple[KeysendPayment, Status, type[OnionError], dict[str, Any]]] = {
    "node key": (
        KeysendPayment(Route([Hop(node_id(1), None, 5, 5), Hop(NOT_A_POINT, 1, 5, 5)])),
        Status.NODE_KEY,
        NodeKeyError,
        {"hop": 1},
    ),
    "session key": (KeysendPayment(NO_POLICY, session_key=bytes(32)), Status.SESSION_KEY, SessionKeyError, {"hop": 0}),
    "session key n": (
        KeysendPayment(NO_POLICY, session_key=secret(ORDER)),
        Status.SESSION_KEY,
        SessionKeyError,
        {"hop": 0},
    ),
    "amount without policy": (KeysendPayment(NO_POLICY, amount_msat=7), Status.AMOUNT, AmountError, {"hop": 2}),
    "amount of nothing": (KeysendPayment(route([1], [0])), Status.AMOUNT, AmountError, {"hop": 0}),
    "amount with fees above 2^63": (
        KeysendPayment(route([1, 2], base=1, ppm=0), amount_msat=MOST),
        Status.AMOUNT,
        AmountError,
        {"hop": 1},
    ),
    "expiry above 32 bits": (
        KeysendPayment(route([1, 2], deltas=[2**32 - 1, 40])),
        Status.CLTV,
        CltvError,
        {"hop": 0},
    ),
    "records too long": (
        KeysendPayment(NO_POLICY, {65536: bytes(1300)}),
        Status.ONION_SIZE,
        OnionSizeError,
        {"offset": 1300 + 5 + 3 + 2 - onion_budget(NO_POLICY).free},
    ),
    "route too long": (
        KeysendPayment(route([i % 5 for i in range(30)])),
        Status.ONION_SIZE,
        OnionSizeError,
        {"offset": -onion_budget(route([i % 5 for i in range(30)])).free},
    ),
}


@pytest.mark.parametrize("place", [0, 3, 8])
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_item_is_told_and_changes_no_other(implementation: str, kind: str, place: int) -> None:
    bad, status, error, facts = BAD[kind]
    expected = build_keysends(GOOD, block_height=HEIGHT, implementation=implementation)
    payments = [bad if i == place else payment for i, payment in enumerate(GOOD)]
    batch = build_keysends(payments, block_height=HEIGHT, implementation=implementation)
    assert batch.status.tolist() == [status if i == place else 0 for i in range(9)]
    packets, hashes = bytes(batch.packets), bytes(batch.payment_hashes)
    for i in range(9):
        packet, payment_hash = packets[1366 * i : 1366 * (i + 1)], hashes[32 * i : 32 * (i + 1)]
        if i == place:
            assert (packet, payment_hash) == (bytes(1366), bytes(32))
        else:
            assert (packet, payment_hash) == (expected[i].packet, expected[i].payment_hash)
    failed = batch.secrets[place]
    for value in (failed.session_key, failed.preimage, failed.shared_secrets):
        assert not any(bytes(value))
    with pytest.raises(error) as caught:
        batch[place]
    assert caught.value.index == place
    assert {name: getattr(caught.value, name) for name in facts} == facts


def test_no_channel_behind_the_first_hop() -> None:
    """A Route refuses it; the core does too, for whoever comes by another way."""
    ffi, api = _kernels.ffi, _kernels.lib.ksf_get_api()
    hops = ffi.new("ksf_hop[2]")
    for hop in hops:
        hop.amount_msat, hop.cltv_delta = 5, 5
        ffi.memmove(hop.node_id, node_id(1), 33)
    request = ffi.new("ksf_keysend_request *", {"hops": hops, "n_hops": 2})
    plan = ffi.new("ksf_keysend_plan *")
    api.keysend_plan(request, HEIGHT, 1300, plan)
    assert (plan.status.code, plan.status.hop) == (Status.NO_CHANNEL, 1)
    hops[1].has_channel = 1
    api.keysend_plan(request, HEIGHT, 1300, plan)
    assert plan.status.code == Status.OK
    for n_hops in (0, 401):
        request.n_hops = n_hops
        api.keysend_plan(request, HEIGHT, 1300, plan)
        assert plan.status.code == Status.NO_HOPS


# ---------------------------------------------------------------- columns


def columns(payments: list[tuple[int, int, bytes, bytes, bytes]], table: list[Route], **more: Any) -> Any:
    """(route id, amount, records, preimage, session key) of each payment."""
    offsets = [0]
    for payment in payments:
        offsets.append(offsets[-1] + len(payment[2]))
    n = len(payments)
    return build_keysends_columns(
        table,
        array.array("I", [p[0] for p in payments]),
        block_height=HEIGHT,
        amounts_msat=array.array("Q", [p[1] for p in payments]),
        records=b"".join(p[2] for p in payments),
        record_offsets=array.array("I", offsets),
        preimages=memoryview(b"".join(p[3] for p in payments)).cast("B", (n, 32)) if n else None,
        session_keys=memoryview(b"".join(p[4] for p in payments)).cast("B", (n, 32)) if n else None,
        **more,
    )


def test_columns_are_the_objects(implementation: str) -> None:
    rng = random.Random(4)
    table = [route(rng.sample(range(30), n), base=3, ppm=70) for n in (1, 2, 3, 5, 8)]
    rows = []
    for _ in range(100):
        records = (
            encode_records({rng.randrange(65536, 10**7): rng.randbytes(rng.randrange(60))})
            if rng.random() < 0.7
            else b""
        )
        amount = rng.choice([0, rng.randrange(1, 10**9)])
        rows.append((rng.randrange(5), amount, records, rng.randbytes(32), rng.randbytes(32)))
    objects = build_keysends(
        [
            KeysendPayment(table[r], records or None, amount_msat=amount or None, preimage=preimage, session_key=key)
            for r, amount, records, preimage, key in rows
        ],
        block_height=HEIGHT,
        implementation=implementation,
    )
    batch = columns(rows, table, implementation=implementation)
    assert batch.ok
    assert bytes(batch.packets) == bytes(objects.packets)
    assert bytes(batch.payment_hashes) == bytes(objects.payment_hashes)
    for i in (0, 50, 99):
        assert (batch[i].route, batch[i].amount_msat) == (objects[i].route, objects[i].amount_msat)
        assert (batch[i].first_amount_msat, batch[i].cltv_expiry) == (
            objects[i].first_amount_msat,
            objects[i].cltv_expiry,
        )


def test_columns_check_each_items_records(implementation: str) -> None:
    """A payment object refuses bad records when it is made; a column's are refused item by item."""
    bad = {
        b"\x01\x00": 1,  # not a custom type
        encode_records({65538: b"", 65540: b""})[::-1]: None,
        encode_records({65540: b""}) + encode_records({65538: b""}): 65538,  # not increasing
        encode_records({65540: b""}) * 2: 65540,
        encode_records({65540: b"abc"})[:-1]: 65540,  # runs out
        bytes.fromhex("ff0000000146c6616c00"): KEYSEND_TYPE,
        b"\xfd": None,
    }
    table = [route([1, 2, 3])]
    good = (0, 0, encode_records({65536: b"good"}), b"p" * 32, b"s" * 32)
    expected = columns([good], table)[0].packet
    for stream, type_ in bad.items():
        batch = columns([good, (0, 0, stream, b"p" * 32, b"s" * 32), good], table, implementation=implementation)
        assert batch.status.tolist() == [0, Status.TLV, 0]
        assert batch[0].packet == batch[2].packet == expected
        with pytest.raises(RecordError) as error:
            batch[1]
        if type_ is not None:
            assert error.value.type == type_


def test_columns_out_of_range_raise() -> None:
    table = [route([1, 2])]
    ids, amounts = array.array("I", [0, 0]), array.array("Q", [0, 0])
    offsets = array.array("I", [0, 4, 8])

    def call(**changed: Any) -> None:
        arguments = {"route_ids": ids, "amounts_msat": amounts, "records": bytes(8), "record_offsets": offsets}
        arguments |= changed
        build_keysends_columns(table, arguments.pop("route_ids"), block_height=HEIGHT, **arguments)

    for changed in (
        {"route_ids": array.array("I", [0, 1])},
        {"route_ids": array.array("I", [2**32 - 1, 0])},
        {"amounts_msat": array.array("Q", [0])},
        {"record_offsets": array.array("I", [0, 4])},
        {"record_offsets": array.array("I", [0, 9, 8])},
        {"record_offsets": array.array("I", [0, 4, 9])},
        {"record_offsets": array.array("I", [2**32 - 1, 4, 8])},
        {"records": None},
        {"record_offsets": None},
        {"preimages": memoryview(bytes(64)).cast("B", (1, 64))},
        {"preimages": memoryview(bytes(32)).cast("B", (1, 32))},
        {"session_keys": memoryview(bytes(96)).cast("B", (3, 32))},
        {"route_ids": array.array("Q", [0, 0])},
        {"route_ids": [0, 0]},
        {"amounts_msat": array.array("I", [0, 0])},
    ):
        with pytest.raises((ValueError, TypeError)):
            call(**changed)
    with pytest.raises(TypeError, match="route 0"):
        build_keysends_columns([5], ids, block_height=HEIGHT)
    assert build_keysends_columns(table, array.array("I"), block_height=HEIGHT).ok
    assert build_keysends_columns([], array.array("I"), block_height=HEIGHT).ok
    with pytest.raises(ValueError, match="item 0"):
        build_keysends_columns([], ids, block_height=HEIGHT)


def test_column_amounts_above_63_bits_are_told() -> None:
    batch = columns([(0, 2**63, b"", b"p" * 32, b"s" * 32), (0, 2**64 - 1, b"", b"p" * 32, b"s" * 32)], [route([1])])
    assert batch.status.tolist() == [Status.AMOUNT, Status.AMOUNT]


# ---------------------------------------------------------------- randomness


def test_secrets_are_made_by_the_batch() -> None:
    """Fresh for every onion and every call; each hash is its preimage's, each packet its session key's."""
    given_route = route([1, 2])
    seen: set[bytes] = set()
    for _ in range(3):
        batch = build_keysends([KeysendPayment(given_route)] * 50, block_height=HEIGHT)
        for onion in batch:
            secrets = onion.secrets
            assert onion.payment_hash == sha256(secrets.preimage).digest()
            expected = (
                reference_onion(given_route, {}, bytes(secrets.preimage), bytes(secrets.session_key))
                if onion.index == 0
                else None
            )
            assert expected is None or onion.packet == expected.packet
            seen |= {bytes(secrets.preimage), bytes(secrets.session_key)}
    assert len(seen) == 300
    assert abs(sum(bin(int.from_bytes(s, "big")).count("1") for s in seen) / (300 * 256) - 0.5) < 0.01


def test_given_secrets_mix_with_made_ones() -> None:
    given_route = route([1, 2])
    batch = build_keysends(
        [
            KeysendPayment(given_route, preimage=b"p" * 32),
            KeysendPayment(given_route),
            KeysendPayment(given_route, session_key=b"s" * 32),
            KeysendPayment(given_route, preimage=b"q" * 32, session_key=b"t" * 32),
        ],
        block_height=HEIGHT,
    )
    preimages = [bytes(o.secrets.preimage) for o in batch]
    keys = [bytes(o.secrets.session_key) for o in batch]
    assert (preimages[0], preimages[3], keys[2], keys[3]) == (b"p" * 32, b"q" * 32, b"s" * 32, b"t" * 32)
    assert len({*preimages, *keys}) == 8


# ---------------------------------------------------------------- buffers


def test_out_takes_the_packets(implementation: str) -> None:
    expected = bytes(build_keysends(GOOD, block_height=HEIGHT).packets)
    for out in (bytearray(9 * 1366), memoryview(bytearray(b"\xa5" * 9 * 1366)), array.array("B", bytes(9 * 1366))):
        batch = build_keysends(GOOD, block_height=HEIGHT, implementation=implementation, out=out)
        assert bytes(out) == expected
        assert bytes(batch.packets) == expected
        del batch
        assert bytes(out) == expected  # the caller's: still there without the batch


def test_a_batch_keeps_its_out_from_moving() -> None:
    out = bytearray(9 * 1366)
    batch = build_keysends(GOOD, block_height=HEIGHT, out=out)
    with pytest.raises(BufferError):
        out.extend(b"more")
    del batch
    out.extend(b"more")


@pytest.mark.parametrize(
    ("out", "error"),
    [
        (bytearray(9 * 1366 - 1), ValueError),
        (bytearray(9 * 1366 + 1), ValueError),
        (bytearray(), ValueError),
        (bytes(9 * 1366), BufferError),
        (memoryview(bytearray(2 * 9 * 1366))[::2], BufferError),
        ("text", TypeError),
        (7, TypeError),
    ],
)
def test_unusable_out_raises(out: Any, error: type[Exception]) -> None:
    """Every time anew: what the failed call had made is freed once."""
    for _ in range(30):
        with pytest.raises(error):
            build_keysends(GOOD, block_height=HEIGHT, out=out)


def test_misuse_leaves_out_alone() -> None:
    out = bytearray(b"\xa5" * 9 * 1366)
    for arguments in ({"threads": 0}, {"implementation": "mmx"}, {"hop_tables": 5}, {"block_height": -1}):
        with pytest.raises((ValueError, TypeError)):
            build_keysends(GOOD, **({"block_height": HEIGHT, "out": out} | arguments))
    with pytest.raises(TypeError):
        build_keysends([*GOOD[:8], None], block_height=HEIGHT, out=out)
    assert bytes(out) == b"\xa5" * 9 * 1366


def test_numpy_sees_the_batch_itself() -> None:
    numpy = pytest.importorskip("numpy")
    batch = build_keysends(GOOD, block_height=HEIGHT)
    packets, hashes = numpy.asarray(batch.packets), numpy.asarray(batch.payment_hashes)
    assert (packets.shape, packets.dtype, packets.flags.writeable) == ((9, 1366), numpy.uint8, False)
    assert (hashes.shape, hashes.dtype) == ((9, 32), numpy.uint8)
    assert numpy.shares_memory(packets, numpy.asarray(batch.packets))
    status = numpy.asarray(batch.status)
    assert (status.shape, status.dtype) == ((9,), numpy.uint16)
    assert packets[4].tobytes() == batch[4].packet
    del batch
    assert packets[4, 0] == 0  # the view keeps the memory alive
    out = numpy.zeros((9, 1366), numpy.uint8)
    build_keysends(GOOD, block_height=HEIGHT, out=out)
    assert numpy.array_equal(out, packets)


# ---------------------------------------------------------------- payments and calls


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"route": None}, TypeError),
        ({"route": [Hop(node_id(1), None, 1, 1)]}, TypeError),
        ({"amount_msat": 0}, ValueError),
        ({"amount_msat": -5}, ValueError),
        ({"amount_msat": 2**63}, ValueError),
        ({"amount_msat": 1.5}, ValueError),
        ({"amount_msat": True}, ValueError),
        ({"preimage": bytes(31)}, ValueError),
        ({"preimage": "p" * 32}, TypeError),
        ({"session_key": bytes(33)}, ValueError),
        ({"records": {5: b""}}, TlvError),
        ({"records": {KEYSEND_TYPE: bytes(32)}}, TlvError),
        ({"records": {65536: "text"}}, TlvError),
        ({"records": 5}, TypeError),
    ],
)
def test_bad_payments_raise(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        KeysendPayment(**({"route": route([1])} | arguments))


def test_a_payment_tells_its_facts() -> None:
    payment = KeysendPayment(route([1, 2]), {65536: b"ab"}, preimage=b"\xab" * 32, session_key=b"\xcd" * 32)
    assert (payment.amount_msat, payment.records) == (100_000, encode_records({65536: b"ab"}))
    assert KeysendPayment(route([1]), amount_msat=5).amount_msat == 5
    assert KeysendPayment(route([1])).records == b""
    assert "abab" not in repr(payment) and "cdcd" not in repr(payment)


@pytest.mark.parametrize(
    ("height", "error"), [(-1, ValueError), (2**32, ValueError), (1.0, TypeError), (None, TypeError), (True, TypeError)]
)
def test_bad_heights_raise(height: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="block_height"):
        build_keysends(GOOD, block_height=height)


def test_items_that_are_no_payments_raise() -> None:
    for items in ([5], [None], ["text"], [GOOD[0], route([1])]):
        with pytest.raises(TypeError, match="not a KeysendPayment"):
            build_keysends(items, block_height=HEIGHT)  # type: ignore[arg-type]


def test_any_iterable_is_read_once() -> None:
    expected = bytes(build_keysends(GOOD, block_height=HEIGHT).packets)
    for items in (GOOD, tuple(GOOD), iter(GOOD), (payment for payment in GOOD), dict.fromkeys(GOOD)):
        assert bytes(build_keysends(items, block_height=HEIGHT).packets) == expected

    def fails() -> Any:
        yield GOOD[0]
        raise RuntimeError("from the caller")

    with pytest.raises(RuntimeError, match="from the caller"):
        build_keysends(fails(), block_height=HEIGHT)


def test_the_empty_batch() -> None:
    batch = build_keysends([], block_height=HEIGHT, out=bytearray())
    assert (len(batch), batch.ok, bytes(batch.packets), bytes(batch.payment_hashes)) == (0, True, b"", b"")


def test_facts_of_an_onion() -> None:
    batch = build_keysends(GOOD, block_height=HEIGHT)
    onion = batch[2]
    hops = GOOD[2].route.hops
    assert (onion.n_hops, onion.index, onion.block_height, onion.route) == (3, 2, HEIGHT, GOOD[2].route)
    assert (onion.first_amount_msat, onion.amount_msat) == (hops[0].amount_msat, hops[2].amount_msat)
    assert (onion.first_cltv_expiry, onion.cltv_expiry) == (
        HEIGHT + 1 + hops[0].cltv_delta,
        HEIGHT + 1 + hops[2].cltv_delta,
    )
    assert onion.packet_hex == onion.packet.hex()
    assert json.dumps(onion.packet_hex)
    del batch
    assert onion.packet[0] == 0  # a view keeps its batch alive
