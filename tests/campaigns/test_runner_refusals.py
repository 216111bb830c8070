"""What goes nowhere is tried anew, and a refusal that would befall every batch stops the campaign."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import evolve, frozen

from tests.campaigns.staging import TEXT, Clock, HastyLedger, Stage, connect, phones
from vavasms.campaigns.runner import CampaignRunner
from vavasms.campaigns.sending.queued_batch import MAX_TURNS
from vavasms.endpoints import Account, Transport
from vavasms.errors import (
    AuthenticationError,
    GatewayError,
    NotSentError,
    Outcome,
    RateLimitedError,
    UnknownSenderIdError,
)
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import LONGEST_DELAY, BatchRecord, Claim
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.states import BatchEvent, BatchState, CampaignState
from vavasms.sandbox import Fault, FaultKind, SandboxServer
from vavasms.transport.http import Attempt
from vavasms.wire.requests import Request
from vavasms.wire.responses import Envelope

pytestmark = pytest.mark.anyio

BAD = "2250700000903"


@pytest.fixture
async def hasty(sandbox: SandboxServer, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Stage]:
    """Yield a runner for which waits of some seconds are over at once."""
    clock = Clock()
    async with connect(sandbox) as sms, CampaignRunner(sms, HastyLedger(clock), clock=clock) as runner:
        yield Stage(runner=runner, sandbox=sandbox, folder=tmp_path)


def turn_away(sandbox: SandboxServer, times: int, retry_after: str | None = None) -> None:
    fault = Fault(kind=FaultKind.RATE_LIMIT, retry_after=retry_after)
    sandbox.faults.script(*[fault] * times, path=TEXT)


async def test_after_a_retry_after_nothing_leaves_before_it(sandbox: SandboxServer, tmp_path: Path) -> None:
    turn_away(sandbox, 1, "1")
    async with connect(sandbox) as sms, CampaignRunner(sms, MemoryLedger()) as runner:
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        campaign_id = await stage.submit(4, batch_size=2, concurrency=1)
        run = await runner.run(campaign_id)
        claims = [batch.sending_at or 0 for batch in await stage.batches(campaign_id)]
    assert (run.status.state, run.status.accepted) == (CampaignState.DONE, 4)
    assert abs(claims[0] - claims[1]) < 1
    created = (await runner.ledger.campaign(campaign_id)).created_at
    assert all(each - created >= 1 for each in claims)
    assert all(entry.time - created >= 1 for entry in sandbox.gateway.journal.entries)


@frozen
class Strict:
    """A transport of one's own that has every send wait for a quarter of an hour."""

    inner: Transport
    max_connections: int = 4
    is_closed: bool = False

    async def exchange(self, request: Request, attempt: Attempt | None = None) -> Envelope:
        if request.path == TEXT:
            raise RateLimitedError("Later.", retry_after=900.0, outcome=Outcome.NOT_SENT)
        return await self.inner.exchange(request, attempt)


@frozen
class Client:
    """All that a runner needs of one."""

    account: Account


class Delays(MemoryLedger):
    """A record of for how long a batch was put off."""

    def __init__(self) -> None:
        super().__init__()
        self.put_off: list[float] = []
        self.is_put_off = anyio.Event()

    async def settle(
        self, claim: Claim, event: BatchEvent, record: BatchRecord, *, not_before: float = 0.0
    ) -> bool:
        settled = await super().settle(claim, event, record, not_before=not_before)
        self.put_off.append(not_before - claim.at)
        self.is_put_off.set()
        return settled


async def test_what_is_put_off_for_longer_than_anything_is_waits_for_the_longest_delay(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    ledger = Delays()
    clock = Clock()
    async with connect(sandbox) as sms:
        client = Client(evolve(sms.account, transport=Strict(sms.account.transport)))
        async with CampaignRunner(client, ledger, clock=clock) as runner, anyio.create_task_group() as tasks:
            campaign_id = await Stage(runner=runner, sandbox=sandbox, folder=tmp_path).submit(2)
            tasks.start_soon(runner.run, campaign_id)
            with anyio.fail_after(20):
                await ledger.is_put_off.wait()
            (batch,) = await ledger.queued(campaign_id, after=-1, limit=9)
            runner.stop()
    # Neither tried again at once, as what a clock put off would be, nor beyond what is waited for.
    assert ledger.put_off == [LONGEST_DELAY]
    assert not batch.is_due(clock())
    assert batch.is_due(clock() + LONGEST_DELAY)


async def test_what_is_turned_away_four_times_is_sent_the_fifth_time(hasty: Stage) -> None:
    turn_away(hasty.sandbox, MAX_TURNS - 1)
    run = await hasty.run(3)
    assert (run.status.state, run.status.accepted, run.error) == (CampaignState.DONE, 3, None)
    assert hasty.received() == dict.fromkeys(phones(3), 1)


async def test_what_is_turned_away_five_times_pauses_the_campaign(hasty: Stage) -> None:
    turn_away(hasty.sandbox, MAX_TURNS)
    run = await hasty.run(3)
    assert (run.status.state, run.status.queued) == (CampaignState.PAUSED, 3)
    assert isinstance(run.error, RateLimitedError)
    assert "RateLimitedError" in (run.status.reason or "")
    assert hasty.sandbox.faults.pending == 0
    # A person who starts it again gives it its tries anew.
    turn_away(hasty.sandbox, MAX_TURNS - 1)
    run = await hasty.runner.run(run.status.id)
    assert (run.status.state, run.status.accepted) == (CampaignState.DONE, 3)
    assert hasty.received() == dict.fromkeys(phones(3), 1)


@pytest.mark.usefixtures("no_backoff")
async def test_a_gateway_out_of_reach_pauses_the_campaign_and_loses_nothing(hasty: Stage) -> None:
    campaign_id = await hasty.submit(3)
    with hasty.sandbox.refuse():
        run = await hasty.runner.run(campaign_id)
    assert (run.status.state, run.status.queued, run.status.segments) == (CampaignState.PAUSED, 3, 0)
    assert isinstance(run.error, NotSentError)
    assert "NotSentError" in (run.status.reason or "")
    run = await hasty.runner.run(campaign_id)
    assert (run.status.state, run.status.accepted) == (CampaignState.DONE, 3)
    assert hasty.received() == dict.fromkeys(phones(3), 1)


@pytest.mark.usefixtures("no_backoff")
async def test_a_gateway_that_comes_back_is_sent_to(hasty: Stage) -> None:
    hasty.sandbox.faults.script(Fault(kind=FaultKind.REFUSE, seconds=0.01), path=TEXT)
    run = await hasty.run(3)
    assert run.status.accepted + run.status.unknown == 3
    assert run.status.state is CampaignState.DONE


async def test_wrong_credentials_pause_it_and_right_ones_finish_it(
    sandbox: SandboxServer, ledger: Ledger, tmp_path: Path
) -> None:
    async with connect(sandbox, "wrong") as sms, CampaignRunner(sms, ledger) as runner:
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        run = await stage.run(60, batch_size=2)
    assert (run.status.state, run.status.queued, run.status.rejected) == (CampaignState.PAUSED, 60, 0)
    assert isinstance(run.error, AuthenticationError)
    assert "AuthenticationError" in (run.status.reason or "")
    assert "wrong" not in (run.status.reason or "")
    assert not stage.received()
    async with connect(sandbox) as sms, CampaignRunner(sms, ledger) as runner:
        run = await runner.run(run.status.id)
    assert (run.status.state, run.status.reason, run.status.accepted) == (CampaignState.DONE, None, 60)
    assert stage.received() == dict.fromkeys(phones(60), 1)


async def test_an_unknown_sender_id_pauses_it_until_the_gateway_knows_it(stage: Stage) -> None:
    gateway = stage.sandbox.gateway
    run = await stage.run(20, batch_size=2, sender_id="NEWCOMER")
    assert (run.status.state, run.status.queued) == (CampaignState.PAUSED, 20)
    assert isinstance(run.error, UnknownSenderIdError)
    assert "UnknownSenderIdError" in (run.status.reason or "")
    assert not stage.received()
    known, gateway.sender_ids = gateway.sender_ids, frozenset({"NEWCOMER"})
    try:
        run = await stage.runner.run(run.status.id)
    finally:
        gateway.sender_ids = known
    assert (run.status.state, run.status.accepted) == (CampaignState.DONE, 20)
    assert {entry.sender_id for entry in gateway.journal.entries} == {"NEWCOMER"}


async def test_three_alike_of_an_undocumented_code_stop_it(stage: Stage) -> None:
    odd = Fault(kind=FaultKind.RAW, body=b'{"code": 17, "message": "ODD"}')
    stage.sandbox.faults.script(*[odd] * 5, path=TEXT)
    run = await stage.run(10, batch_size=1, concurrency=1)
    assert (run.status.state, run.status.unknown, run.status.queued) == (CampaignState.PAUSED, 3, 7)
    assert isinstance(run.error, GatewayError)
    assert run.error.code == 17
    assert run.status.reason


async def test_undocumented_codes_with_successes_in_between_do_not_stop_it(stage: Stage) -> None:
    odd = Fault(kind=FaultKind.RAW, body=b'{"code": 17, "message": "ODD"}')
    stage.sandbox.faults.script(odd, odd, None, odd, odd, path=TEXT)
    run = await stage.run(10, batch_size=1, concurrency=1)
    assert (run.status.state, run.status.unknown, run.status.accepted) == (CampaignState.DONE, 4, 6)


async def test_a_bad_number_makes_its_lot_unknown_where_lots_may_be_taken_in_part(stage: Stage) -> None:
    run = await stage.run([*phones(3), BAD], batch_size=4)
    assert (run.status.state, run.status.unknown) == (CampaignState.DONE, 4)
    assert not stage.received()


async def test_a_bad_number_alone_is_rejected(stage: Stage) -> None:
    run = await stage.run([BAD, *phones(1)], batch_size=1)
    assert (run.status.state, run.status.rejected, run.status.accepted) == (CampaignState.DONE, 1, 1)


async def test_a_bad_number_of_a_lot_that_is_atomic_is_found_by_halves(
    sandbox: SandboxServer, ledger: Ledger, tmp_path: Path
) -> None:
    numbers = [*phones(11), BAD, *phones(9, 11)]
    async with connect(sandbox, lots_are_atomic=True) as sms, CampaignRunner(sms, ledger) as runner:
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        run = await stage.run(numbers, batch_size=21)
        batches = await stage.batches(run.status.id)
    assert (run.status.state, run.status.rejected, run.status.accepted) == (CampaignState.DONE, 1, 20)
    (rejected,) = [batch for batch in batches if batch.state is BatchState.REJECTED]
    assert [str(phone) for phone, _ in rejected.recipients] == [BAD]
    assert stage.received() == dict.fromkeys(phones(20), 1)


async def test_a_batch_that_waited_too_long_after_its_intent_goes_back_unsent(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    """The machine slept between the commit and the call."""

    class Sleepy(MemoryLedger):
        slept = False

        async def claim(self, campaign_id: str, number: int, **intent: Any) -> Claim | None:
            claim = await super().claim(campaign_id, number, **intent)
            if not self.slept:
                self.slept = True
                clock.now += 3600
                assert claim is not None
                assert not sandbox.gateway.journal.entries
            return claim

    clock = Clock()
    async with connect(sandbox) as sms, CampaignRunner(sms, Sleepy(), clock=clock) as runner:
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        campaign_id = await stage.submit(2)
        run = await runner.run(campaign_id)
        (batch,) = await stage.batches(campaign_id)
    assert (run.status.state, run.status.accepted) == (CampaignState.DONE, 2)
    assert batch.sending_at == clock.now
    assert stage.received() == dict.fromkeys(phones(2), 1)
