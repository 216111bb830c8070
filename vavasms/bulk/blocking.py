"""The results of a bulk send for who cannot await: the portal's thread sends, this one waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

from anyio.from_thread import BlockingPortal

from vavasms.bulk.batches import BatchResult, BulkReport
from vavasms.bulk.collecting import collect
from vavasms.bulk.pump import Pump
from vavasms.bulk.sender import BulkStream

#: Blocks this thread until a future is done, and lets the pump, if any, read in it meanwhile.
Wait = Callable[[Future[Any], Pump | None], None]


class BulkResults:
    """The results of `VavaSMS.stream_bulk`: a context manager to iterate over."""

    def __init__(self, portal: BlockingPortal, stream: BulkStream, pump: Pump | None, wait: Wait) -> None:
        self._portal = portal
        self._stream = stream
        self._pump = pump
        self._wait = wait
        self._pending: Future[BatchResult | None] | None = None
        self._context: AbstractContextManager[BulkStream] = portal.wrap_async_context_manager(stream)

    @property
    def report(self) -> BulkReport:
        """The account as it stands; final once the block was left."""
        return self._stream.report

    def __enter__(self) -> Self:
        self._context.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._context.__exit__(exc_type, exc, traceback)
        finally:
            self._take_back()

    def collect(self) -> BulkReport:
        """Run to the end, without entering, and give the report with every result."""
        future = self._portal.start_task_soon(collect, self._stream)
        try:
            self._wait(future, self._pump)
        except BaseException as interrupt:
            # Ctrl-C, or what a signal handler raised in this thread: a job's time limit, an exit.
            self._portal.call(self._stream.stop)
            try:
                self._wait(future, None)
            except BaseException as second:
                future.cancel()
                vars(second)["bulk_report"] = self._stream.report
                raise
            vars(interrupt)["bulk_report"] = _report_of(future)
            raise
        return future.result()

    def __iter__(self) -> Iterator[BatchResult]:
        return self

    def __next__(self) -> BatchResult:
        if self._pending is None:
            self._pending = self._portal.start_task_soon(self._stream.receive)
        # An interrupt leaves the pending result where `__exit__` finds it.
        self._wait(self._pending, self._pump)
        result, self._pending = self._pending.result(), None
        if result is None:
            raise StopIteration
        return result

    def _take_back(self) -> None:
        if self._pending is not None and self._pending.done() and self._pending.exception() is None:
            result = self._pending.result()
            if result is not None:
                self._stream.take_back(result)
        self._pending = None


def _report_of(future: Future[BulkReport]) -> BulkReport | None:
    error = future.exception()
    return future.result() if error is None else vars(error).get("bulk_report")
