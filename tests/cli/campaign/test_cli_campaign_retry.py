"""`campaign retry`: a new campaign of those to whom nothing came, with its own plan and question."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from vavasms.sandbox import SandboxServer

Run = Callable[..., subprocess.CompletedProcess[str]]
#: Accepted; refused with its batch; accepted and then lost: unknown.
FINE, REFUSED, LOST = "2250701000001", "2250700000903", "2250700000444"


@pytest.fixture(autouse=True)
def _ledger(account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VAVASMS_LEDGER", str(tmp_path / "ledger.db"))


@pytest.fixture
def first(inside: Run) -> str:
    """A campaign that ended: one accepted, one rejected, one unknown."""
    Path("list.csv").write_text("\n".join(["tel", FINE, REFUSED, LOST, ""]))
    finished = inside(
        "campaign", "run", "list.csv", "--message", "Bonjour", "--batch-size", "1", "--yes", "--json"
    )
    events = [json.loads(line) for line in finished.stdout.splitlines()]
    assert [events[-1][key] for key in ("accepted", "rejected", "unknown")] == [1, 1, 1]
    return str(events[0]["id"])


def test_the_rejected_alone_are_sent_to_again(inside: Run, first: str, server: SandboxServer) -> None:
    before = server.gateway.journal.counts()[LOST]
    finished = inside("campaign", "retry", first, "--yes", "--json")
    (plan, *_, end) = [json.loads(line) for line in finished.stdout.splitlines()]
    assert (plan["recipients"], plan["retry_of"], plan["retries"]) == (1, first, {"rejected": 1})
    assert end["rejected"] == 1
    assert server.gateway.journal.counts()[LOST] == before
    again = inside("campaign", "retry", first, "--yes")
    assert (again.returncode, again.stdout) == (2, "")
    assert "are in a retry already" in again.stderr
    # What was refused again can be retried by its own id.
    assert inside("campaign", "retry", plan["id"], "--yes").returncode == 3


def test_the_plan_says_what_it_is_made_of(inside: Run, first: str) -> None:
    out = " ".join(inside("campaign", "retry", first, "--yes").stdout.split())
    assert f"1 row of the campaign {first}" in out
    assert f"Retry 1 rejected, of the campaign {first}" in out


def test_nobody_is_asked_where_there_is_no_terminal(inside: Run, first: str) -> None:
    finished = inside("campaign", "retry", first)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert "no terminal to confirm in" in finished.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--what", "unknown"), "The unknown never are"),
        (("--what", "not-sent"), "is left to retry (`not-sent`). The unknown never are"),
        (("--at", "hier"), "hier"),
        (("--plan", "0123456789abcdef"), "The plan is"),
        (("--budget", "0"), "budget"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    inside: Run, first: str, options: tuple[str, ...], said: str
) -> None:
    finished = inside("campaign", "retry", first, "--yes", *options)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert said in finished.stderr
    assert len(inside("campaign", "list", "--json").stdout.splitlines()) == 1
