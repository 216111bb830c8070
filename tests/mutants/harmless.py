"""The mutants that may survive: what they change makes no difference to anybody."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from tests.mutants.mutant import Mutant

FILE = Path(__file__).parent / "harmless.toml"


@frozen(kw_only=True)
class Harmless:
    """One entry: a line, what becomes of it, and why that is right as well."""

    file: str
    where: str
    #: The line as it is, its spaces as one.
    before: str
    #: The line as the mutant has it; empty: whatever a mutant makes of it.
    after: str = ""
    reason: str

    def fits(self, mutant: Mutant) -> bool:
        """Return whether it speaks of a mutant."""
        same = (self.file, self.where, self.before) == (mutant.file, mutant.where, mutant.before)
        return same and self.after in ("", mutant.after)


def read_harmless() -> list[Harmless]:
    """Return all entries."""
    entries = tomllib.loads(FILE.read_text("utf-8")).get("harmless", [])
    return [Harmless(**{key: _one_line(value) for key, value in entry.items()}) for entry in entries]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def reason_of(mutant: Mutant, entries: Sequence[Harmless]) -> str | None:
    """Return why a mutant is harmless; None where nobody said so."""
    return next((entry.reason for entry in entries if entry.fits(mutant)), None)


def find_stale(entries: Sequence[Harmless], mutants: Sequence[Mutant]) -> list[Harmless]:
    """Return the entries about these mutants' files that no mutant fits any more."""
    files = {mutant.file for mutant in mutants}
    return [entry for entry in entries if entry.file in files and not any(map(entry.fits, mutants))]
