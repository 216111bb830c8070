"""`guide` and `explain`: what a person looks up."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable

import pytest

from tests.cli.conftest import Finished
from vavasms.explanations import explanations
from vavasms.guide import CHAPTERS, INDEX, read_chapter
from vavasms.i18n import LANGUAGES

Run = Callable[..., Finished]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("topic", CHAPTERS)
def test_a_chapter_is_printed_as_markdown_where_it_is_piped(inside: Run, topic: str, language: str) -> None:
    finished = inside("guide", topic, "--lang", language)
    assert finished.returncode == 0
    assert finished.stdout == read_chapter(topic, language)


def test_without_a_topic_the_table_of_chapters_is_shown(inside: Run) -> None:
    printed = inside("guide").stdout
    assert [topic for topic in CHAPTERS if f"({topic}.md)" not in printed] == []


def test_a_chapter_is_found_by_its_number_in_the_table(inside: Run) -> None:
    assert inside("guide", "4").stdout == read_chapter(CHAPTERS[3], "en")
    assert inside("guide", str(len(CHAPTERS))).stdout == read_chapter(CHAPTERS[-1], "en")
    assert inside("guide", "0").returncode == inside("guide", str(len(CHAPTERS) + 1)).returncode == 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_table_has_the_chapters_own_titles_and_says_how_to_open_one(language: str) -> None:
    index = read_chapter(INDEX, language)
    titles = [read_chapter(topic, language).partition("\n")[0].removeprefix("# ") for topic in CHAPTERS]
    assert re.findall(r"^\d+\. \[(.*?)\]", index, re.MULTILINE) == titles
    assert "`vavasms guide start`" in index


@pytest.fixture
def shown(inside: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Read a chapter on a terminal of 60 columns; give its words without their colours."""
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")

    def read(*words: str) -> str:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        return re.sub(r"\x1b\[[\d;]*m", "", inside("guide", *words).stdout)

    return read


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("topic", CHAPTERS)
def test_no_line_to_be_copied_is_cut_on_a_narrow_terminal(
    shown: Callable[..., str], topic: str, language: str
) -> None:
    blocks = re.findall(r"^```\w*\n(.*?)^```$", read_chapter(topic, language), re.MULTILINE | re.DOTALL)
    printed = set(map(str.rstrip, shown(topic, "--lang", language).splitlines()))
    assert blocks or topic in ("errors", "security", "silence", "settings")
    assert [line for block in blocks for line in block.splitlines() if line.rstrip() not in printed] == []


@pytest.mark.parametrize("topic", CHAPTERS)
def test_a_french_mark_stays_with_its_word(shown: Callable[..., str], topic: str) -> None:
    printed = map(str.strip, shown(topic, "--lang", "fr").splitlines())
    assert [line for line in printed if re.search(r"^[;:!?»](\W|$)|«$", line)] == []


def test_an_address_is_shown_once_and_a_picture_by_its_words(shown: Callable[..., str]) -> None:
    printed = " ".join(shown("start").split())
    assert "http://127.0.0.1:8425/ (" not in printed
    assert "[The inbox: on the left who received an SMS," in printed
    assert "🌆" not in printed
    # A link to a chapter is the command that opens it.
    assert "(vavasms guide outcomes)" in printed
    assert max(map(len, shown().splitlines())) <= 60


def test_a_chapter_that_is_none_names_the_closest(inside: Run) -> None:
    finished = inside("guide", "campaing")
    assert finished.returncode == 2
    assert "did you mean `vavasms guide campaigns`?" in finished.stderr
    assert ", ".join(CHAPTERS) in inside("guide", "zzz").stderr
    assert inside("guide", "../../../version").returncode == 2


def test_an_error_is_explained_by_the_code_that_it_showed(inside: Run) -> None:
    refused = inside("numbers", "check", "no-such-file.csv")
    code = refused.stderr.strip().rpartition("[")[2].rstrip("]")
    assert code in explanations()
    shown = inside("explain", f"[{code}]")
    assert shown.returncode == 0
    for sentence in (explanations()[code].what, explanations()[code].do):
        assert sentence in shown.stdout


def test_explanations_speak_french_and_json_does_not(inside: Run) -> None:
    entry = explanations()["gateway.902"]
    french = inside("explain", "902", "--lang", "fr").stdout
    assert entry.what not in french
    assert "Que faire" in french
    assert json.loads(inside("explain", "902", "--lang", "fr", "--json").stdout)["what"] == entry.what


def test_without_a_code_all_are_listed(inside: Run) -> None:
    lines = inside("explain").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(explanations())


def test_a_code_that_is_none_names_the_closest(inside: Run) -> None:
    finished = inside("explain", "number.oldplan")
    assert finished.returncode == 2
    assert "did you mean `vavasms explain number.old_plan`?" in finished.stderr
