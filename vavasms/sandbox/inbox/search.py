"""Look for conversations by a number or a text."""

from __future__ import annotations

from anyio.lowlevel import checkpoint
from attrs import frozen

from vavasms.sandbox.inbox.conversations import PAGE
from vavasms.sandbox.journal import Entry, InboxMessage, Journal

__all__ = ["Found", "search"]

# How many entries are looked at between two looks of the event loop: a few milliseconds.
_SLICE = 2048


@frozen
class Found:
    """Hold a page of what was found."""

    #: The last fitting message of each conversation, newest first.
    messages: list[InboxMessage]
    #: Where the next page begins: below this message number; None: that was all.
    below: int | None


async def search(journal: Journal, wanted: str, below: int | None = None) -> Found:
    """Find a page of conversations whose number or text holds `wanted`, case apart."""
    folded = wanted.strip().casefold()
    digits = "".join(one for one in folded if one not in " +.-()")
    digits = digits if digits.isascii() and digits.isdigit() else ""
    found: dict[str, InboxMessage] = {}
    for count, entry in enumerate(journal.backwards(below)):
        if count % _SLICE == _SLICE - 1:
            await checkpoint()
        number = _take(found, entry, below, _numbers(entry, folded, digits))
        if number is not None:
            return Found(list(found.values()), number)
    return Found(list(found.values()), None)


def _numbers(entry: Entry, folded: str, digits: str) -> str | None:
    """Tell what the number of a recipient must hold; None: the entry does not fit at all."""
    if folded in entry.message.casefold():
        return ""
    return digits if digits and digits in entry.to else None


def _take(found: dict[str, InboxMessage], entry: Entry, below: int | None, digits: str | None) -> int | None:
    """Add the fitting recipients of an entry; a full page: the number below which the next begins."""
    if digits is None:
        return None
    for index, phone in entry.backwards(None if below is None else below - entry.first_id):
        if digits in phone and phone not in found:
            found[phone] = entry.message_to(index, phone)
            if len(found) == PAGE:
                return entry.first_id + index
    return None
