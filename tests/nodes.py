"""Nodes whose keys are known, and onions to build of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from typing import NamedTuple

from tests.reference import bigsize, secp256k1, sphinx

HOP_PAYLOADS_SIZE = 1300
OVERHEAD = sphinx.OVERHEAD
ORDER = secp256k1.N
# x = 5 is on no point of the curve: the smallest such x
NOT_A_POINT = b"\x02" + (5).to_bytes(32, "big")


@cache
def privkey(i: int) -> bytes:
    """Node i's private key."""
    return sha256(b"node %d" % i).digest()


@cache
def node_id(i: int) -> bytes:
    """Node i's public key."""
    return secp256k1.public_key(privkey(i))


def secret(value: int) -> bytes:
    """32 big-endian bytes."""
    return value.to_bytes(32, "big")


def strip_length(frame: bytes | str) -> bytes:
    """The payload of a vector that carries its BigSize length in front."""
    data = bytes.fromhex(frame) if isinstance(frame, str) else frame
    length, start = bigsize.read(data)
    assert start + length == len(data)
    return data[start:]


class Request(NamedTuple):
    """The shape of keysend_fast.OnionRequest, with the nodes' numbers kept so that the onion can be peeled."""

    public_keys: list[bytes]
    payloads: list[bytes]
    session_key: bytes
    associated_data: bytes


def request_of(
    nodes: Sequence[int], payloads: Sequence[bytes], session: int = 0x41, associated_data: bytes = b"\x42" * 32
) -> Request:
    """A request along nodes given by number."""
    return Request([node_id(i) for i in nodes], list(payloads), secret(session), associated_data)


def reference_build(request: Request, size: int = HOP_PAYLOADS_SIZE) -> sphinx.Onion:
    """What the slow reference makes of it."""
    return sphinx.build(request.session_key, request.public_keys, request.payloads, request.associated_data, size)


def random_payloads(rng: random.Random, hops: int, size: int = HOP_PAYLOADS_SIZE) -> list[bytes]:
    """Payloads for so many hops whose frames fit, the longest ones of more than 252 bytes where there is room."""
    left = size - 35 * hops
    assert left >= 0
    payloads = []
    for hop in range(hops):
        most = left if hop == hops - 1 else left // 2
        extra = rng.choice([0, rng.randint(0, min(60, most)), rng.randint(0, most)])
        if 253 <= 2 + extra <= 254:  # such a length takes two bytes more of BigSize
            extra = 250
        elif 2 + extra > 254:
            extra -= 2
        payloads.append(rng.randbytes(2 + extra))
        left -= sphinx.frame_size(payloads[-1]) - 35
    return payloads


def fill_exactly(rng: random.Random, hops: int, size: int = HOP_PAYLOADS_SIZE) -> list[bytes]:
    """Payloads whose frames are `size` bytes together, the last byte used."""
    while True:
        payloads = random_payloads(rng, hops - 1, size - 35) if hops > 1 else []
        left = size - sum(map(sphinx.frame_size, payloads))
        for length in (left - 33, left - 35):
            if length >= 2 and sphinx.frame_size(bytes(length)) == left:
                payloads.insert(rng.randrange(hops), rng.randbytes(length))
                return payloads
