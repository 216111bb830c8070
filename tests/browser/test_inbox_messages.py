"""The inbox page shows what handsets receive, as it comes."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.desk import Desk, Watch

pytestmark = pytest.mark.slow

AMA, KOFI = "2250700000121", "2250700000122"
SCRIPT = "<script>document.title='ran';alert(1)</script><img src=x onerror=\"document.title='ran'\">"


def test_a_message_appears_without_reload(desk: Desk) -> None:
    desk.page.evaluate("window.sameDocument = true")
    lot = desk.sms.send(AMA, "Votre colis est arrivé.")
    expect(desk.conversation(AMA)).to_be_visible()
    desk.show(AMA)
    expect(desk.message(lot.message_ids[0]).get_by_test_id("message-text")).to_have_text(
        "Votre colis est arrivé."
    )
    second = desk.sms.send(AMA, "Il vous attend jusqu'à 18 h.")
    expect(desk.message(second.message_ids[0])).to_be_visible()
    assert desk.page.evaluate("window.sameDocument") is True


def test_a_message_shows_its_price_segments_and_how_far_it_came(desk: Desk) -> None:
    lot = desk.sms.send(AMA, "Réunion à 9 h, salle « Abidjan ». " * 5)
    desk.show(AMA)
    message = desk.message(lot.message_ids[0])
    segments = desk.server.gateway.journal.entries[0].segments
    assert segments > 1
    expect(message.get_by_test_id("message-segments")).to_contain_text(str(segments))
    expect(message.get_by_test_id("message-price")).to_contain_text(str(segments * 10))
    expect(message.get_by_test_id("message-status")).to_contain_text(
        re.compile("délivré|remis", re.IGNORECASE)
    )


def test_the_newest_conversation_stands_first(desk: Desk) -> None:
    for phone in (AMA, KOFI, AMA):
        desk.sms.send(phone, "Bonjour")
    expect(desk.at("conversation")).to_have_count(2)
    expect(desk.at("conversation").first).to_have_attribute("data-phone", AMA)


def test_an_otp_is_copied_by_its_button(new_desk: Callable[..., Desk]) -> None:
    desk = new_desk(permissions=["clipboard-read", "clipboard-write"])
    receipt = desk.sms.send_otp(AMA)
    desk.show(AMA)
    code = desk.server.gateway.latest_otp(AMA)
    message = desk.message(receipt.message_id)
    expect(message.get_by_test_id("otp-code")).to_have_text(str(code))
    button = message.get_by_test_id("otp-copy")
    button.click()
    expect(button).to_have_text("Copié")
    assert desk.page.evaluate("navigator.clipboard.readText()") == code


def test_a_script_in_an_sms_is_shown_as_text_and_does_not_run(desk: Desk) -> None:
    title = desk.page.title()
    lot = desk.sms.send(AMA, SCRIPT)
    expect(desk.conversation(AMA)).to_contain_text("<script>")
    desk.show(AMA)
    expect(desk.message(lot.message_ids[0]).get_by_test_id("message-text")).to_have_text(SCRIPT)
    desk.page.reload()
    expect(desk.conversation(AMA)).to_contain_text("<script>")
    desk.show(AMA)
    expect(desk.message(lot.message_ids[0]).get_by_test_id("message-text")).to_have_text(SCRIPT)
    assert desk.page.title() == title


def test_nothing_of_others_can_be_run_or_reached(desk: Desk, watch: Watch) -> None:
    ran = desk.page.evaluate(
        """async () => {
            const script = document.createElement('script');
            script.textContent = 'window.ran = true';
            document.body.append(script);
            const told = await fetch('http://elsewhere.invalid/').then(() => true, () => false);
            return [Boolean(window.ran), told];
        }"""
    )
    assert ran == [False, False]
    violations = [one for one in watch.problems if "Content Security Policy" in one]
    assert len(violations) >= 2
    watch.problems.clear()


def test_search_finds_numbers_and_words(desk: Desk) -> None:
    desk.sms.send(AMA, "Votre colis est arrivé.")
    desk.sms.send(KOFI, "Votre facture est prête.")
    expect(desk.at("conversation")).to_have_count(2)
    desk.at("inbox-search").fill("FACTURE")
    expect(desk.at("conversation")).to_have_count(1)
    expect(desk.conversation(KOFI)).to_be_visible()
    desk.at("inbox-search").fill(AMA[-6:])
    expect(desk.conversation(KOFI)).to_have_count(0)
    expect(desk.conversation(AMA)).to_be_visible()
    desk.at("inbox-search").fill("")
    expect(desk.at("conversation")).to_have_count(2)


def test_clear_empties_the_page_and_the_journal(desk: Desk) -> None:
    desk.sms.send(AMA, "Bonjour")
    expect(desk.conversation(AMA)).to_be_visible()
    desk.at("clear").click()
    expect(desk.at("conversation")).to_have_count(0)
    assert len(desk.server.gateway.journal) == 0


def test_the_balance_falls_with_each_message_and_can_be_refilled(desk: Desk) -> None:
    gateway = desk.server.gateway
    gateway.set_balance(50)
    expect(desk.at("balance")).to_contain_text(re.compile(r"\b50\b"))
    desk.sms.send(AMA, "Bonjour")
    expect(desk.at("balance")).to_contain_text(re.compile(r"\b40\b"))
    desk.at("balance-refill").click()
    expect(desk.at("balance")).not_to_contain_text(re.compile(r"\b40\b"))
    assert gateway.balance > 40
