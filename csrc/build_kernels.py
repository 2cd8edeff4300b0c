"""cffi builder of keysend_fast._kernels: the one compile of the C core. Its cdef is the marked part of ksf.h."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent.parent


def cdef_text() -> str:
    text = (ROOT / "csrc/include/ksf.h").read_text(encoding="utf-8")
    part = text.split("/* CFFI-BEGIN */", 1)[1].split("/* CFFI-END */", 1)[0]
    return re.sub(r"/\*.*?\*/", "", part, flags=re.S)


def files(pattern: str) -> list[str]:
    """Relative and '/'-separated: setuptools refuses absolute paths in an sdist."""
    found = (p.relative_to(ROOT).as_posix() for p in (ROOT / "csrc").rglob(pattern))
    return sorted(p for p in found if p != "csrc/_kernels.c")


# Sanitizers and checks only (tools/asan.sh); instruction sets and optimisation are set inside the files.
EXTRA = shlex.split(os.environ.get("KSF_CFLAGS", ""))

ffibuilder = FFI()
ffibuilder.cdef(cdef_text())
ffibuilder.set_source(
    "keysend_fast._kernels",
    '#include "ksf.h"',
    sources=files("*.c"),
    depends=files("*.h"),
    include_dirs=["csrc/include"],
    extra_compile_args=["-O3", "-std=gnu11", "-fvisibility=hidden", "-pthread", "-Wall", "-g0", *EXTRA],
    extra_link_args=["-pthread", *EXTRA],
)
