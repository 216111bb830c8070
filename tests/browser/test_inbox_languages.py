"""The page speaks the browser's language, or the one that is chosen on it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.desk import Desk, Watch

pytestmark = pytest.mark.slow

AMA, KOFI = "2250700000121", "2250700000122"


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


@pytest.mark.parametrize(
    ("locale", "totals", "facts", "costly", "balance", "refused"),
    [
        ("fr-CI", ("0 message · 0 numéro", "2 messages · 2 numéros"), "1 segment · Unicode", "Unicode à cause de ê",
         "999\u00a0980 XOF", "Cela n'a pas marché\u00a0: les taux sont des probabilités"),
        ("en-GB", ("0 messages · 0 numbers", "2 messages · 2 numbers"), "1 segment · Unicode", "Unicode because of ê",
         "999,980 XOF", "That did not work: rates are probabilities"),
    ],
)  # fmt: skip
def test_what_the_script_says_is_in_the_language_of_the_page(
    new_desk: Callable[..., Desk],
    watch: Watch,
    locale: str,
    totals: tuple[str, str],
    facts: str,
    costly: str,
    balance: str,
    refused: str,
) -> None:
    desk = new_desk(locale=locale)
    expect(desk.page.locator("#totals")).to_have_text(totals[0])
    desk.sms.send(AMA, "Bonjour")
    lot = desk.sms.send(KOFI, "Votre commande est prête.")
    expect(desk.page.locator("#totals")).to_have_text(totals[1])
    desk.show(KOFI)
    message = desk.message(lot.message_ids[0])
    expect(message.get_by_test_id("message-segments")).to_have_text(facts)
    expect(message.locator(".why")).to_have_text(costly)
    desk.turn_to_gateway()
    # As text: Playwright takes a no-break space for any.
    expect(desk.at("balance")).to_have_text(balance)
    assert desk.at("balance").text_content() == balance
    desk.at("chaos-when").select_option("rate")
    desk.page.locator("#chaos-rate").fill("60")
    desk.at("chaos-set").click()
    expect(desk.planned()).to_have_count(1)
    desk.at("chaos-kind").select_option("empty")
    desk.at("chaos-set").click()
    expect(desk.page.locator("#chaos-error")).to_contain_text(refused)
    # The browser's own note of a 400.
    assert [one for one in watch.problems if "400" not in one] == []
    watch.problems.clear()


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("fr-CI", "Cela n'a pas marché : le bac à sable ne répond pas"),
        ("en-GB", "the sandbox does not answer"),
    ],
)
def test_a_sandbox_that_is_gone_is_one_sentence_of_ours(
    new_desk: Callable[..., Desk], watch: Watch, locale: str, words: str
) -> None:
    desk = new_desk(locale=locale)
    with desk.server.refuse():
        desk.at("balance-refill").click()
        expect(desk.page.locator("#chaos-error")).to_contain_text(words)
    watch.problems.clear()
