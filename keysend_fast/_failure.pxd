from libc.stdint cimport uint8_t, uint16_t
from keysend_fast._ksf cimport ksf_return_report, ksf_status
from keysend_fast._native cimport Arena

cdef class Column:
    cdef Py_ssize_t n
    cdef const uint8_t **rows
    cdef size_t *lengths
    cdef list held
    cdef Arena arena

cdef class ReturnBatch:
    cdef Py_ssize_t n
    cdef Arena arena
    cdef ksf_status *statuses_at
    cdef ksf_return_report *reports_at
    cdef size_t *bodies_at      # offsets into the arena
    cdef uint16_t *hops_at
    cdef uint8_t *attributed_at # 1: the return came with attribution data
    cdef Py_ssize_t at(self, Py_ssize_t i) except -1

cdef class ReturnPackets:
    cdef Py_ssize_t n
    cdef Arena arena
    cdef size_t *packets_at     # n + 1 offsets into the arena
    cdef uint8_t *blocks_at     # n x 920, or NULL
    cdef Py_ssize_t at(self, Py_ssize_t i) except -1
