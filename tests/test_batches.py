"""The same bytes whatever the implementation, the thread count, the block size, the batch size and the tables."""

from __future__ import annotations

import random
from functools import cache
from typing import Any, NamedTuple

import pytest

from keysend_fast import HopTables, _kernels, _native, build_onion, build_onions, peel_onions
from tests.implementations import runnable, with_tables
from tests.nodes import Request, node_id, privkey, random_payloads, reference_build, request_of

SIZES = [0, 1, 7, 8, 9, 31, 511, 512, 513]
LARGEST = max(SIZES)
# hop counts that a block meets side by side, the usual ones most often
HOPS = [1, 2, 3, 3, 4, 4, 4, 5, 6, 9, 13, 20, 27]
ffi, api = _kernels.ffi, _kernels.lib.ksf_get_api()


@cache
def requests() -> list[Request]:
    """As many requests as the largest batch, some of them wrong."""
    rng = random.Random(513)
    made = []
    for i in range(LARGEST):
        hops = rng.choice(HOPS)
        nodes = [rng.choice([rng.randrange(8), rng.randrange(40)]) for _ in range(hops)]
        request = request_of(nodes, random_payloads(rng, hops), rng.getrandbits(255), rng.randbytes(32))
        if i % 97 == 41:
            request.payloads[rng.randrange(hops)] = b"x"
        if i % 89 == 5:
            request = request._replace(session_key=bytes(32))
        if i % 83 == 7:
            request.public_keys[rng.randrange(hops)] = b"\2" + b"\xff" * 32
        made.append(request)
    return made


class Answer(NamedTuple):
    """What one item of a batch came to."""

    packet: bytes
    code: int
    session_key: bytes
    shared_secrets: bytes


def answers(batch: Any) -> list[Answer]:
    """Each item's outcome, failed ones included."""
    packets, size = bytes(batch.packets), batch.hop_payloads_size + 66
    return [
        Answer(packets[size * i : size * (i + 1)], code, bytes(secrets.session_key), bytes(secrets.shared_secrets))
        for i, (code, secrets) in enumerate(zip(batch.status.tolist(), batch.secrets, strict=True))
    ]


@cache
def expected() -> list[Answer]:
    """One at a time, by libsecp256k1; every fortieth good one is compared with the slow reference below."""
    return [answers(build_onions([r], implementation="libsecp256k1"))[0] for r in requests()]


def test_the_baseline_is_the_references() -> None:
    good = [i for i, answer in enumerate(expected()) if answer.code == 0]
    assert len(good) > 0.9 * LARGEST
    for i in good[::40]:
        onion = reference_build(requests()[i])
        assert onion.packet == expected()[i].packet
        assert b"".join(onion.shared_secrets) == expected()[i].shared_secrets


@pytest.mark.parametrize("size", SIZES)
def test_batch_sizes_and_threads(implementation: str, size: int) -> None:
    items = requests()[:size]
    for threads in (1, 2, 3, 7) if size else (1, 2):
        batch = build_onions(items, threads=threads, implementation=implementation)
        assert answers(batch) == expected()[:size], threads


@pytest.mark.parametrize("threads", [1, 2])
def test_a_batch_of_many_blocks(implementation: str, threads: int) -> None:
    """4,097 onions: the requests again and again, with tables of their own."""
    size = 4097
    items = (requests() * 8)[:size]
    batch = build_onions(items, threads=threads, implementation=implementation)
    assert answers(batch) == (expected() * 8)[:size]


def test_batches_from_the_middle(implementation: str) -> None:
    """What else is in the batch, and at which place of it an item stands, does not matter."""
    rng = random.Random(7)
    for _ in range(12):
        chosen = rng.sample(range(LARGEST), rng.randint(1, 40))
        batch = build_onions([requests()[i] for i in chosen], implementation=implementation)
        assert answers(batch) == [expected()[i] for i in chosen]


def test_single_calls(implementation: str) -> None:
    for i in range(0, LARGEST, 9):
        if expected()[i].code == 0:
            assert build_onion(*requests()[i], implementation=implementation).packet == expected()[i].packet


def test_every_hash_and_cipher(symmetric: str) -> None:
    for size in (1, 9, 31, LARGEST):
        batch = build_onions(requests()[:size], implementation=symmetric)
        assert answers(batch) == expected()[:size]


@pytest.mark.parametrize("implementation", with_tables())
@pytest.mark.parametrize("window", [5, 6, 7, 8])
def test_tables_change_nothing(implementation: str, window: int) -> None:
    """Cold, partly and wholly warm tables of each window, and too little room for all of them."""
    for max_bytes in (0, 1 << 20, 64 << 20):
        tables = HopTables(max_bytes, window=window, build_after=2)
        for size in (LARGEST, 31, 1, LARGEST):
            batch = build_onions(requests()[:size], implementation=implementation, hop_tables=tables)
            assert answers(batch) == expected()[:size]
        assert tables.stats()["bytes"] <= max_bytes


def test_one_cache_serves_every_implementation() -> None:
    tables = HopTables(build_after=1)
    for _ in range(2):
        for implementation in runnable("ecmult"):
            batch = build_onions(requests()[:64], implementation=implementation, hop_tables=tables)
            assert answers(batch) == expected()[:64], implementation


# ---------------------------------------------------------------- blocks, by the core's own table of functions


class NativeBatch:
    """requests() as a ksf_build_batch, and memory for its outcome."""

    ffi, api = ffi, api

    def __init__(self, implementation: str, items: list[Request]) -> None:
        self.keep: list[Any] = []
        rows = sum(len(r.public_keys) for r in items)
        n = len(items)
        first_row = [0]
        for r in items:
            first_row.append(first_row[-1] + len(r.public_keys))
        onions = self.new("ksf_onion_request[]", n)
        for i, r in enumerate(items):
            onions[i].node_ids = self.new("uint8_t[]", b"".join(r.public_keys))
            onions[i].payloads = self.new("uint8_t[]", b"".join(r.payloads))
            onions[i].payload_lens = self.new("uint32_t[]", [len(p) for p in r.payloads])
            onions[i].associated_data = self.new("uint8_t[]", r.associated_data)
            onions[i].associated_data_len = len(r.associated_data)
            onions[i].n_hops = len(r.public_keys)
        self.suite = ffi.cast("const ksf_suite *", _native.suite_address(implementation))
        self.batch = self.new("ksf_build_batch *", None)
        b = self.batch
        b.n, b.suite, b.onions, b.hop_payloads_bytes = n, self.suite, onions, 1300
        b.keys = self.new("ksf_node_key[]", rows)
        b.row_key = self.new("uint32_t[]", rows)
        b.first_row = self.new("uint32_t[]", first_row)
        b.session_keys = self.new("uint8_t[]", b"".join(r.session_key for r in items))
        b.shared_secrets = self.new("uint8_t[]", 32 * rows)
        b.packets = self.new("uint8_t[]", 1366 * n)
        b.statuses = self.new("ksf_status[]", n)
        self.packet_bytes = 1366 * n
        buckets = 1 << (2 * rows).bit_length()
        self.n_keys = api.keys_collect(b, rows, self.new("uint32_t[]", buckets), buckets)
        api.keys_load(self.suite, b.keys, self.n_keys, self.scratch(api.keys_load_scratch(self.suite)))

    def new(self, kind: str, value: Any) -> Any:
        memory = ffi.new(kind) if value is None else ffi.new(kind, value)
        self.keep.append(memory)
        return memory

    def scratch(self, size: int) -> Any:
        memory = self.new("uint8_t[]", size + 64)
        return memory + (-int(ffi.cast("uintptr_t", memory)) % 64)

    def run(self, block: int) -> bytes:
        """Every block of the batch, the last one first, and the packets."""
        ffi.memmove(self.batch.packets, b"\xa5" * self.packet_bytes, self.packet_bytes)
        for i in range(self.batch.n):
            self.batch.statuses[i].code = 0
        scratch = self.scratch(api.build_scratch(self.batch, block))
        for begin in reversed(range(0, self.batch.n, block)):
            api.build_block(self.batch, begin, min(begin + block, self.batch.n), scratch)
        return bytes(ffi.buffer(self.batch.packets, self.packet_bytes))


@pytest.mark.parametrize("n", [1, 9, 70, 200])
def test_block_sizes(implementation: str, n: int) -> None:
    """Blocks of any size and in any order: what stands in memory before, and in the scratch, is of no consequence."""
    native = NativeBatch(implementation, requests()[:n])
    packets = b"".join(answer.packet for answer in expected()[:n])
    for block in (1, 2, 3, 7, 8, 9, 31, 64, 200):
        assert native.run(block) == packets, block


# ---------------------------------------------------------------- peeling


@cache
def to_peel() -> tuple[list[bytes], list[bytes]]:
    """Packets for node 3 and their associated data: forward and final ones, every ninth one spoiled."""
    rng = random.Random(3)
    batch = []
    for _ in range(LARGEST):
        hops = rng.choice([1, 1, 2, 3, 4, 27])
        nodes = [3, *(rng.randrange(40) for _ in range(hops - 1))]
        batch.append(request_of(nodes, random_payloads(rng, hops), rng.getrandbits(255), rng.randbytes(32)))
    packets = [onion.packet for onion in build_onions(batch, implementation="libsecp256k1")]
    for i in range(0, LARGEST, 9):
        position = [0, 1, 33, 34, 600, 1334, 1365][i // 9 % 7]
        packets[i] = packets[i][:position] + bytes([packets[i][position] ^ 0x40]) + packets[i][position + 1 :]
    return packets, [r.associated_data for r in batch]


def peeled(batch: Any) -> list[tuple[int, bytes, bytes, bytes | None]]:
    outcome = []
    for i, code in enumerate(batch.status.tolist()):
        if code:
            assert not any(bytes(batch.next_packets)[1366 * i : 1366 * (i + 1)])
            assert not any(bytes(batch.shared_secrets)[32 * i : 32 * (i + 1)])
            outcome.append((code, b"", b"", None))
        else:
            outcome.append((code, batch[i].payload, bytes(batch[i].shared_secret), batch[i].next_packet))
    return outcome


@cache
def expected_peel() -> list[tuple[int, bytes, bytes, bytes | None]]:
    packets, data = to_peel()
    return [
        peeled(peel_onions([packets[i]], privkey(3), [data[i]], implementation="libsecp256k1"))[0]
        for i in range(LARGEST)
    ]


@pytest.mark.parametrize("size", SIZES)
def test_peel_batch_sizes_and_threads(implementation: str, size: int) -> None:
    packets, data = to_peel()
    for threads in (1, 2, 3, 7) if size else (1, 2):
        batch = peel_onions(packets[:size], privkey(3), data[:size], threads=threads, implementation=implementation)
        assert peeled(batch) == expected_peel()[:size], threads


def test_peel_with_every_hash_and_cipher(symmetric: str) -> None:
    packets, data = to_peel()
    for size in (1, 9, 31, LARGEST):
        batch = peel_onions(packets[:size], privkey(3), data[:size], implementation=symmetric)
        assert peeled(batch) == expected_peel()[:size]


def test_the_node_is_the_one_meant() -> None:
    assert node_id(3) == requests_node()
    assert sum(code == 0 for code, *_ in expected_peel()) == LARGEST - len(range(0, LARGEST, 9))


def requests_node() -> bytes:
    """Node 3's id by the product."""
    from keysend_fast.kernels import base_mul_many

    return base_mul_many([privkey(3)]).values[0]
