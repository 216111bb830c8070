"""Everything on the page can be done without a mouse."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.desk import Desk, Receiver
from vavasms import OutcomeUnknownError

pytestmark = pytest.mark.slow

AMA, KOFI = "2250700000121", "2250700000122"


def test_search_conversation_and_reply_need_only_the_keyboard(desk: Desk, receiver: Receiver) -> None:
    desk.sms.send(AMA, "Votre colis est arrivé.")
    desk.sms.send(KOFI, "Votre facture est prête.")
    expect(desk.at("conversation")).to_have_count(2)
    keyboard = desk.page.keyboard
    unseen = desk.tab_to(desk.at("inbox-search"))
    keyboard.type("colis")
    expect(desk.at("conversation")).to_have_count(1)
    unseen += desk.tab_to(desk.conversation(AMA))
    keyboard.press("Enter")
    expect(desk.at("thread")).to_contain_text("Votre colis est arrivé.")
    unseen += desk.tab_to(desk.at("reply-text"))
    keyboard.type("Merci")
    unseen += desk.tab_to(desk.at("reply-send"))
    keyboard.press("Enter")
    assert receiver.messages.get(timeout=10).text == "Merci"
    assert unseen == []


def test_chaos_needs_only_the_keyboard(desk: Desk) -> None:
    keyboard, kind = desk.page.keyboard, desk.at("chaos-kind")
    unseen = desk.tab_to(kind)
    choices = kind.evaluate("one => [...one.options].map(option => option.value)")
    keyboard.press("Home")
    for _ in range(choices.index("close_after_accepting")):
        keyboard.press("ArrowDown")
    expect(kind).to_have_value("close_after_accepting")
    unseen += desk.tab_to(desk.at("chaos-set"))
    keyboard.press("Enter")
    expect(desk.planned()).to_have_count(1)
    with pytest.raises(OutcomeUnknownError):
        desk.sms.send(AMA, "Bonjour")
    assert unseen == []


def test_a_new_message_does_not_take_the_focus_or_what_is_typed(desk: Desk) -> None:
    desk.sms.send(AMA, "Serez-vous là demain ?")
    desk.show(AMA)
    desk.at("reply-text").fill("Oui, à")
    for phone in (AMA, KOFI):
        lot = desk.sms.send(phone, "Une autre nouvelle")
    expect(desk.conversation(KOFI)).to_be_visible()
    assert lot.message_ids
    expect(desk.at("reply-text")).to_be_focused()
    expect(desk.at("reply-text")).to_have_value("Oui, à")
