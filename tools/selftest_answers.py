"""Recompute the answers in csrc/selftest.c from libsecp256k1 (coincurve) and hashlib; --check compares, without it prints them.

Mirrors the fixed block of selftest.c: the generator `fill`, the hop counts, the choice of keys.
"""

from __future__ import annotations

import re
import sys
from hashlib import sha256
from pathlib import Path

from coincurve import PrivateKey, PublicKey

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
ONIONS, KEYS, MAX_HOPS = 19, 5, 4


def fill(n: int, seed: int) -> bytes:
    x = (seed * 2654435761 + 1) % 2**32
    out = bytearray()
    for _ in range(n):
        x = (x * 1664525 + 1013904223) % 2**32
        out.append(x >> 24)
    return bytes(out)


def mul(point: PublicKey, scalar: int) -> bytes:
    return point.multiply(scalar.to_bytes(32, "big")).format()


def answers() -> dict[str, bytes]:
    scalars = [int.from_bytes(fill(32, 1000 + i), "big") & ((1 << 255) - 1) for i in range(ONIONS)]
    keys = [PrivateKey(s.to_bytes(32, "big")).public_key for s in scalars[:KEYS]]
    ephemeral, secrets = [], bytearray()
    for i in range(ONIONS):
        e = scalars[i]
        for h in range(1 + i % MAX_HOPS):
            public = PrivateKey(e.to_bytes(32, "big")).public_key.format()
            if h == 0:
                ephemeral.append(public)
            ss = sha256(mul(keys[(i + 2 * h) % KEYS], e)).digest()
            secrets += ss
            e = e * int.from_bytes(sha256(public + ss).digest(), "big") % ORDER
    chain = b"".join(ephemeral) + bytes(secrets).ljust(ONIONS * MAX_HOPS * 32, b"\0")
    shared, following = bytearray(), bytearray()
    for i, public in enumerate(ephemeral):
        ss = sha256(mul(PublicKey(public), scalars[0])).digest()
        shared += ss
        b = int.from_bytes(sha256(public + ss).digest(), "big") % ORDER
        following += mul(PublicKey(public), b) if i % 2 == 0 else bytes(33)
    products = b"".join(mul(keys[i * i % KEYS], scalars[i]) for i in range(ONIONS))
    return {
        "ECMULT_CHAIN": sha256(chain).digest(),
        "ECMULT_PEEL": sha256(bytes(shared + following)).digest(),
        "ECMULT_MUL": sha256(products).digest(),
    }


def c_array(name: str, value: bytes) -> str:
    rows = [", ".join(f"0x{b:02x}" for b in value[i : i + 16]) for i in (0, 16)]
    head = f"static const uint8_t {name}[32] = {{"
    return f"{head}{rows[0]},\n{' ' * len(head)}{rows[1]}}};"


def main() -> int:
    source = (Path(__file__).parent.parent / "csrc/selftest.c").read_text()
    wrong = 0
    for name, value in answers().items():
        stands = re.search(rf"{name}\[32\] = {{([^}}]*)}}", source)
        if stands is None or bytes(int(x, 16) for x in re.findall(r"0x[0-9a-f]+", stands[1])) != value:
            wrong += 1
            print(c_array(name, value))
    if wrong and "--check" in sys.argv[1:]:
        print(f"csrc/selftest.c: {wrong} answers differ", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
