"""The replacements, in the signatures of each Electrum release.

One maker for each signature: (onions, original, count) -> function. A function is recognised by its signature alone.
Electrum's own answers whatever the native core hands back (None), and raises what it always raised.
count: calls answered natively, calls answered by the original.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from keysend_fast import _single
from keysend_fast.compat._electrum_onions import ElectrumOnions

__all__ = ["MAKERS", "OPTIONAL", "Function"]

Function = Callable[..., Any]
Maker = Callable[[ElectrumOnions, Function, list[int]], Function]

# ---------------------------------------------------------------- building


def _new_onion_packet_4_3(onions: ElectrumOnions, original: Function, count: list[int]) -> Function:
    def new_onion_packet(
        payment_path_pubkeys: Any, session_key: Any, hops_data: Any, associated_data: Any, trampoline: Any = False
    ) -> Any:
        made = onions.build(payment_path_pubkeys, session_key, hops_data, associated_data, trampoline, False)
        count[made is None] += 1
        if made is None:
            return original(payment_path_pubkeys, session_key, hops_data, associated_data, trampoline)
        return made

    return new_onion_packet


def _new_onion_packet_4_4(onions: ElectrumOnions, original: Function, count: list[int]) -> Function:
    def new_onion_packet(
        payment_path_pubkeys: Any, session_key: Any, hops_data: Any, *, associated_data: Any, trampoline: Any = False
    ) -> Any:
        made = onions.build(payment_path_pubkeys, session_key, hops_data, associated_data, trampoline, False)
        count[made is None] += 1
        if made is None:
            return original(
                payment_path_pubkeys, session_key, hops_data, associated_data=associated_data, trampoline=trampoline
            )
        return made

    return new_onion_packet


def _new_onion_packet_4_8(onions: ElectrumOnions, original: Function, count: list[int]) -> Function:
    def new_onion_packet(
        payment_path_pubkeys: Any,
        session_key: Any,
        hops_data: Any,
        *,
        associated_data: Any = b"",
        trampoline: Any = False,
        onion_message: Any = False,
    ) -> Any:
        made = onions.build(payment_path_pubkeys, session_key, hops_data, associated_data, trampoline, onion_message)
        count[made is None] += 1
        if made is None:
            return original(
                payment_path_pubkeys,
                session_key,
                hops_data,
                associated_data=associated_data,
                trampoline=trampoline,
                onion_message=onion_message,
            )
        return made

    return new_onion_packet


def _get_shared_secrets_along_route(onions: ElectrumOnions, original: Function, count: list[int]) -> Function:
    blinds = hasattr(onions.lnonion, "get_blinded_node_id")  # since then it returns a pair

    def get_shared_secrets_along_route(payment_path_pubkeys: Any, session_key: Any) -> Any:
        secrets = onions.shared_secrets(payment_path_pubkeys, session_key)
        blinded = onions.blinded_node_ids(payment_path_pubkeys, secrets) if blinds and secrets is not None else []
        missing = secrets is None or blinded is None
        count[missing] += 1
        if missing:
            return original(payment_path_pubkeys, session_key)
        return (secrets, blinded) if blinds else secrets

    return get_shared_secrets_along_route


# ---------------------------------------------------------------- peeling


def _process_onion_packet_4_3(onions: ElectrumOnions, original: Function, count: list[int]) -> Function:
    def process_onion_packet(
        onion_packet: Any, associated_data: Any, our_onion_private_key: Any, is_trampoline: Any = False
    ) -> Any:
        made = onions.peel(onion_packet, our_onion_private_key, associated_data, is_trampoline, None)
        count[made is None] += 1
        if made is None:
            return original(onion_packet, associated_data, our_onion_private_key, is_trampoline)
        return made

    return process_onion_packet


def _process_onion_packet_4_8(onions: ElectrumOnions, original: Function, count: list[int]) -> Function:
    def process_onion_packet(
        onion_packet: Any,
        our_onion_private_key: Any,
        *,
        associated_data: Any = b"",
        is_trampoline: Any = False,
        tlv_stream_name: Any = "payload",
    ) -> Any:
        made = onions.peel(onion_packet, our_onion_private_key, associated_data, is_trampoline, tlv_stream_name)
        count[made is None] += 1
        if made is None:
            return original(
                onion_packet,
                our_onion_private_key,
                associated_data=associated_data,
                is_trampoline=is_trampoline,
                tlv_stream_name=tlv_stream_name,
            )
        return made

    return process_onion_packet


# ---------------------------------------------------------------- failures


def _decode_the_packet(onions: ElectrumOnions, original: Function, count: list[int]) -> Function:
    def _decode_onion_error(error_packet: Any, payment_path_pubkeys: Any, session_key: Any) -> Any:
        found = onions.decode(error_packet, payment_path_pubkeys, session_key)
        count[found is None] += 1
        if found is None:
            return original(error_packet, payment_path_pubkeys, session_key)
        if found is False:
            raise onions.lnonion.FailedToDecodeOnionError()
        return found

    return _decode_onion_error


def _decode_onion_error(onions: ElectrumOnions, original: Function, count: list[int]) -> Function:
    def decode_onion_error(error_packet: Any, payment_path_pubkeys: Any, session_key: Any) -> Any:
        found = onions.decode(error_packet, payment_path_pubkeys, session_key)
        count[found is None] += 1
        if found is None:
            return original(error_packet, payment_path_pubkeys, session_key)
        if found is False:
            raise onions.lnonion.FailedToDecodeOnionError()
        return onions.lnonion.get_failure_msg_from_onion_error(found[0]), found[1]

    return decode_onion_error


def _obfuscate_onion_error(onions: ElectrumOnions, original: Function, count: list[int]) -> Function:
    def obfuscate_onion_error(error_packet: Any, their_public_key: Any, our_onion_private_key: Any) -> Any:
        made = onions.obfuscate(error_packet, onions.ecdh(our_onion_private_key, their_public_key))
        count[made is None] += 1
        return original(error_packet, their_public_key, our_onion_private_key) if made is None else made

    return obfuscate_onion_error


def _construct_onion_error_4_3(onions: ElectrumOnions, original: Function, count: list[int]) -> Function:
    def construct_onion_error(reason: Any, onion_packet: Any, our_onion_private_key: Any) -> Any:
        secret = onions.ecdh(our_onion_private_key, onion_packet.public_key)
        made = onions.obfuscate(onions.failure_packet(reason, secret), secret)
        count[made is None] += 1
        return original(reason, onion_packet, our_onion_private_key) if made is None else made

    return construct_onion_error


def _construct_onion_error_4_4(onions: ElectrumOnions, original: Function, count: list[int]) -> Function:
    def construct_onion_error(reason: Any, their_public_key: Any, our_onion_private_key: Any) -> Any:
        made = onions.failure_packet(reason, onions.ecdh(our_onion_private_key, their_public_key))
        count[made is None] += 1
        return original(reason, their_public_key, our_onion_private_key) if made is None else made

    return construct_onion_error


def _construct_onion_error_4_8(onions: ElectrumOnions, original: Function, count: list[int]) -> Function:
    lnonion = onions.lnonion

    def construct_onion_error(error: Any, their_public_key: Any, our_onion_private_key: Any, local_height: Any) -> Any:
        secret = onions.ecdh(our_onion_private_key, their_public_key)
        count[secret is None] += 1
        if secret is None:
            return original(error, their_public_key, our_onion_private_key, local_height)
        if error.code == lnonion.OnionFailureCode.INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS:
            error.data += local_height.to_bytes(4, byteorder="big")  # Electrum writes it into the caller's object, too
        return onions.failure_packet(error, secret)

    return construct_onion_error


# ---------------------------------------------------------------- keys


def _get_bolt04_onion_key(onions: ElectrumOnions, original: Function, count: list[int]) -> Function:
    types = frozenset(onions.key_types(original))

    def get_bolt04_onion_key(key_type: Any, secret: Any) -> Any:
        if type(key_type) is bytes and key_type in types and type(secret) is bytes:
            count[0] += 1
            return _single.hmac_sha256(key_type, secret)
        count[1] += 1
        return original(key_type, secret)

    return get_bolt04_onion_key


def _generate_cipher_stream(onions: ElectrumOnions, original: Function, count: list[int]) -> Function:
    def generate_cipher_stream(stream_key: Any, num_bytes: Any) -> Any:
        if type(stream_key) is bytes and len(stream_key) == 32 and type(num_bytes) is int and 0 <= num_bytes <= 1 << 20:
            count[0] += 1
            return _single.chacha20_stream(stream_key, num_bytes)
        count[1] += 1
        return original(stream_key, num_bytes)

    return generate_cipher_stream


def _get_blinded_node_id(onions: ElectrumOnions, original: Function, count: list[int]) -> Function:
    def get_blinded_node_id(node_id: Any, shared_secret: Any) -> Any:
        made = onions.blinded_node_id(node_id, shared_secret)
        count[made is None] += 1
        return original(node_id, shared_secret) if made is None else made

    return get_blinded_node_id


def _blinding_privkey(onions: ElectrumOnions, original: Function, count: list[int]) -> Function:
    def blinding_privkey(privkey: Any, blinding: Any) -> Any:
        made = onions.blinded_privkey(privkey, blinding)
        count[made is None] += 1
        return original(privkey, blinding) if made is None else made

    return blinding_privkey


def _next_blinding_from_shared_secret(onions: ElectrumOnions, original: Function, count: list[int]) -> Function:
    def next_blinding_from_shared_secret(pubkey: Any, shared_secret: Any) -> Any:
        made = onions.next_ephemeral(pubkey, shared_secret)
        count[made is None] += 1
        return original(pubkey, shared_secret) if made is None else made

    return next_blinding_from_shared_secret


MAKERS: Mapping[str, tuple[Maker, ...]] = {
    "new_onion_packet": (_new_onion_packet_4_8, _new_onion_packet_4_4, _new_onion_packet_4_3),
    "process_onion_packet": (_process_onion_packet_4_8, _process_onion_packet_4_3),
    "get_shared_secrets_along_route": (_get_shared_secrets_along_route,),
    "decode_onion_error": (_decode_onion_error,),
    "_decode_onion_error": (_decode_the_packet,),
    "obfuscate_onion_error": (_obfuscate_onion_error,),
    "construct_onion_error": (_construct_onion_error_4_8, _construct_onion_error_4_4, _construct_onion_error_4_3),
    "get_bolt04_onion_key": (_get_bolt04_onion_key,),
    "generate_cipher_stream": (_generate_cipher_stream,),
    "get_blinded_node_id": (_get_blinded_node_id,),
    "blinding_privkey": (_blinding_privkey,),
    "next_blinding_from_shared_secret": (_next_blinding_from_shared_secret,),
}
OPTIONAL = frozenset(
    {"obfuscate_onion_error", "get_blinded_node_id", "blinding_privkey", "next_blinding_from_shared_secret"}
)
"""Not in the earlier releases."""
