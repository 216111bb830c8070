"""One report of a campaign in a process of its own; prints its peak memory as JSON."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, redirect_stdout
from decimal import Decimal
from itertools import islice
from pathlib import Path

from benchmarks.made import stream_wire_numbers
from benchmarks.one_bulk import peak_kib
from vavasms import Policy, SqliteLedger
from vavasms.campaigns.policy import dump_policy
from vavasms.ledger.models import NewBatch, NewCampaign
from vavasms.numbers import Msisdn

NAME = "report"
_BATCH, _AT_ONCE = 100, 200
_KEPT = ("Kouassi Adjoua", "Agence du Plateau")
_STARTED = 1_790_000_000.0


async def make_ledger(path: Path, count: int, batch_size: int = _BATCH) -> None:
    """Make a ledger whose one campaign is accepted and delivered to so many recipients."""
    policy = dump_policy(Policy(unit_price=Decimal(12)))
    values = {"account": "bench", "sender_id": "BENCH", "message": "Bonjour", "created_at": _STARTED}
    async with await SqliteLedger.open(path) as ledger:
        await ledger.create(NewCampaign(id=NAME, policy=policy, **values))  # type: ignore[arg-type]
        batches = _make_batches(count, batch_size)
        while page := [*islice(batches, _AT_ONCE)]:
            await ledger.load(NAME, page)
        plan = json.dumps({"keep": ["nom", "agence"], "recipients": count, "segments": count})
        await ledger.finish_loading(NAME, plan=plan, plan_hash=NAME)
    with closing(sqlite3.connect(path)) as database, database:
        sizes = {"size": batch_size, "last": batch_size - 1, "started": _STARTED}
        database.executescript(_ACCEPT.format(**sizes))


def _make_batches(count: int, batch_size: int) -> Iterator[NewBatch]:
    numbers, number = stream_wire_numbers(count), 0
    while people := tuple(map(Msisdn, islice(numbers, batch_size))):
        kept = (_KEPT,) * len(people)
        yield NewBatch(number=number, message="Bonjour", segments=1, recipients=people, kept=kept)
        number += 1


_ACCEPT = """
WITH RECURSIVE place(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM place WHERE n < {last})
INSERT INTO delivery (campaign, message_id, status, raw_status, at, prefix)
SELECT campaign, 'SM-20261201-' || (number * {size} + n), 'delivered', 'delivered', {started} + number, ''
FROM batch JOIN place ON n < size;

WITH RECURSIVE place(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM place WHERE n < {last})
UPDATE batch SET state = 'accepted', sending_at = {started} + number, result = json_object(
    'lot', 'LOT-20261201-' || number,
    'ids', (SELECT json_group_array('SM-20261201-' || (number * {size} + n)) FROM place WHERE n < size)
);
"""


def write_report(path: Path, form: str) -> None:
    """Write the report as the command line does, and print the most memory that this took."""
    # Here, so that making a ledger needs no command line.
    from vavasms.cli import run

    words = ["campaign", "report", NAME, "--format", form, "--ledger", str(path)]
    # What it says goes to standard error: what is printed is the figure.
    with redirect_stdout(sys.stderr):
        code = run([*words, "--output", str(path.with_suffix(f".{form}"))])
    assert code == 0, code
    print(json.dumps({"peak_kib": peak_kib()}))


if __name__ == "__main__":
    write_report(Path(sys.argv[1]), sys.argv[2])
