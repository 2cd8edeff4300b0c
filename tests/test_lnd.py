"""LND's requests: the mapping of amounts, expiries and channels, and the way back through ``Route.from_lnd``."""

import base64
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keysend_fast import Hop, Route
from keysend_fast.errors import InputError, RouteError, TlvError
from keysend_fast.payer.lnd import route_json, sendtoroute

KEYS = [bytes([2 + i % 2]) + hashlib.sha256(bytes([i])).digest() for i in range(8)]
PREIMAGE = b"\7" * 32


def test_a_route_of_three_hops_field_by_field() -> None:
    route = Route(
        [
            Hop(KEYS[0], "800000x1x0", 10_300, 125),
            Hop(KEYS[1], "800001x2x1", 10_100, 85),
            Hop(KEYS[2], "800002x3x2", 10_000, 45),
        ]
    )
    scids = [str((800_000 + i) << 40 | (i + 1) << 16 | i) for i in range(3)]
    made = sendtoroute(route, PREIMAGE, {7_629_169: b"{}", 696_969: b"w"}, block_height=900_000)
    assert made == {
        "payment_hash": base64.b64encode(hashlib.sha256(PREIMAGE).digest()).decode(),
        "skip_temp_err": True,
        "route": {
            "total_time_lock": 900_126,
            "total_amt_msat": "10300",
            "total_fees_msat": "300",
            "hops": [
                {
                    "chan_id": scids[0],
                    "pub_key": KEYS[0].hex(),
                    "amt_to_forward_msat": "10100",
                    "fee_msat": "200",
                    "expiry": 900_086,
                    "tlv_payload": True,
                },
                {
                    "chan_id": scids[1],
                    "pub_key": KEYS[1].hex(),
                    "amt_to_forward_msat": "10000",
                    "fee_msat": "100",
                    "expiry": 900_046,
                    "tlv_payload": True,
                },
                {
                    "chan_id": scids[2],
                    "pub_key": KEYS[2].hex(),
                    "amt_to_forward_msat": "10000",
                    "fee_msat": "0",
                    "expiry": 900_046,
                    "tlv_payload": True,
                    "custom_records": {
                        "696969": base64.b64encode(b"w").decode(),
                        "7629169": base64.b64encode(b"{}").decode(),
                        "5482373484": base64.b64encode(PREIMAGE).decode(),
                    },
                },
            ],
        },
    }
    json.dumps(made)


@given(
    st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 10**6), st.integers(0, 2000)), min_size=1, max_size=8),
    st.integers(1, 10**12),
    st.integers(1, 10**6),
)
def test_lnd_reads_back_what_was_meant(steps: list[tuple[int, int, int]], amount: int, height: int) -> None:
    hops: list[Hop] = []
    delta = 45
    for place, (scid, fee, more) in enumerate(steps):
        hops.insert(0, Hop(KEYS[place], scid, amount, delta))
        amount, delta = amount + fee, delta + more
    route = Route(hops)
    assert Route.from_lnd(json.loads(json.dumps(route_json(route, {}, block_height=height))), height) == route


def test_the_routes_method_is_the_function() -> None:
    route = Route([Hop(KEYS[0], 1, 1_000, 45)])
    made = route.to_lnd_sendtoroute(PREIMAGE, {696_969: b"w"}, block_height=9, skip_temp_err=False)
    assert made == sendtoroute(route, PREIMAGE, {696_969: b"w"}, block_height=9, skip_temp_err=False)
    assert made["skip_temp_err"] is False


def test_refusals() -> None:
    route = Route([Hop(KEYS[0], None, 1_000, 45)])
    with pytest.raises(RouteError) as caught:
        sendtoroute(route, PREIMAGE, block_height=1)
    assert caught.value.hop == 0
    good = Route([Hop(KEYS[0], 1, 1_000, 45)])
    with pytest.raises(InputError, match="32 bytes"):
        sendtoroute(good, PREIMAGE[1:], block_height=1)
    with pytest.raises(TlvError):
        sendtoroute(good, PREIMAGE, {5_482_373_484: PREIMAGE}, block_height=1)
    with pytest.raises(TlvError):
        sendtoroute(good, PREIMAGE, {7: b""}, block_height=1)
    assert set(sendtoroute(good, PREIMAGE, block_height=1)["route"]["hops"][0]["custom_records"]) == {"5482373484"}
