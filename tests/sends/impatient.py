"""Processes that send the same keys at once and retry every failure, one of them killed each second: a script.

Told by one line of JSON on stdin; says one line of JSON at the end. Everything is imported once, and each
process is a fork: it is at work a few milliseconds after another one was killed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import filelock  # noqa: F401  imported before the fork

from vavasms import AsyncVavaSMS, Timeouts
from vavasms.errors import Outcome, SendInProgressError, VavaSMSError
from vavasms.ledger import send_rows
from vavasms.ledger.base import Ledger
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.sqlite.ledger import SqliteLedger

#: Sends that each process has under way.
IN_FLIGHT = 8
#: So that the dead are found within the test: no call of these clients takes so long as a rule.
ORPHAN_AFTER = 12.0
TIMEOUTS = Timeouts(connect=1.0, write=1.0, pool=5.0, read=1.0, send=1.0)


def text_of(key: str) -> str:
    """Return the text of a key: the gateway's journal tells by it what was sent."""
    return f"Commande {key}"


@asynccontextmanager
async def opened(place: str) -> AsyncIterator[Ledger]:
    """Open a ledger, in a file or in PostgreSQL with few connections."""
    if Path(place).is_absolute():
        async with await SqliteLedger.open(place) as ledger:
            yield ledger
    else:
        vars(send_rows)["ORPHAN_AFTER"] = ORPHAN_AFTER
        async with await PostgresLedger.open(place, connections=3) as postgres:
            yield postgres


async def send_until_decided(sms: AsyncVavaSMS, key: str, number: str, *, keyed: bool) -> str:
    """Send, and again after every failure, until there is an outcome; without a key until one is accepted."""
    while True:
        try:
            await sms.send(number, text_of(key), **({"idempotency_key": key} if keyed else {}))
            return "accepted"
        except SendInProgressError:
            continue
        except VavaSMSError as error:
            if keyed and error.outcome is Outcome.UNKNOWN:
                return "unknown"
        await anyio.sleep(0.02)


async def work(order: Mapping[str, Any], seed: int) -> None:
    """Send every key, in an order of one's own."""
    draw = random.Random(seed)
    first = order["round"] * order["keys"]
    keys = [f"k{number}" for number in range(first, first + order["keys"])]
    draw.shuffle(keys)
    left = iter(keys)

    async def some(sms: AsyncVavaSMS) -> None:
        for key in left:
            number = f"+225070{5_000_000 + 11 * int(key[1:]):07}"
            await send_until_decided(sms, key, number, keyed=order["keyed"])

    client = {name: order[name] for name in ("username", "password", "base_url", "sender_id")}
    async with (
        opened(order["place"]) as ledger,
        AsyncVavaSMS(**client, ledger=ledger if order["keyed"] else None, timeouts=TIMEOUTS) as sms,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(IN_FLIGHT):
            tasks.start_soon(some, sms)


def fork(order: Mapping[str, Any], seed: int) -> int:
    """Start a process; return its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        anyio.run(work, order, seed)
        code = 0
    finally:
        # Whatever went wrong is on stderr; nothing of the parent's runs here.
        os._exit(code)


class Crowd:
    """Processes that send the same keys, each replaced as it ends, and what became of them.

    Once one of them has decided every key a round is over, and whoever starts then begins the next: a quick
    machine is killed at work as often as a slow one.
    """

    def __init__(self, order: Mapping[str, Any]) -> None:
        self._order = order
        self._draw, self._seed = random.Random(order["seed"]), order["seed"] * 1000
        #: The round of each process.
        self._living: dict[int, int] = {}
        self.kills = self.failures = self.round = 0
        for _ in range(order["processes"]):
            self._start()

    def kill_one(self) -> None:
        """Kill one that has not ended yet."""
        for pid in tuple(self._living):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                self._replace(pid)
        victim = self._draw.choice(sorted(self._living))
        os.kill(victim, signal.SIGKILL)
        self._replace(victim)

    def finish(self) -> None:
        """Leave them to their end."""
        for pid in self._living:
            _, status = os.waitpid(pid, 0)
            self.failures += status != 0

    def _start(self) -> None:
        self._seed += 1
        self._living[fork({**self._order, "round": self.round}, self._seed)] = self.round

    def _replace(self, pid: int) -> None:
        _, status = os.waitpid(pid, 0)
        ended = self._living.pop(pid)
        if os.WIFSIGNALED(status):
            self.kills += 1
        else:
            self.failures += status != 0
            self.round = max(self.round, ended + 1)
        self._start()


def main() -> None:
    """Keep the processes going, kill one each `every` seconds, then leave them to their end."""
    order = json.loads(sys.stdin.readline())
    crowd = Crowd(order)
    while crowd.kills < order["kills"]:
        time.sleep(order["every"])
        crowd.kill_one()
    crowd.finish()
    said = {"kills": crowd.kills, "failures": crowd.failures, "rounds": crowd.round + 1}
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
