"""Kill -9 at named points of a single send: the ledger and the gateway are as predicted, each time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vavasms.sandbox import SandboxServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no forks"),
]

#: What is kept of the key, what a second call comes to, and how often the gateway has it in the end.
PREDICTED = {
    "before_tx1": (None, "sent", 1),
    "after_tx1": ("unknown", "OutcomeUnknownError", 0),
    "connect_started": ("unknown", "OutcomeUnknownError", 0),
    "connect_complete": ("unknown", "OutcomeUnknownError", 0),
    "body_start": ("unknown", "OutcomeUnknownError", 0),
    "body_end": ("unknown", "OutcomeUnknownError", 1),
    "reply": ("unknown", "OutcomeUnknownError", 1),
    "before_tx2": ("unknown", "OutcomeUnknownError", 1),
    "after_tx2": ("accepted", "replayed", 1),
}


def crash(sandbox: SandboxServer, place: str, point: str, times: int) -> tuple[list[Any], int]:
    """Return how each key stands after its process died, and how many the gateway has, each once."""
    account = {"username": "sandbox@example.com", "password": "sandbox", "sender_id": "SANDBOX"}
    order = {**account, "base_url": sandbox.url, "place": place, "points": [point], "times": times}
    finished = subprocess.run(
        [sys.executable, "-m", "tests.sends.crashing"],
        input=json.dumps(order) + "\n",
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        timeout=60 + 10 * times,
    )
    said = map(json.loads, finished.stdout.splitlines())
    # The fuses say a line of their own.
    fates = [line for line in said if "point" in line]
    counts = sandbox.gateway.journal.counts().values()
    assert set(counts) <= {1}
    return fates, len(counts)


def predict(point: str, times: int) -> tuple[list[Any], int]:
    state, again, arrived = PREDICTED[point]
    return [{"died": True, "point": point, "state": state, "again": again}] * times, times * arrived


TIMES = [2, pytest.param(50, marks=pytest.mark.full)]


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("point", PREDICTED)
def test_a_file_says_what_became_of_a_send(
    sandbox: SandboxServer, tmp_path: Path, anyio_backend: str, point: str, times: int
) -> None:
    assert crash(sandbox, str(tmp_path / "sms.db"), point, times) == predict(point, times)


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("point", PREDICTED)
async def test_a_database_says_what_became_of_a_send(
    sandbox: SandboxServer, postgres: str, point: str, times: int
) -> None:
    assert crash(sandbox, postgres, point, times) == predict(point, times)
