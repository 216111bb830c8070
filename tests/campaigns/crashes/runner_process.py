"""A fork server of campaign runners that can be killed: run as a script, told by lines of JSON.

Each order is a line on stdin: what to run, and by which point to die. It is answered by lines on stdout, each
with the pid: `{"started": true}` first, what the runner itself says, and `{"exit": code}` last. Everything is
imported once, so a runner is at work a few milliseconds after its order.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import filelock  # noqa: F401  imported before the fork, and before another user is put on
import trio  # noqa: F401

from tests.campaigns.crashes.fuses import Fuse, FusedConnection, FusedTransport, say
from vavasms import AsyncVavaSMS
from vavasms.campaigns.runner import CampaignRunner
from vavasms.errors import VavaSMSError
from vavasms.ledger import pending_writes
from vavasms.ledger.models import BatchRecord, CampaignStatus, Claim
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.states import BatchEvent

Order = Mapping[str, Any]


class TellingLedger(SqliteLedger):
    """The ledger as it is; says how many orphans it found."""

    @asynccontextmanager
    async def take_over(self, now: float) -> AsyncIterator[Mapping[str, Sequence[int]]]:
        """Yield what was left under way."""
        async with super().take_over(now) as orphans:
            say(orphans=sum(map(len, orphans.values())))
            yield orphans


class RequeueingLedger(TellingLedger):
    """What must not be: whatever a dead runner had under way is queued again."""

    @asynccontextmanager
    async def take_over(self, now: float) -> AsyncIterator[Mapping[str, Sequence[int]]]:
        """Put the orphans back."""
        async with super().take_over(now) as orphans:
            for campaign_id, numbers in orphans.items():
                await self.resend(campaign_id, numbers, sent_before=float("inf"))
            yield orphans


class FillingLedger(TellingLedger):
    """A ledger whose disk is full after so many outcomes: no file may grow any more."""

    left: int
    room: int

    async def settle(
        self, claim: Claim, event: BatchEvent, record: BatchRecord, *, not_before: float = 0.0
    ) -> bool:
        """Count the outcomes."""
        settled = await super().settle(claim, event, record, not_before=not_before)
        self.left -= 1
        if self.left == 0:
            limit_files(self.path.with_name(f"{self.path.name}-wal").stat().st_size + self.room)
        return settled


def limit_files(size: int) -> None:
    """Limit the files of this process to `size` bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


LEDGERS = {"": TellingLedger, "requeue": RequeueingLedger, "filling": FillingLedger}


async def work(order: Order) -> None:
    """Run a campaign as ordered; say how it ended."""
    fuse = Fuse(order["point"], order["nth"])
    FusedConnection.fuse = fuse
    calls: list[str] = []
    transport = FusedTransport(fuse) if order["point"] else None
    kind: type[TellingLedger] = LEDGERS[order["ledger_kind"]]
    if kind is FillingLedger:
        FillingLedger.left, FillingLedger.room = order["outcomes"], order["room"]
        # Ten in earnest: the disk of a test stays full.
        pending_writes.DRAIN_SECONDS = 0.5
    if order["file_size"] is not None:
        limit_files(order["file_size"])
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        try:
            async with (
                await kind.open(order["ledger"], connect=FusedConnection) as ledger,
                AsyncVavaSMS(
                    "sandbox@example.com",
                    "sandbox",
                    sender_id="SANDBOX",
                    base_url=order["url"],
                    transport=transport,
                    on_request=lambda info: calls.append(info.call),
                ) as sms,
                CampaignRunner(sms, ledger) as runner,
            ):
                await run(runner, order["campaign"], signals)
        except VavaSMSError as error:
            say(error=type(error).__name__, text=str(error), calls=len(calls))
        # With the signals still caught: after this a Ctrl-C could break the event loop's own closing.
        os._exit(0)


async def run(runner: CampaignRunner, campaign_id: str, signals: AsyncIterator[signal.Signals]) -> None:
    """Run until the end, or until a signal comes."""
    problem = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stop_on, signals, runner)
        say(armed=True)
        try:
            ended = await runner.run(campaign_id, on_progress=Beat())
            say(state=ended.status.state.value, reason=ended.status.reason)
        except VavaSMSError as error:
            problem = error
        tasks.cancel_scope.cancel()
    if problem is not None:
        # By itself, not in a group.
        raise problem


class Beat:
    """Prints once that the campaign is under way."""

    def __init__(self) -> None:
        self._said = False

    def __call__(self, _status: CampaignStatus) -> None:
        if not self._said:
            self._said = True
            say(running=True)


async def stop_on(signals: AsyncIterator[signal.Signals], runner: CampaignRunner) -> None:
    """Stop the runner at the first signal."""
    async for _ in signals:
        runner.stop()


def child(order: Order) -> None:
    """Be a runner."""
    if order["uid"] is not None:
        os.setgroups([])
        os.setgid(order["uid"])
        os.setuid(order["uid"])
    try:
        anyio.run(partial(work, order), backend=order["backend"])
    except BaseException as error:
        say(crash=f"{type(error).__name__}: {error}")
    os._exit(70)


#: Started and not reaped: these numbers are nobody else's.
LIVING: set[int] = set()


def serve() -> None:
    """Fork a runner for each order, and say when each has ended."""
    wake, alarm = os.pipe()
    os.set_blocking(alarm, False)
    signal.set_wakeup_fd(alarm)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    rest = b""
    while True:
        ready, _, _ = select.select([0, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            reap()
        if 0 in ready:
            read = os.read(0, 65536)
            if not read:
                return
            *lines, rest = (rest + read).split(b"\n")
            for order in map(json.loads, lines):
                if "kill" not in order:
                    LIVING.add(fork(order, wake, alarm))
                elif order["kill"] in LIVING:
                    os.kill(order["kill"], order["signal"])


def fork(order: Order, *inherited: int) -> int:
    """Start a runner; give its pid."""
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (0, *inherited):
            os.close(each)
        os.open(os.devnull, os.O_RDONLY)
        child(order)
    say_of(pid, started=True)
    return pid


def reap() -> None:
    """Print which runners have ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        LIVING.discard(pid)
        say_of(pid, exit=os.waitstatus_to_exitcode(status))


def say_of(pid: int, **words: object) -> None:
    """Write a line about another process."""
    os.write(1, (json.dumps({"pid": pid, **words}) + "\n").encode())


if __name__ == "__main__":
    gc.collect()
    gc.freeze()
    serve()
