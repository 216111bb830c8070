"""The report of a campaign in a browser: offline, without a fault that axe knows, narrow, wide and on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import Factory, define
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.desk import judge
from tests.browser.test_inbox_access import WIDTHS
from tests.campaigns.test_report_page import BARE, FULL, page
from vavasms.campaigns.summary import CampaignSummary

pytestmark = pytest.mark.slow

#: Points of an A4 page, as a PDF has them.
A4 = (595, 842)


@define(kw_only=True)
class Viewer:
    """A browser without a network."""

    chromium: Browser
    folder: Path
    contexts: list[BrowserContext] = Factory(list)
    #: What was loaded, and whatever the browser found wrong.
    requests: list[str] = Factory(list)
    problems: list[str] = Factory(list)

    def show(self, summary: CampaignSummary, language: str, **options: Any) -> Page:
        """Show the report of a campaign as a file."""
        path = self.folder / "report.html"
        path.write_text(page(summary, language), "utf-8")
        context = self.chromium.new_context(offline=True, **options)
        self.contexts.append(context)
        context.on("console", lambda said: self.problems.append(said.text))
        context.on("request", lambda request: self.requests.append(request.url))
        shown = context.new_page()
        shown.goto(path.as_uri())
        return shown


@pytest.fixture
def viewer(chromium: Browser, tmp_path: Path) -> Iterator[Viewer]:
    viewer = Viewer(chromium=chromium, folder=tmp_path)
    yield viewer
    for context in viewer.contexts:
        context.close()
    assert viewer.problems == []
    assert {url.rpartition("/")[2] for url in viewer.requests} == {"report.html"}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("theme", "language"), [("light", "fr"), ("dark", "en")])
@pytest.mark.parametrize("summary", [FULL, BARE], ids=["full", "bare"])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    viewer: Viewer, axe: str, summary: CampaignSummary, theme: str, language: str, width: str
) -> None:
    viewport = {"width": WIDTHS[width], "height": 800}
    shown = viewer.show(summary, language, color_scheme=theme, viewport=viewport)
    assert judge(shown, axe) == []
    assert shown.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_on_paper_it_is_a4_in_black_on_white_and_nothing_is_cut(viewer: Viewer, language: str) -> None:
    shown = viewer.show(FULL, language, color_scheme="dark")
    pdf = shown.pdf(prefer_css_page_size=True)
    boxes = re.findall(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)\s*\]", pdf)
    assert boxes
    assert {(round(float(wide)), round(float(high))) for wide, high in boxes} == {A4}
    # A sheet between its margins, as wide as the pixels of a browser have it.
    shown.set_viewport_size({"width": 688, "height": 1_000})
    shown.emulate_media(media="print", color_scheme="dark")
    assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert shown.evaluate("document.documentElement.scrollWidth") <= 688
    cut = "[...document.querySelectorAll('dd, td, th, p')].filter(each => each.scrollWidth > each.clientWidth + 1)"
    assert shown.evaluate(f"{cut}.map(each => each.textContent)") == []
