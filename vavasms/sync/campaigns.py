"""`BlockingCampaignRunner`: campaigns without await, over a `VavaSMS`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import BinaryIO, ParamSpec, Self, TypeVar, Unpack

from vavasms.calls import Session
from vavasms.campaigns.planning.lists import ListingOptions
from vavasms.campaigns.planning.plan import CampaignPlan
from vavasms.campaigns.planning.retry import RetryReason
from vavasms.campaigns.policy import Policy
from vavasms.campaigns.report import RecipientReport, read_report
from vavasms.campaigns.runner import CampaignRun, CampaignRunner, OnProgress
from vavasms.ledger.models import Campaign, CampaignStatus, StoredBatch
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.numbers import Msisdn
from vavasms.sync.client import VavaSMS, open_group, wait_for
from vavasms.tracebacks import hide_frames

P = ParamSpec("P")
T = TypeVar("T")

_PAGE = 1_000


class BlockingCampaignRunner:
    """The same as `CampaignRunner` on a `SqliteLedger`, without await: a context manager.

    `path` is the ledger's file. What is done with the ledger alone (`status`, `pause`, …) is here too.
    """

    def __init__(self, client: VavaSMS, path: str | Path) -> None:
        self._sms = client
        self._path = Path(path)

    @hide_frames
    def __enter__(self) -> Self:
        self._session = Session(open_group(self._sms), self._hold)
        self._session.enter()
        return self

    @hide_frames
    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        self._session.leave(was_interrupted=error is not None and not isinstance(error, Exception))

    @asynccontextmanager
    async def _hold(self) -> AsyncIterator[None]:
        async with (
            await SqliteLedger.open(self._path) as self._ledger,
            CampaignRunner(self._sms, self._ledger) as self._runner,
        ):
            yield

    @hide_frames
    def plan(
        self,
        contacts: str | Path | BinaryIO,
        message: str,
        *,
        policy: Policy = Policy(),  # noqa: B008  frozen
        exclude_campaigns: Sequence[str] = (),
        **reading: Unpack[ListingOptions],
    ) -> CampaignPlan:
        """Work out what a campaign would do and cost: see `CampaignRunner.plan`."""
        return self._wait(
            self._runner.plan,
            contacts,
            message,
            policy=policy,
            exclude_campaigns=exclude_campaigns,
            **reading,
        )

    @hide_frames
    def submit(
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
        """Store a campaign, whole and queued: see `CampaignRunner.submit`."""
        return self._wait(
            self._runner.submit,
            contacts,
            message,
            policy=policy,
            sender_id=sender_id,
            exclude_campaigns=exclude_campaigns,
            expect=expect,
            again=again,
            **reading,
        )

    @hide_frames
    def retry(
        self,
        campaign_id: str,
        *,
        what: str | Iterable[str | RetryReason] = tuple(RetryReason),
        budget: Decimal | None = None,
        not_before: datetime | None = None,
        sender_id: str | None = None,
        expect: str | None = None,
    ) -> tuple[Campaign, CampaignPlan]:
        """Store a campaign of those to whom nothing came: see `CampaignRunner.retry`."""
        return self._wait(
            self._runner.retry,
            campaign_id,
            what=what,
            budget=budget,
            not_before=not_before,
            sender_id=sender_id,
            expect=expect,
        )

    @hide_frames
    def run(self, campaign_id: str, *, on_progress: OnProgress | None = None) -> CampaignRun:
        """Send what is queued of a campaign: see `CampaignRunner.run`.

        Ctrl-C begins no further batch and waits for those in flight; `on_progress` is called in the
        portal's thread.
        """
        call = partial(self._runner.run, campaign_id, on_progress=on_progress)
        return wait_for(self._sms, call, on_interrupt=self._runner.stop)

    def stop(self) -> None:
        """Begin no further batch, from another thread: see `CampaignRunner.stop`."""

        async def stop() -> None:
            self._runner.stop()

        self._wait(stop)

    @hide_frames
    def status(self, campaign_id: str) -> CampaignStatus:
        """Count a campaign's recipients: see `Ledger.status`."""
        return self._wait(self._ledger.status, campaign_id)

    @hide_frames
    def statuses(self) -> Sequence[CampaignStatus]:
        """Count the recipients of every campaign: see `Ledger.statuses`."""
        return self._wait(self._ledger.statuses)

    @hide_frames
    def pause(self, campaign_id: str, reason: str, *, revision: int | None = None) -> bool:
        """Pause a campaign: see `Ledger.pause`."""
        return self._wait(self._ledger.pause, campaign_id, reason, revision=revision)

    @hide_frames
    def cancel(self, campaign_id: str, reason: str) -> bool:
        """Cancel a campaign: see `Ledger.cancel`."""
        return self._wait(self._ledger.cancel, campaign_id, reason)

    @hide_frames
    def unknown(self, campaign_id: str) -> Sequence[StoredBatch]:
        """Return the batches on which a person must decide: see `Ledger.unknown`."""
        return self._wait(self._ledger.unknown, campaign_id)

    @hide_frames
    def mark_sent(self, campaign_id: str, numbers: Collection[int], *, note: str) -> int:
        """Settle unknown batches as accepted: see `Ledger.mark_sent`."""
        return self._wait(self._ledger.mark_sent, campaign_id, numbers, note=note)

    @hide_frames
    def resend(self, campaign_id: str, numbers: Collection[int], *, sent_before: float) -> int:
        """Queue unknown batches again: see `Ledger.resend`."""
        return self._wait(self._ledger.resend, campaign_id, numbers, sent_before=sent_before)

    def report(self, campaign_id: str) -> Iterator[RecipientReport]:
        """Yield the recipients with what became of each: see `read_report`."""
        rows = read_report(self._ledger, campaign_id)
        while True:
            page = self._wait(_read_page, rows)
            if not page:
                return
            yield from page

    @hide_frames
    def purge(self, campaign_id: str) -> None:
        """Forget numbers and texts: see `Ledger.purge`."""
        self._wait(self._ledger.purge, campaign_id)

    @hide_frames
    def add_opt_outs(self, recipients: Iterable[Msisdn], *, source: str, now: float) -> int:
        """Add numbers to the opt-out list: see `Ledger.add_opt_outs`."""
        return self._wait(self._ledger.add_opt_outs, recipients, source=source, now=now)

    @hide_frames
    def remove_opt_outs(self, recipients: Iterable[Msisdn]) -> int:
        """Remove numbers from the opt-out list: see `Ledger.remove_opt_outs`."""
        return self._wait(self._ledger.remove_opt_outs, recipients)

    def _wait(self, work: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        return wait_for(self._sms, partial(work, *args, **kwargs))


async def _read_page(rows: AsyncIterator[RecipientReport]) -> list[RecipientReport]:
    """Return the next rows, many at once: a hop to the portal's thread costs more than a row."""
    page: list[RecipientReport] = []
    while len(page) < _PAGE and (row := await anext(rows, None)) is not None:
        page.append(row)
    return page
