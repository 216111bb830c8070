"""Delivery is followed up by whoever sends: in rounds, until it is final, too old, or cannot be asked."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import pairwise
from typing import Any

import anyio
import httpx
import pytest
from attrs import define
from trio.testing import MockClock

from vavasms import AsyncVavaSMS
from vavasms.campaigns.delivery_tracker import TRACKED_FOR, DeliveryTracker, pause_after
from vavasms.campaigns.policy import Policy, dump_policy
from vavasms.campaigns.tracking import track
from vavasms.errors import LedgerError
from vavasms.ledger.models import BatchRecord, NewBatch, NewCampaign
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.states import BatchEvent, CampaignState
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn
from vavasms.sandbox import Answer, Fault, FaultKind, FaultPlan, Gateway, create_app

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_backoff")]

PENDING, FAILED, MISSING = "2250700000100", "2250700000404", "2250700000709"
A, B = "2250757000011", "2250557000012"
TEXT = "/v1/text/single"


class Recorder(Gateway):
    """A gateway that remembers which messages it was asked after."""

    asked: list[str]

    def handle(self, path: str, fields: Any) -> Answer:
        self.asked += [fields["message_id"]] if "message_id" in fields else []
        return super().handle(path, fields)


@define
class Scene:
    """A gateway and a tracker, both by a clock that stands still, and campaigns that were sent."""

    gateway: Recorder
    faults: FaultPlan
    sms: AsyncVavaSMS
    ledger: MemoryLedger
    now: list[float]
    tracker: DeliveryTracker

    @property
    def asked(self) -> list[str]:
        return self.gateway.asked

    async def begin(self, key: str, *lots: Sequence[str], **policy: Any) -> None:
        """Start a campaign of these lots."""
        new = NewCampaign(
            id=key,
            account=self.sms.account.name,
            sender_id="ACME",
            message="Bonjour",
            created_at=self.now[0],
            policy=dump_policy(Policy(**policy)),
        )
        await self.ledger.create(new)
        batches = [
            NewBatch(number=number, message="Bonjour", segments=1, recipients=tuple(map(Msisdn, lot)))
            for number, lot in enumerate(lots)
        ]
        await self.ledger.load(key, batches)
        await self.ledger.finish_loading(key, plan="{}", plan_hash=key)
        assert await self.ledger.start(key)

    async def send(self, key: str, number: int = 0) -> tuple[str, ...]:
        """Send a batch of it; return its message ids."""
        claim = await self.ledger.claim(key, number, token=f"{key}{number}", worker="w", now=self.now[0])
        assert claim is not None
        lot = await self.sms.send(claim.recipients, "Bonjour")
        record = BatchRecord(lot_id=lot.lot_id, message_ids=lot.message_ids)
        assert await self.ledger.settle(claim, BatchEvent.ACCEPT, record)
        return lot.message_ids

    async def send_all(self, key: str, *lots: Sequence[str], **policy: Any) -> list[tuple[str, ...]]:
        """Start a campaign and send all of it."""
        await self.begin(key, *lots, **policy)
        ids = [await self.send(key, number) for number in range(len(lots))]
        await self.ledger.finish(key)
        return ids

    async def go_round(self, seconds: float = 0.0) -> float:
        """Wait so many seconds, and have the tracker work until nothing is due."""
        self.now[0] += seconds
        while not (pause := await self.tracker.run_once()):
            pass
        return pause


@asynccontextmanager
async def stage(password: str = "sandbox", **options: Any) -> AsyncIterator[Scene]:
    """Open a scene; messages are sent after 5 seconds and delivered after 10."""
    now = [1_000_000.0]
    paths = {key: options.pop(key) for key in ("asked_at",) if key in options}
    gateway = Recorder(clock=lambda: now[0], sent_after=5, delivered_after=10, **options)
    gateway.asked = []
    faults = FaultPlan()
    app = create_app(gateway, faults, allowed_hosts=["gateway.invalid"])
    async with AsyncVavaSMS(
        gateway.username,
        password,
        sender_id="SANDBOX",
        base_url="https://gateway.invalid/api",
        transport=httpx.ASGITransport(app=app),
        status_path=paths.get("asked_at", TEXT),
    ) as sms:
        ledger = MemoryLedger()
        tracker = DeliveryTracker(account=sms.account, ledger=ledger, clock=lambda: now[0], rate=10_000.0)
        yield Scene(gateway, faults, sms, ledger, now, tracker)


def test_pauses_double_up_to_a_minute_and_grow_with_the_hours_to_a_quarter_of_one() -> None:
    ages = [0, 5, 10, 40, 60, 600, 1_200, 3_600, 10_800, 250_000]
    assert [pause_after(age) for age in ages] == [5, 5, 10, 40, 60, 60, 100, 300, 900, 900]


async def test_what_is_final_ends_the_tracking_and_is_asked_after_once() -> None:
    async with stage() as scene:
        ((first, second),) = await scene.send_all("c", (A, FAILED))
        await scene.go_round(10)
        known = await scene.ledger.deliveries("c", [first, second])
        assert (known[first].status, known[second].status) == (
            DeliveryStatus.DELIVERED,
            DeliveryStatus.FAILED,
        )
        assert await scene.ledger.tracking("c") == "final"
        await scene.go_round(3600)
        assert sorted(scene.asked) == sorted([first, second])


async def test_nothing_is_asked_in_the_first_five_seconds() -> None:
    async with stage() as scene:
        await scene.send_all("c", (A,))
        await scene.go_round(4.9)
        assert not scene.asked
        await scene.go_round(5)
        assert len(scene.asked) == 1


async def test_a_prefix_is_kept_where_ids_and_numbers_pair() -> None:
    async with stage() as scene:
        ((first, second),) = await scene.send_all("c", (A, B))
        scene.faults.script(Fault(kind=FaultKind.TOO_FEW_IDS), path=TEXT)
        ((third,),) = await scene.send_all("d", (A, B))
        await scene.go_round(10)
        known = await scene.ledger.deliveries("c", [first, second])
        assert [known[each].prefix for each in (first, second)] == ["22507", "22505"]
        assert (await scene.ledger.deliveries("d", [third]))[third].prefix == ""


async def test_what_is_pending_is_asked_after_less_and_less_until_72_hours_are_over() -> None:
    async with stage() as scene:
        await scene.send_all("c", (PENDING,))
        sent = scene.now[0]
        times = []
        while scene.now[0] < sent + TRACKED_FOR + 7200:
            before = len(scene.asked)
            pause = await scene.go_round()
            times += [scene.now[0] - sent] * (len(scene.asked) - before)
            # Of the tens of thousands of rounds in which nothing is due, most are left out.
            scene.now[0] += pause if scene.now[0] < sent + 3600 else max(pause, 60.0)
        assert await scene.ledger.tracking("c") == "expired"
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert times[0] == 5
        assert gaps == pytest.approx(sorted(gaps))
        assert gaps[-1] == pytest.approx(900)
        assert TRACKED_FOR - 900 <= times[-1] <= TRACKED_FOR
        assert len(times) < 400


async def test_a_campaign_that_still_sends_is_not_ended() -> None:
    async with stage() as scene:
        await scene.begin("c", (A,), (B,))
        await scene.send("c", 0)
        await scene.go_round(10)
        assert await scene.ledger.tracking("c") is None
        await scene.send("c", 1)
        assert await scene.ledger.finish("c")
        await scene.go_round(10)
        assert (await scene.ledger.tracking("c"), len(scene.asked)) == ("final", 2)


async def test_what_is_unknown_is_followed_up_once_a_late_answer_says_that_it_was_accepted() -> None:
    async with stage() as scene:
        await scene.begin("c", (A,), (B,))
        await scene.send("c", 0)
        claim = await scene.ledger.claim("c", 1, token="late", worker="w", now=scene.now[0])
        assert claim is not None
        lot = await scene.sms.send(claim.recipients, "Bonjour")
        assert await scene.ledger.settle(claim, BatchEvent.MARK_UNKNOWN, BatchRecord(error="no answer"))
        assert await scene.ledger.finish("c")
        await scene.go_round(20)
        assert (await scene.ledger.tracking("c"), len(scene.asked)) == (None, 1)
        record = BatchRecord(lot_id=lot.lot_id, message_ids=lot.message_ids)
        assert await scene.ledger.settle(claim, BatchEvent.ACCEPT, record)
        await scene.go_round(60)
        assert scene.asked[1:] == list(lot.message_ids)
        assert await scene.ledger.tracking("c") == "final"


async def test_what_is_not_found_at_first_is_asked_after_for_an_hour() -> None:
    async with stage() as scene:
        await scene.send_all("c", (MISSING,))
        await scene.go_round(10)
        await scene.go_round(60)
        assert len(scene.asked) == 2
        assert await scene.ledger.tracking("c") is None
        await scene.go_round(4_000)
        assert await scene.ledger.tracking("c") == "final"


async def test_a_campaign_that_is_not_to_be_tracked_is_not() -> None:
    async with stage() as scene:
        await scene.send_all("c", (A,), track=False)
        assert await scene.go_round(10) == 5
        assert not scene.asked
        assert await scene.ledger.tracking("c") is None


async def test_a_campaign_is_asked_after_page_by_page_and_each_has_its_turn() -> None:
    lots = [(str(2250757001000 + index),) for index in range(45)]
    async with stage() as scene:
        long = await scene.send_all("long", *lots)
        short = await scene.send_all("short", (A,))
        scene.now[0] += 10
        await scene.tracker.run_once()
        assert short[0][0] in scene.asked
        assert len(scene.asked) == 11
        await scene.go_round()
        assert await scene.ledger.tracking("long") == "final"
        assert sorted(scene.asked) == sorted(each for ids in (*long, *short) for each in ids)


async def test_where_nothing_is_to_be_learnt_any_more_no_batch_is_read_again() -> None:
    lots = [(str(2250757001000 + index),) for index in range(20)]
    async with stage() as scene:
        await scene.send_all("c", *lots, (PENDING,))
        await scene.go_round(10)
        read: list[int] = []
        batches = scene.ledger.batches

        async def watch(campaign_id: str, *, after: int, limit: int) -> Any:
            read.append(after)
            return await batches(campaign_id, after=after, limit=limit)

        scene.ledger.batches = watch  # type: ignore[method-assign]
        await scene.go_round(60)
        await scene.go_round(60)
        assert min(read[-2:]) >= 9


async def test_no_status_call_ends_it_with_one_sentence(caplog: pytest.LogCaptureFixture) -> None:
    for options in ({"asked_at": "/v1/nowhere"}, {"status_path": "/v1/elsewhere"}):
        caplog.clear()
        async with stage(**options) as scene:
            await scene.send_all("c", (A,))
            await scene.send_all("d", (B,))
            with caplog.at_level(logging.INFO, "vavasms"):
                await scene.go_round(10)
                await scene.go_round(100)
            assert [await scene.ledger.tracking(key) for key in "cd"] == ["unavailable", "unavailable"]
            assert [record.getMessage() for record in caplog.records if record.name == "vavasms"] == [
                "The gateway has no delivery status call at VAVASMS_STATUS_PATH: delivery stays unknown."
            ]


async def test_pages_in_the_place_of_answers_end_it_where_there_never_was_an_answer() -> None:
    async with stage() as scene:
        await scene.send_all("c", *[(str(2250757001000 + index),) for index in range(6)])
        scene.faults.set_rates({Fault(kind=FaultKind.HTML): 1.0})
        await scene.go_round(10)
        assert await scene.ledger.tracking("c") == "unavailable"
        assert len(scene.asked) <= 6


async def test_a_page_in_between_ends_nothing() -> None:
    async with stage() as scene:
        await scene.send_all("c", *[(str(2250757001000 + index),) for index in range(6)])
        await scene.go_round(6)
        scene.faults.script(*[Fault(kind=FaultKind.HTML)] * 8)
        await scene.go_round(20)
        scene.faults.clear()
        await scene.go_round(60)
        assert await scene.ledger.tracking("c") == "final"


async def test_a_refused_account_is_tried_again_much_later(caplog: pytest.LogCaptureFixture) -> None:
    async with stage() as scene:
        await scene.send_all("c", (A,))
        scene.gateway.password = "changed"
        with caplog.at_level(logging.WARNING, "vavasms"):
            await scene.go_round(10)
            await scene.go_round(300)
        assert len(scene.asked) == 1
        assert "AuthenticationError" in caplog.text
        scene.gateway.password = "sandbox"
        await scene.go_round(900)
        assert await scene.ledger.tracking("c") == "final"


async def test_what_ended_is_reopened_by_a_start_and_by_hand() -> None:
    async with stage() as scene:
        await scene.send_all("c", (A,))
        await scene.ledger.end_tracking("c", "unavailable")
        await scene.go_round(10)
        assert not scene.asked
        summary = await track(
            scene.sms, scene.ledger, "c", rate=1000.0, deadline=scene.now[0] + 5, clock=lambda: scene.now[0]
        )
        assert summary.delivered == 1
        assert await scene.ledger.tracking("c") == "final"


#: Never sent: a campaign is paused while there is something left.
LAST = "2250157000001"
LOTS = [tuple(str(2250757000000 + lot * 100 + index) for index in range(100)) for lot in range(12)]


@pytest.mark.parametrize(("failing", "state"), [(0.4, "paused"), (0.15, "running")])
async def test_a_floor_of_80_percent_pauses_at_60_and_not_at_85(failing: float, state: str) -> None:
    async with stage(failing={"22507": failing}, reports_lots=True) as scene:
        await scene.begin("c", *LOTS, (LAST,), min_delivery=Decimal("0.8"))
        for number in range(len(LOTS)):
            await scene.send("c", number)
        await scene.go_round(10)
        campaign = await scene.ledger.campaign("c")
        assert campaign.state.value == state
        if state == "paused":
            assert campaign.reason is not None
            assert campaign.reason.startswith(
                "60.3 percent of 1,000 messages were delivered, fewer than the 80 "
            )


async def test_a_prefix_alone_is_under_the_floor() -> None:
    good = [tuple(str(2250557000000 + lot * 100 + index) for index in range(100)) for lot in range(40)]
    async with stage(failing={"22507": 0.4}, reports_lots=True) as scene:
        await scene.begin("c", *good, *LOTS, (LAST,), min_delivery=Decimal("0.8"))
        for number in range(len(good) + len(LOTS)):
            await scene.send("c", number)
        await scene.go_round(10)
        reason = (await scene.ledger.campaign("c")).reason
        assert reason is not None
        assert "messages to the prefix 22507 were delivered, fewer than the 80 percent of" in reason


async def test_after_a_resume_only_what_is_new_is_judged() -> None:
    async with stage(failing={"22507": 0.4}, reports_lots=True) as scene:
        more = [tuple(str(2250757100000 + lot * 100 + index) for index in range(100)) for lot in range(12)]
        await scene.begin("c", *LOTS, *more, (LAST,), min_delivery=Decimal("0.8"))
        for number in range(len(LOTS)):
            await scene.send("c", number)
        await scene.go_round(10)
        assert (await scene.ledger.campaign("c")).state is CampaignState.PAUSED
        assert await scene.ledger.start("c")
        await scene.go_round(10)
        for number in range(len(LOTS), len(LOTS) + 8):
            await scene.send("c", number)
        await scene.go_round(20)
        assert (await scene.ledger.campaign("c")).state is CampaignState.RUNNING
        for number in range(len(LOTS) + 8, len(LOTS) + len(more)):
            await scene.send("c", number)
        await scene.go_round(20)
        assert (await scene.ledger.campaign("c")).state is CampaignState.PAUSED


async def test_a_process_judges_a_first_start_by_what_the_one_before_it_learnt() -> None:
    async with stage(failing={"22507": 0.4}, reports_lots=True) as scene:
        await scene.begin("c", *LOTS, (LAST,), min_delivery=Decimal("0.8"))
        for number in range(9):
            await scene.send("c", number)
        await scene.go_round(10)
        assert (await scene.ledger.campaign("c")).state is CampaignState.RUNNING
        scene.tracker = DeliveryTracker(
            account=scene.sms.account, ledger=scene.ledger, clock=lambda: scene.now[0], rate=10_000.0
        )
        await scene.send("c", 9)
        await scene.go_round(10)
        assert (await scene.ledger.campaign("c")).state is CampaignState.PAUSED


class HitchingLedger(MemoryLedger):
    """A ledger that is away at the first turn; counts the turns."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = 0

    @asynccontextmanager
    async def tracking_turn(self, account: str) -> AsyncIterator[bool]:
        self.turns += 1
        if self.turns == 1:
            raise LedgerError("The disk is full.")
        # Another one has it first.
        yield self.turns > 2


class Rounds(DeliveryTracker):
    """A tracker whose rounds take a minute each by the clock, and no time; the ledger fails in the third."""

    rounds: int = 0

    async def run_once(self) -> float:
        self.rounds += 1
        if self.rounds == 3:
            raise LedgerError("The disk is full again.")
        return 60.0


@pytest.mark.parametrize(
    "anyio_backend", [pytest.param(("trio", {"clock": MockClock(autojump_threshold=0)}), id="trio")]
)
async def test_turns_are_tried_for_again_whatever_happens(caplog: pytest.LogCaptureFixture) -> None:
    ledger = HitchingLedger()
    async with AsyncVavaSMS("me", "word", sender_id="ACME", base_url="https://gateway.invalid/api") as sms:
        tracker = Rounds(account=sms.account, ledger=ledger, clock=anyio.current_time)
        with caplog.at_level(logging.WARNING, "vavasms"), anyio.move_on_after(1_500):
            await tracker.run()
    assert [record.getMessage() for record in caplog.records] == [
        "Delivery reports wait for the ledger (The disk is full.).",
        "Delivery reports wait for the ledger (The disk is full again.).",
    ]
    # Away, another's, two minutes of one that ended in a failure, and then ten minutes each.
    assert ledger.turns == 6
    assert tracker.rounds == 3 + 10 + 10 + 2


async def test_a_ledger_that_is_away_in_a_round_is_the_turns_own_matter() -> None:
    async with stage() as scene:
        await scene.send_all("c", (A,))

        async def fail(campaign_id: str, *, after: int, limit: int) -> Any:
            raise LedgerError("The disk is full.")

        scene.ledger.batches = fail  # type: ignore[method-assign]
        with pytest.raises(LedgerError):
            await scene.go_round(10)
        assert await scene.ledger.tracking("c") is None
