"""What this installation is made of, for people and bug reports."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

from keysend_fast import _kernels, _native, _secp256k1
from keysend_fast.errors import MissingDependencyError

__all__ = ["show_config"]

_CPU_BITS = ((1, "shani"), (2, "avx2"), (4, "avx512"), (8, "avx512ifma"))


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def show_config(implementation: str | None = None) -> dict[str, Any]:
    """Versions, compiler, CPU features, what runs per primitive, which coincurve, threads; as a JSON-able dictionary.

    implementation: as everywhere; None is the default. Raises ValueError for one that cannot run here.
    """
    try:
        _secp256k1.hand_over()
        libsecp256k1 = "usable"
    except MissingDependencyError as e:
        libsecp256k1 = str(e)
    bits = _kernels.lib.ksf_cpu_bits()
    return {
        "keysend_fast": _version("keysend-fast"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "compiler": _kernels.ffi.string(_kernels.lib.ksf_compiler()).decode(),
        "cpu_features": [name for bit, name in _CPU_BITS if bits & bit],
        "KEYSEND_FAST_IMPL": _native.DEFAULT_IMPLEMENTATION or None,
        "chosen": _native.chosen_implementations(implementation),
        "implementations": _native.list_implementations(),
        "coincurve": _secp256k1.distribution(),
        "libsecp256k1": libsecp256k1,
        "cffi": _version("cffi"),
        "pynacl": _version("pynacl"),
        "threads": len(os.sched_getaffinity(0)),
    }
