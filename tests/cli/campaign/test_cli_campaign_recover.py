"""`campaign recover`: a ledger of which nobody can say what was sent from it since."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from vavasms.campaigns.policy import Policy, dump_policy
from vavasms.errors import LedgerBusyError, LedgerError
from vavasms.ledger.models import CampaignStatus, NewBatch, NewCampaign
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.states import CampaignState
from vavasms.numbers import Msisdn

Run = Callable[..., subprocess.CompletedProcess[str]]
ID = "3f9a1c07"
LEDGER = Path("ledger.db")
COPY = Path("copy.db")


async def _build() -> None:
    """Keep a campaign that runs under a budget, and a copy of the file from while it is in use."""
    async with await SqliteLedger.open(LEDGER) as ledger, ledger.take_over(1.0):
        policy = dump_policy(Policy())
        values = {"account": "ops", "sender_id": "ACME", "message": "Bonjour", "created_at": 1.75e9}
        await ledger.create(NewCampaign(id=ID, policy=policy, max_segments=9, **values))  # type: ignore[arg-type]
        batches = [
            NewBatch(number=no, message="Bonjour", segments=2, recipients=(Msisdn(2250700000100 + no),))
            for no in range(3)
        ]
        await ledger.load(ID, batches)
        await ledger.finish_loading(ID, plan="{}", plan_hash=ID)
        await ledger.start(ID)
        assert await ledger.claim(ID, 0, token="t", worker="w", now=1.75e9)
        shutil.copy(LEDGER, COPY)


@pytest.fixture(autouse=True)
def ledger(bare_environment: dict[str, str]) -> None:
    """Keep a ledger and a copy without its log."""
    anyio.run(_build)


async def _status(path: Path) -> CampaignStatus:
    async with await SqliteLedger.open(path) as ledger:
        return await ledger.status(ID)


def test_a_copy_without_its_log_is_refused_and_says_what_to_do(inside: Run) -> None:
    done = inside("campaign", "status", ID, "--ledger", str(COPY))
    assert done.returncode == 5
    assert "not in the log beside it" in done.stderr
    assert "`vavasms campaign recover`" in done.stderr


def test_nothing_is_recovered_without_a_typed_word(inside: Run) -> None:
    before = COPY.read_bytes()
    done = inside("campaign", "recover", "--ledger", str(COPY))
    assert done.returncode != 0
    assert "--yes" in done.stderr
    assert COPY.read_bytes() == before


def test_what_was_queued_is_unknown_after_it(inside: Run) -> None:
    done = inside("campaign", "recover", "--ledger", str(COPY), "--yes")
    assert "unknown now: 3 messages" in done.stdout
    status = anyio.run(_status, COPY)
    assert (status.state, status.reason) == (CampaignState.PAUSED, "the ledger was recovered")
    assert (status.unknown, status.queued, status.segments) == (3, 0, 6)


def test_a_file_that_looks_whole_may_be_recovered_too(inside: Run) -> None:
    done = inside("campaign", "recover", "--ledger", str(LEDGER), "--yes", "--json")
    assert json.loads(done.stdout) == {"ledger": str(LEDGER), "problem": None, "unknown": 2}
    again = inside("campaign", "recover", "--ledger", str(LEDGER), "--yes", "--json")
    assert (json.loads(again.stdout)["unknown"], again.returncode) == (0, 0)
    told = inside("campaign", "recover", "--ledger", str(LEDGER), "--yes")
    assert told.stdout == "Recovered. Nothing is unknown.\n"
    assert anyio.run(_status, LEDGER).unknown == 3


def test_nothing_says_that_what_was_loading_was_not_sent(inside: Run) -> None:
    async def build() -> None:
        """Copy a file while a campaign is loaded, and run the campaign."""
        async with await SqliteLedger.open(LEDGER) as ledger, ledger.take_over(1.0):
            values = {"account": "ops", "sender_id": "ACME", "message": "Salut", "created_at": 1.75e9}
            await ledger.create(NewCampaign(id="later", **values))  # type: ignore[arg-type]
            batch = NewBatch(number=0, message="Salut", segments=1, recipients=(Msisdn(2250700000200),))
            await ledger.load("later", [batch])
            async with await SqliteLedger.open(LEDGER) as other:
                await other._database.checkpoint("FULL")
            shutil.copy(LEDGER, COPY)
            await ledger.finish_loading("later", plan="{}", plan_hash="later")
            await ledger.start("later")
            assert await ledger.claim("later", 0, token="t", worker="w", now=1.75e9)

    anyio.run(build)
    done = inside("campaign", "recover", "--ledger", str(COPY), "--yes", "--json")
    assert json.loads(done.stdout)["unknown"] == 3

    async def look() -> CampaignStatus:
        async with await SqliteLedger.open(COPY) as ledger:
            return await ledger.status("later")

    status = anyio.run(look)
    assert (status.state, status.reason) == (CampaignState.CANCELLED, "the ledger was recovered")
    assert (status.unknown, status.not_sent) == (1, 0)


def test_a_place_without_a_ledger_and_a_database_are_refused(inside: Run) -> None:
    none = inside("campaign", "recover", "--ledger", "none.db", "--yes")
    assert "There is no ledger" in none.stderr
    assert not Path("none.db").exists()
    database = inside("campaign", "recover", "--ledger", "postgresql://localhost/none", "--yes")
    assert "by its own means" in database.stderr


def test_a_ledger_in_use_is_not_recovered() -> None:
    async def attempt() -> None:
        async with await SqliteLedger.open(LEDGER):
            for call in (SqliteLedger.recover, SqliteLedger.examine):
                with pytest.raises(LedgerError, match="open in this program"):
                    await call(LEDGER)

    anyio.run(attempt)


def test_a_ledger_is_not_recovered_beside_a_runner() -> None:
    from filelock import FileLock

    with FileLock(f"{LEDGER}.lock"), pytest.raises(LedgerBusyError):
        anyio.run(SqliteLedger.recover, LEDGER)


def test_what_is_kept_beside_a_file_may_be_spoiled_or_gone() -> None:
    beside = Path(f"{LEDGER}.generation")
    names = json.loads(beside.read_text())
    assert len(names) == 1
    for text in ("", "{}", "\x80", '["x:y"]'):
        beside.write_text(text)
        assert anyio.run(SqliteLedger.examine, LEDGER) is None
    beside.unlink()
    assert anyio.run(SqliteLedger.examine, LEDGER) is None
    beside.write_text(json.dumps(["99:later"]))
    assert anyio.run(SqliteLedger.examine, LEDGER) == "is older than the one that was used last here"


def test_a_file_is_not_used_where_nothing_can_be_kept_beside_it() -> None:
    Path(f"{LEDGER}.generation.new").mkdir()

    async def attempt() -> None:
        async with await SqliteLedger.open(LEDGER) as ledger:
            with pytest.raises(LedgerError, match="cannot be written"):
                async with ledger.take_over(1.0):
                    raise AssertionError("it runs")

    anyio.run(attempt)
