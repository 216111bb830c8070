"""Amounts, numbers and hours as people type them; what may be read in two ways is refused."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from vavasms.desk.form import CampaignForm, read_amount, read_count, read_percent
from vavasms.errors import InvalidInputError

NOW = datetime.fromisoformat("2026-12-01T08:00:00+00:00").timestamp()


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("", None),
        ("  ", None),
        ("12", "12"),
        ("12,5", "12.5"),
        ("12.5", "12.5"),
        ("50 000", "50000"),
        ("50\u00a0000", "50000"),
        ("50\u202f000,25", "50000.25"),
        ("1000000", "1000000"),
        ("0,12", "0.12"),
        ("12,5000", "12.5000"),
    ],
)
def test_an_amount_is_read_as_people_write_it(text: str, amount: str | None) -> None:
    assert read_amount("Budget", text) == (None if amount is None else Decimal(amount))


@pytest.mark.parametrize("text", ["50.000", "50,000", "1,234,567", "1.234", "-1,000", "0,125"])
def test_what_two_people_read_differently_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^Budget: .*two ways"):
        read_amount("Budget", text)


@pytest.mark.parametrize("text", ["many", "1,2,3", "12 F", "--", "1e", "٣x"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^Budget: .* is no number"):
        read_amount("Budget", text)


@pytest.mark.parametrize(("text", "share"), [("80", "0.8"), ("80 %", "0.8"), ("72,5%", "0.725"), ("", None)])
def test_a_share_is_typed_in_percent(text: str, share: str | None) -> None:
    assert read_percent("Share", text) == (None if share is None else Decimal(share))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("7982", 7982),
        ("7 982", 7982),
        ("7\u00a0982", 7982),
        ("0", 0),
        ("", None),
        ("-1", None),
        ("7.982", None),
        ("٧", None),
        ("9" * 12, None),
    ],
)
def test_a_count_is_digits_and_blanks(text: str, count: int | None) -> None:
    assert read_count(text) == count


def test_an_empty_form_has_no_limit() -> None:
    policy = CampaignForm().policy(now=NOW)
    assert (policy.rate, policy.window, policy.not_before, policy.budget, policy.daily_cap) == (None,) * 5


def test_a_full_form_is_read() -> None:
    form = CampaignForm.read(
        {
            "message": ["Bonjour\r\nà tous"],
            "fold": ["on"],
            "exclude": ["one", "two"],
            "unit_price": ["12,5"],
            "budget": ["50 000"],
            "balance_floor": ["1000"],
            "rate": ["20"],
            "begins": ["2026-12-02T09:00"],
            "opens": ["08:00"],
            "closes": ["19:00"],
            "days": ["mon-sat"],
            "daily_cap": ["2"],
            "min_delivery": ["80"],
            "unheard": ["of"],
        }
    )
    assert form.message == "Bonjour\nà tous"
    assert form.fold
    assert not form.repair
    assert form.exclude == ("one", "two")
    policy = form.policy(now=NOW)
    assert policy.window is not None
    assert policy.window.hours == "08:00-19:00"
    assert policy.window.days == frozenset(range(6))
    assert policy.not_before == datetime.fromisoformat("2026-12-02T09:00:00+00:00")
    assert (policy.unit_price, policy.budget, policy.rate) == (Decimal("12.5"), Decimal(50_000), 20.0)
    assert (policy.daily_cap, policy.min_delivery) == (2, Decimal("0.8"))


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"daily_cap": "1,5"}, "no whole number"),
        ({"budget": "1000"}, "price of a segment"),
        ({"begins": "2026-11-01T09:00"}, "over already"),
        ({"opens": "8h"}, "08:00-20:00"),
        ({"min_delivery": "800"}, "min_delivery"),
        ({"rate": "0"}, "rate"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(typed: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        CampaignForm.read({name: [text] for name, text in typed.items()}).policy(now=NOW)


def test_closing_hours_alone_begin_at_midnight() -> None:
    policy = CampaignForm(closes="19:00").policy(now=NOW)
    assert policy.window is not None
    assert policy.window.hours == "00:00-19:00"
