"""`optouts list`, `add`, `remove`, `import`, `export`."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from filelock import FileLock

from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.numbers import Msisdn

Run = Callable[..., subprocess.CompletedProcess[str]]
LEDGER = Path("ledger.db")
A, B = "2250700000101", "2250700000102"


@pytest.fixture(autouse=True)
def ledger(bare_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Name a ledger in the environment; it is not made."""
    monkeypatch.setenv("VAVASMS_LEDGER", str(LEDGER))


def call(inside: Run, *words: str, code: int = 0) -> str:
    finished = inside("optouts", *words)
    assert finished.returncode == code, finished.stderr
    assert "\x1b" not in finished.stdout + finished.stderr
    return finished.stdout or finished.stderr


def listed(inside: Run) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in call(inside, "list", "--json").splitlines()]
    return [(line["phone"], line["source"]) for line in lines]


def test_add_makes_the_ledger_and_says_what_was_new(inside: Run) -> None:
    assert call(inside, "add", f"+{A}", "07 00 00 01 02", f"+{A}") == "Added 2 numbers.\n"
    assert listed(inside) == [(A, "cli"), (B, "cli")]
    assert call(inside, "add", A) == "Added 0 numbers; 1 on the list already.\n"
    value = json.loads(call(inside, "add", A, "2250700000103", "--json"))
    assert value == {"added": 1, "known": 1}


def test_remove_says_what_was_not_there(inside: Run) -> None:
    call(inside, "add", A, B)
    assert call(inside, "remove", A, "2250700000109") == "Removed 1 number; 1 not on the list.\n"
    assert json.loads(call(inside, "remove", B, "--json")) == {"removed": 1, "absent": 0}
    assert call(inside, "list") == "The opt-out list is empty.\n"


@pytest.mark.parametrize("command", ["add", "remove"])
def test_one_wrong_number_changes_nothing(inside: Run, command: str) -> None:
    call(inside, "add", A)
    assert "use +2250709000001" in call(inside, command, A, B, "22509000001", code=2)
    assert "one number or more" in call(inside, command, code=2)
    assert listed(inside) == [(A, "cli")]
    call(inside, command, "22509000001", "--repair")


@pytest.mark.parametrize("words", [("list",), ("remove", A), ("export",)])
def test_a_ledger_that_is_not_there_is_not_made(inside: Run, words: tuple[str, ...]) -> None:
    assert call(inside, *words, code=2) == "There is no ledger at ledger.db yet. [ledger.missing]\n"
    assert not LEDGER.exists()


def test_the_list_works_beside_a_runner(inside: Run) -> None:
    call(inside, "add", A)
    with FileLock("ledger.db.lock"):
        call(inside, "add", B)
        assert len(listed(inside)) == 2


def test_list_shows_a_line_a_number(inside: Run) -> None:
    call(inside, "add", A, B)
    first, _, last = call(inside, "list").splitlines()
    assert first.startswith(f"+{A}  ")
    assert first.endswith("Z  by hand")
    assert last == "2 numbers."


def test_import_counts_each_number_once(inside: Run) -> None:
    call(inside, "add", B)
    Path("stop.csv").write_text(f"nom;tel\nA;{A}\nB;{A}\nC;22509000001\nD;\nE;{B}\n", encoding="utf-8")
    finished = inside("optouts", "import", "stop.csv")
    assert finished.returncode == 2
    assert finished.stdout == "5 numbers: 1 added, 1 known already, 1 duplicate, 2 refused.\n"
    first, second = finished.stderr.splitlines()
    assert first.startswith("Row 4: ")
    assert "--repair takes +2250709000001" in first
    assert second.startswith("Row 5: ")
    assert listed(inside) == [(A, "stop.csv"), (B, "cli")]
    value = json.loads(call(inside, "import", "stop.csv", "--repair", "--region", "ci", "--json", code=2))
    counts = {"numbers": 5, "added": 1, "known": 2, "duplicates": 1, "refused": 1}
    assert value == counts | {"refused_rows": [5]}


def test_import_takes_the_named_column_and_many_pages(inside: Run) -> None:
    rows = "".join(f"x,{2250700001000 + each}\n" for each in range(2500))
    Path("stop.csv").write_text(f"phone,autre\n{rows}", encoding="utf-8")
    value = json.loads(call(inside, "import", "stop.csv", "--phone-column", "autre", "--json"))
    assert value["added"] == 2500
    assert call(inside, "export").count("\n") == 2501


def test_import_explains_ten_refused_rows_and_names_them_all(inside: Run) -> None:
    Path("stop.csv").write_text("tel\n" + "hello\n" * 12 + f"{A}\nhello\n", encoding="utf-8")
    finished = inside("optouts", "import", "stop.csv")
    assert (finished.returncode, finished.stdout.endswith("13 refused.\n")) == (2, True)
    *explained, last = finished.stderr.splitlines()
    assert len(explained) == 10
    assert last == "Not read, and so not on the list: row 2-13, 15."
    assert listed(inside) == [(A, "stop.csv")]


def test_import_names_a_row_once_of_which_two_numbers_are_refused(inside: Run) -> None:
    Path("stop.csv").write_text(f"tel\n{A}\n22509000001 ::: 22509000002\n", encoding="utf-8")
    value = json.loads(call(inside, "import", "stop.csv", "--json", code=2))
    assert (value["refused"], value["refused_rows"]) == (2, [3])
    assert listed(inside) == [(A, "stop.csv")]


def test_import_reads_what_stands_around_numbers_and_above_the_header(inside: Run) -> None:
    numbers = ['="2250700000101"', "tel:+2250700000102", "2250700000103 ::: 2250700000104"]
    numbers += ["whatsapp:+2250700000105", "'2250700000106", "2250700000107 (Orange)", '"=""2250700000108"""']
    content = "sep=;\nListe STOP\n\nnom;tel\n" + "".join(f"x;{number}\n" for number in numbers)
    Path("stop.csv").write_text(content, encoding="utf-8")
    finished = inside("optouts", "import", "stop.csv")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout == "8 numbers: 8 added, 0 known already, 0 duplicates, 0 refused.\n"


def test_import_refuses_a_row_with_too_many_cells_and_writes_it_where_it_is_asked_to(inside: Run) -> None:
    Path("stop.csv").write_text(f"tel,nom\n{A},Kone, Awa\n{B},Yao\n12,x\n", encoding="utf-8")
    finished = inside("optouts", "import", "stop.csv", "--refused", "left.csv")
    assert finished.returncode == 2
    assert finished.stderr.splitlines()[0] == "Row 2: the row has more cells than the header."
    assert listed(inside) == [(B, "stop.csv")]
    assert Path("left.csv").read_text(encoding="utf-8-sig").splitlines() == [
        "line,reason,tel,nom",
        f"2,too_many_cells,{A},Kone,Awa",
        "4,too_short,12,x",
    ]


def test_a_file_that_cannot_be_read_makes_no_ledger(inside: Run) -> None:
    assert "does not exist" in call(inside, "import", "none.csv", code=2)
    assert not LEDGER.exists()


def test_import_reads_standard_input(outside: Run) -> None:
    finished = outside("optouts", "import", "-", input=f"{A}\n{B}\n")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.startswith("2 numbers: 2 added")


def test_export_is_csv_of_digits_that_import_takes(inside: Run) -> None:
    async def add() -> None:
        async with await SqliteLedger.open(LEDGER) as ledger:
            await ledger.add_opt_outs([Msisdn(A)], source="=evil\x1b[31m.csv", now=1.75e9)
            await ledger.add_opt_outs([Msisdn(B)], source="-a,b", now=1.75e9)

    anyio.run(add)
    shown = call(inside, "export")
    assert list(csv.reader(io.StringIO(shown))) == [
        ["phone", "source", "at"],
        [A, "'=evil[31m.csv", "2025-06-15T15:06:40Z"],
        [B, "'-a,b", "2025-06-15T15:06:40Z"],
    ]
    Path("export.csv").write_text(shown, encoding="utf-8")
    value = json.loads(call(inside, "import", "export.csv", "--ledger", "other.db", "--json"))
    assert (value["added"], value["refused"]) == (2, 0)
