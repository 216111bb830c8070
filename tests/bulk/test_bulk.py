"""Bulk sends over real sockets: every recipient accounted for, whatever happens in between."""

from __future__ import annotations

import random
from asyncio import CancelledError
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from tests.cutoff import cut_off_after
from vavasms import (
    AsyncVavaSMS,
    AuthenticationError,
    BatchResult,
    BulkProgress,
    BulkReport,
    ConfigurationError,
    GatewayError,
    InvalidInputError,
    InvalidMessageError,
    NotSentError,
    Outcome,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedNumberError,
    Timeouts,
)
from vavasms.bulk.rate_limit import RateLimiter
from vavasms.sandbox import Fault, FaultKind, Moment, SandboxServer

TEXT = "/v1/text/single"


def numbers(count: int, start: int = 0) -> list[str]:
    return [f"2250759{index:06d}" for index in range(start, start + count)]


def client(sandbox: SandboxServer, **changes: object) -> AsyncVavaSMS:
    settings: dict[str, object] = {
        "username": sandbox.gateway.username,
        "password": sandbox.gateway.password,
        "sender_id": "ACME",
        "base_url": sandbox.url,
        "trust_env": False,
    }
    return AsyncVavaSMS(**(settings | changes))  # type: ignore[arg-type]


@pytest.fixture
def sandbox(sandbox: SandboxServer) -> SandboxServer:
    sandbox.gateway.set_balance(Decimal(10**9))
    return sandbox


def check_account(report: BulkReport, read: int) -> None:
    settled = report.accepted + report.rejected + report.not_sent + report.unknown
    assert settled + len(report.invalid) + report.duplicates == read
    held = (*report.results, *report.undelivered)
    if report.results:
        for outcome, count in zip(
            (Outcome.ACCEPTED, Outcome.REJECTED, Outcome.NOT_SENT, Outcome.UNKNOWN),
            (report.accepted, report.rejected, report.not_sent, report.unknown),
            strict=True,
        ):
            assert len(list(report.recipients(outcome))) == count
        assert sum(len(result.recipients) for result in held) == settled


def check_journal(sandbox: SandboxServer, results: list[BatchResult]) -> None:
    """Hold the account against what the gateway took: the ground truth."""
    counts = sandbox.gateway.journal.counts()
    assert all(count == 1 for count in counts.values()), "an SMS was sent twice"
    for result in results:
        taken = {counts.get(number, 0) for number in result.recipients}
        if result.outcome is Outcome.ACCEPTED:
            assert taken == {1}
        if result.outcome in {Outcome.REJECTED, Outcome.NOT_SENT}:
            assert taken == {0}


@pytest.mark.anyio
async def test_every_recipient_is_sent_to_once_in_comma_joined_batches(sandbox: SandboxServer) -> None:
    async with client(sandbox) as sms:
        report = await sms.send_bulk(numbers(1050), "Bonjour")
    check_account(report, 1050)
    check_journal(sandbox, list(report.results))
    assert report.accepted == 1050
    assert [len(result.recipients) for result in report.results] == [100] * 10 + [50]
    assert [result.number for result in report.results] == list(range(11))
    assert sorted(len(entry.phones) for entry in sandbox.gateway.journal.entries) == [50] + [100] * 10
    lot = report.results[0].lot
    assert lot is not None
    assert lot.by_recipient is not None
    assert list(lot.by_recipient) == list(report.results[0].recipients)


@pytest.mark.anyio
async def test_duplicates_are_sent_to_once_and_invalid_numbers_are_reported(sandbox: SandboxServer) -> None:
    mixed = [*numbers(10), "+" + numbers(1)[0], "00" + numbers(2)[1], "12", "", "hello", "22509000001", None]
    async with client(sandbox) as sms:
        report = await sms.send_bulk(mixed, "Bonjour", batch_size=4)  # type: ignore[arg-type]
    check_account(report, len(mixed))
    assert (report.accepted, report.duplicates) == (10, 2)
    assert [invalid.index for invalid in report.invalid] == [12, 13, 14, 15, 16]
    assert report.invalid[3].error.suggestion == "2250709000001"
    assert "22509000001" not in repr(report)
    check_journal(sandbox, list(report.results))


@pytest.mark.anyio
async def test_duplicates_are_kept_where_the_caller_says_so(sandbox: SandboxServer) -> None:
    async with client(sandbox) as sms:
        report = await sms.send_bulk(numbers(2) * 2, "Bonjour", dedupe=False)
    assert (report.accepted, report.duplicates) == (4, 0)
    assert set(sandbox.gateway.journal.counts().values()) == {2}


@pytest.mark.parametrize("recipients", [[], (), "2250759000001", b"x", None, 7], ids=repr)
@pytest.mark.anyio
async def test_what_is_no_list_of_recipients_is_refused(sandbox: SandboxServer, recipients: object) -> None:
    async with client(sandbox) as sms:
        with pytest.raises(InvalidInputError, match="nothing was sent"):
            await sms.send_bulk(recipients, "Bonjour")  # type: ignore[arg-type]
    assert not sandbox.gateway.journal.entries


@pytest.mark.parametrize(
    "option",
    [{"batch_size": 0}, {"batch_size": -1}, {"batch_size": True}, {"batch_size": 1.5}, {"concurrency": 0},
     {"rate": 0}, {"rate": -1.0}, {"rate": float("inf")}, {"rate": float("nan")}, {"rate": True}],
    ids=repr,
)  # fmt: skip
@pytest.mark.anyio
async def test_an_option_that_makes_no_sense_is_refused(
    sandbox: SandboxServer, option: dict[str, int]
) -> None:
    async with client(sandbox) as sms:
        with pytest.raises(InvalidInputError, match="nothing was sent"):
            await sms.send_bulk(numbers(1), "Bonjour", **option)  # type: ignore[arg-type]
        with pytest.raises(InvalidMessageError):
            await sms.send_bulk(numbers(1), " ")


@pytest.mark.anyio
async def test_an_async_iterable_is_read_lazily(sandbox: SandboxServer) -> None:
    read = 0

    async def rows() -> AsyncIterator[str]:
        nonlocal read
        for number in numbers(1000):
            read += 1
            yield number

    async with (
        client(sandbox) as sms,
        sms.stream_bulk(rows(), "Bonjour", batch_size=10, concurrency=2) as results,
    ):
        async for result in results:
            assert result.outcome is Outcome.ACCEPTED
            break
        assert read < 100
    check_account(results.report, read)


@pytest.mark.anyio
async def test_a_slow_consumer_slows_the_sending(sandbox: SandboxServer) -> None:
    async with client(sandbox) as sms:
        stream = sms.stream_bulk(iter(numbers(1000)), "Bonjour", batch_size=10, concurrency=4)
        async with stream as results:
            await results.__anext__()
            # Nobody takes a result: at most the batches that have a place can have been sent.
            with anyio.move_on_after(0.3):
                while len(sandbox.gateway.journal) <= 5:
                    await anyio.sleep(0.01)
            assert len(sandbox.gateway.journal) <= 5


@pytest.mark.anyio
async def test_leaving_early_settles_what_is_in_flight_and_starts_nothing_new(sandbox: SandboxServer) -> None:
    sandbox.faults.set_rates({Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=0.05): 1.0})
    taken: list[BatchResult] = []
    async with client(sandbox) as sms:
        async with sms.stream_bulk(iter(numbers(5000)), "Bonjour", batch_size=10, concurrency=8) as results:
            async for result in results:
                taken.append(result)
                break
        report = results.report
        sent = len(sandbox.gateway.journal)
        await anyio.sleep(0.1)
        assert len(sandbox.gateway.journal) == sent
    assert report.unknown == 0
    settled = [*taken, *report.undelivered]
    assert sum(len(result.recipients) for result in settled) == report.accepted + report.not_sent
    assert report.accepted == sent * 10
    check_journal(sandbox, settled)


@pytest.mark.anyio
async def test_an_error_in_the_block_comes_out_as_it_is(sandbox: SandboxServer) -> None:
    async with client(sandbox) as sms:
        stream = sms.stream_bulk(numbers(100), "Bonjour", batch_size=10)
        with pytest.raises(ZeroDivisionError):
            async with stream as results:
                async for _ in results:
                    raise ZeroDivisionError
        assert stream.report.unknown == 0


def answer_and_stall(sandbox: SandboxServer) -> int:
    """Answer 20 requests and stall the 8 after them; return how many the journal holds then."""
    stall = Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=30)
    sandbox.faults.script(*[None] * 20, *[stall] * 8, path=TEXT)
    return 28


@pytest.mark.anyio
async def test_a_cancellation_leaves_a_true_report(sandbox: SandboxServer) -> None:
    entries = answer_and_stall(sandbox)
    taken: list[BatchResult] = []
    async with client(sandbox) as sms:
        stream = sms.stream_bulk(iter(numbers(3000)), "Bonjour", batch_size=10, concurrency=8)
        async with cut_off_after(sandbox, entries) as scope, stream as results:
            async for result in results:
                taken.append(result)
        assert scope.cancelled_caught
    report = stream.report
    assert report.unknown >= 80
    settled = [*taken, *report.undelivered]
    assert sum(len(r.recipients) for r in settled) == report.accepted + report.not_sent + report.unknown
    check_journal(sandbox, settled)
    # What the gateway took and nobody calls unknown must be called accepted.
    called = Counter(
        number for r in settled if r.outcome in {Outcome.ACCEPTED, Outcome.UNKNOWN} for number in r.recipients
    )
    assert set(sandbox.gateway.journal.counts()) <= set(called)


@pytest.mark.anyio
async def test_a_cancelled_send_bulk_carries_its_account(sandbox: SandboxServer) -> None:
    entries = answer_and_stall(sandbox)
    report: BulkReport | None = None
    async with client(sandbox) as sms, cut_off_after(sandbox, entries):
        try:
            await sms.send_bulk(iter(numbers(3000)), "Bonjour", batch_size=10, concurrency=8)
        except anyio.get_cancelled_exc_class() as cancelled:
            report = vars(cancelled)["bulk_report"]
            raise
    assert report is not None
    assert report.unknown >= 80
    check_journal(sandbox, list(report.results))


@pytest.mark.anyio
async def test_a_failing_iterable_loses_nothing_that_was_sent(sandbox: SandboxServer) -> None:
    def rows() -> Iterator[str]:
        yield from numbers(250)
        raise LookupError("the database went away")

    async with client(sandbox) as sms:
        with pytest.raises(LookupError, match="the database went away") as raised:
            await sms.send_bulk(rows(), "Bonjour")
    report = vars(raised.value)["bulk_report"]
    assert report.accepted == 250
    check_journal(sandbox, list(report.results))


@pytest.mark.anyio
async def test_a_failing_batch_neither_stops_nor_hides_another(sandbox: SandboxServer) -> None:
    sandbox.faults.script(
        Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING),
        None,
        Fault(kind=FaultKind.RAW, body=b'{"code": 920, "message": "NO"}'),
        Fault(kind=FaultKind.STATUS, status=503),
        Fault(kind=FaultKind.RAW, body=b'{"code": "903", "status": "INVALID_PHONE_NUMBER",}'),
        path=TEXT,
    )
    async with client(sandbox) as sms:
        report = await sms.send_bulk(numbers(100), "Bonjour", batch_size=10, concurrency=1)
    check_account(report, 100)
    check_journal(sandbox, list(report.results))
    outcomes = [result.outcome.name for result in report.results]
    assert outcomes == ["UNKNOWN", "ACCEPTED", "REJECTED", "UNKNOWN", "UNKNOWN", *["ACCEPTED"] * 5]
    assert isinstance(report.results[0].error, OutcomeUnknownError)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (
            Fault(kind=FaultKind.RAW, body=b'{"code": "901", "status": "INVALID_CREDENTIALS",}'),
            AuthenticationError,
        ),
        (Fault(kind=FaultKind.STATUS, status=403), GatewayError),
        (Fault(kind=FaultKind.REDIRECT), None),
    ],
    ids=["901", "HTTP 403", "redirect"],
)
@pytest.mark.anyio
async def test_what_would_stop_every_batch_stops_the_rest_as_not_sent(
    sandbox: SandboxServer, fault: Fault, error: type[Exception] | None
) -> None:
    sandbox.faults.script(None, None, fault, path=TEXT)
    async with client(sandbox) as sms:
        report = await sms.send_bulk(iter(numbers(1000)), "Bonjour", batch_size=10, concurrency=1)
    check_account(report, 1000)
    check_journal(sandbox, list(report.results))
    assert (report.accepted, report.not_sent) == (20, 970)
    assert isinstance(report.results[3].error, NotSentError)
    assert error is None or isinstance(report.results[2].error, error)


@pytest.mark.anyio
async def test_three_alike_unknown_codes_in_a_row_stop_the_rest(sandbox: SandboxServer) -> None:
    odd = Fault(kind=FaultKind.RAW, body=b'{"code": 123, "message": "NOBODY_KNOWS"}')
    sandbox.faults.script(odd, odd, None, odd, odd, odd, path=TEXT)
    async with client(sandbox) as sms:
        report = await sms.send_bulk(numbers(100), "Bonjour", batch_size=10, concurrency=1)
    check_account(report, 100)
    assert (report.accepted, report.unknown, report.not_sent) == (10, 50, 40)


@pytest.mark.anyio
async def test_different_unknown_codes_do_not_stop_the_rest(sandbox: SandboxServer) -> None:
    for code in (123, 124, 123, 124):
        sandbox.faults.script(
            Fault(kind=FaultKind.RAW, body=b'{"code": %d, "message": "ODD"}' % code), path=TEXT
        )
    async with client(sandbox) as sms:
        report = await sms.send_bulk(numbers(100), "Bonjour", batch_size=10, concurrency=1)
    assert (report.accepted, report.unknown) == (60, 40)


@pytest.mark.anyio
async def test_a_batch_that_was_turned_away_is_tried_again_and_sent_once(sandbox: SandboxServer) -> None:
    slow_down = Fault(kind=FaultKind.RATE_LIMIT, retry_after="0")
    sandbox.faults.script(*[slow_down] * 4, path=TEXT)
    async with client(sandbox) as sms:
        report = await sms.send_bulk(numbers(30), "Bonjour", batch_size=10, concurrency=1)
    assert report.accepted == 30
    check_journal(sandbox, list(report.results))


@pytest.mark.anyio
async def test_a_batch_turned_away_five_times_is_not_sent(sandbox: SandboxServer) -> None:
    sandbox.faults.script(*[Fault(kind=FaultKind.RATE_LIMIT, retry_after="0")] * 5, path=TEXT)
    async with client(sandbox) as sms:
        report = await sms.send_bulk(numbers(20), "Bonjour", batch_size=10, concurrency=1)
    assert (report.not_sent, report.accepted) == (10, 10)
    assert isinstance(report.results[0].error, RateLimitedError)
    check_journal(sandbox, list(report.results))


@pytest.mark.anyio
async def test_turned_away_is_unknown_and_not_tried_again_where_the_owner_says_so(
    sandbox: SandboxServer,
) -> None:
    sandbox.faults.script(Fault(kind=FaultKind.RATE_LIMIT, retry_after="0"), path=TEXT)
    async with client(sandbox, retry_refused=False) as sms:
        report = await sms.send_bulk(numbers(20), "Bonjour", batch_size=10, concurrency=1)
    assert (report.unknown, report.accepted) == (10, 10)


@pytest.mark.anyio
async def test_leaving_while_the_gateway_wants_a_pause_does_not_wait_for_it(sandbox: SandboxServer) -> None:
    sandbox.faults.script(None, Fault(kind=FaultKind.RATE_LIMIT, retry_after="100"), path=TEXT)
    async with client(sandbox) as sms:
        with anyio.fail_after(30):
            async with sms.stream_bulk(numbers(100), "Bonjour", batch_size=10, concurrency=1) as results:
                async for _ in results:
                    break
                with anyio.fail_after(30):
                    while sandbox.faults.pending:
                        await anyio.sleep(0.01)
    assert (results.report.accepted, results.report.unknown) == (10, 0)
    assert results.report.not_sent >= 10


@pytest.mark.anyio
async def test_a_lot_refused_as_a_whole_is_halved_to_the_bad_number(sandbox: SandboxServer) -> None:
    bad = "2250700000903"
    recipients = [*numbers(13), bad, *numbers(6, start=50)]
    async with client(sandbox, lots_are_atomic=True) as sms:
        report = await sms.send_bulk(recipients, "Bonjour", batch_size=20)
    assert (report.accepted, report.rejected) == (19, 1)
    assert list(report.recipients(Outcome.REJECTED)) == [bad]
    assert all(
        isinstance(r.error, RejectedNumberError) for r in report.results if r.outcome is Outcome.REJECTED
    )
    check_account(report, 20)
    check_journal(sandbox, list(report.results))


@pytest.mark.anyio
async def test_the_rate_is_kept(sandbox: SandboxServer) -> None:
    async with client(sandbox) as sms:
        started = anyio.current_time()
        report = await sms.send_bulk(numbers(60), "Bonjour", batch_size=10, rate=100)
        elapsed = anyio.current_time() - started
    assert report.accepted == 60
    # The first batch leaves at once, the others 100 ms apart.
    assert elapsed >= 0.5


@pytest.mark.anyio
@pytest.mark.parametrize("fault", [RuntimeError, CancelledError])
async def test_progress_is_told_after_each_batch_and_its_faults_disturb_nothing(
    sandbox: SandboxServer, caplog: pytest.LogCaptureFixture, fault: type[BaseException]
) -> None:
    seen: list[BulkProgress] = []

    def watch(progress: BulkProgress) -> None:
        seen.append(progress)
        raise fault("a bar that broke")

    async with client(sandbox) as sms:
        report = await sms.send_bulk(numbers(50), "Bonjour", batch_size=10, on_progress=watch)
    assert report.accepted == 50
    assert [progress.accepted for progress in seen] == [10, 20, 30, 40, 50]
    assert {record.name for record in caplog.records if "on_progress" in record.message} == {"vavasms"}
    assert f"on_progress failed ({fault.__name__})" in caplog.text


class Leave(BaseException):
    """No error: what ends a program."""


@pytest.mark.anyio
async def test_an_on_progress_that_nobody_would_await_is_refused(sandbox: SandboxServer) -> None:
    async def watch(_progress: object) -> None: ...

    async with client(sandbox) as sms:
        for wrong in (watch, 5):
            with pytest.raises(ConfigurationError, match="on_progress must be a plain function"):
                await sms.send_bulk(numbers(5), "Bonjour", on_progress=wrong)  # type: ignore[arg-type]
    assert len(sandbox.gateway.journal) == 0


@pytest.mark.anyio
async def test_an_on_progress_that_exits_leaves_no_part_of_a_halved_lot_out(sandbox: SandboxServer) -> None:
    told: list[BulkProgress] = []

    def leave(progress: BulkProgress) -> None:
        told.append(progress)
        raise Leave

    with pytest.raises(BaseExceptionGroup) as raised:
        async with client(sandbox, lots_are_atomic=True) as sms:
            await sms.send_bulk(["2250700000903", *numbers(7)], "Bonjour", batch_size=8, on_progress=leave)
    report: BulkReport = vars(raised.value)["bulk_report"]
    check_account(report, 8)
    # Lots of 1, 2 and 4 were left when the first was rejected.
    assert (report.rejected, report.not_sent) == (1, 7)
    # It is asked no more once it has left.
    assert len(told) == 1
    check_journal(sandbox, list(report.results))


@pytest.mark.anyio
async def test_no_more_requests_are_in_flight_than_connections(sandbox: SandboxServer) -> None:
    under_way = most = 0

    def begin(_: object) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)

    def end(_: object) -> None:
        nonlocal under_way
        under_way -= 1

    settings = {
        "max_connections": 3,
        "timeouts": Timeouts(pool=0.01),
        "on_request": begin,
        "on_response": end,
    }
    async with client(sandbox, **settings) as sms:
        report = await sms.send_bulk(numbers(200), "Bonjour", batch_size=2, concurrency=16)
    assert (report.accepted, most) == (200, 3)


@pytest.mark.anyio
async def test_a_stream_is_entered_once(sandbox: SandboxServer) -> None:
    async with client(sandbox) as sms:
        stream = sms.stream_bulk(numbers(1), "Bonjour")
        async with stream:
            await checkpoint()
        with pytest.raises(InvalidInputError, match="once") as raised:
            await stream.__aenter__()
    assert raised.value.error_code == "input.bulk_stream"


@pytest.mark.anyio
async def test_an_empty_generator_sends_nothing(sandbox: SandboxServer) -> None:
    async with client(sandbox) as sms:
        report = await sms.send_bulk(iter(()), "Bonjour")
    assert report == BulkReport()


@pytest.mark.anyio
async def test_random_faults_never_send_twice_nor_lose_anyone(sandbox: SandboxServer) -> None:
    kinds = [
        Fault(kind=FaultKind.CLOSE_BEFORE_READING),
        Fault(kind=FaultKind.CLOSE_AFTER_READING),
        Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING),
        Fault(kind=FaultKind.RESET, moment=Moment.AFTER_ACCEPTING),
        Fault(kind=FaultKind.CUT, at=30),
        Fault(kind=FaultKind.STATUS, status=502),
        Fault(kind=FaultKind.STATUS, status=504, moment=Moment.AFTER_ACCEPTING),
        Fault(kind=FaultKind.RAW, body=b'{"code": 920, "message": "NO"}'),
        Fault(kind=FaultKind.HTML, moment=Moment.AFTER_ACCEPTING),
        Fault(kind=FaultKind.RATE_LIMIT, retry_after="0"),
        Fault(kind=FaultKind.TOO_FEW_IDS),
    ]
    sandbox.faults.set_rates(dict.fromkeys(kinds, 0.05), seed=7)
    recipients = numbers(5000)
    random.Random(7).shuffle(recipients)
    async with client(sandbox) as sms:
        report = await sms.send_bulk(recipients, "Bonjour", batch_size=10)
    check_account(report, 5000)
    check_journal(sandbox, list(report.results))
    assert min(report.accepted, report.rejected, report.unknown) > 0
    assert {*report.recipients(Outcome.ACCEPTED), *report.recipients(Outcome.UNKNOWN)} >= set(
        sandbox.gateway.journal.counts()
    )


@pytest.mark.anyio
async def test_what_an_iterable_gave_before_it_failed_is_accounted_for(sandbox: SandboxServer) -> None:
    class Unspeakable:
        def __str__(self) -> str:
            raise LookupError("no text")

    class Hostile(str):
        def __getattribute__(self, name: str) -> Any:
            raise LookupError("no text")

    rows: list[Any] = [
        *numbers(7),
        Unspeakable(),
        *numbers(3, start=20),
        Hostile("+225 07 x"),
        *numbers(2, start=40),
    ]
    async with client(sandbox) as sms:
        report = await sms.send_bulk(rows, "Bonjour", batch_size=4)
    check_account(report, 14)
    assert (report.accepted, [invalid.index for invalid in report.invalid]) == (12, [7, 11])
    assert {invalid.error.reason for invalid in report.invalid} == {"not_text"}


@pytest.mark.anyio
async def test_a_cancelled_wait_inside_the_iterable_is_an_error_and_no_silent_end(
    sandbox: SandboxServer, anyio_backend_name: str
) -> None:
    if anyio_backend_name == "trio":
        pytest.skip("trio has no futures that others cancel")
    import asyncio

    async def rows() -> AsyncIterator[str]:
        for number in numbers(8):
            yield number
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async with client(sandbox) as sms:
        with pytest.raises(RuntimeError, match="was cancelled") as raised:
            await sms.send_bulk(rows(), "Bonjour", batch_size=4)
    assert vars(raised.value)["bulk_report"].accepted == 8


@pytest.mark.anyio
async def test_a_cancellation_while_halving_loses_nobody(sandbox: SandboxServer) -> None:
    refused = Fault(kind=FaultKind.RAW, body=b'{"code": "903", "status": "INVALID_PHONE_NUMBER",}')
    sandbox.faults.script(
        refused, Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=30), path=TEXT
    )
    async with client(sandbox, lots_are_atomic=True) as sms:
        stream = sms.stream_bulk(numbers(8), "Bonjour")
        async with anyio.create_task_group() as tasks:

            async def cancel() -> None:
                await anyio.to_thread.run_sync(partial(sandbox.gateway.journal.wait_for, 1, timeout=20))
                tasks.cancel_scope.cancel()

            tasks.start_soon(cancel)
            async with stream as results:
                async for _ in results:
                    pass
    assert (stream.report.unknown, stream.report.not_sent) == (4, 4)
    check_journal(sandbox, list(stream.report.undelivered))


@pytest.mark.anyio
async def test_a_native_cancellation_loses_no_settled_result(
    sandbox: SandboxServer, anyio_backend_name: str
) -> None:
    if anyio_backend_name == "trio":
        pytest.skip("only asyncio cancels tasks natively")
    import asyncio

    rng = random.Random(11)
    async with client(sandbox) as sms:
        for turn in range(60):
            # New numbers each time: what a cancelled request left may be accepted later.
            mine = numbers(40, start=1000 * turn)
            task = asyncio.ensure_future(sms.send_bulk(mine, "Bonjour", batch_size=2, concurrency=4))
            await asyncio.sleep(rng.random() * 0.03)
            task.cancel()
            try:
                report = await task
            except asyncio.CancelledError as cancelled:
                found: BulkReport | None = vars(cancelled).get("bulk_report")
                if found is None:  # before it began
                    assert not sandbox.gateway.journal.counts().keys() & set(mine)
                    continue
                report = found
            settled = report.accepted + report.rejected + report.not_sent + report.unknown
            assert sum(len(result.recipients) for result in report.results) == settled
            held = {*report.recipients(Outcome.ACCEPTED), *report.recipients(Outcome.UNKNOWN)}
            assert sandbox.gateway.journal.counts().keys() & set(mine) <= held


@pytest.mark.anyio
async def test_a_stream_says_that_it_has_to_be_entered(sandbox: SandboxServer) -> None:
    async with client(sandbox) as sms:
        with pytest.raises(InvalidInputError, match="async with") as raised:
            await sms.stream_bulk(numbers(1), "Bonjour").__anext__()
    assert raised.value.error_code == "input.bulk_stream"


def test_a_pause_that_the_gateway_asked_for_makes_no_burst_when_it_ends() -> None:
    pace = RateLimiter(rate=100)
    assert [pace.reserve(100, 0.0) for _ in range(3)] == [0.0, 1.0, 2.0]
    pace.hold(60, 0, 0.5)
    # Those who waited wait anew, one after the other.
    assert [pace.reserve(100, 60.5) for _ in range(3)] == [0.0, 1.0, 2.0]
