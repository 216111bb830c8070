"""The bulk sender: batches of one text under a `CapacityLimiter`, results as they come.

One task reads the recipients and starts a task for each batch; a batch keeps its place under the
limiter until its result was taken, so a slow consumer slows the reading, and memory stays flat.
"""

from __future__ import annotations

import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup
from attrs import define, evolve, frozen

from vavasms.bulk.batches import BatchResult, BulkProgress, BulkReport, ChunkReader, Cutter, Tally
from vavasms.bulk.pace import Pace
from vavasms.endpoints import Transport, send_text
from vavasms.errors import (
    GatewayError,
    InvalidInputError,
    NotSentError,
    Outcome,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedNumberError,
    VavaSMSError,
)
from vavasms.numbers import Msisdn
from vavasms.transport.http import Attempt
from vavasms.wire.requests import TextDraft


class ChunkedRecipients(ABC):
    """Recipients that come in lists, read by whoever owns them."""

    @abstractmethod
    def chunks(self, size: int) -> AsyncGenerator[list[str], None]:
        """Give lists of at most `size` recipients."""


Recipients = Iterable[str] | AsyncIterable[str] | ChunkedRecipients
Batch = tuple[Msisdn, ...]
#: Iterables that are in memory already.
HELD = (list, tuple, set, frozenset, dict)
OnProgress = Callable[[BulkProgress], object]

#: How often a batch that the gateway turned away unprocessed is tried anew.
MAX_TURNED_AWAY = 5
#: Codes that nobody documented, alike and in a row, before the rest is not sent.
MAX_ALIKE = 3

logger = logging.getLogger("vavasms")


@frozen(kw_only=True)
class BulkOptions:
    """How to send in bulk. Raises `InvalidInputError` where a number makes no sense."""

    batch_size: int = 100
    concurrency: int = 16
    #: Messages a second; None: as fast as answers come.
    rate: float | None = None
    dedupe: bool = True
    on_progress: OnProgress | None = None

    def __attrs_post_init__(self) -> None:
        for name in ("batch_size", "concurrency"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InvalidInputError(f"{name} must be a whole number, 1 or more; nothing was sent.")
        rate = self.rate
        fit = isinstance(rate, int | float) and not isinstance(rate, bool)
        if rate is not None and not (fit and 0 < rate < math.inf):
            raise InvalidInputError("rate must be a number of messages a second above 0; nothing was sent.")


@define
class _Halt:
    """Decide, result by result, whether sending on makes sense."""

    cause: VavaSMSError | None = None
    _alike: int = 0
    _last: tuple[int | None, str | None] | None = None

    def watch(self, error: VavaSMSError | None) -> bool:
        """Look at one settled batch, in the order they settle; True once the rest is not to be sent."""
        code = (error.code, error.name) if error is not None and type(error) is GatewayError else (None, None)
        if code == (None, None):
            self._alike = 0
        else:
            self._alike = self._alike + 1 if code == self._last else 1
        self._last = code
        if error is not None and (error.halts or self._alike >= MAX_ALIKE):
            self.cause = self.cause or error
        return self.cause is not None

    def not_sent(self) -> NotSentError:
        """Build the error of a batch that was not tried any more."""
        why = (
            f"an earlier batch ended in {type(self.cause).__name__}" if self.cause else "sending was stopped"
        )
        return NotSentError(f"Nothing was sent: {why}.", outcome=Outcome.NOT_SENT)


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
        self._transport = transport
        self._draft = draft
        self._options = options
        self._tally = Tally()
        self._cutter = Cutter(
            size=options.batch_size, region=region, dedupe=options.dedupe, tally=self._tally
        )
        self._chunks = _chunks(recipients, options.batch_size)
        self._pace = Pace(rate=options.rate)
        self._halt = _Halt()
        self._source_error: Exception | None = None
        self._tasks: TaskGroup | None = None

    @property
    def report(self) -> BulkReport:
        """The account as it stands; final once the block was left."""
        return self._tally.report()

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise InvalidInputError("A bulk send is entered once: call stream_bulk again for another.")
        self._limiter = anyio.CapacityLimiter(min(self._options.concurrency, self._transport.max_connections))
        self._closing = anyio.Event()
        self._reading = anyio.CancelScope()
        self._out, self._in = anyio.create_memory_object_stream[BatchResult](0)
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._produce)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        assert self._tasks is not None
        self.stop()
        self._in.close()
        if isinstance(exc, anyio.get_cancelled_exc_class()):
            return await self._tasks.__aexit__(exc_type, exc, traceback)
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

    async def receive(self) -> BatchResult | None:
        """Give the next result, None after the last; raise what the caller's own iterable raised."""
        if self._tasks is None:
            raise InvalidInputError(
                "Enter the stream with `async with` (or `with`) before iterating over it."
            )
        try:
            result = await self._in.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            error, self._source_error = self._source_error, None
        else:
            # Only now: a task that is cancelled natively can lose what it was about to receive.
            self._tally.hand_over(result)
            return result
        if error is not None:
            raise error
        return None

    def take_back(self, result: BatchResult) -> None:
        """Keep a result that was received and reached nobody."""
        self._tally.take_back(result)

    def stop(self) -> None:
        """Start no new batch; what is in flight goes on to its end."""
        if self._tasks is None:
            return
        self._closing.set()
        self._reading.cancel()

    async def _produce(self) -> None:
        ready, number = self._cutter.ready, 0
        try:
            async with self._out, anyio.create_task_group() as tasks, aclosing(self._batches()) as batches:
                with self._reading:
                    async for _ in batches:
                        while ready:
                            place = object()
                            await self._limiter.acquire_on_behalf_of(place)
                            tasks.start_soon(self._carry, number, ready.pop(0), place)
                            number += 1
        finally:
            # Read, and never started: still somebody's recipients.
            self._cutter.flush()
            for index, batch in enumerate(ready, number):
                self._count(self._untried(index, batch))

    async def _batches(self) -> AsyncGenerator[None, None]:
        """Read on; after each turn there may be batches ready."""
        try:
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    self._cutter.cut(chunk)
                    yield
        except Exception as error:  # noqa: BLE001  the caller's iterable: raised to the consumer after the results
            self._source_error = error
        except anyio.get_cancelled_exc_class():
            if anyio.current_effective_deadline() == -math.inf:
                raise
            # Nobody cancelled us: the iterable awaited something that was cancelled.
            self._source_error = RuntimeError("What the iterable of recipients waited for was cancelled.")
        self._cutter.flush()
        yield

    async def _carry(self, number: int, batch: Batch, place: object) -> None:
        try:
            await self._settle(number, batch)
        finally:
            self._limiter.release_on_behalf_of(place)

    async def _settle(self, number: int, batch: Batch) -> None:
        parts = [batch]
        try:
            while parts:
                result = await self._try_watched(number, parts.pop(0))
                if _is_refused_as_a_whole(result):
                    half = len(result.recipients) // 2
                    parts[:0] = [result.recipients[:half], result.recipients[half:]]
                    continue
                if self._halt.watch(result.error):
                    self._closing.set()
                await self._deliver(result)
        finally:
            for part in parts:
                self._count(self._untried(number, part))

    async def _try_watched(self, number: int, batch: Batch) -> BatchResult:
        attempt = Attempt()
        try:
            return await self._try(number, batch, attempt)
        except BaseException:
            # Cancelled, or a fault of our own: the body knows how far it came.
            self._count(_interrupted(number, batch, attempt.outcome))
            raise

    async def _try(self, number: int, batch: Batch, attempt: Attempt) -> BatchResult:
        error: VavaSMSError
        for turn in range(1 + MAX_TURNED_AWAY):
            if not await self._may_send(len(batch)):
                return self._untried(number, batch)
            try:
                lot = await send_text(self._transport, self._draft, batch, attempt)
                return BatchResult(recipients=batch, outcome=Outcome.ACCEPTED, lot=lot, number=number)
            except VavaSMSError as caught:
                # A report must not keep frames alive, nor what stands in them.
                error = caught.with_traceback(None)
            if not (isinstance(error, RateLimitedError) and error.safe_to_retry):
                break
            self._pace.hold(error.retry_after, turn, time.monotonic())
            attempt.forget()
        return BatchResult(
            recipients=batch, outcome=error.outcome or Outcome.UNKNOWN, error=error, number=number
        )

    async def _may_send(self, messages: int) -> bool:
        """Wait for this batch's turn; False where sending was stopped in the meantime."""
        wait = self._pace.reserve(messages, time.monotonic())
        while wait > 0 and not self._closing.is_set():
            with anyio.move_on_after(wait):
                await self._closing.wait()
            now = time.monotonic()
            # The gateway may have asked for a pause in the meantime.
            wait = self._pace.reserve(messages, now) if self._pace.held(now) else 0.0
        return not self._closing.is_set()

    async def _deliver(self, result: BatchResult) -> None:
        self._count(result)
        # A consumer that left: the tally keeps the result.
        with suppress(anyio.BrokenResourceError):
            await self._out.send(result)

    def _count(self, result: BatchResult) -> None:
        self._tally.add(result)
        if self._options.on_progress is None:
            return
        try:
            self._options.on_progress(self._tally.progress(result))
        except Exception as error:  # noqa: BLE001  a bar's fault must not lose the account
            logger.warning("on_progress failed (%s); the bulk send goes on.", type(error).__name__)

    def _untried(self, number: int, batch: Batch) -> BatchResult:
        error = self._halt.not_sent()
        return BatchResult(recipients=batch, outcome=Outcome.NOT_SENT, error=error, number=number)


async def collect(stream: BulkStream) -> BulkReport:
    """Run a bulk send to its end and keep every result, in the order of the input.

    An exception that ends it early (a cancellation, a fault of the iterable of recipients) carries
    the account as its attribute `bulk_report`.
    """
    results: list[BatchResult] = []
    try:
        async with stream:
            async for result in stream:
                results.append(result)  # noqa: PERF401  kept as far as it came when interrupted
    except BaseException as error:
        report = _full_report(stream, results)
        vars(error)["bulk_report"] = report
        error.add_note(
            f"vavasms: of the bulk send, {report.accepted} recipients are accepted, "
            f"{report.rejected} rejected, {report.not_sent} not sent, {report.unknown} unknown "
            "(see the exception's bulk_report)."
        )
        raise
    return _full_report(stream, results)


def check_recipients(recipients: Recipients) -> None:
    """Refuse what is plainly no list of recipients, before anything is sent."""
    if isinstance(recipients, str | bytes) or not isinstance(
        recipients, Iterable | AsyncIterable | ChunkedRecipients
    ):
        raise InvalidInputError(
            "Give the recipients as a list or another iterable of texts; nothing was sent."
        )
    # Only of what costs nothing: the length of a queryset loads every row of it.
    if isinstance(recipients, HELD) and len(recipients) == 0:
        raise InvalidInputError("The list of recipients is empty; nothing was sent.")


def _full_report(stream: BulkStream, results: list[BatchResult]) -> BulkReport:
    known = {id(result) for result in results}
    kept = [result for result in stream.report.undelivered if id(result) not in known]
    return evolve(
        stream.report,
        results=tuple(sorted([*results, *kept], key=lambda result: result.number)),
        undelivered=(),
    )


def _is_refused_as_a_whole(result: BatchResult) -> bool:
    """A lot refused for one of its numbers, where the owner knows that none of it went out."""
    refused = isinstance(result.error, RejectedNumberError) and result.outcome is Outcome.REJECTED
    return refused and len(result.recipients) > 1


def _interrupted(number: int, batch: Batch, outcome: Outcome) -> BatchResult:
    error: VavaSMSError
    if outcome is Outcome.NOT_SENT:
        error = NotSentError("Nothing was sent: the send was interrupted before.", outcome=outcome)
    else:
        text = "The send was interrupted after the request had left: look before sending again."
        error = OutcomeUnknownError(text, outcome=outcome)
    return BatchResult(recipients=batch, outcome=outcome, error=error, number=number)


async def _chunks(recipients: Recipients, size: int) -> AsyncGenerator[list[str], None]:
    """Read at most `size` recipients at a time: what was read has to be accounted for."""
    if isinstance(recipients, ChunkedRecipients):
        async with aclosing(recipients.chunks(size)) as chunks:
            async for chunk in chunks:
                yield chunk
        return
    if not isinstance(recipients, AsyncIterable):
        reader = ChunkReader(iter(recipients))
        while chunk := reader.read(size):
            yield chunk
        return
    try:
        async for recipient in recipients:
            yield [recipient]
    finally:
        if isinstance(recipients, AsyncGenerator):
            with anyio.CancelScope(shield=True):
                await recipients.aclose()
