"""Core Lightning's parameters for a prebuilt onion: what ``sendonion`` and ``injectpaymentonion`` are called with.

Plain dictionaries that any JSON-RPC client takes; nothing is sent here. ``partid`` and ``groupid`` are always there: the
node knows a payment by (payment_hash, partid, groupid), and one left out would let a repeat pay again.
Source: Core Lightning, doc/schemas/sendonion.json and injectpaymentonion.json; lightningd/pay.c.
"""

from typing import Any

from keysend_fast._types import Json
from keysend_fast.errors import InputError, RouteError
from keysend_fast.onion import Onion
from keysend_fast.route import Route

_MAX_PARTID = 2**64 - 1
_MILLION = 10**6


def sendonion(
    onion: Onion,
    *,
    groupid: int,
    partid: int = 1,
    block_height: int | None = None,
    label: str | None = None,
    shared_secrets: bool = False,
) -> Json:
    """Return the parameters of ``sendonion`` for a keysend whose first hop is the node's peer.

    groupid, partid: 1 to 2^64 - 1; repeat both, with the same onion, for the same attempt. block_height: the node's now
    (what the onion was built for if None); the first HTLC's delay counts from the block after it. label: a note.
    shared_secrets: hand the node the onion's secrets, so that it reads failures itself. Raises InputError, RouteError.
    """
    _keysend_route(onion)
    height = onion.block_height if block_height is None else block_height
    if height is None or onion.first_cltv_expiry <= height + 1:
        raise RouteError(f"the first HTLC expires at {onion.first_cltv_expiry}, not after block {height} and one more")
    first_hop = {
        "id": _keysend_route(onion).node_ids[0].hex(),
        "amount_msat": onion.first_amount_msat,
        "delay": onion.first_cltv_expiry - height - 1,
    }
    request = {**_identity(onion, groupid, partid, label), "first_hop": first_hop}
    if shared_secrets:
        secrets = onion.secrets
        request["shared_secrets"] = [secrets.shared_secret(hop).hex() for hop in range(onion.n_hops)]
    return request


def injectpaymentonion(
    onion: Onion,
    *,
    own_id: bytes,
    groupid: int,
    partid: int = 1,
    label: str | None = None,
    destination_msat: int | None = None,
) -> Json:
    """Return the parameters of ``injectpaymentonion`` for a keysend whose first hop is the node itself.

    own_id: the node's 33-byte id. groupid, partid: as for ``sendonion``. destination_msat: what the recipient gets, for the
    node's records; repeat it identically. The amount and the expiry are those of the HTLC to the first peer: the node's own
    channel costs nothing, and the node does not compare them with the payload. Raises InputError, and RouteError for a
    route that does not start at the node or ends there.
    """
    route = _keysend_route(onion)
    hops = route.hops
    if hops[0].node_id != own_id:
        raise RouteError(f"the route starts at {hops[0].node_id.hex()}, not at the own node {own_id.hex()}", hop=0)
    if len(hops) < 2:
        raise RouteError("a keysend to oneself is refused by the node", hop=0)
    height = onion.block_height or 0
    request = {
        **_identity(onion, groupid, partid, label),
        "amount_msat": _second_amount(route, onion.amount_msat),
        "cltv_expiry": height + 1 + hops[1].cltv_delta,
    }
    if destination_msat is not None:
        request["destination_msat"] = destination_msat
    return request


def _keysend_route(onion: Onion) -> Route:
    route = onion.route
    if route is None:
        raise InputError("only a keysend knows its route and amounts: build it with build_keysend")
    return route


def _identity(onion: Onion, groupid: int, partid: int, label: str | None) -> dict[str, Any]:
    """Return the onion and what the node knows the attempt by."""
    for name, value in (("groupid", groupid), ("partid", partid)):
        if isinstance(value, bool) or not 1 <= value <= _MAX_PARTID:
            raise InputError(f"{name} {value!r} is not 1 to 2^64 - 1")
    if onion.payment_hash is None:
        raise InputError("the onion has no payment hash")
    request: dict[str, Any] = {
        "onion": onion.packet_hex,
        "payment_hash": onion.payment_hash.hex(),
        "partid": partid,
        "groupid": groupid,
    }
    if label is not None:
        request["label"] = label
    return request


def _second_amount(route: Route, amount_msat: int) -> int:
    """Return what the second node receives when the last one gets ``amount_msat`` (BOLT 7, HTLC Fees)."""
    hops = route.hops
    if amount_msat == route.amount_msat:
        return hops[1].amount_msat
    for hop in reversed(hops[2:]):
        amount_msat += (hop.fee_base_msat or 0) + amount_msat * (hop.fee_ppm or 0) // _MILLION
    return amount_msat
