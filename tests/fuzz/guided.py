"""One run of libFuzzer in a process of its own: `python -m tests.fuzz.guided TARGET [libFuzzer's options]`.

libFuzzer ends the process that it ran in, and instruments only what is imported after it.
"""

from __future__ import annotations

import logging
import sys

import atheris

from tests.fuzz.target import TARGETS, load_target


def main() -> None:
    """Fuzz the target until libFuzzer ends the process."""
    name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["vavasms", *TARGETS[name]]):
        target = load_target(name)
    # What a receiver logs of a bad body is what is wanted here.
    logging.disable(logging.CRITICAL)
    atheris.Setup([sys.argv[0], *options], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
