"""Write keysend_fast/_ksf.pxd from the marked part of csrc/include/ksf.h; --check fails where the two differ."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEAD = """# Made by tools/make_pxd.py from csrc/include/ksf.h: declarations only. Nothing here is linked.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "ksf.h" nogil:
    enum:
"""


def pxd() -> str:
    header = (ROOT / "csrc/include/ksf.h").read_text(encoding="utf-8")
    part = header.split("/* CFFI-BEGIN */", 1)[1].split("/* CFFI-END */", 1)[0]
    part = re.sub(r"/\*.*?\*/", "", part, flags=re.S)
    lines = [f"        {name}" for name in re.findall(r"#define (\w+) \d+", part)]
    for name, fields, opaque in re.findall(r"typedef struct (?:(\w+) \{(.*?)\} \w+|(\w+) \w+);", part, flags=re.S):
        lines += ["", f"    ctypedef struct {name or opaque}:"]
        if opaque:
            lines.append("        pass")
        for field in fields.split(";"):
            declaration = " ".join(field.split())
            function = re.fullmatch(r"(.*)\(\*(\w+)\)\((.*)\)", declaration)
            if function:
                result, symbol, arguments = function.groups()
                lines.append(f"        {result.strip()} (*{symbol})({arguments}) noexcept nogil")
            elif declaration:
                lines.append(f"        {declaration}")
    return HEAD + "\n".join(lines) + "\n"


def main() -> int:
    target = ROOT / "keysend_fast/_ksf.pxd"
    if "--check" in sys.argv[1:]:
        if target.read_text(encoding="utf-8") != pxd():
            print(f"{target.name} is not what ksf.h says: run tools/make_pxd.py", file=sys.stderr)
            return 1
        return 0
    target.write_text(pxd(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
