"""What a room's mutants came to: figures, and the survivors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from tests.mutants.harmless import Harmless, reason_of
from tests.mutants.mutant import Verdict
from tests.mutants.session import Result

#: Of a hundred mutants so many are to be killed.
GOAL = 95.0


@frozen(kw_only=True)
class RoomReport:
    """The results of one room."""

    name: str
    results: Sequence[Result]
    #: For each survivor why it is harmless; None where nobody said so.
    reasons: Sequence[str | None]
    #: Entries of the list of harmless ones that fit no mutant.
    stale: Sequence[Harmless]
    seconds: float

    @property
    def survivors(self) -> list[tuple[Result, str | None]]:
        """Each survivor, with why it is harmless."""
        found = [result for result in self.results if result.verdict is Verdict.SURVIVED]
        return list(zip(found, self.reasons, strict=True))

    @property
    def harmless(self) -> int:
        return sum(reason is not None for reason in self.reasons)

    @property
    def is_good(self) -> bool:
        """Whether every survivor is explained, every entry is needed, and enough were killed."""
        return None not in self.reasons and not self.stale and self.percent >= GOAL

    @property
    def killed(self) -> int:
        return len(self.results) - len(self.reasons)

    @property
    def percent(self) -> float:
        """Killed of all."""
        return 100 * self.killed / max(len(self.results), 1)

    def figures(self) -> dict[str, Any]:
        """Return what is kept of it as JSON."""
        return {
            "mutants": len(self.results),
            "killed": self.killed,
            "timeouts": sum(result.verdict is Verdict.TIMEOUT for result in self.results),
            "survived": len(self.reasons),
            "equivalent": self.harmless,
            "percent": round(self.percent, 1),
            "seconds": round(self.seconds),
            "survivors": [_survivor(result, reason) for result, reason in self.survivors],
        }


def build_report(
    name: str,
    results: Sequence[Result],
    entries: Sequence[Harmless],
    stale: Sequence[Harmless],
    seconds: float,
) -> RoomReport:
    """Return the report of a room."""
    survived = [result.mutant for result in results if result.verdict is Verdict.SURVIVED]
    reasons = [reason_of(mutant, entries) for mutant in survived]
    return RoomReport(name=name, results=results, reasons=reasons, stale=stale, seconds=seconds)


def _survivor(result: Result, reason: str | None) -> dict[str, Any]:
    mutant = result.mutant
    return {
        "file": mutant.file,
        "line": mutant.lines[0],
        "where": mutant.where,
        "before": mutant.before,
        "after": mutant.after,
        "tests": result.tests,
        "harmless": reason,
    }


HEAD = f"{'room':<12} {'mutants':>8} {'killed':>8} {'timeouts':>9} {'survived':>9} {'harmless':>9} {'percent':>8}"


def write_row(report: RoomReport) -> str:
    """Return the line of the table that is a room's."""
    figures = report.figures()
    return (
        f"{report.name:<12} {figures['mutants']:>8} {figures['killed']:>8} {figures['timeouts']:>9} "
        f"{figures['survived']:>9} {figures['equivalent']:>9} {figures['percent']:>7.1f}%"
    )


def write_survivor(result: Result) -> str:
    """Return what survived, with how many tests."""
    mutant = result.mutant
    place = f"{mutant.file}:{mutant.lines[0]} {mutant.where}"
    return f"survived {place} ({result.tests} tests)\n  - {mutant.before}\n  + {mutant.after}"


def write_stale(entry: Harmless) -> str:
    """Return which entry fits no mutant any more."""
    return f"stale {entry.file} {entry.where}\n  - {entry.before}\n  + {entry.after or '…'}"
