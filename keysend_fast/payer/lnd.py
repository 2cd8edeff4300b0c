"""LND's parameters for a keysend over a route of ours: LND builds the onion, from the route and the records.

Source: LND, routerrpc.SendToRouteV2 and lnrpc.Route in their proto3 JSON form: 64-bit integers are text, bytes base64.
"""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from keysend_fast import tlv
from keysend_fast._types import Json, Records
from keysend_fast.errors import InputError, RouteError
from keysend_fast.keysend import KEYSEND_PREIMAGE_TYPE, encode_records
from keysend_fast.route import Route


def sendtoroute(
    route: Route, preimage: bytes, records: Records | None = None, *, block_height: int, skip_temp_err: bool = True
) -> Json:
    """Return the parameters of ``SendToRouteV2`` for a keysend.

    route: from LND's peer on, with the channel into every node, the own one included. preimage: 32 bytes, SECRET until the
    payment has settled, and in the result. records: custom records, as a mapping, pairs or a TLV stream. block_height: the
    current one. skip_temp_err: keep the payment open after a temporary failure, so that the same hash may take another
    route. Raises InputError, RouteError, TlvError.
    """
    if len(preimage) != 32:
        raise InputError(f"a preimage has 32 bytes, not {len(preimage)}")
    custom = dict(tlv.parse(encode_records(records))) if records is not None else {}
    return {
        "payment_hash": b64encode(sha256(preimage).digest()).decode(),
        "route": route_json(route, {**custom, KEYSEND_PREIMAGE_TYPE: preimage}, block_height=block_height),
        "skip_temp_err": skip_temp_err,
    }


def route_json(route: Route, final_records: Mapping[int, bytes], *, block_height: int) -> Json:
    """Return a route as ``lnrpc.Route``; ``Route.from_lnd`` reads it back.

    final_records: custom records of the last hop, by type. A hop's amt_to_forward_msat and expiry are what it forwards, and
    of the last what it receives; chan_id is the channel into it. Raises RouteError where a hop has no channel.
    """
    hops = route.hops
    heights = [block_height + 1 + hop.cltv_delta for hop in hops]
    out: list[dict[str, Any]] = []
    for number, hop in enumerate(hops):
        if hop.short_channel_id is None:
            raise RouteError("LND wants the channel into every node", hop=number)
        after = min(number + 1, len(hops) - 1)
        out.append(
            {
                "chan_id": str(hop.short_channel_id),
                "pub_key": hop.node_id.hex(),
                "amt_to_forward_msat": str(hops[after].amount_msat),
                "fee_msat": str(hop.amount_msat - hops[after].amount_msat),
                "expiry": heights[after],
                "tlv_payload": True,
            }
        )
    out[-1]["custom_records"] = {str(key): b64encode(value).decode() for key, value in sorted(final_records.items())}
    return {
        "total_time_lock": heights[0],
        "total_amt_msat": str(hops[0].amount_msat),
        "total_fees_msat": str(hops[0].amount_msat - hops[-1].amount_msat),
        "hops": out,
    }
