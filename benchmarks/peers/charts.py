"""Charts of a saved run, as SVG and PNG: transparent, with mid-tone text, so that they read on light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from .measure import HOP_COUNTS
from .report import Run, minimum

INK = "#808890"  # contrast of about 3.6 on white and 5 on GitHub's dark page
GRID = "#80889055"
OURS, PEER = "#e8590c", "#4c8dd6"
LINES = {
    "ours-batch": (OURS, "-", "o"),
    "ours-warm": ("#c2255c", "-", "o"),
    "ours-keysend": ("#f59f00", "--", "o"),
    "ours-single": ("#f59f00", ":", "o"),
    "ours-libsecp256k1": ("#a0643c", "-", "o"),
    "ldk": ("#4c8dd6", "-", "s"),
    "lnd": ("#20a39e", "-", "^"),
    "coincurve-var": ("#9775d8", "--", "v"),
    "coincurve-ct": ("#9775d8", "-", "v"),
    "electrum-raw": ("#d6578c", "-", "D"),
    "pyln": ("#8d8d5a", "-", "x"),
}
HOP_LINES = ("ours-batch", "ours-libsecp256k1", "ldk", "lnd", "coincurve-var", "coincurve-ct", "electrum-raw", "pyln")
WIDTH = 8.8  # inches; at 100 dpi about a README's column


def _thousands(value: float, _position: object) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _figure(height: float, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), layout=ConstrainedLayoutEngine(h_pad=0.14, w_pad=0.06))
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=13, color=INK, pad=12)
    axes.patch.set_alpha(0)
    figure.patch.set_alpha(0)
    axes.tick_params(colors=INK, labelsize=11, which="both")
    for side in axes.spines.values():
        side.set_visible(False)
    return figure, axes


def _save(figure: Figure, folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(folder / f"{name}.svg", transparent=True, metadata={"Date": None})
    figure.savefig(folder / f"{name}.png", transparent=True, dpi=180, metadata={"Software": None})


def _peers(run: Run) -> list[dict[str, Any]]:
    return [peer for peer in run["peers"] if "not_available" not in peer]


def by_peer(run: Run, folder: Path) -> None:
    """Onions a second over the real routes, one thread, one bar a peer."""
    rates = [(peer, minimum(run, peer["key"], "build", "real")) for peer in _peers(run)]
    bars = sorted(((1e9 / ns, peer) for peer, ns in rates if ns), key=lambda bar: bar[0])
    figure, axes = _figure(0.42 * len(bars) + 1.0, "Onions a second over 1,745 real routes, one thread")
    labels = [peer["label"] + (" (invalid onions)" if peer["bytes"] == "invalid" else "") for _, peer in bars]
    colours = [OURS if peer["key"].startswith("ours") else PEER for _, peer in bars]
    drawn = axes.barh(labels, [rate for rate, _ in bars], color=colours, height=0.68)
    axes.bar_label(drawn, [f"{rate:,.0f}" for rate, _ in bars], padding=5, color=INK, fontsize=11)
    axes.set_xlim(0, bars[-1][0] * 1.14)
    axes.xaxis.set_visible(False)
    axes.tick_params(axis="y", length=0)
    _save(figure, folder, "peers-onions-per-second")


def _log_axes(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_yscale("log")
    axes.set_xlabel(x_label, color=INK, fontsize=11)
    axes.set_ylabel(y_label, color=INK, fontsize=11)
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(_thousands))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="both", which="minor", length=0)
    axes.grid(axis="y", color=GRID, which="major")
    axes.set_axisbelow(True)


def _legend(axes: Axes) -> None:
    legend = axes.legend(frameon=False, fontsize=10.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
    for text in legend.get_texts():
        text.set_color(INK)


def by_hops(run: Run, folder: Path) -> None:
    """Time per onion against the number of hops, logarithmic."""
    figure, axes = _figure(4.6, "Time to build one onion, one thread")
    for peer in _peers(run):
        if peer["key"] not in HOP_LINES:
            continue
        points = [(n, ns / 1000) for n in HOP_COUNTS if (ns := minimum(run, peer["key"], "build", f"hops-{n}"))]
        if points:
            colour, style, marker = LINES[peer["key"]]
            axes.plot(
                *zip(*points, strict=True), style, color=colour, marker=marker, markersize=4.5, label=peer["label"]
            )
    _log_axes(axes, "hops", "µs an onion")
    axes.set_xticks([1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20])
    _legend(axes)
    _save(figure, folder, "peers-time-by-hops")


def by_batch(run: Run, folder: Path) -> None:
    """Our throughput against the size of the batch, beside LDK's and the coincurve loop's single calls."""
    sizes = sorted({row["batch"] for row in run["rows"] if row.get("batch") and row["threads"] == 1})
    if not sizes:
        return
    figure, axes = _figure(4.2, "Four-hop onions a second by size of the batch, one thread")
    for peer in _peers(run):
        points = [
            (size, 1e9 / ns)
            for size in sizes
            if (ns := minimum(run, peer["key"], "build", "hops-4", batch=size)) is not None
        ]
        if points:
            colour, style, marker = LINES[peer["key"]]
            axes.plot(
                *zip(*points, strict=True), style, color=colour, marker=marker, markersize=4.5, label=peer["label"]
            )
    for key in ("ldk", "coincurve-var"):
        ns = minimum(run, key, "build", "hops-4")
        label = next((peer["label"] for peer in _peers(run) if peer["key"] == key), "")
        if ns and label:
            axes.axhline(1e9 / ns, color=LINES[key][0], linestyle="--", label=f"{label}, one by one")
    _log_axes(axes, "onions in a batch", "onions a second")
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    _legend(axes)
    _save(figure, folder, "peers-throughput-by-batch")


def by_threads(run: Run, folder: Path) -> None:
    """Throughput against threads, for whoever can use them."""
    threads = sorted({row["threads"] for row in run["rows"] if row["op"] == "build"})
    if len(threads) < 2:
        return
    figure, axes = _figure(4.2, "Four-hop onions a second by threads")
    for peer in _peers(run):
        if not peer["threads"]:
            continue
        points = _thread_points(run, peer["key"], threads)
        if len(points) > 1:
            colour, style, marker = LINES[peer["key"]]
            axes.plot(*zip(*points, strict=True), style, color=colour, marker=marker, markersize=5, label=peer["label"])
    axes.set_xlabel("threads", color=INK, fontsize=11)
    axes.set_ylabel("onions a second", color=INK, fontsize=11)
    axes.set_ylim(bottom=0)
    axes.set_xticks(threads)
    axes.yaxis.set_major_formatter(FuncFormatter(_thousands))
    axes.grid(axis="y", color=GRID)
    _legend(axes)
    _save(figure, folder, "peers-throughput-by-threads")


def _thread_points(run: Run, key: str, threads: Sequence[int]) -> list[tuple[int, float]]:
    points = []
    for count in threads:
        ns = minimum(run, key, "build", "hops-4", threads=count, batch=None if count == 1 else 1024)
        if ns is not None:
            points.append((count, 1e9 / ns))
    return points


def draw(run: Run, folder: Path) -> list[str]:
    """All charts of a run into `folder`; the names of those that exist afterwards."""
    for chart in (by_peer, by_hops, by_batch, by_threads):
        chart(run, folder)
    return sorted(path.stem for path in folder.glob("peers-*.svg"))
