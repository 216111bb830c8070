"""The tests of a room under each of its mutants: collected once, run in a process forked for each."""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import coverage
import pytest
from attrs import define, field, frozen

from tests.mutants.child import PATIENCE, ChildHungError, Send, forked
from tests.mutants.mutant import Kind, Mutant, Verdict
from tests.mutants.patch import MutantFinder, patch, query_tables, restore
from tests.mutants.room import ROOT, Room

#: What a slow machine makes of a test's duration.
_SLOWNESS = 5


@frozen
class Result:
    """A mutant and what became of it."""

    mutant: Mutant
    verdict: Verdict
    #: The test that failed or hung, with how many ran.
    killer: str = ""
    tests: int = 0


@define
class Baseline:
    """How the tests ran without a mutant: what each took, and what it came by."""

    durations: dict[str, float] = field(factory=dict)
    #: The tests that came by a line of a file, and by a statement.
    lines: dict[tuple[str, int], set[str]] = field(factory=dict)
    statements: dict[str, set[str]] = field(factory=dict)
    failed: list[str] = field(factory=list)
    kills: Counter[tuple[str, str]] = field(factory=Counter)
    #: The modules of other packages that the tests import.
    modules: list[str] = field(factory=list)

    def choose(self, mutant: Mutant) -> list[str]:
        """Return the tests that could notice a mutant, the likeliest first."""
        if mutant.kind is Kind.STATEMENT:
            chosen = self.statements.get(mutant.where, set())
        elif mutant.kind is Kind.MODULE:
            # Whoever imports the module may notice.
            chosen = set(self.durations)
        else:
            chosen = self._choose_by_line(mutant)
            # A coroutine that an exception resumed is traced no further: others may have come by those lines unseen.
            rest = self._choose_by_function(mutant) - chosen
            return [*self.order(mutant, chosen), *self.order(mutant, rest)]
        return self.order(mutant, chosen)

    def _choose_by_function(self, mutant: Mutant) -> set[str]:
        top, bottom = mutant.function_lines
        lines = range(top + 1, bottom + 1)
        return set().union(*(self.lines.get((mutant.file, line), set()) for line in lines))

    def _choose_by_line(self, mutant: Mutant) -> set[str]:
        first, last = mutant.lines
        top, bottom = mutant.function_lines
        # Of a call in several lines not each has a line of its own in the code.
        for spare in (0, 1, 3, bottom - top):
            lines = range(max(first - spare, top + 1), min(last + spare, bottom) + 1)
            chosen = set().union(*(self.lines.get((mutant.file, line), set()) for line in lines))
            if chosen:
                return chosen
        return set()

    def order(self, mutant: Mutant, tests: set[str]) -> list[str]:
        """Return the tests, first those that killed others of the same function, then the quick ones."""
        key = f"{mutant.file} {mutant.where}"
        return sorted(tests, key=lambda test: (-self.kills[key, test], self.durations.get(test, 0.0), test))

    def note(self, result: Result) -> None:
        """Remember what killed a mutant."""
        if result.killer:
            self.kills[f"{result.mutant.file} {result.mutant.where}", result.killer] += 1

    def patience(self, test: str | None) -> float:
        """Return how long a test may take."""
        return PATIENCE + _SLOWNESS * self.durations.get(test or "", 1.0)


class _Selected:
    """The part of pytest's plugin that both ways of running have: one event loop will do."""

    failed = False

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        out = [item for item in items if "trio" in _params(item)]
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if "trio" not in _params(item)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed = self.failed or report.failed


def _params(item: pytest.Item) -> list[object]:
    callspec = getattr(item, "callspec", None)
    return [] if callspec is None else [callspec.params.get("anyio_backend")]


class MutantLoop(_Selected):
    """The plugin that runs the collected tests, first as they are, then under each mutant."""

    def __init__(self, room: Room, mutants: Sequence[Mutant], send: Send) -> None:
        self._room, self._mutants, self._send = room, mutants, send
        self._recorded: set[str] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        # Forked processes share it.
        folder = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        self._record_statements()
        gc.freeze()
        baseline = self._measure(list(items.values()))
        self._send(baseline)
        for mutant in self._mutants:
            chosen = [items[test] for test in baseline.choose(mutant)]
            result = run_mutant(mutant, baseline, lambda send: self._run(chosen, mutant, send))  # noqa: B023
            restore(mutant)
            baseline.note(result)
            self._send(result)
            _empty(folder)
        return True

    def _run(self, items: Sequence[pytest.Item], mutant: Mutant, send: Send) -> None:
        patch(mutant)
        for item, following in _pairs(items):
            send(item.nodeid)
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                send(Result(mutant, Verdict.KILLED, item.nodeid))
                # Databases, servers.
                item.session._setupstate.teardown_exact(None)
                return
        send(Result(mutant, Verdict.SURVIVED, tests=len(items)))

    def _record_statements(self) -> None:
        """Note by which statements a test comes."""
        tables: dict[int, _Recorded] = {}
        for module, queries in list(query_tables()):
            table = tables.setdefault(id(queries), _Recorded(queries, self._recorded))
            for name in ("SQL", "JOBS"):
                if vars(module).get(name) is queries:
                    setattr(module, name, table)

    def _measure(self, items: Sequence[pytest.Item]) -> Baseline:
        def work(send: Send) -> None:
            send(self._measure_here(items))

        (baseline,) = forked(work, lambda _message: 1_000.0)
        assert isinstance(baseline, Baseline)
        return baseline

    def _measure_here(self, items: Sequence[pytest.Item]) -> Baseline:
        files = [str(ROOT / file) for file in self._room.files if file.endswith(".py")]
        measured = coverage.Coverage(data_file=None, include=files or ["none"], config_file=False)
        # The other core of it knows no contexts.
        measured.set_option("run:core", "ctrace")
        # Some tests leave themselves out of a measurement that they find.
        coverage.Coverage.current = classmethod(lambda cls: None)  # type: ignore[method-assign,assignment]
        baseline = Baseline(
            modules=[name for name in sys.modules if not name.startswith(("vavasms", "tests"))]
        )
        measured.start()
        for item, following in _pairs(items):
            measured.switch_context(item.nodeid)
            self._recorded.clear()
            self.failed = False
            begin = time.monotonic()
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            baseline.durations[item.nodeid] = time.monotonic() - begin
            for name in self._recorded:
                baseline.statements.setdefault(name, set()).add(item.nodeid)
            if self.failed:
                baseline.failed.append(item.nodeid)
        measured.stop()
        data = measured.get_data()
        for file in data.measured_files():
            name = Path(file).relative_to(ROOT).as_posix()
            for line, tests in data.contexts_by_lineno(file).items():
                baseline.lines[name, line] = {test for test in tests if test}
        return baseline


class _Recorded(dict[str, str]):
    """A table of queries that notes which are asked for."""

    def __init__(self, queries: dict[str, str], names: set[str]) -> None:
        super().__init__(queries)
        self._names = names

    def __getitem__(self, name: str) -> str:
        self._names.add(name)
        return super().__getitem__(name)


class MutantImport(_Selected):
    """The plugin that runs the tests on modules as a mutant has them, up to the first that fails."""

    def __init__(self, mutant: Mutant, chosen: Sequence[str], send: Send) -> None:
        self._mutant, self._send = mutant, send
        self._places = {test: place for place, test in enumerate(chosen)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        places = self._places
        items[:] = sorted(
            (item for item in items if item.nodeid in places), key=lambda item: places[item.nodeid]
        )

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._send(nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        if self.failed:
            self._send(Result(self._mutant, Verdict.KILLED, nodeid))

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.OK:
            self._send(Result(self._mutant, Verdict.SURVIVED, tests=len(self._places)))


def preload(modules: Sequence[str]) -> None:
    """Import what tests need of other packages, once for all the processes that are forked from this one."""
    for name in modules:
        # What is no module of its own, or no longer there.
        with suppress(Exception):
            importlib.import_module(name)


def run_import(mutant: Mutant, baseline: Baseline, arguments: Sequence[str]) -> Result:
    """Return what becomes of a mutant of a module, imported anew."""
    chosen = baseline.choose(mutant)
    files = sorted({test.partition("::")[0] for test in chosen})

    def work(send: Send) -> None:
        sys.meta_path.insert(0, MutantFinder(mutant))
        pytest.main(["-x", *arguments, *files], [MutantImport(mutant, chosen, send)])

    return run_mutant(mutant, baseline, work)


def run_mutant(mutant: Mutant, baseline: Baseline, work: Callable[[Send], None]) -> Result:
    """Return what becomes of a mutant.

    A test that hung is run a second time: on a machine that was busy, or slept, any test seems to hang.
    """
    result = _follow(mutant, baseline, work)
    return _follow(mutant, baseline, work) if result.verdict is Verdict.TIMEOUT else result


def _follow(mutant: Mutant, baseline: Baseline, work: Callable[[Send], None]) -> Result:
    """Return what the process of a mutant says: the tests that it begins, then the result."""
    test = ""
    try:
        for message in forked(
            work, lambda begun: baseline.patience(begun if isinstance(begun, str) else None)
        ):
            if isinstance(message, Result):
                return message
            test = message
    except ChildHungError:
        return Result(mutant, Verdict.TIMEOUT, test)
    # It ended without a word: by a crash, or in an import.
    return Result(mutant, Verdict.KILLED, test)


def _pairs(items: Sequence[pytest.Item]) -> Iterator[tuple[pytest.Item, pytest.Item | None]]:
    return zip(items, [*items[1:], None], strict=bool(items))


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def arguments_of(room: Room, folder: Path) -> list[str]:
    """Return how pytest is called for a room."""
    keyword = ["-k", room.keyword] if room.keyword else []
    fixed = [
        "-q",
        "-m",
        "not full and not slow",
        "-p",
        "no:cacheprovider",
        "--capture=no",
        "--hypothesis-seed=0",
    ]
    # With rewritten assertions another importer would stand before ours.
    fixed += ["--assert=plain"]
    # Of what is frozen the collector names no owner, and hypothesis takes its generators for lost.
    fixed += ["-W", "ignore:It looks like `register_random`:hypothesis.errors.HypothesisWarning"]
    return [*fixed, f"--basetemp={folder}", f"--rootdir={os.fspath(ROOT)}", *keyword]


def collect_and_run(room: Room, mutants: Sequence[Mutant], folder: Path) -> Callable[[Send], None]:
    """Return the work of a process that collects a room's tests and runs them under the mutants."""

    def work(send: Send) -> None:
        # The process of a mutant ends with this one.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        arguments = [*arguments_of(room, folder), *room.tests]
        code: Any = pytest.main(arguments, [MutantLoop(room, mutants, send)])
        send(int(code))

    return work
