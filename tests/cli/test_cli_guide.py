"""`guide` and `explain`: what a person looks up."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.cli.conftest import Finished
from vavasms.explanations import explanations
from vavasms.guide import CHAPTERS, read_chapter
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
