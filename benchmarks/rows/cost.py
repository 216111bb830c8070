"""What a request costs where the gateway answers at once: CPU with many, time one after another."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial

import httpx

from benchmarks.clients import (
    PATH,
    SECRET,
    SENDER,
    TEXT,
    USERNAME,
    aiohttp_by_hand,
    build_form,
    httpx_by_hand,
    ours,
)
from benchmarks.load import measure_client
from benchmarks.made import make_wire_numbers
from benchmarks.model import Bench, Row, Sample
from vavasms import VavaSMS

#: Calls in a row before it is the other's turn.
_TURN = 25


def measure_cpu(recipients: int, bench: Bench) -> Sample:
    """Compare the CPU time of a request with that of one written by hand, 8 at once."""
    bench.gateway.set_delay(0)
    calls, url = bench.size(2_000, 100), bench.gateway.url
    mine = measure_client(ours(recipients), url, connections=8, calls=calls)
    hand = measure_client(httpx_by_hand(recipients), url, connections=8, calls=calls)
    note = f"{calls:,} requests each"
    return Sample(value=mine.cpu / hand.cpu, ours=mine.cpu, theirs=hand.cpu, note=note)


def measure_cpu_against_aiohttp(is_secure: bool, bench: Bench) -> Sample:
    """Compare the CPU time of a request of 100 recipients with bare aiohttp's, 8 at once."""
    bench.gateway.set_delay(0)
    calls = bench.size(2_000, 100)
    url = bench.gateway.tls_url if is_secure else bench.gateway.url
    authority = bench.gateway.authority if is_secure else None
    mine = measure_client(ours(100, authority), url, connections=8, calls=calls)
    bare = measure_client(aiohttp_by_hand(100, authority), url, connections=8, calls=calls)
    note = f"{calls:,} requests each"
    return Sample(value=mine.cpu / bare.cpu, ours=mine.cpu, theirs=bare.cpu, note=note)


def measure_sync(bench: Bench) -> Sample:
    """Compare `VavaSMS.send` with `httpx.Client.post`, one call after another."""
    bench.gateway.set_delay(0)
    calls, url, numbers = bench.size(1_500, 50), bench.gateway.url, make_wire_numbers(1)
    with (
        VavaSMS(USERNAME, SECRET, sender_id=SENDER, base_url=url) as sms,
        httpx.Client(timeout=60) as client,
    ):
        mine, hand = _time_by_turns(
            calls,
            lambda: sms.send(numbers, TEXT),
            lambda: json.loads(client.post(url + PATH, data=build_form(numbers)).content),
        )
    return Sample(
        value=mine / hand, ours=mine, theirs=hand, note=f"{calls:,} calls each, by turns of {_TURN}"
    )


def _time_by_turns(calls: int, *ones: Callable[[], object]) -> list[float]:
    """Return the seconds per call of each; in short turns, as a machine's speed drifts within seconds."""
    seconds = [0.0] * len(ones)
    for turn in range(-1, calls // _TURN):
        for place, one in enumerate(ones):
            started = time.perf_counter()
            for _ in range(_TURN):
                one()
            # The first turn opens the connections.
            seconds[place] += time.perf_counter() - started if turn >= 0 else 0.0
    return [second / calls for second in seconds]


ROWS = (
    Row(
        name="cpu-1",
        figure="CPU per request, 8 connections, gateway 0 ms, 1 recipient each",
        against="`httpx.AsyncClient.post` + `json.loads` by hand",
        goal=1.10,
        better="less",
        measure=partial(measure_cpu, 1),
    ),
    Row(
        name="cpu-100",
        figure="the same, 100 recipients each, which ours checks",
        against="the same, which checks none",
        goal=1.10,
        better="less",
        measure=partial(measure_cpu, 100),
    ),
    Row(
        name="cpu-aiohttp",
        figure="CPU per request, 8 connections, gateway 0 ms, 100 recipients each, which ours checks",
        against="bare aiohttp by hand, which checks none",
        goal=1.6,
        better="less",
        measure=partial(measure_cpu_against_aiohttp, False),
    ),
    Row(
        name="cpu-aiohttp-tls",
        figure="the same over TLS",
        against="the same over TLS",
        goal=1.6,
        better="less",
        measure=partial(measure_cpu_against_aiohttp, True),
    ),
    Row(
        name="sync",
        figure="time of a call of the sync facade, one after another, gateway 0 ms",
        against="`httpx.Client.post` + `json.loads` by hand",
        goal=1.3,
        better="less",
        measure=measure_sync,
    ),
)
