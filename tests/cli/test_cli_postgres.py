"""The campaigns' commands on PostgreSQL: nothing but `--ledger` differs, and its secrets stay secret."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.cli import processes
from vavasms.guide import read_chapter
from vavasms.sandbox import Fault, FaultKind, Moment, SandboxServer

pytestmark = pytest.mark.slow

Finished = subprocess.CompletedProcess[str]
Run = Callable[..., Finished]
UNKNOWN = "+2250700000444"
RUN = ("campaign", "run", "contacts.csv", "--message", "Bonjour", "--yes")
NEED_ONE = (
    ("campaign", "list"),
    ("campaign", "resolve", "3f9a1c07"),
    ("ledger", "migrate"),
    ("send", "+2250700000101", "--message", "x", "--idempotency-key", "k"),
    ("sends", "list"),
    ("optouts", "add", "+2250700000101"),
    ("worker",),
    RUN,
)


@pytest.fixture
def ledger(account: Mapping[str, str], database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name an empty database in the environment."""
    monkeypatch.setenv("VAVASMS_LEDGER", database)
    return database


@pytest.fixture
def lost(account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, ...]]:
    """Name a server that is not there in the environment; yield what nobody may read."""
    write(1)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        monkeypatch.setenv("VAVASMS_LEDGER", f"postgresql://teller:hunter2@127.0.0.1:{port}/till")
        yield ("teller", "hunter2", "127.0.0.1", str(port), "till")


def write(count: int, *others: str) -> None:
    numbers = [f"2250701000{each:03}" for each in range(count)]
    Path("contacts.csv").write_text("\n".join(["tel", *numbers, *others, ""]))


def good(inside: Run, *words: str, code: int = 0) -> str:
    """Run a command that says nothing on standard error."""
    finished = inside(*words)
    assert (finished.returncode, finished.stderr) == (code, "")
    return finished.stdout


def read(inside: Run, *words: str, code: int = 0) -> dict[str, Any]:
    """Return the last object that a command prints."""
    found: dict[str, Any] = json.loads(good(inside, *words, "--json", code=code).splitlines()[-1])
    return found


def start(*words: str) -> AbstractContextManager[subprocess.Popen[str]]:
    return processes.start([sys.executable, "-m", "vavasms", *words])


def next_event(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


def test_a_campaign_is_the_same_on_a_database(inside: Run, ledger: str, server: SandboxServer) -> None:
    write(6, "2250709000001")
    assert good(inside, "ledger", "migrate") == "The ledger in the PostgreSQL database is of this version.\n"
    assert read(inside, "ledger", "migrate") == {"ledger": "postgresql"}
    assert read(inside, "optouts", "add", "+2250709000001") == {"added": 1, "known": 0}
    assert "2250709000001" in good(inside, "optouts", "export")
    planned = good(inside, "campaign", "plan", "contacts.csv", "--message", "Bonjour")
    assert "--ledger" not in planned
    plan_hash = planned.rsplit(maxsplit=1)[-1]
    end = read(inside, *RUN, "--batch-size", "2", "--plan", plan_hash)
    assert (end["state"], end["accepted"], end["batches"]) == ("done", 6, 3)
    status = read(inside, "campaign", "status", end["id"])
    assert status.pop("delivery")["prefixes"][0]["accepted"] == 6
    assert read(inside, "campaign", "list") == status
    assert good(inside, "campaign", "report", end["id"], "--format", "csv").count("accepted") == 6
    assert good(inside, "campaign", "resolve", end["id"]).startswith("Nothing of the campaign")
    assert read(inside, "campaign", "track", end["id"], "--for", "0")["messages"] == 6
    assert read(inside, "campaign", "purge", end["id"], "--yes")["accepted"] == 6
    assert set(server.gateway.journal.counts().values()) == {1}


def test_a_detached_campaign_is_paused_resumed_and_cancelled_beside_the_workers(
    inside: Run, ledger: str, server: SandboxServer
) -> None:
    write(4)
    out = good(inside, *RUN, "--detach")
    name = out.splitlines()[0]
    assert "Left to the workers: 4 recipients" in out
    assert f"vavasms campaign status {name}\n" in out
    assert "vavasms worker\n" in out
    assert read(inside, "campaign", "status", name)["state"] == "running"
    assert read(inside, "campaign", "pause", name)["state"] == "paused"
    resumed = read(inside, "campaign", "resume", name, "--detach")
    assert (resumed["event"], resumed["state"], resumed["queued"]) == ("detach", "running", 4)
    assert read(inside, "campaign", "cancel", name, "--yes")["not_sent"] == 4
    refused = inside("campaign", "resume", name, "--detach")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "nothing of it is left to send" in refused.stderr
    assert len(server.gateway.journal) == 0


def test_what_is_unknown_is_sent_again_only_when_no_call_can_be_under_way(inside: Run, ledger: str) -> None:
    write(2, UNKNOWN)
    name = read(inside, *RUN, "--batch-size", "1", code=4)["id"]
    resend = ("campaign", "resolve", name, "--resend", "--yes", "--json")
    early = inside(*resend)
    assert (early.returncode, json.loads(early.stdout)["batches"]) == (4, 0)
    assert "an answer may still come: 1 batch. Try in" in early.stderr
    with psycopg.connect(ledger, autocommit=True) as connection:
        connection.execute("UPDATE vavasms.batch SET sending_at = sending_at - 7200")
    assert json.loads(good(inside, *resend))["batches"] == 1
    assert read(inside, "campaign", "status", name)["state"] == "paused"
    assert read(inside, "campaign", "resume", name, code=4)["unknown"] == 1
    assert read(inside, "campaign", "resolve", name, "--mark-sent", "--yes")["batches"] == 1
    assert read(inside, "campaign", "status", name)["accepted"] == 3


def test_resolving_finds_what_a_dead_worker_had_under_way(inside: Run, ledger: str) -> None:
    write(3)
    name = read(inside, *RUN, "--batch-size", "1", "--detach")["id"]
    with psycopg.connect(ledger, autocommit=True) as connection:
        connection.execute(
            "UPDATE vavasms.batch SET state = 'sending', token = 't', worker = 'w', attempt = 1,"
            " sending_at = extract(epoch FROM now()) - 7200 WHERE number = 1"
        )
    assert read(inside, "campaign", "resolve", name, code=4)["batch"] == 1


@pytest.mark.parametrize("one", [signal.SIGTERM, signal.SIGHUP])
def test_a_worker_carries_what_was_left_to_it_until_it_is_told_to_stop(
    inside: Run, ledger: str, server: SandboxServer, one: signal.Signals
) -> None:
    write(40)
    with start("worker", "--concurrency", "4", "--json") as process:
        assert next_event(process) == {"event": "start", "concurrency": 4}
        name = read(inside, *RUN, "--batch-size", "2", "--detach")["id"]
        end = next_event(process)
        process.send_signal(one)
        out, errors = process.communicate(timeout=20)
    assert (end["event"], end["id"], end["state"], end["accepted"]) == ("end", name, "done", 40)
    assert (process.returncode, out) == (0, "")
    assert errors == "Stopping: finishing what is under way. Another signal does not wait.\n"
    counts = server.gateway.journal.counts()
    assert (len(counts), set(counts.values())) == (40, {1})


def test_a_worker_says_what_became_of_what_was_enqueued(
    inside: Run, ledger: str, server: SandboxServer
) -> None:
    assert good(inside, "ledger", "migrate")
    with start("worker", "--json") as process:
        assert next_event(process)["event"] == "start"
        with psycopg.connect(ledger, autocommit=True) as connection:
            # Nobody knows yet that the worker serves this account.
            words = ("order-42", "2250701000101", "Bonjour", "ACME", None, "sandbox@example.com loopback")
            connection.execute("SELECT vavasms.enqueue(%s, %s, %s, %s, %s, %s)", words)
        event = next_event(process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert (event["event"], event["key"], event["state"]) == ("send", "order-42", "accepted")
    assert len(server.gateway.journal) == 1
    assert read(inside, "sends", "show", "order-42")["message_ids"] == event["message_ids"]


def test_single_sends_are_kept_in_the_database_too(inside: Run, ledger: str, server: SandboxServer) -> None:
    words = ("send", "+2250701000101", "--message", "Bonjour", "--idempotency-key", "order-42")
    assert [read(inside, *words)["replayed"] for _ in range(2)] == [False, True]
    assert len(server.gateway.journal) == 1
    assert "order-42" in good(inside, "sends", "list", "--since", "1h")
    assert good(inside, "sends", "purge", "--older-than", "0s", "--yes") == "Forgotten: 1 send.\n"


def test_a_person_decides_on_a_single_send_that_is_unknown(
    inside: Run, ledger: str, server: SandboxServer
) -> None:
    words = ("send", UNKNOWN, "--message", "Bonjour", "--idempotency-key", "order-42")
    assert inside(*words).returncode == 4
    assert read(inside, "sends", "resolve", "order-42", "--resend", "--yes")["state"] == "not_sent"
    assert inside(*words).returncode == 4
    assert read(inside, "sends", "resolve", "order-42", "--mark-sent", "--yes")["state"] == "accepted"
    assert len(server.gateway.journal) == 2


def test_the_outbox_of_the_guide_is_part_of_its_callers_transaction(inside: Run, ledger: str) -> None:
    (example,) = re.findall(r"^BEGIN;\n.*?COMMIT;$", read_chapter("sends", "en"), re.MULTILINE | re.DOTALL)
    good(inside, "ledger", "migrate")
    with psycopg.connect(ledger, autocommit=True) as connection:
        connection.execute("CREATE TEMPORARY TABLE orders (id integer, shipped_at timestamptz)")
        connection.execute("INSERT INTO vavasms.served_account VALUES ('sandbox@example.com loopback')")
        connection.execute(example.replace("COMMIT", "ROLLBACK"))
        assert good(inside, "sends", "list") == "There is no such send in this ledger.\n"
        connection.execute(example)
    assert read(inside, "sends", "show", "order-42-shipped")["state"] == "queued"


def test_a_second_signal_cuts_a_worker_off_and_calls_what_is_in_flight_unknown(
    inside: Run, ledger: str, server: SandboxServer
) -> None:
    write(6)
    stall = Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=60.0)
    # Until the first is answered it is alone.
    server.faults.script(None, stall, stall, path="/v1/text/single")
    name = read(inside, *RUN, "--batch-size", "2", "--detach")["id"]
    with start("worker") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "Carrying the campaigns of the PostgreSQL database" in process.stdout.readline()
        assert server.gateway.journal.wait_for(3, timeout=20)
        process.send_signal(signal.SIGINT)
        assert "finishing what is under way" in process.stderr.readline()
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, "becomes unknown" in errors) == (130, True)
    found = read(inside, "campaign", "status", name)
    assert (found["unknown"], found["sending"], found["accepted"]) == (4, 0, 2)


def test_the_campaigns_of_a_file_are_not_left_to_workers(inside: Run, account: Mapping[str, str]) -> None:
    finished = inside("campaign", "resume", "3f9a1c07", "--detach", "--ledger", "ledger.db")
    assert (finished.returncode, finished.stdout, finished.stderr.count("\n")) == (2, "", 1)
    assert "PostgreSQL" in finished.stderr
    assert not Path("ledger.db").exists()


def test_a_worker_makes_at_least_one_request_at_a_time(inside: Run) -> None:
    assert "--concurrency is a whole number" in inside("worker", "--concurrency", "0").stderr


@pytest.mark.parametrize("words", NEED_ONE)
def test_a_server_that_is_not_there_is_one_line_that_names_nobody(
    inside: Run, lost: tuple[str, ...], words: tuple[str, ...]
) -> None:
    finished = inside(*words)
    assert (finished.returncode, finished.stdout) == (5, "")
    assert finished.stderr.count("\n") == 1
    assert "it cannot be reached" in finished.stderr
    assert not [each for each in lost if each in finished.stderr]


def test_even_the_traceback_of_a_failed_connection_names_nobody(
    outside: Run, lost: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAVASMS_DEBUG", "1")
    finished = outside("campaign", "list")
    assert "Traceback" in finished.stderr
    assert not [each for each in lost if each in finished.stderr]


@pytest.mark.parametrize("words", NEED_ONE)
def test_a_password_on_the_command_line_is_refused_and_not_repeated(
    inside: Run, account: Mapping[str, str], words: tuple[str, ...]
) -> None:
    write(1)
    finished = inside(*words, "--ledger", "postgresql://teller:hunter2@db.example.net/till")
    assert (finished.returncode, finished.stdout, finished.stderr.count("\n")) == (2, "", 1)
    assert "VAVASMS_LEDGER" in finished.stderr
    assert "PGPASSWORD" in finished.stderr
    assert not [each for each in ("teller", "hunter2", "db.example", "till") if each in finished.stderr]


@pytest.mark.parametrize("words", [("campaign", "list"), ()])
def test_a_connection_string_whose_option_was_forgotten_is_not_repeated(
    inside: Run, words: tuple[str, ...]
) -> None:
    finished = inside(*words, "postgresql://teller:hunter2@db.example.net/till")
    assert finished.returncode == 2
    assert "hunter2" not in finished.stdout + finished.stderr


@pytest.mark.skipif(os.name != "posix", reason="files have no such modes here")
def test_a_dotenv_that_shows_the_ledgers_password_to_others_is_warned_of_once(
    inside: Run, lost: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(".env").write_text(f"VAVASMS_LEDGER={os.environ['VAVASMS_LEDGER']}\n")
    Path(".env").chmod(0o644)
    monkeypatch.delenv("VAVASMS_LEDGER")
    finished = inside(*RUN)
    assert finished.returncode == 5
    assert finished.stderr.count("chmod 600 .env") == 1
    assert not [each for each in lost if each in finished.stderr]
