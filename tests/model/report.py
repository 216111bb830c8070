"""The searches and comparisons of a run, what they print, and what they write for a page of evidence."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from attrs import asdict, define, evolve, field, frozen

from tests.model.both import BothSystem
from tests.model.campaign import CampaignSystem, Scope
from tests.model.conformance import Comparison, compare_sends, compare_states, compare_steps, compare_walks
from tests.model.engines import Engine, find_postgres, open_file, open_postgres
from tests.model.search import Counterexample, Exploration, Explorer, System
from tests.model.single import SendSystem
from tests.model.violation import Violation

#: What each state and step was checked for.
INVARIANTS = (
    "a recipient is sent to once at most, and once more for each time that a person had it sent again",
    "nothing is sent before its claim is committed, twice by one claim, or by a claim that the ledger gave up",
    "every recipient is in exactly one place",
    "who may have a message is accepted, unknown, under way, or counted as an earlier attempt nobody knows of",
    "nobody may have a message who is rejected, cancelled or left out",
    "nothing is accepted that was never sent, unless a person said so",
    "a caller is told that nothing was sent only where that is proven",
    "counts, segments and budget are those of the rows",
    "no claim spends more than the budget",
    "what is accepted, rejected or cancelled stays so; a cancelled campaign stays cancelled",
    "an answer to an older claim changes nothing",
    "nothing is claimed by limits that were changed, of a campaign that does not run, or for who opted out",
    "a key is free only once its send is decided",
    "a purged campaign keeps no text and no message id",
    "no step of a batch changes another, none of a campaign a single send, none of a send a campaign",
)


@frozen(kw_only=True)
class Search:
    """A search, by a name that says how far it goes."""

    name: str
    make: Callable[[], System]


def _campaign(name: str, scope: Scope) -> Search:
    return Search(name=f"campaign, {name}", make=lambda: CampaignSystem(scope))


def _both(name: str, scope: Scope) -> Search:
    bare = evolve(scope, resends=0, opt_outs=0, limits=False, purges=False)
    return Search(name=f"campaign and send, {name}", make=lambda: BothSystem(bare))


_FILE, _SHARED = Scope(is_shared=False), Scope(is_shared=True)
_SENDS = (
    Search(name="single send, a file", make=lambda: SendSystem(is_shared=False)),
    Search(name="single send, shared", make=lambda: SendSystem(is_shared=True)),
)
FULL = (
    *_SENDS,
    _campaign("a file", evolve(_FILE, slots=2)),
    _campaign("shared", _SHARED),
    _campaign("a file, lots not atomic", evolve(_FILE, slots=2, atomic=False)),
    _campaign("shared, lots not atomic", evolve(_SHARED, atomic=False)),
    _both("a file", _FILE),
    _both("shared, lots not atomic", evolve(_SHARED, atomic=False)),
)
QUICK = (
    *_SENDS,
    _campaign("a file, no limits", evolve(_FILE, limits=False)),
    _campaign("shared, no limits, no purges", evolve(_SHARED, limits=False, purges=False, opt_outs=0)),
    _campaign("shared, lots not atomic, no limits", evolve(_SHARED, atomic=False, limits=False)),
    _both("a file, lots not atomic", evolve(_FILE, atomic=False)),
)


@define
class Run:
    """What came of all of it."""

    seed: int
    searches: dict[str, Exploration] = field(factory=dict)
    comparisons: list[Comparison] = field(factory=list)
    systems: dict[str, System] = field(factory=dict)
    #: What must not be, and where it was found.
    violation: Counterexample | None = None
    found_by: str = ""

    def search(self, search: Search) -> None:
        """Search a system."""
        self.found_by = search.name
        try:
            system = search.make()
        except Violation as violation:
            self.violation = Counterexample(sentence=str(violation), trace=())
            return
        found = Explorer(system).run()
        self.searches[search.name], self.systems[search.name] = found, system
        self.violation = found.counterexample
        print(
            f"{search.name}: {found.states:,} states, {found.edges:,} steps, {found.depth} deep,"
            f" {found.seconds:.1f} s",
            flush=True,
        )

    def compare(self, url: str | None, *, size: int) -> None:
        """Compare the systems with the shipped ledgers."""
        self.found_by = "comparison with the ledgers"
        try:
            for name, system in self.systems.items():
                if isinstance(system, CampaignSystem):
                    states = self.searches[name].found
                    self._add(compare_states(system, states, size // 4, self.seed))
            anyio.run(self._compare_engines, url, size)
        except Violation as violation:
            self.violation = Counterexample(sentence=str(violation), trace=())

    async def _compare_engines(self, url: str | None, size: int) -> None:
        with TemporaryDirectory() as folder:
            async with open_file(Path(folder)) as engine:
                await self._compare_engine(engine, size)
        if url is not None:
            async with open_postgres(url) as engine:
                await self._compare_engine(engine, size)

    async def _compare_engine(self, engine: Engine, size: int) -> None:
        for system in self.systems.values():
            if isinstance(system, CampaignSystem) and system.scope.is_shared is engine.is_shared:
                self._add(await compare_steps(engine, system.ledger, size, self.seed))
            if isinstance(system, SendSystem) and system.is_shared is engine.is_shared:
                self._add(await compare_sends(engine, system.ledger, 4 * size, self.seed))
        self._add(await compare_walks(engine, size // 4, 40, self.seed))

    def _add(self, comparison: Comparison) -> None:
        self.comparisons.append(comparison)
        print(f"{comparison.name}: {comparison.steps:,} compared", flush=True)

    @property
    def figures(self) -> dict[str, object]:
        """What a page of evidence shows."""
        found = self.searches.values()
        return {
            "states": sum([each.states for each in found]),
            "edges": sum([each.edges for each in found]),
            "depth": max([each.depth for each in found], default=0),
            "seconds": round(time.process_time(), 1),
            "seed": self.seed,
            "searches": {
                name: {
                    "states": each.states,
                    "edges": each.edges,
                    "depth": each.depth,
                    "seconds": each.seconds,
                }
                for name, each in self.searches.items()
            },
            "comparisons": [asdict(each) for each in self.comparisons],
            "invariants": list(INVARIANTS),
            "violation": None
            if self.violation is None
            else {"found_by": self.found_by, **asdict(self.violation)},
        }


def run_all(searches: Sequence[Search], *, seed: int, url: str | None = None, size: int = 400) -> Run:
    """Search each system, then compare them with the shipped ledgers; end at the first violation."""
    run = Run(seed)
    for search in searches:
        run.search(search)
        if run.violation is not None:
            return run
    run.compare(url, size=size)
    return run


def describe(run: Run) -> Iterator[str]:
    """Yield the lines of the end."""
    if run.violation is None:
        total = run.figures
        yield f"{total['states']:,} states and {total['edges']:,} steps: all {len(INVARIANTS)} invariants hold"
        return
    states = sum([each.states for each in run.searches.values()])
    yield f"VIOLATION after {states:,} states, by {run.found_by}: {run.violation.sentence}"
    yield from [f"  {number}. {step}" for number, step in enumerate(run.violation.trace, 1)]


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    parser = ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller bounds: seconds, not minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--seed", type=int, default=0, help="of what is compared by chance")
    parser.add_argument("--no-postgres", action="store_true", help="compare with SQLite alone")
    options = parser.parse_args(arguments)
    with find_postgres(is_wanted=not options.no_postgres) as url:
        if url is None:
            print("There is no PostgreSQL here: only SQLite is compared.")
        run = run_all(QUICK if options.quick else FULL, seed=options.seed, url=url)
    print("\n".join(describe(run)))
    if options.json is not None:
        options.json.write_text(json.dumps(run.figures, indent=2) + "\n", encoding="utf-8")
    return 0 if run.violation is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
