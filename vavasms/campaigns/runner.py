"""`CampaignRunner`: submit campaigns to a ledger and run them, on one machine."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, Self, Unpack

import anyio
from attrs import evolve, frozen

from vavasms.arguments import NOTHING_SENT, check_flags
from vavasms.campaigns.delivery_tracker import DeliveryTracker
from vavasms.campaigns.planning.history import History, read_family, read_history
from vavasms.campaigns.planning.lists import Listing, ListingOptions
from vavasms.campaigns.planning.loader import plan_listing, plan_retry
from vavasms.campaigns.planning.plan import CampaignPlan, dump_plan
from vavasms.campaigns.planning.retry import RetryReason, find_others, parse_reasons, read_retry
from vavasms.campaigns.policy import Policy, dump_policy, finishing_time, load_policy
from vavasms.campaigns.sending.balance_floor import BalanceReader
from vavasms.campaigns.sending.dispatcher import Dispatcher
from vavasms.campaigns.sending.queued_batch import QueuedBatchSender
from vavasms.config import no_sender_id, username_of
from vavasms.endpoints import HasAccount, fetch_balance
from vavasms.errors import InvalidInputError, VavaSMSError
from vavasms.i18n import Argument, ngettext
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.base import Ledger, check_open
from vavasms.ledger.clock import SharedClock
from vavasms.ledger.leases import check_timeouts
from vavasms.ledger.models import Campaign, CampaignStatus, NewCampaign
from vavasms.ledger.pending_writes import PendingWrites
from vavasms.ledger.rows import in_a_state
from vavasms.ledger.states import CampaignState
from vavasms.sends.outbox_worker import OutboxWorker
from vavasms.telemetry import TraceSpan
from vavasms.tracebacks import hide_frames_async
from vavasms.transport.hooks import check_hook, is_cancelled, is_fault
from vavasms.wire.requests import draft_text

#: Seconds between two calls of `on_progress`.
_PROGRESS_SECONDS = 0.25
#: Seconds between two looks at what others have under way.
_RECHECK_SECONDS = 0.5
#: Seconds for the last reading of the balance: whoever stops a campaign waits for it.
_LAST_READING_SECONDS = 5.0
_BUDGET = Argument.make("budget=Decimal(1000)", "--budget 1000")
_AGAIN = Argument.make("again=True", "--again")

logger = logging.getLogger("vavasms")

#: Seconds between two rounds of what a runner does beside its campaigns.
_MAINTENANCE_SECONDS = 2.0

OnProgress = Callable[[CampaignStatus], object]


@frozen(kw_only=True)
class CampaignRun:
    """How a run ended. Its campaign is `done`, or `paused` or `cancelled` with a reason."""

    status: CampaignStatus
    #: What stopped it; None where nothing did, or a person.
    error: VavaSMSError | None = None


class CampaignRunner:
    """The one runner of a ledger while it is open: an async context manager that submits and runs campaigns.

    `client` is the `AsyncVavaSMS` that pays; `SqliteLedger.open` opens a ledger in a file.

    Entering it raises `LedgerBusyError` where another runner lives. What a process that died had under way
    becomes unknown then, never queued again. Status, lists, pause, cancel and opt-outs need no runner: they
    are methods of the ledger, and work beside one.
    """

    def __init__(self, client: HasAccount, ledger: Ledger, *, clock: Callable[[], float] = time.time) -> None:
        check_open(ledger)
        self._client, self._account = client, client.account
        self.ledger = ledger
        self._clock = clock
        #: In the place of the machine's where others share the ledger.
        self._shared = SharedClock(clock)
        # Containers may share a name and a number.
        self._worker = f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}"
        self._stack = AsyncExitStack()
        self._orphans: Mapping[str, Sequence[int]] = {}
        self._running: dict[str, anyio.Event] = {}
        #: Of these, the ones that are to end.
        self._stopped: set[str] = set()
        self._is_open = False
        self._ended = anyio.Event()
        self._pending = PendingWrites()
        #: Of the outboxes, each of which ends with its run. No campaign waits for them.
        self._outbox_pending = PendingWrites()
        self._reader = BalanceReader(transport=client.account.transport)
        self._tracker = DeliveryTracker(account=client.account, ledger=ledger, clock=self._now)
        #: Of several campaigns that run, one has their delivery followed up.
        self._tracking = anyio.Lock()

    async def __aenter__(self) -> Self:
        await self._stack.__aenter__()
        if self.ledger.is_shared:
            check_timeouts(self._account.timeouts)
            self._clock = self._shared
            await self._shared.ask(self.ledger.now)
        self._orphans = await self._stack.enter_async_context(self.ledger.take_over(self._clock()))
        self._is_open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        # Nobody else may take over while something of ours is under way.
        self._is_open = False
        with anyio.CancelScope(shield=True):
            while self._running:
                self.stop()
                await self._ended.wait()
            await self._pending.drain()
            await self._outbox_pending.drain()
            await self._stack.aclose()

    @hide_frames_async
    async def plan(
        self,
        contacts: str | Path | BinaryIO,
        message: str,
        *,
        policy: Policy = Policy(),  # noqa: B008  frozen
        exclude_campaigns: Sequence[str] = (),
        **reading: Unpack[ListingOptions],
    ) -> CampaignPlan:
        """Work out what a campaign would do and cost; nothing is kept or sent.

        A price and a batch size that `policy` has not are those of the client's gateway profile.
        `message` may have columns: `Bonjour {prenom|cher client}`. How the list is read, `where`, `keep` and
        `sample` among it, is told by the fields of `Listing`. Whoever has the message of one of
        `exclude_campaigns`, or may have it, is left out. Asks for the balance, which costs nothing.

        Raises `InvalidInputError` for a file, a column or a message that is of no use.
        """
        policy = policy.settle(self._account.profile)
        listing = Listing(contacts=contacts, default_region=self._account.region, **reading)
        history = await self._read_history(exclude_campaigns)
        plan = await plan_listing(listing, message, batch_size=policy.request_size, history=history)
        return await self._price(plan, policy)

    @hide_frames_async
    async def submit(
        self,
        contacts: str | Path | BinaryIO,
        message: str,
        *,
        policy: Policy = Policy(),  # noqa: B008  frozen
        sender_id: str | None = None,
        exclude_campaigns: Sequence[str] = (),
        expect: str | None = None,
        again: bool = False,
        **reading: Unpack[ListingOptions],
    ) -> tuple[Campaign, CampaignPlan]:
        """Keep a campaign in the ledger, whole and `queued`; nothing is sent until `run`.

        `expect` is the hash of a plan: raises `InvalidInputError` where anything changed since. The same
        plan a second time is refused with the first one's id, unless `again`. Of what is refused nothing
        is kept.
        """
        self._check_open()
        check_flags(NOTHING_SENT, again=again)
        policy = policy.settle(self._account.profile)
        listing = Listing(contacts=contacts, default_region=self._account.region, **reading)
        new = self._describe(message, policy, sender_id)
        history = await self._read_history(exclude_campaigns)
        load = partial(plan_listing, listing, message, batch_size=policy.request_size, history=history)
        return await self._keep(new, load, policy, expect=expect, again=again)

    @hide_frames_async
    async def retry(
        self,
        campaign_id: str,
        *,
        what: str | Iterable[str | RetryReason] = tuple(RetryReason),
        budget: Decimal | None = None,
        not_before: datetime | None = None,
        sender_id: str | None = None,
        expect: str | None = None,
    ) -> tuple[Campaign, CampaignPlan]:
        """Keep a new campaign of those recipients of one that has ended to whom nothing came.

        `what`, any of `rejected`, `undelivered` and `not-sent`, says which of them; never the unknown, who
        may have the message, and nobody twice: who is in an earlier retry of it stays out, and who has the
        same message of another campaign since. Each gets the text that was planned before. Its limits are
        those of the first, with `budget` or what is left of the first one's, and `not_before` for its
        beginning.

        Raises `InvalidInputError` where nobody is left. The recipients are in memory at once.
        """
        self._check_open()
        retry = await read_retry(self.ledger, campaign_id, parse_reasons(what))
        first = retry.campaign
        self._check_account(first)
        policy = evolve(await self._inherit(first, budget), not_before=not_before)
        sender = first.sender_id if sender_id is None else sender_id
        new = self._describe(first.message, policy, sender, retry_of=first.id)
        history = await self._read_history(await find_others(self.ledger, first))
        load = partial(plan_retry, retry, batch_size=policy.request_size, history=history)
        return await self._keep(new, load, policy, expect=expect)

    async def _inherit(self, first: Campaign, budget: Decimal | None) -> Policy:
        """Return the limits of a campaign with `budget`, or what it and its retries left of its own."""
        policy = load_policy(first.policy)
        if budget is not None or policy.budget is None:
            return evolve(policy, budget=budget)
        spent = Decimal(0)
        for campaign in await read_family(self.ledger, first):
            spent += await self._count_spent(campaign)
        if spent < policy.budget:
            return evolve(policy, budget=policy.budget - spent)
        raise InvalidInputError(
            _(
                "The budget of the campaign {id} is spent: name another, {argument}. Nothing was sent.",
                id=first.id,
                argument=_BUDGET,
            ),
            error_code="campaign.retry",
        )

    async def _count_spent(self, campaign: Campaign) -> Decimal:
        """Return the XOF that a campaign has cost, or may still cost."""
        policy, status = load_policy(campaign.policy), await self.ledger.status(campaign.id)
        cost = policy.cost(status.segments) or Decimal(0)
        is_over = campaign.state in (CampaignState.DONE, CampaignState.CANCELLED)
        return cost if is_over else max(cost, policy.budget or Decimal(0))

    async def _keep(
        self,
        new: NewCampaign,
        load: Callable[..., Awaitable[CampaignPlan]],
        policy: Policy,
        *,
        expect: str | None,
        again: bool = False,
    ) -> tuple[Campaign, CampaignPlan]:
        """Keep a campaign, whole or not at all."""
        await self.ledger.create(new)
        try:
            plan = await load(load=self.ledger, campaign_id=new.id)
            if expect is not None and expect != plan.hash:
                raise _changed_error(plan.hash, expect)
            plan = await self._price(plan, policy)
            first = await self.ledger.finish_loading(
                new.id, plan=dump_plan(plan), plan_hash=plan.hash, unless_same=not again
            )
            if first is not None:
                raise _duplicate_error(await self.ledger.status(first))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.ledger.discard(new.id)
            raise
        return await self.ledger.campaign(new.id), plan

    @hide_frames_async
    async def run(self, campaign_id: str, *, on_progress: OnProgress | None = None) -> CampaignRun:
        """Send what is queued of a campaign, until it is done, paused or cancelled.

        Before its first batch the balance is read once: a bare 4xx, a redirect, 901, TLS or no connection
        there pauses it with nothing sent. One batch is in flight until the first answer. Delivery reports are
        asked for beside it (see `Policy.track`), and not waited for at its end.

        Never raises for a batch's fate: that is in the status. `on_progress` is called four times a second.
        Raises `InvalidInputError` for a campaign that has ended, `LedgerError` where the ledger takes no
        more: then nothing further was sent. A cancellation settles what is in flight, as unknown where it
        had left.
        """
        self._check_open()
        check_hook("on_progress", on_progress)
        return await self._carry(campaign_id, self._start, on_progress)

    @hide_frames_async
    async def carry(self, campaign_id: str) -> CampaignRun:
        """Send what is queued of a campaign that was started, as `run` does, and never start it.

        One that a person paused or cancelled since stays as it is, and nothing of it is sent.
        """
        self._check_open()
        return await self._carry(campaign_id, self._take_up)

    async def _carry(
        self,
        campaign_id: str,
        begin: Callable[[str], Awaitable[None]],
        on_progress: OnProgress | None = None,
    ) -> CampaignRun:
        if campaign_id in self._running:
            raise InvalidInputError(
                _("The campaign {id} is being run already.", id=repr(campaign_id)),
                error_code="campaign.running",
            )
        self._running[campaign_id] = anyio.Event()
        try:
            await begin(campaign_id)
            while True:
                # By the limits that it was started with.
                dispatcher = await self._make_dispatcher(campaign_id)
                await self._run(dispatcher, on_progress)
                if not await self._was_restarted(dispatcher):
                    break
                self._running[campaign_id] = anyio.Event()
        finally:
            try:
                with anyio.CancelScope(shield=True), suppress(Exception):
                    # Whoever keeps the runner open reads the ledger, and others wait for what is being sent.
                    await self._pending.flush()
            finally:
                # A shield holds no second cancellation of asyncio's own.
                del self._running[campaign_id]
                self._stopped.discard(campaign_id)
                ended, self._ended = self._ended, anyio.Event()
                ended.set()
        return CampaignRun(status=await self.ledger.status(campaign_id), error=dispatcher.breaker.cause)

    def stop(self) -> None:
        """Begin no further batch; `run` returns once those in flight are settled, its campaign `paused`."""
        for campaign_id, stopping in self._running.items():
            self._stopped.add(campaign_id)
            stopping.set()

    def _check_open(self) -> None:
        if not self._is_open:
            raise InvalidInputError(
                _("Enter the runner with `async with` first: it is one at a time."),
                error_code="campaign.runner_closed",
            )

    def _check_account(self, campaign: Campaign) -> None:
        if campaign.account != self._account.name:
            raise InvalidInputError(
                _("The campaign {id} is another account's. Nothing was sent.", id=repr(campaign.id)),
                error_code="campaign.account",
            )

    async def _take_up(self, campaign_id: str) -> None:
        await self._pending.flush()
        self._check_account(await self.ledger.campaign(campaign_id))
        if self.ledger.is_shared:
            await self._shared.ask(self.ledger.now)

    async def _start(self, campaign_id: str) -> None:
        await self._take_up(campaign_id)
        if not await self.ledger.start(campaign_id):
            raise nothing_left(await self.ledger.status(campaign_id))

    async def _was_restarted(self, dispatcher: Dispatcher) -> bool:
        """Return whether a person paused and started it meanwhile, maybe with other limits."""
        ours = dispatcher.sender.campaign
        campaign = await self.ledger.campaign(ours.id)
        if ours.id in self._stopped or not self._is_open:
            # Asked last: a stop that came during the look is not to be lost.
            return False
        return campaign.state is CampaignState.RUNNING and campaign.revision != ours.revision

    async def _make_dispatcher(self, campaign_id: str) -> Dispatcher:
        campaign = await self.ledger.campaign(campaign_id)
        sender = QueuedBatchSender(
            transport=self._account.transport,
            ledger=self.ledger,
            campaign=campaign,
            worker=self._worker,
            reader=self._reader,
            clock=self._clock,
            stopping=self._running[campaign_id],
            pending=self._pending,
        )
        for number in self._orphans.get(campaign_id, ()):
            sender.balance.answered(number)
        return Dispatcher(sender=sender, slots=self._account.transport.max_connections)

    async def _run(self, dispatcher: Dispatcher, on_progress: OnProgress | None) -> None:
        ledger, campaign_id = self.ledger, dispatcher.sender.campaign.id
        problem: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_log_failure, dispatcher.sender.balance.run)
            tasks.start_soon(_log_failure, self.maintain)
            tasks.start_soon(_log_failure, self.track)
            if on_progress is not None:
                tasks.start_soon(_log_failure, partial(_report, ledger, campaign_id, on_progress))
            # What is enqueued goes out beside it, and counts for its rate.
            outbox = OutboxWorker(
                self._client,
                ledger,
                rate=lambda: dispatcher.sender.policy.rate,
                pending=self._outbox_pending,
            )
            try:
                async with outbox.running():
                    # What goes on beside it is none of its trace.
                    with TraceSpan("vavasms.campaign", {"campaign.id": campaign_id}, campaign_id=campaign_id):
                        await dispatcher.run()
                        while ledger.is_shared and await self._wait_for_others(dispatcher):
                            await dispatcher.run()
            except Exception as error:  # noqa: BLE001  raised below, by itself and not in a group
                problem = error
            tasks.cancel_scope.cancel()
        if problem is not None:
            raise problem
        if not await ledger.finish(campaign_id) and dispatcher.reason is not None:
            await ledger.pause(campaign_id, dispatcher.reason, revision=dispatcher.sender.campaign.revision)
        with anyio.move_on_after(_LAST_READING_SECONDS):
            await _log_failure(dispatcher.sender.balance.read)
        if on_progress is not None:
            await _log_failure(partial(_report_once, ledger, campaign_id, on_progress))

    async def maintain(self) -> None:
        """Ask a shared ledger for the time, and write what a campaign left pending, until cancelled.

        `run` does so by itself; whoever keeps the runner open between campaigns does it beside them. A clock
        that is set back would have a claim look old to others.
        """
        while True:
            await anyio.sleep(_MAINTENANCE_SECONDS)
            # A round that fails is not the last one.
            with suppress(Exception):
                if self.ledger.is_shared:
                    await self._shared.ask(self.ledger.now)
                await self._pending.flush()
                await self._outbox_pending.flush()

    async def track(self) -> None:
        """Follow up the delivery of whatever the account sent, until cancelled; `run` does so by itself.

        Where another call of it is at work it waits for that one to end.
        """
        async with self._tracking:
            await self._tracker.run()

    def _now(self) -> float:
        return self._clock()

    async def _wait_for_others(self, dispatcher: Dispatcher) -> bool:
        """Wait for what others have under way; True where something of it is queued again."""
        campaign_id, stopping = dispatcher.sender.campaign.id, dispatcher.sender.stopping
        while not stopping.is_set() and not await self.ledger.finish(campaign_id):
            status = await self.ledger.status(campaign_id)
            if status.state is not CampaignState.RUNNING or status.queued:
                return status.state is CampaignState.RUNNING
            await self.ledger.reap_orphans(now=self._clock())
            with anyio.move_on_after(_RECHECK_SECONDS):
                await stopping.wait()
        return False

    def _describe(
        self, message: str, policy: Policy, sender_id: str | None, *, retry_of: str | None = None
    ) -> NewCampaign:
        sender = sender_id or self._account.sender_id
        if sender is None:
            raise InvalidInputError(no_sender_id(), error_code="sender_id.missing")
        draft_text(message, sender, username=username_of(self._account.name))
        return NewCampaign(
            id=token_hex(4),
            account=self._account.name,
            sender_id=sender,
            message=message,
            policy=dump_policy(policy),
            created_at=self._clock(),
            max_segments=policy.max_segments,
            daily_cap=policy.daily_cap,
            retry_of=retry_of,
        )

    async def _read_history(self, exclude_campaigns: Sequence[str]) -> History:
        return await read_history(self.ledger, exclude=exclude_campaigns, now=self._clock())

    async def _price(self, plan: CampaignPlan, policy: Policy) -> CampaignPlan:
        balance = None
        with suppress(VavaSMSError):
            balance = (await fetch_balance(self._account.transport)).amount
        counts = {"messages": plan.recipients, "requests": plan.requests}
        ends_at = finishing_time(policy, **counts, starts=self._clock())
        return evolve(plan, cost=policy.cost(plan.segments), balance=balance, ends_at=ends_at)


def _changed_error(actual: str, expected: str) -> InvalidInputError:
    return InvalidInputError(
        _(
            "The plan is {actual} now, not {expected}: the list, the message or the opt-outs changed since. "
            "Nothing was sent.",
            actual=actual,
            expected=expected,
        ),
        error_code="campaign.plan_changed",
    )


def _duplicate_error(first: CampaignStatus) -> InvalidInputError:
    left = first.queued + first.sending
    if left and first.state is not CampaignState.CANCELLED:
        return InvalidInputError(
            _(
                "The campaign {id} has this text for these recipients, or some of them, and "
                "{is_state} with {left} left: `vavasms campaign resume {id}` goes on with it, "
                "{again} sends to all of this list anew. Nothing was sent.",
                id=first.id,
                again=_AGAIN,
                is_state=in_a_state(first.state),
                left=left,
            ),
            error_code="campaign.duplicate",
        )
    return InvalidInputError(
        _(
            "The campaign {id} has these very recipients and texts: look at it first (`vavasms campaign "
            "report {id}`), or add {again} to send everything a second time. Nothing was sent.",
            id=first.id,
            again=_AGAIN,
        ),
        error_code="campaign.duplicate",
    )


def nothing_left(status: CampaignStatus) -> InvalidInputError:
    """Build the error of a campaign that is to be begun and has ended."""
    is_state = in_a_state(status.state)
    sentence = _(
        "The campaign {id} {is_state}: nothing of it is left to send. Nothing more was sent.",
        id=repr(status.id),
        is_state=is_state,
    )
    if status.unknown:
        sentence = ngettext(
            "The campaign {id} {is_state}: nothing of it is left to send, but {n} recipient is unknown: "
            "`vavasms campaign resolve {id}` decides. Nothing more was sent.",
            "The campaign {id} {is_state}: nothing of it is left to send, but {n} recipients are unknown: "
            "`vavasms campaign resolve {id}` decides. Nothing more was sent.",
            status.unknown,
            id=status.id,
            is_state=is_state,
        )
    return InvalidInputError(sentence, error_code="campaign.ended")


async def _report(ledger: Ledger, campaign_id: str, on_progress: OnProgress) -> None:
    while True:
        await _report_once(ledger, campaign_id, on_progress)
        await anyio.sleep(_PROGRESS_SECONDS)


async def _report_once(ledger: Ledger, campaign_id: str, on_progress: OnProgress) -> None:
    on_progress(await ledger.status(campaign_id))


async def _log_failure(work: Callable[[], Awaitable[object]]) -> None:
    """Do what must not disturb the sending: its fault would cancel what is in flight."""
    try:
        await work()
    except BaseException as error:
        # Of a fault a hint or a bar is lost, no message.
        if not is_fault(error) or is_cancelled(error):
            raise
        logger.warning(
            N_("Beside a running campaign something failed (%s); it goes on."), type(error).__name__
        )
