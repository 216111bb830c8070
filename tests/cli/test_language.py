"""English and French: which is spoken, that French is French, and that programs read the same in both."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import reduce
from operator import getitem
from pathlib import Path

import anyio
import pytest
from cyclopts import CycloptsError
from cyclopts.help import HelpEntry, HelpPanel, InlineText
from rich.console import Console
from rich.text import Text

from tests.words_english import WORDS, english_words
from vavasms.cli import _interrupted, output, prompts
from vavasms.cli.app import COMMANDS, app
from vavasms.cli.help import show_panel
from vavasms.cli.language import find_language, take_language
from vavasms.cli.usage_errors import explain
from vavasms.cli.words import TEXTS, wants_json
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.i18n import language_set
from vavasms.ledger.models import BatchRecord
from vavasms.ledger.sends import NewSend, SendClaim
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.states import BatchEvent
from vavasms.numbers import Msisdn
from vavasms.sandbox import SandboxServer

Run = Callable[..., subprocess.CompletedProcess[str]]
TO = "+2250700000001"
#: From the one that is asked last to the one that is asked first.
NAMES = ("LANG", "LC_MESSAGES", "LC_ALL", "VAVASMS_LANG")


@pytest.mark.parametrize("position", range(len(NAMES)))
@pytest.mark.parametrize(("wanted", "other"), [("fr", "en_US.UTF-8"), ("en", "fr_FR.UTF-8")])
def test_of_the_environment_our_own_setting_comes_first_then_the_locale(
    position: int, wanted: str, other: str
) -> None:
    environment = dict.fromkeys(NAMES[:position], other) | {NAMES[position]: wanted}
    assert find_language(environment) == wanted
    assert find_language(environment | dict.fromkeys(NAMES[position + 1 :], "")) == wanted


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("fr_CI.UTF-8", "fr"),
        ("FR", "fr"),
        ("fr-CI", "fr"),
        ("fr.ISO8859-1", "fr"),
        ("C", "en"),
        ("C.UTF-8", "en"),
        ("POSIX", "en"),
        ("de_DE.UTF-8", "en"),
        ("frr", "en"),
        ("", "en"),
    ],
)
def test_a_language_that_we_do_not_speak_is_english_without_a_word(locale: str, language: str) -> None:
    assert find_language({"LANG": locale}) == language


def test_a_setting_that_we_do_not_speak_is_english_whatever_the_locale() -> None:
    assert find_language({"VAVASMS_LANG": "de", "LANG": "fr_FR.UTF-8"}) == "en"


@pytest.mark.parametrize(
    "words",
    [
        ("--lang", "fr", "optouts", "list"),
        ("optouts", "--lang", "fr", "list"),
        ("optouts", "list", "--lang", "fr"),
        ("optouts", "list", "--lang=fr_CI.UTF-8"),
        ("--lang", "en", "optouts", "list", "--lang", "fr"),
    ],
)
def test_the_option_may_stand_anywhere_and_beats_the_environment(inside: Run, words: tuple[str, ...]) -> None:
    finished = inside(*words, "--ledger", "none.db")
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr == "Il n'y a pas encore de registre à none.db. [ledger.missing]\n"


def test_the_locale_decides_where_nothing_else_does(outside: Run, bare_environment: dict[str, str]) -> None:
    environment = {name: value for name, value in bare_environment.items() if name not in NAMES}
    finished = outside("optouts", "list", "--ledger", "none.db", env=environment | {"LANG": "fr_FR.UTF-8"})
    assert finished.stderr.startswith("Il n'y a pas encore de registre")


def test_what_stands_after_two_hyphens_is_no_option_of_ours() -> None:
    words = ["send", "--", "--lang", "fr"]
    assert take_language(words) == (None, words)


def test_a_text_that_looks_like_an_option_is_sent_as_it_is(
    inside: Run, account: Mapping[str, str], server: SandboxServer
) -> None:
    for text in ("--lang=fr", "--lang", "--json"):
        kept = "--ledger", "a.db", "--idempotency-key", f"--lang={text}"
        finished = inside("send", TO, "--message", text, *kept, "--json")
        assert finished.returncode == 0, finished.stderr
        assert json.loads(finished.stdout)["recipients"]
        assert server.gateway.journal.entries[-1].message == text
        again = inside("send", TO, "--message", "other", *kept)
        assert again.stderr.startswith("--idempotency-key was used first"), again.stderr


@pytest.mark.parametrize(
    ("words", "wants"),
    [
        (("--json",), True),
        (("--json=true",), True),
        (("--json=No",), False),
        (("--json", "--no-json"), False),
        (("--message", "--json"), False),
        (("--", "--json"), False),
        (("--yes", "--json"), True),
        (("--unknown", "--json"), True),
    ],
)
def test_an_error_is_json_where_the_command_would_print_it(words: tuple[str, ...], wants: bool) -> None:
    assert wants_json(words) is wants


def test_the_options_that_take_any_text_are_those_of_the_commands() -> None:
    texts = {
        name
        for command in COMMANDS
        for argument in reduce(getitem, command.name.split(), app).assemble_argument_collection()
        if argument.parameter.allow_leading_hyphen
        for name in argument.names
        if name.startswith("-")
    }
    assert texts == TEXTS


@pytest.mark.parametrize("words", [("--lang",), ("--lang=",), ("--lang", "de"), ("--lang", "--json")])
def test_a_language_that_is_missing_or_unknown_is_refused_in_the_language_of_the_environment(
    inside: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    english = inside("balance", *words)
    monkeypatch.setenv("VAVASMS_LANG", "fr")
    french = inside("balance", *words)
    assert (english.returncode, french.returncode) == (2, 2)
    if "--json" in words:
        assert english.stderr == french.stderr
        assert '"code": "usage.language"' in english.stderr
    else:
        assert english.stderr == "--lang is one of en, fr. Nothing was sent. [usage.language]\n"
        assert french.stderr == "--lang est une langue parmi en, fr. Rien n'a été envoyé. [usage.language]\n"


#: Prints the help of all there is, in one process: the language is chosen before a help is read.
TREE = """
import sys
from vavasms.cli import run
for name in sys.argv[1:]:
    run([*name.split(), "--help"])
"""


def test_the_whole_help_in_french_holds_no_english_word(bare_environment: dict[str, str]) -> None:
    names = ["", *{command.name.split()[0] for command in COMMANDS}, *(each.name for each in COMMANDS)]
    finished = subprocess.run(
        [sys.executable, "-c", TREE, *names],
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        env=bare_environment | {"VAVASMS_LANG": "fr"},
    )
    assert finished.stderr == ""
    pages = finished.stdout.split("Usage\xa0: ")[1:]
    assert len(pages) == len(names)
    found = {page.partition("\n")[0]: words for page in pages if (words := english_words(page))}
    assert found == {}
    for line in finished.stdout.splitlines():
        assert len(line) <= 80
        # French sets them apart, and never at the beginning of a line.
        assert not line.strip("│ ").startswith((";", ":", "?", "!"))


@pytest.mark.parametrize(
    ("language", "row"),
    [
        ("en", "--x TEXT  Was. [choices: a, b] [env var: A_B] [default: 1] [required]"),
        ("fr", "--x TEXTE  Was. [choix\xa0: a, b] [variable\xa0: A_B] [par défaut\xa0: 1] [obligatoire]"),
    ],
)
def test_the_brackets_of_an_option_are_said_in_both(language: str, row: str) -> None:
    entry = HelpEntry(
        positive_names=("--x",),
        metavar="TEXT",
        description=InlineText(Text("Was.")),
        choices=("a", "b"),
        env_var=("A_B",),
        default="1",
        required=True,
    )
    console = Console(file=io.StringIO(), width=120)
    with language_set(language):
        show_panel(console, console.options, HelpPanel(format="parameter", title="T", entries=[entry]))
    assert isinstance(console.file, io.StringIO)
    assert row in console.file.getvalue()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Nothing was sent.", ["nothing", "was", "sent"]),
        ("Rien n'a été envoyé à la file ; on ou an, but de second.", []),
        ("Voyez `vavasms sends list` dans send.csv, ou vavasms otp send : --list, VAVASMS_THE_LIST", []),
        ("│ send     Envoyer the list     │", ["the", "list"]),
        ("│ --list TEXTE  Montrer [choix : text, list] https://the.list/of [not.sent]   │", []),
    ],
)
def test_the_matcher_of_english_words_knows_names_from_words(text: str, words: list[str]) -> None:
    assert english_words(text) == words
    assert {"the", "of", "and", "is", "not"} <= WORDS


#: Words of a command that are wrong, one for each kind of mistake.
MISTAKES = [
    ("blance",),
    ("xyzzy",),
    ("otp", "vrify"),
    ("otp", "xyzzy"),
    ("segments", "deux", "mots"),
    ("sends", "purge", "--older-than", "x"),
    ("sends", "list", "--limit", "x"),
    ("sends", "list", "--limit", "0"),
    ("sends", "list", "--state", "x"),
    ("sends", "list", "--json=x"),
    ("sends", "list", "--limit", "5", "--limit", "6"),
    ("sends", "list", "--since"),
    ("sends", "list", "--bogus"),
    ("sends", "show"),
    ("sends", "show", "x", "--ledger", "none.db"),
    ("sends", "show", "x", "--ledger", "postgresql://a:b@c/d"),
    ("sends", "resolve", "x", "--mark-sent", "--resend"),
    ("campaign", "plan", "x", "--unit-price", "x"),
    ("campaign", "run", "x", "--rate", "x"),
    ("status",),
    ("balance",),
    ("send", TO),
    ("send", TO, "--message", "a", "--message-file", "b"),
    ("send", TO, "--message-file", "none.txt"),
    ("send", TO, "--message-file", "latin.txt"),
    ("optouts", "add"),
    ("optouts", "list"),
    ("otp", "send", TO, "--valid-for", "99999999999999999"),
    ("numbers", "check", "list.csv", "--refused", "list.csv"),
    ("numbers", "check", "list.csv", "--refused", "none/x"),
    ("numbers", "check", "list.csv", "--excel"),
    ("worker", "--concurrency", "0"),
]


@pytest.fixture
def files(bare_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a list and a text that cannot be read; name a ledger, which is not made."""
    monkeypatch.setenv("VAVASMS_LEDGER", "none.db")
    Path("list.csv").write_text("tel;nom\n0700000001;A\n0700000001;B\n0700000002;C;D\n", encoding="utf-8")
    Path("latin.txt").write_bytes("Théo".encode("latin-1"))


def test_a_mistake_of_a_kind_that_we_do_not_know_is_told_all_the_same() -> None:
    error = CycloptsError(msg="a password", command_chain=["sends", "list"])
    command = "`vavasms sends list`"
    assert explain(error) == (
        f"The words of {command} cannot be read: see `vavasms sends list --help`. Nothing was sent"
    )
    with language_set("fr"):
        assert explain(error).startswith(f"Les mots de {command} ne peuvent pas être lus")


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_a_mistake_is_told_in_french_and_to_programs_in_english(inside: Run, words: tuple[str, ...]) -> None:
    english, french = inside(*words), inside(*words, "--lang", "fr")
    assert (french.returncode, french.stdout) == (english.returncode, "")
    assert french.stderr != english.stderr
    assert english_words(french.stderr) == []
    # The same mistake has the same name in both.
    assert french.stderr.split()[-1] == english.stderr.split()[-1]
    if "--json=x" not in words and words[-1] != "--since":
        both = inside(*words, "--json"), inside(*words, "--json", "--lang", "fr")
        assert both[0].stderr == both[1].stderr
        assert both[0].stderr.startswith('{"error": ')


async def keep(path: str) -> None:
    """Write three sends: one is accepted, one unknown, one was decided on by hand."""
    async with await SqliteLedger.open(path) as ledger:
        for key in ("a", "b", "c"):
            to = (Msisdn("2250700000101"), Msisdn("2250700000102"))
            new = NewSend(account="a b", key=key, recipients=to, sender_id="ACME", segments=1, text="Salut")
            claim = await ledger.sends.begin(new, token="t", now=1.75e9)
            assert isinstance(claim, SendClaim)
            event = BatchEvent.ACCEPT if key == "a" else BatchEvent.MARK_UNKNOWN
            record = BatchRecord(lot_id="L", message_ids=("M1", "M2"))
            await ledger.sends.settle(claim, event, record, now=1.75e9)
        note = "Taken for not sent by hand."
        await ledger.sends.resolve("a b", "c", sent=False, again=False, note=note, now=1.75e9)
        await ledger.add_opt_outs([Msisdn("2250700000101")], source="cli", now=1.75e9)


#: Commands that change nothing, so that they print the same when they are run again.
READING = [
    ("balance",),
    ("segments", "Prêt à l'envoi…" * 99),
    ("numbers", "check", "list.csv"),
    ("optouts", "list", "--ledger", "kept.db"),
    ("optouts", "import", "list.csv", "--ledger", "kept.db"),
    ("sends", "list", "--ledger", "kept.db"),
    ("sends", "show", "a", "--ledger", "kept.db"),
    ("sends", "show", "b", "--ledger", "kept.db"),
    ("sends", "show", "c", "--ledger", "kept.db"),
    ("sends", "purge", "--older-than", "9000d", "--yes", "--ledger", "kept.db"),
    ("ledger", "migrate", "--ledger", "kept.db"),
    ("otp", "verify", "+2250700000913", "0000"),
    ("otp", "verify", TO, "abc"),
]


@pytest.mark.usefixtures("files", "account")
@pytest.mark.parametrize("words", READING, ids=lambda words: " ".join(words)[:40])
def test_programs_read_the_same_bytes_in_both_languages(inside: Run, words: tuple[str, ...]) -> None:
    anyio.run(keep, "kept.db")
    inside(*words, "--json")
    english, french = inside(*words, "--json"), inside(*words, "--json", "--lang", "fr")
    assert (english.returncode, english.stdout) == (french.returncode, french.stdout)
    assert english.stderr == french.stderr
    assert english.stdout


@pytest.mark.usefixtures("files", "account")
@pytest.mark.parametrize("words", READING, ids=lambda words: " ".join(words)[:40])
def test_people_read_french(inside: Run, words: tuple[str, ...]) -> None:
    anyio.run(keep, "kept.db")
    finished = inside(*words, "--lang", "fr")
    assert english_words(finished.stdout.replace("cli", "")) == []
    # What a list or a gateway says is theirs.
    assert english_words(finished.stderr) == []


@pytest.mark.usefixtures("account")
def test_numbers_and_moments_are_written_as_people_write_them(inside: Run) -> None:
    anyio.run(keep, "kept.db")
    assert inside("balance").stdout == "1,000,000 XOF\n"
    assert inside("balance", "--lang", "fr").stdout == "1\xa0000\xa0000 XOF\n"
    text = "a" * 1600
    assert "1,600 septets, 83 left" in inside("segments", text).stdout
    assert "1\xa0600 septets, il en reste 83" in inside("segments", text, "--lang", "fr").stdout
    assert "2025-06-15T15:06:40Z" in inside("sends", "show", "a", "--ledger", "kept.db").stdout
    french = inside("sends", "show", "a", "--lang", "fr", "--ledger", "kept.db").stdout
    assert "15/06/2025 15:06" in french
    assert "L'envoi a est accepté." in french
    french = inside("sends", "show", "c", "--lang", "fr", "--ledger", "kept.db").stdout
    assert "Tenu, à la main, pour non envoyé." in french


class Terminal(io.StringIO):
    """A person who types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("typed", ["yes", "oui", " OUI ", "Yes"])
def test_yes_may_be_said_in_both_languages_in_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], language: str, typed: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(f"{typed}\n"))
    with language_set(language):
        prompts.confirm("?", word="yes", yes=False)
    shown = {"en": "?\nType yes to go on: ", "fr": "?\nTapez oui pour continuer\xa0: "}
    assert capsys.readouterr().err == shown[language]


@pytest.mark.parametrize(("word", "typed"), [("yes", "y"), ("yes", ""), ("3f9a", "oui"), ("3f9a", "3F9A")])
def test_any_other_word_is_a_no(monkeypatch: pytest.MonkeyPatch, word: str, typed: str) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(f"{typed}\n"))
    with pytest.raises(InvalidInputError, match="Not confirmed"):
        prompts.confirm("?", word=word, yes=False)


def test_a_word_of_its_own_is_typed_as_it_stands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("recover\n"))
    with language_set("fr"):
        prompts.confirm("?", word="recover", yes=False)
    assert "recover" in capsys.readouterr().err


def test_a_note_made_in_french_is_told_to_programs_in_english() -> None:
    interrupt = KeyboardInterrupt()
    with language_set("fr"):
        interrupt.add_note(_("vavasms: the call under way ended: {ended}", ended=_("the gateway took it.")))
    with language_set("en"):
        assert _interrupted(interrupt) == "Interrupted: the call under way ended: the gateway took it."


def test_a_no_break_space_stays_one() -> None:
    assert output.clean("Rien\xa0:  1\u202f000\t!") == "Rien\xa0: 1\u202f000 !"


@pytest.mark.usefixtures("files")
def test_a_csv_for_excel_is_read_back(inside: Run) -> None:
    inside("optouts", "add", TO, "+2250500000102", "--ledger", "a.db")
    shown = inside("optouts", "export", "--excel", "--ledger", "a.db").stdout
    assert shown.startswith("\ufeffphone;source;at\n")
    rows = list(csv.reader(io.StringIO(shown.removeprefix("\ufeff")), delimiter=";"))
    # A number that Excel neither rounds nor takes a zero from.
    assert [row[0] for row in rows[1:]] == ['="2250500000102"', '="2250700000001"']
    Path("export.csv").write_text(shown, encoding="utf-8")
    finished = inside("optouts", "import", "export.csv", "--ledger", "b.db")
    assert finished.stdout == "2 numbers: 2 added, 0 known already, 0 duplicates, 0 refused.\n"


def test_a_csv_for_excel_is_utf8_whatever_the_output_is(
    outside: Run, bare_environment: Mapping[str, str]
) -> None:
    Path("Liste d'été.csv").write_text(f"tel\n{TO}\n", encoding="utf-8")
    assert outside("optouts", "import", "Liste d'été.csv", "--ledger", "a.db").returncode == 0
    environment = {**bare_environment, "PYTHONIOENCODING": "ascii"}
    words = ("optouts", "export", "--excel", "--ledger", "a.db")
    finished = outside(*words, env=environment, text=False, encoding=None)
    printed: object = finished.stdout
    assert isinstance(printed, bytes)
    assert "Liste d'été.csv".encode() in printed
    assert printed.startswith(b"\xef\xbb\xbf")


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("words", [("numbers", "check"), ("optouts", "import")])
def test_rows_that_are_left_out_are_written_for_excel_and_read_back(
    inside: Run, words: tuple[str, ...]
) -> None:
    Path("list.csv").write_text("tel;nom\n12;A\nx;=1+1\n0700000001;B;C\n07 00 00 00 0;D\n", encoding="utf-8")
    inside(*words, "list.csv", "--refused", "left.csv", "--excel")
    assert Path("left.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    left = Path("left.csv").read_text(encoding="utf-8-sig")
    assert left.splitlines() == [
        "line;reason;tel;nom",
        '2;too_short;"=""12""";A',
        "3;letters;x;'=1+1",
        '4;too_many_cells;"=""0700000001""";B;C',
        "5;too_short;07 00 00 00 0;D",
    ]
    mended = left.replace("B;C", "B").replace('"=""12"""', '"=""0500000102"""')
    Path("left.csv").write_text(mended, encoding="utf-8-sig")
    again = inside("numbers", "check", "left.csv")
    assert again.stdout.endswith("4 numbers: 2 kept, 0 repaired, 0 duplicates, 2 refused.\n")
