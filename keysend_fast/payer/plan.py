"""Cheapest routes over a channel graph, thousands a second.

One search from the recipient backwards gives the best way for every payer at once; it is kept by recipient and amount
bucket, so that a plan is a look-up and a handful of additions. The search is scipy.sparse.csgraph's Dijkstra: its whole
tree comes back as two arrays and edge weights are computed for all channels in one expression. (rustworkx, the other
candidate, takes three times as long here, calling back into Python for each edge; networkx a hundred times.)
A node keeps only its cheapest way, so a costlier one whose fees alone would lift an amount over a channel's minimum is
not found. Weights are doubles; amounts, fees and expiries of a plan are computed afterwards in integers, exactly (BOLT
7, HTLC Fees).
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]
from scipy.sparse.csgraph import dijkstra  # type: ignore[import-untyped]

from keysend_fast.errors import InputError, NoRouteError, RouteError
from keysend_fast.payer.graph import ChannelGraph

FINAL_CLTV_DELTA = 45  # LDK refuses a keysend below 42 blocks; three more for blocks found on the way
MAX_CLTV_DELTA = 2016  # further away nodes answer expiry_too_far
_MILLION, _BILLION = 10**6, 10**9
_ROUNDS = 4

_Doubles = np.ndarray[Any, np.dtype[np.float64]]
_Integers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class CostModel:
    """What a route costs beside its fees, in millisatoshis, so that fees, delay and length can be weighed.

    cltv_ppb: parts of the amount, in billionths, for each block that it may be locked up (10 is 0.05 % a year).
    hop_msat: for each hop, at least 1; more makes shorter routes.
    """

    cltv_ppb: int = 10
    hop_msat: int = 100

    def __post_init__(self) -> None:
        if self.cltv_ppb < 0 or self.hop_msat < 1:
            raise InputError("cltv_ppb must be 0 or more and hop_msat 1 or more")


@dataclass(frozen=True, slots=True)
class PlannedHop:
    """One hop: what this node receives over the channel into it, and that channel's policy."""

    node_id: bytes
    short_channel_id: int
    direction: int
    amount_msat: int
    cltv_delta: int
    fee_base_msat: int
    fee_ppm: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A route for one amount. channels: indices of the graph's channel directions, payer's own first.

    amounts_msat, cltv_deltas: of the HTLC on each channel, the expiry relative to the current height.
    """

    graph: ChannelGraph
    channels: tuple[int, ...]
    amounts_msat: tuple[int, ...]
    cltv_deltas: tuple[int, ...]

    @property
    def fee_msat(self) -> int:
        """What the forwarding nodes keep: the first HTLC's amount less the last one's."""
        return self.amounts_msat[0] - self.amounts_msat[-1]

    def hops(self) -> Iterator[PlannedHop]:
        """Yield the hops, the payer's peer first and the recipient last."""
        graph = self.graph
        for channel, amount, delta in zip(self.channels, self.amounts_msat, self.cltv_deltas, strict=True):
            yield PlannedHop(
                graph.node_ids[graph.destination[channel]],
                graph.scid[channel],
                graph.direction[channel],
                amount,
                delta,
                graph.fee_base_msat[channel],
                graph.fee_ppm[channel],
            )


@dataclass(frozen=True, slots=True)
class _Tree:
    """The cheapest ways to one recipient, per node: cost, what it receives, channel it forwards over."""

    cost: _Doubles
    amount: _Doubles
    next_channel: _Integers


class Planner:
    """Plans routes over one graph; keeps search trees and routes in bounded caches. Not safe for concurrent use.

    final_cltv_delta: blocks for the recipient, max_cltv_delta: for the first HTLC, relative. max_hops: longer routes
    are not returned (failures and hold times can be attributed over 20 hops). max_trees: search trees kept, each some
    400 kB for the packaged graph. bucket_bits: amounts that agree in as many leading bits share a tree, so that a route
    is the cheapest for an amount less than 2^-bits away.
    """

    def __init__(
        self,
        graph: ChannelGraph,
        *,
        cost: CostModel | None = None,
        final_cltv_delta: int = FINAL_CLTV_DELTA,
        max_cltv_delta: int = MAX_CLTV_DELTA,
        max_hops: int = 20,
        max_trees: int = 256,
        bucket_bits: int = 8,
    ) -> None:
        if not (
            0 < final_cltv_delta <= max_cltv_delta and 1 <= max_hops <= 27 and max_trees >= 1 and 1 <= bucket_bits <= 62
        ):
            raise InputError("final_cltv_delta, max_cltv_delta, max_hops, max_trees or bucket_bits is out of range")
        self.graph = graph
        self.cost = cost or CostModel()
        self.final_cltv_delta = final_cltv_delta
        self.max_cltv_delta = max_cltv_delta
        self.max_hops = max_hops
        self._max_trees = max_trees
        self._bucket_bits = bucket_bits
        self._trees: OrderedDict[tuple[int, int, int], _Tree] = OrderedDict()
        self._routes: OrderedDict[tuple[int, int, int], tuple[int, ...]] = OrderedDict()
        self._avoided = np.zeros(len(graph), dtype=bool)
        self._base, self._ppm, self._delta = (graph.column(name) for name in ("fee_base_msat", "fee_ppm", "cltv_delta"))
        self._lowest, self._highest = graph.column("htlc_minimum_msat"), graph.column("htlc_maximum_msat")
        self._destination: _Integers = np.array(graph.destination, dtype=np.int64)
        self._layout(np.array(graph.source, dtype=np.int64))

    def _layout(self, source: _Integers) -> None:
        """Sort channels by destination and source, for a matrix that is searched backwards.

        A row is the node that an HTLC goes to. Parallel channels are one entry of the matrix, called a pair here.
        """
        nodes = len(self.graph.node_ids)
        self._order = np.lexsort((source, self._destination))
        keys = (self._destination * nodes + source)[self._order]
        self._pair_keys, self._pair_of = np.unique(keys, return_inverse=True)
        self._columns = self._pair_keys % nodes if nodes else self._pair_keys
        self._row_starts = np.searchsorted(self._pair_keys, np.arange(nodes + 1) * nodes)
        by_source = np.argsort(source, kind="stable")
        bounds = np.searchsorted(source[by_source], np.arange(nodes + 1))
        self._outgoing = [by_source[bounds[i] : bounds[i + 1]] for i in range(nodes)]

    # The public calls

    def plan(self, source: bytes, recipient: bytes, amount_msat: int) -> Plan:
        """Return the cheapest route for an amount.

        source, recipient: 33-byte node ids. amount_msat: what the recipient gets, 1 or more. Raises RouteError for
        a payment to oneself or an amount out of range, NoRouteError where the graph has no route for it.
        """
        if not 0 < amount_msat <= 2**53:
            raise RouteError(f"amount {amount_msat} msat is not between 1 and 2^53")
        ends = []
        for what, node_id in (("payer", source), ("recipient", recipient)):
            index = self.graph.index.get(node_id)
            if index is None:
                raise NoRouteError(f"{what} {node_id.hex()} is not in the graph")
            ends.append(index)
        here, there = ends
        if here == there:
            raise RouteError("payer and recipient are the same node")
        shift = max(0, amount_msat.bit_length() - self._bucket_bits)
        key = (here, there, amount_msat >> shift << shift)
        channels = self._routes.get(key)
        if channels is not None:
            plan = self._price(channels, amount_msat)
            if self._is_valid(plan):
                return plan
        plan = self._search(here, there, amount_msat, shift)
        self._remember(self._routes, key, plan.channels, 64 * self._max_trees)
        return plan

    def avoid(self, short_channel_id: int, direction: int, avoided: bool = True) -> None:
        """Plan no more over a channel direction, say because it could not forward; or again, with ``avoided`` false.

        Raises RouteError if unknown.
        """
        channel = self.graph.by_scid.get((short_channel_id, direction))
        if channel is None:
            raise RouteError(f"channel {short_channel_id}/{direction} is not in the graph")
        self._avoided[channel] = avoided
        self._trees.clear()
        self._routes.clear()

    # Searching

    def _search(self, here: int, there: int, amount_msat: int, shift: int) -> Plan:
        """Look in the bucket's tree, then in one for this very amount where the bucket's route cannot carry it."""
        lowest = amount_msat >> shift << shift
        for low, high in ((lowest, lowest + (1 << shift) - 1), (amount_msat, amount_msat)):
            channels = self._walk(self._tree(there, low, high), here, there, low, high)
            if not channels:
                break  # the bucket's tree leaves out no channel that carries any amount of it
            plan = self._price(channels, amount_msat)
            if self._is_valid(plan):
                return plan
        what = f"{amount_msat} msat from {self.graph.node_ids[here].hex()} to {self.graph.node_ids[there].hex()}"
        raise NoRouteError(f"no route of at most {self.max_hops} hops carries {what}")

    def _tree(self, there: int, low: int, high: int) -> _Tree:
        tree = self._trees.get((there, low, high))
        if tree is None:
            tree = self._grow(there, low, high)
        self._remember(self._trees, (there, low, high), tree, self._max_trees)
        return tree

    def _remember(self, cache: OrderedDict[Any, Any], key: object, value: object, most: int) -> None:
        cache[key] = value
        cache.move_to_end(key)
        if len(cache) > most:
            cache.popitem(last=False)

    def _grow(self, there: int, low: int, high: int) -> _Tree:
        """Search backwards from the recipient.

        A channel's fee depends on the amount it forwards, which depends on the rest of the way. So the amount that each
        node receives starts as the recipient's and is taken from the tree found, until no amount changes by more than 1
        msat (two or three rounds, each change smaller than the one before by the fee rate).
        """
        middle = (low + high) / 2
        nodes = len(self.graph.node_ids)
        amount: _Doubles = np.full(nodes, middle)
        for number in range(_ROUNDS):
            # Fees may lift an amount above a channel's minimum, so minimums count once fees are known.
            weights = self._weigh(amount, low / middle, high / middle if number else np.inf)
            best = self._best_of_pairs(weights)
            matrix = csr_matrix((weights[best], self._columns, self._row_starts), shape=(nodes, nodes))
            cost, next_node = dijkstra(matrix, indices=there, return_predecessors=True)
            reached = np.flatnonzero(next_node >= 0)
            next_channel: _Integers = np.full(nodes, -1, dtype=np.int64)
            pairs = np.searchsorted(self._pair_keys, next_node[reached].astype(np.int64) * nodes + reached)
            next_channel[reached] = best[pairs]
            before, amount = amount, self._amounts(reached, next_channel, there, middle)
            if np.abs(before - amount).max(initial=0) <= 1:
                break
        return _Tree(cost, amount, next_channel)

    def _weigh(self, amount: _Doubles, low: float, high: float) -> _Doubles:
        """Return each channel's cost, infinite where it carries no amount of the bucket to its far end."""
        arriving = amount[self._destination]
        locked = arriving * self._delta * (self.cost.cltv_ppb / _BILLION)
        weights = self._base + np.floor(arriving * self._ppm / _MILLION) + locked + self.cost.hop_msat
        weights[~self._usable(slice(None), arriving, low, high)] = np.inf
        return np.asarray(weights)

    def _usable(self, channels: Any, arriving: _Doubles, low: float, high: float) -> Any:
        """Tell which channels carry some amount of the bucket; the amount itself is checked exactly afterwards."""
        fits = (arriving * high >= self._lowest[channels]) & (arriving * low <= self._highest[channels])
        return fits & ~self._avoided[channels]

    def _best_of_pairs(self, weights: _Doubles) -> _Integers:
        """Return the channel of least weight of each pair; of equal ones the first."""
        sorted_weights = weights[self._order]
        least: _Doubles = np.full(len(self._pair_keys), np.inf)
        np.minimum.at(least, self._pair_of, sorted_weights)
        places = np.flatnonzero(sorted_weights == least[self._pair_of])[::-1]
        best: _Integers = np.empty(len(self._pair_keys), dtype=np.int64)
        best[self._pair_of[places]] = self._order[places]  # of several for one pair the last written stays: the first
        return best

    def _amounts(self, reached: _Integers, next_channel: _Integers, there: int, middle: float) -> _Doubles:
        """Return what each node has to receive, from the recipient outwards, all nodes of one distance at a time."""
        amount: _Doubles = np.full(len(next_channel), middle)
        known = np.zeros(len(next_channel), dtype=bool)
        known[there] = True
        pending = reached
        while len(pending):
            channels = next_channel[pending]
            ready = known[self._destination[channels]]
            level, channels = pending[ready], channels[ready]
            after = amount[self._destination[channels]]
            amount[level] = after + self._base[channels] + np.floor(after * self._ppm[channels] / _MILLION)
            known[level] = True
            pending = pending[~ready]
        return amount

    def _walk(self, tree: _Tree, here: int, there: int, low: int, high: int) -> tuple[int, ...]:
        """Return the best channels from a payer to the recipient, or none.

        The payer's own channel costs nothing (BOLT 7, HTLC Fees), so its first hop is chosen anew. A way that came back
        to the payer would be longer than the one that starts where it comes back: each hop costs at least 1.
        """
        own = self._outgoing[here]
        peers = self._destination[own]
        middle = (low + high) / 2
        cost = np.where(self._usable(own, tree.amount[peers], low / middle, high / middle), tree.cost[peers], np.inf)
        if not len(own) or not np.isfinite(cost.min()):
            return ()
        channels = [int(own[cost.argmin()])]
        while (node := self.graph.destination[channels[-1]]) != there:
            channels.append(int(tree.next_channel[node]))
        return tuple(channels)

    # Exact arithmetic

    def _price(self, channels: tuple[int, ...], amount_msat: int) -> Plan:
        """Compute every HTLC's amount and expiry backwards from the recipient, in integers (BOLT 7, HTLC Fees)."""
        graph = self.graph
        amounts, deltas = [amount_msat], [self.final_cltv_delta]
        for channel in reversed(channels[1:]):
            after = amounts[-1]
            amounts.append(after + graph.fee_base_msat[channel] + after * graph.fee_ppm[channel] // _MILLION)
            deltas.append(deltas[-1] + graph.cltv_delta[channel])
        return Plan(graph, channels, tuple(reversed(amounts)), tuple(reversed(deltas)))

    def _is_valid(self, plan: Plan) -> bool:
        if len(plan.channels) > self.max_hops or plan.cltv_deltas[0] > self.max_cltv_delta:
            return False
        lowest, highest = self.graph.htlc_minimum_msat, self.graph.htlc_maximum_msat
        return all(lowest[c] <= a <= highest[c] for c, a in zip(plan.channels, plan.amounts_msat, strict=True))
