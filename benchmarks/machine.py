"""What every saved measurement says about where it was made."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
# The features that decide which kernels run; the rest of /proc/cpuinfo says nothing about onions.
TELLING_FLAGS = ("sha_ni", "avx2", "bmi2", "adx", "avx512f", "avx512ifma", "avx512vl", "hypervisor")


def cpu_model() -> str:
    """The CPU's own name; the machine type where Linux does not tell."""
    match = re.search(r"^model name\s*:\s*(.+)$", _cpuinfo(), re.MULTILINE)
    return match.group(1).strip() if match else platform.processor() or platform.machine()


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""


def cpu_id() -> str:
    """Vendor, family, model and stepping: names the kind of CPU where `cpu_model` is vague (as in virtual machines)."""
    fields = dict(re.findall(r"^(vendor_id|cpu family|model|stepping)\s*:\s*(\S+)$", _cpuinfo(), re.MULTILINE))
    if len(fields) < 4:
        return platform.machine()
    return f"{fields['vendor_id']}-{fields['cpu family']}-{fields['model']}-{fields['stepping']}"


def header() -> dict[str, Any]:
    """CPU, its telling features, cores, load, kernel, Python, time and the commit that was measured."""
    match = re.search(r"^flags\s*:(.*)$", _cpuinfo(), re.MULTILINE)
    flags = set(match.group(1).split()) if match else set()
    return {
        "cpu": cpu_model(),
        "cpu_id": cpu_id(),
        "cpu_features": [flag for flag in TELLING_FLAGS if flag in flags],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_average": list(os.getloadavg()),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
    }


def commit() -> str:
    """The measured commit, with a + where the tree differs from it; empty outside a clone."""
    try:
        sha = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
    return sha.strip()[:12] + ("+" if changed.strip() else "")
