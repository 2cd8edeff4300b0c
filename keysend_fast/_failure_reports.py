"""Failures in the JSON of nodes: Core Lightning's errors and LND's encrypted_error_data, in and out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from keysend_fast._failure_advice import Location
from keysend_fast._failure_codes import FailureCode, FailureFlag
from keysend_fast._types import Buffer, Json
from keysend_fast.errors import ReplyError
from keysend_fast.route import format_short_channel_id

# Core Lightning's JSON-RPC error codes: PAY_UNPARSEABLE_ONION and so on.
UNPARSEABLE_ONION, DESTINATION_PERM_FAIL, TRY_OTHER_ROUTE, INJECTPAYMENTONION_FAILED = 202, 203, 204, 218
_REPLY_FIELDS: Final = ("onionreply", "erroronion")  # where waitsendpay was waiting, and what is stored
_LOCAL: Final = "local failure"


class ClnReport(NamedTuple):
    """What an error says. packet: the reply as it arrived, else None and node_index (the payer's own node is 0) and message."""

    code: Any
    packet: bytes | None
    node_index: int = 0
    message: bytes = b""


def _hex(value: Any, field: str) -> bytes:
    try:
        return bytes.fromhex(value)
    except (TypeError, ValueError):
        raise ReplyError(f"{field} is not hex") from None


def read_cln_error(error: Json | Any) -> ClnReport:
    """Take an error object, a pyln RpcError or a listsendpays row apart. Raises ReplyError."""
    if not isinstance(error, Mapping):
        error = getattr(error, "error", None)
    if not isinstance(error, Mapping):
        raise ReplyError("an error of Core Lightning is a JSON object")
    code, data = error.get("code"), error.get("data", error)
    if not isinstance(data, Mapping):
        raise ReplyError(f"error {code} carries no data: it is not about a failure onion")
    for field in _REPLY_FIELDS:
        if field in data:
            return ClnReport(code, _hex(data[field], field))
    if "failcode" not in data or "erring_index" not in data:
        raise ReplyError(f"error {code} carries no failure: the cause is not known")
    index, failcode = data["erring_index"], data["failcode"]
    if not isinstance(index, int) or not isinstance(failcode, int) or not 0 <= failcode <= 0xFFFF:
        raise ReplyError("erring_index and failcode are integers")
    message = _hex(data["raw_message"], "raw_message") if "raw_message" in data else failcode.to_bytes(2, "big")
    if message[:2] != failcode.to_bytes(2, "big"):
        raise ReplyError(f"raw_message does not begin with failcode {failcode}")
    # BADONION from the first peer is reported by the own node, yet its index names the peer.
    return ClnReport(code, None, 0 if _LOCAL in str(error.get("message", "")) else index, message)


def cln_error(
    node_index: int | None,
    code: FailureCode | int | None,
    message: bytes,
    recipient: bool,
    place: tuple[bytes | None, Location] | None,
) -> dict[str, Any]:
    """An error as waitsendpay gives it. place: the erring node's id, where known, and its channel."""
    if node_index is None or code is None:
        return {"code": UNPARSEABLE_ONION, "message": "Malformed error reply", "data": {}}
    name = f"WIRE_{code.name}" if isinstance(code, FailureCode) else f"INVALID {int(code)}"
    data: dict[str, Any] = {
        "erring_index": node_index,
        "failcode": int(code),
        "failcodename": name,
        "raw_message": message.hex(),
    }
    if place is not None:
        node_id, (_, channel, direction) = place
        data |= {} if node_id is None else {"erring_node": node_id.hex()}
        data |= {} if channel is None else {"erring_channel": format_short_channel_id(channel)}
        data |= {} if channel is None or direction is None else {"erring_direction": direction}
    return {
        "code": DESTINATION_PERM_FAIL if recipient and code & FailureFlag.PERM else TRY_OTHER_ROUTE,
        "message": f"failed: {name} ({_LOCAL if node_index == 0 else 'reply from remote'})",
        "data": data,
    }


def read_lnd_error(error: Json | Buffer) -> bytes:
    """The return packet of encrypted_error_data: bytes, or base64 in a JSON object. Raises ReplyError."""
    data: Any = error.get("encrypted_error_data") if isinstance(error, Mapping) else error
    if isinstance(data, str):
        try:
            data = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            raise ReplyError("encrypted_error_data is not base64") from None
    if not isinstance(data, bytes | bytearray | memoryview) or not len(data):
        raise ReplyError("there are no encrypted_error_data")
    return bytes(data)
