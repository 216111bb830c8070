"""Whether a transport may still be used, and by this process."""

from __future__ import annotations

import os

from vavasms.config import misconfigured
from vavasms.errors import Outcome
from vavasms.wire.requests import CallKind


class Lifetime:
    """From the making of a transport to its closing, in one process."""

    def __init__(self) -> None:
        self.closed = False
        self._pid = os.getpid()

    @property
    def is_forked(self) -> bool:
        """Whether this is a copy, in a child process, of a transport that the parent may be using."""
        return os.getpid() != self._pid

    def check(self, kind: CallKind, refusal: str | None = None) -> None:
        """Refuse a call with a `ConfigurationError` where it cannot be made; nothing was sent then.

        `refusal` says why it cannot be made in this event loop.
        """
        why = "The client is closed: make a new one." if self.closed else refusal
        if self.is_forked:
            # Its connections are shared with the parent: each would read the other's replies.
            why = "The client was made before a fork: make a new one in the child process."
        if why is not None:
            error = misconfigured(why)
            error.outcome = None if kind is CallKind.READ else Outcome.NOT_SENT
            raise error
