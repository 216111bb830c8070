"""What the gateway answers, beside the bodies that the documentation shows."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import phonenumbers
import pytest

from tests.growth import assert_linear
from vavasms.sandbox import MAGIC_NUMBERS, Gateway, Kind

LOGIN = {"username": "sandbox@example.com", "password": "sandbox"}
TEXT, BALANCE, OTP_SEND, OTP_VERIFY = (
    "/v1/text/single",
    "/v1/check/balance",
    "/v1/otp/send",
    "/v1/otp/verify",
)
Fields = Callable[..., dict[str, str]]


def data(gateway: Gateway, path: str, fields: dict[str, str]) -> Any:
    envelope = json.loads(gateway.handle(path, fields).body)
    assert (envelope["code"], envelope["message"]) == (0, "OPERATION_SUCCES")
    return envelope["data"]


def error(gateway: Gateway, path: str, fields: dict[str, str]) -> tuple[int | str, str]:
    """Read an error, the trailing comma of the documented ones cut out by hand."""
    body = gateway.handle(path, fields).body.decode()
    envelope = json.loads(body.replace('",\n}', '"\n}'))
    return envelope["code"], envelope.get("message") or envelope["status"]


# The documentation's sample bodies; blanks and line ends are not part of their shape.
SAMPLES = {
    "balance": '{"code": 0, "message": "OPERATION_SUCCES", "data": {"amount": 25540, "currency": "XOF"}}',
    "balance 901": '{"code": 901, "message": "INVALID_CREDENTIALS",'
    ' "description": "Identifiant de connexion incorrect", "data": []}',
    "901": '{\n"code": "901",\n"status": "INVALID_CREDENTIALS",\n'
    '"description": "Identifiant de connexion incorrect",\n}',
    "902": '{\n"code": "902",\n"status": "INVALID_SENDER_ID",\n'
    '"description": "Le sender_id n’existe pas",\n}',
    "903": '{\n"code": "903",\n"status": "INVALID_PHONE_NUMBER",\n'
    '"description": "Le format du numéro de téléphone est invalide",\n}',
    "709": '{"code": "709", "message": "EXECUTION_ERROR",'
    ' "description": "Aucun envoi existe pour ce ID", "data": []}',
    "913": '{"code": 913, "message": "INVALID_OTP", "description": "vavasms.INVALID_OTP", "data": []}',
}


def test_the_balance_answers_as_documented() -> None:
    gateway = Gateway(balance=25540)
    assert gateway.handle(BALANCE, LOGIN).body.decode() == SAMPLES["balance"]
    assert gateway.handle(BALANCE, {}).body.decode() == SAMPLES["balance 901"]


def test_a_balance_with_decimals_keeps_them() -> None:
    gateway = Gateway(balance=Decimal("99.5"))
    assert data(gateway, BALANCE, LOGIN)["amount"] == 99.5


@pytest.mark.parametrize("path", [TEXT, OTP_SEND, OTP_VERIFY])
def test_each_sending_call_refuses_with_the_documented_trailing_comma(path: str, text: Fields) -> None:
    gateway = Gateway()
    wrong = {
        "901": text() | {"password": "no"},
        "902": text() | {"sender_id": "NOBODY"},
        "903": text() | {"phone": "abc"},
    }
    for code, fields in wrong.items():
        answer = gateway.handle(path, fields)
        assert (answer.http_status, answer.body.decode()) == (200, SAMPLES[code])
    assert len(gateway.journal) == 0


def test_the_http_status_of_errors_can_be_chosen(text: Fields) -> None:
    assert Gateway(error_status=400).handle(TEXT, {}).http_status == 400


def test_a_text_answers_as_documented(gateway: Gateway, text: Fields) -> None:
    answer = data(gateway, TEXT, text())
    assert answer == {
        "lot_id": "LOT-20250615-1000001",
        "description": "Message envoyé avec succès",
        "message_id": ["SM-20250615-1000001"],
    }
    assert "é" in gateway.handle(TEXT, text()).body.decode()


def test_a_status_answers_as_documented(gateway: Gateway, clock: Any, text: Fields) -> None:
    message_id = data(gateway, TEXT, text())["message_id"][0]
    clock.now += 3
    assert data(gateway, TEXT, LOGIN | {"message_id": message_id}) == [
        {
            "lot_id": "LOT-20250615-1000001",
            "message_id": message_id,
            "status": "sent",
            "description": "Envoyé",
        }
    ]


def test_a_status_moves_with_time(gateway: Gateway, clock: Any, text: Fields) -> None:
    ask = LOGIN | {"message_id": data(gateway, TEXT, text())["message_id"][0]}
    seen = []
    for seconds in (0, 2, 8):
        clock.now += seconds
        seen.append(data(gateway, TEXT, ask)[0]["status"])
    assert seen == ["pending", "sent", "delivered"]


@pytest.mark.parametrize(
    "message_id",
    [
        "SM-20250615-1000009",
        "SM-20250615-1",
        "OTP-20250615-1000001",
        "SM-20250615-",
        "x",
        "",
        "SM-1-" + "9" * 30,
    ],
)
def test_an_unknown_message_answers_709_as_documented(
    gateway: Gateway, text: Fields, message_id: str
) -> None:
    gateway.handle(TEXT, text())
    body = gateway.handle(TEXT, LOGIN | {"message_id": message_id}).body.decode()
    assert body == SAMPLES["709"]
    assert gateway.status_of(message_id) is None


def test_a_message_of_another_lot_is_unknown(gateway: Gateway, text: Fields) -> None:
    sent = data(gateway, TEXT, text())
    ask = LOGIN | {"message_id": sent["message_id"][0]}
    assert data(gateway, TEXT, ask | {"lot_id": sent["lot_id"]})
    assert error(gateway, TEXT, ask | {"lot_id": "LOT-20250615-1"}) == ("709", "EXECUTION_ERROR")


def test_the_status_path_can_be_another(text: Fields) -> None:
    gateway = Gateway(status_path="/v1/text/status")
    ask = LOGIN | {"message_id": data(gateway, TEXT, text())["message_id"][0]}
    assert data(gateway, "/v1/text/status", ask)[0]["status"] == "pending"
    assert error(gateway, "/v1/text/status", ask | {"password": ""}) == ("901", "INVALID_CREDENTIALS")
    assert error(gateway, TEXT, ask)[0] == "902"


def test_a_path_nobody_documented_is_a_page_not_an_envelope(gateway: Gateway) -> None:
    answer = gateway.handle("/v2/text", LOGIN)
    assert (answer.http_status, answer.content_type) == (404, "text/html; charset=utf-8")


def test_each_recipient_gets_an_id_and_the_journal_holds_one_entry(gateway: Gateway, text: Fields) -> None:
    answer = data(gateway, TEXT, text("2250709000001,+2250709000002,2250709000001"))
    (entry,) = gateway.journal.entries
    assert entry.phones == ("2250709000001", "2250709000002", "2250709000001")
    assert list(entry.message_ids) == answer["message_id"]
    assert (entry.lot_id, entry.sender_id, entry.message) == (answer["lot_id"], "ACME", "Bonjour")
    assert (entry.kind, entry.sequence, entry.segments, entry.cost) == (Kind.TEXT, 1, 1, Decimal(30))
    assert gateway.journal.accepted_count("+2250709000001") == 2
    assert gateway.journal.accepted_count("2250709000003") == 0
    assert gateway.journal.recipients == 3


@pytest.mark.parametrize(
    "phone", ["", "225", "2250709000001,", "2250709000001, 2250709000002", "0709000001", " 2250709000001"]
)
def test_one_malformed_number_refuses_the_whole_request(gateway: Gateway, text: Fields, phone: str) -> None:
    assert error(gateway, TEXT, text(phone)) == ("903", "INVALID_PHONE_NUMBER")
    assert len(gateway.journal) == 0


@pytest.mark.parametrize("sender_id", ["", "AB", "ABCDEFGHIJKL", "A-B"])
def test_any_well_formed_sender_id_passes_where_no_list_is_kept(text: Fields, sender_id: str) -> None:
    gateway = Gateway(sender_ids=None)
    assert data(gateway, TEXT, text() | {"sender_id": "Anything1"})
    assert error(gateway, TEXT, text() | {"sender_id": sender_id})[0] == "902"


def test_an_empty_message_is_refused_by_a_code_of_the_sandbox(gateway: Gateway, text: Fields) -> None:
    assert error(gateway, TEXT, text(message="")) == (904, "INVALID_MESSAGE")


def test_the_balance_falls_by_segments_times_recipients_times_price(text: Fields) -> None:
    gateway = Gateway(balance=100, price=Decimal("12.5"))
    data(gateway, TEXT, text("2250709000001,2250709000002", "a" * 161))
    assert gateway.balance == 50
    assert error(gateway, TEXT, text(message="a" * 700)) == (920, "INSUFFICIENT_CREDIT")
    assert (gateway.balance, len(gateway.journal)) == (Decimal(50), 1)
    gateway.set_balance(1000)
    assert data(gateway, TEXT, text(message="a" * 700))


def test_the_default_balance_pays_ten_thousand_messages_of_two_segments() -> None:
    gateway = Gateway()
    assert gateway.balance >= 10_000 * 2 * gateway.price


def test_a_cleared_journal_forgets_and_its_numbers_go_on(gateway: Gateway, text: Fields) -> None:
    first = data(gateway, TEXT, text())["message_id"][0]
    assert gateway.journal.counts() == {"2250709000001": 1}
    gateway.journal.clear()
    assert gateway.journal.accepted_count("2250709000001") == 0
    assert gateway.status_of(first) is None
    assert data(gateway, TEXT, text())["message_id"][0] != first
    assert [entry.sequence for entry in gateway.journal.entries_after(1)] == [2]
    assert gateway.journal.entries_after(2) == ()


def test_the_inbox_of_a_number_holds_its_messages_newest_first(gateway: Gateway, text: Fields) -> None:
    gateway.handle(TEXT, text("2250709000001,2250709000002", "first"))
    gateway.handle(TEXT, text("2250709000002", "second"))
    gateway.handle(TEXT, text("2250709000003", "third"))
    inbox = gateway.journal.messages("+2250709000002")
    assert [(message.text, message.phone) for message in inbox] == [
        ("second", "2250709000002"),
        ("first", "2250709000002"),
    ]
    assert [message.text for message in gateway.journal.messages(limit=1)] == ["third"]
    assert len(gateway.journal.messages()) == 4
    assert gateway.status_of(inbox[0].message_id) == "pending"


def test_waiting_for_an_acceptance_ends_when_it_comes(gateway: Gateway, text: Fields) -> None:
    assert not gateway.journal.wait_for(1, timeout=0)
    sender = threading.Thread(target=gateway.handle, args=(TEXT, text()))
    sender.start()
    assert gateway.journal.wait_for(1)
    sender.join(5)


def test_threads_lose_no_acceptance_and_share_no_id(text: Fields) -> None:
    gateway = Gateway(balance=10**9)

    def work() -> None:
        for _ in range(200):
            gateway.handle(TEXT, text("2250709000001,2250709000002"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    ids = [one for entry in gateway.journal.entries for one in entry.message_ids]
    assert (len(ids), len(set(ids))) == (1600, 1600)
    assert gateway.journal.accepted_count("2250709000001") == 800
    assert gateway.balance == 10**9 - 1600 * gateway.price


def test_a_request_is_accepted_in_linear_time(text: Fields) -> None:
    gateway = Gateway(balance=10**9)
    fields = {
        count: text(",".join(str(2250709000000 + index) for index in range(count))) for count in (100, 400)
    }
    assert_linear(lambda count: gateway.handle(TEXT, fields[count]), 400)


# --- one-time codes


def otp_fields(**more: str) -> dict[str, str]:
    return {**LOGIN, "sender_id": "ACME", "phone": "2250709000001", **more}


def test_an_otp_answers_as_documented_and_is_used_up_by_success(gateway: Gateway) -> None:
    sent = data(gateway, OTP_SEND, otp_fields())
    assert sent == {"message_id": "OTP-20250615-1000001", "description": "OTP envoyé avec succès"}
    code = gateway.latest_otp("+2250709000001")
    assert code is not None
    assert len(code) == 4
    assert gateway.journal.messages("2250709000001")[0].text == f"Votre code OTP est : {code}"
    (entry,) = gateway.journal.entries
    assert (entry.kind, entry.lot_id, entry.message_ids) == (Kind.OTP, "", (sent["message_id"],))
    verify = otp_fields(otp=code)
    assert data(gateway, OTP_VERIFY, verify) == {"message_id": sent["message_id"], "status": "success"}
    assert error(gateway, OTP_VERIFY, verify) == (915, "OTP_NOT_FOUND")
    assert gateway.latest_otp("2250709000001") == code


def test_a_code_keeps_its_leading_zeros() -> None:
    gateway = Gateway(below=lambda _: 42)
    data(gateway, OTP_SEND, otp_fields(otp_length="9", message="<##OTP##>"))
    assert gateway.latest_otp("2250709000001") == "000000042"
    assert error(gateway, OTP_VERIFY, otp_fields(otp="42")) == (913, "INVALID_OTP")
    assert data(gateway, OTP_VERIFY, otp_fields(otp="000000042"))


def test_a_wrong_code_answers_913_as_documented_until_the_attempts_are_over() -> None:
    gateway = Gateway(below=lambda _: 1234, otp_attempts=2)
    data(gateway, OTP_SEND, otp_fields())
    for _ in range(2):
        assert gateway.handle(OTP_VERIFY, otp_fields(otp="9999")).body.decode() == SAMPLES["913"]
    assert error(gateway, OTP_VERIFY, otp_fields(otp="1234")) == (915, "OTP_NOT_FOUND")


def test_a_code_expires_after_its_minutes(gateway: Gateway, clock: Any) -> None:
    data(gateway, OTP_SEND, otp_fields(otp_expiry="10"))
    code = gateway.latest_otp("2250709000001")
    assert code is not None
    clock.now += 600
    assert error(gateway, OTP_VERIFY, otp_fields(otp=code)) == (914, "EXPIRED_OTP")


def test_a_new_code_replaces_the_old() -> None:
    draws = iter((1111, 2222))
    gateway = Gateway(below=lambda _: next(draws))
    data(gateway, OTP_SEND, otp_fields())
    data(gateway, OTP_SEND, otp_fields())
    assert error(gateway, OTP_VERIFY, otp_fields(otp="1111")) == (913, "INVALID_OTP")
    assert data(gateway, OTP_VERIFY, otp_fields(otp="2222"))


def test_a_number_without_a_code_is_not_found(gateway: Gateway) -> None:
    fields = {**LOGIN, "phone": "2250709000009", "otp": "1234"}
    assert error(gateway, OTP_VERIFY, fields) == (915, "OTP_NOT_FOUND")
    assert gateway.latest_otp("2250709000009") is None


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"otp_length": "3"}, 905),
        ({"otp_length": "10"}, 905),
        ({"otp_length": "x"}, 905),
        ({"otp_expiry": "0"}, 906),
        ({"message": "no tag"}, 907),
        ({"phone": "2250709000001,2250709000002"}, "903"),
    ],
)
def test_an_otp_outside_the_documented_bounds_is_not_sent(
    gateway: Gateway, more: dict[str, str], code: int | str
) -> None:
    assert error(gateway, OTP_SEND, otp_fields(**more))[0] == code
    assert len(gateway.journal) == 0


# --- magic numbers


def test_magic_numbers_pass_a_client_that_checks_numbers() -> None:
    for phone, magic in MAGIC_NUMBERS.items():
        assert phonenumbers.is_valid_number(phonenumbers.parse("+" + phone))
        assert magic.sentence.endswith(".")


@pytest.mark.parametrize("suffix", ["901", "902", "903", "920", "999"])
def test_a_magic_number_refuses_the_whole_request(gateway: Gateway, text: Fields, suffix: str) -> None:
    code, _ = error(gateway, TEXT, text(f"2250709000001,+2250700000{suffix}"))
    assert int(code) == int(suffix)
    assert len(gateway.journal) == 0


@pytest.mark.parametrize("suffix", ["913", "914", "915"])
def test_a_magic_number_fails_every_verification(gateway: Gateway, suffix: str) -> None:
    phone = f"2250700000{suffix}"
    data(gateway, OTP_SEND, otp_fields(phone=phone))
    code = gateway.latest_otp(phone)
    assert code is not None
    assert error(gateway, OTP_VERIFY, otp_fields(phone=phone, otp=code))[0] == int(suffix)


def test_magic_numbers_stay_at_their_status(gateway: Gateway, clock: Any, text: Fields) -> None:
    ids = data(gateway, TEXT, text("2250700000100,2250700000404,2250700000709"))["message_id"]
    clock.now += 3600
    assert [gateway.status_of(one) for one in ids] == ["pending", "failed", None]
    assert error(gateway, TEXT, LOGIN | {"message_id": ids[2]}) == ("709", "EXECUTION_ERROR")
    assert data(gateway, TEXT, LOGIN | {"message_id": ids[1]})[0]["description"] == "Échec"


def test_a_share_of_the_numbers_of_a_prefix_is_never_reached(clock: Any, text: Fields) -> None:
    gateway = Gateway(clock=clock, failing={"22507": 0.4})
    numbers = [f"2250{digit}57{number:06}" for digit in (5, 7) for number in range(2_000)]
    ids = data(gateway, TEXT, text(",".join(numbers)))["message_id"]
    assert {gateway.status_of(one) for one in ids} == {"pending"}
    clock.now += 3600
    words = [gateway.status_of(one) for one in ids]
    assert set(words[:2_000]) == {"delivered"}
    assert 700 < words[2_000:].count("failed") < 900
    assert words == [gateway.status_of(one) for one in ids]


def test_a_gateway_that_reports_lots_answers_for_all_of_one(clock: Any, text: Fields) -> None:
    gateway = Gateway(clock=clock, reports_lots=True)
    ids = data(gateway, TEXT, text("2250700000404,2250700000709,2250757000001"))["message_id"]
    clock.now += 3600
    reports = data(gateway, TEXT, LOGIN | {"message_id": ids[0]})
    words = [(each["message_id"], each["status"]) for each in reports]
    assert words == [(ids[0], "failed"), (ids[2], "delivered")]


def test_an_ordinary_number_of_the_same_stem_is_no_magic(gateway: Gateway, text: Fields) -> None:
    assert data(gateway, TEXT, text("2250700000001"))


@pytest.mark.parametrize("path", [TEXT, OTP_SEND])
def test_the_username_is_a_sender_id_by_default(path: str, text: Fields) -> None:
    own = text() | {"sender_id": LOGIN["username"], "message": "Code ##OTP##"}
    data(Gateway(sender_ids=("ACME",)), path, own)
    data(Gateway(sender_ids=None), path, own)
    for gateway in (Gateway(), Gateway(sender_ids=None)):
        assert error(gateway, path, text() | {"sender_id": "other@example.com"})[0] == "902"
