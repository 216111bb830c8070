"""A token cannot be guessed, is compared as a whole, and shows nowhere."""

from __future__ import annotations

import logging
import uuid
from secrets import token_hex, token_urlsafe

import pytest

from vavasms.errors import InvalidInputError
from vavasms.inbound.tokens import HideToken, Tokens, hide_in_environ, hide_in_scope, make_token

OLD, NEW = token_hex(16), token_urlsafe(24)


def test_drawn_tokens_differ_and_are_long_enough() -> None:
    drawn = {make_token() for _ in range(100)}
    assert len(drawn) == 100
    assert all(len(each) * 4 >= 128 and each.isalnum() and each.isascii() for each in drawn)
    assert Tokens(tuple(drawn)).accept(drawn.pop())


@pytest.mark.parametrize(
    "token",
    [OLD, OLD.upper(), NEW, str(uuid.UUID(int=0x1234567890ABCDEF << 64)), "k3" * 3 + OLD],
    ids=range(5),
)
def test_the_usual_forms_of_128_bits_are_taken(token: str) -> None:
    assert Tokens(token).accept(token)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "secret",
        token_hex(15),
        token_urlsafe(15),
        "1" * 60,
        "abab" * 20,
        "12345678901234567890",
        OLD + "/",
        OLD + " ",
        OLD + "é",
    ],
    ids=range(10),
)
def test_what_can_be_guessed_or_stands_in_no_url_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(InvalidInputError, match="make_token") as caught:
        Tokens([NEW, token])
    assert not token or token not in str(caught.value)


def test_no_token_at_all_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="needs a token"):
        Tokens([])


def test_both_tokens_are_valid_during_a_rotation() -> None:
    tokens = Tokens([OLD, NEW])
    assert tokens.accept(OLD)
    assert tokens.accept(NEW)
    assert not any(map(tokens.accept, ["", OLD[:-1], OLD + "0", NEW + OLD, "é\ud800", OLD.upper()]))
    assert OLD not in repr(tokens)


def record(message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("uvicorn.access", logging.INFO, "", 0, message, args, None)


def test_a_filter_keeps_the_token_out_of_a_servers_log_and_the_arguments_in_their_places() -> None:
    hide = HideToken([OLD, NEW])
    access = record('%s "%s %s" %d', "192.0.2.7", "POST", f"/sms/{OLD}", 200)
    assert hide.filter(access)
    assert access.args == ("192.0.2.7", "POST", "/sms/hidden", 200)
    assert access.getMessage() == '192.0.2.7 "POST /sms/hidden" 200'


@pytest.mark.parametrize(
    "logged", [record(f"POST /{NEW}"), record("%(path)s", {"path": f"/{NEW}"}), record("%s", [f"/{NEW}"])]
)
def test_a_filter_finds_the_token_wherever_it_stands(logged: logging.LogRecord) -> None:
    assert HideToken(NEW).filter(logged)
    assert NEW not in logged.getMessage()
    assert "hidden" in logged.getMessage()


def test_a_filter_leaves_everything_else_alone() -> None:
    other = record("100 %")
    assert HideToken(NEW).filter(other)
    assert other.getMessage() == "100 %"


def test_what_a_server_logs_later_is_replaced_where_it_looks() -> None:
    scope = {"path": f"/sms/{OLD}", "raw_path": f"/sms/{OLD}".encode(), "query_string": b""}
    hide_in_scope(scope, "/sms")
    assert scope == {"path": "/sms/hidden", "raw_path": b"/sms/hidden", "query_string": b""}
    bare = {"path": f"/{OLD}"}
    hide_in_scope(bare)
    assert bare == {"path": "/hidden"}
    environ = {"PATH_INFO": f"/{OLD}", "RAW_URI": f"/{OLD}", "SCRIPT_NAME": "/sms"}
    hide_in_environ(environ)
    assert environ == {"PATH_INFO": "/hidden", "RAW_URI": "/hidden", "SCRIPT_NAME": "/sms"}


@pytest.mark.parametrize(("text", "values"), [("%d of it", ("a",)), ("%s %s", ("one",)), ("%(x)s", ({},))])
def test_a_record_that_cannot_be_written_breaks_no_caller_and_shows_no_token(
    text: str, values: tuple[object, ...], caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("tests.tokens")
    hide = HideToken(OLD)
    logger.addFilter(hide)
    try:
        logger.warning(f"{OLD} {text}", *values)
    finally:
        logger.removeFilter(hide)
    assert OLD not in caplog.text
    assert "do not fit" in caplog.text
