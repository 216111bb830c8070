"""`python -m vavasms`, and the `vavasms` command."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command line, or exit with what it needs."""
    if find_spec("cyclopts") is None or find_spec("rich") is None:
        sys.exit("The command line needs its extra: pip install 'vavasms[cli]'.")
    from vavasms.cli import run

    sys.exit(run())


if __name__ == "__main__":
    main()
