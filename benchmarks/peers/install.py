"""Gets each peer ready under build/peers/: environments, a cargo and a go build, Debian's Electrum unpacked.

Nothing is installed outside build/peers/. A peer that cannot be had raises `UnavailableError` with the reason, which
becomes its row.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "peers"

PYLN_REQUIREMENTS = ("pyln-proto==26.6.9",)
# What lnonion's import pulls in, over all of Electrum 4.3 to 4.8; Electrum itself comes from Debian.
ELECTRUM_REQUIREMENTS = (
    "aiohttp",
    "aiohttp_socks",
    "aiorpcx>=0.25,<0.26",
    "attrs",
    "bitstring<4",
    "certifi",
    "cryptography",
    "dnspython",
    "jsonpatch",
    "protobuf<4",
    "qrcode",
    "setuptools<81",
)
ELECTRUM_PACKAGES = re.compile(r"python3-electrum(-ecc|-aionostr)?|libsecp256k1-\d+")
LDK_TEST_ONLY = '#[cfg(any(test, feature = "_test_utils"))]'
DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class UnavailableError(Exception):
    """This peer cannot be built or fetched here; the message says why."""


@dataclass(frozen=True)
class Command:
    """How to start a peer's adapter; the workload's path is appended."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)


def _run(argv: Sequence[str], *, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> str:
    """Standard output of a build step; its last words on failure."""
    try:
        done = subprocess.run(
            argv, cwd=cwd, env=os.environ | (env or {}), capture_output=True, text=True, check=False, timeout=900
        )
    except FileNotFoundError:
        raise UnavailableError(f"{argv[0]} is not on PATH") from None
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{argv[0]} took longer than 15 minutes") from None
    if done.returncode:
        words = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        errors = [line for line in words if line.lower().startswith(("error", "e:"))] or words[-1:]
        raise UnavailableError(f"{Path(argv[0]).name} failed: {(errors or ['no message'])[0]}")
    return done.stdout


def _venv(name: str, requirements: Sequence[str]) -> str:
    """The python of a virtual environment with these requirements, made once."""
    home = BUILD / f"venv-{name}"
    stamp = home / "requirements.stamp"
    wanted = "\n".join((sys.version, *requirements))
    python = str(home / "bin" / "python")
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(home, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(home)])
        _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements])
        stamp.write_text(wanted)
    return python


def ours(variant: str) -> Command:
    """This project in the running interpreter's environment."""
    return Command([sys.executable, "-m", "benchmarks.peers.ours.adapter", variant])


def coincurve(variant: str) -> Command:
    """The hand-written loops, beside the product's own coincurve."""
    return Command([sys.executable, "-m", "benchmarks.peers.coincurve.adapter", variant])


def ldk() -> Command:
    """LDK: release, fat LTO, for this very CPU."""
    if shutil.which("cargo") is None:
        raise UnavailableError("cargo is not on PATH")
    target = BUILD / "ldk"
    env = {"CARGO_TARGET_DIR": str(target), "RUSTFLAGS": "-C target-cpu=native"}
    _run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=HERE / "ldk", env=env)
    return Command([str(target / "release" / "keysend-fast-peers-ldk")])


def ldk_opened() -> Command:
    """LDK with its failure code made callable: a copy of the crate with opened.rs appended to its onion_utils.rs."""
    ldk()  # which also fetches the crate
    crate, copy, target = BUILD / "ldk-opened", BUILD / "lightning-opened", BUILD / "ldk-opened-target"
    sources = sorted(path for path in (HERE / "ldk").rglob("*") if path.is_file())
    wanted = sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    stamp = crate / "sources.stamp"
    if not stamp.exists() or stamp.read_text() != wanted:
        _open_ldk(crate, copy)
        stamp.write_text(wanted)
    env = {"CARGO_TARGET_DIR": str(target), "RUSTFLAGS": "-C target-cpu=native"}
    _run(["cargo", "build", "--release", "--quiet", "--features", "opened"], cwd=crate, env=env)
    return Command([str(target / "release" / "keysend-fast-peers-ldk")])


def _open_ldk(crate: Path, copy: Path) -> None:
    metadata = json.loads(_run(["cargo", "metadata", "--locked", "--format-version", "1"], cwd=HERE / "ldk"))
    (manifest,) = [package["manifest_path"] for package in metadata["packages"] if package["name"] == "lightning"]
    for source, target in ((HERE / "ldk", crate), (Path(manifest).parent, copy)):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
    utils = copy / "src" / "ln" / "onion_utils.rs"
    text = utils.read_text()
    if LDK_TEST_ONLY not in text:
        raise UnavailableError("this edition of LDK hides its decoded failures otherwise than expected")
    utils.write_text(text.replace(LDK_TEST_ONLY, "") + (HERE / "ldk" / "opened.rs").read_text())
    with (crate / "Cargo.toml").open("a") as manifest_file:
        manifest_file.write('\n[patch.crates-io]\nlightning = { path = "../lightning-opened" }\n')


def lnd() -> Command:
    """LND's lightning-onion."""
    if shutil.which("go") is None:
        raise UnavailableError("go is not on PATH")
    binary = BUILD / "lnd"
    binary.parent.mkdir(parents=True, exist_ok=True)
    _run(["go", "build", "-mod=readonly", "-o", str(binary), "."], cwd=HERE / "lnd", env={"GOAMD64": _goamd64()})
    return Command([str(binary)])


def _goamd64() -> str:
    """The highest of Go's x86-64 levels that this CPU has; v1 elsewhere, where Go ignores it."""
    flags = cpu_flags()
    if {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"} <= flags:
        return "v4"
    return "v3" if {"avx2", "bmi1", "bmi2", "fma", "movbe"} <= flags else "v1"


def cpu_flags() -> set[str]:
    """Linux's names of the CPU's features; empty where there is no /proc/cpuinfo."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return set()
    match = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    return set(match.group(1).split()) if match else set()


def pyln() -> Command:
    """pyln-proto in an environment of its own: it brings a fork that overwrites coincurve."""
    return Command([_venv("pyln", PYLN_REQUIREMENTS), "-m", "benchmarks.peers.pyln.adapter"])


def _apt(suite: str) -> list[str]:
    """apt options for private lists of one Debian suite, from the mirror that this system already uses."""
    home = BUILD / f"apt-{suite}"
    options = [f"Dir::State={home}", f"Dir::State::lists={home / 'lists'}", f"Dir::State::status={home / 'status'}"]
    options += [f"Dir::Cache={home / 'cache'}", f"Dir::Etc::sourcelist={home / 'sources.list'}"]
    options += ["Dir::Etc::sourceparts=/dev/null", "APT::Sandbox::User="]
    if not (home / "updated").exists():
        mirror = _debian_mirror()
        for folder in ("lists/partial", "cache/archives/partial"):
            (home / folder).mkdir(parents=True, exist_ok=True)
        (home / "status").touch()
        signed = f"[signed-by={DEBIAN_KEYRING}] " if DEBIAN_KEYRING.exists() else ""
        (home / "sources.list").write_text(f"deb {signed}{mirror} {suite} main\n")
        _run(["apt-get", *_options(options), "update", "--error-on=any"])
        (home / "updated").touch()
    return _options(options)


def _options(options: Sequence[str]) -> list[str]:
    return [word for option in options for word in ("-o", option)]


def _debian_mirror() -> str:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise UnavailableError("Electrum's library is taken from Debian's packages, and apt-get or dpkg-deb is missing")
    targets = _run(["apt-get", "indextargets", "--format", "$(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI)"])
    for line in targets.splitlines():
        origin, component, codename, uri = (line.split() + [""] * 4)[:4]
        if origin == "Debian" and component == "main" and "-" not in codename:
            return uri
    raise UnavailableError("no Debian package lists on this system; on Debian, run 'apt-get update' once")


def electrum(variant: str, suite: str) -> Command:
    """Electrum of a Debian suite, unpacked and not installed; its plain Python dependencies from PyPI."""
    home = BUILD / f"electrum-{suite}"
    if not (home / "unpacked").exists():
        options = _apt(suite)
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        wanted, seen = ["python3-electrum"], set[str]()
        while wanted:
            package = wanted.pop()
            if package in seen:
                continue
            seen.add(package)
            depends = _run(["apt-cache", *options, "show", "--no-all-versions", package])
            for line in depends.splitlines():
                if line.startswith("Depends:"):
                    names = re.findall(r"[a-z0-9][a-z0-9+.-]+", line)
                    wanted += [name for name in names if ELECTRUM_PACKAGES.fullmatch(name)]
            _run(["apt-get", *options, "download", package], cwd=home)
        for archive in home.glob("*.deb"):
            _run(["dpkg-deb", "-x", str(archive), str(home)])
            archive.unlink()
        (home / "unpacked").touch()
    python = _venv("electrum", ELECTRUM_REQUIREMENTS)
    libraries = {path.parent for path in home.glob("usr/lib/*/libsecp256k1.so.*")}
    env = {
        "PYTHONPATH": str(home / "usr/lib/python3/dist-packages"),
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
    }
    return Command([python, "-m", "benchmarks.peers.electrum.adapter", variant], env)


@dataclass(frozen=True)
class PeerSpec:
    """One row: its key, what to call it, how to get it, and what its packets must be."""

    key: str
    label: str
    install: Callable[[], Command]
    native: bool = False  # compiled and able to use threads
    only: tuple[str, ...] = ()  # the operations it is measured at, where not all
    invalid: str = ""  # why its multi-hop onions are expected to differ


PEERS = (
    PeerSpec("ours-batch", "keysend_fast, batch", lambda: ours("batch"), native=True),
    PeerSpec("ours-warm", "keysend_fast, batch, warm hop tables", lambda: ours("warm"), native=True),
    PeerSpec("ours-keysend", "keysend_fast, whole keysends", lambda: ours("keysend"), native=True),
    PeerSpec("ours-single-warm", "keysend_fast, one call an onion, warm hop tables", lambda: ours("single-warm")),
    PeerSpec("ours-single", "keysend_fast, one call an onion", lambda: ours("single")),
    PeerSpec("ours-libsecp256k1", "keysend_fast over libsecp256k1, batch", lambda: ours("libsecp256k1"), native=True),
    PeerSpec("ldk", "LDK", ldk, native=True),
    PeerSpec("ldk-opened", "LDK, its internals opened", ldk_opened, only=("failure",)),
    PeerSpec("lnd", "LND lightning-onion", lnd, native=True),
    PeerSpec("coincurve-var", "coincurve loop, variable time", lambda: coincurve("var")),
    PeerSpec("coincurve-lib", "coincurve loop, bare library", lambda: coincurve("lib")),
    PeerSpec("coincurve-ct", "coincurve loop, constant time", lambda: coincurve("ct")),
    PeerSpec("electrum-4.5", "Electrum 4.5, encoded payloads", lambda: electrum("raw", "trixie")),
    PeerSpec("electrum-raw", "Electrum 4.8, encoded payloads", lambda: electrum("raw", "sid")),
    PeerSpec("electrum-dict", "Electrum 4.8", lambda: electrum("dict", "sid")),
    PeerSpec("pyln", "pyln-proto", pyln, invalid="its filler covers the wrong hops"),
)
OURS = "ours-batch"
REFERENCE = "coincurve-lib"
