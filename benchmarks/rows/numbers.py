"""Reading numbers: `parse_msisdn` against `phonenumbers`, with the same verdicts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import phonenumbers

from benchmarks.made import make_written_numbers
from benchmarks.model import Bench, Row, Sample
from vavasms import InvalidNumberError, parse_msisdn


def measure_parsing(bench: Bench) -> Sample:
    """Compare numbers read a second; the other reads a sample of the same list."""
    count, taken = bench.size(1_000_000, 10_000), bench.size(50_000, 1_000)
    numbers = bench.once("numbers", lambda: make_written_numbers(count))
    # A prime step, so that every form and every spoilt number has its chance.
    sample = [numbers[at * 19 % count] for at in range(taken)]
    international = [_with_plus(text) for text in sample]
    mine = _rate(read_with_ours, numbers)
    theirs = _rate(read_with_phonenumbers, international)
    kept = _rate_keeping(numbers)
    assert [*map(read_with_ours, sample)] == [*map(read_with_phonenumbers, international)]
    note = f"{count:,} numbers, theirs {taken:,} of them; 1 in 100 is invalid"
    beside = {"with every result kept in a list": kept / theirs}
    return Sample(value=mine / theirs, ours=mine, theirs=theirs, beside=beside, note=note)


def read_with_ours(text: str) -> str | None:
    """Read a number to its digits, None where it is no mobile number."""
    try:
        return parse_msisdn(text)
    except InvalidNumberError:
        return None


def read_with_phonenumbers(text: str) -> str | None:
    """Do the same with `parse` and `is_valid_number`, which need the `+`."""
    number = phonenumbers.parse(text, None)
    if not phonenumbers.is_valid_number(number):
        return None
    return f"{number.country_code}{_national(number)}"


def _national(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.national_significant_number(number)


def _with_plus(text: str) -> str:
    # Outside the clock, in favour of the other: it reads neither the wire's form nor 00 by itself.
    return "+" + text.removeprefix("+").removeprefix("00")


def _rate(read: Callable[[str], object], texts: Sequence[str]) -> float:
    # Nothing here waits: the CPU's time says the same as the clock, whatever else the machine does.
    # Nothing is kept, as in a bulk send: a million results would cost page faults that a sample is spared.
    started = time.process_time()
    for text in texts:
        read(text)
    return len(texts) / (time.process_time() - started)


def _rate_keeping(texts: Sequence[str]) -> float:
    started = time.process_time()
    kept = [read_with_ours(text) for text in texts]
    return len(kept) / (time.process_time() - started)


ROWS = (
    Row(
        name="parse-msisdn",
        figure="`parse_msisdn`, numbers/s, a million of eight countries in four forms",
        against="`phonenumbers.parse` + `is_valid_number`, same verdicts",
        goal=10,
        measure=measure_parsing,
    ),
)
