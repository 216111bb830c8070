"""Workers on a PostgreSQL ledger: four against one, and a claim before a long backlog."""

from __future__ import annotations

import asyncio
import atexit
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks import database
from benchmarks.clients import SECRET, SENDER, TEXT, USERNAME
from benchmarks.gateway import Gateway
from benchmarks.load import DEADLINE
from benchmarks.made import stream_wire_numbers
from benchmarks.model import Bench, Row, Sample
from benchmarks.one_claim import measure_claims
from benchmarks.rows.throughput import DELAY
from vavasms import AsyncVavaSMS, PostgresLedger, parse_msisdn
from vavasms.ledger.models import NewBatch, NewCampaign

_SIZE, _AT_ONCE = 5, 16
_CHUNK = 5_000


def measure_scaling(bench: Bench) -> Sample:
    """Compare the batches a second of four workers with those of one."""
    bench.gateway.set_delay(DELAY)
    batches = bench.size(2_000, 100)
    one, four = (carry(bench, count, batches * count) for count in (1, 4))
    note = f"{batches:,} and {4 * batches:,} batches of {_SIZE}, gateway 50 ms, {_AT_ONCE} in flight each"
    return Sample(value=four / one, ours=four, theirs=one, note=note)


def measure_backlog(bench: Bench) -> Sample:
    """Compare the time of a claim before a long backlog with that before a short one, turn by turn."""
    # Both long enough that what is measured is stretches.
    few, many = bench.size(2_000, 800), bench.size(100_000, 1_000)
    server = _server(bench)
    urls = [server.make() for _ in range(2)]
    for url, count in zip(urls, (few, many), strict=True):
        asyncio.run(_queue(url, count))
    short, long = asyncio.run(measure_claims(urls, turns=bench.size(40, 2)))
    note = f"{few:,} and {many:,} batches queued, turn by turn: a job taken, claimed, accepted, put away"
    return Sample(value=long / short, ours=long, theirs=short, note=note)


def make_database(bench: Bench) -> str:
    """Return the connection string of a new database on the server of all rows."""
    return _server(bench).make()


def _server(bench: Bench) -> database.Database:
    stack: ExitStack = bench.once("postgres", _make_stack)
    return bench.once("database", lambda: stack.enter_context(database.start()))


def _make_stack() -> ExitStack:
    """Hold what ends with this process."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack


def carry(bench: Bench, workers: int, batches: int, *, size: int = _SIZE) -> float:
    """Return the batches a second of so many workers, on a database of their own."""
    url = _server(bench).make()
    campaign_id = asyncio.run(_queue(url, batches, size=size, start=False))
    with ExitStack() as stack:
        for _ in range(workers):
            stack.enter_context(_worker(url, bench.gateway))
        return asyncio.run(_time(url, campaign_id, bench.gateway, batches, size))


async def _time(url: str, campaign_id: str, gateway: Gateway, batches: int, size: int) -> float:
    """Return the batches a second between the first tenth and the last."""
    first, last = batches // 10, batches - batches // 10
    async with asyncio.timeout(DEADLINE), await PostgresLedger.open(url) as ledger:
        before = gateway.count()
        await ledger.start(campaign_id)
        marks: list[tuple[float, int]] = []
        for mark in (first, last):
            while (count := gateway.count() - before) < mark:  # noqa: ASYNC110  another process counts
                await asyncio.sleep(0.05)
            marks.append((time.perf_counter(), count))
        while (await ledger.status(campaign_id)).accepted < batches * size:  # noqa: ASYNC110  others write
            await asyncio.sleep(0.1)
    (began, low), (ended, high) = marks
    return (high - low) / (ended - began)


@contextmanager
def _worker(url: str, gateway: Gateway) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.one_worker", gateway.url, str(_AT_ONCE)]
    environment = {**os.environ, "VAVASMS_LEDGER": url}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            assert process.stdout.readline()
            yield
        finally:
            process.stdin.close()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


async def _queue(url: str, batches: int, *, size: int = _SIZE, start: bool = True) -> str:
    """Keep a campaign of so many batches; give its id."""
    async with (
        AsyncVavaSMS(USERNAME, SECRET, sender_id=SENDER, base_url="http://127.0.0.1:1") as sms,
        await PostgresLedger.open(url) as ledger,
    ):
        new = NewCampaign(
            id="bench", account=sms.account.name, sender_id=SENDER, message=TEXT, created_at=time.time()
        )
        await ledger.create(new)
        numbers = stream_wire_numbers(batches * size)
        for first in range(0, batches, _CHUNK):
            await ledger.load(
                new.id,
                [
                    NewBatch(
                        number=number,
                        message=TEXT,
                        segments=1,
                        recipients=tuple(parse_msisdn(next(numbers)) for _ in range(size)),
                    )
                    for number in range(first, min(first + _CHUNK, batches))
                ],
            )
        await ledger.finish_loading(new.id, plan="{}", plan_hash="bench")
        if start:
            await ledger.start(new.id)
    return new.id


ROWS = (
    Row(
        name="workers-four",
        figure="batches/s of 4 workers on a PostgreSQL ledger",
        against="1 worker",
        goal=1.7,
        measure=measure_scaling,
    ),
    Row(
        name="workers-backlog",
        figure="time of a claim before 100,000 batches",
        against="itself before 2,000",
        goal=1.2,
        better="less",
        measure=measure_backlog,
    ),
)
