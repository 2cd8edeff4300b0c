"""Fails where a comment or document cites a section that the specification does not have.

A citation is ``BOLT 4, Packet Construction``: document, comma, words that begin with a section's title (tools/spec_sections.txt).
A comma before a lower-case word or another document goes on with the sentence and cites nothing.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SUFFIXES = {".c", ".h", ".py", ".pyi", ".pyx", ".pxd", ".md", ".rs", ".go"}
CITATION = re.compile(r"\b(BOLT|bLIP) (\d+), (?=(?!BOLT |bLIP )`?[A-Z])([^.;()\[\]\"]{1,80})")
# A line's end within a comment: what leads the next line is not text
WRAP = re.compile(r"[ \t]*\n[ \t]*(?:\*(?!/)|//|#)?[ \t]*")


def titles() -> dict[str, list[str]]:
    """Document to its section titles, lower case."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "tools/spec_sections.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            here = found.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            here += {line.lower(), line.lower().split(":")[0]}  # "Appendix A" is enough
    return found


def wrong(text: str, sections: dict[str, list[str]]) -> tuple[int, list[str]]:
    """How many citations a text has, and those that name no section."""
    flat = WRAP.sub(" ", text)
    count, bad = 0, []
    for kind, number, words in CITATION.findall(flat):
        count += 1
        cited = words.replace("`", "").lower()
        if not any(cited.startswith(title) for title in sections.get(f"{kind} {number}", [])):
            bad.append(f"{kind} {number}, {words.strip()}")
    return count, bad


def main() -> int:
    names = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    sections = titles()
    total, failures = 0, 0
    for name in names:
        path = ROOT / name
        if path.suffix not in SUFFIXES or not path.is_file() or name == "tests/test_lint_tools.py":
            continue
        count, bad = wrong(path.read_text(encoding="utf-8"), sections)
        total += count
        failures += len(bad)
        for citation in bad:
            print(f"{name}: no such section: {citation}", file=sys.stderr)
    print(f"{total} citations, {failures} of sections that do not exist")
    return 1 if failures or not total else 0


if __name__ == "__main__":
    sys.exit(main())
