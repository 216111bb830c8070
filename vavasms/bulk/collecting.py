"""Running a bulk send to its end, and keeping every result."""

from __future__ import annotations

from attrs import evolve

from vavasms.bulk.batches import BatchResult, BulkReport
from vavasms.bulk.sender import BulkStream


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


def _full_report(stream: BulkStream, results: list[BatchResult]) -> BulkReport:
    known = {id(result) for result in results}
    kept = [result for result in stream.report.undelivered if id(result) not in known]
    return evolve(
        stream.report,
        results=tuple(sorted([*results, *kept], key=lambda result: result.number)),
        undelivered=(),
    )
