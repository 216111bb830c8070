"""What changes, as a stream to a browser: server-sent events, resumed where they broke off."""

from __future__ import annotations

import json
from collections.abc import Mapping

import anyio
from attrs import define
from starlette.types import Receive, Scope, Send

from vavasms.sandbox.inbox.conversations import PAGE, Version
from vavasms.sandbox.inbox.inbox import Inbox
from vavasms.sandbox.inbox.views import show_message
from vavasms.sandbox.long_poll import SignalWaiter, subscribed, while_connected

# A browser is told of a burst at most ten times a second, and of the newest page of it.
_REST = 0.1
_AGAIN = "retry: 1000\n\n"


@define(eq=False)
class EventStream:
    """The stream to one browser, for as long as it listens."""

    inbox: Inbox
    #: How far the browser has seen: an event's id, of this sandbox or any other.
    seen: str
    #: After how many seconds without news it says so: else neither side notices that the other is gone.
    silence: float = 15.0
    _sent: Mapping[str, object] = {}

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client leaves or the server stops."""
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        with subscribed(self.inbox.gateway.journal.signal, self.inbox.faults.signal) as waiter:
            await while_connected(receive, lambda: self._stream(waiter, send))

    async def _stream(self, waiter: SignalWaiter, send: Send) -> None:
        seen, text = Version.parse(self.seen), _AGAIN
        while True:
            await self.inbox.index.catch_up()
            version = self.inbox.index.version
            text += self._messages(seen, version) + self._state()
            seen = version
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
            await anyio.sleep(_REST)
            text = ": still here\n\n"
            with anyio.move_on_after(self.silence):
                await waiter.wait()
                text = ""

    def _state(self) -> str:
        """Return what is other than what was sent before."""
        state = {name: value for name, value in self.inbox.state().items() if self._sent.get(name) != value}
        self._sent = {**self._sent, **state}
        return "".join(_event(name, value) for name, value in state.items())

    def _messages(self, seen: Version | None, version: Version) -> str:
        """Return what came, oldest first; `reset` where only a look at everything helps."""
        newer, totals = self.inbox.index.newer(seen, version), self.inbox.index.totals
        if seen is None or newer is None:
            return _event("reset", totals, str(version))
        if not newer:
            return ""
        shown = [show_message(self.inbox.gateway, message) for message in reversed(newer)]
        more = len(newer) == PAGE and newer[-1].number > seen[2] + 1
        return _event("messages", {"messages": shown, "more": more, "totals": totals}, str(version))


def _event(name: str, value: object, identity: str = "") -> str:
    """Return an event; JSON without line breaks is one line of data."""
    return (f"id: {identity}\n" if identity else "") + f"event: {name}\ndata: {json.dumps(value)}\n\n"
