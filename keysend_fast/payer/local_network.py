"""An embedded Lightning network: the twin of a channel graph, with node keys made here, so that every layer can be
peeled.

Channels, capacities and policies are the graph's. Each node peels what arrives, checks it as BOLT 4 says, forwards over
the channel named or another to the same peer, and the recipient claims or refuses. Peeling goes in batches, a node and
a hop at a time; what happens to the money is done one HTLC after another, in the order in which payments were given.
What comes back are real return packets and attribution data, wrapped by every node (``local_returns``); faults can be put
on channels. Hold times are made up: a channel takes 100 to 300 ms, a slow one 5 s more. Not modelled: a limit on the number
of HTLCs in flight, commitment fees and reserves.
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from keysend_fast import kernels, tlv
from keysend_fast.errors import KeysendRefused, TlvError
from keysend_fast.failure import FailureCode, failure_message
from keysend_fast.keysend import accept_keysend
from keysend_fast.onion import PeelBatch, peel_onions
from keysend_fast.payer.graph import ChannelGraph
from keysend_fast.payer.local_returns import Ending, Fault, carry_back
from keysend_fast.payer.plan import MAX_CLTV_DELTA, Plan
from keysend_fast.route import Hop, Route

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141  # secp256k1, SEC 2, section 2.4.1
_AMOUNT, _CLTV, _CHANNEL = 2, 4, 6  # TLV types, BOLT 4, Payload Format
_HMAC_BYTES = 32
_SOON = 3  # blocks: an HTLC that would expire within these is refused
_BADONION = 0x8000
_SLOW_TICKS = 50  # of 100 ms


class NetworkError(AssertionError):
    """The network's money does not add up. Never to be caught and carried on from."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A payment handed to the payer's own node: the onion and the HTLC of its first channel (an index of the
    graph's)."""

    packet: bytes
    payment_hash: bytes
    channel: int
    amount_msat: int
    cltv_expiry: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a payment ended. code: 0 when it settled, else the failure code. preimage: what the recipient revealed, or
    None.

    node: graph index of the node where it ended. layers: how many nodes peeled their layer; of a failed payment the
    channel at fault, where it is one, is the route's with this index. Code, node and layers are what the network knows and
    a payer does not. A payer gets return_packet (None where settled, or where its own node failed the payment),
    attribution_data, and local_message: the failure message of its own node, None where another failed it.
    """

    code: int
    node: int
    layers: int
    preimage: bytes | None = None
    return_packet: bytes | None = None
    attribution_data: bytes | None = None
    local_message: bytes | None = None


@dataclass(slots=True)
class _Htlc:
    """An HTLC on its way. number: the payment's place. legs: (side, amount) set aside by each channel so far; channels:
    those channels. secrets: SECRET, what each node that peeled it shares with the payer."""

    number: int
    packet: bytes
    payment_hash: bytes
    node: int
    amount_msat: int
    cltv_expiry: int
    legs: list[tuple[int, int]] = field(default_factory=list)
    channels: list[int] = field(default_factory=list)
    secrets: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _End:
    """Where and how a payment ended. message: the failure message, None where it settled. corrupted: what the node answers
    is changed on the channel to the node before it. The rest as in Outcome."""

    message: bytes | None
    node: int
    layers: int
    preimage: bytes | None = None
    corrupted: bool = False


class LocalNetwork:
    """The network and its money. Not safe for concurrent use; ``threads`` peel side by side inside.

    graph: whose twin it is. seed: node keys are derived from it (32 bytes of the operating system's randomness if
    None). block_height: the current height, the same for every node. implementation: of the onions' arithmetic. At the
    start each channel's capacity is half on either side.
    """

    def __init__(
        self,
        graph: ChannelGraph,
        *,
        seed: bytes | None = None,
        block_height: int = 900_000,
        threads: int = 1,
        implementation: str | None = None,
    ) -> None:
        self.graph = graph
        self.block_height = block_height
        self.layers = 0
        self._threads = threads
        self._implementation = implementation
        seed = os.urandom(32) if seed is None else seed
        self._keys = [_private_key(seed, index) for index in range(len(graph.node_ids))]
        self.twin_ids = tuple(kernels.base_mul_many(self._keys, implementation=implementation).values)
        """The twin's node ids, 33 bytes each, by graph index."""
        self._seen: list[set[bytes]] = [set() for _ in graph.node_ids]
        self._paid: list[set[bytes]] = [set() for _ in graph.node_ids]
        self.received_msat: dict[int, int] = {}
        """What each recipient has claimed, by graph index."""
        self._open_channels()
        self._routes: dict[tuple[int, ...], Route] = {}
        self._faults: dict[int, Fault] = {}

    def _open_channels(self) -> None:
        """Give every channel two sides: side 2 k + d holds what the source of channel k's direction d can send."""
        graph = self.graph
        numbers: dict[int, int] = {}
        self._side = [
            2 * numbers.setdefault(scid, len(numbers)) + way
            for scid, way in zip(graph.scid, graph.direction, strict=True)
        ]
        self._owner = [-1] * (2 * len(numbers))
        self._capacity = [0] * len(numbers)
        self._between: dict[tuple[int, int], list[int]] = {}
        for channel, side in enumerate(self._side):
            source, destination = graph.source[channel], graph.destination[channel]
            self._owner[side], self._owner[side ^ 1] = source, destination
            self._capacity[side // 2] = graph.capacity_msat[channel]
            self._between.setdefault((source, destination), []).append(channel)
        self._balance = [half for capacity in self._capacity for half in (capacity // 2, capacity - capacity // 2)]

    # Money

    def balances(self) -> list[int]:
        """Return what each node can call its own over all its channels, in millisatoshis, by graph index."""
        balances = [0] * len(self.graph.node_ids)
        for owner, balance in zip(self._owner, self._balance, strict=True):
            balances[owner] += balance
        return balances

    def check_conserved(self) -> None:
        """Raise NetworkError unless both sides of every channel add up to its capacity. Call it with nothing in
        flight."""
        for channel, capacity in enumerate(self._capacity):
            here, there = self._balance[2 * channel : 2 * channel + 2]
            if here < 0 or there < 0 or here + there != capacity:
                raise NetworkError(f"channel {channel}: {here} and {there} msat of {capacity}")

    # Faults

    def inject(self, channel: int, fault: Fault | None) -> None:
        """Put a fault on a channel direction (an index of the graph's), or take it away with None."""
        if fault is None:
            self._faults.pop(channel, None)
        else:
            self._faults[channel] = fault

    def _ticks(self, channel: int) -> int:
        """How long a channel takes, in units of 100 ms."""
        return 1 + channel % 3 + (_SLOW_TICKS if self._faults.get(channel) is Fault.SLOW else 0)

    # Routes and payments

    def route(self, plan: Plan) -> Route:
        """Return a plan's route with the twins' node ids. Another amount over the same channels reuses the route."""
        route = self._routes.get(plan.channels)
        if route is None:
            hops = [
                Hop(
                    self.twin_ids[self.graph.index[h.node_id]],
                    h.short_channel_id,
                    h.amount_msat,
                    h.cltv_delta,
                    h.fee_base_msat,
                    h.fee_ppm,
                )
                for h in plan.hops()
            ]
            route = self._routes[plan.channels] = Route(hops)
        return route

    def send(self, payments: Sequence[Outgoing]) -> list[Outcome]:
        """Carry payments to their ends, all layers of one depth before the next. Returns one outcome a payment, in
        order."""
        ended: list[tuple[_Htlc, _End]] = []
        waiting: dict[int, list[_Htlc]] = {}
        for number, payment in enumerate(payments):
            source = self.graph.source[payment.channel]
            htlc = _Htlc(number, payment.packet, payment.payment_hash, source, payment.amount_msat, payment.cltv_expiry)
            disabled = self._faults.get(payment.channel) is Fault.DISABLED
            if not disabled and self._offer(htlc, payment.channel, payment.amount_msat):
                waiting.setdefault(htlc.node, []).append(htlc)
            else:
                code = FailureCode.CHANNEL_DISABLED if disabled else FailureCode.TEMPORARY_CHANNEL_FAILURE
                ended.append((htlc, _End(_message(code, htlc), source, 0)))
        with ThreadPoolExecutor(self._threads) as pool:
            while waiting:
                groups = list(waiting.items())
                waiting = {}
                for (node, htlcs), peeled in zip(groups, pool.map(self._peel, groups), strict=True):
                    self.layers += len(htlcs)
                    for place, htlc in enumerate(htlcs):
                        end = self._process(node, htlc, peeled, place)
                        if end is None:
                            waiting.setdefault(htlc.node, []).append(htlc)
                        else:
                            self._finish(htlc, end)
                            ended.append((htlc, end))
        return self._carry_back(ended)

    def _carry_back(self, ended: list[tuple[_Htlc, _End]]) -> list[Outcome]:
        """Wrap what the nodes answer on its way to the payers, and return the outcomes in the payments' order."""
        ended.sort(key=lambda pair: pair[0].number)
        endings = [
            Ending(
                htlc.secrets,
                end.message,
                [self._ticks(channel) for channel in htlc.channels[1 : len(htlc.secrets)]],
                end.layers - 1 if end.corrupted else None,
            )
            for htlc, end in ended
            if htlc.secrets
        ]
        returned = iter(carry_back(endings, threads=self._threads, implementation=self._implementation))
        outcomes = []
        for htlc, end in ended:
            code = 0 if end.message is None else int.from_bytes(end.message[:2], "big")
            if not htlc.secrets:
                outcomes.append(Outcome(code, end.node, end.layers, local_message=end.message))
                continue
            back = next(returned)
            outcomes.append(
                Outcome(code, end.node, end.layers, end.preimage, back.packet or None, back.attribution_data)
            )
        return outcomes

    def _offer(self, htlc: _Htlc, channel: int, amount_msat: int) -> bool:
        """Put an HTLC on a channel, if its side can pay it: the amount is set aside until the payment ends."""
        side = self._side[channel]
        if amount_msat > self._balance[side] or self._faults.get(channel) is Fault.NO_LIQUIDITY:
            return False
        self._balance[side] -= amount_msat
        htlc.legs.append((side, amount_msat))
        htlc.channels.append(channel)
        htlc.node = self.graph.destination[channel]
        if self._faults.get(channel) is Fault.CORRUPTS_ONION:
            htlc.packet = htlc.packet[:100] + bytes([htlc.packet[100] ^ 1]) + htlc.packet[101:]
        return True

    def _finish(self, htlc: _Htlc, end: _End) -> None:
        """Move what was set aside to the other side of each channel, or back where it came from."""
        settled = end.message is None
        for side, amount in htlc.legs:
            self._balance[side ^ 1 if settled else side] += amount
        if settled:
            self.received_msat[htlc.node] = self.received_msat.get(htlc.node, 0) + htlc.amount_msat

    # What a node does

    def _peel(self, group: tuple[int, list[_Htlc]]) -> PeelBatch:
        node, htlcs = group
        packets, hashes = [htlc.packet for htlc in htlcs], [htlc.payment_hash for htlc in htlcs]
        return peel_onions(packets, self._keys[node], hashes, threads=1, implementation=self._implementation)

    def _process(self, node: int, htlc: _Htlc, peeled: PeelBatch, place: int) -> _End | None:
        """Decide on one HTLC that reached a node: forward it (None) or end the payment here."""
        layers = len(htlc.legs)
        error = peeled.error(place)
        if error is not None:
            code = error.failure_code or FailureCode.INVALID_ONION_PAYLOAD
            if code & _BADONION:
                # The node has no secret to answer under: the one before it reports, and BOLT 4 has it send the hash.
                digest = hashlib.sha256(htlc.packet).digest()
                return _End(failure_message(FailureCode(code), sha256_of_onion=digest), node, layers - 1)
            htlc.secrets += kernels.ecdh_many([self._keys[node]], [htlc.packet[1:34]]).values
            return _End(code.to_bytes(2, "big"), node, layers - 1)
        layer = peeled[place]
        htlc.secrets.append(bytes(layer.shared_secret))
        if self._faults.get(htlc.channels[-1]) is Fault.CORRUPTS_RETURN:
            return _End(failure_message(FailureCode.TEMPORARY_NODE_FAILURE), node, layers, corrupted=True)
        hmac = htlc.packet[-_HMAC_BYTES:]
        if hmac in self._seen[node]:
            # BOLT 4 has the node fail it and names no code; LND answers this one.
            return _End(failure_message(FailureCode.TEMPORARY_CHANNEL_FAILURE), node, layers)
        self._seen[node].add(hmac)
        next_packet = layer.next_packet
        if next_packet is None:
            return self._claim(node, htlc, layer.payload)
        htlc.packet = next_packet
        code = self._forward(node, htlc, layer.payload)
        return None if code == 0 else _End(_message(code, htlc), node, layers)

    def _claim(self, node: int, htlc: _Htlc, payload: bytes) -> _End:
        """Let the recipient claim, or refuse with the code that BOLT 4 has for it."""
        layers = len(htlc.legs)
        try:
            accepted = accept_keysend(
                payload,
                htlc.payment_hash,
                amount_msat=htlc.amount_msat,
                cltv_expiry=htlc.cltv_expiry,
                block_height=self.block_height,
            )
        except KeysendRefused as refusal:
            return _End(refusal.failure_code.to_bytes(2, "big") + refusal.data, node, layers)
        if htlc.payment_hash in self._paid[node]:
            code, height = FailureCode.INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS, self.block_height
            return _End(failure_message(code, htlc_msat=htlc.amount_msat, height=height), node, layers)
        self._paid[node].add(htlc.payment_hash)
        return _End(None, node, layers, accepted.preimage)

    def _forward(self, node: int, htlc: _Htlc, payload: bytes) -> int:
        """Put the outgoing HTLC on a channel, or return the failure code. BOLT 4, Failure Messages, Requirements."""
        try:
            records = dict(tlv.parse(payload))
            amount, expiry = _truncated(records.pop(_AMOUNT), 8), _truncated(records.pop(_CLTV), 4)
            scid = records.pop(_CHANNEL)
        except (TlvError, KeyError, ValueError):
            return FailureCode.INVALID_ONION_PAYLOAD
        if len(scid) != 8 or any(record_type % 2 == 0 for record_type in records):
            return FailureCode.INVALID_ONION_PAYLOAD
        named, code = self._named_channel(node, int.from_bytes(scid, "big"))
        if code:
            return code
        if expiry <= self.block_height + _SOON:
            code = FailureCode.EXPIRY_TOO_SOON
        elif expiry > self.block_height + 1 + MAX_CLTV_DELTA:
            code = FailureCode.EXPIRY_TOO_FAR
        else:
            code = self._policy_code(named, htlc, amount, expiry)
        if code:
            return code
        graph = self.graph
        for channel in (named, *self._between[graph.source[named], graph.destination[named]]):
            if self._policy_code(channel, htlc, amount, expiry) == 0 and self._offer(htlc, channel, amount):
                htlc.amount_msat, htlc.cltv_expiry = amount, expiry
                return 0
        return FailureCode.TEMPORARY_CHANNEL_FAILURE

    def _named_channel(self, node: int, scid: int) -> tuple[int, int]:
        """Return the channel direction that leads from a node, or the code where there is none."""
        graph = self.graph
        for way in (0, 1):
            channel = graph.by_scid.get((scid, way))
            if channel is not None and graph.source[channel] == node:
                return channel, 0
            if channel is not None and graph.destination[channel] == node and (scid, 1 - way) not in graph.by_scid:
                return -1, FailureCode.CHANNEL_DISABLED  # the graph holds enabled directions only
        return -1, FailureCode.UNKNOWN_NEXT_PEER

    def _policy_code(self, channel: int, htlc: _Htlc, amount: int, expiry: int) -> int:
        """Return 0, or which rule of a channel's policy an HTLC breaks that would leave over it."""
        graph = self.graph
        fault = self._faults.get(channel)
        if fault is Fault.DISABLED:
            return FailureCode.CHANNEL_DISABLED
        if amount < graph.htlc_minimum_msat[channel]:
            return FailureCode.AMOUNT_BELOW_MINIMUM
        fee = graph.fee_base_msat[channel] + amount * graph.fee_ppm[channel] // 1_000_000
        if fault is Fault.FEE_RAISED:
            fee = 2 * fee + 1000
        if htlc.amount_msat - amount < fee:
            return FailureCode.FEE_INSUFFICIENT
        if htlc.cltv_expiry - graph.cltv_delta[channel] < expiry:
            return FailureCode.INCORRECT_CLTV_EXPIRY
        if amount > graph.htlc_maximum_msat[channel]:
            return FailureCode.TEMPORARY_CHANNEL_FAILURE
        return 0


def _message(code: int, htlc: _Htlc) -> bytes:
    """A failure message of a forwarding node (BOLT 4, Failure Messages), without a channel_update: it is not mandatory."""
    data: dict[str, int] = {}
    if code in (FailureCode.AMOUNT_BELOW_MINIMUM, FailureCode.FEE_INSUFFICIENT):
        data = {"htlc_msat": htlc.amount_msat}
    elif code == FailureCode.INCORRECT_CLTV_EXPIRY:
        data = {"cltv_expiry": htlc.cltv_expiry}
    elif code == FailureCode.CHANNEL_DISABLED:
        data = {"disabled_flags": 0}
    return failure_message(FailureCode(code), **data)


def _private_key(seed: bytes, index: int) -> bytes:
    """Derive a twin's key: 1 to the order less 1. The bias of the reduction is 2^-128."""
    digest = hashlib.sha256(b"keysend_fast local network" + seed + index.to_bytes(4, "big")).digest()
    return (int.from_bytes(digest, "big") % (_ORDER - 1) + 1).to_bytes(32, "big")


def _truncated(value: bytes, width: int) -> int:
    """Read a tu32 or tu64 (BOLT 1, Fundamental Types). Raises ValueError where it is longer or not minimal."""
    if len(value) > width or value[:1] == b"\0":
        raise ValueError("not a minimal integer")
    return int.from_bytes(value, "big")
