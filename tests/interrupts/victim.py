"""A process that is interrupted again and again: run as a script, with its orders in JSON as the argument.

Each round is one piece of work with numbers of its own and an interrupt at a random instant: a signal's, or an
exception put into the thread from outside. What the process then holds for the account is a line on stdout.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vavasms import VavaSMS
from vavasms.bulk.models import BulkReport
from vavasms.campaigns.policy import Policy
from vavasms.errors import VavaSMSError
from vavasms.sync.campaigns import BlockingCampaignRunner

TEXT = "Bonjour"
#: Seconds for one turn.
PATIENCE = 40.0
BATCH = 5


class JobTimeoutError(Exception):
    """What job queues raise from a signal handler in the middle of whatever runs."""


class AsyncExitError(BaseException):
    """What is put into the thread from another one."""


INTERRUPTS = (KeyboardInterrupt, JobTimeoutError, AsyncExitError)


def expire(*_: object) -> None:
    """Handle SIGALRM."""
    raise JobTimeoutError


class Sniper:
    """Interrupts the main thread, once or twice, after so many seconds."""

    def __init__(self, way: str, delays: Sequence[float]) -> None:
        self._way, self._delays = way, delays
        self._armed = True
        self.fired = 0
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._go = threading.Event()
        self._thread.start()

    def arm(self) -> None:
        """Begin to count."""
        self._go.set()

    def disarm(self) -> None:
        """Fire no more; what was fired has arrived when this returns."""
        self._armed = False
        self._thread.join()
        # Where a signal that was sent is handled.
        time.sleep(0)

    def _work(self) -> None:
        self._go.wait()
        for delay in self._delays:
            end = time.perf_counter() + delay
            while (left := end - time.perf_counter()) > 0:
                time.sleep(left if left > 0.002 else 0)
            if self._armed:
                self.fired += 1
                self._fire()

    def _fire(self) -> None:
        if self._way == "signal":
            os.kill(os.getpid(), signal.SIGINT)
        elif self._way == "alarm":
            os.kill(os.getpid(), signal.SIGALRM)
        else:
            # Until a new thread runs, CPython 3.11 has its starter's ident for it: the exception would be that
            # thread's. Not for ever: an interrupt in between leaves a thread that never starts.
            for _ in range(50):
                if threading._limbo:  # type: ignore[attr-defined]
                    time.sleep(0.001)
            thread = ctypes.c_ulong(threading.main_thread().ident or 0)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(AsyncExitError))


class Round:
    """One piece of work, and what is known of it afterwards."""

    def __init__(self, orders: dict[str, Any], kind: str, phones: list[str], sniper: Sniper) -> None:
        self.orders, self.kind, self.phones, self.sniper = orders, kind, phones, sniper
        self.said: dict[str, Any] = {"kind": kind, "phones": phones, "accepted": [], "unknown": []}
        self.interrupts: list[BaseException] = []
        self.sms: VavaSMS | None = None
        self.result: Any = None
        self.got: list[Any] = []

    def client(self) -> VavaSMS:
        """Make a client."""
        orders = self.orders
        return VavaSMS(
            orders["username"],
            orders["password"],
            sender_id="ACME",
            base_url=orders["url"],
            trust_env=False,
            max_connections=8,
        )

    def attempt(self, work: Callable[[], object]) -> None:
        """Do it with the sniper armed; what is not one of its interrupts is a fault."""
        error: BaseException | None = None
        try:
            self.sniper.arm()
            work()
        except BaseException as caught:
            error = caught
        while True:
            try:
                self.sniper.disarm()
                break
            except INTERRUPTS:
                pass
        if error is not None:
            self.interrupts.append(error)
        if error is not None and not isinstance(error, INTERRUPTS):
            self.said["fault"] = f"{type(error).__name__}: {error}"

    def take_report(self, report: BulkReport, got: Sequence[Any] = ()) -> None:
        """Take the account of a bulk send."""
        results = [*report.results, *report.undelivered, *got]
        names = {"accepted": 0, "unknown": 0, "not_sent": 0, "rejected": 0}
        for result in results:
            names[result.outcome.value] += len(result.recipients)
            if result.outcome.value in ("accepted", "unknown"):
                self.said[result.outcome.value] += [str(number) for number in result.recipients]
        counts = {name: getattr(report, name) for name in names}
        if counts != names or report.rejected:
            self.said["fault"] = f"the report's counts are {counts}, its names {names}"

    def recipients(self) -> Any:
        """Return them as a list or as a generator."""
        return (number for number in self.phones) if "generator" in self.kind else self.phones


def send(turn: Round) -> None:
    """Send to one."""
    turn.sms = sms = turn.client()

    def work() -> None:
        turn.result = sms.send(turn.phones[0], TEXT)

    turn.attempt(work)
    _take_send(turn)


def _take_send(turn: Round) -> None:
    notes = [note for error in turn.interrupts for note in getattr(error, "__notes__", ())]
    took = turn.result is not None or any("the gateway took it" in note for note in notes)
    if took:
        turn.said["accepted"] = turn.phones[:1]
    elif notes and not any("Nothing was sent" in note for note in notes):
        turn.said["unknown"] = turn.phones[:1]


def bulk(turn: Round) -> None:
    """Send to many, in one call."""
    turn.sms = sms = turn.client()

    def work() -> None:
        turn.result = sms.send_bulk(turn.recipients(), TEXT, batch_size=BATCH, concurrency=4)

    turn.attempt(work)
    report = turn.result or next(
        (vars(e)["bulk_report"] for e in turn.interrupts if "bulk_report" in vars(e)), None
    )
    if report is not None:
        turn.take_report(report)


def stream(turn: Round) -> None:
    """Send to many, with the results as they come."""
    turn.sms = sms = turn.client()

    def work() -> None:
        turn.result = results = sms.stream_bulk(turn.recipients(), TEXT, batch_size=BATCH, concurrency=4)
        with results:
            for result in results:
                turn.got.append(result)

    turn.attempt(work)
    if turn.result is not None:
        turn.take_report(turn.result.report, turn.got)


def entering(turn: Round) -> None:
    """Make a client, send to one, leave."""

    def work() -> None:
        with turn.client() as turn.sms:
            turn.result = turn.sms.send(turn.phones[0], TEXT)

    turn.attempt(work)
    _take_send(turn)


def campaign(turn: Round) -> None:
    """Run a campaign; entering and leaving its runner is in it."""
    folder = Path(turn.orders["folder"])
    contacts, ledger = folder / f"{turn.phones[0]}.csv", folder / f"{turn.phones[0]}.db"
    contacts.write_text("\n".join(["phone", *turn.phones, ""]), encoding="utf-8")
    turn.sms = sms = turn.client()
    with BlockingCampaignRunner(sms, ledger) as runner:
        submitted, _ = runner.submit(contacts, TEXT, policy=Policy(batch_size=BATCH, concurrency=4))

    def work() -> None:
        with BlockingCampaignRunner(sms, ledger) as runner:
            runner.run(submitted.id)

    turn.attempt(work)
    sms.close()
    with turn.client() as other, BlockingCampaignRunner(other, ledger) as runner:
        for row in runner.report(submitted.id):
            outcome = row.outcome
            if outcome is not None and outcome.value in ("accepted", "unknown"):
                turn.said[outcome.value].append(str(row.recipient))
        if (status := runner.status(submitted.id)).sending or status.rejected:
            turn.said["fault"] = f"{status.sending} are being sent, {status.rejected} rejected"


WORK = {
    "send": send,
    "bulk list": bulk,
    "bulk generator": bulk,
    "stream list": stream,
    "stream generator": stream,
    "entering and leaving": entering,
    "campaign": campaign,
}


def play(orders: dict[str, Any], number: int, chance: random.Random) -> dict[str, Any]:
    """Play one turn."""
    kind = orders["kinds"][number % len(orders["kinds"])]
    count = 1 if kind in ("send", "entering and leaving") else orders["recipients"]
    first = orders["first"] + number * 100
    # A third in the first instants, where a call is not yet what it will be.
    longest = chance.choice((0.001, orders["length"] / 4, orders["length"]))
    delays = [chance.uniform(0, longest)]
    twice = chance.random() < orders["twice"]
    if twice:
        delays.append(chance.choice((0.0, chance.uniform(0, 0.01))))
    way = chance.choice(("signal", "alarm", "exception"))
    played = Round(orders, kind, [str(first + index) for index in range(count)], Sniper(way, delays))
    if way == "exception":
        # A thread that is just being started bears its maker's number: the exception could be put into that one.
        keeper = played.client()
        keeper.balance()
    begun = time.monotonic()
    WORK[kind](played)
    if way == "exception":
        keeper.close()
    if played.sms is not None:
        try:
            played.sms.close()
        except VavaSMSError as error:
            played.said["fault"] = f"close: {error}"
    if played.sniper.fired == 0 and played.interrupts:
        played.said["fault"] = "interrupted by nobody"
    return {
        **played.said,
        "round": number,
        "way": way,
        "twice": played.sniper.fired > 1,
        "interrupted": bool(played.interrupts),
        "seconds": time.monotonic() - begun,
    }


def main() -> None:
    """Play all rounds."""
    orders = json.loads(sys.argv[1])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGALRM, expire)
    chance = random.Random(orders["seed"])
    for number in range(orders["rounds"]):
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        line = play(orders, number, chance)
        print(json.dumps(line), flush=True)
    faulthandler.cancel_dump_traceback_later()
    # Whoever was interrupted while closing leaves the closing to the portal's thread.
    deadline = time.monotonic() + 10
    while threading.active_count() > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    print(json.dumps({"threads": threading.active_count()}), flush=True)


if __name__ == "__main__":
    main()
