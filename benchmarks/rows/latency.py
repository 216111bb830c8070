"""How long a single send takes where one is made now and then, over TLS and a line of some length."""

from __future__ import annotations

import asyncio
import json
import ssl
import statistics
import time
from collections.abc import Awaitable, Callable

import httpx
from attrs import frozen

from benchmarks.clients import PATH, SECRET, SENDER, TEXT, USERNAME, build_form
from benchmarks.delay import delaying
from benchmarks.load import DEADLINE
from benchmarks.made import make_wire_numbers
from benchmarks.model import Bench, Row, Sample
from vavasms import AsyncVavaSMS

#: Seconds between two sends of a client, and of the line each way.
_PAUSE, _LINE = 3.0, 0.04


@frozen(kw_only=True)
class _Times:
    """The seconds of each send."""

    ours: list[float]
    theirs: list[float]


def measure_median(bench: Bench) -> Sample:
    """Compare the medians."""
    times = _times(bench)
    mine, other = statistics.median(times.ours), statistics.median(times.theirs)
    note = f"{len(times.ours):,} sends each, none unknown; ours {1000 * mine:.0f} ms"
    return Sample(value=mine / other, ours=mine, theirs=other, note=note)


def measure_slowest(bench: Bench) -> Sample:
    """Compare the times that one in a hundred exceeds."""
    times = _times(bench)
    mine, other = (statistics.quantiles(each, n=100)[98] for each in (times.ours, times.theirs))
    return Sample(value=mine / other, ours=mine, theirs=other, note=f"ours {1000 * mine:.0f} ms")


def _times(bench: Bench) -> _Times:
    # The clients beside each other: 2,000 sends, one every 3 seconds, would take hours.
    clients, sends = bench.size(50, 4), bench.size(40, 2)
    return bench.once_a_run("latency", lambda: asyncio.run(_measure(bench, clients, sends)))


async def _measure(bench: Bench, clients: int, sends: int) -> _Times:
    bench.gateway.set_delay(0)
    port = int(bench.gateway.tls_host.rpartition(":")[2])
    context = ssl.create_default_context(cafile=bench.gateway.authority)
    times = _Times(ours=[], theirs=[])
    with delaying(port, _LINE) as line:
        url = f"https://localhost:{line}/api"
        async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as tasks:
            for place in range(clients):
                # Not all at once: what is measured is not how many at a time.
                wait = place * _PAUSE / clients
                tasks.create_task(_send_ours(url, context, sends, wait, times.ours))
                tasks.create_task(
                    _send_theirs(url, context, sends, wait + _PAUSE / 2 / clients, times.theirs)
                )
    return times


async def _send_ours(url: str, context: ssl.SSLContext, sends: int, wait: float, times: list[float]) -> None:
    number = make_wire_numbers(1)
    await asyncio.sleep(wait)
    async with AsyncVavaSMS(USERNAME, SECRET, sender_id=SENDER, base_url=url, tls=context) as sms:
        await _time(lambda: sms.send(number, TEXT), sends, times)


async def _send_theirs(
    url: str, context: ssl.SSLContext, sends: int, wait: float, times: list[float]
) -> None:
    form = build_form(make_wire_numbers(1))
    await asyncio.sleep(wait)
    async with httpx.AsyncClient(verify=context) as client:

        async def one() -> object:
            return json.loads((await client.post(url + PATH, data=form)).content)

        await _time(one, sends, times)


async def _time(one: Callable[[], Awaitable[object]], sends: int, times: list[float]) -> None:
    for _ in range(sends):
        started = time.perf_counter()
        # An unknown outcome raises, and ends the measurement.
        await one()
        times.append(time.perf_counter() - started)
        await asyncio.sleep(_PAUSE)


ROWS = (
    Row(
        name="latency-median",
        figure="time of a single send, one every 3 s, over TLS and a line of 40 ms each way: median",
        against="`httpx.AsyncClient` as it comes",
        goal=1.0,
        better="less",
        measure=measure_median,
    ),
    Row(
        name="latency-slowest",
        figure="the same, exceeded by one in a hundred",
        against="the same",
        goal=1.0,
        better="less",
        measure=measure_slowest,
    ),
)
