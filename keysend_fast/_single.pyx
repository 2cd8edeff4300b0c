# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, auto_pickle=False, nonecheck=True, freethreading_compatible=True
"""The primitives for callers that have one item: no arrays, no cffi, results as bytes.

What :mod:`keysend_fast.kernels` does for batches. ``bytes`` cannot be wiped: this is for the shapes of other libraries
(:mod:`keysend_fast.compat`), which hand their secrets around as bytes anyway.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from keysend_fast._batch cimport Onion, OnionBatch, OnionSecrets
from keysend_fast._ksf cimport (
    KSF_FAILURE_PACKET_MAX, KSF_NO_HOP, KSF_OK, ksf_api, ksf_return, ksf_return_batch, ksf_return_report, ksf_status, ksf_suite,
)
from keysend_fast._native cimport SCRATCH, SECRETS, Arena, copy_exact, native_api, new_arena, suite_for

from keysend_fast.status import onion_error

cdef extern from "Python.h":
    char *PyBytes_AsString(object) except NULL

cdef const ksf_api *api = native_api()

ctypedef void (*point_fn)(const ksf_suite *, uint8_t *, const uint8_t *, const uint8_t *, ksf_status *, size_t, void *) noexcept nogil

cdef enum:
    STREAM_MOST = 1 << 30


cdef bytes one_point(point_fn fn, Py_ssize_t width, object scalar, object public_key, object implementation):
    """width bytes; fn NULL: of the base point."""
    cdef const ksf_suite *suite = suite_for(implementation)
    cdef uint8_t k[32]
    cdef uint8_t point[33]
    cdef uint8_t out[33]
    cdef ksf_status status
    cdef Arena scratch
    memset(&status, 0, sizeof(status))
    try:
        copy_exact(k, scalar, 32, "a scalar")
        if fn != NULL:
            copy_exact(point, public_key, 33, "a public key")
        scratch = new_arena(api.point_scratch(suite), SCRATCH)
        with nogil:
            if fn != NULL:
                fn(suite, out, k, point, &status, 1, scratch.p)
            else:
                api.base_mul_many(suite, out, k, &status, 1, scratch.p)
        if status.code != KSF_OK:
            raise onion_error(status.code, 0, 0, 0, None)
        return PyBytes_FromStringAndSize(<char *>out, width)
    finally:
        api.wipe(k, 32)
        api.wipe(out, 33)


def ecdh(scalar, public_key, *, implementation=None):
    """SHA256 of the compressed product, 32 bytes. scalar: 32 bytes, SECRET. public_key: 33. Raises SessionKeyError, NodeKeyError."""
    return one_point(<point_fn>api.ecdh_many, 32, scalar, public_key, implementation)


def point_mul(scalar, public_key, *, implementation=None):
    """The product, compressed, 33 bytes; constant time. scalar: 32 bytes, SECRET. Raises SessionKeyError, NodeKeyError."""
    return one_point(<point_fn>api.point_mul_many, 33, scalar, public_key, implementation)


def base_mul(scalar, *, implementation=None):
    """The scalar's public key, compressed, 33 bytes; constant time. scalar: 32 bytes, SECRET. Raises SessionKeyError."""
    return one_point(NULL, 33, scalar, None, implementation)


def hmac_sha256(key, message, *, implementation=None):
    """HMAC-SHA256 (RFC 2104), 32 bytes. key: any length, SECRET. message: any length."""
    cdef const ksf_suite *suite = suite_for(implementation)
    cdef Py_buffer k, m
    cdef const uint8_t *keys[1]
    cdef const uint8_t *messages[1]
    cdef size_t key_lengths[1]
    cdef size_t lengths[1]
    cdef bytes out = PyBytes_FromStringAndSize(NULL, 32)
    PyObject_GetBuffer(key, &k, PyBUF_SIMPLE)
    try:
        PyObject_GetBuffer(message, &m, PyBUF_SIMPLE)
        keys[0] = <const uint8_t *>k.buf
        key_lengths[0] = k.len
        messages[0] = <const uint8_t *>m.buf
        lengths[0] = m.len
        api.hmac_sha256_many(suite, <uint8_t *>PyBytes_AsString(out), keys, key_lengths, messages, lengths, 1)
        PyBuffer_Release(&m)
    finally:
        PyBuffer_Release(&k)
    return out


def chacha20_stream(key, Py_ssize_t length, *, implementation=None):
    """A ChaCha20 key stream (RFC 8439) with a zero nonce, from block 0 on. key: 32 bytes, SECRET."""
    cdef const ksf_suite *suite = suite_for(implementation)
    cdef uint8_t k[32]
    cdef bytes out
    if not 0 <= length <= STREAM_MOST:
        raise ValueError(f"length is in 0 .. 2^30, not {length}")
    copy_exact(k, key, 32, "a key")
    try:
        out = PyBytes_FromStringAndSize(NULL, length)
        api.chacha20_stream(suite, <uint8_t *>PyBytes_AsString(out), length, k)
    finally:
        api.wipe(k, 32)
    return out


def frame_hmacs(Onion onion not None, frame_lens, *, implementation=None):
    """The hmac that stands in each hop's frame, first hop first: 32 bytes each, the last one's zero.

    onion: with its secrets, not wiped. frame_lens: the length of each frame (BigSize, payload and hmac) in bytes. Read off the
    packet by taking away the rho streams of the hop and of those before it (BOLT 4, Packet Construction). Raises ValueError.
    """
    cdef const ksf_suite *suite = suite_for(implementation)
    cdef OnionBatch b = onion.batch
    cdef Py_ssize_t n = b.first_row[onion.i + 1] - b.first_row[onion.i], h, j, k, end, at
    cdef const uint8_t *hop_payloads = b.packets_at + onion.i * (b.hop_payloads_size + 66) + 34
    cdef const uint8_t *shared = b.shared_at + 32 * <size_t>b.first_row[onion.i]
    cdef const uint8_t *messages[1]
    cdef const uint8_t *keys[1]
    cdef size_t message_length = 32, key_length = 3
    cdef uint8_t rho[32]
    cdef uint8_t found[32]
    cdef Arena streams
    cdef uint8_t *stream
    cdef Py_ssize_t *ends
    cdef list out = []
    if len(frame_lens) != n:
        raise ValueError(f"{len(frame_lens)} frame lengths for {n} hops")
    ends = <Py_ssize_t *>malloc((n + 1) * sizeof(Py_ssize_t))
    if ends == NULL:
        raise MemoryError
    try:
        ends[0] = 0
        for h in range(n):
            at = frame_lens[h]
            if not 32 <= at <= <Py_ssize_t>b.hop_payloads_size - ends[h]:
                raise ValueError(f"a frame of {at} bytes at hop {h} does not fit")
            ends[h + 1] = ends[h] + at
        end = ends[n]
        streams = new_arena(n * end, SECRETS)
        keys[0] = <const uint8_t *>b"rho"
        for h in range(n):        # hop h sees the bytes from ends[h] on, under its stream's bytes from 0 on
            messages[0] = shared + 32 * h
            api.hmac_sha256_many(suite, rho, keys, &key_length, messages, &message_length, 1)
            api.chacha20_stream(suite, streams.p + h * end, end - ends[h], rho)
        for h in range(n):
            at = ends[h + 1] - 32
            memcpy(found, hop_payloads + at, 32)
            for j in range(h + 1):
                stream = streams.p + j * end + at - ends[j]
                for k in range(32):
                    found[k] ^= stream[k]
            out.append(PyBytes_FromStringAndSize(<char *>found, 32))
        return out
    finally:
        api.wipe(rho, 32)
        free(ends)


def open_return(packet, OnionSecrets secrets not None, *, implementation=None):
    """(the return packet as its sender wrote it, the index of that hop), or None where no hop of the route did.

    packet: 32 bytes or more, as the payer received it. secrets: of the onion, the first hop's first. 27 rounds whatever the
    route, in constant time but for which hop erred (BOLT 4, Returning Errors). keysend_fast.failure explains failures; this
    is for those who read the bytes themselves, padding included. Raises ValueError.
    """
    cdef const ksf_suite *suite = suite_for(implementation)
    cdef ksf_return_batch c
    cdef ksf_return r
    cdef ksf_return_report report
    cdef ksf_status status
    cdef Py_buffer view
    cdef Arena scratch
    cdef bytes out
    cdef uint8_t *p
    cdef uint8_t um[32]
    cdef const uint8_t *keys[1]
    cdef const uint8_t *messages[1]
    cdef size_t key_length = 2, length = 32
    PyObject_GetBuffer(packet, &view, PyBUF_SIMPLE)
    try:
        if not 32 <= view.len <= KSF_FAILURE_PACKET_MAX:
            raise ValueError(f"a return packet has 32 to {KSF_FAILURE_PACKET_MAX} bytes, not {view.len}")
        memset(&c, 0, sizeof(c))
        memset(&r, 0, sizeof(r))
        memset(&report, 0, sizeof(report))
        memset(&status, 0, sizeof(status))
        out = PyBytes_FromStringAndSize(NULL, view.len)
        p = <uint8_t *>PyBytes_AsString(out)
        r.packet = <const uint8_t *>view.buf
        r.packet_len = <uint32_t>view.len
        r.shared_secrets = secrets.shared
        r.n_hops = secrets.n_hops
        r.body = p + 32
        c.n = 1
        c.suite = suite
        c.returns = &r
        c.reports = &report
        c.statuses = &status
        c.max_packet_len = r.packet_len
        c.max_hops = r.n_hops
        scratch = new_arena(api.return_decode_scratch(&c), SCRATCH)
        with nogil:
            api.return_decode_block(&c, 0, 1, scratch.p)
        if report.erring_hop == KSF_NO_HOP:
            return None
        keys[0] = <const uint8_t *>b"um"
        messages[0] = secrets.shared + 32 * <size_t>report.erring_hop
        api.hmac_sha256_many(suite, um, keys, &key_length, messages, &length, 1)
        keys[0] = um
        key_length = 32
        messages[0] = p + 32
        length = view.len - 32
        api.hmac_sha256_many(suite, p, keys, &key_length, messages, &length, 1)
        return out, report.erring_hop
    finally:
        api.wipe(um, 32)
        PyBuffer_Release(&view)
