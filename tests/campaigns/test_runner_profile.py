"""A campaign goes by what is known of its gateway."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from tests.campaigns.staging import Stage, connect, phones
from vavasms.campaigns.delivery_tracker import DeliveryTracker
from vavasms.campaigns.policy import Policy, load_policy
from vavasms.campaigns.runner import CampaignRunner
from vavasms.campaigns.tracking import UNAVAILABLE, track
from vavasms.cli.commands.sandbox_serve import play
from vavasms.desk.form import CampaignForm
from vavasms.errors import ConfigurationError, InvalidInputError
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.states import CampaignState
from vavasms.profile.models import GatewayProfile, Oversize
from vavasms.sandbox import Answer, Gateway, SandboxServer

pytestmark = pytest.mark.anyio

BAD = "2250700000903"
LIMITED = GatewayProfile(batch_size=20, batch_size_is_limit=True, oversize=Oversize.REFUSED)


class Listener(Gateway):
    """A gateway that notes after which messages it was asked."""

    asked: list[str]

    def handle(self, path: str, fields: Mapping[str, str]) -> Answer:
        self.asked += [fields["message_id"]] if "message_id" in fields else []
        return super().handle(path, fields)


@contextmanager
def serving(profile: GatewayProfile) -> Iterator[SandboxServer]:
    gateway = Listener(sender_ids=None, **play(profile))
    gateway.asked = []
    with SandboxServer(gateway) as server:
        yield server


@asynccontextmanager
async def stage(profile: GatewayProfile, folder: Path) -> AsyncIterator[Stage]:
    """Open a runner whose gateway is what its profile says."""
    with serving(profile) as server:
        async with (
            connect(server, profile=profile, trust_env=False) as sms,
            CampaignRunner(sms, MemoryLedger()) as runner,
        ):
            yield Stage(runner=runner, sandbox=server, folder=folder)


def sizes(stage: Stage) -> list[int]:
    return sorted(entry.recipients for entry in stage.sandbox.gateway.journal.entries)


async def test_no_request_has_more_numbers_than_the_gateway_takes(tmp_path: Path) -> None:
    async with stage(LIMITED, tmp_path) as scene:
        run = await scene.run(50)
        assert (run.status.state, run.status.accepted) == (CampaignState.DONE, 50)
        assert sizes(scene) == [10, 20, 20]
        stored = load_policy((await scene.ledger.campaign(run.status.id)).policy)
        assert stored.batch_size == 20


async def test_a_batch_size_of_ones_own_wins(tmp_path: Path) -> None:
    async with stage(LIMITED, tmp_path) as scene:
        run = await scene.run(30, batch_size=15)
        assert sizes(scene) == [15, 15]
        assert run.status.accepted == 30


async def test_a_lot_that_is_refused_whole_is_halved_until_the_bad_number_is_found(tmp_path: Path) -> None:
    async with stage(GatewayProfile(lots_are_atomic=True, batch_size=8), tmp_path) as scene:
        run = await scene.run([*phones(7), BAD])
        assert (run.status.accepted, run.status.rejected, run.status.unknown) == (7, 1, 0)
        sent = [phone for entry in scene.sandbox.gateway.journal.entries for phone in entry.phones]
        assert sorted(sent) == phones(7)


async def test_a_lot_that_is_refused_in_part_is_unknown_and_nothing_of_it_is_sent_again(
    tmp_path: Path,
) -> None:
    async with stage(GatewayProfile(lots_are_atomic=False, batch_size=8), tmp_path) as scene:
        run = await scene.run([*phones(7), BAD])
        assert (run.status.accepted, run.status.rejected, run.status.unknown) == (0, 0, 8)
        # The gateway sent to the others: once.
        assert sizes(scene) == [7]


async def test_where_no_path_answers_no_status_is_asked_for_and_one_sentence_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with stage(GatewayProfile(has_status_call=False), tmp_path) as scene:
        run = await scene.run(3)
        account = scene.runner._account
        tracker = DeliveryTracker(account=account, ledger=scene.ledger, clock=lambda: time.time() + 100)
        with caplog.at_level(logging.INFO, "vavasms"):
            await tracker.run_once()
            await tracker.run_once()
        assert await scene.ledger.tracking(run.status.id) == UNAVAILABLE
        said = [record.getMessage() for record in caplog.records if record.name == "vavasms"]
        assert [line for line in said if "status" in line] == [
            "The gateway has no delivery status call, says its profile: nothing is asked, and delivery stays unknown."
        ]
        with pytest.raises(ConfigurationError, match="says its profile"):
            await track(scene.runner._client, scene.ledger, run.status.id)
        assert scene.sandbox.gateway.asked == []  # type: ignore[attr-defined]


async def test_the_price_of_the_profile_prices_the_plan_and_pays_the_budget(tmp_path: Path) -> None:
    profile = GatewayProfile(unit_price=Decimal(10), unit_price_ucs2=Decimal(15))
    async with stage(profile, tmp_path) as scene:
        path = scene.write(phones(4))
        assert (await scene.runner.plan(path, "Bonjour")).cost == 60
        assert (await scene.runner.plan(path, "Bonjour", policy=Policy(unit_price=Decimal(1)))).cost == 4
        campaign, plan = await scene.runner.submit(path, "Bonjour")
        assert (plan.cost, load_policy(campaign.policy).unit_price) == (Decimal(60), Decimal(15))


def test_the_form_of_the_desk_takes_the_price_of_the_profile() -> None:
    profile = GatewayProfile(unit_price=Decimal(10))
    assert CampaignForm(budget="1000").policy(now=0.0, profile=profile).unit_price == 10
    assert CampaignForm(budget="1000", unit_price="12").policy(now=0.0, profile=profile).unit_price == 12
    with pytest.raises(InvalidInputError, match="needs the unit price"):
        CampaignForm(budget="1000").policy(now=0.0)
