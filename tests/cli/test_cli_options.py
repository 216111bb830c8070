"""An option that one command has, its sister has too; and no advice names one that is not there."""

from __future__ import annotations

import inspect
import io
import json
import re
import subprocess
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from zipfile import ZipFile

import pytest

import vavasms.campaigns.planning.contacts
from tests.campaigns.planning.contacts.test_contact_sheets import LIST, Sheet, build_xlsx
from vavasms.cli.app import COMMANDS, app
from vavasms.cli.commands.campaign import plan_view

Run = Callable[..., subprocess.CompletedProcess[str]]

#: How a list is read.
READING = {"--phone-column", "--sheet", "--encoding", "--region", "--repair"}
#: Commands that lack an option of their sisters, each with its reason.
EXCEPTIONS = {
    ("guide", "--json"): "it prints Markdown",
    ("optouts export", "--json"): "it prints CSV; `optouts list --json` prints the same",
    ("campaign run", "--refused"): "`campaign plan` writes the file, before anything is sent",
}


def options_of(name: str) -> set[str]:
    command = app
    for word in name.split():
        command = command[word]
    arguments = command.assemble_argument_collection()
    return {option for argument in arguments for option in argument.names}


OPTIONS = {command.name: options_of(command.name) for command in COMMANDS}
LISTS = {name for name, options in OPTIONS.items() if options & {"CONTACTS", "FILE"}}


def lacking(names: set[str], wanted: set[str]) -> set[tuple[str, str]]:
    return {(name, option) for name in names for option in wanted - OPTIONS[name]} - EXCEPTIONS.keys()


def test_every_command_that_takes_a_list_reads_it_by_the_same_options() -> None:
    assert {"numbers check", "campaign plan", "campaign run", "optouts import"} == LISTS
    assert not lacking(LISTS, READING | {"--refused"})


#: The first words of what has to do with the ledger.
LEDGERS = {"campaign", "optouts", "ledger", "worker", "send", "sends"}


def test_every_command_that_has_to_do_with_the_ledger_may_be_told_which() -> None:
    names = {name for name in OPTIONS if name.split()[0] in LEDGERS}
    assert not lacking(names | {"inbound listen"}, {"--ledger"})


def test_every_command_prints_json() -> None:
    # The guide prints no data: it is Markdown where it is piped.
    assert not lacking(set(OPTIONS) - {"guide"}, {"--json"})


def test_region_and_repair_come_together() -> None:
    names = {name for name, options in OPTIONS.items() if options & {"--region", "--repair"}}
    assert not lacking(names, {"--region", "--repair"})


def asks(path: str) -> bool:
    """Return whether a command asks for a go, itself or in what it calls of its own module."""
    home, _, name = path.partition(":")
    sources = {
        key: inspect.getsource(value)
        for key, value in vars(import_module(home)).items()
        if (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__ == home
    }
    called = {name, *(key for key in sources if re.search(rf"(?<![.\w]){key}\b", sources[name]))}
    return any(re.search(r"\bconfirm\(", sources[key]) for key in called)


def test_every_command_that_asks_can_be_told_not_to() -> None:
    asking = {command.name for command in COMMANDS if asks(command.path)}
    campaigns = {f"campaign {name}" for name in ("run", "retry", "cancel", "purge", "recover", "resolve")}
    assert asking == campaigns | {"sends purge", "sends resolve"}
    assert not lacking(asking, {"--yes"})


def test_every_exception_is_one() -> None:
    for name, option in EXCEPTIONS:
        assert option not in OPTIONS[name]
    assert {name for name, options in OPTIONS.items() if "--phone-column" in options} == LISTS


def test_no_advice_about_a_list_names_an_option_that_a_command_lacks() -> None:
    folder = Path(vavasms.campaigns.planning.contacts.__file__).parent
    sources = [*folder.glob("*.py"), Path(plan_view.__file__)]
    advice = {option for path in sources for option in re.findall(r"--[a-z][a-z-]+", path.read_text("utf-8"))}
    assert advice >= {"--phone-column", "--repair", "--region", "--encoding"}
    for name in ("campaign plan", "campaign run"):
        assert advice <= OPTIONS[name]
    shared = {"--phone-column"}
    for name in LISTS:
        assert shared <= OPTIONS[name]


@pytest.fixture
def book(bare_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """A spreadsheet of two sheets, and a ledger of its own."""
    monkeypatch.setenv("VAVASMS_LEDGER", "ledger.db")
    second: Sheet = {1: {"A": "tel", "B": "nom"}, 2: {"A": "0500000102", "B": "Yao"}}
    Path("book.xlsx").write_bytes(build_xlsx({"Clients": LIST, "Autres": second}))
    return "book.xlsx"


def test_a_plan_names_the_sheet_it_read_and_its_command_repeats_it(inside: Run, book: str) -> None:
    first = inside("campaign", "plan", book, "--message", "Bonjour").stdout
    assert "A list of 1 row of the sheet “Clients”, the numbers under “Téléphone”" in first
    other = inside("campaign", "plan", book, "--message", "Bonjour {nom}", "--sheet", "Autres").stdout
    assert "of the sheet “Autres”" in other
    assert "“Bonjour Yao”" in other
    assert "--sheet Autres" in other
    assert (
        json.loads(inside("campaign", "plan", book, "--message", "x", "--json").stdout)["sheet"] == "Clients"
    )


@pytest.mark.parametrize(
    "words", [("numbers", "check"), ("campaign", "plan"), ("optouts", "import"), ("campaign", "run")]
)
def test_every_command_reads_the_named_sheet_and_refuses_an_encoding_of_one(
    inside: Run, book: str, account: dict[str, str], words: tuple[str, ...]
) -> None:
    more: tuple[str, ...] = ("--message", "Bonjour") if words[0] == "campaign" else ()
    more += ("--yes",) if words[1] == "run" else ()
    finished = inside(*words, book, *more, "--sheet", "None")
    assert (finished.returncode, finished.stdout) == (2, "")
    assert "has no sheet 'None': its sheets are Clients, Autres" in finished.stderr
    finished = inside(*words, book, *more, "--encoding", "cp1252")
    assert "is a spreadsheet, whose encoding is known" in finished.stderr
    assert inside(*words, book, *more, "--sheet", "Autres").returncode == 0


@pytest.mark.parametrize("encoding", ["mac_roman", "cp850"])
def test_a_named_encoding_is_sent_as_it_was_meant(inside: Run, book: str, encoding: str) -> None:
    Path("list.csv").write_bytes("tel;prénom\n0700000101;André\n".encode(encoding))
    found = inside("campaign", "plan", "list.csv", "--message", "{prénom}", "--encoding", encoding)
    assert "“André”" in found.stdout
    assert f"--encoding {encoding}" in found.stdout
    finished = inside("numbers", "check", "list.csv", "--encoding", "klingon")
    assert finished.returncode == 2
    assert finished.stderr.startswith("The encoding 'klingon' is unknown")


def test_a_plan_warns_of_what_may_not_be_meant(inside: Run, book: str) -> None:
    rows = [
        b"0700000101;Th\xc3\xa9o;NULL;",
        b"0700000102;Andr\xe9;#N/A;",
        b"0700000102;Ren\xc3\x83\xc2\xa9;Man;",
    ]
    rows += [b"0700000103;Zo\xc3\x83\xc2\xab;Man;", b"0700000104;x;y;;z"]
    Path("list.csv").write_bytes(b"tel;prenom;ville;quartier\n" + b"\n".join(rows))
    text = "{prenom} {ville|ici} {quartier|} {{prenom}}"
    finished = inside("campaign", "plan", "list.csv", "--message", text)
    out = " ".join(finished.stdout.split())
    assert all(len(line) <= 80 for line in finished.stdout.splitlines())
    for said in (
        "utf-8, but for 1 record: row 3: 0700000102 André #N/A",
        "1 another text row 4: RenÃ© Man {prenom}",
        "1 text with letters that look wrongly decoded: row 5: ZoÃ« Man {prenom}; --encoding names the file's",
        "2 cells that say NULL, #N/A or the like, and count as empty",
        "Never filled {quartier}",
        "{{prenom}} is sent as {prenom}: write {prenom} for what the column holds",
        "1 too many cells row 6: 0700000104",
    ):
        assert said in out
    message = inside("campaign", "plan", "list.csv", "--message", "ThÃ©o")
    assert "3 texts with letters that look wrongly decoded: the message" in " ".join(message.stdout.split())


def test_rows_that_are_left_out_can_be_mended_and_loaded_again(inside: Run, book: str) -> None:
    rows = "0700000101,Awa\n0700000101,Aya\n12,=1+1\n0700000102 / 0700000101,-Yao\n0700000103,a,b\n"
    Path("list.csv").write_text("tel,nom\n" + rows, encoding="utf-8")
    finished = inside("campaign", "plan", "list.csv", "--message", "{nom}", "--refused", "left.csv")
    assert finished.returncode == 0
    assert "--refused" not in finished.stdout
    left = Path("left.csv").read_text(encoding="utf-8-sig")
    assert left.splitlines() == [
        "line,reason,tel,nom",
        "3,duplicate_with_another_text,0700000101,Aya",
        "4,too_short,12,'=1+1",
        "5,duplicate_with_another_text,0700000101,'-Yao",
        "6,too_many_cells,0700000103,a,b",
    ]
    assert Path("left.csv").stat().st_mode & 0o077 == 0
    Path("left.csv").write_text(left.replace(",12,", ",0700000112,"), encoding="utf-8-sig")
    again = inside("numbers", "check", "left.csv", "--refused", "again.csv")
    assert again.stdout.endswith("4 numbers: 2 kept, 0 repaired, 1 duplicate, 1 refused.\n")
    assert Path("again.csv").read_text(encoding="utf-8-sig").splitlines() == [
        "line,reason,tel,nom",
        "4,duplicate,0700000101,'-Yao",
        "5,too_many_cells,0700000103,a,b",
    ]


def test_a_plain_list_is_left_out_under_a_name_that_is_found_again(inside: Run, book: str) -> None:
    Path("list.txt").write_text("0700000101\n+225 27 22 41 20 00\n0700000101\n", encoding="utf-8")
    assert inside("numbers", "check", "list.txt", "--refused", "left.csv").returncode == 0
    assert Path("left.csv").read_text(encoding="utf-8-sig").splitlines() == [
        "line,reason,phone",
        "2,landline,+225 27 22 41 20 00",
        "3,duplicate,0700000101",
    ]


def test_a_list_of_which_nobody_is_left_is_written_all_the_same(inside: Run, book: str) -> None:
    Path("list.csv").write_text("tel\n12\n", encoding="utf-8")
    finished = inside("campaign", "plan", "list.csv", "--message", "x", "--refused", "left.csv")
    assert finished.returncode == 2
    assert "2,too_short,12" in Path("left.csv").read_text(encoding="utf-8-sig")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("list.csv", "is the list itself"),
        ("none/left.csv", "cannot be written"),
        ("a\0b", "cannot be written"),
    ],
)
def test_a_file_that_cannot_be_written_is_one_line_and_changes_nothing(
    inside: Run, book: str, path: str, said: str
) -> None:
    Path("list.csv").write_text("tel\n12\n", encoding="utf-8")
    finished = inside("numbers", "check", "list.csv", "--refused", path)
    assert (finished.returncode, finished.stdout, finished.stderr.count("\n")) == (2, "", 1)
    assert said in finished.stderr
    assert Path("list.csv").read_text(encoding="utf-8") == "tel\n12\n"


def test_a_cell_that_is_an_error_in_a_spreadsheet_is_empty(inside: Run, book: str) -> None:
    sheet: Sheet = {1: {"A": "tel", "B": "nom"}, 2: {"A": "0700000101", "B": "Awa"}}
    cell = b'<c r="B2" t="inlineStr"><is><t>Awa</t></is></c>'
    with ZipFile(io.BytesIO(build_xlsx({"S": sheet}))) as source, ZipFile("error.xlsx", "w") as target:
        for name in source.namelist():
            content = source.read(name).replace(cell, b'<c r="B2" t="e"><v>#REF!</v></c>')
            target.writestr(name, content)
    found = json.loads(
        inside("campaign", "plan", "error.xlsx", "--message", "Bonjour {nom|client}", "--json").stdout
    )
    assert found["first_text"] == "Bonjour client"
