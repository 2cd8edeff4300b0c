"""Whether the replacements compute what this very Electrum computes: tried on random onions before anything is rebound."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keysend_fast import _single
from keysend_fast.onion import build_onion

__all__ = ["differences"]

Function = Callable[..., Any]
_HOPS = 3
_TRAMPOLINE = bytes.fromhex(
    "fe00010234fd01d2"
)  # BigSize type 66100, length 466: a packet with 400 bytes of hop_payloads
_MESSAGE_BYTES = 1400  # of an onion message's payload: above 1300, so that the large size is tried


def differences(lnonion: Any, originals: Mapping[str, Function], replacements: Mapping[str, Function]) -> list[str]:
    """Names of the functions whose results differ, sorted; empty where none does.

    The keys are random and worth nothing. Whatever Electrum's own functions raise here is a difference, too.
    """
    try:
        trial = _Trial(lnonion, originals)
    except Exception as e:  # no matter what it is: this Electrum is not one that is known
        return [f"its classes ({type(e).__name__}: {e})"]
    wrong = []
    for name, original in originals.items():
        attempt = getattr(trial, name.removeprefix("_decode_") + "_packet" if name.startswith("_") else name)
        try:
            same = attempt(original) == attempt(replacements[name])
        except Exception:
            same = False
        if not same:
            wrong.append(name)
    return sorted(wrong)


def _secret() -> bytes:
    """A scalar: not 0, and below the order."""
    return b"\x01" + os.urandom(31)


class _Trial:
    """Calls of each function on the same data, with results that can be compared; methods are named after the functions."""

    def __init__(self, lnonion: Any, originals: Mapping[str, Function]) -> None:
        self.lnonion = lnonion
        self.keys = [_secret() for _ in range(_HOPS)]
        self.node_ids = [_single.base_mul(key) for key in self.keys]
        self.session_key, self.secret, self.data = _secret(), _secret(), os.urandom(32)
        self.payloads: list[dict[str, Any]] = [
            {
                "amt_to_forward": {"amt_to_forward": amount},
                "outgoing_cltv_value": {"outgoing_cltv_value": 800_000 + amount},
                "short_channel_id": {"short_channel_id": os.urandom(8)},
            }
            for amount in range(_HOPS - 1)
        ]
        self.payloads.append(
            {
                "amt_to_forward": {"amt_to_forward": 1 << 40},
                "outgoing_cltv_value": {"outgoing_cltv_value": 256},
                "payment_data": {"payment_secret": os.urandom(32), "total_msat": 1 << 41, "amount_msat": 1},
            }
        )
        new_onion_packet = originals["new_onion_packet"]
        self.packet = new_onion_packet(self.node_ids, self.session_key, self.hops(), associated_data=self.data)
        secrets = originals["get_shared_secrets_along_route"](self.node_ids, self.session_key)
        self.failure = self.failure_packet(secrets[0] if isinstance(secrets, tuple) else secrets)

    def hops(self) -> list[Any]:
        kind = self.lnonion.OnionHopsDataSingle
        old = {"is_tlv_payload": True} if "is_tlv_payload" in inspect.signature(kind).parameters else {}
        return [kind(payload=dict(payload), **old) for payload in self.payloads]

    def message_hops(self) -> list[Any]:
        kind = self.lnonion.OnionHopsDataSingle
        payload = {"encrypted_recipient_data": {"encrypted_recipient_data": bytes(_MESSAGE_BYTES)}}
        return [kind(tlv_stream_name="onionmsg_tlv", payload=payload) for _ in range(_HOPS)]

    @staticmethod
    def failure_packet(secrets: Sequence[bytes]) -> bytes:
        """What the payer reads when the last hop failed the payment (BOLT 4, Returning Errors)."""
        message = (2).to_bytes(2, "big") + b"\x20\x02" + (254).to_bytes(2, "big") + bytes(254)
        packet = _single.hmac_sha256(_single.hmac_sha256(b"um", secrets[-1]), message) + message
        for secret in reversed(secrets):
            stream = _single.chacha20_stream(_single.hmac_sha256(b"ammag", secret), len(packet))
            packet = bytes(a ^ b for a, b in zip(packet, stream, strict=True))
        return packet

    def outer_of_trampoline(self) -> Any:
        """A packet for one node, with a trampoline packet of 400 bytes in its payload."""
        inner = build_onion(self.node_ids, [b"\2\1\1"] * _HOPS, self.session_key, self.data, hop_payloads_size=400)
        payload = b"\2\1\1\4\1\1" + _TRAMPOLINE + inner.packet
        outer = build_onion(self.node_ids[:1], [payload], self.secret, self.data)
        return self.lnonion.OnionPacket.from_bytes(outer.packet)

    # ------------------------------------------------------------ one method a function

    def new_onion_packet(self, function: Function) -> Any:
        cases: list[tuple[list[Any], dict[str, Any]]] = [(self.hops(), {}), (self.hops(), {"trampoline": True})]
        if "onion_message" in inspect.signature(function).parameters:
            cases.append((self.message_hops(), {"onion_message": True}))
        results = []
        for hops, options in cases:
            packet = function(self.node_ids, self.session_key, hops, associated_data=self.data, **options)
            results.append((type(packet), vars(packet), [(type(hop), vars(hop)) for hop in hops]))
        return results

    def process_onion_packet(self, function: Function) -> Any:
        results = []

        def peel(packet: Any, key: bytes) -> Any:
            processed = function(packet, our_onion_private_key=key, associated_data=self.data)
            final, hop, following, inner = processed
            results.append((type(processed), final, vars(hop), vars(following), inner and vars(inner)))
            return following

        packet = self.packet
        for key in self.keys:
            packet = peel(packet, key)
        peel(self.outer_of_trampoline(), self.keys[0])
        return results

    def get_shared_secrets_along_route(self, function: Function) -> Any:
        return function(self.node_ids, self.session_key)

    def decode_onion_error(self, function: Function) -> Any:
        failure, hop = function(self.failure, self.node_ids, self.session_key)
        return type(failure), vars(failure), hop

    def onion_error_packet(self, function: Function) -> Any:
        return function(self.failure, self.node_ids, self.session_key)

    def construct_onion_error(self, function: Function) -> Any:
        parameters = inspect.signature(function).parameters
        failure = self.lnonion.OnionRoutingFailure(0x400F, bytes(8))
        height = {"local_height": 800_000} if "local_height" in parameters else {}
        sender = self.packet if "onion_packet" in parameters else self.packet.public_key
        return function(failure, sender, our_onion_private_key=self.keys[0], **height), vars(failure)

    def obfuscate_onion_error(self, function: Function) -> Any:
        return function(self.failure, self.packet.public_key, self.keys[0])

    def get_bolt04_onion_key(self, function: Function) -> Any:
        return [function(key_type, self.secret) for key_type in (b"rho", b"mu", b"um", b"ammag", b"pad")]

    def generate_cipher_stream(self, function: Function) -> Any:
        return [function(self.secret, length) for length in (0, 1, 64, 2600)]

    def get_blinded_node_id(self, function: Function) -> Any:
        return function(self.node_ids[0], self.secret)

    def blinding_privkey(self, function: Function) -> Any:
        return function(self.keys[0], self.node_ids[1])

    def next_blinding_from_shared_secret(self, function: Function) -> Any:
        return function(self.node_ids[0], self.secret)
