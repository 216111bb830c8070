"""Forks that die at a named point of a single send, and what the ledger says then: a script.

Told by one line of JSON on stdin; says a line for each death.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import filelock  # noqa: F401  imported before the fork

from tests.campaigns.crashes.fuses import Fuse, FusedTransport
from tests.sends.impatient import opened
from vavasms import AsyncVavaSMS
from vavasms.errors import VavaSMSError
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import BatchRecord
from vavasms.ledger.postgres import sends
from vavasms.ledger.send_record import SendRecord
from vavasms.ledger.sends import NewSend, SendClaim, SendStore
from vavasms.ledger.states import BatchEvent

TEXT = "Bonjour"


class FusedSends:
    """A store with a fuse before and after its two transactions; else the one it stands for."""

    def __init__(self, store: SendStore, fuse: Fuse) -> None:
        self._store, self._fuse = store, fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def begin(self, new: NewSend, *, token: str, now: float) -> SendClaim | SendRecord:
        """TX1."""
        self._fuse("before_tx1")
        begun = await self._store.begin(new, token=token, now=now)
        self._fuse("after_tx1")
        return begun

    async def settle(
        self, claim: SendClaim, event: BatchEvent, record: BatchRecord, *, now: float, not_before: float = 0.0
    ) -> bool:
        """TX2."""
        self._fuse("before_tx2")
        settled = await self._store.settle(claim, event, record, now=now, not_before=not_before)
        self._fuse("after_tx2")
        return settled


class FusedLedger:
    """A ledger whose single sends have a fuse."""

    def __init__(self, ledger: Ledger, fuse: Fuse) -> None:
        self._ledger, self.sends = ledger, FusedSends(ledger.sends, fuse)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


@asynccontextmanager
async def client(order: Mapping[str, Any], ledger: Any, **options: Any) -> AsyncIterator[AsyncVavaSMS]:
    """Open a client of the sandbox."""
    account = {name: order[name] for name in ("username", "password", "base_url", "sender_id")}
    async with AsyncVavaSMS(**account, ledger=ledger, **options) as sms:
        yield sms


async def die(order: Mapping[str, Any], key: str) -> None:
    """Send, and die at the point."""
    fuse = Fuse(order["point"], 1)
    async with (
        opened(order["place"]) as ledger,
        client(order, FusedLedger(ledger, fuse), transport=FusedTransport(fuse)) as sms,
    ):
        await sms.send(order["to"], TEXT, idempotency_key=key)


async def look(order: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return what is kept of the key, and what a second call with it comes to."""
    async with opened(order["place"]) as ledger, client(order, ledger) as sms:
        # Whoever has died: on PostgreSQL that is a matter of time.
        vars(sends)["ORPHAN_AFTER"] = 0.0
        await ledger.sends.reap(now=await ledger.now() + 1)
        record = await sms.sent(key)
        try:
            again = (
                "replayed" if (await sms.send(order["to"], TEXT, idempotency_key=key)).replayed else "sent"
            )
        except VavaSMSError as error:
            again = type(error).__name__
    return {"state": None if record is None else record.state.value, "again": again}


def main() -> None:
    """Start one process after the other, each to die at its point."""
    order = json.loads(sys.stdin.readline())
    for point in order["points"]:
        for number in range(order["times"]):
            key = f"{point}-{number}"
            mine = {
                **order,
                "point": point,
                "to": f"+225070{6_000_000 + 11 * number:07}",
            }
            pid = os.fork()
            if pid == 0:
                try:
                    anyio.run(die, mine, key)
                finally:
                    os._exit(1)
            _, status = os.waitpid(pid, 0)
            died = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
            sys.stderr.write(f"{key} {status}\n")
            fate = anyio.run(look, mine, key)
            sys.stdout.write(json.dumps({"died": died, "point": point, **fate}) + "\n")


if __name__ == "__main__":
    main()
