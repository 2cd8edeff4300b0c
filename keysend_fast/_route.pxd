from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from keysend_fast._ksf cimport ksf_hop, ksf_keysend_request

cdef class Route:
    cdef ksf_hop *c_hops        # n_hops of them, one block; never NULL
    cdef readonly uint16_t n_hops
    cdef object __weakref__
    cdef bytes packed(self)

cdef class KeysendPayment:
    cdef readonly Route route
    cdef object _records        # None, or bytes: an encoded, checked TLV stream
    cdef uint64_t amount        # 0: the route's own
    cdef uint8_t secret[64]     # preimage, session key: where given; zeroed in __dealloc__
    cdef uint8_t has            # bit 0: preimage given, bit 1: session key given

cdef void request_fill(ksf_keysend_request *q, KeysendPayment p) noexcept
