"""What a mutant is: one small change of a source file that a test should notice."""

from __future__ import annotations

from enum import Enum

from attrs import frozen


class Kind(Enum):
    """Where the change is, which decides how it is put into effect."""

    #: Within a function: its code is exchanged.
    FUNCTION = "function"
    #: At the top of a module, in a class or a signature: the module is imported anew.
    MODULE = "module"
    #: In SQL.
    STATEMENT = "statement"


class Verdict(Enum):
    """What the tests made of a mutant."""

    KILLED = "killed"
    #: A test hung, which is a kill as well.
    TIMEOUT = "timeout"
    SURVIVED = "survived"


@frozen(kw_only=True)
class Mutant:
    """A change of the characters from `start` to `end` of a file into `text`."""

    kind: Kind
    #: From the root of the project.
    file: str
    #: The function's qualified name, the statement's name, or the name of a class; empty at the top of a module.
    where: str
    #: The first and the last line that it changes, from 1.
    lines: tuple[int, int]
    #: Those of the function that it is in.
    function_lines: tuple[int, int] = (0, 0)
    start: int
    end: int
    text: str
    #: Those lines as they are, and as it makes them: what it is known by when lines move.
    before: str
    after: str

    def apply(self, source: str) -> str:
        """Return the source with the change."""
        return source[: self.start] + self.text + source[self.end :]


def describe(source: str, start: int, end: int, text: str) -> tuple[tuple[int, int], str, str]:
    """Return the lines that a change touches, from 1, and these lines before and after it."""
    first = source.rfind("\n", 0, start) + 1
    last = source.find("\n", end)
    last = len(source) if last < 0 else last
    lines = source.count("\n", 0, start) + 1, source.count("\n", 0, end) + 1
    after = source[first:start] + text + source[end:last]
    return lines, _one_line(source[first:last]), _one_line(after)


def _one_line(text: str) -> str:
    return " ".join(text.split())
