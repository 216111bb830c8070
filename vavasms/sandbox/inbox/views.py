"""What the page shows, as plain values, the same for the HTML and for the JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import groupby

from attrs import asdict
from attrs.filters import exclude

from vavasms.sandbox.gateway import Gateway
from vavasms.sandbox.inbox.handset import SentReply
from vavasms.sandbox.journal import InboxMessage
from vavasms.sandbox.messages import describe_message
from vavasms.text.segments import Encoding, count_segments

View = dict[str, object]

_PREVIEW = 100


def show_conversation(message: InboxMessage) -> View:
    """Return the view of a conversation: its last message."""
    return {
        "phone": message.phone,
        "number": message.number,
        "sender_id": message.sender_id,
        "preview": " ".join(message.text[:_PREVIEW].split()),
        "time": message.time,
    }


def show_message(gateway: Gateway, message: InboxMessage) -> View:
    """Return the view of a message; `changes_in` seconds its status is another one (null: never)."""
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
    """Return what a handset answered."""
    return {"reply": True, **asdict(reply, filter=exclude("generation"))}


def show_thread(
    gateway: Gateway,
    messages: Sequence[InboxMessage],
    replies: Sequence[SentReply],
    below: int | None,
    page: int,
) -> View:
    """Return a page of a thread, oldest first, replies in their places; `older` is where the next begins."""
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


def split_by_cost(text: str) -> list[tuple[str, str]]:
    """Split a text into runs of (text, cost): `ucs2` forces Unicode, `double` takes two places, or empty."""
    segmentation = count_segments(text)
    if segmentation.encoding is Encoding.GSM7:
        runs = groupby(text, key=_double) if segmentation.units > len(text) else [("", text)]
        return [("".join(run), cost) for cost, run in runs]
    forcing = {character for _, character in segmentation.offending}
    return [
        ("".join(run), cost)
        for cost, run in groupby(text, lambda letter: "ucs2" if letter in forcing else "")
    ]


@lru_cache(maxsize=256)
def _double(character: str) -> str:
    return "double" if count_segments(character).units == 2 else ""
