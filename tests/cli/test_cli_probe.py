"""`vavasms probe`: finds each of the gateways that it is put before, for no more than it said."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from vavasms.cli.commands.sandbox_serve import play
from vavasms.profile.file import read_profile
from vavasms.profile.models import GatewayProfile, Oversize
from vavasms.sandbox import Gateway, SandboxServer

Run = Callable[..., subprocess.CompletedProcess[str]]
PASSWORD = "correct-horse-battery"
OWN = "2250700000001"
FILE = Path("vavasms-profile.toml")
QUICK = {"sent": 0.0, "delivered": 1.5}


@contextmanager
def serving(profile: GatewayProfile, monkeypatch: pytest.MonkeyPatch, **rules: Any) -> Iterator[Gateway]:
    """Serve a gateway of a profile, with its account in the environment."""
    gateway = Gateway(password=PASSWORD, **play(profile))
    if rules:
        gateway.rules = evolve(gateway.rules, **rules)
    with SandboxServer(gateway) as server:
        for name, value in server.settings.items():
            monkeypatch.setenv(name, value)
        yield gateway


def paid(gateway: Gateway) -> int:
    """Count the SMS that the gateway sent."""
    return sum(entry.segments * entry.recipients for entry in gateway.journal.entries)


def probe(
    run: Run, *words: str, spend: int = 6, pace: float = 0.0, wait: float = 20.0
) -> list[dict[str, Any]]:
    options = ("--spend", str(spend), "--pace", str(pace), "--wait", str(wait), "--yes", "--json", *words)
    finished = run("probe", "--to", f"+{OWN}", *options)
    assert PASSWORD not in finished.stdout + finished.stderr
    assert finished.returncode == 0, finished.stderr
    return [json.loads(line) for line in finished.stdout.splitlines()]


def known(**facts: Any) -> GatewayProfile:
    """Return a gateway whose other facts are those of most."""
    usual: dict[str, Any] = {
        "status_path": "/v1/text/single",
        "lots_are_atomic": True,
        "unit_price": Decimal(10),
        "unit_price_ucs2": Decimal(10),
        "price_is_per_segment": True,
        "statuses": QUICK,
    }
    return GatewayProfile(**(usual | facts))


LIMITED = {"batch_size_is_limit": True, "oversize": Oversize.REFUSED}
#: The gateway, how it looks at recipients, the SMS that it may cost, and what is found of how many it takes.
GATEWAYS: Mapping[str, tuple[GatewayProfile, dict[str, Any], int, dict[str, Any]]] = {
    "takes 20": (known(batch_size=20, **LIMITED), {}, 6, {"batch_size": 20, **LIMITED}),
    "takes 100, lots not atomic": (
        known(batch_size=100, lots_are_atomic=False, **LIMITED),
        {},
        6,
        {"batch_size": 100, **LIMITED},
    ),
    "no status call": (
        known(status_path=None, has_status_call=False, statuses={}, batch_size=50, **LIMITED),
        {},
        6,
        {"batch_size": 50, **LIMITED},
    ),
    "another path": (
        known(status_path="/v1/message/status", batch_size=2, **LIMITED),
        {},
        6,
        {"batch_size": 2, **LIMITED},
    ),
    # A lot of two is refused for its size: what would become of one with a bad number nobody learns.
    "takes one": (known(lots_are_atomic=None, batch_size=1, **LIMITED), {}, 6, {"batch_size": 1, **LIMITED}),
    "dear Unicode": (
        known(unit_price=Decimal("12.5"), unit_price_ucs2=Decimal("15.25"), batch_size=64, **LIMITED),
        {},
        6,
        {"batch_size": 64, **LIMITED},
    ),
    "one price a text": (known(price_is_per_segment=False), {}, 6, {}),
    "drops those beyond 3": (
        known(batch_size=3, batch_size_is_limit=True, oversize=Oversize.DROPPED),
        {},
        20,
        {"batch_size": 3, "batch_size_is_limit": True, "oversize": Oversize.DROPPED},
    ),
    "looks at numbers first, takes 6": (
        known(batch_size=6, **LIMITED),
        {"counts_first": False},
        30,
        {"batch_size": 6, **LIMITED},
    ),
    "takes any number": (known(lots_are_atomic=False), {}, 12, {"batch_size": 4, "batch_size_is_limit": False}),
    "other words": (
        known(statuses={"EN COURS": 0.0, "delivered": 1.5}, batch_size=10, **LIMITED),
        {},
        6,
        {"batch_size": 10, **LIMITED},
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", GATEWAYS)
def test_each_gateway_is_found_for_no_more_than_was_said(
    name: str, inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile, rules, spend, sizes = GATEWAYS[name]
    with serving(profile, monkeypatch, **rules) as gateway:
        *_steps, end = probe(inside, spend=spend)
        found = read_profile(FILE)
        cost = paid(gateway)
        assert (end["spent"], end["may_have_spent"]) == (cost, 0)
        assert cost <= spend
        assert {entry.to for entry in gateway.journal.entries} <= {
            ",".join([OWN] * count) for count in range(1, 129)
        }
        for fact in (
            "status_path", "lots_are_atomic", "unit_price", "unit_price_ucs2", "price_is_per_segment",
        ):  # fmt: skip
            assert getattr(found, fact) == getattr(profile, fact), fact
        assert found.has_status_call is profile.has_status_call
        # What was only seen to hold up to a number is not said to end there.
        size_facts = {
            fact: getattr(found, fact) for fact in ("batch_size", "batch_size_is_limit", "oversize")
        }
        assert size_facts == {"batch_size": None, "batch_size_is_limit": None, "oversize": None, **sizes}
        assert [*found.statuses] == [*profile.statuses]
        for word, age in profile.statuses.items():
            assert age <= found.statuses[word] < age + 30
        assert found.requests_per_second_is_limit is False
        assert end["profile"]["unit_price"] == float(profile.unit_price or 0)
        texts = [entry.message for entry in gateway.journal.entries]
        assert len(texts) == len(set(texts))
        # Once more: what is known costs nothing.
        probe(inside, spend=spend)
        assert paid(gateway) == cost
        assert read_profile(FILE) == found


@pytest.mark.slow
def test_the_pace_of_a_gateway_is_found(inside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = known(batch_size=4, requests_per_second=5, requests_per_second_is_limit=True, **LIMITED)
    with serving(profile, monkeypatch) as gateway:
        probe(inside, pace=0.25)
        found = read_profile(FILE)
        assert (found.requests_per_second, found.requests_per_second_is_limit) == (5, True)
        assert (found.batch_size, found.lots_are_atomic) == (4, True)
        assert paid(gateway) == 4
