"""Whether the shipped ledgers, as they are shipped, do what the model's do.

The model does the real transactions of SQLite on a connection of its own, and PostgreSQL's ways by SQLite's
means; it keeps what they did, by what they depend on. Three comparisons hold it to what is shipped:

- a sample of its states, with every step done anew on the whole state, not taken from a table;
- one step of each kind that the search met, and more of them by chance, put into a SQLite file and into
  PostgreSQL, and done there by the ledger's public methods;
- walks by chance on both, from a campaign that is submitted as it is in a program, each step foretold.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from attrs import frozen

from tests.model.batches import Batch, Batches, Campaign, CampaignLedger, Change, Person, make_policy
from tests.model.calls import BUDGETS, Step
from tests.model.campaign import CampaignSystem
from tests.model.effects import ACCOUNT, CAMPAIGN, PHONES, SENDER, TEXT
from tests.model.engines import Engine, Seen
from tests.model.search import State
from tests.model.sends import DEAD, SendLedger
from tests.model.violation import Violation
from vavasms.ledger.leases import ORPHAN_AFTER, RESEND_GRACE
from vavasms.ledger.models import NewBatch, NewCampaign
from vavasms.ledger.states import BatchEvent

#: Steps that are transactions of one batch, and do not ask for the budget where there is none.
_OF_ONE_BATCH = frozenset({"claim", "settle", "abandon", "split", "mark_sent", "resend", "orphan"})
_EVENTS = (BatchEvent.ACCEPT, BatchEvent.REJECT, BatchEvent.MARK_UNKNOWN, BatchEvent.REQUEUE)


@frozen(kw_only=True)
class Comparison:
    """What was compared."""

    name: str
    steps: int
    kinds: int = 0


def compare_states(system: CampaignSystem, found: Sequence[State], size: int, seed: int) -> Comparison:
    """Do every step of some states anew. Raises `Violation` where that is not what the tables say."""
    fresh, steps = CampaignSystem(system.scope), 0
    for state in random.Random(seed).sample(found, min(size, len(found))):
        fresh.forget()
        expected = sorted(
            [(words[1:], system.values(after)) for words, after in system.successors(state)], key=repr
        )
        actual = [
            (words[1:], fresh.values(after)) for words, after in fresh.successors(fresh.adopt(system, state))
        ]
        if sorted(actual, key=repr) != expected:
            raise Violation(f"a step depends on more than the model knows: {system.values(state)}")
        steps += len(expected)
    return Comparison(name="states done anew", steps=steps)


async def compare_steps(engine: Engine, ledger: CampaignLedger, more: int, seed: int) -> Comparison:
    """Do a step of each kind, and `more` by chance. Raises `Violation` where the engine does another thing."""
    chosen, kinds = _choose(ledger, more, seed)
    for campaign, batches, step, change in chosen:
        await _compare_step(engine, campaign, batches, step, change, is_limited=True)
        if step.name in _OF_ONE_BATCH and engine.is_shared and not _is_about_money(step, campaign, change):
            await _compare_step(engine, campaign, batches, step, change, is_limited=False)
    return Comparison(name=f"steps of a campaign in {engine.name}", steps=len(chosen), kinds=kinds)


def _choose(
    ledger: CampaignLedger, more: int, seed: int
) -> tuple[list[tuple[Campaign, Batches, Step, Change]], int]:
    first: dict[tuple[object, ...], tuple[object, ...]] = {}
    for kind, (campaign, batches, step, change) in ledger.samples.items():
        states = [(batch.state, batch.doubts > 0) for batch in batches if batch.number == step.number]
        coarse = (
            *step[::2],
            step.is_holder,
            change.answer.split()[0],
            campaign.state,
            campaign.purged,
            *states,
        )
        first.setdefault(coarse, kind)
    others = [kind for kind in ledger.samples if kind not in set(first.values())]
    kinds = [*first.values(), *random.Random(seed).sample(others, min(more, len(others)))]
    return [ledger.samples[kind] for kind in kinds], len(first)


def _is_about_money(step: Step, campaign: Campaign, change: Change) -> bool:
    """Return whether the budget decided: without one it would have been claimed."""
    return step.name == "claim" and campaign.state == "running" and change.answer == "refused"


async def _compare_step(
    engine: Engine, campaign: Campaign, batches: Batches, step: Step, change: Change, *, is_limited: bool
) -> None:
    if step.name == "purge" and step.detail == "begin":
        # Its other transaction follows in the same call.
        change = _complete_purge(change)
    await engine.put(campaign, batches, is_limited=is_limited)
    answer = await engine.calls.do(step)
    seen = await engine.see(batches)
    expected = _normal(change, campaign, is_limited=is_limited)
    is_restart = seen.revision != engine.calls.revision
    actual = Change(seen.campaign, seen.batches, answer, seen.held, is_restart)
    if _normal(actual, campaign, is_limited=is_limited) != expected:
        raise Violation(
            f"{engine.name} does {actual} where the model does {expected}: {step} of {campaign}, {batches}"
        )


def _complete_purge(change: Change) -> Change:
    """Return what a whole purge does, of which this is the first half."""
    if change.answer == "refused":
        return change
    return change._replace(campaign=change.campaign._replace(purged=2))


def _normal(change: Change, campaign: Campaign, *, is_limited: bool) -> Change:
    # A claim is made by a new token, whatever it was before.
    budget = change.campaign.budget if is_limited else campaign.budget
    return change._replace(campaign=change.campaign._replace(budget=budget))


async def compare_sends(engine: Engine, ledger: SendLedger, size: int, seed: int) -> Comparison:
    """Do steps of single sends. Raises `Violation` where the engine does another thing."""
    samples = [*ledger.samples.values()]
    chosen = random.Random(seed).sample(samples, min(size, len(samples)))
    for send, step, change in chosen:
        await engine.put_send(send)
        answer = await engine.do_send(send, step)
        after, is_held = await engine.see_send()
        expected = change._replace(send=change.send._replace(owner=DEAD))
        actual = type(change)(after._replace(owner=DEAD), answer, is_held)
        if actual != expected:
            raise Violation(f"{engine.name} does {actual} where the model does {expected}: {step} of {send}")
    return Comparison(name=f"steps of a single send in {engine.name}", steps=len(chosen), kinds=len(samples))


async def compare_walks(engine: Engine, walks: int, length: int, seed: int) -> Comparison:
    """Walk from a campaign that is submitted. Raises `Violation` at a step that was not foretold."""
    chance, ledger, steps = random.Random(seed), CampaignLedger(is_shared=engine.is_shared), 0
    for _walk in range(walks):
        steps += await _Walk(engine, ledger, chance).run(length)
    return Comparison(name=f"steps of walks in {engine.name}", steps=steps)


START = tuple(
    [
        Batch(number, "queued", 0, 0, tuple(map(Person, people)))
        for number, people in enumerate(((0, 1), (2,)))
    ]
)


class _Walk:
    """A walk by chance through what can be done to a campaign."""

    def __init__(self, engine: Engine, ledger: CampaignLedger, chance: random.Random) -> None:
        self._engine, self._ledger, self._chance = engine, ledger, chance
        self._calls = engine.calls
        #: Who is in the batches: once they are purged the tables do not say.
        self._batches: Batches = ()

    async def run(self, length: int) -> int:
        """Take so many steps; return how many were compared."""
        await self._submit()
        compared = 0
        for number in range(length):
            self._calls.next_token = f"w{number}"
            compared += await self._take()
        return compared

    async def _submit(self) -> None:
        engine, calls = self._engine, self._calls
        await engine.put(Campaign("queued", 0, 0), ())
        await calls.ledger.discard(CAMPAIGN)
        calls.tokens, calls.people = {}, {}
        self._batches = START
        # Long ago: time goes by in the walk.
        calls.now -= 1e6
        new = NewCampaign(
            id=CAMPAIGN,
            account=ACCOUNT,
            sender_id=SENDER,
            message=TEXT,
            policy=make_policy(0),
            max_segments=BUDGETS[0],
            created_at=1.0,
        )
        await calls.ledger.create(new)
        batches = [
            NewBatch(number=number, message=TEXT, segments=1, recipients=people)
            for number, people in enumerate((PHONES[:2], PHONES[2:]))
        ]
        await calls.ledger.load(CAMPAIGN, batches)
        assert await calls.ledger.finish_loading(CAMPAIGN, plan="{}", plan_hash="hash") is None
        await calls.ledger.start(CAMPAIGN)

    async def _take(self) -> int:
        before = await self._engine.see(self._batches)
        self._batches = before.batches
        self._calls.revision = before.revision
        if self._chance.random() < 0.15:
            self._calls.now += self._chance.choice((ORPHAN_AFTER, RESEND_GRACE)) + 1.0
            return 0
        if self._chance.random() < 0.05:
            await self._calls.do(Step("opt_out", detail=self._chance.randrange(len(PHONES))))
            return 0
        step = self._choose(before)
        expected = self._foretell(before, step)
        if expected is None:
            return 0
        if self._engine.is_shared:
            # Its own clock is far ahead of the walk's.
            self._calls.sent_before = self._calls.now - RESEND_GRACE
        answer = await self._calls.do(step)
        after = await self._engine.see(before.batches)
        actual = Change(after.campaign, after.batches, answer, frozenset(), after.revision != before.revision)
        if actual != expected:
            raise Violation(
                f"{self._engine.name} does {actual} where the model does {expected}: {step} of {before}"
            )
        self._learn(step, answer, after)
        return 1

    def _foretell(self, before: Seen, step: Step) -> Change | None:
        """Return what the model does; None where it has no such state."""
        change = self._ledger.execute(before.campaign, before.batches, step)
        if step.name == "purge":
            change = _complete_purge(change)
        return change._replace(held=frozenset())

    def _learn(self, step: Step, answer: str, after: Seen) -> None:
        """Keep the token of a claim that was granted."""
        if step.name == "claim" and answer.startswith("granted"):
            self._calls.tokens[step.number] = self._calls.next_token
            people = [batch.people for batch in after.batches if batch.number == step.number]
            self._calls.people[step.number] = tuple([each.who for each in people[0] if not each.excluded])

    def _choose(self, before: Seen) -> Step:
        number = self._chance.choice([batch.number for batch in before.batches])
        is_holder = number in before.held and self._chance.random() < 0.9
        one = [Step("claim", number, "same")] * 5
        one += [Step("claim", number, "stale"), Step("mark_sent", number), *[Step("resend", number)] * 2]
        one += [Step("settle", number, self._chance.choice(_EVENTS), is_holder)] * 5
        one += [Step(name, number, None, is_holder) for name in ("abandon", "split", "split")]
        every: list[Step] = [Step("start")] * 3
        every += [Step("pause", detail="same"), Step("pause", detail="stale"), Step("finish")]
        every += [Step("limit", detail=1 - before.campaign.budget), self._orphan(number)]
        if self._chance.random() < 0.2:
            every += [Step("cancel"), Step("purge", detail="begin")]
        return self._chance.choice([*one, *every])

    def _orphan(self, number: int) -> Step:
        return Step("orphan", number) if self._engine.is_shared else Step("take_over")
