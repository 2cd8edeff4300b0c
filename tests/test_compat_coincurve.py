"""keysend_fast.compat.coincurve_ecdh against coincurve, one call at a time."""

from __future__ import annotations

from random import Random

import coincurve
import pytest

from keysend_fast.compat.coincurve_ecdh import base_mul_many, ecdh_many, point_mul_many
from keysend_fast.status import Status


@pytest.fixture(params=[pytest.param(60, id="short"), pytest.param(1000, id="long", marks=pytest.mark.long)])
def keys(request: pytest.FixtureRequest) -> tuple[list[coincurve.PrivateKey], list[coincurve.PublicKey]]:
    random = Random("coincurve")
    privkeys = [coincurve.PrivateKey(b"\1" + random.randbytes(31)) for _ in range(request.param)]
    return privkeys, [key.public_key for key in reversed(privkeys)]


def test_objects_and_bytes_give_what_coincurve_gives(
    keys: tuple[list[coincurve.PrivateKey], list[coincurve.PublicKey]], implementation: str
) -> None:
    privkeys, pubkeys = keys
    scalars, points = [key.secret for key in privkeys], [key.format() for key in pubkeys]
    secrets = [key.ecdh(point) for key, point in zip(privkeys, points, strict=True)]
    products = [point.multiply(scalar).format() for scalar, point in zip(scalars, pubkeys, strict=True)]
    for k, p in (
        (privkeys, pubkeys),
        (scalars, points),
        (privkeys, points),
        ([bytearray(s) for s in scalars], tuple(pubkeys)),
    ):
        assert ecdh_many(iter(k), iter(p), implementation=implementation).values == secrets
        assert point_mul_many(k, p, implementation=implementation).values == products
        assert base_mul_many(k, implementation=implementation).values == [key.public_key.format() for key in privkeys]


def test_short_scalars_are_padded_as_coincurve_does() -> None:
    point = coincurve.PrivateKey(b"\7" * 32).public_key
    for scalar in (b"\1", b"\x12\x34", bytes(20) + b"\5"):
        assert point_mul_many([scalar], [point]).values == [point.multiply(scalar).format()]
        assert base_mul_many([scalar]).values == [coincurve.PrivateKey(scalar).public_key.format()]


def test_a_bad_pair_is_a_status_and_changes_no_other(implementation: str) -> None:
    key = coincurve.PrivateKey(b"\7" * 32)
    scalars = [key, bytes(32), key, b"\xff" * 32, key]
    points = [key.public_key, key.public_key, b"\x02" + b"\xff" * 32, key.public_key, key.public_key.format()]
    found = ecdh_many(scalars, points, implementation=implementation)
    assert found.status == [Status.OK, Status.SCALAR, Status.POINT, Status.SCALAR, Status.OK]
    expected = key.ecdh(key.public_key.format())
    assert found.values == [expected, bytes(32), bytes(32), bytes(32), expected]


def test_misuse() -> None:
    key = coincurve.PrivateKey(b"\7" * 32)
    assert ecdh_many([], []).values == []
    for scalars, points in (([7], [key.public_key]), ([None], [key.public_key]), ([key], ["02"]), ([key], [None])):
        with pytest.raises(TypeError):
            ecdh_many(scalars, points)
    for scalars, points in (([key], []), ([bytes(33)], [key.public_key]), ([key], [key.public_key.format(False)])):
        with pytest.raises(ValueError):
            ecdh_many(scalars, points)
