"""Ask for the delivery reports of a campaign until they are final, and keep them in its ledger."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum

import anyio
from attrs import define, evolve, field, frozen

from vavasms.bulk.rate_limit import RateLimiter
from vavasms.campaigns.report import PAGE, pair_ids
from vavasms.endpoints import Account, HasAccount, fetch_delivery_reports
from vavasms.errors import (
    ConfigurationError,
    GatewayError,
    InvalidInputError,
    MessageNotFoundError,
    RateLimitedError,
    UnexpectedReplyError,
    VavaSMSError,
)
from vavasms.i18n import gettext as _
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import PREFIX_DIGITS, Delivery, StoredBatch
from vavasms.ledger.states import BatchState
from vavasms.models import DeliveryReport, DeliveryStatus

#: Kept as the raw status of a message that the gateway does not know.
NOT_FOUND = "not found (709)"
#: Kept in the ledger, as why the tracking of a campaign has ended.
FINAL, EXPIRED, UNAVAILABLE = "final", "expired", "unavailable"
#: Requests a second.
RATE = 10.0
#: Seconds between the first two rounds, doubled from round to round up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 60.0
#: Seconds between two rounds over messages that are hours old, and after a refused account.
OLD_PAUSE = 900.0
#: Lots asked after at the same time, so that slow answers do not undo the rate.
_CONCURRENCY = 8

#: Failures in a row by which the pause after one grows.
_MOST_FAILURES = 6
#: Answers that cannot be read, where none ever could, after which nothing else is expected of the path.
_MOST_UNREADABLE = 3
#: The codes of the gateway's own refusals; 901 refuses the account, not the call.
_REFUSALS = range(902, 1000)
#: Nobody answers this call at the path.
_NO_SUCH_CALL = frozenset({404, 405})
#: A batch in one of these stays as it is, unless a person decides otherwise.
_SETTLED = frozenset({BatchState.ACCEPTED, BatchState.REJECTED, BatchState.CANCELLED})


class _Special(Enum):
    """What is known of a message that has no delivery status."""

    NOT_FOUND = "not_found"
    SILENT = "silent"


_Known = DeliveryStatus | _Special
#: Nothing more is to be learnt of these.
_CLOSED = frozenset({DeliveryStatus.DELIVERED, DeliveryStatus.FAILED, _Special.NOT_FOUND})


@frozen(kw_only=True)
class TrackSummary:
    """How far the messages of a campaign came. The seven counts add up to `messages`."""

    messages: int
    delivered: int
    failed: int
    #: On their way: not delivered yet, and perhaps never reported to be.
    sent: int
    pending: int
    #: The gateway said a word that nobody documented: see `Delivery.raw_status`.
    other: int
    #: The gateway does not know them, or gave no id; not asked again by this call.
    not_found: int
    #: No report was read.
    silent: int
    #: What went wrong when a report was last asked for in vain; None where nothing did.
    error: VavaSMSError | None = None

    @property
    def waiting(self) -> int:
        """Return the messages of which a further report may say more."""
        return self.sent + self.pending + self.other + self.silent


OnTracked = Callable[[TrackSummary], object]


async def track(
    client: HasAccount,
    ledger: Ledger,
    campaign_id: str,
    *,
    rate: float = RATE,
    deadline: float | None = None,
    clock: Callable[[], float] = time.time,
    on_progress: OnTracked | None = None,
    pause: float = FIRST_PAUSE,
    longest_pause: float = LONGEST_PAUSE,
) -> TrackSummary:
    """Ask for delivery reports until every message is delivered, failed or not found, or the deadline.

    `rate` is in requests a second; `deadline` in `clock`'s seconds since the epoch, and without one this may
    never end: a gateway need not report more than `sent`. Each report is kept as it comes, so it can be
    called again. Costs nothing. What the gateway fails to answer is asked again; a refused account or path
    raises. Messages accepted after the last round are those of the next call.
    """
    if not 0 < rate < float("inf"):
        raise InvalidInputError(
            _("rate must be a number of requests a second above 0."),
            error_code="campaign.limit",
            outcome=None,
            argument="rate",
        )
    tracker = CampaignTracker(
        reader=StatusReader(account=client.account, rate=rate),
        ledger=ledger,
        campaign_id=campaign_id,
        clock=clock,
        began=clock(),
        on_progress=on_progress,
    )
    try:
        await tracker.count()
        with anyio.move_on_after(None if deadline is None else max(deadline - clock(), 0.0)):
            await tracker.ask_all()
            while tracker.summary().waiting:
                await anyio.sleep(pause)
                pause = min(pause * 2, longest_pause)
                await tracker.ask_all()
    except VavaSMSError as error:
        if is_unavailable(error):
            await ledger.end_tracking(campaign_id, UNAVAILABLE)
        raise
    await _keep_end(tracker)
    return tracker.summary()


async def _keep_end(tracker: CampaignTracker) -> None:
    """Keep what a person's asking found out: that all is final, or that the call is there after all."""
    ledger, campaign_id, summary = tracker.ledger, tracker.campaign_id, tracker.summary()
    status = await ledger.status(campaign_id)
    if summary.messages and not (summary.waiting or summary.not_found or status.queued or status.sending):
        await ledger.end_tracking(campaign_id, FINAL)
    elif tracker.reader.has_read and await ledger.tracking(campaign_id) == UNAVAILABLE:
        await ledger.end_tracking(campaign_id, None)


def is_unavailable(error: Exception) -> bool:
    """Return whether an error says that the status call is not there.

    Which path it has is not documented: another call may stand there, and refuse what it does not take.
    """
    if isinstance(error, UnexpectedReplyError) or is_known_absent(error):
        return True
    if not isinstance(error, GatewayError):
        return False
    return error.code in _REFUSALS or (error.code is None and error.http_status in _NO_SUCH_CALL)


def is_known_absent(error: Exception) -> bool:
    """Return whether an error says that the gateway's profile knows of no status call: nothing was asked."""
    return isinstance(error, ConfigurationError) and error.error_code == "config.no_status_call"


@define(kw_only=True, eq=False)
class StatusReader:
    """The reader of delivery reports of an account: one rate for all, and a pause after a failure."""

    account: Account
    #: Requests a second.
    rate: float = RATE
    #: Requests under way at once.
    concurrency: int = _CONCURRENCY
    #: What went wrong when a report was last asked for in vain.
    error: VavaSMSError | None = field(default=None, init=False)
    #: Whether the call was ever answered.
    has_read: bool = field(default=False, init=False)
    _limiter: RateLimiter = field(init=False)
    _failures: int = field(default=0, init=False)
    _unreadable: int = field(default=0, init=False)

    @_limiter.default
    def _make_limiter(self) -> RateLimiter:
        return RateLimiter(rate=self.rate)

    async def read(self, message_id: str, lot_id: str | None) -> Sequence[DeliveryReport] | None:
        """Return what is reported of a message, and perhaps of others of its lot; None for a failed request.

        Raises `MessageNotFoundError`, and what every further request would meet.
        """
        await self._wait_for_rate()
        transport, path = self.account.transport, self.account.status_path
        try:
            reports = await fetch_delivery_reports(transport, message_id, lot_id=lot_id, path=path)
        except MessageNotFoundError:
            self._succeed()
            raise
        except VavaSMSError as error:
            if error.halts or isinstance(error, ConfigurationError) or self._is_hopeless(error):
                raise
            self._back_off(error)
            return None
        self._succeed()
        return reports

    async def _wait_for_rate(self) -> None:
        """Wait for the rate, and for what a failure before asked for."""
        while True:
            await anyio.sleep(self._limiter.reserve(1, anyio.current_time()))
            if not self._limiter.held(anyio.current_time()):
                return
            # Held meanwhile: in line again, or all would leave at once when that ends.

    def _succeed(self) -> None:
        self._failures, self.has_read = 0, True

    def _is_hopeless(self, error: VavaSMSError) -> bool:
        """Return whether the call is not there; a page in its place, once or twice, may be an outage's."""
        if not isinstance(error, UnexpectedReplyError):
            return is_unavailable(error)
        self._unreadable += 1
        return not self.has_read and self._unreadable >= _MOST_UNREADABLE

    def _back_off(self, error: VavaSMSError) -> None:
        """Pause after a failure."""
        self.error = error.with_traceback(None)
        asked = error.retry_after if isinstance(error, RateLimitedError) else None
        self._limiter.hold(asked, self._failures, anyio.current_time())
        self._failures = min(self._failures + 1, _MOST_FAILURES)


@frozen(kw_only=True)
class _Lot:
    """What one batch became, and what is known of its messages."""

    lot_id: str | None
    sent_at: float
    #: The number's prefix of each of its messages: a reply may be about others than the one asked after.
    prefixes: Mapping[str, str]
    known: Mapping[str, Delivery]
    #: Those that are not final.
    waiting: tuple[str, ...]


@define(kw_only=True, eq=False)
class CampaignTracker:
    """How far the messages of one campaign came: gone over in rounds, a page of batches at a time."""

    reader: StatusReader
    ledger: Ledger
    campaign_id: str
    clock: Callable[[], float]
    #: What was not found before that is asked after once more.
    began: float
    on_progress: OnTracked | None = None
    #: Seconds that a message is left alone after it was sent.
    grace: float = 0.0
    #: Batches in a page.
    page: int = PAGE
    #: Messages by prefix and status, as the ledger counted them once, and what was learnt since.
    by_prefix: Counter[tuple[str, DeliveryStatus]] = field(factory=Counter, init=False)
    #: When the latest of its accepted batches was sent, as far as they were gone over.
    sent_at: float = field(default=0.0, init=False)
    #: By the last round, and what was learnt since.
    _counts: Counter[_Known] = field(factory=Counter, init=False)
    #: By this round, as far as it is.
    _seen: Counter[_Known] = field(factory=Counter, init=False)
    #: The last batch that this round has gone over.
    _after: int = field(default=-1, init=False)
    #: Up to this batch nothing is to be learnt any more, and what is known there: no round begins before it.
    _closed_after: int = field(default=-1, init=False)
    _closed: Counter[_Known] = field(factory=Counter, init=False)
    #: What ended the asking.
    _fatal_error: Exception | None = field(default=None, init=False)

    def summary(self) -> TrackSummary:
        """Return what is known by now."""
        counts = {kind.value: self._counts[kind] for kind in (*DeliveryStatus, *_Special)}
        return TrackSummary(messages=self._counts.total(), error=self.reader.error, **counts)

    async def count(self) -> None:
        """Go over all batches without a request."""
        while await self._read_page() is not None:
            pass

    async def ask_all(self) -> None:
        """Ask once after each message that is not final. Raises what every further request would meet."""
        while await self.ask_page():
            pass

    async def ask_page(self) -> bool:
        """Do that for the next page of batches; False at the end of a round, after which another begins."""
        lots = await self._read_page()
        if lots is None:
            return False
        await self._ask_lots(deque(lots))
        return True

    async def _read_page(self) -> Sequence[_Lot] | None:
        """Return the lots of the next page that are to be asked after; None where there is no page left."""
        batches = await self.ledger.batches(self.campaign_id, after=self._after, limit=self.page)
        if not batches:
            self._end_round()
            return None
        accepted = [batch for batch in batches if batch.state is BatchState.ACCEPTED]
        ids = [message_id for batch in accepted for message_id in batch.record.message_ids]
        known = await self.ledger.deliveries(self.campaign_id, ids) if ids else {}
        counts = Counter(_classify(message_id, known.get(message_id)) for message_id in ids)
        lots = [self._open(batch, known) for batch in accepted]
        if self._after == self._closed_after and _is_closed(batches, lots):
            self._closed_after = batches[-1].number
            self._closed.update(counts)
        self._seen.update(counts)
        self._after = batches[-1].number
        self.sent_at = max([self.sent_at, *(lot.sent_at for lot in lots)])
        latest = self.clock() - self.grace
        return [lot for lot in lots if lot.waiting and (not self.grace or lot.sent_at <= latest)]

    def begin_round(self) -> None:
        """Begin where something may be learnt, however far the round before came."""
        self._seen, self._after = Counter(self._closed), self._closed_after

    def _end_round(self) -> None:
        self._counts = self._seen
        self.begin_round()
        self._notify()

    def _open(self, batch: StoredBatch, known: Mapping[str, Delivery]) -> _Lot:
        ids = batch.record.message_ids
        waiting = tuple(each for each in ids if self._may_ask(each, known.get(each)))
        return _Lot(
            lot_id=batch.record.lot_id or None,
            sent_at=batch.sending_at or 0.0,
            prefixes=_find_prefixes(batch) if waiting else {},
            known=known,
            waiting=waiting,
        )

    def _may_ask(self, message_id: str, delivery: Delivery | None) -> bool:
        classified = _classify(message_id, delivery)
        is_old = classified is _Special.NOT_FOUND and delivery is not None and delivery.at < self.began
        return is_old or classified not in _CLOSED

    async def _ask_lots(self, queue: deque[_Lot]) -> None:
        most = min(self.reader.concurrency, self.reader.account.transport.max_connections, len(queue))
        async with anyio.create_task_group() as tasks:
            for _worker in range(most):
                tasks.start_soon(self._work, queue, tasks.cancel_scope)
        error, self._fatal_error = self._fatal_error, None
        if error is not None:
            raise error

    async def _work(self, queue: deque[_Lot], scope: anyio.CancelScope) -> None:
        try:
            while queue:
                await self._ask_lot(queue.popleft())
        except Exception as error:  # noqa: BLE001  raised above, by itself and not in a group
            self._fatal_error = error
            scope.cancel()

    async def _ask_lot(self, lot: _Lot) -> None:
        answered: set[str] = set()
        for message_id in lot.waiting:
            if message_id in answered:
                continue
            deliveries = await self._ask(message_id, lot)
            await self._record(deliveries, lot)
            answered.update(delivery.message_id for delivery in deliveries)

    async def _ask(self, message_id: str, lot: _Lot) -> Sequence[Delivery]:
        """Ask after one message; return what is learnt of its whole lot."""
        try:
            reports = await self.reader.read(message_id, lot.lot_id)
        except MessageNotFoundError:
            return [self._make(message_id, DeliveryStatus.OTHER, NOT_FOUND, lot)]
        return self._read_reports(reports or (), lot)

    def _make(self, message_id: str, status: DeliveryStatus, raw_status: str, lot: _Lot) -> Delivery:
        return Delivery(
            message_id=message_id,
            status=status,
            raw_status=raw_status,
            at=self.clock(),
            prefix=lot.prefixes[message_id],
        )

    def _read_reports(self, reports: Iterable[DeliveryReport], lot: _Lot) -> Sequence[Delivery]:
        deliveries = {
            report.message_id: self._make(report.message_id, report.status, report.raw_status, lot)
            for report in reports
            if report.message_id in lot.prefixes
        }
        return list(deliveries.values())

    async def _record(self, deliveries: Sequence[Delivery], lot: _Lot) -> None:
        """Keep what is new: who sends beside it waits for each write."""
        news = [each for each in deliveries if _is_news(each, lot.known.get(each.message_id))]
        if not news:
            return
        await self.ledger.record_deliveries(self.campaign_id, news)
        for delivery in news:
            known = lot.known.get(delivery.message_id)
            if known is not None:
                self.by_prefix[known.prefix, known.status] -= 1
            self.by_prefix[delivery.prefix, delivery.status] += 1
            before = _classify(delivery.message_id, known)
            after = _classify(delivery.message_id, delivery)
            for counts in (self._counts, self._seen):
                counts[before] -= 1
                counts[after] += 1
        self._notify()

    def _notify(self) -> None:
        if self.on_progress is not None:
            self.on_progress(self.summary())


def _find_prefixes(batch: StoredBatch) -> Mapping[str, str]:
    """Return the prefix of each message that can be asked after, empty where ids and numbers do not pair."""
    prefixes = dict.fromkeys(batch.record.message_ids, "")
    included = [recipient for recipient, exclusion in batch.recipients if exclusion is None]
    # Nothing at all where they do not pair.
    for recipient, message_id in zip(included, pair_ids(batch), strict=False):
        prefixes[message_id] = recipient[:PREFIX_DIGITS]
    return {message_id: prefix for message_id, prefix in prefixes.items() if _is_askable(message_id)}


def _is_closed(batches: Iterable[StoredBatch], lots: Iterable[_Lot]) -> bool:
    return all(batch.state in _SETTLED for batch in batches) and not any(lot.waiting for lot in lots)


def _is_askable(message_id: str) -> bool:
    """Return whether an id can be asked after: it is not blank and holds no NUL and no half characters."""
    is_odd = any(character == "\0" or "\ud800" <= character <= "\udfff" for character in message_id)
    return bool(message_id.strip()) and not is_odd


def _is_news(delivery: Delivery, known: Delivery | None) -> bool:
    # Of what is not found the time counts too: it is asked after once a call.
    return known is None or delivery.raw_status == NOT_FOUND or evolve(delivery, at=known.at) != known


def _classify(message_id: str, delivery: Delivery | None) -> _Known:
    if not _is_askable(message_id):
        return _Special.NOT_FOUND
    if delivery is None:
        return _Special.SILENT
    return _Special.NOT_FOUND if delivery.raw_status == NOT_FOUND else delivery.status
