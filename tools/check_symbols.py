"""Fails where a compiled module exports more than its PyInit, or has writable data that is not known to be meant.

Constants that hold addresses stand in .data.rel.ro, which the loader makes read-only.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Writable data of the core, with why it may be
STATE = {
    "dispatch": "the choice of implementations (csrc/dispatch.c)",
    "ksf_cpu_found": "CPU features, read once (csrc/cpu.c)",
    "ksf_base_table": "multiples of the base point, public, made once by init() (csrc/secp256k1/hop_table_impl.h)",
    "ksf_run_base_table": "the same for runs of windows, made by the same init() (csrc/secp256k1/hop_table_impl.h)",
    "ls": "libsecp256k1's functions, set once (csrc/secp256k1/ecmult_libsecp.c)",
    "scratch": "of the making of ksf_base_table, under the dispatch lock, public (csrc/secp256k1/hop_table_impl.h)",
    "ksf_arena_spare": "freed blocks for the next batch (keysend_fast/_arena.h)",
}
# Made by cffi, Cython and the C runtime
GENERATED = re.compile(
    r"_cffi_\w+|__?pyx_\w+|__Pyx_\w+|main_interpreter_id|generic|strided|indirect|contiguous|indirect_contiguous"
    r"|completed|__TMC_END__|__dso_handle"
)


def nm(module: Path, *options: str) -> list[list[str]]:
    """Name, class and section of each defined symbol."""
    command = ["nm", "--format=sysv", "--defined-only", *options, str(module)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [[cell.strip() for cell in line.split("|")] for line in lines if line.count("|") == 6]
    return [[row[0], row[2], row[6]] for row in rows if row[0] != "Name"]


def faults(module: Path) -> list[str]:
    init = f"PyInit_{module.name.split('.')[0]}"
    exported = {name for name, _, _ in nm(module, "--dynamic")}
    found = [f"exports {name}" for name in sorted(exported - {init, "_init", "_fini"})]
    if init not in exported:
        found.append(f"does not export {init}")
    symbols = nm(module)
    if not symbols:
        found.append("is stripped: its data cannot be checked")
    for name, _, section in symbols:
        base = name.split(".")[0]  # gcc numbers static locals and clones
        writable = section in (".data", ".bss", ".tdata", ".tbss")
        if writable and base not in STATE and not GENERATED.fullmatch(base):
            found.append(
                f"has writable data {name} in {section}: make it const, or say in {Path(__file__).name} why not"
            )
    return found


def main() -> int:
    modules = sorted((ROOT / "keysend_fast").glob("*.so"))
    failed = [f"{module.name} {fault}" for module in modules for fault in faults(module)]
    print(*failed, sep="\n", file=sys.stderr, end="\n" if failed else "")
    print(f"{len(modules)} compiled modules, {len(failed)} faults")
    return 1 if failed or not modules else 0


if __name__ == "__main__":
    sys.exit(main())
