"""Custom records and bLIP 10 metadata: registry, lint, lenient reading, strict writing, fitting into the onion."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keysend_fast.errors import InputError
from keysend_fast.records import (
    DROP_ORDER,
    FIELDS,
    KEYSEND_PREIMAGE,
    REGISTRY,
    Fit,
    PodcastMetadata,
    custom_record,
    lint_records,
)

# bLIP 10's sample object, as printed there: spaces and a trailing newline.
BLIP_10_SAMPLE = (
    b'{"app_name": "Castamatic", "app_version": "8.0.6", "value_msat_total": 49960, '
    b'"url": "https://feeds.buzzsprout.com/1844352.rss", "podcast": "Mere Mortals", "action": "stream", '
    b'"episode": "The Art Of NFT\'s & Aimless Wandering", "episode_guid": "Buzzsprout-9931017", "value_msat": 97940, '
    b'"ts": 574, "name": "Podcaster", "sender_name": "Peter"}\n'
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def test_registry_is_of_custom_types() -> None:
    assert all(65_536 <= record_type == record.type for record_type, record in REGISTRY.items())
    assert {7_629_169, 696_969, 906_608, 818_818, 112_111_100, 133_773_310, 34_349_334} <= set(REGISTRY)


@pytest.mark.parametrize("record_type", [906_608, 818_818, 112_111_100, 133_773_310, 34_349_334])
def test_even_types_are_warned_of(record_type: int) -> None:
    (warning,) = lint_records([record_type])
    assert warning.type == record_type
    assert "strips" in warning.message
    assert "LDK" in warning.message


def test_lint_knows_good_reserved_and_discouraged_types() -> None:
    assert lint_records([696_969, 7_629_169, 7_629_171]) == []
    assert "reserved" in lint_records([77_777])[0].message
    assert "reserved" in lint_records([KEYSEND_PREIMAGE])[0].message
    assert "not a custom record" in lint_records([65_535])[0].message
    assert "7629171" in lint_records([7_629_168])[1].message


def test_custom_record_sends_text_as_it_is() -> None:
    assert custom_record("696969", "deadbeef") == (696_969, b"deadbeef")
    assert custom_record(818_818, "pot ⚡") == (818_818, "pot ⚡".encode())


@pytest.mark.parametrize(
    "key", ["", "696969.0", "-1", "0x10000", "65535", "18446744073709551616", "٦٩٦٩٦٩", 77_777, "5482373484"]
)
def test_bad_custom_keys(key: int | str) -> None:
    with pytest.raises(InputError):
        custom_record(key, "x")


def test_lone_surrogate_is_refused() -> None:
    with pytest.raises(InputError, match="surrogate"):
        custom_record("696969", "\ud800")
    with pytest.raises(InputError, match="surrogate"):
        PodcastMetadata(guid="g", message="\udfff").to_json()


def test_sample_of_blip_10_loses_only_its_spaces() -> None:
    metadata = PodcastMetadata.from_json(BLIP_10_SAMPLE)
    assert metadata.extra == {}
    assert json.loads(metadata.to_json()) == json.loads(BLIP_10_SAMPLE)
    assert len(metadata.to_json()) < len(BLIP_10_SAMPLE)
    assert b": " not in metadata.to_json()


def test_what_applications_really_send_is_read() -> None:
    data = {"podcast": "P", "itemID": "12", "message": None, "ts": "33.0", "action": "streaming", "speed": 1.5}
    metadata = PodcastMetadata.from_json(
        json.dumps({**data, "reply_custom_key": "696969", "value_msat": 1e3, "new": [1]})
    )
    assert (metadata.itemID, metadata.message, metadata.action, metadata.speed) == ("12", None, "streaming", "1.5")
    assert (metadata.reply_custom_key, metadata.value_msat) == (696_969, 1000)
    assert metadata.extra == {"ts": "33.0", "new": [1]}
    assert PodcastMetadata.from_json('{"podcast":"P","ts":33.9}').ts == 33
    assert PodcastMetadata.from_json('{"podcast":"P","value_msat":33.5}').value_msat is None
    assert PodcastMetadata.from_json('{"podcast":"P","value_msat":-1,"ts":true}').extra == {
        "value_msat": -1,
        "ts": True,
    }


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff",
        b"{",
        b'{"a":' + b"9" * 5000 + b"}",
        b"[" * 60_000,
        b'"x"',
        b"{}" + b" " * 70_000,
        b'{"ts":NaN',
    ],
)
def test_what_is_not_an_object_is_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        PodcastMetadata.from_json(data)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"episode": "no podcast"},
        {"guid": "g", "time": "1:2:3"},
        {"guid": "g", "speed": "fast"},
        {"guid": "g", "sender_id": "x" * 65},
        {"guid": "g", "value_msat": -1},
        {"guid": "g", "value_msat": 2.0},
        {"guid": "g", "ts": True},
        {"guid": "g", "name": 5},
        {"guid": "g", "extra": {"nested": {"a": 1}}},
        {"guid": "g", "extra": {"ts": 1}},
    ],
)
def test_strict_writing(fields: dict[str, object]) -> None:
    with pytest.raises(InputError):
        PodcastMetadata(**fields).to_json()  # type: ignore[arg-type]


@given(guid=texts, name=texts, message=texts, ts=st.integers(0, 10**9), amount=st.integers(0, 10**15), extra=texts)
def test_round_trip(guid: str, name: str, message: str, ts: int, amount: int, extra: str) -> None:
    metadata = PodcastMetadata(guid=guid, name=name, message=message, ts=ts, value_msat=amount, extra={"x": extra})
    assert PodcastMetadata.from_json(metadata.to_json()) == metadata


@settings(suppress_health_check=[HealthCheck.too_slow])  # first use builds hypothesis's Unicode tables
@given(
    st.dictionaries(
        st.sampled_from([*FIELDS, "z"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=2),
            max_leaves=3,
        ),
    )
)
def test_any_object_is_read_and_writes_or_says_why(data: dict[str, object]) -> None:
    try:
        metadata = PodcastMetadata.from_json(json.dumps(data))
    except InputError:
        pytest.fail("an object must be readable")
    try:
        again = PodcastMetadata.from_json(metadata.to_json())
    except InputError:
        return
    assert again == metadata


def full(message: str | None = None) -> PodcastMetadata:
    """Metadata with every key present."""
    values: dict[str, object] = {name: f"{name} value" for name in FIELDS}
    integers = ("feedID", "ts", "seconds_back", "value_msat", "value_msat_total", "reply_custom_key")
    values |= dict.fromkeys(integers, 60_000)
    values |= {"time": "01:02:03", "speed": "1.5", "message": message, "extra": {"more": "text"}}
    return PodcastMetadata(**values)  # type: ignore[arg-type]


def test_fit_leaves_what_fits_alone() -> None:
    metadata = full("hello")
    size = len(metadata.to_json())
    for policy in Fit:
        fitted = metadata.fit(size, policy)
        assert (fitted.json, fitted.dropped, fitted.cut) == (metadata.to_json(), (), 0)
    with pytest.raises(InputError, match="room"):
        metadata.fit(size - 1)


def test_dropping_follows_the_order_and_keeps_the_ids() -> None:
    metadata = full("hello")
    order = ["more"] + [name for group in DROP_ORDER for name in group]
    size = len(metadata.to_json())
    last = 0
    while True:
        try:
            fitted = metadata.fit(size, Fit.DROP)
        except InputError:
            break
        assert len(fitted.json) <= size
        assert sorted(fitted.dropped, key=order.index) == sorted(order[: len(fitted.dropped)], key=order.index)
        assert len(fitted.dropped) >= last
        last, size = len(fitted.dropped), len(fitted.json) - 1
    assert last == len(order)
    assert fitted.metadata.guid
    assert fitted.metadata.message == "hello"


def test_the_only_id_is_never_dropped() -> None:
    metadata = PodcastMetadata(
        url="https://example.com/feed", episode="an episode", time="00:00:01", boost_link="https://b"
    )
    fitted = metadata.fit(len(metadata.to_json()) - 1, Fit.DROP)
    assert fitted.dropped == ("boost_link",)
    with pytest.raises(InputError, match="room"):
        metadata.fit(len(fitted.json) - 1, Fit.DROP)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80), st.integers(0, 400))
def test_shortening_never_overruns_and_never_wastes(message: str, room: int) -> None:
    metadata = PodcastMetadata(guid="g", message=message)
    try:
        fitted = metadata.fit(room, Fit.SHORTEN_MESSAGE)
    except InputError:
        assert room < len(PodcastMetadata(guid="g", message="…").to_json())
        return
    assert len(fitted.json) <= room
    assert fitted.json.decode()
    if fitted.cut:
        kept = fitted.metadata.message
        assert kept is not None
        assert kept.endswith("…")
        assert message.startswith(kept[:-1])
        assert len(message) - len(kept[:-1]) == fitted.cut


@pytest.mark.parametrize("whole", ["e\u0301", "👩\u200d👩\u200d👧", "👍🏽", "🇩🇪", "❤\ufe0f"])
def test_shortening_keeps_characters_whole(whole: str) -> None:
    message = whole * 40
    for room in range(40, 200):
        kept = PodcastMetadata(guid="g", message=message).fit(room, Fit.SHORTEN_MESSAGE).metadata.message
        assert kept is not None
        start = kept.removesuffix("…")
        assert start == whole * (len(start) // len(whole))


def test_ascii_is_cut_to_the_byte() -> None:
    empty = len(PodcastMetadata(guid="g", message="…").to_json())
    for extra in range(20):
        fitted = PodcastMetadata(guid="g", message="x" * 100).fit(empty + extra, Fit.SHORTEN_MESSAGE)
        assert len(fitted.json) == empty + extra


def test_a_cut_message_loses_its_signature() -> None:
    metadata = PodcastMetadata(guid="g", message="x" * 300, signature="ab", sig_fields="message", sender_key="02")
    fitted = metadata.fit(200, Fit.SHORTEN_MESSAGE)
    assert set(fitted.dropped) == {"signature", "sig_fields", "sender_key"}
    assert fitted.metadata.signature is None


def test_both_policies_in_turn() -> None:
    fitted = full("m" * 2000).fit(400, Fit.DROP_THEN_SHORTEN)
    assert len(fitted.json) == 400
    assert fitted.metadata.guid == "guid value"
    assert fitted.cut > 1500


@given(name=texts, ts=st.integers(0, 2**40), amount=st.integers(0, 2**50))
def test_template_writes_what_json_writes(name: str, ts: int, amount: int) -> None:
    metadata = PodcastMetadata(guid="100 % real", name=name, extra={"%d": "%s"})
    template = metadata.template(["value_msat", "ts"])
    assert template.varying == ("ts", "value_msat")
    expected = PodcastMetadata(guid="100 % real", name=name, extra={"%d": "%s"}, ts=ts, value_msat=amount)
    assert template.encode(ts, amount) == expected.to_json()


def test_template_refuses_other_keys_and_values() -> None:
    metadata = PodcastMetadata(guid="g")
    for varying in ([], ["guid"], ["ts", "ts"]):
        with pytest.raises(InputError):
            metadata.template(varying)
    with pytest.raises(InputError):
        metadata.template(["ts"]).encode(-1)
    with pytest.raises(InputError):
        metadata.template(["ts"]).encode(1, 2)
