"""No English word in what a person reads in French: all that the tests of the commands print, read for it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.words_english import english_words

ROOT = Path(__file__).parents[2]
#: These speak of both languages, or wait for a sentence of a process.
OTHERS = (
    "test_language.py",
    "test_french_output.py",
    "test_cli_sandbox.py",
    "campaign/test_cli_campaign_signals.py",
)
#: Of the slow ones only those that print what no quick one does; they wait for processes most of their time.
EXAMPLES = "tests/cli/test_cli_help.py::test_the_example_of_a_help_runs_as_it_stands"
SELECTIONS = (
    ["-m", "not slow and not full"],
    [
        *("-m", "slow and not full", "-k", "not test_cli_probe or words or terminal"),
        *("--deselect", f"{EXAMPLES}[probe]"),
    ],
)
#: Of a page: its styles, what is to be typed, its tags.
MARKUP = re.compile(r"<style>.*?</style>|<code>.*?</code>|<[^>]*>", re.DOTALL)
#: What no sentence of ours is: the name of a column or a state, the words of HTTP, a call in Python, a path, what a
#: program drew, what a test had the gateway answer.
DATA = (
    re.compile(r"\bLinux-\S+|X-Forwarded-For|\xab\s\w+\s\xbb"),
    re.compile(r"\S*/\S+|\S+\.csv|other gateway\.example"),
    re.compile(r"^gateway\.\d+|(?<=\[)gateway\.\d+"),
    re.compile(r"^.*?(?:recipient|phone)[;,](?:outcome|source)[;,].*$"),
    re.compile(r"^\W*\d{10,}\W*[,;].*$"),
    re.compile(r"\(\d{3} [A-Z][A-Za-z ]+\)"),
    re.compile(r"\b\w+\(\)"),
    re.compile(r"\b[0-9a-f]*\d[0-9a-f]*\b"),
    re.compile(r"\[(?:choix|défaut)\s:.*|défaut\s: \w+\]"),
    re.compile(r"\b[a-z_]+(?:\.[a-z0-9_]+)+\b"),
    re.compile(r"'(?:vavasms ?)?\w*'|resolve KEY|^interrupted(?= )"),
    re.compile(r"The request left\.|Le sender_id n.existe pas|\([A-Z_]+, \d+\)|\bold$"),
)


def record(folder: Path) -> None:
    """Run the tests of the commands in French, whatever they find, and keep what was printed."""
    folder.mkdir()
    left_out = [f"--ignore={ROOT / 'tests/cli' / name}" for name in OTHERS]
    environment = {**os.environ, "VAVASMS_LANG": "fr", "TEST_LANG": "fr", "TEST_OUTPUT": str(folder)}
    for selection in SELECTIONS:
        command = [sys.executable, "-m", "pytest", "tests/cli", "-q", "-n", "4", "-p", "no:cacheprovider"]
        subprocess.run(
            [*command, *left_out, *selection],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            check=False,
            timeout=1_200,
        )


def lines(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield what was typed and a line that was printed; the guide's chapters have a test of their own."""
    for file in folder.iterdir():
        arguments, *printed = json.loads(file.read_text(encoding="utf-8"))
        if arguments[:1] != ["guide"] and not any(
            word.startswith(("--json", "--lang")) for word in arguments
        ):
            for text in map(_strip_markup, printed):
                # A fault of our own shows its traceback, and that is Python's.
                if text and "Traceback" not in text:
                    yield from ((" ".join(arguments), line) for line in text.splitlines())


def _strip_markup(text: str) -> str:
    """Return what a reader of a page sees of it, the commands to be typed left out; any other text as it is."""
    return MARKUP.sub(" ", text) if text.lower().startswith("<!doctype") else text


@pytest.mark.slow
@pytest.mark.exhaustive
def test_no_command_prints_an_english_word_in_french(tmp_path: Path) -> None:
    folder = tmp_path / "output"
    record(folder)
    read = list(lines(folder))
    assert len(read) > 3000, "next to nothing was recorded"
    left = set()
    for typed, line in read:
        text = line
        for pattern in DATA:
            text = pattern.sub(" ", text)
        if not text.lstrip().startswith("{") and set(english_words(text)) - set(english_words(typed)):
            left.add(line)
    assert not left, "\n".join(sorted(left))
