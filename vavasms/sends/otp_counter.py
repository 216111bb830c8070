"""One call about a one-time code, counted against the limits before it leaves."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from secrets import token_hex
from typing import TypeVar

from attrs import define, field, frozen

from vavasms.errors import InvalidInputError, LedgerError, OtpLimit, OtpLimitedError, Outcome, VavaSMSError
from vavasms.i18n import gettext as _
from vavasms.ledger.otp import OtpKind, OtpRequest, OtpStore, Refusal
from vavasms.ledger.otp_limits import OtpLimits
from vavasms.ledger.pending_writes import PendingWrites
from vavasms.models import OtpReceipt, OtpVerification
from vavasms.numbers import Msisdn
from vavasms.sends.base import OtpDraft
from vavasms.text.segments import count_segments
from vavasms.transport.http import Attempt
from vavasms.wire.requests import DEFAULT_LENGTH, OTP_TAG

T = TypeVar("T")

#: The part of an IPv6 address that one customer has.
_PREFIX = 64


@frozen(kw_only=True)
class OtpGuard:
    """What a client counts, and for whom."""

    limits: OtpLimits
    account: str = field(repr=False)
    #: The client's own country.
    region: str
    clock: Callable[[], float] = time.time

    def count_code(self, draft: OtpDraft, client: str | None) -> OtpRequest:
        """Return what a code counts as. Raises `OtpLimitedError` where its country gets none."""
        network = None if client is None else read_caller(client)
        countries = self.limits.countries
        if countries is not None and draft.recipient.country not in (self.region, *countries):
            raise Refusal(limit=OtpLimit.COUNTRY, retry_after=None).error
        return OtpRequest(
            account=self.account,
            kind=OtpKind.CODE,
            token=token_hex(16),
            recipient=draft.recipient,
            client=network,
            segments=count_otp_segments(draft),
        )

    def count_guess(self, recipient: Msisdn) -> OtpRequest:
        """Return what a code that a person typed counts as."""
        return OtpRequest(account=self.account, kind=OtpKind.GUESS, token=token_hex(16), recipient=recipient)


@define(kw_only=True)
class CountedCall:
    """One call, and where it is counted."""

    guard: OtpGuard
    request: OtpRequest
    store: OtpStore
    #: What the store does not take now.
    pending: PendingWrites = field(factory=PendingWrites)

    async def refusal(self) -> OtpLimitedError | None:
        """Return why the call would be refused. Writes nothing: a flood of refused calls costs little."""
        found = await _read_first(self.store.check(self.request, self.guard.limits, now=self.guard.clock()))
        return None if found is None else found.error

    async def send(self, call: Callable[[Attempt], Awaitable[OtpReceipt]], attempt: Attempt) -> OtpReceipt:
        """Send a code that is counted. Raises `OtpLimitedError` for one too many."""
        await self._take()
        try:
            return await call(attempt)
        except VavaSMSError as error:
            await self._settle(error.outcome)
            raise
        except BaseException:
            # Cancelled, or a fault of our own: the body knows how far it came.
            await self._settle(attempt.outcome)
            raise

    async def verify(self, call: Callable[[], Awaitable[OtpVerification]]) -> OtpVerification:
        """Check a code, counted unless it is the right one. Raises `OtpLimitedError` for one too many."""
        refusal = await self.refusal()
        if refusal is not None:
            raise refusal
        await self._take()
        try:
            verdict = await call()
        except VavaSMSError as error:
            if error.outcome is Outcome.NOT_SENT:
                await self._settle(error.outcome)
            raise
        if verdict.valid:
            await self._settle(Outcome.NOT_SENT)
        return verdict

    async def _take(self) -> None:
        try:
            found = await _read_first(
                self.store.take(self.request, self.guard.limits, now=self.guard.clock())
            )
        except BaseException:
            # The commit may have happened; its answer is lost, so nothing is sent on the strength of it.
            await self._settle(Outcome.NOT_SENT)
            raise
        if found is not None:
            raise found.error

    async def _settle(self, outcome: Outcome | None) -> None:
        """Write what became of what is counted; what the ledger does not take is written later."""
        write = self.store.note_rejected
        if outcome is Outcome.NOT_SENT:
            write = self.store.give_back
        elif outcome is not Outcome.REJECTED:
            return
        with suppress(LedgerError):
            await self.pending.write_or_defer(partial(write, self.request.account, self.request.token))


def read_caller(client: str) -> str:
    """Return what an address is counted by: itself, or the /64 of an IPv6 address.

    Raises `InvalidInputError` for what is none.
    """
    try:
        # Any whole number is an address to `ipaddress`.
        address = ip_address(client) if isinstance(client, str) else None
    except ValueError:
        address = None
    match address:
        case IPv4Address():
            return str(address)
        case IPv6Address(ipv4_mapped=IPv4Address() as mapped):
            return str(mapped)
        case IPv6Address():
            # Without the name of an interface, which some addresses have.
            return str(ip_network((int(address), _PREFIX), strict=False))
        case _other:
            raise InvalidInputError(
                _(
                    "client is the address of who asks for the code, such as 203.0.113.7 or 2001:db8::1; "
                    "nothing was sent."
                ),
                error_code="input.client",
                argument="client",
            )


async def _read_first(answer: Awaitable[T]) -> T:
    """Return what a store answers. Where it does not, nothing was sent yet."""
    try:
        return await answer
    except LedgerError as error:
        error.outcome = Outcome.NOT_SENT
        raise


def count_otp_segments(draft: OtpDraft) -> int:
    """Return the SMS that a code costs, its tag replaced by digits; 1 for the gateway's own text."""
    template, length = draft.options.get("template"), draft.options.get("length")
    if not isinstance(template, str):
        return 1
    digits = length if isinstance(length, int) else DEFAULT_LENGTH
    return count_segments(template.replace(OTP_TAG, "0" * digits)).segments
