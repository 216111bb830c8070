"""A send with an idempotency key against a plain one: the rate of many, and what one takes longer."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.clients import SECRET, SENDER, TEXT, USERNAME, ours
from benchmarks.load import DEADLINE, One, measure_client
from benchmarks.model import Bench, Row, Sample
from benchmarks.rows.throughput import DELAY
from benchmarks.rows.workers import make_database
from vavasms import AsyncVavaSMS, PostgresLedger, SqliteLedger

_AT_ONCE = 32
_NUMBER = "+2250709000001"
_keys: Iterator[int] = count()


def measure_file(bench: Bench) -> Sample:
    """Compare keyed sends on a file with plain ones."""
    with TemporaryDirectory() as folder:
        return _compare(bench, str(Path(folder) / "sms.db"))


def measure_database(bench: Bench) -> Sample:
    """Compare keyed sends on a database with plain ones."""
    return _compare(bench, make_database(bench))


def _compare(bench: Bench, place: str) -> Sample:
    bench.gateway.set_delay(DELAY)
    calls = bench.size(3_000, 96)
    url = bench.gateway.url
    plain = measure_client(ours(1), url, connections=_AT_ONCE, calls=calls).rate
    keyed = measure_client(partial(_keyed, place), url, connections=_AT_ONCE, calls=calls).rate
    beside = asyncio.run(_measure_latency(url, place, bench.size(200, 10)))
    note = f"{calls:,} sends each; one at a time: the median and the 99th percentile, keyed to plain"
    return Sample(value=keyed / plain, ours=keyed, theirs=plain, beside=beside, note=note)


@asynccontextmanager
async def _client(place: str, url: str, connections: int) -> AsyncIterator[AsyncVavaSMS]:
    is_file = Path(place).is_absolute()
    ledger = await (SqliteLedger.open(place) if is_file else PostgresLedger.open(place))
    async with (
        ledger,
        AsyncVavaSMS(
            USERNAME,
            SECRET,
            sender_id=SENDER,
            base_url=url,
            max_connections=connections,
            ledger=ledger,
        ) as sms,
    ):
        yield sms


@asynccontextmanager
async def _keyed(place: str, url: str, connections: int) -> AsyncIterator[One]:
    async with _client(place, url, connections) as sms:

        async def one() -> object:
            return await sms.send(_NUMBER, TEXT, idempotency_key=f"bench-{next(_keys)}")

        yield one


async def _measure_latency(url: str, place: str, turns: int) -> dict[str, float]:
    """Time single sends turn by turn; return the ratios of their medians and 99th percentiles."""
    async with (
        asyncio.timeout(DEADLINE),
        _client(place, url, 2) as keyed,
        AsyncVavaSMS(USERNAME, SECRET, sender_id=SENDER, base_url=url) as plain,
    ):
        times: dict[str, list[float]] = {"plain": [], "keyed": []}
        for _ in range(turns):
            started = time.perf_counter()
            await plain.send(_NUMBER, TEXT)
            between = time.perf_counter()
            await keyed.send(_NUMBER, TEXT, idempotency_key=f"bench-{next(_keys)}")
            times["plain"].append(between - started)
            times["keyed"].append(time.perf_counter() - between)
    quantiles = {name: statistics.quantiles(values, n=100) for name, values in times.items()}
    return {
        f"{name} latency": quantiles["keyed"][at] / quantiles["plain"][at]
        for name, at in (("median", 49), ("p99", 98))
    }


_FIGURE = f"sends/s with an idempotency key, {_AT_ONCE} in flight, gateway 50 ms, "

ROWS = (
    Row(
        name="sends-file",
        figure=f"{_FIGURE}a file",
        against="the same sends without a key",
        goal=0.85,
        measure=measure_file,
    ),
    Row(
        name="sends-database",
        figure=f"{_FIGURE}PostgreSQL",
        against="the same sends without a key",
        goal=0.80,
        measure=measure_database,
    ),
)
