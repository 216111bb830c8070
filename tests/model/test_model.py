"""The model's smaller bounds, to their last state; and that a search finds what is there to be found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from tests.model.campaign import CampaignSystem, Scope
from tests.model.conformance import compare_sends, compare_steps, compare_walks
from tests.model.engines import open_postgres
from tests.model.machines import batch_machine, results_of
from tests.model.report import QUICK, main
from tests.model.search import Explorer, State
from tests.model.single import SendSystem
from tests.model.violation import Violation


class Counters:
    """Two counters that must not both be two."""

    doing: tuple[object, ...] = ()
    start: State = (0, 0)

    def canonical(self, state: State) -> State:
        """Return the state with the smaller one first."""
        return min(state, state[::-1])

    def successors(self, state: State) -> Iterator[tuple[tuple[object, ...], State]]:
        """Count one of them on."""
        for place, name in enumerate(("left", "right")):
            self.doing = (name,)
            after = (state[0] + (place == 0), state[1] + (place == 1))
            if after == (2, 2):
                raise Violation("both are two")
            if max(after) < 3:
                yield self.doing, after

    def tell(self, label: tuple[object, ...]) -> str:
        """Return the counter's name."""
        return str(label[0])


def test_a_violation_is_told_by_the_shortest_way_to_it() -> None:
    found = Explorer(Counters()).run()
    assert found.counterexample is not None
    assert found.counterexample.sentence == "both are two"
    # By the names that everyone has at the beginning, though a state and its mirror image are one.
    assert sorted(found.counterexample.trace) == ["left"] * 2 + ["right"] * 2
    assert (found.states, found.depth) == (5, 3)


def test_the_automaton_of_a_batch_sends_once_by_a_claim_that_is_committed() -> None:
    machine = batch_machine(atomic=True)
    assert machine.effects[machine.start].name == "claim"
    for at, effect in enumerate(machine.effects):
        assert {named.name for named in results_of(effect)} >= set(machine.moves[at]) - {"lost"}
        after = [machine.effects[each].name for each in machine.moves[at].values() if each >= 0]
        if effect.name == "answer":
            assert set(after) <= {"settle", "split"}
        if effect.name in ("settle", "split", "abandon"):
            assert set(after) == {"end"}


@pytest.mark.exhaustive
@pytest.mark.slow
def test_every_state_of_a_smaller_model_keeps_every_invariant(tmp_path: Path) -> None:
    report = tmp_path / "model.json"
    assert main(["--quick", "--no-postgres", "--json", str(report)]) == 0
    figures = json.loads(report.read_text("utf-8"))
    assert figures["violation"] is None
    assert figures["searches"].keys() == {search.name for search in QUICK}
    assert figures["states"] == sum(each["states"] for each in figures["searches"].values()) > 10_000
    assert all(each["steps"] > 100 for each in figures["comparisons"])


@pytest.mark.exhaustive
@pytest.mark.slow
def test_postgresql_does_what_the_model_does(postgres: str) -> None:
    campaign = CampaignSystem(Scope(is_shared=True, limits=False, purges=False, opt_outs=0))
    send = SendSystem(is_shared=True)
    assert Explorer(campaign).run().counterexample is None
    assert Explorer(send).run().counterexample is None

    async def compare() -> None:
        async with open_postgres(postgres) as engine:
            assert (await compare_steps(engine, campaign.ledger, 50, 0)).steps > 200
            assert (await compare_sends(engine, send.ledger, 300, 0)).steps == 300
            assert (await compare_walks(engine, 10, 40, 0)).steps > 200

    anyio.run(compare)
