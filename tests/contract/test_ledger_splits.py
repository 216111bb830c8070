"""A lot that was refused as a whole is tried again in halves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import pytest

from vavasms.errors import InvalidInputError
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import BatchRecord, Claim, Exclusion, StoredBatch
from vavasms.ledger.states import BatchEvent
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

Run = Callable[..., Awaitable[None]]
Take = Callable[..., Awaitable[Claim]]
TryClaim = Callable[..., Awaitable[Claim | None]]
Phones = Callable[..., tuple[Msisdn, ...]]

NOTHING = BatchRecord()
DAY = 86_400.0
BUDGET = "the budget does not suffice for the next batch"


@pytest.mark.parametrize("size", [2, 5, 100])
async def test_a_lot_refused_as_a_whole_is_queued_in_halves(
    ledger: Ledger, run: Run, take: Take, phones: Phones, size: int
) -> None:
    await run("c", 1, size, 1, segments=2, max_segments=2 * size)
    made = await take("c", 1)
    found = await ledger.split(made)
    assert found is not None
    assert min(found) > 2
    assert [batch.number for batch in await ledger.queued("c", after=-1, limit=9)] == [0, 2, *found]
    halves = [await take("c", number) for number in found]
    assert halves[0].recipients + halves[1].recipients == made.recipients
    assert abs(len(halves[0].recipients) - len(halves[1].recipients)) <= 1
    assert [(halve.message, halve.segments, halve.attempt) for halve in halves] == [("Text 1", 2, 1)] * 2
    assert (await ledger.status("c")).recipients == size + 2
    assert not await ledger.settle(made, BatchEvent.ACCEPT, NOTHING)
    assert await ledger.split(made) is None


async def test_a_split_keeps_who_was_left_out(ledger: Ledger, run: Run, take: Take, phones: Phones) -> None:
    await run("c", 6)
    await ledger.add_opt_outs([phones(6)[0], phones(6)[3], phones(6)[5]], source="cli", now=1.0)
    made = await take("c")
    found = await ledger.split(made)
    assert found is not None
    status = await ledger.status("c")
    assert (status.recipients, status.queued, status.not_sent) == (6, 3, 3)
    stored = _everyone(await ledger.batches("c", after=-1, limit=9))
    assert sorted(phone for phone, _ in stored) == sorted(phones(6))
    assert tuple(sorted(phone for phone, why in stored if why is None)) == made.recipients
    # Halves of those who are left: with nobody in it a half would be none.
    assert [len((await take("c", number)).recipients) for number in found] == [1, 2]


def _everyone(batches: Sequence[StoredBatch]) -> list[tuple[Msisdn, Exclusion | None]]:
    return [recipient for batch in batches for recipient in batch.recipients]


async def test_the_halves_of_a_cancelled_campaign_are_cancelled(ledger: Ledger, run: Run, take: Take) -> None:
    await run("c", 3)
    made = await take("c")
    await ledger.cancel("c", "enough")
    await ledger.split(made)
    assert (await ledger.status("c")).not_sent == 3


async def test_one_recipient_cannot_be_halved(ledger: Ledger, run: Run, take: Take) -> None:
    await run("c", 1)
    made = await take("c")
    with pytest.raises(InvalidInputError) as refused:
        await ledger.split(made)
    assert refused.value.error_code == "campaign.one_recipient"
    assert await ledger.settle(made, BatchEvent.REJECT, NOTHING)


async def test_messages_of_a_batch_that_was_split_count_once_for_the_cap(
    ledger: Ledger, run: Run, take: Take, phones: Phones
) -> None:
    await run("z", 2)
    await take("z")
    await run("a", 2)
    found = await ledger.split(await take("a"))
    assert found is not None
    await ledger.settle(await take("a", found[0]), BatchEvent.ACCEPT, NOTHING)
    await run("c", 2, daily_cap=2)
    assert (await take("c", now=1001.0)).recipients == phones(1, 1)


async def test_a_split_leaves_the_other_campaigns_of_its_recipients_alone(
    ledger: Ledger, run: Run, take: Take, claim: TryClaim, phones: Phones
) -> None:
    # Its third batch has the number of the second half, and the recipient of the first.
    await run("d", 3, 3, first=10)
    await run("e", 1, 1, 1, first=-2)
    await run("c", 2)
    before = [await ledger.batches(key, after=-1, limit=9) for key in ("d", "e")]
    assert await ledger.split(await take("c")) == (1, 2)
    assert [await ledger.batches(key, after=-1, limit=9) for key in ("d", "e")] == before
    status = await ledger.status("c")
    assert (status.recipients, status.queued, status.batches) == (2, 2, 2)
    await ledger.settle(await take("c", 1), BatchEvent.ACCEPT, NOTHING)
    # Who had its message is counted with the half that it is in.
    await run("f", 1, daily_cap=1)
    assert await claim("f", now=1001.0) is None
