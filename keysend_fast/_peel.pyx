# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, auto_pickle=False, nonecheck=True, freethreading_compatible=True
"""Peeling batches of packets with one node's key."""
cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.string cimport memset

from keysend_fast._ksf cimport KSF_CANCELLED, KSF_HOP_PAYLOADS_BYTES, KSF_OK, KSF_PACKET_OVERHEAD, ksf_api, ksf_impl_row, ksf_peel_batch, ksf_suite
from keysend_fast._native cimport (
    PUBLIC, SECRETS, block_fn, copy_exact, native_api, new_arena, new_plane, run_blocks, suite_for_items, thread_count,
)

from keysend_fast.errors import SessionKeyError
from keysend_fast.status import onion_error

cdef const ksf_api *api = native_api()

cdef enum:
    THREADS_WORTH = 512


@cython.final
cdef class PeeledOnion:
    """One peeled layer: a lazy view of its batch. The payload is the peeling node's own data."""

    @property
    def payload(self):
        """bytes: the TLV stream meant for this node, without its length prefix. A final one may hold a preimage."""
        return PyBytes_FromStringAndSize(<char *>self.batch.payloads_at + self.i * self.batch.hop_payloads_size, self.batch.lens_at[self.i])

    @property
    def next_packet(self):
        """bytes to forward, or None where this node is the last."""
        cdef Py_ssize_t size = self.batch.hop_payloads_size + KSF_PACKET_OVERHEAD
        if self.batch.finals_at[self.i]:
            return None
        return PyBytes_FromStringAndSize(<char *>self.batch.next_at + self.i * size, size)

    @property
    def is_final(self):
        """Whether this node is the last of the onion."""
        return bool(self.batch.finals_at[self.i])

    @property
    def shared_secret(self):
        """32 bytes, SECRET: what failures are wrapped with, and what a replay is recognised by. Zeros after wipe()."""
        return memoryview(new_plane(self.batch, self.batch.secret.p + 32 * self.i, -1, 32, 0, 1))

    def __repr__(self):
        return f"<PeeledOnion {self.i}, {self.batch.lens_at[self.i]} bytes of payload{', final' if self.is_final else ''}>"


@cython.final
@cython.no_gc      # refers to arenas only; and __dealloc__ needs them
cdef class PeelBatch:
    """Outcome of peel_onions: a sequence of PeeledOnion views with a status for every packet; ``batch[i]`` raises its error."""

    cdef Py_ssize_t at(self, Py_ssize_t i) except -1:
        if i < 0:
            i += self.n
        if not 0 <= i < self.n:
            raise IndexError(i)
        return i

    def __len__(self):
        return self.n

    def __getitem__(self, Py_ssize_t i):
        cdef PeeledOnion o
        i = self.at(i)
        error = self.error(i)
        if error is not None:
            raise error
        o = PeeledOnion.__new__(PeeledOnion)
        o.batch = self
        o.i = i
        return o

    def error(self, Py_ssize_t i):
        """The packet's PeelError, or None where it was peeled."""
        cdef ksf_status *s
        i = self.at(i)
        s = &self.statuses_at[i]
        return None if s.code == KSF_OK else onion_error(s.code, s.hop, s.offset, s.type, i)

    def errors(self):
        """List of the PeelErrors of the packets that were refused, each with its index."""
        cdef Py_ssize_t i
        return [self.error(i) for i in range(self.n) if self.statuses_at[i].code != KSF_OK]

    def count_ok(self):
        """How many packets were peeled."""
        cdef Py_ssize_t i, k = 0
        for i in range(self.n):
            k += self.statuses_at[i].code == KSF_OK
        return k

    @property
    def ok(self):
        """Whether every packet was peeled."""
        return self.count_ok() == self.n

    @property
    def status(self):
        """(n,) 16-bit codes, 0 where the packet was peeled: keysend_fast.status.Status."""
        return memoryview(new_plane(self, <uint8_t *>self.statuses_at, self.n, 0, sizeof(ksf_status), 2))

    @property
    def next_packets(self):
        """(n, 66 + hop_payloads_size) bytes; zero rows where final or refused."""
        cdef Py_ssize_t size = self.hop_payloads_size + KSF_PACKET_OVERHEAD
        return memoryview(new_plane(self, self.next_at, self.n, size, size, 1))

    @property
    def finals(self):
        """(n,) bytes: 1 where this node is the last of the onion."""
        return memoryview(new_plane(self, self.finals_at, -1, self.n, 0, 1))

    @property
    def shared_secrets(self):
        """(n, 32) bytes, SECRET; zero where refused."""
        return memoryview(new_plane(self, self.secret.p, self.n, 32, 32, 1))

    def wipe(self):
        """Zero every shared secret and payload of the batch now; freeing it does too."""
        cdef Py_ssize_t i
        api.wipe(self.secret.p, self.secret.size)
        for i in range(self.n):
            api.wipe(self.payloads_at + i * self.hop_payloads_size, self.lens_at[i])

    def __dealloc__(self):
        cdef Py_ssize_t i
        if self.payloads_at != NULL:
            for i in range(self.n):
                api.wipe(self.payloads_at + i * self.hop_payloads_size, self.lens_at[i])

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.wipe()

    def __repr__(self):
        return f"<PeelBatch of {self.n}, {self.count_ok()} peeled>"

    def __reduce__(self):
        raise TypeError("a PeelBatch holds secrets and is not pickled")


cdef Py_ssize_t round64(Py_ssize_t n) noexcept:
    return (n + 63) & ~<Py_ssize_t>63


cdef const uint8_t *rows_of(object source, Py_ssize_t n, Py_ssize_t width, str what, list keep) except NULL:
    """n rows of width bytes: a buffer of them, or a sequence that is copied into one."""
    cdef Py_buffer view
    cdef bytearray copy
    cdef Py_ssize_t i
    if isinstance(source, (list, tuple)):
        copy = bytearray(n * width + 1)
        for i in range(n):
            copy_exact(<uint8_t *>copy + i * width, source[i], width, f"{what} {i}")
        keep.append(copy)
        return <const uint8_t *><uint8_t *>copy
    held = memoryview(source)
    PyObject_GetBuffer(held, &view, PyBUF_SIMPLE)
    try:
        if view.len != n * width:
            raise ValueError(f"{what}: {n} rows of {width} bytes are {n * width}, not {view.len}")
        keep.append(held)
        return <const uint8_t *>(view.buf if view.len else <void *>b"")
    finally:
        PyBuffer_Release(&view)


def peel_onions(packets, node_privkey, associated_data, *, hop_payloads_size=KSF_HOP_PAYLOADS_BYTES, associated_data_size=32,
                threads=None, implementation=None):
    """Peel one layer of many packets. See keysend_fast.onion.peel_onions."""
    cdef const ksf_suite *suite
    cdef ksf_peel_batch c
    cdef ksf_impl_row row
    cdef uint8_t key[32]
    cdef PeelBatch b
    cdef Py_ssize_t n, size, i
    cdef size_t block
    cdef int workers
    cdef uint8_t *p
    cdef list keep = []
    if not isinstance(hop_payloads_size, int) or not 1 <= hop_payloads_size <= 65535:
        raise ValueError(f"hop_payloads_size is an int in 1 .. 65535, not {hop_payloads_size!r}")
    size = hop_payloads_size + KSF_PACKET_OVERHEAD
    if isinstance(packets, (list, tuple)):
        n = len(packets)
    elif isinstance(packets, memoryview) or hasattr(packets, "__array_interface__") or isinstance(packets, (bytes, bytearray)):
        n = memoryview(packets).nbytes // size
    else:
        packets = list(packets)
        n = len(packets)
    workers = thread_count(threads, n, THREADS_WORTH)
    suite = suite_for_items(implementation, n, False)
    memset(&c, 0, sizeof(c))
    c.n = n
    c.suite = suite
    c.hop_payloads_bytes = hop_payloads_size
    c.packets = rows_of(packets, n, size, "packet", keep)
    c.ad_len = associated_data_size
    c.ad_stride = associated_data_size
    if isinstance(associated_data, bytes) and len(associated_data) == associated_data_size and n != 1:
        c.ad_stride = 0      # one value for all
        c.associated_data = rows_of(associated_data, 1, associated_data_size, "associated_data", keep)
    elif associated_data_size == 0:
        c.associated_data = <const uint8_t *>b""
    else:
        if not isinstance(associated_data, (list, tuple, bytes, bytearray, memoryview)) and not hasattr(associated_data, "__array_interface__"):
            associated_data = list(associated_data)
        if isinstance(associated_data, (list, tuple)) and len(associated_data) != n:
            raise ValueError(f"associated_data: one value of {associated_data_size} bytes per packet, not {len(associated_data)} for {n}")
        c.associated_data = rows_of(associated_data, n, associated_data_size, "associated_data", keep)
    b = PeelBatch.__new__(PeelBatch)
    b.n = n
    b.hop_payloads_size = hop_payloads_size
    b.public = new_arena(round64(n * size) + round64(4 * n) + round64(n * sizeof(ksf_status)) + round64(n), PUBLIC)
    p = b.public.p
    b.next_at = p
    p += round64(n * size)
    b.lens_at = <uint32_t *>p
    p += round64(4 * n)
    b.statuses_at = <ksf_status *>p
    p += round64(n * sizeof(ksf_status))
    b.finals_at = p
    b.secret = new_arena(32 * n, SECRETS)
    b.payloads = new_arena(n * <Py_ssize_t>hop_payloads_size, PUBLIC)   # secret, but wiped row by row: only what was written
    b.payloads_at = b.payloads.p
    memset(b.lens_at, 0, 4 * n)
    memset(b.statuses_at, 0, n * sizeof(ksf_status))
    c.shared_secrets = b.secret.p
    c.payloads = b.payloads_at
    c.payload_lens = b.lens_at
    c.next_packets = b.next_at
    c.finals = b.finals_at
    c.statuses = b.statuses_at
    api.suite_impl(suite, b"ecmult", &row)
    block = row.peel_block
    if workers > 1 and block > <size_t>((n + workers - 1) // workers):
        block = (n + workers - 1) // workers
    if block > <size_t>n:
        block = n
    try:
        copy_exact(key, node_privkey, 32, "node_privkey")
        if not api.scalar_valid(key):
            raise SessionKeyError("node_privkey is 0 or not below the group order")
        c.node_privkey = key
        if n:
            run_blocks(<block_fn>api.peel_block, &c, n, block, api.peel_scratch(&c, block), workers)
    except BaseException:
        b.wipe()
        memset(b.public.p, 0, b.public.size)
        api.wipe(b.secret.p, b.secret.size)
        for i in range(n):
            b.statuses_at[i].code = KSF_CANCELLED
        raise
    finally:
        api.wipe(key, 32)
    return b
