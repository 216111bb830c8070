"""Handle a message at least once, and never again once that was committed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from secrets import token_hex

from anyio import CancelScope, create_task_group, current_time, sleep

from vavasms.errors import LedgerError
from vavasms.inbound.seen.base import ClaimStatus, SeenStore, digest_of
from vavasms.models import InboundMessage

#: Seconds that a copy waits for the end of the first beyond a lease: the claim of a process that died
#: runs out while it waits, so that even a platform that tries only once more is served.
SPARE = 10.0
#: Seconds after which a handler is no longer believed to end: its claim is not renewed any more.
MAX_HANDLING = 3600.0

_FIRST_PAUSE, _LAST_PAUSE = 0.02, 0.5


async def handle_once(
    store: SeenStore, message: InboundMessage, work: Callable[[], Awaitable[None]]
) -> ClaimStatus:
    """Do `work` for a message that is new, and commit it.

    Returns `CLAIMED` where it was done now, `HANDLED` or `CONFLICT` where it had been done before, `BUSY`
    where another did not come to an end with it in time. Raises what `work` raises, with the claim
    released, and `LedgerError` from the store.
    """
    owner, digest = token_hex(8), digest_of(message)
    status = await _claim(store, message.message_id, digest, owner)
    if status is ClaimStatus.CLAIMED:
        await _run(store, message.message_id, owner, work)
        with CancelScope(shield=True):
            await store.commit(message.message_id, digest, owner)
    return status


async def _claim(store: SeenStore, message_id: str, digest: bytes, owner: str) -> ClaimStatus:
    deadline, pause = current_time() + store.lease + SPARE, _FIRST_PAUSE
    while True:
        status = await store.claim(message_id, digest, owner)
        if status is not ClaimStatus.BUSY or current_time() >= deadline:
            return status
        # The other may be in another process: there is nothing to wait for but time.
        await sleep(pause)
        pause = min(1.5 * pause, _LAST_PAUSE)


async def _run(store: SeenStore, message_id: str, owner: str, work: Callable[[], Awaitable[None]]) -> None:
    failure: Exception | None = None
    try:
        async with create_task_group() as tasks:
            tasks.start_soon(_renew, store, message_id, owner)
            try:
                await work()
            except Exception as error:  # noqa: BLE001  raised below, outside the task group
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
    except BaseException:
        # Where that fails too the lease runs out.
        with CancelScope(shield=True), suppress(LedgerError):
            await store.release(message_id, owner)
        raise


async def _renew(store: SeenStore, message_id: str, owner: str) -> None:
    last = current_time() + MAX_HANDLING
    while current_time() < last:
        await sleep(store.lease / 3)
        with suppress(LedgerError):
            await store.renew(message_id, owner)
