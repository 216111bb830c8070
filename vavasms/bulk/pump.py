"""Reading in one thread what is sent from another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TypeVar

from vavasms.bulk.recipients import ChunkedRecipients, ChunkReader

T = TypeVar("T")

#: Seconds.
_PIECE = 1.0


class Pump(ChunkedRecipients):
    """Read the caller's iterable in the caller's own thread.

    A database cursor or a Django queryset belongs to the thread that made it, and a slow one must not
    hold the event loop that every `VavaSMS` shares.
    """

    def __init__(self, recipients: Iterable[str]) -> None:
        self._reader = ChunkReader(iter(recipients))
        self._asked: SimpleQueue[tuple[Future[list[str]], int] | None] = SimpleQueue()

    async def chunks(self, size: int) -> AsyncGenerator[list[str], None]:
        while True:
            answer: Future[list[str]] = Future()
            self._asked.put((answer, size))
            chunk = await asyncio.wrap_future(answer)
            if not chunk:
                return
            yield chunk

    def serve_until(self, done: Future[T]) -> None:
        """Read whenever the sender asks, in this thread, until `done` is."""
        done.add_done_callback(lambda _: self._asked.put(None))
        while not done.done():
            # In pieces: an endless wait cannot be interrupted on Windows.
            with suppress(Empty):
                asked = self._asked.get(timeout=_PIECE)
                if asked is not None:
                    self._serve(*asked)

    def _serve(self, answer: Future[list[str]], size: int) -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            answer.set_result(self._reader.read(size))
        except Exception as error:  # noqa: BLE001  the caller's iterable: the sender settles, then raises it
            answer.set_exception(error)
        except BaseException:
            # An interrupt is this thread's: for the sender the input just ends.
            answer.set_result([])
            raise
