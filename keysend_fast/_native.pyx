# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, auto_pickle=False, nonecheck=True, freethreading_compatible=True
"""What the compiled modules share: the ksf_api table, arenas, randomness, implementations, threads.

Links no C objects: takes the ``const ksf_api *`` from ``_kernels`` at import and checks its version.
"""
cimport cython
from cpython.buffer cimport PyBUF_FORMAT, PyBUF_ND, PyBUF_SIMPLE, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EINTR, errno
from libc.stdint cimport uintptr_t
from libc.string cimport memcpy

import os
import threading
import warnings

from keysend_fast import _kernels
from keysend_fast._ksf cimport KSF_API_VERSION, ksf_impl_row

cdef extern from "Python.h":
    int PyBytes_CheckExact(object)
    char *PyBytes_AsString(object) except NULL
    object PyUnicode_New(Py_ssize_t, unsigned int)
    void *PyUnicode_1BYTE_DATA(object)

cdef extern from "sys/random.h" nogil:
    ssize_t getrandom(void *, size_t, unsigned int)

cdef extern from "_arena.h" nogil:
    void *ksf_arena_new(size_t n, int kind, size_t *cap) noexcept
    void ksf_arena_free(void *p, size_t cap, int kind) noexcept

cdef extern from "_pool.h" nogil:
    ctypedef int (*ksf_poll_fn)(void *) noexcept nogil
    int ksf_run_blocks(block_fn, const void *, size_t n, size_t block, size_t scratch_bytes, int threads, ksf_poll_fn, void *) noexcept
    uint64_t ksf_now_ns() noexcept

# ---------------------------------------------------------------- the table

cdef const ksf_api *api = <const ksf_api *><uintptr_t>int(_kernels.ffi.cast("uintptr_t", _kernels.lib.ksf_get_api()))
if api.version != KSF_API_VERSION or api.size < sizeof(ksf_api):
    raise ImportError(
        f"keysend_fast._kernels has ksf_api version {api.version} of {api.size} bytes, this module was built for version "
        f"{KSF_API_VERSION} of {sizeof(ksf_api)} bytes: reinstall keysend_fast"
    )


cdef const ksf_api *native_api() noexcept:
    return api

# ---------------------------------------------------------------- implementations

DEFAULT_IMPLEMENTATION = os.environ.get("KEYSEND_FAST_IMPL", "")

cdef dict suites = {}        # spec -> address of a ksf_suite


cdef bint may_mean_libsecp256k1(str spec):
    """Whether the elliptic-curve slot is left open or asks for libsecp256k1, which is handed over only when it is needed."""
    for token in spec.split(","):
        slot, equals, name = token.rpartition("=")
        if token and (not equals or slot == "ecmult"):
            return name == "libsecp256k1"
    return True


cdef const ksf_suite *resolve(str spec) except NULL:
    cdef char error[256]
    cdef int fell_back = 0
    cdef bytes encoded = spec.encode()
    cdef const ksf_suite *suite = api.suite_resolve(encoded, error, sizeof(error), &fell_back)
    if suite == NULL and may_mean_libsecp256k1(spec):
        from keysend_fast import _secp256k1

        _secp256k1.hand_over()           # raises with the cure where coincurve is missing or unusable
        suite = api.suite_resolve(encoded, error, sizeof(error), &fell_back)
    if suite == NULL:
        raise ValueError((<bytes>error).decode())
    if fell_back:
        warnings.warn(f"keysend_fast: {(<bytes>error).decode()}", RuntimeWarning, stacklevel=3)
    return suite


cdef const ksf_suite *suite_for(object implementation) except NULL:
    """The suite that ``implementation`` names: None is KEYSEND_FAST_IMPL's, or the best."""
    cdef const ksf_suite *suite
    spec = DEFAULT_IMPLEMENTATION if implementation is None else implementation
    known = suites.get(spec)
    if known is not None:
        return <const ksf_suite *><uintptr_t>known
    if not isinstance(spec, str):
        raise TypeError(f"implementation is a str such as 'portable' or 'ecmult=portable,sha256=shani', not {type(spec).__name__}")
    suite = resolve(spec)
    suites[spec] = <uintptr_t>suite
    return suite


cdef object lone = False         # not looked for yet


def lone_implementation():
    """What one onion without hop tables runs on where nothing is forced; None: what a batch runs on.

    It has nothing to fill lanes with, and libsecp256k1 takes the least time for one multiplication (docs/implementations.md).
    """
    global lone
    if lone is False:
        lone = None
        if not DEFAULT_IMPLEMENTATION:
            try:
                suite_for("ecmult=libsecp256k1")
                lone = "ecmult=libsecp256k1"
            except (ImportError, ValueError):
                pass             # no coincurve: the lanes do it
    return lone


cdef const ksf_suite *suite_for_items(object implementation, size_t n, bint tables) except NULL:
    """As suite_for, of n items with or without hop tables."""
    return suite_for(lone_implementation() if implementation is None and n == 1 and not tables else implementation)


def suite_address(implementation=None):
    """Address of the resolved suite, for the cffi side."""
    return <uintptr_t>suite_for(implementation)


cdef dict row_dict(ksf_impl_row *row):
    return {
        "slot": row.slot.decode(), "name": row.name.decode(), "description": row.description.decode(),
        "runs_here": bool(row.runs_here), "self_test": ("not run", "passed", "failed")[row.self_test],
        "lanes": row.lanes, "block": row.block, "peel_block": row.peel_block,
        "windows": (row.window_min, row.window_default, row.window_max),
    }


def list_implementations():
    """Every implementation of the registry, best first per slot, as dictionaries."""
    cdef ksf_impl_row rows[32]
    cdef size_t n = api.impl_list(rows, 32), i
    return [row_dict(&rows[i]) for i in range(n)]


def chosen_implementations(implementation=None):
    """Slot -> name of what ``implementation`` (None: the default) resolves to."""
    cdef const ksf_suite *suite = suite_for(implementation)
    cdef ksf_impl_row row
    chosen = {}
    for slot in ("ecmult", "sha256", "chacha20"):
        if api.suite_impl(suite, slot.encode(), &row) == 0:
            chosen[slot] = row.name.decode()
    return chosen

# ---------------------------------------------------------------- memory


@cython.final
@cython.no_gc
cdef class Arena:
    """A block of native memory. One that holds secrets is wiped when it is freed."""

    def __dealloc__(self):
        if self.p != NULL:
            if self.kind != PUBLIC:
                api.wipe(self.p, self.size)
            ksf_arena_free(self.p, self.cap, self.kind)


cdef Arena new_arena(Py_ssize_t size, int kind):
    cdef Arena a = Arena.__new__(Arena)
    a.p = <uint8_t *>ksf_arena_new(size, kind, &a.cap)
    if a.p == NULL:
        raise MemoryError
    a.size = size
    a.kind = kind
    return a


cdef char FORMAT_BYTE[2]
cdef char FORMAT_U16[2]
FORMAT_BYTE[0] = c"B"
FORMAT_BYTE[1] = 0
FORMAT_U16[0] = c"H"
FORMAT_U16[1] = 0


@cython.final
@cython.no_gc
cdef class Plane:
    """A read-only strided window of native memory, by the buffer protocol. Keeps its owner alive."""

    def __getbuffer__(self, Py_buffer *b, int flags):
        if flags & PyBUF_WRITABLE:
            raise BufferError("this memory is read-only")
        if flags & PyBUF_STRIDES != PyBUF_STRIDES and self.strides[self.ndim - 1] != self.itemsize:
            raise BufferError("this memory is strided")
        b.buf = self.p
        b.obj = self
        b.len = self.shape[0] * (self.shape[1] if self.ndim == 2 else 1) * self.itemsize
        b.readonly = 1
        b.itemsize = self.itemsize
        if not flags & PyBUF_FORMAT:
            b.format = NULL
        elif self.itemsize == 2:
            b.format = &FORMAT_U16[0]
        else:
            b.format = &FORMAT_BYTE[0]
        b.ndim = self.ndim
        b.shape = self.shape if flags & PyBUF_ND else NULL
        b.strides = self.strides if flags & PyBUF_STRIDES == PyBUF_STRIDES else NULL
        b.suboffsets = NULL
        b.internal = NULL

    def __releasebuffer__(self, Py_buffer *b):
        pass


cdef Plane new_plane(object owner, uint8_t *p, Py_ssize_t rows, Py_ssize_t width, Py_ssize_t stride, Py_ssize_t itemsize):
    """rows x width bytes; width 0: one dimension of rows items; rows -1: one dimension of width bytes."""
    cdef Plane v = Plane.__new__(Plane)
    v.owner = owner
    v.p = p
    v.itemsize = itemsize
    if rows < 0:
        v.ndim = 1
        v.shape[0] = width
        v.strides[0] = 1
    elif width == 0:
        v.ndim = 1
        v.shape[0] = rows
        v.strides[0] = stride
    else:
        v.ndim = 2
        v.shape[0] = rows
        v.shape[1] = width
        v.strides[0] = stride
        v.strides[1] = 1
    return v


cdef int copy_exact(uint8_t *to, object source, Py_ssize_t n, str what) except -1:
    """The n bytes of a bytes-like object; errors name `what`, never its content."""
    cdef Py_buffer b
    if PyBytes_CheckExact(source):
        if len(<bytes>source) != n:
            raise ValueError(f"{what} has {n} bytes, not {len(<bytes>source)}")
        memcpy(to, PyBytes_AsString(source), n)
        return 0
    if isinstance(source, str):
        raise TypeError(f"{what} is bytes, not str (use bytes.fromhex)")
    PyObject_GetBuffer(source, &b, PyBUF_SIMPLE)
    try:
        if b.len != n:
            raise ValueError(f"{what} has {n} bytes, not {b.len}")
        memcpy(to, b.buf, n)
    finally:
        PyBuffer_Release(&b)
    return 0


cdef str hex_text(const uint8_t *p, Py_ssize_t n):
    text = PyUnicode_New(2 * n, 127)
    api.hex_encode(<char *>PyUnicode_1BYTE_DATA(text), p, n)
    return text

# ---------------------------------------------------------------- randomness


cdef int random_fill(uint8_t *p, size_t n) except -1:
    """n secret bytes: 32 of getrandom a call, expanded by ChaCha20. A fresh seed a call is what makes it safe across fork."""
    cdef uint8_t seed[32]
    cdef size_t have = 0
    cdef ssize_t k
    while have < 32:
        k = getrandom(seed + have, 32 - have, 0)
        if k < 0:
            if errno != EINTR:
                raise OSError(errno, "getrandom")
        else:
            have += <size_t>k
    api.chacha20_stream(suite_for(None), p, n, seed)
    api.wipe(seed, 32)
    return 0

# ---------------------------------------------------------------- threads and signals

cdef struct Poll:
    uint64_t last
    uint64_t every

cdef enum:
    POLL_NS = 20_000_000

pending = threading.local()


cdef int take_signals() noexcept with gil:
    try:
        PyErr_CheckSignals()
    except BaseException as e:
        pending.exc = e
        return 1
    return 0


cdef int poll_signals(void *arg) noexcept nogil:
    """Between blocks, at most every 20 ms. A GIL that a busy thread holds takes up to 5 ms to get: the interval stretches to
    10 times the last wait (at most 50 ms), so that waiting costs 9 % and Ctrl-C is seen within 100 ms, the blocks that run
    by then included (15 ms at 20 hops on the slowest implementation)."""
    cdef Poll *p = <Poll *>arg
    cdef uint64_t now = ksf_now_ns()
    cdef int stop
    if now - p.last < p.every:
        return 0
    stop = take_signals()
    p.last = ksf_now_ns()
    p.every = 10 * (p.last - now)
    if p.every < POLL_NS:
        p.every = POLL_NS
    elif p.every > 50_000_000:
        p.every = 50_000_000
    return stop


cdef unsigned long main_ident = threading.main_thread().ident


def _after_fork():
    global main_ident
    main_ident = threading.main_thread().ident


os.register_at_fork(after_in_child=_after_fork)


cdef int thread_count(object threads, size_t n, size_t worth) except -1:
    """None: one thread below `worth` items, else one a core that this process may use."""
    if threads is None:
        return 1 if n < worth else max(1, len(os.sched_getaffinity(0)))
    if not isinstance(threads, int) or isinstance(threads, bool) or not 1 <= threads <= 1024:
        raise ValueError(f"threads is None or an int of 1 to 1024, not {threads!r}")
    return threads


cdef int run_blocks(block_fn fn, const void *batch, size_t n, size_t block, size_t scratch_bytes, int threads) except -1:
    """Runs the batch without the GIL. Raises what a signal handler raised (KeyboardInterrupt): the batch then counts as incomplete."""
    cdef Poll poll
    cdef int stopped
    cdef bint main = threading.get_ident() == main_ident
    poll.last = ksf_now_ns()
    poll.every = POLL_NS
    with nogil:
        stopped = ksf_run_blocks(fn, batch, n, block, scratch_bytes, threads, <ksf_poll_fn>poll_signals if main else NULL, &poll)
    if stopped == -1:
        raise MemoryError(f"{scratch_bytes} bytes of scratch")
    if stopped:
        exc = pending.exc
        pending.exc = None
        raise exc
    if main:
        PyErr_CheckSignals()     # a batch may be shorter than a poll, and code that runs next may drop what a handler raises
    return 0
