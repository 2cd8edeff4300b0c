# What the compiled modules share: the table, memory, randomness, running blocks.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from keysend_fast._ksf cimport ksf_api, ksf_suite, ksf_status

cdef enum:
    PUBLIC = 0
    SECRETS = 1
    SCRATCH = 2

cdef const ksf_api *native_api() noexcept

ctypedef void (*block_fn)(const void *, size_t, size_t, void *) noexcept nogil

cdef class Arena:
    cdef uint8_t *p
    cdef Py_ssize_t size
    cdef size_t cap
    cdef int kind

cdef class Plane:
    cdef object owner           # keeps the memory alive
    cdef uint8_t *p
    cdef int ndim
    cdef Py_ssize_t itemsize
    cdef Py_ssize_t shape[2]
    cdef Py_ssize_t strides[2]

cdef Arena new_arena(Py_ssize_t size, int kind)
cdef Plane new_plane(object owner, uint8_t *p, Py_ssize_t rows, Py_ssize_t width, Py_ssize_t stride, Py_ssize_t itemsize)
cdef int random_fill(uint8_t *p, size_t n) except -1
cdef const ksf_suite *suite_for(object implementation) except NULL
cdef const ksf_suite *suite_for_items(object implementation, size_t n, bint tables) except NULL
cdef int copy_exact(uint8_t *to, object source, Py_ssize_t n, str what) except -1
cdef int run_blocks(block_fn fn, const void *batch, size_t n, size_t block, size_t scratch_bytes, int threads) except -1
cdef int thread_count(object threads, size_t n, size_t worth) except -1
cdef str hex_text(const uint8_t *p, Py_ssize_t n)
