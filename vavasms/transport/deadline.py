"""How long an attempt may take, and each of its steps, in one cancel scope."""

from __future__ import annotations

from collections.abc import Mapping

import anyio

#: What httpx calls the end of a step.
_NAMES = {"connect": "ConnectTimeout", "write": "WriteTimeout", "read": "ReadTimeout"}


class Deadline:
    """The deadline of an attempt, in whose scope each step has one of its own."""

    __slots__ = ("_ends", "_step", "_steps", "scope")

    def __init__(self, steps: Mapping[str, float], seconds: float) -> None:
        #: Seconds that each step may take at most, by its name.
        self._steps = steps
        self._step: str | None = None
        #: By the loop's clock.
        self._ends = anyio.current_time() + seconds
        self.scope = anyio.CancelScope(deadline=self._ends)

    def begin(self, step: str) -> None:
        """Begin a step, or begin it anew: `connect`, `write` or `read`."""
        self._step = step
        self.scope.deadline = min(self._ends, anyio.current_time() + self._steps[step])

    @property
    def error_name(self) -> str:
        """What its end is called."""
        is_whole = self._step is None or self.scope.deadline >= self._ends
        return "TimeoutError" if is_whole else _NAMES[self._step or ""]
