"""Ask for the delivery reports of a campaign until they are final, and keep them in its ledger."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from enum import Enum

import anyio
from attrs import define, field, frozen

from vavasms.bulk.rate_limit import RateLimiter
from vavasms.campaigns.report import PAGE
from vavasms.endpoints import Account, HasAccount, fetch_delivery_reports
from vavasms.errors import (
    ConfigurationError,
    InvalidInputError,
    MessageNotFoundError,
    RateLimitedError,
    VavaSMSError,
)
from vavasms.i18n import gettext as _
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import Delivery, StoredBatch
from vavasms.ledger.states import BatchState
from vavasms.models import DeliveryReport, DeliveryStatus

#: Kept as the raw status of a message that the gateway does not know.
NOT_FOUND = "not found (709)"
#: Seconds between the first two rounds, doubled from round to round up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 60.0
#: Lots asked after at the same time, so that slow answers do not undo the rate.
_CONCURRENCY = 8

#: Failures in a row by which the pause after one grows.
_MOST_FAILURES = 6


class _Special(Enum):
    """What is known of a message that has no delivery status."""

    NOT_FOUND = "not_found"
    SILENT = "silent"


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
    rate: float = 10.0,
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
    tracker = _Tracker(
        account=client.account,
        ledger=ledger,
        campaign_id=campaign_id,
        clock=clock,
        deadline=deadline,
        began=clock(),
        rate_limiter=RateLimiter(rate=rate),
        on_progress=on_progress,
    )
    await tracker.count()
    with anyio.move_on_after(tracker.left()):
        await tracker.ask_all()
        while tracker.summary().waiting:
            await anyio.sleep(pause)
            pause = min(pause * 2, longest_pause)
            await tracker.ask_all()
    return tracker.summary()


@frozen(kw_only=True)
class _OpenLot:
    """A lot with messages that are not final."""

    lot_id: str | None
    #: All of its messages: a reply may be about others than the one asked after.
    ids: frozenset[str]
    waiting: tuple[str, ...]


@define(kw_only=True)
class _Tracker:
    account: Account
    ledger: Ledger
    campaign_id: str
    clock: Callable[[], float]
    deadline: float | None
    #: What was not found before that is asked after once more.
    began: float
    rate_limiter: RateLimiter
    on_progress: OnTracked | None
    _counts: Counter[DeliveryStatus | _Special] = field(factory=Counter, init=False)
    _error: VavaSMSError | None = field(default=None, init=False)
    #: What ended the asking.
    _fatal_error: Exception | None = field(default=None, init=False)
    _failures: int = field(default=0, init=False)

    def left(self) -> float | None:
        """Return the seconds to the deadline."""
        return None if self.deadline is None else max(self.deadline - self.clock(), 0.0)

    def summary(self) -> TrackSummary:
        """Return what is known by now."""
        counts = {kind.value: self._counts[kind] for kind in (*DeliveryStatus, *_Special)}
        return TrackSummary(messages=self._counts.total(), error=self._error, **counts)

    async def count(self) -> None:
        """Count anew: batches may have been accepted meanwhile."""
        counts: Counter[DeliveryStatus | _Special] = Counter()
        async for batch, known in self._lots():
            counts.update(
                _classify(message_id, known.get(message_id)) for message_id in batch.record.message_ids
            )
        self._counts = counts
        self._notify()

    async def ask_all(self) -> None:
        """Ask once after each message that is not final. Raises what every further request would meet."""
        queue: deque[_OpenLot] = deque()
        async for batch, known in self._lots():
            lot = self._open(batch, known)
            if lot.waiting:
                queue.append(lot)
            if len(queue) >= PAGE:
                await self._ask_lots(queue)
        await self._ask_lots(queue)
        await self.count()

    async def _lots(self) -> AsyncIterator[tuple[StoredBatch, Mapping[str, Delivery]]]:
        """Yield the accepted batches and what is known of their messages, a page at a time."""
        after = -1
        while batches := await self.ledger.batches(self.campaign_id, after=after, limit=PAGE):
            accepted = [batch for batch in batches if batch.state is BatchState.ACCEPTED]
            ids = [message_id for batch in accepted for message_id in batch.record.message_ids]
            known = await self.ledger.deliveries(self.campaign_id, ids) if ids else {}
            for batch in accepted:
                yield batch, known
            after = batches[-1].number

    def _open(self, batch: StoredBatch, known: Mapping[str, Delivery]) -> _OpenLot:
        ids = batch.record.message_ids
        waiting = tuple(message_id for message_id in ids if self._may_ask(message_id, known.get(message_id)))
        return _OpenLot(
            lot_id=batch.record.lot_id or None, ids=frozenset(filter(_is_askable, ids)), waiting=waiting
        )

    def _may_ask(self, message_id: str, delivery: Delivery | None) -> bool:
        classified = _classify(message_id, delivery)
        is_old = classified is _Special.NOT_FOUND and delivery is not None and delivery.at < self.began
        return is_old or classified not in _CLOSED

    async def _ask_lots(self, queue: deque[_OpenLot]) -> None:
        async with anyio.create_task_group() as tasks:
            for _worker in range(min(_CONCURRENCY, self.account.transport.max_connections, len(queue))):
                tasks.start_soon(self._work, queue, tasks.cancel_scope)
        if self._fatal_error is not None:
            raise self._fatal_error

    async def _work(self, queue: deque[_OpenLot], scope: anyio.CancelScope) -> None:
        try:
            while queue:
                await self._ask_lot(queue.popleft())
        except Exception as error:  # noqa: BLE001  raised above, by itself and not in a group
            self._fatal_error = error
            scope.cancel()

    async def _ask_lot(self, lot: _OpenLot) -> None:
        answered: set[str] = set()
        for message_id in lot.waiting:
            if message_id in answered:
                continue
            await self._wait_for_rate()
            deliveries = await self._ask(message_id, lot)
            if deliveries:
                await self._record(deliveries)
                answered.update(delivery.message_id for delivery in deliveries)

    async def _wait_for_rate(self) -> None:
        """Wait for the rate, and for what a failure before asked for."""
        while True:
            await anyio.sleep(self.rate_limiter.reserve(1, anyio.current_time()))
            if not self.rate_limiter.held(anyio.current_time()):
                return
            # Held meanwhile: in line again, or all would leave at once when that ends.

    async def _ask(self, message_id: str, lot: _OpenLot) -> Sequence[Delivery]:
        """Ask after one message; return what is learnt of its whole lot."""
        transport, path = self.account.transport, self.account.status_path
        try:
            reports = await fetch_delivery_reports(transport, message_id, lot_id=lot.lot_id, path=path)
        except MessageNotFoundError:
            self._failures = 0
            return [self._missing(message_id)]
        except VavaSMSError as error:
            if error.halts or isinstance(error, ConfigurationError):
                # Every further request would meet it.
                raise
            self._back_off(error)
            return ()
        self._failures = 0
        return self._read_reports(reports, lot)

    def _missing(self, message_id: str) -> Delivery:
        return Delivery(
            message_id=message_id, status=DeliveryStatus.OTHER, raw_status=NOT_FOUND, at=self.clock()
        )

    def _read_reports(self, reports: Iterable[DeliveryReport], lot: _OpenLot) -> Sequence[Delivery]:
        at = self.clock()
        deliveries = {
            report.message_id: Delivery(
                message_id=report.message_id, status=report.status, raw_status=report.raw_status, at=at
            )
            for report in reports
            if report.message_id in lot.ids
        }
        return list(deliveries.values())

    def _back_off(self, error: VavaSMSError) -> None:
        """Pause after a failure."""
        self._error = error.with_traceback(None)
        asked = error.retry_after if isinstance(error, RateLimitedError) else None
        self.rate_limiter.hold(asked, self._failures, anyio.current_time())
        self._failures = min(self._failures + 1, _MOST_FAILURES)

    async def _record(self, deliveries: Sequence[Delivery]) -> None:
        ids = [delivery.message_id for delivery in deliveries]
        before = await self.ledger.deliveries(self.campaign_id, ids)
        await self.ledger.record_deliveries(self.campaign_id, deliveries)
        for delivery in deliveries:
            self._counts[_classify(delivery.message_id, before.get(delivery.message_id))] -= 1
            self._counts[_classify(delivery.message_id, delivery)] += 1
        self._notify()

    def _notify(self) -> None:
        if self.on_progress is not None:
            self.on_progress(self.summary())


def _is_askable(message_id: str) -> bool:
    """Return whether an id can be asked after: it is not blank and holds no NUL and no half characters."""
    is_odd = any(character == "\0" or "\ud800" <= character <= "\udfff" for character in message_id)
    return bool(message_id.strip()) and not is_odd


def _classify(message_id: str, delivery: Delivery | None) -> DeliveryStatus | _Special:
    if not _is_askable(message_id):
        return _Special.NOT_FOUND
    if delivery is None:
        return _Special.SILENT
    return _Special.NOT_FOUND if delivery.raw_status == NOT_FOUND else delivery.status
