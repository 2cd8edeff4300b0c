"""keysend_fast.compat.pyln against pyln-proto, byte by byte and exception by exception, and against BOLT 4's vector."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import coincurve
import pytest

from benchmarks import compat_environments as environments
from benchmarks.compat_environments import Worker
from keysend_fast import OnionError, _single
from keysend_fast.compat import pyln
from keysend_fast.onion import HopTables, peel_onion
from tests.compat import pyln_cases
from tests.support import load_vector

SHORT, LONG = 60, 1000
VECTOR = load_vector("bolt04-onion-test")


def vector_path() -> dict[str, Any]:
    given = VECTOR["generate"]
    return {
        "public_keys": [hop["pubkey"] for hop in given["hops"]],
        "payloads": [hop["payload"] for hop in given["hops"]],
        "assocdata": given["associated_data"],
        "session_key": given["session_key"],
    }


def compiled(case: dict[str, Any], **kinds: Any) -> pyln.RoutingOnion:
    """The case's onion; kinds: how keys are given."""
    point = kinds.get("point", pyln.PublicKey)
    secret = kinds.get("secret", pyln.Secret)
    hops = [
        pyln.SphinxHop(point(bytes.fromhex(key)), bytes.fromhex(payload))
        for key, payload in zip(case["public_keys"], case["payloads"], strict=True)
    ]
    data = case["assocdata"]
    return pyln.SphinxPath(
        hops, None if data is None else bytes.fromhex(data), secret(bytes.fromhex(case["session_key"]))
    ).compile()


# ---------------------------------------------------------------- against pyln-proto


@pytest.fixture(scope="module")
def workers() -> Iterator[tuple[Worker, Worker]]:
    """pyln-proto, and ours in its environment: with its key classes and the coincurve that it brings."""
    command = environments.pyln()
    if isinstance(command, str):
        pytest.skip(f"pyln-proto is not available: {command}")
    with (
        Worker(command, "tests.compat.pyln_worker", "real") as real,
        Worker(command, "tests.compat.pyln_worker", "ours") as ours,
    ):
        yield real, ours


def agree(real: Any, ours: Any, case: Any) -> None:
    """The same answer, or an exception that whoever caught pyln-proto's catches, too."""
    if "error" in real:
        assert real["error"][0] in ours.get("error", []), (case, real, ours)
    else:
        assert real == ours, case


CASES = [pytest.param(SHORT, id="short"), pytest.param(LONG, id="long", marks=pytest.mark.long)]


@pytest.mark.parametrize("n", CASES)
def test_paths_are_those_of_pyln_proto_but_for_the_filler(workers: tuple[Worker, Worker], n: int) -> None:
    random = Random(f"compile {n}")
    faulty = 0
    for _ in range(n):
        case = pyln_cases.path(random)
        made = workers[0].ask({"op": "compile", "right_filler": True, **case})
        ours = workers[1].ask({"op": "compile", "right_filler": True, **case})
        agree(made, ours, case)
        untouched = workers[0].ask({"op": "compile", **case})
        same_size = len(case["payloads"][0]) == len(case["payloads"][-1])
        # of one size, or not: the filler is the only difference
        assert (untouched == ours) == same_size or "error" in untouched, case
        faulty += not same_size
    assert faulty > n // 4


@pytest.mark.parametrize("n", CASES)
def test_what_hops_share_is_the_same(workers: tuple[Worker, Worker], n: int) -> None:
    random = Random(f"params {n}")
    for _ in range(n // 10):
        case = pyln_cases.path(random)
        real, ours = (worker.ask({"op": "hop_params", **case}) for worker in workers)
        assert real == ours
        real, ours = (worker.ask({"op": "filler", **case}) for worker in workers)
        if len(case["payloads"][0]) == len(case["payloads"][-1]):
            assert real == ours
        else:
            assert real != ours
            assert len(ours["result"]) == sum(len(payload) + 64 for payload in case["payloads"][:-1])


@pytest.mark.parametrize("n", CASES)
def test_onions_unwrap_as_in_pyln_proto(workers: tuple[Worker, Worker], n: int) -> None:
    random = Random(f"unwrap {n}")
    refused = 0
    for _ in range(n):
        case = pyln_cases.unwrapping(random)
        real, ours = (worker.ask(dict(case)) for worker in workers)
        agree(real, ours, case)
        refused += "error" in real
    assert n // 10 < refused < n * 3 // 4


@pytest.mark.parametrize("n", CASES)
def test_payloads_read_and_write_as_in_pyln_proto(workers: tuple[Worker, Worker], n: int) -> None:
    random = Random(f"payload {n}")
    for _ in range(n):
        case = pyln_cases.payload(random)
        real, ours = (worker.ask(dict(case)) for worker in workers)
        agree(real, ours, case)


def test_the_vector_shows_the_fault_of_pyln_proto(workers: tuple[Worker, Worker]) -> None:
    case = {"op": "compile", **vector_path()}
    real, ours = (worker.ask(dict(case))["result"]["packet"] for worker in workers)
    assert ours == VECTOR["onion"]
    assert real != VECTOR["onion"]
    assert workers[0].ask({**case, "right_filler": True})["result"]["packet"] == VECTOR["onion"]


def test_frames_that_do_not_fit_are_the_other_difference(workers: tuple[Worker, Worker]) -> None:
    case = {"op": "compile", **vector_path()}
    case["payloads"] = [pyln_cases.prefixed(bytes(250)).hex()] * len(case["payloads"])
    real, ours = (worker.ask(dict(case)) for worker in workers)
    assert len(real["result"]["packet"]) == 2 * 1366
    assert ours["error"][0] == "OnionSizeError"
    assert "ValueError" in ours["error"]


@pytest.mark.parametrize(
    "change",
    [
        {"public_keys": [], "payloads": []},
        {"session_key": bytes(32).hex()},
        {"session_key": "ff" * 32},
        {"session_key": "01"},
        {"public_keys": ["02" + "ff" * 32], "payloads": ["020000"]},
        {"public_keys": ["04" * 33], "payloads": ["020000"]},
    ],
    ids=str,
)
def test_bad_paths_raise_what_pyln_proto_raises(workers: tuple[Worker, Worker], change: dict[str, Any]) -> None:
    case = {"op": "compile", **vector_path(), **change}
    real, ours = (worker.ask(dict(case)) for worker in workers)
    assert "error" in real
    agree(real, ours, case)


# ---------------------------------------------------------------- without pyln-proto


def test_vector() -> None:
    case = vector_path()
    onion = compiled(case)
    assert onion.to_bin().hex() == VECTOR["onion"]
    assert onion.to_hex() == VECTOR["onion"].encode()
    for i, key in enumerate(VECTOR["decode"]):
        privkey = pyln.PrivateKey(bytes.fromhex(key))
        payload, following = onion.unwrap(privkey, bytes.fromhex(case["assocdata"]))
        assert payload.to_bytes(include_prefix=True).hex() == case["payloads"][i]
        if following is None:
            assert i == len(case["payloads"]) - 1
            break
        onion = following


def test_keys_of_every_type_make_one_onion() -> None:
    case = vector_path()
    expected = VECTOR["onion"]
    assert compiled(case, point=bytes, secret=bytes).to_bin().hex() == expected
    assert compiled(case, point=coincurve.PublicKey, secret=coincurve.PrivateKey).to_bin().hex() == expected
    assert compiled(case, secret=pyln.PrivateKey).to_bin().hex() == expected
    privkey = bytes.fromhex(VECTOR["decode"][0])
    onion, data = pyln.RoutingOnion.from_hex(expected), bytes.fromhex(case["assocdata"])
    unwrapped = [onion.unwrap(kind(privkey), data) for kind in (bytes, coincurve.PrivateKey, pyln.PrivateKey)]
    assert len({following.to_bin() for _, following in unwrapped if following is not None}) == 1
    for bad in ("02" * 33, 7, None):
        with pytest.raises(TypeError):
            compiled(case, point=lambda _, bad=bad: bad)
        with pytest.raises(TypeError):
            compiled(case, secret=lambda _, bad=bad: bad if bad is not None else object())


def test_refused_onions_do_not_tell_the_right_hmac() -> None:
    onion = pyln.RoutingOnion.from_hex(VECTOR["onion"])
    with pytest.raises(ValueError, match="HMAC does not match") as refused:
        onion.unwrap(pyln.PrivateKey(bytes.fromhex(VECTOR["decode"][0])), b"another payment")
    assert not any(character in "0123456789" for character in str(refused.value))
    with pytest.raises(OnionError):
        raise refused.value.__context__ or AssertionError


def test_own_keys_are_hidden_and_compare() -> None:
    secret = pyln.Secret(bytes(range(32)))
    assert secret == pyln.Secret(bytes(range(32)))
    key = pyln.PrivateKey(bytes(range(1, 33)))
    assert key.public_key() == pyln.PublicKey(key.public_key().to_bytes())
    assert len({key.public_key(), pyln.PublicKey(key.public_key().key)}) == 1
    for bad in (b"\x05" * 33, b"\x02" * 32, b"\x02" + b"\xff" * 32):
        with pytest.raises(ValueError):
            pyln.PublicKey(bad)
    with pytest.raises(TypeError):
        pyln.PublicKey("02" * 33)
    with pytest.raises(ValueError):
        pyln.PrivateKey(bytes(31))
    with pytest.raises(AssertionError):
        pyln.Secret(bytes(31))


def test_configure_chooses_what_runs_and_the_bytes_stay(implementation: str) -> None:
    try:
        chosen = pyln.configure(implementation=f"ecmult={implementation}")
        assert chosen["build"]["ecmult"] == chosen["point"]["ecmult"] == implementation
        assert compiled(vector_path()).to_bin().hex() == VECTOR["onion"]
        test_vector()
        tables = HopTables(build_after=1)
        pyln.configure(hop_tables=tables)
        assert compiled(vector_path()).to_bin().hex() == VECTOR["onion"]
        assert tables.stats()["tables"] == 5
    finally:
        pyln.configure()
    with pytest.raises(TypeError):
        pyln.configure(hop_tables={})  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        pyln.configure(implementation="none such")


def test_legacy_and_opaque_frames_peel_where_bolt_4_allows() -> None:
    """A path of a TLV hop, a legacy hop and a TLV hop: read back by unwrap(), and its first layer by peel_onion()."""
    keys = [bytes([i]) * 32 for i in (1, 2, 3)]
    legacy = pyln.LegacyOnionPayload(1000, 800000, "1x2x3").to_bytes()
    payloads = [b"\x03\x02\x01\x07", legacy, b"\x03\x02\x01\x09"]
    path = pyln.SphinxPath(
        [pyln.SphinxHop(_single.base_mul(key), payload) for key, payload in zip(keys, payloads, strict=True)],
        b"data",
        bytes([9]) * 32,
    )
    onion: pyln.RoutingOnion | None = path.compile()
    assert onion is not None
    assert peel_onion(onion.to_bin(), keys[0], b"data").payload == payloads[0][1:]
    for i, key in enumerate(keys):
        assert onion is not None
        payload, following = onion.unwrap(key, b"data")
        assert payload.to_bytes(include_prefix=True) == payloads[i]
        assert path.hops[i].hmac == (bytes(32) if following is None else following.hmac)
        onion = following
    assert onion is None
    assert len(path.get_filler()) == sum(len(payload) + 32 for payload in payloads[:-1])


def test_streams_and_xor() -> None:
    data = bytearray(range(200))
    pyln.chacha20_stream(bytes(32), data)
    pyln.chacha20_stream(bytes(32), memoryview(data))
    assert data == bytes(range(200))
    assert pyln.xor(b"\x0f\xf0", b"\xff\xff") == b"\xf0\x0f"
    with pytest.raises(AssertionError):
        pyln.xor(b"a", b"ab")
