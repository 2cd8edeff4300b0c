# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, auto_pickle=False, nonecheck=True, freethreading_compatible=True
"""Routes and payments as native blocks: made once, read by any number of batches and threads."""
cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from keysend_fast._ksf cimport KSF_ERR_TLV, KSF_HOP_PAYLOADS_BYTES, KSF_MAX_HOPS, ksf_api, ksf_keysend_plan, ksf_status
from keysend_fast._native cimport copy_exact, native_api
from keysend_fast._tlv cimport encode_stream, stream_error

from keysend_fast.errors import RouteError, TlvError

cdef extern from "Python.h":
    char *PyBytes_AsString(object) except NULL
    int PyBytes_CheckExact(object)

cdef const ksf_api *api = native_api()



cdef uint64_t uint_of(object v, int bits, str what, hop) except? 0:
    if isinstance(v, bool) or not isinstance(v, int):
        raise RouteError(f"{what} is an int, not {type(v).__name__}", hop=hop)
    if v < 0 or v >> bits:
        raise RouteError(f"{what} {v} is not in 0 .. 2^{bits} - 1", hop=hop)
    return v


cdef uint64_t scid_of(object v, hop) except? 0:
    if isinstance(v, str):
        from keysend_fast.route import parse_short_channel_id

        try:
            v = parse_short_channel_id(v)
        except ValueError as e:
            raise RouteError(str(e), hop=hop) from None
    return uint_of(v, 64, "short_channel_id", hop)


@cython.final
@cython.no_gc
cdef class Route:
    """A packed route: what each node receives, relative to the current block; immutable.

    hops: 1 or more :class:`keysend_fast.route.Hop` (or tuples of that shape), the first being the payer's peer.
    Raises RouteError with the hop at fault. Node ids are checked to be points when an onion is built.
    """

    def __cinit__(self, hops):
        cdef list items = list(hops)
        cdef Py_ssize_t n = len(items), i
        cdef ksf_hop *h
        if not 1 <= n <= KSF_MAX_HOPS:
            raise RouteError(f"a route has 1 to {KSF_MAX_HOPS} hops, not {n}")
        self.c_hops = <ksf_hop *>calloc(n, sizeof(ksf_hop))
        if self.c_hops == NULL:
            raise MemoryError
        self.n_hops = <uint16_t>n
        for i in range(n):
            item = items[i]
            h = &self.c_hops[i]
            if not 4 <= len(item) <= 6:
                raise RouteError(f"a hop has 4 to 6 fields, not {len(item)}", hop=i)
            try:
                copy_exact(h.node_id, item[0], 33, "node_id")
            except (TypeError, ValueError) as e:
                raise RouteError(str(e), hop=i) from None
            if item[1] is not None:
                h.short_channel_id = scid_of(item[1], i)
                h.has_channel = 1
            elif i:
                raise RouteError("short_channel_id is missing (only the first hop's may be None)", hop=i)
            h.amount_msat = uint_of(item[2], 63, "amount_msat", i)
            h.cltv_delta = <uint32_t>uint_of(item[3], 32, "cltv_delta", i)
            base = item[4] if len(item) > 4 else None
            ppm = item[5] if len(item) > 5 else None
            if (base is None) != (ppm is None):
                raise RouteError("fee_base_msat and fee_ppm come together", hop=i)
            if base is not None:
                h.fee_base_msat = <uint32_t>uint_of(base, 32, "fee_base_msat", i)
                h.fee_ppm = <uint32_t>uint_of(ppm, 32, "fee_ppm", i)
                h.has_policy = 1

    def __dealloc__(self):
        free(self.c_hops)

    @staticmethod
    def from_cln_getroute(obj):
        """Core Lightning's ``getroute`` reply, or its ``route`` list. See keysend_fast.route.from_cln_getroute."""
        from keysend_fast import route

        return route.from_cln_getroute(obj)

    @staticmethod
    def from_cln_getroutes(obj, *, final_cltv=None, own_id=None, index=0):
        """One route of Core Lightning's ``getroutes`` reply. See keysend_fast.route.from_cln_getroutes."""
        from keysend_fast import route

        return route.from_cln_getroutes(obj, final_cltv=final_cltv, own_id=own_id, index=index)

    @staticmethod
    def from_lnd(obj, block_height):
        """LND's ``Route`` as JSON. See keysend_fast.route.from_lnd."""
        from keysend_fast import route

        return route.from_lnd(obj, block_height)

    def to_lnd_sendtoroute(self, preimage, records=None, *, block_height, skip_temp_err=True):
        """Parameters of LND's ``SendToRouteV2`` for a keysend. See keysend_fast.payer.lnd.sendtoroute."""
        from keysend_fast.payer import lnd

        return lnd.sendtoroute(self, preimage, records, block_height=block_height, skip_temp_err=skip_temp_err)

    def __len__(self):
        return self.n_hops

    @property
    def hops(self):
        """Tuple of the route's Hop."""
        from keysend_fast.route import Hop

        cdef ksf_hop *h
        cdef Py_ssize_t i
        out = []
        for i in range(self.n_hops):
            h = &self.c_hops[i]
            out.append(Hop(
                PyBytes_FromStringAndSize(<char *>h.node_id, 33), h.short_channel_id if h.has_channel else None, h.amount_msat,
                h.cltv_delta, h.fee_base_msat if h.has_policy else None, h.fee_ppm if h.has_policy else None,
            ))
        return tuple(out)

    @property
    def node_ids(self):
        """List of the nodes' 33-byte ids, the payer's peer first."""
        return [PyBytes_FromStringAndSize(<char *>self.c_hops[i].node_id, 33) for i in range(self.n_hops)]

    @property
    def amount_msat(self):
        """What the recipient receives, in millisatoshi."""
        return self.c_hops[self.n_hops - 1].amount_msat

    @property
    def first_amount_msat(self):
        """What the payer's peer receives, in millisatoshi: the payment with all fees."""
        return self.c_hops[0].amount_msat

    @property
    def final_cltv_delta(self):
        """Blocks that the recipient has, relative to block_height + 1."""
        return self.c_hops[self.n_hops - 1].cltv_delta

    def __eq__(self, other):
        return isinstance(other, Route) and self.packed() == (<Route>other).packed()

    def __hash__(self):
        return hash(self.packed())

    cdef bytes packed(self):
        return PyBytes_FromStringAndSize(<char *>self.c_hops, self.n_hops * sizeof(ksf_hop))

    def __reduce__(self):
        return Route, (self.hops,)

    def __repr__(self):
        return f"<Route of {self.n_hops} hops, {self.amount_msat} msat>"


cpdef bytes encode_records(object records):
    """Custom records as a checked TLV stream.

    records: mapping of type to value (sorted here), pairs in increasing order of type, or an encoded stream. Types are
    65536 and above, 5482373484 excepted (BOLT 4; bLIP 3). Raises TlvError with type and offset.
    """
    cdef ksf_status status, malformed
    cdef const uint8_t *p
    cdef size_t n
    cdef bytes stream
    if PyBytes_CheckExact(records):
        stream = records
    elif isinstance(records, (bytearray, memoryview)):
        stream = bytes(records)
    else:
        stream = encode_stream(records)
    if len(stream) > 0x7FFFFFFF:
        raise TlvError(f"records of {len(stream)} bytes fit no onion", type=None, offset=None)
    p = <const uint8_t *>PyBytes_AsString(stream)
    if api.records_check(p, len(stream), &status) != 0:
        if api.tlv_scan(p, len(stream), NULL, 0, &n, &malformed) != 0 and malformed.offset <= status.offset:
            raise stream_error(p, len(stream), &malformed)
        if status.type < 65536:
            why = f"type {status.type} is below 65536, where custom records begin"
        else:
            why = f"type {status.type} is the keysend preimage's, which is not a custom record"
        raise TlvError(why, type=status.type, offset=status.offset)
    return stream


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class KeysendPayment:
    """One payment of a batch: a route, custom records, and (seldom) secrets of the caller's choice.

    route: a Route. records: see :func:`encode_records`; checked and encoded here, once. amount_msat: another amount than the
    route's, which needs the policy of each hop but the first. preimage, session_key: 32 bytes each, SECRET, copied and wiped
    with the object; by default made by the batch from the operating system's randomness. Never use a preimage twice.
    Raises TlvError, ValueError. Cannot be pickled.
    """

    def __cinit__(self, Route route not None, records=None, *, amount_msat=None, preimage=None, session_key=None):
        self.route = route
        if records is not None:
            self._records = encode_records(records)
        if amount_msat is not None:
            if isinstance(amount_msat, bool) or not isinstance(amount_msat, int) or not 0 < amount_msat < 2**63:
                raise ValueError(f"amount_msat is an int in 1 .. 2^63 - 1, not {amount_msat!r}")
            self.amount = amount_msat
        if preimage is not None:
            copy_exact(self.secret, preimage, 32, "a preimage")
            self.has |= 1
        if session_key is not None:
            copy_exact(self.secret + 32, session_key, 32, "a session key")
            self.has |= 2

    def __dealloc__(self):
        if self.has:
            api.wipe(self.secret, 64)

    @property
    def records(self):
        """The encoded TLV stream, b"" when there is none."""
        return b"" if self._records is None else self._records

    @property
    def amount_msat(self):
        """What the recipient receives, in millisatoshi."""
        return self.amount if self.amount else self.route.amount_msat

    def __repr__(self):
        return f"KeysendPayment({self.route!r}, {self.amount_msat} msat, {len(self.records)} bytes of records)"

    def __reduce__(self):
        raise TypeError("a KeysendPayment may hold secrets and is not pickled")


cdef void request_fill(ksf_keysend_request *q, KeysendPayment p) noexcept:
    q.hops = p.route.c_hops
    q.n_hops = p.route.n_hops
    q.amount_msat = p.amount
    q.reserved = 0
    if p._records is None:
        q.records = NULL
        q.records_len = 0
    else:
        q.records = <const uint8_t *>PyBytes_AsString(p._records)
        q.records_len = <uint32_t>len(<bytes>p._records)


def plan(KeysendPayment payment not None, unsigned int block_height, unsigned int hop_payloads_size=KSF_HOP_PAYLOADS_BYTES):
    """(status code, hop, offset, type, frames_bytes, first_amount_msat, first_cltv_expiry, amount_msat, cltv_expiry)."""
    cdef ksf_keysend_request q
    cdef ksf_keysend_plan p
    request_fill(&q, payment)
    api.keysend_plan(&q, block_height, hop_payloads_size, &p)
    return (p.status.code, p.status.hop, p.status.offset, p.status.type, p.frames_bytes, p.first_amount_msat,
            p.first_cltv_expiry, p.amount_msat, p.cltv_expiry)
