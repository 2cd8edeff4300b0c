"""Recipients given as name@host: which document names their node, and how to read it. Nothing is fetched here.

Source: podcast namespace, docs/examples/value/lnaddress.md.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from keysend_fast.errors import InputError
from keysend_fast.payer.value import Recipient, check_node_id
from keysend_fast.records import custom_record

_MAX_BYTES = 65_536
_MAX_RECORDS = 16
_ADDRESS = re.compile(r"([a-z0-9._+-]{1,64})@([a-z0-9.-]{1,253}(?::[0-9]{1,5})?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class KeysendAddress:
    """Where a name@host takes keysends. node_id: 66 hex digits. custom: (type, text) of the records to send along."""

    node_id: str
    custom: tuple[tuple[int, str], ...] = ()


def keysend_url(address: str) -> str:
    """Return the URL of the keysend document of a name@host. Raises InputError for what is not one."""
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise InputError(f"{address[:80]!r} is not name@host")
    return f"https://{match[2].lower()}/.well-known/keysend/{match[1].lower()}"


def parse_keysend_address(data: bytes | str) -> KeysendAddress:
    """Read a keysend document: a JSON object with status, tag, pubkey and, optionally, customData.

    data: at most 65,536 bytes. Raises InputError where it is not such an object, its status is not OK (with the reason
    given), its key no node id, or a custom record unusable.
    """
    if len(data) > _MAX_BYTES:
        raise InputError(f"keysend document of {len(data)} bytes is longer than {_MAX_BYTES}")
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError):
        raise InputError("keysend document is not JSON") from None
    if not isinstance(parsed, dict):
        raise InputError("keysend document is not a JSON object")
    if parsed.get("status") != "OK":
        raise InputError(
            f"keysend document says {str(parsed.get('status'))[:40]!r}: {str(parsed.get('reason', ''))[:200]}"
        )
    if parsed.get("tag") != "keysend":
        raise InputError(f"keysend document has the tag {str(parsed.get('tag'))[:40]!r}")
    custom = parsed.get("customData") or []
    if not isinstance(custom, list) or len(custom) > _MAX_RECORDS:
        raise InputError(f"customData is not a list of at most {_MAX_RECORDS} records")
    records = tuple(_custom(entry) for entry in custom)
    if len(dict(records)) != len(records):
        raise InputError("customData names one key twice")
    return KeysendAddress(check_node_id(str(parsed.get("pubkey"))), records)


def _custom(entry: object) -> tuple[int, str]:
    if not isinstance(entry, dict):
        raise InputError("an entry of customData is not an object")
    key, value = entry.get("customKey"), entry.get("customValue")
    if isinstance(key, bool) or not isinstance(key, str | int) or not isinstance(value, str):
        raise InputError("an entry of customData needs customKey and customValue as text")
    return custom_record(key, value)[0], value


def with_node(recipient: Recipient, addresses: Mapping[str, KeysendAddress]) -> Recipient:
    """Return a lnaddress recipient as the node recipient that its document names; others come back as they are.

    addresses: the documents read so far, by address in lower case. A recipient without one also comes back as it is.
    Records that the feed gives win over the document's of the same type.
    """
    found = addresses.get(recipient.address.lower()) if recipient.type == "lnaddress" else None
    if found is None:
        return recipient
    custom = tuple((dict(found.custom) | dict(recipient.custom)).items())
    return replace(recipient, type="node", address=found.node_id, custom=custom)
