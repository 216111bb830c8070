"""Whose account: the environment, `.env`, the keyring; never an option."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import null
from keyring.credentials import SimpleCredential

from vavasms.cli.settings import find_settings
from vavasms.errors import ConfigurationError
from vavasms.sandbox import SandboxServer

Run = Callable[..., subprocess.CompletedProcess[str]]
posix = pytest.mark.skipif(os.name != "posix", reason="files have no such modes here")


class Locked(null.Keyring):
    priority = -1

    def get_credential(self, service: str, username: str | None) -> SimpleCredential:
        raise RuntimeError("the keyring is locked")


class Filled(null.Keyring):
    priority = -1

    def get_credential(self, service: str, username: str | None) -> SimpleCredential:
        assert service == "vavasms"
        return SimpleCredential(username or "sandbox@example.com", "sandbox")


@pytest.fixture
def use_keyring() -> Iterator[Callable[[KeyringBackend], None]]:
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


def write_dotenv(found: Mapping[str, str], mode: int = 0o600) -> None:
    path = Path(".env")
    path.write_text("".join(f"{name}={value}\n" for name, value in found.items()))
    path.chmod(mode)


def test_no_credentials_is_one_sentence_that_names_both_variables_and_the_sandbox(outside: Run) -> None:
    finished = outside("balance")
    assert finished.returncode == 2
    assert finished.stderr.count("\n") == 1
    for word in ("VAVASMS_USERNAME", "VAVASMS_PASSWORD", "vavasms sandbox"):
        assert word in finished.stderr


def test_a_dotenv_file_in_the_working_directory_is_read(inside: Run, server: SandboxServer) -> None:
    write_dotenv(server.settings)
    finished = inside("balance")
    assert (finished.returncode, finished.stderr) == (0, "")


@posix
def test_a_dotenv_that_others_can_read_is_warned_of_without_its_password(
    inside: Run, server: SandboxServer
) -> None:
    write_dotenv(server.settings | {"VAVASMS_PASSWORD": "sandbox"}, mode=0o644)
    finished = inside("balance")
    assert finished.returncode == 0
    assert "chmod 600 .env" in finished.stderr
    assert finished.stderr.count("\n") == 1


def test_the_environment_wins_over_dotenv(inside: Run, account: Mapping[str, str]) -> None:
    write_dotenv(dict(account) | {"VAVASMS_PASSWORD": "wrong"})
    assert inside("balance").returncode == 0


def test_a_dotenv_cannot_send_a_password_from_elsewhere_to_a_gateway_of_its_choice(
    bare_environment: dict[str, str],
) -> None:
    write_dotenv({"VAVASMS_BASE_URL": "https://elsewhere.invalid/api"})
    account = {"VAVASMS_USERNAME": "a@example.com", "VAVASMS_PASSWORD": "x"}
    with pytest.raises(ConfigurationError, match="both in one place"):
        find_settings(account)
    own = {"VAVASMS_BASE_URL": "https://vavasms.com/api"}
    assert find_settings(account | own)["VAVASMS_BASE_URL"] == own["VAVASMS_BASE_URL"]


def test_a_password_with_a_dollar_is_taken_as_it_is(bare_environment: dict[str, str]) -> None:
    write_dotenv({"VAVASMS_USERNAME": "a@example.com", "VAVASMS_PASSWORD": "'x${HOME}y'"})
    assert find_settings({})["VAVASMS_PASSWORD"] == "x${HOME}y"


def test_an_empty_variable_counts_as_missing(bare_environment: dict[str, str]) -> None:
    write_dotenv({"VAVASMS_USERNAME": "a@example.com", "VAVASMS_PASSWORD": "x"})
    assert find_settings({"VAVASMS_PASSWORD": ""})["VAVASMS_PASSWORD"] == "x"


def test_a_dotenv_that_is_no_text_is_one_sentence(inside: Run) -> None:
    Path(".env").write_bytes(b"VAVASMS_PASSWORD=\xff\xfe\n")
    finished = inside("balance")
    assert finished.returncode == 2
    assert ".env cannot be read" in finished.stderr


def test_the_keyring_gives_what_nothing_else_does(
    inside: Run,
    server: SandboxServer,
    use_keyring: Callable[[KeyringBackend], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_keyring(Filled())  # type: ignore[no-untyped-call]
    monkeypatch.setenv("VAVASMS_BASE_URL", server.url)
    assert inside("balance").returncode == 0


def test_a_keyring_that_fails_is_as_good_as_none(
    bare_environment: dict[str, str], use_keyring: Callable[[KeyringBackend], None]
) -> None:
    use_keyring(Locked())  # type: ignore[no-untyped-call]
    with pytest.raises(ConfigurationError, match="VAVASMS_PASSWORD is missing"):
        find_settings({"VAVASMS_USERNAME": "a@example.com"})


def test_a_password_is_no_option_and_is_not_repeated(inside: Run) -> None:
    finished = inside("balance", "--password=hunter2")
    assert finished.returncode == 2
    assert "hunter2" not in finished.stderr
    assert finished.stderr.count("\n") == 1
