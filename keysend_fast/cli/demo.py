"""``keysend-fast demo``: the main job on real routes, in one command."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from keysend_fast._native import chosen_implementations
from keysend_fast.cli.exits import Exit
from keysend_fast.cli.options import as_json, implementation, threads
from keysend_fast.cli.relay import Network, Report, run

__all__ = ["demo"]

DEFAULT_PAYMENTS = 50_000


@click.command()
@click.option(
    "--payments", type=click.IntRange(1), default=DEFAULT_PAYMENTS, show_default=True, help="How many keysends."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the demo's node keys. Payments stay random.")
@implementation
@threads
@as_json
@click.pass_context
def demo(
    context: click.Context, payments: int, seed: int, implementation: str | None, threads: int | None, as_json: bool
) -> None:
    """Pay over the public network's routes, peel every layer, let every recipient claim.

    The 1,745 routes are real ones of 2026-02-03; node keys are made here in place of the real ones, so that each layer can
    be peeled. Nothing leaves this machine. Exits with 1 unless every recipient claimed.
    """
    threads = threads or len(os.sched_getaffinity(0))
    began = time.perf_counter()
    network = Network.from_packaged_routes(seed)
    rounds, rest = divmod(payments, len(network.routes))
    layers = [len(route) for route in network.routes]
    total = rounds * sum(layers) + sum(layers[:rest])
    console = Console(stderr=True)
    columns = TextColumn("{task.description:<8}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=as_json or not console.is_terminal) as bars:
        tasks = {
            "built": bars.add_task("built", total=payments),
            "peeled": bars.add_task("peeled", total=total),
            "ended": bars.add_task("claimed", total=payments),
        }
        report = run(
            network,
            payments,
            implementation=implementation,
            threads=threads,
            progress=lambda stage, count: bars.advance(tasks[stage], count),
        )
    seconds = time.perf_counter() - began
    chosen = chosen_implementations(implementation)
    if as_json:
        click.echo(json.dumps(_as_dict(report, chosen, threads, seconds), indent=2))
    else:
        _print(Console(), report, chosen, threads, seconds)
    context.exit(Exit.DONE if report.all_claimed else Exit.INCOMPLETE)


def _as_dict(report: Report, chosen: dict[str, str], threads: int, seconds: float) -> dict[str, Any]:
    stages = {
        name: {**asdict(getattr(report, name)), "per_second": getattr(report, name).per_second} for name in _STAGES
    }
    return {
        "payments": report.payments,
        "routes": report.routes,
        "nodes": report.nodes,
        **stages,
        "claimed": report.claimed,
        "claimed_msat": report.claimed_msat,
        "refused": dict(report.refused),
        "free_bytes": report.free_summary(),
        "hop_tables": report.table_stats,
        "implementation": chosen,
        "threads": threads,
        "seconds": seconds,
    }


_STAGES = {
    "build": ("built", "onions", "bLIP 10 metadata in each"),
    "peel": ("peeled", "layers", "each with its node's key"),
    "read": ("read", "payloads", "forwarded or claimed"),
}


def _print(console: Console, report: Report, chosen: dict[str, str], threads: int, seconds: float) -> None:
    console.print(
        f"{report.payments:,} keysends over {report.routes:,} routes of the public network, {report.nodes} nodes"
    )
    work = Table(box=box.SIMPLE)
    work.add_column("")
    for heading in ("count", "seconds", "per second"):
        work.add_column(heading, justify="right")
    work.add_column("")
    for name, (did, unit, what) in _STAGES.items():
        stage = getattr(report, name)
        work.add_row(did, f"{stage.count:,} {unit}", f"{stage.seconds:.2f}", f"{stage.per_second:,.0f}", what)
    console.print(work)
    facts = Table(box=None, show_header=False, pad_edge=True)
    facts.add_column(style="bold")
    facts.add_column()
    facts.add_row(
        "claimed", f"{report.claimed:,} of {report.payments:,} recipients, {report.claimed_msat // 1000:,} sat"
    )
    for why, count in report.refused.most_common() or [("", 0)]:
        facts.add_row("refused", f"{count:,} {why}" if count else "none")
    free = report.free_summary()
    facts.add_row("bytes free", f"{free['least']} to {free['most']} of 1300, median {free['median']}")
    facts.add_row("ran", ", ".join(f"{slot} {name}" for slot, name in chosen.items()))
    tables = report.table_stats
    kept = f"{tables['tables']} hop tables of {tables['bytes'] >> 20} MiB" if tables["tables"] else "no hop tables"
    facts.add_row("", f"{threads} thread{'s' * (threads > 1)}, {kept}")
    facts.add_row("all in all", f"{seconds:.1f} s")
    console.print(facts)
