"""`campaign status`, `list`, `pause`, `cancel`, `report`, `resolve`, `track`, `purge`."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from attrs import evolve
from filelock import FileLock
from python_calamine import CalamineWorkbook

from vavasms import AsyncVavaSMS
from vavasms.campaigns.policy import Policy, dump_policy
from vavasms.ledger.models import (
    BatchRecord,
    CampaignStatus,
    Claim,
    Delivery,
    NewBatch,
    NewCampaign,
)
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.states import BatchEvent, CampaignState
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn
from vavasms.sandbox import SandboxServer

Run = Callable[..., subprocess.CompletedProcess[str]]
ID = "3f9a1c07"
LEDGER = "ledger.db"
FIRST = 2250700000100
KEYS = "id state recipients queued sending accepted rejected not_sent unknown batches reason"
LOST = "OutcomeUnknownError: \x1b[31mThe request left."
LOT = BatchRecord(lot_id="=LOT-1", message_ids=("SM-0", "SM-1"))
DELIVERED = Delivery(
    message_id="SM-1", status=DeliveryStatus.DELIVERED, raw_status="delivered", at=1.0, prefix="22507"
)


async def _claim(ledger: SqliteLedger, no: int, campaign_id: str = ID) -> Claim:
    made = await ledger.claim(
        campaign_id, no, token=f"{campaign_id}{no}", worker="w", now=1.75e9 + no, balance=Decimal(900)
    )
    assert made is not None
    return made


async def _create(ledger: SqliteLedger, campaign_id: str, *sizes: int) -> None:
    values = {"account": "ops", "sender_id": "ACME", "message": "Bonjour", "created_at": 1.75e9}
    policy = dump_policy(Policy(unit_price=Decimal(12)))
    await ledger.create(NewCampaign(id=campaign_id, policy=policy, **values))  # type: ignore[arg-type]
    batches, first = [], FIRST
    for no, size in enumerate(sizes):
        recipients = tuple(Msisdn(each) for each in range(first, first + size))
        batches.append(NewBatch(number=no, message="Bonjour", segments=2, recipients=recipients))
        first += size
    await ledger.load(campaign_id, batches)
    await ledger.finish_loading(campaign_id, plan="{}", plan_hash=campaign_id)
    await ledger.start(campaign_id)


async def _build() -> None:
    """Keep a campaign with a batch of each fate: accepted, rejected, unknown, and two that wait."""
    async with await SqliteLedger.open(LEDGER) as ledger:
        await _create(ledger, ID, 2, 1, 3, 1, 1)
        await ledger.settle(await _claim(ledger, 0), BatchEvent.ACCEPT, LOT)
        error = BatchRecord(error="RejectedNumberError: No.")
        await ledger.settle(await _claim(ledger, 1), BatchEvent.REJECT, error)
        await ledger.settle(
            await _claim(ledger, 2), BatchEvent.MARK_UNKNOWN, BatchRecord(lot_id="LOT-\x1b[2J9", error=LOST)
        )
        await ledger.note_balance(ID, [2], Decimal(828))
        await ledger.record_deliveries(ID, [DELIVERED])


async def _status() -> CampaignStatus:
    async with await SqliteLedger.open(LEDGER) as ledger:
        return await ledger.status(ID)


async def _claim_fourth() -> None:
    async with await SqliteLedger.open(LEDGER) as ledger:
        await _claim(ledger, 3)


async def _finish() -> None:
    async with await SqliteLedger.open(LEDGER) as ledger:
        for no in (3, 4):
            await ledger.settle(await _claim(ledger, no), BatchEvent.ACCEPT, BatchRecord())
        await ledger.finish(ID)


@pytest.fixture(autouse=True)
def ledger(bare_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a ledger, and have the environment name it."""
    monkeypatch.setenv("VAVASMS_LEDGER", LEDGER)
    anyio.run(_build)


@pytest.fixture
def runner() -> Iterator[None]:
    """Hold the lock of a runner beside the command."""
    with FileLock(f"{LEDGER}.lock"):
        yield


def status() -> CampaignStatus:
    return anyio.run(_status)


def call(inside: Run, *words: str, code: int = 0) -> str:
    finished = inside("campaign", *words)
    assert finished.returncode == code, finished.stderr
    assert all(len(line) <= 80 for line in finished.stdout.splitlines() if "{" not in line)
    assert "\x1b" not in finished.stdout + finished.stderr
    if code and not finished.stdout:
        assert finished.stderr.count("\n") == 1
    return finished.stdout or finished.stderr


# --- status and list -------------------------------------------------------------------------------------


def test_status_shows_each_fate_and_what_can_be_done(inside: Run) -> None:
    shown = call(inside, "status", ID)
    assert f"Campaign {ID} is running." in shown
    for words in ("2   accepted", "1   rejected", "0   not sent", "3   unknown", "2   queued", "120 XOF"):
        assert words in shown, shown
    assert f"vavasms campaign resolve {ID}" in shown


def test_status_as_json_has_the_contracts_keys(inside: Run) -> None:
    value = json.loads(call(inside, "status", ID, "--json"))
    assert set(KEYS.split()) <= set(value)
    counts = {"recipients": 8, "queued": 2, "sending": 0, "accepted": 2, "rejected": 1, "unknown": 3}
    assert value | counts | {"id": ID, "state": "running", "batches": 5, "reason": None} == value


def test_status_shows_delivery_by_prefix(inside: Run) -> None:
    shown = call(inside, "status", ID)
    assert ["2", "1", "0", "1", "+22507,", "Orange's", "prefix"] in [
        line.split() for line in shown.splitlines()
    ]
    value = json.loads(call(inside, "status", ID, "--json"))["delivery"]
    line = {
        "prefix": "22507",
        "owner": "Orange",
        "accepted": 2,
        "delivered": 1,
        "undelivered": 0,
        "pending": 1,
    }
    assert value == {"tracking": None, "prefixes": [line]}


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("final", "All delivery reports are final."),
        ("expired", "72 hours are over."),
        ("unavailable", "the gateway has no such call at VAVASMS_STATUS_PATH."),
    ],
)
def test_status_says_why_nobody_asks_for_delivery_reports(inside: Run, reason: str, words: str) -> None:
    async def end() -> None:
        async with await SqliteLedger.open(LEDGER) as ledger:
            await ledger.end_tracking(ID, reason)

    anyio.run(end)
    assert words in " ".join(inside("campaign", "status", ID).stdout.split())
    assert json.loads(call(inside, "status", ID, "--json"))["delivery"]["tracking"] == reason


def test_status_names_a_prefix_abroad_and_what_has_none(inside: Run) -> None:
    async def keep() -> None:
        async with await SqliteLedger.open(LEDGER) as ledger:
            values = {"account": "ops", "sender_id": "ACME", "message": "B", "created_at": 1.75e9}
            await ledger.create(NewCampaign(id="abroad", **values))  # type: ignore[arg-type]
            batch = NewBatch(number=0, message="B", segments=1, recipients=(Msisdn("22890000001"),))
            await ledger.load("abroad", [batch])
            await ledger.finish_loading("abroad", plan="{}", plan_hash="abroad")
            await ledger.start("abroad")
            record = BatchRecord(message_ids=("SM-1", "SM-2"))
            await ledger.settle(await _claim(ledger, 0, "abroad"), BatchEvent.ACCEPT, record)
            await ledger.record_deliveries("abroad", [evolve(DELIVERED, prefix="")])

    anyio.run(keep)
    shown = inside("campaign", "status", "abroad").stdout
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "1 0 0 1 +228 (TG)" in lines
    assert any(line.startswith("0 1 0 0 not told apart: the gateway gave") for line in lines)
    owners = [
        each["owner"]
        for each in json.loads(call(inside, "status", "abroad", "--json"))["delivery"]["prefixes"]
    ]
    assert owners == [None, None]


def test_status_of_a_campaign_without_an_accepted_message_has_no_delivery(inside: Run) -> None:
    async def create() -> None:
        async with await SqliteLedger.open(LEDGER) as ledger:
            await _create(ledger, "fresh", 1)

    anyio.run(create)
    assert "prefix" not in call(inside, "status", "fresh")


def test_list_has_a_line_a_campaign(inside: Run) -> None:
    head, line = call(inside, "list").splitlines()
    assert head.split()[:3] == ["Campaign", "State", "Recipients"]
    assert line.split() == [ID, "running", "8", "2", "2", "1", "0", "3"]
    assert json.loads(call(inside, "list", "--json"))["id"] == ID


def test_an_empty_ledger_lists_nothing(inside: Run) -> None:
    inside("ledger", "migrate", "--ledger", "empty.db")
    assert call(inside, "list", "--ledger", "empty.db") == "There is no campaign in this ledger.\n"
    assert call(inside, "list", "--ledger", "empty.db", "--json") == ""


@pytest.mark.parametrize(
    "words",
    [
        ("status", ID),
        ("list",),
        ("pause", ID),
        ("cancel", ID, "--yes"),
        ("report", ID),
        ("resolve", ID),
        ("track", ID),
        ("purge", ID, "--yes"),
    ],
)
def test_a_ledger_that_is_not_there_is_said_to_be_missing_and_not_made(
    inside: Run, words: tuple[str, ...]
) -> None:
    said = call(inside, *words, "--ledger", "none.db", code=2)
    assert said.startswith("There is no ledger at none.db yet. [")
    assert not Path("none.db").exists()


@pytest.mark.parametrize("command", ["status", "pause", "cancel", "report", "resolve", "track", "purge"])
def test_a_campaign_that_nobody_knows_is_exit_2(inside: Run, command: str) -> None:
    assert "no campaign 'nope'" in call(inside, command, "nope", code=2)


def test_beside_a_runner_status_and_pause_answer_at_once(inside: Run, runner: None) -> None:
    call(inside, "status", ID)
    call(inside, "pause", ID)
    assert status().state is CampaignState.PAUSED


# --- pause, cancel, purge --------------------------------------------------------------------------------


def test_pause_says_how_to_go_on_and_may_be_said_twice(inside: Run) -> None:
    for _ in range(2):
        shown = call(inside, "pause", ID, "--ledger", LEDGER)
        assert "2 recipients still to be sent to" in shown
        assert f"vavasms campaign resume {ID} --ledger {LEDGER}\n" in shown
    value = json.loads(call(inside, "pause", ID, "--json"))
    assert (value["state"], value["reason"]) == ("paused", "paused by hand")
    assert call(inside, "status", ID).startswith(f"Campaign {ID} was paused by hand.\n")


def test_what_has_ended_is_neither_paused_nor_cancelled(inside: Run) -> None:
    call(inside, "cancel", ID, "--yes")
    assert "is cancelled: it cannot be paused" in call(inside, "pause", ID, code=2)
    assert "is cancelled: it cannot be cancelled" in call(inside, "cancel", ID, "--yes", code=2)
    assert call(inside, "status", ID).startswith(f"Campaign {ID} was cancelled by hand.\n")


def test_cancel_leaves_unsent_what_was_not_sent(inside: Run) -> None:
    anyio.run(_claim_fourth)
    shown = call(inside, "cancel", ID, "--yes")
    assert "1 recipient not sent to.\nStill under way, and settled when answered: 1 recipient." in shown
    found = status()
    assert (found.state, found.not_sent, found.sending) == (CampaignState.CANCELLED, 1, 1)


def test_cancel_as_json_prints_the_status(inside: Run) -> None:
    value = json.loads(call(inside, "cancel", ID, "--yes", "--json"))
    assert (value["state"], value["not_sent"]) == ("cancelled", 2)


@pytest.mark.parametrize(
    "words", [("cancel", ID), ("purge", ID), ("resolve", ID, "--mark-sent"), ("resolve", ID, "--resend")]
)
def test_nobody_to_ask_is_a_no(inside: Run, words: tuple[str, ...]) -> None:
    if words[0] == "purge":
        anyio.run(_finish)
    before = status()
    finished = inside("campaign", *words)
    assert finished.returncode == 2
    assert "add --yes" in finished.stderr
    assert status() == before


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(
    ("typed", "code", "state"), [("yes", 0, CampaignState.CANCELLED), ("y", 2, CampaignState.RUNNING)]
)
def test_cancel_wants_a_typed_yes(outside: Run, typed: str, code: int, state: CampaignState) -> None:
    finished = _type(outside, typed, "campaign", "cancel", ID)
    assert finished.returncode == code
    assert "Type yes to go on: " in finished.stderr
    assert status().state is state


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("typed", "code", "unknown"), [(ID, 0, 0), ("yes", 2, 3)])
def test_resolve_wants_the_campaigns_id_typed(outside: Run, typed: str, code: int, unknown: int) -> None:
    finished = _type(outside, typed, "campaign", "resolve", ID, "--resend")
    assert finished.returncode == code
    assert "gets a second one" in finished.stderr
    assert status().unknown == unknown


def _type(outside: Run, typed: str, *words: str) -> subprocess.CompletedProcess[str]:
    ours, theirs = os.openpty()
    try:
        os.write(ours, f"{typed}\n".encode())
        return outside(*words, stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)


def test_purge_forgets_numbers_and_keeps_the_counts(inside: Run) -> None:
    assert "cannot be purged" in call(inside, "purge", ID, "--yes", code=2)
    anyio.run(_finish)
    before = status()
    assert "are forgotten" in call(inside, "purge", ID, "--yes")
    assert status() == before
    finished = inside("campaign", "report", ID, "--format", "csv")
    assert (finished.returncode, finished.stdout.count("\n")) == (0, 1)
    assert "only its counts are left" in finished.stderr


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("decided", [False, True])
def test_purge_warns_where_something_is_unknown(inside: Run, outside: Run, *, decided: bool) -> None:
    anyio.run(_finish)
    if decided:
        call(inside, "resolve", ID, "--mark-sent", "--yes")
    finished = _type(outside, "yes", "campaign", "purge", ID, "--json")
    assert json.loads(finished.stdout)["state"] == "done"
    assert ("nobody can look it up then" in finished.stderr) is not decided


def test_of_a_purged_campaign_nothing_can_be_decided(inside: Run) -> None:
    anyio.run(_finish)
    call(inside, "purge", ID, "--yes")
    assert "stays so: its numbers are forgotten" in call(inside, "resolve", ID, code=4)
    for decision in ("--resend", "--mark-sent"):
        assert "are forgotten" in call(inside, "resolve", ID, decision, "--yes", code=2)
    assert status().unknown == 3


# --- report ----------------------------------------------------------------------------------------------


def test_report_as_json_has_a_line_a_recipient(inside: Run) -> None:
    lines = [json.loads(line) for line in call(inside, "report", ID, "--format", "json").splitlines()]
    assert lines[1] == {
        "recipient": "2250700000101",
        "outcome": "accepted",
        "error": None,
        "message_id": "SM-1",
        "lot_id": "=LOT-1",
        "sent_at": "2025-06-15T15:06:40+00:00",
        "delivery": "delivered",
        "delivered_at": "1970-01-01T00:00:01+00:00",
        "segments": 2,
        "cost": 24,
    }
    assert [line["outcome"] for line in lines] == [
        *["accepted"] * 2,
        "rejected",
        *["unknown"] * 3,
        *[None] * 2,
    ]
    assert call(inside, "report", ID, "--json") == call(inside, "report", ID, "--format", "json")


def test_report_as_csv_holds_digits_and_no_formula(inside: Run) -> None:
    finished = inside("campaign", "report", ID, "--format", "csv")
    assert "\x1b" not in finished.stdout
    head, *rows = csv.reader(io.StringIO(finished.stdout))
    assert head[:5] == ["recipient", "outcome", "error", "message_id", "lot_id"]
    assert [row[0] for row in rows] == [str(FIRST + each) for each in range(8)]
    assert rows[0][4] == "'=LOT-1"
    assert "[31m" in rows[3][2]


def test_report_as_text_ends_with_the_counts(inside: Run) -> None:
    lines = call(inside, "report", ID).splitlines()
    assert lines[1].split() == ["+2250700000101", "accepted", "SM-1", "delivered"]
    assert lines[-1] == "8 recipients: 2 accepted, 1 rejected, 0 not sent, 3 unknown, 2 waiting."


def test_report_as_a_spreadsheet_is_written_to_a_file_for_its_owner(inside: Run) -> None:
    path = Path("report.xlsx")
    shown = call(inside, "report", ID, "--format", "xlsx", "--output", str(path))
    assert shown == "The report is in report.xlsx.\n"
    assert path.stat().st_mode & 0o777 == 0o600
    rows = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()
    assert [row[0] for row in rows] == ["recipient", *(str(FIRST + each) for each in range(8))]
    assert rows[1][4] == "'=LOT-1"


def test_report_goes_to_a_file_as_it_goes_to_standard_output(inside: Run) -> None:
    for form in (("csv",), ("csv", "--excel"), ("json",), ("text",)):
        path = Path("-".join(form))
        printed = inside("campaign", "report", ID, "--format", *form).stdout
        said = call(inside, "report", ID, "--format", *form, "-o", str(path))
        # The counts of the text are for whoever waits.
        counts = printed.splitlines(keepends=True)[-1] if form == ("text",) else ""
        assert path.read_text("utf-8") + counts == printed
        assert said == f"{counts}The report is in {path}.\n"


def test_report_as_a_page_has_the_figures_of_the_summary(inside: Run) -> None:
    printed = inside("campaign", "report", ID, "--format", "html").stdout
    assert printed.startswith("<!DOCTYPE html>")
    call(inside, "report", ID, "--format", "html", "-o", "report.html")
    assert Path("report.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    (line,) = call(inside, "report", ID, "--format", "json", "--summary").splitlines()
    figures = json.loads(line)
    for name in ("accepted", "unknown", "segments", "cost"):
        assert f'<data value="{figures[name]}" data-figure="{name}">' in printed
    assert str(FIRST)[:-2] not in printed + line


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--summary",), "--summary is for JSON only"),
        (("--format", "csv", "--summary"), "--summary is for JSON only"),
        (("--format", "html", "--excel"), "--excel is for CSV only"),
    ],
)
def test_report_has_no_option_for_nothing(inside: Run, words: tuple[str, ...], sentence: str) -> None:
    assert sentence in call(inside, "report", ID, *words, code=2)


@pytest.mark.parametrize(("form", "extra"), [("html", "jinja2"), ("xlsx", "xlsxwriter")])
def test_report_names_the_extra_that_it_needs(
    inside: Run, form: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, extra, None)
    said = call(inside, "report", ID, "--format", form, "-o", "x", code=2)
    assert "needs its extra: pip install 'vavasms[" in said


@pytest.mark.parametrize("path", ["there.csv", "nowhere/report.csv", "a\0b", "."])
def test_report_writes_to_no_file_that_is_there_and_none_that_cannot_be(inside: Run, path: str) -> None:
    Path("there.csv").write_text("mine")
    said = call(inside, "report", ID, "--format", "csv", "--output", path, code=2)
    assert "of --output cannot be written" in said
    assert Path("there.csv").read_text() == "mine"
    assert not list(Path().glob("*.part"))


def test_a_report_that_fails_leaves_no_file(inside: Run) -> None:
    call(inside, "report", "nobody", "--format", "xlsx", "--output", "report.xlsx", code=2)
    assert not list(Path().glob("report*"))


def test_report_has_no_other_format(inside: Run) -> None:
    assert "--format" in call(inside, "report", ID, "--format", "xml", code=2)


# --- resolve ---------------------------------------------------------------------------------------------


def test_resolve_lists_what_is_at_risk_and_changes_nothing(inside: Run) -> None:
    shown = call(inside, "resolve", ID, code=4)
    assert "3 recipients" in shown
    assert "Batch 2: 3 recipients, sent at 2025-06-15T15:06:42Z, 6 segments, 72 XOF" in shown
    assert "[31mThe request left." in shown
    assert "OutcomeUnknownError" not in shown
    assert "The gateway named the lot LOT-[2J9." in shown
    assert "900 XOF before, 828 XOF after, that is -72 XOF." in shown
    assert f"Campaign {ID}: for 3 recipients it is unknown whether the SMS was sent.\n" in shown
    assert "Sending again risks paying 6 segments twice: 72 XOF more.\n" in shown
    assert "If they were sent:" in shown
    assert f"vavasms campaign resolve {ID} --mark-sent" in shown
    assert status().unknown == 3


def test_resolve_as_json_has_a_line_a_batch(inside: Run) -> None:
    value = json.loads(call(inside, "resolve", ID, "--json", "--unit-price", "10.5", code=4))
    assert value == {
        "batch": 2,
        "recipients": 3,
        "segments": 6,
        "cost": 63,
        "sent_at": "2025-06-15T15:06:42Z",
        "error": LOST,
        "lot_id": "LOT-\x1b[2J9",
        "message_ids": [],
        "balance_before": 900,
        "balance_after": 828,
    }


def test_what_a_dead_runner_had_under_way_is_listed_as_well(inside: Run) -> None:
    anyio.run(_claim_fourth)
    shown = call(inside, "resolve", ID, code=4)
    assert "Batch 3: 1 recipient" in shown
    assert "not read on both sides" in shown


def test_beside_a_runner_resolve_lists_and_decides_nothing(inside: Run, runner: None) -> None:
    anyio.run(_claim_fourth)
    assert "Batch 3" not in call(inside, "resolve", ID, code=4)
    finished = inside("campaign", "resolve", ID, "--resend", "--yes")
    assert finished.returncode == 5
    assert "A runner is at work" in finished.stderr
    found = status()
    assert (found.unknown, found.sending) == (3, 1)


def test_mark_sent_makes_them_accepted(inside: Run) -> None:
    shown = call(inside, "resolve", ID, "--mark-sent", "--yes")
    assert "Marked as sent: 1 batch." in shown
    assert (status().accepted, status().unknown) == (5, 0)
    report = call(inside, "report", ID, "--format", "json").splitlines()
    assert json.loads(report[3])["error"] == "Marked as sent by hand."
    assert "Nothing of the campaign" in call(inside, "resolve", ID)
    assert call(inside, "resolve", ID, "--json") == ""
    call(inside, "resolve", ID, "--mark-sent", "--yes")


def test_resend_queues_them_and_says_how_to_send_them(inside: Run) -> None:
    shown = call(inside, "resolve", ID, "--resend", "--yes")
    assert f"vavasms campaign resume {ID}\n" in shown
    assert (status().queued, status().unknown) == (5, 0)


def test_a_decision_as_json_is_one_object(inside: Run) -> None:
    value = json.loads(call(inside, "resolve", ID, "--resend", "--yes", "--json"))
    assert value == {"id": ID, "decision": "resend", "batches": 1, "unknown": 0}


def test_a_decision_about_one_batch_leaves_the_others_unknown(inside: Run) -> None:
    anyio.run(_claim_fourth)
    call(inside, "resolve", ID, code=4)
    call(inside, "resolve", ID, "--mark-sent", "--batch", "3", "--yes", code=4)
    assert status().unknown == 3
    assert "batch 3 is not unknown" in call(
        inside, "resolve", ID, "--resend", "--batch", "3", "--yes", code=2
    )
    call(inside, "resolve", ID, "--resend", "--batch", "2", "--yes")


def test_two_decisions_at_once_are_refused(inside: Run) -> None:
    assert "exclude each other" in call(inside, "resolve", ID, "--mark-sent", "--resend", "--yes", code=2)
    assert status().unknown == 3


def test_a_price_that_makes_no_sense_is_refused(inside: Run) -> None:
    assert "--unit-price" in call(inside, "resolve", ID, "--unit-price", "-1", code=2)


# --- track -----------------------------------------------------------------------------------------------


async def _send(account: Mapping[str, str]) -> None:
    """Send to a number that fails at once, and to one that stays pending."""
    async with (
        AsyncVavaSMS() as sms,
        await SqliteLedger.open(LEDGER) as ledger,
    ):
        await _create(ledger, "tracked", 1)
        await ledger.cancel("tracked", "x")
        for key, to in (("fails", "2250700000404"), ("pends", "2250700000100")):
            values = {"account": "ops", "sender_id": "ACME", "message": "B", "created_at": 1.75e9}
            await ledger.create(NewCampaign(id=key, **values))  # type: ignore[arg-type]
            batch = NewBatch(number=0, message="B", segments=1, recipients=(Msisdn(to),))
            await ledger.load(key, [batch])
            await ledger.finish_loading(key, plan="{}", plan_hash=key)
            await ledger.start(key)
            lot = await sms.send(to, "B")
            record = BatchRecord(lot_id=lot.lot_id, message_ids=lot.message_ids)
            await ledger.settle(await _claim(ledger, 0, key), BatchEvent.ACCEPT, record)


def test_track_ends_when_all_is_final(inside: Run, account: Mapping[str, str]) -> None:
    anyio.run(_send, account)
    finished = inside("campaign", "track", "fails", "--rate", "100")
    assert finished.returncode == 0
    assert finished.stdout.splitlines() == ["1 message of the campaign fails:", "            1  failed"]
    assert "fate known: 0 of 1\n" in finished.stderr
    value = json.loads(call(inside, "report", "fails", "--json"))
    assert value["delivery"] == "failed"


def test_track_tells_at_its_deadline_what_is_not_final(inside: Run, account: Mapping[str, str]) -> None:
    anyio.run(_send, account)
    shown = call(inside, "track", "pends", "--for", "1")
    assert "1  pending" in shown
    assert "To ask again: vavasms campaign track pends\n" in shown
    value = json.loads(call(inside, "track", "pends", "--for", "0", "--json"))
    assert (value["messages"], value["pending"], value["waiting"], value["error"]) == (1, 1, 1, None)


def test_track_of_a_gateway_without_the_call_ends_at_once_and_is_kept(
    inside: Run, account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    anyio.run(_send, account)
    monkeypatch.setenv("VAVASMS_STATUS_PATH", "/v1/nowhere")
    finished = inside("campaign", "track", "pends")
    assert finished.returncode != 0
    assert "HTTP 404" in finished.stderr
    assert json.loads(call(inside, "status", "pends", "--json"))["delivery"]["tracking"] == "unavailable"
    monkeypatch.delenv("VAVASMS_STATUS_PATH")
    for seconds, expected in (("0", "unavailable"), ("1", None)):
        call(inside, "track", "pends", "--for", seconds)
        assert json.loads(call(inside, "status", "pends", "--json"))["delivery"]["tracking"] == expected


def test_track_tells_the_last_failure(
    inside: Run, account: Mapping[str, str], server: SandboxServer, no_backoff: None
) -> None:
    with server.refuse():
        shown = call(inside, "track", ID, "--for", "1")
    assert "The last failure: The gateway could not be reached" in shown
    assert "1  without a report" in shown


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_track_shows_a_bar_on_a_terminal(outside: Run, account: Mapping[str, str]) -> None:
    anyio.run(_send, account)
    ours, theirs = os.openpty()
    finished = outside(
        "campaign", "track", "fails", capture_output=False, stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    # Linux's way to say that the other side is closed. One read gives a part: the bar may have been drawn often.
    with suppress(OSError):
        while part := os.read(ours, 65536):
            shown += part
    os.close(ours)
    assert "fate known: 1 of 1" in shown.decode()
    assert "1  failed" in finished.stdout


def test_track_of_what_was_never_accepted_says_so(inside: Run, account: Mapping[str, str]) -> None:
    anyio.run(_send, account)
    assert "no accepted messages" in call(inside, "track", "tracked")


@pytest.mark.parametrize("words", [("--for", "-1"), ("--for", "inf"), ("--rate", "0")])
def test_track_refuses_what_makes_no_sense(
    inside: Run, account: Mapping[str, str], words: tuple[str, ...]
) -> None:
    call(inside, "track", ID, *words, code=2)


def test_track_without_an_account_is_exit_2(inside: Run) -> None:
    assert "No credentials" in call(inside, "track", ID, code=2)
