"""Packaged real-world input: the public graph and routes of 2026-02-03, and two podcast feeds.

What each file is and where it came from stands in ``PROVENANCE.md`` beside this module.
"""

from importlib.resources import files
from typing import BinaryIO, cast

ROUTES = "routes-2026-02-03.jsonl.gz"
NODES = "nodes-2026-02-03.csv.gz"
CHANNELS = "channels-2026-02-03.csv.gz"
SPLITS_FEED = "value-splits-feed.xml"
EXAMPLE_FEED = "podcast-namespace-example.xml"

NAMES = (ROUTES, NODES, CHANNELS, SPLITS_FEED, EXAMPLE_FEED)


def open_data(name: str) -> BinaryIO:
    """Open one packaged data file for reading, as its raw bytes.

    name: one of ``NAMES``. Files that end in ``.gz`` come compressed (hand the result to ``gzip.open``).
    The caller owns the stream and closes it. Raises KeyError for any other name.
    """
    if name not in NAMES:
        raise KeyError(f"no packaged data file {name!r}; there are {', '.join(NAMES)}")
    return cast(BinaryIO, files(__name__).joinpath(name).open("rb"))
