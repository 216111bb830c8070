"""What `manage.py vavasms_worker` does: send what is enqueued, and notify the receivers of the signals."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any

import anyio
from attrs import define, field

from vavasms.campaigns.tracking import FIRST_PAUSE
from vavasms.client import AsyncVavaSMS
from vavasms.config import misconfigured
from vavasms.django.backends.base import OutboxBackend
from vavasms.django.client import find_ledger
from vavasms.django.deliveries import SendTracker, TrackedMessage
from vavasms.django.sends import find_backend
from vavasms.django.settings import read_settings
from vavasms.django.signals import SmsSignal, announce, delivered, sent, unknown
from vavasms.django.threads import run_in_thread
from vavasms.django.transactions import forward_all
from vavasms.errors import ConfigurationError, Outcome, name_error
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.base import Ledger
from vavasms.ledger.send_record import SendRecord
from vavasms.sends.client import open_ledger
from vavasms.sends.outbox_worker import SLOTS, OutboxWorker
from vavasms.storage.location import read_place

#: Seconds between two looks for what processes left behind that died after a commit.
_LEFT_EVERY = 5.0


@define(kw_only=True, eq=False)
class DjangoWorker:
    """The worker of a project's ledger: an `OutboxWorker` on a file, a `CampaignWorker` on PostgreSQL."""

    #: Requests of campaigns under way at once.
    concurrency: int
    #: Called with each sentence that a person is to read.
    say: Callable[[str], object]
    #: Seconds between two looks for what may have reached its handset.
    track_every: float = FIRST_PAUSE
    _stopping: anyio.Event = field(factory=anyio.Event, init=False)

    async def run(self) -> None:
        """Work until a signal, or until `stop`.

        Raises `ConfigurationError` where there is no ledger, and where the settings want no SMS sent.
        """
        found = read_settings()
        _check_backend(found.backend)
        place = find_ledger(found)
        if place is None:
            raise ConfigurationError(
                _("A worker needs a ledger: name one in `VAVASMS['LEDGER']`, or in `VAVASMS['DATABASE']`."),
                error_code="config.no_ledger",
            )
        options = {**found.options, "max_connections": self.concurrency + 2 + SLOTS}
        async with (
            AsyncVavaSMS(**found.make_account(is_sandbox=found.is_sandbox), **options) as client,
            aclosing(await open_ledger(read_place(str(place)))) as ledger,
        ):
            await self._work(client, ledger)

    def stop(self) -> None:
        """Begin nothing further; `run` returns once what is under way is settled."""
        self._stopping.set()

    async def _work(self, client: AsyncVavaSMS, ledger: Ledger) -> None:
        work, stop = self._make(client, ledger)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch_signals, tasks.cancel_scope)
            tasks.start_soon(self._stop_with, stop)
            tasks.start_soon(self._forward)
            tasks.start_soon(self._make_tracker(client, ledger).run)
            self.say(_("Sending what is enqueued. Ctrl-C stops it."))
            await work()
            tasks.cancel_scope.cancel()

    def _make(
        self, client: AsyncVavaSMS, ledger: Ledger
    ) -> tuple[Callable[[], Awaitable[None]], Callable[[], object]]:
        if not ledger.is_shared:
            outbox = OutboxWorker(client, ledger, on_send=report)
            return outbox.run, outbox.stop
        # It needs an extra, and says so.
        from vavasms.campaigns.workers.worker import CampaignWorker
        from vavasms.ledger.postgres.ledger import PostgresLedger

        assert isinstance(ledger, PostgresLedger)
        worker = CampaignWorker(client, ledger, concurrency=self.concurrency, on_send=report)
        return worker.run, worker.stop

    def _make_tracker(self, client: AsyncVavaSMS, ledger: Ledger) -> SendTracker:
        return SendTracker(
            account=client.account, ledger=ledger, tell=report_delivery, pause=self.track_every
        )

    async def _stop_with(self, stop: Callable[[], object]) -> None:
        await self._stopping.wait()
        stop()

    async def _watch_signals(self, scope: anyio.CancelScope) -> None:
        """Take the first signal for the end in order, the second for the end at once."""
        if os.name == "nt" or threading.current_thread() is not threading.main_thread():
            return
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _number in signals:
                if self._stopping.is_set():
                    self.say(_("Stopped at once: what is under way and was not answered becomes unknown."))
                    scope.cancel()
                    return
                self.say(_("Stopping: finishing what is under way. Another signal does not wait."))
                self.stop()

    async def _forward(self) -> None:
        while not self._stopping.is_set():
            try:
                await run_in_thread(forward_all)
            except Exception as error:  # noqa: BLE001  raised, it would cut off what is under way
                self.say(_(_NOT_LOOKED, error=name_error(error)))
            with anyio.move_on_after(_LEFT_EVERY):
                await self._stopping.wait()


def _check_backend(name: str) -> None:
    """Raise `ConfigurationError` where no SMS is to reach a phone by a worker: in a test, too."""
    if not isinstance(find_backend(name), OutboxBackend):
        raise misconfigured(
            _("`VAVASMS['BACKEND']` keeps nothing for a worker, and a worker sends by the gateway."),
            "config.django",
        )


_NOT_LOOKED = N_("The project's own database does not answer ({error}); it is asked again.")


async def report(record: SendRecord) -> None:
    """Notify the receivers of `sent` or of `unknown`, in a thread with connections of its own."""
    values = {"recipients": record.recipients, "idempotency_key": record.key}
    if record.outcome is Outcome.ACCEPTED:
        await _announce(sent, **values, lot=record.lot)
    elif record.outcome is Outcome.UNKNOWN:
        await _announce(unknown, **values, error=record.error or "")


async def report_delivery(message: TrackedMessage) -> None:
    """Notify the receivers of `delivered`, as `report` does."""
    await _announce(
        delivered,
        recipient=message.recipient,
        idempotency_key=message.idempotency_key,
        message_id=message.message_id,
    )


async def _announce(signal: SmsSignal, **values: Any) -> None:
    if signal.has_listeners(None):
        await run_in_thread(partial(announce, signal, **values))
