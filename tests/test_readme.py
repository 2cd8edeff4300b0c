"""The README's example does what it says, and its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_example() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    result = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    ok, amount, expiry, packet, payment_hash = result.stdout.split()
    assert (ok, amount, expiry) == ("True", "50021", "935186")  # block_height + 1 + delay
    assert re.fullmatch("00(02|03)[0-9a-f]{12}", packet)
    assert re.fullmatch("[0-9a-f]{64}", payment_hash)


DOCUMENTS = sorted(path.relative_to(ROOT) for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links(document: Path) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target and not target.startswith("mailto:"):
            assert ((ROOT / document).parent / target).exists(), target


def test_few_documents_at_the_top() -> None:
    assert {path.name for path in ROOT.glob("*.md")} <= {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"}
