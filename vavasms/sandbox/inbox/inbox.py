"""Hold what the page, its data and its stream share."""

from __future__ import annotations

from collections.abc import Mapping

from anyio.lowlevel import checkpoint
from attrs import field, frozen

from vavasms.sandbox.fault_json import describe_faults
from vavasms.sandbox.faults import FaultPlan
from vavasms.sandbox.gateway import Gateway
from vavasms.sandbox.inbox.conversations import PAGE, Index
from vavasms.sandbox.inbox.handset import Handset, Inbound, SentReply
from vavasms.sandbox.inbox.views import show_conversation, show_thread
from vavasms.sandbox.journal import Entry, InboxMessage, Journal

__all__ = ["Found", "Inbox", "search"]


@frozen(eq=False)
class Inbox:
    """Answer what the page asks; every answer is a page of the newest, whatever the journal holds."""

    #: The state.
    gateway: Gateway
    #: What goes wrong.
    faults: FaultPlan
    #: Answers as the handsets.
    handset: Handset
    #: The conversations.
    index: Index = field()

    @index.default
    def _follow(self) -> Index:
        return Index(self.gateway.journal)

    @classmethod
    def open(cls, gateway: Gateway, faults: FaultPlan, inbound: Inbound | None) -> Inbox:
        """Begin with nothing read."""
        return cls(gateway, faults, Handset(inbound))

    async def conversations(self, wanted: str = "", below: int | None = None) -> dict[str, object]:
        """List conversations, newest first; `below` says where the next page begins (null: nowhere)."""
        await self.index.catch_up()
        if wanted.strip():
            found = await search(self.gateway.journal, wanted, below)
            page, rest = found.messages, found.below
        else:
            page = self.index.conversations(below)
            rest = page[-1].number if len(page) == PAGE else None
        return {"conversations": [show_conversation(message) for message in page], "below": rest}

    async def thread(self, phone: str, below: int | None = None) -> dict[str, object]:
        """List what a handset received and answered, oldest first."""
        await self.index.catch_up()
        messages = self.index.thread(phone, below)
        replies = self.handset.replies(phone, self.index.version[1])
        return {"phone": phone, **show_thread(self.gateway, messages, replies, below, PAGE)}

    async def reply(self, phone: str, text: str) -> SentReply:
        """Answer as a handset."""
        await self.index.catch_up()
        newest = next((message.number for message in self.index.thread(phone)), 0)
        return await self.handset.reply(phone, text, after=newest, generation=self.index.version[1])

    def state(self) -> Mapping[str, object]:
        """Return what is shown beside the messages."""
        return {
            "balance": str(self.gateway.balance),
            "faults": describe_faults(self.faults),
            "magic": [magic.phone for magic in list(self.gateway.recent_magic)],
        }


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
    """Return what the number of a recipient must hold; None: the entry does not fit at all."""
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
