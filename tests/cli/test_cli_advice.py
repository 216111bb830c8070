"""What a person at a terminal is told beyond the words of an error, and how amounts may be written."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from vavasms.cli.advice import _find_host
from vavasms.cli.words import read_amount, read_amounts
from vavasms.sandbox import SandboxServer

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("12,5", "12.5"),
        ("12,50", "12.50"),
        ("250 000", "250000"),
        ("250\u202f000", "250000"),
        ("1\xa0250\xa0000,5", "1250000.5"),
        ("12.5", "12.5"),
        # Either of two amounts, or none.
        ("250,000", "250,000"),
        ("25 00", "25 00"),
        ("1,5,5", "1,5,5"),
        ("-1,5", "-1,5"),
        ("dix", "dix"),
    ],
)
def test_an_amount_is_read_as_people_write_it(written: str, read: str) -> None:
    assert read_amount(written) == read
    words = [
        "campaign",
        "run",
        "--budget",
        written,
        f"--unit-price={written}",
        "--message",
        "--budget",
        "1,5",
    ]
    assert read_amounts(words) == [
        *["campaign", "run", "--budget", read, f"--unit-price={read}"],
        # A text that looks like an option.
        *["--message", "--budget", "1,5"],
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("send", "Awa"), "Awa is no number: it holds letters. Nothing was sent."),
        (("send", "070900"), "070900 is a short code, or digits are missing: give a full mobile number."),
        (("send", "12"), "12 is too short: give all its digits."),
        (("send", "+2250700000001", "???"), "??? is no number: it has no digits."),
        (
            ("send", "09 00 00 03"),
            "09 00 00 03 reads as a number of several countries: write it with +225 and",
        ),
        (("send", "2250709000007.0"), '2250709000007.0 ends in the ".0" that a spreadsheet adds: remove it.'),
        # Of several that are masked alike the one that is refused.
        (("send", "+2250709000001", "+2250709000?001"), "+2250709000?001 is no number: it holds signs"),
        (("otp", "send", "Kofi"), "Kofi is no number: it holds letters."),
        (("optouts", "add", "09000003"), "09000003 reads as a number of several countries: add --region CI,"),
        (("optouts", "remove", "12", "--ledger", "x.db"), "12 is too short"),
    ],
)
@pytest.mark.usefixtures("account")
def test_a_number_that_was_typed_is_shown_in_full_and_never_as_json(
    inside: Run, words: tuple[str, ...], said: str
) -> None:
    words = (*words, "--message", "12") if words[0] == "send" else words
    finished = inside(*words)
    assert finished.returncode == 2
    assert said in finished.stderr
    error = json.loads(inside(*words, "--json").stderr)["error"]
    assert not error.startswith(said[:5])


def test_the_gateways_host_is_named_where_it_is_not_found(
    inside: Run, account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, server: SandboxServer
) -> None:
    host = urlsplit(account["VAVASMS_BASE_URL"]).netloc
    with server.refuse():
        said = inside("balance").stderr
    assert f"could not be reached (ConnectError). The gateway is looked for at {host}: check VAVASMS" in said
    monkeypatch.setenv("VAVASMS_BASE_URL", account["VAVASMS_BASE_URL"] + "/secret-path")
    finished = inside("balance")
    assert f"(HTTP 404). The gateway is looked for at {host}: check VAVASMS_BASE_URL" in finished.stderr
    assert "secret-path" not in finished.stderr
    assert "check" not in inside("balance", "--json").stderr


def test_a_receiver_that_is_not_found_is_not_the_gateway(inside: Run, server: SandboxServer) -> None:
    with server.refuse():
        url = f"{server.origin}/inbound"
        finished = inside("inbound", "trigger", "--from", "+2250700000001", "--text", "x", "--url", url)
    assert "gateway" not in finished.stderr


@pytest.mark.parametrize("url", ["http://user:p/a@gateway.example/api", "http://[", "http://h:99999/"])
def test_no_part_of_a_url_but_its_host_is_named(url: str) -> None:
    assert _find_host(url) == "…"
    assert _find_host("https://gateway.example/secret?x") == "gateway.example"


def test_a_file_of_a_text_that_is_not_there_is_told_from_one_that_cannot_be_read(inside: Run) -> None:
    Path("folder").mkdir()
    words = ("send", "+2250700000001", "--message-file")
    assert "'nothing.txt' of --message-file does not exist. Nothing" in inside(*words, "nothing.txt").stderr
    assert "'folder' of --message-file cannot be read" in inside(*words, "folder").stderr


@pytest.mark.usefixtures("account")
def test_wrong_credentials_name_their_settings(inside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAVASMS_PASSWORD", "hunter2-secret")
    assert (
        "Check VAVASMS_USERNAME and VAVASMS_PASSWORD. "
        in inside("send", "+2250700000001", "--message", "x").stderr
    )
    monkeypatch.delenv("VAVASMS_PASSWORD")
    said = inside("balance").stderr
    assert said.startswith("VAVASMS_PASSWORD is missing: set it, ")
    assert "USERNAME" not in said


def test_the_help_says_that_a_code_is_explained(inside: Run) -> None:
    assert "vavasms explain CODE" in " ".join(inside("--help").stdout.split())


def test_the_temporary_file_of_excel_names_the_one_to_take(inside: Run) -> None:
    Path("~$clients.xlsx").write_bytes(b"\x05Awa")
    said = inside("numbers", "check", "~$clients.xlsx").stderr
    assert said.startswith("The file ~$clients.xlsx is Excel's own temporary file: take clients.xlsx.")


def test_a_list_that_may_not_be_read_says_what_to_look_at(
    inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("x.xlsx").touch()

    whole = Path.open

    def refuse(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "x.xlsx":
            raise PermissionError(path)
        return whole(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    said = inside("numbers", "check", "x.xlsx").stderr
    assert (
        "The file x.xlsx cannot be read: close it where it is open in Excel, or see whether you may" in said
    )
    french = inside("numbers", "check", "x.xlsx", "--lang", "fr").stderr
    assert french.startswith("Le fichier x.xlsx ne peut pas être lu")


@pytest.mark.usefixtures("account")
def test_what_people_read_is_in_their_language_and_json_is_not(inside: Run) -> None:
    inside("optouts", "add", "+2250700000001", "--ledger", "x.db")
    assert inside("optouts", "list", "--ledger", "x.db").stdout.splitlines()[0].endswith("  by hand")
    assert json.loads(inside("optouts", "list", "--ledger", "x.db", "--json").stdout)["source"] == "cli"
    assert inside("optouts", "export", "--ledger", "x.db").stdout.splitlines()[1].split(",")[1] == "cli"
    message = inside("send", "+2250700000404", "--message", "x", "--quiet").stdout.strip()
    assert "échec" in inside("status", message, "--lang", "fr").stdout
