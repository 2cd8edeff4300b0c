"""The project's own lints see the faults that they are for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tools import check_citations, check_paths, check_symbols


def test_citations_name_sections_that_exist() -> None:
    sections = check_citations.titles()
    assert check_citations.wrong("BOLT 4, Packet Construction; bLIP 3, Rationale", sections) == (2, [])
    assert check_citations.wrong("/* BOLT 4, Payload\n * Format */", sections) == (1, [])
    assert check_citations.wrong("# BOLT 4, Packet Constriction.", sections) == (1, ["BOLT 4, Packet Constriction"])
    assert check_citations.wrong("as in BOLT 4, BOLT 1 and BOLT 7, which", sections) == (0, [])


@pytest.mark.parametrize("line", ["see /" + "home/ann/x", "cc=/" + "root/bin/cc", "https:" + "//registry.invalid/x"])
def test_paths_and_hosts_of_others(line: str) -> None:
    hosts = [host for host in check_paths.HOST.findall(line) if host not in check_paths.HOSTS]
    assert check_paths.MACHINE.findall(line) + hosts


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("void PyInit_x(void){} static const int a[9] = {1};", []),
        ("void PyInit_x(void){} int leaked(void){return 1;}", ["exports leaked"]),
        ("static int kept; int PyInit_x(void){return kept++;}", ["has writable data kept in .bss"]),
        ("int y;", ["exports y", "does not export PyInit_x", "has writable data y in .bss"]),
    ],
)
def test_symbols(source: str, faults: list[str], tmp_path: Path) -> None:
    module = tmp_path / "x.so"
    command = ["cc", "-x", "c", "-shared", "-fPIC", "-O0", "-o", str(module), "-"]
    subprocess.run(command, input=source, text=True, check=True)
    found = check_symbols.faults(module)
    assert [fault.split(":")[0] for fault in found] == faults
