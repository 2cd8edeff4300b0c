"""The books of a stream and what is written of them."""

import csv
import io
import json
from collections import Counter
from xml.etree import ElementTree

import pytest

from keysend_fast.payer.account import AccountError, RecipientAccount, StreamAccount
from keysend_fast.payer.report import html_report, sats


def account() -> StreamAccount:
    good = RecipientAccount("Host <b>&", "02" * 33, "696969", 10_500, 9_000, 500, 40, 9, 8, Counter({"no route": 1000}))
    bad = RecipientAccount("=cmd()", "fund@example.com", "", 2_000, 0, 0, 0, 2, 0, Counter({"address": 2000}))
    return StreamAccount(
        "A <i>feed</i>",
        {"rate": "<x>"},
        [good, bad],
        given_msat=12_503,
        unshared_msat=3,
        attempts=9,
        layers=30,
        failed=Counter({"no <route>": 1, "address": 2}),
        hops=Counter({1: 3, 4: 5}),
        seconds={"build": 0.5, "network": 1.5, "total": 2.0},
        timeline=[(1.0, 4, 0), (2.0, 8, 1)],
        warnings=["even <type>"],
    )


def test_the_books_balance() -> None:
    account().check()


@pytest.mark.parametrize("name", ["due_msat", "settled_msat", "carried_msat"])
def test_one_millisatoshi_is_noticed(name: str) -> None:
    books = account()
    setattr(books.recipients[0], name, getattr(books.recipients[0], name) + 1)
    with pytest.raises(AccountError):
        books.check()


def test_money_without_a_recipient_is_noticed() -> None:
    books = account()
    books.given_msat += 1
    with pytest.raises(AccountError, match="given 12504"):
        books.check()


def test_rates_and_json() -> None:
    written = json.loads(json.dumps(account().to_dict()))
    assert written["totals"] == {
        "due_msat": 12_500,
        "settled_msat": 9_000,
        "carried_msat": 500,
        "fee_msat": 40,
        "payments": 11,
        "settled": 8,
        "failed_msat": 3_000,
    }
    assert written["rates"] == {"onions_per_second": 18, "layers_per_second": 20, "payments_per_second": 4}
    assert StreamAccount("", {}).rates()["payments_per_second"] == 0


def test_csv_holds_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(account().to_csv(), newline="")))
    assert rows[1]["name"] == "'=cmd()"
    assert rows[0]["due_msat"] == "10500"
    assert rows[0]["failed_msat"] == "1000"
    assert rows[0]["reasons"] == "no route: 1000"


def test_html_is_whole_and_escaped() -> None:
    page = html_report(account())
    body = page[page.index("<body>") : page.index("</html>")].replace("class=n", 'class="n"')
    tree = ElementTree.fromstring(body)
    assert "A <i>feed</i>" in "".join(tree.itertext())
    assert "<script" not in page
    assert "http" not in page
    for text in ("Host &lt;b&gt;&amp;", "even &lt;type&gt;", "no &lt;route&gt;", "&lt;x&gt;"):
        assert text in page
    assert len(tree.findall(".//svg")) == 3


def test_html_of_nothing() -> None:
    assert "</html>" in html_report(StreamAccount("empty", {}))


def test_sats() -> None:
    assert [sats(m) for m in (0, 1, 1000, 1_234_567)] == ["0", "0.001", "1", "1,234.567"]
