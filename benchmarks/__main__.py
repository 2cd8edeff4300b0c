"""`python -m benchmarks onions`, `kernels` and `failures`: interleaved measurements of this build."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keysend_fast import show_config

from . import bench_failures, bench_kernels, bench_onions
from .interleave import Claim, interleave, table, verdicts
from .machine import header

FORMAT = 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", choices=("onions", "kernels", "failures"))
    parser.add_argument("--implementation", default="", help="of the curve slot (default: the best that runs here)")
    parser.add_argument("--rounds", type=int, help="interleaved rounds (7; quick: 3)")
    parser.add_argument("--seconds", type=float, help="of a row's turn in a round (0.1; quick: 0.03)")
    parser.add_argument(
        "--cpu-time", action="store_true", help="the thread's CPU time (busy machines; no two-thread row)"
    )
    parser.add_argument("--quick", action="store_true", help="fewer rows and rounds, to see that it works")
    parser.add_argument("--json", type=Path, help="write every round's figures here")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _told(claims: Sequence[Claim]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(claim) | {"met": claim.met} for claim in claims]


def main() -> int:
    """Measure, print, and write the JSON that was asked for. A target that is not met is told, and is no error."""
    options = _arguments()
    rounds = options.rounds or (3 if options.quick else 7)
    seconds = options.seconds or (0.03 if options.quick else 0.1)
    clock = time.thread_time_ns if options.cpu_time else time.perf_counter_ns
    try:
        chosen = bench_onions.require(options.implementation)
    except (ValueError, bench_onions.WrongCodeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    machine = header() | {
        key: show_config()[key] for key in ("keysend_fast", "compiler", "coincurve", "cffi", "pynacl")
    }
    running = ", ".join(f"{slot} {name}" for slot, name in chosen.items())
    print(f"{machine['cpu']} ({machine['cpu_id']}), {machine['compiler']}, load {machine['load_average'][0]:.1f}")
    print(f"commit {machine['commit']}; {running}; {machine['coincurve']}\n")
    saved: dict[str, Any] = {
        "format": FORMAT,
        "machine": machine,
        "chosen": chosen,
        "rounds": rounds,
        "seconds": seconds,
    }
    if options.what == "kernels":
        rows = bench_kernels.suite()
        interleave(rows, rounds=rounds, seconds=seconds, clock=clock, say=_say)
        print(table(rows, "call"))
    elif options.what == "failures":
        failures = bench_failures.suite(options.implementation or chosen["ecmult"], quick=options.quick)
        rows = list(failures.rows.values())
        interleave(rows, rounds=rounds, seconds=seconds, clock=clock, say=_say)
        claims = failures.claims()
        print(table(rows, "failure"), "", verdicts(claims), sep="\n")
        saved["claims"] = _told(claims)
    else:
        others = [name for name in bench_kernels.runnable("ecmult") if not options.quick or name == "libsecp256k1"]
        suite = bench_onions.suite(
            chosen["ecmult"], others, quick=options.quick, threads=machine["cores"] > 1 and not options.cpu_time
        )
        rows = list(suite.rows.values())
        interleave(rows, rounds=rounds, seconds=seconds, clock=clock, say=_say)
        claims = suite.claims()
        print(table(rows), *suite.memory(), "", verdicts(claims), sep="\n")
        saved["claims"] = _told(claims)
        saved["tables"] = {name: tables.stats() for name, tables in suite.tables.items()}
    saved["load_after"] = header()["load_average"]
    saved["rows"] = [row.saved() for row in rows]
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(saved, indent=1) + "\n", encoding="utf-8")
        print(f"saved in {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
