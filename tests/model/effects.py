"""The real coroutines that send, with nothing around them that is real: each effect waits for a script.

What a coroutine asks of its ledger and of the network is an `Effect`; the script has the results of the first
ones, and the coroutine stays where it asks for one more. In between runs what is shipped: the sender, its
retries, its deadlines, the transport with its body, the outcome table. Time is virtual: no wait takes any.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Sequence
from typing import NamedTuple, cast
from urllib.parse import parse_qs

import httpx
from attrs import define, field

from vavasms.config import Secret, Settings
from vavasms.errors import LedgerError
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import BatchRecord, Claim
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.send_record import SendKind, SendRecord
from vavasms.ledger.sends import NewSend, SendClaim, SendStore
from vavasms.ledger.states import BatchEvent, BatchState
from vavasms.numbers import Msisdn
from vavasms.transport.http import HttpTransport
from vavasms.transport.outcome import OutcomePolicy
from vavasms.transport.retry import RetryBudget

#: Who is sent to, in the model; its whole numbers stand for these.
PHONES = tuple(Msisdn(2250700000100 + index) for index in range(3))
ACCOUNT, SENDER, TEXT = "ops loopback", "ACME", "Bonjour"
CAMPAIGN, KEY = "c", "order-1"
#: When a claim is made, seconds since the epoch, for the coroutines.
CLAIMED_AT = 1_800_000_000.0
#: What the gateway answers, by the name of a result: a status and a body.
ANSWERS = {
    "accepted": (200, b'{"code":0,"message":"OK","data":{"lot_id":"L","message_id":["m1","m2"]}}'),
    "number refused": (200, b'{"code":"903","status":"INVALID_PHONE_NUMBER","description":"no"}'),
    "sender refused": (200, b'{"code":"902","status":"INVALID_SENDER_ID","description":"no"}'),
    "turned away": (429, b"slow down"),
    "bad gateway": (502, b"<html>bad gateway</html>"),
    "forbidden": (403, b"<html>forbidden</html>"),
    "unreadable": (200, b"<html>hello</html>"),
}


class Effect(NamedTuple):
    """What a coroutine asks of the world, and waits for."""

    name: str
    detail: tuple[object, ...] = ()


class Result(NamedTuple):
    """What the world answers, so many seconds after the claim."""

    name: str
    age: float = 0.0
    #: Whom a claim is for, by their places in it; what stands under a key.
    detail: object = None


class DismissedError(BaseException):
    """Ends a coroutine of which nobody wants to know more."""


@define(eq=False)
class Script:
    """The results of the effects so far, and the one that is waited for."""

    results: Sequence[Result]
    now: float = CLAIMED_AT
    #: What is asked for beyond the last result.
    pending: Effect | None = None
    parked: asyncio.Event = field(factory=asyncio.Event, init=False)
    _dismissed: asyncio.Event = field(factory=asyncio.Event, init=False)
    _given: int = 0

    async def ask(self, name: str, *detail: object) -> Result:
        """Return the result of an effect. Raises what it raises."""
        if self._given == len(self.results):
            self.pending = self.pending or Effect(name, detail)
            self.parked.set()
            await self._dismissed.wait()
            raise DismissedError
        result = self.results[self._given]
        self._given += 1
        self.now = CLAIMED_AT + result.age
        if result.name == "interrupted":
            raise asyncio.CancelledError
        if result.name == "lost":
            raise LedgerError("its answer was lost")
        return result

    def dismiss(self) -> None:
        """End the coroutine: what it waits for never comes."""
        self._dismissed.set()

    def clock(self) -> float:
        """Return the time."""
        return self.now


class Network(httpx.AsyncBaseTransport):
    """The network and the gateway behind it, by a script."""

    def __init__(self, script: Script) -> None:
        self._script = script

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Connect, take the body and answer."""
        found = await self._script.ask("connect")
        if found.name == "unreachable":
            raise httpx.ConnectError("refused")
        assert isinstance(request.stream, httpx.AsyncByteStream)
        # Refused by the body itself where it is too late.
        body = b"".join([chunk async for chunk in request.stream])
        numbers = parse_qs(body.decode())["phone"][0].split(",")
        answer = await self._script.ask("answer", tuple(PHONES.index(Msisdn(each)) for each in numbers))
        if answer.name == "reset":
            raise httpx.ReadError("reset")
        status, content = ANSWERS[answer.name]
        return httpx.Response(status, content=content)


def make_transport(script: Script, *, atomic: bool) -> HttpTransport:
    """Build the real transport over that network; it tries twice at most."""
    settings = Settings(username="ops", password=Secret("pass"), base_url="http://127.0.0.1:1")
    policy = OutcomePolicy(lots_are_atomic=atomic)
    transport = HttpTransport(settings, policy=policy, transport=Network(script), trust_env=False)
    transport._exchange._budget = RetryBudget(capacity=1.0, refill=0.0)
    return transport


class ScriptedSends:
    """The single sends of a ledger, by a script."""

    def __init__(self, script: Script) -> None:
        self._script = script

    async def begin(self, new: NewSend, *, token: str, now: float) -> SendClaim | SendRecord:
        """Ask for TX1."""
        found = await self._script.ask("begin")
        if found.name == "granted":
            return _send_claim(new.key, token)
        assert isinstance(found.detail, BatchState)
        return _record(found.detail)

    async def claim_due(self, account: str, *, token: str, now: float, limit: int) -> list[SendClaim]:
        """Ask for TX1 of what is due."""
        found = await self._script.ask("claim_due")
        return [_send_claim(KEY, f"{token}-0", is_enqueued=True)] if found.name == "granted" else []

    async def settle(
        self, claim: SendClaim, event: BatchEvent, record: BatchRecord, *, now: float, not_before: float = 0.0
    ) -> bool:
        """Ask for TX2."""
        return (await self._script.ask("settle", event)).name == "done"

    async def abandon(self, account: str, key: str, token: str) -> bool:
        """Ask for a claim to be taken back."""
        return (await self._script.ask("abandon")).name == "done"

    async def abandon_due(self, account: str, token: str, *, limit: int) -> None:
        """Ask for claims to be taken back."""
        await self._script.ask("abandon_due")

    async def find(self, account: str, key: str) -> SendRecord | None:
        """Ask for what another call has under way: nobody waits for that in the model."""
        await self._script.ask("wait")
        return None


class ScriptedLedger:
    """A ledger by a script: what decides nothing is answered at once."""

    def __init__(self, script: Script, *, is_shared: bool) -> None:
        self._script, self.is_shared = script, is_shared
        self.sends = ScriptedSends(script)

    async def claim(
        self, campaign_id: str, number: int, *, token: str, revision: int | None = None, **_: object
    ) -> Claim | None:
        """Ask for TX1."""
        found = await self._script.ask("claim", revision)
        if found.name == "refused":
            return None
        assert isinstance(found.detail, tuple)
        return Claim(
            campaign_id=campaign_id,
            number=number,
            token=token,
            at=CLAIMED_AT,
            attempt=1,
            message=TEXT,
            segments=1,
            recipients=tuple(PHONES[each] for each in found.detail),
        )

    async def settle(
        self, claim: Claim, event: BatchEvent, record: BatchRecord, *, not_before: float = 0.0
    ) -> bool:
        """Ask for TX2."""
        return (await self._script.ask("settle", event)).name == "done"

    async def abandon(self, campaign_id: str, number: int, token: str) -> bool:
        """Ask for a claim to be taken back."""
        return (await self._script.ask("abandon")).name == "done"

    async def split(self, claim: Claim) -> tuple[int, int] | None:
        """Ask for TX2 of a lot that was refused as a whole."""
        return (2, 3) if (await self._script.ask("split")).name == "done" else None

    async def pause(self, campaign_id: str, reason: str, *, revision: int | None = None) -> bool:
        """Ask for a pause."""
        return (await self._script.ask("pause", revision)).name == "done"

    async def hold(self, account: str, until: float, *, now: float) -> None:
        """Do nothing: there is no rate."""

    async def now(self) -> float:
        """Return the time."""
        return self._script.now

    @property
    def shared(self) -> PostgresLedger:
        """Itself, for who wants one that is shared."""
        return cast("PostgresLedger", self)

    @property
    def any(self) -> Ledger:
        """Itself, for who takes any."""
        return cast("Ledger", self)

    @property
    def store(self) -> SendStore:
        """Its single sends."""
        return cast("SendStore", self.sends)


def _send_claim(key: str, token: str, *, is_enqueued: bool = False) -> SendClaim:
    return SendClaim(
        account=ACCOUNT,
        key=key,
        kind=SendKind.TEXT,
        token=token,
        at=CLAIMED_AT,
        attempt=1,
        recipients=PHONES[:1],
        sender_id=SENDER,
        segments=1,
        text=TEXT,
        is_enqueued=is_enqueued,
    )


def _record(state: BatchState) -> SendRecord:
    return SendRecord(
        account=ACCOUNT,
        key=KEY,
        kind=SendKind.TEXT,
        state=state,
        recipients=PHONES[:1],
        sender_id=SENDER,
        segments=1,
        text=None,
        lot_id="",
        message_ids=(),
        description="",
        error=None,
        attempts=1,
        is_enqueued=False,
        created_at=CLAIMED_AT,
        sent_at=CLAIMED_AT,
        settled_at=None,
        not_before=0.0,
    )


class _Selector(selectors.SelectSelector):
    """A selector that does not wait: time goes on by as much."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.skipped += timeout or 0.0
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which no wait takes any time."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Return the time, seconds."""
        return self._virtual.skipped
