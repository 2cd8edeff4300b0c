# TLV streams for the other compiled modules.
from libc.stdint cimport uint8_t
from keysend_fast._ksf cimport ksf_status

cdef bytes encode_stream(object records)
cdef object stream_error(const uint8_t *stream, size_t length, const ksf_status *status)
