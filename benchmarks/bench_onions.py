"""Building and peeling onions, beside two hand-written coincurve loops in the same interleaved rounds."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib.resources import files
from typing import Any

from keysend_fast import HopTables, KeysendPayment, Route, build_keysend, build_keysends, peel_onions, show_config
from keysend_fast._native import chosen_implementations, lone_implementation
from keysend_fast.kernels import base_mul_many
from keysend_fast.route import Hop
from keysend_fast.status import Status

from .interleave import Claim, Row
from .peers.coincurve import loops
from .peers.workload import HopSpec, payloads

HOP_COUNTS = (1, 3, 4, 5, 10, 20)
HEIGHT = 935_000
TABLE_BYTES = 256 << 20
NODES = 64  # node keys of the synthetic routes
ROUTES = 8  # of a repeated batch: what one sender pays the recipients of a feed over, minute by minute
PODCAST = (7629169, b'{"podcast":"x","action":"stream","value_msat":100000}')
RECORDS = dict([PODCAST])
SLOW_ONIONS = 32
LOOP_ONIONS = 4  # a loop's pass: it has no batch, so more of them say nothing more
ISSUE_2, ISSUE_3, ISSUE_4 = "issue 2", "issue 3", "issue 4"


class WrongCodeError(Exception):
    """What was to be measured is not what runs, or does not agree with the loops."""


@dataclass(frozen=True)
class Node:
    """A node whose key is known."""

    key: bytes
    node_id: bytes


def nodes(n: int, label: str = "bench") -> list[Node]:
    """n nodes with keys made of a label."""
    keys = [sha256(f"{label} {i}".encode()).digest() for i in range(n)]
    return [Node(k, p) for k, p in zip(keys, base_mul_many(keys).values, strict=True)]


def synthetic(members: Sequence[Node], hops: int, n: int, seed: int = 1) -> list[Route]:
    """n routes of so many hops over these nodes."""
    rng = random.Random(seed)
    return [
        Route(
            Hop(rng.choice(members).node_id, 700_000 << 40 | i << 16 | h, 100_000 + hops - h, 45 + 40 * (hops - 1 - h))
            for h in range(hops)
        )
        for i in range(n)
    ]


def repeated(members: Sequence[Node], hops: int, n: int) -> list[Route]:
    """n times one of ROUTES routes of so many hops over these nodes."""
    routes = synthetic(members, hops, ROUTES)
    return [routes[i % ROUTES] for i in range(n)]


def real() -> list[Route]:
    """The 1,745 packaged routes of the public graph."""
    data = gzip.decompress(files("keysend_fast.data").joinpath("routes-2026-02-03.jsonl.gz").read_bytes())
    return [Route.from_cln_getroute(json.loads(line)) for line in data.splitlines()]


def loop_input(route: Route, preimage: bytes) -> tuple[list[bytes], list[bytes]]:
    """Node ids and payloads as the loops take them: encoded outside the clock, which is to the loops' advantage."""
    hops = [
        HopSpec(0, int(hop.short_channel_id or 0), hop.amount_msat, HEIGHT + 1 + hop.cltv_delta) for hop in route.hops
    ]
    return route.node_ids, payloads(hops, [PODCAST], preimage)


def loop_row(name: str, build: Callable[..., bytes], routes: Sequence[Route]) -> Row:
    """A loop over the first few routes."""
    work = []
    for i, route in enumerate(routes):
        preimage = sha256(b"preimage %d" % i).digest()
        session_key = sha256(b"session %d" % i).digest()
        work.append((*loop_input(route, preimage), session_key, sha256(preimage).digest()))

    def run() -> None:
        for item in work:
            build(*item)

    return Row(name, len(work), run)


def ours_row(
    name: str, routes: Sequence[Route], implementation: str, tables: Callable[[], HopTables | None], threads: int = 1
) -> Row:
    """One call for all routes; payments are made once, secrets by the batch."""
    payments = [KeysendPayment(route, RECORDS) for route in routes]

    def run() -> Any:
        return build_keysends(
            payments, block_height=HEIGHT, implementation=implementation, hop_tables=tables(), threads=threads
        )

    def check() -> None:
        agree(routes, implementation, tables())
        batch = run()
        if not batch.ok:
            raise WrongCodeError(f"{name}: {batch.errors()[0]}")

    return Row(name, len(routes), run, check)


def single_row(name: str, route: Route, implementation: str | None, tables: HopTables | None) -> Row:
    """One call an onion; without an implementation, on what is chosen for one."""
    ran = implementation or chosen_implementations(lone_implementation())["ecmult"]

    def run() -> None:
        for _ in range(8):
            build_keysend(route, RECORDS, block_height=HEIGHT, implementation=implementation, hop_tables=tables)

    return Row(name, 8, run, lambda: agree([route], implementation, tables), f"on {ran}")


def agree(routes: Sequence[Route], implementation: str | None, tables: HopTables | None) -> None:
    """Some of the routes' onions, byte for byte, with the constant-time loop."""
    step = max(1, len(routes) // 16)
    secrets = [(sha256(b"p%d" % i).digest(), sha256(b"s%d" % i).digest()) for i in range(len(routes))]
    payments = [
        KeysendPayment(route, RECORDS, preimage=p, session_key=s) for route, (p, s) in zip(routes, secrets, strict=True)
    ]
    batch = build_keysends(payments, block_height=HEIGHT, implementation=implementation, hop_tables=tables)
    for i in range(0, len(routes), step):
        preimage, session_key = secrets[i]
        ids, data = loop_input(routes[i], preimage)
        if batch[i].packet != loops.build_onion_ct(ids, data, session_key, sha256(preimage).digest()):
            raise WrongCodeError(f"{implementation}: onion {i} is not the loop's")


def require(implementation: str) -> dict[str, str]:
    """What runs per primitive, once it is what was asked for and has passed its self-test."""
    config = show_config(implementation)
    chosen: dict[str, str] = config["chosen"]
    asked = implementation.split(",", 1)[0].removeprefix("ecmult=") if implementation else chosen["ecmult"]
    if chosen["ecmult"] != asked:
        raise WrongCodeError(f"asked for {asked}, and {chosen['ecmult']} runs")
    for row in config["implementations"]:
        if chosen.get(row["slot"]) == row["name"] and row["self_test"] != "passed":
            raise WrongCodeError(f"{row['slot']} {row['name']}: self-test {row['self_test']}")
    return chosen


def null_row(implementation: str, tables: HopTables, n: int, hops: int) -> Row:
    """A batch that is refused item by item before any curve, hash or stream work: what is left is everything around the kernels.

    An upper bound of the time outside the C calls: it still holds the core's checks and zeroing the packets. The amount asked
    has no policy to be computed by.
    """
    payments = [KeysendPayment(route, RECORDS, amount_msat=7) for route in repeated(nodes(NODES), hops, n)]

    def run() -> Any:
        return build_keysends(
            payments, block_height=HEIGHT, implementation=implementation, hop_tables=tables, threads=1
        )

    def check() -> None:
        if set(run().status.tolist()) != {Status.AMOUNT}:
            raise WrongCodeError("the null batch was not refused")

    return Row("outside the kernels", n, run, check, "upper bound: all but curve, streams and hashes")


def peel_rows(implementation: str, n: int) -> list[Row]:
    """One node's packets to be forwarded, every one distinct."""
    members = nodes(NODES)
    first = members[0]
    routes = [Route([Hop(first.node_id, None, 100_001, 85), *route.hops[1:]]) for route in synthetic(members, 4, n)]
    batch = build_keysends([KeysendPayment(route, RECORDS) for route in routes], block_height=HEIGHT)
    packets, hashes = bytes(batch.packets), bytes(batch.payment_hashes)
    some = [(batch[i].packet, first.key, hashes[32 * i : 32 * i + 32]) for i in range(LOOP_ONIONS)]

    def run() -> Any:
        return peel_onions(packets, first.key, hashes, implementation=implementation, threads=1)

    def check() -> None:
        peeled = run()
        for i, item in enumerate(some):
            if (peeled[i].payload, peeled[i].next_packet, bytes(peeled[i].shared_secret)) != loops.peel_onion_ct(*item):
                raise WrongCodeError(f"{implementation}: layer {i} is not the loop's")

    def loop(peel: Callable[..., object]) -> Callable[[], object]:
        return lambda: [peel(*item) for item in some]

    return [
        Row("peel, forward, batch", n, run, check),
        Row("peel, variable-time loop", LOOP_ONIONS, loop(loops.peel_onion_var)),
        Row("peel, constant-time loop", LOOP_ONIONS, loop(loops.peel_onion_ct)),
    ]


@dataclass
class Suite:
    """The rows of one run, and what is read off them."""

    implementation: str
    rows: dict[str, Row]
    others: list[str]
    tables: dict[str, HopTables]

    def claims(self) -> list[Claim]:
        """The targets of the project's issues for what ran, beside what was measured."""

        def claim(text: str, slow: str, fast: str, target: float, source: str, upper: bool = False) -> None:
            if slow in self.rows and fast in self.rows:
                found.append(Claim.of(text, self.rows[slow], self.rows[fast], target, source, upper))

        outside = self.rows["outside the kernels"].best / 1e3
        found = [Claim("outside the kernels, µs an onion", outside, 0.5, ISSUE_2, True)]
        loop, careful, slot = "n = 4, variable-time loop", "n = 4, constant-time loop", "slot libsecp256k1"
        claim("n = 20 over n = 4", "n = 20, batch", "n = 4, batch", 5.5, ISSUE_4, True)
        claim("two threads over one, 2,048 onions", "one thread", "two threads", 1.7, ISSUE_4)
        claim("libsecp256k1 slot, variable-time loop", loop, slot, 1.25, ISSUE_2)
        claim("libsecp256k1 slot, constant-time loop", careful, slot, 1.7, ISSUE_2)
        claim("portable over the libsecp256k1 slot", slot, "slot portable", 3, ISSUE_4)
        claim("avx2 over the libsecp256k1 slot", slot, "slot avx2", 7, ISSUE_4)
        if self.implementation == "avx512ifma":
            claim("n = 4, repeated routes, variable-time loop", loop, "n = 4, batch", 15, ISSUE_3)
            claim("n = 4, repeated routes, variable-time loop", loop, "n = 4, batch", 20, ISSUE_4)
            claim("n = 4, every route another", loop, "n = 4, every route another", 15, ISSUE_3)
            claim("real routes", "real, variable-time loop", "real, batch", 12, ISSUE_3)
            claim("real routes", "real, variable-time loop", "real, batch", 17, ISSUE_4)
            claim("single call, warm tables", loop, "single call, warm", 6, ISSUE_4)
            claim("batch of 32", loop, "batch of 32", 15, ISSUE_4)
            claim("cold keys, each used once", loop, "cold keys", 6, ISSUE_4)
            claim("peel, forward", "peel, variable-time loop", "peel, forward, batch", 9, ISSUE_4)
        return found

    def memory(self) -> list[str]:
        """What the tables of the warm rows take, and how often they were found."""
        lines = []
        for name, tables in self.tables.items():
            stats = tables.stats()
            met = stats["hits"] + stats["misses"]
            rate = f"{stats['hits'] / met:.1%}" if met else "none asked"
            lines.append(
                f"tables, {name}: {stats['tables']} of {stats['keys']} keys, {stats['bytes'] / 2**20:.1f} MiB, hit rate {rate}"
            )
        return lines


def suite(implementation: str, others: Sequence[str], *, quick: bool, threads: bool) -> Suite:
    """Everything that one run measures, by the implementation named; `others` have a row each at n = 4."""
    large, usual = (512, 512) if quick else (2048, 512)
    members = nodes(NODES)
    tables = {"synthetic": HopTables(TABLE_BYTES), "real routes": HopTables(TABLE_BYTES)}
    warm = tables["synthetic"]
    rows: list[Row] = []
    for hops in (1, 4, 20) if quick else HOP_COUNTS:
        routes = repeated(members, hops, usual)
        rows += [
            ours_row(f"n = {hops}, batch", routes, implementation, lambda: warm),
            loop_row(f"n = {hops}, variable-time loop", loops.build_onion_var, routes[:LOOP_ONIONS]),
            loop_row(f"n = {hops}, constant-time loop", loops.build_onion_ct, routes[:LOOP_ONIONS]),
        ]
    routes = real()
    rows += [
        ours_row("real, batch", routes, implementation, lambda: tables["real routes"]),
        ours_row("real, no tables kept", routes, implementation, lambda: None),
        loop_row("real, variable-time loop", loops.build_onion_var, routes[:: len(routes) // 24]),
        loop_row("real, constant-time loop", loops.build_onion_ct, routes[:: len(routes) // 24]),
    ]
    four = repeated(members, 4, large)
    rows += [
        ours_row("n = 4, every route another", synthetic(members, 4, usual), implementation, lambda: warm),
        ours_row("one thread", four, implementation, lambda: warm),
        ours_row("batch of 32", four[:32], implementation, lambda: warm),
        ours_row("cold tables, made in the call", four[:usual], implementation, lambda: HopTables(TABLE_BYTES)),
        ours_row("cold keys", distinct(4, usual), implementation, lambda: HopTables(TABLE_BYTES)),
        single_row("single call, warm", four[0], implementation, warm),
        single_row("single call, no tables", four[0], None, None),
        null_row(implementation, warm, usual, 4),
        *peel_rows(implementation, usual),
    ]
    if threads:
        rows.append(ours_row("two threads", four, implementation, lambda: warm, threads=2))
    for name in others:
        tables[name] = HopTables(TABLE_BYTES)
        # a pass of the slow slot has fewer onions, so that passes take about as long and a busy machine treats them alike
        count = SLOW_ONIONS if name == "libsecp256k1" else usual
        rows.append(ours_row(f"slot {name}", four[:count], name, partial(tables.__getitem__, name)))
    for kept, ids in ((warm, [node.node_id for node in members]), (tables["real routes"], real_ids(routes))):
        kept.warm(ids, implementation=implementation)
    return Suite(implementation, {row.name: row for row in rows}, list(others), tables)


def real_ids(routes: Sequence[Route]) -> list[bytes]:
    """The distinct node ids of routes."""
    return list(dict.fromkeys(node_id for route in routes for node_id in route.node_ids))


def distinct(hops: int, n: int) -> list[Route]:
    """Routes none of whose nodes is met twice."""
    members = nodes(hops * n, "cold")
    return [
        Route(Hop(members[hops * i + h].node_id, 1 << 40 | h, 100_000 + hops - h, 45) for h in range(hops))
        for i in range(n)
    ]
