"""Tables of a saved run, as aligned Markdown that also reads well in a terminal, and their place in the documents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

Run = dict[str, Any]
NONE = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"
BEGIN, END = "<!-- bench-peers:begin -->", "<!-- bench-peers:end -->"


def minimum(run: Run, peer: str, op: str, case: str, *, threads: int = 1, batch: int | None = None) -> float | None:
    """ns per onion: the best pass; None where there is no such row."""
    for row in run["rows"]:
        if (row["peer"], row["op"], row["case"], row["threads"]) == (peer, op, case, threads) and row.get(
            "batch"
        ) == batch:
            return float(row["min_ns"]) if "min_ns" in row else None
    return None


def most_threads(run: Run, peer: str, op: str, case: str) -> tuple[int, float] | None:
    """(threads, ns per onion) of the row with the most threads beyond one."""
    found = [
        (row["threads"], row["min_ns"])
        for row in run["rows"]
        if row["peer"] == peer and row["op"] == op and row["case"] == case and row["threads"] > 1 and "min_ns" in row
    ]
    return max(found, default=None)


def _us(ns: float | None) -> str:
    if ns is None:
        return NONE
    us = ns / 1000
    return f"{us:,.0f}" if us >= 100 else f"{us:.1f}" if us >= 10 else f"{us:.2f}"


def _rate(ns: float | None) -> str:
    if ns is None:
        return NONE
    rate = 1e9 / ns
    digits = max(0, len(str(int(rate))) - 3)
    return f"{round(rate, -digits):,.0f}"


def _ratio(ns: float | None, ours: float | None) -> str:
    return NONE if ns is None or ours is None else f"{ns / ours:.2f}" if ns < 10 * ours else f"{ns / ours:,.0f}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns; all but the first are numbers."""
    widths = [max(len(line[i]) for line in (head, *rows)) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first, *rest = cells
        return (
            " | ".join(
                ["| " + first.ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(rest, widths[1:], strict=True))]
            )
            + " |"
        )

    rule = "|" + "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])


def table(run: Run, *, full: bool = True) -> str:
    """Every peer: time per onion and the ratio to ours; with `full`, also hop counts, peel, failures and all cores."""
    ours = minimum(run, run["ours"], "build", "real")
    head = ["", "µs/onion", "onions/s", f"{TIMES} ours"]
    if full:
        head += ["4 hops, µs", "20 hops, µs", "peel, µs", "failure, µs", "4 hops, all cores, onions/s"]
    rows = []
    for peer in run["peers"]:
        if "not_available" in peer:
            rows.append([f"{peer['label']}: not available", *[NONE] * (len(head) - 1)])
            continue
        key, real = peer["key"], minimum(run, peer["key"], "build", "real")
        name = peer["label"] + (" ¹" if peer["bytes"] == "invalid" else "")
        cells = [name, _us(real), _rate(real), _ratio(real, ours)]
        if full:
            cells += [_us(minimum(run, key, "build", case)) for case in ("hops-4", "hops-20")]
            cells += [_us(minimum(run, key, "peel", "peel-forward")), _us(minimum(run, key, "failure", "hops-4"))]
            threaded = most_threads(run, key, "build", "hops-4")
            cells.append(_rate(threaded[1]) if threaded else NONE)
        rows.append(cells)
    return markdown(head, rows)


def notes(run: Run) -> str:
    """Machine, versions, and what the table's marks mean, as Markdown."""
    machine = run["machine"]
    measured = (
        f"{machine['cpu']} ({', '.join(machine['cpu_features'])}), {machine['cores']} cores, {machine['system']}, "
        f"Python {machine['python']}, {machine['time'][:10]}, commit {machine['commit'] or 'unknown'}. "
        f"Best pass of {run['rounds']} interleaved rounds, one thread unless it says otherwise."
    )
    lines = [measured]
    bullets = []
    for peer in run["peers"]:
        if "not_available" in peer:
            bullets.append(f"* {peer['label']}: not available: {peer['not_available']}")
        else:
            tables = peer.get("tables")
            held = f", {tables['tables']} tables in {tables['bytes'] / 1e6:.1f} MB" if tables else ""
            bullets.append(f"* {peer['label']}: {peer['version']}, {peer['build']}{held}")
    invalid = [peer for peer in run["peers"] if peer.get("bytes") == "invalid"]
    lines += ["", *bullets]
    if invalid:
        why = "; ".join(f"{peer['label']}: {peer['why']}" for peer in invalid)
        lines += [
            "",
            f"¹ Its onions over more than one hop are not valid ({why}); all the others' are equal byte for byte.",
        ]
    elif any("bytes" in peer for peer in run["peers"]):
        lines += ["", "Every peer's onions are equal byte for byte."]
    return "\n".join(lines)


def insert(document: Path, text: str) -> None:
    """Put `text` between the markers of a document. Raises ValueError where they are not there once, in order."""
    content = document.read_text(encoding="utf-8")
    if content.count(BEGIN) != 1 or content.count(END) != 1 or content.index(BEGIN) > content.index(END):
        raise ValueError(f"{document} needs one {BEGIN} and after it one {END}")
    before, rest = content.split(BEGIN)
    after = rest.split(END)[1]
    document.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
