"""A file or a connection string, and whether that holds a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from vavasms.cli.secrets import holds_password
from vavasms.config import Secret
from vavasms.errors import ConfigurationError
from vavasms.storage.location import read_place


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me:pw@host/name",
        "postgresql://me:p/w?x#y@host/name",
        "postgresql://me:p@w@host",
        "postgresql:///name?password=pw",
        "postgresql://host/name?sslmode=require&pass%77ord=pw",
        "postgresql://host/name?sslpassword=pw",
        "PostgreSQL+psycopg://me:pw@host/name",
        "host=db user=me password = pw",
    ],
)
def test_a_password_is_found_wherever_it_stands(text: str) -> None:
    assert holds_password(text)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://host/name",
        "postgresql://me@host:5432/name?sslmode=verify-full",
        "postgresql://[::1]:5432,other:5433/name",
        "postgresql:///name?host=/run/postgresql&passfile=/etc/pgpass",
        "postgresql://me:@/name?password=",
        "postgresql://",
    ],
)
def test_a_connection_string_without_a_password_may_be_an_option(text: str) -> None:
    assert not holds_password(text)
    place = read_place(text)
    assert isinstance(place, Secret)
    assert place.reveal() == text


@pytest.mark.parametrize("text", ["ledger.db", "/data/2026=07/a b.db", "C:\\sms\\ledger.db", "hosted.db"])
def test_anything_else_is_a_file(text: str) -> None:
    assert (read_place(text), holds_password(text)) == (Path(text), False)


@pytest.mark.parametrize(
    "text",
    ["mysql://me:pw@host/name", "postgresql:me:pw@host", "Postgres://me:pw@host", "host=h password=pw"],
)
def test_what_is_meant_as_a_connection_string_never_becomes_a_file(text: str) -> None:
    with pytest.raises(ConfigurationError, match="postgresql://user@host/name") as caught:
        read_place(text)
    assert "pw" not in str(caught.value)


def test_a_tilde_is_the_home_as_in_a_shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Taken for a folder of that name, it would be another ledger in each folder, and a key would send again.
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert read_place("~/sms.db") == tmp_path / "sms.db"
    assert read_place("~nobody-of-this-name/sms.db") == Path("~nobody-of-this-name/sms.db")
    assert read_place("lists/~sms.db") == Path("lists/~sms.db")
