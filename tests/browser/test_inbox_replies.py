"""From the page a handset answers, and the gateway is made to misbehave."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.desk import Desk, Receiver
from vavasms import AuthenticationError, OutcomeUnknownError

pytestmark = pytest.mark.slow

AMA = "2250700000121"


def test_a_reply_reaches_a_real_inbound_app(desk: Desk, receiver: Receiver) -> None:
    desk.sms.send(AMA, "Serez-vous là demain ?")
    desk.show(AMA)
    desk.at("reply-text").fill("Oui, à 9 h & merci")
    desk.at("reply-send").click()
    heard = receiver.messages.get(timeout=10)
    assert (heard.sender.removeprefix("+"), heard.text) == (AMA, "Oui, à 9 h & merci")
    expect(desk.at("reply-result")).to_contain_text("200")
    expect(desk.at("thread")).to_contain_text("Oui, à 9 h & merci")
    expect(desk.at("reply-text")).to_have_value("")
    # The same words once more are another message, not the same one again.
    desk.at("reply-text").fill("Oui, à 9 h & merci")
    desk.at("reply-send").click()
    assert receiver.messages.get(timeout=10).message_id != heard.message_id


def test_chaos_makes_the_next_send_unknown_and_only_that(desk: Desk) -> None:
    desk.at("chaos-kind").select_option("close_after_accepting")
    desk.at("chaos-when").select_option("next")
    desk.at("chaos-set").click()
    expect(desk.planned()).to_have_count(1)
    with pytest.raises(OutcomeUnknownError):
        desk.sms.send(AMA, "Bonjour")
    # It was accepted, and the page shows what the sender cannot know.
    expect(desk.conversation(AMA)).to_be_visible()
    assert desk.server.faults.pending == 0
    assert desk.sms.send(AMA, "Bonjour").message_ids


def test_chaos_that_is_cleared_strikes_nobody(desk: Desk) -> None:
    desk.at("chaos-kind").select_option("close_after_accepting")
    desk.at("chaos-when").select_option("always")
    desk.at("chaos-set").click()
    expect(desk.planned()).to_have_count(1)
    desk.at("chaos-clear").click()
    expect(desk.planned()).to_have_count(0)
    assert desk.sms.send(AMA, "Bonjour").message_ids


def test_a_magic_number_that_was_used_is_named_with_what_it_does(desk: Desk) -> None:
    expect(desk.page.locator("#magic-title")).to_be_hidden()
    with pytest.raises(AuthenticationError):
        desk.sms.send("2250700000901", "Bonjour")
    used = desk.at("magic").locator("li")
    expect(used).to_have_text(["+2250700000901 Refusé par 901 INVALID_CREDENTIALS."])
    assert desk.sms.send("2250700000100", "Bonjour").message_ids
    expect(used.first).to_contain_text("+2250700000100 Accepté ; son statut reste")
    expect(used).to_have_count(2)
