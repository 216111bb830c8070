"""Who sends a stop word is on the opt-out list before the handler hears of it."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlencode

import pytest

from tests.inbound.posting import TOKEN, post, sms
from vavasms.inbound.asgi import InboundApp
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.models import InboundMessage
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

NUMBER = Msisdn("2250700000101")
Inbox = list[InboundMessage]


class Flaky(MemoryLedger):
    """A ledger that fails once."""

    failed = False

    async def add_opt_outs(self, recipients: Iterable[Msisdn], *, source: str, now: float) -> int:
        if not self.failed:
            self.failed = True
            raise OSError(f"no room for {list(recipients)}")
        return await super().add_opt_outs(recipients, source=source, now=now)


async def test_a_stop_feeds_the_ledgers_list_and_then_the_handler() -> None:
    ledger, seen = MemoryLedger(), []

    async def handle(message: InboundMessage) -> None:
        seen.append(await ledger.opted_out())

    app = InboundApp(handle, token=TOKEN, opt_outs=ledger)
    assert (await post(app, sms(text="Stop merci", sender=f"+{NUMBER}"))).status == 200
    assert seen == [frozenset({int(NUMBER)})]
    (entry,) = await ledger.opt_outs(limit=10)
    assert (entry.recipient, entry.source) == (NUMBER, "inbound")
    assert entry.at > 1_700_000_000


@pytest.mark.parametrize("sender", ["2250700000101", "00225 07 00 00 01 01", "0700000101", "+22507000101"])
async def test_the_sender_is_read_in_every_form_the_old_plan_too(sender: str) -> None:
    ledger = MemoryLedger()
    await post(InboundApp(print, token=TOKEN, opt_outs=ledger), sms(text="STOP", sender=sender))
    assert len(await ledger.opted_out()) == 1


async def test_a_national_number_is_of_the_region_that_was_named() -> None:
    ledger = MemoryLedger()
    await post(
        InboundApp(print, token=TOKEN, opt_outs=ledger, region="SN"), sms(text="STOP", sender="771234567")
    )
    assert await ledger.opted_out() == {221771234567}


async def test_other_texts_leave_the_list_alone() -> None:
    ledger = MemoryLedger()
    app = InboundApp(lambda message: None, token=TOKEN, opt_outs=ledger)
    assert (await post(app, sms(text="ne stop pas"))).status == 200
    assert await ledger.opted_out() == frozenset()


@pytest.mark.parametrize("sender", ["98555", "ACME", "70000101"])
async def test_a_sender_that_is_no_number_is_passed_over_with_a_warning(
    sender: str, caplog: pytest.LogCaptureFixture
) -> None:
    ledger, got = MemoryLedger(), Inbox()
    app = InboundApp(got.append, token=TOKEN, opt_outs=ledger)
    assert (await post(app, sms(text="STOP", sender=sender))).status == 200
    assert (len(got), await ledger.opted_out()) == (1, frozenset())
    assert "asks for no more, but its sender is no number" in caplog.text
    assert sender not in caplog.text


async def test_a_list_that_fails_is_500_and_the_next_try_is_handled_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ledger, got = Flaky(), Inbox()
    app = InboundApp(got.append, token=TOKEN, opt_outs=ledger)
    assert (await post(app, sms(text="STOP", sender=NUMBER))).status == 500
    assert got == []
    assert (await post(app, sms(text="STOP", sender=NUMBER))).status == 200
    assert (len(got), await ledger.opted_out()) == (1, frozenset({int(NUMBER)}))
    assert NUMBER not in caplog.text


async def test_without_a_list_a_stop_is_a_message_like_any_other() -> None:
    got: list[InboundMessage] = []
    assert (await post(InboundApp(got.append, token=TOKEN), sms(text="STOP"))).status == 200
    assert len(got) == 1


async def test_a_stop_in_latin_1_counts() -> None:
    ledger, got = MemoryLedger(), Inbox()
    app = InboundApp(got.append, token=TOKEN, opt_outs=ledger)
    body = b"message_id=SM-1&form=%2B" + NUMBER.encode() + b"&content=ARR%CAT"
    assert (await post(app, body)).status == 200
    assert (got[0].text, await ledger.opted_out()) == ("ARRÊT", frozenset({int(NUMBER)}))


async def test_a_start_takes_the_number_off_again_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="vavasms")
    ledger, got = MemoryLedger(), Inbox()
    app = InboundApp(got.append, token=TOKEN, opt_outs=ledger)
    await post(app, sms("1", text="STOP", sender=NUMBER))
    assert await ledger.opted_out() == {int(NUMBER)}
    assert (await post(app, sms("2", text="me réabonner", sender=NUMBER))).status == 200
    assert (len(got), await ledger.opted_out()) == (2, frozenset())
    assert "its sender is off the opt-out list" in caplog.text
    caplog.clear()
    await post(app, sms("3", text="START", sender=NUMBER))
    assert caplog.text == ""
    await post(app, sms("4", text="START", sender="ACME"))
    assert "takes its stop back, but its sender is no number" in caplog.text
    assert NUMBER not in caplog.text


async def test_own_stop_words_count() -> None:
    ledger = MemoryLedger()
    app = InboundApp(print, token=TOKEN, opt_outs=ledger, stop_words=["assez"])
    await post(app, sms(text="ASSEZ !", sender=NUMBER))
    assert await ledger.opted_out() == {int(NUMBER)}


@pytest.mark.parametrize("message_id", [None, "", "  ", "x" * 201, "a\0b"])
async def test_a_stop_without_an_id_counts_and_is_handled_once(message_id: str | None) -> None:
    ledger, got = MemoryLedger(), Inbox()
    app = InboundApp(got.append, token=TOKEN, opt_outs=ledger)
    fields = {"form": NUMBER, "content": "STOP", "sms_date": "2026-01-05 10:00:00"}
    body = urlencode(fields if message_id is None else fields | {"message_id": message_id}).encode()
    for _ in range(2):
        assert (await post(app, body)).status == 200
    assert (len(got), await ledger.opted_out()) == (1, frozenset({int(NUMBER)}))
    assert got[0].message_id.startswith("digest-")
    await post(app, sms("2", text="START", sender=NUMBER))
    # The very same once more, which may be a new one: in doubt nobody is written to.
    assert (await post(app, body)).status == 200
    assert (len(got), await ledger.opted_out()) == (2, frozenset({int(NUMBER)}))


@pytest.mark.parametrize(
    "body", [b"form=2250700000101&content=START", b"form=2250700000101&content=Oui", b"content=STOP"]
)
async def test_other_messages_without_an_id_or_a_sender_are_refused_as_ever(body: bytes) -> None:
    ledger, got = MemoryLedger(), Inbox()
    assert (await post(InboundApp(got.append, token=TOKEN, opt_outs=ledger), body)).status == 400
    assert (got, await ledger.opted_out()) == ([], frozenset())


async def test_a_list_that_fails_for_a_stop_without_an_id_is_500_too() -> None:
    ledger, got = Flaky(), Inbox()
    app = InboundApp(got.append, token=TOKEN, opt_outs=ledger)
    body = urlencode({"form": NUMBER, "content": "STOP"}).encode()
    assert (await post(app, body)).status == 500
    assert (await post(app, body)).status == 200
    assert (len(got), await ledger.opted_out()) == (1, frozenset({int(NUMBER)}))


async def test_a_list_that_only_grows_warns_of_a_start(caplog: pytest.LogCaptureFixture) -> None:
    class Book:
        def __init__(self) -> None:
            self.numbers: list[Msisdn] = []

        async def add_opt_outs(self, recipients: Iterable[Msisdn], *, source: str, now: float) -> int:
            self.numbers += recipients
            return 1

    app = InboundApp(print, token=TOKEN, opt_outs=(book := Book()))
    await post(app, sms("1", text="STOP", sender=NUMBER))
    assert (await post(app, sms("2", text="START", sender=NUMBER))).status == 200
    assert book.numbers == [NUMBER]
    assert "nobody can be taken off this list" in caplog.text
