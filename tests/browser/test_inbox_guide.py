"""The guide's picture of the inbox: what stands there after its first chapter."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.desk import Desk

pytestmark = pytest.mark.slow

AWA, KOFI, MARIAM = "2250709000001", "2250709000002", "2250709000003"


@pytest.mark.parametrize(("language", "locale"), [("en", "en-GB"), ("fr", "fr-FR")])
def test_the_inbox_shows_what_the_first_chapter_sends(
    new_desk: Callable[..., Desk], snap: Callable[[Page, str], None], language: str, locale: str
) -> None:
    desk = new_desk(color_scheme="light", locale=locale, viewport={"width": 1100, "height": 560})
    desk.sms.send(KOFI, "Bonjour Kofi, votre colis est arrivé.")
    desk.sms.send(MARIAM, "Votre commande 42 est partie.")
    desk.sms.send(AWA, "Bonjour Awa, votre commande est partie.")
    expect(desk.at("conversation")).to_have_count(3)
    thread = desk.show(AWA)
    expect(thread.get_by_test_id("message-text")).to_have_text("Bonjour Awa, votre commande est partie.")
    expect(thread.get_by_test_id("message-price")).to_contain_text("10")
    snap(desk.page, f"inbox-{language}")
