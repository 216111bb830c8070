"""What a caller passes by mistake is one sentence that names the argument, and never taken for something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vavasms import AsyncVavaSMS, CampaignRunner, OutboxWorker, VavaSMS
from vavasms.errors import (
    ConfigurationError,
    InvalidInputError,
    InvalidNumberError,
    InvalidSenderIdError,
    Outcome,
    VavaSMSError,
)
from vavasms.numbers import parse_msisdn

pytestmark = pytest.mark.anyio

SWITCHES = ["lots_are_atomic", "retry_refused", "refusals_are_final", "trust_env", "keep_texts"]
Make = Callable[..., Any]


@pytest.fixture(params=[AsyncVavaSMS, VavaSMS])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    account = {"username": "me", "password": "word", "sender_id": "ACME", "base_url": "http://127.0.0.1:1"}
    made: list[AsyncVavaSMS | VavaSMS] = []

    def build(**options: Any) -> AsyncVavaSMS | VavaSMS:
        made.append(request.param(**(account | options)))
        return made[-1]

    yield build
    for client in made:
        if isinstance(client, VavaSMS):
            client.close()


def refused(make: Make, **options: Any) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        make(**options)
    assert (caught.value.outcome, caught.value.__context__) == (Outcome.NOT_SENT, None)
    return caught.value


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("wrong", ["False", 0, 1, None], ids=repr)
def test_a_switch_is_true_or_false_and_nothing_like_it(make: Make, name: str, wrong: Any) -> None:
    if name == "lots_are_atomic" and wrong is None:
        # As the profile says.
        make(lots_are_atomic=None)
        return
    error = refused(make, **{name: wrong})
    assert str(error) == f"{name} is True or False. Nothing was sent."
    assert error.error_code == "config.argument"


@pytest.mark.parametrize("wrong", [30, 0, {"read": 3}, "30"], ids=repr)
def test_timeouts_that_are_none_are_refused(make: Make, wrong: Any) -> None:
    error = refused(make, timeouts=wrong)
    assert str(error) == "timeouts is Timeouts(…), such as timeouts=Timeouts(read=30). Nothing was sent."


@pytest.mark.parametrize("name", ["username", "password", "base_url", "sender_id"])
def test_a_setting_is_a_text(make: Make, name: str) -> None:
    assert str(refused(make, **{name: 1234})) == f"{name} is no text. Nothing was sent."


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("", "ledger is empty: give the path of a file."),
        ("sqlite:///l.db", "ledger is the path of a file, or postgresql://user@host/name."),
        (5, "ledger is the path of a file, postgresql://user@host/name, or an open ledger."),
    ],
)
def test_what_is_no_ledger_is_named(make: Make, place: Any, words: str) -> None:
    assert str(refused(make, ledger=place)) == f"{words} Nothing was sent."


@pytest.mark.parametrize("kind", [CampaignRunner, OutboxWorker])
@pytest.mark.parametrize("place", ["l.db", Path("l.db"), None], ids=repr)
def test_a_path_is_no_open_ledger(make: Make, kind: Make, place: Any) -> None:
    error = refused(lambda: kind(make(), place))
    assert str(error).startswith("ledger is an open ledger here, such as await SqliteLedger.open(")


async def raised(sms: AsyncVavaSMS | VavaSMS, call: Callable[[Any], Any]) -> VavaSMSError:
    with pytest.raises(VavaSMSError) as caught:
        answer = call(sms)
        if isinstance(sms, AsyncVavaSMS):
            await answer
    return caught.value


TO = "+2250709000001"


async def test_a_key_without_a_ledger_is_told_what_the_client_needs(make: Make) -> None:
    error = await raised(make(), lambda sms: sms.send(TO, "x", idempotency_key="k"))
    assert "make the client with ledger='sms.db'" in str(error)
    assert "Async" not in str(error)


@pytest.mark.parametrize("dedupe", ["no", 0, None], ids=repr)
async def test_dedupe_is_true_or_false(make: Make, dedupe: Any) -> None:
    error = await raised(make(), lambda sms: sms.send_bulk([TO], "x", dedupe=dedupe))
    assert str(error) == "dedupe is True or False; nothing was sent."
    assert isinstance(error, InvalidInputError)
    assert (error.error_code, error.argument) == ("input.flag", "dedupe")


@pytest.mark.parametrize("call", ["send", "send_otp"])
async def test_a_sender_id_is_told_what_is_wrong_with_it(make: Make, call: str) -> None:
    more = ("x",) if call == "send" else ()
    error = await raised(make(), lambda sms: getattr(sms, call)(TO, *more, sender_id=5))
    assert str(error) == "sender_id is no text; nothing was sent."
    error = await raised(make(), lambda sms: getattr(sms, call)(TO, *more, sender_id="TWELVELETTER"))
    assert str(error) == "A sender ID has 3 to 11 characters, this one has 12; nothing was sent."
    assert isinstance(error, InvalidSenderIdError)


@pytest.mark.parametrize("options", [{"message_id": 5}, {"message_id": "a", "lot_id": 5}])
async def test_an_id_that_is_no_text_is_named(make: Make, options: dict[str, Any]) -> None:
    error = await raised(make(), lambda sms: sms.delivery_reports(**options))
    assert str(error) == f"{list(options)[-1]} is no text."


async def test_a_number_that_is_refused_in_a_send_says_that_nothing_was_sent(make: Make) -> None:
    calls: list[Callable[[Any], Any]] = [
        lambda sms: sms.send("+22509000001", "x"),
        lambda sms: sms.send_otp("+22509000001"),
    ]
    for call in calls:
        error = await raised(make(), call)
        assert isinstance(error, InvalidNumberError)
        assert str(error).endswith("use +22507••••••01 or repair it. Nothing was sent.")
        assert error.suggestion == "2250709000001"
    with pytest.raises(InvalidNumberError) as caught:
        parse_msisdn("+22509000001")
    assert str(caught.value).endswith("or repair it")


def test_a_lost_zero_is_told_with_the_number_that_it_makes() -> None:
    with pytest.raises(InvalidNumberError, match=r"leading zero: use \+22507••••••01, or repair it"):
        parse_msisdn("709000001", region="CI")


@pytest.mark.parametrize("repair", ["no", 0, None], ids=repr)
def test_a_repair_is_wanted_or_not(repair: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"^repair is True or False; nothing was sent.$"):
        parse_msisdn(TO, repair=repair)
