"""Every reply body of the documentation, byte for byte: what it decodes to, and what it means."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from vavasms.errors import (
    AuthenticationError,
    GatewayError,
    MessageNotFoundError,
    Outcome,
    RejectedNumberError,
    UnknownSenderIdError,
)
from vavasms.models import (
    Balance,
    DeliveryReport,
    DeliveryStatus,
    Lot,
    OtpReason,
    OtpReceipt,
    OtpVerification,
)
from vavasms.numbers import Msisdn
from vavasms.transport.outcome import Failure, OutcomePolicy, Reply, judge_reply
from vavasms.wire import responses
from vavasms.wire.requests import Call, CallKind, Request
from vavasms.wire.responses import Envelope, parse_envelope

SAMPLES = Path(__file__).parents[1] / "samples"
TO = (Msisdn("2250709000001"),)

CALLS = {
    "balance": Call.BALANCE,
    "send": Call.SEND_TEXT,
    "status": Call.DELIVERY_STATUS,
    "otp_send": Call.SEND_OTP,
    "otp_verify": Call.VERIFY_OTP,
}
CREDENTIALS = (AuthenticationError, 901, "INVALID_CREDENTIALS", "Identifiant de connexion incorrect")
SENDER_ID = (UnknownSenderIdError, 902, "INVALID_SENDER_ID", "Le sender_id n’existe pas")
NUMBER = (RejectedNumberError, 903, "INVALID_PHONE_NUMBER", "Le format du numéro de téléphone est invalide")
NO_MESSAGE = (MessageNotFoundError, 709, "EXECUTION_ERROR", "Aucun envoi existe pour ce ID")

VALUES: dict[str, object] = {
    "balance_ok": Balance(amount=Decimal(25540), currency="XOF"),
    "send_ok": Lot(
        lot_id="LOT-20190623-1217676",
        message_ids=("SM-20190623-1217879",),
        description="Message envoyé avec succès",
        recipients=TO,
    ),
    "status_ok": (
        DeliveryReport(
            message_id="SM-20190617-1445914",
            lot_id="LOT-20190617-1445425",
            status=DeliveryStatus.SENT,
            raw_status="sent",
            description="Envoyé",
        ),
    ),
    "otp_send_ok": OtpReceipt(message_id="OTP-20190621-2234509", description="OTP envoyé avec succès"),
    "otp_verify_ok": OtpVerification(valid=True, message_id="OTP-20190621-2250698"),
    "otp_verify_913": OtpVerification(valid=False, reason=OtpReason.INVALID),
}
ERRORS: dict[str, tuple[type[GatewayError], int, str, str]] = {
    "balance_901": CREDENTIALS,
    "send_901": CREDENTIALS,
    "send_902": SENDER_ID,
    "send_903": NUMBER,
    "status_901": CREDENTIALS,
    "status_709": NO_MESSAGE,
    "otp_send_901": CREDENTIALS,
    "otp_send_902": SENDER_ID,
    "otp_send_903": NUMBER,
    "otp_verify_901": CREDENTIALS,
    "otp_verify_902": SENDER_ID,
}


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.body").read_bytes()


def call_of(name: str) -> Call:
    return CALLS[name.rpartition("_")[0]]


def judge(name: str, status: int) -> Envelope | Failure:
    call = call_of(name)
    recipients = () if call.kind is CallKind.READ else TO
    request = Request(call=call, path="/v1/x", recipients=recipients)
    return judge_reply(request, Reply(status=status, retry_after=None, body=sample(name)), OutcomePolicy())


def value_of(call: Call, envelope: Envelope) -> object:
    match call:
        case Call.BALANCE:
            return responses.parse_balance(envelope.data)
        case Call.SEND_TEXT:
            return responses.parse_lot(envelope.data, TO)
        case Call.DELIVERY_STATUS:
            return responses.parse_reports(envelope.data)
        case Call.SEND_OTP:
            return responses.parse_receipt(envelope.data)
        case Call.VERIFY_OTP:
            return responses.parse_verification(envelope)


def test_every_sample_has_its_row() -> None:
    bodies = {path.stem for path in SAMPLES.glob("*.body") if not path.stem.startswith("inbound_")}
    assert bodies == VALUES.keys() | ERRORS.keys()


@pytest.mark.parametrize("name", [*VALUES, *ERRORS])
def test_a_sample_is_as_it_was_published(name: str) -> None:
    body = sample(name)
    assert body.startswith(b'{\n"code": ')
    assert body.endswith(b"\n}")
    assert b"\r" not in body
    # The broken comma and the typographic apostrophe are the vendor's.
    in_broken_json = name in ERRORS and name not in {"balance_901", "status_709"}
    assert body.endswith(b'",\n}') is in_broken_json
    assert ("n’existe".encode() in body) is name.endswith("_902")


@pytest.mark.parametrize("name", VALUES)
def test_a_documented_success_is_the_value_it_says(name: str) -> None:
    envelope = judge(name, 200)
    assert isinstance(envelope, Envelope)
    assert envelope == parse_envelope(sample(name))
    assert value_of(call_of(name), envelope) == VALUES[name]
    if name != "otp_verify_913":
        assert (envelope.code, envelope.name, envelope.success) == (0, "OPERATION_SUCCES", True)


@pytest.mark.parametrize("status", [200, 201, 400, 401, 404, 429, 500, 503])
@pytest.mark.parametrize("name", ERRORS)
def test_a_documented_error_is_the_error_it_says_under_any_status(name: str, status: int) -> None:
    failure = judge(name, status)
    assert isinstance(failure, Failure)
    error = failure.error
    assert isinstance(error, GatewayError)
    assert (type(error), error.code, error.name, error.description) == ERRORS[name]
    assert error.http_status == status
    reads = call_of(name).kind is CallKind.READ
    # 709 is no 9xx; it comes on a read, which has no outcome.
    assert error.outcome is (None if reads else Outcome.REJECTED)
    assert not error.safe_to_retry
    assert error.halts is (error.code in {901, 902})
    assert (failure.attempts, failure.wait) == (1, None)
    assert error.description is not None
    assert error.description in str(error)


@pytest.mark.parametrize("status", [200, 400, 422, 500])
def test_a_wrong_code_is_a_verdict_under_any_status(status: int) -> None:
    assert isinstance(judge("otp_verify_913", status), Envelope)


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_envelope_is_data_and_no_success(name: str) -> None:
    envelope = parse_envelope(sample(name))
    assert envelope is not None
    assert (envelope.code, envelope.name, envelope.description) == ERRORS[name][1:]
    assert not envelope.success


@pytest.mark.parametrize("name", [*VALUES, *ERRORS])
def test_a_cut_envelope_is_no_envelope(name: str) -> None:
    body = sample(name)
    for cut in range(len(body)):
        assert parse_envelope(body[:cut]) is None, cut


@pytest.mark.parametrize("call", [Call.BALANCE, Call.SEND_TEXT, Call.SEND_OTP, Call.VERIFY_OTP])
@pytest.mark.parametrize("name", [*VALUES, *ERRORS])
def test_a_cut_reply_settles_nothing(name: str, call: Call) -> None:
    request = Request(call=call, path="/v1/x", recipients=() if call.kind is CallKind.READ else TO)
    body = sample(name)
    for cut in range(len(body)):
        result = judge_reply(request, Reply(status=200, retry_after=None, body=body[:cut]), OutcomePolicy())
        assert isinstance(result, Failure)
        error = result.error
        expected = "OutcomeUnknownError" if call.kind is CallKind.VERIFY else "UnexpectedReplyError"
        assert type(error).__name__ == expected
        assert error.outcome is (None if call.kind is CallKind.READ else Outcome.UNKNOWN)
        assert not error.safe_to_retry
        assert not error.halts
        assert result.attempts == (2 if call.kind is CallKind.READ else 1)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", [*VALUES, *ERRORS])
def test_another_encoding_is_no_envelope(name: str, encoding: str) -> None:
    assert parse_envelope(sample(name).decode().encode(encoding)) is None


@pytest.mark.parametrize("name", ["send_901", "send_902", "send_903"])
def test_an_error_in_latin_1_is_read(name: str) -> None:
    envelope = parse_envelope(sample(name).decode().encode("cp1252"))
    assert envelope is not None
    assert (envelope.code, envelope.name, envelope.description) == ERRORS[name][1:]


@pytest.mark.parametrize("status", [200, 400, 429, 500])
def test_a_success_in_latin_1_is_not_believed_and_not_overlooked(status: int) -> None:
    request = Request(call=Call.SEND_TEXT, path="/v1/x", recipients=TO)
    body = sample("send_ok").decode().encode("cp1252")
    result = judge_reply(request, Reply(status=status, retry_after=None, body=body), OutcomePolicy())
    assert isinstance(result, Failure)
    assert result.error.outcome is Outcome.UNKNOWN
