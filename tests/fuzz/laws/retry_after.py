"""Any Retry-After is a wait from 0 to 120 seconds, or nothing: the number where it is one, the date's distance."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from tests.fuzz.target import Target, words
from vavasms.transport.retry import MAX_RETRY_AFTER, read_retry_after

_NOW = datetime(2025, 6, 15, 12, 0, 0, tzinfo=UTC)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_BLANKS = " \t\r\n\x0b\x0c"


def check_header(data: bytes) -> None:
    """Read the bytes as a header's text in both ways that clients decode it, and their sum as a date."""
    for encoding in ("latin-1", "utf-8"):
        _check(data.decode(encoding, "surrogateescape"))
    # Ten thousand years, there and back.
    offset = int.from_bytes(data[:5], "little") % (2 * 60_000_000_000) - 60_000_000_000
    assert read_retry_after(_write_date(offset), _NOW) == min(max(offset, 0), MAX_RETRY_AFTER)


def _check(text: str) -> None:
    wait = read_retry_after(text, _NOW)
    assert wait is None or (math.isfinite(wait) and 0 <= wait <= MAX_RETRY_AFTER)
    digits = text.strip(_BLANKS)
    if digits and set(digits) <= set("0123456789"):
        bare = digits.lstrip("0") or "0"
        assert wait == (int(bare) if len(bare) <= 3 and int(bare) < MAX_RETRY_AFTER else MAX_RETRY_AFTER)


def _write_date(offset: int) -> str:
    """Write the date of RFC 9110 that is so many seconds from now."""
    date = _NOW + timedelta(seconds=offset)
    day, month = _DAYS[date.weekday()], _MONTHS[date.month - 1]
    return f"{day}, {date.day:02} {month} {date.year:04} {date:%H:%M:%S} GMT"


TARGET = Target(
    check=check_header,
    seeds=(
        b"1",
        b"120",
        b"0",
        b"Sun, 15 Jun 2025 12:01:00 GMT",
        b"Sunday, 15-Jun-25 12:01:00 GMT",
        b"Sun Jun 15 12:01:00 2025",
        b"Sun, 15 Jun 2025 12:01:00 +0200",
        b"15 Jun 2025 12:01",
    ),
    tokens=words(
        r"""
        Sun,\x20 Jun Sunday GMT UTC EST +0000 -2359 +9999 -0000 2025 0000 9999 -1 1e9 .5 inf nan : 12:00:60
        99 \xd9\xa3 \x20 \t AM (
        """
    ),
    longest=256,
    smoke=200,
)
