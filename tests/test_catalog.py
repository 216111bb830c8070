"""One catalogue: each sentence that a person reads is in it, and has its French."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

import vavasms
from tests.test_error_codes import CLASSES, calls
from tests.words_english import english_words

ROOT = Path(vavasms.__file__).parent
#: Calls whose words a person reads; the number of their leading arguments that are sentences.
SAYERS = {"say": 1, "warn": 1, "fail": 1, "confirm": 1, "flag": 1, "text_option": 1, "misconfigured": 1}
SAYERS |= dict.fromkeys(CLASSES, 1)
#: The log: a worker shows it to a person.
SAYERS |= {"warning": 1, "error": 1}
#: Options of `Parameter` and of a command that help shows.
SHOWN = {"help", "sentence", "notes", "help_epilogue"}
#: Nothing of these is words.
WORDLESS = {"export", "XOF"}


def is_plain(node: ast.expr) -> bool:
    """Return whether words stand there that nobody can translate: a literal, or a literal with values."""
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.Constant) and has_words(part.value) for part in node.values)
    if isinstance(node, ast.BinOp):
        return is_plain(node.left) or is_plain(node.right)
    if isinstance(node, ast.IfExp):
        return is_plain(node.body) or is_plain(node.orelse)
    return isinstance(node, ast.Constant) and has_words(node.value)


def has_words(value: object) -> bool:
    if not isinstance(value, str):
        return False
    # A command to be copied is the same in every language.
    words = value.partition("vavasms ")[0].split()
    return any(len(word) > 1 and word.isalpha() and word not in WORDLESS for word in words)


def untranslated() -> Iterator[str]:
    for path in sorted(ROOT.rglob("*.py")):
        place = path.relative_to(ROOT)
        # The sandbox's control is a program's; `testing` speaks to developers in their test's output.
        if place.parts[0] in ("testing", "sandbox"):
            continue
        for name, call in calls(ast.parse(path.read_text(encoding="utf-8"))):
            sentences = call.args[: SAYERS.get(name, 0)]
            if name in ("Parameter", "Command", "App", "Group", "flag", "text_option"):
                sentences += [keyword.value for keyword in call.keywords if keyword.arg in SHOWN]
            if name == "Group":
                sentences += call.args[:1]
            yield from (f"{place}:{call.lineno}" for sentence in sentences if is_plain(sentence))


def test_each_sentence_in_the_code_is_of_the_catalogue() -> None:
    assert list(untranslated()) == []


@pytest.mark.exhaustive
@pytest.mark.parametrize("script", ["translate", "guide"])
def test_what_is_made_of_the_code_is_what_the_code_says(script: str) -> None:
    """The catalogue: each sentence has its French, with the same values, compiled. The guide: its tables."""
    run = [sys.executable, f".ci/{script}", "--check"]
    made = subprocess.run(run, cwd=ROOT.parent, capture_output=True, text=True, check=False, env=None)
    assert made.returncode == 0, made.stdout + made.stderr


#: What a sentence in French names as it is called: values, arguments, functions, the words of a program, a header.
NAMES = re.compile(r"\{\w+\}|\w*_\w*|\w+\([^)]*\)|\w+=\S*|\xab[^\xbb]*\xbb|^\w+(?= est )|X(?:-\w+)+")
#: Python's, and what is typed.
CALLED_SO = {"with", "yes"}


def test_no_english_word_is_left_in_the_french() -> None:
    with (ROOT / "i18n/fr.po").open("rb") as file:
        catalogue = read_po(file, locale="fr")
    said = [text for entry in catalogue if entry.id for text in as_list(entry.string)]
    assert len(said) > 1_400
    left = {text: set(english_words(NAMES.sub(" ", text))) - CALLED_SO for text in said}
    assert {text: words for text, words in left.items() if words} == {}


def test_french_has_its_spaces() -> None:
    """A no-break space stands before `: ; ! ? %` and within guillemets."""
    with (ROOT / "i18n/fr.po").open("rb") as file:
        catalogue = read_po(file, locale="fr")
    said = [text for entry in catalogue if entry.id for text in as_list(entry.string)]
    assert [text for text in said if re.search(r"\w [:;!?%](?!\w)|\xab | \xbb", text)] == []


def as_list(string: object) -> tuple[str, ...]:
    return (string,) if isinstance(string, str) else tuple(string)  # type: ignore[arg-type]
