"""Delivery reports: asked for until final, within the rate, and kept as they come."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
from attrs import define, field

from vavasms import AsyncVavaSMS
from vavasms.campaigns.tracking import NOT_FOUND, TrackSummary, track
from vavasms.errors import AuthenticationError, ConfigurationError, InvalidInputError
from vavasms.ledger.models import BatchRecord, NewBatch, NewCampaign
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.states import BatchEvent
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn
from vavasms.sandbox import Answer, Fault, FaultKind, FaultPlan, Gateway, create_app

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_backoff")]

PENDING, FAILED, MISSING = "2250700000100", "2250700000404", "2250700000709"
A, B, C = "2250700000011", "2250700000012", "2250700000013"


class Recorder(Gateway):
    """A gateway that remembers which messages it was asked after."""

    asked: list[str]

    def handle(self, path: str, fields: Mapping[str, str]) -> Answer:
        self.asked += [fields["message_id"]] if "message_id" in fields else []
        return super().handle(path, fields)


@define
class Scene:
    """A gateway whose clock stands still, a client of it, and a campaign that was sent."""

    gateway: Recorder
    faults: FaultPlan
    sms: AsyncVavaSMS
    ledger: MemoryLedger
    #: The call of each request.
    asked: list[str]
    now: list[float]
    _no: int = field(default=0, init=False)

    async def send(self, *to: str) -> tuple[str, ...]:
        """Send a lot, and keep it as an accepted batch."""
        lot = await self.sms.send(to, "Bonjour")
        await self.keep(to, BatchRecord(lot_id=lot.lot_id, message_ids=lot.message_ids))
        self.asked.clear()
        return lot.message_ids

    async def keep(self, to: Sequence[str], record: BatchRecord, key: str = "c") -> None:
        """Keep a batch of a campaign of its own, or the next of the same."""
        made = await self.ledger.claim(key, self._no, token=f"t{self._no}", worker="w", now=1.0)
        assert made is not None
        assert len(made.recipients) == len(to)
        await self.ledger.settle(made, BatchEvent.ACCEPT, record)
        self._no += 1

    async def begin(self, *lots: Sequence[str]) -> None:
        """Keep a campaign of these lots."""
        values = {"account": "ops", "sender_id": "ACME", "message": "Bonjour", "created_at": 1.0}
        await self.ledger.create(NewCampaign(id="c", **values))  # type: ignore[arg-type]
        await self.ledger.load(
            "c",
            [
                NewBatch(number=number, message="Bonjour", segments=1, recipients=tuple(map(Msisdn, lot)))
                for number, lot in enumerate(lots)
            ],
        )
        await self.ledger.finish_loading("c", plan="{}", plan_hash="h")
        await self.ledger.start("c")

    async def send_all(self, *lots: Sequence[str]) -> list[tuple[str, ...]]:
        """Keep and send a campaign."""
        await self.begin(*lots)
        return [await self.send(*lot) for lot in lots]

    async def track(self, **options: object) -> TrackSummary:
        """Track it, with hardly a pause."""
        given = {"rate": 1000.0, "pause": 0.001, "longest_pause": 0.002, "deadline": time.time() + 30}
        return await track(self.sms, self.ledger, "c", **{**given, **options})  # type: ignore[arg-type]


@asynccontextmanager
async def stage(password: str = "sandbox", **options: object) -> AsyncIterator[Scene]:
    """Open a scene; messages are sent after 5 seconds and delivered after 10."""
    now = [1000.0]
    gateway = Recorder(clock=lambda: now[0], sent_after=5, delivered_after=10)
    gateway.asked = []
    faults, asked = FaultPlan(), list[str]()
    app = create_app(gateway, faults, allowed_hosts=["gateway.invalid"])
    async with AsyncVavaSMS(
        gateway.username,
        password,
        sender_id="SANDBOX",
        base_url="https://gateway.invalid/api",
        transport=httpx.ASGITransport(app=app),
        on_request=lambda call: asked.append(call.call),
        **options,  # type: ignore[arg-type]
    ) as sms:
        yield Scene(gateway, faults, sms, MemoryLedger(), asked, now)


async def test_delivered_and_failed_are_final_and_kept() -> None:
    async with stage() as scene:
        ((first, second),) = await scene.send_all((A, FAILED))
        scene.now[0] += 10
        summary = await scene.track()
        assert (summary.messages, summary.delivered, summary.failed, summary.waiting) == (2, 1, 1, 0)
        kept = await scene.ledger.deliveries("c", [first, second])
        assert kept[first].status is DeliveryStatus.DELIVERED
        assert kept[second].raw_status == "failed"
        assert len(scene.asked) == 2
        assert (await scene.track()).messages == 2
        assert len(scene.asked) == 2


async def test_sent_is_not_delivered_and_is_asked_again() -> None:
    async with stage() as scene:
        await scene.send_all((A, B))
        scene.now[0] += 5
        seen: list[TrackSummary] = []

        def watch(summary: TrackSummary) -> None:
            seen.append(summary)
            if summary.sent == 2:
                scene.now[0] += 10

        summary = await scene.track(on_progress=watch)
    assert summary.delivered == 2
    assert [each for each in seen if each.sent == 2]
    assert all(each.messages == 2 for each in seen)
    assert seen[-1] == summary


async def test_at_the_deadline_what_is_not_final_is_told() -> None:
    async with stage() as scene:
        await scene.send_all((A, PENDING))
        scene.now[0] += 10
        summary = await scene.track(deadline=time.time() + 1.5)
    assert (summary.delivered, summary.pending, summary.waiting) == (1, 1, 1)
    assert len(scene.asked) > 2


async def test_after_the_deadline_nothing_is_asked() -> None:
    async with stage() as scene:
        await scene.send_all((A,))
        summary = await scene.track(deadline=time.time() - 1)
    assert (summary.silent, summary.waiting) == (1, 1)
    assert not scene.asked


async def test_a_message_that_is_not_known_is_kept_so_and_asked_once_a_call() -> None:
    async with stage() as scene:
        ((first, missing),) = await scene.send_all((PENDING, MISSING))
        summary = await scene.track(deadline=time.time() + 1.5)
        kept = (await scene.ledger.deliveries("c", [missing]))[missing]
    assert (kept.status, kept.raw_status) == (DeliveryStatus.OTHER, NOT_FOUND)
    assert (summary.pending, summary.not_found) == (1, 1)
    assert scene.gateway.asked.count(missing) == 1
    assert scene.gateway.asked.count(first) > 1


async def test_what_was_not_found_is_asked_after_once_more_by_the_next_call() -> None:
    async with stage() as scene:
        await scene.send_all((MISSING,))
        for number in (1, 2, 3):
            summary = await scene.track()
            assert (summary.not_found, summary.waiting) == (1, 0)
            assert len(scene.asked) == number


async def test_a_reply_about_the_whole_lot_answers_for_all_of_it() -> None:
    async with stage() as scene:
        (ids,) = await scene.send_all((A, B, C))
        reports = [{"lot_id": "L", "message_id": each, "status": "delivered"} for each in (*ids, "stranger")]
        body = json.dumps({"code": 0, "message": "OPERATION_SUCCES", "data": reports}).encode()
        scene.faults.script(Fault(kind=FaultKind.RAW, body=body))
        summary = await scene.track()
        assert (summary.messages, summary.delivered) == (3, 3)
        assert len(scene.asked) == 1
        assert not await scene.ledger.deliveries("c", ["stranger"])


async def test_what_the_gateway_fails_to_answer_is_asked_again() -> None:
    async with stage() as scene:
        await scene.send_all((A,))
        scene.now[0] += 10
        scene.faults.script(*[Fault(kind=FaultKind.STATUS)] * 3)
        summary = await scene.track()
    assert summary.delivered == 1
    assert "503" in str(summary.error)
    assert len(scene.asked) == 4


async def test_a_pace_that_the_gateway_asks_for_is_kept() -> None:
    async with stage() as scene:
        await scene.send_all((A,))
        scene.now[0] += 10
        scene.faults.script(*[Fault(kind=FaultKind.RATE_LIMIT, retry_after="60")] * 3)
        summary = await scene.track(deadline=time.time() + 1.5)
    assert (summary.silent, len(scene.asked)) == (1, 3)


async def test_a_pause_holds_those_back_that_wait_for_their_turn() -> None:
    async with stage() as scene:
        await scene.send_all((A,), (B,))
        scene.now[0] += 10
        scene.faults.script(*[Fault(kind=FaultKind.RATE_LIMIT, retry_after="1")] * 3)
        began = anyio.current_time()
        summary = await scene.track(rate=20.0)
        assert anyio.current_time() - began >= 1
    assert summary.delivered == 2


async def test_a_refused_account_ends_it_at_once_and_not_in_a_group() -> None:
    async with stage() as good, stage(password="wrong") as bad:
        await good.send_all((A,), (B,))
        with pytest.raises(AuthenticationError):
            await track(bad.sms, good.ledger, "c", rate=1000.0)


async def test_a_gateway_that_redirects_ends_it() -> None:
    async with stage() as scene:
        await scene.send_all((A,))
        scene.faults.script(Fault(kind=FaultKind.REDIRECT, location="https://else.invalid/"))
        with pytest.raises(ConfigurationError):
            await scene.track()


async def test_a_fault_of_the_listener_comes_out_as_it_is() -> None:
    async with stage() as scene:
        await scene.send_all((A,))

        def fail(summary: TrackSummary) -> None:
            if summary.pending:
                raise KeyError("the bar broke")

        with pytest.raises(KeyError):
            await scene.track(on_progress=fail)


async def test_requests_keep_the_rate() -> None:
    async with stage() as scene:
        await scene.send_all((A,), (B,), (C,))
        scene.now[0] += 10
        began = anyio.current_time()
        await scene.track(rate=20.0)
        assert anyio.current_time() - began >= 2 / 20
        assert len(scene.asked) == 3


async def test_many_lots_are_asked_after_page_by_page() -> None:
    lots = [(str(2250700001000 + index),) for index in range(120)]
    async with stage() as scene:
        await scene.send_all(*lots)
        scene.now[0] += 10
        summary = await scene.track()
    assert (summary.delivered, len(scene.asked)) == (120, 120)


@pytest.mark.parametrize("blank", ["", " ", "\ud800"])
async def test_an_id_that_cannot_be_asked_after_is_not(blank: str) -> None:
    async with stage() as scene:
        await scene.begin((A,))
        await scene.keep((A,), BatchRecord(message_ids=(blank,)))
        summary = await scene.track()
    assert (summary.not_found, summary.waiting) == (1, 0)
    assert not scene.asked


async def test_what_a_reply_says_of_an_id_that_cannot_be_asked_after_is_not_kept() -> None:
    async with stage() as scene:
        await scene.begin((A, B))
        await scene.keep((A, B), BatchRecord(message_ids=("SM-1", "a\0b")))
        reports = [{"lot_id": "L", "message_id": each, "status": "delivered"} for each in ("SM-1", "a\0b")]
        body = json.dumps({"code": 0, "message": "OPERATION_SUCCES", "data": reports}).encode()
        scene.faults.script(Fault(kind=FaultKind.RAW, body=body))
        assert (await scene.track()).delivered == 1
        assert [*await scene.ledger.deliveries("c", ["SM-1", "a\0b"])] == ["SM-1"]


async def test_only_what_was_accepted_is_asked_after() -> None:
    async with stage() as scene:
        await scene.begin((A,), (B,))
        made = await scene.ledger.claim("c", 0, token="x", worker="w", now=1.0)
        assert made is not None
        await scene.ledger.settle(made, BatchEvent.MARK_UNKNOWN, BatchRecord(message_ids=("SM-1",)))
        assert (await scene.track()).messages == 0
    assert not scene.asked


@pytest.mark.parametrize("rate", [0, -1, float("inf"), float("nan")])
async def test_a_rate_that_makes_no_sense_is_refused(rate: float) -> None:
    async with stage() as scene:
        with pytest.raises(InvalidInputError):
            await scene.track(rate=rate)
