"""Reading in one thread what is sent from another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from itertools import islice
from queue import SimpleQueue

from vavasms.bulk.recipients import ChunkedRecipients
from vavasms.tracebacks import boundary


class CallerThreadReader(ChunkedRecipients):
    """A reader of the caller's iterable in the caller's own thread.

    A database cursor or a Django queryset belongs to the thread that made it, and a slow one must not
    hold the event loop that every `VavaSMS` shares. That thread can be interrupted at any instant: what was
    read lies in one list from the first moment on, and everything else it does may be repeated.
    """

    def __init__(self, recipients: Iterable[str]) -> None:
        #: Wakes the reading thread where there is something to read.
        self.wakeup: SimpleQueue[None] = SimpleQueue()
        self._iterator = iter(recipients)
        self._chunk: list[str] = []
        self._wanted = 0
        self._is_ready = self._is_exhausted = False
        self._failure: Exception | None = None
        self._answered = asyncio.Event()

    async def chunks(self, size: int) -> AsyncGenerator[list[str], None]:
        self._loop = asyncio.get_running_loop()
        while not self._is_exhausted:
            chunk = await self._request(size)
            if chunk:
                yield chunk
            if self._failure is not None:
                raise self._failure

    def serve(self) -> None:
        """Read what is wanted, if anything, in this thread."""
        wanted = self._wanted
        if wanted == 0:
            return
        if not self._is_ready:
            self._read(wanted)
            self._is_ready = True
        self._loop.call_soon_threadsafe(self._answered.set)

    def take_unsent(self) -> list[str]:
        """Return and forget what was read and reached nobody; the reading thread must be through with it."""
        chunk, self._chunk = self._chunk, []
        return chunk

    def take_settled(self) -> list[str]:
        """Return and forget the same from any thread: nothing where the reading thread may be at it yet.

        It takes that itself, with `take_unsent`, once it is through.
        """
        return [] if self._wanted and not self._is_ready else self.take_unsent()

    @boundary
    def _read(self, size: int) -> None:
        try:
            # In one step of the interpreter: an interrupt is either inside the iterable or outside all this.
            self._chunk.extend(islice(self._iterator, size - len(self._chunk)))
        except Exception as error:  # noqa: BLE001  the caller's iterable: the sender settles, then raises it
            self._failure = error
        else:
            self._is_exhausted = len(self._chunk) < size

    async def _request(self, size: int) -> list[str]:
        self._wanted = size
        self.wakeup.put(None)
        while not self._is_ready:
            await self._answered.wait()
            self._answered.clear()
        chunk = self.take_unsent()
        self._wanted, self._is_ready = 0, False
        return chunk
