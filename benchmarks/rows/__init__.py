"""The rows of the table, a module a family. To add one: write its `ROWS` and name it in `FAMILIES`."""

from __future__ import annotations

from benchmarks.harness import Family
from benchmarks.rows import (
    bulk,
    campaigns,
    cost,
    growth,
    latency,
    numbers,
    personal,
    sends,
    start,
    texts,
    throughput,
    workers,
)

#: In the order they are measured and shown. The pure ones come late: their lists burden the collector.
FAMILIES: tuple[Family, ...] = (
    throughput.ROWS,
    cost.ROWS,
    latency.ROWS,
    bulk.ROWS,
    growth.ROWS,
    campaigns.ROWS,
    personal.ROWS,
    workers.ROWS,
    sends.ROWS,
    numbers.ROWS,
    texts.ROWS,
    start.ROWS,
)
