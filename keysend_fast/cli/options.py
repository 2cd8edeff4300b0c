"""Options that several commands take."""

from __future__ import annotations

import click

from keysend_fast._native import chosen_implementations

__all__ = ["as_json", "implementation", "threads"]


def _implementation(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    try:
        chosen_implementations(value)
    except ValueError as e:
        raise click.BadParameter(str(e)) from None
    return value


implementation = click.option(
    "--implementation",
    metavar="NAME",
    callback=_implementation,
    help="What runs, such as portable, libsecp256k1 or ecmult=portable,sha256=shani. Default: the best here.",
)
threads = click.option("--threads", type=click.IntRange(1, 1024), help="Default: one a core.")
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output, no table.")
