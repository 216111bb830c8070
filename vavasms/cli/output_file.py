"""`--output FILE`: where a report is written, if not to standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, BinaryIO, TextIO

from cyclopts import Parameter

from vavasms.cli.file_faults import name_fault
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _

OutputPath = Annotated[
    str | None,
    Parameter(
        name=("--output", "-o"),
        metavar="FILE",
        show_default=False,
        help=_("Write to a new file, which only you can read."),
    ),
]


def set_utf8(stream: TextIO) -> None:
    """Make a stream write UTF-8, whatever the terminal's encoding: what is written says that it is."""
    with suppress(AttributeError):  # a stream that some host program put there
        stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[attr-defined]


@contextmanager
def open_text(path: str | None) -> Iterator[TextIO]:
    """Open a new file for text, or standard output where none is named: see `open_binary`."""
    if path is None:
        yield sys.stdout
        return
    with open_binary(path) as file, TextIOWrapper(file, "utf-8", errors="replace", newline="") as text:
        yield text


@contextmanager
def open_binary(path: str | None) -> Iterator[BinaryIO]:
    """Open a new file, or standard output where none is named; the file gets its name once it is whole.

    Only its owner can read it: it may hold numbers. Raises `InvalidInputError` where it cannot be written, or
    there is one of this name.
    """
    if path is None:
        yield sys.stdout.buffer
        return
    _check_absent(path)
    part = Path(f"{path}.part")
    file = _create(part)
    try:
        with file:
            yield file
        _check_absent(path)
        part.rename(path)
    except OSError as error:
        why = name_fault(error)
    else:
        return
    finally:
        with suppress(OSError):
            part.unlink()
    raise _cannot(path, why)


def _check_absent(path: str) -> None:
    if os.path.lexists(path):
        raise _cannot(path, _("there is one already"))


def _create(path: Path) -> BinaryIO:
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except (OSError, ValueError) as error:
        why = name_fault(error)
    raise _cannot(str(path), why)


def _cannot(path: str, why: str) -> InvalidInputError:
    return InvalidInputError(
        _("The file {path} of --output cannot be written: {why}.", path=path, why=why),
        error_code="usage.output_file",
        outcome=None,
    )
