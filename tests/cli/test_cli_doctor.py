"""`vavasms doctor`: all well against a sandbox, each planted fault by its name, and no secret anywhere."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from secrets import token_hex
from threading import Event
from typing import Any

import anyio
import keyring
import pytest
import trustme
from attrs import frozen
from keyring.backends import null

from tests.cli.processes import start
from vavasms.cli.commands.doctor import LABELS, WORDS, choose_code
from vavasms.doctor.findings import FindingState, caution, good, misset, unreached
from vavasms.i18n import gettext as _
from vavasms.i18n import language_set
from vavasms.ledger.sends import NewSend
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.numbers import Msisdn
from vavasms.sandbox import Fault, FaultKind, Gateway, SandboxServer

Run = Callable[..., subprocess.CompletedProcess[str]]
Fixture = pytest.FixtureRequest
posix = pytest.mark.skipif(os.name != "posix", reason="files have no such modes here")
PASSWORD = "correct-horse-battery"
TOKEN = "t0ken-of-the-receiver-0123456789abcdef"
PROXY_PASSWORD = "proxy-hunter2"
SECRETS = (PASSWORD, TOKEN, PROXY_PASSWORD)


@pytest.fixture(autouse=True)
def _no_proxy_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    """A sandbox whose password is a secret of the tests."""
    with SandboxServer(Gateway(password=PASSWORD)) as server:
        yield server


@pytest.fixture
def ledger(account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A ledger in a file that the environment names."""
    path = tmp_path / "kept" / "ledger.db"
    anyio.run(make_ledger, path)
    monkeypatch.setenv("VAVASMS_LEDGER", str(path))
    return path


async def make_ledger(path: Path, *, enqueued_at: float | None = None) -> None:
    async with await SqliteLedger.open(path) as opened:
        if enqueued_at is not None:
            to = (Msisdn("2250700000101"),)
            new = NewSend(
                account="a loopback",
                key="k",
                recipients=to,
                sender_id="ACME",
                segments=1,
                text="Salut",
                is_enqueued=True,
            )
            await opened.sends.enqueue(new, now=enqueued_at)


@frozen
class Report:
    """What a run of the doctor printed for programs."""

    code: int
    checks: Mapping[str, Mapping[str, Any]]

    def state(self, check: str) -> object:
        return self.checks[check]["state"]

    def sentence(self, check: str) -> str:
        return str(self.checks[check]["sentence"])

    def states(self, *checks: str) -> set[object]:
        return {self.state(check) for check in checks}


def examine(inside: Run, *words: str) -> Report:
    finished = inside("doctor", "--json", *words)
    assert_no_secret(finished)
    lines = [json.loads(line) for line in finished.stdout.splitlines()]
    return Report(finished.returncode, {line["check"]: line for line in lines})


def assert_no_secret(finished: subprocess.CompletedProcess[str]) -> None:
    printed = "".join((finished.stdout + finished.stderr).split())
    assert [secret for secret in SECRETS if secret in printed] == []


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_all_is_well_where_all_is_well(
    inside: Run, ledger: Path, server: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAVASMS_INBOUND_TOKEN", TOKEN)
    listen = [sys.executable, "-m", "vavasms", "inbound", "listen", "--port", "0", "--json"]
    with start(listen, stderr=None) as process:
        assert process.stdout is not None
        monkeypatch.setenv("VAVASMS_INBOUND_URL", json.loads(process.stdout.readline())["url"])
        found = examine(inside)
        shown = inside("doctor")
    assert found.code == 0
    assert {name: line["state"] for name, line in found.checks.items()} == {
        "versions": "good",
        "dotenv": "good",
        "proxy": "good",
        "dns": "good",
        "connection": "good",
        "tls": "skipped",
        "clock": "good",
        "credentials": "good",
        "sender": "good",
        "ledger": "good",
        "schema": "good",
        "workers": "good",
        "inbound": "good",
    }
    assert found.checks["versions"]["versions"]["vavasms"]
    assert all(line["step"] is None for line in found.checks.values())
    assert (shown.returncode, shown.stderr) == (0, "")
    assert_no_secret(shown)
    assert shown.stdout.startswith("vavasms 0")
    assert all(len(line) <= 80 for line in shown.stdout.splitlines())
    # It asked for the balance, and for nothing that costs.
    assert len(server.gateway.journal.entries) == 0


def plant_wrong_password(request: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAVASMS_PASSWORD", f"{PASSWORD}-of-yesterday")


def plant_no_dns(request: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAVASMS_BASE_URL", "https://gateway.invalid/api")


def plant_expired_certificate(request: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    server = request.getfixturevalue("expired")
    monkeypatch.setenv("VAVASMS_BASE_URL", server.url)


def plant_wrong_clock(request: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    server = request.getfixturevalue("ahead")
    monkeypatch.setenv("VAVASMS_BASE_URL", server.url)


def plant_proxy_down(request: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAVASMS_BASE_URL", "https://gateway.invalid/api")
    monkeypatch.setenv("HTTPS_PROXY", f"http://teller:{PROXY_PASSWORD}@127.0.0.1:{closed_port()}")


def plant_read_only_ledger(request: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    # For the user root no mode of a folder forbids anything; a file is no folder for anybody.
    folder = request.getfixturevalue("tmp_path") / "folder"
    folder.write_text("")
    monkeypatch.setenv("VAVASMS_LEDGER", str(folder / "ledger.db"))


def plant_newer_ledger(request: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    path = request.getfixturevalue("ledger")
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def plant_older_schema(request: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = request.getfixturevalue("migrated")
    connection.execute(
        "DELETE FROM vavasms.schema_version WHERE version = (SELECT max(version) FROM vavasms.schema_version)"
    )


def plant_no_worker(request: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = request.getfixturevalue("migrated")
    connection.execute(
        "INSERT INTO vavasms.campaign (id, state, account, sender_id, message, policy, created_at) "
        "VALUES ('3f9a1c07', 'running', 'a loopback', 'ACME', 'Salut', '{}', 0)"
    )


def plant_refused_sender(request: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAVASMS_SENDER_ID", "Café de la Gare")


def plant_inbound_not_reached(request: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAVASMS_INBOUND_URL", f"http://127.0.0.1:{closed_port()}/{TOKEN}")


def plant_dotenv_not_read(request: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    # As an editor on Windows saves it.
    Path(".env").write_bytes(f"VAVASMS_PASSWORD={PASSWORD}\r\n".encode("utf-16"))


@frozen
class Planted:
    """A fault, and how the doctor names it."""

    plant: Callable[[Fixture, pytest.MonkeyPatch], None]
    check: str
    code: int
    phrase: str
    #: What is not examined because of it.
    skips: tuple[str, ...] = ()


FAULTS = {
    "wrong password": Planted(plant_wrong_password, "credentials", 2, "refuses the name or the password"),
    "no DNS": Planted(
        plant_no_dns,
        "dns",
        5,
        "gateway.invalid has no address",
        ("connection", "tls", "clock", "credentials"),
    ),
    "expired certificate": Planted(
        plant_expired_certificate, "tls", 5, "has expired", ("clock", "credentials")
    ),
    "wrong clock": Planted(plant_wrong_clock, "clock", 2, "seconds behind the gateway's"),
    "proxy down": Planted(
        plant_proxy_down, "proxy", 5, "takes no connection", ("dns", "connection", "tls", "credentials")
    ),
    "ledger read-only": Planted(
        plant_read_only_ledger, "ledger", 2, "cannot be written", ("schema", "workers")
    ),
    "ledger newer": Planted(plant_newer_ledger, "schema", 2, "written by a newer vavasms", ("workers",)),
    "PostgreSQL schema too old": Planted(
        plant_older_schema, "schema", 2, "written by an older vavasms", ("workers",)
    ),
    "no worker alive": Planted(plant_no_worker, "workers", 5, "No worker is alive"),
    "sender refused": Planted(plant_refused_sender, "sender", 2, "A sender ID"),
    "inbound URL not reached": Planted(plant_inbound_not_reached, "inbound", 5, "Nobody answers"),
    ".env not read": Planted(
        plant_dotenv_not_read, "dotenv", 2, "cannot be read", ("credentials", "sender", "ledger", "inbound")
    ),
}


@pytest.fixture
def expired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxServer]:
    """A sandbox whose certificate ended yesterday, by an authority that is trusted."""
    with secured(tmp_path, monkeypatch, timedelta(days=-1)) as server:
        yield server


def secured(folder: Path, monkeypatch: pytest.MonkeyPatch, left: timedelta) -> SandboxServer:
    authority = trustme.CA(organization_name="Authority of the tests")
    certificate = authority.issue_cert("127.0.0.1", not_after=datetime.now(UTC) + left)
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "authority.pem"))
    pem = str(folder / "server.pem")
    return SandboxServer(Gateway(password=PASSWORD), ssl_certfile=pem, ssl_keyfile=pem)


@pytest.fixture
def ahead() -> Iterator[SandboxServer]:
    """A sandbox whose clock is an hour ahead."""
    with SandboxServer(Gateway(password=PASSWORD, clock=lambda: time.time() + 3600)) as server:
        yield server


@pytest.fixture
def migrated(
    account: Mapping[str, str], database: str, monkeypatch: pytest.MonkeyPatch, inside: Run
) -> Iterator[Any]:
    """A connection to a database with a ledger of this version, which the environment names."""
    import psycopg

    monkeypatch.setenv("VAVASMS_LEDGER", database)
    assert inside("ledger", "migrate").returncode == 0
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("fault", FAULTS)
def test_each_planted_fault_is_named_with_a_next_step(
    fault: str, request: Fixture, inside: Run, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = FAULTS[fault]
    planted.plant(request, monkeypatch)
    found = examine(inside)
    line = found.checks[planted.check]
    assert (line["state"], found.code) == ("bad", planted.code), line
    assert planted.phrase in line["sentence"]
    assert line["step"]
    assert [name for name, each in found.checks.items() if each["state"] == "bad"] == [planted.check]
    assert found.states(*planted.skips) <= {"skipped"}


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("fault", FAULTS)
def test_each_planted_fault_stands_in_the_table_in_both_languages(
    fault: str, language: str, request: Fixture, inside: Run, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = FAULTS[fault]
    planted.plant(request, monkeypatch)
    shown = inside("--lang", language, "doctor")
    assert_no_secret(shown)
    assert shown.returncode == planted.code
    assert "→ " in shown.stdout
    assert all(len(line) <= 80 for line in shown.stdout.splitlines())
    with language_set(language):
        label, word = str(_(LABELS[planted.check])), str(_(WORDS[FindingState.BAD][0]))
    rows = [line for line in shown.stdout.splitlines() if line.startswith(word)]
    assert [row[len(word) :].strip().startswith(label) for row in rows] == [True]


@pytest.mark.skipif(shutil.which("chattr") is None, reason="nothing here forbids root to write")
def test_a_ledger_that_cannot_be_changed_is_named_for_root_too(inside: Run, ledger: Path) -> None:
    locked = subprocess.run(["chattr", "+i", str(ledger)], check=False, capture_output=True)
    if locked.returncode:
        pytest.skip("this file system, or this user, has no such mark")
    try:
        found = examine(inside)
    finally:
        subprocess.run(["chattr", "-i", str(ledger)], check=True)
    assert (found.state("ledger"), found.code) == ("bad", 2)


@posix
def test_a_folder_that_forbids_writing_is_named(inside: Run, ledger: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("no mode forbids root anything")
    ledger.parent.chmod(0o500)
    try:
        found = examine(inside)
    finally:
        ledger.parent.chmod(0o700)
    assert (found.state("ledger"), found.code) == ("bad", 2)
    assert "Permission denied" in found.sentence("ledger")


def test_what_is_not_set_is_said_and_does_not_fail_what_is(
    inside: Run, account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("VAVASMS_SENDER_ID")
    found = examine(inside, "--ledger", str(tmp_path / "new" / "ledger.db"))
    assert found.code == 0
    assert found.state("sender") == "warning"
    assert "There is no ledger at" in found.sentence("ledger")
    assert found.states("schema", "workers", "inbound") == {"skipped"}
    assert not (tmp_path / "new").exists()


def test_without_credentials_the_way_to_the_gateway_is_still_examined(
    inside: Run, account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("VAVASMS_PASSWORD")
    found = examine(inside, "--ledger", str(tmp_path / "ledger.db"))
    assert found.code == 2
    assert found.state("credentials") == "bad"
    assert "VAVASMS_PASSWORD is missing" in found.sentence("credentials")
    assert found.states("connection", "clock", "sender") == {"good"}


class Stalled(null.Keyring):
    """A keyring whose prompt nobody sees, as on a machine without a screen."""

    priority = -1
    end = Event()

    def get_credential(self, service: str, username: str | None) -> None:
        self.end.wait(30)


def test_a_keyring_that_says_nothing_is_not_waited_for(
    inside: Run, account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("vavasms.cli.commands.doctor.PATIENCE", 0.2, raising=False)
    monkeypatch.delenv("VAVASMS_PASSWORD")
    before = keyring.get_keyring()
    keyring.set_keyring(Stalled())  # type: ignore[no-untyped-call]
    started = time.monotonic()
    try:
        found = examine(inside, "--ledger", str(tmp_path / "ledger.db"))
    finally:
        Stalled.end.set()
        keyring.set_keyring(before)
    assert time.monotonic() - started < 20
    assert (found.state("credentials"), found.code) == ("bad", 5)
    assert "keyring" in found.sentence("credentials")
    assert found.states("connection", "clock", "sender") == {"good"}


@pytest.mark.parametrize("url", ["http://gateway.example/api", "https://gateway.example/api?a=b"])
def test_a_gateway_whose_address_is_refused_is_named(
    url: str, inside: Run, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAVASMS_BASE_URL", url)
    found = examine(inside)
    assert (found.state("connection"), found.state("credentials"), found.code) == ("bad", "skipped", 2)
    assert found.states("ledger", "schema", "workers") == {"good"}


def test_a_url_in_which_a_password_passes_for_a_host_is_not_shown(
    inside: Run, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAVASMS_BASE_URL", f"https://{PASSWORD}/x@gateway.example/api")
    monkeypatch.setenv("VAVASMS_INBOUND_URL", f"https://{TOKEN}/x@receiver.example/api")
    found = examine(inside)
    assert (found.state("dns"), found.state("inbound"), found.code) == ("bad", "bad", 2)
    assert_no_secret(inside("doctor"))


def test_a_password_in_an_option_is_refused_and_not_shown(inside: Run, account: Mapping[str, str]) -> None:
    found = examine(inside, "--ledger", f"postgresql://teller:{PASSWORD}@127.0.0.1/till")
    assert (found.state("ledger"), found.code) == ("bad", 2)
    assert "process list" in found.sentence("ledger")


def test_a_client_that_cannot_be_made_is_named_once_with_the_way(
    inside: Run, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAVASMS_BASE_URL", "https://127.0.0.1:1/api")
    monkeypatch.setenv("SSL_CERT_FILE", str(ledger))
    found = examine(inside)
    assert found.code == 2
    assert found.states("connection", "credentials") == {"bad"}
    assert found.states("tls", "clock") == {"skipped"}


def test_a_url_of_a_receiver_on_plain_http_is_refused(
    inside: Run, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = examine(inside, "--inbound-url", f"http://receiver.example/{TOKEN}")
    assert (found.state("inbound"), found.code) == ("bad", 2)


@pytest.mark.parametrize("left", [timedelta(days=300, hours=1), timedelta(days=3, hours=1)])
def test_over_tls_the_authority_and_the_days_left_are_named(
    left: timedelta, inside: Run, ledger: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with secured(tmp_path, monkeypatch, left) as server:
        monkeypatch.setenv("VAVASMS_BASE_URL", server.url)
        found = examine(inside)
    assert found.code == 0
    assert found.state("tls") == ("good" if left.days > 14 else "warning")
    assert "Authority of the tests" in found.sentence("tls")
    assert f"{left.days} days" in found.sentence("tls")
    assert found.states("clock", "credentials") == {"good"}


def test_an_unknown_authority_and_another_host_are_named(
    inside: Run, ledger: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with secured(tmp_path, monkeypatch, timedelta(days=300)) as server:
        monkeypatch.setenv("VAVASMS_BASE_URL", server.url.replace("127.0.0.1", "localhost"))
        assert "another host than localhost" in examine(inside).sentence("tls")
        monkeypatch.delenv("SSL_CERT_FILE")
        monkeypatch.setenv("VAVASMS_BASE_URL", server.url)
        found = examine(inside)
    assert (found.state("tls"), found.code) == ("bad", 5)
    assert "an authority that is unknown here" in found.sentence("tls")
    assert found.states("clock", "credentials") == {"skipped"}


def test_an_account_without_credit_is_a_warning(
    inside: Run, account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with SandboxServer(Gateway(password=PASSWORD, balance=0)) as poor:
        monkeypatch.setenv("VAVASMS_BASE_URL", poor.url)
        found = examine(inside, "--ledger", str(tmp_path / "ledger.db"))
    assert (found.state("credentials"), found.code) == ("warning", 0)


def test_a_receiver_with_another_token_is_named(inside: Run, ledger: Path, server: SandboxServer) -> None:
    found = examine(inside, "--inbound-url", f"{server.origin}/{TOKEN}")
    assert (found.state("inbound"), found.code) == ("bad", 5)
    assert "knows no such path" in found.sentence("inbound")


def test_a_database_without_a_ledger_is_a_warning(
    inside: Run, account: Mapping[str, str], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAVASMS_LEDGER", database)
    found = examine(inside)
    assert (found.state("ledger"), found.state("schema"), found.code) == ("good", "warning", 0)
    assert found.state("workers") == "skipped"
    assert "PostgreSQL" in found.sentence("ledger")


def test_a_database_without_work_needs_no_worker_yet(inside: Run, migrated: Any) -> None:
    found = examine(inside)
    assert (found.state("workers"), found.code) == ("warning", 0)


def test_the_workers_alive_are_counted_with_what_they_hold(inside: Run, migrated: Any) -> None:
    migrated.execute(
        "INSERT INTO vavasms_jobs.procrastinate_workers (last_heartbeat) "
        "VALUES (now()), (now() - interval '1 hour'), (now())"
    )
    found = examine(inside)
    assert (found.state("workers"), found.code) == ("good", 0)
    assert found.sentence("workers").startswith("2 workers are alive; 0 requests")


def test_a_database_that_may_not_be_written_to_is_named(
    inside: Run, migrated: Any, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAVASMS_LEDGER", f"{database}&options=-cdefault_transaction_read_only%3Don")
    found = examine(inside)
    assert (found.state("ledger"), found.code) == ("bad", 2)


def test_a_database_that_is_not_there_is_named_without_its_name(
    inside: Run, account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAVASMS_LEDGER", f"postgresql://teller:{PASSWORD}@127.0.0.1:{closed_port()}/till")
    found = examine(inside)
    assert (found.state("ledger"), found.code) == ("bad", 5)
    assert found.states("schema", "workers") == {"skipped"}
    monkeypatch.setenv("VAVASMS_LEDGER", f"postgresql://teller:{PASSWORD}@[/till")
    assert examine(inside).code == 2


def test_jobs_of_an_older_schema_are_named(inside: Run, migrated: Any) -> None:
    migrated.execute("UPDATE vavasms.jobs_step SET step = '00.00.01_01_pre_x.sql'")
    found = examine(inside)
    assert (found.state("schema"), found.code) == ("bad", 2)
    assert "older procrastinate" in found.sentence("schema")


def test_sends_that_nobody_begins_are_named_in_a_file_too(
    inside: Run, account: Mapping[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "ledger.db"
    anyio.run(partial(make_ledger, path, enqueued_at=time.time() - 3600))
    found = examine(inside, "--ledger", str(path))
    assert (found.state("workers"), found.code) == ("bad", 5)
    assert "1 enqueued send is due" in found.sentence("workers")


def test_a_file_of_something_else_and_a_folder_are_no_ledger(
    inside: Run, account: Mapping[str, str], tmp_path: Path
) -> None:
    other = tmp_path / "other.txt"
    other.write_text("not a ledger at all, but long enough to be read as one" * 20)
    found = examine(inside, "--ledger", str(other))
    assert (found.state("schema"), found.code) == ("bad", 2)
    found = examine(inside, "--ledger", str(tmp_path))
    assert (found.state("ledger"), found.code) == ("bad", 2)
    assert "it is no file" in found.sentence("ledger")


@pytest.mark.parametrize("folders", ["n" * 300, f"{'n' * 300}/ledger.db"])
def test_a_place_whose_name_no_system_takes_is_named(
    folders: str, inside: Run, account: Mapping[str, str], tmp_path: Path
) -> None:
    found = examine(inside, "--ledger", str(tmp_path / folders))
    assert (found.state("ledger"), found.code) == ("bad", 2)
    assert "File name too long" in found.sentence("ledger")
    assert found.states("schema", "workers") == {"skipped"}


def test_the_next_step_is_for_the_ledger_that_was_named(
    inside: Run, account: Mapping[str, str], tmp_path: Path
) -> None:
    late, empty = tmp_path / "of late.db", tmp_path / "empty.db"
    anyio.run(partial(make_ledger, late, enqueued_at=time.time() - 3600))
    empty.touch()
    step = examine(inside, "--ledger", str(late)).checks["workers"]["step"]
    assert f"`vavasms worker --ledger '{late}'`" in step
    step = examine(inside, "--ledger", str(empty)).checks["schema"]["step"]
    assert f"`vavasms ledger migrate --ledger {empty}`" in step


def test_what_is_a_warning_is_not_passed_over_at_the_end(
    inside: Run, account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = ("doctor", "--ledger", str(tmp_path / "ledger.db"))
    assert "Nothing stands in the way" in inside(*words).stdout
    monkeypatch.delenv("VAVASMS_SENDER_ID")
    shown = inside(*words)
    assert (shown.returncode, "Nothing stands in the way" in shown.stdout) == (0, False)
    assert "1 warning" in shown.stdout


def test_a_gateway_that_listens_and_says_nothing_is_not_said_to_refuse(
    inside: Run, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vavasms.doctor.network.PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("VAVASMS_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/api")
        found = examine(inside)
    assert (found.state("connection"), found.code) == ("bad", 5)
    assert "does not answer (TimeoutError)" in found.sentence("connection")


def test_a_ledger_that_lost_its_log_is_named_and_left_alone(inside: Run, ledger: Path) -> None:
    with sqlite3.connect(ledger) as connection:
        connection.execute("UPDATE identity SET in_use = 1")
    # The last to close it moves the log into it.
    connection.close()
    before = ledger.read_bytes()
    found = examine(inside)
    assert (found.state("ledger"), found.code) == ("bad", 2)
    assert "vavasms campaign recover" in str(found.checks["ledger"]["step"])
    assert ledger.read_bytes() == before


def test_exit_codes_put_a_wrong_setting_first() -> None:
    well, warned = good("tls", "."), caution("tls", ".", ".")
    wrong, away = misset("tls", ".", "."), unreached("tls", ".", ".")
    assert choose_code([well, warned]) == 0
    assert choose_code([well, away]) == 5
    assert choose_code([away, wrong]) == 2


def test_a_refusal_that_is_none_of_the_password_is_said_in_its_own_words(
    inside: Run, ledger: Path, server: SandboxServer
) -> None:
    server.faults.script(Fault(kind=FaultKind.RAW, body=b'{"code": 950, "message": "NO"}'))
    found = examine(inside)
    assert (found.state("credentials"), found.code) == ("bad", 5)
    assert "950" in found.sentence("credentials")
    server.faults.script(Fault(kind=FaultKind.REDIRECT, location="https://elsewhere.example/"))
    assert examine(inside).code == 2


def test_a_gateway_that_is_slow_is_not_waited_for(
    inside: Run, ledger: Path, server: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vavasms.doctor.account.PATIENCE", 0.2)
    server.faults.script(Fault(kind=FaultKind.STALL, seconds=5))
    found = examine(inside)
    assert (found.state("credentials"), found.code) == ("bad", 5)
    assert "in time" in found.sentence("credentials")


def test_a_gateway_where_nobody_listens_is_named(
    inside: Run, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAVASMS_BASE_URL", f"http://127.0.0.1:{closed_port()}/api")
    found = examine(inside)
    assert (found.state("connection"), found.code) == ("bad", 5)
    assert found.states("tls", "clock", "credentials") == {"skipped"}


def test_a_fault_of_a_check_itself_is_said_and_the_others_go_on(
    inside: Run, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(url: object) -> None:
        raise RuntimeError(PASSWORD)

    monkeypatch.setattr("vavasms.doctor.checks.check_inbound", fail)
    monkeypatch.setenv("VAVASMS_DEBUG", "1")
    found = examine(inside)
    assert (found.state("inbound"), found.code) == ("bad", 5)
    assert "RuntimeError" in found.sentence("inbound")
    assert found.states("credentials", "ledger", "workers") == {"good"}


def test_a_server_that_says_nothing_is_not_waited_for(
    inside: Run, account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vavasms.doctor.ledger.PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setenv("VAVASMS_LEDGER", f"postgresql://teller:{PASSWORD}@127.0.0.1:{port}/till")
        found = examine(inside)
    assert (found.state("ledger"), found.code) == ("bad", 5)
    assert "in time" in found.sentence("ledger")


def test_a_disk_that_does_not_answer_is_not_waited_for(
    inside: Run, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = Event()
    monkeypatch.setattr("vavasms.doctor.ledger.PATIENCE", 0.2)
    monkeypatch.setattr("vavasms.doctor.ledger._check_file", lambda *_words: end.wait(30))
    found = examine(inside)
    end.set()
    assert (found.state("ledger"), found.code) == ("bad", 5)
    assert "does not answer" in found.sentence("ledger")


def test_an_empty_file_is_no_ledger_yet_and_two_names_are_one_too_many(
    inside: Run, account: Mapping[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    found = examine(inside, "--ledger", str(path))
    assert (found.state("ledger"), found.state("schema"), found.code) == ("good", "warning", 0)
    (tmp_path / "other.db").hardlink_to(path)
    found = examine(inside, "--ledger", str(path))
    assert (found.state("ledger"), found.code) == ("bad", 2)
    assert "more than one name" in found.sentence("ledger")


@pytest.mark.parametrize("reads", [True, False])
def test_a_user_of_the_database_without_rights_is_named(
    reads: bool, inside: Run, migrated: Any, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Roles are of the whole server, which other tests may use at the same time.
    role = f"vavasms_reader_{token_hex(4)}"
    migrated.execute(f"CREATE ROLE {role}")
    try:
        if reads:
            for schema in ("vavasms", "vavasms_jobs"):
                migrated.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
                migrated.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}")
        monkeypatch.setenv("VAVASMS_LEDGER", f"{database}&options=-crole%3D{role}")
        found = examine(inside)
    finally:
        migrated.execute(f"DROP OWNED BY {role}")
        migrated.execute(f"DROP ROLE {role}")
    assert (found.state("ledger"), found.code) == ("bad", 2)
    assert ("cannot be written to" in found.sentence("ledger")) is reads


def test_a_database_of_a_newer_version_is_named(inside: Run, migrated: Any) -> None:
    migrated.execute("INSERT INTO vavasms.schema_version (version) VALUES (99)")
    found = examine(inside)
    assert (found.state("schema"), found.code) == ("bad", 2)
    assert found.checks["schema"]["step"] == "Run `pip install --upgrade vavasms`."


def test_a_ledger_whose_file_is_cut_is_named(inside: Run, ledger: Path) -> None:
    with ledger.open("r+b") as file:
        file.truncate(5000)
    found = examine(inside)
    assert (found.state("ledger"), found.code) == ("bad", 5)
    assert "malformed" in found.sentence("ledger")


@pytest.mark.parametrize(
    "place",
    [
        f"teller:{PASSWORD}@db.example/till",
        f"user=teller sslpassword={PASSWORD}",
        f"PGPASSWORD={PASSWORD} psql",
    ],
)
def test_a_connection_string_that_passes_for_a_path_is_not_shown(
    place: str, inside: Run, account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAVASMS_LEDGER", place)
    found = examine(inside)
    assert "…" in found.sentence("ledger")
    assert_no_secret(inside("doctor"))


def test_what_may_be_a_password_in_an_option_is_not_repeated_in_a_step(
    inside: Run, account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"teller:{PASSWORD}@db.example"
    Path(name).touch()
    found = examine(inside, "--ledger", name)
    assert found.checks["schema"]["step"] == "Run `vavasms ledger migrate`."
