"""The steps of the model as calls of a ledger, whichever it is."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from math import inf
from typing import NamedTuple

from tests.model.effects import ACCOUNT, CAMPAIGN, KEY, PHONES, SENDER, TEXT
from vavasms.campaigns.limits import change_limits
from vavasms.errors import IdempotencyConflictError, InvalidInputError
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import BatchRecord, Claim
from vavasms.ledger.send_record import SendKind, SendRecord
from vavasms.ledger.sends import NewSend, SendClaim, SendStore
from vavasms.ledger.states import BatchEvent

#: Segments that the campaign may cost: one that does not suffice for all, and one that does for most resends.
BUDGETS = (2, 5)
#: What a ledger keeps of an answer, with a message id and without.
ACCEPTED = BatchRecord(lot_id="L", message_ids=("m1",))
FAILED = BatchRecord(error="an error")
#: The token of a send; of what is claimed for a worker, the first of several.
TOKEN, TOKENS = "t-0", "t"


class Step(NamedTuple):
    """A transaction on a campaign: its name, the batch that it is about, and what else it is told."""

    name: str
    number: int = -1
    detail: object = None
    #: Whether it comes with the batch's token; else with an older one.
    is_holder: bool = True


class SendStep(NamedTuple):
    """A transaction on a single send: its name, and what it is told."""

    name: str
    detail: object = None
    worker: int = 0
    #: Whether it comes with the send's token; else with an older one.
    is_holder: bool = True


class CampaignCalls:
    """The steps of a campaign. Each method is a step's name, and returns what the ledger does."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        #: The ledger's own time.
        self.now = 0.0
        #: Before when a batch was claimed that a person has sent again.
        self.sent_before = inf
        #: How often the campaign was started, as it is known before a step.
        self.revision = 0
        #: The tokens of the batches that have one, and of the next claim.
        self.tokens: dict[int, str] = {}
        self.next_token = "new"
        #: Whom the batches are for, by their places in `PHONES`.
        self.people: dict[int, tuple[int, ...]] = {}

    async def do(self, step: Step) -> str:
        """Take a step; return what was answered."""
        found: object = False
        with suppress(InvalidInputError):
            found = await getattr(self, step.name)(step)
        if isinstance(found, Claim):
            return "granted " + ",".join([str(PHONES.index(each)) for each in found.recipients])
        return "done" if found else "refused"

    async def claim(self, step: Step) -> Claim | None:
        """Claim it by the limits of this start, of an earlier one, or of any."""
        revision = {"same": self.revision, "stale": self.revision - 1, "any": None}[str(step.detail)]
        return await self.ledger.claim(
            CAMPAIGN, step.number, token=self.next_token, worker="w", now=self.now, revision=revision
        )

    async def settle(self, step: Step) -> bool:
        """Write an answer."""
        assert isinstance(step.detail, BatchEvent)
        record = ACCEPTED if step.detail is BatchEvent.ACCEPT else FAILED
        return await self.ledger.settle(self._claim_of(step), step.detail, record)

    async def abandon(self, step: Step) -> bool:
        """Take a claim back."""
        return await self.ledger.abandon(CAMPAIGN, step.number, self._token(step))

    async def split(self, step: Step) -> object:
        """Split it."""
        return await self.ledger.split(self._claim_of(step))

    async def mark_sent(self, step: Step) -> int:
        """Take it for accepted."""
        return await self.ledger.mark_sent(CAMPAIGN, [step.number], note="seen")

    async def resend(self, step: Step) -> int:
        """Queue it again, however late it was claimed: a ledger that is shared knows better."""
        return await self.ledger.resend(CAMPAIGN, [step.number], sent_before=self.sent_before)

    async def start(self, step: Step) -> bool:
        """Start the campaign."""
        return await self.ledger.start(CAMPAIGN)

    async def pause(self, step: Step) -> bool:
        """Pause this start of it, or an earlier one."""
        revision = self.revision if step.detail == "same" else self.revision - 1
        return await self.ledger.pause(CAMPAIGN, "lunch", revision=revision)

    async def cancel(self, step: Step) -> bool:
        """Cancel it."""
        return await self.ledger.cancel(CAMPAIGN, "enough")

    async def finish(self, step: Step) -> bool:
        """Finish it."""
        return await self.ledger.finish(CAMPAIGN)

    async def limit(self, step: Step) -> bool:
        """Set another budget."""
        assert isinstance(step.detail, int)
        await change_limits(self.ledger, CAMPAIGN, budget=Decimal(BUDGETS[step.detail]))
        return True

    async def purge(self, step: Step) -> bool:
        """Purge it."""
        await self.ledger.purge(CAMPAIGN)
        return True

    async def opt_out(self, step: Step) -> int:
        """Put someone on the opt-out list."""
        assert isinstance(step.detail, int)
        return await self.ledger.add_opt_outs([PHONES[step.detail]], source="cli", now=self.now)

    def _claim_of(self, step: Step) -> Claim:
        return Claim(
            campaign_id=CAMPAIGN,
            number=step.number,
            token=self._token(step),
            at=self.now,
            attempt=1,
            message=TEXT,
            segments=1,
            recipients=tuple([PHONES[who] for who in self.people.get(step.number, ())]),
        )

    def _token(self, step: Step) -> str:
        return self.tokens.get(step.number, "none") if step.is_holder else "stale"


class SendCalls:
    """The steps of a single send. Each method is a step's name, and returns what the store does."""

    def __init__(self, store: SendStore) -> None:
        self.store = store
        self.now = 0.0
        self.is_enqueued = False

    async def do(self, step: SendStep) -> str:
        """Take a step; return what was answered."""
        found: object = False
        with suppress(InvalidInputError, IdempotencyConflictError):
            found = await getattr(self, step.name)(step)
        if isinstance(found, SendClaim) or (isinstance(found, list) and found):
            return "granted"
        if isinstance(found, SendRecord):
            return f"found {found.state.value}"
        return "done" if found or found is None else "refused"

    async def begin(self, step: SendStep) -> object:
        """Begin a call, or one for something else."""
        new = make_new(other=step.detail == "other")
        return await self.store.begin(new, token="new", now=self.now)

    async def enqueue(self, step: SendStep) -> SendRecord:
        """Keep it for a worker."""
        return await self.store.enqueue(make_new(is_enqueued=True), now=self.now)

    async def claim_due(self, step: SendStep) -> list[SendClaim]:
        """Claim what is due."""
        return [*await self.store.claim_due(ACCOUNT, token="new", now=self.now, limit=1)]

    async def settle(self, step: SendStep) -> bool:
        """Write an answer."""
        assert isinstance(step.detail, BatchEvent)
        return await self.store.settle(self._claim_of(step), step.detail, FAILED, now=self.now)

    async def abandon(self, step: SendStep) -> bool:
        """Take a call's claim back."""
        return await self.store.abandon(ACCOUNT, KEY, TOKEN if step.is_holder else "stale")

    async def abandon_due(self, step: SendStep) -> None:
        """Take a worker's claims back."""
        await self.store.abandon_due(ACCOUNT, TOKENS if step.is_holder else "stale", limit=1)

    async def reap(self, step: SendStep) -> int:
        """Make unknown what the dead had under way."""
        return await self.store.reap(now=self.now)

    async def resolve(self, step: SendStep) -> SendRecord:
        """Write what a person found out."""
        sent, again = step.detail == "sent", step.detail == "again"
        return await self.store.resolve(ACCOUNT, KEY, sent=sent, again=again, note="seen", now=self.now)

    async def purge(self, step: SendStep) -> int:
        """Forget what is over."""
        return await self.store.purge(account=None, before=self.now, limit=9)

    def _claim_of(self, step: SendStep) -> SendClaim:
        return SendClaim(
            account=ACCOUNT,
            key=KEY,
            kind=SendKind.TEXT,
            token=TOKEN if step.is_holder else "stale",
            at=self.now,
            attempt=1,
            recipients=PHONES[:1],
            sender_id=SENDER,
            segments=1,
            text=TEXT,
            is_enqueued=self.is_enqueued,
        )


def make_new(*, is_enqueued: bool = False, other: bool = False) -> NewSend:
    """Return what a caller asks for; `other`: something else under the same key."""
    return NewSend(
        account=ACCOUNT,
        key=KEY,
        recipients=PHONES[:1],
        sender_id=SENDER,
        segments=1,
        text="something else" if other else TEXT,
        is_enqueued=is_enqueued,
    )
