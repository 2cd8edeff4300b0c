"""What a peer read out of an onion, held against what the workload put in."""

from __future__ import annotations

from typing import Any


def disagreement(onion: dict[str, Any], read: Any) -> str:
    """Empty where the answer to `unwrap` says what the workload's onion says; else the first difference.

    Peers that hand payloads over as bytes are compared by bytes; the others by what they understood of them. Electrum
    leaves the recipient out, which is for the caller to count.
    """
    if isinstance(read, dict):
        return str(read["error"])
    hops = onion["hops"]
    for i, said in enumerate(read):
        last = i == len(hops) - 1
        if "payload" in said:
            meant: dict[str, Any] = {"payload": hops[i]["payload"]}
        elif last:
            meant = {key: hops[i][key] for key in ("amount_msat", "cltv_expiry")}
            meant |= {"preimage": onion["preimage"], "records": onion["records"]}
        else:
            meant = {key: hops[i + 1][key] for key in ("scid", "amount_msat", "cltv_expiry")}
        for key, value in meant.items():
            if said.get(key) != value:
                return f"hop {i}: {key} read as {said.get(key)!r}, meant {value!r}"
        if said.get("payment_data"):
            return f"hop {i}: payment_data read, and there is none"
    if len(read) not in (len(hops), len(hops) - 1):
        return f"{len(read)} hops read of {len(hops)}"
    return ""


def reads_recipient(onion: dict[str, Any], read: Any) -> bool:
    """Whether the answer covers every hop, the recipient's too."""
    return isinstance(read, list) and len(read) == len(onion["hops"])
