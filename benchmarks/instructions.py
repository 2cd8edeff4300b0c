"""What callgrind counts for benchmarks/guard.py: `python -m benchmarks.instructions {build,peel}` prints the onions made."""

from __future__ import annotations

import sys
from hashlib import sha256

from coincurve import PublicKey

import keysend_fast
from keysend_fast.onion import OnionRequest, build_onions, peel_onions

ONIONS = 64
HOPS = 4


def main() -> None:
    """Build, and for `peel` also peel, four-hop onions with the portable kernels; only one of the two is counted."""
    chosen = keysend_fast.show_config()["chosen"]
    if set(chosen.values()) != {"portable"}:
        raise SystemExit(f"the portable kernels are to be counted, and {chosen} would run")
    privkeys = [sha256(b"hop %d" % i).digest() for i in range(HOPS)]
    nodes = [PublicKey.from_valid_secret(key).format() for key in privkeys]
    data = sha256(b"associated data").digest()
    requests = [OnionRequest(nodes, [bytes(20)] * HOPS, sha256(b"%d" % i).digest(), data) for i in range(ONIONS)]
    built = build_onions(requests, threads=1)
    ok = built.ok
    if sys.argv[1] == "peel":
        ok = peel_onions(built.packets, privkeys[0], [data] * ONIONS, threads=1).ok
    if not ok:
        raise SystemExit("not every onion came out")
    print(ONIONS)


if __name__ == "__main__":
    main()
