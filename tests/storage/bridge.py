"""A way to a PostgreSQL server that can be cut and mended."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from psycopg.conninfo import conninfo_to_dict


class Bridge:
    """A way to the server that can be cut and mended."""

    def __init__(self, url: str) -> None:
        options = conninfo_to_dict(url)
        self._host, self._port = str(options["host"]), int(options.get("port") or 5432)
        self._open = True
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients: set[asyncio.Task[None]] = set()

    async def lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry what one client and the server say, until one of them or the way is gone."""
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        if self._open:
            there = await self._connect()
            pumps = {
                asyncio.create_task(_pump(reader, there[1])),
                asyncio.create_task(_pump(there[0], writer)),
            }
            self._tasks |= pumps
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for each in pumps:
                each.cancel()
            await asyncio.wait(pumps)
            there[1].transport.abort()
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()

    async def cut(self) -> None:
        """Break what is open, and let nobody in."""
        self._open = False
        for task in self._tasks:
            task.cancel()
        if self._clients:
            await asyncio.wait(self._clients)

    def mend(self) -> None:
        """Admit everybody again."""
        self._open = True

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._host.startswith("/"):
            return await asyncio.open_unix_connection(f"{self._host}/.s.PGSQL.{self._port}")
        return await asyncio.open_connection(self._host, self._port)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await source.read(65536):
            sink.write(chunk)
            await sink.drain()
