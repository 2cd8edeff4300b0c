from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from keysend_fast._ksf cimport ksf_keysend_plan, ksf_status
from keysend_fast._native cimport Arena

cdef class OnionSecrets:
    cdef Arena arena
    cdef uint8_t *session
    cdef uint8_t *preimage_at   # NULL: not a keysend
    cdef uint8_t *shared
    cdef readonly uint16_t n_hops

cdef class OnionBatch:
    cdef Py_ssize_t n
    cdef readonly uint32_t hop_payloads_size
    cdef readonly uint32_t block_height
    cdef object items           # tuple of payments or requests: keeps everything alive that rows point to
    cdef object route_ids       # columns: index into items per row, or None
    cdef readonly bint is_keysend
    cdef Arena public, secret
    cdef object out             # caller-owned buffer of the packets, or None
    cdef uint8_t *packets_at
    cdef uint8_t *hashes_at
    cdef ksf_status *statuses_at
    cdef uint32_t *first_row
    cdef uint8_t *session_at
    cdef uint8_t *preimages_at
    cdef uint8_t *shared_at
    cdef Py_ssize_t at(self, Py_ssize_t i) except -1
    cdef int check(self, Py_ssize_t i) except -1

cdef class KeysendBatch(OnionBatch):
    pass

cdef class Onion:
    cdef OnionBatch batch
    cdef Py_ssize_t i
    cdef ksf_keysend_plan plan(self) except *
