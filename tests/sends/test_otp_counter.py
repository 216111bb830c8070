"""One counted call: what it is counted by, and what becomes of its row however it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from attrs import evolve

from vavasms.errors import (
    GatewayError,
    InvalidInputError,
    LedgerError,
    NotSentError,
    OtpLimit,
    OtpLimitedError,
    Outcome,
    OutcomeUnknownError,
    VavaSMSError,
)
from vavasms.ledger.otp import OtpRequest, Refusal
from vavasms.ledger.otp_limits import OtpLimits
from vavasms.ledger.pending_writes import PendingWrites
from vavasms.ledger.sqlite.otp import MemoryOtp
from vavasms.models import OtpReason, OtpReceipt, OtpVerification
from vavasms.numbers import Msisdn
from vavasms.sends.base import OtpDraft
from vavasms.sends.otp_counter import CountedCall, OtpGuard, count_otp_segments, read_caller
from vavasms.transport.http import Attempt
from vavasms.wire.requests import Call, Request

pytestmark = pytest.mark.anyio

ONE = Msisdn("2250709000001")
RECEIPT = OtpReceipt(message_id="OTP-1", description="")


def draft(number: Msisdn = ONE) -> OtpDraft:
    request = Request(call=Call.SEND_OTP, path="/v1/otp/send", recipients=(number,))
    return OtpDraft(request=request, recipient=number, sender_id="ACME", options={})


def guard(region: str = "CI", **limits: Any) -> OtpGuard:
    return OtpGuard(limits=OtpLimits(**limits), account="ops", region=region, clock=lambda: 1000.0)


class Store(MemoryOtp):
    """Counts in memory; what is in `failing` is done and answered by an error, each once."""

    def __init__(self, *failing: str) -> None:
        super().__init__()
        self.failing = [*failing]

    def _fail(self, name: str) -> None:
        if name in self.failing:
            self.failing.remove(name)
            raise LedgerError("The disk is full.")

    async def check(self, request: OtpRequest, limits: OtpLimits, *, now: float) -> Refusal | None:
        self._fail("check")
        return await super().check(request, limits, now=now)

    async def take(self, request: OtpRequest, limits: OtpLimits, *, now: float) -> Refusal | None:
        refusal = await super().take(request, limits, now=now)
        self._fail("take")
        return refusal

    async def give_back(self, account: str, token: str) -> None:
        self._fail("give_back")
        await super().give_back(account, token)

    @property
    def events(self) -> list[tuple[str, int]]:
        return self._connection.execute("SELECT kind, rejected FROM otp_event ORDER BY seq").fetchall()


def counted(store: Store, pending: PendingWrites | None = None, **limits: Any) -> CountedCall:
    made = guard(**limits)
    return CountedCall(
        guard=made,
        request=made.count_code(draft(), None),
        store=store,
        pending=PendingWrites() if pending is None else pending,
    )


def guess(store: Store, **limits: Any) -> CountedCall:
    made = guard(**limits)
    return CountedCall(guard=made, request=made.count_guess(ONE), store=store)


def answer(result: OtpReceipt | BaseException) -> Callable[[Attempt], Awaitable[OtpReceipt]]:
    async def call(attempt: Attempt) -> OtpReceipt:
        if isinstance(result, BaseException):
            raise result
        return result

    return call


@pytest.mark.parametrize(
    ("client", "counted_by"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_a_caller_is_counted_by_address_or_by_network(client: str, counted_by: str) -> None:
    assert read_caller(client) == counted_by


@pytest.mark.parametrize(
    "client", ["", "testclient", "203.0.113.7:443", "1.2.3.4, 5.6.7.8", 3405803783, True]
)
def test_what_is_no_address_is_refused_before_anything_is_counted(client: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"^client is the address of who asks") as caught:
        guard().count_code(draft(), client)
    assert (caught.value.argument, caught.value.outcome) == ("client", Outcome.NOT_SENT)
    assert str(client) not in str(caught.value) or not client


@pytest.mark.parametrize(
    ("number", "region", "countries", "passes"),
    [
        ("2250709000001", "CI", (), True),
        ("22376000001", "CI", (), False),
        ("22376000001", "CI", ("ML",), True),
        ("22376000001", "ML", (), True),
        ("2250709000001", "ML", (), False),
        ("33612345678", "CI", ("ML", "BF"), False),
        ("33612345678", "CI", ("FR",), True),
        ("33612345678", "CI", None, True),
    ],
)
def test_codes_go_to_the_own_country_and_to_those_named(
    number: str, region: str, countries: tuple[str, ...] | None, passes: bool
) -> None:
    made = guard(region, countries=countries)
    if passes:
        assert made.count_code(draft(Msisdn(number)), None).recipient == number
        return
    with pytest.raises(OtpLimitedError) as caught:
        made.count_code(draft(Msisdn(number)), None)
    assert (caught.value.reason, caught.value.retry_after) == (OtpLimit.COUNTRY, None)
    assert caught.value.outcome is Outcome.NOT_SENT
    assert number[5:] not in str(caught.value)


def test_a_code_costs_the_segments_of_its_template() -> None:
    def count(template: str | None, length: int | None) -> int:
        return count_otp_segments(
            evolve(draft(Msisdn("2250700000111")), options={"template": template, "length": length})
        )

    assert count(None, 9) == 1
    assert count("Code ##OTP##", None) == 1
    # 153 and the tag: with four digits it is 157 characters, with eight 161.
    assert count("x" * 153 + "##OTP##", None) == 1
    assert count("x" * 153 + "##OTP##", 8) == 2


async def test_a_code_is_counted_before_it_leaves() -> None:
    store = Store()

    async def call(attempt: Attempt) -> OtpReceipt:
        assert store.events == [("code", 0)]
        return RECEIPT

    assert await counted(store).send(call, Attempt()) is RECEIPT
    assert store.events == [("code", 0)]


async def test_a_code_that_is_one_too_many_is_no_call() -> None:
    store = Store()
    await counted(store).send(answer(RECEIPT), Attempt())
    late = counted(store)
    foreseen = await late.refusal()
    assert foreseen is not None
    with pytest.raises(OtpLimitedError) as caught:
        await late.send(answer(AssertionError("it left")), Attempt())
    assert (caught.value.reason, caught.value.retry_after) == ("cool_down", 30.0)
    assert str(caught.value) == str(foreseen)
    assert store.events == [("code", 0)]


@pytest.mark.parametrize(
    ("error", "events"),
    [
        (NotSentError("No network.", outcome=Outcome.NOT_SENT), []),
        (InvalidInputError("Bad."), []),
        (GatewayError("No.", outcome=Outcome.REJECTED), [("code", 1)]),
        (OutcomeUnknownError("?", outcome=Outcome.UNKNOWN), [("code", 0)]),
        # The attempt knows that no byte left.
        (RuntimeError("a fault of ours"), []),
        (KeyboardInterrupt(), []),
    ],
)
async def test_what_was_not_sent_is_given_back_and_all_else_counts(
    error: BaseException, events: list[tuple[str, int]]
) -> None:
    store = Store()
    with pytest.raises(type(error)):
        await counted(store).send(answer(error), Attempt())
    assert store.events == events


async def test_a_cancelled_code_counts_if_it_may_have_left() -> None:
    store = Store()

    class Left(Attempt):
        @property
        def outcome(self) -> Outcome:
            return Outcome.UNKNOWN

    for attempt, events in ((Attempt(), []), (Left(), [("code", 0)])):
        with anyio.move_on_after(0.01) as scope:
            await counted(store).send(lambda _: anyio.sleep_forever(), attempt)  # type: ignore[arg-type, return-value]
        assert scope.cancelled_caught
        assert store.events == events


async def test_where_it_cannot_be_counted_nothing_is_sent() -> None:
    store = Store("take")
    with pytest.raises(LedgerError) as caught:
        await counted(store).send(answer(AssertionError("it left")), Attempt())
    assert caught.value.outcome is Outcome.NOT_SENT
    # It was written, and its answer lost.
    assert store.events == []


async def test_where_it_cannot_be_looked_up_nothing_is_sent() -> None:
    with pytest.raises(LedgerError) as caught:
        await counted(Store("check")).refusal()
    assert caught.value.outcome is Outcome.NOT_SENT


async def test_what_the_ledger_does_not_take_back_is_taken_back_later() -> None:
    store, pending = Store("give_back"), PendingWrites()
    with pytest.raises(NotSentError):
        await counted(store, pending).send(
            answer(NotSentError("No network.", outcome=Outcome.NOT_SENT)), Attempt()
        )
    assert store.events == [("code", 0)]
    await pending.flush()
    assert store.events == []


WRONG = OtpVerification(valid=False, reason=OtpReason.INVALID)


@pytest.mark.parametrize(
    ("result", "tries"),
    [
        (OtpVerification(valid=True), 0),
        (WRONG, 1),
        (OtpVerification(valid=False, reason=OtpReason.EXPIRED), 1),
        (OtpVerification(valid=False), 1),
        (NotSentError("No network.", outcome=Outcome.NOT_SENT), 0),
        (GatewayError("No.", outcome=Outcome.REJECTED), 1),
        (OutcomeUnknownError("?", outcome=Outcome.UNKNOWN), 1),
    ],
)
async def test_every_try_counts_but_the_right_one_and_what_never_left(
    result: OtpVerification | VavaSMSError, tries: int
) -> None:
    store = Store()

    async def call() -> OtpVerification:
        assert store.events == [("guess", 0)]
        if isinstance(result, VavaSMSError):
            raise result
        return result

    if isinstance(result, VavaSMSError):
        with pytest.raises(type(result)):
            await guess(store).verify(call)
    else:
        assert await guess(store).verify(call) is result
    assert len(store.events) == tries


async def test_two_tries_at_once_are_two() -> None:
    store, refused, together = Store(), [], anyio.Event()

    async def call() -> OtpVerification:
        await together.wait()
        return WRONG

    async def attempt() -> None:
        try:
            await guess(store, wrong_codes=5).verify(call)
        except OtpLimitedError as error:
            refused.append(error.reason)

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(attempt)
        await anyio.wait_all_tasks_blocked()
        together.set()
    assert refused == ["wrong_codes"] * 15


async def test_a_guard_without_limits_asks_the_ledger_and_refuses_nothing() -> None:
    store = Store()
    off = dict.fromkeys(
        ["cool_down", "number_hourly", "number_daily", "client_hourly", "range_hourly", "countries"]
    )
    for _ in range(20):
        assert await counted(store, **off).send(answer(RECEIPT), Attempt()) is RECEIPT
