"""The report: one recipient after the other, and nothing in it that a spreadsheet or a terminal obeys."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from attrs import evolve

from vavasms.campaigns.policy import Policy, dump_policy, parse_window
from vavasms.campaigns.report import (
    COLUMNS,
    PAGE,
    RecipientReport,
    csv_columns,
    csv_line,
    format_csv,
    format_json,
    format_text,
    kept_columns,
    read_report,
)
from vavasms.errors import InvalidInputError, Outcome
from vavasms.ledger.models import BatchRecord, Claim, Delivery, NewBatch, NewCampaign
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.states import BatchEvent
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

FIRST = 2250700000100


def phones(number: int, first: int = 0) -> tuple[Msisdn, ...]:
    return tuple(Msisdn(FIRST + index) for index in range(first, first + number))


async def begin(*sizes: int, **options: object) -> MemoryLedger:
    ledger = MemoryLedger()
    values = {"account": "ops", "sender_id": "ACME", "message": "Bonjour", "created_at": 10.0}
    await ledger.create(NewCampaign(id="c", **{**values, **options}))  # type: ignore[arg-type]
    batches, first = [], 0
    for number, size in enumerate(sizes):
        batches.append(NewBatch(number=number, message="Bonjour", segments=1, recipients=phones(size, first)))
        first += size
    await ledger.load("c", batches)
    await ledger.finish_loading("c", plan="{}", plan_hash="hash")
    await ledger.start("c")
    return ledger


async def claim(ledger: MemoryLedger, number: int) -> Claim:
    made = await ledger.claim("c", number, token=f"t{number}", worker="w", now=1000.0)
    assert made is not None
    return made


async def settle(
    ledger: MemoryLedger,
    number: int,
    event: BatchEvent,
    *ids: str,
    lot_id: str = "",
    error: str | None = None,
) -> None:
    record = BatchRecord(lot_id=lot_id, message_ids=ids, error=error)
    assert await ledger.settle(await claim(ledger, number), event, record)


async def read(ledger: MemoryLedger) -> Sequence[RecipientReport]:
    return [each async for each in read_report(ledger, "c")]


def entry(**values: object) -> RecipientReport:
    given = {"recipient": Msisdn(FIRST), "outcome": Outcome.ACCEPTED}
    return RecipientReport(**{**given, **values})  # type: ignore[arg-type]


async def test_each_recipient_has_the_outcome_of_its_batch() -> None:
    ledger = await begin(1, 1, 1, 1, 1)
    await settle(ledger, 0, BatchEvent.ACCEPT, "m0", lot_id="L0")
    await settle(ledger, 1, BatchEvent.REJECT, error="GatewayError: no.")
    await settle(ledger, 2, BatchEvent.MARK_UNKNOWN, error="ServerError: broke.")
    await claim(ledger, 3)
    found = await read(ledger)
    assert [each.recipient for each in found] == list(phones(5))
    assert [each.outcome for each in found] == [
        Outcome.ACCEPTED,
        Outcome.REJECTED,
        Outcome.UNKNOWN,
        None,
        None,
    ]
    assert [(each.message_id, each.lot_id) for each in found[:2]] == [("m0", "L0"), (None, None)]
    assert [each.error for each in found] == [None, "GatewayError: no.", "ServerError: broke.", None, None]


async def test_what_a_cancellation_kept_from_being_sent_is_not_sent() -> None:
    ledger = await begin(1, 2)
    await settle(ledger, 0, BatchEvent.ACCEPT, "m0")
    await ledger.cancel("c", "enough")
    found = await read(ledger)
    assert [each.outcome for each in found] == [Outcome.ACCEPTED, Outcome.NOT_SENT, Outcome.NOT_SENT]
    assert [each.error for each in found] == [None, "cancelled", "cancelled"]


async def test_what_was_to_be_sent_again_and_was_not_is_unknown() -> None:
    ledger = await begin(1)
    await settle(ledger, 0, BatchEvent.MARK_UNKNOWN)
    await ledger.resend("c", [0], sent_before=2000.0)
    await ledger.cancel("c", "enough")
    (found,) = await read(ledger)
    assert found.outcome is Outcome.UNKNOWN
    assert found.error == "It was to be sent again and was not; the earlier attempt's outcome is unknown."


async def test_a_recipient_left_out_is_not_sent_and_shifts_no_message_id() -> None:
    ledger = await begin(3, 1)
    await ledger.add_opt_outs(phones(1, 1), source="cli", now=1.0)
    await settle(ledger, 0, BatchEvent.ACCEPT, "m0", "m2", lot_id="L")
    found = await read(ledger)
    assert [each.message_id for each in found[:3]] == ["m0", None, "m2"]
    left_out = found[1]
    assert (left_out.outcome, left_out.error, left_out.lot_id) == (Outcome.NOT_SENT, "opted_out", None)


async def test_a_recipient_over_the_daily_cap_is_not_sent() -> None:
    ledger = await begin(1, daily_cap=1)
    await settle(ledger, 0, BatchEvent.ACCEPT, "m0")
    values = {"account": "ops", "sender_id": "ACME", "message": "Bonjour", "created_at": 20.0}
    await ledger.create(NewCampaign(id="d", daily_cap=1, **values))  # type: ignore[arg-type]
    await ledger.load("d", [NewBatch(number=0, message="B", segments=1, recipients=phones(2))])
    await ledger.finish_loading("d", plan="{}", plan_hash="other")
    await ledger.start("d")
    assert await ledger.claim("d", 0, token="x", worker="w", now=1001.0) is not None
    found = [each async for each in read_report(ledger, "d")]
    assert [(each.outcome, each.error) for each in found] == [(Outcome.NOT_SENT, "capped"), (None, None)]


@pytest.mark.parametrize("ids", [("m0",), ("m0", "m1", "m2"), ()])
async def test_ids_of_another_count_are_paired_with_nobody(ids: tuple[str, ...]) -> None:
    ledger = await begin(2)
    await settle(ledger, 0, BatchEvent.ACCEPT, *ids, lot_id="L")
    found = await read(ledger)
    assert [each.message_id for each in found] == [None, None]
    assert [each.lot_id for each in found] == ["L", "L"]


async def test_the_latest_delivery_report_stands_beside_its_message() -> None:
    ledger = await begin(2)
    await settle(ledger, 0, BatchEvent.ACCEPT, "m0", "m1")
    delivery = Delivery(message_id="m1", status=DeliveryStatus.DELIVERED, raw_status="delivered", at=5.0)
    await ledger.record_deliveries("c", [delivery])
    assert [report.delivery for report in await read(ledger)] == [None, DeliveryStatus.DELIVERED]


@pytest.mark.parametrize("price", ["12.5", None])
async def test_what_is_paid_or_possibly_paid_has_segments_a_cost_and_a_moment(price: str | None) -> None:
    policy = Policy(unit_price=None if price is None else Decimal(price), window=parse_window("8:00-9:00"))
    ledger = await begin(1, 2, 1, 1, 1, policy=dump_policy(policy))
    await ledger.add_opt_outs(phones(1, 1), source="cli", now=1.0)
    await settle(ledger, 0, BatchEvent.ACCEPT, "m0")
    await settle(ledger, 1, BatchEvent.MARK_UNKNOWN)
    await settle(ledger, 2, BatchEvent.REJECT)
    await claim(ledger, 3)
    await ledger.cancel("c", "enough")
    found = await read(ledger)
    # Of the second batch one was left out; the last was never sent.
    assert [each.segments for each in found] == [1, 0, 1, 0, 1, 0]
    each = None if price is None else Decimal(price)
    free = None if price is None else Decimal(0)
    assert [each.cost for each in found] == [each, free, each, free, each, free]
    moment = datetime.fromtimestamp(1000.0, ZoneInfo("Africa/Abidjan"))
    assert [each.sent_at for each in found] == [moment, None, moment, moment, moment, None]
    assert sum(each.segments for each in found) == (await ledger.status("c")).segments


async def test_a_moment_is_one_of_the_campaigns_zone() -> None:
    window = parse_window("8:00-9:00", tz="Europe/Paris")
    ledger = await begin(2, policy=dump_policy(Policy(window=window)))
    await settle(ledger, 0, BatchEvent.ACCEPT, "m0", "m1")
    values = {"raw_status": "x", "at": 1.75e9}
    await ledger.record_deliveries(
        "c",
        [
            Delivery(message_id="m0", status=DeliveryStatus.DELIVERED, **values),  # type: ignore[arg-type]
            Delivery(message_id="m1", status=DeliveryStatus.FAILED, **values),  # type: ignore[arg-type]
        ],
    )
    first, second = await read(ledger)
    assert str(first.sent_at) == "1970-01-01 01:16:40+01:00"
    assert str(first.delivered_at) == "2025-06-15 17:06:40+02:00"
    assert second.delivered_at is None


async def test_the_cells_that_are_kept_stand_under_their_columns() -> None:
    ledger = MemoryLedger()
    values = {"account": "ops", "sender_id": "ACME", "message": "Bonjour", "created_at": 10.0}
    await ledger.create(NewCampaign(id="c", **values))  # type: ignore[arg-type]
    kept = (("Awa", "Cocody"), ("Kofi", ""))
    batch = NewBatch(number=0, message="Bonjour", segments=1, recipients=phones(2), kept=kept)
    bare = NewBatch(number=1, message="Bonjour", segments=1, recipients=phones(1, 2))
    await ledger.load("c", [batch, bare])
    await ledger.finish_loading("c", plan=json.dumps({"keep": ["nom", "agence"]}), plan_hash="h")
    assert kept_columns(await ledger.campaign("c")) == ("nom", "agence")
    assert [each.kept for each in await read(ledger)] == [
        {"nom": "Awa", "agence": "Cocody"},
        {"nom": "Kofi", "agence": ""},
        {"nom": "", "agence": ""},
    ]


async def test_every_page_is_read_once() -> None:
    ledger = await begin(*([1] * (2 * PAGE + 1)))
    assert [report.recipient for report in await read(ledger)] == list(phones(2 * PAGE + 1))


async def test_of_a_purged_campaign_nothing_is_left_to_report() -> None:
    ledger = await begin(2)
    await ledger.cancel("c", "enough")
    await ledger.purge("c")
    assert await read(ledger) == []


async def test_an_unknown_campaign_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        await read(MemoryLedger())


def full() -> RecipientReport:
    return entry(
        message_id="m",
        lot_id="L",
        error="E: é.",
        delivery=DeliveryStatus.DELIVERED,
        sent_at=datetime.fromtimestamp(1.75e9 + 0.25, ZoneInfo("Africa/Abidjan")),
        delivered_at=datetime.fromtimestamp(1.75e9 + 60, ZoneInfo("Europe/Paris")),
        segments=2,
        cost=Decimal("25.50"),
    )


def test_json_has_text_a_number_or_null_under_stable_keys() -> None:
    assert json.loads(format_json(full())) == {
        "recipient": str(FIRST),
        "outcome": "accepted",
        "error": "E: é.",
        "message_id": "m",
        "lot_id": "L",
        "sent_at": "2025-06-15T15:06:40+00:00",
        "delivery": "delivered",
        "delivered_at": "2025-06-15T17:07:40+02:00",
        "segments": 2,
        "cost": 25.5,
    }
    bare = json.loads(format_json(entry(outcome=None)))
    assert tuple(bare) == COLUMNS
    assert {bare[key] for key in COLUMNS[1:] if key != "segments"} == {None}
    assert bare["segments"] == 0
    assert format_json(full()).isascii()
    assert json.loads(format_json(entry(cost=Decimal("24.00"))))["cost"] == 24


def test_json_has_what_a_campaign_keeps_as_an_object_of_its_own() -> None:
    kept = {"nom": "Awa É", "outcome": "=1+1"}
    line = json.loads(format_json(evolve(full(), kept=kept)))
    assert list(line)[:3] == ["recipient", "kept", "outcome"]
    assert (line["kept"], line["outcome"]) == (kept, "accepted")


def test_csv_has_what_a_campaign_keeps_behind_the_number() -> None:
    text = csv_line(csv_columns(["nom", "=agence"])) + format_csv(
        evolve(full(), kept={"nom": "=Awa", "=agence": "Cocody, 2"})
    )
    (head, row) = csv.reader(io.StringIO(text))
    assert head == ["recipient", "nom", "'=agence", *COLUMNS[1:]]
    assert row == [
        str(FIRST),
        "'=Awa",
        "Cocody, 2",
        "accepted",
        "E: é.",
        "m",
        "L",
        "2025-06-15T15:06:40+00:00",
        "delivered",
        "2025-06-15T17:07:40+02:00",
        "2",
        "25.5",
    ]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_of_the_csv_begins_a_formula(start: str) -> None:
    line = format_csv(entry(error=f'{start}HYPERLINK("http://x","y")', lot_id=f"\x00{start}1"))
    (cells,) = csv.reader(io.StringIO(line, newline=""))
    assert cells[0] == str(FIRST)
    assert not cells[4].startswith(("=", "+", "-", "@", "\t", "\r"))
    assert cells[2].startswith("'")


def test_csv_cells_that_need_quotes_have_them_and_none_is_two_lines() -> None:
    line = csv_line(('a,"b"', "c\nd\re", None, ""))
    assert line.count("\n") == 1
    (cells,) = csv.reader(io.StringIO(line))
    assert cells == ['a,"b"', "c d e", "", ""]


@pytest.mark.parametrize("write", [format_csv, format_text])
def test_the_gateways_text_can_command_no_terminal(write: object) -> None:
    assert callable(write)
    line = write(entry(error="\x1b]0;owned\x07[red]\u202e\x9b31m\ud800", message_id="\x1b[2J"))
    assert not set(line) & set("\x1b\x07\u202e\x9b\ud800")
    line.encode()


def test_text_says_waiting_where_nothing_is_decided() -> None:
    assert format_text(entry(outcome=None)) == "+2250700000100    waiting\n"
    sent = entry(outcome=Outcome.NOT_SENT, error="opted\nout")
    assert format_text(sent) == "+2250700000100    not sent  opted out\n"
