"""Values to requests: what is in a form, what never is, and what is refused before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vavasms.errors import (
    InvalidInputError,
    InvalidMessageError,
    InvalidOtpTemplateError,
    InvalidSenderIdError,
    Outcome,
)
from vavasms.numbers import Msisdn
from vavasms.wire.requests import (
    MAX_SEGMENTS,
    Call,
    CallKind,
    Request,
    build_balance,
    build_delivery_status,
    build_send_otp,
    build_verify_otp,
    draft_text,
    encode_credentials,
    parse_code,
)

ONE, TWO = Msisdn("2250709000001"), Msisdn("2250709000002")
NUMBERS = st.integers(10**9, 10**14).map(lambda number: Msisdn(str(number)))
#: No control character but line ends and tabs, and something to see.
TEXTS = st.builds(
    lambda head, letter, tail: head + letter + tail,
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.sampled_from("\n\r\t"), max_size=40),
    st.sampled_from("aé€😀"),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.sampled_from("\n\r\t"), max_size=20),
)
SENDER_IDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=3, max_size=11)


def fields(request: Request) -> dict[str, str]:
    pairs = parse_qsl(request.form, keep_blank_values=True, strict_parsing=bool(request.form))
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def otp(to: Msisdn = ONE, *, sender_id: str = "ACME", **options: Any) -> Request:
    unset: dict[str, Any] = dict.fromkeys(("length", "valid_for", "template", "language"))
    return build_send_otp(to, sender_id=sender_id, **(unset | options))


def test_each_call_says_what_repeating_it_does() -> None:
    assert {call: call.kind for call in Call} == {
        Call.BALANCE: CallKind.READ,
        Call.SEND_TEXT: CallKind.SEND,
        Call.DELIVERY_STATUS: CallKind.READ,
        Call.SEND_OTP: CallKind.SEND,
        Call.VERIFY_OTP: CallKind.VERIFY,
    }


def test_each_call_goes_to_its_documented_path() -> None:
    assert build_balance().path == "/v1/check/balance"
    assert draft_text("x", "ACME").address((ONE,)).path == "/v1/text/single"
    assert otp().path == "/v1/otp/send"
    assert build_verify_otp(ONE, "0423", sender_id=None).path == "/v1/otp/verify"
    assert build_delivery_status("x", lot_id=None, path="/elsewhere").path == "/elsewhere"


@given(TEXTS, SENDER_IDS, st.lists(NUMBERS, min_size=1, max_size=5))
@settings(max_examples=300, derandomize=True)
def test_a_text_is_what_a_form_encoder_makes_of_it(message: str, sender_id: str, to: list[Msisdn]) -> None:
    request = draft_text(message, sender_id).address(tuple(to))
    expected = {"sender_id": sender_id, "message": message, "phone": ",".join(to)}
    assert fields(request) == expected
    assert request.form == urlencode(expected)
    assert request.form.isascii()
    assert request.recipients == tuple(to)


@given(st.text(st.characters(codec="utf-8"), max_size=30), st.text(st.characters(codec="utf-8"), max_size=30))
@settings(max_examples=200, derandomize=True)
def test_credentials_are_two_fields_whatever_they_hold(username: str, password: str) -> None:
    encoded = encode_credentials(username, password)
    assert parse_qsl(encoded, keep_blank_values=True) == [("username", username), ("password", password)]
    assert encoded == urlencode({"username": username, "password": password})
    assert encoded == f"username={quote_plus(username)}&password={quote_plus(password)}"


def test_a_request_shows_neither_text_nor_number() -> None:
    shown = repr(draft_text("un texte", "ACME").address((ONE, TWO))) + repr(draft_text("un texte", "ACME"))
    assert "texte" not in shown
    assert "2250709000001" not in shown


@pytest.mark.parametrize("sender_id", ["ABC", "ABCDEFGHIJK", "A B", "+22507090", "a-b_c.d", "123"])
def test_a_printable_sender_id_is_left_to_the_gateway(sender_id: str) -> None:
    assert fields(draft_text("x", sender_id).address((ONE,)))["sender_id"] == sender_id


@pytest.mark.parametrize(
    "sender_id",
    ["", "AB", "ABCDEFGHIJKL", "ACMÉ", "AC\nME", " ACME", "ACME ", "A\x7fBC", None, 1234, b"ACME"],
)
def test_another_sender_id_is_refused(sender_id: Any) -> None:
    calls: list[Callable[[], object]] = [
        lambda: draft_text("x", sender_id),
        lambda: otp(sender_id=sender_id),
        lambda: build_verify_otp(ONE, "0423", sender_id=sender_id),
    ]
    # A verification may do without.
    for call in calls if sender_id is not None else calls[:2]:
        with pytest.raises(InvalidSenderIdError) as caught:
            call()
        assert caught.value.outcome is Outcome.NOT_SENT


_NOTHING = "The message shows nothing on a phone"


@pytest.mark.parametrize(
    ("message", "why"),
    [
        *((empty, "The message is empty") for empty in ["", " \n\t", "\u3000", "\xa0\u202f"]),
        *((bare, _NOTHING) for bare in ["\u200b", "\xad", "\u2060", "\ufeff", " \u200b\n\u200d ", "\u200e"]),
        *((filler, _NOTHING) for filler in ["\u3164", "\u2800\u2800", "\ufe0f", "\u034f", "\U000e0041"]),
        *(
            (f"Bon{code}jour", "The message holds a control character")
            for code in ["\0", "\x07", "\x0b", "\f", "\x1b", "\x7f", "\x80", "\x85", "\x9f"]
        ),
        *((value, "Give the message as text") for value in [None, 5, b"text", ["text"], 1.5, False]),
        *((half, "The message holds half a character") for half in ["half \ud800", "\udfff"]),
    ],
)
def test_a_text_that_cannot_be_sent_is_refused_without_showing_it(message: Any, why: str) -> None:
    with pytest.raises(InvalidMessageError, match=f"^{why}.*; nothing was sent\\.$") as caught:
        draft_text(message, "ACME")
    assert caught.value.__context__ is None
    assert "half \ud800" not in str(caught.value)
    assert "Bon" not in str(caught.value)


def test_the_template_of_a_code_is_held_to_the_same() -> None:
    with pytest.raises(InvalidMessageError, match="control character"):
        otp(template="Code\0##OTP##")


@pytest.mark.parametrize(
    "message", ["a", "Ligne\r\nLigne\tfin", "👨\u200d👩\u200d👧", "❤\ufe0f", "\u200bBonjour", "."]
)
def test_what_a_handset_shows_is_sent_as_it_is(message: str) -> None:
    assert fields(draft_text(message, "ACME").address((ONE,)))["message"] == message


@pytest.mark.parametrize(
    ("character", "per_segment"), [("a", 153), ("€", 76), ("é", 153), ("ç", 67), ("😀", 33)]
)
def test_a_text_has_at_most_as_many_segments_as_a_phone_joins(character: str, per_segment: int) -> None:
    draft_text(character * (per_segment * MAX_SEGMENTS), "ACME")
    with pytest.raises(InvalidMessageError, match="255 segments"):
        draft_text(character * (per_segment * MAX_SEGMENTS + 1), "ACME")


@pytest.mark.parametrize("message_id", ["", "  ", None, 5, "\udce9"])
def test_a_status_needs_an_id_that_can_be_sent(message_id: Any) -> None:
    with pytest.raises(InvalidInputError) as caught:
        build_delivery_status(message_id, lot_id=None, path="/x")
    assert caught.value.outcome is None
    with pytest.raises(InvalidInputError):
        build_delivery_status("x", lot_id="\ud800", path="/x")


def test_a_status_asks_for_ids_only() -> None:
    assert fields(build_delivery_status("SM-1", lot_id=None, path="/x")) == {"message_id": "SM-1"}
    assert fields(build_delivery_status("SM-1", lot_id="", path="/x")) == {"message_id": "SM-1"}
    request = build_delivery_status("S&M=1", lot_id="L-1", path="/x")
    assert fields(request) == {"message_id": "S&M=1", "lot_id": "L-1"}
    # Neither number nor text: on the path that sends texts it cannot send one.
    assert request.recipients == ()


def test_a_one_time_code_leaves_the_rest_to_the_gateway() -> None:
    assert fields(otp()) == {"sender_id": "ACME", "phone": "2250709000001"}
    full = otp(length=6, valid_for=timedelta(hours=1), template="Code ##OTP##", language="fr")
    assert fields(full) == {
        "sender_id": "ACME",
        "phone": "2250709000001",
        "otp_length": "6",
        "otp_expiry": "60",
        "message": "Code ##OTP##",
        "lang": "fr",
    }
    assert full.recipients == (ONE,)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        *(({"length": bad}, InvalidInputError) for bad in [3, 10, 0, -4, True, 4.0, "4"]),
        *(
            ({"valid_for": bad}, InvalidInputError)
            for bad in [
                timedelta(0),
                timedelta(seconds=59),
                timedelta(minutes=1, seconds=1),
                timedelta(minutes=-1),
                60,
            ]
        ),
        *(
            ({"template": bad}, InvalidOtpTemplateError)
            for bad in ["", "Code", "##otp##", "# #OTP##", None.__class__, 5]
        ),
        ({"template": "##OTP## \ud800"}, InvalidMessageError),
        ({"template": "##OTP##" + "a" * 40_000}, InvalidMessageError),
        *(({"language": bad}, InvalidInputError) for bad in ["\ud800", "é", 5]),
    ],
)
def test_a_one_time_code_that_makes_no_sense_is_refused(
    options: dict[str, Any], error: type[InvalidInputError]
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        otp(**options)
    assert type(caught.value) is error
    assert caught.value.outcome is Outcome.NOT_SENT


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("0423", "0423"),
        ("000000", "000000"),
        (" 042317\n", "042317"),
        ("123456789", "123456789"),
        ("042 317", "042317"),
        ("042-317", "042317"),
        ("04 23\u00a017", "042317"),
        ("042\u2011317", "042317"),
        ("\u200e042\u2013317\u200f", "042317"),
        ("٠٤٢٣١٧", "042317"),
        ("۰۴۲۳", "0423"),
        ("０４２３", "0423"),
        ("-0423", "0423"),
    ],
)
def test_a_code_is_read_as_a_person_types_it_and_keeps_its_zeros(typed: str, code: str) -> None:
    assert parse_code(typed) == code
    assert fields(build_verify_otp(ONE, code, sender_id=None)) == {"phone": "2250709000001", "otp": code}


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "abc",
        "042",
        "1234567890",
        "12a4",
        "1.23",
        "²³¹²",
        "½234",
        "0423!",
        "\0" * 4,
        "\ud800042",
        "- - - -",
    ],
)
def test_what_can_be_no_code_is_none_and_raises_nothing(typed: str) -> None:
    assert parse_code(typed) is None


@pytest.mark.parametrize("code", [4231, None, b"0423", True])
def test_a_code_that_is_no_text_is_a_fault_of_the_program(code: Any) -> None:
    with pytest.raises(InvalidInputError, match="as text") as caught:
        parse_code(code)
    assert caught.value.outcome is Outcome.NOT_SENT


@pytest.mark.parametrize("username", ["owner@example.com", "a", "École Plus", "x" * 60])
def test_the_accounts_own_name_is_a_sender_id_whatever_its_form(username: str) -> None:
    requests = [
        draft_text("x", username, username=username).address((ONE,)),
        otp(sender_id=username, username=username),
        build_verify_otp(ONE, "0423", sender_id=username, username=username),
    ]
    assert [fields(request)["sender_id"] for request in requests] == [username] * 3


@pytest.mark.parametrize("sender_id", ["other@example.com", "Owner@example.com", "owner@example.com ", ""])
def test_the_name_of_another_account_keeps_the_rule(sender_id: str) -> None:
    with pytest.raises(InvalidSenderIdError):
        draft_text("x", sender_id, username="owner@example.com")


def test_a_verification_names_the_sender_where_there_is_one() -> None:
    assert fields(build_verify_otp(ONE, "0423", sender_id="ACME"))["sender_id"] == "ACME"
