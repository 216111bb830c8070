"""The thread with an asyncio event loop that all who wait without await share."""

from __future__ import annotations

import os
from contextlib import suppress

from anyio.from_thread import BlockingPortal, BlockingPortalProvider


class SharedPortal:
    """The one portal of the process, started with the first lease and stopped after the last.

    Always asyncio: a trio portal inside trio deadlocks.
    """

    def __init__(self) -> None:
        self.provider = BlockingPortalProvider("asyncio")
        self._portal: BlockingPortal | None = None

    def enter(self) -> tuple[BlockingPortalProvider, BlockingPortal]:
        """Take a lease; leave the provider that is given to end it."""
        self._portal = self.provider.__enter__()
        return self.provider, self._portal

    def forget(self) -> None:
        """Start afresh in a forked child: its copy of the portal has lost its thread."""
        if self._portal is not None:
            # Stopped, as far as the copy can be: its clean-up would wait for the lost thread for ever.
            with suppress(StopIteration, RuntimeError):
                self._portal.stop().send(None)
        self.provider, self._portal = BlockingPortalProvider("asyncio"), None


shared = SharedPortal()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=shared.forget)
