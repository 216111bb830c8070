"""What the page, its data and its stream share."""

from __future__ import annotations

from collections.abc import Mapping

from anyio.lowlevel import checkpoint
from attrs import field, frozen

from vavasms.sandbox.fault_json import describe_faults
from vavasms.sandbox.faults import FaultPlan
from vavasms.sandbox.gateway import Gateway
from vavasms.sandbox.inbox.conversations import PAGE, Index
from vavasms.sandbox.inbox.handset import Handset, SentReply
from vavasms.sandbox.inbox.views import show_conversation, show_thread
from vavasms.sandbox.journal import Entry, InboxMessage, Journal


@frozen(eq=False)
class Inbox:
    """The answers to what the page asks: each a page of the newest, whatever the journal holds."""

    gateway: Gateway
    faults: FaultPlan
    handset: Handset = field(converter=Handset)
    index: Index = field(init=False)

    @index.default
    def _follow(self) -> Index:
        return Index(self.gateway.journal)

    async def conversations(self, wanted: str = "", below: int | None = None) -> dict[str, object]:
        """Return conversations, newest first; `below` says where the next page begins (null: nowhere)."""
        await self.index.catch_up()
        if wanted.strip():
            page, rest = await search(self.gateway.journal, wanted, below)
        else:
            page = self.index.conversations(below)
            rest = page[-1].number if len(page) == PAGE else None
        return {"conversations": [show_conversation(message) for message in page], "below": rest}

    async def thread(self, phone: str, below: int | None = None) -> dict[str, object]:
        """Return what a handset received and answered, oldest first."""
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


async def search(
    journal: Journal, wanted: str, below: int | None = None
) -> tuple[list[InboxMessage], int | None]:
    """Return the last fitting message of each conversation whose number or text holds `wanted`, case apart.

    A page of them, newest first, and the message number below which the next begins; None: that was all.
    """
    folded = wanted.strip().casefold()
    digits = "".join(digit for digit in folded if digit not in " +.-()")
    digits = digits if digits.isascii() and digits.isdigit() else ""
    matches: dict[str, InboxMessage] = {}
    for count, entry in enumerate(journal.backwards(below)):
        if count % _SLICE == _SLICE - 1:
            await checkpoint()
        number = _add_matches(matches, entry, below, _required_digits(entry, folded, digits))
        if number is not None:
            return list(matches.values()), number
    return list(matches.values()), None


def _required_digits(entry: Entry, folded: str, digits: str) -> str | None:
    """Return what the number of a recipient must hold; None: the entry does not fit at all."""
    if folded in entry.message.casefold():
        return ""
    return digits if digits and digits in entry.to else None


def _add_matches(
    matches: dict[str, InboxMessage], entry: Entry, below: int | None, digits: str | None
) -> int | None:
    """Add the fitting recipients of an entry; return the number below a full page, where the next begins."""
    if digits is None:
        return None
    for index, phone in entry.backwards(None if below is None else below - entry.first_id):
        if digits in phone and phone not in matches:
            matches[phone] = entry.message_to(index, phone)
            if len(matches) == PAGE:
                return entry.first_id + index
    return None
