"""Guards against becoming slower: ratios to the coincurve loop and instruction counts, held against a saved baseline.

`python -m benchmarks.guard --save` writes benchmarks/baselines/CPU.json, `python -m benchmarks.guard` compares with it and
fails beyond the bound. Absolute times say more about the machine's day than about the code, so each of our rows is divided
by the variable-time coincurve loop's, measured in the same interleaved rounds; best passes only. A ratio that looks worse
is measured again before it counts. Instruction counts are callgrind's of the portable kernels: the same in every run, but
another compiler's code is another baseline.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .machine import ROOT, cpu_id, header
from .peers.install import BUILD, UnavailableError
from .peers.measure import Task, measure, start
from .peers.process import PeerError
from .peers.workload import make, write

FORMAT = 1
LOOP = "coincurve-var"
OURS = ("ours-batch", "ours-warm", "ours-keysend", "ours-single", "ours-single-warm", "ours-libsecp256k1")
RATIO_BOUND = 0.15  # of a ratio between best passes; two shared cores repeat it to about a tenth
INSTRUCTION_BOUND = 0.02  # of a count that does not vary; room for a compiler's minor release
RETRIES = 3
TASKS = (
    Task("build", "real"),
    Task("build", "hops-1"),
    Task("build", "hops-4"),
    Task("build", "hops-20"),
    Task("peel", "peel-forward"),
)
PORTABLE = "ecmult=portable,sha256=portable,chacha20=portable"
COUNTED = {"build": "ksf_build_block", "peel": "ksf_peel_block_run"}

Numbers = dict[str, float]
Say = Callable[[str], None]


def _best(everything: Sequence[tuple[Task, str, Any]]) -> dict[tuple[str, Task], float]:
    return {(key, task): min(series.ns) for task, key, series in everything if series.ns}


def _ratios(best: dict[tuple[str, Task], float]) -> Numbers:
    return {
        f"{key} {task.op} {task.case}": ns / best[LOOP, task]
        for (key, task), ns in best.items()
        if key != LOOP and (LOOP, task) in best
    }


def measure_ratios(baseline: Numbers, *, rounds: int, seconds: float, say: Say) -> Numbers:
    """Our best pass over the loop's, per row; rows that look worse than the baseline are measured again."""
    content = make()
    path = BUILD / "workload.json"
    write(path, content)
    with ExitStack() as stack:
        # The reference makes the packets that are peeled.
        running, missing = start(stack, path, (*OURS, LOOP, "coincurve-lib"), say)
        if missing:
            raise UnavailableError("; ".join(f"{key}: {reason}" for key, reason in missing.items()))
        plan = [Task(task.op, task.case, only=(*OURS, LOOP)) for task in TASKS]
        best = _best(measure(running, plan, content, rounds=rounds, seconds=seconds, say=say))
        for retry in range(RETRIES):
            worse = set(regressions(_ratios(best), baseline, RATIO_BOUND))
            again = [task for task in plan if any(name.endswith(f" {task.op} {task.case}") for name in worse)]
            if not again:
                break
            say(f"measuring again ({retry + 1} of {RETRIES}): {', '.join(sorted(worse))}")
            for place, ns in _best(measure(running, again, content, rounds=rounds, seconds=seconds, say=say)).items():
                best[place] = min(best[place], ns)
        return _ratios(best)


def count_instructions(say: Say) -> Numbers:
    """Instructions an onion inside the portable build and peel, by callgrind. Raises UnavailableError without valgrind."""
    if shutil.which("valgrind") is None:
        raise UnavailableError("valgrind is not on PATH")
    counts = {}
    for name, function in COUNTED.items():
        say(f"counting the instructions of {function}")
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "callgrind.out"
            command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", f"--toggle-collect={function}"]
            environment = os.environ | {"KEYSEND_FAST_IMPL": PORTABLE, "PYTHONHASHSEED": "0"}
            done = subprocess.run(
                [*command, sys.executable, "-m", "benchmarks.instructions", name],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            summary = re.search(r"^summary: (\d+)$", out.read_text(), re.MULTILINE) if out.exists() else None
        if done.returncode or summary is None or int(summary.group(1)) == 0:
            raise UnavailableError(f"callgrind saw nothing of {function}: {done.stderr.strip().splitlines()[-1:]}")
        counts[f"instructions {name} portable"] = int(summary.group(1)) / int(done.stdout)
    return counts


def regressions(found: Numbers, baseline: Numbers, bound: float) -> dict[str, str]:
    """What got worse than the baseline by more than `bound` (0.15: 15 %), or is gone; by name, with the figures."""
    worse = {name: "is in the baseline and was not measured" for name in baseline if name not in found}
    for name, value in found.items():
        if name in baseline and value > baseline[name] * (1 + bound):
            worse[name] = f"{value:.4g}, {value / baseline[name] - 1:+.0%} over the baseline's {baseline[name]:.4g}"
    return worse


def baseline_path() -> Path:
    """This kind of CPU's file."""
    return ROOT / "benchmarks" / "baselines" / f"{cpu_id()}.json"


def _compiler() -> str:
    import keysend_fast

    return str(keysend_fast.show_config()["compiler"])


def _save(ratios: Numbers, instructions: Numbers) -> None:
    path = baseline_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "format": FORMAT,
        "machine": header(),
        "loop": LOOP,
        "ratios": {name: round(value, 4) for name, value in ratios.items()},
        "instructions": {_compiler(): {name: round(value) for name, value in instructions.items()}},
    }
    path.write_text(json.dumps(content, indent=1) + "\n")
    print(f"saved {path.relative_to(ROOT)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description=__doc__)
    parser.add_argument("--save", action="store_true", help="keep the figures as this kind of CPU's baseline")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=0.1, help="time of one measurement")
    return parser.parse_args()


def main() -> int:
    """Measure, then save or compare; 1 where something got worse."""
    options = _arguments()

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    saved = json.loads(baseline_path().read_text()) if baseline_path().exists() else {}
    known: Numbers = {} if options.save else saved.get("ratios", {})
    try:
        ratios = measure_ratios(known, rounds=options.rounds, seconds=options.seconds, say=say)
    except (PeerError, UnavailableError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    try:
        instructions = count_instructions(say)
    except UnavailableError as reason:
        instructions = {}
        print(f"instructions not counted: {reason}")
    for name, value in (*ratios.items(), *instructions.items()):
        print(f"{name:42}  {value:12,.4g}" if value < 1000 else f"{name:42}  {value:12,.0f}")
    if options.save:
        _save(ratios, instructions)
        return 0
    if not saved:
        print(f"no baseline for this kind of CPU ({cpu_id()}): make bench-save makes one")
        return 0
    counted = saved["instructions"].get(_compiler(), {}) if instructions else {}
    worse = regressions(ratios, known, RATIO_BOUND) | regressions(instructions, counted, INSTRUCTION_BOUND)
    for name, figures in worse.items():
        print(f"slower: {name}: {figures}")
    print(
        f"{len(worse)} regressions against {baseline_path().relative_to(ROOT)} of commit {saved['machine']['commit']}"
    )
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
