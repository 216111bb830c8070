"""The page speaks the browser's language, or the one that is chosen on it."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.desk import Desk


def test_the_browser_chooses_the_language(new_desk: Callable[..., Desk]) -> None:
    desk = new_desk(locale="fr-CI")
    expect(desk.page.locator("html")).to_have_attribute("lang", "fr")


def test_the_language_can_be_changed_and_stays(new_desk: Callable[..., Desk]) -> None:
    desk = new_desk(locale="en-GB")
    expect(desk.page.locator("html")).to_have_attribute("lang", "en")
    said = desk.at("clear").inner_text()
    desk.at("language-fr").click()
    expect(desk.page.locator("html")).to_have_attribute("lang", "fr")
    expect(desk.at("clear")).not_to_have_text(said)
    desk.page.reload()
    expect(desk.page.locator("html")).to_have_attribute("lang", "fr")
    desk.at("language-en").click()
    expect(desk.page.locator("html")).to_have_attribute("lang", "en")
    expect(desk.at("clear")).to_have_text(said)
