# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, auto_pickle=False, nonecheck=True, freethreading_compatible=True
"""The caller-owned cache of node keys and their precomputed tables (public data)."""
cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from keysend_fast._ksf cimport ksf_api, ksf_impl_row
from keysend_fast._native cimport PUBLIC, SCRATCH, copy_exact, native_api, new_arena, suite_for

import os
import threading
from collections import OrderedDict

from keysend_fast.errors import NodeKeyError

cdef const ksf_api *api = native_api()

cdef enum:
    BUILD_AFTER = 8          # uses seen after which a table pays (measured crossover, docs/batched-ecdh.md)
    COLD_WINDOW = 5          # where a group of lanes has several keys, selecting costs more than adding: small sub-tables win
    WARM_WINDOW = 6          # for a key with two thirds of its lanes in groups of their own; with four fifths, the implementation's
    HOT_USES = 32            # in a batch, below which a larger table is not worth its making
    POINT_ENTRY_BYTES = 256  # what an entry without a table is counted as
    BUILD_AT_ONCE = 64       # tables a call of table_build


@cython.final
cdef class Ledger:
    """The count of bytes: apart from the cache, so that entries do not keep it alive."""


@cython.final
cdef class Table:
    """One key's table. Running batches hold references, so that neither eviction nor replacement frees it under them."""

    def __dealloc__(self):
        if self.ledger is not None:
            self.ledger.held -= self.memory.size


@cython.final
cdef class TableEntry:
    """A node key that has been seen: its point, and its table once it has one."""

    def __dealloc__(self):
        if self.ledger is not None:
            self.ledger.held -= POINT_ENTRY_BYTES


cdef int load_keys(const ksf_suite *suite, ksf_node_key *keys, size_t n) except -1:
    cdef Arena scratch = new_arena(api.keys_load_scratch(suite), SCRATCH)
    with nogil:
        api.keys_load(suite, keys, n, scratch.p)
    return 0


def uses_of(tuple wanted):
    return (<TableEntry>wanted[1]).uses


cdef uint64_t forks = 0          # of this process's line: a lock of an earlier count may be held by a thread that is not here


def _after_fork():
    global forks
    forks += 1


os.register_at_fork(after_in_child=_after_fork)


cdef class HopTables:
    """Precomputed tables of node keys: public data, bounded in bytes, least recently used out first.

    max_bytes: upper bound of everything that it holds, tables of running batches included. window: table window in bits (5 to
    8, 52 to 256 KiB a key), or None: the implementation's default for keys that fill whole groups of lanes, 6 for those that
    fill most, 5 for the others, since selecting from several tables at once costs more than adding. build_after: uses after
    which a key gets a table. implementation: of the tables made by :meth:`warm`. Share one object between batches, threads and
    routes; a fork copies it. Raises ValueError.
    """

    def __init__(self, max_bytes=64 << 20, *, window=None, build_after=BUILD_AFTER, implementation=None):
        if not isinstance(max_bytes, int) or max_bytes < 0:
            raise ValueError(f"max_bytes is an int of 0 or more, not {max_bytes!r}")
        if window is not None and window not in (5, 6, 7, 8):
            raise ValueError(f"window is None or 5 to 8, not {window!r}")
        if not isinstance(build_after, int) or build_after < 1:
            raise ValueError(f"build_after is an int of 1 or more, not {build_after!r}")
        self.max_bytes = max_bytes
        self.window = 0 if window is None else window
        self.threshold = build_after
        self.implementation = implementation
        self.entries = OrderedDict()
        self.ledger = Ledger.__new__(Ledger)
        self.held_lock = threading.Lock()
        self.forks = forks

    cdef object lock(self):
        """The lock, new where a fork lies between: one that another thread held then would stay locked in the child."""
        if self.forks != forks:
            self.held_lock = threading.Lock()
            self.forks = forks
        return self.held_lock

    cdef list attach(self, const ksf_suite *suite, ksf_node_key *keys, size_t n):
        """Fills keys from the cache, loads the others, builds the tables that are due. The result keeps them alive."""
        cdef size_t i, missing = 0
        cdef TableEntry entry
        cdef list held = []
        cdef list wanted = []
        cdef ksf_impl_row row
        cdef int window
        cdef bytes name
        api.suite_impl(suite, b"ecmult", &row)
        name = row.name
        with self.lock():
            self.clock += 1
            for i in range(n):
                key = (name, PyBytes_FromStringAndSize(<char *>keys[i].id, 33))
                found = self.entries.get(key)
                if found is None:
                    missing += 1
                    continue
                entry = <TableEntry>found
                self.entries.move_to_end(key)
                entry.used_at = self.clock
                entry.uses += keys[i].uses
                window = self.window_for(&row, &keys[i])
                memcpy(keys[i].point, entry.point, sizeof(entry.point))
                keys[i].loaded = keys[i].valid = 1
                if entry.table is not None:
                    held.append(entry.table)
                    keys[i].table = entry.table.memory.p
                    keys[i].window = entry.table.window
                    self.hits += keys[i].uses
                    if window > entry.table.window:      # it became hot
                        wanted.append((window, entry, i))
                else:
                    self.misses += keys[i].uses
                    if window and entry.uses >= self.threshold:
                        wanted.append((window, entry, i))
            if missing:
                load_keys(suite, keys, n)
                for i in range(n):
                    key = (name, PyBytes_FromStringAndSize(<char *>keys[i].id, 33))
                    if not keys[i].valid or key in self.entries:
                        continue
                    self.misses += keys[i].uses
                    if not self.make_room(POINT_ENTRY_BYTES):
                        continue
                    entry = TableEntry.__new__(TableEntry)
                    entry.ledger = self.ledger
                    self.ledger.held += POINT_ENTRY_BYTES
                    memcpy(entry.point, keys[i].point, sizeof(entry.point))
                    entry.uses = keys[i].uses
                    entry.used_at = self.clock
                    self.entries[key] = entry
                    window = self.window_for(&row, &keys[i])
                    if window and entry.uses >= self.threshold:
                        wanted.append((window, entry, i))
            wanted.sort(key=uses_of, reverse=True)       # the hottest first, where the bound has no room for all
            for window in sorted({w for w, _, _ in wanted}, reverse=True):
                self.build(suite, [(e, i) for w, e, i in wanted if w == window], keys, window, held)
        return held

    cdef int window_for(self, ksf_impl_row *row, const ksf_node_key *key) noexcept:
        if row.window_min <= self.window <= row.window_max:
            return self.window
        if row.lanes == 1 or row.window_default <= COLD_WINDOW:
            return row.window_default
        if key.uses < HOT_USES or 3 * <uint64_t>key.alike < 2 * <uint64_t>key.uses:
            return COLD_WINDOW
        if 5 * <uint64_t>key.alike >= 4 * <uint64_t>key.uses:
            return row.window_default
        return min(WARM_WINDOW, <int>row.window_default)

    cdef bint make_room(self, size_t bytes_wanted):
        """Evict least recently used entries until so many bytes more stay below the bound. False where they cannot.

        What the batch at hand uses stays: it is held until that batch ends, so that evicting it would free nothing, and a
        batch with more keys than the bound has room for would leave an empty cache behind.
        """
        cdef TableEntry oldest
        if bytes_wanted > self.max_bytes:
            return False
        while self.ledger.held + bytes_wanted > self.max_bytes and self.entries:
            oldest = <TableEntry>next(iter(self.entries.values()))
            if oldest.used_at == self.clock:
                return False
            oldest = None        # or it would not be freed before the bound is looked at again
            self.entries.popitem(last=False)
            self.evicted += 1
        return self.ledger.held + bytes_wanted <= self.max_bytes

    cdef int build(self, const ksf_suite *suite, list wanted, ksf_node_key *keys, int window, list held) except -1:
        """Tables for these entries, as many as fit; keys point to them, held keeps them alive."""
        cdef size_t size = api.table_bytes(suite, window), m, i, j
        cdef Arena scratch = new_arena(api.table_scratch(suite, window), SCRATCH)
        cdef void *memory[BUILD_AT_ONCE]
        cdef const ksf_node_key *from_keys[BUILD_AT_ONCE]
        cdef TableEntry entry
        cdef Table table
        cdef list made
        for i in range(0, len(wanted), BUILD_AT_ONCE):
            m = 0
            made = []
            for entry, j in wanted[i:i + BUILD_AT_ONCE]:
                if not self.make_room(size):
                    continue
                table = Table.__new__(Table)
                table.memory = new_arena(size, PUBLIC)
                table.ledger = self.ledger
                table.ledger.held += table.memory.size
                table.window = window
                made.append((entry, j, table))
                memory[m] = table.memory.p
                from_keys[m] = &keys[j]
                m += 1
            if m == 0:
                break
            with nogil:
                api.table_build(suite, memory, from_keys, m, window, scratch.p)
            for entry, j, table in made:
                entry.table = table
                held.append(table)
                keys[j].table = table.memory.p
                keys[j].window = window
                self.built += 1
        return 0

    def warm(self, node_ids, *, implementation=None):
        """Make tables now for these node ids (33 bytes each), as many as fit. Raises NodeKeyError for one that is no point."""
        cdef list ids = list(dict.fromkeys(map(bytes, node_ids)))
        cdef size_t n = len(ids), i
        cdef ksf_node_key *keys
        cdef const ksf_suite *suite = suite_for(self.implementation if implementation is None else implementation)
        if n == 0:
            return
        keys = <ksf_node_key *>malloc(n * sizeof(ksf_node_key))
        if keys == NULL:
            raise MemoryError
        try:
            memset(keys, 0, n * sizeof(ksf_node_key))
            for i in range(n):
                copy_exact(keys[i].id, ids[i], 33, "a node id")
                keys[i].uses = <uint32_t>self.threshold
            load_keys(suite, keys, n)
            for i in range(n):
                if not keys[i].valid:
                    raise NodeKeyError(f"{ids[i].hex()} is not a compressed point", index=i)
            self.attach(suite, keys, n)
        finally:
            free(keys)

    def clear(self):
        """Drop every entry. Tables that a running batch uses are freed when it ends."""
        with self.lock():
            self.entries.clear()

    def stats(self):
        """Counters as a dictionary: hits and misses count hops that had and had no table when their batch began."""
        with self.lock():
            tables = sum(1 for e in self.entries.values() if (<TableEntry>e).table is not None)
            return {"keys": len(self.entries), "tables": tables, "bytes": self.ledger.held, "max_bytes": self.max_bytes,
                    "hits": self.hits, "misses": self.misses, "built": self.built, "evicted": self.evicted}

    def __len__(self):
        return len(self.entries)

    def __contains__(self, node_id):
        with self.lock():
            return any(key[1] == node_id and (<TableEntry>e).table is not None for key, e in self.entries.items())

    def __repr__(self):
        return f"<HopTables of {len(self.entries)} keys, {self.ledger.held} of {self.max_bytes} bytes>"

    def __reduce__(self):
        raise TypeError("HopTables hold native memory and are not pickled: warm() new ones")
