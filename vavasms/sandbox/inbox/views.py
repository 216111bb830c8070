"""What the page shows, as plain values, the same for the HTML and for the JSON."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import groupby

from vavasms.sandbox.gateway import Gateway
from vavasms.sandbox.inbox.handset import SentReply
from vavasms.sandbox.journal import InboxMessage
from vavasms.sandbox.messages import describe_message
from vavasms.text.segments import Encoding, count_segments

__all__ = ["show_conversation", "show_message", "show_reply", "show_thread", "show_time", "split_by_cost"]


View = dict[str, object]

_PREVIEW = 100


def show_conversation(message: InboxMessage) -> View:
    """Show a conversation by its last message."""
    return {
        "phone": message.phone,
        "number": message.number,
        "sender_id": message.sender_id,
        "preview": " ".join(message.text[:_PREVIEW].split()),
        "time": message.time,
    }


def show_message(gateway: Gateway, message: InboxMessage) -> View:
    """Show a message; `changes_in` seconds its status is another one (null: never)."""
    parts = split_by_cost(message.text)
    costly = dict.fromkeys("".join(text for text, cost in parts if cost))
    return {
        **describe_message(gateway, message),
        **show_conversation(message),
        "parts": parts,
        "costly": list(costly)[:8],
        "changes_in": gateway.delivery.changes_in(message.phone, gateway.now() - message.time),
    }


def show_reply(reply: SentReply) -> View:
    """Show what a handset answered."""
    return {
        "reply": True,
        "message_id": reply.message_id,
        "phone": reply.phone,
        "text": reply.text,
        "time": reply.time,
        "after": reply.after,
        "status": reply.status,
        "error": reply.error,
    }


def show_thread(
    gateway: Gateway,
    messages: Sequence[InboxMessage],
    replies: Sequence[SentReply],
    below: int | None,
    page: int,
) -> View:
    """Show a page of a thread, oldest first, replies in their places; `older` is where the next begins."""
    older = messages[-1].number if len(messages) == page else None
    least = older or 0
    items: list[tuple[int, int, Mapping[str, object]]] = [
        (message.number, 0, show_message(gateway, message)) for message in messages
    ]
    items += [
        (reply.after, place, show_reply(reply))
        for place, reply in enumerate(replies, 1)
        if least <= reply.after and (below is None or reply.after < below)
    ]
    items.sort(key=lambda item: item[:2])
    return {"items": [item[2] for item in items], "older": older}


def show_time(seconds: float) -> str:
    """Show a time of today as hours and minutes, any other with its date, in this machine's zone."""
    then, now = time.localtime(seconds), time.localtime()
    return time.strftime("%H:%M" if then[:3] == now[:3] else "%Y-%m-%d %H:%M", then)


def split_by_cost(text: str) -> list[tuple[str, str]]:
    """Split a text into runs of (text, cost): `ucs2` forces Unicode, `double` takes two places, or empty."""
    found = count_segments(text)
    if found.encoding is Encoding.GSM7:
        runs = groupby(text, key=_double) if found.units > len(text) else [("", text)]
        return [("".join(run), cost) for cost, run in runs]
    forcing = {character for _, character in found.offending}
    return [("".join(run), cost) for cost, run in groupby(text, lambda one: "ucs2" if one in forcing else "")]


@lru_cache(maxsize=256)
def _double(character: str) -> str:
    return "double" if count_segments(character).units == 2 else ""
