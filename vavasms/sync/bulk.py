"""The results of a bulk send for who cannot await: the portal's thread sends, this one waits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Self

from vavasms.bulk.models import BatchResult, BulkReport
from vavasms.bulk.sender import BulkStream, Collector, attach
from vavasms.calls import CallGroup, PortalCall, Session, Step, Wakeup, cancel_steps, run
from vavasms.config import misconfigured
from vavasms.i18n import gettext as _
from vavasms.sync.caller_thread import CallerThreadReader
from vavasms.tracebacks import hide_frames


class BulkResults:
    """The results of `VavaSMS.stream_bulk`: a context manager to iterate over.

    Closing the client from another thread stops it: what is in flight is settled, the next result is a
    `ConfigurationError`.
    """

    def __init__(self, group: CallGroup, stream: BulkStream, reader: CallerThreadReader | None) -> None:
        self._group, self._stream = group, stream
        # Read in this thread, if they are to be.
        self._reader = reader or CallerThreadReader(())
        self._wakeup: Wakeup = self._reader.wakeup
        self._pending: PortalCall[BatchResult | None] | None = None
        self._session = Session(group, self._hold, wakeup=self._wakeup, annotate=self._attach)

    @property
    def report(self) -> BulkReport:
        """The account as it stands; final once the block was left."""
        return self._stream.report

    def __enter__(self) -> Self:
        self._session.enter()
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        was_interrupted = error is not None and not isinstance(error, Exception)
        try:
            self._session.leave(was_interrupted=was_interrupted)
        finally:
            self._take_back()

    def collect(self) -> BulkReport:
        """Run to the end, without entering, and return the report with every result."""
        self._group.check_thread()
        collector = Collector(self._stream, self._reader.take_settled)
        call = PortalCall(self._group, collector.run, wakeup=self._wakeup, sends=True)
        # Ctrl-C, or what a signal handler raised in this thread: a job's time limit, an exit.
        steps = (Step(self._stream.stop), *cancel_steps(call))

        def attach(error: BaseException) -> None:
            self._add_unsent(is_over=call.done)
            collector.attach(error)

        try:
            return run(call, steps, annotate=attach, serve=self._reader.serve)
        except BaseException as error:
            if error is call.error:
                # Raised in the other thread, maybe in the middle of a read of this one.
                attach(error)
            raise

    def __iter__(self) -> Iterator[BatchResult]:
        return self

    @hide_frames
    def __next__(self) -> BatchResult:
        self._group.check_thread()
        call = self._pending
        if call is None:
            call = self._pending = PortalCall(self._group, self._stream.receive, wakeup=self._wakeup)
        # An interrupt leaves the pending result where the next call or `__exit__` finds it.
        call.start()
        call.wait(serve=self._reader.serve)
        if call.error is not None:
            self._pending = None
        result = call.result()
        if result is None:
            if self._session.was_closed:
                raise misconfigured(
                    _("The client was closed, which stopped the stream: see its report."), "config.closed"
                )
            raise StopIteration
        self._pending = None
        return result

    @asynccontextmanager
    async def _hold(self) -> AsyncIterator[BulkStream]:
        try:
            async with self._stream as stream:
                yield stream
        finally:
            self._stream.add_unsent(self._reader.take_settled())

    def _attach(self, interrupt: BaseException) -> None:
        self._add_unsent(is_over=self._session.is_over)
        attach(interrupt, self._stream.account())

    def _add_unsent(self, *, is_over: bool) -> None:
        """Account for what this thread read and reached nobody, once the sending is over."""
        if is_over:
            self._stream.add_unsent(self._reader.take_unsent())

    def _take_back(self) -> None:
        if not self._session.is_over:
            return
        self._add_unsent(is_over=True)
        call = self._pending
        if call is not None and call.done and call.error is None:
            result = call.result()
            if result is not None:
                self._stream.take_back(result)
        self._pending = None
