"""Every view of the desk: without a fault that axe knows, narrow and wide, by the keyboard alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.campaign_desk import LONG, DeskProcess, DeskTab, desk_of
from tests.browser.desk import Watch, judge
from tests.browser.staged_desk import AMA, REFUSED, VIEWS, StagedDesk, keep_queued, stage
from vavasms.cli.commands.demo.contacts import write_contacts
from vavasms.sandbox import SandboxServer

pytestmark = pytest.mark.slow

WIDTHS = (390, 1600)
OpenTab = Callable[..., DeskTab]


@pytest.fixture(scope="module")
def staged(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StagedDesk]:
    """Return a desk with something of everything, which no test changes."""
    folder = tmp_path_factory.mktemp("desk")
    with SandboxServer() as server:
        queued = keep_queued(server, folder / "ledger.db")
        with desk_of(server, folder / "ledger.db") as process:
            yield stage(process, chromium, folder, queued)


def see(tab: DeskTab, staged: StagedDesk, view: str) -> None:
    """Load a view, and wait until it is all there."""
    tab.see(staged.paths[view])
    expect(tab.page.locator("h1")).to_be_visible()
    if view == "report":
        tab.page.wait_for_selector("[data-figure]", timeout=LONG)
    if view == "draft":
        expect(tab.at("bubble").first).to_be_visible()


def open_everything(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")


@pytest.mark.parametrize(("theme", "locale"), [("light", "fr-FR"), ("dark", "en-GB")])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    staged: StagedDesk, new_tab: OpenTab, watch: Watch, axe: str, view: str, theme: str, locale: str
) -> None:
    tab = new_tab(staged.process, color_scheme=theme, locale=locale)
    for width in WIDTHS:
        tab.page.set_viewport_size({"width": width, "height": 900})
        see(tab, staged, view)
        if view in REFUSED:
            # A browser tells the console of every page that is not there.
            watch.problems[:] = [
                text for text in watch.problems if "404 (" not in text and "403 (" not in text
            ]
        open_everything(tab.page)
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
        assert judge(tab.page, axe) == []


@pytest.mark.parametrize(
    "view",
    ["home", "draft", "draft-error", "plan", "running", "paused", "unknown", "queued", "optouts", "sends"],
)
def test_tab_reaches_everything_and_shows_where_it_is(
    staged: StagedDesk, new_tab: OpenTab, view: str
) -> None:
    tab = new_tab(staged.process)
    see(tab, staged, view)
    assert tab.stops() == []


def test_a_wide_window_has_the_phone_beside_the_text(
    new_tab: OpenTab, desk_process: DeskProcess, snap: Callable[[Page, str], None], tmp_path: Path
) -> None:
    tab = new_tab(desk_process, viewport={"width": 1100, "height": 1180})
    write_contacts(tmp_path / "contacts.csv", 10_000)
    tab.drop(tmp_path / "contacts.csv")
    tab.write("Bonjour {Prénom|cher client}, votre commande est prête !", unit_price="12", budget="100 000")
    bubble, message = tab.at("bubble").first, tab.page.locator("#message")
    expect(bubble.locator("mark").first).to_have_text("ê")
    expect(tab.at("cost")).to_be_visible()
    right, left = bubble.bounding_box(), message.bounding_box()
    assert right is not None
    assert left is not None
    assert right["x"] >= left["x"] + left["width"]
    tab.page.mouse.click(5, 300)
    tab.page.evaluate("window.scrollTo(0, 0)")
    snap(tab.page, "desk-wide-light")


def test_the_way_from_a_list_to_a_campaign_needs_only_the_keyboard(tab: DeskTab, tmp_path: Path) -> None:
    path, keyboard = tmp_path / "list.csv", tab.page.keyboard
    path.write_text(f"Prénom;Téléphone\nAwa;{AMA}\n", "utf-8")
    # Before anything is pressed: the browser takes a while to be told that it opens no window of its own.
    tab.page.on("filechooser", lambda chooser: chooser.set_files(path))
    tab.tab_to(tab.at("file"))
    keyboard.press("Enter")
    message = tab.page.locator("#message")
    expect(message).to_be_visible(timeout=LONG)
    tab.tab_to(message)
    keyboard.type("Bonjour ")
    tab.tab_to(tab.page.locator("[data-column]"))
    keyboard.press("Enter")
    expect(message).to_be_focused()
    keyboard.type(", à demain")
    expect(tab.at("bubble")).to_have_text("Bonjour Awa, à demain")
    tab.tab_to(tab.at("to-plan"))
    keyboard.press("Enter")
    expect(tab.at("go")).to_be_visible(timeout=LONG)
    tab.tab_to(tab.page.locator("#count"))
    keyboard.type("1")
    tab.tab_to(tab.at("go"))
    keyboard.press("Enter")
    tab.page.wait_for_url(re.compile("/campaigns/"), timeout=LONG)
    tab.await_state("done")
    assert tab.desk.server.gateway.journal.accepted_count(AMA) == 1
