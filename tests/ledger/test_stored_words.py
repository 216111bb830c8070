"""What a ledger keeps and a log tells is English, whatever the language of who sends."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from vavasms import AsyncVavaSMS, GatewayError, LedgerError, NotSentError, Outcome, UnexpectedReplyError
from vavasms.errors import name_error
from vavasms.i18n import Sentence, language_set
from vavasms.i18n import gettext as _
from vavasms.ledger.attempts import describe_error, name_reason, record_error
from vavasms.ledger.rows import (
    DIED,
    DROPPED,
    HINDERED,
    LEDGER_RECOVERED,
    LOADING_ENDED,
    OVER_BUDGET,
    RECOVERED,
    still_going,
    waiting_again,
)
from vavasms.ledger.states import CampaignState
from vavasms.sandbox import Fault, FaultKind, SandboxServer
from vavasms.storage.group_commit import GroupCommit

UNREACHABLE = "The gateway could not be reached ({name})."
FULL = "The database did not take it ({why}): nothing more is sent."


@pytest.fixture(autouse=True)
def in_french() -> Iterator[None]:
    with language_set("fr"):
        yield


def refused() -> GatewayError:
    sentence = _("The gateway refused ({label}).", label="NO, 950")
    return GatewayError(sentence, code=950, name="NO", description="Solde insuffisant")


def test_an_error_is_kept_in_english() -> None:
    error = NotSentError(_(UNREACHABLE, name="ConnectError"), outcome=Outcome.NOT_SENT)
    assert str(error) != error.english
    kept = "NotSentError: The gateway could not be reached (ConnectError)."
    assert describe_error(error) == name_reason(error) == record_error(error).error == kept


def test_the_gateways_own_words_are_kept_beside_it() -> None:
    assert describe_error(refused()) == "GatewayError: The gateway refused (NO, 950). (Solde insuffisant)"


def test_an_error_of_the_ledger_is_logged_in_english() -> None:
    assert name_error(LedgerError(_(FULL, why="x"))) == FULL.format(why="x")
    assert name_error(refused()) == "GatewayError"


def test_reasons_are_kept_in_english_and_can_be_shown_in_french() -> None:
    assert waiting_again(1) == "1 batch waits to be sent again"
    assert waiting_again(1200) == "1,200 batches wait to be sent again"
    assert not isinstance(waiting_again(2), Sentence)
    records = (DIED, RECOVERED, DROPPED, *HINDERED.values())
    for stored in (*(record.error for record in records), LEDGER_RECOVERED, LOADING_ENDED, OVER_BUDGET):
        assert stored is not None
        assert type(stored) is str
        # The name of an error stays.
        sentence = stored.removeprefix("OutcomeUnknownError: ")
        assert _(sentence) != sentence == _(sentence).english


@pytest.mark.parametrize("what", ["loaded", "purged"])
@pytest.mark.parametrize("state", CampaignState)
def test_a_campaign_that_is_in_no_state_for_it_is_a_sentence(state: CampaignState, what: str) -> None:
    error = still_going("c", state, what)
    assert error.english == f"The campaign 'c' is {state.value}: it cannot be {what}."
    assert error.error_code == "campaign.state"
    assert state.value not in str(error)


@pytest.mark.anyio
async def test_what_is_written_together_fails_in_both_languages_and_with_its_code() -> None:
    async def make(_items: Sequence[int]) -> Sequence[int]:
        raise LedgerError(_(FULL, why="x"), error_code="ledger.closed")

    with pytest.raises(LedgerError) as caught:
        await GroupCommit(make).write(1)
    error = caught.value
    assert (error.english, error.error_code) == (FULL.format(why="x"), "ledger.closed")
    assert str(error) == _(FULL, why="x") != error.english


@pytest.mark.anyio
async def test_a_send_is_kept_in_english(
    tmp_path: Path, sandbox: SandboxServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ledger = tmp_path / "sms.db"
    account: dict[str, Any] = {"base_url": sandbox.url, "sender_id": "ACME", "trust_env": False}
    async with AsyncVavaSMS(
        "a@example.com", "secret", ledger=ledger, keep=timedelta(days=1), **account
    ) as sms:
        sandbox.faults.script(Fault(kind=FaultKind.HTML))
        with pytest.raises(UnexpectedReplyError) as caught:
            await sms.send("+2250700000001", "Bonjour", idempotency_key="order-1")
        record = await sms.sent("order-1")
        assert record is not None
        assert record.error is not None
        assert record.error.endswith("It is unknown whether the SMS was sent: look before sending again.")
        assert caught.value.english in record.error
        resolved = await sms.resolve("order-1", sent=True)
        assert resolved.error == "A person took it for sent."
    assert str(caught.value) == caught.value.args[0].said_in("fr") != caught.value.english
    assert str(caught.value) not in caplog.text
