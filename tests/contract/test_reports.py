"""A campaign is reported alike from every ledger, with the cells that it keeps."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from vavasms.campaigns.policy import dump_policy, load_policy
from vavasms.campaigns.report import csv_columns, csv_line, format_csv, kept_columns, read_report
from vavasms.campaigns.summary import dump_summary, read_summary
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import BatchRecord, Delivery, NewBatch, NewCampaign
from vavasms.ledger.states import BatchEvent
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

Phones = Callable[..., tuple[Msisdn, ...]]

POLICY = dump_policy(load_policy('{"unit_price": "12.5", "budget": "1000"}'))
NEW = NewCampaign(
    id="c", account="ops", sender_id="ACME", message="Bonjour {nom}", policy=POLICY, created_at=10.0
)
PLAN = {"keep": ["nom", "agence"], "recipients": 5, "segments": 10, "cost": "125"}
ROWS = """\
recipient,nom,agence,outcome,error,message_id,lot_id,sent_at,delivery,delivered_at,segments,cost
{0},Awa É,'=1+1,accepted,,m0,L,1970-01-01T00:16:40+00:00,delivered,1970-01-01T00:16:45+00:00,2,25
{1},Kofi,,not_sent,opted_out,,,,,,0,0
{2},"Yao, Jr",,accepted,,m1,L,1970-01-01T00:16:40+00:00,,,2,25
{3},"a\x00b",,unknown,ServerError: It broke.,,,1970-01-01T00:16:41+00:00,,,2,25
{4},,Yop,,,,,,,,0,0
"""


async def live(ledger: Ledger, phones: Phones) -> None:
    """Keep a campaign with an accepted batch, an unknown one and one that waits."""
    people = phones(5)
    kept = (("Awa É", "=1+1"), ("Kofi", ""), ("Yao, Jr", ""))
    await ledger.create(NEW)
    await ledger.load(
        "c",
        [
            NewBatch(number=0, message="B", segments=2, recipients=people[:3], kept=kept),
            NewBatch(number=1, message="C", segments=2, recipients=people[3:4], kept=(("a\x00b", ""),)),
            NewBatch(number=2, message="D", segments=2, recipients=people[4:], kept=(("", "Yop"),)),
        ],
    )
    await ledger.finish_loading("c", plan=json.dumps(PLAN), plan_hash="h")
    await ledger.add_opt_outs([people[1]], source="cli", now=1.0)
    await ledger.start("c")
    for number, event, record in (
        (0, BatchEvent.ACCEPT, BatchRecord(lot_id="L", message_ids=("m0", "m1"))),
        (1, BatchEvent.MARK_UNKNOWN, BatchRecord(error="ServerError: It broke.")),
    ):
        claim = await ledger.claim("c", number, token=f"t{number}", worker="w", now=1000.0 + number)
        assert claim is not None
        await ledger.settle(claim, event, record)
    delivery = Delivery(message_id="m0", status=DeliveryStatus.DELIVERED, raw_status="x", at=1005.0)
    await ledger.record_deliveries("c", [delivery])


async def test_a_report_is_the_same_from_every_ledger(ledger: Ledger, phones: Phones) -> None:
    await live(ledger, phones)
    lines = [csv_line(csv_columns(kept_columns(await ledger.campaign("c"))))]
    lines += [format_csv(report) async for report in read_report(ledger, "c")]
    assert "".join(lines) == ROWS.format(*phones(5)).replace('"a\x00b"', "ab")


async def test_a_summary_is_the_same_from_every_ledger(ledger: Ledger, phones: Phones) -> None:
    await live(ledger, phones)
    found = json.loads(dump_summary(await read_summary(ledger, "c", now=2000.0)))
    counts = {
        "recipients": 5,
        "accepted": 2,
        "rejected": 0,
        "not_sent": 1,
        "unknown": 1,
        "queued": 1,
        "sending": 0,
    }
    expected = {
        **counts,
        "segments": 6,
        "cost": 75,
        "budget": 1000,
        "unit_price": 12.5,
        "delivered": 1,
        "batches": 3,
        "exclusions": {"opted_out": 1},
        "timeline": [
            {"begins": "1970-01-01T00:16:40+00:00", "messages": 2},
            {"begins": "1970-01-01T00:16:41+00:00", "messages": 1},
        ],
        "unknown_batches": [
            {
                "number": 1,
                "recipients": 1,
                "segments": 2,
                "sent_at": "1970-01-01T00:16:41+00:00",
                "error": "ServerError: It broke.",
            }
        ],
    }
    assert found | expected == found
    assert {line["messages"] for line in found["deliveries"]} == {2}
