# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, auto_pickle=False, nonecheck=True, freethreading_compatible=True
"""Batches of what comes back for HTLCs: return packets and attribution data, at the origin and at the nodes."""
cimport cython
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_CheckExact, PyBytes_FromStringAndSize
from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from keysend_fast._batch cimport OnionBatch, OnionSecrets
from keysend_fast._ksf cimport (
    KSF_ATTRIBUTION_BYTES, KSF_FAILURE_PACKET_MAX, KSF_MAX_HOPS, KSF_NO_HOP,
    ksf_api, ksf_return, ksf_return_batch, ksf_return_step, ksf_return_step_batch,
)
from keysend_fast._native cimport (
    PUBLIC, SECRETS, block_fn, copy_exact, native_api, new_arena, new_plane, run_blocks, suite_for, thread_count,
)

cdef extern from "Python.h":
    char *PyBytes_AsString(object) except NULL

cdef const ksf_api *api = native_api()

cdef enum:
    THREADS_WORTH = 512
    BLOCK = 128              # items that a thread takes at a time: 16 lanes, and about 2 ms of work
    HMAC_BYTES = 32
    OVERHEAD = 36            # hmac and two lengths, beside the message and its padding

# ---------------------------------------------------------------- arguments


@cython.final
@cython.no_gc      # holds bytes, views and arenas: no cycles
cdef class Column:
    """Pointers to the rows of an argument, and what keeps them alive. A row that is None has the pointer NULL."""

    def __cinit__(self, Py_ssize_t n):
        self.n = n
        self.held = []
        self.rows = <const uint8_t **>calloc(n if n else 1, sizeof(void *))
        self.lengths = <size_t *>calloc(n if n else 1, sizeof(size_t))
        if self.rows == NULL or self.lengths == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.rows)
        free(self.lengths)


cdef Py_ssize_t rows_in(object source, str what) except -1:
    """How many rows an argument has: the first dimension of a buffer, or the length of a sequence."""
    if isinstance(source, (bytes, bytearray, str)):
        raise TypeError(f"{what}: a sequence of rows or a two-dimensional buffer, not {type(source).__name__}")
    return len(source)


cdef Column column(object source, Py_ssize_t n, Py_ssize_t width, bint optional, str what):
    """The n rows of `source`, each of `width` bytes (-1: any): a buffer of shape (n, width), or a sequence of buffers."""
    cdef Column c = Column(n)
    cdef Py_buffer view
    cdef Py_ssize_t i
    if rows_in(source, what) != n:
        raise ValueError(f"{what}: {n} rows are due, not {len(source)}")
    if isinstance(source, memoryview) or hasattr(source, "__array_interface__"):
        held = memoryview(source)
        if held.ndim != 2 or held.itemsize != 1:
            raise ValueError(f"{what}: a buffer of bytes has shape (n, bytes), not {held.ndim} dimensions of {held.itemsize} bytes")
        PyObject_GetBuffer(held, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
        try:
            if width >= 0 and view.shape[1] != width:
                raise ValueError(f"{what}: rows have {width} bytes, not {view.shape[1]}")
            for i in range(n):
                c.rows[i] = <const uint8_t *>view.buf + i * view.shape[1]
                c.lengths[i] = view.shape[1]
        finally:
            PyBuffer_Release(&view)
        c.held.append(held)
        return c
    for i in range(n):
        row = source[i]
        if row is None and optional:
            continue
        if isinstance(row, str):
            raise TypeError(f"{what} {i} is bytes, not str (use bytes.fromhex)")
        if not PyBytes_CheckExact(row):
            row = bytes(memoryview(row))
        if width >= 0 and len(<bytes>row) != width:
            raise ValueError(f"{what} {i} has {width} bytes, not {len(<bytes>row)}")
        c.held.append(row)
        c.rows[i] = <const uint8_t *>PyBytes_AsString(row)
        c.lengths[i] = len(<bytes>row)
    return c


cdef Column no_column(Py_ssize_t n):
    return Column(n)


cdef Column attribution_column(object source, Py_ssize_t n):
    return no_column(n) if source is None else column(source, n, KSF_ATTRIBUTION_BYTES, True, "attribution data")


cdef Column secrets_column(object source, Py_ssize_t n):
    """Each item's shared secrets (32 bytes a hop, in `rows`; hops in `lengths`): the batch that built the onions, or a
    sequence of OnionSecrets, of sequences of 32 bytes, or of buffers of 32 bytes a hop. Copies are wiped with the column."""
    cdef Column c = Column(n)
    cdef OnionBatch batch
    cdef OnionSecrets s
    cdef Py_ssize_t i, h, copied = 0
    cdef uint8_t *to
    if isinstance(source, OnionBatch):
        batch = <OnionBatch>source
        if batch.n != n:
            raise ValueError(f"secrets: the batch has {batch.n} onions, not {n}")
        c.held.append(batch)
        for i in range(n):
            c.rows[i] = batch.shared_at + 32 * <size_t>batch.first_row[i]
            c.lengths[i] = batch.first_row[i + 1] - batch.first_row[i]
        refuse_wiped(c)
        return c
    if rows_in(source, "secrets") != n:
        raise ValueError(f"secrets: {n} are due, one for each packet, not {len(source)}")
    for i in range(n):
        item = source[i]
        c.held.append(item)
        if isinstance(item, OnionSecrets):
            s = <OnionSecrets>item
            c.rows[i] = s.shared
            c.lengths[i] = s.n_hops
            continue
        if isinstance(item, (list, tuple)):
            c.lengths[i] = len(item)
        elif isinstance(item, str):
            raise TypeError(f"secrets {i}: OnionSecrets or 32 bytes a hop, not str")
        else:
            if memoryview(item).nbytes % 32:
                raise ValueError(f"secrets {i}: 32 bytes a hop, not {memoryview(item).nbytes} in all")
            c.lengths[i] = memoryview(item).nbytes // 32
        copied += c.lengths[i]
    c.arena = new_arena(32 * copied, SECRETS)
    to = c.arena.p
    memset(to, 0, c.arena.size)
    for i in range(n):
        item = c.held[i]
        if not 1 <= c.lengths[i] <= KSF_MAX_HOPS:
            raise ValueError(f"secrets {i}: a route has 1 to {KSF_MAX_HOPS} hops, not {c.lengths[i]}")
        if isinstance(item, OnionSecrets):
            continue
        c.rows[i] = to
        if isinstance(item, (list, tuple)):
            for h in range(<Py_ssize_t>c.lengths[i]):
                copy_exact(to + 32 * h, item[h], 32, f"secrets {i}: the shared secret of hop {h}")
        else:
            copy_exact(to, memoryview(item).cast("B"), 32 * c.lengths[i], f"secrets {i}")
        to += 32 * c.lengths[i]
    refuse_wiped(c)
    return c


cdef int refuse_wiped(Column secrets) except -1:
    """Zeros would make every failure undecodable without a word. That a secret is zero says that it is none."""
    cdef uint8_t zero[32]
    cdef Py_ssize_t i
    memset(zero, 0, 32)
    for i in range(secrets.n):
        if secrets.lengths[i] and api.equal(secrets.rows[i], zero, 32):
            raise ValueError(f"secrets {i} are zero: they were wiped, or the onion was not built")
    return 0


cdef size_t round64(size_t n) noexcept:
    return (n + 63) & ~<size_t>63


cdef int run(block_fn fn, const void *batch, size_t n, size_t scratch, object threads) except -1:
    cdef int workers = thread_count(threads, n, THREADS_WORTH)
    cdef size_t block = BLOCK
    if workers > 1 and block * workers > n:
        block = (n + workers - 1) // workers
    if n:
        run_blocks(fn, batch, n, block, scratch, workers)
    return 0

# ---------------------------------------------------------------- the origin


@cython.final
@cython.no_gc
cdef class ReturnBatch:
    """What the origin read out of each return. ``batch[i]`` is a tuple: see :meth:`__getitem__`."""

    cdef Py_ssize_t at(self, Py_ssize_t i) except -1:
        if i < 0:
            i += self.n
        if not 0 <= i < self.n:
            raise IndexError(i)
        return i

    def __len__(self):
        return self.n

    def __getitem__(self, Py_ssize_t i):
        """(status code, n_hops, erring hop or None, failure message, hold times or None, first unverified hop or None)."""
        cdef ksf_return_report *r
        cdef Py_ssize_t k
        i = self.at(i)
        r = &self.reports_at[i]
        return (
            self.statuses_at[i].code,
            self.hops_at[i],
            None if r.erring_hop == KSF_NO_HOP else r.erring_hop,
            PyBytes_FromStringAndSize(<char *>self.arena.p + self.bodies_at[i] + 2, r.message_len) if r.message_len else b"",
            tuple([r.hold_times[k] for k in range(r.n_hold_times)]) if self.attributed_at[i] else None,
            None if r.first_unverified == KSF_NO_HOP else r.first_unverified,
        )

    @property
    def status(self):
        """(n,) 16-bit codes: keysend_fast.status.Status."""
        return memoryview(new_plane(self, <uint8_t *>self.statuses_at, self.n, 0, sizeof(self.statuses_at[0]), 2))

    @property
    def erring_hops(self):
        """(n,) 16-bit indexes of the erring hop; 65535 where no hop authenticated the packet."""
        return memoryview(new_plane(self, <uint8_t *>self.reports_at, self.n, 0, sizeof(self.reports_at[0]), 2))

    def __repr__(self):
        return f"<ReturnBatch of {self.n}>"


def decode_returns(packets, secrets, attribution_data=None, *, threads=None, implementation=None):
    """Decode many returns at the origin. See keysend_fast.failure.decode_failures; a packet that is None is a fulfilled HTLC."""
    cdef ksf_return_batch c
    cdef ReturnBatch b = ReturnBatch.__new__(ReturnBatch)
    cdef Column packet, secret, block
    cdef ksf_return *returns
    cdef Py_ssize_t n, i
    cdef size_t bodies = 0, at
    if isinstance(packets, ReturnPackets):
        attribution_data = (<ReturnPackets>packets).attribution_data if attribution_data is None else attribution_data
        packets = (<ReturnPackets>packets).packets
    elif not isinstance(packets, (list, tuple, memoryview, bytes, bytearray, str)) and not hasattr(packets, "__array_interface__"):
        packets = list(packets)
    n = rows_in(packets, "packets")
    packet = column(packets, n, -1, True, "packet")
    secret = secrets_column(secrets, n)
    block = attribution_column(attribution_data, n)
    memset(&c, 0, sizeof(c))
    c.n = n
    c.suite = suite_for(implementation)
    for i in range(n):
        if packet.rows[i] == NULL:
            if block.rows[i] == NULL:
                raise ValueError(f"item {i}: neither a packet nor attribution data")
        elif packet.lengths[i] > KSF_FAILURE_PACKET_MAX:
            raise ValueError(f"packet {i} has at most {KSF_FAILURE_PACKET_MAX} bytes (BOLT 2, update_fail_htlc), not {packet.lengths[i]}")
        if packet.lengths[i] > HMAC_BYTES:
            bodies += packet.lengths[i] - HMAC_BYTES
        if packet.lengths[i] > c.max_packet_len:
            c.max_packet_len = <uint32_t>packet.lengths[i]
        if secret.lengths[i] > c.max_hops:
            c.max_hops = <uint32_t>secret.lengths[i]
    b.n = n
    b.arena = new_arena(
        round64(n * sizeof(b.statuses_at[0])) + round64(n * sizeof(b.reports_at[0])) + round64(n * sizeof(size_t))
        + round64(n * sizeof(uint16_t)) + round64(n) + bodies, PUBLIC)
    memset(b.arena.p, 0, b.arena.size)
    b.statuses_at = <ksf_status *>b.arena.p
    at = round64(n * sizeof(b.statuses_at[0]))
    b.reports_at = <ksf_return_report *>(b.arena.p + at)
    at += round64(n * sizeof(b.reports_at[0]))
    b.bodies_at = <size_t *>(b.arena.p + at)
    at += round64(n * sizeof(size_t))
    b.hops_at = <uint16_t *>(b.arena.p + at)
    at += round64(n * sizeof(uint16_t))
    b.attributed_at = b.arena.p + at
    at += round64(n)
    returns = <ksf_return *>calloc(n if n else 1, sizeof(ksf_return))
    if returns == NULL:
        raise MemoryError
    try:
        for i in range(n):
            b.bodies_at[i] = at
            b.hops_at[i] = <uint16_t>secret.lengths[i]
            b.attributed_at[i] = block.rows[i] != NULL
            returns[i].packet = packet.rows[i]
            returns[i].packet_len = <uint32_t>packet.lengths[i]
            returns[i].shared_secrets = secret.rows[i]
            returns[i].n_hops = <uint16_t>secret.lengths[i]
            returns[i].attribution_data = block.rows[i]
            if packet.lengths[i] > HMAC_BYTES:
                returns[i].body = b.arena.p + at
                at += packet.lengths[i] - HMAC_BYTES
        c.returns = returns
        c.reports = b.reports_at
        c.statuses = b.statuses_at
        run(<block_fn>api.return_decode_block, &c, n, api.return_decode_scratch(&c), threads)
    finally:
        free(returns)
    return b

# ---------------------------------------------------------------- a node


@cython.final
@cython.no_gc
cdef class ReturnPackets:
    """What nodes send upstream: return packets, and attribution data where they give some."""

    cdef Py_ssize_t at(self, Py_ssize_t i) except -1:
        if i < 0:
            i += self.n
        if not 0 <= i < self.n:
            raise IndexError(i)
        return i

    def __len__(self):
        return self.n

    def __getitem__(self, Py_ssize_t i):
        """(return packet, attribution data or None) of item i, as bytes. The packet of a fulfilled HTLC is empty."""
        i = self.at(i)
        return (
            PyBytes_FromStringAndSize(<char *>self.arena.p + self.packets_at[i], self.packets_at[i + 1] - self.packets_at[i]),
            None if self.blocks_at == NULL
            else PyBytes_FromStringAndSize(<char *>self.blocks_at + KSF_ATTRIBUTION_BYTES * i, KSF_ATTRIBUTION_BYTES),
        )

    @property
    def packets(self):
        """(n, bytes) where all have one length, without a copy; else a list of bytes."""
        cdef Py_ssize_t i, width
        width = self.packets_at[1] - self.packets_at[0] if self.n else 0
        for i in range(self.n):
            if <Py_ssize_t>(self.packets_at[i + 1] - self.packets_at[i]) != width or not width:
                return [self[i][0] for i in range(self.n)]
        return memoryview(new_plane(self, self.arena.p + self.packets_at[0], self.n, width, width, 1)) if width else []

    @property
    def attribution_data(self):
        """(n, 920) bytes without a copy, or None where the nodes gave none."""
        if self.blocks_at == NULL or not self.n:
            return None
        return memoryview(new_plane(self, self.blocks_at, self.n, KSF_ATTRIBUTION_BYTES, KSF_ATTRIBUTION_BYTES, 1))

    def __repr__(self):
        return f"<ReturnPackets of {self.n}{', attributed' if self.blocks_at != NULL else ''}>"


cdef uint32_t u32(object value, str what) except? 0:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 0xffffffff:
        raise ValueError(f"{what} is an int of 32 bits, not {value!r}")
    return value


def step_returns(shared_secrets, messages=None, packets=None, attribution_data=None, hold_times=None, *, size=256, threads=None,
                 implementation=None):
    """One node's part of many returns. See keysend_fast.failure: create_failures (messages), wrap_failures (packets),
    wrap_fulfilled (neither). hold_times: None for nodes without attribution data, one int for all, or one each."""
    cdef ksf_return_step_batch c
    cdef ReturnPackets b = ReturnPackets.__new__(ReturnPackets)
    cdef Column rows, block
    cdef ksf_return_step *steps
    cdef Arena secret
    cdef Py_ssize_t n, i, padded = 0
    cdef size_t at, length, total = 0
    cdef uint32_t everyone = 0
    if isinstance(packets, ReturnPackets):
        if attribution_data is None and hold_times is not None:
            attribution_data = (<ReturnPackets>packets).attribution_data
        packets = (<ReturnPackets>packets).packets
    n = rows_in(shared_secrets, "shared secrets")
    secret = new_arena(32 * n, SECRETS)
    if isinstance(shared_secrets, memoryview) or hasattr(shared_secrets, "__array_interface__"):
        copy_exact(secret.p, memoryview(shared_secrets).cast("B"), 32 * n, "the shared secrets")
    else:
        for i in range(n):
            copy_exact(secret.p + 32 * i, shared_secrets[i], 32, f"shared secret {i}")
    if hold_times is None:
        if attribution_data is not None:
            raise ValueError("attribution data goes on only with a hold time; a node without it drops it")
    elif isinstance(hold_times, int):
        everyone = u32(hold_times, "a hold time")
    elif len(hold_times) != n:
        raise ValueError(f"hold_times: {n} are due, not {len(hold_times)}")
    if messages is not None:
        rows = column(messages, n, -1, False, "message")
        padded = size
        if not isinstance(size, int) or not 0 <= size <= KSF_FAILURE_PACKET_MAX - OVERHEAD:
            raise ValueError(f"size is an int of 0 to {KSF_FAILURE_PACKET_MAX - OVERHEAD}, not {size!r}")
    elif packets is not None:
        rows = column(packets, n, -1, False, "packet")
    else:
        rows = no_column(n)
    block = attribution_column(attribution_data, n)
    memset(&c, 0, sizeof(c))
    c.n = n
    c.suite = suite_for(implementation)
    steps = <ksf_return_step *>calloc(n if n else 1, sizeof(ksf_return_step))
    if steps == NULL:
        raise MemoryError
    try:
        for i in range(n):
            length = rows.lengths[i]
            if messages is not None:
                if length < 2:
                    raise ValueError(f"message {i} begins with a failure code of 2 bytes")
                steps[i].message = rows.rows[i]
                steps[i].message_len = <uint32_t>length
                length = OVERHEAD + (length if length > <size_t>padded else <size_t>padded)
            elif packets is not None:
                if length == 0:
                    raise ValueError(f"packet {i} is empty")
                steps[i].packet_in = rows.rows[i]
            if length > KSF_FAILURE_PACKET_MAX:
                raise ValueError(f"packet {i} would have {length} bytes, more than {KSF_FAILURE_PACKET_MAX} (BOLT 2, update_fail_htlc)")
            steps[i].packet_len = <uint32_t>length
            if length > c.max_packet_len:
                c.max_packet_len = <uint32_t>length
            total += length
            steps[i].shared_secret = secret.p + 32 * i
            steps[i].attribution_in = block.rows[i]
            if hold_times is not None:
                steps[i].hold_time = everyone if isinstance(hold_times, int) else u32(hold_times[i], f"hold time {i}")
        at = round64((n + 1) * sizeof(size_t))
        b.n = n
        b.arena = new_arena(at + round64(total) + (n * <size_t>KSF_ATTRIBUTION_BYTES if hold_times is not None else 0), PUBLIC)
        memset(b.arena.p, 0, b.arena.size)
        b.packets_at = <size_t *>b.arena.p
        b.blocks_at = NULL if hold_times is None else b.arena.p + at + round64(total)
        for i in range(n):
            b.packets_at[i] = at
            steps[i].packet_out = b.arena.p + at
            at += steps[i].packet_len
            if b.blocks_at != NULL:
                steps[i].attribution_out = b.blocks_at + KSF_ATTRIBUTION_BYTES * i
        b.packets_at[n] = at
        c.steps = steps
        run(<block_fn>api.return_step_block, &c, n, api.return_step_scratch(&c), threads)
    finally:
        free(steps)
    return b
