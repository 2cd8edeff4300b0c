"""The feed reader: what feeds say is read, and whatever is malformed or hostile ends in an error that says where."""

import contextlib
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keysend_fast import data
from keysend_fast.errors import FeedError, InputError
from keysend_fast.payer.lnaddress import KeysendAddress, keysend_url, parse_keysend_address, with_node
from keysend_fast.payer.value import Feed, Limits, Recipient, RemoteItem, TimeSplit, Value, read_feed, resolve_remote

KEY = "02d5c1bf8b940dc9cadca86d1b0a3c37fbe39cee4c7e839e33bef9174531d27f52"
GOOD = f'<podcast:valueRecipient name="A" type="node" address="{KEY}" split="1"/>'
HEAD = b'<rss xmlns:podcast="https://podcastindex.org/namespace/1.0"><channel>'
TAIL = b"</channel></rss>"


def channel(inner: str, attributes: str = 'type="lightning" method="keysend"') -> bytes:
    """A feed with one channel-level value block; the block starts on line 2, its children on line 3."""
    return HEAD + f"\n<podcast:value {attributes}>\n{inner}</podcast:value>".encode() + TAIL


def item(inner: str) -> bytes:
    return HEAD + f"<item><guid>g</guid>\n{inner}</item><item><guid>h</guid></item>".encode() + TAIL


def packaged(name: str) -> Feed:
    with data.open_data(name) as stream:
        return read_feed(stream)


def test_the_splits_feed() -> None:
    feed = packaged(data.SPLITS_FEED)
    assert (feed.title, feed.guid) == ("Sats by the Minute", "9a1c4e52-6d0b-5c0e-8f63-2b7f4f6d1a10")
    default = feed.value_of()
    assert default.suggested_msat == 15_000
    assert [r.split for r in default.recipients] == [50, 40, 9, 1, 1]
    assert [r.fee for r in default.recipients] == [False] * 4 + [True]
    assert default.recipients[1].name == "Co-host ⚡"
    assert default.recipients[1].records() == {696_969: b"cohost-7f3a9c0021d4b8e6a512"}
    assert default.recipients[0].node_id == bytes.fromhex(KEY)
    first, second, third = feed.items
    assert feed.value_of(first) is default
    own = feed.value_of(second)
    assert own.suggested_msat == 21_000
    assert [(t.start_ms, t.duration_ms, t.remote_percentage) for t in own.time_splits] == [
        (60_000, 240_000, 100),
        (900_000, 180_000, 90),
    ]
    assert own.time_splits[1].remote_start_ms == 30_000
    assert own.time_splits[1].remote is not None
    assert own.time_splits[1].remote.item_guid == "https://podcastindex.org/podcast/4148683#1"
    assert feed.item("sbtm-3") is third
    assert feed.item("3: One recipient, and one by address") is third
    address = feed.value_of(third).recipients[0]
    assert (address.type, address.address, address.node_id) == ("lnaddress", "fund@example.com", None)


def test_the_namespace_example() -> None:
    feed = packaged(data.EXAMPLE_FEED)
    assert [i.line for i in feed.items] == [59, 85, 146, 195]
    assert feed.value_of(feed.items[0]) is feed.value
    assert len(feed.value_of(feed.items[1]).recipients) == 3


def test_lines_are_the_feeds() -> None:
    value = read_feed(channel(GOOD)).value_of()
    assert (value.line, value.recipients[0].line) == (2, 3)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1252"])
def test_declared_encodings(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?>' + channel(GOOD.replace('"A"', '"Zoë"')).decode()
    assert read_feed(text.encode(encoding)).value_of().recipients[0].name == "Zoë"


MALFORMED = [
    ("", "needs one or more recipients", "podcast:value"),
    (GOOD.replace("node", ""), "type is missing", "podcast:valueRecipient"),
    (GOOD.replace("address", "adress"), "address is missing", "podcast:valueRecipient"),
    (GOOD.replace(KEY, KEY[:-2]), "66 hex digits", "podcast:valueRecipient"),
    (GOOD.replace(KEY, "04" + KEY[2:]), "66 hex digits", "podcast:valueRecipient"),
    (GOOD.replace(KEY, "xx" * 33), "66 hex digits", "podcast:valueRecipient"),
    (GOOD.replace(KEY, "02" + "f" * 64), "not a point", "podcast:valueRecipient"),
    (GOOD.replace(KEY, "02" + "0" * 63 + "5"), "not a point", "podcast:valueRecipient"),
    (GOOD.replace('split="1"', 'split="-1"'), "whole number", "podcast:valueRecipient"),
    (GOOD.replace('split="1"', 'split="1.5"'), "whole number", "podcast:valueRecipient"),
    (GOOD.replace('split="1"', 'split="5%"'), "whole number", "podcast:valueRecipient"),
    (GOOD.replace('split="1"', 'split="٣"'), "whole number", "podcast:valueRecipient"),
    (GOOD.replace('split="1"', 'split="NaN"'), "whole number", "podcast:valueRecipient"),
    (GOOD.replace('split="1"', 'split="99999999999999"'), "more than", "podcast:valueRecipient"),
    (GOOD.replace('split="1"', f'split="{"9" * 400}"'), "whole number", "podcast:valueRecipient"),
    (GOOD + GOOD.replace('split="1"', ""), "split is missing", "podcast:valueRecipient"),
    (GOOD.replace('split="1"', 'split="0"') * 2, "add up to 0", "podcast:valueRecipient"),
    (GOOD.replace("/>", ' fee="perhaps"/>'), "neither true nor false", "podcast:valueRecipient"),
    (GOOD.replace("/>", ' customKey="696969"/>'), "go together", "podcast:valueRecipient"),
    (GOOD.replace("/>", ' customValue="x"/>'), "go together", "podcast:valueRecipient"),
    (GOOD.replace("/>", ' customKey="1" customValue="x"/>'), "outside", "podcast:valueRecipient"),
    (GOOD.replace("/>", ' customKey="5482373484" customValue="x"/>'), "reserved", "podcast:valueRecipient"),
    (GOOD.replace("/>", ' customKey="name" customValue="x"/>'), "decimal", "podcast:valueRecipient"),
    (GOOD.replace("/>", f' customKey="696969" customValue="{"x" * 1001}"/>'), "longer than", "podcast:valueRecipient"),
    (GOOD.replace("/>", f' customKey="696969" customValue="{"x" * 9999}"/>'), "longer than", "podcast:valueRecipient"),
    ('<podcast:valueRecipient type="lnaddress" address="nobody" split="1"/>', "name@host", "podcast:valueRecipient"),
    (GOOD + '<podcast:valueTimeSplit startTime="1" duration="2"/>', "either recipients", "podcast:valueTimeSplit"),
    (
        GOOD + f'<podcast:valueTimeSplit duration="2">{GOOD}</podcast:valueTimeSplit>',
        "startTime is missing",
        "podcast:valueTimeSplit",
    ),
    (
        GOOD + f'<podcast:valueTimeSplit startTime="-1" duration="2">{GOOD}</podcast:valueTimeSplit>',
        "number of seconds",
        "podcast:valueTimeSplit",
    ),
    (
        GOOD + f'<podcast:valueTimeSplit startTime="1" duration="0">{GOOD}</podcast:valueTimeSplit>',
        "more than 0",
        "podcast:valueTimeSplit",
    ),
    (
        GOOD + f'<podcast:valueTimeSplit startTime="1" duration="99999999999">{GOOD}</podcast:valueTimeSplit>',
        "more than",
        "podcast:valueTimeSplit",
    ),
    (
        GOOD
        + '<podcast:valueTimeSplit startTime="1" duration="2"><podcast:remoteItem feedGuid="f"/>'
        + f"{GOOD}</podcast:valueTimeSplit>",
        "either recipients",
        "podcast:valueTimeSplit",
    ),
    (
        GOOD
        + '<podcast:valueTimeSplit startTime="1" duration="2"><podcast:remoteItem feedGuid="f"/>'
        + '<podcast:remoteItem feedGuid="f"/></podcast:valueTimeSplit>',
        "exactly one",
        "podcast:remoteItem",
    ),
    (
        GOOD
        + '<podcast:valueTimeSplit startTime="1" duration="2" remotePercentage="half">'
        + '<podcast:remoteItem feedGuid="f"/></podcast:valueTimeSplit>',
        "whole number",
        "podcast:valueTimeSplit",
    ),
]


@pytest.mark.parametrize(("inner", "message", "element"), MALFORMED)
def test_malformed_blocks_say_where(inner: str, message: str, element: str) -> None:
    with pytest.raises(FeedError, match=message) as caught:
        read_feed(channel(inner))
    assert caught.value.element == element
    assert caught.value.line == 3
    assert str(caught.value).startswith(f"line 3: <{element}>: ")


@pytest.mark.parametrize(("inner", "message", "element"), MALFORMED)
def test_a_malformed_item_stops_only_itself(inner: str, message: str, element: str) -> None:
    feed = read_feed(item(f'\n<podcast:value type="lightning" method="keysend">{inner}</podcast:value>'))
    assert feed.items[1].error is None
    assert feed.items[0].value is None
    with pytest.raises(FeedError, match=message) as caught:
        feed.value_of(feed.items[0])
    assert (caught.value.line, caught.value.element) == (3, element)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ('method="keysend"', "type is missing"),
        ('type="lightning"', "method is missing"),
        ('type="lightning" method="keysend" suggested="-0.1"', "not an amount"),
        ('type="lightning" method="keysend" suggested="1e999999999"', "not an amount"),
        ('type="lightning" method="keysend" suggested="."', "not an amount"),
        ('type="lightning" method="keysend" suggested="NaN"', "not an amount"),
        ('type="lightning" method="keysend" suggested="21000001"', "more than there is"),
    ],
)
def test_malformed_value_attributes(attributes: str, message: str) -> None:
    with pytest.raises(FeedError, match=message):
        read_feed(channel(GOOD, attributes))


@pytest.mark.parametrize(
    ("suggested", "msat"), [("0.00000005000", 5000), ("5e-8", 5000), (".00000000001999", 1), ("1", 10**11), ("", None)]
)
def test_suggested_is_exact(suggested: str, msat: int | None) -> None:
    feed = read_feed(channel(GOOD, f'type="lightning" method="keysend" suggested="{suggested}"'))
    assert feed.value_of().suggested_msat == msat


def test_one_recipient_needs_no_split_and_empty_custom_attributes_are_absent() -> None:
    feed = read_feed(channel(GOOD.replace('split="1"', 'customKey="" customValue=""')))
    assert feed.value_of().recipients[0].split is None
    assert feed.value_of().recipients[0].records() == {}


def test_percentages_are_clamped() -> None:
    for text, expected in (("150", 100), ("-5", 0), ("", 100), ("42", 42)):
        split = f'<podcast:valueTimeSplit startTime="1.5" duration="2" remotePercentage="{text}">'
        inner = GOOD + split + '<podcast:remoteItem feedGuid="f"/></podcast:valueTimeSplit>'
        found = read_feed(channel(inner)).value_of().time_splits[0]
        assert (found.remote_percentage, found.start_ms) == (expected, 1500)


def test_lightning_keysend_is_chosen_among_blocks() -> None:
    other = '<podcast:value type="webmonetization" method="ILP"><podcast:valueRecipient address="$x"/></podcast:value>'
    amp = f'<podcast:value type="lightning" method="amp">{GOOD}</podcast:value>'
    keysend = f'<podcast:value type="Lightning" method="keysend">{GOOD}</podcast:value>'
    for blocks, method in ((other + amp + keysend, "keysend"), (other + amp, "amp")):
        assert read_feed(HEAD + blocks.encode() + TAIL).value_of().method == method
    with pytest.raises(FeedError, match="webmonetization"):
        read_feed(HEAD + other.encode() + TAIL).value_of()


def test_no_block_and_other_namespaces() -> None:
    for feed in (HEAD + TAIL, channel(GOOD).replace(b"podcastindex.org", b"example.org")):
        with pytest.raises(FeedError, match="no value block"):
            read_feed(feed).value_of()


def test_items_by_name() -> None:
    feed = read_feed(HEAD + b"<item><title>t</title></item><item><title>t</title></item>" + TAIL)
    with pytest.raises(FeedError, match="2 items"):
        feed.item("t")
    with pytest.raises(FeedError, match="no item"):
        feed.item("u")


BILLION_LAUGHS = (
    b'<!DOCTYPE rss [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9))
    + b"]><rss><channel><title>&j;</title></channel></rss>"
)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (BILLION_LAUGHS, "refused"),
        (b'<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]><rss>&x;</rss>', "refused"),
        (b'<!DOCTYPE rss SYSTEM "http://example.com/x.dtd"><rss/>', "refused"),
        (b"<rss>&undefined;</rss>", "undefined entity"),
        (b"", "empty"),
        (b"\x00\xff\x00\xff", "not well-formed"),
        (b"<html/>", "not an RSS feed"),
        (b"<rss><channel>", "not well-formed"),
        (b'<?xml version="1.0" encoding="utf-8"?><rss>\xe9</rss>', "not well-formed"),
        (b'<?xml version="1.0" encoding="utf-16"?><rss/>', "not well-formed|encoding"),
        (b'<?xml version="1.0" encoding="martian"?><rss/>', "encoding"),
        (b'<?xml version="1.0" encoding="shift_jis"?><rss/>', "encoding"),
        (b'<?xml version="1.0" encoding="utf-7"?><rss/>', "encoding"),
        (b"<rss>" + b"<a>" * 300, "nested"),
        (HEAD + b"<title>" + b"x" * 5000, "longer than 4096"),
        (channel(GOOD).replace(b"/>", b' split="2"/>'), "duplicate attribute"),
    ],
)
def test_hostile_documents(source: bytes, message: str) -> None:
    with pytest.raises(FeedError, match=message):
        read_feed(source)


class Endless:
    """A stream that never ends, made of one repeated piece, and counts what was taken."""

    def __init__(self, start: bytes, piece: bytes) -> None:
        self._pieces = self._make(start, piece)
        self.taken = 0

    @staticmethod
    def _make(start: bytes, piece: bytes) -> Iterator[bytes]:
        yield start
        while True:
            yield piece * (65_536 // len(piece))

    def read(self, size: int) -> bytes:
        self.taken += 65_536
        return next(self._pieces)


ENDLESS = {
    "recipients": (
        HEAD + b'<podcast:value type="lightning" method="keysend">',
        GOOD.encode(),
        "more than 500 recipients",
    ),
    "recipients of an item": (
        HEAD + b'<item><podcast:value type="lightning" method="keysend">',
        GOOD.encode(),
        "more than 500 recipients",
    ),
    "time splits": (
        HEAD + b'<podcast:value type="lightning" method="keysend">',
        f'<podcast:valueTimeSplit startTime="1" duration="1">{GOOD}</podcast:valueTimeSplit>'.encode(),
        "more than 1000 time splits",
    ),
    "items": (HEAD, b"<item></item>", "more than 20000 items"),
    "blocks": (
        HEAD,
        f'<item><podcast:value type="lightning" method="keysend">{GOOD * 30}</podcast:value></item>'.encode(),
        "in the feed|longer than",
    ),
    "one tag": (HEAD + b'<podcast:value type="', b"x", "one tag or comment"),
    "one comment": (HEAD + b"<!--", b"x", "one tag or comment"),
    "text": (HEAD + b"<description>", b"words and words ", "longer than"),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_endless_feeds_end_in_bounded_memory(kind: str) -> None:
    start, piece, message = ENDLESS[kind]
    stream = Endless(start, piece)
    limits = Limits(feed_bytes=4 * 2**20, total_recipients=5_000, time_splits=1_000, items=20_000)
    tracemalloc.start()
    try:
        with pytest.raises(FeedError, match=message):
            read_feed(stream, limits=limits)  # type: ignore[arg-type]  # a stream by its one method
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert stream.taken <= limits.feed_bytes + 2 * 65_536
    assert peak < 24 * 2**20


@given(st.binary(max_size=300), st.integers(0, 2000))
def test_damaged_feeds_never_do_anything_else(damage: bytes, position: int) -> None:
    with data.open_data(data.SPLITS_FEED) as stream:
        source = stream.read()
    with contextlib.suppress(FeedError):
        read_feed(source[:position] + damage + source[position + len(damage) :])


def test_the_time_split_that_started_last_is_in_force() -> None:
    one, two, three = TimeSplit(60_000, 400_000), TimeSplit(300_000, 250_000), TimeSplit(300_000, 1_000)
    value = Value("lightning", "keysend", None, (), (two, one, three))
    assert value.at(59_999) is None
    assert value.at(60_000) is one
    assert value.at(300_000) is three
    assert value.at(301_000) is two
    assert value.at(549_999) is two
    assert value.at(550_000) is None


def test_remote_items_come_from_the_callers_feeds() -> None:
    inner = GOOD + f'<podcast:valueTimeSplit startTime="1" duration="2">{GOOD}</podcast:valueTimeSplit>'
    feed = read_feed(item(f'<podcast:value type="lightning" method="keysend">{inner}</podcast:value>'))
    remote = RemoteItem("f", "g", line=7)
    value = resolve_remote(remote, {"f": feed})
    assert value.recipients == feed.value_of(feed.items[0]).recipients
    assert value.time_splits == ()
    with pytest.raises(FeedError, match="not at hand") as caught:
        resolve_remote(remote, {})
    assert (caught.value.line, caught.value.element) == (7, "podcast:remoteItem")
    with pytest.raises(FeedError, match="no item"):
        resolve_remote(RemoteItem("f", "missing"), {"f": feed})
    with pytest.raises(FeedError, match="no value block"):
        resolve_remote(RemoteItem("f"), {"f": feed})


CUSTOM = '[{"customKey":"696969","customValue":"w"}]'
DOCUMENT = f'{{"status":"OK","tag":"keysend","pubkey":"{KEY.upper()}","customData":{CUSTOM}}}'


def test_keysend_documents() -> None:
    found = parse_keysend_address(DOCUMENT)
    assert found == KeysendAddress(KEY, ((696_969, "w"),))
    assert parse_keysend_address(f'{{"status":"OK","tag":"keysend","pubkey":"{KEY}"}}') == KeysendAddress(KEY)
    recipient = Recipient("n", "lnaddress", "Fund@Example.com", 3, custom=((818_818, "h"),))
    assert keysend_url(recipient.address) == "https://example.com/.well-known/keysend/fund"
    assert with_node(recipient, {}) is recipient
    node = with_node(recipient, {"fund@example.com": found})
    assert (node.type, node.address, node.split) == ("node", KEY, 3)
    assert node.records() == {696_969: b"w", 818_818: b"h"}
    assert with_node(node, {KEY: found}) is node


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 50_000,
        b" " * 70_000,
        b'{"status":"ERROR","reason":"no such name"}',
        DOCUMENT.replace("keysend", "payRequest"),
        DOCUMENT.replace(KEY.upper(), "02"),
        DOCUMENT.replace("696969", "7"),
        DOCUMENT.replace('"w"', "5"),
        DOCUMENT.replace('[{"customKey":"696969","customValue":"w"}]', '{"customKey":"696969"}'),
        DOCUMENT.replace("}]", '},{"customKey":696969,"customValue":"v"}]'),
        DOCUMENT.replace("}]", "},1]"),
    ],
)
def test_bad_keysend_documents(document: bytes | str) -> None:
    with pytest.raises(InputError):
        parse_keysend_address(document)
    with pytest.raises(InputError):
        keysend_url("not an address")
