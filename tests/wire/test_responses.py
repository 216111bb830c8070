"""Envelopes and the values in them: what is read, what is refused, what it costs."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.growth import assert_linear
from vavasms.models import DeliveryReport, DeliveryStatus, OtpReason
from vavasms.numbers import Msisdn
from vavasms.wire.converter import MisshapenError
from vavasms.wire.responses import (
    MAX_LENIENT_BYTES,
    Envelope,
    otp_reason,
    parse_balance,
    parse_envelope,
    parse_lot,
    parse_receipt,
    parse_reports,
    parse_verification,
)

TO = (Msisdn("2250709000001"), Msisdn("2250709000002"))


def read(document: object) -> Envelope | None:
    return parse_envelope(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("code", "number"), [(0, 0), ("0", 0), (901, 901), ("901", 901), (" 901 ", 901), (-5, -5)]
)
def test_a_code_is_a_number_or_its_digits(code: object, number: int) -> None:
    envelope = read({"code": code})
    assert envelope is not None
    assert envelope.code == number
    assert envelope.success is (number == 0)


@pytest.mark.parametrize(
    "code", ["00", "0 ", " 0", "0000000000", "-0", "+0", "0.0", "٠", "０", "False", "null", "OK"]
)
def test_a_look_alike_of_zero_is_no_success(code: str) -> None:
    envelope = read({"code": code})
    assert envelope is not None
    assert envelope.code is None
    assert not envelope.success


@pytest.mark.parametrize(
    ("code", "number"),
    [
        ("999999999", 999_999_999),
        ("1000000000", None),
        ("９０１", None),
        ("²", None),
        (10**30 - 1, 10**30 - 1),
        (10**30, None),
        (-(10**30), None),
    ],
)
def test_a_number_too_long_or_not_of_ascii_is_no_code(code: object, number: int | None) -> None:
    envelope = read({"code": code})
    assert envelope is not None
    assert envelope.code == number


@pytest.mark.parametrize("code", [True, False, None, 0.0, 901.0, [], [0], {}, ""])
def test_what_is_no_code_makes_no_envelope(code: object) -> None:
    assert read({"code": code}) is None
    assert read({"message": "OPERATION_SUCCES"}) is None


@pytest.mark.parametrize(
    "body", [b"", b"null", b"0", b'"0"', b"[]", b'[{"code": 0}]', b"{}", b"{", b"}", b"{'code'"]
)
def test_a_body_that_is_no_object_with_a_code_is_no_envelope(body: bytes) -> None:
    assert parse_envelope(body) is None


@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"\xef\xbb\xbf",
        b"\r\n\t ",
        b"\n\xef\xbb\xbf \n",
        b"Warning: gone away in /srv/x.php on line 3\n",
        b"\nWarning: gone away in /srv/x.php on line 3\n",
        b"PHP Notice:  Undefined index: x\n",
        b"Deprecated: x\nWarning: {y}\n",
        b"<br />\n<b>Warning</b>:  Undefined index in <b>/srv/x.php</b> on line <b>3</b><br />\n",
        b"<br>\n<b>Strict Standards</b>: x<br>\n",
    ],
)
def test_marks_and_php_diagnostics_before_the_body_are_stepped_over(before: bytes) -> None:
    success = parse_envelope(before + b'{"code": 0, "data": {"lot_id": "L"}}\n')
    assert success == Envelope(code=0, name=None, description=None, data={"lot_id": "L"})
    failure = parse_envelope(before + b'{"code": "902", "status": "INVALID_SENDER_ID",}\r\n')
    assert failure is not None
    assert (failure.code, failure.name) == (902, "INVALID_SENDER_ID")


@pytest.mark.parametrize(
    "body",
    [
        b'Fatal error: out of memory\n{"code": 0}',
        b'<html>\n{"code": 0}',
        b'Warning: x {"code": 0}',
        b'Warning: x\n {"code": 0}',
        b'x\n{"code": 0}',
        b'Warning: said "\n{"code": 0}" in x.php',
        b'{"code": 0}\nWarning: x',
        b'{"code": 901} {"code": 0}',
        b"Warning: x",
        b'\x00{"code": 0}',
        b'{"code": 0}\x00',
        b'\x0b{"code": 0}',
        b'{"code": 0}\xc2\xa0',
        b'X{"code": 0}',
        b'{"code": 0}X',
    ],
)
def test_a_success_amid_anything_else_is_no_envelope(body: bytes) -> None:
    assert parse_envelope(body) is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"code": 0,}',
        b"{'code': 0}",
        b"{code: 0}",
        b'{"code": 0x0}',
        b'{"code": +0}',
        b'{"code": 0, "data": NaN}',
        b'{"code": 0 /* {"code": 901} */}',
        b'{"code": "0", "description": "a\nb"}',
        b'{"code": 0, "description": "envoy\xe9"}',
    ],
)
def test_a_success_that_is_not_strict_json_is_read_as_not_sound(body: bytes) -> None:
    envelope = parse_envelope(body)
    assert envelope is None or envelope.sound is False


def test_the_envelope_behind_a_diagnostic_is_the_first_that_begins_a_line() -> None:
    envelope = parse_envelope(b'Notice: x\n{"code": 901, "message": "A_NAME", "data":\n{"lot_id": "L"}\n}')
    assert envelope is not None
    assert (envelope.code, envelope.name, envelope.data) == (901, "A_NAME", {"lot_id": "L"})


def test_of_two_codes_in_broken_json_none_is_guessed() -> None:
    assert parse_envelope(b'{"code": 901, "code": 902, "message": "A_NAME",}') is None


@pytest.mark.parametrize(
    "body", [b'{"code": 901,}', b"{'code': '901'}", b'{"code": 901, "description": "\xe9",}']
)
def test_an_error_is_read_leniently(body: bytes) -> None:
    envelope = parse_envelope(body)
    assert envelope is not None
    assert envelope.code == 901


def broken_error(size: int) -> bytes:
    body = b'{"code": "901", "description": "%s",}'
    return body % (b"x" * (size - len(body) + 2))


def test_only_four_kib_are_read_leniently() -> None:
    assert len(broken_error(MAX_LENIENT_BYTES)) == MAX_LENIENT_BYTES == 4096
    assert parse_envelope(broken_error(MAX_LENIENT_BYTES)) is not None
    assert parse_envelope(broken_error(MAX_LENIENT_BYTES + 1)) is None


def test_a_long_error_in_strict_json_is_read() -> None:
    envelope = read({"code": 901, "description": "x" * 100_000})
    assert envelope is not None
    assert envelope.description == "x" * 200


@pytest.mark.parametrize(
    ("body", "reached"),
    [
        (b'{"code": 0, "data": {"lot_id": "L"}}', False),
        (b'{"code": 901, "message": "X"}', False),
        (b"<html>{}</html>", False),
        (b'{"code": 901, "descri', False),
        (b'{"code": 901,}', True),
    ],
)
def test_the_lenient_reader_is_loaded_for_complete_broken_envelopes_only(body: bytes, reached: bool) -> None:
    program = (
        "import sys; from vavasms.wire.responses import parse_envelope; "
        f"parse_envelope({body!r}); print('json5' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == str(reached)


@pytest.mark.parametrize("depth", [10, 100, 500, 1000, 2000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ("[", ""), ('{"a":', "")])
@pytest.mark.parametrize("comma", ["", ","])
def test_deep_nesting_is_no_crash(depth: int, opening: str, closing: str, comma: str) -> None:
    body = f'{{"code": 901, "data": {opening * depth}1{closing * depth}{comma}}}'.encode()
    envelope = parse_envelope(body)
    assert envelope is None or envelope.code == 901


@pytest.mark.parametrize(
    "filler", [b"\x0b", b"\x0c", b" ", b"\n", b"{", b"\n{", b"<br>", b"\xc2\xa0", b"Warning:"]
)
@pytest.mark.parametrize(
    "frame", [b"%sx", b"x%s", b"<br%sx", b"<br>%sx", b"<b>%s", b"Warning: %s", b'{"code": "%s', b"%s}"]
)
def test_no_body_takes_quadratic_time(filler: bytes, frame: bytes) -> None:
    assert_linear(lambda size: parse_envelope(frame % (filler * (size // len(filler)))), 64_000)


@pytest.mark.parametrize(
    ("document", "name"),
    [
        ({"code": 901, "message": "A_NAME"}, "A_NAME"),
        ({"code": 901, "status": "A_NAME"}, "A_NAME"),
        ({"code": 901, "message": "un texte", "status": "A_NAME"}, "A_NAME"),
        ({"code": "A_NAME", "message": "un texte"}, "A_NAME"),
        ({"code": 901, "message": "un texte"}, "un texte"),
        ({"code": 901, "message": ["x"], "status": {}}, None),
        ({"code": 901, "message": "", "status": " "}, None),
    ],
)
def test_the_name_is_the_constant_wherever_it_stands(document: dict[str, Any], name: str | None) -> None:
    envelope = read(document)
    assert envelope is not None
    assert envelope.name == name


def test_what_the_gateway_says_is_one_plain_line() -> None:
    said = "a\r\n\x1b[31mb\u2028c\u202ed\u2066e\x85f\u200fg\ud800" + "x" * 500
    envelope = read({"code": 901, "message": said, "description": said})
    assert envelope is not None
    for text in (envelope.name, envelope.description):
        assert text is not None
        assert text.startswith("a [31mb c d e f g?x")
        assert len(text) == 200


def test_of_what_the_gateway_says_400_letters_are_read() -> None:
    envelope = read({"code": 901, "description": "a" + "\n" * 398 + "bc"})
    assert envelope is not None
    assert envelope.description == "a b"


def test_the_data_of_an_envelope_is_not_shown() -> None:
    assert "secret" not in repr(read({"code": 0, "data": "secret"}))


@pytest.mark.parametrize(
    ("amount", "expected"),
    [(25540, "25540"), ("25540", "25540"), (0.1, "0.1"), (" 12.50 ", "12.50"), (-3, "-3")],
)
def test_the_credit_is_an_exact_decimal(amount: object, expected: str) -> None:
    balance = parse_balance({"amount": amount, "currency": "XOF", "more": 1})
    assert str(balance.amount) == expected
    assert balance.amount == Decimal(expected)


NO_AMOUNTS: list[object] = [True, None, "", "NaN", "Infinity", "1,5", float("inf"), []]


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        "x",
        {"amount": 1},
        {"currency": "XOF"},
        *({"amount": bad, "currency": "XOF"} for bad in NO_AMOUNTS),
        *({"amount": 1, "currency": bad} for bad in NO_AMOUNTS[:2]),
    ],
)
def test_a_credit_of_another_shape_is_refused_without_holding_it(data: object) -> None:
    with pytest.raises(MisshapenError) as caught:
        parse_balance(data)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "data", [None, [], "x", 5, {}, {"message_id": None}, {"message_id": [True]}, {"message_id": [{}]}]
)
def test_an_accepted_lot_without_ids_stays_a_lot(data: object) -> None:
    lot = parse_lot(data, TO)
    assert (lot.lot_id, lot.message_ids, lot.description) == ("", (), "")
    assert lot.recipients == TO
    assert lot.by_recipient is None


def test_ids_are_texts_in_the_order_of_the_gateway() -> None:
    lot = parse_lot({"lot_id": 12, "message_id": [7, "SM-1"], "description": "envoyé \ud800"}, TO)
    assert (lot.lot_id, lot.message_ids, lot.description) == ("12", ("7", "SM-1"), "envoyé ?")
    assert lot.by_recipient == {TO[0]: "7", TO[1]: "SM-1"}
    assert parse_lot({"message_id": "SM-1"}, TO[:1]).by_recipient == {TO[0]: "SM-1"}


@given(st.lists(st.text(max_size=5), max_size=5), st.integers(0, 4))
@settings(max_examples=100)
def test_ids_are_paired_only_where_there_are_as_many(ids: list[str], count: int) -> None:
    recipients = tuple(Msisdn(str(2250709000000 + n)) for n in range(count))
    lot = parse_lot({"message_id": ids}, recipients)
    assert len(lot.message_ids) == len(ids)
    assert (lot.by_recipient is None) is (len(ids) != count)
    if lot.by_recipient is not None:
        assert list(lot.by_recipient.items()) == list(zip(recipients, lot.message_ids, strict=True))


@pytest.mark.parametrize("data", [None, [], {}, {"message_id": ["x"], "description": 1.5}])
def test_a_receipt_without_an_id_stays_a_receipt(data: object) -> None:
    assert (parse_receipt(data).message_id, parse_receipt(data).description) == ("", "")


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("sent", DeliveryStatus.SENT),
        ("SENT ", DeliveryStatus.SENT),
        ("Envoyé", DeliveryStatus.SENT),
        ("delivered", DeliveryStatus.DELIVERED),
        ("undelivered", DeliveryStatus.FAILED),
        ("failed", DeliveryStatus.FAILED),
        ("rejected", DeliveryStatus.FAILED),
        ("expired", DeliveryStatus.FAILED),
        ("queued", DeliveryStatus.PENDING),
        ("pending", DeliveryStatus.PENDING),
        ("en route", DeliveryStatus.OTHER),
        ("", DeliveryStatus.OTHER),
    ],
)
def test_an_unknown_status_keeps_its_word(word: str, status: DeliveryStatus) -> None:
    (report,) = parse_reports([{"message_id": 5, "status": word}])
    assert (report.message_id, report.lot_id, report.status, report.raw_status) == ("5", "", status, word)


def test_a_report_needs_no_more_than_the_id_of_its_message() -> None:
    (report,) = parse_reports([{"message_id": "x"}])
    assert report == DeliveryReport(
        message_id="x", lot_id="", status=DeliveryStatus.OTHER, raw_status="", description=""
    )
    (report,) = parse_reports([{"message_id": 1, "lot_id": 2, "status": "sent", "description": 3}])
    assert (report.message_id, report.lot_id, report.description) == ("1", "2", "3")


def test_one_report_may_come_without_its_list() -> None:
    assert parse_reports({"message_id": "x", "status": "sent"}) == parse_reports(
        [{"message_id": "x", "status": "sent"}]
    )
    assert parse_reports([]) == ()


@pytest.mark.parametrize(
    "data",
    [
        None,
        "x",
        5,
        [None],
        [{}],
        ["x"],
        [[]],
        [{"message_id": True}],
        [{"message_id": "x", "status": 1.5}],
        [{"message_id": "x", "lot_id": []}],
        [{"message_id": "x", "description": {}}],
    ],
)
def test_reports_of_another_shape_are_refused(data: object) -> None:
    with pytest.raises(MisshapenError):
        parse_reports(data)


@pytest.mark.parametrize(
    ("envelope", "reason"),
    [
        (Envelope(code=913, name="INVALID_OTP", description=None), OtpReason.INVALID),
        (Envelope(code=913, name=None, description=None), OtpReason.INVALID),
        (Envelope(code=913, name="EXPIRED_OTP", description=None), OtpReason.EXPIRED),
        (Envelope(code=None, name="EXPIRED_OTP", description=None), OtpReason.EXPIRED),
        (Envelope(code=914, name="OTP_NOT_FOUND", description=None), OtpReason.NOT_FOUND),
        (Envelope(code=901, name="INVALID_CREDENTIALS", description=None), None),
        (Envelope(code=914, name="INVALID_OTP", description=None), OtpReason.INVALID),
        (Envelope(code=914, name=OtpReason.MALFORMED.value, description=None), None),
        (Envelope(code=914, name=None, description=None), None),
    ],
)
def test_a_verdict_is_told_from_an_error_by_code_or_name(
    envelope: Envelope, reason: OtpReason | None
) -> None:
    assert otp_reason(envelope) is reason


def success(data: object) -> Envelope:
    return Envelope(code=0, name="OPERATION_SUCCES", description=None, data=data)


@pytest.mark.parametrize(
    ("data", "valid", "reason"),
    [
        ({"status": "success"}, True, None),
        ({"status": "Success "}, True, None),
        ({"status": "failed"}, False, None),
        ({"status": "successful"}, False, None),
        ({"status": "expired_otp"}, False, OtpReason.EXPIRED),
        ({"status": 1}, False, None),
    ],
)
def test_only_the_documented_word_lets_a_code_in(data: object, valid: bool, reason: OtpReason | None) -> None:
    verdict = parse_verification(success(data))
    assert (verdict.valid, verdict.reason, verdict.message_id) == (valid, reason, None)
    assert bool(verdict) is valid


@pytest.mark.parametrize("code", [0, 914])
@pytest.mark.parametrize("status", ["success", "expired_otp"])
def test_a_verdict_keeps_the_id_of_the_message_that_it_is_about(code: int, status: str) -> None:
    envelope = Envelope(
        code=code, name="EXPIRED_OTP", description=None, data={"status": status, "message_id": "OTP-1"}
    )
    assert parse_verification(envelope).message_id == "OTP-1"


@pytest.mark.parametrize(
    "data", [None, [], {}, "success", ["success"], {"status": None}, {"status": ""}, {"status": True}]
)
def test_a_success_without_a_verdict_lets_nobody_in(data: object) -> None:
    with pytest.raises(MisshapenError):
        parse_verification(success(data))
