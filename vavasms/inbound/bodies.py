"""Read the body of an ASGI request: so many bytes, in so much time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from anyio import move_on_after

from vavasms.inbound import responses
from vavasms.inbound.responses import MAX_BODY, WebhookReply

#: Seconds to send a body whole.
BODY_SECONDS = 10.0
#: A body that is too large is read up to here and dropped: a client that is cut off while it sends does not
#: see the answer.
_MAX_DROPPED = 1_048_576

Receive = Callable[[], Awaitable[Any]]


async def read_body(headers: Iterable[tuple[bytes, bytes]], receive: Receive) -> bytes | WebhookReply | None:
    """Give the body, or the refusal; None where the client is gone."""
    if _declared(headers) > _MAX_DROPPED:
        return responses.TOO_LARGE
    body, size = bytearray(), 0
    with move_on_after(BODY_SECONDS):
        while size <= _MAX_DROPPED:
            event = await receive()
            if event["type"] == "http.disconnect":
                return None
            size += len(event.get("body", b""))
            if size <= MAX_BODY:
                body += event.get("body", b"")
            if not event.get("more_body", False):
                break
        return bytes(body) if size <= MAX_BODY else responses.TOO_LARGE
    return responses.TOO_SLOW


def _declared(headers: Iterable[tuple[bytes, bytes]]) -> int:
    lengths = [value for name, value in headers if name.lower() == b"content-length"]
    return int(lengths[0]) if lengths and lengths[0].isdigit() else 0
