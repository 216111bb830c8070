"""What a worker says, and how it ends where it cannot go on; at work it is in `test_cli_postgres`."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path

import anyio
import pytest

from tests.cli.processes import start
from vavasms import VavaSMS
from vavasms.cli.commands.worker import LogFormat, ProgressPrinter, logs_shown, warn, warnings_shown
from vavasms.cli.signals import run_until_signalled
from vavasms.errors import LedgerError
from vavasms.i18n import gettext as _
from vavasms.i18n import language_set
from vavasms.ledger.models import CampaignStatus
from vavasms.ledger.send_record import SendKind, SendRecord
from vavasms.ledger.states import BatchState, CampaignState
from vavasms.numbers import Msisdn
from vavasms.sandbox import SandboxServer

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(("reason", "named"), [(None, "cancelled: 1 accepted"), ("by\x1b hand", "(by hand)")])
def test_a_worker_says_what_became_of_a_campaign_and_what_it_goes_on_after(
    capsys: pytest.CaptureFixture[str], reason: str | None, named: str
) -> None:
    counts = dict.fromkeys(("queued", "sending", "rejected", "not_sent", "unknown", "segments"), 0)
    state = CampaignState.CANCELLED
    status = CampaignStatus(
        id="3f9a1c07", state=state, reason=reason, recipients=1, accepted=1, batches=1, **counts
    )
    with warnings_shown():
        ProgressPrinter(as_json=False).end(status)
        logging.getLogger("vavasms").warning("The ledger is away.")
    logging.getLogger("vavasms").warning("It is back.")
    printed = capsys.readouterr()
    assert printed.out.startswith("The campaign 3f9a1c07 is cancelled")
    assert named in printed.out
    assert "\x1b" not in printed.out
    assert printed.err == "The ledger is away.\n"


def test_a_worker_goes_on_where_nobody_reads_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as closed, monkeypatch.context() as patch:  # noqa: PTH123  a descriptor
        patch.setattr(sys, "stdout", closed)
        patch.setattr(sys, "stderr", closed)
        ProgressPrinter(as_json=False).begin(16)
        warn("The ledger is away.")
        os.dup2(os.open(os.devnull, os.O_WRONLY), closed.fileno())


async def fail() -> None:
    raise LedgerError("The ledger is not at hand.")


async def run_failing() -> None:
    await run_until_signalled(fail, lambda: None, note=warn, sentences=("", ""))


@pytest.mark.parametrize("threads", [0, 1])
def test_what_a_worker_fails_of_is_raised_by_itself(threads: int) -> None:
    work = partial(anyio.run, run_failing)
    with pytest.raises(LedgerError, match="not at hand"), ThreadPoolExecutor(1) as pool:
        pool.submit(work).result() if threads else work()


def record(**values: object) -> SendRecord:
    given = {
        "account": "ops",
        "key": "order-42",
        "kind": SendKind.TEXT,
        "state": BatchState.ACCEPTED,
        "recipients": (Msisdn("2250700000101"),),
        "sender_id": None,
        "segments": 1,
        "text": None,
        "lot_id": "LOT-1",
        "message_ids": ("SM-1",),
        "description": "",
        "error": None,
        "attempts": 1,
        "is_enqueued": True,
        "created_at": 1.75e9,
        "sent_at": 1.75e9,
        "settled_at": 1.75e9,
        "not_before": 0.0,
    }
    return SendRecord(**{**given, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settled", "said"),
    [
        (record(), "The send order-42 to 1 recipient is accepted: lot LOT-1\n"),
        (record(lot_id=""), "The send order-42 to 1 recipient is accepted.\n"),
        (
            record(state=BatchState.UNKNOWN, error="No\x1b answer.", lot_id=""),
            "The send order-42 to 1 recipient is unknown: No answer.\n",
        ),
        (
            record(state=BatchState.CANCELLED, error="No way.", lot_id=""),
            "The send order-42 to 1 recipient is not sent: No way.\n",
        ),
    ],
)
def test_a_worker_says_what_became_of_a_send_without_its_number(
    capsys: pytest.CaptureFixture[str], settled: SendRecord, said: str
) -> None:
    ProgressPrinter(as_json=False).settle(settled)
    assert capsys.readouterr().out == said
    ProgressPrinter(as_json=True).settle(settled)
    printed = capsys.readouterr().out
    assert json.loads(printed)["recipients"] == 1
    assert "2250700000101" not in printed


@pytest.mark.slow
def test_a_worker_sends_what_is_enqueued_in_a_file_until_it_is_told_to_stop(
    account: Mapping[str, str], inside: Run, server: SandboxServer
) -> None:
    with start([sys.executable, "-m", "vavasms", "worker", "--ledger", "new.db", "--json"]) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == {"event": "start", "concurrency": 8}
        with VavaSMS(ledger="new.db") as sms:
            sms.enqueue("+2250700000101", "Bonjour", idempotency_key="order-42")
            sms.enqueue("+2250700000903", "Bonjour", idempotency_key="order-43")
        events = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=20)
    assert {(event["event"], event["key"], event["state"]) for event in events} == {
        ("send", "order-42", "accepted"),
        ("send", "order-43", "rejected"),
    }
    assert (process.returncode, out) == (0, "")
    assert errors == "Stopping: finishing what is under way. Another signal does not wait.\n"
    assert len(server.gateway.journal) == 1
    assert inside("sends", "list", "--ledger", "new.db").stdout.count("order-4") == 2


def test_an_interrupted_worker_of_a_file_says_so_by_its_code(
    account: Mapping[str, str], server: SandboxServer
) -> None:
    with start([sys.executable, "-m", "vavasms", "worker", "--ledger", "new.db"]) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert line == "Sending what is enqueued in new.db, 8 requests at once. Ctrl-C stops it.\n"
    assert process.returncode == 130


def test_a_worker_of_a_file_needs_an_account(inside: Run) -> None:
    finished = inside("worker", "--ledger", "new.db")
    assert (finished.returncode, finished.stderr.count("\n")) == (2, 1)
    assert "No credentials" in finished.stderr
    assert not Path("new.db").exists()


def read_log(text: str) -> list[dict[str, str]]:
    """Read a log in which each line is an object with its time."""
    lines: list[dict[str, str]] = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        moment = datetime.fromisoformat(line.pop("time"))
        assert moment.tzinfo is not None
        assert abs(time.time() - moment.timestamp()) < 60
    return lines


def test_a_log_for_a_collector_has_an_object_a_line_in_english(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("vavasms")
    with logs_shown("json"), language_set("fr"):
        logger.warning("The outbox waits for its ledger (%s).", "a\nb\u2028c")
        try:
            raise ValueError("hunter2")
        except ValueError:
            logger.exception("It failed.")
        warn(_("Stopping: finishing what is under way. Another signal does not wait."))
    logger.warning("Nobody reads this.")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "hunter2" not in printed.err
    assert read_log(printed.err) == [
        {
            "level": "warning",
            "logger": "vavasms",
            "message": "The outbox waits for its ledger (a\nb\u2028c).",
        },
        {"level": "error", "logger": "vavasms", "message": "It failed.", "exception": "ValueError"},
        {
            "level": "warning",
            "logger": "vavasms",
            "message": "Stopping: finishing what is under way. Another signal does not wait.",
        },
    ]


def test_of_what_others_log_and_python_warns_of_a_collector_gets_no_word(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = ValueError("+2250700000001 Votre code")
    with logs_shown("json"), warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.getLogger("asyncio").error("It failed: %r", error, exc_info=error)
        logging.getLogger("opentelemetry.context").warning("Failed to detach +2250700000001")
        warnings.warn("+2250700000001", stacklevel=1)
        logging.getLogger("asyncio").info("Nothing of note.")
        # A stranger who reaches --health brings these about.
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    printed = capsys.readouterr()
    assert read_log(printed.err) == [
        {"level": "error", "logger": "asyncio", "exception": "ValueError"},
        {"level": "warning", "logger": "opentelemetry.context"},
        {"level": "warning", "logger": "py.warnings"},
    ]


@pytest.mark.parametrize(("form", "said"), [("json", '"%d things"'), ("text", "%d things")])
def test_no_log_raises_where_it_is_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, form: LogFormat, said: str
) -> None:
    def log(sentence: str, *args: object) -> None:
        # Not to pytest's own handlers, which raise.
        record = logging.LogRecord("vavasms", logging.WARNING, "", 1, sentence, args, None)
        handlers = [*logging.getLogger().handlers, *logging.getLogger("vavasms").handlers]
        (ours,) = (each for each in handlers if type(each).__module__ == "vavasms.cli.commands.worker")
        ours.handle(record)

    with logs_shown(form):
        log("%d things", "x")
        assert said in capsys.readouterr().err
        with monkeypatch.context() as patch:
            stream = io.StringIO()
            stream.close()
            patch.setattr(sys, "stderr", stream)
            log("Nobody reads this.")


@pytest.mark.parametrize("words", [("--log", "json"), ("--log=json", "--json")])
def test_with_it_what_ends_a_worker_is_a_line_of_the_log(inside: Run, words: tuple[str, ...]) -> None:
    finished = inside("--lang", "fr", "worker", "--ledger", "new.db", *words)
    assert (finished.returncode, finished.stdout) == (2, "")
    (line,) = read_log(finished.stderr)
    assert (line["level"], line["code"]) == ("error", "config.no_credentials")
    assert line["message"].startswith("No credentials: set VAVASMS_USERNAME")
    assert "time" not in inside("worker", "--ledger", "new.db", "--log", "text").stderr


def test_all_that_a_worker_writes_is_json_where_both_are_asked_for(
    account: Mapping[str, str], server: SandboxServer
) -> None:
    words = ("worker", "--ledger", "new.db", "--json", "--log", "json")
    with start([sys.executable, "-m", "vavasms", *words]) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "start"
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "")
    (line,) = read_log(errors)
    assert (line["level"], line["message"][:9]) == ("info", "Stopping:")
