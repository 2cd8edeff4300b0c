"""Secrets: hidden from repr, never pickled, zero after wipe through every view, sealed for others, wiped when freed."""

from __future__ import annotations

import copy
import ctypes
import gc
import pickle
import random
import traceback
from typing import Any

import pytest
from nacl.public import PrivateKey, SealedBox

from keysend_fast import (
    Hop,
    HopTables,
    KeysendPayment,
    OnionSecrets,
    Route,
    build_keysend,
    build_keysends,
    build_onions,
    peel_onions,
)
from keysend_fast.keysend import AcceptedKeysend
from tests.nodes import ORDER, Request, node_id, privkey, request_of, secret
from tests.test_batches import NativeBatch, requests

PREIMAGE, SESSION_KEY = bytes(range(100, 132)), bytes(range(1, 33))
ROUTE = Route([Hop(node_id(i), i, 1000, 40) for i in range(3)])


def keysends(n: int = 3) -> Any:
    payment = KeysendPayment(ROUTE, preimage=PREIMAGE, session_key=SESSION_KEY)
    return build_keysends([payment] * n, block_height=9)


# ---------------------------------------------------------------- hidden


def shown(secret: bytes) -> list[str]:
    """What a secret would look like in text."""
    return [secret.hex()[:12], repr(secret)[2:20], repr(list(secret))[1:20], secret[:12].decode("latin-1")]


def things() -> dict[str, Any]:
    batch = keysends()
    peeled = peel_onions(batch.packets, privkey(0), batch.payment_hashes)
    return {
        "secrets": batch[0].secrets,
        "onion": batch[0],
        "batch": batch,
        "raw batch": build_onions([request_of([1], [b"ab"])]),
        "payment": KeysendPayment(ROUTE, preimage=PREIMAGE, session_key=SESSION_KEY),
        "peeled": peeled[0],
        "peel batch": peeled,
        "claim": AcceptedKeysend(PREIMAGE, 1, 2, {}),
    }


@pytest.mark.parametrize("name", things())
def test_repr_hides(name: str) -> None:
    thing = things()[name]
    secrets = [PREIMAGE, SESSION_KEY, bytes(keysends()[0].secrets.shared_secret(0))]
    for text in (repr(thing), str(thing), f"{thing}", repr([thing])):
        for value in secrets:
            assert not any(part in text for part in shown(value)), text


@pytest.mark.parametrize("name", ["secrets", "batch", "raw batch", "payment", "peel batch"])
def test_no_pickle_and_no_copy(name: str) -> None:
    thing = things()[name]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError):
            pickle.dumps(thing, protocol)
    for copier in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            copier(thing)


@pytest.mark.parametrize("name", ["onion", "peeled"])
def test_views_are_not_pickled(name: str) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError):
            pickle.dumps(things()[name], protocol)


def test_errors_name_no_secret() -> None:
    """Neither message, nor arguments, nor traceback."""
    secret = b"\xfe" * 31 + b"\xfd"  # above the group order
    calls: list[Any] = [
        lambda: build_keysend(ROUTE, block_height=1, session_key=b"\xff" * 32),
        lambda: KeysendPayment(ROUTE, preimage=secret + b"x"),
        lambda: KeysendPayment(ROUTE, session_key=secret[:31]),
        lambda: peel_onions([bytes(1366)], b"\xff" * 32, bytes(32)),
        lambda: OnionSecrets.open(secret, PrivateKey(b"k" * 32)),
        lambda: OnionSecrets.from_shared_secrets([secret + b"x"]),
    ]
    for call in calls:
        with pytest.raises(ValueError) as error:
            call()
        text = "".join(traceback.format_exception(error.value)) + repr(error.value.args)
        for part in shown(secret) + shown(b"\xff" * 32):
            assert part not in text


def test_secret_classes_take_no_attributes() -> None:
    for name in ("secrets", "payment", "onion"):
        with pytest.raises(AttributeError):
            things()[name].note = "x"


# ---------------------------------------------------------------- wiped


def test_wipe_shows_zeros_through_old_views() -> None:
    secrets = keysends()[1].secrets
    views = [secrets.session_key, secrets.preimage, secrets.shared_secret(0), secrets.shared_secret(2)]
    table = secrets.shared_secrets
    assert (bytes(views[0]), bytes(views[1])) == (SESSION_KEY, PREIMAGE)
    assert all(any(bytes(v)) for v in [*views, table])
    secrets.wipe()
    assert not any(any(bytes(v)) for v in [*views, table, secrets.session_key, secrets.preimage])


def test_wiping_one_onion_leaves_the_others() -> None:
    batch = keysends()
    before = bytes(batch[2].secrets.shared_secrets)
    batch[1].secrets.wipe()
    assert bytes(batch[2].secrets.shared_secrets) == before
    assert bytes(batch[0].secrets.preimage) == bytes(batch[2].secrets.preimage) == PREIMAGE
    assert bytes(batch.preimages) == PREIMAGE + bytes(32) + PREIMAGE
    assert any(bytes(batch[1].packet)) and any(batch[1].payment_hash)


def test_wiping_a_batch() -> None:
    batch = keysends()
    views = [s.session_key for s in batch.secrets] + [s.shared_secrets for s in batch.secrets] + [batch.preimages]
    with batch:
        assert all(any(bytes(v)) for v in views)
    assert not any(any(bytes(v)) for v in views)
    assert batch.ok
    assert any(bytes(batch.packets))
    batch.wipe()  # again does no harm


def test_wiping_peeled_packets() -> None:
    batch = keysends()
    peeled = peel_onions(batch.packets, privkey(0), batch.payment_hashes)
    view = peeled[0].shared_secret
    with peeled:
        assert any(bytes(view)) and any(peeled[0].payload)
    assert not any(bytes(view))
    assert not any(peeled[0].payload)
    assert not any(bytes(peeled.shared_secrets))
    assert any(bytes(peeled.next_packets))


def test_views_are_read_only_and_keep_their_memory() -> None:
    secrets = keysends()[0].secrets
    for view in (secrets.session_key, secrets.preimage, secrets.shared_secrets, secrets.shared_secret(1)):
        assert view.readonly
        with pytest.raises(TypeError):
            view[0] = 0
    view = keysends()[0].secrets.preimage  # batch, onion and secrets are gone, the memory is not
    gc.collect()
    assert bytes(view) == PREIMAGE


def test_shared_secret_indices() -> None:
    secrets = keysends()[0].secrets
    assert [bytes(secrets.shared_secret(i)) for i in range(3)] == [
        bytes(secrets.shared_secrets)[32 * i : 32 * i + 32] for i in range(3)
    ]
    for index in (-1, 3):
        with pytest.raises(IndexError):
            secrets.shared_secret(index)


# ---------------------------------------------------------------- sealed


def test_sealed_secrets_open_elsewhere() -> None:
    key = PrivateKey.generate()
    secrets = keysends()[0].secrets
    sealed = secrets.seal(key.public_key)
    assert sealed != secrets.seal(key.public_key)  # an ephemeral key each
    for value in (PREIMAGE, SESSION_KEY):
        assert value not in sealed
    opened = OnionSecrets.open(sealed, key)
    assert bytes(opened.session_key) == SESSION_KEY
    assert bytes(opened.preimage) == PREIMAGE
    assert bytes(opened.shared_secrets) == bytes(secrets.shared_secrets)
    secrets.wipe()
    assert any(bytes(opened.shared_secrets))  # a copy of its own
    opened.wipe()
    assert not any(bytes(opened.shared_secrets)) and not any(bytes(opened.preimage))


def test_sealed_raw_onions_have_no_preimage() -> None:
    key = PrivateKey.generate()
    secrets = build_onions([request_of(range(27), [b"ab"] * 27)])[0].secrets
    opened = OnionSecrets.open(secrets.seal(key.public_key), key)
    assert opened.preimage is None
    assert len(opened) == 27
    assert bytes(opened.shared_secrets) == bytes(secrets.shared_secrets)


def test_wiped_secrets_seal_as_zeros() -> None:
    key = PrivateKey.generate()
    secrets = keysends()[0].secrets
    secrets.wipe()
    assert not any(bytes(OnionSecrets.open(secrets.seal(key.public_key), key).shared_secrets))


def test_what_is_not_sealed_for_this_key_raises() -> None:
    from nacl.public import SealedBox

    key = PrivateKey.generate()
    sealed = keysends()[0].secrets.seal(key.public_key)
    wrong: list[Any] = [b"", sealed[:-1], sealed + b"\0", bytes([sealed[0] ^ 1]) + sealed[1:], bytes(200)]
    wrong += [
        SealedBox(key.public_key).encrypt(plain)
        for plain in (b"", b"\1", b"\1\0\0\1", b"\2" + bytes(67), b"\1\2" + bytes(200))
    ]
    wrong += [SealedBox(key.public_key).encrypt(b"\1\0\0\2" + bytes(32 + 32))]
    for value in wrong:
        with pytest.raises(ValueError, match="sealed"):
            OnionSecrets.open(value, key)
    with pytest.raises(ValueError, match="sealed"):
        OnionSecrets.open(sealed, PrivateKey.generate())


def test_short_plain_texts_leave_the_interpreters_bytes_alone() -> None:
    """One byte is an object that the whole process shares: wiping it would change every b"\\x01" there is."""
    key = PrivateKey.generate()
    for value in range(256):
        with pytest.raises(ValueError, match="version"):
            OnionSecrets.open(SealedBox(key.public_key).encrypt(bytes([value])), key)
        assert list(bytes([value])) == [value]


def test_secrets_of_the_callers_own() -> None:
    shared = [bytes([i]) * 32 for i in range(1, 6)]
    secrets = OnionSecrets.from_shared_secrets(shared, b"\7" * 32)
    assert [bytes(secrets.shared_secret(i)) for i in range(5)] == shared
    assert (bytes(secrets.session_key), secrets.preimage) == (b"\7" * 32, None)
    assert len(OnionSecrets.from_shared_secrets([])) == 0
    with pytest.raises(ValueError, match="32 bytes"):
        OnionSecrets.from_shared_secrets([bytes(31)])


# ---------------------------------------------------------------- freed


def address(view: memoryview) -> int:
    numpy = pytest.importorskip("numpy")
    return int(numpy.frombuffer(view.cast("B"), numpy.uint8).__array_interface__["data"][0])


def test_a_freed_arena_is_zero() -> None:
    """A batch's large secret memory goes back to a slot of ours: it may be read there, and holds nothing any more.

    The slot's first eight bytes say how large the block is.
    """
    n = 11_000  # 96 bytes each: above the megabyte from which memory is mapped
    route = Route([Hop(node_id(0), 1, 1000, 40)])
    batch = build_keysends(
        [KeysendPayment(route)] * n, block_height=9, implementation="libsecp256k1", hop_tables=HopTables(0)
    )
    start = address(batch.secrets[0].session_key)
    size = 96 * n
    assert ctypes.string_at(start, 64) == bytes(batch.secrets[0].session_key) + bytes(batch.secrets[1].session_key)
    assert sum(1 for b in ctypes.string_at(start, size) if b) > 0.99 * size
    del batch
    gc.collect()
    assert not any(ctypes.string_at(start + 8, size - 8))


def test_a_failed_call_leaves_nothing() -> None:
    """Items that fail keep no secret, and neither does one whose batch is interrupted (see test_interrupts)."""
    batch = build_keysends(
        [KeysendPayment(ROUTE, {65536: bytes(1300)}, preimage=PREIMAGE, session_key=SESSION_KEY)] * 2, block_height=9
    )
    assert batch.count_ok() == 0
    assert not any(bytes(batch.preimages))
    assert not any(bytes(batch.secrets[1].session_key))


# ---------------------------------------------------------------- scratch

FILL = 0xA5


def blank(left: bytes, packets: bytes) -> bytes:
    """Working memory without the ephemeral keys of the packets that came out, which are public."""
    for start in range(0, len(packets), 1366):
        left = left.replace(packets[start + 1 : start + 34], bytes(33))
    return left


@pytest.mark.parametrize("n", [1, 2, 9, 33, 64])
def test_build_leaves_its_scratch_clean(implementation: str, n: int) -> None:
    """Two blocks that differ in their secrets only leave the same bytes behind: so nothing depends on a secret any more."""
    items = [r for r in requests() if len(r.public_keys) <= 6 and min(map(len, r.payloads)) > 1]
    items = [r for r in items if any(r.session_key) and b"\2" + b"\xff" * 32 not in r.public_keys][:n]
    native = NativeBatch(implementation, items)
    ffi, b, rng = native.ffi, native.batch, random.Random(n)
    size = native.api.build_scratch(b, n)
    scratch = native.scratch(size)
    left = []
    for _ in range(3):
        ffi.memmove(scratch, bytes([FILL]) * size, size)
        native.api.build_block(b, 0, n, scratch)
        assert all(b.statuses[i].code == 0 for i in range(n))
        left.append(blank(bytes(ffi.buffer(scratch, size)), bytes(ffi.buffer(b.packets, 1366 * n))))
        ffi.memmove(ffi.cast("uint8_t *", b.session_keys), rng.randbytes(32 * n), 32 * n)
        for i, item in enumerate(items):
            length = sum(map(len, item.payloads))
            ffi.memmove(ffi.cast("uint8_t *", b.onions[i].payloads), rng.randbytes(length), length)
    assert left[0] == left[1] == left[2]
    assert sum(1 for byte in left[0] if byte not in (0, FILL)) < 4096 + 128 * n  # counts, lengths, indices, addresses


@pytest.mark.parametrize("n", [1, 2, 9, 33, 64])
def test_peel_leaves_its_scratch_clean(implementation: str, n: int) -> None:
    """The same ephemeral keys to other nodes with other payloads: what is left depends on neither key nor text."""
    native = NativeBatch(implementation, [])
    ffi, rng = native.ffi, random.Random(n)
    sessions = [secret(rng.randrange(1, ORDER)) for _ in range(n)]
    peel = native.new("ksf_peel_batch *", {"n": n, "suite": native.suite, "hop_payloads_bytes": 1300, "ad_len": 32})
    packets = native.new("uint8_t[]", 1366 * n)
    peel.packets, peel.associated_data = packets, native.new("uint8_t[]", bytes(32))
    key = peel.node_privkey = native.new("uint8_t[]", 32)
    for name, kind, count in (
        ("shared_secrets", "uint8_t[]", 32 * n),
        ("payloads", "uint8_t[]", 1300 * n),
        ("payload_lens", "uint32_t[]", n),
        ("next_packets", "uint8_t[]", 1366 * n),
        ("finals", "uint8_t[]", n),
        ("statuses", "ksf_status[]", n),
    ):
        setattr(peel, name, native.new(kind, count))
    size = native.api.peel_scratch(peel, n)
    scratch = native.scratch(size)
    left = []
    for node in (3, 4, 5):
        items = [
            Request([node_id(node), node_id(1)][: 1 + i % 2], [rng.randbytes(40)] * (1 + i % 2), session, bytes(32))
            for i, session in enumerate(sessions)
        ]
        ffi.memmove(packets, bytes(build_onions(items).packets), 1366 * n)
        ffi.memmove(key, privkey(node), 32)
        ffi.memmove(scratch, bytes([FILL]) * size, size)
        native.api.peel_block(peel, 0, n, scratch)
        assert all(peel.statuses[i].code == 0 for i in range(n))
        left.append(blank(bytes(ffi.buffer(scratch, size)), bytes(ffi.buffer(peel.next_packets, 1366 * n))))
    assert left[0] == left[1] == left[2]
