"""Writes that a ledger did not take: made once it does, at the end of the process at the latest."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
from attrs import define, field, frozen

from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext_noop as N_

#: Writes an outcome; the claim's token keeps it from a newer attempt.
PendingWrite = Callable[[], Awaitable[object]]

#: Told where whoever ends could not write it.
GiveUp = Callable[[], object]

#: Seconds for which whoever ends tries to write what is pending; the last try may take longer.
DRAIN_SECONDS = 10.0

logger = logging.getLogger("vavasms")


@frozen(eq=False)
class _Deferred:
    """What is to be written, and who is told where it never is."""

    write: PendingWrite
    give_up: GiveUp


@define
class PendingWrites:
    """The outcomes that a process could not write: until then what they are of is `sending`."""

    _writes: list[_Deferred] = field(factory=list, init=False)

    def __len__(self) -> int:
        return len(self._writes)

    async def write_or_defer(self, write: PendingWrite, give_up: GiveUp = lambda: None) -> None:
        """Write. Where the ledger does not take it, or nobody can tell, keep it for later and raise.

        `give_up` is called by a `drain` that could not write it. Raises without keeping it what is refused
        for good: `InvalidInputError`, for a campaign that was discarded meanwhile, of which nothing was sent.
        """
        try:
            with anyio.CancelScope(shield=True):
                await write()
        except InvalidInputError:
            raise
        except BaseException:
            self._writes.append(_Deferred(write, give_up))
            raise

    async def flush(self) -> None:
        """Write what is pending. Raises where the ledger still does not take it."""
        problems: list[Exception] = []

        async def work(deferred: _Deferred) -> None:
            try:
                with anyio.CancelScope(shield=True):
                    await deferred.write()
            except InvalidInputError as error:
                # It would keep every campaign after it waiting.
                logger.warning(N_("The ledger refuses a write for good: %s"), error.english)
                self._forget(deferred)
            except Exception as error:  # noqa: BLE001  raised below: the others need not wait for it
                problems.append(error)
            else:
                self._forget(deferred)

        # At once: each may wait for a server that is away, and none of that can be cancelled.
        async with anyio.create_task_group() as tasks:
            for deferred in [*self._writes]:
                tasks.start_soon(work, deferred)
        if problems:
            raise problems[0]

    def _forget(self, deferred: _Deferred) -> None:
        # Another flush may have been quicker.
        with suppress(ValueError):
            self._writes.remove(deferred)

    async def retry(self, seconds: float | None = None) -> bool:
        """Flush for some seconds, `DRAIN_SECONDS` by default; return False where the ledger never took it.

        Raises nothing of the ledger's: whoever ends has told of that already.
        """
        seconds = DRAIN_SECONDS if seconds is None else seconds
        with anyio.move_on_after(seconds):
            while self._writes:
                with suppress(Exception):
                    await self.flush()
                if self._writes:
                    await anyio.sleep(seconds / 20)
        return not self._writes

    async def drain(self, seconds: float | None = None) -> bool:
        """Retry, and give up what the ledger never took; one that is cut off does so as well."""
        try:
            return await self.retry(seconds)
        finally:
            if self._writes:
                logger.warning(
                    N_("Outcomes that the ledger did not take, and that are unknown from now on: %d."),
                    len(self),
                )
            for deferred in self._writes:
                deferred.give_up()
