"""What several tests share: the vector files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).resolve().parent / "vectors"


def load_vector(name: str) -> Any:
    """Return the parsed JSON of `tests/vectors/<name>.json`; PROVENANCE.md there says where each comes from."""
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
