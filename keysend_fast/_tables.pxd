from libc.stdint cimport uint8_t, uint32_t, uint64_t
from keysend_fast._ksf cimport ksf_impl_row, ksf_node_key, ksf_suite
from keysend_fast._native cimport Arena

cdef class Ledger:
    cdef size_t held            # bytes of live entries and tables, those of running batches included

cdef class Table:
    cdef Ledger ledger
    cdef Arena memory
    cdef uint8_t window

cdef class TableEntry:
    cdef Ledger ledger
    cdef Table table            # None before it is worth one
    cdef uint64_t point[8]
    cdef uint64_t uses
    cdef uint64_t used_at       # HopTables.clock of the last batch with this key

cdef class HopTables:
    cdef readonly size_t max_bytes
    cdef Ledger ledger
    cdef object held_lock
    cdef uint64_t forks
    cdef object entries         # OrderedDict (suite slot, node id) -> TableEntry, least recently used first
    cdef object implementation
    cdef int window
    cdef uint64_t threshold
    cdef uint64_t clock         # batches that were attached
    cdef uint64_t hits, misses, built, evicted
    cdef object lock(self)
    cdef list attach(self, const ksf_suite *suite, ksf_node_key *keys, size_t n)
    cdef bint make_room(self, size_t bytes_wanted)
    cdef int window_for(self, ksf_impl_row *row, const ksf_node_key *key) noexcept
    cdef int build(self, const ksf_suite *suite, list wanted, ksf_node_key *keys, int window, list held) except -1

cdef int load_keys(const ksf_suite *suite, ksf_node_key *keys, size_t n) except -1
