"""`python -m tests.model`: search every state of the model, and compare a sample with the real ledgers."""

from __future__ import annotations

import sys

from tests.model.report import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
