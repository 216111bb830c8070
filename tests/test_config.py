"""Settings: who wins, what is missing, which URLs may have the password, and who may see it."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from decimal import Decimal

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from vavasms.config import (
    DEFAULT_BASE_URL,
    DEFAULT_STATUS_PATH,
    Secret,
    Settings,
    Timeouts,
    check_base_url,
    is_loopback,
    load_settings,
    misconfigured,
)
from vavasms.errors import ConfigurationError, Outcome

ENVIRONMENT = {
    "VAVASMS_USERNAME": "env@example.com",
    "VAVASMS_PASSWORD": "env-password",
    "VAVASMS_SENDER_ID": "ENV",
    "VAVASMS_BASE_URL": "https://env.example/api",
    "VAVASMS_STATUS_PATH": "/env",
}


def shown(settings: Settings) -> tuple[str, str, str | None, str, str | None]:
    return (
        settings.username,
        settings.password.reveal(),
        settings.sender_id,
        settings.base_url,
        settings.status_path,
    )


def test_arguments_beat_the_environment() -> None:
    settings = load_settings(
        "me",
        "word",
        sender_id="ACME",
        base_url="https://mine.example",
        status_path="/mine",
        environment=ENVIRONMENT,
    )
    assert shown(settings) == ("me", "word", "ACME", "https://mine.example", "/mine")


def test_the_environment_gives_what_no_argument_does() -> None:
    expected = ("env@example.com", "env-password", "ENV", "https://env.example/api", "/env")
    assert shown(load_settings(environment=ENVIRONMENT)) == expected
    assert (
        shown(load_settings(sender_id="", base_url="", status_path="", environment=ENVIRONMENT)) == expected
    )
    assert shown(load_settings("me", environment=ENVIRONMENT))[:2] == ("me", "env-password")


def test_the_rest_has_defaults() -> None:
    settings = load_settings("me", "word", environment={})
    assert shown(settings) == ("me", "word", None, DEFAULT_BASE_URL, DEFAULT_STATUS_PATH)
    assert settings.base_url == "https://vavasms.com/api"
    assert shown(load_settings("me", "word", environment=dict.fromkeys(ENVIRONMENT, ""))) == shown(settings)


def test_the_process_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert shown(load_settings()) == shown(load_settings(environment=ENVIRONMENT))


@pytest.mark.parametrize(
    ("username", "password", "missing"),
    [(None, None, "username"), (None, "word", "username"), ("me", None, "password")],
)
def test_each_missing_credential_is_one_sentence(
    username: str | None, password: str | None, missing: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(username, password, environment={})
    said = str(caught.value)
    assert said == f"No {missing}: pass {missing}=… or set VAVASMS_{missing.upper()}. Nothing was sent."


def test_an_empty_variable_counts_as_not_set() -> None:
    empty = dict.fromkeys(("VAVASMS_BASE_URL", "VAVASMS_STATUS_PATH", "VAVASMS_SENDER_ID"), "")
    settings = load_settings("me", "word", environment=empty)
    assert (settings.base_url, settings.sender_id) == ("https://vavasms.com/api", None)
    with pytest.raises(ConfigurationError, match="No password"):
        load_settings("me", environment={"VAVASMS_PASSWORD": ""})


def refused(call: Callable[[], object]) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        call()
    assert caught.value.outcome is Outcome.NOT_SENT
    assert caught.value.safe_to_retry
    assert caught.value.halts
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    return caught.value


@pytest.mark.parametrize("name", ["username", "password"])
def test_an_empty_credential_is_not_replaced_by_the_environments(name: str) -> None:
    error = refused(lambda: load_settings(**{name: ""}, environment=ENVIRONMENT))
    assert str(error) == f"{name} is empty. Nothing was sent."


@pytest.mark.parametrize("name", ["username", "password", "sender_id", "base_url", "status_path"])
@pytest.mark.parametrize("wrong", [1234, b"secret", 0])
def test_a_setting_that_is_no_text_is_refused_without_showing_it(name: str, wrong: object) -> None:
    error = refused(lambda: load_settings(**{name: wrong}, environment=ENVIRONMENT))  # type: ignore[arg-type]
    assert str(error) == f"{name} is no text. Nothing was sent."


@pytest.mark.parametrize(("username", "password"), [("me", "secr\udce9t"), ("m\ud800e", "secret")])
def test_a_credential_that_cannot_be_encoded_is_refused_without_showing_it(
    username: str, password: str
) -> None:
    error = refused(lambda: load_settings(username, password, environment={}))
    assert "secr" not in f"{error!r}{error.__dict__}"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://vavasms.com/api", "https://vavasms.com/api"),
        ("https://vavasms.com/api/", "https://vavasms.com/api"),
        ("https://vavasms.com/", "https://vavasms.com"),
        ("https://vavasms.com//", "https://vavasms.com"),
        ("HTTPS://VavaSMS.com:8443/api", "HTTPS://VavaSMS.com:8443/api"),
        ("https://192.0.2.7/api", "https://192.0.2.7/api"),
        ("https://[2001:db8::1]/api", "https://[2001:db8::1]/api"),
        ("http://localhost:8425/api", "http://localhost:8425/api"),
        ("http://LOCALHOST", "http://LOCALHOST"),
        ("http://127.0.0.1:8425/api/", "http://127.0.0.1:8425/api"),
        ("http://127.8.9.10/api", "http://127.8.9.10/api"),
        ("http://[::1]:8425/api", "http://[::1]:8425/api"),
    ],
)
def test_a_fit_base_url_is_kept_without_its_last_slash(url: str, kept: str) -> None:
    assert check_base_url(url) == kept
    assert load_settings("me", "word", base_url=url, environment={}).base_url == kept
    assert load_settings("me", "word", environment={"VAVASMS_BASE_URL": url}).base_url == kept


@pytest.mark.parametrize(
    "url",
    [
        "http://vavasms.com/api",
        "HTTP://vavasms.com/api",
        "http://localhost.example/api",
        "http://localhost./api",
        "http://127.0.0.1.example/api",
        "http://127.1/api",
        "http://2130706433/api",
        "http://0.0.0.0/api",
        "http://[::]/api",
        "http://10.0.0.1/api",
        "http://[2001:db8::1]/api",
    ],
)
def test_plain_http_is_for_loopback_only(url: str) -> None:
    assert "https://" in str(refused(lambda: check_base_url(url)))


@pytest.mark.parametrize(
    "url",
    [
        "https://user@vavasms.com/api",
        "https://user:word@vavasms.com/api",
        "https://:word@vavasms.com/api",
        "https://@vavasms.com/api",
        "https://:@vavasms.com/api",
        "http://localhost@vavasms.com/api",
        "http://localhost:80@vavasms.com/api",
        "http://vavasms.com@localhost/api",
        "https://vavasms.com/api?",
        "https://vavasms.com/api?x=1",
        "https://vavasms.com/api#",
        "https://vavasms.com/api#x",
        "https://vavasms.com?/api",
    ],
)
def test_user_query_and_fragment_are_refused(url: str) -> None:
    refused(lambda: check_base_url(url))


@pytest.mark.parametrize(
    "url",
    [
        "https://vavasms.com/api\r\nX-Evil: 1",
        "https://vavasms.com\r\n/api",
        "https://vavasms.com/api\n",
        "\nhttps://vavasms.com/api",
        " https://vavasms.com/api",
        "https://vavasms.com/a pi",
        "https://vavasms.com/api\t",
        "https://vavasms.com/api\x00",
        "https://vavasms.com/\x7fapi",
        "https://vavasms.com\\api",
        "http://localhost\\@vavasms.com/api",
        "https://vavasms.com/é",
        "https://vävasms.com/api",
        "https://vavasms.com/\ud800",
    ],
)
def test_no_character_reaches_a_header_that_no_url_has(url: str) -> None:
    refused(lambda: check_base_url(url))


@pytest.mark.parametrize(
    "url",
    [
        "vavasms.com/api",
        "//vavasms.com/api",
        "https:vavasms.com",
        "https://",
        "https:///api",
        "https://:443/api",
        "ftp://vavasms.com",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://vavasms.com:0/api",
        "https://vavasms.com:99999/api",
        "https://vavasms.com:port/api",
        "https://vavasms.com:-1/api",
        "https://[::1/api",
        "https://vavasms.com:٣/api",
        "x",
    ],
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    refused(lambda: check_base_url(url))


@given(
    st.text(max_size=30),
    st.sampled_from(["https://", "http://", "https://vavasms.com", "http://localhost", ""]),
)
@settings(max_examples=500, derandomize=True)
def test_any_text_is_judged_without_a_crash(text: str, before: str) -> None:
    try:
        kept = check_base_url(before + text)
    except ConfigurationError:
        return
    assert kept.isascii()
    assert kept.isprintable()
    assert not set(kept) & set(" ?#\\")
    assert not kept.endswith("/")


def test_what_is_kept_is_fit_a_second_time() -> None:
    for url in ["https://vavasms.com/api/", "http://[::1]:1/", "https://a.example//"]:
        assert check_base_url(check_base_url(url)) == check_base_url(url)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LocalHost", True),
        ("127.255.0.1", True),
        ("::1", True),
        ("", False),
        ("::2", False),
    ],
)
def test_loopback_is_what_cannot_leave_the_machine(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize("path", ["/v1/text/single", "/", "/a-b_c~d.e/%20", "//x"])
def test_a_fit_status_path_is_kept(path: str) -> None:
    assert load_settings("me", "word", status_path=path, environment={}).status_path == path


@pytest.mark.parametrize(
    "path",
    [
        "v1/text",
        "https://evil.example/",
        "@evil.example",
        "/a b",
        "/a?b=1",
        "/a#b",
        "/a\\b",
        "/a\r\nb",
        "/é",
        "/\x7f",
    ],
)
def test_a_status_path_is_a_path_and_nothing_else(path: str) -> None:
    refused(lambda: load_settings("me", "word", status_path=path, environment={}))
    refused(lambda: load_settings("me", "word", environment={"VAVASMS_STATUS_PATH": path}))


# Who may see the password.


def test_a_secret_shows_itself_to_nobody_who_does_not_ask() -> None:
    secret = Secret("hunter2")
    assert secret.reveal() == "hunter2"
    for text in (
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!s}",
        f"{secret!a}",
        format(secret),
    ):
        assert text == "***"
    assert repr([secret]) == "[***]"
    assert not isinstance(secret, str)
    with pytest.raises(TypeError):
        "".join([secret])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        format(secret, ">20")
    with pytest.raises(TypeError):
        vars(secret)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret("hunter2"), protocol)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(load_settings("me", "hunter2", environment={}), protocol)


def test_a_secret_is_not_copied() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        copy.deepcopy(Secret("hunter2"))


def test_settings_show_neither_username_nor_password() -> None:
    settings = load_settings("me@example.com", "hunter2", sender_id="ACME", environment={})
    for text in (repr(settings), str(settings), f"{settings}", repr({"settings": settings})):
        assert "hunter2" not in text
        assert "me@example.com" not in text
        assert "***" in text
        assert "ACME" in text


def test_every_part_of_a_call_has_its_timeout() -> None:
    t = Timeouts()
    assert (t.connect, t.write, t.pool, t.read, t.send) == (5, 10, 5, 15, 60)
    with pytest.raises(TypeError):
        Timeouts(5)  # type: ignore[call-arg]


def test_a_misconfiguration_stops_a_campaign() -> None:
    error = misconfigured("Wrong.")
    assert (str(error), error.outcome, error.halts) == ("Wrong. Nothing was sent.", Outcome.NOT_SENT, True)


@pytest.mark.parametrize("part", ["connect", "write", "pool", "read", "send"])
@pytest.mark.parametrize(
    "wrong", [0, -1, 0.0, -0.5, True, math.inf, math.nan, None, "5", Decimal(5)], ids=repr
)
def test_a_timeout_that_is_no_finite_number_above_0_is_refused_in_one_sentence(
    part: str, wrong: object
) -> None:
    error = refused(lambda: Timeouts(**{part: wrong}))  # type: ignore[arg-type]
    assert str(error) == (f"The timeout {part} must be a finite number of seconds above 0. Nothing was sent.")


def test_a_timeout_is_checked_when_it_is_changed_too() -> None:
    assert evolve(Timeouts(), send=90).send == 90
    refused(lambda: evolve(Timeouts(), send=0))
