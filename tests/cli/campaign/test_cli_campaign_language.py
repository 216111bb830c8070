"""What people read is in their language; what programs read and ledgers keep never changes with it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from vavasms.cli.excel import write_line
from vavasms.i18n import format_number, gettext, language_set, set_language
from vavasms.ledger.kept import say_reason

Run = Callable[..., subprocess.CompletedProcess[str]]

ROWS = "nom;tel\nAwa;+2250501000001\nYao;09000001\nZoé;+2250501000001\nEve;12\n"


@pytest.fixture(autouse=True)
def language_reset() -> Iterator[None]:
    yield
    set_language(None)


@pytest.fixture
def ledger(account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("VAVASMS_LEDGER", str(tmp_path / "ledger.db"))
    (tmp_path / "list.csv").write_text(ROWS, encoding="utf-8")
    return tmp_path / "ledger.db"


def send(inside: Run, *more: str) -> str:
    """Send a campaign; return its id."""
    finished = inside("campaign", "run", "list.csv", "--message", "Bonjour", "--yes", "--json", *more)
    found: str = json.loads(finished.stdout.splitlines()[0])["id"]
    return found


def in_french(word: str, **values: Any) -> str:
    with language_set("fr"):
        return str(gettext(word, **values))


def test_a_plan_is_the_same_object_and_has_the_same_hash_in_both_languages(inside: Run, ledger: Path) -> None:
    plans = []
    for language in ("en", "fr"):
        finished = inside(
            "--lang", language, "campaign", "plan", "list.csv", "--message", "Bonjour {nom}", "--json"
        )
        plans.append(json.loads(finished.stdout) | {"ends_at": None})
    assert plans[0] == plans[1]
    assert plans[0]["refused"] == 2


def test_refused_rows_have_their_reasons_in_words_and_their_header_as_ever(inside: Run, ledger: Path) -> None:
    reasons = {}
    for language in ("en", "fr"):
        words = ("campaign", "plan", "list.csv", "--message", "Bonjour {nom}", "--refused", "left.csv")
        assert inside("--lang", language, *words).returncode == 0
        rows = list(csv.reader(Path("left.csv").read_text("utf-8-sig").splitlines()))
        assert rows[0] == ["line", "reason", "nom", "tel"]
        reasons[language] = [row[1] for row in rows[1:]]
    assert "duplicate_with_another_text" in reasons["en"]
    assert reasons["fr"] == [in_french(reason) for reason in reasons["en"]]


def test_a_reason_is_kept_and_printed_as_json_in_english_and_said_in_french(
    inside: Run, ledger: Path
) -> None:
    name = send(inside, "--lang", "fr", "--unit-price", "25", "--balance-floor", "99999999")
    found = json.loads(inside("--lang", "fr", "campaign", "status", name, "--json").stdout)
    assert found["state"] == "paused"
    assert found["reason"].startswith("the balance of ")
    with language_set("fr"):
        said = say_reason(found["reason"])
    assert f"{said}." in inside("--lang", "fr", "campaign", "status", name).stdout


def test_an_error_is_english_as_json_and_its_code_is_the_same(inside: Run, ledger: Path) -> None:
    words = ("campaign", "plan", "none.csv", "--message", "x")
    found = json.loads(inside("--lang", "fr", *words, "--json").stderr)
    assert found["error"] == "The file none.csv does not exist. Nothing was sent."
    assert found["code"] == "list.not_found"
    name = in_french("The file {path}", path="none.csv")
    sentence = in_french("{name} does not exist. Nothing was sent.", name=name)
    assert inside("--lang", "fr", *words).stderr == f"{sentence} [list.not_found]\n"


def test_a_report_as_csv_and_as_json_is_the_same_in_both_languages(inside: Run, ledger: Path) -> None:
    name = send(inside)
    for form in ("csv", "json"):
        printed = [
            inside("--lang", language, "campaign", "report", name, "--format", form).stdout
            for language in ("en", "fr")
        ]
        assert printed[0] == printed[1]
        assert "accepted" in printed[0]
    shown = inside("--lang", "fr", "campaign", "report", name).stdout
    assert in_french("accepted") in shown


def test_excel_gets_semicolons_a_mark_and_all_digits_of_a_number(inside: Run, ledger: Path) -> None:
    name = send(inside)
    plain = inside("campaign", "report", name, "--format", "csv").stdout
    excel = inside("campaign", "report", name, "--format", "csv", "--excel").stdout
    assert excel.startswith("\ufeffrecipient;outcome;error;message_id;lot_id;sent_at;delivery;")
    rows = list(csv.reader(io.StringIO(excel.removeprefix("\ufeff")), delimiter=";"))
    (_, *plain_rows) = csv.reader(io.StringIO(plain))
    # Else Excel makes 2,25E+12 of a number, and its digits are gone.
    assert rows[1:] == [[f'="{number}"', *cells] for number, *cells in plain_rows]


@pytest.mark.parametrize(("cost", "written"), [("12.5", "12,5"), ("25", "25"), ("", ""), ("v1.5", "v1.5")])
def test_excel_gets_a_comma_in_an_amount(cost: str, written: str) -> None:
    # 12.5 would be the twelfth of May.
    (cells,) = csv.reader([write_line(f"225070000,1.5,{cost}\n")], delimiter=";")
    assert cells == ['="225070000"', "1.5", written]


def test_excel_leaves_the_zeros_of_what_the_list_says() -> None:
    (cells,) = csv.reader([write_line("225070000,00123,Awa,0,7\n", texts=3)], delimiter=";")
    assert cells == ['="225070000"', '="00123"', "Awa", "0", "7"]


@pytest.mark.parametrize("form", [(), ("--format", "json"), ("--format", "csv", "--json")])
def test_excel_is_refused_with_what_is_no_csv(inside: Run, form: tuple[str, ...]) -> None:
    finished = inside("campaign", "report", "3f9a1c07", "--excel", *form)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert "--excel is for CSV only: add --format csv." in finished.stderr
    assert "usage.options" in finished.stderr


def test_a_moment_of_an_unknown_batch_is_the_wall_clocks_in_french(
    inside: Run, ledger: Path, tmp_path: Path
) -> None:
    (tmp_path / "list.csv").write_text("tel\n+2250700000204\n", encoding="utf-8")
    name = send(inside)
    shown = inside("--lang", "fr", "campaign", "resolve", name).stdout
    sent_at = json.loads(inside("--lang", "fr", "campaign", "resolve", name, "--json").stdout)["sent_at"]
    assert sent_at.endswith("Z")
    assert sent_at not in shown
    assert sent_at in inside("campaign", "resolve", name).stdout


def test_numbers_are_grouped_as_the_language_has_it(inside: Run, ledger: Path) -> None:
    words = ("campaign", "plan", "list.csv", "--message", "x", "--unit-price", "1250.5")
    assert "1,250.5 XOF" in inside(*words).stdout
    shown = inside("--lang", "fr", *words).stdout
    assert format_number(1250.5, "fr") in shown
    assert "1,250.5" not in shown
