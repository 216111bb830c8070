"""The documentation says POST and no more: forms of both kinds and JSON are read alike."""

from __future__ import annotations

import json

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vavasms.errors import InvalidInputError
from vavasms.inbound import parse_inbound
from vavasms.inbound.parse import read_fields

FIELDS = {"message_id": "SM-1", "form": "+2250700000101", "content": "Ça va ? 😀\r\nbien", "sms_date": ""}


def multipart(fields: dict[str, str]) -> tuple[bytes, str]:
    request = httpx.Request("POST", "http://x", files={name: (None, value) for name, value in fields.items()})
    return request.read(), request.headers["content-type"]


def test_what_is_of_another_type_is_taken_for_a_form() -> None:
    for kind in ("", "text/plain", "application/x-www-form-urlencoded; charset=utf-8"):
        assert read_fields(b"a=1", kind) == {"a": "1"}


def test_what_phps_curl_sends_for_an_array_is_read() -> None:
    assert read_fields(*multipart(FIELDS)) == FIELDS
    assert parse_inbound(read_fields(*multipart(FIELDS))).text == FIELDS["content"]


def test_json_is_read_and_numbers_become_text() -> None:
    body = json.dumps(FIELDS | {"message_id": 17, "more": None}).encode()
    assert read_fields(body, "Application/JSON; charset=utf-8") == FIELDS | {"message_id": "17", "more": ""}
    assert read_fields(b'{"content": 1.50}', "application/json") == {"content": "1.50"}
    assert read_fields(b'{"content": "\\ud800"}', "application/json") == {"content": "?"}


def test_of_a_field_given_twice_the_first_counts() -> None:
    request = httpx.Request("POST", "http://x", files=[("a", (None, "1")), ("a", (None, "2"))])
    assert read_fields(request.read(), request.headers["content-type"]) == {"a": "1"}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "application/json"),
        (b"[1]", "application/json"),
        (b'"text"', "application/json"),
        (b'{"content": true}', "application/json"),
        (b'{"message_id": {"b": 1}}', "application/json"),
        (b'{"sms_date": [1]}', "application/json"),
        (b"\xff", "application/json"),
        (b"\xff\xfe{", "application/json"),
        (b"[" * 60_000, "application/json"),
        (b"a=1", "multipart/form-data"),
        (b"a=1", "multipart/form-data; boundary=x"),
    ],
)
def test_what_is_not_what_its_type_says_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(InvalidInputError, match="is not what its Content-Type says"):
        read_fields(body, kind)


def test_of_a_name_given_twice_in_json_the_first_counts_too() -> None:
    body = b'{"form": "1", "content": "a", "form": "2"}'
    assert read_fields(body, "application/json") == {"form": "1", "content": "a"}


@pytest.mark.parametrize(
    "body", [b'[["form", "1"]]', b"[]", b'"form"', b"1", b"null", b'{"form": {}}', b'{"form": []}']
)
def test_json_that_is_no_object_of_texts_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInputError):
        read_fields(body, "application/json")


def test_more_than_20_fields_are_refused() -> None:
    many = {f"f{each}": "x" for each in range(21)}
    for body, kind in (multipart(many), (json.dumps(many).encode(), "application/json")):
        with pytest.raises(InvalidInputError, match="more than 20 fields"):
            read_fields(body, kind)


@settings(max_examples=60)
@given(st.binary(max_size=300), st.sampled_from(["--b\r\n", "", "{"]))
def test_no_body_breaks_the_reader(noise: bytes, start: str) -> None:
    for kind in ("multipart/form-data; boundary=b", "application/json"):
        try:
            read_fields(start.encode() + noise, kind)
        except InvalidInputError:
            pass


ARRET = "ARRÊT à vie"


@pytest.mark.parametrize(
    ("charset", "declared"),
    [
        ("latin-1", ""),
        ("cp1252", ""),
        ("utf-8", ""),
        ("latin-1", "iso-8859-1"),
        ("cp850", "cp850"),
        ("utf-8", "utf-8"),
        # Declared and yet not so, unknown, or none of text: the evident one.
        ("latin-1", "utf-8"),
        ("utf-8", "x-unknown"),
        ("latin-1", "unicode_escape"),
        ("utf-8", "\0"),
        ("utf-8", "us-ascii"),
    ],
)
def test_a_text_is_read_in_its_charset_in_every_form(charset: str, declared: str) -> None:
    raw = ARRET.encode(charset)
    suffix = f"; charset={declared}" if declared else ""
    form = b"content=" + b"".join(b"%%%02X" % one for one in raw)
    assert read_fields(form, f"application/x-www-form-urlencoded{suffix}") == {"content": ARRET}
    assert read_fields(
        b"content=" + raw.replace(b" ", b"+"), f"application/x-www-form-urlencoded{suffix}"
    ) == {"content": ARRET}
    part = f"Content-Type: text/plain{suffix}\r\n".encode()
    for head, kind in (
        (part, "multipart/form-data; boundary=b"),
        (b"", f"multipart/form-data; boundary=b{suffix}"),
    ):
        body = (
            b'--b\r\nContent-Disposition: form-data; name="content"\r\n'
            + head
            + b"\r\n"
            + raw
            + b"\r\n--b--\r\n"
        )
        assert read_fields(body, kind) == {"content": ARRET}
    text = b'{"content": "' + raw + b'"}'
    assert read_fields(text, f"application/json{suffix}") == {"content": ARRET}


def test_the_charset_of_one_field_leaves_the_others_alone() -> None:
    assert read_fields(b"a=%C9t%E9&b=%C3%89t%C3%A9&c=%81") == {"a": "Été", "b": "Été", "c": "\ufffd"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_json_may_begin_with_a_byte_order_mark(encoding: str) -> None:
    body = json.dumps(FIELDS, ensure_ascii=False).encode(encoding)
    assert read_fields(body, "application/json") == FIELDS


@pytest.mark.parametrize("value", ["true", "1.5", "null", '{"content": 1}', "[1, [2]]", "NaN", "1" * 5000])
def test_a_field_of_json_that_nobody_reads_may_be_anything(value: str) -> None:
    body = f'{{"operator": {value}, {json.dumps(FIELDS)[1:]}'
    assert read_fields(body.encode(), "application/json") == FIELDS | {"operator": ""}


def test_what_would_hold_the_event_loop_is_not_read() -> None:
    # The parser looks for the end of a quote anew at each semicolon: 60,000 of them take seconds.
    part = b'--x\r\nContent-Disposition: form-data; name="' + b";" * 60_000 + b"\r\n\r\n1\r\n--x--"
    with pytest.raises(InvalidInputError, match="not what its Content-Type says"):
        read_fields(part, "multipart/form-data; boundary=x")
    assert read_fields(b"a=1", 'text/plain; charset="' + ";" * 60_000) == {"a": "1"}
    assert read_fields(b"a=1", "multipart/form-data; boundary=" + ";" * 60_000) == {"a": "1"}


def test_the_longest_text_that_phones_join_is_read_from_a_multipart_form() -> None:
    # Ten segments in UCS-2, each character of three bytes in UTF-8.
    assert read_fields(*multipart(FIELDS | {"content": "€" * 670}))["content"] == "€" * 670
