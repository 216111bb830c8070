"""The opt-out page on a phone: one press opts out, a second takes it back, and what only looks does nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import frozen
from playwright.sync_api import Browser, Page, expect

from tests.browser.desk import Watch, judge
from tests.uvicorn_server import serving
from vavasms import OptOutApp
from vavasms.ledger.optout_codes import draw_code
from vavasms.ledger.sqlite import optout_codes as in_sqlite
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.slow

PERSON = Msisdn("2250700000101")


@frozen
class Site:
    """A page that is served, its ledger, and the link of a person."""

    url: str
    path: Path
    code: str

    @property
    def link(self) -> str:
        """Return the link as it stands in an SMS."""
        return f"{self.url}/d/{self.code}"

    def opted_out(self) -> frozenset[int]:
        """Return who is on the list."""

        async def read() -> frozenset[int]:
            async with await SqliteLedger.open(self.path) as ledger:
                return await ledger.opted_out()

        return frozenset(_in_a_thread(read))


def _in_a_thread(work: Callable[[], Any]) -> Any:
    """Run something async: in this thread the browser's loop runs."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(anyio.run, work).result()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    path = tmp_path / "ledger.db"
    # As many marks as a code can have.
    monkeypatch.setattr(in_sqlite, "draw_code", lambda: "A-==--=-=9")

    async def issue() -> str:
        async with await SqliteLedger.open(path) as ledger:
            return (await ledger.optout_codes.issue([PERSON]))[PERSON]

    code = _in_a_thread(issue)
    with serving(OptOutApp(path, name="Boutique Awa")) as url:
        yield Site(url, path, code)


@pytest.fixture
def phone(chromium: Browser, watch: Watch) -> Iterator[Callable[..., Page]]:
    """Yield what opens a page on a phone; options as of a browser's context."""
    contexts = []

    def open_phone(**options: Any) -> Page:
        context = chromium.new_context(
            **{"locale": "en-GB", "viewport": {"width": 360, "height": 640}, **options}
        )
        contexts.append(context)
        watch.over(context)
        return context.new_page()

    yield open_phone
    for context in contexts:
        context.close()


def test_a_press_opts_out_and_a_second_takes_it_back(site: Site, phone: Callable[..., Page]) -> None:
    page = phone()
    page.goto(site.link)
    expect(page.get_by_role("heading")).to_have_text("No more of these SMS?")
    assert site.opted_out() == frozenset()
    page.get_by_role("button", name="Stop the SMS").click()
    expect(page.get_by_role("heading")).to_have_text("You get no more of these SMS")
    assert site.opted_out() == {int(PERSON)}
    page.get_by_role("button", name="Get the SMS again").click()
    expect(page.get_by_role("heading")).to_have_text("You get the SMS again")
    assert site.opted_out() == frozenset()
    page.get_by_role("button", name="Stop the SMS").dblclick()
    expect(page.get_by_role("heading")).to_have_text("You get no more of these SMS")
    page.reload()
    assert site.opted_out() == {int(PERSON)}


def test_it_works_by_keyboard_and_without_scripts(site: Site, phone: Callable[..., Page]) -> None:
    page = phone(java_script_enabled=False)
    page.goto(site.link)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading")).to_have_text("You get no more of these SMS")
    assert site.opted_out() == {int(PERSON)}


def test_a_browser_that_fetches_ahead_opts_nobody_out(
    site: Site, phone: Callable[..., Page], watch: Watch
) -> None:
    page = phone()
    # As a page of search results or a mail would: every way in which a browser follows by itself.
    hints = "".join(f'<link rel="{rel}" href="{site.link}">' for rel in ("prefetch", "prerender"))
    rules = f'<script type="speculationrules">{{"prerender": [{{"urls": ["{site.link}"]}}]}}</script>'
    page.set_content(f"{hints}{rules}<a href='{site.link}' ping='{site.link}'>x</a>")
    page.hover("a")
    page.click("a")
    expect(page.get_by_role("heading")).to_have_text("No more of these SMS?")
    assert site.opted_out() == frozenset()
    # What another site fetches ahead the page does not give it at all, of which the console tells.
    watch.problems.clear()


def test_the_language_can_be_changed_and_stays_over_a_press(site: Site, phone: Callable[..., Page]) -> None:
    page = phone(locale="fr-FR")
    page.goto(site.link)
    assert page.locator("html").get_attribute("lang") == "fr"
    page.get_by_role("link", name="English").click()
    page.get_by_role("button", name="Stop the SMS").click()
    assert page.locator("html").get_attribute("lang") == "en"
    expect(page.get_by_role("heading")).to_have_text("You get no more of these SMS")
    page.get_by_role("link", name="Français").click()
    assert page.locator("html").get_attribute("lang") == "fr"
    # A link of a page is no press.
    assert site.opted_out() == {int(PERSON)}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 360, 1280])
def test_nothing_is_cut_off_and_axe_finds_no_fault(
    site: Site, phone: Callable[..., Page], axe: str, watch: Watch, theme: Any, width: int
) -> None:
    page = phone(color_scheme=theme, viewport={"width": width, "height": 640}, bypass_csp=True)
    page.goto(site.link)
    for press in (None, "Stop the SMS", "Get the SMS again"):
        if press is not None:
            page.get_by_role("button", name=press).click()
        assert judge(page, axe) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        button = page.get_by_role("button").bounding_box()
        assert button is not None
        assert button["height"] >= 44
        assert button["y"] + button["height"] < 640
    page.goto(f"{site.url}/d/{draw_code()}")
    assert judge(page, axe) == []
    # The console tells of the 404.
    watch.problems.clear()
