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


def misread_failure(onion: dict[str, Any], hop: int, message: bytes, read: dict[str, Any]) -> str:
    """Empty where the answer to `decode` is this hop and message; else the first difference.

    LDK names the channel that it would blame instead of the hop: the one behind a forwarding node; for the recipient, the
    one into it or, where the payment itself was refused, none.
    """
    if "error" in read:
        return str(read["error"])
    if read["message"] != message.hex():
        return f"message read as {read['message']}, meant {message.hex()}"
    hops = onion["hops"]
    if "scid" in read:
        blamed = (hops[hop + 1]["scid"],) if hop + 1 < len(hops) else (hops[hop]["scid"], None)
        return "" if read["scid"] in blamed else f"channel {read['scid']} blamed, not {blamed[0]}"
    return "" if read["hop"] == hop else f"hop {read['hop']} blamed, not {hop}"


def reads_recipient(onion: dict[str, Any], read: Any) -> bool:
    """Whether the answer covers every hop, the recipient's too."""
    return isinstance(read, list) and len(read) == len(onion["hops"])
