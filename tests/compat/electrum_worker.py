"""`python -m tests.compat.electrum_worker {real,ours,tables}`: Electrum's onion functions, its own or ours.

tables: ours with hop tables, so that building runs on the lanes. Every answer of ours says which of the functions asked for
was answered natively.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

from electrum import lnonion  # type: ignore[import-not-found]

from tests.compat.serve import plain, serve

H = bytes.fromhex
OLD_HOPS = "is_tlv_payload" in inspect.signature(lnonion.OnionHopsDataSingle).parameters
FROZEN = "_raw_bytes_payload" in inspect.signature(lnonion.OnionHopsDataSingle).parameters


def values(fields: Any) -> Any:
    """A payload of JSON: strings that begin with 0x are bytes."""
    if isinstance(fields, dict):
        return {key: values(value) for key, value in fields.items()}
    return H(fields[2:]) if isinstance(fields, str) and fields.startswith("0x") else fields


def hop_of(spec: dict[str, Any]) -> Any:
    kind = lnonion.OnionHopsDataSingle
    options: dict[str, Any] = {"is_tlv_payload": not spec.get("legacy")} if OLD_HOPS else {}
    if "stream" in spec:
        options["tlv_stream_name"] = spec["stream"]
    raw = H(spec["raw"]) if "raw" in spec else None
    hmac = H(spec["hmac"]) if "hmac" in spec else None
    if FROZEN:
        return kind(payload=values(spec.get("payload", {})), _raw_bytes_payload=raw, hmac=hmac, **options)
    hop = kind(payload=values(spec.get("payload", {})), **options)
    hop._raw_bytes_payload, hop.hmac = raw, hmac
    return hop


def build(public_keys: list[str], session_key: str, hops: list[Any], associated_data: str, **options: Any) -> Any:
    """The packet or the error, and the hops as they are left."""
    made = [hop_of(hop) for hop in hops]
    before = list(map(id, made))
    try:
        packet: Any = lnonion.new_onion_packet(
            [H(key) for key in public_keys], H(session_key), made, associated_data=H(associated_data), **options
        )
    except Exception as e:
        packet = [type(e).__name__, str(e)]
    return {"packet": packet, "hops": made, "same": [id(hop) == old for hop, old in zip(made, before, strict=True)]}


def process(packet: dict[str, Any], privkey: str, associated_data: str, **options: Any) -> Any:
    version = packet.pop("version", 0)
    made = lnonion.OnionPacket(**{name: H(value) for name, value in packet.items()})
    if version:
        object.__setattr__(made, "version", version)
    found = lnonion.process_onion_packet(
        made, our_onion_private_key=H(privkey), associated_data=H(associated_data), **options
    )
    return [type(found).__name__, *found]


def secrets(public_keys: list[str], session_key: str) -> Any:
    return lnonion.get_shared_secrets_along_route([H(key) for key in public_keys], H(session_key))


def decode(packet: str, public_keys: list[str], session_key: str) -> Any:
    """Both functions; Electrum's object for the failure."""
    route = [H(key) for key in public_keys]
    whole = lnonion._decode_onion_error(H(packet), route, H(session_key))
    failure, hop = lnonion.decode_onion_error(H(packet), route, H(session_key))
    return [whole, type(failure).__name__, type(failure.code).__name__, int(failure.code), failure.data, hop]


def construct(code: int, data: str, public_key: str, privkey: str, height: int) -> Any:
    failure = lnonion.OnionRoutingFailure(code, H(data))
    parameters = inspect.signature(lnonion.construct_onion_error).parameters
    sender: Any = H(public_key)
    if "onion_packet" in parameters:
        sender = lnonion.OnionPacket(public_key=sender, hops_data=bytes(1300), hmac=bytes(32))
    options = {"local_height": height} if "local_height" in parameters else {}
    try:
        made: Any = lnonion.construct_onion_error(failure, sender, our_onion_private_key=H(privkey), **options)
    except Exception as e:
        made = [type(e).__name__, str(e)]
    return [made, failure.data]


def obfuscate(packet: str, public_key: str, privkey: str) -> Any:
    return lnonion.obfuscate_onion_error(H(packet), H(public_key), H(privkey))


def key(key_type: str, secret: str) -> Any:
    return lnonion.get_bolt04_onion_key(key_type.encode(), H(secret))


def stream(stream_key: str, num_bytes: int) -> Any:
    return lnonion.generate_cipher_stream(H(stream_key), num_bytes)


def blinded_node_id(node_id: str, secret: str) -> Any:
    return lnonion.get_blinded_node_id(H(node_id), H(secret))


def blinded_privkey(privkey: str, blinding: str) -> Any:
    return lnonion.blinding_privkey(H(privkey), H(blinding))


def next_blinding(public_key: str, secret: str) -> Any:
    return lnonion.next_blinding_from_shared_secret(H(public_key), H(secret))


OPERATIONS = {
    "build": build,
    "process": process,
    "secrets": secrets,
    "decode": decode,
    "construct": construct,
    "obfuscate": obfuscate,
    "key": key,
    "stream": stream,
    "blinded_node_id": blinded_node_id,
    "blinded_privkey": blinded_privkey,
    "next_blinding": next_blinding,
}

if __name__ == "__main__":
    if sys.argv[1] == "real":
        serve(OPERATIONS)
    else:
        from keysend_fast.compat import electrum
        from keysend_fast.onion import HopTables

        tables = HopTables(build_after=2) if sys.argv[1] == "tables" else None
        acceleration = electrum.install(hop_tables=tables)
        calls = {"calls": lambda: {name: list(count) for name, count in acceleration.calls().items()}}
        serve({**OPERATIONS, **calls, "implementations": lambda: plain(acceleration.implementations())})
