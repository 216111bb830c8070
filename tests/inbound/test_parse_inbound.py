"""The body of an inbound SMS: both spellings, every form, and what is refused."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vavasms
from vavasms.errors import InvalidInputError
from vavasms.inbound import parse_inbound
from vavasms.models import InboundMessage

SAMPLES = Path(__file__).parents[1] / "samples"
FIELDS = {
    "message_id": "SM-1",
    "form": "+2250709000001",
    "content": "Bonjour",
    "sms_date": "2019-06-23 12:17:05",
}
WHEN = datetime(2019, 6, 23, 12, 17, 5)  # noqa: DTZ001  naive: the zone is not documented


def without(*names: str, **more: str) -> dict[str, str]:
    return {name: value for name, value in FIELDS.items() if name not in names} | more


@pytest.mark.parametrize("name", ["inbound_form", "inbound_from"])
def test_both_spellings_of_the_sender_are_read(name: str) -> None:
    message = parse_inbound((SAMPLES / f"{name}.body").read_bytes())
    assert message == InboundMessage(
        message_id="SM-20190623-1217879",
        sender="+22509000001",
        text="Bonjour, ça va ? 50 % & plus ##OTP## 😀",
        received_at=WHEN,
        raw_date="2019-06-23 12:17:05",
    )


def test_a_mapping_a_bytearray_and_bytes_are_read_alike() -> None:
    body = urlencode(FIELDS).encode()
    assert parse_inbound(body) == parse_inbound(bytearray(body)) == parse_inbound(FIELDS)
    assert vavasms.parse_inbound is parse_inbound


def test_the_documented_spelling_comes_first_unless_it_is_empty() -> None:
    assert parse_inbound(FIELDS | {"from": "other"}).sender == "+2250709000001"
    assert parse_inbound(without("form", form="", **{"from": "other"})).sender == "other"
    assert parse_inbound(without("form", **{"from": " 98555 "})).sender == "98555"


@pytest.mark.parametrize("missing", ["message_id", "form"])
@pytest.mark.parametrize("value", [None, "", "  \r\n"])
def test_a_message_without_id_or_sender_is_refused(missing: str, value: str | None) -> None:
    fields = without(missing) if value is None else FIELDS | {missing: value}
    for body in (fields, urlencode(fields).encode()):
        with pytest.raises(InvalidInputError, match=missing) as caught:
            parse_inbound(body)
        assert caught.value.outcome is None
        assert "Bonjour" not in str(caught.value)
        assert "2250709000001" not in str(caught.value)


def test_text_and_date_may_be_missing() -> None:
    message = parse_inbound(without("content", "sms_date"))
    assert (message.text, message.received_at, message.raw_date) == ("", None, "")
    assert parse_inbound(b"message_id=a&form=b&content=") == parse_inbound({"message_id": "a", "form": "b"})


def test_twenty_fields_are_read_and_no_more() -> None:
    body = urlencode(FIELDS).encode()
    assert parse_inbound(body + b"&x=1" * 16).message_id == "SM-1"
    with pytest.raises(InvalidInputError, match="more than 20 fields") as caught:
        parse_inbound(body + b"&x=1" * 17)
    assert caught.value.__context__ is None
    assert caught.value.outcome is None


def test_of_a_field_given_twice_the_first_counts() -> None:
    assert parse_inbound(b"message_id=a&message_id=b&form=c&form=d").message_id == "a"


def test_a_body_that_is_not_utf_8_is_in_windows_letters() -> None:
    assert parse_inbound(b"message_id=a&form=b&content=%E9t%E9").text == "été"
    assert parse_inbound(b"message_id=a&form=b&content=\xe9t\xe9").text == "été"
    assert parse_inbound(b"message_id=a&form=b&content=ARR%CAT").text == "ARRÊT"
    assert parse_inbound(b"message_id=a&form=b&content=%ED%A0%80").text.encode()


@pytest.mark.parametrize(
    "body", [b"", b"&&&", b"=", b"{}", b'{"message_id": "a", "form": "b"}', b"\x00", b"%", b"a" * 70_000]
)
def test_another_body_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInputError):
        parse_inbound(body)


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("2019-06-23 12:17:05", WHEN),
        (" 2019-06-23T12:17:05 ", WHEN),
        ("23/06/2019 12:17:05", WHEN),
        ("23-06-2019 12:17:05", WHEN),
        ("2019-06-23 12:17", WHEN.replace(second=0)),
        ("23/06/2019 12:17", WHEN.replace(second=0)),
    ],
)
def test_a_plain_date_is_read_and_stays_naive(text: str, when: datetime) -> None:
    message = parse_inbound(FIELDS | {"sms_date": text})
    assert message.received_at == when
    assert message.received_at is not None
    assert message.received_at.tzinfo is None
    assert message.raw_date == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hier",
        "1561292225",
        "2019-06-23",
        "06/23/2019 12:17",
        "2019-06-23T12:17:05Z",
        "2019-06-23T12:17:05+00:00",
        "2019-02-30 12:00:00",
        "2019-06-23 25:00:00",
        "0000-00-00 00:00:00",
        "\ud800",
        "2019-06-23 12:17:05 GMT",
    ],
)
def test_what_is_not_plainly_a_date_stays_text(text: str) -> None:
    message = parse_inbound(FIELDS | {"sms_date": text})
    assert message.received_at is None
    assert message.raw_date == text


@given(
    st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip),
    st.text(st.characters(codec="utf-8")),
    st.sampled_from(["form", "from"]),
    st.booleans(),
)
@settings(max_examples=300, derandomize=True)
def test_what_a_handset_wrote_comes_back_whole(sender: str, text: str, spelling: str, plus: bool) -> None:
    fields = {"message_id": "SM-1", spelling: sender, "content": text}
    body = urlencode(fields) if plus else urlencode(fields, quote_via=quote)
    message = parse_inbound(body.encode())
    assert (message.sender, message.text) == (sender.strip(), text)
    assert message == parse_inbound(fields)


@given(st.binary(max_size=200))
@settings(max_examples=500, derandomize=True)
def test_any_body_is_read_or_refused(body: bytes) -> None:
    for found in (body, b"message_id=a&form=b&sms_date=" + body):
        try:
            message = parse_inbound(found)
        except InvalidInputError:
            continue
        assert message.message_id
        assert message.sender
        assert message.received_at is None or message.received_at.tzinfo is None
