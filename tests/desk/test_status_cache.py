"""Counts that take long are remembered for a while; those that are quick, and what a person did, never."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from vavasms.desk.status_cache import StatusCache
from vavasms.ledger.models import NewBatch, NewCampaign
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.states import CampaignState
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio
Work = Callable[[], Awaitable[object]]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take each count for one that took ten seconds."""
    monkeypatch.setattr("vavasms.desk.status_cache._MANY", 0)
    monkeypatch.setattr("vavasms.desk.status_cache._AGES", 1e9)


async def load(ledger: MemoryLedger, number: int, campaign_id: str = "one") -> None:
    """Add a batch of one recipient."""
    recipient = Msisdn(f"225075700000{number}")
    await ledger.load(
        campaign_id, [NewBatch(number=number, message="x", segments=1, recipients=(recipient,))]
    )


async def opened(ledger: MemoryLedger) -> None:
    """Begin a campaign."""
    await ledger.create(NewCampaign(id="one", account="a", sender_id="SANDBOX", message="x", created_at=0.0))
    await load(ledger, 0)


async def test_what_is_quick_is_counted_each_time() -> None:
    async with MemoryLedger() as ledger:
        await opened(ledger)
        counts = StatusCache(ledger, work_on=lambda _work: pytest.fail("nothing is to be done later"))
        for number in (1, 2, 3):
            assert (await counts.status("one")).recipients == number
            assert [status.recipients for status in await counts.statuses()] == [number]
            await load(ledger, number)


@pytest.mark.usefixtures("slow")
async def test_what_takes_long_is_remembered_until_somebody_does_something() -> None:
    async with MemoryLedger() as ledger:
        await opened(ledger)
        counts = StatusCache(ledger, work_on=lambda _work: pytest.fail("it is young"))
        assert (await counts.status("one")).recipients == 1
        assert len(await counts.statuses()) == 1
        await load(ledger, 1)
        assert (await counts.status("one")).recipients == 1
        assert (await counts.statuses())[0].recipients == 1
        counts.forget()
        assert (await counts.status("one")).recipients == 2
        assert (await counts.statuses())[0].recipients == 2


@pytest.mark.usefixtures("slow")
async def test_the_state_is_that_of_this_moment() -> None:
    async with MemoryLedger() as ledger:
        await opened(ledger)
        counts = StatusCache(ledger, work_on=lambda _work: None)
        assert (await counts.status("one")).state is CampaignState.LOADING
        await ledger.finish_loading("one", plan="{}", plan_hash="x")
        await ledger.pause("one", "for a reason")
        status = await counts.status("one")
        assert (status.state, status.reason) == (CampaignState.PAUSED, "for a reason")


async def test_an_old_count_is_shown_while_one_newer_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vavasms.desk.status_cache._MANY", 0)
    monkeypatch.setattr("vavasms.desk.status_cache._AGES", 0.0)
    later: list[Work] = []
    async with MemoryLedger() as ledger:
        await opened(ledger)
        counts = StatusCache(ledger, work_on=later.append)
        assert (await counts.status("one")).recipients == 1
        await load(ledger, 1)
        await anyio.sleep(0.001)
        for _view in range(3):
            assert (await counts.status("one")).recipients == 1
        # It is made once for all of them.
        assert len(later) == 1
        await later[0]()
        assert (await counts.status("one")).recipients == 2


async def test_a_count_that_was_begun_before_an_action_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vavasms.desk.status_cache._MANY", 0)
    monkeypatch.setattr("vavasms.desk.status_cache._AGES", 0.0)
    later: list[Work] = []
    async with MemoryLedger() as ledger:
        await opened(ledger)
        counts = StatusCache(ledger, work_on=later.append)
        await counts.status("one")
        await anyio.sleep(0.001)
        count = ledger.status

        async def count_slowly(campaign_id: str) -> object:
            status = await count(campaign_id)
            # In the middle of it.
            await load(ledger, 1)
            counts.forget()
            return status

        with monkeypatch.context() as patch:
            patch.setattr(MemoryLedger, "status", lambda _self, campaign_id: count_slowly(campaign_id))
            assert (await counts.status("one")).recipients == 1
            await later.pop()()
        assert (await counts.status("one")).recipients == 2


async def test_a_newer_count_that_failed_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vavasms.desk.status_cache._MANY", 0)
    monkeypatch.setattr("vavasms.desk.status_cache._AGES", 0.0)
    later: list[Work] = []
    async with MemoryLedger() as ledger:
        await opened(ledger)
        counts = StatusCache(ledger, work_on=later.append)
        await counts.status("one")
        await anyio.sleep(0.001)
        with monkeypatch.context() as patch:

            async def fail(_ledger: object, _campaign_id: str) -> None:
                raise RuntimeError("locked")

            patch.setattr(MemoryLedger, "status", fail)
            assert (await counts.status("one")).recipients == 1
            with pytest.raises(RuntimeError):
                await later.pop()()
        assert (await counts.status("one")).recipients == 1
        await later.pop()()
