"""`guide`: the chapters of the guide in the terminal."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from typing import Annotated

from cyclopts import Parameter

from vavasms.cli import output
from vavasms.cli.markdown import Guide
from vavasms.errors import InvalidInputError
from vavasms.guide import CHAPTERS, FILES, INDEX, read_chapter, read_file
from vavasms.i18n import current_language
from vavasms.i18n import gettext as _

#: Longer lines are hard to read.
_WIDTH = 100


def guide(
    topic: Annotated[
        str,
        Parameter(
            name="TOPIC",
            help=_("A chapter or its number, or a file that one names; without one the table of chapters."),
            show_default=False,
        ),
    ] = INDEX,
    /,
) -> None:
    """Read the guide, a chapter at a time.

    It is Markdown where it is not read on a terminal.
    """
    if topic in FILES:
        sys.stdout.write(read_file(topic))
        return
    try:
        text = read_chapter(_find_name(topic), current_language())
    except KeyError:
        text = None
    if text is None:
        raise InvalidInputError(_name_chapters(topic), outcome=None, error_code="usage.words")
    if not sys.stdout.isatty():
        sys.stdout.write(text)
        return
    console = output.output()
    console.print(Guide(text), width=min(console.width, _WIDTH), crop=False)


def _find_name(topic: str) -> str:
    """Return the name of the chapter of a number, as the table counts them; any other word as it is."""
    chapters = {str(number): name for number, name in enumerate(CHAPTERS, 1)}
    return chapters.get(topic, topic)


def _name_chapters(topic: str) -> str:
    close = get_close_matches(topic, CHAPTERS, n=1)
    if close:
        return _(
            "The guide has no chapter {topic}: did you mean `vavasms guide {close}`?",
            topic=repr(topic),
            close=close[0],
        )
    return _(
        "The guide has no chapter {topic}; it has {chapters}.",
        topic=repr(topic),
        chapters=", ".join(CHAPTERS),
    )
