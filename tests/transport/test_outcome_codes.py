"""Each way in which a call can fail has a code of its own, whatever the language."""

from __future__ import annotations

import json

import pytest

from vavasms.errors import GatewayError, MessageNotFoundError, VavaSMSError
from vavasms.i18n import LANGUAGES, Sentence, language_set
from vavasms.numbers import Msisdn
from vavasms.transport.outcome import (
    Failure,
    OutcomePolicy,
    Problem,
    Reply,
    judge_problem,
    judge_reply,
    misshapen,
)
from vavasms.wire.requests import (
    CallKind,
    Request,
    build_balance,
    build_delivery_status,
    build_verify_otp,
    draft_text,
)

TO = Msisdn("2250700000001")
SEND = draft_text("Bonjour", "ACME").address((TO,))
READ = build_balance()
STATUS = build_delivery_status("SM-1", lot_id=None, path="/status")
VERIFY = build_verify_otp(TO, "1234", sender_id=None)
SUCCESS = b'{"code": 0, "message": "OPERATION_SUCCES", "data": {}}'


def refusal(code: object, **more: object) -> bytes:
    return json.dumps({"code": code, "message": "NAME", "description": "Non.", **more}).encode()


def replied(request: Request, status: int, body: bytes) -> VavaSMSError:
    result = judge_reply(request, Reply(status=status, retry_after=None, body=body), OutcomePolicy())
    assert isinstance(result, Failure)
    return result.error


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (Problem(name="ConnectError", asked=False), "not_sent.no_connection"),
        (Problem(name="PoolTimeout", asked=False, crowded=True), "not_sent.crowded"),
        (Problem(name="SSLError", asked=False, tls=True), "not_sent.tls"),
        (Problem(name="InvalidURL", asked=False, misconfigured=True), "config.base_url"),
        (Problem(name="BarredError", asked=True, barred="This test would."), "config.real_gateway"),
        (Problem(name="ReadTimeout", asked=True), "outcome.unknown.no_reply"),
    ],
)
@pytest.mark.parametrize("request_", [SEND, READ, VERIFY], ids=["send", "read", "verify"])
def test_a_failure_without_a_reply_has_its_code(request_: Request, problem: Problem, code: str) -> None:
    assert judge_problem(request_, problem).error.error_code == code


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (302, b"", "config.redirected"),
        (200, b"", "outcome.unknown.odd_reply"),
        (200, b"<html>", "outcome.unknown.odd_reply"),
        (500, SUCCESS, "outcome.unknown.odd_reply"),
        (418, b"", "outcome.unknown.odd_reply"),
        (429, b'"code": 0', "outcome.unknown.odd_reply"),
        (429, b"", "gateway.rate_limited"),
        (408, b"", "gateway.server_error"),
        (503, b"", "gateway.server_error"),
        (400, b"", "gateway.http_refused"),
        (404, b"", "gateway.http_refused"),
        (200, refusal(901), "gateway.901"),
        (400, refusal("902"), "gateway.902"),
        (200, refusal(903), "gateway.903"),
        (200, refusal(709), "gateway.709"),
        (200, refusal(950), "gateway.refused"),
        (200, refusal("WORD"), "gateway.refused"),
    ],
)
@pytest.mark.parametrize("request_", [SEND, READ, VERIFY], ids=["send", "read", "verify"])
def test_a_reply_that_is_no_success_has_its_code(
    request_: Request, status: int, body: bytes, code: str
) -> None:
    assert replied(request_, status, body).error_code == code


def test_a_wrong_code_is_an_error_only_of_other_calls() -> None:
    assert replied(SEND, 200, refusal(913)).error_code == "gateway.913"


def test_a_message_that_is_not_found_has_the_code_of_its_number() -> None:
    error = replied(STATUS, 200, refusal(709))
    assert isinstance(error, MessageNotFoundError)
    assert error.error_code == "gateway.709"


@pytest.mark.parametrize("kind", CallKind)
def test_a_success_that_cannot_be_read_has_its_code(kind: CallKind) -> None:
    assert misshapen(kind).error_code == "outcome.unknown.odd_reply"


def test_a_code_can_be_named_and_is_that_of_the_class_where_nothing_is_known() -> None:
    assert GatewayError("No.").error_code == "gateway.refused"
    assert GatewayError("No.", code=901, error_code="gateway.own").error_code == "gateway.own"
    assert GatewayError("No.", code=123456).error_code == "gateway.refused"
    assert MessageNotFoundError("No.").error_code == "gateway.709"


def test_the_gateways_own_words_are_never_translated() -> None:
    with language_set("fr"):
        error = replied(SEND, 200, refusal(950))
    assert isinstance(error, GatewayError)
    assert (error.name, error.description) == ("NAME", "Non.")
    message = error.args[0]
    assert isinstance(message, Sentence)
    for language in LANGUAGES:
        assert "(NAME, 950)" in message.said_in(language)
        assert "Non." in message.said_in(language)
    assert error.english == "The gateway refused (NAME, 950): Non. Nothing was sent."
    assert str(error) == message.said_in("fr") != error.english


def test_a_refusal_without_words_ends_with_its_name() -> None:
    body = b'{"code": 950, "message": "NAME"}'
    assert replied(READ, 200, body).english == "The gateway refused (NAME, 950)."


def test_a_status_is_never_grouped() -> None:
    assert "HTTP 503" in replied(SEND, 503, b"").english
    assert "HTTP 503" in str(replied(SEND, 503, b"").args[0].said_in("fr"))
