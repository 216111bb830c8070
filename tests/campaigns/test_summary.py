"""The figures of a campaign as a whole: they add up to the ledger's, and name nobody."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from tests.campaigns.test_report import FIRST, begin, claim, phones, settle
from vavasms.campaigns.policy import Policy, dump_policy, parse_window
from vavasms.campaigns.summary import (
    MOST_REASONS,
    MOST_UNKNOWN,
    CampaignSummary,
    PlanFigures,
    dump_summary,
    hide_numbers,
    read_plan,
    read_summary,
)
from vavasms.errors import InvalidInputError
from vavasms.ledger.models import Delivery, NewBatch, NewCampaign
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.states import BatchEvent, CampaignState
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

NOW = 1.75e9


async def summarize(ledger: MemoryLedger) -> CampaignSummary:
    return await read_summary(ledger, "c", now=NOW)


async def report(ledger: MemoryLedger, message_id: str, status: DeliveryStatus) -> None:
    delivery = Delivery(message_id=message_id, status=status, raw_status="x", at=5.0)
    await ledger.record_deliveries("c", [delivery])


async def begin_with(*recipients: str) -> MemoryLedger:
    """Make a ledger with a batch of these numbers."""
    ledger = MemoryLedger()
    values = {"account": "ops", "sender_id": "ACME", "message": "Bonjour", "created_at": 10.0}
    await ledger.create(NewCampaign(id="c", **values))  # type: ignore[arg-type]
    people = tuple(map(Msisdn, recipients))
    await ledger.load("c", [NewBatch(number=0, message="Bonjour", segments=1, recipients=people)])
    await ledger.finish_loading("c", plan="{}", plan_hash="hash")
    await ledger.start("c")
    return ledger


async def test_the_outcomes_segments_and_cost_are_the_ledgers() -> None:
    policy = Policy(unit_price=Decimal("12.5"), budget=Decimal(1000))
    ledger = await begin(2, 1, 3, 1, 1, policy=dump_policy(policy), max_segments=80)
    await ledger.add_opt_outs(phones(1, 0), source="cli", now=1.0)
    await settle(ledger, 0, BatchEvent.ACCEPT, "m1")
    await settle(ledger, 1, BatchEvent.REJECT, error="GatewayError: no.")
    await settle(ledger, 2, BatchEvent.MARK_UNKNOWN, error="ServerError: broke.")
    await claim(ledger, 3)
    found, status = await summarize(ledger), await ledger.status("c")
    for name in (
        "recipients",
        "queued",
        "sending",
        "accepted",
        "rejected",
        "not_sent",
        "unknown",
        "segments",
    ):
        assert getattr(found, name) == getattr(status, name), name
    assert (found.recipients, found.queued, found.sending) == (8, 1, 1)
    assert (found.segments, found.cost, found.earlier_segments) == (5, Decimal("62.5"), 0)
    assert (found.unit_price, found.budget) == (Decimal("12.5"), Decimal(1000))
    assert found.state is CampaignState.RUNNING
    assert found.rejections == {"GatewayError: no.": 1}
    assert found.exclusions == {"opted_out": 1}
    assert (found.first_sent_at, found.last_sent_at) == (found.timeline[0].begins,) * 2
    # Whoever was left out was sent nothing.
    assert [span.messages for span in found.timeline] == [6]


async def test_what_was_cancelled_is_counted_by_its_reason() -> None:
    ledger = await begin(1, 2)
    await settle(ledger, 0, BatchEvent.ACCEPT, "m0")
    await ledger.cancel("c", "enough of +225 07 00 00 01 00")
    found = await summarize(ledger)
    assert found.exclusions == {"cancelled": 2}
    assert found.reason == "enough of …"


async def test_a_moment_is_one_of_the_campaigns_zone() -> None:
    window = parse_window("8:00-9:00", tz="Europe/Paris")
    ledger = await begin(1, policy=dump_policy(Policy(window=window)))
    found = await summarize(ledger)
    assert found.zone == "Europe/Paris"
    assert found.made_at == datetime.fromtimestamp(NOW, ZoneInfo("Europe/Paris"))
    assert (found.first_sent_at, found.last_sent_at, found.timeline) == (None, None, [])


async def test_delivery_is_told_by_prefix() -> None:
    orange, moov = [f"22507{index:08}" for index in range(5)], "2250100000001"
    ledger = await begin_with(*orange, moov, "221770000001", "33600000001")
    ids = [f"m{index}" for index in range(8)]
    await settle(ledger, 0, BatchEvent.ACCEPT, *ids)
    for message_id, status in zip(ids, [*DeliveryStatus], strict=False):
        await report(ledger, message_id, status)
    await report(ledger, "m5", DeliveryStatus.DELIVERED)
    found = await summarize(ledger)
    assert [(each.prefix, each.owner, each.messages) for each in found.deliveries] == [
        ("22507", "Orange", 5),
        ("221", None, 1),
        ("22501", "Moov", 1),
        ("33", None, 1),
    ]
    first = found.deliveries[0]
    assert (first.delivered, first.failed, first.pending, first.other, first.silent) == (1, 1, 2, 1, 0)
    assert [each.silent for each in found.deliveries[1:]] == [1, 0, 1]
    assert found.delivered == 2


async def test_what_cannot_be_paired_is_of_no_prefix() -> None:
    ledger = await begin(3, 1)
    await settle(ledger, 0, BatchEvent.ACCEPT, "m0", "m1")
    await settle(ledger, 1, BatchEvent.ACCEPT)
    await report(ledger, "m1", DeliveryStatus.DELIVERED)
    unpaired, paired = (await summarize(ledger)).deliveries
    assert (unpaired.prefix, unpaired.messages, unpaired.delivered, unpaired.silent) == ("", 3, 1, 2)
    # Where there are no ids at all, nothing is reported of anybody.
    assert (paired.prefix, paired.silent) == ("22507", 1)


async def test_the_unknown_are_listed_by_batch_and_the_list_is_short() -> None:
    ledger = await begin(*([1] * (MOST_UNKNOWN + 2)))
    for number in range(MOST_UNKNOWN + 2):
        await settle(ledger, number, BatchEvent.MARK_UNKNOWN, error=f"ServerError: lost {FIRST}.")
    found = await summarize(ledger)
    assert [batch.number for batch in found.unknown_batches] == [*range(MOST_UNKNOWN)]
    assert found.unknown_batches_more == 2
    first = found.unknown_batches[0]
    assert (first.recipients, first.segments, first.error) == (1, 1, "ServerError: lost ….")
    assert first.sent_at == datetime.fromtimestamp(1000.0, ZoneInfo("Africa/Abidjan"))


async def test_of_many_reasons_the_rest_is_counted_together() -> None:
    ledger = await begin(*([1] * (MOST_REASONS + 3)))
    for number in range(MOST_REASONS + 3):
        await settle(ledger, number, BatchEvent.REJECT, error=f"GatewayError: {number}.")
    found = await summarize(ledger)
    assert len(found.rejections) == MOST_REASONS + 1
    assert found.rejections[""] == 3
    assert sum(found.rejections.values()) == found.rejected


async def test_what_was_sent_again_is_counted_as_earlier_segments() -> None:
    ledger = await begin(2)
    await settle(ledger, 0, BatchEvent.MARK_UNKNOWN)
    await ledger.resend("c", [0], sent_before=2000.0)
    found = await summarize(ledger)
    assert (found.segments, found.earlier_segments) == (2, 2)


async def test_of_a_purged_campaign_the_counts_are_left() -> None:
    ledger = await begin(2, 1)
    await settle(ledger, 0, BatchEvent.ACCEPT, "m0", "m1")
    await ledger.cancel("c", "enough")
    await ledger.purge("c")
    found = await summarize(ledger)
    assert found.is_forgotten
    assert (found.accepted, found.not_sent, found.segments, found.earlier_segments) == (2, 1, 2, 0)
    assert (found.deliveries, found.timeline, found.unknown_batches) == ([], [], [])


async def test_an_unknown_campaign_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        await summarize(MemoryLedger())


async def test_no_number_of_a_recipient_is_in_it() -> None:
    ledger = await begin(2, 1)
    await settle(ledger, 0, BatchEvent.REJECT, error=f"GatewayError: No (bad recipient +{FIRST}).")
    await settle(ledger, 1, BatchEvent.ACCEPT, "m0", lot_id="L")
    assert str(FIRST)[3:9] not in dump_summary(await summarize(ledger))


async def test_json_is_one_object_in_ascii() -> None:
    ledger = await begin(1, message="Été", policy=dump_policy(Policy(unit_price=Decimal("12.5"))))
    await settle(ledger, 0, BatchEvent.ACCEPT, "m0")
    text = dump_summary(await summarize(ledger))
    assert text.isascii()
    value = json.loads(text)
    assert (value["message"], value["state"], value["cost"], value["delivered"]) == (
        "Été",
        "running",
        12.5,
        0,
    )
    assert value["created_at"] == "1970-01-01T00:00:10+00:00"
    assert value["timeline"] == [{"begins": "1970-01-01T00:16:40+00:00", "messages": 1}]


def test_a_plan_of_another_version_has_the_figures_that_it_has() -> None:
    assert read_plan("{}") == PlanFigures()
    plan = {"numbers": 5, "cost": "12.5", "new": 1, "refusals": {"a": {"count": 1}, "b": {"count": 2}}}
    found = read_plan(json.dumps(plan))
    assert (found.numbers, found.cost, [*found.refusals]) == (5, Decimal("12.5"), ["b", "a"])


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("no 2250700000001.", "no …."),
        ("+225 07 00 00 00 01 is bad", "… is bad"),
        ("not before 2026-12-01 09:00", "not before 2026-12-01 09:00"),
        ("(07-09-00-00-02)", "(…)"),
        ("code 902, 1 of 1234567", "code 902, 1 of 1234567"),
    ],
)
def test_what_may_be_a_number_is_hidden(text: str, hidden: str) -> None:
    assert hide_numbers(text) == hidden
