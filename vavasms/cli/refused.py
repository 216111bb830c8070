"""`--refused FILE`: where the rows that are left out are written to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from vavasms.campaigns.planning.refused import RefusedFile
from vavasms.cli.file_faults import name_fault
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _

RefusedPath = Annotated[
    str | None,
    Parameter(
        name="--refused",
        metavar="FILE",
        show_default=False,
        help=_("Write the rows that are left out to a CSV file, each with its line and the reason."),
    ),
]


@contextmanager
def open_refused(path: str | None, contacts: str, *, excel: bool = False) -> Iterator[RefusedFile | None]:
    """Open the file while the block runs, which only its owner may read; None where nobody asked for it.

    What it held is gone. Raises `InvalidInputError` where it cannot be written, or is the list itself, or
    where `--excel` says how a file is written that nobody named.
    """
    if path is None and excel:
        raise InvalidInputError(
            _("--excel says how --refused is written: add --refused FILE. Nothing was sent."),
            error_code="usage.options",
        )
    if path is None:
        yield None
        return
    if contacts != "-" and _is_same(path, contacts):
        raise InvalidInputError(
            _("The file of --refused is the list itself: name another. Nothing was sent."),
            error_code="list.refused_file",
        )
    # Excel takes a CSV for UTF-8 by its mark only.
    with os.fdopen(_create(path), "w", encoding="utf-8-sig", errors="replace", newline="") as file:
        yield RefusedFile(file, excel=excel)


def _create(path: str) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except (OSError, ValueError) as error:
        why = name_fault(error)
    raise InvalidInputError(
        _("The file of --refused cannot be written ({why}). Nothing was sent.", why=why),
        error_code="list.refused_file",
    )


def _is_same(path: str, contacts: str) -> bool:
    try:
        return Path(path).samefile(contacts)
    except (OSError, ValueError):
        return False
