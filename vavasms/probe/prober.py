"""`Prober`: takes the steps of a probe, each request written down before it leaves."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal

import anyio
from attrs import asdict, define, evolve, field

from vavasms.config import DEFAULT_STATUS_PATH, username_of
from vavasms.endpoints import Account, fetch_balance, fetch_delivery_reports, send_text
from vavasms.errors import (
    AuthenticationError,
    ConfigurationError,
    GatewayError,
    MessageNotFoundError,
    Outcome,
    RateLimitedError,
    UnexpectedReplyError,
    VavaSMSError,
)
from vavasms.models import DeliveryReport, DeliveryStatus
from vavasms.numbers import Msisdn
from vavasms.probe import verdicts
from vavasms.probe.journal import ProbeJournal
from vavasms.probe.knowledge import Knowledge, SentMessage, make_done, make_facts, make_intent, make_outcome
from vavasms.probe.plan import MOST_NUMBERS, ProbeStep, find_limit, name_request, next_size
from vavasms.probe.verdicts import ACCEPTED, NOT_SENT, UNKNOWN, ProbeReply
from vavasms.profile.models import LONGEST_AGE, MOST_STATUSES, GatewayProfile, Oversize
from vavasms.transport.hooks import CallInfo
from vavasms.transport.http import Attempt
from vavasms.wire.requests import draft_text

#: Where the status is asked for: the one path of which there is evidence, then what others call theirs.
STATUS_PATHS = (
    DEFAULT_STATUS_PATH,
    "/v1/text/status",
    "/v1/check/status",
    "/v1/message/status",
    "/v1/delivery/status",
    "/v1/sms/status",
    "/v1/status",
)
#: Too short for a number of any plan: after the country's code come four digits that no service has.
BAD_NUMBERS = tuple(Msisdn(f"2250{index:03}") for index in range(MOST_NUMBERS))
#: The texts; each is sent once.
TEXTS = {
    ProbeStep.PLAIN: "vavasms probe: one plain SMS.",
    ProbeStep.BAD_NUMBER: "vavasms probe: a number that cannot exist.",
    ProbeStep.LOT: "vavasms probe: a lot with one bad number.",
    ProbeStep.UCS2: "vavasms probe: one SMS in Unicode \N{CHECK MARK}",
    ProbeStep.SEGMENTS: "vavasms probe: one text of two SMS. ".ljust(200, "-"),
}
#: What is answered where there is no such call.
_NO_SUCH_CALL = frozenset({400, 404, 405, 410, 415, 422})
#: Of a word of the status.
_MOST_CHARACTERS = 100
_FINAL = frozenset({DeliveryStatus.DELIVERED, DeliveryStatus.FAILED})
#: Requests that are started at once to see whether 429 comes, and the seconds in which they are counted.
BURST, _SECOND = 20, 1.0
#: Seconds between two looks at the balance.
_LOOK_SECONDS = 0.5
#: How often a balance may move, after one request, before nothing is concluded from it.
_MOST_MOVES = 10
#: Seconds between two looks at the status, the first and the longest.
_FIRST_LOOK, _LONGEST_LOOK = 0.25, 5.0


@define(kw_only=True, eq=False)
class Prober:
    """The steps of a probe of one account, to one number.

    A request is in the journal, on the disk, before it leaves, and never posted twice: of one that was cut
    off nobody knows, and it counts as paid.
    """

    account: Account
    sender_id: str
    #: The owner's.
    to: Msisdn
    journal: ProbeJournal = field(repr=False)
    #: Seconds between two requests.
    pace: float = 1.0
    #: Seconds for which the status of an SMS is followed.
    patience: float = 60.0
    #: Seconds for which a balance that should fall is waited for.
    falls_within: float = 5.0
    #: Seconds for which one that should stand is watched.
    stands_for: float = 1.0
    clock: Callable[[], float] = time.time
    _answers: list[tuple[float, int | None]] = field(factory=list, init=False)
    _stopping: anyio.Event | None = field(default=None, init=False)
    _last: float = field(default=0.0, init=False)
    _is_stopped: bool = field(default=False, init=False)
    #: An SMS of this run may still be billed.
    _is_owed: bool = field(default=False, init=False)
    #: Seconds after which the balance last moved.
    _fell_after: float = field(default=0.0, init=False)

    @property
    def known(self) -> Knowledge:
        """What is known by now."""
        return self.journal.known

    def stop(self) -> None:
        """Begin no further request; what is under way is waited for."""
        self._is_stopped = True
        if self._stopping is not None:
            self._stopping.set()

    def watch(self, info: CallInfo) -> None:
        """Note the answer to an attempt: a hook of the client."""
        self._answers.append((time.monotonic(), info.http_status))

    async def run(self, step: ProbeStep) -> None:
        """Take a step. Raises what every further one would meet; what was learnt is kept."""
        self._stopping = anyio.Event()
        steps: dict[ProbeStep, Callable[[], Awaitable[None]]] = {
            ProbeStep.PLAIN: self._ask_price,
            ProbeStep.STATUS_PATH: self._find_path,
            ProbeStep.BAD_NUMBER: self._try_bad_number,
            ProbeStep.LOT: self._try_lot,
            ProbeStep.UCS2: self._ask_ucs2_price,
            ProbeStep.SEGMENTS: self._ask_segments,
            ProbeStep.FREE_SIZES: self._try_sizes,
            ProbeStep.PAID_SIZES: self._pay_for_size,
            ProbeStep.STATUSES: self._follow_status,
            ProbeStep.PACE: self._count_pace,
        }
        await steps[step]()

    @property
    def _watch_for(self) -> float:
        """Seconds for which a balance is watched that should stand: twice as long as one took to fall."""
        return self.stands_for + 2 * self.known.billing_lag

    async def balance(self) -> Decimal:
        """Return the balance. Costs nothing."""
        await self._breathe()
        return (await fetch_balance(self.account.transport)).amount

    # What is paid.

    async def _ask_price(self) -> None:
        reply, fell = await self._send_one(ProbeStep.PLAIN, 1)
        if reply.lot is not None:
            self._learn(GatewayProfile(unit_price=verdicts.judge_price(fell)))
        self._finish(ProbeStep.PLAIN, reply)

    async def _ask_ucs2_price(self) -> None:
        reply, fell = await self._send_one(ProbeStep.UCS2, 1)
        if reply.lot is not None:
            self._learn(GatewayProfile(unit_price_ucs2=verdicts.judge_price(fell)))
        self._finish(ProbeStep.UCS2, reply)

    async def _ask_segments(self) -> None:
        price = self.known.profile.unit_price
        assert price is not None
        reply, fell = await self._send_one(ProbeStep.SEGMENTS, 2)
        if reply.lot is not None:
            self._learn(GatewayProfile(price_is_per_segment=verdicts.judge_segments(fell, price)))
        self._finish(ProbeStep.SEGMENTS, reply)

    async def _send_one(self, step: ProbeStep, most: int) -> tuple[ProbeReply, Decimal | None]:
        """Send a text to the owner; return the answer, and how far the balance fell."""
        before, is_owed = await self.balance(), self._is_owed
        reply = await self._post(name_request(step), TEXTS[step], (self.to,), most)
        if reply.lot is None:
            fell = await self._see_fall(before, self._watch_for) if reply.is_own_refusal else None
            self._settle(name_request(step), reply, 0 if fell == 0 or reply.label == NOT_SENT else None)
            return reply, None
        self._settle(name_request(step), reply, most)
        self._keep_message(reply)
        fell = await self._see_fall(before, self.falls_within)
        # A refill is none.
        is_billed = fell is not None and fell > 0
        self._is_owed = is_owed or not is_billed
        if is_owed:
            # It may be for another SMS.
            return reply, None
        self._learn(is_billed=is_billed, billing_lag=self._fell_after if is_billed else 0.0)
        return reply, fell

    async def _try_bad_number(self) -> None:
        """Ask for a number that cannot exist: how it is refused, and whether that is free."""
        before = await self.balance()
        reply = await self._post(
            name_request(ProbeStep.BAD_NUMBER), TEXTS[ProbeStep.BAD_NUMBER], BAD_NUMBERS[:1], 1
        )
        fell = await self._see_fall(before, self._watch_for)
        is_free = fell == 0 and reply.is_own_refusal
        self._settle(
            name_request(ProbeStep.BAD_NUMBER), reply, 0 if is_free or reply.label == NOT_SENT else None
        )
        if reply.is_own_refusal:
            self._learn(bad_reply=reply.label, bad_is_free=is_free)
        self._finish(ProbeStep.BAD_NUMBER, reply)

    async def _try_lot(self) -> None:
        """Send a lot of the owner's number and one that cannot exist."""
        before = await self.balance()
        reply = await self._post(
            name_request(ProbeStep.LOT), TEXTS[ProbeStep.LOT], (self.to, BAD_NUMBERS[0]), 1
        )
        fell = None if reply.label == NOT_SENT else await self._see_fall(before, self._watch_for)
        atomic = verdicts.judge_lot(reply, fell)
        self._settle(name_request(ProbeStep.LOT), reply, verdicts.count_lot(reply, fell, atomic, self._price))
        self._learn(GatewayProfile(lots_are_atomic=atomic))
        self._finish(ProbeStep.LOT, reply)

    async def _pay_for_size(self) -> None:
        """Send one text to the owner's number several times in one request."""
        size = next_size(self.known.paid_sizes)
        assert size is not None
        request, before = name_request(ProbeStep.PAID_SIZES, size), await self.balance()
        text = f"vavasms probe: {size} numbers in one request."
        reply = await self._post(request, text, (self.to,) * size, size)
        fell = (
            None
            if reply.label == NOT_SENT
            else await self._see_fall(before, self.falls_within if reply.lot is not None else self._watch_for)
        )
        verdict = verdicts.judge_size(size, reply, fell, self._price, balance=before)
        self._settle(request, reply, verdict.spent)
        if verdict.limit is not None:
            self._learn(verdicts.describe_limit(verdict))
        elif verdict.is_taken is not None:
            self._learn(paid_sizes={size: verdict.is_taken})
            self._learn(_describe_sizes(self.known.paid_sizes))
        if reply.label != NOT_SENT and (verdict.is_taken is None or next_size(self.known.paid_sizes) is None):
            self.journal.write(make_done(ProbeStep.PAID_SIZES))

    # What costs nothing.

    async def _try_sizes(self) -> None:
        """Ask for more and more numbers that cannot exist, until the gateway refuses them otherwise."""
        taken = self.known.free_sizes
        while not self._is_stopped and (size := next_size(taken)) is not None:
            request = name_request(ProbeStep.FREE_SIZES, size)
            if request in self.known.tried:
                return
            before = await self.balance()
            reply = await self._post(request, TEXTS[ProbeStep.BAD_NUMBER], BAD_NUMBERS[:size], 0)
            # A refusal was seen to be free, of one number; of what is none nobody knows.
            is_doubtful = not reply.is_refusal and reply.label != NOT_SENT
            fell = await (self._see_fall(before, self._watch_for) if is_doubtful else self._read_fall(before))
            # What was accepted after all is paid, and what moved the balance may be.
            self._settle(request, reply, 0 if fell == 0 and reply.lot is None else size)
            if reply.label == NOT_SENT:
                return
            if not reply.is_refusal or fell != 0:
                break
            is_taken = reply.label == self.known.bad_reply
            if not (is_taken or verdicts.bounds_size(size, reply, self._price, before)):
                break
            self._learn(free_sizes={size: is_taken})
        if self._is_stopped and next_size(taken) is not None:
            return
        if not all(taken.values()):
            self._learn(_describe_sizes(taken))
        self.journal.write(make_done(ProbeStep.FREE_SIZES))

    async def _find_path(self) -> None:
        """Ask each path after an SMS that was accepted, until one answers with its report."""
        message, own = self.known.message, self.account.status_path
        assert message is not None
        are_absent = True
        for path in dict.fromkeys((*([own] if own else []), *STATUS_PATHS)):
            answer = None if self._is_stopped else await self._try_path(path, message)
            if answer:
                self._learn(GatewayProfile(status_path=path))
                return
            are_absent = are_absent and answer is False
        if are_absent:
            self._learn(GatewayProfile(has_status_call=False))

    async def _try_path(self, path: str, message: SentMessage) -> bool | None:
        """Return whether a path answers the status; None where that cannot be told."""
        try:
            reports = await self._read_status(path, message)
        except AuthenticationError:
            raise
        except MessageNotFoundError:
            # The documented error of the status call, and yet not of a message that was just accepted.
            return None
        except VavaSMSError as error:
            return False if _is_absent(error) else None
        self._note_words(reports, message)
        # A success without a report may be the call, before it knows of the message.
        return True if reports else None

    async def _read_status(self, path: str, message: SentMessage) -> Sequence[DeliveryReport]:
        """Return the reports about a message; none about another one counts."""
        await self._breathe()
        reports = await fetch_delivery_reports(
            self.account.transport, message.message_id, lot_id=message.lot_id or None, path=path
        )
        return [report for report in reports if report.message_id == message.message_id]

    async def _follow_status(self) -> None:
        """Read the status until it is final, and note when each word first came."""
        message, path = self.known.message, self.known.profile.status_path
        assert message is not None and path is not None  # noqa: PT018  the step needs both
        ends, look = self.clock() + self.patience, _FIRST_LOOK
        while not self._is_stopped:
            try:
                reports = await self._read_status(path, message)
            except (MessageNotFoundError, RateLimitedError):
                reports = []
            self._note_words(reports, message)
            if self.clock() >= ends or any(report.status in _FINAL for report in reports):
                self.journal.write(make_done(ProbeStep.STATUSES))
                return
            await self._sleep(look)
            look = min(look * 1.5, _LONGEST_LOOK)

    def _note_words(self, reports: Sequence[DeliveryReport], message: SentMessage) -> None:
        """Note the words that are new, with the age of the message."""
        age = round(self.clock() - message.accepted_at, 2)
        if not 0 <= age <= LONGEST_AGE:
            # The clock was set, or the message is of long ago.
            return
        for word in (report.raw_status[:_MOST_CHARACTERS] for report in reports):
            known = self.known.profile.statuses
            if word and word.isprintable() and word not in known and len(known) < MOST_STATUSES:
                self._learn(GatewayProfile(statuses={word: age}))

    async def _count_pace(self) -> None:
        """Ask for the balance many times at once, and count what is answered within a second."""
        # What went before shall not count.
        await self._sleep(_SECOND + 0.1)
        if self._is_stopped:
            return
        self._answers, began = [], time.monotonic()
        with anyio.move_on_after(_SECOND):
            async with anyio.create_task_group() as tasks:
                for _each in range(BURST):
                    tasks.start_soon(self._ask_quietly)
        statuses = [status for at, status in self._answers if at - began <= _SECOND]
        served = statuses.count(200)
        if served:
            is_limit = 429 in statuses
            self._learn(GatewayProfile(requests_per_second=served, requests_per_second_is_limit=is_limit))
        self.journal.write(make_done(ProbeStep.PACE))

    async def _ask_quietly(self) -> None:
        try:
            await fetch_balance(self.account.transport)
        except VavaSMSError:
            return

    # The way to the gateway.

    async def _post(self, request: str, text: str, to: tuple[Msisdn, ...], most: int) -> ProbeReply:
        """Post a text once; that it is about to be posted is on the disk before."""
        await self._breathe()
        draft = draft_text(text, self.sender_id, username=username_of(self.account.name))
        attempt = Attempt()
        self.journal.write(make_intent(request, most))
        try:
            lot = await send_text(self.account.transport, draft, to, attempt)
        except VavaSMSError as error:
            return verdicts.read_error(error.with_traceback(None))
        except BaseException:
            if attempt.outcome is Outcome.NOT_SENT:
                self.journal.write(make_outcome(request, NOT_SENT, 0, again=True))
            raise
        return ProbeReply(label=ACCEPTED, lot=lot)

    def _settle(self, request: str, reply: ProbeReply, spent: int | None) -> None:
        self._is_owed = self._is_owed or spent is None
        self.journal.write(make_outcome(request, reply.label, spent, again=reply.label == NOT_SENT))

    def _finish(self, step: ProbeStep, reply: ProbeReply) -> None:
        """Note that a step is over; raise what every further request would meet."""
        if reply.label not in (NOT_SENT, UNKNOWN):
            self.journal.write(make_done(step))
        if reply.error is not None and reply.error.halts:
            raise reply.error

    def _keep_message(self, reply: ProbeReply) -> None:
        ids = () if reply.lot is None else reply.lot.message_ids
        # What is not printable no later request can name.
        if reply.lot is not None and ids and ids[0].strip() and (ids[0] + reply.lot.lot_id).isprintable():
            message = SentMessage(message_id=ids[0], lot_id=reply.lot.lot_id, accepted_at=self.clock())
            self._learn(message=asdict(message))

    def _learn(self, found: GatewayProfile | None = None, **facts: object) -> None:
        self.journal.write(make_facts(found or GatewayProfile(), **facts))

    async def _see_fall(self, before: Decimal, seconds: float) -> Decimal | None:
        """Return how far the balance fell, once it did and stands; None where it does not, or is not read."""
        began = time.monotonic()
        ends, last = began + seconds, Decimal(0)
        try:
            while time.monotonic() <= began + seconds + _MOST_MOVES * max(self.stands_for, _LOOK_SECONDS):
                fell = await self._read_fall(before)
                if fell != last:
                    # Several segments or numbers may be billed one after the other.
                    self._fell_after = time.monotonic() - began
                    ends, last = time.monotonic() + self.stands_for, fell
                if time.monotonic() >= ends:
                    return fell
                await anyio.sleep(min(_LOOK_SECONDS, max(ends - time.monotonic(), 0.0)))
        except VavaSMSError:
            return None
        return None

    async def _read_fall(self, before: Decimal) -> Decimal:
        return before - await self.balance()

    @property
    def _price(self) -> Decimal | None:
        return self.known.profile.unit_price

    async def _breathe(self) -> None:
        """Wait until the last request is long enough ago."""
        await anyio.sleep(max(self._last + self.pace - time.monotonic(), 0.0))
        self._last = time.monotonic()

    async def _sleep(self, seconds: float) -> None:
        assert self._stopping is not None
        with anyio.move_on_after(seconds):
            await self._stopping.wait()


def _describe_sizes(taken: dict[int, bool]) -> GatewayProfile:
    """Return what is known of how many numbers a request takes."""
    most, is_limit = find_limit(taken)
    if most is None:
        return GatewayProfile()
    known = GatewayProfile(batch_size=most, batch_size_is_limit=is_limit)
    return evolve(known, oversize=Oversize.REFUSED) if is_limit else known


def _is_absent(error: VavaSMSError) -> bool:
    """Return whether an answer is no status call's: another call's refusal, a page, a way elsewhere."""
    if isinstance(error, GatewayError):
        return error.code is not None or error.http_status in _NO_SUCH_CALL
    return isinstance(error, UnexpectedReplyError | ConfigurationError)
