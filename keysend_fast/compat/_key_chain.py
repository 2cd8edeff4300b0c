"""The secrets shared with a route's hops, alone: for functions of other libraries that return them."""

from __future__ import annotations

from collections.abc import Sequence

from keysend_fast.compat._choice import Choice
from keysend_fast.onion import build_onion

__all__ = ["shared_secrets"]

_SMALLEST_FRAME = 35  # BigSize, two bytes of payload, hmac


def shared_secrets(public_keys: Sequence[bytes], session_key: bytes, choice: Choice) -> list[bytes]:
    """32 bytes a hop, SECRET: what building the smallest onion for the route makes (BOLT 4, Packet Construction).

    The onion is thrown away. Raises OnionError, ValueError, TypeError as build_onion() does.
    """
    n = len(public_keys)
    onion = build_onion(
        public_keys,
        [b"\0\0"] * n,
        session_key,
        b"",
        hop_payloads_size=_SMALLEST_FRAME * n or 1,
        implementation=choice.build,
        hop_tables=choice.hop_tables,
    )
    secrets = onion.secrets
    joined = bytes(secrets.shared_secrets)
    secrets.wipe()
    return [joined[i : i + 32] for i in range(0, 32 * n, 32)]
