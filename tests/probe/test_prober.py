"""The steps of a probe against gateways that misbehave: what is not proven stays not known."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest

from vavasms import AsyncVavaSMS
from vavasms.errors import AuthenticationError, GatewayError, UnknownSenderIdError, VavaSMSError
from vavasms.numbers import Msisdn
from vavasms.probe.journal import open_journal
from vavasms.probe.plan import ProbeStep, next_step
from vavasms.probe.prober import BAD_NUMBERS, BURST, Prober
from vavasms.profile.models import UNKNOWN, GatewayProfile
from vavasms.sandbox import Answer, Fault, FaultKind, Gateway, GatewayRules, Moment, SandboxServer
from vavasms.sandbox.gateway import BALANCE, TEXT
from vavasms.sandbox.replies import refusal, success
from vavasms.transport.hooks import CallInfo

pytestmark = pytest.mark.anyio

OWN = Msisdn("2250700000001")
Handle = Callable[[str, Mapping[str, str]], Answer | None]


class Odd(Gateway):
    """A gateway that answers some requests otherwise."""

    odd: Handle

    def handle(self, path: str, fields: Mapping[str, str]) -> Answer:
        return self.odd(path, fields) or super().handle(path, fields)


@asynccontextmanager
async def probing(
    folder: Path, odd: Handle = lambda _path, _fields: None, *, sender: str = "ACME", **options: Any
) -> AsyncIterator[tuple[Prober, SandboxServer]]:
    """Open a prober of a gateway, and the server that the gateway is behind."""
    gateway = Odd(**options)
    gateway.odd = odd
    watched: list[Prober] = []

    def watch(info: CallInfo) -> None:
        for prober in watched:
            prober.watch(info)

    with SandboxServer(gateway) as server:
        async with AsyncVavaSMS(
            gateway.username,
            gateway.password,
            base_url=server.url,
            trust_env=False,
            max_connections=BURST,
            profile=UNKNOWN,
            on_response=watch,
        ) as sms:
            with open_journal(folder / "journal", "me", UNKNOWN) as journal:
                prober = Prober(
                    account=sms.account,
                    sender_id=sender,
                    to=OWN,
                    journal=journal,
                    pace=0.0,
                    patience=0.0,
                    falls_within=0.0,
                    stands_for=0.0,
                )
                watched.append(prober)
                yield prober, server


async def run_all(prober: Prober, spend: int) -> list[ProbeStep]:
    """Take each step once, as the command does; return them."""
    taken: list[ProbeStep] = []
    while (found := next_step(prober.known, spend, taken)) is not None:
        await prober.run(found[0])
        taken.append(found[0])
    return taken


def phones(fields: Mapping[str, str]) -> list[str]:
    return fields.get("phone", "").split(",")


async def test_bad_numbers_cannot_reach_anybody() -> None:
    assert len(set(BAD_NUMBERS)) == len(BAD_NUMBERS)
    # An Ivorian number has ten digits after the country's code, and had eight.
    assert all(len(number) == 7 and number.startswith("2250") for number in BAD_NUMBERS)


async def test_a_request_without_an_answer_counts_as_paid_and_is_never_posted_again(tmp_path: Path) -> None:
    async with probing(tmp_path) as (prober, server):
        server.faults.script(Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING), path=TEXT)
        await prober.run(ProbeStep.PLAIN)
        assert (prober.known.spent, prober.known.may_have_spent) == (0, 1)
        assert prober.known.profile == UNKNOWN
        assert next_step(prober.known, 1, ()) == (ProbeStep.PACE, 0)
        await run_all(prober, 3)
        texts = [entry.message for entry in server.gateway.journal.entries]
        assert len(texts) == len(set(texts)) == 2
        assert prober.known.committed == 2


async def test_what_was_turned_away_is_not_spent_and_may_be_asked_again(tmp_path: Path) -> None:
    async with probing(tmp_path) as (prober, server):
        for step in (ProbeStep.PLAIN, ProbeStep.BAD_NUMBER):
            server.faults.script(Fault(kind=FaultKind.RATE_LIMIT), path=TEXT)
            await prober.run(step)
            assert prober.known.committed == 0
        await run_all(prober, 4)
        assert prober.known.profile.unit_price == 10
        assert prober.known.profile.lots_are_atomic is True


async def test_a_lot_that_is_turned_away_says_nothing(tmp_path: Path) -> None:
    async with probing(tmp_path) as (prober, server):
        for step in (ProbeStep.PLAIN, ProbeStep.BAD_NUMBER):
            await prober.run(step)
        server.faults.script(Fault(kind=FaultKind.RATE_LIMIT), path=TEXT)
        await prober.run(ProbeStep.LOT)
        assert prober.known.profile.lots_are_atomic is None
        assert prober.known.committed == 1
        await prober.run(ProbeStep.LOT)
        assert prober.known.profile.lots_are_atomic is True


@pytest.mark.parametrize("step", [ProbeStep.PLAIN, ProbeStep.UCS2])
async def test_an_sms_that_the_balance_does_not_show_has_no_price(tmp_path: Path, step: ProbeStep) -> None:
    async with probing(tmp_path, price=0) as (prober, _server):
        await prober.run(step)
        assert prober.known.spent == 1
        assert prober.known.profile == UNKNOWN
        await prober.run(ProbeStep.BAD_NUMBER)
        # Without it nobody could tell whether the good number of a lot was paid.
        assert next_step(
            prober.known, 2, (ProbeStep.PLAIN, ProbeStep.UCS2, ProbeStep.STATUS_PATH, ProbeStep.FREE_SIZES)
        ) == (
            "pace",
            0,
        )


async def test_where_the_balance_cannot_be_read_anew_nothing_is_concluded(tmp_path: Path) -> None:
    async with probing(tmp_path) as (prober, server):
        failing = Fault(kind=FaultKind.STATUS, status=404)
        server.faults.script(None, failing, path=BALANCE)
        await prober.run(ProbeStep.PLAIN)
        assert prober.known.spent == 1
        assert prober.known.profile == UNKNOWN


async def test_a_bad_number_that_is_accepted_is_counted_and_no_more_of_them_are_posted(
    tmp_path: Path,
) -> None:
    def odd(path: str, fields: Mapping[str, str]) -> Answer | None:
        if path == TEXT and phones(fields) == [BAD_NUMBERS[0]]:
            return success({"lot_id": "L", "message_id": ["SM-1"]})
        return None

    async with probing(tmp_path, odd) as (prober, _server):
        taken = await run_all(prober, 5)
        assert ProbeStep.LOT not in taken
        assert ProbeStep.FREE_SIZES not in taken
        assert prober.known.may_have_spent == 1
        assert prober.known.profile.lots_are_atomic is None


async def test_bad_numbers_that_are_paid_though_refused_are_asked_for_once(tmp_path: Path) -> None:
    async with probing(tmp_path) as (prober, server):
        gateway = server.gateway

        def odd(path: str, fields: Mapping[str, str]) -> Answer | None:
            if path == TEXT and phones(fields) == [BAD_NUMBERS[0]]:
                gateway.refill(-10)
            return None

        gateway.odd = odd  # type: ignore[attr-defined]
        taken = await run_all(prober, 5)
        assert ProbeStep.LOT not in taken
        assert ProbeStep.FREE_SIZES not in taken
        assert (prober.known.bad_reply, prober.known.bad_is_free) == ("903", False)


@pytest.mark.parametrize("label", ["accepted", "unknown"])
async def test_sizes_that_are_answered_oddly_settle_nothing(tmp_path: Path, label: str) -> None:
    def odd(path: str, fields: Mapping[str, str]) -> Answer | None:
        if path == TEXT and len(phones(fields)) == 4 and OWN not in phones(fields):
            answer = success({"lot_id": "L", "message_id": ["SM-1"]})
            return answer if label == "accepted" else Answer(http_status=500, body=b"")
        return None

    async with probing(tmp_path, odd) as (prober, _server):
        await prober.run(ProbeStep.BAD_NUMBER)
        await prober.run(ProbeStep.FREE_SIZES)
        assert prober.known.spent == (4 if label == "accepted" else 0)
        assert prober.known.profile.batch_size is None
        assert ProbeStep.FREE_SIZES in prober.known.done


async def test_sizes_that_are_turned_away_are_asked_for_again(tmp_path: Path) -> None:
    async with probing(tmp_path, rules=GatewayRules(max_recipients=3)) as (prober, server):
        await prober.run(ProbeStep.PLAIN)
        await prober.run(ProbeStep.BAD_NUMBER)
        server.faults.script(Fault(kind=FaultKind.RATE_LIMIT), path=TEXT)
        await prober.run(ProbeStep.FREE_SIZES)
        assert ProbeStep.FREE_SIZES not in prober.known.done
        await prober.run(ProbeStep.FREE_SIZES)
        assert (prober.known.profile.batch_size, prober.known.profile.batch_size_is_limit) == (3, True)


async def test_an_http_status_may_bound_the_size_as_well(tmp_path: Path) -> None:
    def odd(path: str, fields: Mapping[str, str]) -> Answer | None:
        return Answer(http_status=413, body=b"") if path == TEXT and len(phones(fields)) > 11 else None

    async with probing(tmp_path, odd) as (prober, _server):
        await prober.run(ProbeStep.BAD_NUMBER)
        await prober.run(ProbeStep.FREE_SIZES)
        assert (prober.known.profile.batch_size, prober.known.profile.batch_size_is_limit) == (11, True)


async def test_a_gateway_that_sends_once_to_a_number_named_twice_leaves_the_size_open(tmp_path: Path) -> None:
    async with probing(tmp_path) as (prober, server):
        gateway = server.gateway

        def odd(path: str, fields: Mapping[str, str]) -> Answer | None:
            once = ",".join(dict.fromkeys(phones(fields)))
            if path == TEXT and once != fields.get("phone", ""):
                return Gateway.handle(gateway, path, {**fields, "phone": once})
            return None

        gateway.odd = odd  # type: ignore[attr-defined]
        for step in (ProbeStep.PLAIN, ProbeStep.BAD_NUMBER, ProbeStep.FREE_SIZES, ProbeStep.PAID_SIZES):
            await prober.run(step)
        assert prober.known.profile.batch_size is None
        assert prober.known.spent == 2
        assert ProbeStep.PAID_SIZES in prober.known.done


async def test_a_size_that_is_turned_away_is_asked_for_again(tmp_path: Path) -> None:
    async with probing(tmp_path) as (prober, server):
        await prober.run(ProbeStep.PLAIN)
        server.faults.script(Fault(kind=FaultKind.RATE_LIMIT), path=TEXT)
        await prober.run(ProbeStep.PAID_SIZES)
        assert prober.known.committed == 1
        await prober.run(ProbeStep.PAID_SIZES)
        assert prober.known.profile.batch_size == 2


async def test_wrong_credentials_and_an_unknown_sender_end_it(tmp_path: Path) -> None:
    async with probing(tmp_path, sender="NOBODY") as (prober, server):
        with pytest.raises(UnknownSenderIdError):
            await prober.run(ProbeStep.PLAIN)
        assert prober.known.committed == 0
        server.gateway.password = "other"
        with pytest.raises(AuthenticationError):
            await prober.balance()


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        (Answer(http_status=404, body=b""), False),
        (Answer(http_status=302, body=b"", headers=(("Location", "https://elsewhere.invalid/"),)), False),
        (Answer(body=b"<h1>Bienvenue</h1>"), False),
        # It may be the call, and not know of the message yet.
        (success([]), None),
        (success([{"message_id": "SM-other", "status": "sent"}]), None),
        # It may be the call, and be out of order.
        (Answer(http_status=403, body=b""), None),
        (refusal(709, balance=False, http_status=200), None),
    ],
)
async def test_a_path_is_that_of_the_status_only_where_it_reports_the_message(
    tmp_path: Path, answer: Answer, known: bool | None
) -> None:
    def odd(path: str, fields: Mapping[str, str]) -> Answer | None:
        return answer if "message_id" in fields and path != BALANCE else None

    async with probing(tmp_path, odd) as (prober, _server):
        await prober.run(ProbeStep.PLAIN)
        await prober.run(ProbeStep.STATUS_PATH)
        assert prober.known.profile.status_path is None
        assert prober.known.profile.has_status_call is known


async def test_refused_credentials_end_the_search_for_the_path(tmp_path: Path) -> None:
    def odd(path: str, fields: Mapping[str, str]) -> Answer | None:
        return refusal(901, balance=False, http_status=200) if "message_id" in fields else None

    async with probing(tmp_path, odd) as (prober, _server):
        await prober.run(ProbeStep.PLAIN)
        with pytest.raises(AuthenticationError):
            await prober.run(ProbeStep.STATUS_PATH)


async def test_a_message_that_is_not_known_yet_is_asked_after_again(tmp_path: Path) -> None:
    late: list[str] = []

    def odd(path: str, fields: Mapping[str, str]) -> Answer | None:
        if "message_id" not in fields:
            return None
        late.append(path)
        return refusal(709, balance=False, http_status=200) if len(late) in (2, 3) else None

    async with probing(tmp_path, odd, sent_after=0.0, delivered_after=0.0) as (prober, _server):
        prober.patience = 30.0
        for step in (ProbeStep.PLAIN, ProbeStep.STATUS_PATH):
            await prober.run(step)
        prober.known.profile = GatewayProfile(status_path=TEXT)
        await prober.run(ProbeStep.STATUSES)
        assert len(late) == 4
        assert [*prober.known.profile.statuses] == ["delivered"]


async def test_told_to_stop_it_begins_no_further_request(tmp_path: Path) -> None:
    async with probing(tmp_path) as (prober, server):
        for step in (ProbeStep.PLAIN, ProbeStep.BAD_NUMBER):
            await prober.run(step)
        prober.stop()
        before = prober.known
        await prober.run(ProbeStep.FREE_SIZES)
        await prober.run(ProbeStep.STATUS_PATH)
        assert before.free_sizes == {}
        assert (before.profile.status_path, before.profile.has_status_call) == (None, None)
        assert ProbeStep.FREE_SIZES not in before.done
        assert len(server.gateway.journal.entries) == 1


async def test_a_cancellation_before_the_request_left_costs_nothing(tmp_path: Path) -> None:
    async with probing(tmp_path) as (prober, server):
        with server.refuse(), anyio.move_on_after(0.0):
            await prober._post("plain", "x", (OWN,), 1)
        assert prober.known.committed == 0
        assert "plain" not in prober.known.tried


async def test_a_cancellation_after_it_left_counts_as_paid(tmp_path: Path) -> None:
    async with probing(tmp_path) as (prober, server):
        stall = Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=60)
        server.faults.script(stall, path=TEXT)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(prober.run, ProbeStep.PLAIN)
            await anyio.to_thread.run_sync(server.gateway.journal.wait_for, 1)
            tasks.cancel_scope.cancel()
        assert (prober.known.spent, prober.known.may_have_spent) == (0, 1)


async def test_the_pace_is_not_known_where_nothing_is_answered(tmp_path: Path) -> None:
    async with probing(tmp_path) as (prober, server):
        server.faults.set_rates({Fault(kind=FaultKind.STATUS, status=404): 1.0})
        await prober.run(ProbeStep.PACE)
        assert prober.known.profile.requests_per_second is None
        assert ProbeStep.PACE in prober.known.done


async def test_a_failure_of_the_balance_between_sizes_keeps_what_was_learnt(tmp_path: Path) -> None:
    async with probing(tmp_path) as (prober, server):
        await prober.run(ProbeStep.BAD_NUMBER)
        server.faults.script(None, None, None, Fault(kind=FaultKind.STATUS, status=404), path=BALANCE)
        with pytest.raises(VavaSMSError) as caught:
            await prober.run(ProbeStep.FREE_SIZES)
        assert isinstance(caught.value, GatewayError)
        assert prober.known.free_sizes == {2: True}
        # What left is not posted again.
        assert next_step(prober.known, 0, ()) == (ProbeStep.PACE, 0)
        assert prober.known.profile.unit_price != Decimal(0)


async def test_a_gateway_that_bills_late_is_waited_for_as_long(tmp_path: Path) -> None:
    shown: list[tuple[float, Decimal]] = [(0.0, Decimal(0))]

    async with probing(tmp_path, rules=GatewayRules(lots_are_atomic=False)) as (prober, server):
        gateway = server.gateway

        def odd(path: str, fields: Mapping[str, str]) -> Answer | None:
            now = time.monotonic()
            if path != BALANCE:
                shown.append((now, gateway.balance))
                return None
            # What was spent is shown half a second later.
            recent = [balance for at, balance in shown if at > now - 0.5]
            amount = recent[0] if recent else gateway.balance
            return success({"amount": int(amount), "currency": "XOF"})

        gateway.odd = odd  # type: ignore[attr-defined]
        prober.falls_within = 5.0
        for step in (ProbeStep.PLAIN, ProbeStep.BAD_NUMBER, ProbeStep.LOT):
            await prober.run(step)
        assert prober.known.billing_lag > 0.3
        assert (prober.known.profile.unit_price, prober.known.profile.lots_are_atomic) == (Decimal(10), False)
