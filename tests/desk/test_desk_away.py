"""A page that stays open while its desk dies, in a real browser; skipped where there is no Chromium."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.desk.test_desk_kills import slow_stage

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: it is in the extra `dev`")

from playwright.sync_api import expect, sync_playwright

pytestmark = pytest.mark.slow
_NAMES = ("chromium", "chromium-browser", "google-chrome")


def test_a_page_that_was_left_open_says_that_its_desk_is_away(tmp_path: Path) -> None:
    path = os.environ.get("VAVASMS_TEST_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip("no Chromium here: `apt-get install chromium`, or name one in VAVASMS_TEST_CHROMIUM")
    with slow_stage(tmp_path) as stage, stage.desk() as (visitor, process):
        campaign = visitor.begin([str(2250700100000 + index) for index in range(50_000)])
        options = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        cookies = [
            {"name": name, "value": value, "url": visitor.origin}
            for name, value in visitor.http.cookies.items()
        ]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=options)
            context = browser.new_context(locale="en")
            context.add_cookies(cookies)  # type: ignore[arg-type]
            page = context.new_page()
            page.goto(f"{visitor.origin}{campaign}")
            expect(page.get_by_test_id("state")).to_have_text("running")
            expect(page.get_by_test_id("away")).to_be_hidden()
            process.kill()
            process.wait(10)
            expect(page.get_by_test_id("away")).to_be_visible(timeout=10_000)
            browser.close()
