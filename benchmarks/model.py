"""What a benchmark consists of: rows, the samples they give, and the bench they are measured on."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Literal, TypeVar

from attrs import define, field, frozen

from benchmarks.gateway import Gateway

T = TypeVar("T")


class NotHere(Exception):  # noqa: N818 - no error: the row says why it has no figure
    """A row cannot be measured on this machine."""


@frozen(kw_only=True)
class Sample:
    """What one pair gave: we and the other, one right after the other."""

    #: The figure of the row, nearly always ours / theirs.
    value: float
    #: Rates, for the plots and `results.json`; never in the table.
    ours: float = math.nan
    theirs: float = math.nan
    #: Further ratios to show; the table gives their medians.
    beside: Mapping[str, float] = field(factory=dict)
    #: Sizes and counts, alike in every run.
    note: str = ""


@define
class Bench:
    """Where rows are measured: the gateway, the form, the number of the run."""

    gateway: Gateway
    quick: bool
    run: int = 0
    _kept: dict[Hashable, Any] = field(factory=dict)

    def size(self, full: int, quick: int) -> int:
        """Choose the number that fits the form."""
        return quick if self.quick else full

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Make a thing once and keep it, such as a list that several runs share."""
        if key not in self._kept:
            self._kept[key] = make()
        found: T = self._kept[key]
        return found

    def once_a_run(self, key: str, make: Callable[[], T]) -> T:
        """Make a thing once in each run: a costly half of a pair that several rows share."""
        return self.once((key, self.run), make)


@frozen(kw_only=True)
class Row:
    """One line of the table: what is measured, against what, and the goal."""

    #: For `--only` and for `results.json`.
    name: str
    figure: str
    against: str
    goal: float
    #: Measures one pair.
    measure: Callable[[Bench], Sample]
    better: Literal["more", "less"] = "more"
    unit: str = "×"
    #: Fewest pairs in the full form, for figures that scatter.
    runs_at_least: int = 1

    def reached(self, value: float) -> bool:
        """Return whether a figure reaches the goal."""
        return value >= self.goal if self.better == "more" else value <= self.goal


@frozen(kw_only=True)
class Result:
    """What all the pairs of a row gave; no sample where the row cannot be measured here."""

    row: Row
    samples: tuple[Sample, ...]
    problem: str = ""

    @property
    def values(self) -> tuple[float, ...]:
        """The figures of the pairs, in the order they were measured."""
        return tuple(sample.value for sample in self.samples)

    @property
    def median(self) -> float:
        """The figure of the row."""
        return statistics.median(self.values)

    @property
    def short(self) -> bool:
        """Return whether the median falls short of the goal."""
        return bool(self.samples) and not self.row.reached(self.median)

    def beside(self) -> dict[str, float]:
        """Return the medians of what is shown beside the figure."""
        names = self.samples[0].beside if self.samples else ()
        return {name: statistics.median(sample.beside[name] for sample in self.samples) for name in names}
