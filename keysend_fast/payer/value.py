"""The ``<podcast:value>`` model: who is paid for an episode, in which shares, and when.

``read_feed`` turns an RSS feed into ``Feed``, ``Item``, ``Value``, ``TimeSplit`` and ``Recipient`` objects, all
immutable.
Source: podcast namespace, tags value, valueRecipient, valueTimeSplit, remoteItem, and
docs/examples/value/value.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

from keysend_fast.errors import FeedError, InputError
from keysend_fast.records import utf8


@dataclass(frozen=True, slots=True)
class Recipient:
    """One ``valueRecipient``.

    name: free text, may be empty. type: slug, ``node`` or ``lnaddress`` in use. address: 66 hex digits of a node id in
    lower case, or name@host. split: share count, 0 or more; None only where it was absent from a block of one
    recipient, which takes all. fee: shares come off the top. custom: (type, text) of the records to send along; a
    feed's own customKey and customValue make at most one. line: of the feed.
    """

    name: str
    type: str
    address: str
    split: int | None
    fee: bool = False
    custom: tuple[tuple[int, str], ...] = ()
    line: int | None = None

    @property
    def node_id(self) -> bytes | None:
        """The 33-byte node id that a keysend goes to, or None for a recipient of another type."""
        return bytes.fromhex(self.address) if self.type == "node" else None

    def records(self) -> dict[int, bytes]:
        """Return the custom records that this recipient asks for, by TLV type; a value is its UTF-8 text as it is."""
        return {key: utf8(value, "custom value") for key, value in self.custom}


@dataclass(frozen=True, slots=True)
class RemoteItem:
    """A ``remoteItem``: another feed, by its podcast:guid, and one of its items, by its guid. Nothing is fetched."""

    feed_guid: str
    item_guid: str | None = None
    feed_url: str | None = None
    medium: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """One ``valueTimeSplit``: other recipients for a while. Times are milliseconds of the episode.

    Holds either recipients or one remote item. remote_percentage: 0 to 100, the part of what is left after fees that
    the remote recipients share; the rest stays with the default recipients.
    """

    start_ms: int
    duration_ms: int
    recipients: tuple[Recipient, ...] = ()
    remote: RemoteItem | None = None
    remote_start_ms: int = 0
    remote_percentage: int = 100
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """One ``value`` block.

    suggested_msat: millisatoshis a minute, or None. Blocks of another type than lightning have no recipients here:
    their addresses are not ours to read.
    """

    type: str
    method: str
    suggested_msat: int | None = None
    recipients: tuple[Recipient, ...] = ()
    time_splits: tuple[TimeSplit, ...] = ()
    line: int | None = None

    def at(self, position_ms: int) -> TimeSplit | None:
        """Return the time split in force at a position of the episode, or None for the default recipients.

        Where several overlap, the one that started last replaces the others; of two that start together the later in
        the feed counts.
        """
        active: TimeSplit | None = None
        for split in self.time_splits:
            if split.start_ms <= position_ms < split.start_ms + split.duration_ms and (
                active is None or split.start_ms >= active.start_ms
            ):
                active = split
        return active


@dataclass(frozen=True, slots=True)
class Item:
    """One ``item`` or ``liveItem``. value: its own block, or None. error: why its own block cannot be used, or None."""

    title: str
    guid: str
    value: Value | None = None
    error: FeedError | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Feed:
    """A podcast: its channel's title, podcast:guid, link, value block and items, in the feed's order."""

    title: str
    guid: str
    link: str
    value: Value | None
    items: tuple[Item, ...]

    def item(self, key: str) -> Item:
        """Return the item with this guid, else the one with this title. Raises FeedError unless it is exactly one."""
        for name in ("guid", "title"):
            found = [item for item in self.items if getattr(item, name) == key]
            if len(found) > 1:
                raise FeedError(f"{len(found)} items have the {name} {key[:80]!r}", line=found[1].line, element="item")
            if found:
                return found[0]
        raise FeedError(f"no item has the guid or title {key[:80]!r}")

    def value_of(self, item: Item | None = None) -> Value:
        """Return the block that pays for an item: its own if it has one, which overrides the channel's.

        item: one of this feed's, or None for the channel. Raises FeedError where there is no lightning block, or where
        the item's own is malformed (the channel's is not taken in its place).
        """
        if item is not None and item.error is not None:
            raise item.error
        value = item.value if item is not None and item.value is not None else self.value
        if value is None:
            raise FeedError("there is no value block", line=item.line if item else None)
        if value.type != "lightning":
            raise FeedError(
                f"value block of type {value.type!r}, not lightning", line=value.line, element="podcast:value"
            )
        return value


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a feed is looked at before it is refused: counts, bytes and characters.

    token_bytes bounds one tag, comment or declaration; text_chars each title, guid, name or address; value_bytes one
    customValue, which must leave room in a 1,300-byte onion.
    """

    feed_bytes: int = 64 * 2**20
    token_bytes: int = 2**20
    depth: int = 256
    items: int = 100_000
    recipients: int = 500
    time_splits: int = 5_000
    total_recipients: int = 200_000
    text_chars: int = 4_096
    value_bytes: int = 1_000
    split: int = 2**32


_FIELD_PRIME = 2**256 - 2**32 - 977  # secp256k1, SEC 2, section 2.4.1


@lru_cache(maxsize=4096)  # feeds name the same few keys in every item
def check_node_id(text: str) -> str:
    """Return a node id's 66 hex digits in lower case.

    Raises InputError for what is no compressed secp256k1 point: 33 bytes, the first 2 or 3, then an x that lies on the
    curve (SEC 1, section 2.3.4).
    """
    if not re.fullmatch(r"0[23][0-9a-f]{64}", text, re.IGNORECASE):
        raise InputError(f"address {text[:80]!r} is not a node id of 66 hex digits that starts with 02 or 03")
    x = int.from_bytes(bytes.fromhex(text)[1:])
    if x >= _FIELD_PRIME or pow(x**3 + 7, (_FIELD_PRIME - 1) // 2, _FIELD_PRIME) != 1:
        raise InputError(f"address {text} is not a point of secp256k1")
    return text.lower()


def read_feed(source: bytes | BinaryIO, *, limits: Limits | None = None) -> Feed:
    """Read the value blocks of an RSS feed.

    source: the feed's bytes, or a stream of them (the caller closes it); the XML declaration names the encoding. Needs
    the extra ``feed``. Document type declarations, entities and external references are refused, and so is whatever
    goes beyond ``limits`` (``Limits()`` if None): memory stays bounded by what is kept of the feed. Raises FeedError,
    with line and element, for a feed that cannot be read or a channel-level block that is malformed. A malformed
    item-level block is kept as that item's ``error`` and raised by ``Feed.value_of``, so that one bad episode does not
    stop the others from being paid.
    """
    try:
        from keysend_fast.payer import _feed_xml  # noqa: PLC0415 - defusedxml is an extra
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("defusedxml"):
            raise
        raise ModuleNotFoundError(
            "reading feeds needs defusedxml: pip install 'keysend-fast[feed]'", name=error.name
        ) from None
    return _feed_xml.parse(source, limits or Limits())


def resolve_remote(remote: RemoteItem, feeds: Mapping[str, Feed]) -> Value:
    """Return the value block of a remote item from feeds that the caller has read already, by their podcast:guid.

    Time splits of the remote block do not apply (podcast namespace, valueTimeSplit) and are left out. Raises FeedError
    where the feed or item is not there or cannot be paid.
    """
    feed = feeds.get(remote.feed_guid)
    if feed is None:
        where = f" ({remote.feed_url})" if remote.feed_url else ""
        raise FeedError(
            f"remote feed {remote.feed_guid}{where} is not at hand", line=remote.line, element="podcast:remoteItem"
        )
    value = feed.value_of(None if remote.item_guid is None else feed.item(remote.item_guid))
    return Value(value.type, value.method, value.suggested_msat, value.recipients, (), value.line)
