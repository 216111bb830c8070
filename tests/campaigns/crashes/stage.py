"""What the crash tests stand on: a gateway that journals, runners that can be killed, and an audit."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import anyio
from attrs import define, field, frozen

from vavasms import AsyncVavaSMS
from vavasms.campaigns.policy import Policy
from vavasms.campaigns.runner import CampaignRunner
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import CampaignStatus, StoredBatch
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.states import BatchState, CampaignState
from vavasms.sandbox import SandboxServer

T = TypeVar("T")

#: Seconds after which a runner that says nothing is taken for stuck.
PATIENCE = 60.0
KILLED = -9
#: Batches in flight at once.
PLACES = 8


@define(eq=False)
class Runner:
    """A runner in a process of its own."""

    pid: int
    _server: RunnerServer
    #: What it said so far.
    said: list[dict[str, Any]] = field(factory=list)
    _lines: queue.SimpleQueue[dict[str, Any]] = field(factory=queue.SimpleQueue)

    def hear(self, line: dict[str, Any]) -> None:
        """Keep a line of it, in the reader's thread."""
        self._lines.put(line)

    def heard(self, word: str) -> Any:
        """Return what it said under this word so far; None where it said nothing."""
        return next((line[word] for line in self.said if word in line), None)

    def listen(self, word: str, *, timeout: float = PATIENCE) -> Any:
        """Wait until it says this word; None after `timeout` seconds, or where it ended without."""
        deadline = time.monotonic() + timeout
        while (found := self.heard(word)) is None and self.heard("exit") is None:
            try:
                self.said.append(self._lines.get(timeout=max(deadline - time.monotonic(), 0)))
            except queue.Empty:
                return None
        return found

    def signal(self, number: int) -> None:
        """Send a signal, if it still lives."""
        self._server.order({"kill": self.pid, "signal": number})

    def kill(self) -> bool:
        """Kill it and wait; False where it had ended by itself."""
        self.signal(9)
        return self.wait() == KILLED

    def wait(self) -> int:
        """Wait for its end; give the exit code."""
        code = self.listen("exit")
        assert code is not None, f"the runner {self.pid} hangs: {self.said}"
        assert self.heard("crash") is None, self.said
        return int(code)


class RunnerServer:
    """Forks runners; see `runner_process.py`."""

    def __init__(self, *prefix: str) -> None:
        script = Path(__file__).with_name("runner_process.py")
        root = str(script.parents[3])
        self._process = subprocess.Popen(
            # What comes before makes another world of it: another mount namespace.
            [*prefix, sys.executable, "-W", "error", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # The package under test, wherever else one is installed.
            env={**os.environ, "PYTHONPATH": root},
        )
        self._runners: dict[int, Runner] = {}
        self._started: queue.SimpleQueue[Runner] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._reader.join(10)
        self._process.stdout.close()

    def clear(self) -> None:
        """Kill what a test left behind."""
        for runner in [*self._runners.values()]:
            runner.kill()

    def order(self, words: dict[str, Any]) -> None:
        """Send an order."""
        assert self._process.stdin is not None
        self._process.stdin.write((json.dumps(words) + "\n").encode())
        self._process.stdin.flush()

    def start(self, words: dict[str, Any]) -> Runner:
        """Start a runner."""
        self.order(words)
        return self._started.get(timeout=PATIENCE)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            line = json.loads(text)
            runner = self._runners.setdefault(line["pid"], Runner(line["pid"], self))
            if "exit" in line:
                # The next process of this number is another runner.
                del self._runners[line["pid"]]
            runner.hear(line)
            if "started" in line:
                self._started.put(runner)


@frozen(kw_only=True)
class Audit:
    """What the ledger says, held against the gateway's journal. All counts are recipients."""

    status: CampaignStatus
    #: Recipients who got the message more than once.
    duplicates: int
    #: In no outcome, or in two; or accepted by the ledger and not by the gateway, with these very ids.
    lost: int
    #: Called queued, rejected or not sent, and the gateway has them.
    hidden: int

    @property
    def wrong(self) -> int:
        """Count what breaks a promise."""
        return self.duplicates + self.lost + self.hidden


@frozen(kw_only=True)
class Staged:
    """A campaign in a ledger of its own, with what may be done to it."""

    stage: Stage
    path: Path
    id: str
    contacts: Path
    phones: tuple[str, ...]

    def start(self, **words: object) -> Runner:
        """Start a runner on it."""
        usual = {"point": "", "nth": 0, "ledger_kind": "", "file_size": None, "uid": None}
        place = {"ledger": str(self.path), "url": self.stage.gateway.url, "campaign": self.id}
        return self.stage.server.start({**usual, **place, "backend": self.stage.backend(), **words})

    def finish(self, **words: object) -> Runner:
        """Run it to its end."""
        runner = self.start(**words)
        assert runner.wait() == 0, runner.said
        assert is_over(self.status()), runner.said
        return runner

    def ask(self, question: Callable[[Ledger], Any]) -> Any:
        """Ask the ledger something, beside whoever runs."""

        async def call() -> Any:
            async with await SqliteLedger.open(self.path) as ledger:
                return await question(ledger)

        return anyio.run(call)

    def status(self) -> CampaignStatus:
        """Count its recipients."""
        found: CampaignStatus = self.ask(lambda ledger: ledger.status(self.id))
        return found

    def batches(self) -> list[StoredBatch]:
        """Return all its batches."""
        return list(self.ask(lambda ledger: ledger.batches(self.id, after=-1, limit=100_000)))

    def received(self, phones: Iterable[str]) -> list[int]:
        """Return how often the gateway accepted something for each of these numbers."""
        counts = self.stage.gateway.gateway.journal.counts()
        return [counts.get(phone, 0) for phone in phones]

    def audit(self) -> Audit:
        """Hold the ledger against the journal, once the gateway has done with what it was given."""
        self.stage.wait_for_quiet()
        batches = self.batches()
        held = Counter(str(phone) for batch in batches for phone, _ in batch.recipients)
        lost = sum(held[phone] != 1 for phone in self.phones) + len(held.keys() - set(self.phones))
        lost += sum(len(batch.recipients) for batch in batches if self._is_missing(batch))
        return Audit(
            status=self.status(),
            duplicates=sum(count > 1 for count in self.received(self.phones)),
            lost=lost,
            hidden=sum(self._received_though_not_sent(batch) for batch in batches),
        )

    def _received_though_not_sent(self, batch: StoredBatch) -> int:
        """Count whom the ledger says nothing was sent to, and the gateway has."""
        unsent = batch.state in _NOT_THERE
        return sum(self.received(str(phone) for phone, why in batch.recipients if unsent or why is not None))

    def _is_missing(self, batch: StoredBatch) -> bool:
        """Return whether the journal does not have an accepted batch as the ledger has it, ids and all."""
        if batch.state is not BatchState.ACCEPTED:
            return False
        found = [
            self.stage.gateway.gateway.journal.find(message_id) for message_id in batch.record.message_ids
        ]
        there = [each and each[0].phones[each[1]] for each in found]
        return there != [str(phone) for phone, exclusion in batch.recipients if exclusion is None]


_NOT_THERE = (BatchState.QUEUED, BatchState.REJECTED, BatchState.CANCELLED)


class Stage:
    """A gateway, a server of runners, and campaigns made for them."""

    def __init__(self, gateway: SandboxServer, server: RunnerServer, folder: Path) -> None:
        self.gateway, self.server, self._folder = gateway, server, folder
        self._made = 0
        # Far from the numbers that mean something to the sandbox.
        self._next_phone = 2250700100000
        self._turn = 0

    def backend(self) -> str:
        """Take turns between the event loops."""
        self._turn += 1
        return ("asyncio", "trio")[self._turn % 2]

    def contacts(self, recipients: int) -> tuple[Path, tuple[str, ...]]:
        """Write a list of so many numbers that nobody had before."""
        first, self._next_phone = self._next_phone, self._next_phone + recipients
        phones = tuple(str(first + index) for index in range(recipients))
        path = self._folder / f"contacts{first}.csv"
        path.write_text("phone\n" + "\n".join(phones) + "\n", encoding="utf-8")
        return path, phones

    def campaign(self, recipients: int, *, folder: Path | None = None, **options: Any) -> Staged:
        """Submit a campaign in a new ledger: 5 recipients a batch, 8 batches in flight."""
        self._made += 1
        path = (folder or self._folder / f"{self._made}") / "ledger.db"
        contacts, phones = self.contacts(recipients)
        policy = Policy(**{"batch_size": 5, "concurrency": PLACES, **options})
        campaign_id = anyio.run(partial(self._submit, path, contacts, policy))
        return Staged(stage=self, path=path, id=campaign_id, contacts=contacts, phones=phones)

    async def _submit(self, path: Path, contacts: Path, policy: Policy) -> str:
        async with (
            await SqliteLedger.open(path) as ledger,
            self.client() as sms,
            CampaignRunner(sms, ledger) as runner,
        ):
            campaign, _ = await runner.submit(contacts, "Bonjour", policy=policy)
        return campaign.id

    def client(self, **options: Any) -> AsyncVavaSMS:
        """Make a client of this gateway."""
        known = self.gateway.gateway
        return AsyncVavaSMS(
            known.username, known.password, sender_id="SANDBOX", base_url=self.gateway.url, **options
        )

    def wait_for_quiet(self) -> None:
        """Wait until nobody is connected to the gateway any more: it has done with all requests."""
        wait_until(lambda: self.gateway.connections == 0)


def wait_until(is_so: Callable[[], bool], *, timeout: float = 10.0) -> None:
    """Wait until something is so, under a deadline."""
    deadline = time.monotonic() + timeout
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


def is_over(status: CampaignStatus) -> bool:
    """Return whether nothing of a campaign is left to send."""
    return status.state is CampaignState.DONE
