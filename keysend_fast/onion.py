"""Raw Sphinx onions: payloads are opaque TLV streams without their length prefix (BOLT 4, Packet Construction)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from keysend_fast import _batch, _peel
from keysend_fast._batch import Onion, OnionBatch, OnionSecrets
from keysend_fast._peel import PeelBatch, PeeledOnion
from keysend_fast._tables import HopTables
from keysend_fast._types import Buffer, Rows

__all__ = [
    "HopTables",
    "Onion",
    "OnionBatch",
    "OnionRequest",
    "OnionSecrets",
    "PeelBatch",
    "PeeledOnion",
    "build_onion",
    "build_onions",
    "peel_onion",
    "peel_onions",
]

HOP_PAYLOADS_SIZE = 1300  # BOLT 4, Packet Structure: of payments


class OnionRequest(NamedTuple):
    """One raw onion to build.

    public_keys: the nodes' ids, 33 bytes each, the first to receive it first. payloads: one per node, bytes without their
    length prefix (lengths 0 and 1 are reserved by BOLT 4 and refused). session_key: 32 bytes, SECRET, in 1 .. n - 1, never
    used for two different onions. associated_data: bytes that every layer's HMAC covers; a payment's hash.
    """

    public_keys: Sequence[Buffer]
    payloads: Sequence[Buffer]
    session_key: Buffer
    associated_data: bytes


def build_onion(
    public_keys: Sequence[Buffer],
    payloads: Sequence[Buffer],
    session_key: Buffer,
    associated_data: bytes,
    *,
    hop_payloads_size: int = HOP_PAYLOADS_SIZE,
    implementation: str | None = None,
    hop_tables: HopTables | None = None,
) -> Onion:
    """Build one onion (BOLT 4, Packet Construction).

    Arguments as in :class:`OnionRequest`. The result owns its secrets. Raises OnionError subclasses with the hop at fault
    (NodeKeyError, PayloadSizeError, OnionSizeError, SessionKeyError), ValueError or TypeError for misuse.
    """
    request = OnionRequest(public_keys, payloads, session_key, associated_data)
    batch = build_onions(
        (request,), hop_payloads_size=hop_payloads_size, threads=1, implementation=implementation, hop_tables=hop_tables
    )
    return batch[0]


def build_onions(
    requests: Iterable[OnionRequest | tuple[Sequence[Buffer], Sequence[Buffer], Buffer, bytes]],
    *,
    hop_payloads_size: int = HOP_PAYLOADS_SIZE,
    threads: int | None = None,
    implementation: str | None = None,
    hop_tables: HopTables | None = None,
) -> OnionBatch:
    """Build many onions at once (BOLT 4, Packet Construction).

    requests: OnionRequest or tuples of that shape. threads: None is one below 512 onions, else one a core. implementation:
    None is the best, see docs/implementations.md. hop_tables: the caller's table cache; without one a large batch makes
    tables for itself. A bad item sets its own status and changes no other; the batch owns packets and secrets.
    Raises ValueError or TypeError for misuse only.
    """
    return _batch.build_onions(
        requests,
        hop_payloads_size=hop_payloads_size,
        threads=threads,
        implementation=implementation,
        hop_tables=hop_tables,
    )


def peel_onion(
    packet: Buffer,
    node_privkey: Buffer,
    associated_data: bytes,
    *,
    hop_payloads_size: int | None = None,
    implementation: str | None = None,
) -> PeeledOnion:
    """Peel the layer of one packet that belongs to a node (BOLT 4, Onion Decryption).

    packet: 66 + hop_payloads_size bytes (None: what its length says). node_privkey: 32 bytes, SECRET. associated_data: the
    payment hash, any length. Stateless: a node must itself refuse a shared secret that it has seen before.
    Raises PeelError subclasses, each with the failure code that a node answers; ValueError or TypeError for misuse.
    """
    size = memoryview(packet).nbytes - 66 if hop_payloads_size is None else hop_payloads_size
    if size < 1:
        raise ValueError(f"a packet has more than 66 bytes, not {size + 66}")
    batch = _peel.peel_onions(
        [packet],
        node_privkey,
        [associated_data],
        hop_payloads_size=size,
        associated_data_size=len(associated_data),
        threads=1,
        implementation=implementation,
    )
    return batch[0]


def peel_onions(
    packets: Rows,
    node_privkey: Buffer,
    associated_data: Rows,
    *,
    hop_payloads_size: int = HOP_PAYLOADS_SIZE,
    associated_data_size: int = 32,
    threads: int | None = None,
    implementation: str | None = None,
) -> PeelBatch:
    """Peel one layer of many packets with one node's key (BOLT 4, Onion Decryption).

    packets: (n, 66 + hop_payloads_size) bytes, as one buffer (``batch.packets``) or a sequence. node_privkey: 32 bytes,
    SECRET. associated_data: one value of associated_data_size bytes per packet (``batch.payment_hashes``), or one for all.
    Stateless: replays are the caller's to refuse. A bad packet sets its own status; ``batch[i]`` raises it.
    Raises SessionKeyError for a bad node_privkey, ValueError or TypeError for misuse.
    """
    return _peel.peel_onions(
        packets,
        node_privkey,
        associated_data,
        hop_payloads_size=hop_payloads_size,
        associated_data_size=associated_data_size,
        threads=threads,
        implementation=implementation,
    )
