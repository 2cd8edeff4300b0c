"""The primitives over cffi: against hashlib, hmac, an RFC and the reference, on every implementation."""

from __future__ import annotations

import hashlib
import hmac
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keysend_fast import _kernels, _native, kernels
from keysend_fast.status import Status
from tests.implementations import runnable
from tests.nodes import NOT_A_POINT, ORDER, node_id, privkey, secret
from tests.reference import bigsize, chacha20, secp256k1, tlv
from tests.support import load_vector

ffi, api = _kernels.ffi, _kernels.lib.ksf_get_api()
EDGES = [1, 2, 3, 7, 8, 15, 16, 1 << 64, 1 << 128, (1 << 128) - 1, 1 << 255, (1 << 256) - (1 << 32)]
EDGES += [ORDER - 1, ORDER - 2, ORDER // 2, ORDER // 2 + 1, ORDER // 3]
EDGES = [e for e in EDGES if 0 < e < ORDER]

# ---------------------------------------------------------------- points


def check_points(implementation: str, scalars: list[int], ids: list[bytes]) -> None:
    """All three products against the reference, status and all."""
    keys = [secret(s) for s in scalars]
    mul = kernels.point_mul_many(keys, ids, implementation=implementation)
    shared = kernels.ecdh_many(keys, ids, implementation=implementation)
    base = kernels.base_mul_many(keys, implementation=implementation)
    for i, (scalar, public_key) in enumerate(zip(scalars, ids, strict=True)):
        if not 0 < scalar < ORDER:
            assert (base.status[i], base.values[i]) == (Status.SCALAR, bytes(33))
        else:
            assert (base.status[i], base.values[i]) == (Status.OK, secp256k1.public_key(keys[i]))
        try:
            secp256k1.parse(public_key)
        except ValueError:
            assert (mul.status[i], shared.status[i]) == (Status.POINT, Status.POINT)
        else:
            if 0 < scalar < ORDER:
                point = secp256k1.tweak_public(public_key, keys[i])
                assert (mul.status[i], mul.values[i]) == (Status.OK, point)
                assert (shared.status[i], shared.values[i]) == (Status.OK, hashlib.sha256(point).digest())
                continue
            assert (mul.status[i], shared.status[i]) == (Status.SCALAR, Status.SCALAR)
        assert mul.values[i] == bytes(33)
        assert shared.values[i] == bytes(32)


def test_edge_scalars_times_edge_points(implementation: str) -> None:
    """Scalars that recodings treat apart, times G, -G, 2G and a random point."""
    points = [secp256k1.public_key(secret(k)) for k in (1, ORDER - 1, 2, ORDER // 2)] + [node_id(0)]
    pairs = [(scalar, point) for scalar in EDGES for point in points]
    check_points(implementation, [s for s, _ in pairs], [p for _, p in pairs])


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 31, 127, 128, 129, 300])
def test_point_counts(implementation: str, n: int) -> None:
    rng = random.Random(n)
    scalars = [rng.randrange(1, ORDER) for _ in range(n)]
    ids = [node_id(rng.randrange(20)) for _ in range(n)]
    mine = kernels.point_mul_many([secret(s) for s in scalars], ids, implementation=implementation)
    assert mine == kernels.point_mul_many([secret(s) for s in scalars], ids, implementation="libsecp256k1")
    base = kernels.base_mul_many([secret(s) for s in scalars], implementation=implementation)
    assert base == kernels.base_mul_many([secret(s) for s in scalars], implementation="libsecp256k1")


def test_bad_items_change_no_other(implementation: str) -> None:
    """Scalars out of range and points off the curve, in each lane of a group of eight in turn."""
    bad_scalars = [0, ORDER, ORDER + 1, 2**256 - 1]
    bad_points = [NOT_A_POINT, b"\2" + b"\xff" * 32, bytes(33), b"\4" + node_id(0)[1:], b"\0" + node_id(0)[1:]]
    for lane in range(9):
        scalars = [1000 + lane + i for i in range(9)]
        ids = [node_id(i) for i in range(9)]
        check_points(implementation, [*scalars[:lane], bad_scalars[lane % 4], *scalars[lane + 1 :]], ids)
        check_points(implementation, scalars, [*ids[:lane], bad_points[lane % 5], *ids[lane + 1 :]])
    check_points(implementation, [0] * 9, ids)
    check_points(implementation, scalars, [NOT_A_POINT] * 9)


@settings(deadline=None, max_examples=15)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(0, 2**256 - 1), st.sampled_from(EDGES), st.integers(0, 300)), st.integers(0, 30)
        ),
        max_size=12,
    )
)
def test_points_differential(implementations: list[str], pairs: list[tuple[int, int]]) -> None:
    for implementation in implementations:
        check_points(implementation, [s for s, _ in pairs], [node_id(i) for _, i in pairs])


def test_many_points_agree_with_libsecp256k1(implementation: str) -> None:
    """The short form of the long differential run: 2,000 random products."""
    rng = random.Random(2000)
    keys = rng.randbytes(32 * 2000)
    ids = [node_id(rng.randrange(40)) for _ in range(2000)]
    mine = kernels.ecdh_many(keys, ids, implementation=implementation)
    assert mine == kernels.ecdh_many(keys, ids, implementation="libsecp256k1")
    assert set(mine.status) == {Status.OK}


# ---------------------------------------------------------------- hashes and streams

HASHES = runnable("sha256")
CIPHERS = runnable("chacha20")


@pytest.mark.parametrize("name", HASHES)
def test_sha256_of_every_length(name: str) -> None:
    messages = [bytes((i * j) & 255 for j in range(i)) for i in range(300)]
    for chunk in (messages, messages[::-1], messages[55:57] * 9, [b""] * 17):
        expected = [hashlib.sha256(m).digest() for m in chunk]
        assert kernels.sha256_many(chunk, implementation=f"sha256={name}") == expected


@pytest.mark.parametrize("name", HASHES)
@pytest.mark.parametrize("n", [0, 1, 3, 4, 5, 15, 16, 17, 33])
def test_sha256_of_equal_lengths(name: str, n: int) -> None:
    """Equal neighbours run side by side: every count of lanes and remainder, around the padding's block edges."""
    rng = random.Random(n)
    for length in (0, 1, 31, 32, 33, 55, 56, 63, 64, 65, 119, 120, 128, 1332):
        messages = [rng.randbytes(length) for _ in range(n)]
        expected = [hashlib.sha256(m).digest() for m in messages]
        assert kernels.sha256_many(messages, implementation=f"sha256={name}") == expected


@pytest.mark.parametrize("name", HASHES)
def test_hmac_sha256(name: str) -> None:
    rng = random.Random(1)
    keys, messages = [], []
    for key_length in (0, 1, 31, 32, 33, 63, 64, 65, 100):
        for length in (0, 1, 32, 55, 56, 64, 65, 1332):
            keys.append(rng.randbytes(key_length))
            messages.append(rng.randbytes(length))
    keys += [rng.randbytes(32) for _ in range(35)]
    messages += [rng.randbytes(1332) for _ in range(35)]
    expected = [hmac.digest(k, m, "sha256") for k, m in zip(keys, messages, strict=True)]
    assert kernels.hmac_sha256_many(keys, messages, implementation=f"sha256={name}") == expected


def test_chacha20_of_rfc_8439(symmetric: str) -> None:
    """Appendix A.1, test vectors 1 and 2: blocks 0 and 1 of the key of zeros."""
    block_0 = (
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
        "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
    )
    block_1 = (
        "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
        "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"
    )
    (stream,) = kernels.chacha20_stream_many([bytes(32)], 128, implementation=symmetric)
    assert stream.hex() == block_0 + block_1


@pytest.mark.parametrize("name", CIPHERS)
@pytest.mark.parametrize("n", [0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 70])
def test_chacha20_streams(name: str, n: int) -> None:
    rng = random.Random(n)
    for length in (0, 1, 63, 64, 65, 255, 256, 511, 512, 513, 1023, 1024, 1025, 1300, 2600):
        keys = [rng.randbytes(32) for _ in range(n)]
        streams = kernels.chacha20_stream_many(keys, length, implementation=f"chacha20={name}")
        assert len(streams) == n
        if n <= 5:
            assert streams == [chacha20.stream(key, length) for key in keys]
        else:
            assert streams == kernels.chacha20_stream_many(keys, length, implementation="chacha20=portable")


@pytest.mark.parametrize("name", CIPHERS)
@pytest.mark.parametrize("length", [0, 1, 64, 1000, 4096, 100_001])
def test_one_long_stream(name: str, length: int) -> None:
    """What a batch's secrets come from."""
    suite = ffi.cast("const ksf_suite *", _native.suite_address(f"chacha20={name}"))
    out = ffi.new("uint8_t[]", length + 64)
    ffi.memmove(out, b"\xa5" * (length + 64), length + 64)
    api.chacha20_stream(suite, out, length, bytes(range(32)))
    stream = bytes(ffi.buffer(out, length + 64))
    assert stream[length:] == b"\xa5" * 64
    assert stream[:length] == chacha20.stream(bytes(range(32)), length)


# ---------------------------------------------------------------- TLV and BigSize in C


def read_bigsize(data: bytes) -> tuple[int, int, int]:
    """(length used, value, reason) of the core's reader."""
    value, reason = ffi.new("uint64_t *"), ffi.new("int *")
    held = ffi.new("uint8_t[]", data)
    return api.bigsize_read(held, len(data), value, reason), value[0], reason[0]


@pytest.mark.parametrize("case", load_vector("bolt01-bigsize-test")["decode"], ids=lambda c: c["name"])
def test_bigsize_decoding_vectors(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["bytes"])
    used, value, reason = read_bigsize(data)
    if "exp_error" in case:
        assert used == 0
        assert reason == (2 if "canonical" in case["exp_error"] else 1)
    else:
        assert (used, value, reason) == (len(data), case["value"], 0)
        for end in range(len(data)):
            assert read_bigsize(data[:end])[::2] == (0, 1)


@pytest.mark.parametrize("case", load_vector("bolt01-bigsize-test")["encode"], ids=lambda c: c["name"])
def test_bigsize_encoding_vectors(case: dict[str, Any]) -> None:
    out = ffi.new("uint8_t[9]")
    used = api.bigsize_write(out, case["value"])
    assert bytes(ffi.buffer(out, used)).hex() == case["bytes"]


@given(
    st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 70000), st.integers(2**32 - 3, 2**32 + 3)),
    st.binary(max_size=3),
)
def test_bigsize_differential(value: int, rest: bytes) -> None:
    out = ffi.new("uint8_t[9]")
    encoded = bytes(ffi.buffer(out, api.bigsize_write(out, value)))
    assert encoded == bigsize.encode(value)
    assert read_bigsize(encoded + rest) == (len(encoded), value, 0)


TLV = load_vector("bolt01-tlv-test")


def reference_scan(stream: bytes) -> list[tuple[int, int, int]] | tuple[int, int]:
    """(type, offset of the value, length) of each record, or (offset, type) of the one at fault."""
    try:
        records = tlv.read_records(stream)
    except tlv.TlvError as error:
        return error.offset, error.type or 0
    found = []
    for record in records:
        head = len(bigsize.encode(record.type)) + len(bigsize.encode(len(record.value)))
        found.append((record.type, record.offset + head, len(record.value)))
    return found


def check_scan(stream: bytes) -> None:
    (scan,) = kernels.tlv_scan_many([stream])
    expected = reference_scan(stream)
    if isinstance(expected, tuple):
        assert scan.status is Status.TLV
        assert (scan.offset, scan.type) == expected
        assert scan.records == []
    else:
        assert scan == (expected, Status.OK, 0, 0)


@pytest.mark.parametrize("case", TLV["failures"], ids=lambda c: f"{c['stream'][:20]} {c.get('note', '')}")
def test_tlv_failure_vectors(case: dict[str, Any]) -> None:
    """As the reference says: the format's failures fail, those of a namespace's meaning are not the scanner's."""
    check_scan(bytes.fromhex(case["stream"]))


@pytest.mark.parametrize("case", TLV["successes"], ids=lambda c: c["stream"][:40])
def test_tlv_success_vectors(case: dict[str, Any]) -> None:
    check_scan(bytes.fromhex(case["stream"]))
    (scan,) = kernels.tlv_scan_many([bytes.fromhex(case["stream"])])
    assert scan.status is Status.OK


@given(st.binary(max_size=40))
def test_tlv_scan_of_noise(stream: bytes) -> None:
    check_scan(stream)


@given(
    st.lists(st.tuples(st.one_of(st.integers(0, 300), st.integers(0, 2**64 - 1)), st.binary(max_size=300)), max_size=6),
    st.data(),
)
def test_tlv_scan_of_streams(records: list[tuple[int, bytes]], data: st.DataObject) -> None:
    """In order or not, whole or cut."""
    if data.draw(st.booleans()):
        records = sorted(dict(records).items())
    stream = b"".join(bigsize.encode(t) + bigsize.encode(len(v)) + v for t, v in records)
    check_scan(stream[: data.draw(st.integers(0, len(stream)))])
    check_scan(stream)


def test_scan_of_several_streams() -> None:
    good, bad = bytes.fromhex("0100"), bytes.fromhex("01000100")
    scans = kernels.tlv_scan_many([good, bad, b"", good])
    assert [scan.status for scan in scans] == [Status.OK, Status.TLV, Status.OK, Status.OK]
    assert (scans[1].offset, scans[1].type) == (2, 1)


# ---------------------------------------------------------------- small things of the table


def test_scalar_valid() -> None:
    for value, valid in [(0, 0), (1, 1), (ORDER - 1, 1), (ORDER, 0), (ORDER + 1, 0), (2**256 - 1, 0), (1 << 255, 1)]:
        assert api.scalar_valid(secret(value)) == valid, hex(value)


def test_equal() -> None:
    a = bytes(range(64))
    for n in (0, 1, 31, 32, 64):
        assert api.equal(a, bytes(a), n) == 1
    for i in range(64):
        b = bytearray(a)
        b[i] ^= 1 << i % 8
        assert api.equal(a, bytes(b), 64) == 0


@given(st.binary(max_size=400))
def test_hex_encode(data: bytes) -> None:
    out = ffi.new("char[]", 2 * len(data) + 1)
    api.hex_encode(out, data, len(data))
    assert ffi.unpack(out, 2 * len(data)).decode() == data.hex()


def test_wipe() -> None:
    memory = ffi.new("uint8_t[]", b"\xff" * 70)
    api.wipe(memory + 3, 60)
    assert bytes(ffi.buffer(memory, 70)) == b"\xff" * 3 + bytes(60) + b"\xff" * 7


# ---------------------------------------------------------------- the calls


def test_rows_may_be_one_buffer_or_many() -> None:
    keys = [privkey(i) for i in range(3)]
    ids = [node_id(i) for i in range(3, 6)]
    expected = kernels.ecdh_many(keys, ids)
    assert kernels.ecdh_many(b"".join(keys), bytearray(b"".join(ids))) == expected
    assert kernels.ecdh_many(memoryview(b"".join(keys)).cast("B", (3, 32)), iter(ids)) == expected


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: kernels.ecdh_many([privkey(0)], []), ValueError),
        (lambda: kernels.ecdh_many([privkey(0)[:31]], [node_id(0)]), ValueError),
        (lambda: kernels.ecdh_many([privkey(0)], [node_id(0)[:32]]), ValueError),
        (lambda: kernels.ecdh_many(bytes(33), node_id(0)), ValueError),
        (lambda: kernels.base_mul_many(["aa"]), TypeError),
        (lambda: kernels.base_mul_many([privkey(0)], implementation="mmx"), ValueError),
        (lambda: kernels.chacha20_stream_many([bytes(31)], 5), ValueError),
        (lambda: kernels.chacha20_stream_many([bytes(32)], -1), ValueError),
        (lambda: kernels.hmac_sha256_many([b""], []), ValueError),
        (lambda: kernels.sha256_many(["text"]), TypeError),
        (lambda: kernels.tlv_scan_many(["text"]), TypeError),
    ],
)
def test_misuse_raises(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call()
