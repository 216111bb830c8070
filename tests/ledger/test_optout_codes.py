"""How codes are drawn, what a guess is worth, and a ledger of the version before that has none yet."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from math import prod
from pathlib import Path
from sqlite3 import connect
from time import perf_counter

import httpx
import psycopg
import pytest
from anyio import create_task_group, fail_after, sleep

from vavasms.config import Secret
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import NewBatch, NewCampaign
from vavasms.ledger.optout_codes import CODE_MARK, EXAMPLE, LENGTH, PLACES, draw_code, is_code
from vavasms.ledger.postgres.ledger import MIGRATIONS as POSTGRES
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.postgres.optout_codes import SQL
from vavasms.ledger.sqlite.ledger import APPLICATION_ID, SqliteLedger
from vavasms.ledger.sqlite.ledger import MIGRATIONS as SQLITE
from vavasms.numbers import Msisdn
from vavasms.storage.postgres.database import PostgresDatabase
from vavasms.storage.sqlite.database import Database
from vavasms.text.gsm7 import BASIC
from vavasms.text.segments import count_segments

COUNT = "SELECT count(*) FROM json_each(?) AS drawn JOIN opt_out_code ON opt_out_code.code = drawn.value"
PERSON = Msisdn("2250700000100")


def test_ten_million_guesses_find_none_of_a_million_codes_in_a_hundred_thousand_tries() -> None:
    codes, guesses = 1_000_000, 10_000_000
    found = codes * guesses / prod(map(len, PLACES))
    assert 1 / found > 100_000
    assert len(PLACES) == LENGTH == 10


def test_a_code_stands_in_a_link_as_it_is_and_costs_no_more_than_its_length() -> None:
    table = f"{BASIC[:0x1B]}\x1b{BASIC[0x1B:]}"
    for letters in PLACES:
        assert len(set(letters)) == len(letters)
        cost = count_segments(letters)
        assert (cost.encoding.name, cost.units) == ("GSM7", len(letters))
        # A gateway that takes ASCII for GSM-7 changes none of them.
        assert all(table.index(letter) == ord(letter) for letter in letters)
    assert str(httpx.URL("https://sms.example.ci/d/" + PLACES[1]).raw_path, "ascii") == "/d/" + PLACES[1]
    assert is_code(EXAMPLE)
    assert len(EXAMPLE) == LENGTH


@pytest.mark.parametrize(
    "code", ["-bC3xYz9Kq", "AbC3xYz9K=", "AbC3xYz9K", "AbC3xYz9Kq1", "AbC3_Yz9Kq", "AbC3.Yz9Kq"]
)
def test_what_is_drawn_for_nobody_is_no_code(code: str) -> None:
    assert not is_code(code)


def test_codes_are_drawn_evenly_over_the_whole_alphabet() -> None:
    drawn = [draw_code() for _ in range(20_000)]
    assert len(set(drawn)) == len(drawn)
    assert all(map(is_code, drawn))
    for place, letters in enumerate(PLACES):
        counts = Counter(code[place] for code in drawn)
        # 313 to 323 of each expected; six deviations are 108.
        assert all(205 < counts[letter] < 431 for letter in letters)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    ("people", "guesses"), [(5_000, 50_000), pytest.param(1_000_000, 10_000_000, marks=pytest.mark.full)]
)
async def test_drawn_guesses_find_none_of_the_codes_in_a_ledger(
    tmp_path: Path, people: int, guesses: int
) -> None:
    async with await SqliteLedger.open(tmp_path / "ledger.db") as ledger:
        began, issued = perf_counter(), set[str]()
        for first in range(0, people, 10_000):
            phones = [Msisdn(2_250_700_000_000 + first + place) for place in range(min(10_000, people))]
            issued.update((await ledger.optout_codes.issue(phones)).values())
        assert len(issued) == people
        kept = perf_counter()
        with closing(connect(ledger.path)) as connection:
            for _ in range(guesses // 10_000):
                drawn_codes = json.dumps([draw_code() for _ in range(10_000)])
                assert connection.execute(COUNT, (drawn_codes,)).fetchone() == (0,)
        drawn = perf_counter()
        # Some of them through the ledger itself.
        for _ in range(500):
            assert await ledger.optout_codes.find(draw_code()) is None
        assert await ledger.optout_codes.find(issued.pop()) is not None
    took = f"{people} codes: {kept - began:.1f} s, {guesses} guesses: {drawn - kept:.1f} s"
    print(f"{took}, 500 through the ledger: {perf_counter() - drawn:.2f} s")


async def _load(ledger: Ledger, campaign_id: str) -> str:
    await ledger.create(
        NewCampaign(id=campaign_id, account="ops", sender_id="A", message="B", created_at=1.0)
    )
    await ledger.load(campaign_id, [NewBatch(number=0, message=CODE_MARK, segments=1, recipients=(PERSON,))])
    return (await ledger.batches(campaign_id, after=-1, limit=1))[0].message


@pytest.mark.anyio
async def test_a_file_without_codes_is_upgraded(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    await (await Database.open(path, SQLITE[:6], application_id=APPLICATION_ID)).aclose()
    async with await SqliteLedger.open(path, upgrade=True) as ledger:
        assert is_code(await _load(ledger, "c"))


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_database_without_codes_is_upgraded(bare_postgres: str) -> None:
    await (await PostgresDatabase.open(Secret(bare_postgres), POSTGRES[:5])).aclose()
    async with await PostgresLedger.open(bare_postgres, upgrade=True) as ledger:
        assert is_code(await _load(ledger, "c"))


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_two_that_draw_for_the_same_numbers_at_once_agree(postgres: str) -> None:
    phones = [Msisdn(2_250_700_000_000 + place) for place in range(500)]
    issued = []

    async def issue(ledger: Ledger, first: int) -> None:
        # Not in the same order, nor for the very same ones.
        some = phones[first:][::-1] if first % 2 else phones[first:]
        issued.append(await ledger.optout_codes.issue(some))

    async with (
        await PostgresLedger.open(postgres) as one,
        await PostgresLedger.open(postgres) as other,
        create_task_group() as tasks,
    ):
        for first in range(8):
            tasks.start_soon(issue, (one, other)[first % 2], first)
    for codes in issued:
        assert len(codes) >= 492
        assert codes.items() <= issued[[len(each) for each in issued].index(500)].items()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_code_that_is_being_discarded_is_given_to_nobody_else(postgres: str) -> None:
    async with await PostgresLedger.open(postgres) as ledger:
        await _load(ledger, "discarded")
        issued: list[str] = []

        async def issue() -> None:
            issued.extend((await ledger.optout_codes.issue([PERSON])).values())

        with psycopg.connect(postgres) as other:
            # The end of `discard`, in the moment before it is committed.
            other.execute(SQL["lock_codes"].encode())
            other.execute(b"DELETE FROM vavasms.opt_out_code WHERE campaign IS NOT NULL")
            async with create_task_group() as tasks:
                tasks.start_soon(issue)
                with fail_after(10):
                    while not _is_waiting(postgres):
                        await sleep(0.01)
                other.commit()
        assert await ledger.optout_codes.find(issued[0]) is not None


def _is_waiting(url: str) -> bool:
    query = b"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchone() != (0,)
