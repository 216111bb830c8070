"""Whether Django's test environment is set up, in which no SMS leaves."""

from __future__ import annotations

import sys


def in_test() -> bool:
    """Return whether tests run: between Django's `setup_test_environment` and `teardown_test_environment`.

    `mail.outbox` is no sign of it: a live process that keeps its mails in memory has one too.
    """
    # Whoever set it up has imported this module, and a live process need not.
    state = getattr(sys.modules.get("django.test.utils"), "_TestState", None)
    return hasattr(state, "saved_data")
