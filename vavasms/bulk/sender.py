"""The bulk sender: batches of one text under a `CapacityLimiter`, results as they come.

One task reads the recipients and starts a task for each batch; a batch keeps its slot under the
limiter until its result was taken, so a slow consumer slows the reading, and memory stays flat.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from typing import Self

import anyio
from attrs import evolve

from vavasms.bulk.batch_sender import BatchSender, interrupted, is_refused_as_a_whole, untried
from vavasms.bulk.batcher import Batcher, Counts
from vavasms.bulk.breaker import CircuitBreaker
from vavasms.bulk.models import Batch, BatchResult, BulkOptions, BulkReport
from vavasms.bulk.preflight import check_balance
from vavasms.bulk.rate_limit import RateLimiter
from vavasms.bulk.recipients import Recipients, read_chunks
from vavasms.endpoints import Transport
from vavasms.errors import InvalidInputError, Outcome
from vavasms.forks import Process
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.i18n import in_english
from vavasms.tracebacks import hide_frames_async
from vavasms.transport.hooks import is_fault
from vavasms.transport.http import Attempt
from vavasms.wire.requests import TextDraft

#: Seconds for which the first batch waits until it is known whether there is a second: an iterable may be
#: slow, or wait for that batch's result.
_UNCOUNTED = 0.25

_NOTE = "vavasms: of the bulk send,"

logger = logging.getLogger("vavasms")


class BulkStream:
    """The results of a bulk send, as they come.

    Use it as an async context manager and iterate over it inside. Leaving the block early starts no
    new batch and settles those in flight; `report` is true afterwards, after a cancellation as well.
    """

    def __init__(
        self,
        transport: Transport,
        draft: TextDraft,
        recipients: Recipients,
        options: BulkOptions,
        region: str,
    ) -> None:
        self._transport, self._draft, self._options = transport, draft, options
        self._counts = Counts()
        self._batcher = Batcher(
            size=options.batch_size, region=region, dedupe=options.dedupe, counts=self._counts
        )
        self._chunks = read_chunks(recipients, options.batch_size)
        self._breaker = CircuitBreaker()
        #: All there is was read, and it is one batch.
        self._is_one = False
        self._source_error: Exception | None = None
        self._process = Process()
        self._tasks: anyio.abc.TaskGroup | None = None
        self._stopped = False
        self._next_number = 0
        #: `on_progress` raised what is no error: it is not called again, for the account is still to be made.
        self._has_exited = False
        #: Under way at this moment.
        self._in_flight: dict[int, Batch] = {}

    @property
    def report(self) -> BulkReport:
        """The account as it stands; final once the block was left."""
        return self._counts.report()

    def account(self) -> BulkReport:
        """Return the account of a stream that was cut off, whether or not it has settled.

        What is still under way is unknown in it, what nobody has begun not sent.
        """
        counts = self._counts.copy()
        for number, batch in [*self._in_flight.items()]:
            counts.add(interrupted(number, batch, Outcome.UNKNOWN))
        for number, batch in enumerate([*self._batcher.ready], self._next_number):
            counts.add(self._untried(number, batch))
        return counts.report()

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise InvalidInputError(
                _("A bulk send is entered once: call stream_bulk again for another."),
                error_code="input.bulk_stream",
            )
        self._limiter = anyio.CapacityLimiter(min(self._options.concurrency, self._transport.max_connections))
        self._closing, self._cleared, self._counted = anyio.Event(), anyio.Event(), anyio.Event()
        self._preflight = anyio.CancelScope()
        self._batch_sender = BatchSender(
            transport=self._transport,
            draft=self._draft,
            rate_limiter=RateLimiter(rate=self._options.rate),
            breaker=self._breaker,
            closing=self._closing,
            cleared=self._cleared,
        )
        self._reading = anyio.CancelScope()
        self._out, self._in = anyio.create_memory_object_stream[BatchResult](0)
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._produce)
        if self._stopped:
            self.stop()
        return self

    async def __aexit__(self, _type: object, error: BaseException | None, _traceback: object) -> bool | None:
        assert self._tasks is not None
        self.stop()
        self._in.close()
        if isinstance(error, anyio.get_cancelled_exc_class()):
            return await self._tasks.__aexit__(type(error), error, error.__traceback__)
        # An error of the block itself must not reach the task group, which would cancel what is in
        # flight and wrap the error in a group.
        await self._tasks.__aexit__(None, None, None)
        return None

    def __aiter__(self) -> AsyncIterator[BatchResult]:
        return self

    async def __anext__(self) -> BatchResult:
        result = await self.receive()
        if result is None:
            raise StopAsyncIteration
        return result

    @hide_frames_async
    async def receive(self) -> BatchResult | None:
        """Return the next result, None after the last; raise what the caller's own iterable raised."""
        if self._tasks is None:
            raise InvalidInputError(
                _("Enter the stream with `async with` (or `with`) before iterating over it."),
                error_code="input.bulk_stream",
            )
        try:
            result = await self._in.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            error, self._source_error = self._source_error, None
        else:
            # Only now: a task that is cancelled natively can lose what it was about to receive.
            self._counts.hand_over(result)
            return result
        if error is not None:
            raise error
        return None

    def take_back(self, result: BatchResult) -> None:
        """Own a result that was received and reached nobody."""
        self._counts.take_back(result)

    def stop(self) -> None:
        """Start no new batch; what is in flight goes on to its end."""
        self._stopped = True
        if self._tasks is None:
            return
        self._closing.set()
        self._reading.cancel()
        self._preflight.cancel()

    def add_unsent(self, recipients: Sequence[str]) -> None:
        """Account for recipients that were read and are not sent to any more."""
        self._batcher.cut(recipients)
        self._add_ready_unsent()

    async def _produce(self) -> None:
        ready = self._batcher.ready
        try:
            async with self._out, anyio.create_task_group() as tasks, aclosing(self._batches()) as batches:
                with self._reading:
                    async for _turn in batches:
                        if ready and not self._next_number:
                            tasks.start_soon(self._check_balance)
                        if self._next_number or (ready and self._batcher.has_rest):
                            self._counted.set()
                        while ready:
                            slot = object()
                            await self._limiter.acquire_on_behalf_of(slot)
                            # Before its task runs: an account that is taken meanwhile must name it.
                            self._in_flight[self._next_number] = ready[0]
                            tasks.start_soon(self._send, self._next_number, ready.pop(0), slot)
                            self._next_number += 1
                self._is_one = self._next_number == 1
                self._counted.set()
        finally:
            # Read, and never started: still somebody's recipients.
            self._add_ready_unsent()

    def _add_ready_unsent(self) -> None:
        self._batcher.flush()
        ready, first = self._batcher.ready[:], self._next_number
        self._batcher.ready.clear()
        self._next_number += len(ready)
        self._add_unsent(enumerate(ready, first))

    def _add_unsent(self, batches: Iterable[tuple[int, Batch]]) -> None:
        """Account for batches that were not tried; `on_progress` may exit at any of them."""
        results = [self._untried(number, batch) for number, batch in batches]
        for result in results:
            self._counts.add(result)
        for result in results:
            self._report_progress(result)

    def _untried(self, number: int, batch: Batch) -> BatchResult:
        return untried(number, batch, self._breaker)

    async def _check_balance(self) -> None:
        """Read the balance before the first of several batches: none leaves where all would be refused."""
        try:
            with self._preflight:
                with anyio.move_on_after(_UNCOUNTED):
                    await self._counted.wait()
                error = None if self._is_one else await check_balance(self._transport)
                if error is not None:
                    self._breaker.end_early(error)
                    self._closing.set()
        finally:
            self._cleared.set()

    async def _batches(self) -> AsyncGenerator[None, None]:
        """Read on; after each turn there may be batches ready."""
        try:
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    self._batcher.cut(chunk)
                    yield
        except Exception as error:  # noqa: BLE001  the caller's iterable: raised to the consumer after the results
            self._source_error = error
        except anyio.get_cancelled_exc_class():
            if anyio.current_effective_deadline() == -math.inf:
                raise
            # Nobody cancelled us: the iterable awaited something that was cancelled.
            self._source_error = RuntimeError(_("What the iterable of recipients waited for was cancelled."))
        self._batcher.flush()
        yield

    async def _send(self, number: int, batch: Batch, slot: object) -> None:
        try:
            await self._settle(number, batch)
        finally:
            self._limiter.release_on_behalf_of(slot)

    async def _settle(self, number: int, batch: Batch) -> None:
        parts = [batch]
        try:
            while parts:
                result = await self._try(number, parts.pop(0))
                if is_refused_as_a_whole(result):
                    half = len(result.recipients) // 2
                    parts[:0] = [result.recipients[:half], result.recipients[half:]]
                    continue
                if self._breaker.record(result.error):
                    self._closing.set()
                await self._deliver(result)
        finally:
            self._add_unsent((number, part) for part in parts)

    async def _try(self, number: int, batch: Batch) -> BatchResult:
        attempt = Attempt(process=self._process)
        self._in_flight[number] = batch
        try:
            return await self._batch_sender.send(number, batch, attempt)
        except BaseException:
            # Cancelled, or a fault of our own: the body knows how far it came.
            self._in_flight.pop(number, None)
            self._count(interrupted(number, batch, attempt.outcome))
            raise
        finally:
            self._in_flight.pop(number, None)

    async def _deliver(self, result: BatchResult) -> None:
        self._count(result)
        # A consumer that left: the counts keep the result.
        with suppress(anyio.BrokenResourceError):
            await self._out.send(result)

    def _count(self, result: BatchResult) -> None:
        self._counts.add(result)
        self._report_progress(result)

    def _report_progress(self, result: BatchResult) -> None:
        if self._options.on_progress is None or self._has_exited:
            return
        try:
            self._options.on_progress(self._counts.progress(result))
        except BaseException as error:
            if not is_fault(error):
                self._has_exited = True
                raise
            # A bar's fault must not lose the account.
            logger.warning(N_("on_progress failed (%s); the bulk send goes on."), type(error).__name__)


class Collector:
    """The run of a bulk send, and the account of it at any time and from any thread.

    `rest` hands over what was read of the recipients and did not reach the stream.
    """

    def __init__(self, stream: BulkStream, rest: Callable[[], Sequence[str]] = tuple) -> None:
        self._stream, self._rest = stream, rest
        self._results: list[BatchResult] = []

    async def run(self) -> BulkReport:
        """Return the report, with every result in the order of the input.

        An exception that ends it early (a cancellation, a fault of the iterable of recipients) carries
        the account as its attribute `bulk_report`.
        """
        try:
            async with self._stream as stream:
                async for result in stream:
                    self._results.append(result)
        except BaseException as error:
            self._stream.add_unsent(self._rest())
            self.attach(error)
            raise
        self._stream.add_unsent(self._rest())
        return self._report()

    def attach(self, error: BaseException) -> None:
        """Attach the account to what ended the bulk send."""
        attach(error, self._report())

    def _report(self) -> BulkReport:
        report, results = self._stream.account(), tuple(self._results)
        known = {id(result) for result in results}
        kept = [result for result in report.undelivered if id(result) not in known]
        results = tuple(sorted([*results, *kept], key=lambda result: result.number))
        return evolve(report, results=results, undelivered=())


def attach(error: BaseException, report: BulkReport) -> None:
    """Attach the account to an exception, as `bulk_report` and in words; a later one takes its place."""
    vars(error)["bulk_report"] = report
    notes = vars(error).get("__notes__", [])
    notes[:] = [note for note in notes if not in_english(note).startswith(_NOTE)]
    error.add_note(
        _(
            "vavasms: of the bulk send, {accepted} recipients are accepted, {rejected} rejected, "
            "{not_sent} not sent, {unknown} unknown (see the exception's bulk_report).",
            accepted=report.accepted,
            rejected=report.rejected,
            not_sent=report.not_sent,
            unknown=report.unknown,
        )
    )
