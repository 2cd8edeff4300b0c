"""Streaming: an audience's minutes become dues, payments, routes and onions, and the books that say where each went.

Every listener pays a rate by the minute for one item of a feed. What is due is divided exactly (``splits``), too little
to send is carried forward, payments are planned (``plan``), built in waves and carried by the embedded network
(``local_network``). A payment that fails is tried again as its decoded failure advises, with a new preimage: the failure
was definite. The payer knows nothing but the return packet and its attribution data.
"""

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256

from keysend_fast.errors import FeedError, InputError, NoRouteError, RouteError, SplitError
from keysend_fast.failure import Action, Advice, Failure, HoldTimes, decode_failures, decode_fulfilleds
from keysend_fast.keysend import KeysendBatch, KeysendPayment, build_keysends, onion_budget
from keysend_fast.onion import HopTables, OnionSecrets
from keysend_fast.payer.account import AccountError, RecipientAccount, StreamAccount
from keysend_fast.payer.culprits import Culprits, failure_name
from keysend_fast.payer.graph import ChannelGraph
from keysend_fast.payer.lnaddress import KeysendAddress, with_node
from keysend_fast.payer.local_network import LocalNetwork, Outcome, Outgoing
from keysend_fast.payer.local_returns import Fault
from keysend_fast.payer.plan import Plan, Planner
from keysend_fast.payer.splits import Carry, Due, SplitPolicy, check_value, due_for
from keysend_fast.payer.value import Feed, Item, Recipient, RemoteItem, Value, resolve_remote
from keysend_fast.records import PODCAST_METADATA, Fit, MetadataTemplate, PodcastMetadata, lint_records
from keysend_fast.route import Route
from keysend_fast.status import Status

APP_NAME = "keysend-fast"
NO_ROUTE, NO_ADDRESS, NO_REMOTE = "no route", "address not resolved", "remote item not at hand"
NO_ROOM = "metadata does not fit the onion"
_REMOTE = "remote"  # type of the recipient that stands in for a remote item that is not at hand
_METHODS = ("keysend", "lnaddress", "default")
_VARYING = ("ts", "value_msat", "value_msat_total")
# Room is measured for amounts of six bytes and a position of ten digits, so that a template fits whatever is sent.
_MOST_MSAT, _MOST_SECONDS = 2**47, 10**9
_TABLE_BYTES = 128 * 2**20
_MIN_FUNDS_MSAT = 10**10
_SLOWEST = 10  # channels named in the account


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What is streamed.

    msat_per_minute: each listener's rate. minutes: how long each listens, from the item's start; every: how many of
    them are paid together. listeners: how many, spread evenly over the items. items: guids or titles; none means all.
    payers: nodes that the listeners' wallets live on. retries: further attempts of a payment whose failure advises one.
    faults: share of the channel directions, 0 to 1, that get a fault of some kind. wave: payments in flight together.
    seed: of everything that is chosen by chance. threads: for building and peeling. implementation: of the onions'
    arithmetic; None is the best.
    """

    msat_per_minute: int = 100_000
    minutes: int = 10
    every: int = 1
    listeners: int = 1000
    items: tuple[str, ...] = ()
    policy: SplitPolicy = field(default_factory=SplitPolicy)
    payers: int = 32
    retries: int = 3
    faults: float = 0.0
    wave: int = 4096
    seed: int = 0
    threads: int = field(default_factory=lambda: min(4, os.cpu_count() or 1))
    implementation: str | None = None

    def __post_init__(self) -> None:
        for name in ("msat_per_minute", "minutes", "every", "listeners", "payers", "wave", "threads"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be 1 or more")
        if self.retries < 0:
            raise InputError("retries must be 0 or more")
        if not 0 <= self.faults <= 1:
            raise InputError("faults is a share of 0 to 1")


@dataclass(slots=True, eq=False)
class _Payee:
    """A recipient as reached through one item: its account and the metadata that its payments carry."""

    recipient: Recipient
    account: RecipientAccount
    metadata: PodcastMetadata
    records: dict[int, bytes]
    templates: dict[Route, MetadataTemplate] = field(default_factory=dict)

    def template(self, route: Route) -> MetadataTemplate:
        """Return the metadata shortened to what the route's onion has room for."""
        found = self.templates.get(route)
        if found is None:
            room = onion_budget(route, self.records, amount_msat=_MOST_MSAT).max_value_bytes(PODCAST_METADATA)
            longest = replace(self.metadata, ts=_MOST_SECONDS, value_msat=_MOST_MSAT, value_msat_total=_MOST_MSAT)
            fitted = longest.fit(room, Fit.DROP_THEN_SHORTEN).metadata
            found = self.templates[route] = fitted.template(_VARYING)
        return found


@dataclass(slots=True)
class _Payment:
    """A payment to make. total_msat: what the listener gave for these minutes; position: seconds into the item."""

    payee: _Payee
    payer: bytes
    amount_msat: int
    total_msat: int
    position: int
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class _Programme:
    """One item that is listened to."""

    feed: Feed
    item: Item
    value: Value


Progress = Callable[[StreamAccount, int, int], None]


class Stream:
    """One run of a stream over the embedded network.

    feeds: their items are listened to. graph: of the network. remotes: further feeds that remote items may refer to.
    addresses: keysend documents of name@host recipients, by address. network, planner: made here unless given; both
    belong to the stream while it runs. Raises FeedError or SplitError for a named item that cannot be paid, InputError
    where nothing can.
    """

    def __init__(
        self,
        feeds: Sequence[Feed],
        graph: ChannelGraph,
        options: StreamOptions | None = None,
        *,
        remotes: Sequence[Feed] = (),
        addresses: Mapping[str, KeysendAddress] | None = None,
        network: LocalNetwork | None = None,
        planner: Planner | None = None,
    ) -> None:
        self.options = options or StreamOptions()
        self._random = random.Random(self.options.seed)
        self._addresses = addresses or {}
        self.network = network or LocalNetwork(
            graph,
            seed=self.options.seed.to_bytes(8, "big"),
            threads=self.options.threads,
            implementation=self.options.implementation,
        )
        self.planner = planner or Planner(graph)
        self.account = StreamAccount(
            " + ".join(feed.title or feed.guid or "untitled" for feed in feeds), self._described()
        )
        self._payees: dict[tuple[object, ...], _Payee] = {}
        self._accounts: dict[tuple[object, ...], RecipientAccount] = {}
        self._carry: Carry[tuple[int, _Payee]] = Carry(self.options.policy.min_msat)
        self._tables = HopTables(_TABLE_BYTES)
        self._feeds = _with_stand_ins(feeds, remotes)
        self._programmes = self._choose(feeds)
        self._avoided: dict[int, float] = {}
        self._listened = 0.0
        self._culprits = Culprits()
        self.payers = self._pick_payers()
        """The nodes that the listeners' wallets live on, 33-byte ids of the graph."""
        self.faults = self._inject_faults()
        """The faults put on the network, by channel direction."""

    def _inject_faults(self) -> dict[int, Fault]:
        """Put faults of every kind on some channel directions, chosen by chance."""
        channels = len(self.network.graph)
        chosen = self._random.sample(range(channels), round(self.options.faults * channels))
        kinds = list(Fault)
        faults = {channel: kinds[place % len(kinds)] for place, channel in enumerate(chosen)}
        for channel, fault in faults.items():
            self.network.inject(channel, fault)
        return faults

    def _described(self) -> dict[str, object]:
        """Return the options as plain values, for the account."""
        options = asdict(self.options)
        policy = options.pop("policy")
        return {**options, **{name: getattr(value, "value", value) for name, value in policy.items()}}

    def _choose(self, feeds: Sequence[Feed]) -> list[_Programme]:
        """Return what is listened to; an item whose block is unusable becomes a warning where all were asked for."""
        wanted = self.options.items
        found = []
        for feed in feeds:
            for item in feed.items:
                if wanted and item.guid not in wanted and item.title not in wanted:
                    continue
                name = item.title or item.guid
                try:
                    value = feed.value_of(item)
                    check_value(value, fee_mode=self.options.policy.fee_mode, feeds=self._feeds)
                except (FeedError, SplitError) as error:
                    if wanted:
                        raise
                    self.account.warnings.append(f"{name}: {error}")
                    continue
                if value.method not in _METHODS:
                    self.account.warnings.append(
                        f"{name}: method {value.method[:40]!r} is paid by keysend all the same"
                    )
                found.append(_Programme(feed, item, value))
        if not found:
            raise InputError("no item to listen to: none has these names, or none can be paid")
        return found

    # The run

    def run(self, progress: Progress | None = None) -> StreamAccount:
        """Stream everything and return the books, checked to the millisatoshi.

        progress: called now and then with the account so far and how many of the listeners' intervals are done, of how
        many. Raises AccountError or NetworkError where the money does not add up.
        """
        began = time.perf_counter()
        options = self.options
        intervals = -(-options.minutes // options.every)
        total = intervals * options.listeners
        payers = self.payers
        wave: list[_Payment] = []
        done = 0
        for first in range(0, options.minutes, options.every):
            minutes = min(options.every, options.minutes - first)
            self._listened = 60.0 * first
            self._forgive()
            dues = [self._dues(programme, first, minutes) for programme in self._programmes]
            for listener in range(options.listeners):
                wave += self._payments(listener, dues[listener % len(dues)], first + minutes, minutes, payers)
                done += 1
                if len(wave) >= options.wave:
                    self._carry_out(wave)
                    wave = []
                    self._tick(began, progress, done, total)
        self._carry_out(wave)
        self._close(began)
        self._tick(began, progress, done, total)
        return self.account

    def _tick(self, began: float, progress: Progress | None, done: int, total: int) -> None:
        account = self.account
        account.seconds["total"] = time.perf_counter() - began
        account.layers = self.network.layers
        settled = account.total("settled")
        account.timeline.append((account.seconds["total"], settled, account.total("payments") - settled))
        if progress is not None:
            progress(account, done, total)

    def _close(self, began: float) -> None:
        """Write down what is still carried, and check every book against the other."""
        for (_, payee), owed in self._carry.owed.items():
            payee.account.carried_msat += owed
        self.account.culprits = self._culprits.rows()
        self.account.slowest = self._culprits.slowest(_SLOWEST)
        self.network.check_conserved()
        self.account.check()
        claimed = sum(self.network.received_msat.values())
        if claimed != self.account.total("settled_msat"):
            raise AccountError(f"recipients claimed {claimed} msat, the books say {self.account.total('settled_msat')}")

    # Dues

    def _dues(self, programme: _Programme, first: int, minutes: int) -> list[tuple[_Payee, int]]:
        """Return what each payee is due from one listener for some minutes of an item."""
        rate, policy = self.options.msat_per_minute, self.options.policy
        dues = due_for(programme.value, first, minutes, rate, policy=policy, feeds=self._feeds)
        return [(self._payee(programme, due), due.amount_msat) for due in dues]

    def _payments(
        self, listener: int, dues: list[tuple[_Payee, int]], end: int, minutes: int, payers: Sequence[bytes]
    ) -> Iterator[_Payment]:
        """Book what a listener's minutes are worth and yield what is to be sent now."""
        given = self.options.msat_per_minute * minutes
        account = self.account
        account.given_msat += given
        account.unshared_msat += given - sum(amount for _, amount in dues)
        payer = payers[listener % len(payers)]
        for payee, due in dues:
            payee.account.due_msat += due
            amount = self._carry.take((listener, payee), due)
            if amount:
                payee.account.payments += 1
                yield _Payment(payee, payer, amount, given, end * 60)

    def _payee(self, programme: _Programme, due: Due) -> _Payee:
        recipient = with_node(due.recipient, self._addresses)
        identity = (recipient.type, recipient.address, recipient.name, recipient.custom)
        key = (*identity, programme.feed.guid, programme.item.guid, programme.item.line, due.remote)
        payee = self._payees.get(key)
        if payee is None:
            payee = self._payees[key] = self._new_payee(programme, recipient, identity, due.remote)
        return payee

    def _new_payee(
        self, programme: _Programme, recipient: Recipient, identity: tuple[object, ...], remote: RemoteItem | None
    ) -> _Payee:
        account = self._accounts.get(identity)
        if account is None:
            custom = ", ".join(str(record_type) for record_type, _ in recipient.custom)
            account = self._accounts[identity] = RecipientAccount(recipient.name, recipient.address, custom)
            self.account.recipients.append(account)
            for warning in lint_records(record_type for record_type, _ in recipient.custom):
                self.account.warnings.append(
                    f"{recipient.name or recipient.address}: record {warning.type}: {warning.message}"
                )
            if PODCAST_METADATA in recipient.records():
                name = recipient.name or recipient.address
                self.account.warnings.append(
                    f"{name}: record {PODCAST_METADATA}: the payment's metadata takes its place"
                )
        feed, item = programme.feed, programme.item
        metadata = PodcastMetadata(
            podcast=feed.title or None if feed.guid or feed.title else feed.link or "untitled",
            guid=feed.guid or None,
            episode=item.title or None,
            episode_guid=item.guid or None,
            action="stream",
            app_name=APP_NAME,
            name=recipient.name or None,
            remote_feed_guid=remote.feed_guid if remote else None,
            remote_item_guid=remote.item_guid if remote else None,
        )
        return _Payee(recipient, account, metadata, recipient.records())

    # Payments

    def _pick_payers(self) -> list[bytes]:
        """Choose nodes with funds, by chance, from which some recipient can be reached where any can."""
        graph = self.planner.graph
        funds: dict[int, int] = {}
        for source, capacity in zip(graph.source, graph.capacity_msat, strict=True):
            funds[source] = funds.get(source, 0) + capacity
        recipients = {node_id for value in self._values() for node_id in self._node_ids(value)}
        rich = [i for i, msat in funds.items() if msat >= _MIN_FUNDS_MSAT and graph.node_ids[i] not in recipients]
        candidates = sorted(rich or set(graph.source) - {graph.index.get(r) for r in recipients})
        if not candidates:
            raise InputError("the graph has no node that could pay")
        self._random.shuffle(candidates)
        least = max(self.options.policy.min_msat, 1)
        chosen: list[bytes] = []
        for index in candidates[: 20 * self.options.payers]:
            if any(self._reaches(graph.node_ids[index], recipient, least) for recipient in recipients):
                chosen.append(graph.node_ids[index])
            if len(chosen) == self.options.payers:
                break
        return chosen or [graph.node_ids[index] for index in candidates[: self.options.payers]]

    def _values(self) -> Iterator[Value]:
        """Yield every block that may be paid: those listened to, and those of feeds that remote items may name."""
        yield from (programme.value for programme in self._programmes)
        for feed in self._feeds.values():
            yield from (value for value in (feed.value, *(item.value for item in feed.items)) if value is not None)

    def _node_ids(self, value: Value) -> Iterator[bytes]:
        for recipients in (value.recipients, *(split.recipients for split in value.time_splits)):
            for recipient in recipients:
                node_id = with_node(recipient, self._addresses).node_id
                if node_id is not None:
                    yield node_id

    def _reaches(self, payer: bytes, recipient: bytes, amount_msat: int) -> bool:
        try:
            self.planner.plan(payer, recipient, amount_msat)
        except NoRouteError:
            return False
        return True

    def _carry_out(self, payments: list[_Payment]) -> None:
        """Bring payments to their ends, those that may be tried again included."""
        while payments:
            planned = list(self._planned(payments))
            answers = self._send(planned)
            payments = []
            for (payment, plan), answer in zip(planned, answers, strict=True):
                if isinstance(answer, HoldTimes):
                    account = payment.payee.account
                    account.settled += 1
                    account.settled_msat += payment.amount_msat
                    account.fee_msat += plan.fee_msat
                    self.account.hops[len(plan.channels)] += 1
                    self._culprits.held(plan, answer.hold_times)
                elif isinstance(answer, Failure):
                    self._culprits.failed(plan, answer)
                    self._culprits.held(plan, answer.hold_times or ())
                    advice = answer.advice
                    self._heed(plan, advice)
                    if advice.retry and payment.attempts <= self.options.retries:
                        payments.append(payment)
                    else:
                        self._fail(payment, failure_name(answer))

    def _heed(self, plan: Plan, advice: Advice) -> None:
        """Avoid what the advice names, for as long as it says; seconds are those of listening."""
        graph = self.planner.graph
        channels: Sequence[int] = ()
        if advice.action is Action.AVOID_CHANNEL and advice.target is not None and advice.target.channel is not None:
            channels = (plan.channels[advice.target.channel[1]],)
        elif advice.action is Action.AVOID_NODE and advice.target is not None and advice.target.node is not None:
            node = graph.destination[plan.channels[advice.target.node]]
            channels = [i for i, ends in enumerate(zip(graph.source, graph.destination, strict=True)) if node in ends]
        elif advice.action is Action.AVOID_ROUTE:
            channels = plan.channels[1:-1] or plan.channels
        until = float("inf") if advice.seconds is None else self._listened + advice.seconds
        for channel in channels:
            if channel not in self._avoided:
                self.planner.avoid(graph.scid[channel], graph.direction[channel])
            self._avoided[channel] = max(until, self._avoided.get(channel, 0.0))

    def _forgive(self) -> None:
        """Plan again over what was avoided long enough."""
        graph = self.planner.graph
        for channel in [channel for channel, until in self._avoided.items() if until <= self._listened]:
            del self._avoided[channel]
            self.planner.avoid(graph.scid[channel], graph.direction[channel], avoided=False)

    def _fail(self, payment: _Payment, reason: str) -> None:
        payment.payee.account.failed_msat[reason] += payment.amount_msat
        self.account.failed[reason] += 1

    def _planned(self, payments: list[_Payment]) -> Iterator[tuple[_Payment, Plan]]:
        """Yield the payments that have a route, and it; the others have failed."""
        began = time.perf_counter()
        for payment in payments:
            recipient = payment.payee.recipient
            node_id = recipient.node_id
            if node_id is None:
                self._fail(payment, NO_REMOTE if recipient.type == _REMOTE else NO_ADDRESS)
                continue
            try:
                plan = self.planner.plan(payment.payer, node_id, payment.amount_msat)
            except (NoRouteError, RouteError) as error:
                self._fail(payment, NO_ROUTE if isinstance(error, NoRouteError) else str(error))
                continue
            self.account.retries += payment.attempts > 0
            payment.attempts += 1
            yield payment, plan
        self._spent("plan", began)

    def _send(self, planned: list[tuple[_Payment, Plan]]) -> list[HoldTimes | Failure | None]:
        """Build the onions of a wave, send them and read what comes back: hold times where a payment settled; None for one
        whose onion cannot be built (it has failed)."""
        began = time.perf_counter()
        height = self.network.block_height
        keysends: list[KeysendPayment] = []
        places: list[int] = []
        for place, (payment, plan) in enumerate(planned):
            keysend = self._keysend(payment, self.network.route(plan))
            if keysend is not None:
                keysends.append(keysend)
                places.append(place)
        outgoing: list[Outgoing] = []
        with self._build(keysends, height) as batch:
            if not batch.ok:
                raise batch.errors()[0]  # routes and records were checked before; nothing of this wave was sent
            self.account.attempts += len(keysends)
            hashes = bytes(batch.payment_hashes)
            for number, place in enumerate(places):
                plan = planned[place][1]
                payment_hash = hashes[32 * number : 32 * number + 32]
                expiry = height + 1 + plan.cltv_deltas[0]
                packet = batch[number].packet
                outgoing.append(Outgoing(packet, payment_hash, plan.channels[0], plan.amounts_msat[0], expiry))
            began = self._spent("build", began)
            outcomes = self.network.send(outgoing)
            for sent, outcome in zip(outgoing, outcomes, strict=True):
                if outcome.code == 0 and sha256(outcome.preimage or b"").digest() != sent.payment_hash:
                    raise AccountError("a payment is called settled without its preimage")
            began = self._spent("network", began)
            read = self._read(outcomes, batch.secrets)
        answers: list[HoldTimes | Failure | None] = [None] * len(planned)
        for place, answer in zip(places, read, strict=True):
            answers[place] = answer
        self._spent("decode", began)
        return answers

    def _read(self, outcomes: Sequence[Outcome], secrets: Sequence[OnionSecrets]) -> list[HoldTimes | Failure]:
        """Decode what came back, all of a wave at once."""
        options = self.options
        settled = [i for i, outcome in enumerate(outcomes) if outcome.preimage is not None]
        failed = [i for i, outcome in enumerate(outcomes) if outcome.return_packet is not None]
        hold_times = decode_fulfilleds(
            [outcomes[i].attribution_data or b"" for i in settled],
            [secrets[i] for i in settled],
            threads=options.threads,
            implementation=options.implementation,
        )
        failures = decode_failures(
            [outcomes[i].return_packet or b"" for i in failed],
            [secrets[i] for i in failed],
            attribution_data=[outcomes[i].attribution_data for i in failed],
            threads=options.threads,
            implementation=options.implementation,
        )
        read: dict[int, HoldTimes | Failure] = dict(zip(settled, hold_times, strict=True))
        read |= zip(failed, failures, strict=True)
        for i, outcome in enumerate(outcomes):
            if i not in read:  # the payer's own node failed it
                read[i] = Failure(Status.OK, len(secrets[i]), -1, outcome.local_message or b"")
        return [read[i] for i in range(len(outcomes))]

    def _build(self, keysends: list[KeysendPayment], height: int) -> KeysendBatch:
        options = self.options
        return build_keysends(
            keysends,
            block_height=height,
            threads=options.threads,
            implementation=options.implementation,
            hop_tables=self._tables,
        )

    def _keysend(self, payment: _Payment, route: Route) -> KeysendPayment | None:
        """Return the payment with its records, or None where its metadata has no room beside them (it has failed)."""
        payee = payment.payee
        try:
            metadata = payee.template(route).encode(payment.position, payment.amount_msat, payment.total_msat)
        except InputError:
            self._fail(payment, NO_ROOM)
            return None
        return KeysendPayment(route, {**payee.records, PODCAST_METADATA: metadata}, amount_msat=payment.amount_msat)

    def _spent(self, phase: str, began: float) -> float:
        now = time.perf_counter()
        self.account.seconds[phase] = self.account.seconds.get(phase, 0.0) + now - began
        return now


def _with_stand_ins(feeds: Sequence[Feed], remotes: Sequence[Feed]) -> dict[str, Feed]:
    """Return all feeds by guid, an unpayable recipient standing in for each remote item that is not at hand."""
    by_guid = {feed.guid: feed for feed in (*feeds, *remotes) if feed.guid}
    for value in [value for feed in feeds for value in (feed.value, *(item.value for item in feed.items))]:
        for remote in (split.remote for split in (value.time_splits if value else ()) if split.remote is not None):
            try:
                resolve_remote(remote, by_guid)
            except FeedError:
                feed = by_guid.get(remote.feed_guid) or Feed("", remote.feed_guid, "", None, ())
                missing = Recipient(
                    "remote item", _REMOTE, f"{remote.feed_guid} {remote.item_guid or ''}".strip(), None
                )
                stand_in = Value("lightning", "keysend", None, (missing,))
                if remote.item_guid is None:
                    by_guid[remote.feed_guid] = replace(feed, value=stand_in)
                else:
                    others = tuple(item for item in feed.items if item.guid != remote.item_guid)
                    item = Item("", remote.item_guid, stand_in)
                    by_guid[remote.feed_guid] = replace(feed, items=(*others, item))
    return by_guid
