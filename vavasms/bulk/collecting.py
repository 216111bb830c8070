"""Running a bulk send to its end, and keeping every result."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import evolve

from vavasms.bulk.batcher import BatchResult, BulkReport
from vavasms.bulk.sender import BulkStream


class Collector:
    """Runs a bulk send and has the account of it, at any time and from any thread.

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
            self._stream.leave_out(self._rest())
            self.attach(error)
            raise
        self._stream.leave_out(self._rest())
        return self._report()

    def attach(self, error: BaseException) -> None:
        """Put the account on what ended the bulk send."""
        attach(error, self._report())

    def _report(self) -> BulkReport:
        report, results = self._stream.account(), tuple(self._results)
        known = {id(result) for result in results}
        kept = [result for result in report.undelivered if id(result) not in known]
        results = tuple(sorted([*results, *kept], key=lambda result: result.number))
        return evolve(report, results=results, undelivered=())


async def collect(stream: BulkStream) -> BulkReport:
    """Run a bulk send to its end and return the report: see `Collector.run`."""
    return await Collector(stream).run()


def attach(error: BaseException, report: BulkReport) -> None:
    """Put the account on an exception, as `bulk_report` and in words."""
    vars(error)["bulk_report"] = report
    error.add_note(
        f"vavasms: of the bulk send, {report.accepted} recipients are accepted, "
        f"{report.rejected} rejected, {report.not_sent} not sent, {report.unknown} unknown "
        "(see the exception's bulk_report)."
    )
