"""Markdown whose code is run, not believed: README, and the guide."""

from __future__ import annotations

import ast
import inspect
import re
import types
from collections.abc import Iterator
from pathlib import Path

from attrs import Factory, frozen

from vavasms import AsyncVavaSMS

_FENCE = re.compile(r"^```(\w*)$\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"^<!-- (.*?) -->$")
_HEADING = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@frozen(kw_only=True)
class Block:
    """A fenced block of code, with the comment on the line before it."""

    language: str
    code: str
    #: The line of its fence.
    line: int
    #: What the comment says: `not run: asks a person`.
    mark: str = ""

    def marked(self, word: str) -> str | None:
        """Return what follows a word of the mark, such as the reason of `not run`; None without it."""
        name, _, rest = self.mark.partition(":")
        return rest.strip() if name == word else None


@frozen
class Document:
    """A Markdown file."""

    path: Path
    text: str = Factory(lambda self: self.path.read_text(encoding="utf-8"), takes_self=True)

    def blocks(self) -> Iterator[Block]:
        """Yield its fenced blocks, in order."""
        for found in _FENCE.finditer(self.text):
            above = self.text[: found.start()].splitlines()
            mark = _MARK.match(above[-1]) if above else None
            yield Block(
                language=found[1],
                code=found[2],
                line=len(above) + 1,
                mark=mark[1] if mark else "",
            )

    def snippets(self, language: str) -> list[str]:
        """Return the code of one language."""
        return [block.code for block in self.blocks() if block.language == language]

    @property
    def prose(self) -> str:
        """What is not in a fence."""
        return _FENCE.sub("", self.text)

    def links(self) -> list[str]:
        """Return the targets of its links and pictures."""
        return _LINK.findall(re.sub(r"`[^`]*`", "", self.prose))

    def headings(self) -> list[tuple[int, str]]:
        """Return its headings, each with its level."""
        return [(len(marks), heading) for marks, heading in _HEADING.findall(self.prose)]

    def anchors(self) -> set[str]:
        """Return the anchors of its headings, as GitHub makes them."""
        return {_anchor(heading) for _, heading in self.headings()}


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


async def run_python(code: str, name: str) -> None:
    """Run a block as in a shell that has a loop: with a client `sms` and a list of `recipients`."""
    compiled = compile(code, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    async with AsyncVavaSMS() as sms:
        names = {"sms": sms, "recipients": [f"2250759{index:06d}" for index in range(250)]}
        result = types.FunctionType(compiled, names)()
        if inspect.iscoroutine(result):
            await result
