"""The secrets shared with a route's hops, as bytes: for functions of other libraries that return them."""

from __future__ import annotations

from collections.abc import Sequence

from keysend_fast._batch import OnionSecrets
from keysend_fast.compat._choice import Choice
from keysend_fast.failure import derive_secrets

__all__ = ["route_secrets", "shared_secrets"]


def route_secrets(public_keys: Sequence[bytes], session_key: bytes, choice: Choice) -> OnionSecrets:
    """The route's secrets in native memory. Raises OnionError, ValueError, TypeError as build_onion() does."""
    return derive_secrets(session_key, public_keys, implementation=choice.build, hop_tables=choice.hop_tables)


def shared_secrets(public_keys: Sequence[bytes], session_key: bytes, choice: Choice) -> list[bytes]:
    """32 bytes a hop, SECRET, the first hop's first; errors as route_secrets()."""
    secrets = route_secrets(public_keys, session_key, choice)
    joined = bytes(secrets.shared_secrets)
    secrets.wipe()
    return [joined[i : i + 32] for i in range(0, len(joined), 32)]
