"""The text of an SMS as commands take it: an option, a file, or standard input."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from vavasms.cli import output
from vavasms.cli.params import text_option
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.storage.location import is_there

#: Bytes; far beyond the longest text that a phone joins.
MAX_SIZE = 1_000_000

MessageFile = Annotated[
    str | None,
    text_option(
        _("A file with the text, in UTF-8; `-` is standard input."), metavar="FILE", name="--message-file"
    ),
]


def read_message(message: str | None, message_file: str | None) -> str:
    """Return the text that `--message` or `--message-file` names, one of the two.

    Raises `InvalidInputError` where there is none or both, or where it is no UTF-8.
    """
    if message is not None and message_file is not None:
        raise InvalidInputError(
            _("Give --message or --message-file, not both. Nothing was sent."), error_code="usage.options"
        )
    if message_file is not None and message_file != "-":
        return read_file(Path(message_file), "--message-file")
    if message is None and message_file is None:
        raise InvalidInputError(
            _(
                "Give the text: --message TEXT (`-` is standard input) or --message-file FILE. "
                "Nothing was sent."
            ),
            error_code="message.missing",
        )
    return read_text("-" if message is None else message)


def read_text(text: str) -> str:
    """Return a text, or where it is `-` all of standard input; the line end at its end is dropped."""
    if text != "-":
        return text
    if sys.stdin is None:
        raise InvalidInputError(
            _("There is no standard input to read the text from. Nothing was sent."),
            error_code="usage.no_input",
        )
    if sys.stdin.isatty():
        output.warn(_("Type the text, and Ctrl-D at the end."))
    return _decode(sys.stdin.buffer.read(MAX_SIZE + 1), _("The text on standard input"))


def uses_stdin(message: str | None, message_file: str | None) -> bool:
    """Return whether the text comes from standard input."""
    return "-" in {message, message_file}


def read_file(path: Path, option: str) -> str:
    """Return the text of a file that an option names; the line end at its end is dropped.

    Raises `InvalidInputError` where it cannot be read, or is no UTF-8.
    """
    raw, exists = None, True
    with suppress(OSError, ValueError), path.open("rb") as file:
        raw = file.read(MAX_SIZE + 1)
    with suppress(OSError, ValueError):
        exists = is_there(path)
    if not exists:
        raise InvalidInputError(
            _(
                "The file {path} of {option} does not exist. Nothing was sent.",
                path=repr(str(path)),
                option=option,
            ),
            error_code="message.unreadable",
        )
    if raw is None:
        raise InvalidInputError(
            _(
                "The file {path} of {option} cannot be read. Nothing was sent.",
                path=repr(str(path)),
                option=option,
            ),
            error_code="message.unreadable",
        )
    return _decode(raw, _("The file {path}", path=repr(str(path))))


def _decode(raw: bytes, source: str) -> str:
    text = None
    # Outside the block: the codec's error holds the text.
    with suppress(UnicodeDecodeError):
        text = raw.decode("utf-8-sig")
    if len(raw) > MAX_SIZE:
        raise InvalidInputError(
            _("{source} is longer than any SMS. Nothing was sent.", source=source),
            error_code="message.unreadable",
        )
    if text is None:
        raise InvalidInputError(
            _("{source} is not UTF-8: save it as UTF-8. Nothing was sent.", source=source),
            error_code="message.unreadable",
        )
    return text.removesuffix("\n").removesuffix("\r")
