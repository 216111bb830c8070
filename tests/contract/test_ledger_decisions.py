"""After a crash: what becomes unknown, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

import pytest

from vavasms.errors import InvalidInputError, LedgerBusyError
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import BatchRecord, Claim, StoredBatch
from vavasms.ledger.states import BatchEvent, BatchState, CampaignState

pytestmark = pytest.mark.anyio

Run = Callable[..., Awaitable[None]]
Take = Callable[..., Awaitable[Claim]]
TryClaim = Callable[..., Awaitable[Claim | None]]
Orphan = Callable[[], AbstractAsyncContextManager[Mapping[str, Sequence[int]]]]

NOTHING = BatchRecord()
SENT = BatchRecord(lot_id="L1", message_ids=("m1",), error="ServerError: It broke.", code="gateway.server")


async def _batch(ledger: Ledger, number: int = 0) -> StoredBatch:
    return (await ledger.batches("c", after=number - 1, limit=1))[0]


async def _lose(ledger: Ledger, made: Claim) -> None:
    assert await ledger.settle(made, BatchEvent.MARK_UNKNOWN, SENT)


async def test_what_a_dead_runner_was_sending_is_unknown_and_never_queued(
    ledger: Ledger, run: Run, take: Take, orphan: Orphan
) -> None:
    await run("c", 1, 2, 3)
    await run("d", 4)
    await run("e", 5)
    for key, number in (("c", 0), ("c", 2), ("d", 0)):
        await take(key, number)
    async with orphan() as found:
        assert {key: list(numbers) for key, numbers in found.items()} == {"c": [0, 2], "d": [0]}
        status = await ledger.status("c")
        assert (status.unknown, status.queued, status.sending) == (4, 2, 0)
        assert status.state is CampaignState.RUNNING
    stored = await _batch(ledger)
    # Without a word it would read like a plain success.
    assert stored.record.error == "OutcomeUnknownError: The process ended while this was being sent."
    assert stored.sending_at == 1000.0


async def test_one_runner_has_the_ledger(ledger: Ledger, run: Run, take: Take, embedded: None) -> None:
    await run("c", 1)
    async with ledger.take_over(1.0):
        await take("c")
        with pytest.raises(LedgerBusyError):
            async with ledger.take_over(2.0):
                raise AssertionError("two runners at a time")
        assert (await _batch(ledger)).state is BatchState.SENDING
    with pytest.raises(KeyError):
        async with ledger.take_over(3.0):
            raise KeyError("the runner broke")
    async with ledger.take_over(4.0) as found:
        assert not found


async def test_what_was_left_loading_is_cancelled(ledger: Ledger, create: Run, embedded: None) -> None:
    await create("c", 2, 1)
    async with ledger.take_over(2000.0) as found:
        assert not found
    status = await ledger.status("c")
    assert (status.state, status.not_sent, status.queued) == (CampaignState.CANCELLED, 3, 0)
    assert status.reason


async def test_a_campaign_is_cancelled_while_a_runner_sends(ledger: Ledger, run: Run, take: Take) -> None:
    await run("c", 1, 2)
    async with ledger.take_over(1.0):
        made = await take("c")
        assert await ledger.cancel("c", "enough")
        status = await ledger.status("c")
        assert (status.sending, status.not_sent) == (1, 2)
        assert await ledger.settle(made, BatchEvent.ACCEPT, NOTHING)
    assert (await ledger.status("c")).accepted == 1


async def test_the_batches_to_decide_on_are_shown(ledger: Ledger, run: Run, take: Take) -> None:
    await run("c", 1, 1, 1)
    await _lose(ledger, await take("c", 2))
    await _lose(ledger, await take("c"))
    await take("c", 1)
    unknown = await ledger.unknown("c")
    assert [batch.number for batch in unknown] == [0, 2]
    assert unknown[0] == await _batch(ledger)


async def test_what_was_seen_to_be_sent_is_accepted_with_the_note(
    ledger: Ledger, run: Run, take: Take
) -> None:
    await run("c", 1, 1)
    await _lose(ledger, await take("c"))
    assert await ledger.mark_sent("c", [0, 1, 7], note="seen in the portal") == 1
    stored = await _batch(ledger)
    assert stored.state is BatchState.ACCEPTED
    assert stored.record == BatchRecord(lot_id="L1", message_ids=("m1",), error="seen in the portal")
    assert await ledger.mark_sent("c", [0], note="again") == 0
    assert (await _batch(ledger)).record.error == "seen in the portal"


async def test_a_note_is_written_where_nothing_was_answered(ledger: Ledger, run: Run, take: Take) -> None:
    await run("c", 1)
    assert await ledger.settle(await take("c"), BatchEvent.MARK_UNKNOWN, NOTHING)
    await ledger.cancel("c", "enough")
    assert await ledger.mark_sent("c", [0], note="seen") == 1
    assert (await _batch(ledger)).record == BatchRecord(error="seen")


async def test_only_what_was_claimed_long_enough_ago_is_sent_again(
    ledger: Ledger, run: Run, take: Take
) -> None:
    await run("c", 1, 1)
    await _lose(ledger, await take("c", now=1000.0))
    await _lose(ledger, await take("c", 1, now=1001.0))
    assert await ledger.resend("c", [0, 1], sent_before=1001.0) == 1
    assert [batch.number for batch in await ledger.unknown("c")] == [1]
    assert [each.number for each in await ledger.queued("c", after=-1, limit=9)] == [0]


async def test_only_the_batches_named_are_sent_again(ledger: Ledger, run: Run, take: Take) -> None:
    await run("c", 1, 1, 1)
    for number in (0, 1):
        await _lose(ledger, await take("c", number))
    assert await ledger.resend("c", [1, 2, 9], sent_before=2000.0) == 1
    assert await ledger.resend("c", [], sent_before=2000.0) == 0
    assert [batch.number for batch in await ledger.unknown("c")] == [0]


async def test_only_the_batches_named_are_taken_for_sent(ledger: Ledger, run: Run, take: Take) -> None:
    await run("c", 1, 1, 1)
    for number in (0, 1, 2):
        await _lose(ledger, await take("c", number))
    assert await ledger.mark_sent("c", [1], note="seen") == 1
    assert await ledger.mark_sent("c", [], note="seen") == 0
    assert [batch.number for batch in await ledger.unknown("c")] == [0, 2]


async def test_what_is_sent_again_begins_anew(ledger: Ledger, run: Run, take: Take, orphan: Orphan) -> None:
    await run("c", 1)
    for attempt in (1, 2):
        made = await take("c", now=1000.0 + 60.0 * attempt)
        assert made.attempt == attempt
        if attempt == 1:
            await ledger.settle(made, BatchEvent.REQUEUE, SENT, not_before=1120.0)
    async with orphan():
        pass
    assert await ledger.resend("c", [0], sent_before=2000.0) == 1
    # At once, by whatever clock, and with all its attempts before it; what was said of the first is over.
    assert (await _batch(ledger)).record == NOTHING
    assert (await take("c", now=1119.0)).attempt == 1


async def test_what_was_settled_of_a_cancelled_campaign_is_left_by_the_next_runner(
    ledger: Ledger, run: Run, take: Take, orphan: Orphan
) -> None:
    await run("c", 1, 1, 1, 1)
    for number, event in enumerate((BatchEvent.ACCEPT, BatchEvent.REJECT, BatchEvent.MARK_UNKNOWN)):
        await ledger.settle(await take("c", number), event, SENT)
    await ledger.cancel("c", "enough")
    before = await ledger.status("c")
    async with orphan():
        assert await ledger.status("c") == before
    assert (before.accepted, before.rejected, before.unknown, before.not_sent) == (1, 1, 1, 1)


async def test_a_running_campaign_sends_again_at_once(ledger: Ledger, run: Run, take: Take) -> None:
    await run("c", 1)
    old = await take("c")
    await _lose(ledger, old)
    assert await ledger.resend("c", [0], sent_before=2000.0) == 1
    status = await ledger.status("c")
    assert (status.state, status.reason, status.queued, status.segments) == (
        CampaignState.RUNNING,
        None,
        1,
        1,
    )
    new = await take("c")
    assert (new.recipients, new.message) == (old.recipients, old.message)


async def test_a_campaign_that_was_done_waits_for_a_person_before_it_sends_again(
    ledger: Ledger, run: Run, take: Take, claim: TryClaim
) -> None:
    await run("c", 1, 1, 1)
    for number in (0, 1, 2):
        await _lose(ledger, await take("c", number))
    assert await ledger.finish("c")
    assert await ledger.resend("c", [0], sent_before=1.0) == 0
    assert (await ledger.campaign("c")).state is CampaignState.DONE
    assert await ledger.resend("c", [0, 1, 2], sent_before=2000.0) == 3
    campaign = await ledger.campaign("c")
    assert campaign.state is CampaignState.PAUSED
    assert campaign.reason is not None
    assert "3" in campaign.reason
    assert await claim("c") is None
    assert await ledger.start("c")
    assert (await take("c")).attempt == 1


async def test_a_paused_campaign_stays_paused_when_batches_are_queued_again(
    ledger: Ledger, run: Run, take: Take
) -> None:
    await run("c", 1)
    await _lose(ledger, await take("c"))
    await ledger.pause("c", "lunch")
    assert await ledger.resend("c", [0], sent_before=2000.0) == 1
    campaign = await ledger.campaign("c")
    assert campaign.state is CampaignState.PAUSED
    assert campaign.reason


async def test_nothing_of_a_cancelled_campaign_is_sent_again(ledger: Ledger, run: Run, take: Take) -> None:
    await run("c", 1)
    await _lose(ledger, await take("c"))
    await ledger.cancel("c", "enough")
    with pytest.raises(
        InvalidInputError, match=r"campaign 'c' can be sent again: it is cancelled\.$"
    ) as refused:
        await ledger.resend("c", [0], sent_before=2000.0)
    assert refused.value.error_code == "campaign.ended"
    assert (await _batch(ledger)).state is BatchState.UNKNOWN


async def test_what_was_purged_cannot_be_sent_again_and_stays_unknown(
    ledger: Ledger, run: Run, take: Take
) -> None:
    await run("c", 2)
    await _lose(ledger, await take("c"))
    await ledger.finish("c")
    await ledger.purge("c")
    # Its numbers are gone: queued again it would end as `not_sent`, which nobody knows.
    with pytest.raises(
        InvalidInputError, match=r"campaign 'c' can be sent again: its numbers are forgotten\.$"
    ) as refused:
        await ledger.resend("c", [0], sent_before=2000.0)
    assert refused.value.error_code == "campaign.purged"
    status = await ledger.status("c")
    assert (status.state, status.unknown) == (CampaignState.DONE, 2)
    assert await ledger.mark_sent("c", [0], note="seen") == 1


@pytest.mark.parametrize("event", [*(BatchEvent.ACCEPT, BatchEvent.REQUEUE), None])
async def test_an_answer_after_a_purge_moves_counts_and_loses_none(
    ledger: Ledger, run: Run, take: Take, event: BatchEvent | None
) -> None:
    await run("c", 3)
    made = await take("c")
    await ledger.cancel("c", "enough")
    await ledger.purge("c")
    if event is None:
        await ledger.split(made)
    else:
        assert await ledger.settle(made, event, NOTHING)
    status = await ledger.status("c")
    assert (status.recipients, status.sending, status.queued) == (3, 0, 0)
    assert status.accepted + status.rejected + status.not_sent == 3
    stored = await ledger.batches("c", after=-1, limit=9)
    assert {batch.recipients for batch in stored} == {()}
