"""A stream's account as one self-contained HTML page: tables and charts as inline SVG, no script, nothing fetched."""

from collections.abc import Iterable, Sequence
from html import escape

from keysend_fast.payer.account import RecipientAccount, StreamAccount
from keysend_fast.payer.culprits import Culprit

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #5c6470; --line: #d9dde3; --page: #ffffff;
  --settled: #1f7a5c; --carried: #c98a00; --failed: #b3352f; --series: #2a5fb4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #9aa3af; --line: #3a4049; --page: #16181c;
  --settled: #46b58c; --carried: #e0ac3a; --failed: #e0706a; --series: #7aa7f0; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); margin: 2rem auto;
  max-width: 62rem;  padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p.sub { color: var(--soft); margin: 0 0 1.5rem; }
.tiles { display: flex; flex-wrap: wrap; gap: .75rem; }
.tile { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .9rem; min-width: 9rem; }
.tile b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; } .tile span { color: var(--soft); }
.wide { overflow-x: auto; margin-top: 1rem; } table { border-collapse: collapse; width: 100%; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: left; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tfoot td { font-weight: 600; } code { color: var(--soft); font-size: .85em; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--ink); font: 13px system-ui, sans-serif; }
svg .soft { fill: var(--soft); } .settled { fill: var(--settled); } .carried { fill: var(--carried); }
.failed { fill: var(--failed); } .series { fill: none; stroke: var(--series); stroke-width: 2; }
.bar { fill: var(--series); } .axis { stroke: var(--line); }
.key i { display: inline-block; width: .8rem; height: .8rem; border-radius: .2rem; margin: 0 .35rem 0 1rem; }
"""
_KEY = (
    '<p class="key sub">sat due: <i style="background:var(--settled)"></i>settled'
    '<i style="background:var(--carried)"></i>carried<i style="background:var(--failed)"></i>failed</p>'
)
_WIDTH, _LEFT, _RIGHT = 960, 190, 110
_ROW = 26
_MOST_CULPRITS = 20


def sats(msat: int) -> str:
    """Write millisatoshis as satoshis with every digit that counts: 1234567 is "1,234.567"."""
    whole, rest = divmod(msat, 1000)
    return f"{whole:,}" + (f".{rest:03d}" if rest else "")


def _tiles(pairs: Iterable[tuple[str, str]]) -> str:
    return (
        '<div class="tiles">'
        + "".join(f'<div class="tile"><b>{escape(b)}</b><span>{escape(a)}</span></div>' for a, b in pairs)
        + "</div>"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: int, foot: Sequence[str] | None = None) -> str:
    """Return a table whose last ``numbers`` columns are numbers. Cells are text, escaped here."""
    first = len(head) - numbers

    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(f"<{tag}{' class=n' if i >= first else ''}>{escape(cell)}</{tag}>" for i, cell in enumerate(row))

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    end = f"<tfoot><tr>{cells(foot, 'td')}</tr></tfoot>" if foot else ""
    return (
        f'<div class="wide"><table><thead><tr>{cells(head, "th")}</tr></thead><tbody>{body}</tbody>{end}</table></div>'
    )


def _svg(height: int, label: str, parts: Iterable[str]) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'


def _name(recipient: RecipientAccount) -> str:
    return recipient.name or recipient.address


def _clip(text: str, most: int = 24) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _recipient_bars(recipients: Sequence[RecipientAccount]) -> str:
    """Stack settled, carried and failed by recipient, to one scale."""
    longest = max((recipient.due_msat for recipient in recipients), default=0) or 1
    parts = []
    for row, recipient in enumerate(recipients):
        y = row * _ROW
        parts.append(f'<text x="{_LEFT - 10}" y="{y + 17}" text-anchor="end">{escape(_clip(_name(recipient)))}</text>')
        x = float(_LEFT)
        for name, msat in (
            ("settled", recipient.settled_msat),
            ("carried", recipient.carried_msat),
            ("failed", sum(recipient.failed_msat.values())),
        ):
            width = msat / longest * (_WIDTH - _LEFT - _RIGHT)
            if msat:
                tip = f"{_name(recipient)}: {name} {sats(msat)} sat"
                parts.append(
                    f'<rect class="{name}" x="{x:.1f}" y="{y + 4}" width="{max(width, 1):.1f}" height="{_ROW - 8}">'
                    f"<title>{escape(tip)}</title></rect>"
                )
            x += width
        parts.append(f'<text class="soft" x="{x + 8:.1f}" y="{y + 17}">{recipient.due_msat // 1000:,}</text>')
    return _svg(len(recipients) * _ROW or 1, "Satoshis due by recipient", parts)


def _progress(timeline: Sequence[tuple[float, int, int]]) -> str:
    """Draw settled payments over time."""
    height, top, bottom = 240, 12, 30
    last = timeline[-1][0] or 1.0
    most = max(settled for _, settled, _ in timeline) or 1
    width = _WIDTH - 80 - 20

    def at(seconds: float, count: int) -> tuple[float, float]:
        return 80 + seconds / last * width, height - bottom - count / most * (height - bottom - top)

    parts = []
    for step in range(5):
        y = at(0, most * step // 4)[1]
        parts.append(f'<line class="axis" x1="80" y1="{y:.1f}" x2="{_WIDTH - 20}" y2="{y:.1f}"/>')
        parts.append(f'<text class="soft" x="72" y="{y + 4:.1f}" text-anchor="end">{most * step // 4:,}</text>')
        x = 80 + step / 4 * width
        parts.append(
            f'<text class="soft" x="{x:.1f}" y="{height - 8}" text-anchor="middle">{last * step / 4:.1f} s</text>'
        )
    points = " ".join(
        f"{x:.1f},{y:.1f}" for x, y in [at(0, 0), *(at(seconds, settled) for seconds, settled, _ in timeline)]
    )
    parts.append(f'<polyline class="series" points="{points}"/>')
    return _svg(height, "Payments settled over time", parts)


def _columns(counts: dict[int, int]) -> str:
    """Draw how many payments took how many hops."""
    height, base, top = 200, 174, 22
    most = max(counts.values())
    names = range(1, max(counts) + 1)
    step = min(90.0, (_WIDTH - 40) / len(names))
    parts = []
    for place, name in enumerate(names):
        tall = counts.get(name, 0) / most * (base - top)
        x = 20 + place * step
        parts.append(
            f'<rect class="bar" x="{x:.1f}" y="{base - tall:.1f}" width="{step * 0.7:.1f}" height="{tall:.1f}"/>'
        )
        middle = x + step * 0.35
        parts.append(f'<text class="soft" x="{middle:.1f}" y="{height - 8}" text-anchor="middle">{name}</text>')
        parts.append(
            f'<text x="{middle:.1f}" y="{base - tall - 6:.1f}" text-anchor="middle">{counts.get(name, 0):,}</text>'
        )
    return _svg(height, "Payments by number of hops", parts)


def html_report(account: StreamAccount) -> str:
    """Return the page. All text that came from feeds is escaped."""
    rates = account.rates()
    total = account.seconds.get("total", 0.0)
    page = [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(account.title)}: keysend stream</title>',
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>',
        f"<h1>{escape(account.title)}</h1>",
        f'<p class="sub">{account.total("payments"):,} keysends over the embedded network in {total:.1f} s</p>',
        _tiles(
            [
                ("payments settled", f"{account.total('settled'):,}"),
                ("payments a second", f"{rates['payments_per_second']:,.0f}"),
                ("onions built a second", f"{rates['onions_per_second']:,.0f}"),
                ("layers peeled a second", f"{rates['layers_per_second']:,.0f}"),
                ("sat settled", sats(account.total("settled_msat"))),
                ("sat of routing fees", sats(account.total("fee_msat"))),
            ]
        ),
        "<h2>Recipients</h2>",
        _KEY,
        _recipient_bars(account.recipients),
        _recipient_table(account),
    ]
    if account.timeline:
        page += ["<h2>Payments settled over time</h2>", _progress(account.timeline)]
    if account.hops:
        page += ["<h2>Payments by number of hops</h2>", _columns(dict(account.hops))]
    if account.failed:
        rows = [(reason, f"{count:,}") for reason, count in account.failed.most_common()]
        page += ["<h2>Failures</h2>", _table(("reason", "payments"), rows, 1)]
    if account.culprits:
        page += [
            "<h2>Culprits, and how long their failures took</h2>",
            _culprit_table(account.culprits[:_MOST_CULPRITS]),
        ]
    if account.slowest:
        page += ["<h2>Slowest channels, by what nodes attest</h2>", _slowest_table(account.slowest)]
    if account.warnings:
        page += ["<h2>Warnings</h2><ul>", *(f"<li>{escape(warning)}</li>" for warning in account.warnings), "</ul>"]
    options = [(name, str(value)) for name, value in account.options.items()]
    page += ["<h2>Options</h2>", _table(("option", "value"), options, 0), "</body></html>"]
    return "\n".join(page)


def _culprit_table(culprits: Sequence[Culprit]) -> str:
    """Who made attempts fail, and how long the failed payments were kept."""

    def row(c: Culprit) -> tuple[str, ...]:
        codes = ", ".join(f"{count:,} {code}" for code, count in c.failures.most_common())
        return _clip(c.name), codes, f"{c.failures.total():,}", f"{c.waited_p50:,}", f"{c.waited_p99:,}"

    return _table(("channel or node", "codes", "failures", "p50 ms", "p99 ms"), [row(c) for c in culprits], 3)


def _slowest_table(slowest: Sequence[Culprit]) -> str:
    rows = [(c.name, f"{c.held:,}", f"{c.hold_p50:,}", f"{c.hold_p99:,}") for c in slowest]
    return _table(("channel", "payments", "p50 ms", "p99 ms"), rows, 3)


def _recipient_table(account: StreamAccount) -> str:
    def row(r: RecipientAccount) -> tuple[str, ...]:
        failed = sum(r.failed_msat.values())
        amounts = (r.due_msat, r.settled_msat, r.carried_msat, failed, r.fee_msat)
        return (
            r.name or "-",
            _clip(r.address, 17),
            f"{r.settled:,} of {r.payments:,}",
            *(sats(msat) for msat in amounts),
        )

    totals = (*(account.total(name) for name in ("due_msat", "settled_msat", "carried_msat")), account.failed_msat)
    foot = (
        "all",
        "",
        f"{account.total('settled'):,} of {account.total('payments'):,}",
        *(sats(msat) for msat in (*totals, account.total("fee_msat"))),
    )
    head = ("recipient", "address", "payments", "due", "settled", "carried", "failed", "fees")
    return _table(head, [row(recipient) for recipient in account.recipients], 6, foot)
