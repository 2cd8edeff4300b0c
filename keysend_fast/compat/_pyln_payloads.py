"""pyln.proto.onion's payload classes: the same names, fields, bytes and exceptions."""

from __future__ import annotations

import struct
from binascii import hexlify, unhexlify
from collections.abc import Mapping
from io import SEEK_CUR, BytesIO
from typing import Any

__all__ = [
    "HashField",
    "LegacyOnionPayload",
    "OnionPayload",
    "RawPayload",
    "ShortChannelIdField",
    "SignatureField",
    "TextField",
    "TlvField",
    "TlvPayload",
    "Tu32Field",
    "Tu64Field",
    "tlv_types",
    "varint_decode",
    "varint_encode",
]

_WIDTHS = {0xFD: "!H", 0xFE: "!L", 0xFF: "!Q"}


def varint_encode(i: int, w: BytesIO) -> None:
    """Write BOLT 1's BigSize of i."""
    if i < 0xFD:
        w.write(struct.pack("!B", i))
    else:
        marker = 0xFD if i <= 0xFFFF else 0xFE if i <= 0xFFFFFFFF else 0xFF
        w.write(bytes((marker,)) + struct.pack(_WIDTHS[marker], i))


def varint_decode(r: BytesIO) -> int | None:
    """Read a BigSize; None at the end. Like pyln-proto it takes encodings that are not minimal."""
    first = r.read(1)
    if len(first) != 1:
        return None
    if (width := _WIDTHS.get(first[0])) is None:
        return first[0]
    value: int = struct.unpack(width, r.read(struct.calcsize(width)))[0]
    return value


def _reader(b: bytes | str | BytesIO) -> BytesIO:
    if isinstance(b, str):
        b = b.encode("ASCII")
    return BytesIO(b) if isinstance(b, bytes) else b


class OnionPayload:
    """What one hop reads; of one of the classes below."""

    @classmethod
    def from_bytes(cls, b: bytes | BytesIO) -> Any:
        """The payload at the front of b, length prefix (or realm 0) included. Raises ValueError where it is neither."""
        r = _reader(b)
        realm = r.read(1)
        r.seek(-1, SEEK_CUR)
        if realm == b"\x00":
            return LegacyOnionPayload.from_bytes(r)
        if realm == b"\x01":
            raise ValueError("Onion payloads with realm 0x01 are unsupported")
        return TlvPayload.from_bytes(r, skip_length=False)

    @classmethod
    def from_hex(cls, s: str | bytes) -> Any:
        """from_bytes() of hexadecimal digits."""
        return cls.from_bytes(bytes(unhexlify(s)))

    def to_bytes(self, include_prefix: bool) -> bytes:
        """Raises ValueError: the subclasses have bytes."""
        raise ValueError("OnionPayload is an abstract class, use LegacyOnionPayload or TlvPayload instead")

    def to_hex(self) -> str:
        """to_bytes() in hexadecimal digits."""
        return hexlify(self.to_bytes()).decode("ASCII")  # type: ignore[call-arg]  # pyln-proto's fault, kept


class LegacyOnionPayload(OnionPayload):
    """The 33 bytes that every hop had before TLV; BOLT 4 has dropped them."""

    def __init__(
        self,
        amt_to_forward: int | str,
        outgoing_cltv_value: int,
        short_channel_id: int | str | None = None,
        padding: bytes | None = None,
    ) -> None:
        if padding is not None and len(padding) != 12:
            raise AssertionError(f"padding has 12 bytes, not {len(padding)}")
        self.padding = bytes(12) if padding is None else padding
        self.amt_to_forward = int(amt_to_forward) if isinstance(amt_to_forward, str) else amt_to_forward
        self.outgoing_cltv_value = outgoing_cltv_value
        if isinstance(short_channel_id, str) and "x" in short_channel_id:
            block, tx, out = short_channel_id.split("x")
            self.short_channel_id = int(block) << 40 | int(tx) << 16 | int(out)
        elif isinstance(short_channel_id, int):
            self.short_channel_id = short_channel_id
        else:
            raise ValueError(f"short_channel_id format cannot be recognized: {short_channel_id}")

    @classmethod
    def from_bytes(cls, b: bytes | BytesIO) -> LegacyOnionPayload:
        """From 33 bytes, realm included."""
        r = _reader(b)
        if r.read(1) != b"\x00":
            raise AssertionError("a legacy payload begins with realm 0")
        scid, amount, cltv = struct.unpack("!QQL", r.read(20))
        return LegacyOnionPayload(amount, cltv, scid, r.read(12))

    def to_bytes(self, include_prefix: bool = True) -> bytes:
        """33 bytes; 32 without the realm."""
        fields = struct.pack("!QQL", self.short_channel_id, self.amt_to_forward, self.outgoing_cltv_value)
        return (b"\x00" if include_prefix else b"") + fields + self.padding

    def to_hex(self, include_prefix: bool = True) -> str:
        """to_bytes() in hexadecimal digits."""
        return hexlify(self.to_bytes(include_prefix)).decode("ASCII")

    def __str__(self) -> str:
        return (
            f"LegacyOnionPayload[scid={self.short_channel_id}, amt_to_forward={self.amt_to_forward}, "
            f"outgoing_cltv={self.outgoing_cltv_value}]"
        )


class TlvPayload(OnionPayload):
    """A TLV stream (BOLT 4, payload format) as a list of fields."""

    def __init__(self, fields: list[TlvField] | None = None) -> None:
        self.fields: list[TlvField] = [] if fields is None else fields

    @classmethod
    def from_bytes(cls, b: bytes | str | BytesIO, skip_length: bool = False) -> TlvPayload:
        """From a length prefix and a stream, or with skip_length from a stream that fills the rest. Raises ValueError."""
        r = _reader(b)
        length = len(r.getvalue()) - r.tell() if skip_length else varint_decode(r)
        end = r.tell() + length  # type: ignore[operator]  # None at the end of b: pyln-proto's TypeError, kept
        payload = TlvPayload()
        while r.tell() < end:
            kind = varint_decode(r)
            if kind is None:
                break
            size = varint_decode(r)
            if size is None:
                raise ValueError(f"Unable to read length at position {r.tell()}")
            if size > end - r.tell():
                r.seek(end)
                raise ValueError("Failed to parse TLV payload: value length is longer than available bytes.")
            field, description = tlv_types.get(kind, (TlvField, "unknown"))
            payload.fields.append(field.from_bytes(typenum=kind, b=r.read(size), description=description))
        return payload

    @classmethod
    def from_hex(cls, h: str | bytes) -> TlvPayload:
        """from_bytes() of hexadecimal digits."""
        return cls.from_bytes(unhexlify(h))

    def add_field(self, typenum: int, value: bytes) -> None:
        """Append a field; the caller keeps the order."""
        self.fields.append(TlvField(typenum=typenum, value=value))

    def get(self, key: int, default: Any = None) -> Any:
        """The first field of this type."""
        return next((field for field in self.fields if field.typenum == key), default)

    def to_bytes(self, include_prefix: bool = True) -> bytes:
        """The stream, its length before it."""
        stream = b"".join(field.to_bytes() for field in self.fields)
        w = BytesIO()
        if include_prefix:
            varint_encode(len(stream), w)
        w.write(stream)
        return w.getvalue()

    def __str__(self) -> str:
        return "TlvPayload[" + ", ".join(map(str, self.fields)) + "]"


class RawPayload(OnionPayload):
    """A payload that is no TLV stream: its bytes."""

    def __init__(self) -> None:
        self.content: bytes | None = None

    @classmethod
    def from_bytes(cls, b: bytes | str | BytesIO) -> RawPayload:
        """From a length prefix and so many bytes."""
        r = _reader(b)
        self = cls()
        self.content = r.read(varint_decode(r))
        return self

    def to_bytes(self, include_prefix: bool = True) -> bytes:
        """The bytes, their length before them. Raises ValueError where there are none."""
        if self.content is None:
            raise ValueError("Cannot serialize empty TLV payload")
        w = BytesIO()
        if include_prefix:
            varint_encode(len(self.content), w)
        w.write(self.content)
        return w.getvalue()


class TlvField:
    """One record: type and value."""

    def __init__(self, typenum: int, value: Any = None, description: str | None = None) -> None:
        self.typenum = typenum
        self.value = value
        self.description = description

    @classmethod
    def from_bytes(cls, typenum: int, b: bytes, description: str | None = None) -> TlvField:
        """From a value. Integers stay bytes: like pyln-proto's, Tu32Field and Tu64Field only write them."""
        return TlvField(typenum=typenum, value=b, description=description)

    def _encoded(self) -> bytes:
        encoded: bytes = self.value
        return encoded

    def to_bytes(self) -> bytes:
        """Type, length and value."""
        value = self._encoded()
        w = BytesIO()
        varint_encode(self.typenum, w)
        varint_encode(len(value), w)
        w.write(value)
        return w.getvalue()

    def __str__(self) -> str:
        return f"TlvField[{self.description},{self.typenum}={hexlify(self.value).decode('ASCII')}]"


class Tu32Field(TlvField):
    """An integer without its leading zero bytes; like pyln-proto it writes 0 as one byte, where BOLT 1 has none."""

    def _encoded(self) -> bytes:
        return struct.pack("!I", self.value).lstrip(b"\0") or b"\0"


class Tu64Field(TlvField):
    """As Tu32Field, up to 64 bits."""

    def _encoded(self) -> bytes:
        return struct.pack("!Q", self.value).lstrip(b"\0") or b"\0"


class ShortChannelIdField(TlvField):
    """Eight bytes."""


class TextField(TlvField):
    """UTF-8."""

    @classmethod
    def from_bytes(cls, typenum: int, b: bytes, description: str | None = None) -> TextField:
        """From a value. Raises UnicodeDecodeError."""
        return TextField(typenum, value=b.decode("UTF-8"), description=description)

    def _encoded(self) -> bytes:
        encoded: bytes = self.value.encode("UTF-8")
        return encoded

    def __str__(self) -> str:
        return f'TextField[{self.description},{self.typenum}="{self.value}"]'


class HashField(TlvField):
    """Bytes of a hash."""


class SignatureField(TlvField):
    """Bytes of a signature."""


tlv_types: Mapping[int, tuple[type[TlvField], str]] = {
    2: (Tu64Field, "amt_to_forward"),
    4: (Tu32Field, "outgoing_cltv_value"),
    6: (ShortChannelIdField, "short_channel_id"),
    34349334: (TextField, "noise_message_body"),
    34349336: (SignatureField, "noise_message_signature"),
}
