"""The guide is run, not believed; and what it says in one language it says in the other."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from attrs import Factory, define

import vavasms
from tests.documents import Block, Document, run_python
from vavasms.cli.commands.sandbox_serve import draw
from vavasms.guide import CHAPTERS
from vavasms.i18n import LANGUAGES
from vavasms.sandbox import Gateway, SandboxServer

ROOT = Path(__file__).parents[1]
GUIDE = Path(vavasms.__file__).parent / "guide"
PAGES = sorted(GUIDE.glob("*/*.md"))
NAMES = sorted(page.name for page in PAGES if page.parent.name == "en")
#: The same in both languages, byte for byte; `text` is what a command prints in the language of its reader,
#: or a figure with words in it.
SAME = {"python", "sh", "csv", "sql"}
#: Why a block is not run. Whatever can be run is.
REASONS = {
    "installs",
    "runs until Ctrl-C",
    "needs PostgreSQL",
    "needs a queue",
    "asks a person",
    "needs an account",
}
MOST_WORDS = 2_000
#: Made of the code (`.ci/guide`): to look things up in, not to read through.
REFERENCE = {"errors", "commands"}
LONGEST_LINE = 120
#: What all pictures may weigh together.
MOST_BYTES = 500_000
#: What a block leaves to the next one: the variables it exported, and its folder.
PROLOGUE = 'if [ -f "$STATE" ]; then . "$STATE"; cd "$PWD"; fi\ntrap \'export -p > "$STATE"\' EXIT\n'
#: Words that stand for what a command has printed before.
PLACEHOLDERS = {"ID": r"^([0-9a-f]{8})$", "HASH": r"^Plan +([0-9a-f]{16})\b"}
COMMANDS = {
    "vavasms": "-m vavasms",
    "pytest": "-m pytest -p no:cacheprovider -p no:schemathesis",
    "python": "",
    "python3": "",
}
PATIENCE = 120

in_each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.stem}")


def read(language: str, name: str) -> Document:
    return Document(GUIDE / language / name)


def is_checked(block: Block) -> bool:
    """Whether a block has to be the same in both languages: text only where it is a file."""
    return block.language in SAME or block.marked("file") is not None


def test_both_languages_have_the_same_chapters() -> None:
    names = {language: {page.stem for page in (GUIDE / language).iterdir()} for language in LANGUAGES}
    assert names["en"] == names["fr"]
    assert names["en"] <= {"index", *CHAPTERS}
    assert names["en"] == {"index", *CHAPTERS}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_index_lists_every_chapter_in_its_order(language: str) -> None:
    listed = [link for link in read(language, "index.md").links() if "/" not in link]
    assert listed == [f"{name}.md" for name in CHAPTERS]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_index_names_each_chapter_by_its_title(language: str) -> None:
    named = re.findall(r"\[([^\]]+)\]\((\w+\.md)\)", read(language, "index.md").text)
    assert [title for title, _ in named] == [read(language, name).headings()[0][1] for _, name in named]


@pytest.mark.parametrize("name", NAMES)
def test_the_code_is_the_same_in_both_languages(name: str) -> None:
    shown = [
        [
            (block.language, block.mark, block.code)
            for block in read(language, name).blocks()
            if is_checked(block)
        ]
        for language in LANGUAGES
    ]
    assert shown[0] == shown[1]
    headings = [read(language, name).headings() for language in LANGUAGES]
    assert [level for level, _ in headings[0]] == [level for level, _ in headings[1]]


@in_each_page
def test_a_page_is_short(page: Path) -> None:
    text = Document(page).text
    assert page.stem in REFERENCE or len(text.split()) <= MOST_WORDS
    # A table has a row a line.
    long = [line for line in text.splitlines() if len(line) > LONGEST_LINE and not line.startswith("|")]
    assert long == []
    assert text.startswith("# ")
    assert text.rstrip() + "\n" == text


@in_each_page
def test_every_block_says_what_it_is(page: Path) -> None:
    for block in Document(page).blocks():
        where = f"line {block.line}"
        assert block.language in SAME | {"text"}, where
        assert block.marked("not run") in {None, *REASONS}, where
        known = block.mark in {"", "output"} or block.marked("file") or block.marked("not run")
        assert known, where


@in_each_page
def test_every_comment_stands_on_the_line_before_a_block(page: Path) -> None:
    # Elsewhere nothing heeds it, and an output would be compared with nothing.
    document = Document(page)
    made = document.text.count("<!-- made by .ci/guide") + document.text.count("<!-- end -->")
    assert document.text.count("<!--") - made == sum(bool(block.mark) for block in document.blocks())


def answers(page: Path, link: str) -> bool:
    """Whether what a relative link leads to is there."""
    target, _, anchor = link.partition("#")
    other = (page.parent / target).resolve() if target else page
    return other.is_file() and GUIDE in other.parents and (not anchor or anchor in Document(other).anchors())


@in_each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    links = [link for link in Document(page).links() if not link.startswith("https://")]
    assert [link for link in links if not answers(page, link)] == []


def test_every_picture_is_shown_and_small() -> None:
    shown = {(page.parent / link).resolve() for page in PAGES for link in Document(page).links()}
    pictures = set((GUIDE / "pictures").iterdir())
    assert pictures <= shown
    assert sum(picture.stat().st_size for picture in pictures) < MOST_BYTES


@define
class Reader:
    """Whoever follows a chapter from its top to its bottom, in an empty folder and an empty home."""

    #: Where the chapter is read.
    folder: Path
    #: What the shell is given.
    environment: dict[str, str]
    #: What is written in the chapter, and what it is here: addresses of servers.
    addresses: dict[str, str]
    #: What the blocks printed, each by itself.
    printed: list[str] = Factory(list)

    def follow(self, block: Block) -> None:
        """Do what a block says."""
        if block.marked("not run") is not None:
            return
        name = block.marked("file")
        if name is not None:
            (self.folder / name).write_text(block.code, encoding="utf-8")
        elif block.language == "sh":
            self.run(block.code)
        elif block.language == "python":
            asyncio.run(run_python(block.code, f"line {block.line}"))
        elif block.mark == "output":
            self.compare(block.code)

    def run(self, code: str) -> None:
        """Run a block in a shell that stops at the first error."""
        out = self.folder.parent / "printed"
        with (
            out.open("wb") as file,
            subprocess.Popen(
                ["sh", "-e", "-c", PROLOGUE + self.fill(code)],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process,
        ):
            try:
                process.wait(PATIENCE)
            finally:
                # What it started beside itself too.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        self.printed.append(out.read_text("utf-8"))
        assert process.returncode == 0, f"{code}\n{self.printed[-1]}"

    def fill(self, code: str) -> str:
        """Put in what a person would: the address of the sandbox, an id that was printed."""
        for written, here in self.addresses.items():
            code = code.replace(written, here)
        for word, pattern in PLACEHOLDERS.items():
            code = re.sub(rf"(?<![\w'-]){word}(?![\w'-])", partial(self.recall, pattern), code)
        return code

    def recall(self, pattern: str, _placeholder: re.Match[str]) -> str:
        """Return what was printed last of a kind."""
        found = re.findall(pattern, "\n".join(self.printed), re.MULTILINE)
        assert found, f"nothing that was printed before is {pattern}"
        return str(found[-1])

    def compare(self, sample: str) -> None:
        """Find each line of a sample in what was printed last: spaces are all alike, `…` is anything."""
        printed = [" ".join(line.split()) for line in self.printed[-1].splitlines()]
        for line in filter(str.strip, sample.splitlines()):
            pattern = ".*".join(re.escape(part) for part in " ".join(line.split()).split("…"))
            assert any(re.fullmatch(pattern, one) for one in printed), f"{line!r} of\n{self.printed[-1]}"


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    """A sandbox as `vavasms sandbox` starts it."""
    with SandboxServer(Gateway(below=draw)) as running:
        yield running


@pytest.fixture
def make_reader(
    server: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, bool], Reader]:
    """Return what makes a reader of a language, with the sandbox's account or with none yet."""
    folder, home, programs = (tmp_path / name for name in ("folder", "home", "programs"))
    for path in (folder, home, programs):
        path.mkdir()
    for name, words in COMMANDS.items():
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (programs / name).chmod(0o755)
    for name in [name for name in os.environ if name.startswith(("VAVASMS_", "XDG_", "PYTEST_", "COV_"))]:
        monkeypatch.delenv(name)
    for name, value in {
        "HOME": str(home),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "COLUMNS": "80",
        "STATE": str(tmp_path / "state"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def make(language: str, has_account: bool) -> Reader:
        monkeypatch.setenv("VAVASMS_LANG", language)
        bare = dict(os.environ)
        for name, value in server.settings.items():
            monkeypatch.setenv(name, value)
        return Reader(
            folder=folder,
            environment=dict(os.environ) if has_account else bare,
            addresses={"http://127.0.0.1:8425": server.origin, "8426": str(port)},
        )

    return make


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="the chapters are written for a POSIX shell")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_chapter_can_be_followed_from_top_to_bottom(
    language: str, name: str, make_reader: Callable[[str, bool], Reader]
) -> None:
    blocks = list(read(language, name).blocks())
    gets_account = any("export VAVASMS_BASE_URL=" in block.code for block in blocks)
    reader = make_reader(language, not gets_account)
    for block in blocks:
        reader.follow(block)
