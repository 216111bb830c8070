"""Recipients per second of a bulk send, against the SDKs of other gateways at the same gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

from attrs import frozen

from benchmarks.clients import SECRET, SENDER, TEXT, USERNAME
from benchmarks.gateway import Gateway
from benchmarks.load import DEADLINE
from benchmarks.made import stream_wire_numbers
from benchmarks.model import Bench, Row, Sample
from benchmarks.peers import send_with_africastalking, send_with_twilio, send_with_vonage
from benchmarks.rows.throughput import DELAY
from vavasms import AsyncVavaSMS

Send = Callable[[Gateway, int], None]


@frozen(kw_only=True)
class Sent:
    """A bulk send that came through: recipients a second, and what the gateway counted."""

    recipients: int
    requests: int
    rate: float

    def __str__(self) -> str:
        return f"{self.recipients:,} recipients in {self.requests:,} requests"


def send_with_ours(gateway: Gateway, count: int) -> None:
    """Send with `send_bulk`, 64 batches at once, and see that all were accepted."""
    asyncio.run(_send_with_ours(gateway, count))


async def _send_with_ours(gateway: Gateway, count: int) -> None:
    numbers = stream_wire_numbers(count)
    async with (
        asyncio.timeout(DEADLINE),
        AsyncVavaSMS(USERNAME, SECRET, sender_id=SENDER, base_url=gateway.url, max_connections=64) as sms,
    ):
        report = await sms.send_bulk(numbers, TEXT, concurrency=64)
    assert report.accepted == count, report


def measure_peer(send: Send, full: int, quick: int, bench: Bench) -> Sample:
    """Compare our million with fewer recipients of a peer, at its own pace."""
    bench.gateway.set_delay(DELAY)
    million = bench.size(1_000_000, 2_000)
    mine = bench.once_a_run("bulk", lambda: _time(send_with_ours, bench.gateway, million))
    other = _time(send, bench.gateway, bench.size(full, quick))
    return Sample(
        value=mine.rate / other.rate, ours=mine.rate, theirs=other.rate, note=f"{mine}; theirs {other}"
    )


def _time(send: Send, gateway: Gateway, count: int) -> Sent:
    before, started = gateway.count(), time.perf_counter()
    send(gateway, count)
    taken = time.perf_counter() - started
    return Sent(recipients=count, requests=gateway.count() - before, rate=count / taken)


_FIGURE = "recipients/s, bulk send of 1,000,000, gateway 50 ms"

ROWS = (
    Row(
        name="bulk-twilio",
        figure=_FIGURE,
        against="`twilio`, async client, one request a recipient, 64 at once",
        goal=1,
        measure=partial(measure_peer, send_with_twilio, 5_000, 128),
    ),
    Row(
        name="bulk-africastalking",
        figure=_FIGURE,
        against="`africastalking`, 100 recipients a request, no async client",
        goal=1,
        measure=partial(measure_peer, send_with_africastalking, 15_000, 300),
    ),
    Row(
        name="bulk-vonage",
        figure=_FIGURE,
        against="`vonage`, one request a recipient, no async client",
        goal=1,
        measure=partial(measure_peer, send_with_vonage, 150, 10),
    ),
)
