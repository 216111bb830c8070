"""What is on this machine: versions, the file `.env`."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Thread, Timer

import pytest

from vavasms.cli.settings import find_setting
from vavasms.doctor import local
from vavasms.doctor.local import check_dotenv, check_versions, list_versions

posix = pytest.mark.skipif(os.name != "posix", reason="files have no such modes here")


@pytest.mark.parametrize(
    ("content", "state", "words"),
    [
        (b"VAVASMS_USERNAME=me\n", "good", "is read"),
        (b"export VAVASMS_USERNAME=me\n", "good", "is read"),
        (b"\xef\xbb\xbfVAVASMS_USERNAME=me\n", "bad", "byte order mark"),
        (b"VAVASMS_PASSWORD=\xe9\n", "bad", "cannot be read (UnicodeDecodeError)"),
        (b"OTHER=1\n# VAVASMS_USERNAME=me\n", "warning", "sets nothing of vavasms"),
    ],
)
def test_a_dotenv_is_read_or_it_is_said_why_not(
    content: bytes, state: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / ".env"
    path.write_bytes(content)
    found = check_dotenv(path)
    assert (found.state, words in found.sentence) == (state, True)


def test_a_link_to_nowhere_is_not_read(tmp_path: Path) -> None:
    link = tmp_path / ".env"
    link.symlink_to(tmp_path / "nowhere")
    assert check_dotenv(link).state == "bad"
    assert check_dotenv(tmp_path / "none").state == "good"


def test_a_folder_that_nobody_may_look_into_has_no_dotenv_and_is_named() -> None:
    # No system takes such a name; of a folder that forbids it the same is said, but not to root.
    unseen = Path("n" * 300)
    found = check_dotenv(unseen)
    assert (found.state, "(OSError)" in found.sentence) == ("warning", True)
    assert find_setting("VAVASMS_LEDGER", {"VAVASMS_LEDGER": "ledger.db"}, unseen) == "ledger.db"


def test_what_is_no_file_is_passed_over_as_the_program_does(tmp_path: Path) -> None:
    # Some keep their virtual environment under this name.
    found = check_dotenv(tmp_path)
    assert (found.state, "is no file" in found.sentence) == ("warning", True)


@posix
def test_a_pipe_of_that_name_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / ".env"
    os.mkfifo(pipe)
    # Whoever opens it to read waits for a writer.
    writer = Thread(target=pipe.write_text, args=("",), daemon=True)
    Timer(2, writer.start).start()
    found = check_dotenv(pipe)
    assert (found.state, "is no file" in found.sentence) == ("warning", True)


def test_a_line_that_is_not_read_is_named_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("VAVASMS_USERNAME=me\nVAVASMS_PASSWORD='hunter2\n")
    path.chmod(0o600)
    found = check_dotenv(path)
    assert (found.state, "Line 2 of" in found.sentence) == ("warning", True)
    assert "hunter2" not in found.sentence + found.step


@posix
@pytest.mark.parametrize(
    ("place", "state"),
    [
        ("postgresql://teller:hunter2@db.example/till", "warning"),
        ("postgresql://db.example/till?password=hunter2", "warning"),
        ("postgresql://teller@db.example:5432/till", "good"),
        ("/var/lib/shop/ledger.db", "good"),
    ],
)
def test_the_password_of_a_database_is_a_secret_too(place: str, state: str, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(f"VAVASMS_LEDGER={place}\n")
    path.chmod(0o644)
    assert check_dotenv(path).state == state


@posix
def test_a_dotenv_with_a_secret_that_others_can_read_is_a_warning(tmp_path: Path) -> None:
    path, link = tmp_path / ".env", tmp_path / "link"
    path.write_text("VAVASMS_PASSWORD=hunter2\n")
    link.symlink_to(path)
    path.chmod(0o644)
    for name in (path, link):
        found = check_dotenv(name)
        assert (found.state, "hunter2" in found.sentence) == ("warning", False)
    path.chmod(0o600)
    assert {check_dotenv(name).state for name in (path, link)} == {"good"}


def test_packages_of_other_versions_are_named() -> None:
    rich = version("rich")
    found = check_versions(["rich>=999", "anyio>=1,<2", "attrs>=1", "nobody-has-this>=1", "h11==0"])
    assert found.state == "bad"
    assert f"rich {rich} (>=999)" in found.sentence
    assert "anyio" in found.sentence
    assert "h11" in found.sentence
    assert "attrs" not in found.sentence
    fit = ["rich>=14,<999.1", "tzdata>=9999; sys_platform == 'win32'", "", "rich[jupyter]>=1 ; extra == 'x'"]
    assert check_versions(fit).state == "good"


def test_from_a_folder_no_versions_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_none(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(local, "requires", find_none)
    monkeypatch.setattr(local, "version", find_none)
    assert check_versions().state == "good"
    assert list(list_versions()) == ["vavasms", "python", "platform", "SQLite", "TLS"]
