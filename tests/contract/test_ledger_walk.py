"""Whatever is done in whatever order: nobody is sent to twice, nobody is lost, every count is true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from itertools import count
from pathlib import Path
from typing import Protocol

import anyio
import pytest
from attrs import define, field
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vavasms.errors import InvalidInputError
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import BatchRecord, Claim, NewBatch, NewCampaign, StoredBatch
from vavasms.ledger.states import BatchEvent, BatchState, CampaignState
from vavasms.numbers import Msisdn

pytestmark = [pytest.mark.exhaustive, pytest.mark.slow]

IDS = ("a", "b")
SIZES, SEGMENTS, BUDGET, DAY = (3, 1, 4), 2, 14, 86_400.0
EVENTS = (BatchEvent.ACCEPT, BatchEvent.REJECT, BatchEvent.MARK_UNKNOWN, BatchEvent.REQUEUE)
SPENT = (BatchState.SENDING, BatchState.ACCEPTED, BatchState.UNKNOWN)
#: The claims come more often than each of the others: without them nothing happens.
STEPS = [
    "claim",
    "claim",
    "claim",
    "settle",
    "settle",
    "settle",
    "split",
    "abandon",
    "crash",
    "start",
    "start",
    "pause",
    "interrupt",
    "cancel",
]
STEPS += ["finish", "resend", "mark_sent", "opt_out", "opt_in", "day", "purge"]


@define
class Walker:
    """Do steps, and know by simple means what must never happen."""

    ledger: Ledger
    orphan: Callable[[Ledger], AbstractAsyncContextManager[object]]
    #: Messages a day of the second campaign's recipients.
    cap: int = 1
    now: float = 1000.0
    claims: list[Claim] = field(factory=list)
    #: Who has, or may have, a message of a campaign. Leaves it only by proof or by a person's word.
    reached: set[tuple[str, Msisdn]] = field(factory=set)
    #: The latest claim of each batch, for as long as an answer to it may count.
    live: dict[tuple[str, int], str] = field(factory=dict)
    out: set[Msisdn] = field(factory=set)
    #: How many earlier attempts of what was sent again may have gone out.
    doubts: Counter[tuple[str, Msisdn]] = field(factory=Counter)
    #: Of `reached`, who was refused: they have no message, and nothing is sent to them any more.
    refused: set[tuple[str, Msisdn]] = field(factory=set)
    #: When each was last sent to.
    latest: dict[tuple[str, Msisdn], float] = field(factory=dict)
    #: How often each campaign was started while it did not run.
    starts: Counter[str] = field(factory=Counter)
    purged: set[str] = field(factory=set)
    tokens: count[int] = field(factory=count)

    async def prepare(self) -> None:
        """Start two campaigns, the same people in both; the second with a budget and a cap."""
        limits = {"a": (None, None), "b": (BUDGET, self.cap)}
        for key, (budget, cap) in limits.items():
            new = NewCampaign(
                id=key,
                account="ops",
                sender_id="ACME",
                message="Bonjour",
                created_at=1.0,
                max_segments=budget,
                daily_cap=cap,
            )
            await self.ledger.create(new)
            await self.ledger.load(key, list(_batches()))
            await self.ledger.finish_loading(key, plan="{}", plan_hash=key)
            await self.start(key, 0)

    async def step(self, name: str, key: str, at: int) -> None:
        """Do one step, with what `at` picks."""
        self.now += 1.0
        await getattr(self, name)(key, at)
        for campaign_id in IDS:
            await self.check(campaign_id)

    async def claim(self, key: str, at: int) -> None:
        queued = await self.ledger.queued(key, after=-1, limit=20)
        number = queued[at % len(queued)].number if queued else at
        token = f"token-{next(self.tokens)}"
        # Now and then by limits that may be others by now, now and then by none.
        revision = (None, self.starts[key], self.starts[key] - 1)[at % 3]
        made = await self.ledger.claim(key, number, token=token, worker="w", now=self.now, revision=revision)
        if made is None:
            return
        assert revision in (None, self.starts[key]), "claimed under limits that were changed"
        if key == "b":
            assert all(self.count_day(phone) < self.cap for phone in made.recipients), "over the daily cap"
        self.latest |= {(key, phone): self.now for phone in made.recipients}
        wanted = {(key, phone) for phone in made.recipients}
        assert wanted
        assert not wanted & self.reached, "sent twice"
        assert not self.out.intersection(made.recipients), "sent to one that opted out"
        self.reached |= wanted
        self.claims.append(made)
        self.live[key, made.number] = made.token

    def count_day(self, phone: Msisdn) -> int:
        """Count the messages that someone had, or may have had, in a day, over all campaigns."""
        count = 0
        for key in IDS:
            if key not in self.purged and self.latest.get((key, phone), 0.0) > self.now - DAY:
                count += self.doubts[key, phone] + ((key, phone) in self.reached - self.refused)
        return count

    async def settle(self, key: str, at: int) -> None:
        for made in self.picked(at):
            event = EVENTS[at % len(EVENTS)]
            if await self.ledger.settle(made, event, BatchRecord(error="what was answered")):
                refused = event is BatchEvent.REJECT and self.doubts[made.campaign_id, made.recipients[0]] > 0
                self.answered(made, nothing_left=refused or event is BatchEvent.REQUEUE)
                if event is BatchEvent.REJECT and not refused:
                    self.refused |= {(made.campaign_id, phone) for phone in made.recipients}

    async def abandon(self, key: str, at: int) -> None:
        for made in self.picked(at):
            if await self.ledger.abandon(made.campaign_id, made.number, made.token):
                self.answered(made, nothing_left=True)

    async def split(self, key: str, at: int) -> None:
        for made in self.picked(at):
            if len(made.recipients) > 1 and await self.ledger.split(made):
                self.answered(made, nothing_left=True)

    def picked(self, at: int) -> list[Claim]:
        """Pick one of the claims so far, if there is any; the low bits are left for something else."""
        return [self.claims[at // len(EVENTS) % len(self.claims)]] if self.claims else []

    def answered(self, made: Claim, *, nothing_left: bool) -> None:
        """Note that the answer to this claim counted."""
        assert self.live[made.campaign_id, made.number] == made.token, "a late answer settled a newer attempt"
        if nothing_left:
            del self.live[made.campaign_id, made.number]
            self.reached -= {(made.campaign_id, phone) for phone in made.recipients}

    async def crash(self, key: str, at: int) -> None:
        async with self.orphan(self.ledger):
            for campaign_id in IDS:
                assert (await self.ledger.status(campaign_id)).sending == 0

    async def start(self, key: str, at: int) -> None:
        was_running = (await self.ledger.campaign(key)).state is CampaignState.RUNNING
        if await self.ledger.start(key) and not was_running:
            self.starts[key] += 1
        assert (await self.ledger.campaign(key)).revision == self.starts[key]

    async def pause(self, key: str, at: int) -> None:
        await self.ledger.pause(key, "lunch")

    async def interrupt(self, key: str, at: int) -> None:
        """Pause it as a runner, one of this start or the one before."""
        before, old = await self.ledger.campaign(key), at % 2
        paused = await self.ledger.pause(key, "interrupted", revision=self.starts[key] - old)
        after = await self.ledger.campaign(key)
        if old:
            assert (paused, after) == (False, before), "paused what somebody else had started"

    async def cancel(self, key: str, at: int) -> None:
        # Not every time: most of what can go wrong needs a campaign that lives.
        if at % 3 == 0:
            await self.ledger.cancel(key, "enough")

    async def finish(self, key: str, at: int) -> None:
        await self.ledger.finish(key)

    async def resend(self, key: str, at: int) -> None:
        unknown = await self.ledger.unknown(key)
        chosen = unknown[: at + 1]
        with suppress(InvalidInputError):
            number = await self.ledger.resend(key, [each.number for each in chosen], sent_before=self.now)
            assert number == len(chosen)
            for each in chosen:
                self.live.pop((key, each.number), None)
                again = {(key, phone) for phone, why in each.recipients if why is None}
                self.reached -= again
                self.doubts.update(again)

    async def mark_sent(self, key: str, at: int) -> None:
        unknown = await self.ledger.unknown(key)
        assert await self.ledger.mark_sent(key, [batch.number for batch in unknown[:1]], note="seen") <= 1

    async def opt_out(self, key: str, at: int) -> None:
        phone = _people()[at % len(_people())]
        self.out.add(phone)
        await self.ledger.add_opt_outs([phone], source="inbound", now=self.now)

    async def opt_in(self, key: str, at: int) -> None:
        await self.ledger.remove_opt_outs(self.out)
        self.out.clear()

    async def day(self, key: str, at: int) -> None:
        self.now += DAY

    async def purge(self, key: str, at: int) -> None:
        if at % 3 == 0:
            with suppress(InvalidInputError):
                await self.ledger.purge(key)
                self.purged.add(key)

    async def check(self, key: str) -> None:
        """Compare the counts with the batches, and these with who must be in them."""
        status = await self.ledger.status(key)
        parts = (status.queued, status.sending, status.accepted, status.rejected, status.not_sent)
        assert sum(parts) + status.unknown == status.recipients == sum(SIZES)
        assert min(*parts, status.unknown) >= 0
        if key == "b":
            assert status.segments <= BUDGET
        if status.state is CampaignState.DONE:
            assert status.queued == status.sending == 0
        if status.state is CampaignState.CANCELLED:
            assert status.queued == 0
        batches = await self.ledger.batches(key, after=-1, limit=50)
        assert len(batches) == status.batches
        if key not in self.purged:
            self.check_counts(key, batches, parts, status.unknown, status.segments)

    def check_counts(
        self, key: str, batches: Sequence[StoredBatch], parts: tuple[int, ...], unknown: int, segments: int
    ) -> None:
        states = Counter[BatchState]()
        included: dict[Msisdn, BatchState] = {}
        for batch in batches:
            for phone, why in batch.recipients:
                assert phone not in included
                included[phone] = batch.state if why is None else BatchState.CANCELLED
                states[included[phone]] += 1
        assert sorted(included) == sorted(_people())
        order = (BatchState.QUEUED, BatchState.SENDING, BatchState.ACCEPTED, BatchState.REJECTED)
        assert (*(states[each] for each in order), states[BatchState.CANCELLED]) == parts
        assert states[BatchState.UNKNOWN] == unknown
        self.check_doubts(key, included)
        earlier = sum(number for (each, _), number in self.doubts.items() if each == key)
        assert segments == SEGMENTS * (sum(states[each] for each in SPENT) + earlier)
        # Never lost: who may have a message is not counted among those who wait or were never sent to.
        maybe = {phone for phone, state in included.items() if state in (*SPENT, BatchState.REJECTED)}
        assert maybe == {phone for each, phone in self.reached if each == key}

    def check_doubts(self, key: str, included: Mapping[Msisdn, BatchState]) -> None:
        """See that who may have a message of an earlier attempt waits for another one, or for a person."""
        for each, phone in [*+self.doubts]:
            if each == key and (key, phone) not in self.reached:
                assert included[phone] in (BatchState.QUEUED, BatchState.UNKNOWN), "a doubt was forgotten"
                if included[phone] is BatchState.UNKNOWN:
                    self.doubts[key, phone] -= 1
                    self.reached.add((key, phone))


def _people() -> tuple[Msisdn, ...]:
    return tuple(Msisdn(2250700000100 + index) for index in range(sum(SIZES)))


def _batches() -> Sequence[NewBatch]:
    people, found = _people(), []
    for number, size in enumerate(SIZES):
        found.append(NewBatch(number=number, message="Bonjour", segments=SEGMENTS, recipients=people[:size]))
        people = people[size:]
    return found


class Factory(Protocol):
    """What `conftest` gives."""

    open: Callable[[Path], AbstractAsyncContextManager[Ledger]]
    orphan: Callable[[Ledger], AbstractAsyncContextManager[object]]
    backends: tuple[str, ...]
    walks: int


Walk = list[tuple[str, str, int]]


WALKS = st.lists(
    st.tuples(st.sampled_from(STEPS), st.sampled_from(IDS), st.integers(0, 31)), min_size=15, max_size=50
)
# No two runs differ.
SETTINGS = settings(derandomize=True, database=None)


def check_walks(factory: Factory, tmp_path_factory: pytest.TempPathFactory, walks: int) -> None:
    async def go(walk: Walk) -> None:
        async with factory.open(tmp_path_factory.mktemp("walk")) as ledger:
            walker = Walker(ledger=ledger, orphan=factory.orphan, cap=1 + len(walk) % 2)
            await walker.prepare()
            for name, key, at in walk:
                await walker.step(name, key, at)

    @given(WALKS)
    # Sent again after a crash; the answer to the first attempt, then an answer to the second.
    @example(
        [("claim", "a", 0), ("crash", "a", 0), ("resend", "a", 0), ("claim", "a", 0), ("settle", "a", 3)]
    )
    # Turned back by a worker taken for dead, after the campaign was done.
    @example([*[("claim", "a", 0)] * 3, ("crash", "a", 0), ("finish", "a", 0), ("settle", "a", 3)])
    @example([*[("claim", "a", 0)] * 3, ("crash", "a", 0), ("finish", "a", 0), ("split", "a", 0)])
    # Two of the first campaign may have come, one of them for sure: under a cap of two there is no third.
    @example(
        [
            *[("claim", "a", 0), ("crash", "a", 0), ("resend", "a", 0), ("claim", "a", 0)],
            *[("settle", "a", 4), ("claim", "b", 0), ("claim", "b", 0)],
        ]
    )
    # A runner goes by a start that is over.
    @example(
        [("pause", "a", 0), ("start", "a", 0), ("claim", "a", 2), ("interrupt", "a", 1), ("claim", "a", 1)]
    )
    # Left out in one half of a batch that was split.
    @example(
        [("opt_out", "b", 1), ("claim", "b", 0), ("split", "b", 0), ("opt_in", "b", 0), ("claim", "b", 2)]
    )
    @settings(SETTINGS, max_examples=walks)
    def take(walk: Walk) -> None:
        # Each loop has its share of the walks.
        anyio.run(go, walk, backend=factory.backends[len(walk) % len(factory.backends)])

    take()


def test_every_recipient_is_in_one_place_whatever_happens(
    factory: Factory, tmp_path_factory: pytest.TempPathFactory
) -> None:
    check_walks(factory, tmp_path_factory, factory.walks)


@pytest.mark.full
def test_every_recipient_is_in_one_place_on_every_long_walk(
    factory: Factory, tmp_path_factory: pytest.TempPathFactory
) -> None:
    check_walks(factory, tmp_path_factory, 5 * factory.walks)
