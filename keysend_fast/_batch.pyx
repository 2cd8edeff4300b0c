# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, auto_pickle=False, nonecheck=True, freethreading_compatible=True
"""Building batches of onions: one request array and two arenas a batch, one stretch without the GIL."""
cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from keysend_fast._ksf cimport (
    KSF_CANCELLED, KSF_HOP_PAYLOADS_BYTES, KSF_MAX_HOPS, KSF_OK, KSF_PACKET_OVERHEAD,
    ksf_api, ksf_build_batch, ksf_impl_row, ksf_keysend_plan, ksf_keysend_request, ksf_node_key, ksf_onion_request, ksf_suite,
)
from keysend_fast._native cimport (
    Arena, PUBLIC, SECRETS, block_fn, copy_exact, hex_text, native_api, new_arena, new_plane, random_fill, run_blocks, suite_for_items, thread_count,
)
from keysend_fast._route cimport KeysendPayment, Route, request_fill
from keysend_fast._tables cimport HopTables, load_keys

from keysend_fast.status import onion_error

cdef extern from "Python.h":
    char *PyBytes_AsString(object) except NULL

cdef const ksf_api *api = native_api()

cdef enum:
    THREADS_WORTH = 512          # items below which threads=None means one thread
    ROWS_WORTH_TABLES = 64       # hops of a batch below which it makes no tables of its own
    OWN_TABLE_BYTES = 64 << 20   # bound of the tables that a batch makes for itself
    OWN_BUILD_AFTER = 16         # uses in one batch after which a table made for it alone pays
    SYMMETRIC_LANES = 16         # a block is a multiple of what the widest SHA-256 and ChaCha20 take at once
    LONG_ROUTE = 16              # mean hops from which on blocks get smaller
    SEAL_VERSION = 1

# ---------------------------------------------------------------- secrets


@cython.final
@cython.no_gc
cdef class OnionSecrets:
    """The sender's secrets of one onion: a window into wipeable native memory, hidden from repr, never pickled.

    Read-only memoryviews show the memory itself: after :meth:`wipe` they show zeros. A copy that the caller makes
    (``bytes(view)``, ``view.hex()``) cannot be wiped.
    """

    @property
    def session_key(self):
        """32 bytes, SECRET."""
        return memoryview(new_plane(self.arena, self.session, -1, 32, 0, 1))

    @property
    def preimage(self):
        """32 bytes, SECRET until the payment settled; None where the onion is not a keysend."""
        if self.preimage_at == NULL:
            return None
        return memoryview(new_plane(self.arena, self.preimage_at, -1, 32, 0, 1))

    @property
    def shared_secrets(self):
        """(n_hops, 32), SECRET, the first hop's first: what decoding a failure needs."""
        return memoryview(new_plane(self.arena, self.shared, self.n_hops, 32, 32, 1))

    def shared_secret(self, Py_ssize_t hop):
        """32 bytes, SECRET: the secret shared with hop `hop` (0: the payer's peer)."""
        if not 0 <= hop < self.n_hops:
            raise IndexError(hop)
        return memoryview(new_plane(self.arena, self.shared + 32 * hop, -1, 32, 0, 1))

    def wipe(self):
        """Zero them now."""
        api.wipe(self.session, 32)
        if self.preimage_at != NULL:
            api.wipe(self.preimage_at, 32)
        api.wipe(self.shared, 32 * self.n_hops)

    def seal(self, public_key):
        """Encrypt to a ``nacl.public.PublicKey`` (X25519 sealed box), for another process to decode failures with.

        Returns bytes. The plain text lives in one buffer that is wiped before this returns.
        """
        from nacl.public import SealedBox

        cdef Py_ssize_t has_preimage = self.preimage_at != NULL, k
        cdef bytes plain = PyBytes_FromStringAndSize(NULL, 4 + 32 + 32 * has_preimage + 32 * self.n_hops)
        cdef uint8_t *p = <uint8_t *>PyBytes_AsString(plain)
        try:
            p[0] = SEAL_VERSION
            p[1] = <uint8_t>has_preimage
            p[2] = <uint8_t>(self.n_hops >> 8)
            p[3] = <uint8_t>self.n_hops
            memcpy(p + 4, self.session, 32)
            k = 36
            if has_preimage:
                memcpy(p + k, self.preimage_at, 32)
                k += 32
            memcpy(p + k, self.shared, 32 * self.n_hops)
            return SealedBox(public_key).encrypt(plain)
        finally:
            api.wipe(p, len(plain))

    @staticmethod
    def open(sealed, private_key):
        """What :meth:`seal` sealed, with the ``nacl.public.PrivateKey``. Raises ValueError where it is not that."""
        from nacl.exceptions import CryptoError
        from nacl.public import SealedBox

        cdef bytes plain
        cdef uint8_t *p
        cdef Py_ssize_t size
        try:
            plain = SealedBox(private_key).decrypt(sealed)
        except (CryptoError, TypeError, ValueError) as e:
            raise ValueError(f"not sealed for this key: {type(e).__name__}") from None
        p = <uint8_t *>PyBytes_AsString(plain)
        size = len(plain)
        try:
            if size < 4 or p[0] != SEAL_VERSION or p[1] > 1 or size != 4 + 32 + 32 * p[1] + 32 * (p[2] << 8 | p[3]):
                raise ValueError("not sealed onion secrets of this version")
            return secrets_from(p + 4, p + 36 if p[1] else NULL, p + 36 + 32 * p[1], <uint16_t>(p[2] << 8 | p[3]))
        finally:
            if size > 1:      # shorter ones are the interpreter's own, shared by everyone
                api.wipe(p, size)

    @staticmethod
    def from_shared_secrets(shared_secrets, session_key=None):
        """Secrets made of shared secrets that the caller kept (32 bytes each, SECRET, copied; the first hop's first)."""
        cdef list rows = list(shared_secrets)
        cdef OnionSecrets s = secrets_from(NULL, NULL, NULL, <uint16_t>len(rows))
        cdef Py_ssize_t i
        for i in range(len(rows)):
            copy_exact(s.shared + 32 * i, rows[i], 32, "a shared secret")
        if session_key is not None:
            copy_exact(s.session, session_key, 32, "a session key")
        return s

    def __len__(self):
        return self.n_hops

    def __repr__(self):
        return f"<OnionSecrets of {self.n_hops} hops, hidden>"

    def __reduce__(self):
        raise TypeError("OnionSecrets are not pickled: seal() them for another process")

    def __reduce_ex__(self, protocol):
        raise TypeError("OnionSecrets are not pickled: seal() them for another process")


cdef OnionSecrets secrets_from(const uint8_t *session, const uint8_t *preimage, const uint8_t *shared, uint16_t n_hops):
    """A copy in an arena of its own; NULL pointers leave zeros (or, for the preimage, nothing)."""
    cdef OnionSecrets s = OnionSecrets.__new__(OnionSecrets)
    s.arena = new_arena(64 + 32 * n_hops, SECRETS)
    memset(s.arena.p, 0, s.arena.size)
    s.session = s.arena.p
    s.preimage_at = NULL
    if preimage != NULL:
        s.preimage_at = s.arena.p + 32
        memcpy(s.preimage_at, preimage, 32)
    s.shared = s.arena.p + 64
    s.n_hops = n_hops
    if session != NULL:
        memcpy(s.session, session, 32)
    if shared != NULL:
        memcpy(s.shared, shared, 32 * n_hops)
    return s

# ---------------------------------------------------------------- results


@cython.final
cdef class Onion:
    """One built onion: a lazy view of its batch. Packet and facts are public; what is not stands in ``secrets``."""

    @property
    def packet(self):
        """bytes, 66 + hop_payloads_size of them (1366 for a payment): BOLT 4, Packet Structure."""
        cdef Py_ssize_t size = self.batch.hop_payloads_size + KSF_PACKET_OVERHEAD
        return PyBytes_FromStringAndSize(<char *>self.batch.packets_at + self.i * size, size)

    @property
    def packet_hex(self):
        """The packet as lower-case hex, what RPCs take; faster than ``packet.hex()``."""
        cdef Py_ssize_t size = self.batch.hop_payloads_size + KSF_PACKET_OVERHEAD
        return hex_text(self.batch.packets_at + self.i * size, size)

    @property
    def payment_hash(self):
        """32 bytes: SHA256 of the preimage; None where the onion is not a keysend."""
        if not self.batch.is_keysend:
            return None
        return PyBytes_FromStringAndSize(<char *>self.batch.hashes_at + 32 * self.i, 32)

    @property
    def n_hops(self):
        """Nodes that the onion passes, the recipient included."""
        return self.batch.first_row[self.i + 1] - self.batch.first_row[self.i]

    @property
    def index(self):
        """Place in its batch."""
        return self.i

    @property
    def block_height(self):
        """The block height that the batch was built for; None where the onion is not a keysend."""
        return self.batch.block_height if self.batch.is_keysend else None

    @property
    def route(self):
        """The Route that it was built for; None where the onion is not a keysend."""
        if not self.batch.is_keysend:
            return None
        return route_at(self.batch, self.i)

    cdef ksf_keysend_plan plan(self) except *:
        cdef ksf_keysend_request q
        cdef ksf_keysend_plan p
        cdef Route route
        if not self.batch.is_keysend:
            raise AttributeError("only a keysend has amounts")
        if self.batch.route_ids is None:
            request_fill(&q, <KeysendPayment>self.batch.items[self.i])
        else:
            route = route_at(self.batch, self.i)
            q.hops = route.c_hops
            q.n_hops = route.n_hops
            q.amount_msat = self.batch.route_ids[1][self.i] if self.batch.route_ids[1] is not None else 0
        q.records = NULL
        q.records_len = 0
        api.keysend_plan(&q, self.batch.block_height, self.batch.hop_payloads_size, &p)
        return p

    @property
    def amount_msat(self):
        """What the recipient receives, in millisatoshi."""
        return self.plan().amount_msat

    @property
    def first_amount_msat(self):
        """Amount of the payer's HTLC to the first node, in millisatoshi: the payment with all fees."""
        return self.plan().first_amount_msat

    @property
    def first_cltv_expiry(self):
        """Absolute block height of the payer's HTLC to the first node."""
        return self.plan().first_cltv_expiry

    @property
    def cltv_expiry(self):
        """Absolute block height of the recipient's HTLC."""
        return self.plan().cltv_expiry

    @property
    def secrets(self):
        """OnionSecrets: a window into the batch's secret memory."""
        cdef OnionSecrets s = OnionSecrets.__new__(OnionSecrets)
        cdef OnionBatch b = self.batch
        s.arena = b.secret
        s.session = b.session_at + 32 * self.i
        s.preimage_at = b.preimages_at + 32 * self.i if b.is_keysend else NULL
        s.shared = b.shared_at + 32 * <size_t>b.first_row[self.i]
        s.n_hops = <uint16_t>(b.first_row[self.i + 1] - b.first_row[self.i])
        return s

    def to_cln_sendonion(self, *, groupid, partid=1, block_height=None, label=None, shared_secrets=False):
        """Parameters of Core Lightning's ``sendonion``. See keysend_fast.payer.cln.sendonion."""
        from keysend_fast.payer import cln

        return cln.sendonion(
            self, groupid=groupid, partid=partid, block_height=block_height, label=label, shared_secrets=shared_secrets
        )

    def to_cln_injectpaymentonion(self, *, own_id, groupid, partid=1, label=None, destination_msat=None):
        """Parameters of Core Lightning's ``injectpaymentonion``. See keysend_fast.payer.cln.injectpaymentonion."""
        from keysend_fast.payer import cln

        return cln.injectpaymentonion(
            self, own_id=own_id, groupid=groupid, partid=partid, label=label, destination_msat=destination_msat
        )

    def __repr__(self):
        return f"<Onion {self.i} of {self.n_hops} hops>"


cdef Route route_at(OnionBatch batch, Py_ssize_t i):
    if batch.route_ids is None:
        return (<KeysendPayment>batch.items[i]).route
    return <Route>batch.items[batch.route_ids[0][i]]


cdef class OnionBatch:
    """Outcome of a batch: a sequence of lazy Onion views, with a status for every item.

    ``batch[i]`` raises that item's error. Buffers are read-only views of the batch's memory and keep it alive.
    """

    def __cinit__(self):
        self.first_row = NULL

    def __dealloc__(self):
        free(self.first_row)

    cdef Py_ssize_t at(self, Py_ssize_t i) except -1:
        if i < 0:
            i += self.n
        if not 0 <= i < self.n:
            raise IndexError(i)
        return i

    cdef int check(self, Py_ssize_t i) except -1:
        cdef ksf_status *s = &self.statuses_at[i]
        if s.code != KSF_OK:
            raise onion_error(s.code, s.hop, s.offset, s.type, i)
        return 0

    def __len__(self):
        return self.n

    def __getitem__(self, Py_ssize_t i):
        cdef Onion o
        i = self.at(i)
        self.check(i)
        o = Onion.__new__(Onion)
        o.batch = self
        o.i = i
        return o

    @property
    def packets(self):
        """(n, 66 + hop_payloads_size) bytes; a failed item's row is zero. numpy.asarray takes it without a copy."""
        cdef Py_ssize_t size = self.hop_payloads_size + KSF_PACKET_OVERHEAD
        return memoryview(new_plane(self, self.packets_at, self.n, size, size, 1))

    @property
    def status(self):
        """(n,) 16-bit codes, 0 where the onion was built: keysend_fast.status.Status."""
        return memoryview(new_plane(self, <uint8_t *>self.statuses_at, self.n, 0, sizeof(ksf_status), 2))

    @property
    def ok(self):
        """Whether every item was built."""
        return self.count_ok() == self.n

    def count_ok(self):
        """How many items were built."""
        cdef Py_ssize_t i, k = 0
        for i in range(self.n):
            k += self.statuses_at[i].code == KSF_OK
        return k

    def error(self, Py_ssize_t i):
        """The item's OnionError, or None where it was built."""
        cdef ksf_status *s
        i = self.at(i)
        s = &self.statuses_at[i]
        return None if s.code == KSF_OK else onion_error(s.code, s.hop, s.offset, s.type, i)

    def errors(self):
        """List of the OnionErrors of the items that failed, each with its index."""
        cdef Py_ssize_t i
        return [self.error(i) for i in range(self.n) if self.statuses_at[i].code != KSF_OK]

    @property
    def secrets(self):
        """List of the OnionSecrets of every item (all zero where it failed)."""
        cdef Onion o
        cdef Py_ssize_t i
        out = []
        for i in range(self.n):
            o = Onion.__new__(Onion)
            o.batch = self
            o.i = i
            out.append(o.secrets)
        return out

    def wipe(self):
        """Zero every secret of the batch now; freeing it does too. Packets and hashes stay."""
        with nogil:
            api.wipe(self.secret.p, self.secret.size)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.wipe()

    def __repr__(self):
        return f"<{type(self).__name__} of {self.n}, {self.count_ok()} built>"

    def __reduce__(self):
        raise TypeError("a batch holds secrets and is not pickled")


@cython.final
cdef class KeysendBatch(OnionBatch):
    """Outcome of build_keysends: an OnionBatch with payment hashes."""

    @property
    def payment_hashes(self):
        """(n, 32) bytes: SHA256 of each preimage; a failed item's row is zero."""
        return memoryview(new_plane(self, self.hashes_at, self.n, 32, 32, 1))

    @property
    def preimages(self):
        """(n, 32) bytes, SECRET: zeros after wipe()."""
        return memoryview(new_plane(self, self.preimages_at, self.n, 32, 32, 1))

# ---------------------------------------------------------------- running a batch


cdef Py_ssize_t round64(Py_ssize_t n) noexcept:
    return (n + 63) & ~<Py_ssize_t>63


cdef OnionBatch new_batch(type kind, Py_ssize_t n, uint32_t **rows, object items, uint32_t hop_payloads_size, object out):
    """Memory of a batch of n. Takes rows[0] (n + 1 first rows) over, whatever happens, and leaves NULL there."""
    cdef OnionBatch b = <OnionBatch>kind.__new__(kind)
    cdef uint32_t *first_row = rows[0]
    cdef Py_ssize_t packets, hashes
    cdef uint8_t *p
    cdef Py_buffer view
    b.first_row = first_row
    rows[0] = NULL
    b.n = n
    b.items = items
    b.hop_payloads_size = hop_payloads_size
    b.is_keysend = kind is KeysendBatch
    packets = n * (hop_payloads_size + KSF_PACKET_OVERHEAD)
    hashes = 32 * n if b.is_keysend else 0
    b.public = new_arena((0 if out is not None else round64(packets)) + round64(hashes) + n * <Py_ssize_t>sizeof(ksf_status), PUBLIC)
    p = b.public.p
    if out is not None:
        b.out = memoryview(out)
        PyObject_GetBuffer(b.out, &view, PyBUF_WRITABLE | PyBUF_SIMPLE)
        try:
            if view.len != packets:
                raise ValueError(f"out has {packets} bytes ({n} x {hop_payloads_size + KSF_PACKET_OVERHEAD}), not {view.len}")
            b.packets_at = <uint8_t *>view.buf     # b.out keeps the caller's memory exported
        finally:
            PyBuffer_Release(&view)
    else:
        b.packets_at = p
        p += round64(packets)
    b.hashes_at = p
    b.statuses_at = <ksf_status *>(p + round64(hashes))
    memset(b.statuses_at, 0, n * sizeof(ksf_status))
    b.secret = new_arena(32 * n + hashes + 32 * <Py_ssize_t>first_row[n], SECRETS)
    b.session_at = b.secret.p
    b.preimages_at = b.secret.p + 32 * n
    b.shared_at = b.preimages_at + hashes
    return b


cdef size_t collect_keys(ksf_build_batch *c, ksf_node_key **keys, size_t rows) except? 0:
    """The batch's distinct node keys, in memory that the caller frees."""
    cdef size_t cap = 256, buckets, found
    cdef uint32_t *table
    while True:
        if cap > rows:
            cap = rows if rows else 1
        buckets = 16
        while buckets < 2 * cap:
            buckets *= 2
        keys[0] = <ksf_node_key *>malloc(cap * sizeof(ksf_node_key))
        table = <uint32_t *>malloc(buckets * sizeof(uint32_t))
        if keys[0] == NULL or table == NULL:
            free(table)
            raise MemoryError
        c.keys = keys[0]
        with nogil:
            found = api.keys_collect(c, cap, table, buckets)
        free(table)
        if found <= cap:
            return found
        free(keys[0])
        keys[0] = NULL
        cap *= 8


cdef int mark_alike(const ksf_build_batch *c, size_t n_keys, size_t block) except -1:
    """Tells the tables which keys fill groups of lanes."""
    cdef uint32_t *counts = <uint32_t *>malloc(n_keys * sizeof(uint32_t))
    if counts == NULL:
        raise MemoryError
    with nogil:
        api.keys_alike(c, n_keys, block, counts)
    free(counts)


cdef int run(OnionBatch b, ksf_build_batch *c, object implementation, object hop_tables, object threads) except -1:
    """Keys, tables, then the blocks. On an exception every output is zero."""
    cdef const ksf_suite *suite = suite_for_items(implementation, b.n, hop_tables is not None)
    cdef ksf_impl_row row
    cdef ksf_node_key *keys = NULL
    cdef uint32_t *order = NULL
    cdef size_t rows = b.first_row[b.n], n_keys, block, blocks
    cdef int workers = thread_count(threads, b.n, THREADS_WORTH)
    cdef HopTables tables
    cdef list held
    cdef Py_ssize_t i
    if hop_tables is not None and not isinstance(hop_tables, HopTables):
        raise TypeError(f"hop_tables is a HopTables or None, not {type(hop_tables).__name__}")
    c.n = b.n
    c.suite = suite
    c.first_row = b.first_row
    c.session_keys = b.session_at
    c.preimages = b.preimages_at
    c.payment_hashes = b.hashes_at
    c.shared_secrets = b.shared_at
    c.packets = b.packets_at
    c.statuses = b.statuses_at
    c.hop_payloads_bytes = b.hop_payloads_size
    c.block_height = b.block_height
    if b.n == 0:
        return 0
    c.row_key = <uint32_t *>malloc((rows if rows else 1) * sizeof(uint32_t))
    try:
        if c.row_key == NULL:
            raise MemoryError
        n_keys = collect_keys(c, &keys, rows)
        order = <uint32_t *>malloc(2 * b.n * sizeof(uint32_t))
        if order == NULL:
            raise MemoryError
        if api.build_order(c, order, order + b.n):
            c.order = order
        api.suite_impl(suite, b"ecmult", &row)
        # As many blocks for each thread, of equal size; smaller ones where routes are long, since Ctrl-C waits for them.
        blocks = max((<size_t>b.n + row.block - 1) // row.block, rows // (<size_t>LONG_ROUTE * row.block))
        blocks = (blocks + workers - 1) // workers * workers
        block = ((b.n + blocks - 1) // blocks + SYMMETRIC_LANES - 1) // SYMMETRIC_LANES * SYMMETRIC_LANES
        if block > <size_t>b.n:
            block = b.n
        tables = <HopTables>hop_tables
        if tables is None and rows >= ROWS_WORTH_TABLES:
            tables = HopTables(OWN_TABLE_BYTES, build_after=OWN_BUILD_AFTER)
        if tables is not None:
            if row.lanes > 1:
                mark_alike(c, n_keys, block)
            held = tables.attach(suite, keys, n_keys)
        else:
            load_keys(suite, keys, n_keys)
        for i in range(b.n):
            b.statuses_at[i].code = KSF_OK
        run_blocks(<block_fn>api.build_block, c, b.n, block, api.build_scratch(c, block), workers)
        for i in range(b.n):     # the core wiped a failed item's shared secrets; these two are ours
            if b.statuses_at[i].code != KSF_OK:
                api.wipe(b.session_at + 32 * i, 32)
                if b.is_keysend:
                    api.wipe(b.preimages_at + 32 * i, 32)
    except BaseException:
        memset(b.packets_at, 0, b.n * (b.hop_payloads_size + KSF_PACKET_OVERHEAD))
        memset(b.hashes_at, 0, 32 * b.n if b.is_keysend else 0)
        api.wipe(b.secret.p, b.secret.size)
        for i in range(b.n):
            b.statuses_at[i].code = KSF_CANCELLED
        raise
    finally:
        free(c.row_key)
        free(order)
        free(keys)
    return 0


cdef uint32_t height_of(object block_height) except? 0:
    if isinstance(block_height, bool) or not isinstance(block_height, int):
        raise TypeError(f"block_height is an int, not {type(block_height).__name__}")
    if not 0 <= block_height < 1 << 32:
        raise ValueError(f"block_height {block_height} is not in 0 .. 2^32 - 1")
    return block_height


def build_keysends(payments, *, block_height, threads=None, implementation=None, hop_tables=None, out=None):
    """Build the onions of many keysends. See keysend_fast.keysend.build_keysends."""
    cdef tuple items = payments if type(payments) is tuple else tuple(payments)
    cdef Py_ssize_t n = len(items), i = 0
    cdef ksf_keysend_request *requests
    cdef uint32_t *first_row
    cdef uint32_t rows = 0
    cdef KeysendPayment p
    cdef list given = None
    cdef ksf_build_batch c
    cdef OnionBatch b
    cdef uint32_t height = height_of(block_height)
    cdef size_t random_bytes
    requests = <ksf_keysend_request *>malloc((n if n else 1) * sizeof(ksf_keysend_request))
    first_row = <uint32_t *>malloc((n + 1) * sizeof(uint32_t))
    try:
        if requests == NULL or first_row == NULL:
            raise MemoryError
        for item in items:
            if type(item) is not KeysendPayment:
                raise TypeError(f"item {i} is a {type(item).__name__}, not a KeysendPayment")
            p = <KeysendPayment>item
            request_fill(&requests[i], p)
            first_row[i] = rows
            rows += p.route.n_hops
            if p.has:
                if given is None:
                    given = []
                given.append(i)
            i += 1
        first_row[n] = rows
        b = new_batch(KeysendBatch, n, &first_row, items, KSF_HOP_PAYLOADS_BYTES, out)
        b.block_height = height
        random_fill(b.secret.p, 64 * n)
        if given is not None:
            for i in given:
                p = <KeysendPayment>items[i]
                if p.has & 1:
                    memcpy(b.preimages_at + 32 * i, p.secret, 32)
                if p.has & 2:
                    memcpy(b.session_at + 32 * i, p.secret + 32, 32)
        memset(&c, 0, sizeof(c))
        c.keysends = requests
        run(b, &c, implementation, hop_tables, threads)
        return b
    finally:
        free(requests)
        free(first_row)


def build_keysends_columns(routes, const uint32_t[::1] route_ids not None, *, block_height, const uint64_t[::1] amounts_msat=None,
                           const uint8_t[::1] records=None, const uint32_t[::1] record_offsets=None,
                           const uint8_t[:, ::1] preimages=None, const uint8_t[:, ::1] session_keys=None,
                           threads=None, implementation=None, hop_tables=None, out=None):
    """Build keysends from columns. See keysend_fast.keysend.build_keysends_columns."""
    cdef tuple table = tuple(routes)
    cdef Py_ssize_t n = route_ids.shape[0], i, m = len(table), bad = -1
    cdef ksf_keysend_request *requests
    cdef ksf_keysend_request *by_route
    cdef uint32_t *first_row
    cdef uint32_t rows = 0, k
    cdef ksf_build_batch c
    cdef OnionBatch b
    cdef uint32_t height = height_of(block_height)
    cdef bint has_records = records is not None, has_amounts = amounts_msat is not None
    cdef Py_ssize_t blob = records.shape[0] if has_records else 0
    for i in range(m):
        if type(table[i]) is not Route:
            raise TypeError(f"route {i} is a {type(table[i]).__name__}, not a Route")
    if has_records != (record_offsets is not None) or (has_records and record_offsets.shape[0] != n + 1):
        raise ValueError("records come with record_offsets of n + 1 entries")
    if has_amounts and amounts_msat.shape[0] != n:
        raise ValueError(f"amounts_msat has {n} entries, not {amounts_msat.shape[0]}")
    for name, column in (("preimages", preimages), ("session_keys", session_keys)):
        if column is not None and (column.shape[0] != n or column.shape[1] != 32):
            raise ValueError(f"{name} has shape ({n}, 32)")
    requests = <ksf_keysend_request *>malloc((n if n else 1) * sizeof(ksf_keysend_request))
    by_route = <ksf_keysend_request *>malloc((m if m else 1) * sizeof(ksf_keysend_request))
    first_row = <uint32_t *>malloc((n + 1) * sizeof(uint32_t))
    try:
        if requests == NULL or first_row == NULL or by_route == NULL:
            raise MemoryError
        for i in range(m):
            memset(&by_route[i], 0, sizeof(ksf_keysend_request))
            by_route[i].hops = (<Route>table[i]).c_hops
            by_route[i].n_hops = (<Route>table[i]).n_hops
        with nogil:
            for i in range(n):
                k = route_ids[i]
                if k >= <uint32_t>m:
                    bad = i
                    break
                requests[i] = by_route[k]
                if has_amounts:
                    requests[i].amount_msat = amounts_msat[i]
                if has_records:
                    if record_offsets[i] > record_offsets[i + 1] or <Py_ssize_t>record_offsets[i + 1] > blob:
                        bad = i
                        break
                    requests[i].records_len = record_offsets[i + 1] - record_offsets[i]
                    if requests[i].records_len:
                        requests[i].records = &records[0] + record_offsets[i]
                first_row[i] = rows
                rows += by_route[k].n_hops
            first_row[n] = rows
        if bad >= 0:
            raise ValueError(f"item {bad}: route id or record offsets out of range")
        b = new_batch(KeysendBatch, n, &first_row, table, KSF_HOP_PAYLOADS_BYTES, out)
        b.route_ids = (route_ids, amounts_msat)
        b.block_height = height
        if preimages is None or session_keys is None:
            random_fill(b.secret.p, 64 * n)
        if n and preimages is not None:
            memcpy(b.preimages_at, &preimages[0, 0], 32 * n)
        if n and session_keys is not None:
            memcpy(b.session_at, &session_keys[0, 0], 32 * n)
        memset(&c, 0, sizeof(c))
        c.keysends = requests
        run(b, &c, implementation, hop_tables, threads)
        return b
    finally:
        free(requests)
        free(by_route)
        free(first_row)


def build_onions(requests, *, hop_payloads_size=KSF_HOP_PAYLOADS_BYTES, threads=None, implementation=None, hop_tables=None):
    """Build raw onions. See keysend_fast.onion.build_onions."""
    cdef tuple items = tuple(requests)
    cdef Py_ssize_t n = len(items), i, h, hops, keys_len = 0, payload_bytes = 0
    cdef ksf_onion_request *q
    cdef uint32_t *first_row
    cdef uint32_t *lens = NULL
    cdef uint8_t *ids = NULL
    cdef uint32_t rows = 0
    cdef size_t at = 0
    cdef ksf_build_batch c
    cdef OnionBatch b
    cdef object plain = None
    cdef list own = []
    if not isinstance(hop_payloads_size, int) or not 1 <= hop_payloads_size <= 65535:
        raise ValueError(f"hop_payloads_size is an int in 1 .. 65535, not {hop_payloads_size!r}")
    q = <ksf_onion_request *>malloc((n if n else 1) * sizeof(ksf_onion_request))
    first_row = <uint32_t *>malloc((n + 1) * sizeof(uint32_t))
    try:
        if q == NULL or first_row == NULL:
            raise MemoryError
        for i in range(n):       # tuples of our own: what was counted here is what is copied below
            public_keys, payloads, session_key, associated_data = items[i]
            public_keys, payloads = tuple(public_keys), tuple(payloads)
            own.append((public_keys, payloads, session_key, associated_data))
            hops = len(public_keys)
            if hops != len(payloads):
                raise ValueError(f"item {i}: {hops} public keys but {len(payloads)} payloads")
            if not 1 <= hops <= KSF_MAX_HOPS:
                raise ValueError(f"item {i}: an onion has 1 to {KSF_MAX_HOPS} hops, not {hops}")
            if not isinstance(associated_data, bytes):
                raise TypeError(f"item {i}: associated_data is bytes, not {type(associated_data).__name__}")
            first_row[i] = rows
            rows += <uint32_t>hops
            for h in range(hops):
                if not isinstance(payloads[h], (bytes, bytearray, memoryview)):
                    raise TypeError(f"item {i}, hop {h}: a payload is bytes, not {type(payloads[h]).__name__}")
                if len(payloads[h]) > 65535:
                    raise ValueError(f"item {i}, hop {h}: a payload of {len(payloads[h])} bytes fits no onion")
                payload_bytes += len(payloads[h])
        first_row[n] = rows
        plain = new_arena(payload_bytes, SECRETS)
        ids = <uint8_t *>malloc(33 * <size_t>rows + 1)
        lens = <uint32_t *>malloc((rows + 1) * sizeof(uint32_t))
        if ids == NULL or lens == NULL:
            raise MemoryError
        b = new_batch(OnionBatch, n, &first_row, own, hop_payloads_size, None)
        rows = 0
        for i in range(n):
            public_keys, payloads, session_key, associated_data = own[i]
            copy_exact(b.session_at + 32 * i, session_key, 32, "a session key")
            q[i].node_ids = ids + 33 * <size_t>rows
            q[i].payloads = arena_at(plain) + at
            q[i].payload_lens = lens + rows
            q[i].associated_data = <const uint8_t *>PyBytes_AsString(associated_data)
            q[i].associated_data_len = <uint32_t>len(associated_data)
            q[i].n_hops = <uint16_t>len(public_keys)
            q[i].reserved = 0
            for h in range(len(public_keys)):
                copy_exact(ids + 33 * <size_t>rows, public_keys[h], 33, "a public key")
                lens[rows] = <uint32_t>len(payloads[h])
                if at + lens[rows] > <size_t>payload_bytes:
                    raise ValueError(f"item {i}, hop {h}: the payload grew while it was read")
                copy_exact(arena_at(plain) + at, payloads[h], lens[rows], "a payload")
                at += lens[rows]
                rows += 1
        memset(&c, 0, sizeof(c))
        c.onions = q
        run(b, &c, implementation, hop_tables, threads)
        b.items = None
        return b
    finally:
        free(q)
        free(first_row)
        free(ids)
        free(lens)


cdef uint8_t *arena_at(object arena) noexcept:
    return (<Arena>arena).p
