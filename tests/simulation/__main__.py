"""`python -m tests.simulation`: run seeds, and show the first that breaks a promise, with its fewest faults."""

from __future__ import annotations

from tests.simulation import hooks

hooks.install()

from tests.simulation.command import main  # noqa: E402  the program reads the clock as it is loaded

if __name__ == "__main__":
    raise SystemExit(main())
