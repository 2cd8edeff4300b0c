"""`python -m benchmarks.bench_compat`: single calls through keysend_fast.compat beside the libraries that it speeds up.

Each variant is a process in that library's environment: as it is, over libsecp256k1, and over the lanes with warm hop tables.
They take turns in every round; ratios are of minima. A turn fails where another implementation ran than the row says.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from . import compat_environments as environments
from .interleave import Claim, verdicts
from .machine import header
from .peers.install import Command
from .peers.report import markdown

HOPS, BATCH = 4, 512
VARIANTS = ("real", "libsecp256k1", "lanes")
LATEST = "Electrum 4.8.3"
# (library, operation, variant) -> at least so many times as fast as the library itself
TARGETS = {
    (LATEST, "build, dict payloads", "libsecp256k1"): 4.0,
    (LATEST, "build, dict payloads", "lanes"): 6.0,
    (LATEST, "build, encoded payloads", "lanes"): 9.0,
    ("pyln-proto", "build", "libsecp256k1"): 7.0,
    ("pyln-proto", "build", "lanes"): 18.0,
}
Operation = tuple[Callable[[], Any], Callable[[Any], Any]]  # makes a call's arguments, untimed; the call


class WrongCodeError(Exception):
    """What ran is not what the row says."""


# ---------------------------------------------------------------- in the library's environment


def scalar(seed: str) -> bytes:
    """The same in every process; the first byte keeps it below the order and above 0."""
    return b"\x01" + random.Random(seed).randbytes(31)


KEYS = [scalar(f"node {i}") for i in range(HOPS)]
SESSION_KEY, DATA = scalar("session"), scalar("payment")
# amount and expiry; then the channel, or for the last hop a payment secret and the total. All frames are of one size: where
# they are not, pyln-proto's onions are wrong.
FORWARD = b"\x02\x03\x0f\x42\x40\x04\x03\x0c\x35\x00\x06\x08" + bytes(range(8))


def route() -> list[bytes]:
    """The nodes' ids."""
    from keysend_fast import _single

    return [_single.base_mul(key) for key in KEYS]


def electrum_operations() -> dict[str, Operation]:
    """What a wallet and a forwarding node do."""
    from electrum import lnonion  # type: ignore[import-not-found]

    from keysend_fast import build_onion, failure
    from tests.compat.electrum_worker import OLD_HOPS, hop_of

    node_ids = route()
    onion = build_onion(node_ids, [FORWARD] * HOPS, SESSION_KEY, DATA)
    returned = failure.create_failure(onion.secrets.shared_secret(HOPS - 1), b"\x20\x02").packet
    for hop in range(HOPS - 2, -1, -1):
        returned = failure.wrap_failure(onion.secrets.shared_secret(hop), returned).packet
    packet = lnonion.OnionPacket.from_bytes(onion.packet)
    fields = {
        "amt_to_forward": {"amt_to_forward": 1_000_000},
        "outgoing_cltv_value": {"outgoing_cltv_value": 800_000},
        "short_channel_id": {"short_channel_id": "0x" + bytes(range(8)).hex()},
    }
    encoded = FORWARD if OLD_HOPS else bytes((len(FORWARD),)) + FORWARD

    def build(hops: list[Any]) -> Any:
        return lnonion.new_onion_packet(node_ids, SESSION_KEY, hops, associated_data=DATA).to_bytes().hex()

    def peel(packet: Any) -> Any:
        processed = lnonion.process_onion_packet(packet, our_onion_private_key=KEYS[0], associated_data=DATA)
        return processed.next_packet.to_bytes().hex()

    def decode(returned: bytes) -> Any:
        found, hop = lnonion.decode_onion_error(returned, node_ids, SESSION_KEY)
        return found.to_bytes().hex(), hop

    return {
        "build, dict payloads": (lambda: [hop_of({"payload": fields}) for _ in KEYS], build),
        "build, encoded payloads": (lambda: [hop_of({"raw": encoded.hex()}) for _ in KEYS], build),
        "peel": (lambda: packet, peel),
        "decode a failure": (lambda: returned, decode),
    }


def pyln_operations(module: Any) -> dict[str, Operation]:
    """pyln.proto.onion, or what stands in its place. Paths are made inside the clock: compile() writes into them."""
    keys = [module.PublicKey(node_id) for node_id in route()]
    session_key, privkey = module.Secret(SESSION_KEY), module.PrivateKey(KEYS[0])
    payload = bytes((len(FORWARD),)) + FORWARD

    def build(_: Any) -> Any:
        hops = [module.SphinxHop(key, payload) for key in keys]
        return module.SphinxPath(hops, DATA, session_key).compile().to_bin().hex()

    def peel(packet: bytes) -> Any:
        read, following = module.RoutingOnion.from_bin(packet).unwrap(privkey, DATA)
        return read.to_bytes().hex(), following.to_bin().hex()

    packet = bytes.fromhex(build(None))
    return {"build": (lambda: None, build), "peel": (lambda: packet, peel)}


def coincurve_operations(variant: str) -> dict[str, Operation]:
    """A loop of one's own over key objects, or one call; a batch is one item of the clock."""
    import coincurve

    from keysend_fast.compat.coincurve_ecdh import base_mul_many, ecdh_many, point_mul_many

    privkeys = [coincurve.PrivateKey(scalar(f"pair {i}")) for i in range(BATCH)]
    pubkeys = [key.public_key for key in reversed(privkeys)]
    encoded, scalars = [key.format() for key in pubkeys], [key.secret for key in privkeys]
    if variant == "real":
        calls: dict[str, Callable[[Any], Any]] = {
            "ecdh": lambda _: [k.ecdh(p) for k, p in zip(privkeys, encoded, strict=True)],
            "multiply": lambda _: [p.multiply(k).format() for k, p in zip(scalars, pubkeys, strict=True)],
            "public keys": lambda _: [coincurve.PrivateKey(k).public_key.format() for k in scalars],
        }
    else:
        name = "libsecp256k1" if variant == "libsecp256k1" else None
        calls = {
            "ecdh": lambda _: ecdh_many(privkeys, encoded, implementation=name).values,
            "multiply": lambda _: point_mul_many(scalars, pubkeys, implementation=name).values,
            "public keys": lambda _: base_mul_many(scalars, implementation=name).values,
        }

    def joined(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda nothing: b"".join(call(nothing))

    return {name: (lambda: None, joined(call)) for name, call in calls.items()}


def work(library: str, variant: str) -> None:
    """Answer turns on standard input. Run as `python -m benchmarks.bench_compat --work LIBRARY VARIANT`."""
    from keysend_fast import HopTables, _native
    from tests.compat.serve import serve

    best = _native.chosen_implementations("")
    tables = HopTables()
    if variant == "lanes":
        tables.warm(route())
    options: dict[str, Any] = {"hop_tables": tables} if variant == "lanes" else {}
    ran: dict[str, Any] = {"build": {}, "point": {}}
    counts: Callable[[], dict[str, Any]] = dict
    if library == "coincurve":
        operations = coincurve_operations(variant)
        chosen = best if variant == "lanes" else _native.chosen_implementations("libsecp256k1")
        ran = {"build": chosen, "point": chosen}
    elif library == "pyln-proto":
        from importlib import import_module

        name = "pyln.proto.onion" if variant == "real" else "keysend_fast.compat.pyln"
        module = import_module(name)
        ran = ran if variant == "real" else module.configure(**options)
        operations = pyln_operations(module)
    else:
        operations = electrum_operations()
        if variant != "real":
            from keysend_fast.compat import electrum

            acceleration = electrum.install(**options)
            ran, counts = acceleration.implementations(), acceleration.calls
    wanted = {"real": None, "libsecp256k1": "libsecp256k1", "lanes": best["ecmult"]}[variant]
    if variant != "real" and ran["build"]["ecmult"] != wanted:
        raise WrongCodeError(f"{library} builds on {ran['build']['ecmult']}, not on {wanted}")

    def turn(operation: str, seconds: float) -> dict[str, Any]:
        prepare, call = operations[operation]
        before, calls, least = counts(), 0, float("inf")
        end = perf_counter_ns() + int(seconds * 1e9)
        while perf_counter_ns() < end:
            argument = prepare()
            start = perf_counter_ns()
            call(argument)
            least = min(least, perf_counter_ns() - start)
            calls += 1
        after = counts()
        if any(after[name].original != before[name].original for name in after):
            raise WrongCodeError(f"{library} {operation}: some of the calls were left to Electrum: {after}")
        if after and sum(after[name].native - before[name].native for name in after) != calls:
            raise WrongCodeError(f"{library} {operation}: {calls} calls, but natively {after}")
        return {"ns": least / (BATCH if library == "coincurve" else 1)}

    def result(operation: str) -> Any:
        prepare, call = operations[operation]
        return call(prepare())

    gc.disable()
    serve({"turn": turn, "result": result, "operations": lambda: list(operations), "ran": lambda: ran})


# ---------------------------------------------------------------- outside


def commands(releases: list[str], fetch: bool) -> dict[str, Command | str]:
    """Library -> where it runs, or why it does not."""
    found: dict[str, Command | str] = {
        f"Electrum {release}": environments.electrum(release, fetch) for release in releases
    }
    return found | {"pyln-proto": environments.pyln(), "coincurve": Command([sys.executable])}


def answer(worker: environments.Worker, **case: Any) -> Any:
    """The worker's result. Raises WrongCodeError with its error."""
    found = worker.ask(case)
    if "error" in found:
        raise WrongCodeError(f"{found['error'][0]}: {found['message']}")
    return found["result"]


def measure(library: str, command: Command, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """One row an operation and variant, all variants in every round."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    with ExitStack() as stack:
        workers = {
            variant: stack.enter_context(
                environments.Worker(command, "benchmarks.bench_compat", "--work", library, variant)
            )
            for variant in VARIANTS
        }
        operations = answer(workers["real"], op="operations")
        for operation in operations:
            results = [answer(worker, op="result", operation=operation) for worker in workers.values()]
            if any(result != results[0] for result in results):
                raise WrongCodeError(f"{library}, {operation}: the variants' results differ")
        for variant, worker in workers.items():
            ran = answer(worker, op="ran")
            for operation in operations:
                part = "build" if operation.startswith(("build", "decode")) or library == "coincurve" else "point"
                name = ran[part].get("ecmult", "its own")
                rows[operation, variant] = {"library": library, "operation": operation, "variant": variant}
                rows[operation, variant] |= {"ran": name, "ns": []}
        for _ in range(rounds):
            for operation in operations:
                for variant, worker in workers.items():
                    found = answer(worker, op="turn", operation=operation, seconds=seconds)
                    rows[operation, variant]["ns"].append(found["ns"])
    for row in rows.values():
        row["best_ns"] = min(row["ns"])
        row["times_as_fast"] = rows[row["operation"], "real"]["best_ns"] / row["best_ns"]
    return list(rows.values())


def main() -> int:
    """Measure and print. A target that is not met is told, and is no error."""
    if sys.argv[1:2] == ["--work"]:
        work(*sys.argv[2:4])
        return 0
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_compat", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.1, help="of a variant's turn in a round")
    parser.add_argument("--electrum", nargs="*", default=list(environments.ELECTRUMS), help="releases")
    parser.add_argument("--no-fetch", action="store_true", help="only what is here already")
    parser.add_argument("--json", type=Path, help="write every round's figures here")
    options = parser.parse_args()
    machine = header()
    print(f"{machine['cpu']} ({machine['cpu_id']}), load {machine['load_average'][0]:.1f}, commit {machine['commit']}")
    print(
        f"{HOPS} hops, single calls; coincurve: {BATCH} pairs, for each; {options.rounds} interleaved rounds, minima\n"
    )
    rows: list[dict[str, Any]] = []
    missing = {}
    for library, command in commands(options.electrum, not options.no_fetch).items():
        if isinstance(command, str):
            missing[library] = command
        else:
            rows += measure(library, command, options.rounds, options.seconds)
    lines = [
        [
            f"{row['library']}: {row['operation']}",
            row["ran"],
            "warm tables" if row["variant"] == "lanes" and row["operation"].startswith(("build", "decode")) else "",
            f"{row['best_ns'] / 1e3:.1f}",
            f"{row['times_as_fast']:.1f}",
        ]
        for row in rows
    ]
    print(markdown(["", "ran on", "", "µs", "times as fast"], lines))
    for library, reason in missing.items():
        print(f"{library}: not available: {reason}")
    claims = [
        Claim(f"{row['library']}, {row['operation']}, {row['variant']}", row["times_as_fast"], target, "times as fast")
        for row in rows
        if (target := TARGETS.get((row["library"], row["operation"], row["variant"]))) is not None
    ]
    if claims:
        print("\n" + verdicts(claims))
    if options.json:
        saved = {"machine": machine, "rounds": options.rounds, "rows": rows, "missing": missing}
        options.json.write_text(json.dumps(saved, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
