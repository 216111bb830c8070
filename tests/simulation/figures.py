"""What a number of simulations came to, for people and for a page of evidence."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from attrs import define, field

from tests.simulation.simulation import Verdict


@define(kw_only=True)
class Figures:
    """The sums over all seeds."""

    first: int
    seeds: int = 0
    #: The seeds that broke a promise.
    violations: list[int] = field(factory=list)
    simulated_seconds: float = 0.0
    callbacks: int = 0
    crashes: int = 0
    #: Faults that struck, by kind; recipients, by outcome.
    faults: Counter[str] = field(factory=Counter)
    outcomes: Counter[str] = field(factory=Counter)
    #: Of wall time.
    seconds: float = 0.0
    #: What tells all these runs from every other.
    digest: str = ""

    def add(self, verdict: Verdict) -> None:
        """Add one simulation."""
        self.seeds += 1
        self.digest = sha256((self.digest + verdict.digest).encode()).hexdigest()
        if verdict.problems:
            self.violations.append(verdict.case.seed)
        self.simulated_seconds += verdict.seconds
        self.callbacks += verdict.steps
        self.crashes += verdict.crashes
        self.faults.update({kind.value: count for kind, count in verdict.struck.items()})
        self.outcomes.update(verdict.outcomes)

    @property
    def hours_per_minute(self) -> float:
        """Return the simulated hours in a minute of wall time."""
        return self.simulated_seconds / 60 / max(self.seconds, 0.001)

    def dump(self) -> dict[str, Any]:
        """Return them as JSON has them."""
        return {
            "first": self.first,
            "seeds": self.seeds,
            "violations": self.violations,
            "simulated_hours": round(self.simulated_seconds / 3600, 3),
            "simulated_hours_per_minute": round(self.hours_per_minute, 3),
            "callbacks": self.callbacks,
            "crashes": self.crashes,
            "faults": dict(sorted(self.faults.items())),
            "outcomes": dict(sorted(self.outcomes.items())),
            "seconds": round(self.seconds, 1),
            "digest": self.digest,
        }

    @classmethod
    def merge(cls, first: int, parts: Iterable[Mapping[str, Any]], seconds: float) -> Self:
        """Return the sum of several that were dumped."""
        whole = cls(first=first, seconds=seconds)
        for part in parts:
            whole.seeds += part["seeds"]
            whole.digest = sha256((whole.digest + part["digest"]).encode()).hexdigest()
            whole.violations += part["violations"]
            whole.simulated_seconds += 3600 * part["simulated_hours"]
            whole.callbacks += part["callbacks"]
            whole.crashes += part["crashes"]
            whole.faults.update(part["faults"])
            whole.outcomes.update(part["outcomes"])
        return whole

    def save(self, path: Path) -> None:
        """Write them to a file."""
        path.write_text(json.dumps(self.dump(), indent=2) + "\n", encoding="utf-8")

    def __str__(self) -> str:
        faults = sum(self.faults.values())
        return (
            f"{self.seeds} seeds from {self.first}, {len(self.violations)} of them with a violation; "
            f"{self.simulated_seconds / 3600:.2f} simulated hours in {self.seconds:.0f} s "
            f"({self.hours_per_minute:.2f} hours a minute), {faults} faults, {self.crashes} of them crashes"
        )
