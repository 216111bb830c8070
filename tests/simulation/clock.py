"""The clocks of simulated machines, all on one timeline that only the scheduler moves."""

from __future__ import annotations

from attrs import define

#: What every machine's clock shows when a simulation begins: seconds since the epoch.
EPOCH = 1_800_000_000.0
#: What a monotonic clock shows then. Not 0: code that takes 0 for "never" would pass by luck.
BOOT = 1_000.0


@define(eq=False)
class Timeline:
    """The true time, in seconds since the simulation began."""

    now: float = 0.0


@define(eq=False)
class MachineClock:
    """The two clocks of one machine: one can be set, the other stands still while the machine is suspended."""

    timeline: Timeline
    #: By how much the wall clock was set forward, in seconds.
    _ahead: float = 0.0
    #: For how long the machine was suspended.
    _suspended: float = 0.0
    _awake_at: float = 0.0

    def time(self) -> float:
        """Return the seconds since the epoch, as `time.time` does."""
        return EPOCH + self.timeline.now + self._ahead

    def monotonic(self) -> float:
        """Return the seconds of a clock that nobody sets, as `time.monotonic` does."""
        return BOOT + self.timeline.now - self._suspended

    def true_time(self, monotonic: float) -> float:
        """Return when the monotonic clock shows this, on the timeline."""
        return monotonic - BOOT + self._suspended

    def set_forward(self, seconds: float) -> None:
        """Set the wall clock; a negative number of seconds sets it back."""
        self._ahead += seconds

    def set_right(self) -> None:
        """Set the wall clock to the true time."""
        self._ahead = 0.0

    def suspend(self, seconds: float) -> None:
        """Suspend the machine: nothing runs on it for so long, and its monotonic clock stands still."""
        self._suspended += seconds
        self._awake_at = max(self._awake_at, self.timeline.now) + seconds

    @property
    def awake_at(self) -> float:
        """When the machine goes on, on the timeline; in the past where it is awake."""
        return self._awake_at

    @property
    def is_awake(self) -> bool:
        """Whether anything runs on the machine."""
        return self._awake_at <= self.timeline.now
