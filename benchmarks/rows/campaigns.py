"""Campaigns: planning and loading a list, and what the ledger costs while it is sent."""

from __future__ import annotations

import asyncio
import csv
import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.clients import SECRET, SENDER, TEXT, USERNAME
from benchmarks.gateway import Gateway
from benchmarks.load import DEADLINE
from benchmarks.made import stream_wire_numbers
from benchmarks.model import Bench, NotHere, Row, Sample
from benchmarks.one_report import make_ledger
from benchmarks.rows.throughput import DELAY
from vavasms import AsyncVavaSMS, CampaignRunner, Policy, SqliteLedger

FEW, MANY, MOST = 100_000, 1_000_000, 10_000_000
_QUICK = 5_000
_BATCH, _AT_ONCE = 100, 16


def measure_rate(rows: int, bench: Bench) -> Sample:
    """Take the rows a second of planning and loading, from the file to the ledger on disk."""
    count = bench.size(rows, _QUICK)
    found = _load(bench, count)
    return Sample(value=found["rate"], ours=found["rate"], note=f"{count:,} rows of CSV, three columns")


def measure_memory(rows: int, bench: Bench) -> Sample:
    """Take the peak of the process that did so."""
    if sys.platform != "linux":
        raise NotHere("the peak is read from /proc, which this system lacks")
    count = bench.size(rows, _QUICK)
    return Sample(value=_load(bench, count)["peak_kib"] / 1024, note=f"{count:,} rows, one process")


def measure_flat(few_rows: int, many_rows: int, bench: Bench) -> Sample:
    """Compare the CPU time per row of a long list with that of short ones, turn by turn."""
    few, many = bench.size(few_rows, 1_000), bench.size(many_rows, _QUICK)
    cost = _run("flat_load", str(_list(bench, many)), str(_list(bench, few)))
    return Sample(
        value=cost["many"] / cost["few"],
        ours=cost["many"],
        theirs=cost["few"],
        note=f"{few:,} and {many:,} rows, turn by turn in one process, CPU time",
    )


def measure_ledger(bench: Bench) -> Sample:
    """Compare the recipients a second of a campaign with those of `stream_bulk`."""
    bench.gateway.set_delay(DELAY)
    count = bench.size(300_000, 1_000)
    with tempfile.TemporaryDirectory() as folder:
        mine = asyncio.run(_run_campaign(bench.gateway, _list(bench, count), Path(folder) / "ledger.db"))
    other = asyncio.run(_stream(bench.gateway, count))
    note = f"{count:,} recipients, batches of {_BATCH}, {_AT_ONCE} in flight, gateway 50 ms"
    return Sample(value=mine / other, ours=mine, theirs=other, note=note)


def measure_report(form: str, bench: Bench) -> Sample:
    """Take the peak of the command that reports a campaign, recipient by recipient."""
    if sys.platform != "linux":
        raise NotHere("the peak is read from /proc, which this system lacks")
    count = bench.size(MANY, _QUICK)
    with tempfile.TemporaryDirectory(prefix="vavasms-bench-") as folder:
        ledger = Path(folder) / "ledger.db"
        asyncio.run(make_ledger(ledger, count))
        peak = _run("one_report", str(ledger), form)["peak_kib"] / 1024
    return Sample(value=peak, note=f"{count:,} delivered recipients, two kept columns, one process")


async def _run_campaign(gateway: Gateway, contacts: Path, path: Path) -> float:
    policy = Policy(batch_size=_BATCH, concurrency=_AT_ONCE)
    async with (
        asyncio.timeout(DEADLINE),
        await SqliteLedger.open(path) as ledger,
        AsyncVavaSMS(USERNAME, SECRET, sender_id=SENDER, base_url=gateway.url) as sms,
        CampaignRunner(sms, ledger) as runner,
    ):
        campaign, plan = await runner.submit(contacts, TEXT, policy=policy)
        started = time.perf_counter()
        run = await runner.run(campaign.id)
        taken = time.perf_counter() - started
    assert run.status.accepted == plan.recipients, run
    return plan.recipients / taken


async def _stream(gateway: Gateway, count: int) -> float:
    async with (
        asyncio.timeout(DEADLINE),
        AsyncVavaSMS(USERNAME, SECRET, sender_id=SENDER, base_url=gateway.url) as sms,
    ):
        started = time.perf_counter()
        numbers = stream_wire_numbers(count)
        async with sms.stream_bulk(numbers, TEXT, batch_size=_BATCH, concurrency=_AT_ONCE) as results:
            async for _ in results:
                pass
        taken = time.perf_counter() - started
    assert results.report.accepted == count, results.report
    return count / taken


def _load(bench: Bench, count: int) -> dict[str, float]:
    bench.gateway.set_delay(0)
    contacts = _list(bench, count)
    return bench.once_a_run(f"load-{count}", lambda: _run("one_load", bench.gateway.url, str(contacts)))


def _run(program: str, *arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", f"benchmarks.{program}", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=DEADLINE, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _list(bench: Bench, count: int) -> Path:
    """Write a list once, in a folder that goes with the bench."""
    folder = bench.once("folder", lambda: tempfile.TemporaryDirectory(prefix="vavasms-bench-"))
    path = Path(folder.name) / f"contacts-{count}.csv"
    if not path.exists():
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter=";")
            writer.writerow(("nom", "ville", "telephone"))
            writer.writerows(("Kouassi", "Abidjan", number) for number in stream_wire_numbers(count))
    return path


ROWS = (
    Row(
        name="campaign-load",
        figure="rows a second, planned and loaded",
        against="2 cores, the ledger on disk",
        goal=100_000,
        unit=" rows/s",
        measure=partial(measure_rate, MANY),
    ),
    Row(
        name="campaign-memory",
        figure="peak memory of planning and loading",
        against="the whole process",
        goal=150,
        better="less",
        unit=" MiB",
        measure=partial(measure_memory, MANY),
    ),
    Row(
        name="campaign-flat",
        figure="time per row of planning and loading",
        against="itself, 100,000 to 1,000,000 rows",
        goal=1.10,
        better="less",
        measure=partial(measure_flat, FEW, MANY),
    ),
    Row(
        name="long-load",
        figure="rows a second, planned and loaded, of 10,000,000",
        against="2 cores, the ledger on disk",
        goal=200_000,
        unit=" rows/s",
        measure=partial(measure_rate, MOST),
    ),
    Row(
        name="long-memory",
        figure="peak memory of that",
        against="the whole process",
        goal=200,
        better="less",
        unit=" MiB",
        measure=partial(measure_memory, MOST),
    ),
    Row(
        name="long-flat",
        figure="time per row of that",
        against="itself, 1,000,000 to 10,000,000 rows",
        goal=1.10,
        better="less",
        measure=partial(measure_flat, MANY, MOST),
    ),
    Row(
        name="campaign-ledger",
        figure="recipients/s of a campaign, its ledger on disk",
        against="`stream_bulk` without a ledger",
        goal=0.85,
        measure=measure_ledger,
    ),
    *(
        Row(
            name=f"report-{form}",
            figure=f"peak memory of `campaign report --format {form}`",
            against="the whole process",
            goal=150,
            better="less",
            unit=" MiB",
            measure=partial(measure_report, form),
        )
        for form in ("csv", "xlsx")
    ),
)
