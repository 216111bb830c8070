"""A guard that keeps a run of tests from the real gateway.

The pytest plugin puts the barrier up; a process that is started meanwhile finds it in its environment. The
plugin is loaded at the start of every project's tests: what it needs of this module imports next to nothing.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

#: Where it is set, the barrier is up from the start of the process.
VARIABLE = "VAVASMS_NO_GATEWAY"
#: What the plugin names as base URL where nobody else does. Nobody listens there: other programs fail too.
REFUSED_URL = "http://127.0.0.1:1/the-real-gateway-is-refused-in-tests"
#: The base URL in the environment of a test whose sandbox has no server.
SERVERLESS_URL = "http://127.0.0.1:1/this-sandbox-has-no-server"


class BarredError(Exception):
    """Stop the first step towards a gateway that may not be reached."""


class Barrier:
    """Up or down, and what it stopped; one for the process.

    Kept here and not looked up each time: a test that empties its environment must not open the way.
    """

    def __init__(self) -> None:
        self.is_up = bool(os.environ.get(VARIABLE))
        self._stopped: list[str] = []

    def stop(self, sentence: str) -> None:
        """Note what is stopped, and raise `BarredError`."""
        self._stopped.append(sentence)
        raise BarredError(sentence)

    def take(self) -> list[str]:
        """Return what was stopped since the last time."""
        stopped, self._stopped = self._stopped, []
        return stopped


barrier = Barrier()


class Gate:
    """The way to one gateway: open, but for a real one while the barrier is up.

    It closes when something goes to the network, by httpcore's public `trace` extension. What never comes so
    far (respx, a `MockTransport`, an ASGI application) is not disturbed. Loopback and names under `.invalid`,
    which is nobody's by RFC 6761, are no real gateway.
    """

    def __init__(self, base_url: str) -> None:
        from vavasms.config import is_loopback

        host = urlsplit(base_url).hostname or ""
        self._is_never_open = base_url in (REFUSED_URL, SERVERLESS_URL)
        self._is_real = not (is_loopback(host) or host.lower().endswith(".invalid"))
        self._sentence = _explain(f" ({host})" if self._is_real else "", base_url)

    @property
    def is_shut(self) -> bool:
        """Whether nothing may go this way now."""
        return self._is_never_open or (self._is_real and barrier.is_up)

    @property
    def extensions(self) -> dict[str, Any]:
        """What a request needs so that it is stopped; nothing where the way is open."""
        # Whatever comes first stops it: the names of the events may change, and no open connection is used.
        return {"trace": self._stop} if self.is_shut else {}

    async def _stop(self, *_event: object) -> None:
        barrier.stop(self._sentence)


def _explain(host: str, base_url: str) -> str:
    """Return what whoever wrote the test is told."""
    from vavasms.i18n import gettext

    if base_url == SERVERLESS_URL:
        return gettext(
            "This sandbox has no server: make the client with vavasms_sandbox.client() or "
            "vavasms_sandbox.sync_client(), or leave in_process out of the marker."
        )
    return gettext(
        "This test would have reached the real gateway{host}: use the fixture vavasms_sandbox and make "
        "the client after it, or mark the test with @pytest.mark.vavasms(real=True).",
        host=host,
    )
