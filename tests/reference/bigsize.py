"""BigSize, the variable-length unsigned integer of BOLT 1 (section "Type-Length-Value Format" and Appendix A)."""

from __future__ import annotations

# First byte -> width of the big-endian integer behind it. Any other first byte is the value itself.
WIDTHS = {0xFD: 2, 0xFE: 4, 0xFF: 8}
# Smallest value that may be written in each width; below it the encoding is not minimal.
MINIMUM = {2: 0xFD, 4: 0x10000, 8: 0x100000000}


class BigSizeError(ValueError):
    """A BigSize that is cut short or not minimal, at byte `offset` of what was read."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(f"BigSize {reason} at byte {offset}")
        self.reason = reason
        self.offset = offset


def encode(value: int) -> bytes:
    """Return the minimal encoding of 0 <= value < 2**64."""
    if not 0 <= value < 1 << 64:
        raise ValueError("a BigSize holds 0 to 2**64 - 1")
    for first, width in reversed(WIDTHS.items()):
        if value >= MINIMUM[width]:
            return bytes([first]) + value.to_bytes(width, "big")
    return bytes([value])


def read(data: bytes, offset: int = 0) -> tuple[int, int]:
    """Read the BigSize at `offset` and return (value, offset behind it); BigSizeError "truncated" or "not minimal"."""
    if offset >= len(data):
        raise BigSizeError("truncated", offset)
    first = data[offset]
    if first not in WIDTHS:
        return first, offset + 1
    width = WIDTHS[first]
    end = offset + 1 + width
    if end > len(data):
        raise BigSizeError("truncated", offset)
    value = int.from_bytes(data[offset + 1 : end], "big")
    if value < MINIMUM[width]:
        raise BigSizeError("not minimal", offset)
    return value, end
