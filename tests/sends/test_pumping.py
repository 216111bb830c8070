"""Artificial traffic, simulated through the store of a ledger: how much of it goes out, and whom it costs a code.

10,000 requests for codes to 2,000 numbers in three blocks, from 50 addresses, and beside them 1,000 people who
each want one. The clock is passed in, the draw repeatable. `python test_pumping.py` prints the figures.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import frozen

from vavasms.ledger.otp import OtpKind, OtpRequest
from vavasms.ledger.otp_limits import DAY, HOUR, OtpLimits
from vavasms.ledger.sqlite.otp import MemoryOtp
from vavasms.numbers import Msisdn

# Nothing here waits for an event loop.
pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

START = 1_000_000.0
REQUESTS, NUMBERS, ADDRESSES, PEOPLE = 10_000, 2_000, 50, 1_000
#: Where the three blocks of numbers begin, each of a third of them.
BLOCKS = (2250700100000, 2250501230000, 2250104560000)


@frozen
class Traffic:
    """How the requests of an attack come."""

    seconds: float
    names_callers: bool = True
    limits: OtpLimits = OtpLimits()  # noqa: RUF009  a frozen value


@frozen
class Figures:
    """What went out of it."""

    pumped: int
    people: int
    reasons: Counter[str]
    seconds: float


def requests(traffic: Traffic) -> Iterator[tuple[float, bool, int, str]]:
    """Yield when each request comes, whether it is the attack's, its number and its address."""
    draw = random.Random(20261128)
    targets = [BLOCKS[index % 3] + index // 3 for index in range(NUMBERS)]
    events = [
        (
            draw.uniform(0, traffic.seconds),
            True,
            draw.choice(targets),
            f"198.51.100.{draw.randrange(ADDRESSES)}",
        )
        for _ in range(REQUESTS)
    ]
    events += [
        (
            draw.uniform(0, traffic.seconds),
            False,
            2250700000000 + draw.randrange(10**8),
            f"10.0.{person >> 8}.{person & 255}",
        )
        for person in range(PEOPLE)
    ]
    return iter(sorted(events))


async def simulate(traffic: Traffic) -> Figures:
    """Return how many codes went out, and which limits refused the others."""
    store, sent, reasons, began = MemoryOtp(), Counter[bool](), Counter[str](), time.perf_counter()
    for index, (second, is_pumped, number, address) in enumerate(requests(traffic)):
        request = OtpRequest(
            account="ops",
            kind=OtpKind.CODE,
            token=str(index),
            recipient=Msisdn(number),
            client=address if traffic.names_callers else None,
            segments=1,
        )
        refusal = await store.take(request, traffic.limits, now=START + second)
        if refusal is None:
            sent[is_pumped] += 1
        else:
            reasons[refusal.limit.value] += 1
    return Figures(sent[True], sent[False], reasons, time.perf_counter() - began)


OFF: dict[str, Any] = dict.fromkeys(
    ["cool_down", "number_hourly", "number_daily", "client_hourly", "range_hourly"]
)
#: 2,000 numbers in three blocks: seven hundreds each.
RANGES = 21
CASES = {
    "an hour, no limits": Traffic(HOUR, limits=OtpLimits(**OFF)),
    "an hour": Traffic(HOUR),
    "an hour, callers not named": Traffic(HOUR, names_callers=False),
    "an hour, no limit on ranges": Traffic(HOUR, limits=OtpLimits(range_hourly=None)),
    "a day": Traffic(DAY),
    "a day, at most 1,500 segments": Traffic(DAY, limits=OtpLimits(segments_daily=1500)),
}


async def test_without_limits_every_code_goes_out() -> None:
    figures = await simulate(CASES["an hour, no limits"])
    assert (figures.pumped, figures.people) == (REQUESTS, PEOPLE)


@pytest.mark.parametrize("case", ["an hour", "an hour, callers not named"])
async def test_of_an_hour_of_pumping_ten_codes_go_to_each_range(case: str) -> None:
    figures = await simulate(CASES[case])
    assert figures.pumped <= 10 * RANGES
    # The attack costs nobody a code whose number is not beside those that it pumps.
    assert figures.people >= PEOPLE - 2


async def test_without_the_limit_on_ranges_the_callers_are_held_back_all_the_same() -> None:
    figures = await simulate(CASES["an hour, no limit on ranges"])
    assert figures.pumped <= 10 * ADDRESSES
    assert set(figures.reasons) <= {"client_hourly", "cool_down", "number_hourly"}


async def test_a_day_of_pumping_is_bounded_by_its_hours_and_by_the_segments_of_a_day() -> None:
    assert (await simulate(CASES["a day"])).pumped <= 10 * RANGES * 25
    figures = await simulate(CASES["a day, at most 1,500 segments"])
    assert figures.pumped + figures.people == 1500


async def main() -> None:
    for name, traffic in CASES.items():
        figures = await simulate(traffic)
        each = figures.seconds / (REQUESTS + PEOPLE) * 1e6
        print(
            f"{name}: {figures.pumped} of {REQUESTS} pumped, {figures.people} of {PEOPLE} people, "
            f"{dict(figures.reasons)}, {each:.0f} µs a request"
        )


if __name__ == "__main__":
    import anyio

    anyio.run(main)
