"""The clients that send to a few: ours, and those a good programmer writes by hand."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import httpx

from benchmarks.load import Client, One
from benchmarks.made import make_wire_numbers
from vavasms import AsyncVavaSMS

USERNAME, SECRET, SENDER, TEXT = "bench@example.com", "bench", "BENCH", "Bonjour"
PATH = "/v1/text/single"


def build_form(numbers: list[str]) -> dict[str, str]:
    """Build the form of text/single as its documentation shows it."""
    phone = ",".join(numbers)
    return {"username": USERNAME, "password": SECRET, "sender_id": SENDER, "message": TEXT, "phone": phone}


def ours(recipients: int, authority: Path | None = None) -> Client:
    """Choose `AsyncVavaSMS.send`; over TLS where there is an authority to trust."""
    return partial(_ours, recipients, authority)


def httpx_by_hand(recipients: int) -> Client:
    """Choose one `httpx.AsyncClient` with one pool, `post` and `json.loads`."""
    return partial(_httpx_by_hand, recipients)


def aiohttp_by_hand(recipients: int, authority: Path | None = None) -> Client:
    """Choose one bare `aiohttp.ClientSession`, `post` and `json.loads`; over TLS likewise."""
    return partial(_aiohttp_by_hand, recipients, authority)


@asynccontextmanager
async def _ours(recipients: int, authority: Path | None, url: str, connections: int) -> AsyncIterator[One]:
    numbers = make_wire_numbers(recipients)
    async with AsyncVavaSMS(
        USERNAME, SECRET, sender_id=SENDER, base_url=url, max_connections=connections, tls=authority
    ) as sms:

        async def one() -> object:
            return await sms.send(numbers, TEXT)

        yield one


@asynccontextmanager
async def _httpx_by_hand(recipients: int, url: str, connections: int) -> AsyncIterator[One]:
    numbers = make_wire_numbers(recipients)
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:

        async def one() -> object:
            reply = await client.post(url + PATH, data=build_form(numbers))
            return json.loads(reply.content)

        yield one


@asynccontextmanager
async def _aiohttp_by_hand(
    recipients: int, authority: Path | None, url: str, connections: int
) -> AsyncIterator[One]:
    numbers = make_wire_numbers(recipients)
    context = True if authority is None else ssl.create_default_context(cafile=authority)
    connector = aiohttp.TCPConnector(limit=connections, ssl=context)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one() -> object:
            async with session.post(url + PATH, data=build_form(numbers)) as reply:
                return json.loads(await reply.read())

        yield one
