"""A process that is interrupted at each line of ours in turn: run as a script, with its orders in JSON.

More than a signal can do, which is handled after calls, at the beginning of a function and of a turn. The one
place left out is a plain `return`: what was returned there is the caller's already, and no signal comes between.
"""

from __future__ import annotations

import faulthandler
import json
import linecache
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import vavasms
from vavasms import VavaSMS
from vavasms.bulk.models import BulkReport

HOME = Path(vavasms.__file__).parent
TEXT = "Bonjour"
PATIENCE = 30.0
MODULES = ("sync/client", "sync/bulk", "sync/caller_thread", "calls", "portal", "tracebacks", "bulk/sender")
FILES = {str((HOME / f"{module}.py").resolve(strict=True)) for module in MODULES}
PLAIN_RETURN = re.compile(r"\s*return [\w.]*$")


class Interrupt(BaseException):
    """What comes at any line."""


class Trap:
    """Raise at the nth line of ours, and again so many lines later."""

    def __init__(self, lines: Sequence[int]) -> None:
        self._left = list(lines)
        self._count = 0
        self.places: list[str] = []

    def __call__(self, frame: FrameType, event: str, arg: object) -> Any:
        """Follow the frames of our files."""
        return self._follow if frame.f_code.co_filename in FILES else None

    def _follow(self, frame: FrameType, event: str, arg: object) -> Any:
        name, line = frame.f_code.co_filename, frame.f_lineno
        if event == "line" and self._left and not PLAIN_RETURN.match(linecache.getline(name, line)):
            self._count += 1
            if self._count == self._left[0]:
                self._count = 0
                self._left.pop(0)
                self.places.append(f"{Path(name).name}:{line}")
                raise Interrupt
        return self._follow


class Held:
    """What the caller has in hand when it is interrupted."""

    def __init__(self, phones: list[str]) -> None:
        self.phones = phones
        self.accepted: list[str] = []
        self.report: BulkReport | None = None
        self.results: Any = None
        self.got: list[Any] = []

    def account(self, error: BaseException | None) -> dict[str, list[str]]:
        """Return who is accepted and who unknown, by all that the caller knows."""
        fates: dict[str, list[str]] = {"accepted": [*self.accepted], "unknown": []}
        report = vars(error).get("bulk_report", self.report) if error is not None else self.report
        results = [] if report is None else [*report.results, *report.undelivered]
        if self.results is not None:
            results = [*self.results.report.undelivered, *self.got]
        for result in results:
            if result.outcome.value in fates:
                fates[result.outcome.value] += map(str, result.recipients)
        notes = " ".join(getattr(error, "__notes__", ()))
        if "the gateway took it" in notes:
            fates["accepted"] += self.phones
        elif "under way ended" in notes and "Nothing was sent" not in notes:
            fates["unknown"] += self.phones
        return fates


def send(sms: VavaSMS, held: Held) -> None:
    """Send to one."""
    lot = sms.send(held.phones, TEXT)
    held.accepted = [str(recipient) for recipient in lot.recipients]


def bulk(sms: VavaSMS, held: Held) -> None:
    """Send a list."""
    held.report = sms.send_bulk(held.phones, TEXT, batch_size=3, concurrency=2)


def lazy(sms: VavaSMS, held: Held) -> None:
    """Send what a generator gives."""
    held.report = sms.send_bulk(iter(held.phones), TEXT, batch_size=3, concurrency=2)


def stream(sms: VavaSMS, held: Held) -> None:
    """Send a generator's, with the results as they come."""
    held.results = results = sms.stream_bulk(iter(held.phones), TEXT, batch_size=3, concurrency=2)
    with results:
        for result in results:
            held.got.append(result)


WORK: dict[str, tuple[Callable[[VavaSMS, Held], None], int]] = {
    "send": (send, 1),
    "bulk": (bulk, 8),
    "lazy": (lazy, 8),
    "stream": (stream, 8),
}


def play(orders: dict[str, Any], lines: Sequence[int], first: int) -> tuple[bool, dict[str, Any]]:
    """Do the work once, interrupted there; tell whether it was, and what is known afterwards."""
    work, count = WORK[orders["work"]]
    held = Held([str(first + index) for index in range(count)])
    sms = VavaSMS(
        orders["username"], orders["password"], sender_id="ACME", base_url=orders["url"], trust_env=False
    )
    trap, error = Trap(lines), None
    sys.settrace(trap)
    try:
        work(sms, held)
    except BaseException as caught:
        error = caught
    finally:
        sys.settrace(None)
    sms.close()
    said: dict[str, Any] = {"phones": held.phones, "places": trap.places, **held.account(error)}
    if error is not None and not isinstance(error, Interrupt):
        said["fault"] = repr(error)
    return bool(trap.places), said


def main() -> None:
    """Go through the lines, by so many at once, until the work is done before the trap."""
    orders = json.loads(sys.argv[1])
    line, first = orders["from"], orders["first"]
    interrupted = True
    while interrupted:
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        interrupted, said = play(orders, [line, *orders["again"]], first)
        print(json.dumps(said), flush=True)
        line, first = line + orders["step"], first + 100
    faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()
