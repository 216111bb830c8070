"""What must not be, and was found."""

from __future__ import annotations


class Violation(Exception):
    """An invariant that does not hold, in one sentence."""
