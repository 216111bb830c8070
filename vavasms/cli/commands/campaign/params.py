"""What the commands share that work beside a runner: an existing ledger, a typed confirmation, a moment."""

from __future__ import annotations

import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from vavasms.campaigns.ledger.base import Ledger
from vavasms.cli.ledger_option import find_ledger, open_place
from vavasms.errors import InvalidInputError

CampaignId = Annotated[str, Parameter(name="ID", help="The id that `vavasms campaign run` printed.")]


@asynccontextmanager
async def open_existing(given: str | None) -> AsyncIterator[Ledger]:
    """Open the ledger; raise an `InvalidInputError` where there is none yet, and make none."""
    async with open_place(find_ledger(given), create=False) as ledger:
        yield ledger


def repeat_option(given: str | None) -> str:
    """Write the ledger's option again, for a command to be copied; nothing where it was not given."""
    return "" if given is None else f" --ledger {quote(given)}"


def quote(text: str) -> str:
    """Quote a text for a shell; what a terminal would obey is written as its code (`$'\\x1b'`)."""
    if text.isprintable():
        return shlex.quote(text)
    return f"$'{''.join(map(_escape, text))}'"


def _escape(character: str) -> str:
    code = ord(character)
    if character.isprintable():
        return f"\\{character}" if character in "\\'" else character
    if code < 0x80 or 0xDC80 <= code <= 0xDCFF:
        # The latter is how Python reads a byte that is no text.
        return f"\\x{code & 0xFF:02x}"
    return f"\\U{code:08x}"


def confirm(question: str, *, word: str, yes: bool) -> None:
    """Have a word typed, or raise `InvalidInputError`; `--yes` has answered already."""
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise InvalidInputError(
            "There is no terminal to ask on: add --yes to do it without asking. Nothing was changed.",
            outcome=None,
        )
    # On standard error: what is printed may be going to a file.
    sys.stderr.write(f"{question}\nType {word} to go on: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != word:
        raise InvalidInputError("Not confirmed: nothing was changed.", outcome=None)


def moment(at: float) -> str:
    """Write a moment for programs: `2026-07-01T12:00:00Z`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
