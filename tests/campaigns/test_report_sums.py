"""The sums of each report are the ledger's and the gateway's own, whatever went wrong on the way."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from attrs import frozen
from python_calamine import CalamineWorkbook

from tests.campaigns.staging import TEXT, Stage, connect
from tests.campaigns.test_report_page import Figures
from vavasms.campaigns.policy import Policy
from vavasms.campaigns.report import (
    RecipientReport,
    csv_columns,
    csv_line,
    format_csv,
    format_json,
    read_report,
)
from vavasms.campaigns.report_page import format_html
from vavasms.campaigns.summary import CampaignSummary, dump_summary, read_summary
from vavasms.campaigns.tracking import track
from vavasms.campaigns.workbook import write_workbook
from vavasms.errors import Outcome
from vavasms.numbers import Msisdn
from vavasms.sandbox import Fault, FaultKind, Gateway, Moment, SandboxServer

pytestmark = pytest.mark.anyio

PRICE = Decimal("12.5")
RAW = partial(Fault, kind=FaultKind.RAW)
#: What may become of a request; as often as not it goes well.
FAULTS: Sequence[Fault | None] = (
    *[None] * 8,
    Fault(kind=FaultKind.STATUS),
    Fault(kind=FaultKind.STATUS, moment=Moment.AFTER_ACCEPTING),
    Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING),
    Fault(kind=FaultKind.CLOSE_AFTER_READING),
    Fault(kind=FaultKind.HTML),
    Fault(kind=FaultKind.TOO_FEW_IDS),
    RAW(body=b'{"code": 920, "message": "INSUFFICIENT_CREDIT"}'),
    RAW(body=b'{"code": 17, "message": "ODD of 2250757000000"}'),
)
TEXTS = ("Bonjour {nom}", "Bonjour", "Votre relevé d’octobre est prêt, {nom}. " * 3)


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    """Serve a gateway whose messages arrive at once."""
    with SandboxServer(Gateway(sent_after=0, delivered_after=0, price=PRICE)) as server:
        yield server


@frozen
class Reports:
    """All reports of one campaign."""

    rows: Sequence[RecipientReport]
    summary: CampaignSummary


async def live(stage: Stage, rng: random.Random) -> str:
    """Run a campaign of random size through random faults, decide on some of the unknown; return its id."""
    count = rng.randrange(3, 90)
    numbers = [f"225{rng.choice(['07', '05', '01'])}57{index:06}" for index in range(count)]
    lines = [f"{number};Nom {rng.randrange(4)}" for number in numbers]
    lines += rng.choices(["12;A", ";B", f"{numbers[0]};C"], k=rng.randrange(5))
    path = stage.folder / "list.csv"
    path.write_text("\n".join(["telephone;nom", *lines, ""]), encoding="utf-8")
    budget = PRICE * rng.choice([count // 2 + 1, 100 * count])
    policy = Policy(
        unit_price=PRICE,
        budget=budget,
        batch_size=rng.choice([1, 5, 20]),
        concurrency=rng.randrange(1, 4),
        daily_cap=rng.choice([None, 1]),
    )
    campaign, _ = await stage.runner.submit(path, rng.choice(TEXTS), policy=policy)
    late = [Msisdn(number) for number in rng.sample(numbers, rng.randrange(3))]
    await stage.ledger.add_opt_outs(late, source="cli", now=1.0)
    stage.sandbox.faults.script(*rng.choices(FAULTS, k=count), path=TEXT)
    await stage.runner.run(campaign.id)
    await decide(stage, campaign.id, rng)
    return campaign.id


async def decide(stage: Stage, campaign_id: str, rng: random.Random) -> None:
    """Decide as a person does who knows what the gateway has, or leave it; sometimes cancel the rest."""
    ledger, received = stage.ledger, stage.received()
    for batch in await ledger.unknown(campaign_id):
        was_sent = all(received.get(str(to)) for to, exclusion in batch.recipients if exclusion is None)
        choice = rng.randrange(3)
        if choice == 0 and was_sent:
            await ledger.mark_sent(campaign_id, [batch.number], note="Marked as sent by hand.")
        elif choice == 1:
            await ledger.resend(campaign_id, [batch.number], sent_before=math.inf)
    if rng.randrange(3) == 0:
        await ledger.cancel(campaign_id, "cancelled by hand")
    elif (await ledger.status(campaign_id)).queued:
        await stage.runner.run(campaign_id)


async def follow(stage: Stage, campaign_id: str) -> None:
    """Ask for the delivery reports until all are there that come."""
    # What is left of the script would strike these requests: they have the path of sending.
    stage.sandbox.faults.clear()
    deadline = time.time() + 0.2
    async with connect(stage.sandbox) as sms:
        await track(sms, stage.ledger, campaign_id, rate=1e6, deadline=deadline, pause=0.01)


async def collect(stage: Stage, campaign_id: str) -> Reports:
    rows = [row async for row in read_report(stage.ledger, campaign_id)]
    return Reports(rows, await read_summary(stage.ledger, campaign_id, now=1.8e9))


@pytest.mark.parametrize("seed", range(20))
async def test_the_sums_are_the_ledgers_and_the_gateways(stage: Stage, seed: int) -> None:
    rng = random.Random(seed)
    campaign_id = await live(stage, rng)
    await follow(stage, campaign_id)
    reports = await collect(stage, campaign_id)
    await compare_with_ledger(stage, campaign_id, reports)
    compare_with_journal(stage, reports)
    await compare_forms(reports)


async def compare_with_ledger(stage: Stage, campaign_id: str, reports: Reports) -> None:
    rows, summary, status = reports.rows, reports.summary, await stage.ledger.status(campaign_id)
    outcomes = Counter(row.outcome for row in rows)
    assert len(rows) == status.recipients == summary.recipients
    assert outcomes[None] == status.queued + status.sending == summary.queued + summary.sending
    for outcome in Outcome:
        counted = getattr(status, outcome.value)
        assert outcomes[outcome] == counted == getattr(summary, outcome.value)
    assert sum(row.segments for row in rows) + summary.earlier_segments == status.segments == summary.segments
    assert summary.cost == PRICE * status.segments
    assert sum((row.cost or Decimal(0)) for row in rows) == PRICE * sum(row.segments for row in rows)
    assert sum(summary.rejections.values()) == status.rejected
    assert sum(summary.exclusions.values()) == status.not_sent
    assert sum(batch.recipients for batch in summary.unknown_batches) == status.unknown
    assert sum(entry.messages for entry in summary.deliveries) == status.accepted
    left = status.accepted + status.rejected + status.unknown + status.sending
    assert sum(span.messages for span in summary.timeline) == left
    delivered = sum(row.delivery is not None for row in rows)
    # Reports of messages that cannot be paired with numbers are of no row.
    paired = [entry for entry in summary.deliveries if entry.prefix]
    assert sum(entry.messages - entry.silent for entry in paired) == delivered


def compare_with_journal(stage: Stage, reports: Reports) -> None:
    journal, received = stage.sandbox.gateway.journal, stage.received()
    rows, summary = reports.rows, reports.summary
    for row in rows:
        count = received.get(str(row.recipient), 0)
        if row.message_id is not None:
            entry, index = journal.find(row.message_id) or pytest.fail(f"{row} is of no message")
            assert (entry.phone(index), entry.lot_id) == (str(row.recipient), row.lot_id)
            assert (entry.segments, entry.cost / entry.recipients) == (row.segments, row.cost)
        if row.outcome is Outcome.ACCEPTED:
            assert count >= 1
        if row.outcome is Outcome.NOT_SENT:
            assert count == 0
    sums = [entry.segments * entry.recipients for entry in journal.entries]
    certain = sum(row.segments for row in rows if row.outcome is Outcome.ACCEPTED)
    assert certain <= sum(sums) <= summary.segments
    assert PRICE * sum(sums) == sum(entry.cost for entry in journal.entries)
    if not (summary.unknown or summary.earlier_segments):
        # Nothing is in doubt: what the report says is what the gateway was paid.
        assert sum(sums) == summary.segments
        assert sum(received.values()) == summary.accepted


async def compare_forms(reports: Reports) -> None:
    """Compare the sums of the files with those of the values."""
    rows, summary = reports.rows, reports.summary
    expected = measure(
        (row.outcome and row.outcome.value, row.segments, row.cost, row.delivery and row.delivery.value)
        for row in rows
    )
    text = csv_line(csv_columns(())) + "".join(map(format_csv, rows))
    keys = ("outcome", "segments", "cost", "delivery")
    assert measure([line[key] for key in keys] for line in csv.DictReader(io.StringIO(text))) == expected
    objects = [json.loads(format_json(row)) for row in rows]
    assert measure([line[key] for key in keys] for line in objects) == expected
    file = io.BytesIO()

    async def produce() -> Any:
        for row in rows:
            yield row

    await write_workbook(file, produce())
    head, *cells = (
        CalamineWorkbook.from_filelike(io.BytesIO(file.getvalue())).get_sheet_by_index(0).to_python()
    )
    assert measure([dict(zip(head, line, strict=True))[key] for key in keys] for line in cells) == expected
    figures, page = json.loads(dump_summary(summary)), Figures(format_html(summary)).values
    for key in ("recipients", "accepted", "rejected", "not_sent", "unknown", "cost"):
        assert page[key] == {str(figures[key])}


def measure(rows: Any) -> tuple[Counter[str], int, Decimal, Counter[str]]:
    """Count the outcomes and deliveries of rows, and add up their segments and cost."""
    columns = [*zip(*rows, strict=True)]
    outcomes, segments, costs, deliveries = columns
    return (
        Counter(outcome or "" for outcome in outcomes),
        sum(map(int, segments)),
        sum((Decimal(str(cost)) for cost in costs), Decimal(0)),
        Counter(delivery or "" for delivery in deliveries),
    )
