"""`campaign plan` and `run` with some of a list: a sample, without another campaign's, with kept columns."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from vavasms.sandbox import SandboxServer

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def _files(account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VAVASMS_LEDGER", str(tmp_path / "ledger.db"))
    rows = [f"Nom {place};22507010000{place:02};R-{place}" for place in range(40)]
    Path("list.csv").write_text("\n".join(["Nom;Téléphone;Réf", *rows, ""]), encoding="utf-8")


def events(finished: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert finished.returncode == 0, finished.stderr
    return [json.loads(line) for line in finished.stdout.splitlines()]


def test_the_command_that_a_plan_prints_draws_the_same(inside: Run, server: SandboxServer) -> None:
    out = inside("campaign", "plan", "list.csv", "--message", "Bonjour", "--sample", "10").stdout
    sample = re.search(r"Sample\s+10 of 40 people, drawn by the seed (\d+)", out)
    assert sample is not None
    command = shlex.split(out[out.index("vavasms campaign run") :].replace("\\\n", " "))
    assert ["--sample", "10", "--seed", sample[1]] == command[command.index("--sample") :][:4]
    (plan, *_, end) = events(inside(*command[1:], "--yes", "--json"))
    assert (plan["seed"], plan["not_drawn"], end["accepted"]) == (int(sample[1]), 30, 10)
    assert sum(server.gateway.journal.counts().values()) == 10


def test_a_list_is_sent_in_two_parts_without_sending_twice(inside: Run, server: SandboxServer) -> None:
    (first, *_) = events(
        inside("campaign", "run", "list.csv", "--message", "Un", "--sample", "15", "--yes", "--json")
    )
    others = ("--message", "Un", "--exclude-campaign", first["id"])
    planned = inside("campaign", "plan", "list.csv", *others).stdout
    assert "25 kept" in " ".join(planned.split())
    assert f"15 numbers, for they have the message of {first['id']}, may have it," in " ".join(
        planned.split()
    )
    (plan, *_, end) = events(inside("campaign", "run", "list.csv", *others, "--yes", "--json"))
    assert (plan["excluded"], plan["exclude"], end["accepted"]) == (15, [first["id"]], 25)
    assert set(server.gateway.journal.counts().values()) == {1}
    assert len(server.gateway.journal.counts()) == 40


def test_who_was_sent_to_today_is_said_with_the_text_and_the_campaign(inside: Run) -> None:
    (first, *_) = events(
        inside("campaign", "run", "list.csv", "--message", "Un", "--sample", "15", "--yes", "--json")
    )
    name = f"by the campaign {first['id']} (SANDBOX)"
    for message, text in (("Un", "with this same message"), ("Deux", "with another message")):
        out = " ".join(inside("campaign", "plan", "list.csv", "--message", message).stdout.split())
        assert f"Sent today 15 of these already, {text}, {name}" in out
    inside("send", "+2250701000000", "--message", "Salut", "--idempotency-key", "k", "--ledger", "ledger.db")
    out = inside("campaign", "plan", "list.csv", "--message", "Deux").stdout
    assert "1 of these already, by single sends" in " ".join(out.split())


def test_a_campaign_to_exclude_that_is_not_there_is_one_sentence(inside: Run) -> None:
    finished = inside("campaign", "plan", "list.csv", "--message", "Un", "--exclude-campaign", "abc")
    assert (finished.returncode, finished.stdout) == (2, "")
    assert "There is no campaign 'abc'." in finished.stderr


def test_kept_columns_are_named_by_the_plan(inside: Run) -> None:
    out = inside("campaign", "plan", "list.csv", "--message", "Un", "--keep", "ref, nom").stdout
    assert "Kept Réf, Nom" in " ".join(out.split())
    finished = inside("campaign", "plan", "list.csv", "--message", "Un", "--keep", "ville")
    assert "has no column ville; its columns are: Nom, Téléphone, Réf. Nothing was sent" in finished.stderr
