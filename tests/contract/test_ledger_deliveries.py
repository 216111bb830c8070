"""What a ledger knows of delivery: by prefix, and of which campaigns somebody still asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import anyio
import pytest

from vavasms.errors import InvalidInputError
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import BatchRecord, Claim, Delivery, NewBatch, NewCampaign
from vavasms.ledger.states import BatchEvent
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

Run = Callable[..., Awaitable[None]]
Take = Callable[..., Awaitable[Claim]]
Phones = Callable[..., tuple[Msisdn, ...]]

DELIVERED, FAILED, SENT = DeliveryStatus.DELIVERED, DeliveryStatus.FAILED, DeliveryStatus.SENT


def report(message_id: str, status: DeliveryStatus, prefix: str = "", at: float = 1.0) -> Delivery:
    """Make what a report said of a message."""
    return Delivery(message_id=message_id, status=status, raw_status=status.value, at=at, prefix=prefix)


async def accept(ledger: Ledger, take: Take, campaign_id: str, number: int = 0, now: float = 1000.0) -> None:
    """Claim a batch and settle it as accepted."""
    claim = await take(campaign_id, number, now=now)
    assert await ledger.settle(claim, BatchEvent.ACCEPT, BatchRecord(lot_id="L", message_ids=("m",)))


async def load(ledger: Ledger, campaign_id: str, numbers: Sequence[str], account: str = "ops") -> None:
    """Start a campaign of one batch."""
    new = NewCampaign(id=campaign_id, account=account, sender_id="ACME", message="Bonjour", created_at=10.0)
    await ledger.create(new)
    recipients = tuple(map(Msisdn, numbers))
    await ledger.load(campaign_id, [NewBatch(number=0, message="M", segments=1, recipients=recipients)])
    await ledger.finish_loading(campaign_id, plan="{}", plan_hash=campaign_id)
    assert await ledger.start(campaign_id)


async def test_deliveries_are_counted_by_prefix_and_status(ledger: Ledger, run: Run) -> None:
    await run("c", 1)
    await run("d", 1)
    assert await ledger.delivery_counts("c") == {}
    words = [report("1", DELIVERED, "22507"), report("2", DELIVERED, "22507"), report("3", FAILED, "22507")]
    await ledger.record_deliveries("c", [*words, report("4", SENT, "22505"), report("5", DELIVERED)])
    # The latest word counts, once.
    await ledger.record_deliveries("c", [report("4", DELIVERED, "22505", at=2.0)])
    await ledger.record_deliveries("d", [report("1", FAILED, "22507")])
    assert await ledger.delivery_counts("c") == {
        ("22507", DELIVERED): 2,
        ("22507", FAILED): 1,
        ("22505", DELIVERED): 1,
        ("", DELIVERED): 1,
    }
    assert (await ledger.deliveries("c", ["4"]))["4"].prefix == "22505"


async def test_what_was_accepted_is_counted_by_prefix_without_those_left_out(
    ledger: Ledger, take: Take
) -> None:
    out, *others = "2250700000001", "2250700000002", "2250500000001", "2250500000002", "22890000001"
    await load(ledger, "c", [out, *others])
    assert await ledger.accepted_by_prefix("c") == {}
    await ledger.add_opt_outs([Msisdn(out)], source="cli", now=5.0)
    await accept(ledger, take, "c")
    assert await ledger.accepted_by_prefix("c") == {"22507": 1, "22505": 2, "22890": 1}


async def test_only_what_was_accepted_counts_by_prefix(ledger: Ledger, run: Run, take: Take) -> None:
    await run("c", 1, 2)
    claim = await take("c", 0)
    await ledger.settle(claim, BatchEvent.MARK_UNKNOWN, BatchRecord())
    assert await ledger.accepted_by_prefix("c") == {}
    await accept(ledger, take, "c", 1)
    assert sum((await ledger.accepted_by_prefix("c")).values()) == 2


async def test_of_what_was_accepted_of_late_somebody_may_ask(ledger: Ledger, take: Take) -> None:
    for number, (campaign_id, account) in enumerate([("a", "ops"), ("b", "ops"), ("c", "else")]):
        await load(ledger, campaign_id, [f"225070000000{number}"], account)
    assert await ledger.to_track("ops", since=0.0) == []
    for campaign_id, now in (("a", 1000.0), ("b", 2000.0), ("c", 2000.0)):
        await accept(ledger, take, campaign_id, now=now)
    assert await ledger.to_track("ops", since=1000.0) == ["a", "b"]
    assert await ledger.to_track("ops", since=1001.0) == ["b"]
    assert await ledger.to_track("else", since=0.0) == ["c"]


async def test_an_end_of_tracking_is_kept_with_its_reason_and_can_be_taken_back(
    ledger: Ledger, take: Take
) -> None:
    await load(ledger, "a", ["2250700000001"])
    await load(ledger, "b", ["2250700000002"])
    for campaign_id in "ab":
        await accept(ledger, take, campaign_id)
    await ledger.end_tracking("a", "final")
    assert (await ledger.tracking("a"), await ledger.tracking("b")) == ("final", None)
    assert await ledger.to_track("ops", since=0.0) == ["b"]
    await ledger.end_tracking("a", None)
    assert await ledger.tracking("a") is None
    assert await ledger.to_track("ops", since=0.0) == ["a", "b"]


async def test_a_campaign_that_is_started_again_is_tracked_again(
    ledger: Ledger, run: Run, take: Take
) -> None:
    await run("c", 1, 1)
    await accept(ledger, take, "c")
    await ledger.end_tracking("c", "expired")
    await ledger.pause("c", "by hand")
    assert await ledger.tracking("c") == "expired"
    before = (await ledger.campaign("c")).revision
    assert await ledger.start("c")
    assert await ledger.tracking("c") is None
    # Whoever went over it before knows nothing of what is sent by this start.
    await ledger.end_tracking("c", "final", revision=before)
    assert await ledger.tracking("c") is None
    await ledger.end_tracking("c", "final", revision=before + 1)
    assert await ledger.tracking("c") == "final"


async def test_what_was_accepted_long_ago_expires_once(ledger: Ledger, take: Take) -> None:
    for number, now in enumerate((1000.0, 2000.0)):
        await load(ledger, str(now), [f"225070000000{number}"])
        await accept(ledger, take, str(now), now=now)
    await load(ledger, "untouched", ["2250700000009"])
    await load(ledger, "another's", ["2250700000008"], "else")
    await accept(ledger, take, "another's")
    assert await ledger.expire_tracking("ops", "expired", before=2000.0) == 1
    assert await ledger.expire_tracking("ops", "expired", before=2000.0) == 0
    assert await ledger.tracking("1000.0") == "expired"
    for campaign_id in ("2000.0", "untouched", "another's"):
        assert await ledger.tracking(campaign_id) is None


async def test_nothing_of_a_purged_campaign_is_tracked(ledger: Ledger, take: Take) -> None:
    await load(ledger, "c", ["2250700000001"])
    await accept(ledger, take, "c")
    await ledger.record_deliveries("c", [report("m", DELIVERED, "22507")])
    assert await ledger.finish("c")
    await ledger.purge("c")
    assert await ledger.to_track("ops", since=0.0) == []
    assert await ledger.delivery_counts("c") == {}
    assert await ledger.accepted_by_prefix("c") == {}


async def test_of_a_campaign_that_is_not_there_nothing_is_told(ledger: Ledger) -> None:
    for ask in (ledger.delivery_counts, ledger.accepted_by_prefix, ledger.tracking):
        with pytest.raises(InvalidInputError, match="no campaign"):
            await ask("x")
    with pytest.raises(InvalidInputError, match="no campaign"):
        await ledger.end_tracking("x", "final")


async def test_one_at_a_time_has_the_turn_to_ask_on_a_shared_ledger(ledger: Ledger) -> None:
    async with ledger.tracking_turn("ops") as is_ours:
        assert is_ours
        async with ledger.tracking_turn("ops") as is_second, ledger.tracking_turn("else") as is_other:
            # An embedded ledger has one runner, which asks for no turn twice.
            assert is_second is not ledger.is_shared
            assert is_other
    with anyio.fail_after(20):
        is_ours = False
        while not is_ours:
            # A server frees what a closed connection held a moment later.
            async with ledger.tracking_turn("ops") as is_ours:
                await anyio.sleep(0.01)
