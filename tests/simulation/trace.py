"""What happened in a simulation, line by line: the same for the same seed, to the letter."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import Any

from attrs import define, field


@define(eq=False)
class Trace:
    """The events of one run, folded into a digest; the lines themselves are kept where somebody reads them."""

    keeps_lines: bool = False
    lines: list[str] = field(factory=list)
    #: How often each kind of event was noted.
    counts: Counter[str] = field(factory=Counter)
    _digest: Any = field(factory=sha256, init=False)

    def note(self, now: float, who: str, what: str, detail: str = "") -> None:
        """Note an event at a time of the timeline."""
        self.counts[what] += 1
        line = f"{now:14.6f} {who:<10} {what:<10} {detail}"
        self._digest.update(line.encode())
        if self.keeps_lines:
            self.lines.append(line.rstrip())

    @property
    def digest(self) -> str:
        """Return what tells this run from every other one."""
        return str(self._digest.hexdigest())
