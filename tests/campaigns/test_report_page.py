"""The report as a page: its figures are those of the summary, and it needs nothing but itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from attrs import evolve

from vavasms.campaigns.report_page import format_html
from vavasms.campaigns.summary import (
    CampaignSummary,
    PlanFigures,
    PrefixDeliveries,
    UnknownBatch,
    dump_summary,
)
from vavasms.campaigns.timeline import Span
from vavasms.i18n import LANGUAGES, language_set
from vavasms.ledger.states import CampaignState

ABIDJAN = ZoneInfo("Africa/Abidjan")
NOON = datetime(2026, 12, 1, 12, 0, tzinfo=ABIDJAN)

FULL = CampaignSummary(
    id="3f9a1c07",
    state=CampaignState.PAUSED,
    reason="paused by hand",
    retry_of="0b5e11aa",
    sender_id="ACME",
    message="Bonjour {prenom} <b>,\nvotre relevé d’octobre ☺\x07",
    zone="Africa/Abidjan",
    created_at=NOON,
    made_at=NOON + timedelta(hours=9),
    first_sent_at=NOON + timedelta(minutes=3),
    last_sent_at=NOON + timedelta(hours=3),
    recipients=6_200,
    queued=150,
    sending=50,
    accepted=5_497,
    rejected=300,
    not_sent=3,
    unknown=200,
    batches=62,
    segments=12_094,
    earlier_segments=40,
    cost=Decimal("151175.5"),
    unit_price=Decimal("12.5"),
    budget=Decimal(150_000),
    plan=PlanFigures(
        numbers=6_391,
        recipients=6_200,
        repaired=212,
        duplicates=96,
        opted_out=31,
        refused=64,
        passed_over=120,
        segments=13_100,
        cost=Decimal(163_750),
        refusals={"old_plan": 40, "too_short": 24},
        offending={"’": 6_200, "☺": 6_199, "\u200b": 3, **{chr(0x4E00 + n): 1 for n in range(12)}},
        ucs2_recipients=6_200,
        segments_if_folded=6_400,
    ),
    rejections={"RejectedNumberError: The gateway said no <script>.": 290, "": 10},
    exclusions={"opted_out": 3},
    deliveries=[
        PrefixDeliveries(
            prefix="22507",
            owner="Orange",
            messages=5_390,
            delivered=4_000,
            failed=300,
            pending=500,
            silent=590,
        ),
        PrefixDeliveries(prefix="221", messages=100, delivered=99, other=1),
        PrefixDeliveries(prefix="33", messages=5, failed=5),
        PrefixDeliveries(prefix="", messages=2, silent=2),
    ],
    span_seconds=3_600,
    timeline=[Span(NOON, 6_000), Span(NOON + timedelta(hours=1), 0), Span(NOON + timedelta(hours=2), 47)],
    unknown_batches=[
        UnknownBatch(number=17, recipients=100, segments=200, sent_at=NOON, error="ServerError: It broke."),
        UnknownBatch(number=44, recipients=90, segments=180, sent_at=None, error=None),
    ],
    unknown_batches_more=3,
)
BARE = evolve(
    FULL,
    state=CampaignState.DONE,
    reason=None,
    retry_of=None,
    message="",
    first_sent_at=None,
    last_sent_at=None,
    queued=0,
    sending=0,
    unknown=0,
    earlier_segments=0,
    cost=None,
    unit_price=None,
    budget=None,
    plan=PlanFigures(),
    rejections={},
    exclusions={},
    deliveries=[],
    span_seconds=0,
    timeline=[],
    unknown_batches=[],
    unknown_batches_more=0,
)


class Figures(HTMLParser):
    """The figures of a page, by where they stand in the summary, and all its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.values: dict[str, set[str]] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag == "data":
            self.values.setdefault(found["data-figure"] or "", set()).add(found["value"] or "")

    handle_startendtag = handle_starttag


def flatten(value: Any, path: str = "") -> dict[str, str]:
    """Return the numbers of a JSON value, by their paths."""
    if isinstance(value, int | float):
        return {path: str(value)}
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    dot = f"{path}." if path else ""
    return {key: text for name, inner in pairs for key, text in flatten(inner, f"{dot}{name}").items()}


def page(summary: CampaignSummary = FULL, language: str = "en") -> str:
    with language_set(language):
        return format_html(summary)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_figures_are_those_of_the_json(language: str) -> None:
    numbers = flatten(json.loads(dump_summary(FULL)))
    shown = Figures(page(language=language)).values
    assert {path: {numbers[path]} for path in shown} == shown
    # What stands in a sentence, or beyond the letters that are listed.
    said = {
        *("earlier_segments", "unit_price", "span_seconds", "unknown_batches_more", "queued", "sending"),
        *("reported", "plan.passed_over", "plan.ucs2_recipients", "plan.segments_if_folded"),
        *("unknown_batches.0.number", "unknown_batches.1.number"),
    } | {path for path in numbers if path.startswith("plan.offending")}
    assert set(numbers) - set(shown) <= said


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("summary", [FULL, BARE], ids=["full", "bare"])
def test_the_page_needs_nothing_but_itself(summary: CampaignSummary, language: str) -> None:
    text = page(summary, language)
    figures = Figures(text)
    assert ("html", {"lang": language}) in figures.tags
    assert not {tag for tag, _ in figures.tags} & {"script", "link", "img", "iframe", "a", "form"}
    names = {name for _, attributes in figures.tags for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in ("src", "href", "style")}
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text


def test_what_came_from_outside_is_text() -> None:
    text = page()
    assert "{prenom} &lt;b&gt;," in text
    assert "said no &lt;script&gt;." in text
    assert "\x07" not in text


def test_the_letters_that_cost_are_marked() -> None:
    text = page()
    assert "d<mark>’</mark>octobre <mark>☺</mark>" in text
    # One that nobody sees has its code point.
    assert '<th scope="row">U+200B</th>' in text
    assert "3 more letters cost as well." in text


def test_the_unknown_are_by_batch_with_the_commands_that_decide() -> None:
    text = page()
    assert "vavasms campaign resolve 3f9a1c07 --mark-sent" in text
    assert "vavasms campaign resolve 3f9a1c07 --resend" in text
    assert '<th scope="row">17</th>' in text
    assert "3 further batches are unknown." in text
    assert "resolve" not in page(BARE)


def test_a_retry_names_the_campaign_that_it_is_of() -> None:
    assert "<dd>0b5e11aa</dd>" in page()
    assert "Sent once more" not in page(BARE)


def test_a_prefix_is_told_from_an_operator() -> None:
    text = page()
    for words in ("07 (Orange&#39;s prefix)", "+221 (SN)", "+33<", "A prefix is no operator"):
        assert words in text
    assert "préfixe Orange" in page(language="fr")


def test_where_no_report_was_read_nothing_is_said_of_delivery() -> None:
    silent = [PrefixDeliveries(prefix="22507", owner="Orange", messages=9, silent=9)]
    text = page(evolve(FULL, accepted=9, deliveries=silent))
    assert "no report was read yet" in text
    assert "0 % of the accepted" not in text
    assert "vavasms campaign track 3f9a1c07" in text
    assert "no report was read yet" not in page()


def test_numbers_are_grouped_as_the_language_does() -> None:
    assert ">5,497<" in page()
    assert ">5\xa0497<" in page(language="fr")
    assert ">151,175.5 XOF<" in page()


@pytest.mark.parametrize(
    ("accepted", "recipients", "share"),
    [
        (0, 0, "–"),
        (0, 5, "0 %"),
        (1, 99_999, "0.1 %"),
        (99_998, 99_999, "99.9 %"),
        (5, 5, "100 %"),
        (1, 3, "33.3 %"),
    ],
)
def test_no_share_is_rounded_to_none_or_all(accepted: int, recipients: int, share: str) -> None:
    text = page(evolve(BARE, accepted=accepted, recipients=recipients))
    assert f"{share} of the recipients" in text


@pytest.mark.parametrize(
    ("seconds", "days", "label", "width"),
    [
        (10, 0, "12:00:10", "10 seconds"),
        (60, 0, "12:01", "1 minute"),
        (7_200, 1, "2026-12-02 14:00", "2 hours"),
        (86_400, 1, "2026-12-03", "1 day"),
    ],
)
def test_a_span_is_named_by_its_clock_or_its_day(seconds: int, days: int, label: str, width: str) -> None:
    second = NOON + timedelta(days=days, seconds=seconds)
    text = page(evolve(FULL, span_seconds=seconds, timeline=[Span(NOON, 1), Span(second, 3)]))
    assert f'<th scope="row">{label}</th>' in text
    assert f"each {width}" in text


@pytest.mark.parametrize(
    ("most", "top"), [(0, "1"), (7, "7"), (11, "15"), (47, "50"), (99, "100"), (6_001, "8,000")]
)
def test_the_top_of_the_chart_is_round(most: int, top: str) -> None:
    text = page(evolve(FULL, timeline=[Span(NOON, most)]))
    assert f'class="scale" aria-hidden="true"><span>{top}</span>' in text


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("summary", [FULL, BARE], ids=["full", "bare"])
def test_the_page_is_valid(summary: CampaignSummary, language: str, tmp_path: Path) -> None:
    checker = shutil.which("html-validate")
    if checker is None:
        pytest.skip("no html-validate here: `npm install --global html-validate`")
    path = tmp_path / "report.html"
    path.write_text(page(summary, language), "utf-8")
    rules = tmp_path / ".htmlvalidate.json"
    rules.write_text('{"root": true, "extends": ["html-validate:recommended"]}')
    done = subprocess.run([checker, str(path)], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert re.search("error", done.stdout) is None, done.stdout
    assert done.returncode == 0
