"""`Desk`: what the pages do. It plans, keeps and runs campaigns by the API's own calls."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from hashlib import sha256
from typing import Any

import anyio
from anyio.abc import TaskGroup
from anyio.to_thread import run_sync
from attrs import define, evolve, field, frozen

from vavasms.campaigns.decisions import find_shown
from vavasms.campaigns.limits import change_limits
from vavasms.campaigns.planning.history import read_history
from vavasms.campaigns.planning.lists import ListingOptions
from vavasms.campaigns.planning.loader import plan_listing
from vavasms.campaigns.planning.optout_link import make_test_text
from vavasms.campaigns.planning.plan import CampaignPlan
from vavasms.campaigns.planning.refused import RefusedFile
from vavasms.campaigns.runner import CampaignRunner, nothing_left
from vavasms.campaigns.sending.dispatcher import INTERRUPTED
from vavasms.campaigns.words import CANCELLED_BY_HAND, MARKED_AS_SENT, PAUSED_BY_HAND
from vavasms.client import AsyncVavaSMS
from vavasms.desk.drafts import Draft, Drafts, LeftOut, PhoneTest
from vavasms.desk.form import CampaignForm
from vavasms.desk.preview import read_head
from vavasms.desk.status_cache import StatusCache
from vavasms.errors import InvalidInputError, LedgerError, Outcome, VavaSMSError, name_error
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.base import Ledger
from vavasms.ledger.leases import RESEND_GRACE
from vavasms.ledger.models import Campaign, CampaignStatus
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.states import CampaignState
from vavasms.numbers import parse_msisdn
from vavasms.profile.models import GatewayProfile
from vavasms.storage.sqlite.files import file_id

#: A text that anybody may be sent: what becomes of the rows does not depend on it.
_ANY_TEXT = "."
#: Seconds for which the balance is not asked for anew.
_BALANCE_AGE = 20.0
#: Seconds between two tries to write what must be known.
_RETRY_SECONDS = 1.0

logger = logging.getLogger("vavasms")


@frozen
class ListedCampaign:
    """A campaign as a list shows it."""

    campaign: Campaign
    status: CampaignStatus


@define(kw_only=True, eq=False)
class Desk:
    """The campaigns of one ledger and one account, while the desk is open.

    On a file it is the ledger's one runner; on PostgreSQL it leaves what is started to workers.
    """

    client: AsyncVavaSMS
    ledger: Ledger
    #: Where the opt-out page is served; None: no message has the link.
    opt_out_url: str | None = None
    drafts: Drafts = field(factory=Drafts)
    runner: CampaignRunner = field(init=False)
    counts: StatusCache = field(init=False)
    #: Why the last run of a campaign ended early, where no state says so.
    errors: dict[str, VavaSMSError] = field(factory=dict, init=False)
    _senders: TaskGroup = field(init=False)
    _background: TaskGroup = field(init=False)
    #: The campaigns that are sent here; of these, the ones that were started once more since.
    _carried: set[str] = field(factory=set, init=False)
    _started_again: set[str] = field(factory=set, init=False)
    #: How many starts of each are being written.
    _beginning: Counter[str] = field(factory=Counter, init=False)
    _is_open: bool = field(default=False, init=False)
    #: Which file the ledger is; None where it is in no file.
    _file: int | None = field(default=None, init=False)
    _balance: tuple[float, Decimal | None] = field(default=(-math.inf, None), init=False)

    @property
    def profile(self) -> GatewayProfile:
        """What is known of the gateway."""
        return self.client.account.profile

    @counts.default
    def _make_counts(self) -> StatusCache:
        return StatusCache(self.ledger, self.work_on)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Keep the desk open while the block runs; what is under way is finished at its end.

        Raises `LedgerBusyError` where the file has a runner already. A campaign whose desk died is paused:
        it goes on when a person says so.
        """
        async with CampaignRunner(self.client, self.ledger) as self.runner:
            self._file = self._find_file()
            await self._pause_orphans()
            async with (
                anyio.create_task_group() as self._senders,
                anyio.create_task_group() as self._background,
            ):
                self._is_open = True
                self._background.start_soon(_log_failure, self.runner.maintain)
                if not self.ledger.is_shared:
                    self._background.start_soon(_log_failure, self._watch_file)
                    self._background.start_soon(_log_failure, self.runner.track)
                try:
                    yield
                finally:
                    self._is_open = False
                    self.runner.stop()
                    self._background.cancel_scope.cancel()

    def stop(self) -> None:
        """Begin no further batch of any campaign: those that are sent are paused once all is settled.

        One for which the go comes after it is paused at once.
        """
        if self._is_open:
            self._is_open = False
            self.runner.stop()

    def is_gone(self) -> bool:
        """Return whether the file of the ledger is not where it was: what is written now is lost."""
        return self._find_file() != self._file

    def _find_file(self) -> int | None:
        try:
            return file_id(self.ledger.path) if isinstance(self.ledger, SqliteLedger) else None
        except OSError:
            return None

    async def _watch_file(self) -> None:
        """Send nothing more once the file of the ledger is gone."""
        while True:
            await anyio.sleep(_RETRY_SECONDS)
            if self.is_gone():
                self.runner.stop()

    def _check_file(self) -> None:
        if self.is_gone():
            raise LedgerError(
                _("The file of the ledger is not where it was: nothing more is sent."),
                error_code="ledger.file",
            )

    async def _pause_orphans(self) -> None:
        """Pause what ran when an earlier process of a file died: nobody sends it any more."""
        if self.ledger.is_shared:
            return
        for status in await self.ledger.statuses():
            if status.state is CampaignState.RUNNING:
                await self.ledger.pause(status.id, INTERRUPTED)

    @property
    def account(self) -> str:
        """The account that pays."""
        return self.client.account.name

    async def now(self) -> float:
        """Return the time as all have it who share the ledger."""
        return await self.ledger.now() if self.ledger.is_shared else time.time()

    async def balance(self) -> Decimal | None:
        """Return the credit as it was some seconds ago at most; None where the gateway does not tell."""
        read_at, amount = self._balance
        if time.monotonic() - read_at > _BALANCE_AGE:
            # Whoever asks meanwhile need not ask as well.
            self._balance = time.monotonic(), amount
            self._background.start_soon(_log_failure, self._read_balance)
        return amount

    async def _read_balance(self) -> None:
        amount = None
        with suppress(VavaSMSError):
            amount = (await self.client.balance()).amount
        self._balance = time.monotonic(), amount

    # Drafts

    def add_list(self, name: str, data: bytes) -> Draft:
        """Keep a list, and begin to read it. Raises `InvalidInputError` for an empty one."""
        draft = self.drafts.add(name, data)
        self.read_rows(draft)
        return draft

    def change(self, draft: Draft, form: CampaignForm) -> None:
        """Take what was typed; the list is read anew where it is to be read otherwise."""
        before, draft.form = draft.form, form
        is_unread = draft.rows is None and (before != form or not draft.is_busy)
        if is_unread or _rows_of(before) != _rows_of(form):
            self.read_rows(draft)
        elif before != form:
            draft.plan = None
            # Whatever is being worked out is for another form; the rows need no other reading.
            draft.version += 1
            draft.is_busy, draft.error = False, None

    def read_rows(self, draft: Draft) -> None:
        """Begin to read a list: what its columns are, and what becomes of each row."""
        draft.rows = draft.plan = draft.head = None
        self._work(draft, self._read_rows)

    async def _read_rows(self, draft: Draft) -> Mapping[str, Any]:
        listing = draft.listing()
        head = await run_sync(read_head, draft.data, listing)
        refused = LeftOut()
        history = await self._read_history(draft.form)
        rows = await plan_listing(
            evolve(listing, contacts=draft.open()),
            _ANY_TEXT,
            batch_size=1,
            history=history,
            on_left_out=RefusedFile(refused, excel=True).on_left_out,
        )
        return {"head": head, "rows": rows, "refused": refused.encoded()}

    def plan(self, draft: Draft) -> None:
        """Begin to work out what the campaign would do and cost."""
        draft.plan = None
        self._work(draft, self._plan)

    async def _plan(self, draft: Draft) -> Mapping[str, Any]:
        form = draft.form
        plan = await self.runner.plan(
            draft.open(),
            form.message,
            policy=form.policy(now=time.time(), profile=self.profile),
            exclude_campaigns=form.exclude,
            **self._reading(form),
        )
        return {"plan": plan}

    def _reading(self, form: CampaignForm) -> ListingOptions:
        reading = form.reading()
        reading["opt_out_url"] = self.opt_out_url
        return reading

    def _work(self, draft: Draft, work: Callable[[Draft], Awaitable[Mapping[str, Any]]]) -> None:
        """Work something out beside the pages; what it finds is kept, unless the form is another by then."""
        draft.version += 1
        draft.is_busy, draft.error = True, None
        self._background.start_soon(self._work_out, draft, draft.version, work)

    async def _work_out(
        self, draft: Draft, version: int, work: Callable[[Draft], Awaitable[Mapping[str, Any]]]
    ) -> None:
        error: VavaSMSError | None = None
        found: Mapping[str, Any] = {}
        try:
            found = await work(draft)
        except VavaSMSError as refused:
            error = refused.with_traceback(None)
        except Exception as fault:  # noqa: BLE001  a fault of ours ends no other campaign
            logger.warning(N_("A list could not be read (%s)."), type(fault).__name__)
            error = InvalidInputError(
                _("The list could not be read. Nothing was sent."), error_code="list.unreadable"
            )
        if draft.version != version:
            return
        for name, value in found.items():
            setattr(draft, name, value)
        draft.error, draft.is_busy = error, False

    def work_on(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do something beside the pages; it is cut off when the desk is closed."""
        self._background.start_soon(_log_failure, work)

    async def _read_history(self, form: CampaignForm) -> Any:
        return await read_history(self.ledger, exclude=form.exclude, now=await self.now())

    async def try_out(self, draft: Draft, number: str) -> None:
        """Send the first text to one's own phone. Raises what a send raises before anything was sent.

        The same text goes to the same number once, however often the button is pressed.
        """
        self._check_file()
        if draft.plan is None:
            raise InvalidInputError(_("Look at the plan first. Nothing was sent."), error_code="desk.no_plan")
        recipient = parse_msisdn(number, default_region=self.client.account.region)
        if int(recipient) in await self.ledger.opted_out():
            raise InvalidInputError(
                _("This number is on the opt-out list. Nothing was sent."), error_code="campaign.test_number"
            )
        text = await make_test_text(self.ledger, draft.plan, recipient)
        number, sender = recipient.e164, draft.form.sender_id or None
        key = sha256(f"{draft.id}\n{sender}\n{number}\n{text}".encode()).hexdigest()[:24]
        try:
            await self.client.send(number, text, sender_id=sender, idempotency_key=f"desk-test-{key}")
        except InvalidInputError:
            raise
        except VavaSMSError as error:
            outcome = error.outcome or Outcome.UNKNOWN
            trial = PhoneTest(number=number, outcome=outcome, error=error.with_traceback(None))
        else:
            trial = PhoneTest(number=number, outcome=Outcome.ACCEPTED)
        draft.trials = [one for one in draft.trials if one.number != number] + [trial]

    def give_go(self, draft: Draft, typed: int | None, seen: str) -> None:
        """Begin to put a campaign into the ledger and to send it, once.

        `typed` is the number of recipients as the person typed it, `seen` is `Draft.seen` of the page that
        they did it on.
        """
        if draft.is_going or draft.campaign_id is not None:
            return
        plan = draft.plan
        if plan is None or draft.seen() != seen:
            raise InvalidInputError(
                _("The plan was changed since: look at it again. Nothing was sent."),
                error_code="desk.no_plan",
            )
        check_typed(typed, plan.recipients)
        draft.is_going = True
        self._senders.start_soon(self._go, draft, plan)

    async def _go(self, draft: Draft, plan: CampaignPlan) -> None:
        """Keep the campaign and start it; the draft says why where that was not possible."""
        form = draft.form
        try:
            self._check_file()
            campaign, _plan = await self.runner.submit(
                draft.open(),
                form.message,
                policy=form.policy(now=time.time(), profile=self.profile),
                sender_id=form.sender_id or None,
                exclude_campaigns=form.exclude,
                expect=plan.hash,
                **self._reading(form),
            )
            draft.campaign_id = campaign.id
            # The list is in the ledger now, and nowhere else.
            draft.data = b""
            draft.head, draft.refused = None, b""
            if (await self.ledger.campaign(campaign.id)).state is CampaignState.QUEUED:
                # Nobody paused it meanwhile.
                await self._begin(campaign.id)
        except VavaSMSError as error:
            draft.error = error.with_traceback(None)
        except Exception as fault:  # noqa: BLE001  a fault of ours ends no other campaign
            logger.warning(N_("A campaign could not be begun (%s)."), type(fault).__name__)
            draft.error = InvalidInputError(
                _("The campaign could not be begun: look whether it is in the list."),
                error_code="desk.fault",
                outcome=Outcome.UNKNOWN,
            )
        finally:
            draft.is_going = False

    # Campaigns

    async def list_campaigns(self, most: int) -> Sequence[ListedCampaign]:
        """Return the latest campaigns that are whole, and how far each is."""
        listed = []
        for status in (await self.counts.statuses())[:most]:
            # One that was discarded meanwhile is not there any more.
            with suppress(InvalidInputError):
                campaign = await self.ledger.campaign(status.id)
                if campaign.state is not CampaignState.LOADING:
                    listed.append(ListedCampaign(campaign, evolve(status, state=campaign.state)))
        return listed

    async def start(self, campaign_id: str, typed: int | None) -> None:
        """Begin a campaign that waits in the ledger for its go."""
        if not is_new(await self.ledger.campaign(campaign_id)):
            raise _changed()
        check_typed(typed, (await self.ledger.status(campaign_id)).recipients)
        await self._begin(campaign_id)

    async def go_on(self, campaign_id: str, *, revision: int | None, **limits: Decimal | None) -> None:
        """Go on with a paused campaign that was begun, with other limits where some are given.

        `revision` is that of the campaign as the person saw it: one that went on and was paused once more
        since was paused for another reason.
        """
        campaign = await self.ledger.campaign(campaign_id)
        is_other = revision is not None and revision != campaign.revision
        if campaign.state is not CampaignState.PAUSED or is_new(campaign) or is_other:
            raise _changed()
        await change_limits(self.ledger, campaign_id, **limits)
        await self._begin(campaign_id)

    async def _begin(self, campaign_id: str) -> None:
        """Start a campaign, and send it here where no workers do. Raises for one that has ended."""
        self._check_file()
        campaign = await self.ledger.campaign(campaign_id)
        if campaign.account != self.account:
            raise InvalidInputError(
                _("The campaign {id} is another account's. Nothing was sent.", id=repr(campaign_id)),
                error_code="campaign.account",
            )
        self._beginning[campaign_id] += 1
        try:
            is_started = await self.ledger.start(campaign_id)
        finally:
            self._beginning[campaign_id] -= 1
        if not is_started:
            raise nothing_left(await self.ledger.status(campaign_id))
        self.errors.pop(campaign_id, None)
        if campaign_id in self._carried:
            # Its run may have looked for the last time just before.
            self._started_again.add(campaign_id)
        elif not self.ledger.is_shared:
            self._begin_to_carry(campaign_id)

    def _begin_to_carry(self, campaign_id: str) -> None:
        self._carried.add(campaign_id)
        self._senders.start_soon(self._carry, campaign_id)

    async def _carry(self, campaign_id: str) -> None:
        """Run a campaign as long as it is to run: a person may pause it and go on before it stands still.

        One that failed waits for a person, whoever had gone on before.
        """
        is_failed = True
        try:
            # Whether it is still open is asked last: a stop that comes during the look is not to be lost.
            while await self._is_running(campaign_id) and self._is_open:
                await self.runner.carry(campaign_id)
            is_failed = False
        except VavaSMSError as error:
            self.errors[campaign_id] = error.with_traceback(None)
            logger.warning(N_("A campaign stopped (%s)."), name_error(error))
        except Exception as fault:  # noqa: BLE001  a fault of ours ends no other campaign
            logger.warning(N_("A campaign stopped (%s)."), type(fault).__name__)
        finally:
            self._carried.discard(campaign_id)
            is_started_again = campaign_id in self._started_again
            self._started_again.discard(campaign_id)
            if is_started_again and self._is_open and not is_failed:
                self._begin_to_carry(campaign_id)
            else:
                await self._stand_still(campaign_id)

    async def _stand_still(self, campaign_id: str) -> None:
        """Pause a campaign in the ledger that nobody sends any more, as soon as it can be written."""
        with anyio.CancelScope(shield=True):
            # Whoever is starting it has it sent.
            while campaign_id not in self._carried and not self._beginning[campaign_id]:
                try:
                    await self.ledger.pause(campaign_id, INTERRUPTED)
                except LedgerError:
                    pass
                except Exception:  # noqa: BLE001  there is no such campaign any more, or a fault of ours
                    return
                else:
                    return
                if not self._is_open:
                    # The next desk does.
                    return
                await anyio.sleep(_RETRY_SECONDS)

    async def _is_running(self, campaign_id: str) -> bool:
        return (await self.ledger.campaign(campaign_id)).state is CampaignState.RUNNING

    async def pause(self, campaign_id: str) -> None:
        """Begin no further batch of a campaign."""
        await self.ledger.pause(campaign_id, PAUSED_BY_HAND)

    async def cancel(self, campaign_id: str) -> None:
        """Never send what was not sent yet."""
        await self.ledger.cancel(campaign_id, CANCELLED_BY_HAND)

    async def discard(self, campaign_id: str) -> None:
        """Forget a campaign for which nobody gave the go. Raises where something of it may have been sent."""
        await self.ledger.discard(campaign_id)
        if any(status.id == campaign_id for status in await self.ledger.statuses()):
            raise _changed()

    async def mark_sent(self, campaign_id: str, shown: Mapping[int, float | None]) -> int:
        """Take the unknown batches that were shown for accepted; return how many of them were."""
        numbers = await find_shown(self.ledger, campaign_id, shown)
        return await self.ledger.mark_sent(campaign_id, numbers, note=MARKED_AS_SENT)

    async def send_again(self, campaign_id: str, shown: Mapping[int, float | None]) -> int:
        """Queue the unknown batches that were shown once more; return how many of them were.

        They go out when somebody goes on with the campaign. On a shared ledger what was claimed a moment ago
        stays as it is: whoever claimed it might still send.
        """
        numbers = await find_shown(self.ledger, campaign_id, shown)
        latest = max((shown[number] or 0.0 for number in numbers), default=0.0)
        # What somebody else has sent again since the look just now is a later attempt.
        sent_before = math.nextafter(latest, math.inf)
        if self.ledger.is_shared:
            sent_before = min(sent_before, await self.now() - RESEND_GRACE)
        return await self.ledger.resend(campaign_id, numbers, sent_before=sent_before)


def is_new(campaign: Campaign) -> bool:
    """Return whether nobody ever gave the go for a campaign that could be sent."""
    return campaign.state in (CampaignState.QUEUED, CampaignState.PAUSED) and not campaign.revision


def _changed() -> InvalidInputError:
    return InvalidInputError(
        _("The campaign changed since this page was loaded: look at it again. Nothing was changed by this."),
        error_code="desk.stale_page",
    )


def check_typed(typed: int | None, recipients: int) -> None:
    """Raise `InvalidInputError` where a person typed another number than that of the recipients."""
    if typed != recipients:
        raise InvalidInputError(
            _("Type the number of recipients, {n}, to give the go. Nothing was sent.", n=recipients),
            error_code="desk.not_confirmed",
        )


def _rows_of(form: CampaignForm) -> tuple[object, ...]:
    """Return what decides about the rows of a list."""
    return form.phone_column, form.sheet, form.encoding, form.repair, form.is_ivorian, form.exclude


async def _log_failure(work: Callable[[], Awaitable[object]]) -> None:
    try:
        await work()
    except Exception as error:  # noqa: BLE001  a hint is lost, no message
        logger.warning(N_("Beside the desk something failed (%s); it goes on."), type(error).__name__)
