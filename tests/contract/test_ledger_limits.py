"""To whom nothing is sent, and what may be spent: opt-outs, daily caps, budgets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import pytest

from vavasms.errors import InvalidInputError
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import BatchRecord, Claim, Exclusion, StoredBatch
from vavasms.ledger.sends import NewSend, SendClaim
from vavasms.ledger.states import BatchEvent, BatchState, CampaignState
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

Run = Callable[..., Awaitable[None]]
Take = Callable[..., Awaitable[Claim]]
TryClaim = Callable[..., Awaitable[Claim | None]]
Orphan = Callable[[], AbstractAsyncContextManager[object]]
Phones = Callable[..., tuple[Msisdn, ...]]

NOTHING = BatchRecord()
DAY = 86_400.0
BUDGET = "the budget does not suffice for the next batch"


async def _batch(ledger: Ledger, number: int = 0, campaign_id: str = "c") -> StoredBatch:
    return (await ledger.batches(campaign_id, after=number - 1, limit=1))[0]


async def test_who_opted_out_is_left_out_for_good(
    ledger: Ledger, run: Run, take: Take, phones: Phones
) -> None:
    await run("c", 3, segments=2)
    one, two, three = phones(3)
    await ledger.add_opt_outs([two], source="inbound", now=1.0)
    made = await take("c")
    assert made.recipients == (one, three)
    status = await ledger.status("c")
    assert (status.sending, status.not_sent, status.segments) == (2, 1, 4)
    await ledger.settle(made, BatchEvent.REQUEUE, NOTHING)
    status = await ledger.status("c")
    assert (status.queued, status.not_sent) == (2, 1)
    assert (await ledger.queued("c", after=-1, limit=1))[0].messages == 2
    await ledger.remove_opt_outs([two])
    await ledger.add_opt_outs([one], source="inbound", now=1.0)
    assert (await take("c")).recipients == (three,)
    out = Exclusion.OPTED_OUT
    assert (await _batch(ledger)).recipients == ((one, out), (two, out), (three, None))


@pytest.mark.parametrize("capped", [False, True])
async def test_a_claim_leaves_out_of_its_own_batch_and_counts_nobody_twice(
    ledger: Ledger, run: Run, take: Take, phones: Phones, capped: bool
) -> None:
    one, two, three, four = phones(4)
    if capped:
        for key, first in (("a", 0), ("b", 2)):
            await run(key, 1, first=first)
            await ledger.settle(await take(key), BatchEvent.ACCEPT, NOTHING)
    else:
        await ledger.add_opt_outs([one, three], source="cli", now=1.0)
    await run("c", 2, 2, daily_cap=1)
    for _ in range(2):
        made = await take("c", now=1001.0)
        assert made.recipients == (two,)
        status = await ledger.status("c")
        assert (status.sending, status.queued, status.not_sent) == (1, 2, 1)
        await ledger.settle(made, BatchEvent.REQUEUE, NOTHING)
    assert (await take("c", 1, now=1001.0)).recipients == (four,)
    assert (await ledger.status("c")).not_sent == 2


async def test_a_batch_of_which_nobody_is_left_is_cancelled_and_no_other(
    ledger: Ledger, run: Run, claim: TryClaim, phones: Phones
) -> None:
    await run("c", 1, 1)
    await ledger.add_opt_outs(phones(1), source="cli", now=1.0)
    assert await claim("c", 0) is None
    assert [(await _batch(ledger, number)).state for number in (0, 1)] == [
        BatchState.CANCELLED,
        BatchState.QUEUED,
    ]


async def test_a_batch_of_which_nobody_is_left_is_cancelled(
    ledger: Ledger, run: Run, claim: TryClaim, phones: Phones
) -> None:
    await run("c", 2, max_segments=1)
    await ledger.add_opt_outs(phones(2), source="cli", now=1.0)
    assert await claim("c") is None
    stored = await _batch(ledger)
    assert (stored.state, stored.sending_at) == (BatchState.CANCELLED, None)
    assert {why for _, why in stored.recipients} == {Exclusion.OPTED_OUT}
    status = await ledger.status("c")
    assert (status.not_sent, status.recipients, status.state) == (2, 2, CampaignState.RUNNING)
    assert await ledger.finish("c")


@pytest.mark.parametrize("doubtful", [False, True])
async def test_one_who_opted_out_and_one_over_the_cap_are_both_left_out(
    ledger: Ledger, run: Run, take: Take, claim: TryClaim, phones: Phones, doubtful: bool
) -> None:
    one, two, three = phones(3)
    await run("a", 1, first=1)
    await ledger.settle(await take("a"), BatchEvent.ACCEPT, NOTHING)
    await run("c", 3, daily_cap=2)
    if doubtful:
        await ledger.settle(await take("c"), BatchEvent.MARK_UNKNOWN, NOTHING)
        await ledger.resend("c", [0], sent_before=2000.0)
    else:
        await run("b", 1, first=1)
        await ledger.settle(await take("b"), BatchEvent.ACCEPT, NOTHING)
    await ledger.add_opt_outs([one], source="cli", now=1.0)
    made = await claim("c", now=1001.0)
    stored = await _batch(ledger)
    status = await ledger.status("c")
    if doubtful:
        # Of whoever may have had it nobody can say that it was not sent.
        assert (made, stored.state, status.unknown) == (None, BatchState.UNKNOWN, 3)
        assert stored.record.error == "A recipient opted out since: decide by hand."
        return
    assert made is not None
    assert made.recipients == (three,)
    assert stored.recipients == ((one, Exclusion.OPTED_OUT), (two, Exclusion.CAPPED), (three, None))
    assert (status.sending, status.not_sent, status.recipients) == (1, 2, 3)


@pytest.mark.parametrize(
    ("event", "counts"),
    [
        (None, True),
        (BatchEvent.ACCEPT, True),
        (BatchEvent.MARK_UNKNOWN, True),
        (BatchEvent.REJECT, False),
        (BatchEvent.REQUEUE, False),
    ],
)
async def test_what_a_recipient_had_or_may_have_had_counts_for_the_cap(
    ledger: Ledger, run: Run, take: Take, claim: TryClaim, event: BatchEvent | None, counts: bool
) -> None:
    await run("a", 1)
    made = await take("a")
    if event is not None:
        await ledger.settle(made, event, NOTHING)
    await run("c", 1, daily_cap=1)
    assert (await claim("c", now=1001.0) is None) is counts
    assert (await _batch(ledger)).recipients[0][1] is (Exclusion.CAPPED if counts else None)


async def test_a_cap_counts_over_all_campaigns_of_a_rolling_day(
    ledger: Ledger, run: Run, take: Take, claim: TryClaim, phones: Phones
) -> None:
    for key, now in (("a", 1000.0), ("b", 2000.0)):
        await run(key, 2)
        await ledger.settle(await take(key, now=now), BatchEvent.ACCEPT, NOTHING)
    await run("c", 3, daily_cap=2)
    await run("d", 3, daily_cap=2)
    await run("e", 1)
    # Two of the three had two; the day of the first message ends when it is 24 hours old.
    assert (await take("c", now=999.0 + DAY)).recipients == phones(1, 2)
    assert (await take("d", now=1000.0 + DAY)).recipients == phones(3)
    assert await claim("e", now=2000.0) is not None
    assert (await ledger.status("c")).not_sent == 2


async def test_who_was_left_out_had_no_message(
    ledger: Ledger, run: Run, take: Take, claim: TryClaim, phones: Phones
) -> None:
    one, _two = phones(2)
    await ledger.add_opt_outs([one], source="cli", now=1.0)
    await run("a", 2)
    await take("a")
    await ledger.remove_opt_outs([one])
    await run("c", 2, daily_cap=1)
    assert (await take("c", now=1001.0)).recipients == (one,)


async def test_who_was_left_out_of_a_second_attempt_had_no_message(
    ledger: Ledger, run: Run, take: Take, phones: Phones
) -> None:
    one = phones(1)
    await run("a", 2)
    await ledger.settle(await take("a"), BatchEvent.REQUEUE, NOTHING)
    await ledger.add_opt_outs(one, source="cli", now=1.0)
    await ledger.settle(await take("a"), BatchEvent.ACCEPT, NOTHING)
    await ledger.remove_opt_outs(one)
    await run("c", 2, daily_cap=1)
    assert (await take("c", now=1001.0)).recipients == one


async def test_a_budget_is_spent_to_the_last_segment_and_no_further(
    ledger: Ledger, run: Run, take: Take, claim: TryClaim
) -> None:
    await run("c", 3, 2, 1, segments=2, max_segments=10)
    await take("c")
    await take("c", 1)
    assert await claim("c", 2) is None
    status = await ledger.status("c")
    assert (status.state, status.reason, status.segments) == (CampaignState.PAUSED, BUDGET, 10)
    assert (await _batch(ledger, 2)).state is BatchState.QUEUED
    await ledger.start("c")
    assert await claim("c", 2) is None
    assert (await ledger.campaign("c")).state is CampaignState.PAUSED


@pytest.mark.parametrize(
    ("event", "frees"),
    [
        (BatchEvent.ACCEPT, False),
        (BatchEvent.MARK_UNKNOWN, False),
        (BatchEvent.REJECT, True),
        (BatchEvent.REQUEUE, True),
    ],
)
@pytest.mark.parametrize("orphaned", [False, True])
async def test_what_was_surely_not_sent_is_free_to_be_spent(
    ledger: Ledger,
    run: Run,
    take: Take,
    claim: TryClaim,
    orphan: Orphan,
    event: BatchEvent,
    frees: bool,
    orphaned: bool,
) -> None:
    await run("c", 2, 2, max_segments=3)
    made = await take("c")
    if orphaned:
        async with orphan():
            pass
    await ledger.settle(made, event, NOTHING)
    assert (await claim("c", 1) is not None) is frees
    assert (await ledger.status("c")).segments == 2


async def test_a_persons_word_counts_for_the_budget(
    ledger: Ledger, run: Run, take: Take, claim: TryClaim
) -> None:
    await run("c", 2, 2, 2, max_segments=4)
    for number in (0, 1):
        await ledger.settle(await take("c", number), BatchEvent.MARK_UNKNOWN, NOTHING)
    await ledger.mark_sent("c", [0], note="seen")
    assert await claim("c", 2) is None
    # Sent again or not, the first attempt may have been paid.
    await ledger.resend("c", [1], sent_before=2000.0)
    for number in (1, 2):
        await ledger.start("c")
        assert await claim("c", number) is None


async def test_who_is_left_out_costs_no_budget(ledger: Ledger, run: Run, take: Take, phones: Phones) -> None:
    await run("c", 3, max_segments=2)
    await ledger.add_opt_outs(phones(1), source="cli", now=1.0)
    assert len((await take("c")).recipients) == 2


async def test_what_was_surely_not_sent_frees_what_it_cost_without_who_was_left_out(
    ledger: Ledger, run: Run, take: Take, claim: TryClaim, phones: Phones
) -> None:
    await run("c", 3, 4, max_segments=3)
    await ledger.add_opt_outs(phones(1), source="cli", now=1.0)
    await ledger.settle(await take("c"), BatchEvent.REJECT, NOTHING)
    assert await claim("c", 1) is None


async def test_a_campaign_that_waits_can_have_another_budget(
    ledger: Ledger, run: Run, take: Take, claim: TryClaim
) -> None:
    await run("c", 2, 2, 2, max_segments=3)
    # While it runs its limits stand.
    assert not await ledger.set_policy("c", "{}", max_segments=9)
    await take("c", 0)
    assert await claim("c", 1) is None
    assert (await ledger.status("c")).reason == BUDGET
    assert await ledger.set_policy("c", '{"rate": 1}', max_segments=4)
    assert (await ledger.campaign("c")).policy == '{"rate": 1}'
    await ledger.start("c")
    # What was spent before counts.
    await take("c", 1)
    assert await claim("c", 2) is None
    # None counts from now on where none did, and none stops counting.
    assert not await ledger.set_policy("c", "{}", max_segments=None)
    assert (await ledger.campaign("c")).policy == '{"rate": 1}'
    await run("free", 2)
    await ledger.pause("free", "lunch")
    assert not await ledger.set_policy("free", "{}", max_segments=9)
    assert await ledger.set_policy("free", '{"rate": 2}', max_segments=None)
    await ledger.cancel("free", "enough")
    assert not await ledger.set_policy("free", "{}", max_segments=None)
    with pytest.raises(InvalidInputError):
        await ledger.set_policy("none", "{}", max_segments=None)


async def test_a_batch_is_never_claimed_under_limits_that_were_changed(ledger: Ledger, run: Run) -> None:
    await run("c", 1, 1, 1)
    before = (await ledger.campaign("c")).revision
    claim = partial(ledger.claim, "c", worker="w1", now=1000.0)
    assert await claim(0, token="plain", revision=before) is not None
    assert await ledger.pause("c", "lunch")
    assert await ledger.set_policy("c", '{"rate": 5}', max_segments=None)
    assert await ledger.start("c")
    assert await claim(1, token="old", revision=before) is None
    after = (await ledger.campaign("c")).revision
    # It counts up: none comes again.
    assert after == before + 1
    assert await claim(1, token="new", revision=after) is not None
    # Who does not say what it goes by is not asked.
    assert await claim(2, token="any") is not None


@pytest.mark.parametrize("options", [{}, {"daily_cap": 9}, {"max_segments": 9}])
async def test_only_its_own_start_is_paused_by_a_runner(
    ledger: Ledger, run: Run, options: dict[str, int]
) -> None:
    await run("c", 1, **options)
    before = (await ledger.campaign("c")).revision
    # Taken up again by a runner: nobody paused it, and its limits are what they were.
    assert await ledger.start("c")
    assert (await ledger.campaign("c")).revision == before
    assert await ledger.pause("c", "lunch")
    assert await ledger.start("c")
    assert not await ledger.pause("c", "interrupted", revision=before)
    campaign = await ledger.campaign("c")
    assert (campaign.state, campaign.reason) == (CampaignState.RUNNING, None)
    claim = partial(ledger.claim, "c", 0, worker="w1", now=1000.0)
    assert await claim(token="old", revision=before) is None
    assert await claim(token="new", revision=campaign.revision) is not None
    assert await ledger.pause("c", "interrupted", revision=campaign.revision)


async def test_limits_are_changed_only_from_what_whoever_changes_them_has_seen(
    ledger: Ledger, create: Run
) -> None:
    await create("c", 1)
    await ledger.finish_loading("c", plan="{}", plan_hash="hash")
    seen = (await ledger.campaign("c")).policy
    assert await ledger.set_policy("c", '{"rate": 5}', max_segments=None, replacing=seen)
    assert not await ledger.set_policy("c", '{"rate": 9}', max_segments=None, replacing=seen)
    assert (await ledger.campaign("c")).policy == '{"rate": 5}'


async def test_what_an_account_has_under_way_is_counted_in_segments(
    ledger: Ledger, run: Run, take: Take, phones: Phones
) -> None:
    assert await ledger.under_way("ops") == 0
    await run("a", 2, 3, 4, segments=2)
    await run("b", 5, first=9)
    await run("c", 6, first=20, account="other")
    await ledger.add_opt_outs(phones(1), source="cli", now=1.0)
    made = await take("a")
    assert await ledger.under_way("ops") == 2
    await take("a", 1)
    await take("b")
    await take("c")
    assert (await ledger.under_way("ops"), await ledger.under_way("other")) == (2 + 6 + 5, 6)

    def send(account: str) -> NewSend:
        return NewSend(
            account=account, key="k", recipients=phones(3), sender_id="ACME", segments=4, text="Bonjour"
        )

    one = await ledger.sends.begin(send("ops"), token="t1", now=1000.0)
    await ledger.sends.begin(send("other"), token="t2", now=1000.0)
    assert isinstance(one, SendClaim)
    assert (await ledger.under_way("ops"), await ledger.under_way("other")) == (13 + 12, 6 + 12)
    await ledger.settle(made, BatchEvent.ACCEPT, NOTHING)
    await ledger.sends.settle(one, BatchEvent.ACCEPT, NOTHING, now=1001.0)
    assert await ledger.under_way("ops") == 11
