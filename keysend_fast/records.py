"""Custom records of keysend payments: the registry, a lint, and bLIP 10 podcast metadata.

A custom record is a TLV of type 65,536 or more in the last hop's payload (BOLT 1, Type-Length-Value Format). Which
types are in use is kept by the satoshis.stream TLV registry and by the applications themselves; ``REGISTRY`` holds them
as data. ``PodcastMetadata`` is the JSON object of type 7629169 (bLIP 10 and its newer copy in the podcast namespace).
"""

import enum
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import cast

from keysend_fast.errors import InputError

MIN_CUSTOM_TYPE = 65_536
MAX_TYPE = 2**64 - 1
KEYSEND_PREIMAGE = 5_482_373_484
PODCAST_METADATA = 7_629_169
WALLET_KEY = 696_969
# Upper bound on a JSON value that is looked at: an onion holds less than 1,300 bytes, a Core Lightning event a little
# more.
MAX_JSON_BYTES = 65_536


class Encoding(enum.Enum):
    """How a custom record's value is written."""

    TEXT = "UTF-8 text"
    JSON = "UTF-8 JSON"
    BYTES = "bytes"
    U64 = "unsigned 64-bit integer, big-endian"


@dataclass(frozen=True, slots=True)
class CustomRecord:
    """One custom record type in use.

    type: TLV type. name: short label. encoding: of its value. use: who sends it and what for. advice: why not to send
    it, or "".
    """

    type: int
    name: str
    encoding: Encoding
    use: str
    advice: str = ""


_RECORDS = (
    CustomRecord(
        WALLET_KEY, "wallet key", Encoding.TEXT, "LNPay wallet key; Alby sub-account; the most common customKey"
    ),
    CustomRecord(818_818, "hive account", Encoding.TEXT, "Hive account (v4v.app, 3Speak)"),
    CustomRecord(906_608, "fountain account", Encoding.TEXT, "Fountain account"),
    CustomRecord(7_629_168, "tip note (old)", Encoding.TEXT, "note with a tip, old LND documents", "use 7629171"),
    CustomRecord(
        PODCAST_METADATA, "podcast metadata", Encoding.JSON, "bLIP 10 metadata of a stream, boost or boostagram"
    ),
    CustomRecord(7_629_171, "tip note", Encoding.TEXT, "note with a tip"),
    CustomRecord(
        7_629_173, "podcast metadata (proposed)", Encoding.JSON, "proposed successor of 7629169", "a proposal only"
    ),
    CustomRecord(7_629_175, "podcast id", Encoding.TEXT, "Podcast Index id or GUID, at most 64 bytes"),
    CustomRecord(7_771_777, "personal wallet", Encoding.TEXT, "satoshis.stream personal wallet"),
    CustomRecord(34_349_334, "chat message", Encoding.TEXT, "chat (Whatsat, ThunderHub, Amboss)"),
    CustomRecord(34_349_336, "chat sender", Encoding.BYTES, "chat, known to pyln-proto"),
    CustomRecord(34_349_337, "chat signature", Encoding.BYTES, "DER signature of a chat message"),
    CustomRecord(34_349_339, "chat sender key", Encoding.BYTES, "public key of a chat message's sender, 33 bytes"),
    CustomRecord(34_349_340, "chat sender name", Encoding.TEXT, "name of a chat message's sender"),
    CustomRecord(34_349_343, "chat timestamp", Encoding.U64, "nanoseconds since 1970 of a chat message"),
    CustomRecord(34_349_345, "chat content type", Encoding.TEXT, "content type of a chat message"),
    CustomRecord(34_349_347, "chat request type", Encoding.TEXT, "request type of a chat message"),
    CustomRecord(112_111_100, "lnpay wallet", Encoding.TEXT, "LNPay wallet id"),
    CustomRecord(133_773_310, "sphinx", Encoding.BYTES, "Sphinx chat: JSON and a signature"),
    CustomRecord(KEYSEND_PREIMAGE, "keysend preimage", Encoding.BYTES, "bLIP 3, 32 bytes; the builder writes it"),
)

REGISTRY: Mapping[int, CustomRecord] = MappingProxyType({record.type: record for record in _RECORDS})
"""Every custom record type known to be in use, by type."""

# LDK refuses these as custom records: the first is its invoice request of asynchronous payments, the second keysend's
# own.
_RESERVED = frozenset({77_777, KEYSEND_PREIMAGE})


def custom_record(key: int | str, value: str) -> tuple[int, bytes]:
    """Turn a feed's customKey and customValue into a (type, value) record.

    key: decimal text or integer, 65,536 to 2^64 - 1. value: text, sent as its UTF-8 bytes and never hex-decoded.
    Raises InputError for a key that is not such a number, is reserved, or a value that UTF-8 cannot hold.
    Source: podcast namespace, value, Lightning.
    """
    if isinstance(key, str):
        if not re.fullmatch(r"[0-9]{1,20}", key.strip()):
            raise InputError(f"custom key {key[:40]!r} is not a decimal number")
        key = int(key)
    if not MIN_CUSTOM_TYPE <= key <= MAX_TYPE:
        raise InputError(f"custom key {key} is outside 65536..2^64-1")
    if key in _RESERVED:
        raise InputError(f"custom key {key} is reserved and cannot be a custom record")
    return key, utf8(value, "custom value")


_EVEN = "even type: Core Lightning strips it by default, LDK applications that do not know it fail the payment"


@dataclass(frozen=True, slots=True)
class RecordWarning:
    """Why a record may not arrive. type: the record's TLV type. message: one sentence."""

    type: int
    message: str


def lint_records(types: Iterable[int]) -> list[RecordWarning]:
    """Say which custom records some receivers drop or refuse.

    types: TLV types of the records to be sent. Returns one warning a finding, in the order of the types given.
    Even types: Core Lightning strips them unless configured, and LDK fails the payment unless its application knows
    them.
    """
    warnings = []
    for record_type in types:
        if record_type < MIN_CUSTOM_TYPE or record_type > MAX_TYPE:
            warnings.append(RecordWarning(record_type, "not a custom record: types are 65536..2^64-1"))
        elif record_type in _RESERVED:
            warnings.append(RecordWarning(record_type, "reserved: LDK refuses it as a custom record"))
        elif record_type % 2 == 0:
            warnings.append(RecordWarning(record_type, _EVEN))
        known = REGISTRY.get(record_type)
        if known is not None and known.advice:
            warnings.append(RecordWarning(record_type, f"{known.name}: {known.advice}"))
    return warnings


def utf8(text: str, what: str) -> bytes:
    """Encode text as UTF-8. Raises InputError (naming ``what``) for a lone surrogate."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{what} holds a lone surrogate at character {error.start}") from None


class Fit(enum.Enum):
    """What may be taken away from metadata that is longer than the onion's room."""

    RAISE = "raise"
    """Nothing: raise InputError."""
    DROP = "drop"
    """Optional keys, in ``DROP_ORDER``."""
    SHORTEN_MESSAGE = "shorten-message"
    """The end of ``message``."""
    DROP_THEN_SHORTEN = "drop-then-shorten"
    """Optional keys first, then the end of ``message``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodcastMetadata:
    """bLIP 10 metadata of one payment; attributes carry the JSON object's own names, None is an absent key.

    Amounts are millisatoshis, ``ts`` and ``seconds_back`` whole seconds. ``itemID`` may be text, as some applications
    send it. ``extra`` holds keys that bLIP 10 does not name, and on reading those whose value could not be understood.
    Immutable; owns nothing. Source: bLIP 10, Fields; podcast namespace, docs/examples/value/blip-0010.md.
    """

    podcast: str | None = None
    feedID: int | None = None  # noqa: N815 - bLIP 10's name
    url: str | None = None
    guid: str | None = None
    episode: str | None = None
    itemID: int | str | None = None  # noqa: N815 - bLIP 10's name
    episode_guid: str | None = None
    time: str | None = None
    ts: int | None = None
    action: str | None = None
    app_name: str | None = None
    app_version: str | None = None
    boost_link: str | None = None
    message: str | None = None
    name: str | None = None
    pubkey: str | None = None
    seconds_back: int | None = None
    sender_key: str | None = None
    sender_name: str | None = None
    sender_id: str | None = None
    sig_fields: str | None = None
    signature: str | None = None
    speed: str | None = None
    uuid: str | None = None
    boost_uuid: str | None = None
    value_msat: int | None = None
    value_msat_total: int | None = None
    reply_address: str | None = None
    reply_custom_key: int | None = None
    reply_custom_value: str | None = None
    remote_feed_guid: str | None = None
    remote_item_guid: str | None = None
    extra: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: bytes | str) -> "PodcastMetadata":
        """Read what a payer sent, leniently.

        data: the record's value, at most 65,536 bytes. Numbers given as text and text given as numbers are converted,
        null is an absent key, of a key given twice the last counts; what cannot be understood is kept in ``extra``.
        Raises InputError for what is not one UTF-8 JSON object.
        """
        if len(data) > MAX_JSON_BYTES:
            raise InputError(f"podcast metadata of {len(data)} bytes is longer than {MAX_JSON_BYTES}")
        try:
            text = data if isinstance(data, str) else bytes(data).decode("utf-8-sig")
            parsed = json.loads(text)
        except UnicodeDecodeError as error:
            raise InputError(f"podcast metadata is not UTF-8 at byte {error.start}") from None
        except json.JSONDecodeError as error:
            raise InputError(f"podcast metadata is not JSON at character {error.pos}: {error.msg}") from None
        except (RecursionError, ValueError):
            raise InputError("podcast metadata is nested too deep or holds an absurd number") from None
        if not isinstance(parsed, dict):
            raise InputError(f"podcast metadata is a JSON {type(parsed).__name__}, not an object")
        known: dict[str, int | str] = {}
        extra: dict[str, object] = {}
        for key, value in parsed.items():
            if value is None:
                continue
            read = _read_value(key, value)
            if read is None:
                extra[key] = value
            else:
                known[key] = read
        return cls(**known, extra=extra)  # type: ignore[arg-type]  # _read_value gives each key its own type

    def to_dict(self) -> dict[str, object]:
        """Return the present keys, checked, in the order written. Raises InputError as ``to_json`` does."""
        present = {name: value for name in FIELDS if (value := getattr(self, name)) is not None}
        _check(present, self.extra)
        return {**present, **self.extra}

    def to_json(self) -> bytes:
        """Write the record's value: one flat JSON object, compact, UTF-8.

        Raises InputError for a value of the wrong type or out of its range, for a nested or shadowing ``extra`` key,
        and where no key identifies the podcast (bLIP 10 requires one of guid, podcast, url, feedID).
        """
        return utf8(_dumps(self.to_dict()), "podcast metadata")

    def fit(self, max_bytes: int, policy: Fit = Fit.RAISE) -> "FittedMetadata":
        """Write the record's value in at most ``max_bytes`` bytes, taking away what ``policy`` allows.

        Keys go in ``DROP_ORDER``; the podcast keeps at least one identifying key and so does the episode. A message is
        cut between characters as a reader sees them and ends in "…"; a signature goes with the cut, which it no longer
        covers. Raises InputError where that is not enough.
        """
        dropped: list[str] = []
        kept = self
        encoded = kept.to_json()
        if policy in (Fit.DROP, Fit.DROP_THEN_SHORTEN):
            while len(encoded) > max_bytes and (names := _next_to_drop(kept)):
                kept = _without(kept, names)
                dropped += names
                encoded = kept.to_json()
        cut = 0
        if len(encoded) > max_bytes and policy in (Fit.SHORTEN_MESSAGE, Fit.DROP_THEN_SHORTEN) and kept.message:
            signed = [name for name in _SIGNATURE if getattr(kept, name) is not None]
            kept = _without(kept, signed)
            dropped += signed
            message = _shorten(kept, max_bytes)
            cut = len(kept.message or "") - len(message.removesuffix(_ELLIPSIS))
            kept = replace(kept, message=message)
            encoded = kept.to_json()
        if len(encoded) > max_bytes:
            raise InputError(f"podcast metadata needs {len(encoded)} bytes, the onion has room for {max_bytes}")
        return FittedMetadata(kept, encoded, tuple(dropped), cut)

    def template(self, varying: Sequence[str]) -> "MetadataTemplate":
        """Prepare the JSON once for many payments that differ in a few numbers only.

        varying: names of integer keys, at least one, such as ``("value_msat", "ts")``. Raises InputError for others.
        """
        return MetadataTemplate(self, varying)


@dataclass(frozen=True, slots=True)
class FittedMetadata:
    """Metadata that fits. json: the record's value. dropped: keys taken away. cut: characters taken off the message."""

    metadata: PodcastMetadata
    json: bytes
    dropped: tuple[str, ...]
    cut: int


class MetadataTemplate:
    """The JSON of many payments' metadata with places for a few integers; some twenty times as fast as writing each."""

    __slots__ = ("_form", "varying")

    def __init__(self, metadata: PodcastMetadata, varying: Sequence[str]) -> None:
        if not varying or len(set(varying)) != len(varying):
            raise InputError("a template needs one or more different varying keys")
        for name in varying:
            if name not in _INTEGERS:
                raise InputError(f"{name!r} is not an integer key of podcast metadata")
        # Zero stands in for each number while the rest is checked and written.
        values = replace(metadata, **dict.fromkeys(varying, 0)).to_dict()  # type: ignore[arg-type]  # integer keys, above
        order = [name for name in values if name in set(varying)]
        parts = [
            f"{_dumps(name)}:%d" if name in order else f"{_dumps(name)}:{_dumps(value)}".replace("%", "%%")
            for name, value in values.items()
        ]
        self._form = utf8("{" + ",".join(parts) + "}", "podcast metadata")
        self.varying = tuple(order)
        """The varying keys in the order that ``encode`` takes their values."""

    def encode(self, *values: int) -> bytes:
        """Return the record's value with one non-negative integer for each key of ``varying``, in that order."""
        if len(values) != len(self.varying) or min(values) < 0:
            raise InputError(f"a template takes {len(self.varying)} non-negative integers: {', '.join(self.varying)}")
        return self._form % values


FIELDS: tuple[str, ...] = tuple(f.name for f in fields(PodcastMetadata) if f.name != "extra")
"""The keys that bLIP 10 and its newer copy name, in the order that they are written."""

_INTEGERS = frozenset({"feedID", "ts", "seconds_back", "value_msat", "value_msat_total", "reply_custom_key"})
_WHOLE_SECONDS = frozenset({"ts", "seconds_back"})
_MSAT = frozenset({"value_msat", "value_msat_total"})
_PODCAST_IDS = ("guid", "podcast", "url", "feedID")
_EPISODE_IDS = ("episode_guid", "itemID", "episode")
_SIGNATURE = ("signature", "sig_fields", "sender_key")
_REPLY = ("reply_custom_value", "reply_custom_key", "reply_address")
_ELLIPSIS = "…"
_MAX_MSAT = 21_000_000 * 100_000_000 * 1000
_LIMITS = dict.fromkeys(_MSAT, _MAX_MSAT) | {"reply_custom_key": MAX_TYPE}

DROP_ORDER: tuple[tuple[str, ...], ...] = (
    ("boost_link",),
    ("app_version",),
    ("speed",),
    ("time",),
    ("pubkey",),
    _SIGNATURE,
    ("seconds_back",),
    ("url",),
    ("feedID",),
    ("itemID",),
    ("sender_id",),
    ("uuid",),
    ("podcast",),
    ("episode",),
    _REPLY,
    ("boost_uuid",),
    ("name",),
    ("sender_name",),
    ("app_name",),
)
"""Keys that ``Fit.DROP`` may take away, first to last, after all of ``extra``; keys of one group mean nothing alone."""


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _read_value(key: str, value: object) -> int | str | None:
    """Convert one JSON value to its field's type, or None where the key is unknown or the value not understood."""
    if key not in FIELDS or isinstance(value, bool | list | dict):
        return None
    if key == "itemID":
        return value if isinstance(value, int | str) else None
    if key not in _INTEGERS:
        return value if isinstance(value, str) else str(value)
    if isinstance(value, float):
        readable = math.isfinite(value) and (value.is_integer() or key in _WHOLE_SECONDS)
    else:
        readable = isinstance(value, int) or bool(re.fullmatch(r"\s*[0-9]{1,20}\s*", str(value), re.ASCII))
    if not readable:
        return None
    number = int(cast(int | float | str, value))
    return number if 0 <= number <= _LIMITS.get(key, MAX_TYPE) else None


def _check(present: Mapping[str, object], extra: Mapping[str, object]) -> None:
    if not any(name in present for name in _PODCAST_IDS):
        raise InputError(f"podcast metadata names no podcast: one of {', '.join(_PODCAST_IDS)} is required")
    for name, value in present.items():
        if name in _INTEGERS or (name == "itemID" and not isinstance(value, str)):
            if not isinstance(value, int) or isinstance(value, bool):
                raise InputError(f"{name} must be an integer, not {type(value).__name__}")
            if not 0 <= value <= _LIMITS.get(name, MAX_TYPE):
                raise InputError(f"{name} {value} is out of range")
        elif not isinstance(value, str):
            raise InputError(f"{name} must be text, not {type(value).__name__}")
    for name, pattern, form in (
        ("time", r"[0-9]{2,}:[0-5][0-9]:[0-5][0-9]", "HH:MM:SS"),
        ("speed", r"[0-9]+(\.[0-9]+)?", "decimal text"),
        ("sender_id", r"[\x00-\x7f]{1,64}", "at most 64 ASCII characters"),
    ):
        value = present.get(name)
        if isinstance(value, str) and not re.fullmatch(pattern, value):
            raise InputError(f"{name} must be {form}")
    for name, value in extra.items():
        if name in FIELDS:
            raise InputError(f"extra key {name!r} is a field of its own")
        if not isinstance(value, str | int) and value is not None:
            raise InputError(f"extra key {name!r} must be text or an integer: the object is flat")


def _next_to_drop(metadata: PodcastMetadata) -> tuple[str, ...]:
    """Return the extra keys, or the next group of ``DROP_ORDER`` that is present and may go; empty at the end."""
    if metadata.extra:
        return tuple(metadata.extra)
    for group in DROP_ORDER:
        names = tuple(name for name in group if getattr(metadata, name) is not None)
        if names and not any(_is_needed(metadata, name) for name in names):
            return names
    return ()


def _is_needed(metadata: PodcastMetadata, name: str) -> bool:
    if name == "time":
        return metadata.ts is None
    for ids in (_PODCAST_IDS, _EPISODE_IDS):
        if name in ids:
            return all(getattr(metadata, other) is None for other in ids if other != name)
    return False


def _without(metadata: PodcastMetadata, names: Iterable[str]) -> PodcastMetadata:
    gone = set(names)
    extra = {name: value for name, value in metadata.extra.items() if name not in gone}
    return replace(metadata, **{name: None for name in FIELDS if name in gone}, extra=extra)


def _shorten(metadata: PodcastMetadata, max_bytes: int) -> str:
    """Return the longest start of the message, with an ellipsis, that fits; the ellipsis alone where none does."""
    message = metadata.message or ""
    room = max_bytes - len(replace(metadata, message=_ELLIPSIS).to_json())
    used = end = 0
    for index, character in enumerate(message):
        if _is_boundary(message, index):
            end = index
        used += len(utf8(_dumps(character), "message")) - 2
        if used > room:
            break
    return message[:end].rstrip() + _ELLIPSIS


def _is_boundary(text: str, index: int) -> bool:
    """Tell whether a cut before ``index`` leaves whole characters on both sides.

    Covers what occurs in messages: combining marks, variation selectors, skin tones, zero-width joiners, flag pairs.
    Not all of Unicode Annex 29: Hangul jamo and Indic conjuncts may be cut between code points.
    """
    if index == 0:
        return True
    before, after = text[index - 1], text[index]
    if before == "\u200d" or after == "\u200d" or unicodedata.category(after) in ("Mn", "Mc", "Me"):
        return False
    if "\U0001f3fb" <= after <= "\U0001f3ff" or (before, after) == ("\r", "\n"):
        return False
    flags = 0
    while flags < index and "\U0001f1e6" <= text[index - 1 - flags] <= "\U0001f1ff":
        flags += 1
    return not (flags % 2 and "\U0001f1e6" <= after <= "\U0001f1ff")
