"""Stream what changes to a browser: server-sent events, resumed where they broke off."""

from __future__ import annotations

import json
from collections.abc import Mapping

import anyio
from attrs import define
from starlette.types import Receive, Scope, Send

from vavasms.sandbox.inbox.conversations import PAGE, Version
from vavasms.sandbox.inbox.inbox import Inbox
from vavasms.sandbox.inbox.views import show_message
from vavasms.sandbox.waiting import SignalWaiter, hearing, unless_gone

__all__ = ["EventStream"]

# A browser is told of a burst at most ten times a second, and of the newest page of it.
_REST = 0.1
_AGAIN = "retry: 1000\n\n"


@define(eq=False)
class EventStream:
    """Answer one browser for as long as it listens."""

    #: What there is.
    inbox: Inbox
    #: How far the browser has seen: an event's id, of this sandbox or any other.
    seen: str
    #: After how many seconds without news it says so: else neither side notices that the other is gone.
    silence: float = 15.0
    _told: Mapping[str, object] = {}

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client leaves or the server stops."""
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        with hearing(self.inbox.gateway.journal.bell, self.inbox.faults.bell) as ear:
            await unless_gone(receive, lambda: self._talk(ear, send))

    async def _talk(self, ear: SignalWaiter, send: Send) -> None:
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
                await ear.wait()
                text = ""

    def _state(self) -> str:
        """Write what is other than what was told before."""
        state = {name: value for name, value in self.inbox.state().items() if self._told.get(name) != value}
        self._told = {**self._told, **state}
        return "".join(_event(name, value) for name, value in state.items())

    def _messages(self, seen: Version | None, version: Version) -> str:
        """Write what came, oldest first; `reset` where only a look at everything helps."""
        newer, totals = self.inbox.index.newer(seen, version), self.inbox.index.totals
        if seen is None or newer is None:
            return _event("reset", totals, str(version))
        if not newer:
            return ""
        shown = [show_message(self.inbox.gateway, message) for message in reversed(newer)]
        more = len(newer) == PAGE and newer[-1].number > seen[2] + 1
        return _event("messages", {"messages": shown, "more": more, "totals": totals}, str(version))


def _event(name: str, value: object, identity: str = "") -> str:
    """Write an event; JSON without line breaks is one line of data."""
    return (f"id: {identity}\n" if identity else "") + f"event: {name}\ndata: {json.dumps(value)}\n\n"
