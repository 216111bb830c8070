"""`python -m tests.mutants [ROOM…]`: change the code, a little at a time, and see whether a test notices."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from tests.mutants.child import forked
from tests.mutants.harmless import Harmless, find_stale, read_harmless, reason_of
from tests.mutants.mutant import Kind, Mutant, Verdict
from tests.mutants.patch import is_assignment
from tests.mutants.postgres import quick_folder, server_running
from tests.mutants.report import HEAD, RoomReport, build_report, write_row, write_stale, write_survivor
from tests.mutants.room import Room, mutants_of, read_rooms
from tests.mutants.session import Baseline, Result, arguments_of, collect_and_run, preload, run_import

#: The tests of a room without a mutant may take so many seconds.
_BASELINE = 1_000.0


def main() -> None:
    """Run the rooms asked for; exit with 1 where a survivor is unexplained, or too many survived."""
    # The processes of the mutants end with this one.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rooms = read_rooms()
    options = _parse(rooms)
    reports = []
    for name in options.rooms or rooms:
        report = run_room(rooms[name], options.function, _survivors(options.again))
        reports.append(report)
        print("\n".join([*map(write_stale, report.stale), HEAD, write_row(report)]), flush=True)
    if options.json:
        figures = {report.name: report.figures() for report in reports}
        document = {"python": sys.version.split()[0], "rooms": figures}
        options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
    raise SystemExit(0 if all(report.is_good for report in reports) else 1)


def _parse(rooms: dict[str, Room]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"of {', '.join(rooms)}; without one: all")
    parser.add_argument("--function", metavar="NAME", help="the mutants of this function or statement only")
    parser.add_argument("--again", type=Path, metavar="FILE", help="only those that survived in this JSON")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures and the survivors here")
    options = parser.parse_args()
    if unknown := set(options.rooms) - set(rooms):
        parser.error(f"no such room: {', '.join(sorted(unknown))}")
    return options


def _survivors(file: Path | None) -> set[tuple[str, ...]] | None:
    if file is None:
        return None
    rooms = json.loads(file.read_text("utf-8"))["rooms"].values()
    found = [survivor for room in rooms for survivor in room["survivors"] if survivor["harmless"] is None]
    return {(each["file"], each["where"], each["before"], each["after"]) for each in found}


def run_room(room: Room, function: str | None, again: set[tuple[str, ...]] | None) -> RoomReport:
    """Run the mutants of a room, those of functions and statements first."""
    began = time.monotonic()
    every, entries = mutants_of(room), read_harmless()
    mutants = [mutant for mutant in every if function in (None, mutant.where)]
    if again is not None:
        mutants = [
            mutant for mutant in mutants if (mutant.file, mutant.where, mutant.before, mutant.after) in again
        ]
    with tempfile.TemporaryDirectory(dir=quick_folder()) as scratch, _database(room):
        results = list(_told(_run(room, mutants, Path(scratch) / "tests"), entries, len(mutants)))
    stale = [] if function or again else find_stale(entries, every)
    return build_report(room.name, results, entries, stale, time.monotonic() - began)


def _run(room: Room, mutants: Sequence[Mutant], folder: Path) -> Iterator[Result]:
    """Yield the results, first of what can be changed in modules that are imported."""
    quick = [mutant for mutant in mutants if mutant.kind is not Kind.MODULE or is_assignment(mutant)]
    anew = [mutant for mutant in mutants if mutant not in quick]
    baseline = Baseline()
    for message in forked(collect_and_run(room, quick, folder), lambda _message: _BASELINE):
        if isinstance(message, Baseline):
            baseline = message
            if baseline.failed or not baseline.durations:
                raise SystemExit(f"{room.name}: these tests fail without a mutant: {baseline.failed}")
        elif isinstance(message, Result):
            baseline.note(message)
            if message.mutant.kind is Kind.MODULE and message.verdict is Verdict.SURVIVED:
                # What was made of the old value in an import is old still.
                anew.append(message.mutant)
            else:
                yield message
    preload(baseline.modules if anew else [])
    for mutant in anew:
        result = run_import(mutant, baseline, arguments_of(room, folder))
        baseline.note(result)
        yield result


def _database(room: Room) -> AbstractContextManager[None]:
    return server_running() if room.needs_postgres else nullcontext()


def _told(results: Iterator[Result], entries: Sequence[Harmless], count: int) -> Iterator[Result]:
    """Print how far it is, and what survived and is not harmless."""
    for number, result in enumerate(results, 1):
        if result.verdict is Verdict.SURVIVED and reason_of(result.mutant, entries) is None:
            print(write_survivor(result), flush=True)
        if sys.stderr.isatty() or number % 50 == 0:
            end = "\r" if sys.stderr.isatty() else "\n"
            print(f"{number} of {count}", end=end, file=sys.stderr, flush=True)
        yield result


if __name__ == "__main__":
    main()
