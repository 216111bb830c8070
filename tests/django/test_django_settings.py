"""`VAVASMS = {…}`: what is refused, by which check, and that no value of it is shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.utils.translation import override
from django.views.debug import ExceptionReporter

from tests.django.conftest import Configure
from tests.inbound.posting import TOKEN
from vavasms.django import get_sms, send_sms
from vavasms.django.backends.gateway import SandboxBackend
from vavasms.django.client import write_url
from vavasms.django.location import LIBPQ_OPTIONS, find_server, find_server_of
from vavasms.django.settings import BACKENDS, SANDBOX_ACCOUNT, AppSettings, read_settings
from vavasms.django.transactions import has_ledger
from vavasms.errors import ConfigurationError
from vavasms.sandbox import Gateway

SECRET = "Mot-de-passe-1"


def found() -> dict[str, str]:
    messages = run_checks(include_deployment_checks=True)
    assert SECRET not in str(messages)
    assert TOKEN not in str(messages)
    ours = [each for each in messages if str(each.id).startswith("vavasms.")]
    assert all(each.hint for each in ours)
    return {str(each.id).removeprefix("vavasms."): each.msg for each in ours}


WRONG: list[tuple[Any, str, str]] = [
    ("VAVASMS", "E001", "no dict"),
    ({"PASWORD": SECRET}, "E002", "'PASWORD'"),
    ({"SENDER": "ACME"}, "E002", "'SENDER'"),
    ({"OPTIONS": {"proxi": SECRET}}, "E002", "'proxi'"),
    ({"PASSWORD": 42}, "E003", "'PASSWORD'.* type int"),
    ({"INBOUND_ALLOW": "198.51.100.7"}, "E003", "'INBOUND_ALLOW'.* type str"),
    ({"INBOUND_ALLOW": [7]}, "E003", "'INBOUND_ALLOW'"),
    ({"BACKEND": ["console"]}, "E003", "'BACKEND'.* type list"),
    ({"BACKEND": "pigeon"}, "E004", "'BACKEND'"),
    ({"BACKEND": ".sms.Backend"}, "E004", "'BACKEND'"),
    ({"BACKEND": "vavasms.nowhere.Backend"}, "E004", "'BACKEND'"),
    ({"BACKEND": "vavasms.client.AsyncVavaSMS.send"}, "E004", "'BACKEND'"),
    ({"LEDGER": "/tmp/sms.db", "DATABASE": "default"}, "E005", "both"),
    ({"DATABASE": "default"}, "E005", "no database of PostgreSQL"),
    ({"DATABASE": "nowhere"}, "E005", "no database of PostgreSQL"),
    ({"LEDGER": f"mysql://user:{SECRET}@host/sms"}, "E005", "postgresql://"),
    ({"LEDGER": "sms.db"}, "W001", "folder"),
    ({"LEDGER": f"postgresql://shop:{SECRET}@host/sms"}, "W005", "error pages"),
    ({"LEDGER": f"postgresql:///sms?password={SECRET}"}, "W005", "error pages"),
    ({"INBOUND_SEEN": f"postgresql://shop:{SECRET}@host/sms"}, "W005", "'INBOUND_SEEN'"),
    ({"OPTIONS": {"proxy": f"http://shop:{SECRET}@proxy:3128"}}, "W005", "'proxy'"),
    ({"USERNAME": ""}, "W004", "username is empty"),
    ({"BASE_URL": "http://gateway.example/api"}, "E006", "https://"),
    ({"REGION": "Ivoire"}, "E006", "region"),
    ({"INBOUND_TOKEN": "aaaaaaaa", "INBOUND_SEEN": "/var/seen.db"}, "E007", "token"),
    ({"INBOUND_TOKEN": TOKEN}, "W002", "memory"),
    ({"INBOUND_ALLOW": ["everybody"]}, "E007", "allow: 'everybody'"),
    ({"TRUSTED_PROXIES": ["proxy"]}, "E007", "trusted_proxies: 'proxy'"),
    ({"STOP_WORDS": ["!"]}, "E007", "stop word"),
    ({"BACKEND": "console"}, "W003", "no SMS reaches a phone"),
]


@pytest.mark.parametrize(("values", "check", "words"), WRONG, ids=lambda value: str(value)[:40])
def test_a_check_names_what_is_wrong(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, values: Any, check: str, words: str
) -> None:
    if isinstance(values, dict):
        configure(**values)
    else:
        monkeypatch.setattr(settings, "VAVASMS", values)
    messages = found()
    assert next(iter(messages)) == check
    assert {*messages} <= {check, "W005"}
    assert re.search(words, messages[check])


def test_djangos_error_pages_hide_what_is_not_warned_of(configure: Configure) -> None:
    # No URL at all is none with a password.
    configure(
        PASSWORD=SECRET,
        INBOUND_TOKEN=[TOKEN],
        LEDGER="postgresql://shop@host/sms",
        OPTIONS={"proxy": "http://["},
    )
    assert found() == {}
    shown = ExceptionReporter(None, None, None, None).get_traceback_text()
    assert "postgresql://shop@host/sms" in shown
    assert TOKEN not in shown
    assert SECRET not in shown


@pytest.mark.parametrize("key", ["INBOUND_ALLOW", "TRUSTED_PROXIES"])
def test_a_hint_names_the_setting_that_is_wrong(configure: Configure, key: str) -> None:
    configure(**{key: ["somewhere"]})
    hints = [str(each.hint) for each in run_checks() if each.id == "vavasms.E007"]
    assert hints == [f"Correct VAVASMS['{key}']."]


def test_what_is_right_is_not_spoken_of(configure: Configure, tmp_path: Path) -> None:
    configure(
        LEDGER=tmp_path / "sms.db",
        REGION="CI",
        PROFILE=None,
        OPTIONS={"keep_texts": True},
        INBOUND_TOKEN=[TOKEN],
        INBOUND_ALLOW=["198.51.100.7"],
        TRUSTED_PROXIES=("unix",),
        STOP_WORDS=["BASTA"],
        OPT_OUT_NAME="Boutique Awa",
    )
    assert found() == {}


def test_without_a_setting_the_environment_says_whose_account_it_is(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(bare=True)
    assert list(found()) == ["W004"]
    monkeypatch.delattr(settings, "VAVASMS")
    assert list(found()) == ["W004"]
    for name in ("USERNAME", "PASSWORD", "SENDER_ID"):
        monkeypatch.setenv(f"VAVASMS_{name}", "ACME")
    assert found() == {}


def test_a_send_is_refused_by_the_words_of_the_check(configure: Configure) -> None:
    configure(PASWORD=SECRET)
    with pytest.raises(
        ConfigurationError, match=r"PASWORD.* unknown.*Did you mean PASSWORD.*Nothing was sent"
    ) as raised:
        send_sms("+2250700000001", "Bonjour")
    assert raised.value.error_code == "config.django"
    assert SECRET not in str(raised.value)


def test_a_value_is_refused_in_the_words_of_whoever_uses_it(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"VAVASMS_{name}", raising=False)
    for values, code in (
        ({}, "config.no_credentials"),
        ({"LEDGER": f"mysql://user:{SECRET}@host/sms"}, "config.ledger_place"),
    ):
        configure(bare=True, **values)
        with pytest.raises(ConfigurationError) as raised:
            send_sms("+2250700000001", "Bonjour")
        assert raised.value.error_code == code
        assert str(raised.value).count("Nothing was sent.") == 1
        assert SECRET not in str(raised.value)


def test_no_secret_is_shown(configure: Configure) -> None:
    configure(PASSWORD=SECRET)
    assert SECRET not in repr(read_settings()) + repr(get_sms())


def test_the_language_is_djangos(configure: Configure) -> None:
    configure(BACKEND="pigeon")
    with override("en-gb"):
        assert "names no backend" in found()["E004"]


def test_the_sandboxs_account_is_what_a_sandbox_has() -> None:
    gateway = Gateway().client_settings(SANDBOX_ACCOUNT["base_url"])
    assert gateway == {f"VAVASMS_{name.upper()}": value for name, value in SANDBOX_ACCOUNT.items()}


class OwnSandbox(SandboxBackend):
    """A backend of a project's own, which sends to the sandbox."""


@pytest.mark.parametrize("backend", ["sandbox", BACKENDS["sandbox"], f"{__name__}.OwnSandbox"])
def test_the_sandbox_by_any_name_has_the_sandboxs_account(configure: Configure, backend: str) -> None:
    configure(BACKEND=backend, USERNAME="awa@example.com", BASE_URL="https://vavasms.com/api")
    assert read_settings().is_sandbox
    assert "E006" in found()
    with pytest.raises(ConfigurationError, match="on this machine"):
        get_sms()


def test_each_short_name_has_a_backend() -> None:
    from vavasms.django.settings import find_class

    assert all(find_class(path) is not None for path in BACKENDS.values())


def test_a_database_becomes_a_connection_string() -> None:
    from psycopg.conninfo import conninfo_to_dict

    database = {
        "NAME": "shop",
        "USER": "o'hara",
        "PASSWORD": "a b+c/@%",
        "HOST": "/run/postgresql",
        "PORT": "",
        "OPTIONS": {"sslmode": "require", "pool": True, "isolation_level": 3},
    }
    assert conninfo_to_dict(write_url(database)) == {
        "dbname": "shop",
        "user": "o'hara",
        "password": "a b+c/@%",
        "host": "/run/postgresql",
        "sslmode": "require",
    }
    with pytest.raises(ConfigurationError, match="no `NAME`"):
        write_url({"NAME": "", "OPTIONS": {}})


def test_what_libpq_knows_is_carried_and_what_is_djangos_own_is_not() -> None:
    from psycopg.conninfo import conninfo_to_dict

    database = {
        "NAME": "shop",
        "HOST": "db.example",
        "PORT": 5433,
        "OPTIONS": {
            "hostaddr": "127.0.0.1",
            "host": "elsewhere",
            "gssencmode": "disable",
            "keepalives_idle": 30,
            "require_auth": "scram-sha-256",
            "load_balance_hosts": "random",
            "passfile": Path("/etc/pgpass"),
            "assume_role": "shop",
            "client_encoding": "LATIN1",
            "prepare_threshold": 5,
            "pool": {"max_size": 2},
        },
    }
    assert conninfo_to_dict(write_url(database)) == {
        "dbname": "shop",
        # Django's own word counts more.
        "host": "db.example",
        "port": "5433",
        "hostaddr": "127.0.0.1",
        "gssencmode": "disable",
        "keepalives_idle": "30",
        "require_auth": "scram-sha-256",
        "load_balance_hosts": "random",
        "passfile": "/etc/pgpass",
    }
    assert conninfo_to_dict(write_url({"NAME": "", "OPTIONS": {"service": "sms"}})) == {"service": "sms"}
    assert conninfo_to_dict(write_url({"NAME": "shop", "OPTIONS": {"dbname": "sms"}})) == {"dbname": "sms"}


def test_all_that_libpq_knows_is_known() -> None:
    from psycopg.pq import Conninfo

    # Those of an encoding of ours, of replication, and what libpq does not take any more.
    left_out = {"client_encoding", "replication", "authtype", "tty", "requiressl"}
    names = {option.keyword.decode() for option in Conninfo.get_defaults()}
    assert names - LIBPQ_OPTIONS <= left_out
    assert not left_out & LIBPQ_OPTIONS


SAME = [
    ({"HOST": "db", "NAME": "sms", "USER": "u"}, "postgresql://u@db/sms"),
    ({"HOST": "db", "NAME": "sms", "USER": "u", "PORT": 5432}, "postgresql://u@db:5432/sms"),
    ({"HOST": "", "NAME": "sms", "USER": "u"}, "postgresql://u@/sms"),
    ({"NAME": "other", "USER": "u", "OPTIONS": {"host": "db", "dbname": "sms"}}, "postgresql://u@db/sms"),
]
UNKNOWN = [
    ({"OPTIONS": {"service": "shop"}}, "postgresql://?service=sms"),
    ({"OPTIONS": {"service": "shop"}}, "postgresql://"),
    ({"NAME": "sms", "OPTIONS": {"service": "shop"}}, "postgresql:///sms"),
    ({"NAME": "sms"}, "postgresql:///sms?service=shop"),
    ({"NAME": "sms"}, "postgresql:///sms?hostaddr=10.0.0.1"),
    ({"NAME": "sms", "OPTIONS": {"hostaddr": "10.0.0.1"}}, "postgresql:///sms"),
    ({"NAME": "sms", "HOST": "one,two"}, "postgresql:///sms?host=one,two"),
    ({"NAME": ""}, "postgresql://"),
    ({"NAME": "sms"}, "postgresql://u@db:no/sms"),
    ({"NAME": "sms"}, "/var/sms.db"),
]


@pytest.mark.parametrize(
    ("database", "ledger", "is_same"),
    [(*pair, True) for pair in SAME] + [(*pair, False) for pair in UNKNOWN],
    ids=str,
)
def test_a_ledger_is_a_database_of_the_project_only_where_that_is_certain(
    database: dict[str, Any], ledger: str, is_same: bool
) -> None:
    names = {"HOST": "", "PORT": "", "USER": "", "NAME": "", "OPTIONS": {}}

    class Connection:
        vendor = "postgresql"
        settings_dict = names | database

    assert has_ledger(AppSettings({"LEDGER": ledger}), Connection(), "default") is is_same


@pytest.mark.parametrize("name", ["PGPORT", "PGSERVICE"])
def test_a_port_of_the_environments_is_none_that_is_known(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "5433")
    parts = {"HOST": "db", "PORT": "", "USER": "", "NAME": "sms", "OPTIONS": {}}
    assert find_server_of(parts) != find_server("postgresql://db:5432/sms")
    assert find_server_of(parts) == find_server("postgresql://db/sms")
