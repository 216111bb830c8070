"""A submission is kept whole or not at all, and the same one is not kept twice."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.campaigns.staging import Stage, connect, phones
from vavasms import AsyncVavaSMS
from vavasms.campaigns.planning.planner import LOAD
from vavasms.campaigns.runner import CampaignRunner
from vavasms.errors import InvalidInputError, InvalidMessageError, LedgerError
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.states import CampaignState
from vavasms.numbers import Msisdn
from vavasms.sandbox import SandboxServer

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("text", "message", "options", "words"),
    [
        ("phone\n2250757000001\n", "Bonjour {nom}", {}, "no column nom"),
        ("phone\n2250757000001\n", " ", {}, "empty"),
        ("phone\n2250757000001\n", "Bonjour {", {}, "not closed"),
        ("nom\nAwa\n", "Bonjour", {}, "phone_column="),
        ("phone\n2250757000001\n", "Bonjour", {"phone_column": "mobile"}, "mobile"),
        ("phone\n", "Bonjour", {}, "no rows"),
        ("", "Bonjour", {}, "is empty"),
        ("phone\n12\n13\n", "Bonjour", {}, "Nobody"),
        ("phone\n2250757000001\n", "Bonjour", {"sender_id": "é"}, "sender"),
        ("phone\n2250757000001\n", "Bonjour", {"sheet": "A"}, "sheets"),
        ("phone\n2250757000001\n", "Bonjour", {"again": "no"}, "^again is True or False; nothing was sent.$"),
        (
            "phone\n2250757000001\n",
            "Bonjour",
            {"repair": "no"},
            "^repair is True or False; nothing was sent.$",
        ),
        ("phone\n2250757000001\n", "Bonjour", {"fold": 0}, "^fold is True or False; nothing was sent.$"),
    ],
)
async def test_of_what_is_refused_nothing_is_kept(
    stage: Stage, text: str, message: str, options: dict[str, Any], words: str
) -> None:
    path = stage.folder / "list.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInputError, match=f"(?i:{words})"):
        await stage.runner.submit(path, message, **options)
    assert not await stage.ledger.statuses()


async def test_a_list_that_breaks_off_in_the_middle_is_refused_as_any_other(stage: Stage) -> None:
    path = stage.folder / "list.csv"
    long = "x" * 200_000
    path.write_text("\n".join(["phone,nom", *[f"{phone},a" for phone in phones(30_000)], f'"{long}",b', ""]))
    with pytest.raises(InvalidInputError):
        await stage.runner.submit(path, "Bonjour")
    assert not await stage.ledger.statuses()
    with pytest.raises(InvalidInputError):
        await stage.runner.plan(path, "Bonjour")


async def test_a_file_that_is_not_there_is_refused(stage: Stage) -> None:
    with pytest.raises(InvalidInputError):
        await stage.runner.submit(str(stage.folder / "nowhere.csv"), "Bonjour")
    assert not await stage.ledger.statuses()


async def test_a_stream_is_as_good_as_a_file(stage: Stage) -> None:
    stream = io.BytesIO("\n".join(phones(3)).encode())
    campaign, plan = await stage.runner.submit(stream, "Bonjour")
    assert (plan.recipients, plan.phone_column) == (3, None)
    assert (await stage.runner.run(campaign.id)).status.accepted == 3


async def test_no_sender_id_is_refused(sandbox: SandboxServer, tmp_path: Path) -> None:
    async with connect(sandbox, sender_id=None) as sms, CampaignRunner(sms, MemoryLedger()) as runner:
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        with pytest.raises(InvalidInputError, match="No sender ID"):
            await stage.submit(1)
        assert (await stage.run(1, sender_id="ACME")).status.accepted == 1


async def test_a_plan_that_is_no_longer_the_same_is_refused(stage: Stage) -> None:
    path = stage.write(phones(3))
    plan = await stage.runner.plan(path, "Bonjour")
    for change in ("text", "list", "opt-out"):
        if change == "opt-out":
            await stage.ledger.add_opt_outs([Msisdn(phones(1)[0])], source="test", now=1.0)
        path = stage.write(phones(4 if change == "list" else 3))
        with pytest.raises(InvalidInputError, match=plan.hash):
            await stage.runner.submit(path, "Salut" if change == "text" else "Bonjour", expect=plan.hash)
    assert not await stage.ledger.statuses()
    await stage.ledger.remove_opt_outs([Msisdn(phones(1)[0])])
    campaign, _ = await stage.runner.submit(path, "Bonjour", expect=plan.hash)
    assert campaign.plan_hash == plan.hash


async def test_the_same_plan_is_refused_with_the_first_ones_id_unless_again(stage: Stage) -> None:
    first = await stage.submit(3, batch_size=2)
    for _ in range(2):
        with pytest.raises(InvalidInputError, match=first):
            await stage.submit(3, batch_size=1)
        await stage.runner.run(first) if not stage.received() else None
    assert len(await stage.ledger.statuses()) == 1
    second = await stage.submit(3, again=True)
    await stage.runner.run(second)
    assert stage.received() == dict.fromkeys(phones(3), 2)


async def test_another_account_may_have_the_same_plan(stage: Stage) -> None:
    await stage.submit(3)
    gateway = stage.sandbox.gateway
    known, gateway.username = gateway.username, "other@example.com"
    try:
        await stage.runner.__aexit__(None, None, None)
        async with connect(stage.sandbox) as sms, CampaignRunner(sms, stage.ledger) as runner:
            other = Stage(runner=runner, sandbox=stage.sandbox, folder=stage.folder)
            assert (await other.run(3)).status.accepted == 3
    finally:
        gateway.username = known


class Gate(MemoryLedger):
    """Stands still, or fails, at the second load."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error = error
        self.loads = 0
        self.arrived = anyio.Event()

    async def load(self, campaign_id: str, batches: Any) -> None:
        self.loads += 1
        if self.loads < 2:
            await super().load(campaign_id, batches)
        elif self.error is not None:
            raise self.error
        else:
            self.arrived.set()
            await anyio.sleep_forever()


async def test_a_submission_that_is_cancelled_while_it_loads_leaves_nothing(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    ledger = Gate()
    async with connect(sandbox) as sms, CampaignRunner(sms, ledger) as runner:
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(stage.submit, LOAD * 4)
                await ledger.arrived.wait()
                assert [status.state for status in await ledger.statuses()] == [CampaignState.LOADING]
                tasks.cancel_scope.cancel()
    assert not await ledger.statuses()


async def test_a_ledger_that_takes_no_more_while_loading_says_so_itself(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    ledger = Gate(LedgerError("The ledger did not take it (disk full): nothing more is sent."))
    async with connect(sandbox) as sms, CampaignRunner(sms, ledger) as runner:
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        with anyio.fail_after(10), pytest.raises(LedgerError, match="disk full"):
            await stage.submit(LOAD * 4)
    assert not await ledger.statuses()


async def test_a_long_list_is_loaded_whole(stage: Stage) -> None:
    campaign_id = await stage.submit(LOAD * 2 + 77, batch_size=1000)
    status = await stage.ledger.status(campaign_id)
    assert (status.queued, status.batches) == (LOAD * 2 + 77, 21)
    numbers = {str(phone) for batch in await stage.batches(campaign_id) for phone, _ in batch.recipients}
    assert numbers == set(phones(LOAD * 2 + 77))
    await stage.ledger.cancel(campaign_id, "enough")


async def test_a_message_that_is_no_text_is_refused(stage: Stage) -> None:
    wrong: Any = 5
    with pytest.raises(InvalidMessageError):
        await stage.runner.submit(stage.write(phones(1)), wrong)
    assert not await stage.ledger.statuses()


async def test_a_campaign_is_run_by_its_own_account_only(sandbox: SandboxServer, stage: Stage) -> None:
    campaign_id = await stage.submit(3)
    async with AsyncVavaSMS("other@example.com", "x", sender_id="SANDBOX", base_url=sandbox.url) as other:
        await stage.runner.__aexit__(None, None, None)
        async with CampaignRunner(other, stage.ledger) as runner:
            with pytest.raises(InvalidInputError, match="another account's"):
                await runner.run(campaign_id)
    assert (await stage.ledger.status(campaign_id)).queued == 3


async def test_the_accounts_own_name_is_a_sender_id(stage: Stage) -> None:
    username = stage.sandbox.gateway.username
    assert (await stage.run(2, sender_id=username)).status.accepted == 2
    assert {entry.sender_id for entry in stage.sandbox.gateway.journal.entries} == {username}
    with pytest.raises(InvalidInputError, match="sender ID has 3 to 11"):
        await stage.submit(1, sender_id="other@example.com")
