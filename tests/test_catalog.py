"""One catalogue: each sentence that a person reads is in it, and has its French."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import vavasms
from tests.test_error_codes import CLASSES, calls

ROOT = Path(vavasms.__file__).parent
#: Calls whose words a person reads; the number of their leading arguments that are sentences.
SAYERS = {"say": 1, "warn": 1, "fail": 1, "confirm": 1, "flag": 1, "text_option": 1, "misconfigured": 1}
SAYERS |= dict.fromkeys(CLASSES, 1)
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
    return (
        isinstance(value, str)
        and value not in WORDLESS
        and any(len(word) > 1 and word.isalpha() for word in value.split())
    )


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


@pytest.mark.parametrize("script", ["translate", "guide"])
def test_what_is_made_of_the_code_is_what_the_code_says(script: str) -> None:
    """The catalogue: each sentence has its French, with the same values, compiled. The guide: its tables."""
    run = [sys.executable, f".ci/{script}", "--check"]
    made = subprocess.run(run, cwd=ROOT.parent, capture_output=True, text=True, check=False, env=None)
    assert made.returncode == 0, made.stdout + made.stderr
