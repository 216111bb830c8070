"""The one-time codes of a client that has a ledger, limits, or both."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from vavasms import endpoints
from vavasms.config import misconfigured
from vavasms.endpoints import Transport
from vavasms.errors import LedgerError, Outcome
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.otp import OtpStore
from vavasms.ledger.send_record import SendRecord
from vavasms.ledger.sends import NewSend
from vavasms.ledger.sqlite.otp import MemoryOtp
from vavasms.ledger.states import RENEWABLE
from vavasms.models import OtpReceipt, OtpVerification
from vavasms.numbers import Msisdn
from vavasms.sends.base import OtpDraft, Otps
from vavasms.sends.client import ClientSends
from vavasms.sends.otp_counter import CountedCall, OtpGuard
from vavasms.sends.sender import SingleSender
from vavasms.transport.http import Attempt

Verify = Callable[[], Awaitable[OtpVerification]]

logger = logging.getLogger("vavasms")


class KeptOtps(Otps):
    """The codes of a client with a ledger: each is kept there, and counted where there are limits."""

    def __init__(self, transport: Transport, sends: ClientSends, guard: OtpGuard | None) -> None:
        self._transport, self._sends, self._guard = transport, sends, guard

    async def send(self, draft: OtpDraft, key: str | None, client: str | None) -> OtpReceipt:
        new = self._sends.new_otp(draft, key)
        call = partial(endpoints.send_otp, self._transport, draft.request)
        request = None if self._guard is None else self._guard.count_code(draft, client)
        if request is None:
            _need_no_caller(client)
        async with self._sends.use() as (sender, store):
            if self._guard is not None and request is not None:
                counted = CountedCall(guard=self._guard, request=request, store=store, pending=sender.pending)
                refusal = await counted.refusal()
                if refusal is not None and (key is None or not await _stands(sender, new)):
                    raise refusal
                # Counted under the claim: what was sent before under its key is returned, and counts nothing.
                call = partial(counted.send, call)
            found = await sender.send(new, call)
        receipt = found.receipt if isinstance(found, SendRecord) else found
        assert receipt is not None
        return receipt

    async def verify(self, to: Msisdn, call: Verify) -> OtpVerification:
        if self._guard is None or self._guard.limits.wrong_codes is None:
            return await call()
        async with self._sends.use() as (sender, store):
            request = self._guard.count_guess(to)
            counted = CountedCall(guard=self._guard, request=request, store=store, pending=sender.pending)
            return await counted.verify(call)


class UnkeptOtps(Otps):
    """The codes of a client with limits and no ledger: counted in memory."""

    def __init__(self, transport: Transport, guard: OtpGuard) -> None:
        self._transport, self._guard = transport, guard
        self._store: OtpStore = MemoryOtp()
        logger.warning(
            N_(
                "One-time codes are counted in the memory of this process only, and others send as many "
                "more: AsyncVavaSMS(ledger=…) counts them together."
            )
        )

    async def send(self, draft: OtpDraft, key: str | None, client: str | None) -> OtpReceipt:
        if key is not None:
            raise misconfigured(
                _("An idempotency_key needs a ledger: AsyncVavaSMS(ledger='sms.db')."), "config.no_ledger"
            )
        request = self._guard.count_code(draft, client)
        counted = CountedCall(guard=self._guard, request=request, store=self._store)
        return await counted.send(partial(endpoints.send_otp, self._transport, draft.request), Attempt())

    async def verify(self, to: Msisdn, call: Verify) -> OtpVerification:
        if self._guard.limits.wrong_codes is None:
            return await call()
        request = self._guard.count_guess(to)
        return await CountedCall(guard=self._guard, request=request, store=self._store).verify(call)


def _need_no_caller(client: str | None) -> None:
    if client is not None:
        raise misconfigured(
            _("A client is counted by limits: AsyncVavaSMS(otp_limits=OtpLimits())."), "config.no_otp_limits"
        )


async def _stands(sender: SingleSender, new: NewSend) -> bool:
    """Return whether a call with its key was accepted, is unknown or under way: that is its answer."""
    try:
        found = await sender.store.find(new.account, new.key)
    except LedgerError as error:
        error.outcome = Outcome.NOT_SENT
        raise
    return found is not None and found.state not in RENEWABLE
