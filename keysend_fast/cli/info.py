"""``keysend-fast info``: what this installation is made of."""

from __future__ import annotations

import json

import click
from rich import box
from rich.console import Console
from rich.table import Table

from keysend_fast.cli.options import as_json, implementation
from keysend_fast.config import show_config

__all__ = ["info"]


@click.command()
@implementation
@as_json
def info(implementation: str | None, as_json: bool) -> None:
    """Versions, CPU features, and what runs for each primitive."""
    config = show_config(implementation)
    if as_json:
        click.echo(json.dumps(config, indent=2))
        return
    console = Console()
    facts = Table(box=box.SIMPLE, show_header=False, title="keysend_fast", title_justify="left")
    for name, value in config.items():
        if name not in ("implementations", "chosen"):
            facts.add_row(name, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
    rows = Table(box=box.SIMPLE, title="Implementations, best first", title_justify="left")
    for heading in ("slot", "name", "used", "self-test", "what it is"):
        rows.add_column(heading)
    for row in config["implementations"]:
        used = config["chosen"].get(row["slot"]) == row["name"]
        test = row["self_test"] if row["runs_here"] else "CPU cannot"
        rows.add_row(row["slot"], row["name"], "yes" if used else "", test, row["description"])
    console.print(facts)
    console.print(rows)
