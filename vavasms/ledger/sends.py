"""Single sends in a ledger: the values that go in and out, and what every store of them must do.

A single send has a key, by which a call that is made again finds what became of the first one. Its states,
its protocol and its outcomes are those of a campaign's batch.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Protocol

from attrs import field, frozen

from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.ledger.models import BatchRecord
from vavasms.ledger.send_record import SendKind, SendRecord
from vavasms.ledger.states import BatchEvent, BatchState
from vavasms.numbers import Msisdn

#: Characters of a key, at most.
MAX_KEY = 255
#: What the keys begin with that are made for calls without one.
OWN_KEY = "auto-"
#: How often an enqueued send that goes nowhere is tried before a person must look.
MAX_ATTEMPTS = 5


@frozen(kw_only=True)
class NewSend:
    """A send as its caller asks for it."""

    #: Whose account pays. Never a password.
    account: str = field(repr=False)
    key: str
    kind: SendKind = SendKind.TEXT
    recipients: tuple[Msisdn, ...]
    #: None: that of whoever sends it.
    sender_id: str | None
    #: SMS to pay per recipient.
    segments: int
    #: The text, or the options of a code.
    text: str = field(repr=False)
    #: Whether the text is kept beyond its outcome.
    keeps_text: bool = False
    #: A worker sends it, not before `not_before` (seconds since the epoch); False: whoever calls.
    is_enqueued: bool = False
    not_before: float = 0.0

    @property
    def content(self) -> bytes:
        """What two calls with one key must have in common."""
        head = (self.kind.value, self.sender_id or "", ",".join(self.recipients))
        return "\n".join((*head, self.text)).encode()


@frozen(kw_only=True)
class SendClaim:
    """A committed intent: the right to make one call."""

    account: str = field(repr=False)
    key: str
    kind: SendKind
    #: New for each attempt; TX2 is fenced by it.
    token: str
    #: When it was committed.
    at: float
    attempt: int
    recipients: tuple[Msisdn, ...]
    sender_id: str | None
    segments: int
    #: Empty where the caller has it.
    text: str = field(repr=False)
    is_enqueued: bool


class SendStore(Protocol):
    """Where single sends are kept: `Ledger.sends`. Each method is one committed transaction.

    Times are seconds since the epoch and passed in. Raises `LedgerError` where it cannot be written or read:
    then nothing may be sent on the strength of it.
    """

    async def begin(self, new: NewSend, *, token: str, now: float) -> SendClaim | SendRecord:
        """TX1: commit the intent to send, or return what is there under its key.

        A key that was never used, and one whose send was rejected or not sent, is claimed. What the process
        that had it under way left behind is unknown from now on. Raises `IdempotencyConflictError` where the
        key stands for something else that was accepted, is unknown or under way.
        """
        ...

    async def enqueue(self, new: NewSend, *, now: float) -> SendRecord:
        """Keep a send for a worker, as `begin` would claim it; return what is there under its key."""
        ...

    async def claim_due(self, account: str, *, token: str, now: float, limit: int) -> Sequence[SendClaim]:
        """TX1 of what is enqueued and due, the oldest first; each gets a token that begins with `token`."""
        ...

    async def settle(
        self, claim: SendClaim, event: BatchEvent, record: BatchRecord, *, now: float, not_before: float = 0.0
    ) -> bool:
        """TX2: write what became of a claim; False, and nothing written, where it is another attempt's.

        What is requeued waits until `not_before` where a worker sends it, at most `MAX_ATTEMPTS` times; else
        it is not sent. The text goes once it is accepted or rejected, unless it is to be kept.
        """
        ...

    async def abandon(self, account: str, key: str, token: str) -> bool:
        """Take back a claim whose own answer was lost: nothing was sent on the strength of it."""
        ...

    async def abandon_due(self, account: str, token: str, *, limit: int) -> None:
        """Take back, as if they had never been claimed, the claims of a `claim_due` whose answer was lost."""
        ...

    def give_up(self, *tokens: str) -> None:
        """Note, without a transaction, that nobody will write the outcome of these claims.

        They are unknown to whoever begins, decides or reaps next by this ledger; to all others once it is
        closed with nothing under way.
        """
        ...

    async def find(self, account: str, key: str) -> SendRecord | None:
        """Return what is kept under a key."""
        ...

    async def accounts(self, key: str) -> Sequence[str]:
        """Return the accounts that have a send with a key, in order."""
        ...

    async def records(
        self, account: str | None, *, states: Collection[BatchState], since: float, limit: int
    ) -> Sequence[SendRecord]:
        """Return the sends of an account, or of all, created since then, the latest first."""
        ...

    async def reached(self, since: float) -> frozenset[int]:
        """Return the numbers that were sent to since then, by any account, or may have been."""
        ...

    async def resolve(
        self, account: str, key: str, *, sent: bool, again: bool, note: str, now: float
    ) -> SendRecord:
        """Write what a person found out of an unknown send; return what it is now.

        `sent`: it is accepted. Not sent: its key may be used anew, and with `again` a worker sends it.
        Raises `InvalidInputError` where there is no such send, it is not unknown, whoever had it under way
        might still send, or its text is not kept and it is to be sent again.
        """
        ...

    async def reap(self, *, now: float) -> int:
        """Make unknown what processes that ended had under way; return how many those were."""
        ...

    async def serve(self, account: str) -> None:
        """Note that a worker of this account serves the ledger: who enqueues in SQL need not name it."""
        ...

    async def untold(self, account: str, *, before: float, limit: int) -> Sequence[SendRecord]:
        """Return enqueued sends that had their outcome before then, of which nobody was told yet."""
        ...

    async def note_told(self, record: SendRecord) -> None:
        """Note that somebody was told of this outcome; of another one that it has meanwhile nobody was."""
        ...

    async def purge(self, *, account: str | None, before: float, limit: int, since: float = 0.0) -> int:
        """Forget at most so many sends that had their outcome `since` and `before` then; return how many.

        Never one that is unknown: that is for a person to decide.
        """
        ...

    async def aclose(self) -> None:
        """End the right to be taken for alive."""
        ...


def check_key(key: str) -> str:
    """Return an idempotency key. Raises `InvalidInputError` for what can be none."""
    if not isinstance(key, str) or not key:
        text = _("idempotency_key is a text of at least one character. Nothing was sent.")
    elif len(key) > MAX_KEY:
        text = _(
            "idempotency_key has at most {most} characters; this one has {length}. Nothing was sent.",
            most=MAX_KEY,
            length=len(key),
        )
    elif not key.isprintable():
        text = _(
            "idempotency_key has printable characters only, no line end and no control character. "
            "Nothing was sent."
        )
    else:
        return key
    raise InvalidInputError(text, error_code="idempotency.key", argument="idempotency_key")


def digest(salt: bytes, content: bytes) -> bytes:
    """Return what is kept of a content: it can be compared, and not read."""
    return sha256(salt + content).digest()
