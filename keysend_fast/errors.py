"""Every exception that keysend_fast raises on purpose, as one tree.

Bad input raises an ``InputError`` that says where the fault is. Inside a batch a bad item is a status, not an
exception; it becomes one of these only when the caller asks for that item.
"""


class KeysendFastError(Exception):
    """Base of every exception raised on purpose by this package."""


class InputError(KeysendFastError, ValueError):
    """What the caller gave cannot be used; nothing was built, paid or changed."""


class TlvError(InputError):
    """A TLV stream or record is malformed (BOLT 1, Type-Length-Value Format).

    type: the record's type, or None where it could not be read. offset: bytes from the start of the stream, or None.
    """

    def __init__(self, message: str, *, type: int | None = None, offset: int | None = None) -> None:
        super().__init__(message)
        self.type = type
        self.offset = offset


class FeedError(InputError):
    """A podcast feed cannot be read or says something that must not be paid.

    line: 1-based line of the feed where the element starts, or None. element: its name, such as
    ``podcast:valueRecipient``, or None where the fault is not inside one.
    """

    def __init__(self, message: str, *, line: int | None = None, element: str | None = None) -> None:
        where = "" if line is None else f"line {line}: "
        what = "" if element is None else f"<{element}>: "
        super().__init__(f"{where}{what}{message}")
        self.line = line
        self.element = element


class SplitError(InputError):
    """Shares, fees and amount cannot be divided as asked."""


class RouteError(InputError):
    """A route or channel description is malformed.

    hop: 0-based index of the hop at fault, or None where the fault is the route's as a whole.
    """

    def __init__(self, message: str, *, hop: int | None = None) -> None:
        super().__init__(message if hop is None else f"hop {hop}: {message}")
        self.hop = hop


class NoRouteError(KeysendFastError):
    """The graph holds no route that can carry this payment."""
