"""`python -m tests.compat.pyln_worker {real,ours}`: pyln.proto.onion, or keysend_fast.compat.pyln in its place."""

from __future__ import annotations

import importlib
import sys
from io import BytesIO
from typing import Any

from tests.compat.serve import serve

onion = importlib.import_module({"real": "pyln.proto.onion", "ours": "keysend_fast.compat.pyln"}[sys.argv[1]])
Secret, PrivateKey, PublicKey = onion.Secret, onion.PrivateKey, onion.PublicKey


class RightFiller(onion.SphinxPath):  # type: ignore[name-defined, misc]
    """pyln-proto's path with BOLT 4's filler, over the hops but the last: everything else is its own."""

    def get_filler(self) -> memoryview:
        filler = b""
        for hop, params in zip(self.hops[:-1], self.get_hop_params(), strict=False):
            stream = bytearray(onion.ROUTING_INFO_SIZE + len(hop))
            onion.chacha20_stream(params.keys.rho, stream)
            filler += bytes(len(hop))
            filler = bytes(onion.xor(filler, stream[-len(filler) :]))
        return memoryview(bytearray(filler))


def path_of(case: dict[str, Any], kind: Any) -> Any:
    hops = [
        onion.SphinxHop(PublicKey(bytes.fromhex(key)), bytes.fromhex(payload))
        for key, payload in zip(case["public_keys"], case["payloads"], strict=True)
    ]
    data = case["assocdata"]
    return kind(hops, None if data is None else bytes.fromhex(data), Secret(bytes.fromhex(case["session_key"])))


def compile_path(right_filler: bool = False, **case: Any) -> Any:
    path = path_of(case, RightFiller if right_filler and sys.argv[1] == "real" else onion.SphinxPath)
    made = path.compile()
    return {
        "packet": made.to_bin(),
        "hex": made.to_hex(),
        "version": made.version,
        "ephemeralkey": str(made.ephemeralkey),
        "hmacs": [hop.hmac for hop in path.hops],
    }


def hop_params(**case: Any) -> Any:
    """What path and hops share."""
    path = path_of(case, onion.SphinxPath)
    return [
        {"secret": p.secret.data, "key": p.ephemeralkey.to_bytes(), "blind": p.blind.data, "keys": p.keys._asdict()}
        for p in path.get_hop_params()
    ]


def filler(**case: Any) -> Any:
    return path_of(case, onion.SphinxPath).get_filler()


def payload_of(payload: Any) -> Any:
    fields = [[type(f).__name__, f.typenum, f.value, f.description, str(f)] for f in getattr(payload, "fields", [])]
    return {
        "type": type(payload).__name__,
        "bytes": payload.to_bytes(include_prefix=True),
        "bare": payload.to_bytes(include_prefix=False),
        "text": str(payload) if type(payload).__name__ != "RawPayload" else None,
        "fields": fields,
    }


def unwrap(packet: str, privkey: str, assocdata: str | None) -> Any:
    made = onion.RoutingOnion.from_hex(packet)
    data = None if assocdata is None else bytes.fromhex(assocdata)
    payload, following = made.unwrap(PrivateKey(bytes.fromhex(privkey)), data)
    next_packet = None if following is None else following.to_bin()
    return {"payload": payload_of(payload), "next": next_packet, "version": made.version}


def read_payload(data: str, kind: str, skip_length: bool = False) -> Any:
    reader = BytesIO(bytes.fromhex(data))
    options = {"skip_length": True} if skip_length else {}
    payload = getattr(onion, kind).from_bytes(reader, **options)
    return {"payload": payload_of(payload), "read": reader.tell()}


def read_hex(data: str, kind: str) -> Any:
    return payload_of(getattr(onion, kind).from_hex(data))


def write_payload(fields: list[list[Any]]) -> Any:
    """Fields as [class, type, value]; bytes as hexadecimal digits."""
    made = [
        getattr(onion, name)(kind, bytes.fromhex(value) if isinstance(value, str) and name != "TextField" else value)
        for name, kind, value in fields
    ]
    payload = onion.TlvPayload(made)
    payload.add_field(65537, b"added")
    return {"bytes": payload.to_bytes(), "found": payload.get(65537).value, "missing": payload.get(3, "nothing")}


def write_legacy(**fields: Any) -> Any:
    payload = onion.LegacyOnionPayload(**fields)
    return {"payload": payload_of(payload), "hex": payload.to_hex(), "bare": payload.to_hex(include_prefix=False)}


OPERATIONS = {
    "compile": compile_path,
    "hop_params": hop_params,
    "filler": filler,
    "unwrap": unwrap,
    "read_payload": read_payload,
    "read_hex": read_hex,
    "write_payload": write_payload,
    "write_legacy": write_legacy,
}

if __name__ == "__main__":
    serve(OPERATIONS)
