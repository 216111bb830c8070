"""Which single sends reached their handsets, for the receivers of `delivered`."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence

import anyio
from attrs import define, field, frozen

from vavasms.campaigns.delivery_tracker import TRACKED_FOR, pause_after
from vavasms.campaigns.tracking import FIRST_PAUSE, LONGEST_PAUSE, OLD_PAUSE, StatusReader, is_unavailable
from vavasms.django.signals import delivered
from vavasms.endpoints import Account
from vavasms.errors import LedgerError, MessageNotFoundError, name_error
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.base import Ledger
from vavasms.ledger.send_record import SendRecord
from vavasms.ledger.states import BatchState
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn

logger = logging.getLogger("vavasms")

#: Sends that are read at each look, the latest; and at most where all are, which reports the oldest of a busy
#: project a quarter of an hour late.
_LATEST, _MOST = 1_000, 100_000
_FINAL = (DeliveryStatus.DELIVERED, DeliveryStatus.FAILED)


@frozen(kw_only=True)
class TrackedMessage:
    """A message whose ids and numbers can be paired."""

    recipient: Msisdn
    idempotency_key: str
    message_id: str
    lot_id: str | None
    #: Seconds since it was accepted.
    age: float


@define(kw_only=True, eq=False)
class SendTracker:
    """Asks for the delivery reports of the sends of the last 72 hours, while anybody listens to `delivered`.

    It costs nothing, is held to the rate of campaigns' reports, and never disturbs the sending. Of more than
    100,000 sends in that time it follows the latest. What it knows is in memory: another worker, or this one
    once it was started anew, tells of a message again.
    """

    account: Account
    ledger: Ledger
    tell: Callable[[TrackedMessage], Awaitable[object]]
    #: Seconds between two looks into the ledger.
    pause: float = FIRST_PAUSE
    _reader: StatusReader = field(init=False)
    #: When each is asked after again; what is final never is.
    _due: dict[str, float] = field(factory=dict, init=False)
    #: When all are read again, and not the latest alone.
    _all_at: float = field(default=0.0, init=False)

    @_reader.default
    def _make_reader(self) -> StatusReader:
        # One at a time: connections are for the sending.
        return StatusReader(account=self.account, concurrency=1)

    async def run(self) -> None:
        """Track until cancelled, or until the gateway turns out to have no such call. Raises nothing."""
        while True:
            pause = self.pause
            try:
                if delivered.has_listeners(None):
                    await self._look()
            except Exception as error:  # noqa: BLE001  raised, it would cut off what is under way
                logger.warning(N_("Delivery is not followed up for now (%s)."), name_error(error))
                if is_unavailable(error):
                    return
                pause = self.pause if isinstance(error, LedgerError) else OLD_PAUSE
            await anyio.sleep(pause)

    async def _look(self) -> None:
        # One of all workers does.
        async with self.ledger.tracking_turn(f"{self.account.name} sends") as is_ours:
            if not is_ours:
                return
            now = await self.ledger.now()
            reads_all = now >= self._all_at
            messages = await self._find(now, _MOST if reads_all else _LATEST)
            if reads_all:
                self._due = {one.message_id: self._due.get(one.message_id, 0.0) for one in messages}
            if await self._ask_due(messages, now) and reads_all:
                self._all_at = now + OLD_PAUSE

    async def _ask_due(self, messages: Sequence[TrackedMessage], now: float) -> bool:
        """Ask after those that are due; return whether there was time for all: others come meanwhile."""
        end = anyio.current_time() + LONGEST_PAUSE
        for message in messages:
            if anyio.current_time() > end:
                return False
            if self._due.get(message.message_id, 0.0) <= now:
                self._due[message.message_id] = await self._ask(message, now)
        return True

    async def _find(self, now: float, limit: int) -> Sequence[TrackedMessage]:
        """Return the messages of so many sends, the latest first."""
        records = await self.ledger.sends.records(
            self.account.name, states=[BatchState.ACCEPTED], since=now - TRACKED_FOR, limit=limit
        )
        return [message for record in records for message in _pair(record, now)]

    async def _ask(self, message: TrackedMessage, now: float) -> float:
        """Return when a message is asked after again."""
        again = now + pause_after(message.age)
        try:
            reports = await self._reader.read(message.message_id, message.lot_id)
        except MessageNotFoundError:
            return again
        statuses = [one.status for one in reports or () if one.message_id == message.message_id]
        if DeliveryStatus.DELIVERED in statuses:
            await self.tell(message)
        return float("inf") if any(status in _FINAL for status in statuses) else again


def _pair(record: SendRecord, now: float) -> Iterator[TrackedMessage]:
    if len(record.message_ids) != len(record.recipients):
        return
    for recipient, message_id in zip(record.recipients, record.message_ids, strict=True):
        yield TrackedMessage(
            recipient=recipient,
            idempotency_key=record.key,
            message_id=message_id,
            lot_id=record.lot_id or None,
            age=max(now - (record.settled_at or record.created_at), 0.0),
        )
