"""The results of a bulk send for who cannot await: the portal's thread sends, this one waits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from vavasms.bulk.models import BatchResult, BulkReport
from vavasms.bulk.sender import BulkStream, Collector, attach
from vavasms.calls import PortalCall, Session, Signal, Step, Workplace, cutting, run
from vavasms.config import misconfigured
from vavasms.sync.waiting import CallerThreadReader


class BulkResults:
    """The results of `VavaSMS.stream_bulk`: a context manager to iterate over.

    Closing the client from another thread stops it: what is in flight is settled, the next result is a
    `ConfigurationError`.
    """

    def __init__(self, place: Workplace, stream: BulkStream, pump: CallerThreadReader | None) -> None:
        self._place, self._stream = place, stream
        # Read in this thread, if they are to be.
        self._pump = pump or CallerThreadReader(())
        self._bell: Signal = self._pump.bell
        self._pending: PortalCall[BatchResult | None] | None = None
        self._session = Session(place, self._hold, bell=self._bell, annotate=self._attach)

    @property
    def report(self) -> BulkReport:
        """The account as it stands; final once the block was left."""
        return self._stream.report

    def __enter__(self) -> Self:
        self._session.enter()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        was_interrupted = exc is not None and not isinstance(exc, Exception)
        try:
            self._session.leave(was_interrupted=was_interrupted)
        finally:
            self._take_back()

    def collect(self) -> BulkReport:
        """Run to the end, without entering, and return the report with every result."""
        self._place.check_thread()
        collector = Collector(self._stream, self._pump.rest)
        call = PortalCall(self._place, collector.run, bell=self._bell, sends=True)
        # Ctrl-C, or what a signal handler raised in this thread: a job's time limit, an exit.
        steps = (Step(self._stream.stop), *cutting(call))
        return run(call, steps, annotate=collector.attach, serve=self._pump.serve)

    def __iter__(self) -> Iterator[BatchResult]:
        return self

    def __next__(self) -> BatchResult:
        self._place.check_thread()
        call = self._pending
        if call is None:
            call = self._pending = PortalCall(self._place, self._stream.receive, bell=self._bell)
        # An interrupt leaves the pending result where the next call or `__exit__` finds it.
        call.start()
        call.wait(serve=self._pump.serve)
        if call.error is not None:
            self._pending = None
        result = call.take()
        if result is None:
            if self._session.was_closed:
                raise misconfigured("The client was closed, which stopped the stream: see its report.")
            raise StopIteration
        self._pending = None
        return result

    @asynccontextmanager
    async def _hold(self) -> AsyncIterator[BulkStream]:
        try:
            async with self._stream as stream:
                yield stream
        finally:
            # Where the client was closed, this thread may be reading yet.
            if not self._session.was_closed:
                self._stream.leave_out(self._pump.rest())

    def _attach(self, interrupt: BaseException) -> None:
        attach(interrupt, self._stream.account())

    def _take_back(self) -> None:
        if not self._session.is_over:
            return
        self._stream.leave_out(self._pump.rest())
        call = self._pending
        if call is not None and call.done and call.error is None:
            result = call.take()
            if result is not None:
                self._stream.take_back(result)
        self._pending = None
