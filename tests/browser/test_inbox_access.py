"""axe-core finds nothing serious on the page, in light and dark, narrow and wide."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.desk import Desk, judge

pytestmark = pytest.mark.slow

Snap = Callable[[Page, str], None]

AMA, KOFI, FAILED, SHOP = "2250700000121", "2250700000122", "2250700000404", "2250700000123"
WIDTHS = {"narrow": 360, "wide": 1440}


def live_a_day(desk: Desk) -> None:
    """Receive what shows most of the page, and answer."""
    desk.sms.send(SHOP, "Promo : -20 % sur tout le magasin jusqu'à samedi. STOP pour ne plus rien recevoir.")
    desk.sms.send(FAILED, "Votre facture de juin est disponible : 12 500 F.")
    desk.sms.send(KOFI, "Bonjour Kofi, votre colis est arrivé à Yopougon.")
    desk.sms.send([KOFI, SHOP], "Nos bureaux ferment à 17 h ce vendredi.")
    desk.sms.send_otp(AMA, template="Votre code de connexion est ##OTP##. Ne le donnez à personne.")
    desk.sms.send(
        AMA, "Rendez-vous confirmé lundi à 9 h, salle « Ébène ». Répondez OUI pour garder la place."
    )
    expect(desk.at("conversation")).to_have_count(4)
    desk.show(AMA)
    desk.at("reply-text").fill("OUI, merci !")
    desk.at("reply-send").click()
    expect(desk.at("reply-result")).to_contain_text("200")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("theme", "locale"), [("light", "fr-FR"), ("dark", "en-GB")])
def test_axe_finds_nothing_serious(
    new_desk: Callable[..., Desk], axe: str, snap: Snap, theme: str, locale: str, width: str
) -> None:
    viewport = {"width": WIDTHS[width], "height": 800}
    desk = new_desk(color_scheme=theme, locale=locale, viewport=viewport)
    problems = judge(desk.page, axe) if width == "wide" else []
    live_a_day(desk)
    problems += judge(desk.page, axe)
    if width == "narrow":
        snap(desk.page, f"messages-{width}-{theme}")
    desk.turn_to_gateway()
    desk.at("chaos-set").click()
    expect(desk.planned()).to_have_count(1)
    problems += judge(desk.page, axe)
    snap(desk.page, f"inbox-{width}-{theme}")
    assert problems == []


def test_no_text_makes_the_page_wider_than_its_window(desk: Desk) -> None:
    desk.sms.send(AMA, "https://exemple.test/" + "a" * 600)
    desk.show(AMA)
    for width in WIDTHS.values():
        desk.page.set_viewport_size({"width": width, "height": 800})
        assert desk.page.evaluate("document.documentElement.scrollWidth") <= width
        desk.page.goto(f"{desk.server.origin}/?to={AMA}")
        text = desk.at("message-text").bounding_box()
        assert text is not None
        assert 0 <= text["x"] <= text["x"] + text["width"] <= width
