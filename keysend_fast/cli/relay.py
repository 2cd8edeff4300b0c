"""What the demo does: the public network's routes with nodes of our own, payments over them, every layer peeled, every
recipient's claim.

Node keys are made here from a seed and are worth nothing; channels, amounts, fees and expiries are the routes' own. A node
forwards to where the payload says and to nobody else: that an onion arrives is the onion's doing.
"""

from __future__ import annotations

import gzip
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise

from keysend_fast import data, kernels, tlv
from keysend_fast.errors import KeysendRefused, OnionError, TlvError
from keysend_fast.keysend import KeysendPayment, accept_keysend, build_keysends, onion_budget
from keysend_fast.onion import HopTables, Onion, PeelBatch, peel_onions
from keysend_fast.records import PODCAST_METADATA, MetadataTemplate, PodcastMetadata
from keysend_fast.route import Hop, Route

__all__ = ["Network", "Report", "Stage", "run"]

BLOCK_HEIGHT = 935_000  # of about the day of the routes; only its length matters
WAVE = 8192  # payments in flight together
TABLE_BYTES = 64 << 20
_AMOUNT, _CLTV, _CHANNEL = 2, 4, 6  # BOLT 4, Payload Format
_NAMES = {
    0xC004: "invalid_onion_version",
    0xC005: "invalid_onion_hmac",
    0xC006: "invalid_onion_key",
    0x4016: "invalid_onion_payload",
    0x400A: "unknown_next_peer",
    0x400F: "incorrect_or_unknown_payment_details",
    18: "final_incorrect_cltv_expiry",
    19: "final_incorrect_htlc_amount",
}  # BOLT 4, Failure Messages


@dataclass(frozen=True, slots=True)
class Network:
    """Nodes with keys made here, in place of the public network's.

    routes: over the real channels. private_keys: by node id, worth nothing. peers: (node id, short_channel_id) to the node
    at the other end.
    """

    routes: Sequence[Route]
    private_keys: Mapping[bytes, bytes]
    peers: Mapping[tuple[bytes, int], bytes]

    @classmethod
    def from_packaged_routes(cls, seed: int) -> Network:
        """The packaged routes of 2026-02-03. seed: of the node keys."""
        with gzip.open(data.open_data(data.ROUTES)) as lines:
            real = [Route.from_cln_getroute(json.loads(line)) for line in lines]
        ids = sorted({node_id for route in real for node_id in route.node_ids})
        keys = [sha256(b"keysend_fast demo %d " % seed + node_id).digest() for node_id in ids]
        twins = dict(zip(ids, kernels.base_mul_many(keys).values, strict=True))
        routes, peers = [], {}
        for route in real:
            hops = [hop._replace(node_id=twins[hop.node_id]) for hop in route.hops]
            routes.append(Route(hops))
            for here, there in pairwise(hops):
                peers[here.node_id, _scid(there)] = there.node_id
        return cls(routes, dict(zip(twins.values(), keys, strict=True)), peers)


def _scid(hop: Hop) -> int:
    if not isinstance(hop.short_channel_id, int):
        raise TypeError("a packed route has numbers for channels")
    return hop.short_channel_id


@dataclass(slots=True)
class Stage:
    """One kind of work. count: onions, layers or payloads. seconds: of wall time."""

    count: int = 0
    seconds: float = 0.0

    @property
    def per_second(self) -> float:
        """Rate, 0 where nothing was done."""
        return self.count / self.seconds if self.seconds else 0.0


@dataclass(slots=True)
class Report:
    """Outcome of a run. refused: payments that were not claimed, by reason. free_bytes: of each route's first onion."""

    payments: int
    routes: int
    nodes: int
    build: Stage = field(default_factory=Stage)
    peel: Stage = field(default_factory=Stage)
    read: Stage = field(default_factory=Stage)
    claimed: int = 0
    claimed_msat: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    free_bytes: list[int] = field(default_factory=list)
    table_stats: dict[str, int] = field(default_factory=dict)

    @property
    def all_claimed(self) -> bool:
        """Whether every payment arrived at its recipient, records intact, and was claimed."""
        return self.claimed == self.payments and not self.refused

    def free_summary(self) -> dict[str, int]:
        """Least, median and most bytes that the onions leave free."""
        free = self.free_bytes or [0]
        return {"least": min(free), "median": int(statistics.median(free)), "most": max(free)}


@dataclass(slots=True)
class _Htlc:
    """A payment on its way: what the node that it has reached sees, and whom it is for."""

    packet: bytes
    payment_hash: bytes
    amount_msat: int
    cltv_expiry: int
    recipient: bytes
    metadata: bytes


class _Refusal(Exception):  # noqa: N818 - an answer of a node
    """A node's answer, by its name in BOLT 4 or the demo's own."""


def _metadata(n_routes: int) -> Iterator[bytes]:
    """bLIP 10 records of an endless stream: minute after minute of one episode, for as many listeners as there are routes."""
    whole = PodcastMetadata(
        podcast="A Podcast of the Demo",
        guid="917393e3-1b1e-5cef-ace4-edaa54e1f810",
        episode="The one where everybody is paid",
        action="stream",
        app_name="keysend_fast",
        ts=0,
        value_msat_total=0,
    )
    template = MetadataTemplate(whole, ("ts", "value_msat_total"))
    number = 0
    while True:
        minute = number // n_routes
        values = {"ts": 60 * minute, "value_msat_total": 50_000 + number % 1000}
        yield template.encode(*(values[name] for name in template.varying))
        number += 1


def run(
    network: Network,
    payments: int,
    *,
    implementation: str | None = None,
    threads: int,
    progress: Callable[[str, int], object] = lambda stage, count: None,
) -> Report:
    """Send so many payments over the network's routes in turn, and see each to its end.

    threads: of building, and of nodes that peel side by side. progress: called with "built", "peeled" or "ended" and how
    many more.
    """
    report = Report(payments, len(network.routes), len(network.private_keys))
    tables = HopTables(TABLE_BYTES, implementation=implementation)
    metadata = _metadata(len(network.routes))
    relay = _Relay(network, report, implementation, progress)
    with ThreadPoolExecutor(threads) as pool:
        for begin in range(0, payments, WAVE):
            numbers = range(begin, min(begin + WAVE, payments))
            records = [next(metadata) for _ in numbers]
            routes = [network.routes[number % len(network.routes)] for number in numbers]
            wave = [KeysendPayment(r, {PODCAST_METADATA: m}) for r, m in zip(routes, records, strict=True)]
            for place in range(min(len(wave), max(0, len(network.routes) - begin))):
                budget = onion_budget(routes[place], {PODCAST_METADATA: records[place]}, block_height=BLOCK_HEIGHT)
                report.free_bytes.append(budget.free)
            began = time.perf_counter()
            batch = build_keysends(
                wave, block_height=BLOCK_HEIGHT, threads=threads, implementation=implementation, hop_tables=tables
            )
            report.build.seconds += time.perf_counter() - began
            report.build.count += batch.count_ok()
            progress("built", len(wave))
            relay.send([batch.error(i) or batch[i] for i in range(len(batch))], records, pool)
            batch.wipe()
    report.table_stats = tables.stats()
    return report


class _Relay:
    """The nodes at work: a wave of onions goes hop by hop, all onions at one node together."""

    def __init__(
        self, network: Network, report: Report, implementation: str | None, progress: Callable[[str, int], object]
    ) -> None:
        self.network, self.report, self.progress = network, report, progress
        self.implementation = implementation
        self.claimed_hashes: set[bytes] = set()

    def send(self, onions: Sequence[Onion | OnionError], records: Sequence[bytes], pool: ThreadPoolExecutor) -> None:
        """Hand a wave to the first nodes and work until nothing is on its way."""
        waiting: dict[bytes, list[_Htlc]] = {}
        refused = self.report.refused.total()
        for onion, record in zip(onions, records, strict=True):
            if isinstance(onion, OnionError):
                self._refuse(f"not built: {type(onion).__name__}")
                continue
            route, payment_hash = onion.route, onion.payment_hash
            if route is None or payment_hash is None:
                raise TypeError("the demo sends keysends")
            nodes = route.node_ids
            amount, expiry = onion.first_amount_msat, onion.first_cltv_expiry
            htlc = _Htlc(onion.packet, payment_hash, amount, expiry, nodes[-1], record)
            waiting.setdefault(nodes[0], []).append(htlc)
        self.progress("ended", self.report.refused.total() - refused)
        while waiting:
            ended = self.report.claimed + self.report.refused.total()
            groups = list(waiting.items())
            began = time.perf_counter()
            peeled = list(pool.map(self._peel, groups))
            now = time.perf_counter()
            self.report.peel.seconds += now - began
            waiting = {}
            for (node, htlcs), layers in zip(groups, peeled, strict=True):
                self._read(node, htlcs, layers, waiting)
                layers.wipe()
            self.report.read.seconds += time.perf_counter() - now
            self.progress("peeled", sum(len(htlcs) for _, htlcs in groups))
            self.progress("ended", self.report.claimed + self.report.refused.total() - ended)

    def _peel(self, group: tuple[bytes, list[_Htlc]]) -> PeelBatch:
        node, htlcs = group
        return peel_onions(
            [htlc.packet for htlc in htlcs],
            self.network.private_keys[node],
            [htlc.payment_hash for htlc in htlcs],
            threads=1,
            implementation=self.implementation,
        )

    def _read(self, node: bytes, htlcs: list[_Htlc], layers: PeelBatch, waiting: dict[bytes, list[_Htlc]]) -> None:
        """One node reads its payloads: forwards, claims or refuses."""
        report = self.report
        report.peel.count += layers.count_ok()
        report.read.count += layers.count_ok()
        for i, htlc in enumerate(htlcs):
            try:
                error = layers.error(i)
                if error is not None:
                    raise _Refusal(_name(error.failure_code))
                layer = layers[i]
                packet = layer.next_packet
                if packet is None:
                    self._claim(node, htlc, layer.payload)
                else:
                    htlc.packet = packet
                    waiting.setdefault(self._forward(node, htlc, layer.payload), []).append(htlc)
            except _Refusal as refusal:
                self._refuse(str(refusal))

    def _forward(self, node: bytes, htlc: _Htlc, payload: bytes) -> bytes:
        """The peer that the payload names; the HTLC becomes the one that it asks for."""
        try:
            fields = dict(tlv.parse(payload, known=(_AMOUNT, _CLTV, _CHANNEL)))
            htlc.amount_msat = int.from_bytes(fields[_AMOUNT], "big")
            htlc.cltv_expiry = int.from_bytes(fields[_CLTV], "big")
            return self.network.peers[node, int.from_bytes(fields[_CHANNEL], "big")]
        except TlvError:
            raise _Refusal(_name(0x4016)) from None
        except KeyError:
            raise _Refusal(_name(0x400A)) from None

    def _claim(self, node: bytes, htlc: _Htlc, payload: bytes) -> None:
        """The recipient finds the preimage and claims; the payer's side of the demo checks that it is the right one."""
        try:
            accepted = accept_keysend(
                payload,
                htlc.payment_hash,
                amount_msat=htlc.amount_msat,
                cltv_expiry=htlc.cltv_expiry,
                block_height=BLOCK_HEIGHT,
            )
        except KeysendRefused as refusal:
            raise _Refusal(_name(refusal.failure_code)) from None
        if node != htlc.recipient:
            raise _Refusal("arrived at another node")
        if accepted.custom_records != {PODCAST_METADATA: htlc.metadata}:
            raise _Refusal("arrived with other records")
        if htlc.payment_hash in self.claimed_hashes:
            raise _Refusal("payment hash used twice")
        self.claimed_hashes.add(htlc.payment_hash)
        self.report.claimed += 1
        self.report.claimed_msat += accepted.amount_msat

    def _refuse(self, why: str) -> None:
        self.report.refused[why] += 1


def _name(code: int | None) -> str:
    return "refused" if code is None else f"{_NAMES.get(code, 'code')} ({code:#06x})"
