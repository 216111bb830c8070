"""Campaigns without await: the same calls, the same promises, and Ctrl-C in a plain script."""

from __future__ import annotations

import inspect
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.campaigns.staging import TEXT, phones, stall
from vavasms import VavaSMS
from vavasms.campaigns.policy import Policy
from vavasms.campaigns.runner import CampaignRun, CampaignRunner
from vavasms.errors import InvalidInputError, LedgerBusyError, Outcome
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import CampaignStatus
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.states import CampaignState
from vavasms.numbers import Msisdn
from vavasms.sandbox import Fault, FaultKind, SandboxServer
from vavasms.sync.campaigns import BlockingCampaignRunner


def client(sandbox: SandboxServer) -> VavaSMS:
    gateway = sandbox.gateway
    return VavaSMS(gateway.username, gateway.password, sender_id="SANDBOX", base_url=sandbox.url)


@pytest.fixture
def runner(sandbox: SandboxServer, tmp_path: Path) -> Iterator[BlockingCampaignRunner]:
    """Yield a runner on a new ledger."""
    with client(sandbox) as sms, BlockingCampaignRunner(sms, tmp_path / "ledger.db") as runner:
        yield runner


def write(folder: Path, numbers: list[str]) -> Path:
    path = folder / "list.csv"
    path.write_text("\n".join(["phone", *numbers, ""]), encoding="utf-8")
    return path


def test_a_campaign_from_its_plan_to_its_report(
    runner: BlockingCampaignRunner, sandbox: SandboxServer, tmp_path: Path
) -> None:
    path = write(tmp_path, phones(25))
    plan = runner.plan(path, "Bonjour")
    campaign, submitted = runner.submit(path, "Bonjour", policy=Policy(batch_size=10), expect=plan.hash)
    assert submitted.hash == plan.hash
    seen: list[CampaignStatus] = []
    run = runner.run(campaign.id, on_progress=seen.append)
    assert (run.status.state, run.status.accepted, run.error) == (CampaignState.DONE, 25, None)
    assert seen[-1] == run.status == runner.status(campaign.id)
    assert list(runner.statuses()) == [run.status]
    assert dict(sandbox.gateway.journal.counts()) == dict.fromkeys(phones(25), 1)
    rows = list(runner.report(campaign.id))
    assert [str(row.recipient) for row in rows] == phones(25)
    assert {row.outcome for row in rows} == {Outcome.ACCEPTED}
    runner.purge(campaign.id)
    assert list(runner.report(campaign.id)) == []


def test_a_report_longer_than_a_page_is_whole_and_may_be_left_early(
    runner: BlockingCampaignRunner, tmp_path: Path
) -> None:
    campaign, _ = runner.submit(write(tmp_path, phones(2500)), "Bonjour", policy=Policy(batch_size=700))
    assert [str(row.recipient) for row in runner.report(campaign.id)] == phones(2500)
    rows = runner.report(campaign.id)
    assert str(next(rows).recipient) == phones(1)[0]
    del rows
    with pytest.raises(InvalidInputError, match="no campaign"):
        next(runner.report("nobody"))


def test_decisions_and_opt_outs_need_no_await(
    runner: BlockingCampaignRunner, sandbox: SandboxServer, tmp_path: Path
) -> None:
    numbers = [Msisdn(phone) for phone in phones(2)]
    assert runner.add_opt_outs(numbers, source="test", now=1.0) == 2
    assert runner.remove_opt_outs(numbers[1:]) == 1
    policy = Policy(batch_size=1, concurrency=1)
    campaign, plan = runner.submit(write(tmp_path, phones(4)), "Bonjour", policy=policy)
    assert (plan.opted_out, plan.recipients) == (1, 3)
    assert runner.pause(campaign.id, "wait")
    sandbox.faults.script(Fault(kind=FaultKind.STATUS), Fault(kind=FaultKind.STATUS), path=TEXT)
    assert runner.run(campaign.id).status.unknown == 2
    first, second = [batch.number for batch in runner.unknown(campaign.id)]
    assert runner.mark_sent(campaign.id, [first], note="looked up") == 1
    assert runner.resend(campaign.id, [second], sent_before=float("inf")) == 1
    assert runner.status(campaign.id).state is CampaignState.PAUSED
    assert runner.cancel(campaign.id, "enough")
    # It was to be sent again: whether the first attempt arrived is as unknown as before.
    assert runner.status(campaign.id).unknown == 1


def test_a_stop_from_another_thread_settles_what_is_in_flight(
    runner: BlockingCampaignRunner, sandbox: SandboxServer, tmp_path: Path
) -> None:
    policy = Policy(batch_size=2, concurrency=4)
    campaign, _ = runner.submit(write(tmp_path, phones(200)), "Bonjour", policy=policy)
    stall(sandbox)
    runs: list[CampaignRun] = []
    thread = threading.Thread(target=lambda: runs.append(runner.run(campaign.id)))
    thread.start()
    assert sandbox.gateway.journal.wait_for(1)
    runner.stop()
    thread.join(10)
    status = runs[0].status
    assert (status.state, status.reason) == (CampaignState.PAUSED, "interrupted")
    assert (status.sending, status.unknown) == (0, 0)
    assert status.accepted == len(sandbox.gateway.journal.counts()) < 200
    sandbox.faults.clear()
    assert runner.run(campaign.id).status.accepted == 200
    assert set(sandbox.gateway.journal.counts().values()) == {1}


def test_a_second_runner_is_refused_and_closes_what_it_opened(
    runner: BlockingCampaignRunner, sandbox: SandboxServer, tmp_path: Path
) -> None:
    with client(sandbox) as sms, pytest.raises(LedgerBusyError):
        BlockingCampaignRunner(sms, tmp_path / "ledger.db").__enter__()
    assert list(runner.statuses()) == []


def test_one_after_the_other_may_have_the_ledger(sandbox: SandboxServer, tmp_path: Path) -> None:
    with client(sandbox) as sms:
        for _ in range(2):
            with BlockingCampaignRunner(sms, str(tmp_path / "ledger.db")) as runner:
                assert list(runner.statuses()) == []


SCRIPT = """
import signal, sys
from vavasms import VavaSMS
from vavasms.sync.campaigns import BlockingCampaignRunner
from vavasms.campaigns.policy import Policy
# Whoever runs the tests in the background has had SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
username, password, url, ledger, contacts = sys.argv[1:]
with VavaSMS(username, password, sender_id="SANDBOX", base_url=url) as sms:
    with BlockingCampaignRunner(sms, ledger) as runner:
        policy = Policy(batch_size=2, concurrency=4)
        campaign, _ = runner.submit(contacts, "Bonjour", policy=policy)
        try:
            runner.run(campaign.id)
        except KeyboardInterrupt:
            print("interrupted", campaign.id, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process on Windows")
def test_ctrl_c_settles_what_is_in_flight(sandbox: SandboxServer, tmp_path: Path) -> None:
    stall(sandbox, 0.3)
    gateway, ledger = sandbox.gateway, tmp_path / "ledger.db"
    words = [gateway.username, gateway.password, sandbox.url, ledger, write(tmp_path, phones(400))]
    command = [sys.executable, "-W", "error", "-c", SCRIPT, *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert gateway.journal.wait_for(1, timeout=20)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert output.startswith("interrupted ")

    async def look() -> CampaignStatus:
        async with await SqliteLedger.open(ledger) as opened:
            return await opened.status(output.split()[1])

    status = anyio.run(look)
    assert (status.state, status.reason) == (CampaignState.PAUSED, "interrupted")
    assert (status.sending, status.unknown) == (0, 0)
    assert status.accepted == len(gateway.journal.counts()) > 0
    assert status.queued == 400 - status.accepted > 0


OWN = {"report"}
#: Methods of the ledger that it passes on.
#: What only those need who keep a runner open in a loop of their own, such as the desk.
KEPT_OPEN = {"carry", "maintain", "track"}
PASSED_ON = {
    "status", "statuses", "pause", "cancel", "unknown", "mark_sent", "resend", "purge", "add_opt_outs",
    "remove_opt_outs",
}  # fmt: skip


def public(cls: type) -> dict[str, Any]:
    return {
        name: member for name, member in vars(cls).items() if not name.startswith("_") and callable(member)
    }


def shape(call: Any) -> str:
    signature = inspect.signature(call)
    parameters = [
        (parameter.name, parameter.kind.name, repr(parameter.default))
        for parameter in signature.parameters.values()
    ]
    return json.dumps([parameters, str(signature.return_annotation)])


def test_its_signatures_are_those_of_the_async_runner_and_of_the_ledger() -> None:
    blocking = public(BlockingCampaignRunner)
    assert blocking.keys() == (public(CampaignRunner).keys() - KEPT_OPEN) | PASSED_ON | OWN
    for name in public(CampaignRunner).keys() - KEPT_OPEN:
        call = public(CampaignRunner)[name]
        assert shape(blocking[name]) == shape(call), name
    for name in PASSED_ON:
        assert shape(blocking[name]) == shape(vars(Ledger)[name]), name


def test_the_encoding_of_a_list_may_be_named(runner: BlockingCampaignRunner, tmp_path: Path) -> None:
    path = tmp_path / "mac.csv"
    path.write_bytes("tel;nom\n0700000101;André\n".encode("mac_roman"))
    plan = runner.plan(path, "{nom}", encoding="mac_roman")
    assert (plan.first_text, plan.encoding) == ("André", "mac_roman")
    _, kept = runner.submit(path, "{nom}", encoding="mac_roman")
    assert kept.hash == plan.hash
