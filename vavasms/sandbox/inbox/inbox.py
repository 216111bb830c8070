"""Hold what the page, its data and its stream share."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from vavasms.sandbox.fault_json import describe_faults
from vavasms.sandbox.faults import FaultPlan
from vavasms.sandbox.gateway import Gateway
from vavasms.sandbox.inbox.conversations import PAGE, Index
from vavasms.sandbox.inbox.handset import Handset, Inbound, SentReply
from vavasms.sandbox.inbox.search import search
from vavasms.sandbox.inbox.views import show_conversation, show_thread

__all__ = ["Desk"]


@frozen(eq=False)
class Desk:
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
    def open(cls, gateway: Gateway, faults: FaultPlan, inbound: Inbound | None) -> Desk:
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
        """Tell what is shown beside the messages."""
        return {
            "balance": str(self.gateway.balance),
            "faults": describe_faults(self.faults),
            "magic": [magic.phone for magic in list(self.gateway.recent_magic)],
        }
