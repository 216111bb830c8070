"""The account of a bulk send at any instant: on the way, after a stop, and while somebody else reads it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from anyio.lowlevel import checkpoint

from tests.campaigns.staging import accepted, connect, phones, stall
from vavasms import BatchResult, BulkProgress, BulkReport, Outcome
from vavasms.bulk.models import BulkOptions
from vavasms.bulk.sender import BulkStream, Collector
from vavasms.sandbox import SandboxServer
from vavasms.wire.requests import draft_text

Told = list[tuple[int, Outcome, list[str]]]


def tell(results: tuple[BatchResult, ...]) -> Told:
    return [(result.number, result.outcome, [*map(str, result.recipients)]) for result in results]


def count(report: BulkReport) -> int:
    return report.accepted + report.rejected + report.not_sent + report.unknown


@pytest.mark.anyio
async def test_an_account_on_the_way_names_who_is_being_sent_to_and_who_waits(sandbox: SandboxServer) -> None:
    stall(sandbox, 30.0)
    async with connect(sandbox) as sms:
        stream = sms.stream_bulk(phones(40), "Bonjour", batch_size=5, concurrency=2)
        with anyio.CancelScope() as scope:
            async with stream:
                await accepted(sandbox, 2)
                account, report = stream.account(), stream.report
                scope.cancel()
                await checkpoint()
    assert tell(account.undelivered) == [
        (0, Outcome.UNKNOWN, phones(5)),
        (1, Outcome.UNKNOWN, phones(5, 5)),
        (2, Outcome.NOT_SENT, phones(5, 10)),
    ]
    assert (account.unknown, account.not_sent) == (10, 5)
    # It settles nothing by being looked at.
    assert count(report) == 0
    assert (stream.report.unknown, stream.report.not_sent) == (10, 5)


@pytest.mark.anyio
async def test_an_account_that_the_iterable_itself_looks_at_names_everybody_it_gave(
    sandbox: SandboxServer,
) -> None:
    named: list[int] = []

    def people() -> Iterator[str]:
        for index, phone in enumerate(phones(20)):
            if index % 5 == 0:
                named.append(count(stream.account()))
            yield phone

    async with connect(sandbox) as sms:
        stream = sms.stream_bulk(people(), "Bonjour", batch_size=5)
        async with stream:
            assert len([result async for result in stream]) == 4
    assert named == [0, 5, 10, 15]


@pytest.mark.anyio
async def test_a_cancelled_bulk_send_tells_its_bar_of_everybody_once(sandbox: SandboxServer) -> None:
    seen: list[BulkProgress] = []
    accounts: list[BulkReport] = []

    def watch(progress: BulkProgress) -> None:
        seen.append(progress)
        accounts.append(stream.account())

    stall(sandbox, 30.0)
    async with connect(sandbox) as sms:
        stream = sms.stream_bulk(phones(40), "Bonjour", batch_size=5, concurrency=1, on_progress=watch)
        with anyio.CancelScope() as scope:
            async with stream:
                await accepted(sandbox, 1)
                scope.cancel()
                await checkpoint()
    assert tell(tuple(progress.result for progress in seen)) == [
        (0, Outcome.UNKNOWN, phones(5)),
        (1, Outcome.NOT_SENT, phones(5, 5)),
    ]
    assert [(progress.unknown, progress.not_sent) for progress in seen] == [(5, 0), (5, 5)]
    assert [(account.unknown, account.not_sent) for account in accounts] == [(5, 5), (5, 5)]
    # What somebody else had read for it is named after them.
    stream.add_unsent(phones(2, 10))
    stream.add_unsent(phones(1, 12))
    assert tell(stream.report.undelivered)[2:] == [
        (2, Outcome.NOT_SENT, phones(2, 10)),
        (3, Outcome.NOT_SENT, phones(1, 12)),
    ]
    assert stream.account() == stream.report


@pytest.mark.anyio
async def test_a_stream_that_is_stopped_while_its_iterable_waits_ends_and_leaves_nobody_out(
    sandbox: SandboxServer,
) -> None:
    waits = anyio.Event()

    async def people() -> AsyncIterator[str]:
        for phone in phones(7):
            yield phone
        waits.set()
        await anyio.sleep_forever()

    async with connect(sandbox) as sms:
        with anyio.fail_after(20):
            async with sms.stream_bulk(people(), "Bonjour", batch_size=5) as stream:
                await waits.wait()
                stream.stop()
                taken = [result async for result in stream]
        assert [result async for result in stream] == []
    (rest,) = stream.report.undelivered
    assert tell((*taken, rest)) == [
        (0, taken[0].outcome, phones(5)),
        (1, Outcome.NOT_SENT, phones(2, 5)),
    ]
    assert count(stream.report) == 7


@pytest.mark.anyio
async def test_a_stream_that_is_stopped_before_it_is_entered_sends_nothing(sandbox: SandboxServer) -> None:
    async with connect(sandbox) as sms:
        stream = sms.stream_bulk(phones(20), "Bonjour", batch_size=5)
        stream.stop()
        async with stream:
            results = [result async for result in stream]
    assert count(stream.report) == stream.report.not_sent
    assert {result.outcome for result in results} <= {Outcome.NOT_SENT}
    assert not sandbox.gateway.journal.entries


@pytest.mark.anyio
async def test_a_stream_that_was_left_has_no_more_results(sandbox: SandboxServer) -> None:
    async with connect(sandbox) as sms:
        async with sms.stream_bulk(phones(20), "Bonjour", batch_size=5) as stream:
            await anext(stream)
        assert [result async for result in stream] == []
    assert count(stream.report) == 5 + sum(len(result.recipients) for result in stream.report.undelivered)


@pytest.mark.anyio
async def test_a_native_cancellation_waits_for_no_answer(
    sandbox: SandboxServer, anyio_backend_name: str
) -> None:
    if anyio_backend_name == "trio":
        pytest.skip("only asyncio cancels tasks natively")
    stall(sandbox, 30.0)
    async with connect(sandbox) as sms:
        task = asyncio.ensure_future(sms.send_bulk(phones(20), "Bonjour", batch_size=5, concurrency=2))
        await accepted(sandbox, 2)
        task.cancel()
        with anyio.fail_after(10), pytest.raises(asyncio.CancelledError) as raised:
            await task
    report: BulkReport = vars(raised.value)["bulk_report"]
    assert (report.unknown, report.not_sent) == (10, 5)


@pytest.mark.anyio
async def test_a_result_that_reached_nobody_is_in_the_report_again(sandbox: SandboxServer) -> None:
    async with connect(sandbox) as sms, sms.stream_bulk(phones(3), "Bonjour") as stream:
        result = await stream.receive()
        assert result is not None
        assert not stream.report.undelivered
        stream.take_back(result)
        assert [*stream.report.undelivered] == [result]
    assert stream.report.accepted == 3


@pytest.mark.anyio
async def test_a_bulk_send_without_a_bar_has_nothing_to_warn_of(
    sandbox: SandboxServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(sandbox) as sms:
        await sms.send_bulk(phones(10), "Bonjour", batch_size=5)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("fails", [False, True], ids=["to its end", "failing"])
@pytest.mark.anyio
async def test_who_was_read_for_a_stream_and_did_not_reach_it_is_not_sent_to(
    sandbox: SandboxServer, fails: bool
) -> None:
    def people() -> Iterator[str]:
        yield from phones(4)
        if fails:
            raise LookupError("the cursor is gone")

    async with connect(sandbox) as sms:
        collector = Collector(sms.stream_bulk(people(), "Bonjour", batch_size=2), lambda: phones(3, 10))
        try:
            report = await collector.run()
        except LookupError as error:
            report = vars(error)["bulk_report"]
    assert (report.accepted, report.not_sent) == (4, 3)
    assert [*report.recipients(Outcome.NOT_SENT)] == phones(3, 10)
    assert not sandbox.gateway.journal.counts().keys() & set(phones(3, 10))


class HandedOverMeanwhile(BulkStream):
    """A stream whose first result reaches its consumer while somebody else asks for the account."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.asked, self.held = threading.Event(), threading.Event()
        self.has_received = False

    def account(self) -> BulkReport:
        report = super().account()
        self.asked.set()
        assert self.held.wait(10)
        return report

    async def receive(self) -> BatchResult | None:
        if self.has_received:
            # The one before is in the consumer's hands.
            self.held.set()
        else:
            await anyio.to_thread.run_sync(self.asked.wait, 10)
            self.has_received = True
        return await super().receive()


def test_a_result_that_is_handed_over_while_another_thread_asks_is_in_the_account_once(
    sandbox: SandboxServer,
) -> None:
    settled, collectors = threading.Event(), []

    def note(_: BulkProgress) -> None:
        settled.set()

    async def collect() -> BulkReport:
        options = BulkOptions(batch_size=5, concurrency=1, rate=None, dedupe=True, on_progress=note)
        draft = draft_text("Bonjour", "SANDBOX", username=sandbox.gateway.username)
        async with connect(sandbox) as sms:
            stream = HandedOverMeanwhile(sms.account.transport, draft, phones(5), options, "CI")
            collectors.append(Collector(stream))
            return await collectors[0].run()

    interrupt = KeyboardInterrupt()
    with start_blocking_portal() as portal:
        run = portal.start_task_soon(collect)
        assert settled.wait(10)
        collectors[0].attach(interrupt)
        final = run.result(10)
    report: BulkReport = vars(interrupt)["bulk_report"]
    assert tell(report.results) == tell(final.results) == [(0, Outcome.ACCEPTED, phones(5))]
