"""Requests per second, one worker a connection, 100 recipients each, a gateway that takes its time."""

from __future__ import annotations

from benchmarks.clients import aiohttp_by_hand, httpx_by_hand, ours
from benchmarks.load import Client, Cost, measure_client
from benchmarks.model import Bench, Row, Sample

#: Seconds until the gateway answers.
DELAY = 0.05
RECIPIENTS = 100


def measure_against_httpx(bench: Bench) -> Sample:
    """Compare 64 connections with one pool of 64, by hand."""
    return _compare(bench, ours(RECIPIENTS), httpx_by_hand(RECIPIENTS), bench.size(300, 96))


def measure_against_aiohttp(bench: Bench) -> Sample:
    """Compare 64 connections with bare aiohttp, by hand."""
    return _compare(bench, ours(RECIPIENTS), aiohttp_by_hand(RECIPIENTS), bench.size(2_000, 128))


def measure_against_aiohttp_tls(bench: Bench) -> Sample:
    """Compare 64 connections with bare aiohttp over TLS, by hand."""
    bench.gateway.set_delay(DELAY)
    count, gateway = bench.size(2_000, 128), bench.gateway
    pair = (ours(RECIPIENTS, gateway.authority), aiohttp_by_hand(RECIPIENTS, gateway.authority))
    left, right = (measure_client(one, gateway.tls_url, connections=64, calls=count) for one in pair)
    return Sample(
        value=left.rate / right.rate, ours=left.rate, theirs=right.rate, note=f"{count:,} requests each"
    )


def measure_ceiling(bench: Bench) -> Sample:
    """Compare 32 connections with what they could carry if a client cost nothing."""
    bench.gateway.set_delay(DELAY)
    calls, ceiling = bench.size(1_500, 96), 32 / DELAY
    mine = _rate(bench, ours(RECIPIENTS), 32, calls)
    bare = _rate(bench, aiohttp_by_hand(RECIPIENTS), 32, calls)
    share = mine.rate / ceiling
    return Sample(
        value=share,
        ours=mine.rate,
        theirs=ceiling,
        beside={"bare aiohttp reaches": bare.rate / ceiling},
        note=f"{calls:,} requests each",
    )


def _compare(bench: Bench, mine: Client, other: Client, calls: int) -> Sample:
    bench.gateway.set_delay(DELAY)
    count = bench.size(2_000, 128)
    left = _rate(bench, mine, 64, count)
    right = _rate(bench, other, 64, calls)
    note = f"{count:,} requests, theirs {calls:,}"
    return Sample(value=left.rate / right.rate, ours=left.rate, theirs=right.rate, note=note)


def _rate(bench: Bench, client: Client, connections: int, calls: int) -> Cost:
    return measure_client(client, bench.gateway.url, connections=connections, calls=calls)


_FIGURE = "requests/s, 64 connections, gateway 50 ms, 100 recipients each"

ROWS = (
    Row(
        name="throughput-httpx",
        figure=_FIGURE,
        against="`httpx.AsyncClient` by hand, one pool of 64",
        goal=6,
        measure=measure_against_httpx,
    ),
    Row(
        name="throughput-aiohttp",
        figure=_FIGURE,
        against="bare aiohttp by hand",
        goal=0.92,
        measure=measure_against_aiohttp,
    ),
    Row(
        name="throughput-tls",
        figure="the same over TLS",
        against="bare aiohttp over TLS, by hand",
        goal=0.92,
        measure=measure_against_aiohttp_tls,
    ),
    Row(
        name="throughput-ceiling",
        figure="requests/s, 32 connections, gateway 50 ms, 100 recipients each",
        against="the ceiling: connections / latency",
        goal=0.80,
        measure=measure_ceiling,
    ),
)
