"""A campaign's life in a ledger: kept, loaded, counted, forgotten."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest
from attrs import evolve

from vavasms.errors import InvalidInputError, LedgerError
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import (
    BatchRecord,
    Campaign,
    Claim,
    Delivery,
    Exclusion,
    NewBatch,
    NewCampaign,
    QueuedBatch,
)
from vavasms.ledger.states import BatchEvent, BatchState, CampaignState
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

Run = Callable[..., Awaitable[None]]
Take = Callable[..., Awaitable[Claim]]
Phones = Callable[..., tuple[Msisdn, ...]]

NEW = NewCampaign(
    id="c", account="ops", sender_id="ACME", message="Bonjour {name}", policy='{"rate": 5}', created_at=10.0
)


async def test_a_campaign_is_kept_as_it_was_given(ledger: Ledger) -> None:
    await ledger.create(NEW)
    expected = Campaign(
        id="c",
        state=CampaignState.LOADING,
        reason=None,
        account="ops",
        sender_id="ACME",
        message="Bonjour {name}",
        policy='{"rate": 5}',
        plan="{}",
        plan_hash="",
        created_at=10.0,
        revision=0,
    )
    assert await ledger.campaign("c") == expected
    await ledger.finish_loading("c", plan='{"batches": 0}', plan_hash="hash")
    expected = evolve(expected, state=CampaignState.QUEUED, plan='{"batches": 0}', plan_hash="hash")
    assert await ledger.campaign("c") == expected


async def test_an_id_is_given_once(ledger: Ledger) -> None:
    await ledger.create(NEW)
    with pytest.raises(LedgerError):
        await ledger.create(evolve(NEW, account="other"))
    assert (await ledger.campaign("c")).account == "ops"


async def test_batches_are_kept_in_order_with_their_recipients(
    ledger: Ledger, create: Run, phones: Phones
) -> None:
    await create("c", 3)
    await ledger.load("c", [NewBatch(number=1, message="Text 1", segments=2, recipients=phones(2, 3))])
    first, second = await ledger.batches("c", after=-1, limit=10)
    assert [phone for phone, _ in first.recipients] == list(phones(3))
    assert (second.number, second.segments, second.state) == (1, 2, BatchState.QUEUED)
    assert second.recipients == tuple((phone, None) for phone in phones(2, 3))
    assert (second.record, second.sending_at) == (BatchRecord(), None)
    assert (second.balance_before, second.balance_after) == (None, None)


async def test_batches_are_given_in_pages(ledger: Ledger, run: Run) -> None:
    await run("c", 1, 1, 1, 1)
    assert [batch.number for batch in await ledger.batches("c", after=0, limit=2)] == [1, 2]
    assert await ledger.batches("c", after=3, limit=2) in ([], ())
    expected = [QueuedBatch(number=number, messages=1, segments=1, not_before=0.0) for number in (2, 3)]
    assert list(await ledger.queued("c", after=1, limit=10)) == expected
    assert [each.number for each in await ledger.queued("c", after=-1, limit=1)] == [0]


async def test_a_load_that_fails_keeps_nothing_of_itself(ledger: Ledger, create: Run, phones: Phones) -> None:
    await create("c", 2)
    new = NewBatch(number=1, message="Text", segments=1, recipients=phones(1, 5))
    for twice in (0, 1):
        again = NewBatch(number=twice, message="Text", segments=1, recipients=phones(1, 6))
        with pytest.raises(LedgerError):
            await ledger.load("c", [new, again])
        assert (await ledger.status("c")).recipients == 2
    await ledger.load("c", [new])
    await ledger.finish_loading("c", plan="{}", plan_hash="hash")


async def test_a_recipient_is_in_a_campaign_once(ledger: Ledger, create: Run, phones: Phones) -> None:
    await create("c", 2)
    with pytest.raises(LedgerError) as refused:
        # Where a ledger finds out is its own affair: when the batch comes, or at the end.
        await ledger.load("c", [NewBatch(number=1, message="Text", segments=1, recipients=phones(1, 1))])
        await ledger.finish_loading("c", plan="{}", plan_hash="hash")
    assert refused.value.error_code == "campaign.duplicate_recipient"
    assert (await ledger.campaign("c")).state is CampaignState.LOADING
    assert not await ledger.start("c")


async def test_what_is_whole_takes_no_more_batches(ledger: Ledger, run: Run, phones: Phones) -> None:
    await run("c", 2)
    with pytest.raises(InvalidInputError, match=r"^The campaign 'c' is running: it cannot be loaded\.$"):
        await ledger.load("c", [NewBatch(number=1, message="Text", segments=1, recipients=phones(1, 5))])
    with pytest.raises(InvalidInputError, match=r"^The campaign 'c' is running: it cannot be loaded\.$"):
        await ledger.finish_loading("c", plan="{}", plan_hash="hash")
    assert (await ledger.status("c")).recipients == 2


async def test_every_method_names_a_campaign_that_is_not_there(ledger: Ledger) -> None:
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: ledger.load("x", []),
        lambda: ledger.finish_loading("x", plan="{}", plan_hash=""),
        lambda: ledger.campaign("x"),
        lambda: ledger.status("x"),
        lambda: ledger.start("x"),
        lambda: ledger.pause("x", "why"),
        lambda: ledger.cancel("x", "why"),
        lambda: ledger.finish("x"),
        lambda: ledger.queued("x", after=-1, limit=1),
        lambda: ledger.claim("x", 0, token="t", worker="w", now=1.0),
        lambda: ledger.note_balance("x", [0], 1),  # type: ignore[arg-type]
        lambda: ledger.unknown("x"),
        lambda: ledger.mark_sent("x", [0], note="n"),
        lambda: ledger.resend("x", [0], sent_before=1.0),
        lambda: ledger.batches("x", after=-1, limit=1),
        lambda: ledger.record_deliveries("x", []),
        lambda: ledger.deliveries("x", []),
        lambda: ledger.purge("x"),
    ]
    for call in calls:
        with pytest.raises(InvalidInputError, match=r"^There is no campaign 'x'\.$") as refused:
            await call()
        assert refused.value.error_code == "campaign.not_found"
    await ledger.discard("x")


@pytest.mark.parametrize("event", [BatchEvent.REQUEUE, BatchEvent.ACCEPT])
async def test_only_what_was_never_claimed_is_discarded(
    ledger: Ledger, run: Run, take: Take, event: BatchEvent
) -> None:
    await run("c", 2)
    await run("d", 2)
    await ledger.settle(await take("d"), event, BatchRecord())
    before = await ledger.status("d")
    for key in ("c", "d"):
        await ledger.pause(key, "by hand")
    before = await ledger.status("d")
    await ledger.discard("c")
    await ledger.discard("d")
    assert [status.id for status in await ledger.statuses()] == ["d"]
    assert await ledger.status("d") == before
    # Nothing of it is in the way of another one.
    await run("c", 2)


async def test_a_campaign_that_was_split_is_not_discarded(ledger: Ledger, run: Run, take: Take) -> None:
    await run("c", 2)
    await ledger.split(await take("c"))
    await ledger.discard("c")
    assert (await ledger.status("c")).recipients == 2


async def test_the_oldest_campaign_of_the_same_plan_is_found(ledger: Ledger) -> None:
    rows = [("a", "ops", "one", 30.0), ("b", "ops", "one", 20.0), ("c", "ops", "two", 10.0)]
    rows += [("d", "other", "one", 10.0), ("e", "ops", "one", 40.0)]
    for key, account, plan_hash, created_at in rows:
        await ledger.create(evolve(NEW, id=key, account=account, created_at=created_at))
        await ledger.finish_loading(key, plan="{}", plan_hash=plan_hash)
    await ledger.create(evolve(NEW, id="loading", account="ops"))
    plans = {"one": "b", "two": "c", "": None, "three": None}
    for number, (plan_hash, first) in enumerate(plans.items()):
        key = f"new{number}"
        await ledger.create(evolve(NEW, id=key, account="ops", created_at=50.0))
        found = await ledger.finish_loading(key, plan="{}", plan_hash=plan_hash, unless_same=True)
        assert found == first
        # Told of another one, it is not whole: whoever asked gives it up.
        expected = CampaignState.QUEUED if first is None else CampaignState.LOADING
        assert (await ledger.campaign(key)).state is expected


async def load(
    ledger: Ledger, key: str, first: int, message: str = "Bonjour", account: str = "ops"
) -> str | None:
    """Keep a campaign of ten numbers; give which one it repeats."""
    await ledger.create(evolve(NEW, id=key, account=account, message=message, created_at=float(len(key))))
    people = tuple(Msisdn(2250700000100 + first + index) for index in range(10))
    await ledger.load(key, [NewBatch(number=0, message=message, segments=1, recipients=people)])
    return await ledger.finish_loading(key, plan="{}", plan_hash=key, unless_same=True)


async def test_the_same_text_for_the_same_people_is_found_while_a_campaign_is_not_over(
    ledger: Ledger, take: Take
) -> None:
    assert await load(ledger, "c", 0) is None
    # Queued: one of ten is the same.
    assert await load(ledger, "near", 9) == "c"
    assert await load(ledger, "text", 0, message="Bonsoir") is None
    assert await load(ledger, "people", 10) is None
    assert await load(ledger, "account", 0, account="other") is None
    await ledger.start("c")
    assert await load(ledger, "running", 1) == "c"
    await ledger.pause("c", "lunch")
    assert await load(ledger, "paused", 1) == "c"
    await ledger.start("c")
    assert await ledger.settle(await take("c"), BatchEvent.ACCEPT, BatchRecord())
    assert await ledger.finish("c")
    # Another month, another list: that is what a new campaign is for.
    assert await load(ledger, "later", 0) is None


async def test_what_was_cancelled_before_anything_was_sent_is_no_first_time(
    ledger: Ledger, take: Take
) -> None:
    assert await load(ledger, "c", 0) is None
    await ledger.cancel("c", "wrong list")
    key = evolve(NEW, id="again", account="ops", message="Bonjour", created_at=50.0)
    await ledger.create(key)
    assert await ledger.finish_loading("again", plan="{}", plan_hash="c", unless_same=True) is None
    assert await load(ledger, "d", 20) is None
    await ledger.start("d")
    await take("d")
    await ledger.cancel("d", "enough")
    await ledger.create(evolve(key, id="once more"))
    assert await ledger.finish_loading("once more", plan="{}", plan_hash="d", unless_same=True) == "d"


async def test_the_latest_campaign_is_the_first_of_the_list(ledger: Ledger, create: Run) -> None:
    for key, created_at in (("old", 1.0), ("new", 3.0), ("middle", 2.0)):
        await create(key, 2, created_at=created_at)
    assert [status.id for status in await ledger.statuses()] == ["new", "middle", "old"]
    assert (await ledger.statuses())[0] == await ledger.status("new")


async def test_a_status_counts_recipients_and_paid_segments(ledger: Ledger, run: Run, take: Take) -> None:
    await run("c", 1, 2, 3, 4, 5, segments=3)
    await ledger.settle(await take("c", 1), BatchEvent.ACCEPT, BatchRecord())
    await ledger.settle(await take("c", 2), BatchEvent.REJECT, BatchRecord())
    await ledger.settle(await take("c", 3), BatchEvent.MARK_UNKNOWN, BatchRecord())
    await take("c", 4)
    status = await ledger.status("c")
    assert (status.queued, status.accepted, status.rejected, status.unknown, status.sending) == (
        1,
        2,
        3,
        4,
        5,
    )
    assert (status.recipients, status.not_sent, status.batches) == (15, 0, 5)
    assert status.segments == 3 * (2 + 4 + 5)
    await ledger.cancel("c", "enough")
    status = await ledger.status("c")
    assert (status.queued, status.not_sent, status.recipients, status.reason) == (0, 1, 15, "enough")


async def test_a_reason_stands_for_as_long_as_it_holds(ledger: Ledger, run: Run) -> None:
    await run("c", 1)
    assert await ledger.pause("c", "lunch")
    assert not await ledger.pause("c", "dinner")
    assert (await ledger.campaign("c")).reason == (await ledger.status("c")).reason == "lunch"
    assert await ledger.start("c")
    assert (await ledger.campaign("c")).reason is None
    assert await ledger.cancel("c", "enough")
    assert not await ledger.cancel("c", "more than enough")
    assert (await ledger.campaign("c")).reason == "enough"


async def test_a_campaign_is_done_once_nothing_of_it_waits_or_is_under_way(
    ledger: Ledger, run: Run, take: Take
) -> None:
    await run("c", 1, 1)
    made = await take("c")
    await ledger.settle(await take("c", 1), BatchEvent.MARK_UNKNOWN, BatchRecord())
    assert not await ledger.finish("c")
    await ledger.settle(made, BatchEvent.REQUEUE, BatchRecord())
    assert not await ledger.finish("c")
    await ledger.settle(await take("c"), BatchEvent.ACCEPT, BatchRecord())
    assert await ledger.finish("c")
    assert (await ledger.status("c")).unknown == 1


async def test_a_purge_forgets_numbers_and_texts_and_keeps_the_counts(
    ledger: Ledger, run: Run, take: Take, phones: Phones
) -> None:
    await run("c", 3, 2, 1)
    await ledger.add_opt_outs(phones(1), source="cli", now=1.0)
    record = BatchRecord(lot_id="L1", message_ids=("m1", "m2"), error=None)
    await ledger.settle(await take("c"), BatchEvent.ACCEPT, record)
    await ledger.settle(
        await take("c", 1), BatchEvent.MARK_UNKNOWN, BatchRecord(error="ServerError: It broke.")
    )
    word = Delivery(message_id="m1", status=DeliveryStatus.SENT, raw_status="sent", at=10.0)
    await ledger.record_deliveries("c", [word])
    with pytest.raises(
        InvalidInputError, match=r"^The campaign 'c' is running: it cannot be purged\.$"
    ) as refused:
        await ledger.purge("c")
    assert refused.value.error_code == "campaign.state"
    assert (await ledger.batches("c", after=-1, limit=1))[0].recipients[0][1] is Exclusion.OPTED_OUT
    await ledger.cancel("c", "enough")
    before = await ledger.status("c")
    await ledger.purge("c")
    await ledger.purge("c")
    assert await ledger.status("c") == before
    assert (await ledger.campaign("c")).message == ""
    stored = await ledger.batches("c", after=-1, limit=10)
    assert [(batch.number, batch.recipients, batch.record.message_ids) for batch in stored] == [
        (number, (), ()) for number in range(3)
    ]
    assert stored[1].record.error == "ServerError: It broke."
    assert await ledger.deliveries("c", ["m1"]) == {}
    assert int(phones(1)[0]) in await ledger.opted_out()


@pytest.fixture
async def long_one(ledger: Ledger, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a cancelled campaign that a purge forgets in fifty parts."""
    for module in ("sqlite.claims", "postgres.loader"):
        monkeypatch.setattr(f"vavasms.ledger.{module}.PURGE_ROWS", 20)
    monkeypatch.setattr("vavasms.ledger.sqlite.ledger.PURGE_PAUSE", 0.01)
    await run("c", *[20] * 50)
    await ledger.cancel("c", "enough")


async def test_a_long_purge_lets_others_write_in_between(
    ledger: Ledger, long_one: None, phones: Phones
) -> None:
    before, done = await ledger.status("c"), anyio.Event()
    #: Batches of which recipients were left, after each write.
    left: list[int] = []

    async def purge() -> None:
        await ledger.purge("c")
        done.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(purge)
        while not done.is_set():
            await ledger.add_opt_outs(phones(1, len(left)), source="cli", now=1.0)
            left.append(
                sum(1 for batch in await ledger.batches("c", after=-1, limit=100) if batch.recipients)
            )
    assert len({number for number in left if 0 < number < 50}) >= 1
    assert await ledger.status("c") == before
    assert not any(batch.recipients for batch in await ledger.batches("c", after=-1, limit=100))


async def test_a_purge_that_is_cut_off_is_finished_by_another(ledger: Ledger, long_one: None) -> None:
    before = await ledger.status("c")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ledger.purge, "c")
        while (await ledger.campaign("c")).message:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert await ledger.status("c") == before
    await ledger.purge("c")
    assert await ledger.status("c") == before
    assert not any(batch.recipients for batch in await ledger.batches("c", after=-1, limit=100))


async def test_what_is_still_loading_is_not_purged(ledger: Ledger, create: Run) -> None:
    await create("c", 2)
    with pytest.raises(InvalidInputError, match=r"^The campaign 'c' is loading: it cannot be purged\.$"):
        await ledger.purge("c")


async def test_a_purge_forgets_every_delivery_however_many_there_are(
    ledger: Ledger, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("sqlite.claims", "postgres.loader"):
        monkeypatch.setattr(f"vavasms.ledger.{module}.PURGE_ROWS", 5)
    await run("c", 2)
    ids = [f"m{number}" for number in range(12)]
    await ledger.record_deliveries(
        "c",
        [Delivery(message_id=each, status=DeliveryStatus.SENT, raw_status="sent", at=1.0) for each in ids],
    )
    await ledger.cancel("c", "enough")
    await ledger.purge("c")
    assert await ledger.deliveries("c", ids) == {}


async def test_a_ledger_can_be_closed_twice(ledger: Ledger) -> None:
    await ledger.aclose()
    await ledger.aclose()


@pytest.mark.parametrize("claimed", [False, True])
async def test_a_campaign_that_runs_is_not_discarded(
    ledger: Ledger, run: Run, take: Take, claimed: bool
) -> None:
    await run("c", 2)
    if claimed:
        await take("c")
    await ledger.discard("c")
    assert (await ledger.campaign("c")).state is CampaignState.RUNNING


async def test_a_campaign_is_discarded_whatever_others_do(ledger: Ledger, run: Run, take: Take) -> None:
    await run("c", 2)
    await run("d", 2)
    await take("d")
    await ledger.pause("c", "by hand")
    await ledger.discard("c")
    assert [status.id for status in await ledger.statuses()] == ["d"]
