"""What people see, and what programs read.

Text that came from outside is stripped of control characters and never read as markup.
"""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from vavasms.i18n import current_language, format_moment, in_english

# Control characters, marks that turn the direction of text, surrogates, line and paragraph separators.
_UNPRINTABLE = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
# All but the no-break spaces, which French sets before its colons and in its numbers.
_SPACES = re.compile(r"[^\S\xa0\u202f]+")
#: Whether a collector reads standard error.
_logs_json: ContextVar[bool] = ContextVar("logs_json", default=False)
#: What stands in a sentence where a word of another style comes; no text that was cleaned holds it.
PLACE = "\0"


# rich breaks lines at no-break spaces too: it is passed this letter for one, which it takes for none.
_UNBROKEN = "\ue000"


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        # rich would end the program with our own fault's code.
        raise BrokenPipeError

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        if isinstance(renderable, Text) and "\xa0" in renderable.plain:
            renderable = renderable.copy()
            renderable.plain = renderable.plain.replace("\xa0", _UNBROKEN)
        for segment in super().render(renderable, options):
            yield Segment(segment.text.replace(_UNBROKEN, "\xa0"), segment.style, segment.control)


def output() -> Console:
    """Open standard output: colours on a terminal only, and never against NO_COLOR."""
    return _Console(highlight=False, markup=False, emoji=False)


def messages() -> Console:
    """Open standard error, for errors, warnings and notes."""
    return _Console(stderr=True, highlight=False, markup=False, emoji=False)


def prepare_streams() -> None:
    """Make sure that no message fails once an SMS was sent.

    A character that the terminal's encoding lacks becomes `?`; a closed stream (`>&-`) swallows.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  for good
        with suppress(AttributeError):  # a stream that some host program put there
            getattr(sys, name).reconfigure(errors="replace")


def clean(text: str) -> str:
    """Return a text from outside as one harmless line."""
    if text.isascii() and text.isprintable():
        return text
    spaced = _SPACES.sub(" ", text.strip())
    return "".join(letter for letter in spaced if unicodedata.category(letter) not in _UNPRINTABLE)


def say(line: str | Text = "", *, style: str = "") -> None:
    """Print one line, however long."""
    output().print(Text(line, style=style) if isinstance(line, str) else line, soft_wrap=True)


def fail(sentence: str, code: str | None = None) -> None:
    """Print an error and its code: one line on standard error, red on a terminal."""
    line = Text(_sentence(sentence), style="red")
    messages().print(
        line if code is None else line.append(f" [{code}]", style="not bold dim"), soft_wrap=True
    )


def fail_json(sentence: str, code: str, outcome: str | None) -> None:
    """Print an error for programs: one object on standard error."""
    print_json({"error": _sentence(sentence), "code": code, "outcome": outcome}, sys.stderr)


def warn(sentence: str, *, level: str = "warning") -> None:
    """Print a warning: one line on standard error. The level is of a log."""
    if _logs_json.get():
        log(level, _sentence(in_english(sentence)))
        return
    messages().print(Text(_sentence(sentence), style="yellow"), soft_wrap=True)


@contextmanager
def json_logs() -> Iterator[None]:
    """Write what is warned of in the block as a log: see `log`."""
    token = _logs_json.set(True)
    try:
        yield
    finally:
        _logs_json.reset(token)


def log(
    level: str, message: str | None, *, at: float | None = None, logger: str = "vavasms", **more: str | None
) -> None:
    """Print one line of a log for a collector: a JSON object on standard error, its time as in RFC 3339."""
    moment = datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC)
    time = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = {"time": time, "level": level, "logger": logger, "message": message, **more}
    print_json({name: value for name, value in line.items() if value is not None}, sys.stderr)


def print_json(value: object, stream: TextIO | None = None) -> None:
    """Print one JSON value as one line: letters as they are, and nothing that a terminal obeys."""
    stream = stream or sys.stdout
    line = json.dumps(value, default=_plain, ensure_ascii=False)
    if not line.isascii():
        encoding = getattr(stream, "encoding", None) or "ascii"
        line = "".join(
            letter if _is_harmless(letter, encoding) else json.dumps(letter)[1:-1] for letter in line
        )
    stream.write(f"{line}\n")


def _is_harmless(character: str, encoding: str) -> bool:
    """Return whether a character is printed as it is, by this encoding too."""
    if character.isascii():
        return True
    try:
        character.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return unicodedata.category(character) not in _UNPRINTABLE


def number(value: Decimal) -> int | float:
    """Return an amount as JSON has it: a whole number where it is one."""
    return int(value) if value == value.to_integral_value() else float(value)


def count(value: int, noun: str) -> str:
    """Return a number with its noun: `1 segment`, `10,000 rows`, `2 batches`."""
    ending = "" if value == 1 else "es" if noun.endswith("ch") else "s"
    return f"{value:,} {noun}{ending}"


def _sentence(text: str) -> str:
    line = clean(text).strip()
    end = "" if line.endswith((".", "?", "!", "…")) else "."
    # What begins with a URL or an option keeps its letters.
    is_word = line[:1].isalpha() and "://" not in line.partition(" ")[0]
    return (line[:1].upper() + line[1:] if is_word else line) + end


def _plain(value: object) -> Any:
    # The only values of ours that JSON does not know.
    assert isinstance(value, Decimal)
    return number(value)


def fill(sentence: str, word: Text, *, style: str = "") -> Text:
    """Return a sentence with a word in its place, in a style of its own."""
    head, _place, tail = sentence.partition(PLACE)
    return Text(head, style=style).append_text(word).append(tail)


def write_moment(at: float) -> str:
    """Return a moment for people: as for programs in English, `01/07/2026 12:00` in French."""
    # Abidjan lives by UTC.
    return moment(at) if current_language() == "en" else format_moment(datetime.fromtimestamp(at, UTC))


def moment(at: float) -> str:
    """Return a moment for programs: `2026-07-01T12:00:00Z`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
