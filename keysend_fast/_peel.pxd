from libc.stdint cimport uint8_t, uint32_t
from keysend_fast._ksf cimport ksf_status
from keysend_fast._native cimport Arena

cdef class PeelBatch:
    cdef Py_ssize_t n
    cdef readonly uint32_t hop_payloads_size
    cdef Arena public, secret, payloads
    cdef uint8_t *payloads_at
    cdef uint8_t *next_at
    cdef uint8_t *finals_at
    cdef uint32_t *lens_at
    cdef ksf_status *statuses_at
    cdef Py_ssize_t at(self, Py_ssize_t i) except -1

cdef class PeeledOnion:
    cdef PeelBatch batch
    cdef Py_ssize_t i
