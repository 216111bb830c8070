"""Never twice, whoever retries: many processes with the same keys, a gateway that fails, kills."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.sends.impatient import IN_FLIGHT, text_of
from vavasms.errors import Outcome
from vavasms.ledger.base import Ledger
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.states import BatchState
from vavasms.sandbox import Fault, FaultKind, FaultPlan, Gateway, Moment, SandboxServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no forks"),
]

#: One request in five goes wrong: refused, cut before or after it was accepted, stalled, answered late.
RATES: Mapping[Fault, float] = {
    Fault(kind=FaultKind.STATUS, status=503): 0.04,
    Fault(kind=FaultKind.RATE_LIMIT, retry_after="0"): 0.03,
    Fault(kind=FaultKind.CLOSE_BEFORE_READING): 0.03,
    Fault(kind=FaultKind.CLOSE_AFTER_READING): 0.02,
    Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING): 0.03,
    Fault(kind=FaultKind.CUT, at=20): 0.02,
    Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=1.5): 0.02,
    Fault(kind=FaultKind.STALL, seconds=0.3): 0.01,
}


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer(Gateway(balance=10**9), FaultPlan()) as server:
        server.faults.set_rates(RATES, seed=7)
        yield server


def run(server: SandboxServer, place: str, **order: Any) -> dict[str, int]:
    gateway = server.gateway
    account = {"username": gateway.username, "password": gateway.password, "sender_id": "SANDBOX"}
    order = {**account, "base_url": server.url, "place": place, "seed": 3, **order}
    finished = subprocess.run(
        [sys.executable, "-m", "tests.sends.impatient"],
        input=json.dumps(order) + "\n",
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        timeout=60 + 3 * order["kills"] * order["every"] + order["keys"],
    )
    said: dict[str, int] = json.loads(finished.stdout)
    assert said["failures"] == 0, finished.stderr[-2000:]
    return said


def sent(server: SandboxServer) -> Counter[str]:
    """Return how often the gateway accepted each text."""
    return Counter(entry.message for entry in server.gateway.journal.entries)


async def check(server: SandboxServer, ledger: Ledger, keys: int, kills: int) -> None:
    accepted = sent(server)
    records = await ledger.sends.records(None, states=tuple(BatchState), since=0.0, limit=10 * keys)
    assert len(records) == keys
    outcomes = {text_of(record.key): record.outcome for record in records}
    assert set(outcomes.values()) <= {Outcome.ACCEPTED, Outcome.REJECTED, Outcome.UNKNOWN}
    by_outcome = Counter(outcomes.values())
    print("keys", keys, by_outcome, "kills", kills)
    # What was accepted is there, what is there was accepted or nobody knows.
    assert {text for text, outcome in outcomes.items() if outcome is Outcome.ACCEPTED} <= set(accepted)
    assert all(outcomes[text] in (Outcome.ACCEPTED, Outcome.UNKNOWN) for text in accepted)
    # A lost answer leaves one unknown, a kill what its process had under way.
    assert by_outcome[Outcome.UNKNOWN] <= server.faults.taken + kills * IN_FLIGHT
    assert by_outcome[Outcome.ACCEPTED] > keys / 2


SHORT = {"processes": 4, "keys": 150, "kills": 8, "every": 0.4}
LONG = {"processes": 16, "keys": 1000, "kills": 200, "every": 1.0}


@pytest.mark.parametrize("form", [SHORT, pytest.param(LONG, marks=pytest.mark.full)], ids=["short", "long"])
async def test_a_key_is_sent_once_by_a_file(
    server: SandboxServer, tmp_path: Path, form: Mapping[str, Any]
) -> None:
    place = tmp_path / "sms.db"
    async with await SqliteLedger.open(place) as ledger:
        said = run(server, str(place), keyed=True, **form)
        await check(server, ledger, form["keys"] * said["rounds"], said["kills"])
    assert max(sent(server).values()) == 1


@pytest.mark.parametrize("form", [SHORT, pytest.param(LONG, marks=pytest.mark.full)], ids=["short", "long"])
async def test_a_key_is_sent_once_by_a_database(
    server: SandboxServer, postgres: str, form: Mapping[str, Any]
) -> None:
    async with await PostgresLedger.open(postgres) as ledger:
        said = run(server, postgres, keyed=True, **form)
        await check(server, ledger, form["keys"] * said["rounds"], said["kills"])
    assert max(sent(server).values()) == 1


def test_without_keys_the_same_clients_send_twice(
    server: SandboxServer, tmp_path: Path, anyio_backend: str
) -> None:
    run(server, str(tmp_path / "sms.db"), keyed=False, processes=1, keys=150, kills=0, every=1.0)
    assert max(sent(server).values()) > 1
