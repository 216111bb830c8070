"""Who is in a campaign, whom it reached, and what is kept of each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from attrs import evolve

from vavasms.errors import InvalidInputError
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import BatchRecord, Claim, NewBatch, NewCampaign
from vavasms.ledger.states import BatchEvent
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

Run = Callable[..., Awaitable[None]]
Take = Callable[..., Awaitable[Claim]]
Phones = Callable[..., tuple[Msisdn, ...]]

NEW = NewCampaign(id="c", account="ops", sender_id="ACME", message="Bonjour", created_at=10.0)
CELLS = (("Awa", "R-1"), ("", 'a\x00"\t\\N'), ("Élan 😀", "\ud800"), ("d", "4"))


async def test_the_cells_of_a_recipient_stay_with_it(ledger: Ledger, take: Take, phones: Phones) -> None:
    await ledger.create(NEW)
    people = phones(4)
    plain = NewBatch(number=1, message="B", segments=1, recipients=phones(1, 50))
    kept = NewBatch(number=0, message="B", segments=1, recipients=people, kept=CELLS)
    await ledger.load("c", [kept, plain])
    await ledger.finish_loading("c", plan="{}", plan_hash="h")
    await ledger.start("c")
    # A lot that was refused as a whole is halved, and halved again.
    await ledger.split(await take("c"))
    await ledger.split(await take("c", 2))
    found = {
        number: cells
        for batch in await ledger.batches("c", after=-1, limit=10)
        for (number, _), cells in zip(batch.recipients, batch.kept, strict=True)
    }
    assert found == {**dict(zip(people, CELLS, strict=True)), plain.recipients[0]: ()}


async def test_cells_are_kept_of_each_recipient_or_of_none(ledger: Ledger, phones: Phones) -> None:
    await ledger.create(NEW)
    batch = NewBatch(number=0, message="B", segments=1, recipients=phones(2), kept=(("a",),))
    with pytest.raises(ValueError, match="zip"):
        await ledger.load("c", [batch])


async def test_whom_a_campaign_reached_or_may_have_reached(
    ledger: Ledger, run: Run, take: Take, phones: Phones
) -> None:
    await run("c", 2, 2, 2, 2, 2, 2)
    await ledger.add_opt_outs(phones(1), source="cli", now=1.0)
    events = (BatchEvent.ACCEPT, BatchEvent.MARK_UNKNOWN, BatchEvent.REJECT, BatchEvent.REQUEUE)
    for number, event in enumerate(events):
        claim = await take("c", number, now=1000.0 + number)
        await ledger.settle(claim, event, BatchRecord())
    await take("c", 4, now=1004.0)
    # The one who opted out was left out of the first; the fourth came back, the sixth never left.
    expected = [*phones(1, 1), *phones(2, 2), *phones(2, 8)]
    assert await ledger.reached("c") == set(map(int, expected))
    assert await ledger.reached("c", since=1001.0) == set(map(int, [*phones(2, 2), *phones(2, 8)]))
    assert await ledger.reached("c", since=1005.0) == set()
    # What is queued is still to be sent.
    assert await ledger.addressed("c") == set(map(int, [*expected, *phones(2, 6), *phones(2, 10)]))
    # What waits to be sent again may have been sent before.
    assert await ledger.resend("c", [1], sent_before=1002.0) == 1
    assert await ledger.reached("c") == set(map(int, expected))
    batch = (await ledger.batches("c", after=0, limit=1))[0]
    assert (batch.message, batch.unknown_attempts) == ("Text 1", 1)
    with pytest.raises(InvalidInputError, match="no campaign 'x'"):
        await ledger.reached("x")


async def test_the_campaigns_of_which_anything_was_sent_since_then(
    ledger: Ledger, run: Run, take: Take
) -> None:
    for place, campaign_id in enumerate(("a", "b", "c")):
        await run(campaign_id, 1, 1, first=place * 10, created_at=10.0 - place)
    for campaign_id, now in (("a", 1000.0), ("b", 2000.0), ("c", 3000.0)):
        claim = await take(campaign_id, now=now)
        await ledger.settle(claim, BatchEvent.ACCEPT, BatchRecord())
    assert [campaign.id for campaign in await ledger.active_since(0.0)] == ["c", "b", "a"]
    assert [campaign.id for campaign in await ledger.active_since(2000.0)] == ["c", "b"]
    assert (await ledger.active_since(3000.0)) == [await ledger.campaign("c")]
    assert list(await ledger.active_since(3000.5)) == []
    await ledger.cancel("c", "by hand")
    await ledger.purge("c")
    assert [campaign.id for campaign in await ledger.active_since(2000.0)] == ["b"]


async def test_a_retry_repeats_what_it_comes_of_and_nothing_else(
    ledger: Ledger, take: Take, phones: Phones
) -> None:
    async def load(
        campaign_id: str, retry_of: str | None, plan_hash: str, first: int = 0, *, is_over: bool = True
    ) -> str | None:
        await ledger.create(
            evolve(NEW, id=campaign_id, retry_of=retry_of, created_at=float(len(campaign_id)))
        )
        batch = NewBatch(number=0, message="B", segments=1, recipients=phones(2, first))
        await ledger.load(campaign_id, [batch])
        same = await ledger.finish_loading(campaign_id, plan="{}", plan_hash=plan_hash, unless_same=True)
        if same is None and is_over:
            await ledger.start(campaign_id)
            await ledger.settle(await take(campaign_id), BatchEvent.REJECT, BatchRecord())
            await ledger.finish(campaign_id)
        return same

    assert await load("a", None, "h") is None
    assert await load("again", None, "h") == "a"
    # The same recipients and texts as what they come of, two generations on.
    assert await load("aa", "a", "h") is None
    assert await load("aaa", "aa", "h") is None
    # The first is retried already: by hash, by one recipient, and not by others.
    assert await load("second", "a", "h") == "aa"
    assert await load("other hash", "a", "g", 1) == "aa"
    assert await load("others", "a", "f", 2) is None
    # Somebody sent the very same by hand.
    assert await load("byhand", None, "e", 20) is None
    assert await load("of others", "others", "e", 20) == "byhand"


async def test_the_retries_of_a_campaign_are_found_once_they_are_whole(
    ledger: Ledger, phones: Phones
) -> None:
    for campaign_id, retry_of, first in (("a", None, 0), ("b", "a", 0), ("c", "a", 2), ("d", "b", 4)):
        created_at = 10.0 - first
        await ledger.create(evolve(NEW, id=campaign_id, retry_of=retry_of, created_at=created_at))
        batch = NewBatch(number=0, message="B", segments=1, recipients=phones(2, first))
        await ledger.load(campaign_id, [batch])
        assert await ledger.recipients(campaign_id) == set(map(int, phones(2, first)))
        if campaign_id != "d":
            await ledger.finish_loading(campaign_id, plan="{}", plan_hash=campaign_id)
    assert await ledger.retries("a") == [await ledger.campaign("c"), await ledger.campaign("b")]
    assert list(await ledger.retries("b")) == []
    await ledger.cancel("b", "by hand")
    await ledger.purge("b")
    assert await ledger.recipients("b") == set()
    assert [retry.id for retry in await ledger.retries("a")] == ["c", "b"]


async def test_nobody_can_say_who_was_in_a_purged_retry(ledger: Ledger, phones: Phones) -> None:
    for campaign_id, retry_of, plan_hash in (("a", None, "h"), ("b", "a", "h"), ("c", "a", "g")):
        await ledger.create(evolve(NEW, id=campaign_id, retry_of=retry_of))
        batch = NewBatch(number=0, message="B", segments=1, recipients=phones(2))
        await ledger.load(campaign_id, [batch])
        if campaign_id == "c":
            # Between the look of whoever made it and the keeping.
            await ledger.cancel("b", "by hand")
            await ledger.purge("b")
        same = await ledger.finish_loading(campaign_id, plan="{}", plan_hash=plan_hash, unless_same=True)
        assert same == ("b" if campaign_id == "c" else None)
        if campaign_id == "a":
            await ledger.cancel("a", "by hand")
