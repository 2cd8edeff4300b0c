"""HopTables: never above its bound, least recently used out first, the same onions, shared by threads and forks."""

from __future__ import annotations

import gc
import os
import pickle
import random
import signal
import threading
import time
from typing import Any

import pytest

from keysend_fast import Hop, HopTables, KeysendPayment, Route, _native, build_keysends, build_onions
from keysend_fast.errors import NodeKeyError
from tests.implementations import runnable, with_tables
from tests.nodes import NOT_A_POINT, node_id, request_of

POINT_BYTES = 256  # what a key without a table is counted as
tabled = pytest.mark.parametrize("implementation", with_tables())


def onions(nodes: Any, implementation: str, tables: HopTables | None = None, times: int = 1) -> bytes:
    """One-hop onions to each node, so many times over."""
    requests = [request_of([node], [b"ab"]) for node in nodes] * times
    return bytes(build_onions(requests, implementation=implementation, hop_tables=tables).packets)


def table_size(implementation: str, window: int) -> int:
    tables = HopTables(window=window)
    tables.warm([node_id(0)], implementation=implementation)
    assert tables.stats()["tables"] == 1
    return int(tables.stats()["bytes"]) - POINT_BYTES


# ---------------------------------------------------------------- counting


@tabled
def test_counters(implementation: str) -> None:
    """A key gets its table after so many uses; hits and misses count hops as their batch began."""
    tables = HopTables(build_after=5)
    empty = {
        "keys": 0,
        "tables": 0,
        "bytes": 0,
        "max_bytes": 64 << 20,
        "hits": 0,
        "misses": 0,
        "built": 0,
        "evicted": 0,
    }
    assert tables.stats() == empty
    onions([1, 1, 2], implementation, tables)
    assert tables.stats() == empty | {"keys": 2, "bytes": 2 * POINT_BYTES, "misses": 3}
    assert node_id(1) not in tables
    onions([1, 1, 1], implementation, tables)  # five uses
    stats = tables.stats()
    assert {k: stats[k] for k in ("keys", "tables", "built", "hits", "misses")} == {
        "keys": 2,
        "tables": 1,
        "built": 1,
        "hits": 0,
        "misses": 6,
    }
    assert node_id(1) in tables and node_id(2) not in tables
    onions([1, 2, 3], implementation, tables)
    stats = tables.stats()
    assert (stats["hits"], stats["misses"], stats["keys"], len(tables)) == (1, 8, 3, 3)
    tables.clear()
    gc.collect()
    assert (len(tables), tables.stats()["bytes"]) == (0, 0)


@tabled
def test_a_hot_key_gets_its_table_in_its_first_batch(implementation: str) -> None:
    tables = HopTables()
    expected = onions([1, 2, 3], "libsecp256k1", times=20)
    assert onions([1, 2, 3], implementation, tables, times=20) == expected
    assert tables.stats()["tables"] == 3
    assert onions([1, 2, 3], implementation, tables, times=20) == expected
    assert tables.stats()["hits"] == 60


@tabled
def test_windows_have_their_sizes(implementation: str) -> None:
    """52 to 256 KiB a key: odd multiples of every window, 2^(W-1) of them, 64 bytes or more each."""
    sizes = [table_size(implementation, window) for window in (5, 6, 7, 8)]
    assert sizes == sorted(set(sizes))
    for window, size in zip((5, 6, 7, 8), sizes, strict=True):
        windows = -(-256 // window)
        assert size >= windows * (1 << (window - 1)) * 64
        assert size % 64 == 0


@tabled
def test_keys_that_fill_groups_of_lanes_get_larger_windows(implementation: str) -> None:
    """64 onions to one node make whole groups of its lanes; 64 that meet 48 nodes in any order do not."""
    row = next(r for r in _native.list_implementations() if (r["slot"], r["name"]) == ("ecmult", implementation))
    hot, mixed = HopTables(build_after=1), HopTables(build_after=1)
    onions([1], implementation, hot, times=64)
    assert hot.stats()["bytes"] - POINT_BYTES == table_size(implementation, row["windows"][1])
    routes = [random.Random(i).sample(range(48), 20) for i in range(64)]
    build_onions([request_of(nodes, [b"ab"] * 20) for nodes in routes], implementation=implementation, hop_tables=mixed)
    stats = mixed.stats()
    expected = table_size(implementation, 5 if row["lanes"] > 1 else row["windows"][1])
    assert stats["tables"] == stats["keys"] == 48
    assert stats["bytes"] == 48 * (expected + POINT_BYTES)


def test_implementations_without_tables_keep_points_only() -> None:
    for implementation in sorted(set(runnable("ecmult")) - set(with_tables())):
        tables = HopTables(build_after=1)
        onions([1, 2, 3], implementation, tables, times=20)
        assert tables.stats()["tables"] == 0
        assert tables.stats()["bytes"] == 3 * POINT_BYTES


def test_points_are_kept_per_implementation() -> None:
    tables = HopTables(build_after=1000)
    for implementation in runnable("ecmult"):
        onions([1, 2], implementation, tables)
    assert len(tables) == 2 * len(runnable("ecmult"))


# ---------------------------------------------------------------- the bound


@tabled
@pytest.mark.parametrize("room", [0, 1, 255, 256, 257, 60_000, 150_000, 400_000, 1_000_000])
def test_the_bound_is_never_passed(implementation: str, room: int) -> None:
    """Whatever the traffic; and what comes out is what comes out without tables."""
    rng = random.Random(room)
    tables = HopTables(room, build_after=2)
    for _ in range(25):
        nodes = [rng.choice([rng.randrange(4), rng.randrange(35)]) for _ in range(rng.randint(1, 30))]
        assert onions(nodes, implementation, tables) == onions(nodes, "libsecp256k1")
        stats = tables.stats()
        assert stats["bytes"] <= room
        assert stats["tables"] <= stats["keys"]
        assert stats["bytes"] >= POINT_BYTES * stats["keys"]
    if room >= 150_000:
        assert tables.stats()["hits"] > 0
    if room in (256, 257, 400_000):  # between them the points fit beside the tables
        assert tables.stats()["evicted"] > 0


@tabled
def test_least_recently_used_goes_first(implementation: str) -> None:
    size = table_size(implementation, 5) + POINT_BYTES
    tables = HopTables(3 * size, window=5, build_after=1)
    for node in (1, 2, 3):
        onions([node], implementation, tables)
    assert [node_id(n) in tables for n in (1, 2, 3)] == [True] * 3
    onions([1], implementation, tables)  # 2 is the oldest now
    onions([4], implementation, tables)
    assert [node_id(n) in tables for n in (1, 2, 3, 4)] == [True, False, True, True]
    onions([5], implementation, tables)
    assert [node_id(n) in tables for n in (1, 3, 4, 5)] == [True, False, True, True]
    assert tables.stats()["bytes"] <= 3 * size


@tabled
def test_a_working_set_above_the_bound_keeps_what_fits(implementation: str) -> None:
    """A batch with more keys than there is room for leaves the hottest in the cache, and the next batch hits them."""
    size = table_size(implementation, 5) + POINT_BYTES
    tables = HopTables(4 * size + 16 * POINT_BYTES, window=5, build_after=2)
    traffic = [node for node in range(16) for _ in range(4 if node in (3, 7, 11, 15) else 2)]
    for _ in range(3):
        onions(traffic, implementation, tables)
    stats = tables.stats()
    assert stats["tables"] == 4
    assert stats["built"] == 4  # once, not every batch anew
    assert [node for node in range(16) if node_id(node) in tables] == [3, 7, 11, 15]
    assert stats["hits"] == 2 * 16


@tabled
def test_a_key_named_twice_is_counted_once(implementation: str) -> None:
    tables = HopTables(build_after=4)
    onions([1], implementation, tables)
    tables.warm([node_id(1), node_id(1), bytearray(node_id(1))], implementation=implementation)
    assert tables.stats()["built"] == 1
    tables.clear()
    gc.collect()
    assert tables.stats()["bytes"] == 0


# ---------------------------------------------------------------- warm


@tabled
def test_warm_tables_are_hit_at_once(implementation: str) -> None:
    tables = HopTables(implementation=implementation)
    tables.warm(node_id(n) for n in range(10))
    tables.warm([])
    stats = tables.stats()
    assert (stats["tables"], stats["keys"]) == (10, 10)
    onions(range(10), implementation, tables)
    assert tables.stats()["hits"] - stats["hits"] == 10
    assert tables.stats()["misses"] == stats["misses"]


def test_warming_what_is_no_point_raises() -> None:
    tables = HopTables()
    with pytest.raises(NodeKeyError) as error:
        tables.warm([node_id(0), NOT_A_POINT])
    assert error.value.index == 1
    for bad in ([node_id(0)[:32]], ["text"], [None]):
        with pytest.raises((ValueError, TypeError)):
            tables.warm(bad)
    with pytest.raises(ValueError, match="there is no"):
        tables.warm([node_id(0)], implementation="mmx")


def test_bad_keys_are_not_kept() -> None:
    tables = HopTables()
    request = request_of([1], [b"ab"])._replace(public_keys=[NOT_A_POINT])
    for _ in range(20):
        assert not build_onions([request], hop_tables=tables).ok
    assert tables.stats() == HopTables().stats()


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_bytes": -1},
        {"max_bytes": 1.5},
        {"window": 4},
        {"window": 9},
        {"window": "5"},
        {"build_after": 0},
        {"build_after": 1.5},
    ],
)
def test_bad_arguments_raise(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        HopTables(**arguments)


def test_tables_are_not_pickled() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(HopTables())
    assert repr(HopTables(5)) == "<HopTables of 0 keys, 0 of 5 bytes>"


# ---------------------------------------------------------------- life


@tabled
def test_memory_goes_with_its_last_user(implementation: str) -> None:
    """Dropping the cache frees its tables: resident memory does not grow."""

    def resident() -> int:
        gc.collect()
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def once() -> None:
        tables = HopTables(window=8)
        tables.warm([node_id(n) for n in range(40)], implementation=implementation)
        onions(range(40), implementation, tables)

    for _ in range(3):
        once()
    before = resident()
    for _ in range(10):  # 100 MB of tables in all
        once()
    assert resident() - before < 30 << 20


@tabled
def test_readers_in_threads(implementation: str) -> None:
    """Threads that share a small cache, each with traffic of its own, evicting from one another: every onion is right."""
    size = table_size(implementation, 5) + POINT_BYTES
    tables = HopTables(6 * size, window=5, build_after=1)
    rng = random.Random(4)
    work = [[rng.randrange(35) for _ in range(12)] for _ in range(4)]
    expected = [onions(nodes, "libsecp256k1") for nodes in work]
    failures: list[str] = []
    over: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            if tables.stats()["bytes"] > 6 * size:
                over.append(tables.stats()["bytes"])
            time.sleep(0.001)

    def build(t: int) -> None:
        for round_ in range(25):
            if onions(work[t], implementation, tables) != expected[t]:
                failures.append(f"thread {t}, round {round_}")

    threads = [threading.Thread(target=build, args=(t,)) for t in range(4)]
    watcher = threading.Thread(target=watch)
    for thread in [*threads, watcher]:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    watcher.join()
    assert not failures
    assert not over
    assert tables.stats()["evicted"] > 0


def in_child(child: Any, seconds: float = 60) -> int:
    """Exit status of `child` in a forked process; -SIGKILL where it hangs."""
    pid = os.fork()
    if pid == 0:
        try:
            child()
        except BaseException:  # the child must not go on as the test session
            os._exit(1)
        os._exit(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@tabled
def test_a_fork_copies_the_tables(implementation: str) -> None:
    tables = HopTables(build_after=1)
    expected = onions([1, 2, 3], implementation, tables)
    before = tables.stats()

    def child() -> None:
        assert onions([1, 2, 3], implementation, tables) == expected
        assert tables.stats()["hits"] == before["hits"] + 3
        tables.clear()
        assert onions([4, 5], implementation, tables) == onions([4, 5], "libsecp256k1")
        route = Route([Hop(node_id(1), None, 1000, 40)])
        assert build_keysends([KeysendPayment(route)] * 600, block_height=1, threads=2).ok

    assert in_child(child) == 0
    assert tables.stats() == before
    assert onions([1, 2, 3], implementation, tables) == expected


@tabled
def test_a_fork_during_a_build_does_not_hang(implementation: str) -> None:
    """The lock may be another thread's at the fork; that thread is not there in the child."""
    tables = HopTables(window=8)
    stop = threading.Event()
    keys = [node_id(n) for n in range(40)]

    def build() -> None:
        while not stop.is_set():
            tables.clear()
            tables.warm(keys, implementation=implementation)

    builder = threading.Thread(target=build)
    builder.start()
    try:
        for attempt in range(8):
            time.sleep(0.003 * attempt)
            assert in_child(lambda: onions([1, 2], implementation, tables), seconds=30) == 0
    finally:
        stop.set()
        builder.join()
