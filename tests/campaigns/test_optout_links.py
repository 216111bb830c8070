"""Opt-out links from a list to the gateway: each text has the link of its recipient, and the link works."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from anyio.to_thread import run_sync

from tests.campaigns.staging import Stage, connect, phones
from vavasms.campaigns.planning.optout_link import make_test_text
from vavasms.campaigns.policy import Policy
from vavasms.campaigns.runner import CampaignRunner
from vavasms.errors import InvalidInputError
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import Exclusion
from vavasms.ledger.optout_codes import CODE_MARK, EXAMPLE
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.numbers import Msisdn
from vavasms.sandbox import SandboxServer

pytestmark = pytest.mark.anyio

URL = "https://sms.example.ci/d/"
MESSAGE = "Promo du jour. Stop: {desinscription}"
TEXT = re.compile(r"Promo du jour\. Stop: https://sms\.example\.ci/d/([\w=-]{10})")


async def submit(stage: Stage, count: int = 5, message: str = MESSAGE, **options: object) -> str:
    path = stage.write(phones(count))
    campaign, _plan = await stage.runner.submit(path, message, opt_out_url=URL, **options)  # type: ignore[arg-type]
    return campaign.id


def received(sandbox: SandboxServer) -> dict[str, str]:
    """Return the code that each recipient has got; fails for a text that has none."""
    texts = {entry.to: TEXT.fullmatch(entry.message) for entry in sandbox.gateway.journal.entries}
    assert all(texts.values())
    return {to: match[1] for to, match in texts.items() if match}


async def check(ledger: Ledger, codes: dict[str, str]) -> None:
    """Check that each code is its recipient's."""
    for recipient, code in codes.items():
        holder = await ledger.optout_codes.find(code)
        assert holder is not None
        assert holder.recipient == recipient


async def test_each_recipient_gets_a_link_that_is_kept(stage: Stage) -> None:
    run = await stage.runner.run(await submit(stage))
    assert (run.status.accepted, run.status.batches) == (5, 5)
    codes = received(stage.sandbox)
    assert sorted(codes) == phones(5)
    assert len(set(codes.values())) == 5
    await check(stage.ledger, codes)


async def test_whoever_opts_out_by_link_gets_nothing_of_the_next_campaign(stage: Stage) -> None:
    await stage.runner.run(await submit(stage))
    codes = received(stage.sandbox)
    await stage.ledger.optout_codes.opt_out(codes[phones(1)[0]], now=1.0)
    stage.sandbox.gateway.journal.clear()
    await stage.runner.run(await submit(stage, message=f"{MESSAGE} "[:-1], again=True))
    again = received(stage.sandbox)
    assert sorted(again) == phones(4, 1)
    assert again.items() < codes.items()


async def test_whoever_opts_out_while_it_waits_is_left_out(stage: Stage) -> None:
    campaign_id = await submit(stage, 2)
    (first, _second) = await stage.batches(campaign_id)
    match = TEXT.fullmatch(first.message)
    assert match
    await stage.ledger.optout_codes.opt_out(match[1], now=1.0)
    status = (await stage.runner.run(campaign_id)).status
    assert (status.accepted, status.not_sent) == (1, 1)
    assert (await stage.batches(campaign_id))[0].recipients[0][1] is Exclusion.OPTED_OUT


async def test_a_dry_run_keeps_no_code_and_has_the_hash_of_the_campaign(stage: Stage) -> None:
    path = stage.write(phones(3))
    plan = await stage.runner.plan(path, MESSAGE, opt_out_url=URL)
    assert (plan.requests, plan.has_opt_out_link) == (3, True)
    assert plan.first_text == MESSAGE.replace("{desinscription}", URL + EXAMPLE)
    issued = await stage.ledger.optout_codes.issue(map(Msisdn, phones(3)))
    campaign, _plan = await stage.runner.submit(path, MESSAGE, opt_out_url=URL, expect=plan.hash)
    texts = [batch.message for batch in await stage.batches(campaign.id)]
    assert texts == [MESSAGE.replace("{desinscription}", URL + code) for code in issued.values()]


async def test_a_message_with_the_link_and_no_page_is_refused_and_nothing_is_kept(stage: Stage) -> None:
    with pytest.raises(InvalidInputError, match=r"no page is named for it.*Nothing was sent\.$"):
        await stage.runner.submit(stage.write(phones(2)), MESSAGE)
    assert not await stage.ledger.statuses()


async def test_a_retry_repeats_each_ones_own_link(stage: Stage) -> None:
    campaign_id = await submit(stage, 3)
    before = {str(batch.recipients[0][0]): batch.message for batch in await stage.batches(campaign_id)}
    await stage.ledger.cancel(campaign_id, "by hand")
    campaign, _plan = await stage.runner.retry(campaign_id)
    await stage.runner.run(campaign.id)
    assert {entry.to: entry.message for entry in stage.sandbox.gateway.journal.entries} == before


async def test_the_text_for_ones_own_phone_has_ones_own_link(stage: Stage) -> None:
    plan = await stage.runner.plan(stage.write(phones(2)), MESSAGE, opt_out_url=URL)
    own = Msisdn("2250757999999")
    match = TEXT.fullmatch(await make_test_text(stage.ledger, plan, own))
    assert match
    await check(stage.ledger, {str(own): match[1]})
    plain = await stage.runner.plan(stage.write(phones(2)), "Promo")
    assert await make_test_text(stage.ledger, plain, own) == "Promo"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_campaign_in_a_database_has_the_links_too(
    postgres: str, sandbox: SandboxServer, tmp_path: Path
) -> None:
    async with (
        await PostgresLedger.open(postgres, upgrade=True) as ledger,
        connect(sandbox) as sms,
        CampaignRunner(sms, ledger) as runner,
    ):
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        campaign_id = await submit(stage, 30, again=True, policy=Policy(concurrency=4))
        assert (await runner.run(campaign_id)).status.accepted == 30
        codes = received(sandbox)
        assert sorted(codes) == phones(30)
        await ledger.purge(campaign_id)
        await check(ledger, codes)


#: Loads campaigns one after the other, says so, and is killed.
LOADER = """
import sys, anyio
from vavasms.ledger.models import NewBatch, NewCampaign
from vavasms.ledger.sqlite.ledger import SqliteLedger

async def main(path):
    async with await SqliteLedger.open(path) as ledger:
        for number in range(1000):
            name = f"{sys.argv[2]}-{number}"
            new = dict(account="ops", sender_id="A", message="B", created_at=1.0)
            await ledger.create(NewCampaign(id=name, **new))
            phones = [str(2250757000000 + 97 * number + place) for place in range(200)]
            batches = [
                NewBatch(number=place, message="/\\0", segments=1, recipients=(phone,))
                for place, phone in enumerate(phones)
            ]
            print(name, flush=True)
            await ledger.load(name, batches)

anyio.run(main, sys.argv[1])
"""


def kill_a_loader(path: Path, name: str, loads: int) -> None:
    """Kill a loader within one of its loads, at any moment of it."""
    command = [sys.executable, "-c", LOADER, str(path), name]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(loads):
            process.stdout.readline()
        process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_kill_leaves_no_text_whose_code_is_not_kept(tmp_path: Path) -> None:
    path, draw = tmp_path / "ledger.db", random.Random(20)
    for kill in range(8):
        await run_sync(kill_a_loader, path, f"kill{kill}", draw.randrange(1, 6))
    texts = 0
    async with await SqliteLedger.open(path) as ledger:
        for status in await ledger.statuses():
            for batch in await ledger.batches(status.id, after=-1, limit=1000):
                texts += 1
                assert CODE_MARK not in batch.message
                await check(ledger, {str(batch.recipients[0][0]): batch.message[1:]})
    assert texts >= 8 * 200
