"""Reading recipients, whatever they come in: a list, a cursor, an async iterable, another thread."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from contextlib import aclosing
from itertools import islice

import anyio

from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.tracebacks import boundary


class ChunkedRecipients(ABC):
    """Recipients that come in lists, read by whoever owns them."""

    @abstractmethod
    def chunks(self, size: int) -> AsyncGenerator[list[str], None]:
        """Yield lists of at most `size` recipients."""


Recipients = Iterable[str] | AsyncIterable[str] | ChunkedRecipients
#: Iterables that cost nothing to look at.
IN_MEMORY = (list, tuple, set, frozenset, dict)


class ChunkReader:
    """A reader of an iterable in lists. What came before a failure is returned before its error is raised."""

    def __init__(self, iterator: Iterator[str]) -> None:
        self._iterator = iterator
        self._failure: BaseException | None = None

    @boundary
    def read(self, size: int) -> list[str]:
        """Return at most `size` items, an empty list after the last."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        chunk: list[str] = []
        try:
            for item in islice(self._iterator, size):
                chunk.append(item)  # noqa: PERF402  kept as far as it came
        except BaseException as failure:
            if not chunk:
                raise
            self._failure = failure
        return chunk


def check_recipients(recipients: Recipients) -> None:
    """Refuse what is plainly no list of recipients, before anything is sent."""
    if isinstance(recipients, str | bytes) or not isinstance(
        recipients, Iterable | AsyncIterable | ChunkedRecipients
    ):
        raise InvalidInputError(
            _("Give the recipients as a list or another iterable of texts; nothing was sent."),
            error_code="input.recipients",
        )
    # Only of what costs nothing: the length of a queryset loads every row of it.
    if isinstance(recipients, IN_MEMORY) and len(recipients) == 0:
        raise InvalidInputError(
            _("The list of recipients is empty; nothing was sent."), error_code="input.recipients"
        )


@boundary
async def read_chunks(recipients: Recipients, size: int) -> AsyncGenerator[list[str], None]:
    """Read at most `size` recipients at a time: what was read has to be accounted for."""
    if isinstance(recipients, ChunkedRecipients):
        async with aclosing(recipients.chunks(size)) as chunks:
            async for chunk in chunks:
                yield chunk
        return
    if not isinstance(recipients, AsyncIterable):
        reader = ChunkReader(iter(recipients))
        while chunk := reader.read(size):
            yield chunk
        return
    try:
        async for recipient in recipients:
            yield [recipient]
    finally:
        if isinstance(recipients, AsyncGenerator):
            with anyio.CancelScope(shield=True):
                await recipients.aclose()
