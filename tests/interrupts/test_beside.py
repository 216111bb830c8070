"""The facade and what goes on beside it: a second interrupt, other threads, its own thread."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.inbound.posting import TOKEN
from vavasms import ConfigurationError, OutcomeUnknownError, VavaSMS
from vavasms.bulk.models import BatchResult, BulkReport
from vavasms.calls import SETTLE_SECONDS, inherit_account
from vavasms.campaigns.policy import Policy
from vavasms.campaigns.runner import CampaignRun
from vavasms.errors import Outcome
from vavasms.inbound.flask import inbound_view
from vavasms.models import InboundMessage
from vavasms.sandbox import Fault, FaultKind, Moment, SandboxServer
from vavasms.sync.campaigns import BlockingCampaignRunner
from vavasms.transport.http import AsyncBaseTransport

pytestmark = pytest.mark.slow

FIELDS = {"message_id": "SM-1", "form": "+2250700000101", "content": "Bonjour"}
PHONE = "2250700300000"


def phones(count: int) -> list[str]:
    return [str(2250700300000 + index) for index in range(count)]


@pytest.fixture
def make(sandbox: SandboxServer) -> Iterator[Callable[..., VavaSMS]]:
    """Yield what makes clients."""
    sandbox.gateway.set_balance(Decimal(10**9))
    gateway, made = sandbox.gateway, []

    def build(**options: Any) -> VavaSMS:
        made.append(
            VavaSMS(gateway.username, gateway.password, sender_id="ACME", base_url=sandbox.url, **options)
        )
        return made[-1]

    yield build
    sandbox.faults.clear()
    for client in made:
        client.close()


def stall(sandbox: SandboxServer, seconds: float) -> None:
    sandbox.faults.set_rates(
        {Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=seconds): 1.0}
    )
    # The balance, which is read before the first of several batches, is told at once.
    sandbox.faults.script(*[None] * 100, path="/v1/check/balance")


class JobTimeoutError(Exception):
    """What job queues raise from a signal handler in the middle of whatever runs."""


class Alarm:
    """A signal handler that raises, and tells of it."""

    def __init__(self) -> None:
        self.rung = threading.Semaphore(0)

    def __call__(self, *_: object) -> None:
        self.rung.release()
        raise JobTimeoutError

    def fire(self) -> None:
        """Interrupt the main thread and wait until it is."""
        signal.raise_signal(signal.SIGALRM)
        assert self.rung.acquire(timeout=10)


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    """Yield a handler of SIGALRM for the length of a test."""
    handler = Alarm()
    before = signal.signal(signal.SIGALRM, handler)
    yield handler
    signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGALRM on Windows")
@pytest.mark.parametrize("lazy", [False, True], ids=["list", "generator"])
def test_a_second_interrupt_has_the_account_of_what_was_cut_off(
    sandbox: SandboxServer, make: Callable[..., VavaSMS], alarm: Alarm, lazy: bool
) -> None:
    stall(sandbox, 20.0)
    recipients, sms = phones(400), make()

    def interrupt_twice() -> None:
        assert sandbox.gateway.journal.wait_for(8)
        alarm.fire()
        alarm.fire()

    thread = threading.Thread(target=interrupt_twice)
    thread.start()
    begun = time.monotonic()
    with pytest.raises(JobTimeoutError) as raised:
        sms.send_bulk(iter(recipients) if lazy else recipients, "Bonjour", batch_size=5, concurrency=8)
    assert time.monotonic() - begun < 10
    thread.join(10)
    report: BulkReport = vars(raised.value)["bulk_report"]
    assert (report.accepted, report.unknown, report.rejected) == (0, 40, 0)
    unknown = {str(phone) for phone in report.recipients(Outcome.UNKNOWN)}
    assert unknown == set(sandbox.gateway.journal.counts())
    assert sum(len(result.recipients) for result in report.results) == report.unknown + report.not_sent
    assert any("40 unknown" in note for note in raised.value.__notes__)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGALRM on Windows")
def test_a_second_interrupt_of_a_single_send_says_that_it_is_unknown(
    sandbox: SandboxServer, make: Callable[..., VavaSMS], alarm: Alarm
) -> None:
    stall(sandbox, 20.0)
    sms = make()

    def interrupt_twice() -> None:
        assert sandbox.gateway.journal.wait_for(1)
        alarm.fire()
        alarm.fire()

    thread = threading.Thread(target=interrupt_twice)
    thread.start()
    with pytest.raises(JobTimeoutError) as raised:
        sms.send(PHONE, "Bonjour")
    thread.join(10)
    assert any("cut off before its end" in note for note in raised.value.__notes__)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGALRM on Windows")
def test_what_does_not_settle_in_time_is_in_the_account_too(
    sandbox: SandboxServer, make: Callable[..., VavaSMS], alarm: Alarm
) -> None:
    release, stuck = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        stuck.set()
        release.wait(30)

    sms = make(on_response=hold)

    def interrupt_twice() -> None:
        assert stuck.wait(10)
        alarm.fire()
        alarm.fire()

    thread = threading.Thread(target=interrupt_twice)
    thread.start()
    with pytest.raises(JobTimeoutError) as raised:
        sms.send_bulk(phones(60), "Bonjour", batch_size=5, concurrency=4)
    thread.join(10)
    release.set()
    report: BulkReport = vars(raised.value)["bulk_report"]
    unknown = {str(phone) for phone in report.recipients(Outcome.UNKNOWN)}
    assert set(sandbox.gateway.journal.counts()) <= unknown
    assert sum(len(result.recipients) for result in report.results) == report.unknown + report.not_sent
    assert report.unknown > 0
    assert SETTLE_SECONDS < 10


def test_close_waits_for_the_send_of_another_thread(
    sandbox: SandboxServer, make: Callable[..., VavaSMS]
) -> None:
    stall(sandbox, 0.4)
    answers: list[object] = []
    sms = make(on_response=answers.append)
    with ThreadPoolExecutor(2) as threads:
        lot = threads.submit(sms.send, PHONE, "Bonjour")
        assert sandbox.gateway.journal.wait_for(1)
        sms.close()
        assert len(answers) == 1
        assert [str(phone) for phone in lot.result(10).recipients] == [PHONE]
    with pytest.raises(ConfigurationError, match="closed") as raised:
        sms.send(PHONE, "Bonjour")
    assert raised.value.outcome is Outcome.NOT_SENT


def test_close_waits_for_the_bulk_send_of_another_thread(
    sandbox: SandboxServer, make: Callable[..., VavaSMS]
) -> None:
    stall(sandbox, 0.05)
    sms = make()
    with ThreadPoolExecutor(2) as threads:
        report = threads.submit(sms.send_bulk, iter(phones(60)), "Bonjour", batch_size=5, concurrency=4)
        assert sandbox.gateway.journal.wait_for(1)
        sms.close()
        assert report.result(10).accepted == 60 == len(sandbox.gateway.journal.counts())


@pytest.mark.parametrize("lazy", [False, True], ids=["list", "generator"])
def test_close_stops_a_stream_and_settles_what_is_in_flight(
    sandbox: SandboxServer, make: Callable[..., VavaSMS], lazy: bool
) -> None:
    stall(sandbox, 0.05)
    sms, got, first = make(), [], threading.Event()
    recipients = phones(400)

    def consume() -> BulkReport:
        results = sms.stream_bulk(
            iter(recipients) if lazy else recipients, "Bonjour", batch_size=5, concurrency=4
        )
        with pytest.raises(ConfigurationError, match=r"The client (was|is) closed"), results:
            for result in results:
                got.append(result)
                first.set()
        return results.report

    with ThreadPoolExecutor(1) as threads:
        future: Future[BulkReport] = threads.submit(consume)
        assert first.wait(10)
        sms.close()
        report = future.result(10)
    assert (report.unknown, report.rejected) == (0, 0)
    assert 0 < report.accepted == len(sandbox.gateway.journal.counts()) < 400
    results: list[BatchResult] = [*got, *report.undelivered]
    assert sum(len(result.recipients) for result in results) == report.accepted + report.not_sent


def test_close_does_not_wait_for_a_stream_that_nobody_reads(
    sandbox: SandboxServer, make: Callable[..., VavaSMS]
) -> None:
    sms = make()
    results = sms.stream_bulk(phones(60), "Bonjour", batch_size=5, concurrency=4).__enter__()
    assert sandbox.gateway.journal.wait_for(1)
    sms.close()
    results.__exit__(None, None, None)
    assert results.report.accepted == len(sandbox.gateway.journal.counts())


def test_close_stops_the_campaign_of_another_thread(
    sandbox: SandboxServer, make: Callable[..., VavaSMS], tmp_path: Path
) -> None:
    stall(sandbox, 0.05)
    contacts = tmp_path / "list.csv"
    contacts.write_text("\n".join(["phone", *phones(400), ""]), encoding="utf-8")
    sms, ledger = make(), tmp_path / "ledger.db"
    runner = BlockingCampaignRunner(sms, ledger).__enter__()
    campaign, _ = runner.submit(contacts, "Bonjour", policy=Policy(batch_size=5, concurrency=4))
    with ThreadPoolExecutor(1) as threads:
        run: Future[CampaignRun] = threads.submit(runner.run, campaign.id)
        assert sandbox.gateway.journal.wait_for(1)
        sms.close()
        with pytest.raises(ConfigurationError, match="closed"):
            runner.status(campaign.id)
        runner.__exit__(None, None, None)
        assert wait([run], 10).done
    with BlockingCampaignRunner(make(), ledger) as again:
        status = again.status(campaign.id)
    assert (status.sending, status.unknown) == (0, 0)
    assert 0 < status.accepted == len(sandbox.gateway.journal.counts()) < 400


def test_closing_twice_at_once_closes_once(sandbox: SandboxServer, make: Callable[..., VavaSMS]) -> None:
    stall(sandbox, 0.3)
    answers: list[object] = []
    sms = make(on_response=answers.append)
    with ThreadPoolExecutor(4) as threads:
        lot = threads.submit(sms.send, PHONE, "Bonjour")
        assert sandbox.gateway.journal.wait_for(1)
        for closing in [threads.submit(sms.close) for _ in range(3)]:
            closing.result(10)
            assert len(answers) == 1
        assert lot.result(10).message_ids
    sms.close()


@pytest.mark.parametrize("call", ["send", "balance", "close", "stream", "campaign"])
def test_the_facade_in_its_own_thread_is_refused_at_once(
    sandbox: SandboxServer, make: Callable[..., VavaSMS], tmp_path: Path, call: str
) -> None:
    errors: list[ConfigurationError] = []

    def hook(_: object) -> None:
        calls: dict[str, Callable[[], object]] = {
            "send": partial(sms.send, "2250700399999", "Bonjour"),
            "balance": other.balance,
            "close": sms.close,
            "stream": partial(sms.stream_bulk, ["2250700399999"], "Bonjour"),
            "campaign": BlockingCampaignRunner(sms, tmp_path / "ledger.db").__enter__,
        }
        with pytest.raises(ConfigurationError, match="in the thread that does its work") as raised:
            calls[call]()
        errors.append(raised.value)

    sms, other = make(on_response=hook), make()
    other.balance()
    sms.send(PHONE, "Bonjour")
    assert [error.outcome for error in errors] == [Outcome.NOT_SENT]
    assert dict(sandbox.gateway.journal.counts()) == {PHONE: 1}


def test_a_stream_is_not_read_in_the_portals_own_thread(
    sandbox: SandboxServer, make: Callable[..., VavaSMS]
) -> None:
    refused: list[str] = []

    def hook(_: object) -> None:
        for call in (results.__enter__, results.__next__, results.collect):
            with pytest.raises(ConfigurationError) as raised:
                call()
            refused.append(str(raised.value))
        with pytest.raises(ConfigurationError):
            results.__exit__(None, None, None)

    sms = make(on_response=hook)
    results = sms.stream_bulk(phones(3), "Bonjour")
    sms.send("2250700399999", "Bonjour")
    assert len(refused) == 3
    assert dict(sandbox.gateway.journal.counts()) == {"2250700399999": 1}


def test_on_progress_that_sends_is_refused_and_the_bulk_send_goes_on(
    sandbox: SandboxServer, make: Callable[..., VavaSMS]
) -> None:
    refused: list[Exception] = []

    def progress(_: object) -> None:
        with pytest.raises(ConfigurationError) as raised:
            sms.send("2250700399999", "Bonjour")
        refused.append(raised.value)

    sms = make()
    assert sms.send_bulk(phones(20), "Bonjour", batch_size=5, on_progress=progress).accepted == 20
    assert len(refused) == 4
    assert "2250700399999" not in sandbox.gateway.journal.counts()


def test_a_hook_that_exits_ends_its_call_and_no_other(
    sandbox: SandboxServer, make: Callable[..., VavaSMS]
) -> None:
    def leave(_: object) -> None:
        raise SystemExit(3)

    sms, other = make(on_response=leave), make()
    other.balance()
    with pytest.raises(SystemExit):
        sms.send(PHONE, "Bonjour")
    assert other.balance().currency == "XOF"


def test_on_progress_that_exits_leaves_a_whole_account_and_the_calls_of_others(
    sandbox: SandboxServer, make: Callable[..., VavaSMS]
) -> None:
    def leave(_: object) -> None:
        raise SystemExit(3)

    stall(sandbox, 0.5)
    sms, other = make(), make()
    with ThreadPoolExecutor(1) as threads:
        lot = threads.submit(other.send, "2250700399999", "Bonjour")
        assert sandbox.gateway.journal.wait_for(1)
        sandbox.faults.set_rates({})
        with pytest.raises(SystemExit) as raised:
            sms.send_bulk(phones(40), "Bonjour", batch_size=5, concurrency=2, on_progress=leave)
        assert [str(phone) for phone in lot.result(10).recipients] == ["2250700399999"]
    report: BulkReport = vars(raised.value)["bulk_report"]
    # What was read and not begun is named too.
    assert report.not_sent > 0
    assert report.accepted + report.not_sent + report.unknown == sum(
        len(result.recipients) for result in report.results
    )
    sent = {str(phone) for kind in (Outcome.ACCEPTED, Outcome.UNKNOWN) for phone in report.recipients(kind)}
    assert set(sandbox.gateway.journal.counts()) - {"2250700399999"} <= sent
    assert (sms.balance().currency, other.balance().currency) == ("XOF", "XOF")


def test_on_progress_that_exits_leaves_nobody_out_who_was_read_of_a_generator(
    sandbox: SandboxServer, make: Callable[..., VavaSMS]
) -> None:
    everybody = iter(phones(3_000))

    def people(read: list[str]) -> Iterator[str]:
        for phone in everybody:
            read.append(phone)
            yield phone

    def leave(_: object) -> None:
        raise SystemExit(3)

    sms = make()
    # How far it has read by then differs.
    for _ in range(8):
        read: list[str] = []
        with pytest.raises(SystemExit) as raised:
            sms.send_bulk(people(read), "Bonjour", batch_size=5, concurrency=2, on_progress=leave)
        report: BulkReport = vars(raised.value)["bulk_report"]
        assert report.accepted + report.not_sent + report.unknown == len(read)
        sent = {
            str(number) for kind in (Outcome.ACCEPTED, Outcome.UNKNOWN) for number in report.recipients(kind)
        }
        assert sent >= set(sandbox.gateway.journal.counts()) & set(read)


@pytest.mark.parametrize("streamed", [False, True], ids=["collected", "streamed"])
def test_on_progress_that_exits_in_the_middle_of_a_read_leaves_nobody_out(
    sandbox: SandboxServer, make: Callable[..., VavaSMS], streamed: bool
) -> None:
    read: list[str] = []
    left = threading.Event()

    def people() -> Iterator[str]:
        for phone in phones(40):
            read.append(phone)
            yield phone
            if len(read) == 12:
                # The third batch is being read when the sending ends in the other thread.
                assert left.wait(10)
                time.sleep(0.3)

    def leave(_: object) -> None:
        left.set()
        raise SystemExit(3)

    options: dict[str, Any] = {"batch_size": 5, "concurrency": 2, "on_progress": leave}
    sms = make()
    if streamed:
        stream = sms.stream_bulk(people(), "Bonjour", **options)
        with pytest.raises(SystemExit), stream:
            list(stream)
        assert stream.report.accepted + stream.report.not_sent + stream.report.unknown == len(read) > 12
        return
    with pytest.raises(SystemExit) as raised:
        sms.send_bulk(people(), "Bonjour", **options)
    report: BulkReport = vars(raised.value)["bulk_report"]
    assert report.accepted + report.not_sent + report.unknown == len(read) > 12
    (note,) = raised.value.__notes__
    assert f"{report.not_sent} not sent" in note


@pytest.mark.parametrize("kind", ["async", "plain"])
def test_an_inbound_handler_of_flask_may_reply_with_the_facade(
    sandbox: SandboxServer, make: Callable[..., VavaSMS], kind: str
) -> None:
    sms = make()
    sms.balance()

    async def reply(message: InboundMessage) -> None:
        sms.send(message.sender, "Merci")

    def plain(message: InboundMessage) -> None:
        sms.send(message.sender, "Merci")

    view: Any = inbound_view(reply if kind == "async" else plain, token=TOKEN)
    app = Flask("shop")
    app.add_url_rule("/sms/<token>", view_func=view)
    try:
        assert app.test_client().post(f"/sms/{TOKEN}", data=FIELDS).status_code == 200
    finally:
        view.close()
    assert dict(sandbox.gateway.journal.counts()) == {"2250700000101": 1}


def test_a_view_called_in_the_thread_of_its_handlers_is_refused() -> None:
    statuses: list[int] = []

    async def call_again(message: InboundMessage) -> None:
        fields = {**FIELDS, "message_id": "SM-2"}
        statuses.append(app.test_client().post(f"/sms/{TOKEN}", data=fields).status_code)

    view: Any = inbound_view(call_again, token=TOKEN)
    app = Flask("shop")
    app.add_url_rule("/sms/<token>", view_func=view)
    try:
        assert app.test_client().post(f"/sms/{TOKEN}", data=FIELDS).status_code == 200
    finally:
        view.close()
    assert statuses == [500]


def test_a_failing_close_raises_its_own_error_and_gives_the_thread_up(
    sandbox: SandboxServer, make: Callable[..., VavaSMS]
) -> None:
    class Transport(AsyncBaseTransport):
        async def aclose(self) -> None:
            raise LookupError("it does not close")

    sms = make(transport=Transport())
    sms._open()
    with pytest.raises(LookupError, match="does not close"):
        sms.close()
    sms.close()
    assert "vavasms-portal" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGALRM on Windows")
def test_an_interrupted_close_goes_on_without_the_thread_that_was_interrupted(
    sandbox: SandboxServer, make: Callable[..., VavaSMS], alarm: Alarm
) -> None:
    stall(sandbox, 0.5)
    sms, started = make(), threading.Event()

    def interrupt() -> None:
        assert started.wait(10)
        alarm.fire()

    with ThreadPoolExecutor(2) as threads:
        lot = threads.submit(sms.send, PHONE, "Bonjour")
        assert sandbox.gateway.journal.wait_for(1)
        threads.submit(interrupt)
        started.set()
        with pytest.raises(JobTimeoutError), sms:
            pass
        assert [str(phone) for phone in lot.result(10).recipients] == [PHONE]
    with pytest.raises(ConfigurationError, match="closed"):
        sms.balance()


def test_an_interrupt_that_takes_the_place_of_another_bears_its_account() -> None:
    first, second = KeyboardInterrupt(), KeyboardInterrupt()
    vars(first)["bulk_report"] = report = BulkReport()
    inherit_account(second, None)
    inherit_account(second, first)
    assert vars(second)["bulk_report"] is report


def test_a_call_cut_off_by_the_end_of_its_thread_has_an_outcome(
    sandbox: SandboxServer, make: Callable[..., VavaSMS]
) -> None:
    stall(sandbox, 20.0)
    sms = make()
    with ThreadPoolExecutor(1) as threads:
        lot = threads.submit(sms.send, PHONE, "Bonjour")
        assert sandbox.gateway.journal.wait_for(1)
        group = sms._group
        assert group is not None
        group.lease.thread.stop()
        with pytest.raises(OutcomeUnknownError) as raised:
            lot.result(10)
    assert raised.value.outcome is Outcome.UNKNOWN
