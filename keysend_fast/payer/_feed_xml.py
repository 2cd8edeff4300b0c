"""The hardened XML reader behind ``value.read_feed``: one pass, bounded memory, a position for every complaint."""

import io
import re
from fractions import Fraction
from typing import Any, BinaryIO, NoReturn
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler, feature_namespaces

from defusedxml.common import DTDForbidden, EntitiesForbidden, ExternalReferenceForbidden
from defusedxml.sax import make_parser

from keysend_fast.errors import FeedError, InputError
from keysend_fast.payer.value import Feed, Item, Limits, Recipient, RemoteItem, TimeSplit, Value, check_node_id
from keysend_fast.records import custom_record

_PODCAST = frozenset(
    {
        "https://podcastindex.org/namespace/1.0",
        "http://podcastindex.org/namespace/1.0",
        "https://github.com/Podcastindex-org/podcast-namespace/blob/main/docs/1.0.md",
    }
)
_CHUNK = 65_536
_MSAT_PER_BTC = 100_000_000_000
_MAX_BTC = 21_000_000
_MAX_SECONDS = 10**7

_Name = tuple[str | None, str]
_Attributes = Any  # xml.sax.xmlreader.AttributesNSImpl, which typeshed leaves generic in its keys


def parse(source: bytes | BinaryIO, limits: Limits) -> Feed:
    """Parse a whole feed; see ``value.read_feed``."""
    stream = io.BytesIO(source) if isinstance(source, bytes | bytearray | memoryview) else source
    handler = _Handler(limits)
    parser = make_parser()
    parser.forbid_dtd = True
    parser.setFeature(feature_namespaces, True)
    parser.setContentHandler(handler)
    handler.setDocumentLocator(parser)
    total = stalled = 0
    position: tuple[int | None, int | None] = (1, 0)
    try:
        while chunk := stream.read(_CHUNK):
            if not isinstance(chunk, bytes):
                raise FeedError("a feed is read from a binary stream")
            total += len(chunk)
            if total > limits.feed_bytes:
                raise FeedError(f"the feed is longer than {limits.feed_bytes} bytes", line=position[0])
            parser.feed(chunk)
            # While one token is incomplete expat reads it again from its start with every chunk, and keeps all of it.
            here = (parser.getLineNumber(), parser.getColumnNumber())
            stalled = stalled + len(chunk) if here == position else 0
            position = here
            if stalled > limits.token_bytes:
                raise FeedError(f"one tag or comment is longer than {limits.token_bytes} bytes", line=here[0])
        if not total:
            raise FeedError("the feed is empty")
        parser.close()
    except SAXParseException as error:
        raise FeedError(f"not well-formed XML: {error.getMessage()}", line=error.getLineNumber()) from None
    except (DTDForbidden, EntitiesForbidden, ExternalReferenceForbidden) as error:
        what = "an entity" if isinstance(error, EntitiesForbidden) else "a document type declaration"
        raise FeedError(f"{what} is refused: feeds need none", line=parser.getLineNumber()) from None
    except FeedError:
        raise
    except (SAXException, ValueError, LookupError) as error:
        raise FeedError(f"the encoding cannot be read: {error}", line=parser.getLineNumber()) from None
    return handler.feed()


class _Block:
    """A value block or time split while its children are being read."""

    def __init__(self, line: int | None, attributes: dict[str, Any]) -> None:
        self.line = line
        self.attributes = attributes
        self.recipients: list[Recipient] = []
        self.remote: RemoteItem | None = None
        self.time_splits: list[TimeSplit] = []


class _Handler(ContentHandler):
    """Collects the few elements that matter; everything else is only counted in depth."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self._limits = limits
        self._stack: list[str] = []
        self._channel: dict[str, str] = {}
        self._channel_values: list[Value] = []
        self._items: list[Item] = []
        self._item: dict[str, str] | None = None
        self._item_line: int | None = None
        self._item_values: list[Value] = []
        self._item_error: FeedError | None = None
        self._value: _Block | None = None
        self._split: _Block | None = None
        self._text: list[str] | None = None
        self._text_length = 0
        self._total_recipients = 0
        self._locator: Any = None

    # Positions and complaints

    def setDocumentLocator(self, locator: Any) -> None:  # noqa: N802 - xml.sax's name
        self._locator = locator

    def _line(self) -> int | None:
        return None if self._locator is None else self._locator.getLineNumber()

    def _fail(self, message: str, element: str | None = None) -> NoReturn:
        raise FeedError(message, line=self._line(), element=element or (self._stack[-1] if self._stack else None))

    # xml.sax events

    def startElementNS(self, name: _Name, qname: str | None, attrs: _Attributes) -> None:  # noqa: N802
        uri, local = name
        tag = local if uri is None else f"podcast:{local}" if uri in _PODCAST else f"{{{uri}}}{local}"[:200]
        self._stack.append(tag)
        if len(self._stack) > self._limits.depth:
            self._fail(f"elements are nested more than {self._limits.depth} deep")
        depth = len(self._stack)
        if depth == 1 and tag != "rss":
            self._fail("not an RSS feed: the outermost element is not <rss>")
        if depth == 3 and tag in ("item", "podcast:liveItem") and self._stack[1] == "channel":
            self._start_item()
        elif tag in ("title", "guid", "link", "podcast:guid") and self._owner(depth) is not None:
            self._text = []
            self._text_length = 0
        elif tag.startswith("podcast:"):
            try:
                self._start_podcast(tag, depth, attrs)
            except FeedError as error:
                self._blame(error)

    def endElementNS(self, name: _Name, qname: str | None) -> None:  # noqa: N802
        tag = self._stack[-1]
        depth = len(self._stack)
        if self._text is not None:
            self._keep_text(tag, depth)
        elif tag == "podcast:valueTimeSplit" and self._split is not None:
            split, self._split = self._split, None
            try:
                self._end_split(split)
            except FeedError as error:
                self._blame(error)
        elif tag == "podcast:value" and self._value is not None and self._owner(depth) is not None:
            block, self._value = self._value, None
            try:
                self._end_value(block)
            except FeedError as error:
                self._blame(error)
        elif depth == 3 and self._item is not None and tag in ("item", "podcast:liveItem"):
            self._end_item()
        self._stack.pop()

    def characters(self, content: str) -> None:
        if self._text is not None:
            self._text_length += len(content)
            if self._text_length > self._limits.text_chars:
                self._fail(f"text longer than {self._limits.text_chars} characters")
            self._text.append(content)

    # Structure

    def _owner(self, depth: int) -> dict[str, str] | None:
        """Return the channel or item whose direct child an element at ``depth`` is."""
        if depth == 3 and self._stack[1] == "channel":
            return self._channel
        return self._item if depth == 4 else None

    def _blame(self, error: FeedError) -> None:
        """Keep an item's error with the item and skip its block; the channel's ends the reading."""
        if self._item is None or isinstance(error, _LimitError):
            raise error
        self._item_error = self._item_error or error
        self._value = self._split = None

    def _keep_text(self, tag: str, depth: int) -> None:
        owner = self._owner(depth)
        if owner is not None and self._text is not None:
            owner.setdefault(tag, "".join(self._text).strip())
            self._text = None

    def _start_item(self) -> None:
        if len(self._items) >= self._limits.items:
            self._fail(f"more than {self._limits.items} items")
        self._item = {}
        self._item_line = self._line()
        self._item_values = []
        self._item_error = None

    def _end_item(self) -> None:
        owner = self._item or {}
        value = _choose(self._item_values)
        title, guid = owner.get("title", ""), owner.get("guid", "")
        self._items.append(Item(title, guid, None if self._item_error else value, self._item_error, self._item_line))
        self._item = None

    def feed(self) -> Feed:
        """Return what was read, once the document has ended."""
        channel = self._channel
        value = _choose(self._channel_values)
        return Feed(
            channel.get("title", ""),
            channel.get("podcast:guid", ""),
            channel.get("link", ""),
            value,
            tuple(self._items),
        )

    # podcast: elements

    def _start_podcast(self, tag: str, depth: int, attrs: _Attributes) -> None:
        inside = self._stack[-2] if depth > 1 else ""
        if (
            tag == "podcast:value"
            and self._owner(depth) is not None
            and inside in ("channel", "item", "podcast:liveItem")
        ):
            self._value = _Block(self._line(), self._attributes(attrs))
        elif self._value is None or self._value.attributes.get("type", "").strip().lower() != "lightning":
            return
        elif tag == "podcast:valueTimeSplit" and inside == "podcast:value":
            if len(self._value.time_splits) >= self._limits.time_splits:
                raise _LimitError(f"more than {self._limits.time_splits} time splits", line=self._line(), element=tag)
            self._split = _Block(self._line(), self._attributes(attrs))
        elif tag == "podcast:valueRecipient" and inside == "podcast:value":
            self._add_recipient(self._value, attrs)
        elif tag == "podcast:valueRecipient" and inside == "podcast:valueTimeSplit" and self._split is not None:
            self._add_recipient(self._split, attrs)
        elif tag == "podcast:remoteItem" and inside == "podcast:valueTimeSplit" and self._split is not None:
            if self._split.remote is not None:
                self._fail("a time split holds exactly one remote item")
            self._split.remote = self._remote(self._attributes(attrs))

    def _attributes(self, attrs: _Attributes) -> dict[str, str]:
        """Return the attributes without a namespace, each of bounded length."""
        found = {local: str(value) for (uri, local), value in attrs.items() if uri is None}
        for name, value in found.items():
            if len(value) > self._limits.text_chars:
                self._fail(f"attribute {name[:40]} is longer than {self._limits.text_chars} characters")
        return found

    def _end_value(self, block: _Block) -> None:
        attributes = block.attributes
        kind = self._required(attributes, "type").lower()
        method = self._required(attributes, "method").lower()
        suggested = self._suggested(attributes.get("suggested", "").strip())
        if kind == "lightning" and not block.recipients:
            self._fail("a value block needs one or more recipients")
        _check_splits(block.recipients)
        value = Value(kind, method, suggested, tuple(block.recipients), tuple(block.time_splits), block.line)
        (self._channel_values if self._item is None else self._item_values).append(value)

    def _end_split(self, block: _Block) -> None:
        if self._value is None:
            return
        if bool(block.recipients) == (block.remote is not None):
            self._fail("a time split holds either recipients or one remote item")
        _check_splits(block.recipients)
        attributes = block.attributes
        start, duration = self._milliseconds(attributes, "startTime"), self._milliseconds(attributes, "duration")
        if duration == 0:
            self._fail("duration must be more than 0")
        self._value.time_splits.append(
            TimeSplit(
                start,
                duration,
                tuple(block.recipients),
                block.remote,
                self._milliseconds(attributes, "remoteStartTime", default="0"),
                self._percentage(attributes.get("remotePercentage", "").strip() or "100"),
                block.line,
            )
        )

    def _remote(self, attributes: dict[str, str]) -> RemoteItem:
        item_guid, feed_url, medium = (
            attributes.get(name, "").strip() or None for name in ("itemGuid", "feedUrl", "medium")
        )
        return RemoteItem(self._required(attributes, "feedGuid"), item_guid, feed_url, medium, self._line())

    def _add_recipient(self, block: _Block, attrs: _Attributes) -> None:
        self._total_recipients += 1
        for count, limit, where in (
            (len(block.recipients) + 1, self._limits.recipients, "one block"),
            (self._total_recipients, self._limits.total_recipients, "the feed"),
        ):
            if count > limit:
                raise _LimitError(
                    f"more than {limit} recipients in {where}", line=self._line(), element=self._stack[-1]
                )
        block.recipients.append(self._recipient(self._attributes(attrs)))

    def _recipient(self, attributes: dict[str, str]) -> Recipient:
        kind = self._required(attributes, "type").lower()
        address = self._required(attributes, "address")
        if kind == "node":
            try:
                address = check_node_id(address)
            except InputError as error:
                self._fail(str(error))
        elif kind == "lnaddress" and not re.fullmatch(
            r"[a-z0-9._+-]{1,64}@[a-z0-9.-]{1,253}(:[0-9]{1,5})?", address, re.IGNORECASE
        ):
            self._fail(f"address {address[:80]!r} is not name@host")
        name, split = attributes.get("name", "").strip(), self._shares(attributes)
        return Recipient(name, kind, address, split, self._fee(attributes), self._custom(attributes), self._line())

    # Attribute values

    def _required(self, attributes: dict[str, str], name: str) -> str:
        value = attributes.get(name, "").strip()
        if not value:
            self._fail(f"attribute {name} is missing or empty")
        return value

    def _shares(self, attributes: dict[str, str]) -> int | None:
        text = attributes.get("split", "").strip()
        if not text:
            return None
        if not re.fullmatch(r"[0-9]{1,20}", text):
            self._fail(f"split {text[:40]!r} is not a whole number of shares")
        if int(text) > self._limits.split:
            self._fail(f"split {text} is more than {self._limits.split} shares")
        return int(text)

    def _fee(self, attributes: dict[str, str]) -> bool:
        text = attributes.get("fee", "").strip().lower()
        if text not in ("", "true", "false"):
            self._fail(f"fee {text[:40]!r} is neither true nor false")
        return text == "true"

    def _custom(self, attributes: dict[str, str]) -> tuple[tuple[int, str], ...]:
        key, value = attributes.get("customKey", "").strip(), attributes.get("customValue", "")
        if not key and not value:
            return ()
        if not key or not value:
            self._fail("customKey and customValue go together")
        try:
            number, encoded = custom_record(key, value)
        except InputError as error:
            self._fail(str(error))
        if len(encoded) > self._limits.value_bytes:
            self._fail(f"customValue of {len(encoded)} bytes is longer than {self._limits.value_bytes}")
        return ((number, value),)

    def _suggested(self, text: str) -> int | None:
        """Turn BTC as decimal text into millisatoshis, rounding down."""
        if not text:
            return None
        if not re.fullmatch(r"([0-9]{1,16}(\.[0-9]{0,40})?|\.[0-9]{1,40})(e[+-]?[0-9]{1,2})?", text, re.IGNORECASE):
            self._fail(f"suggested {text[:40]!r} is not an amount of BTC")
        amount = Fraction(text)
        if amount > _MAX_BTC:
            self._fail(f"suggested {text[:40]} BTC is more than there is")
        return int(amount * _MSAT_PER_BTC)

    def _milliseconds(self, attributes: dict[str, str], name: str, default: str | None = None) -> int:
        text = attributes.get(name, "").strip() or default or self._required(attributes, name)
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{0,12})?", text):
            self._fail(f"{name} {text[:40]!r} is not a number of seconds")
        if Fraction(text) > _MAX_SECONDS:
            self._fail(f"{name} {text} is more than {_MAX_SECONDS} seconds")
        return int(Fraction(text) * 1000)

    def _percentage(self, text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,12}", text):
            self._fail(f"remotePercentage {text[:40]!r} is not a whole number")
        return min(max(int(text), 0), 100)


class _LimitError(FeedError):
    """A bound was passed: the feed is not read on, wherever this stands."""


def _check_splits(recipients: list[Recipient]) -> None:
    """Refuse shares that cannot be divided: one missing among several, or all of them zero."""
    if len(recipients) < 2:
        return
    for recipient in recipients:
        if recipient.split is None:
            raise FeedError("attribute split is missing", line=recipient.line, element="podcast:valueRecipient")
    if not any(recipient.split for recipient in recipients):
        raise FeedError("the shares add up to 0", line=recipients[0].line, element="podcast:valueRecipient")


def _choose(values: list[Value]) -> Value | None:
    """Prefer lightning keysend, then any lightning block, then whatever is there, each the first of its kind."""
    for wanted in (("lightning", "keysend"), ("lightning", None)):
        for value in values:
            if value.type == wanted[0] and wanted[1] in (None, value.method):
                return value
    return values[0] if values else None
