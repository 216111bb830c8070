"""The outcome table, row by row, through the pure functions that hold it."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from typing import Any

import pytest
from attrs import frozen

from tests.growth import assert_linear
from vavasms.errors import (
    AuthenticationError,
    ConfigurationError,
    GatewayError,
    MessageNotFoundError,
    NotSentError,
    Outcome,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedNumberError,
    ServerError,
    UnexpectedReplyError,
    UnknownSenderIdError,
    VavaSMSError,
)
from vavasms.models import OtpReason
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
from vavasms.wire.requests import Call, CallKind, Request
from vavasms.wire.responses import Envelope, parse_envelope, parse_verification
from vavasms.wire.signs import MAX_LEGIBLE_BYTES, may_hold_success

ONE = (Msisdn("2250709000001"),)
TWO = (*ONE, Msisdn("2250709000002"))
READS, SENDS, VERIFY = (Call.BALANCE, Call.DELIVERY_STATUS), (Call.SEND_TEXT, Call.SEND_OTP), Call.VERIFY_OTP
NONE, REJECTED, NOT_SENT, UNKNOWN = None, Outcome.REJECTED, Outcome.NOT_SENT, Outcome.UNKNOWN
TURNED_AWAY = (421, 425, 429)
REFUSED = (400, 401, 403, 404, 405, 411, 413, 414, 415, 422, 431)


@frozen
class Fate:
    """What a failure must be: the error's class, what it carries, and how often in all."""

    error: type[VavaSMSError]
    outcome: Outcome | None
    attempts: int = 1
    halts: bool = False
    wait: float | None = None


def request_of(call: Call, recipients: tuple[Msisdn, ...] = ONE) -> Request:
    return Request(call=call, path="/v1/x", recipients=() if call in READS else recipients)


def fate_of(result: Envelope | Failure) -> Fate:
    assert isinstance(result, Failure)
    error = result.error
    assert error.safe_to_retry is (error.outcome is Outcome.NOT_SENT)
    assert "None" not in str(error)
    return Fate(type(error), error.outcome, result.attempts, error.halts, result.wait)


#: How an error's sentence ends, by what became of the call.
ENDS = {
    (CallKind.SEND, NOT_SENT): "Nothing was sent.",
    (CallKind.SEND, REJECTED): "Nothing was sent.",
    (CallKind.SEND, UNKNOWN): "It is unknown whether the SMS was sent: look before sending again.",
    (CallKind.VERIFY, UNKNOWN): "It is unknown whether the code was checked.",
}


def assert_says_what_became_of_it(call: Call, result: Envelope | Failure) -> None:
    assert isinstance(result, Failure)
    text = str(result.error)
    assert [end for end in set(ENDS.values()) if text.endswith(f". {end}")] == [
        end for key, end in ENDS.items() if key == (call.kind, result.error.outcome)
    ]


def judge(
    call: Call,
    status: int,
    body: bytes | Mapping[str, object],
    *,
    recipients: tuple[Msisdn, ...] = ONE,
    retry_after: float | None = None,
    policy: OutcomePolicy | None = None,
) -> Envelope | Failure:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = Reply(status=status, retry_after=retry_after, body=raw)
    return judge_reply(request_of(call, recipients), reply, policy or OutcomePolicy())


# No reply.

BEFORE: list[tuple[dict[str, Any], Fate]] = [
    ({"name": "ConnectError"}, Fate(NotSentError, NOT_SENT, 3)),
    ({"name": "ConnectTimeout"}, Fate(NotSentError, NOT_SENT, 3)),
    ({"name": "ProxyError"}, Fate(NotSentError, NOT_SENT, 3)),
    ({"name": "PoolTimeout", "crowded": True}, Fate(NotSentError, NOT_SENT, 3)),
    ({"name": "ConnectError", "tls": True}, Fate(NotSentError, NOT_SENT, 1, halts=True)),
    (
        {"name": "UnsupportedProtocol", "misconfigured": True},
        Fate(ConfigurationError, NOT_SENT, 1, halts=True),
    ),
    (
        {"name": "BarredError", "barred": "This test would."},
        Fate(ConfigurationError, NOT_SENT, 1, halts=True),
    ),
]


@pytest.mark.parametrize(("values", "fate"), BEFORE)
@pytest.mark.parametrize("call", Call)
def test_what_fails_before_the_body_was_asked_for_sent_nothing(
    call: Call, values: dict[str, Any], fate: Fate
) -> None:
    problem = Problem(asked=False, **values)
    outcome = NONE if call in READS else fate.outcome
    # A send that found no free connection is not tried anew: bulk sends never wait for one.
    attempts = 1 if values.get("crowded") and call in SENDS else fate.attempts
    result = judge_problem(request_of(call), problem)
    assert fate_of(result) == Fate(fate.error, outcome, attempts, fate.halts)
    assert_says_what_became_of_it(call, result)
    assert values.get("barred", "") in str(result.error)


def test_what_the_barrier_of_a_test_run_stopped_sent_nothing_whatever_was_asked_for() -> None:
    problem = Problem(name="BarredError", asked=True, barred="This test would.")
    for call in Call:
        fate = fate_of(judge_problem(request_of(call), problem))
        assert fate == Fate(ConfigurationError, NONE if call in READS else NOT_SENT, halts=True)


@pytest.mark.parametrize("flags", [{}, {"tls": True}, {"crowded": True}, {"misconfigured": True}])
@pytest.mark.parametrize("call", Call)
def test_what_fails_after_the_body_was_asked_for_is_unknown_whatever_it_was(
    call: Call, flags: dict[str, Any]
) -> None:
    problem = Problem(name="ReadTimeout", asked=True, **flags)
    reads = call in READS
    expected = Fate(OutcomeUnknownError, NONE if reads else UNKNOWN, 3 if reads else 1)
    result = judge_problem(request_of(call), problem)
    assert fate_of(result) == expected
    assert_says_what_became_of_it(call, result)


@pytest.mark.parametrize("call", SENDS)
def test_the_words_of_a_send_say_what_became_of_it(call: Call) -> None:
    def words(problem: Problem) -> str:
        return str(judge_problem(request_of(call), problem).error)

    assert words(Problem(name="ConnectError", asked=False)).endswith("Nothing was sent.")
    assert "unknown whether the SMS was sent" in words(Problem(name="ReadError", asked=True))
    assert "ReadError" in words(Problem(name="ReadError", asked=True))


# A reply without an envelope: every status there is.

NO_ENVELOPE = [
    b"",
    b"<html>500</html>",
    b'{"code": 0, "mess',
    b'{"message": "x"}',
    b"null",
    b'{"code": null}',
    b"\xff\xfe",
]
DISGUISED = (NO_ENVELOPE[2], NO_ENVELOPE[-1])


def fate_by_status(kind: CallKind, status: int, *, may_be_success: bool) -> Fate:
    """Return the row of the table, told a second time."""
    read, send, verify = (kind is expected for expected in (CallKind.READ, CallKind.SEND, CallKind.VERIFY))
    unknown = NONE if read else UNKNOWN
    unreadable: type[VavaSMSError] = OutcomeUnknownError if verify else UnexpectedReplyError
    if 200 <= status <= 299:
        return Fate(unreadable, unknown, 2 if read else 1)
    if 300 <= status <= 399:
        return Fate(ConfigurationError, unknown, halts=True)
    if status in REFUSED:
        return Fate(GatewayError, unknown, halts=send or status in {401, 403, 404, 405})
    if status in TURNED_AWAY and not may_be_success:
        return Fate(RateLimitedError, NONE if read else NOT_SENT, 1 if send else 3, wait=7.0)
    if status == 408 or 500 <= status <= 599:
        return Fate(OutcomeUnknownError if verify else ServerError, unknown, 3 if read else 1)
    return Fate(unreadable, unknown)


@pytest.mark.parametrize("body", NO_ENVELOPE)
@pytest.mark.parametrize("call", Call)
def test_every_status_without_an_envelope_has_its_row(call: Call, body: bytes) -> None:
    for status in range(100, 1000):
        fate = fate_by_status(call.kind, status, may_be_success=body in DISGUISED)
        result = judge(call, status, body, retry_after=7.0)
        assert fate_of(result) == fate, status
        assert_says_what_became_of_it(call, result)
        assert isinstance(result, Failure)
        if isinstance(result.error, RateLimitedError):
            assert result.error.retry_after == 7.0
        if isinstance(result.error, GatewayError):
            error = result.error
            assert (error.http_status, error.code, error.name, error.description) == (
                status,
                None,
                None,
                None,
            )


@pytest.mark.parametrize("call", Call)
def test_an_envelope_without_a_name_is_as_none_but_where_a_send_would_be_sent_again(call: Call) -> None:
    for status in range(100, 1000):
        fate = fate_by_status(call.kind, status, may_be_success=True)
        assert fate_of(judge(call, status, {"code": 42}, retry_after=7.0)) == fate, status


@pytest.mark.parametrize("call", Call)
def test_a_refusal_that_is_not_whole_refuses_no_send(call: Call) -> None:
    body = json.dumps({"code": 904, "message": "A_NAME"}).encode()
    reply = Reply(status=200, retry_after=None, body=body, whole=False)
    expected = Fate(UnexpectedReplyError, UNKNOWN) if call in SENDS else Fate(GatewayError, REJECTED)
    fate = fate_of(judge_reply(request_of(call), reply, OutcomePolicy()))
    assert fate == (Fate(GatewayError, NONE) if call in READS else expected)


def test_the_gateways_own_words_stay_as_they_are_but_for_their_full_stop() -> None:
    for said in ("Compte XX.", "Compte XX", "Compte XX..."):
        result = judge(Call.BALANCE, 200, {"code": 904, "message": "A_NAME", "description": said})
        assert isinstance(result, Failure)
        assert str(result.error) == "The gateway refused (A_NAME, 904): Compte XX."


@pytest.mark.parametrize("status", TURNED_AWAY)
@pytest.mark.parametrize("call", Call)
def test_what_was_turned_away_may_be_taken_for_unknown(call: Call, status: int) -> None:
    result = judge(call, status, b"", retry_after=7.0, policy=OutcomePolicy(retry_refused=False))
    # Reads may be repeated whatever became of the first one.
    outcome, attempts = (NONE, 3) if call in READS else (UNKNOWN, 1)
    assert fate_of(result) == Fate(RateLimitedError, outcome, attempts, wait=7.0)
    assert_says_what_became_of_it(call, result)


@pytest.mark.parametrize("call", Call)
def test_without_a_retry_after_none_is_made_up(call: Call) -> None:
    result = judge(call, 429, b"")
    assert isinstance(result, Failure)
    assert isinstance(result.error, RateLimitedError)
    assert (result.wait, result.error.retry_after) == (None, None)


# A readable success.


@pytest.mark.parametrize("code", [0, "0"])
@pytest.mark.parametrize("data", [None, [], {"lot_id": "L", "message_id": ["SM-1", "SM-2", "SM-3"]}])
@pytest.mark.parametrize("call", Call)
def test_a_success_is_one_under_2xx_only(call: Call, code: object, data: object) -> None:
    for status in range(100, 1000):
        result = judge(
            call, status, {"code": code, "message": "OPERATION_SUCCES", "data": data}, retry_after=7.0
        )
        if 200 <= status <= 299:
            assert isinstance(result, Envelope)
            assert result.success
            continue
        unreadable: type[VavaSMSError] = OutcomeUnknownError if call is VERIFY else UnexpectedReplyError
        moved = 300 <= status <= 399
        outcome = NONE if call in READS else UNKNOWN
        assert fate_of(result) == Fate(ConfigurationError if moved else unreadable, outcome, halts=moved), (
            status
        )


@pytest.mark.parametrize(
    "body",
    [
        b'{"code": 0,}',
        b"{'code': 0}",
        b'{"code": 0, "data": NaN}',
        b'{"code": "0", "description": "envoy\xe9"}',
    ],
)
@pytest.mark.parametrize("status", [200, 299, 400, 404, 421, 422, 425, 429, 500, 503])
@pytest.mark.parametrize("call", SENDS)
def test_a_success_in_broken_json_neither_accepts_a_send_nor_frees_it(
    call: Call, status: int, body: bytes
) -> None:
    assert fate_of(judge(call, status, body)) == Fate(UnexpectedReplyError, UNKNOWN)


@pytest.mark.parametrize("kind", CallKind)
def test_a_success_whose_data_makes_no_sense_is_unexpected(kind: CallKind) -> None:
    error = misshapen(kind)
    assert type(error) is (OutcomeUnknownError if kind is CallKind.VERIFY else UnexpectedReplyError)
    assert error.outcome is (NONE if kind is CallKind.READ else UNKNOWN)
    assert str(error).startswith("The gateway's answer says success, but its data cannot be read.")


# A readable refusal.

STATUSES = [
    100,
    200,
    201,
    299,
    302,
    307,
    400,
    401,
    404,
    408,
    418,
    421,
    425,
    429,
    500,
    502,
    503,
    504,
    599,
    600,
    999,
]
NAMED = {901: AuthenticationError, 902: UnknownSenderIdError, 903: RejectedNumberError}


CODES = [-901, 1, 7, 42, 90, 200, 429, 503, 708, 709, 710, *range(895, 1006), 9010, 10**18]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("call", Call)
def test_an_error_envelope_beats_the_status(call: Call, status: int, as_text: bool) -> None:
    for code in CODES:
        body = {"code": str(code) if as_text else code, "message": "A_NAME", "description": "Une phrase."}
        result = judge(call, status, body, retry_after=7.0)
        if call is VERIFY and code == 913:
            assert isinstance(result, Envelope)
            continue
        # Negative, or beyond nine digits: a text like that is a word.
        number = None if as_text and not 0 <= code <= 999_999_999 else code
        cls: type[VavaSMSError] = NAMED.get(code, GatewayError)
        if code == 709 and call is Call.DELIVERY_STATUS:
            cls = MessageNotFoundError
        outcome = NONE if call in READS else REJECTED if 900 <= code <= 999 else UNKNOWN
        assert fate_of(result) == Fate(cls, outcome, halts=code in {901, 902})
        assert isinstance(result, Failure)
        error = result.error
        assert isinstance(error, GatewayError)
        assert (error.code, error.name, error.description) == (number, "A_NAME", "Une phrase.")
        assert error.http_status == status
        assert "Une phrase. " in f"{error} "
        assert ".." not in str(error)


@pytest.mark.parametrize("code", ["INSUFFICIENT_CREDIT", "x", "INVALID_CREDENTIALS", "901 "])
@pytest.mark.parametrize("status", STATUSES)
def test_a_code_in_words_is_an_error_that_settles_nothing(code: str, status: int) -> None:
    for call in Call:
        result = judge(call, status, {"code": code, "status": "A_NAME"}, retry_after=7.0)
        number = 901 if code == "901 " else None
        assert isinstance(result, Failure)
        assert isinstance(result.error, GatewayError)
        assert (result.error.code, result.error.name) == (number, "A_NAME")
        if number is None:
            assert fate_of(result) == Fate(GatewayError, NONE if call in READS else UNKNOWN)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(
    "body",
    [
        # No name: anything that speaks JSON may have written it.
        {"code": 901},
        {"code": "INVALID_CREDENTIALS"},
        {"code": 901, "message": "", "status": None, "description": "x"},
        {"code": 901, "message": ["INVALID"]},
        # Look-alikes of 0.
        {"code": "00", "message": "A_NAME"},
        {"code": " 0", "message": "A_NAME"},
        {"code": "0.0", "message": "A_NAME"},
        # A success beside it, or in it.
        {"code": 901, "message": "OPERATION_SUCCES"},
        {"code": 901, "message": "A_NAME", "status": "OPERATION_SUCCESS"},
        {"code": 901, "message": "A_NAME", "data": {"code": 0}},
        {"code": 901, "message": "A_NAME", "data": [{"x": {"code": "0"}}]},
        {"code": 901, "message": "A_NAME", "data": '{"code": 0}'},
        b'{"code": 901, "message": "A_NAME", "data": {"c\\u006fde": 0}}',
        b'{"code": 901, "message": "A_NAME", "data": {"code": 0},}',
        b'{"code": 901, "code": 0, "message": "A_NAME"}',
        b'{"code": 901, "c\\u006fde": 0, "message": "A_NAME"}',
        b'{"code": 0, "c\\u006fde": 901, "message": "A_NAME"}',
        b'{"code": 901, "c\\u006fde": 0, "message": "A_NAME",}',
        # Spelled so that only a parser sees it.
        b'{"code": 901, "message": "A_NAME", "data": {"c\\x6fde": 0},}',
        b'{"code": 901, "message": "A_NAME", "data": {"co\\\nde": 0},}',
        b'{"code": 901, "message": "OPERATION\\x5fSUCCES", "status": "A_NAME",}',
        b'{"code": 901, "message": "A_NAME", "data": {"code" /* x */ : 0},}',
        b'{"code": 901, "message": "A_NAME", "data": {/**/ code: .0},}',
        b'{"code": 901, "message": "OPERATION_SUCCES", "message": "A_NAME"}',
        b'{"code": 901, "message": "A_NAME", "description": "OPERATION_SUCCES"}',
        {"code": 901, "message": "A_NAME", "data": 'a:1:{s:4:"code";i:0;}'},
        {"code": 901, "message": "A_NAME", "data": 'array(1) { ["code"]=> int(0) }'},
        # The ids of what was taken.
        {"code": 901, "message": "A_NAME", "data": {"lot_id": "L", "message_id": ["SM-1"]}},
        {"code": 901, "message": "A_NAME", "data": [{"message_id": "SM-1"}]},
        b'{"code": "901", "status": "A_NAME", "lot_id": "L",}',
        b'{"code": 901, "message": "A_NAME"}{"code": 0}',
        b'{"code": 901, "message": "A_NAME"}\n<br /><b>Notice</b>: x',
        b'Notice: x\n{"code": 901, "message": "A_NAME"}\n{"code": 0}',
        b'Notice: {"code": 0}\n{"code": 901, "message": "A_NAME"}',
        b'Notice: {"message": "OPERATION_SUCCES", "da\n{"code": 901, "message": "A_NAME"}',
        b'Notice: x\n[message] => OPERATION_SUCCES\n{"code": 901, "message": "A_NAME"}',
        b'{"code": 901, "message": "A_NAME", "data": [',
    ],
)
def test_what_is_not_the_gateways_own_refusal_refuses_no_send(
    body: bytes | Mapping[str, object], status: int
) -> None:
    for call in SENDS:
        result = judge(call, status, body, policy=OutcomePolicy(refusals_are_final=status not in REFUSED))
        if isinstance(result, Envelope):
            assert b'"code": 0' in json.dumps(body).encode()
            continue
        assert result.error.outcome is UNKNOWN
        assert result.attempts == 1


@pytest.mark.parametrize(
    "data", [None, [], {}, "", {"lot_id": "", "message_id": []}, {"lot_id": None, "message_id": None}]
)
@pytest.mark.parametrize("call", SENDS)
def test_a_refusal_with_places_for_ids_and_none_in_them_is_one(call: Call, data: object) -> None:
    body = {"code": 904, "message": "A_NAME", "description": "message_id: lot inconnu", "data": data}
    assert fate_of(judge(call, 200, body)) == Fate(GatewayError, REJECTED)
    noticed = b"Notice: Undefined index: lot_id in /srv/x.php on line 3\n" + json.dumps(body).encode()
    assert fate_of(judge(call, 200, noticed)) == Fate(GatewayError, REJECTED)


def test_a_verdict_on_a_code_may_name_its_message() -> None:
    body = {"code": 913, "message": "INVALID_OTP", "data": {"message_id": "OTP-20190621-2250698"}}
    result = judge(VERIFY, 200, body)
    assert isinstance(result, Envelope)
    assert parse_verification(result).message_id == "OTP-20190621-2250698"


@pytest.mark.parametrize("status", REFUSED)
@pytest.mark.parametrize("call", [*SENDS, VERIFY])
def test_a_bare_refusal_is_final_only_where_the_owner_says_so(call: Call, status: int) -> None:
    for body in (
        b"",
        b"<html><style>b{margin:0}</style>Forbidden</html>",
        b'{"error": "no"}',
        b"{}",
        b"[]",
        b"null",
    ):
        assert fate_of(judge(call, status, body)).outcome is UNKNOWN
        final = fate_of(judge(call, status, body, policy=OutcomePolicy(refusals_are_final=True)))
        assert final == Fate(GatewayError, REJECTED, halts=status in {401, 403, 404, 405})


SIGNS = [
    b'{"code": 0, "message": "OPERATION_SUCCES"}\n<b>Notice</b>: x',
    b'<br /><b>Fatal error</b>: x\n{"code":0,"data":{}}',
    b'{"code": 901, "c\\u006fde": 0}',
    b'{"c\\u006fde": 0, "mess',
    b'{"message": "OPERATION_SUCCES", "co',
    b'{"data": {"x": 1}, "mess',
    b"<p>x</p>{",
    b'<p>x</p>{"data',
    b'<pre>{"error": 1}</pre>{"data"',
    b'{"error": "x"}{"error": "y"}',
    b'[{"code": 0}]',
    b'[{"code": 901}, {"code": 5, "code": 6}]',
    b'<script>{"code": 403}</script>',
    b"<pre>{&quot;code&quot;:0}</pre>",
    b"<code>0</code>",
    b"Array ( [code] => 0 )",
    b'array(1) {\n  ["code"]=>\n  int(0)\n}',
    b'array(1) { ["code"]=> string(1) "0" }',
    b'a:1:{s:4:"code";i:0;}',
    b"<p>LOT-20190623-1217676</p>",
    b"<p>(SM-20190623-1217879)</p>",
    b'"{\\"code\\": 0}"',
    b"{'code': '0'}",
    b"{code: 0}",
    b'{"x": {"code": 0.0}}',
    '{"code": 0}'.encode("utf-16"),
    '{"code": 0}'.encode("utf-16-le"),
    '{"code": 0}'.encode("utf-32-be"),
    gzip.compress(b'{"code": 0}', mtime=0),
    zlib.compress(b'{"code": 0}'),
    b"\x81\x8d",
    b" " * (MAX_LEGIBLE_BYTES + 1),
    b"{" * 5 + b'"a":' + b"[" * 100_000,
    b'<p>{"a":' + b"[" * 100_000,
]


@pytest.mark.parametrize("status", [*TURNED_AWAY, *REFUSED])
@pytest.mark.parametrize("body", SIGNS)
def test_what_may_hold_a_success_is_unknown_whatever_the_settings(body: bytes, status: int) -> None:
    for call in SENDS:
        result = judge(call, status, body, policy=OutcomePolicy(refusals_are_final=True))
        assert fate_of(result).outcome is UNKNOWN
        assert fate_of(result).attempts == 1


@pytest.mark.parametrize(
    "part", [b'{"a": 1} ', b"{ ", b'"code" ', b"<code> ", b"\\u0020", b"&amp;", b'{"', b"[{", b"code:"]
)
def test_the_time_of_looking_for_signs_is_linear_in_the_body(part: bytes) -> None:
    def look(size: int) -> None:
        body = b"<p>" + part * (size // len(part) - 1)
        may_hold_success(body)
        parse_envelope(body[3:])

    assert_linear(look, MAX_LEGIBLE_BYTES)


@pytest.mark.parametrize("status", [200, 400, 429, 500])
@pytest.mark.parametrize("call", SENDS)
@pytest.mark.parametrize(
    ("recipients", "atomic", "outcome"),
    [(ONE, False, REJECTED), (ONE, True, REJECTED), (TWO, False, UNKNOWN), (TWO, True, REJECTED)],
)
def test_a_bad_number_among_several_settles_the_lot_only_where_lots_are_atomic(
    recipients: tuple[Msisdn, ...], atomic: bool, outcome: Outcome, call: Call, status: int
) -> None:
    body = {"code": "903", "status": "INVALID_PHONE_NUMBER", "description": "x"}
    result = judge(call, status, body, recipients=recipients, policy=OutcomePolicy(lots_are_atomic=atomic))
    assert fate_of(result) == Fate(RejectedNumberError, outcome)
    assert isinstance(result, Failure)
    assert ("unknown" in str(result.error)) is (outcome is UNKNOWN)


def test_lots_are_atomic_only_where_the_owner_says_so() -> None:
    body = {"code": 903, "message": "INVALID_PHONE_NUMBER"}
    assert fate_of(judge(Call.SEND_TEXT, 200, body, recipients=TWO)) == Fate(RejectedNumberError, UNKNOWN)


@pytest.mark.parametrize("code", [901, 902, 904, 913])
def test_a_refusal_of_the_account_or_the_text_is_one_for_every_number(code: int) -> None:
    assert (
        fate_of(judge(Call.SEND_TEXT, 200, {"code": code, "message": "X"}, recipients=TWO)).outcome
        is REJECTED
    )


VERDICTS = [
    ({"code": 913, "message": "INVALID_OTP"}, OtpReason.INVALID),
    ({"code": "913", "status": "wrong"}, OtpReason.INVALID),
    ({"code": 914, "message": "EXPIRED_OTP"}, OtpReason.EXPIRED),
    ({"code": "EXPIRED_OTP", "message": "EXPIRED_OTP"}, OtpReason.EXPIRED),
    ({"code": 42, "status": "OTP_NOT_FOUND"}, OtpReason.NOT_FOUND),
    ({"code": "OTP_NOT_FOUND", "status": "error"}, OtpReason.NOT_FOUND),
]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(("body", "reason"), VERDICTS)
def test_a_code_that_does_not_pass_is_a_verdict(
    body: dict[str, object], reason: OtpReason, status: int
) -> None:
    result = judge(VERIFY, status, body)
    assert isinstance(result, Envelope)
    verdict = parse_verification(result)
    assert (verdict.valid, verdict.reason) == (False, reason)


@pytest.mark.parametrize(("body", "reason"), VERDICTS)
@pytest.mark.parametrize("call", [*SENDS, *READS])
def test_a_verdict_on_another_call_is_an_error(
    call: Call, body: dict[str, object], reason: OtpReason
) -> None:
    nine = str(body["code"]) in {"913", "914"}
    outcome = NONE if call in READS else REJECTED if nine else UNKNOWN
    assert fate_of(judge(call, 200, body)) == Fate(GatewayError, outcome)


def test_nothing_but_a_turning_away_or_a_failed_connection_is_safe_to_retry() -> None:
    bodies = [
        b"",
        b'{"code": 0}',
        b'{"code": 0,}',
        b'{"code": 429}',
        b'{"code": 901}',
        b'{"code": "TOO_FAST"}',
    ]
    safe = {
        (status, body)
        for status in range(100, 1000)
        for body in bodies
        for result in [judge(Call.SEND_TEXT, status, body)]
        if isinstance(result, Failure) and result.error.safe_to_retry
    }
    assert safe == {(421, b""), (425, b""), (429, b"")}


@pytest.mark.parametrize("status", sorted(TURNED_AWAY))
@pytest.mark.parametrize(
    "body",
    [
        b'{"code": 0, "mess',
        b'{"code":"0","data":{},' + b" " * 5000 + b"}",
        b'<b>Fatal error</b>: x\n{"code":0,"data":{}}',
    ],
)
def test_a_success_in_disguise_under_a_429_is_not_sent_again(status: int, body: bytes) -> None:
    assert fate_of(judge(Call.SEND_TEXT, status, body)) == Fate(UnexpectedReplyError, UNKNOWN)


def test_a_429_too_long_to_be_read_is_not_sent_again() -> None:
    reply = Reply(status=429, retry_after=None, body=b"", whole=False)
    result = judge_reply(request_of(Call.SEND_TEXT), reply, OutcomePolicy())
    assert fate_of(result) == Fate(UnexpectedReplyError, UNKNOWN)


@pytest.mark.parametrize("codes", ['"code":901,"code":0', '"code":0,"code":901'])
def test_of_two_codes_none_is_guessed(codes: str) -> None:
    body = f'{{{codes},"message":"X"}}'.encode()
    assert fate_of(judge(Call.SEND_TEXT, 200, body)) == Fate(UnexpectedReplyError, UNKNOWN)


def test_a_code_too_long_to_be_written_is_no_crash() -> None:
    body = b'{"code":0x' + b"F" * 3700 + b"}"
    assert fate_of(judge(Call.SEND_TEXT, 200, body)).outcome is UNKNOWN
