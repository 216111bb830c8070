"""Campaigns with a text of one's own for each recipient: one request each, and what the code takes."""

from __future__ import annotations

import asyncio
import csv
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.clients import SECRET, SENDER, USERNAME
from benchmarks.gateway import Gateway
from benchmarks.load import DEADLINE
from benchmarks.made import stream_wire_numbers
from benchmarks.model import Bench, Row, Sample
from benchmarks.rows.throughput import DELAY
from benchmarks.rows.workers import carry
from vavasms import AsyncVavaSMS, CampaignRunner, Policy, SqliteLedger

_TEXT = "Bonjour {nom}, votre commande est prête."


def measure_share(in_flight: int, bench: Bench) -> Sample:
    """Compare the messages a second of a campaign in a file with what the gateway's latency allows."""
    bench.gateway.set_delay(DELAY)
    count, ceiling = bench.size(8_000, 200), in_flight / DELAY
    with tempfile.TemporaryDirectory() as folder:
        rate, cpu = asyncio.run(_run(bench.gateway, Path(folder), count, in_flight))
    note = f"{count:,} recipients, one process, the ledger on disk, gateway 50 ms"
    return Sample(
        value=rate / ceiling, ours=rate, theirs=ceiling, beside={"ms of CPU a message": 1000 * cpu}, note=note
    )


def measure_worker_share(bench: Bench) -> Sample:
    """Compare the messages a second of one worker on PostgreSQL with what the gateway's latency allows."""
    mine, ceiling = _carry(bench, 1), _IN_FLIGHT / DELAY
    note = f"{_messages(bench):,} messages, gateway 50 ms, {_IN_FLIGHT} in flight"
    return Sample(value=mine / ceiling, ours=mine, theirs=ceiling, note=note)


def measure_workers(bench: Bench) -> Sample:
    """Compare the messages a second of four workers on PostgreSQL with those of one."""
    one, four = _carry(bench, 1), _carry(bench, 4)
    note = f"{_messages(bench):,} messages a worker, gateway 50 ms, {_IN_FLIGHT} in flight each"
    return Sample(value=four / one, ours=four, theirs=one, note=note)


_IN_FLIGHT = 16


def _messages(bench: Bench) -> int:
    return bench.size(2_000, 100)


def _carry(bench: Bench, workers: int) -> float:
    def measure() -> float:
        bench.gateway.set_delay(DELAY)
        return carry(bench, workers, _messages(bench) * workers, size=1)

    return bench.once_a_run(f"personal-{workers}", measure)


async def _run(gateway: Gateway, folder: Path, count: int, in_flight: int) -> tuple[float, float]:
    """Return the messages a second, start and plan left out, and the CPU seconds of each."""
    contacts = folder / "contacts.csv"
    with contacts.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(("nom", "telephone"))
        numbers = stream_wire_numbers(count)
        writer.writerows((f"Kouassi {place}", number) for place, number in enumerate(numbers))
    async with (
        asyncio.timeout(DEADLINE),
        await SqliteLedger.open(folder / "ledger.db") as ledger,
        AsyncVavaSMS(
            USERNAME, SECRET, sender_id=SENDER, base_url=gateway.url, max_connections=in_flight
        ) as sms,
        CampaignRunner(sms, ledger) as runner,
    ):
        campaign, plan = await runner.submit(contacts, _TEXT, policy=Policy(concurrency=in_flight))
        started, cpu = time.perf_counter(), time.process_time()
        run = await runner.run(campaign.id)
        taken, used = time.perf_counter() - started, time.process_time() - cpu
    assert run.status.accepted == plan.recipients == count, run
    return count / taken, used / count


ROWS = (
    *(
        Row(
            name=f"personal-{in_flight}",
            figure=f"messages/s of a campaign with a text for each, {in_flight} in flight",
            against="the ceiling: in flight / latency",
            goal=goal,
            measure=partial(measure_share, in_flight),
        )
        for in_flight, goal in ((16, 0.95), (32, 0.90), (64, 0.75))
    ),
    Row(
        name="personal-worker",
        figure="the same by one worker on a PostgreSQL ledger, 16 in flight",
        against="the ceiling: in flight / latency",
        goal=0.85,
        measure=measure_worker_share,
    ),
    Row(
        name="personal-workers",
        figure="the same by 4 workers",
        against="1 worker",
        goal=3.0,
        measure=measure_workers,
    ),
)
