"""Routes as path finders return them, packed once (``Route`` is the packed object itself).

A Route holds what is relative to the current block; absolute CLTV values are made when an onion is built, from
``block_height + 1``, as Core Lightning's xpay and LDK do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from keysend_fast._route import Route
from keysend_fast._types import Json
from keysend_fast.errors import RouteError

__all__ = [
    "Hop",
    "Route",
    "format_short_channel_id",
    "from_cln_getroute",
    "from_cln_getroutes",
    "from_lnd",
    "parse_short_channel_id",
]


class Hop(NamedTuple):
    """One node of a route.

    node_id: 33 bytes. short_channel_id: the channel *into* this node, as u64 or ``"700000x1x0"``; None only for the first
    hop. amount_msat, cltv_delta: what this node receives, in millisatoshi, and in blocks after block_height + 1.
    fee_base_msat, fee_ppm: the policy of that channel, where known (needed to build for another amount).
    """

    node_id: bytes
    short_channel_id: int | str | None
    amount_msat: int
    cltv_delta: int
    fee_base_msat: int | None = None
    fee_ppm: int | None = None


_SCID_WIDTHS = ((40, 24), (16, 24), (0, 16))  # BOLT 7, short_channel_id: block, transaction, output


def parse_short_channel_id(text: str) -> int:
    """u64 of ``"700000x1x0"`` (also with ``/direction``), ``"700000:1:0"`` or decimal digits. Raises ValueError."""
    body = text.split("/", 1)[0]
    parts = body.replace(":", "x").split("x")
    if not all(p.isascii() and p.isdigit() for p in parts) or len(parts) not in (1, 3):
        raise ValueError(f"short_channel_id {text!r} is not BLOCKxTXxOUTPUT or a decimal number")
    numbers = [int(p) for p in parts]
    if len(numbers) == 1:
        if numbers[0] >> 64:
            raise ValueError(f"short_channel_id {text!r} does not fit 64 bits")
        return numbers[0]
    scid = 0
    for number, (shift, bits) in zip(numbers, _SCID_WIDTHS, strict=True):
        if number >> bits:
            raise ValueError(f"short_channel_id {text!r}: {number} does not fit {bits} bits")
        scid |= number << shift
    return scid


def format_short_channel_id(scid: int) -> str:
    """``"700000x1x0"`` of a u64."""
    return "x".join(str(scid >> shift & (1 << bits) - 1) for shift, bits in _SCID_WIDTHS)


def _field(hop: Json, index: int, *names: str) -> Any:
    if not isinstance(hop, Mapping):
        raise RouteError(f"a JSON object was due, not {type(hop).__name__}", hop=index)
    for name in names:
        if name in hop:
            return hop[name]
    raise RouteError(f"field {' or '.join(names)} is missing", hop=index)


def _node_id(value: Any, index: int) -> bytes:
    try:
        return bytes.fromhex(value)
    except (TypeError, ValueError):
        raise RouteError("node id is not hex", hop=index) from None


def _integer(value: Any, index: int, name: str) -> int:
    """Accepts JSON numbers, proto3's decimal strings, and Core Lightning's old ``"123msat"``."""
    if isinstance(value, str):
        digits = value.removesuffix("msat")
        if (
            digits.isascii() and digits.isdigit()
        ):  # int() would take signs, spaces, underscores and other scripts' digits
            return int(digits)
    elif isinstance(value, int) and not isinstance(value, bool):
        return value
    raise RouteError(f"{name} is not an integer", hop=index)


def _hops_of(obj: Any, name: str) -> Sequence[Json]:
    """The list itself, or the object's field of that name."""
    if isinstance(obj, Mapping):
        if name not in obj:
            raise RouteError(f"the route has no field {name}")
        obj = obj[name]
    if not isinstance(obj, Sequence) or isinstance(obj, str | bytes):
        raise RouteError(f"a list of hops was due, not {type(obj).__name__}")
    return obj


def from_cln_getroute(obj: Json | Sequence[Json]) -> Route:
    """Route of Core Lightning's ``getroute`` reply, or of its ``route`` list.

    Its amount_msat and delay are what the node at the end of a hop receives. Raises RouteError.
    """
    hops = _hops_of(obj, "route")
    return Route(
        Hop(
            _node_id(_field(h, i, "id"), i),
            _field(h, i, "channel"),
            _integer(_field(h, i, "amount_msat"), i, "amount_msat"),
            _integer(_field(h, i, "delay"), i, "delay"),
        )
        for i, h in enumerate(hops)
    )


def from_cln_getroutes(
    obj: Json | Sequence[Json], *, final_cltv: int | None = None, own_id: bytes | None = None, index: int = 0
) -> Route:
    """Route of Core Lightning's ``getroutes`` reply (its route ``index``), of one of its routes, or of a ``path`` list.

    The new fields (node_id_out, amount_out_msat, cltv_out) say what the node at a hop's end receives; the old ones
    (next_node_id, amount_msat, delay) what its start does, so that the end's come from the next hop and, for the last, from
    the route's amount_msat and final_cltv (or the argument). own_id: prepend the own node, whose onion layer
    ``injectpaymentonion`` wants. Raises RouteError.
    """
    whole: Any = obj
    if isinstance(obj, Mapping) and "routes" in obj:
        routes = _hops_of(obj, "routes")
        if not 0 <= index < len(routes):
            raise RouteError(f"there is no route {index} of {len(routes)}")
        whole = routes[index]
    path = _hops_of(whole, "path")
    whole = whole if isinstance(whole, Mapping) else {}
    last_amount = whole.get("amount_msat")
    last_cltv = final_cltv if final_cltv is not None else whole.get("final_cltv")
    hops: list[Hop] = []
    for i, h in enumerate(path):
        following = path[i + 1] if i + 1 < len(path) else None
        node_id = _node_id(_field(h, i, "node_id_out", "next_node_id"), i)
        if "amount_out_msat" in h:
            amount, delay = h["amount_out_msat"], _field(h, i, "cltv_out")
        elif following is not None:
            amount, delay = _field(following, i + 1, "amount_msat"), _field(following, i + 1, "delay")
        else:
            if last_amount is None or last_cltv is None:
                raise RouteError("the last hop needs the route's amount_msat and final_cltv", hop=i)
            amount, delay = last_amount, last_cltv
        if i == 0 and own_id is not None:
            first_amount = h.get("amount_in_msat", h.get("amount_msat", amount))
            first_delay = h.get("cltv_in", h.get("delay", delay))
            hops.append(Hop(own_id, None, _integer(first_amount, 0, "amount_msat"), _integer(first_delay, 0, "delay")))
        hops.append(
            Hop(
                node_id,
                _field(h, i, "short_channel_id_dir", "short_channel_id"),
                _integer(amount, i, "amount_msat"),
                _integer(delay, i, "cltv"),
            )
        )
    return Route(hops)


def from_lnd(obj: Json, block_height: int) -> Route:
    """Route of LND's ``lnrpc.Route`` as JSON (64-bit integers may be strings).

    LND says what a hop forwards: hop i receives what hop i - 1 forwards, and the first one the route's totals. Its expiry
    values are absolute and made relative to ``block_height + 1``. Raises RouteError.
    """
    if not isinstance(obj, Mapping):
        raise RouteError(f"a JSON object was due, not {type(obj).__name__}")
    hops = _hops_of(obj, "hops")
    out: list[Hop] = []
    amount = _integer(_field(obj, 0, "total_amt_msat"), 0, "total_amt_msat")
    expiry = _integer(_field(obj, 0, "total_time_lock"), 0, "total_time_lock")
    for i, h in enumerate(hops):
        if expiry <= block_height:
            raise RouteError(f"expiry {expiry} is not above block height {block_height}", hop=i)
        scid = _integer(_field(h, i, "chan_id"), i, "chan_id")
        out.append(Hop(_node_id(_field(h, i, "pub_key"), i), scid, amount, expiry - block_height - 1))
        amount = _integer(_field(h, i, "amt_to_forward_msat"), i, "amt_to_forward_msat")
        expiry = _integer(_field(h, i, "expiry"), i, "expiry")
    return Route(out)
