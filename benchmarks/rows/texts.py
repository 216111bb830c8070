"""Counting segments: `count_segments` against `smsutil`, with the same counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import smsutil

from benchmarks.made import make_french_texts
from benchmarks.model import Bench, Row, Sample
from vavasms import count_segments


def measure_counting(bench: Bench) -> Sample:
    """Compare texts counted a second; the other counts the first ones of the same list."""
    count, taken = bench.size(100_000, 2_000), bench.size(10_000, 500)
    texts = bench.once("texts", lambda: make_french_texts(count))
    sample = texts[:taken]
    mine = _rate(count_with_ours, texts)
    theirs = _rate(count_with_smsutil, sample)
    assert count_with_ours(sample) == count_with_smsutil(sample)
    note = f"{count:,} texts, theirs {taken:,} of them"
    return Sample(value=mine / theirs, ours=mine, theirs=theirs, note=note)


def count_with_ours(texts: Sequence[str]) -> list[int]:
    """Count the segments of each text."""
    return [count_segments(text).segments for text in texts]


def count_with_smsutil(texts: Sequence[str]) -> list[int]:
    """Do the same by splitting each text, which is how that library counts."""
    return [len(smsutil.split(text).parts) for text in texts]


def _rate(count: Callable[[Sequence[str]], object], texts: Sequence[str]) -> float:
    # Nothing here waits: the CPU's time says the same as the clock, whatever else the machine does.
    started = time.process_time()
    count(texts)
    return len(texts) / (time.process_time() - started)


ROWS = (
    Row(
        name="count-segments",
        figure="`count_segments`, texts/s, 100,000 French texts",
        against="`smsutil.split`, same counts",
        goal=10,
        measure=measure_counting,
    ),
)
