"""What a reply may mean at most, read independently of the package: the law of the outcome table."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.plain_text import is_plain
from vavasms.errors import Outcome, VavaSMSError
from vavasms.numbers import Msisdn
from vavasms.transport.outcome import TURNED_AWAY, Failure, OutcomePolicy, Reply, judge_reply
from vavasms.wire.converter import MisshapenError
from vavasms.wire.requests import Call, CallKind, Request
from vavasms.wire.responses import (
    Envelope,
    parse_balance,
    parse_envelope,
    parse_lot,
    parse_receipt,
    parse_reports,
    parse_verification,
)

TO = (Msisdn("2250709000001"), Msisdn("2250709000002"))
OTHERS = (Call.BALANCE, Call.DELIVERY_STATUS, Call.SEND_OTP, Call.VERIFY_OTP)
DIAGNOSTICS = ("Warning", "Notice", "Deprecated", "Strict Standards")
#: The settings by which most is called refused.
FINAL = OutcomePolicy(refusals_are_final=True, lots_are_atomic=True)
_MOST_OBJECTS = 64


def is_strict_success(body: bytes) -> bool:
    """Return independently of the package whether these bytes prove that a send was taken."""
    try:
        text = body.decode("utf-8").strip("\ufeff \t\r\n")
    except UnicodeDecodeError:
        return False
    if not text.startswith("{"):
        if not any(word in text for word in DIAGNOSTICS):
            return False
        text = text[text.find("\n{") + 1 :]
    try:
        document = json.loads(text, parse_constant=lambda _: json.loads(""), object_pairs_hook=one_code)
    except (ValueError, RecursionError):
        return False
    code = document.get("code") if isinstance(document, dict) else None
    return type(code) in (int, str) and code in (0, "0")


def one_code(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object; raise `ValueError` for one with two codes, of which neither proves anything."""
    if sum(name == "code" for name, _ in pairs) > 1:
        raise ValueError("two codes")
    return dict(pairs)


def shows_success(body: bytes) -> bool:
    """Return whether a success stands in a body as anybody would read it: a document with the code 0, or its name."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        text = body.decode("cp1252", "replace")
    return "OPERATION_SUCC" in text or any(map(has_zero, documents(text)))


def documents(text: str) -> Iterator[object]:
    """Yield the JSON objects that begin anywhere in a text, from the first ones on."""
    start, decoder = -1, json.JSONDecoder()
    for _ in range(_MOST_OBJECTS):
        start = text.find("{", start + 1)
        if start < 0:
            return
        try:
            yield decoder.raw_decode(text, start)[0]
        except (ValueError, RecursionError):
            continue


def has_zero(document: object) -> bool:
    """Return whether an object of a document has the code 0, as a number or as text."""
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            code = value.get("code")
            if type(code) in (int, str) and code in (0, "0"):
                return True
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return False


def judge(call: Call, status: int, body: bytes, policy: OutcomePolicy | None = None) -> Envelope | Failure:
    """Judge a reply, and hold it to what is true of any."""
    request = Request(call=call, path="/v1/x", recipients=() if call.kind is CallKind.READ else TO)
    reply = Reply(status=status, retry_after=None, body=body)
    result = judge_reply(request, reply, policy or OutcomePolicy())
    if isinstance(result, Failure):
        assert isinstance(result.error, VavaSMSError)
        assert is_plain(str(result.error))
        assert (result.error.outcome is None) is (call.kind is CallKind.READ)
        assert result.error.outcome is not Outcome.ACCEPTED
    else:
        read_as_every_value(result)
    return result


def read_as_every_value(envelope: Envelope) -> None:
    """Read the data as each model; only the documented error may come."""
    parse_lot(envelope.data, TO)
    parse_receipt(envelope.data)
    for parse in (parse_balance, parse_reports):
        try:
            parse(envelope.data)
        except MisshapenError:
            pass
    try:
        verdict = parse_verification(envelope)
    except MisshapenError:
        return
    assert verdict.valid is False or (
        envelope.success and envelope.data["status"].strip().lower() == "success"
    )


def check(status: int, body: bytes) -> None:
    """Hold a reply to a send against what it proves; the other calls must only survive it."""
    strict = is_strict_success(body)
    sent = judge(Call.SEND_TEXT, status, body)
    assert isinstance(sent, Envelope) is (strict and 200 <= status < 300)
    if isinstance(sent, Failure):
        assert sent.attempts == 1
        assert not strict or sent.error.outcome is Outcome.UNKNOWN
        if sent.error.outcome is Outcome.NOT_SENT:
            assert status in TURNED_AWAY
            assert parse_envelope(body) is None
        elif sent.error.outcome is Outcome.REJECTED:
            envelope = parse_envelope(body)
            said = envelope is not None and envelope.code is not None and 900 <= envelope.code <= 999
            assert said
            assert envelope is not None
            assert envelope.code != 903
    final = judge(Call.SEND_TEXT, status, body, FINAL)
    if shows_success(body):
        for result in (sent, final):
            assert isinstance(result, Envelope) or result.error.outcome is Outcome.UNKNOWN
    # Reading leniently is slow: of the other calls one for each body.
    judge(OTHERS[len(body) % len(OTHERS)], status, body)
