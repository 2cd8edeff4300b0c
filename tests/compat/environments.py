"""Where pyln-proto and Electrum run: the environments of benchmarks/peers, with what keysend_fast itself needs."""

from __future__ import annotations

import functools

from benchmarks.peers import install
from benchmarks.peers.install import Command, UnavailableError

ELECTRUMS = {"4.3.4": "bookworm", "4.5.8": "trixie", "4.8.3": "sid"}
"""Releases and the Debian suites that carry them."""


@functools.cache
def pyln() -> Command | str:
    """The python of pyln-proto's environment, made with pip where it is missing; or why it cannot be had."""
    try:
        return Command(install.pyln().argv[:1])
    except UnavailableError as reason:
        return str(reason)


@functools.cache
def electrum(release: str, fetch: bool) -> Command | str:
    """A python that imports this Electrum and keysend_fast; or why there is none. fetch: from Debian, where it is missing."""
    suite = ELECTRUMS[release]
    if not fetch and not (install.BUILD / f"electrum-{suite}" / "unpacked").exists():
        return f"Electrum {release} is not here: `make long` fetches Debian's {suite} package"
    try:
        command = install.electrum("raw", suite)
        python = install._venv("electrum-compat", (*install.ELECTRUM_REQUIREMENTS, "cffi>=1.17", "coincurve>=21"))
    except UnavailableError as reason:
        return str(reason)
    return Command([python], dict(command.env))
