# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, auto_pickle=False, nonecheck=True, freethreading_compatible=True
"""TLV streams (BOLT 1, Type-Length-Value Format) over the core's scanner. Links no C objects."""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from keysend_fast._ksf cimport ksf_api, ksf_tlv_record
from keysend_fast._native cimport native_api

from collections.abc import Mapping

from keysend_fast.errors import TlvError

cdef extern from "Python.h":
    char *PyBytes_AsString(object) except NULL

cdef const ksf_api *api = native_api()

cdef enum:
    BIGSIZE_MAX = 9
    FEW = 32  # records that parse() has room for without asking for memory


def parse(stream, *, known=None):
    """Splits a TLV stream into its records: [(type, value), ...] in increasing order of type.

    stream: bytes-like, below 2^32 bytes. known: the types that the caller understands (anything with ``in``); an even type
    that is not among them is refused. None accepts every type.

    Raises TlvError for the first record, in stream order, that breaks BOLT 1: its ``offset`` is where that record's type
    begins, its ``type`` is None where the type itself cannot be read.
    """
    cdef Py_buffer b
    if isinstance(stream, str):
        raise TypeError("a TLV stream is bytes, not str (use bytes.fromhex)")
    PyObject_GetBuffer(stream, &b, PyBUF_SIMPLE)
    try:
        return parse_buffer(<const uint8_t *>b.buf, b.len, known)
    finally:
        PyBuffer_Release(&b)


def encode(records):
    """The TLV stream of records.

    records: mapping of type to bytes-like value (sorted here), or (type, value) pairs in increasing order of type.
    Raises TlvError with the type, and the offset that it would have had, where a type is no int of 64 bits, a value is not
    bytes-like, or pairs do not increase.
    """
    return encode_stream(records)


cdef list parse_buffer(const uint8_t *p, size_t length, object known):
    cdef ksf_tlv_record few[FEW]
    cdef ksf_tlv_record *records = few
    cdef ksf_status status
    cdef size_t n = 0
    broken = None
    if api.tlv_scan(p, length, few, FEW, &n, &status) != 0:
        broken = stream_error(p, length, &status)
        if known is None:
            raise broken
        # the records before the broken one come first in the stream, so they are judged first
        length = status.offset
        api.tlv_scan(p, length, few, FEW, &n, &status)
    if n > FEW:
        records = <ksf_tlv_record *>malloc(n * sizeof(ksf_tlv_record))
        if records == NULL:
            raise MemoryError
        api.tlv_scan(p, length, records, n, &n, &status)
    try:
        out = records_list(p, records, n, known)
    finally:
        if records != few:
            free(records)
    if broken is not None:
        raise broken
    return out


cdef list records_list(const uint8_t *p, const ksf_tlv_record *records, size_t n, object known):
    cdef list out = []
    cdef size_t i, start = 0
    for i in range(n):
        if known is not None and not records[i].type & 1 and records[i].type not in known:
            raise TlvError(f"even type {records[i].type} at offset {start} is not understood", type=records[i].type, offset=start)
        out.append((records[i].type, PyBytes_FromStringAndSize(<const char *>p + records[i].offset, records[i].length)))
        start = <size_t>records[i].offset + records[i].length
    return out


cdef object stream_error(const uint8_t *p, size_t length, const ksf_status *status):
    """The TlvError for what tlv_scan said of p[0..length)."""
    cdef uint64_t type, size = 0, last = 0
    cdef size_t at = 0, used, start = status.offset
    cdef int reason
    cdef bint first = True
    if length > 0xFFFFFFFF:
        return TlvError("a TLV stream has fewer than 2^32 bytes")
    while at < start:
        first = False
        at += api.bigsize_read(p + at, length - at, &last, &reason)
        at += api.bigsize_read(p + at, length - at, &size, &reason)
        at += size
    used = api.bigsize_read(p + at, length - at, &type, &reason)
    if used == 0:
        return TlvError(f"type {cut(reason)} at offset {start}", offset=start)
    at += used
    if not first and type <= last:
        return TlvError(f"types not increasing at offset {start}: {type} behind {last}", type=type, offset=start)
    used = api.bigsize_read(p + at, length - at, &size, &reason)
    if used == 0:
        return TlvError(f"length {cut(reason)} in the record of type {type} at offset {start}", type=type, offset=start)
    return TlvError(
        f"value truncated in the record of type {type} at offset {start}: {size} bytes said, {length - at - used} there",
        type=type, offset=start,
    )


cdef str cut(int reason):
    return "truncated" if reason == 1 else "not minimal"


cdef bytes encode_stream(object records):
    cdef uint8_t head[2 * BIGSIZE_MAX]
    cdef size_t k, at = 0
    cdef uint64_t type, last = 0
    cdef list pieces = []
    cdef bytes piece
    if isinstance(records, dict) or isinstance(records, Mapping):
        records = records.items() if len(records) == 1 else sorted(records.items(), key=type_of_item)
    for key, value in records:
        if not isinstance(key, int) or isinstance(key, bool) or not 0 <= key < 1 << 64:
            raise TlvError(f"type {key!r} is not an int in 0 .. 2^64 - 1")
        type = key
        if pieces and type <= last:
            raise TlvError(f"types not increasing: {type} behind {last}", type=type, offset=at)
        if not isinstance(value, bytes):
            if not isinstance(value, (bytearray, memoryview)):
                raise TlvError(f"the value of type {type} is {value.__class__.__name__}, not bytes", type=type, offset=at)
            value = bytes(value)
        k = api.bigsize_write(head, type)
        k += api.bigsize_write(head + k, len(<bytes>value))
        piece = PyBytes_FromStringAndSize(NULL, k + len(<bytes>value))
        memcpy(PyBytes_AsString(piece), head, k)
        memcpy(PyBytes_AsString(piece) + k, PyBytes_AsString(value), len(<bytes>value))
        at += len(piece)
        last = type
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def type_of_item(item):
    """Sort key: what is no int goes first and is refused by name, not by a comparison that fails."""
    key = item[0]
    return key if isinstance(key, int) else -1
