"""Types that the façade's signatures share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

__all__ = ["Buffer", "Json", "Records", "Rows"]

Buffer: TypeAlias = bytes | bytearray | memoryview
"""Anything contiguous with the buffer protocol."""
Rows: TypeAlias = Buffer | Sequence[Buffer] | Iterable[Buffer] | Any
"""Rows of equal width: one buffer (numpy arrays too), or a sequence of buffers."""
Records: TypeAlias = Mapping[int, Buffer] | Iterable[tuple[int, Buffer]] | Buffer
"""Custom records: a mapping (sorted by type), pairs in increasing order, or an encoded TLV stream."""
Json: TypeAlias = Mapping[str, Any]
"""A decoded JSON object."""
