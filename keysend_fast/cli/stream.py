"""``keysend-fast stream``: a podcast feed in, settled satoshis out, over the embedded network."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from keysend_fast import data
from keysend_fast.cli.options import as_json, implementation, threads
from keysend_fast.errors import InputError, KeysendFastError
from keysend_fast.payer.account import StreamAccount
from keysend_fast.payer.graph import ChannelGraph
from keysend_fast.payer.lnaddress import KeysendAddress, parse_keysend_address
from keysend_fast.payer.report import html_report, sats
from keysend_fast.payer.splits import FeeMode, Rounding, SplitPolicy
from keysend_fast.payer.stream import Stream, StreamOptions
from keysend_fast.payer.value import Feed, read_feed

_PACKAGED = "packaged"
_MOST_CULPRITS = 5


class Rate(click.ParamType):  # type: ignore[type-arg]  # generic in click's newer releases only
    """An amount a minute: ``100sat/min``, ``1500msat/min``; the minute may be left out."""

    name = "amount/min"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return millisatoshis."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([0-9]{1,13})\s*(sats?|msats?)(/min)?", str(value).strip(), re.ASCII)
        if match is None or int(match[1]) == 0:
            self.fail(f"{value!r} is not an amount such as 100sat/min or 1500msat/min", param, ctx)
        return int(match[1]) * (1 if match[2].startswith("m") else 1000)


class Graph(click.ParamType):  # type: ignore[type-arg]
    """``packaged``, a file with Core Lightning's listchannels answer, or ``NODES.csv:CHANNELS.csv``."""

    name = "graph"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ChannelGraph:
        """Return the graph that was read."""
        if isinstance(value, ChannelGraph):
            return value
        try:
            if value == _PACKAGED:
                return ChannelGraph.packaged()
            if ":" in value and not Path(value).exists():
                nodes, channels = value.split(":", 1)
                with Path(nodes).open("rb") as node_file, Path(channels).open("rb") as channel_file:
                    return ChannelGraph.from_csv(node_file, channel_file)
            return ChannelGraph.from_cln_listchannels(json.loads(Path(value).read_bytes()))
        except json.JSONDecodeError as error:
            self.fail(f"{value} is not JSON: {error}", param, ctx)
        except (OSError, ValueError) as error:
            self.fail(str(error), param, ctx)


def _choices(kind: type[FeeMode] | type[Rounding]) -> click.Choice[str]:
    return click.Choice([choice.value for choice in kind])


def _read(path: str) -> Feed:
    """Read a feed from a file, standard input ("-") or the package (its name)."""
    try:
        if path == "-":
            return read_feed(sys.stdin.buffer)
        with data.open_data(path) if path in data.NAMES and not Path(path).exists() else Path(path).open("rb") as file:
            return read_feed(file)
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None
    except InputError as error:
        raise click.ClickException(f"{path}: {error}") from None


def _documents(pairs: tuple[tuple[str, str], ...]) -> dict[str, KeysendAddress]:
    documents = {}
    for address, path in pairs:
        try:
            documents[address.lower()] = parse_keysend_address(Path(path).read_bytes())
        except (OSError, InputError) as error:
            raise click.ClickException(f"{path}: {error}") from None
    return documents


def _write(path: str, text: str) -> None:
    """Write a whole file or none: a reader never sees half of it."""
    part = Path(f"{path}.part{os.getpid()}")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise click.ClickException(f"{path}: {error.strerror}") from None


@click.command()
@click.argument("feeds", nargs=-1, metavar="[FEED]...")
@click.option("--graph", type=Graph(), default=_PACKAGED, show_default=True, help="Channel graph to pay over.")
@click.option("--rate", type=Rate(), default="100sat/min", show_default=True, help="What each listener gives.")
@click.option(
    "--minutes", type=click.IntRange(1, 100_000), default=10, show_default=True, help="How long each listens."
)
@click.option("--every", type=click.IntRange(1), default=1, show_default=True, help="Minutes that are paid together.")
@click.option("--listeners", type=click.IntRange(1), default=1000, show_default=True, help="How many listen.")
@click.option(
    "--item", "items", multiple=True, help="Guid or title of an item to listen to; repeatable. All if absent."
)
@click.option("--remote", "remotes", multiple=True, metavar="FEED", help="Feed that remote items may name; repeatable.")
@click.option("--keysend-doc", nargs=2, multiple=True, metavar="NAME@HOST FILE", help="Keysend document of an address.")
@click.option("--fee-mode", type=_choices(FeeMode), default=FeeMode.PERCENT_OF_TOTAL.value, show_default=True)
@click.option("--rounding", type=_choices(Rounding), default=Rounding.LARGEST_REMAINDER_MSAT.value, show_default=True)
@click.option("--min-msat", type=click.IntRange(1), default=1000, show_default=True, help="Less is carried forward.")
@click.option("--payers", type=click.IntRange(1), default=32, show_default=True, help="Nodes that listeners pay from.")
@click.option("--retries", type=click.IntRange(0, 20), default=3, show_default=True, help="Other routes tried.")
@click.option(
    "--faults", type=click.FloatRange(0, 100), default=0.0, show_default=True, help="Percent of channels made faulty."
)
@click.option("--wave", type=click.IntRange(1, 65_536), default=4096, show_default=True, help="Payments in flight.")
@click.option("--seed", type=click.IntRange(0, 2**63), default=0, show_default=True, help="Of what chance decides.")
@implementation
@threads
@as_json
@click.option("--csv", "csv_path", metavar="PATH", help="Write a row a recipient.")
@click.option("--html", "html_path", metavar="PATH", help="Write a report with charts.")
def stream(
    feeds: tuple[str, ...],
    graph: ChannelGraph,
    rate: int,
    minutes: int,
    every: int,
    listeners: int,
    items: tuple[str, ...],
    remotes: tuple[str, ...],
    keysend_doc: tuple[tuple[str, str], ...],
    fee_mode: str,
    rounding: str,
    min_msat: int,
    payers: int,
    retries: int,
    faults: float,
    wave: int,
    seed: int,
    implementation: str | None,
    threads: int | None,
    as_json: bool,
    csv_path: str | None,
    html_path: str | None,
) -> None:
    """Stream an audience's minutes to the recipients of podcast FEEDs.

    FEED is a file, "-" for standard input, or the name of a packaged feed (the default is value-splits-feed.xml). Payments
    go over an embedded network: the twin of the graph, with node keys made here, so nothing is really paid. Every layer
    of every onion is peeled, and every millisatoshi accounted for. Exits with 0 when the stream ran and its books balance,
    whatever failed on the way: the summary says what and why.
    """
    policy = SplitPolicy(FeeMode(fee_mode), Rounding(rounding), min_msat)
    options = StreamOptions(
        msat_per_minute=rate,
        minutes=minutes,
        every=every,
        listeners=listeners,
        items=items,
        policy=policy,
        payers=payers,
        retries=retries,
        faults=faults / 100,
        wave=wave,
        seed=seed,
        implementation=implementation,
        **({} if threads is None else {"threads": threads}),
    )
    shows = [_read(path) for path in feeds or (data.SPLITS_FEED,)]
    others = [_read(path) for path in remotes]
    try:
        run = Stream(shows, graph, options, remotes=others, addresses=_documents(keysend_doc))
        account = _run(run, quiet=as_json)
    except KeysendFastError as error:
        raise click.ClickException(str(error)) from None
    if csv_path is not None:
        _write(csv_path, account.to_csv())
    if html_path is not None:
        _write(html_path, html_report(account))
    if as_json:
        click.echo(json.dumps(account.to_dict(), indent=2, ensure_ascii=False))
    else:
        print_account(account, Console())


def _run(run: Stream, *, quiet: bool) -> StreamAccount:
    """Run behind a progress bar on standard error, where that is a terminal."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        return run.run()
    columns = (TextColumn("streaming"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[live]}"))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("streaming", total=None, live="planning")

        def tick(account: StreamAccount, done: int, total: int) -> None:
            rates = account.rates()
            live = f"{rates['payments_per_second']:,.0f} payments/s  {rates['layers_per_second']:,.0f} layers/s"
            bar.update(task, total=total, completed=done, live=live)

        return run.run(tick)


def print_account(account: StreamAccount, console: Console) -> None:
    """Print the summary: by recipient, failures by reason, rates."""
    table = Table(title=account.title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column("recipient", overflow="ellipsis", no_wrap=True, max_width=16)
    for name in ("paid", "due sat", "settled", "carried", "failed", "fees"):
        table.add_column(name, justify="right", no_wrap=True)
    for r in account.recipients:
        failed = sum(r.failed_msat.values())
        amounts = (r.due_msat, r.settled_msat, r.carried_msat, failed, r.fee_msat)
        table.add_row(r.name or r.address, f"{r.settled:,}", *(sats(amount) for amount in amounts))
    totals = (*(account.total(n) for n in ("due_msat", "settled_msat", "carried_msat")), account.failed_msat)
    amounts_text = [sats(amount) for amount in (*totals, account.total("fee_msat"))]
    table.add_section()
    table.add_row("all", f"{account.total('settled'):,}", *amounts_text, style="bold")
    console.print(table)
    for reason, count in account.failed.most_common():
        console.print(f"failed: {count:,} payments, {reason}", markup=False)
    for culprit in account.culprits[:_MOST_CULPRITS]:
        codes = ", ".join(f"{count:,} {code}" for code, count in culprit.failures.most_common())
        waited = f"p50 {culprit.waited_p50:,} ms, p99 {culprit.waited_p99:,} ms"
        console.print(f"culprit: {culprit.name}: {codes}; held {waited}", markup=False, highlight=False)
    for warning in account.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False, highlight=False)
    rates = account.rates()
    console.print(
        f"{account.total('settled'):,} of {account.total('payments'):,} keysends settled end to end in "
        f"{account.seconds['total']:.1f} s: {rates['payments_per_second']:,.0f} payments/s, "
        f"{rates['onions_per_second']:,.0f} onions/s built, {rates['layers_per_second']:,.0f} layers/s peeled"
    )
    console.print(
        f"{sats(account.given_msat)} sat given = {sats(account.total('due_msat'))} due + {sats(account.unshared_msat)} "
        "not shared; due = settled + carried + failed for each recipient, checked to the msat"
    )
