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

from vavasms.cli.demo.listing import write_contacts
from vavasms.cli.demo.report import show_account
from vavasms.cli.demo.screening import Screening, screen
from vavasms.cli.demo.sending import Sent, audit
from vavasms.errors import Outcome
from vavasms.numbers import Msisdn
from vavasms.sandbox import Gateway

Run = Callable[..., subprocess.CompletedProcess[str]]
posix = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")


def test_the_list_is_the_same_each_time_and_holds_all_that_goes_wrong(tmp_path: Path) -> None:
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    write_contacts(first, 2000)
    write_contacts(second, 2000)
    assert first.read_bytes() == second.read_bytes()
    found = screen(first)
    assert found.rows == 2000
    assert all(found.fates.values())
    assert {"old_plan", "landline", "empty", "letters", "scientific", "too_short", "lost_zero"} <= {
        reason for _, reason in found.reasons
    }
    assert len(set(found.recipients)) == len(found.recipients)


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
    assert value["received_once"] == value["accepted"] + value["unknown_received"]
    assert value["received_twice"] == 0
    assert value["balance_before"] - value["balance_after"] == value["cost"] == 10 * value["segments"]
    assert value["adds_up"] is True


def test_elsewhere_than_on_a_terminal_it_prints_plain_lines_of_80_columns(inside: Run) -> None:
    finished = inside("demo", "--rows", "900")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "\x1b" not in finished.stdout
    assert all(len(line) <= 90 for line in finished.stdout.splitlines())
    for words in ("The closing report", "recipients", "journal says", "0 twice", "The account adds up"):
        assert words in finished.stdout


def test_a_list_of_one_row_adds_up(inside: Run) -> None:
    finished = inside("demo", "--rows", "1", "--json")
    assert finished.returncode == 0
    assert json.loads(finished.stdout)["rejected"] == 1


def test_an_account_that_does_not_add_up_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    gateway = Gateway()
    number, other = Msisdn("2250700000001"), Msisdn("2250700000002")
    fields = {"username": gateway.username, "password": gateway.password, "sender_id": "SANDBOX"}
    for _ in range(2):
        gateway.handle("/v1/text/single", fields | {"phone": number, "message": "x"})
    sent = Sent(balance_before=Decimal(1_000_000), balance_after=Decimal(1_000_000))
    sent.outcomes[Outcome.ACCEPTED].append(number)
    found = audit(gateway.journal, [number, other], sent)
    assert (found.once, found.several_times) == (0, 1)
    assert len(found.faults) == 4
    show_account(Screening(recipients=[number, other]), sent, found)
    out = capsys.readouterr().out
    assert "does not add up" in out
    assert "a number received it twice" in out


@posix
def test_an_interrupt_says_what_was_settled(bare_environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "vavasms", "demo"]
    with subprocess.Popen(
        command, env=bare_environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        while " of 8,960 recipients" not in (line := process.stdout.readline()):
            assert line
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "accepted" in errors.splitlines()[-1]
    assert "Traceback" not in errors
