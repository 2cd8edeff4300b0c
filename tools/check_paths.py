"""Fails where a tracked file names a path of somebody's machine, or a host that the project has nothing to do with."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
# What others wrote: feeds and vectors as they were published, lock files
FOREIGN = ("keysend_fast/data/", "tests/vectors/", "benchmarks/peers/ldk/Cargo.lock", "benchmarks/peers/lnd/go.sum")
MACHINE = re.compile(r"(?<![\w.])/(?:home|root|work|Users|private)/\w+")
HOST = re.compile(r"https?://(?:[^/@\s]*@)?([A-Za-z0-9.-]+)")
HOSTS = {
    "github.com",
    "creativecommons.org",
    "podcastindex.org",  # the podcast namespace's own name
    "example.com",  # RFC 2606
    "localhost",
    "127.0.0.1",
    "keepachangelog.com",
    "semver.org",
    "www.w3.org",  # namespaces that drawn SVG names, as the next two
    "purl.org",
    "matplotlib.org",
}


def main() -> int:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    failures = 0
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if name.startswith(FOREIGN) or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # pictures
        for number, line in enumerate(text.splitlines(), 1):
            allowed = HOSTS if not name.startswith("tests/") else HOSTS | {"feeds.buzzsprout.com", "b"}
            found = MACHINE.findall(line) + [f"host {host}" for host in HOST.findall(line) if host not in allowed]
            for what in found:
                failures += 1
                print(f"{name}:{number}: {what}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
