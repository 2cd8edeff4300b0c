"""Measure every peer (`python -m benchmarks.peers run`); put a saved run into the documents (`... render`)."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from .install import BUILD, PEERS, ROOT
from .measure import run
from .process import PeerError
from .report import insert, notes, table

SAVED = ROOT / "docs" / "images" / "peers.json"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    measured = commands.add_parser("run", help="build the peers, compare their bytes, measure, save, print the table")
    measured.add_argument("--out", type=Path, default=BUILD / "run.json", help="where the JSON goes")
    measured.add_argument("--rounds", type=int, default=5, help="interleaved rounds (5)")
    measured.add_argument("--seconds", type=float, default=0.2, help="time of one measurement (0.2)")
    measured.add_argument("--quick", action="store_true", help="fewer cases")
    keys = [spec.key for spec in PEERS]
    measured.add_argument(
        "--peer", action="append", default=[], choices=keys, help="only these (the reference runs anyway)"
    )
    rendered = commands.add_parser("render", help="charts and table of a saved run into README.md and docs/")
    rendered.add_argument("run", type=Path, nargs="?", default=SAVED, help=f"a saved run ({SAVED.relative_to(ROOT)})")
    return parser.parse_args(sys.argv[1:] or ["run"])


def _measure(options: argparse.Namespace) -> int:
    begin = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begin:6.1f} s  {text}", file=sys.stderr, flush=True)

    try:
        saved = run(options.peer, rounds=options.rounds, seconds=options.seconds, quick=options.quick, say=say)
    except PeerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(saved, indent=1) + "\n")
    print(table(saved), notes(saved), f"saved in {options.out}", sep="\n\n")
    return 0


def _render(options: argparse.Namespace) -> int:
    from .charts import draw  # matplotlib is needed for this alone

    saved = json.loads(options.run.read_text())
    images = ROOT / "docs" / "images"
    names = draw(saved, images)
    if options.run.resolve() != SAVED.resolve():
        SAVED.write_text(json.dumps(saved, indent=1) + "\n")
    alt = {
        "peers-onions-per-second": "Onions a second over the real routes, by implementation",
        "peers-time-by-hops": "Time to build one onion against its number of hops, by implementation",
        "peers-throughput-by-batch": "Onions a second against the size of the batch",
        "peers-throughput-by-threads": "Onions a second against threads",
    }
    first = "peers-onions-per-second"
    pictures = "\n\n".join(f"![{alt[name]}](images/{name}.svg)" for name in names)
    insert(ROOT / "docs" / "benchmarks.md", f"{table(saved)}\n\n{notes(saved)}\n\n{pictures}")
    insert(ROOT / "README.md", f"![{alt[first]}](docs/images/{first}.png)\n\n{table(saved, full=False)}")
    print(f"drew {', '.join(names)}")
    return 0


def main() -> int:
    """Run the command that the command line names."""
    options = _arguments()
    if options.command == "run":
        return _measure(options)
    try:
        return _render(options)
    except (OSError, ValueError) as error:  # no such run, or a document without its markers
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
