"""`segments` and `numbers check`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

LIST = "Nom;Téléphone\nAwa;+22509000001\nKoné;0709000001\nYao;07 09 00 00 01\nMan;27 22 41 20 00\nX;\n"


@pytest.fixture
def contacts() -> str:
    Path("contacts.csv").write_bytes(LIST.encode("cp1252"))
    return "contacts.csv"


def test_segments_of_a_plain_text_are_one_line(inside: Run) -> None:
    finished = inside("segments", "Bonjour")
    assert finished.stdout == "1 segment in GSM-7: 7 septets, 153 left in the last.\n"


def test_segments_name_the_letters_that_cost_and_what_would_save(inside: Run) -> None:
    text = "prête " * 20
    out = inside("segments", text).stdout
    assert "2 segments in UCS-2" in out
    assert "latin small letter e with circumflex, at 3" in out
    assert "… and 12 more" in out
    assert "Spelt without them it takes 1 segment in GSM-7" in out


def test_segments_of_an_emoji_promise_no_saving(inside: Run) -> None:
    out = inside("segments", "\U0001f600").stdout
    assert "grinning face" in out
    assert "Spelt" not in out


def test_segments_as_json_have_stable_keys(inside: Run) -> None:
    value = json.loads(inside("segments", "-ê", "--json").stdout)
    assert value == {
        "encoding": "ucs2",
        "segments": 1,
        "units": 2,
        "units_left": 68,
        "offending": [{"index": 1, "character": "ê"}],
        "folded": "-e",
        "folded_segments": 1,
    }


def test_check_says_of_each_number_what_it_is(inside: Run, contacts: str) -> None:
    finished = inside("numbers", "check", contacts)
    assert finished.returncode == 0
    lines = finished.stdout.splitlines()
    assert lines[0] == "The numbers are in the column 'Téléphone'."
    assert "2  refused    +22509000001 is of the old numbering plan" in lines[1]
    assert "(+2250709000001)" in lines[1]
    assert lines[2].endswith("3  kept       +2250709000001")
    assert lines[3].endswith("4  duplicate  +2250709000001")
    assert "27 22 41 20 00 is a landline" in lines[4]
    assert "no phone number here" in lines[5]
    assert lines[6] == "5 numbers: 1 kept, 0 repaired, 1 duplicate, 3 refused."


def test_repair_takes_the_new_number(inside: Run, contacts: str) -> None:
    out = inside("numbers", "check", contacts, "--repair").stdout
    assert "2  repaired   +2250709000001 was +22509000001" in out
    assert "0 kept, 1 repaired, 2 duplicates, 2 refused" in out


def test_json_is_a_line_a_number_with_digits_and_nothing_else(inside: Run, contacts: str) -> None:
    lines = [json.loads(line) for line in inside("numbers", "check", contacts, "--json").stdout.splitlines()]
    assert lines[0] == {
        "row": 2,
        "text": "+22509000001",
        "fate": "refused",
        "recipient": None,
        "reason": "old_plan",
        "suggestion": "2250709000001",
    }
    assert [line["fate"] for line in lines] == ["refused", "kept", "duplicate", "refused", "refused"]


def test_a_region_makes_eight_digits_readable(inside: Run) -> None:
    Path("old.txt").write_text("09000001\n")
    assert "several countries" in inside("numbers", "check", "old.txt").stdout
    assert "+2250709000001" in inside("numbers", "check", "old.txt", "--region", "ci", "--repair").stdout


@pytest.mark.parametrize("dash", [(), ("-",)])
def test_standard_input_is_read_without_a_file(outside: Run, dash: tuple[str, ...]) -> None:
    finished = outside("numbers", "check", *dash, input="0700000001\n0500000002\n")
    assert finished.returncode == 0
    assert "2 numbers: 2 kept" in finished.stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"tel\n\0\0\n", "binary"),
        (b"PK\x03\x04rest", "save it as CSV"),
        (b"nom;ville\nAwa;Man\n", "its columns are nom, ville"),
        (b"nom;tel\n", "a header and no rows"),
    ],
)
def test_a_bad_file_is_one_line_and_exit_2(inside: Run, content: bytes | None, said: str) -> None:
    if content is not None:
        Path("list.csv").write_bytes(content)
    finished = inside("numbers", "check", "list.csv")
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr.count("\n") == 1
    assert said in finished.stderr
    assert "list.csv" in finished.stderr
    assert "Nothing was sent." in finished.stderr


def test_a_sheet_is_asked_for_where_there_are_sheets(inside: Run, contacts: str) -> None:
    finished = inside("numbers", "check", contacts, "--sheet", "Clients")
    assert (finished.returncode, finished.stdout) == (2, "")
    assert "is no spreadsheet and has no sheets" in finished.stderr


@pytest.mark.parametrize("option", [("--region", "XX"), ("--phone-column", "Adresse")])
def test_a_wrong_region_or_column_is_exit_2(inside: Run, contacts: str, option: tuple[str, str]) -> None:
    finished = inside("numbers", "check", contacts, *option)
    assert finished.returncode == 2
    assert option[1] in finished.stderr
    assert finished.stderr.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="a shell's redirections")
@pytest.mark.parametrize(
    ("redirection", "said"),
    [("<&-", "no standard input"), ("< /dev/null", "is empty")],
)
def test_a_standard_input_of_no_use_is_one_line_and_exit_2(
    bare_environment: dict[str, str], redirection: str, said: str
) -> None:
    line = f"'{sys.executable}' -m vavasms numbers check {redirection}"
    finished = subprocess.run(
        ["sh", "-c", line], check=False, capture_output=True, text=True, timeout=30, env=bare_environment
    )
    assert (finished.returncode, finished.stderr.count("\n")) == (2, 1)
    assert said in finished.stderr


def test_a_cell_cannot_steer_the_terminal(inside: Run) -> None:
    Path("list.csv").write_text("tel\n\x1b]0;owned\x07 07\n")
    assert not set(inside("numbers", "check", "list.csv").stdout) & set("\x1b\x07")
