"""The public channel graph: nodes, and the channel directions that they announce, as columns.

Reads the packaged CSV form and the answer of Core Lightning's ``listchannels``. Needs the extra ``graph``.
Source: BOLT 7, The channel_update Message.
"""

import csv
import gzip
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from keysend_fast import data
from keysend_fast.errors import InputError
from keysend_fast.route import parse_short_channel_id

_NODE_COLUMNS = ("node_index", "node_id")
_CHANNEL_COLUMNS = (
    "short_channel_id",
    "source_index",
    "destination_index",
    "direction",
    "capacity_sat",
    "htlc_minimum_msat",
    "htlc_maximum_msat",
    "base_fee_msat",
    "fee_ppm",
    "cltv_expiry_delta",
)
_U16, _U32, _U63 = 2**16 - 1, 2**32 - 1, 2**63 - 1


class ChannelGraph:
    """Nodes by index and channel directions by index; immutable after it is made.

    node_ids: 33 bytes each. Columns of one entry a channel direction, as lists of integers: scid, source, destination
    (node indices), direction (0 when the source has the lesser node id), capacity_msat, htlc_minimum_msat,
    htlc_maximum_msat (never above the capacity), fee_base_msat, fee_ppm, cltv_delta. The policy is that of the source,
    which forwards.
    """

    def __init__(self, node_ids: Sequence[bytes], channels: Iterable[Sequence[int]]) -> None:
        """Make a graph of node ids and rows in the order of the columns above. Raises InputError, naming the row."""
        self.node_ids = tuple(node_ids)
        self.index = {node_id: i for i, node_id in enumerate(self.node_ids)}
        if len(self.index) != len(self.node_ids):
            raise InputError("a node id is given twice")
        rows = list(channels)
        for number, row in enumerate(rows):
            self._check(number, row)
        columns: list[list[int]] = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(10)]
        self.scid, self.source, self.destination, self.direction, self.capacity_msat = columns[:5]
        self.htlc_minimum_msat, highest, self.fee_base_msat, self.fee_ppm, self.cltv_delta = columns[5:]
        self.htlc_maximum_msat = [min(pair) for pair in zip(highest, self.capacity_msat, strict=True)]
        self.by_scid = {(scid, way): i for i, (scid, way) in enumerate(zip(self.scid, self.direction, strict=True))}
        if len(self.by_scid) != len(rows):
            raise InputError("a channel direction is given twice")

    def __len__(self) -> int:
        """Return the number of channel directions."""
        return len(self.scid)

    def _check(self, number: int, row: Sequence[int]) -> None:
        scid, source, destination, direction, capacity, lowest, highest, base, ppm, delta = row
        nodes = len(self.node_ids)
        if not (0 <= source < nodes and 0 <= destination < nodes) or source == destination:
            raise InputError(f"channel {number}: nodes {source} and {destination} are not two of the {nodes}")
        if direction != int(self.node_ids[source] > self.node_ids[destination]):
            raise InputError(f"channel {number}: direction {direction} does not match the order of its node ids")
        bounds = (
            (scid, 2**64 - 1),
            (capacity, _U63),
            (lowest, _U63),
            (highest, _U63),
            (base, _U32),
            (ppm, _U32),
            (delta, _U16),
        )
        if any(not 0 <= value <= bound for value, bound in bounds):
            raise InputError(f"channel {number}: a value is negative or too large for its field")

    @classmethod
    def packaged(cls) -> "ChannelGraph":
        """Read the packaged public graph of 2026-02-03: 17,324 nodes and 65,810 channel directions."""
        with data.open_data(data.NODES) as nodes, data.open_data(data.CHANNELS) as channels:
            return cls.from_csv(nodes, channels)

    @classmethod
    def from_csv(cls, nodes: BinaryIO, channels: BinaryIO) -> "ChannelGraph":
        """Read two CSV streams, plain or gzip-compressed, with the columns that the packaged files have.

        The caller closes the streams. Raises InputError with the line of what cannot be read.
        """
        node_ids: list[bytes] = []

        def add_node(number: str, node_id: str) -> None:
            if int(number) != len(node_ids):
                raise ValueError("node_index does not count up from 0")
            node_ids.append(_node_id(node_id))

        rows: list[tuple[int, ...]] = []

        def add_channel(scid: str, *values: str) -> None:
            source, destination, direction, capacity, *policy = map(int, values)
            rows.append((parse_short_channel_id(scid), source, destination, direction, capacity * 1000, *policy))

        _read_csv(nodes, "nodes", _NODE_COLUMNS, add_node)
        _read_csv(channels, "channels", _CHANNEL_COLUMNS, add_channel)
        return cls(node_ids, rows)

    @classmethod
    def from_cln_listchannels(cls, answer: Mapping[str, Any]) -> "ChannelGraph":
        """Read what Core Lightning's ``listchannels`` answers; channels that are not active are left out.

        answer: the parsed JSON, with its key ``channels``. Raises InputError with the position of what cannot be read.
        """
        channels = answer.get("channels")
        if not isinstance(channels, list):
            raise InputError("listchannels: there is no list of channels")
        nodes: dict[bytes, int] = {}
        rows = []
        for number, channel in enumerate(channels):
            try:
                if not channel["active"]:
                    continue
                source, destination = (_node_id(channel[end]) for end in ("source", "destination"))
                rows.append(
                    (
                        parse_short_channel_id(channel["short_channel_id"]),
                        nodes.setdefault(source, len(nodes)),
                        nodes.setdefault(destination, len(nodes)),
                        int(channel["direction"]),
                        _msat(channel["amount_msat"]),
                        _msat(channel["htlc_minimum_msat"]),
                        _msat(channel.get("htlc_maximum_msat", channel["amount_msat"])),
                        int(channel["base_fee_millisatoshi"]),
                        int(channel["fee_per_millionth"]),
                        int(channel["delay"]),
                    )
                )
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(f"listchannels: channel {number}: {error!r}") from None
        return cls(list(nodes), rows)

    def column(self, name: str) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """Return one integer column as doubles, for searching; amounts that are paid are never taken from it."""
        return np.array(getattr(self, name), dtype=np.float64)


def _node_id(text: str) -> bytes:
    node_id = bytes.fromhex(text)
    if len(node_id) != 33 or node_id[0] not in (2, 3):
        raise ValueError(f"node id {text[:70]!r} is not 33 bytes that start with 2 or 3")
    return node_id


def _msat(value: object) -> int:
    """Read an amount: an integer, or text with the unit as nodes before 23.08 wrote it."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"{value!r} is not an amount")
    return int(value.removesuffix("msat")) if isinstance(value, str) else value


def _read_csv(stream: BinaryIO, what: str, columns: Sequence[str], add: Callable[..., None]) -> None:
    """Hand the named columns of each row to ``add`` as text."""
    raw = stream.read()
    try:
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{what}: cannot be read: {error}") from None
    reader = csv.reader(io.StringIO(text, newline=""))
    header = next(reader, [])
    missing = [name for name in columns if name not in header]
    if missing:
        raise InputError(f"{what}: line 1: columns {', '.join(missing)} are missing")
    places = [header.index(name) for name in columns]
    try:
        for row in reader:
            add(*[row[place] for place in places])
    except (ValueError, IndexError, csv.Error) as error:
        raise InputError(f"{what}: line {reader.line_num}: {error}") from None
