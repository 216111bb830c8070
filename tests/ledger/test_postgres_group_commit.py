"""What one process writes of a campaign at a time is written together, though nothing but the waiting holds it."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import Any, cast

import anyio
import pytest
from anyio.lowlevel import checkpoint
from attrs import define, field

from vavasms.ledger.models import BatchRecord, Claim
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.states import BatchEvent
from vavasms.numbers import Msisdn
from vavasms.storage.postgres.database import PostgresDatabase, Rows

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quick_collections")]

PHONE = Msisdn("2250700000100")


@define
class SlowDatabase:
    """Answers once `is_free` is set; notes the batches of each statement."""

    is_free: anyio.Event = field(factory=anyio.Event)
    statements: list[list[int]] = field(factory=list)
    transactions: int = 0

    async def call(self, _: str, values: Mapping[str, Any]) -> Rows:
        self.statements.append(values["numbers"])
        await self.is_free.wait()
        return [
            (token, "Bonjour", 1, 1, [PHONE]) if "workers" in values else (token,)
            for token in values["tokens"]
        ]

    async def write(self, _: object, *, is_long: bool = False) -> bool:
        self.transactions += 1
        return True


async def settle_down() -> None:
    """Wait until every task has gone as far as it can; nothing that only a cycle holds outlives it."""
    for _ in range(20):
        await checkpoint()
    gc.collect()


def open_on(database: SlowDatabase) -> PostgresLedger:
    return PostgresLedger(cast(PostgresDatabase, database))


def make_claim(number: int) -> Claim:
    return Claim(
        campaign_id="c",
        number=number,
        token=f"t{number}",
        at=1.0,
        attempt=1,
        message="Bonjour",
        segments=1,
        recipients=(PHONE,),
    )


async def claim(ledger: PostgresLedger, number: int) -> None:
    assert await ledger.claim("c", number, token=f"t{number}", worker="w", now=1.0) == make_claim(number)


async def accept(ledger: PostgresLedger, number: int) -> None:
    assert await ledger.settle(make_claim(number), BatchEvent.ACCEPT, BatchRecord())


@pytest.mark.parametrize("write", [claim, accept])
async def test_what_comes_while_one_is_under_way_is_written_together(write: Any) -> None:
    database = SlowDatabase()
    ledger = open_on(database)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write, ledger, 0)
        await settle_down()
        for number in (1, 2):
            tasks.start_soon(write, ledger, number)
        await settle_down()
        begun = [*database.statements]
        database.is_free.set()
    assert begun == [[0]]
    assert [sorted(numbers) for numbers in database.statements] == [[0], [1, 2]]


async def test_an_abandoned_claim_is_turned_back_after_the_claim_that_is_under_way() -> None:
    database = SlowDatabase()
    ledger = open_on(database)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(claim, ledger, 0)
        await settle_down()
        tasks.start_soon(ledger.abandon, "c", 0, "t0")
        await settle_down()
        begun = database.transactions
        database.is_free.set()
    assert (begun, database.transactions) == (0, 1)
