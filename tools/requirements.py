"""Print the requirements of extras of pyproject.toml, one shell word each: `build` is what builds the package."""

from __future__ import annotations

import shlex
import sys
import tomllib
from pathlib import Path


def requirements(names: list[str]) -> list[str]:
    """Requirements of the extras, in order, each once. Raises KeyError for a name that is not one."""
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
    extras: dict[str, list[str]] = {
        "build": project["build-system"]["requires"],
        **project["project"]["optional-dependencies"],
    }
    return list(dict.fromkeys(requirement for name in names for requirement in extras[name]))


if __name__ == "__main__":
    print(*map(shlex.quote, requirements(sys.argv[1:])))
