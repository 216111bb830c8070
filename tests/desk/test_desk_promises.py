"""What the desk promises, attacked: stale pages, many tabs, a ledger that fails, texts that mean harm."""

from __future__ import annotations

import csv
import math
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import partial
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import pytest

from tests.campaigns.staging import phones, stall
from tests.desk.visitor import Visitor, visiting, write_list
from vavasms.campaigns.words import PAUSED_BY_HAND
from vavasms.desk import campaign_pages
from vavasms.desk.drafts import Draft
from vavasms.desk.form import read_amount
from vavasms.errors import InvalidInputError, LedgerError
from vavasms.ledger.models import BatchRecord, Campaign
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.states import BatchEvent, BatchState, CampaignState
from vavasms.sandbox import SandboxServer

pytestmark = pytest.mark.anyio


@pytest.fixture
async def visitor(sandbox: SandboxServer) -> AsyncIterator[Visitor]:
    async with MemoryLedger() as ledger, visiting(sandbox, ledger) as visitor:
        yield visitor


def find(visitor: Visitor, path: str) -> Draft:
    """Return the draft of a path."""
    draft = visitor.desk.drafts.find(path.split("/")[2])
    assert draft is not None
    return draft


async def wait(is_there: Callable[[], object]) -> None:
    """Wait until something is so."""
    with anyio.fail_after(10):
        while not is_there():
            await anyio.sleep(0.01)


async def submit(visitor: Visitor, recipients: int = 5, text: str = "Bonjour") -> str:
    """Put a campaign into the ledger as the command line does, without a go; return its id."""
    contacts = BytesIO("\n".join(["phone", *phones(recipients)]).encode())
    campaign, _plan = await visitor.desk.runner.submit(contacts, text)
    return campaign.id


def after_the_look(visitor: Visitor, monkeypatch: pytest.MonkeyPatch, act: Callable[[str], Any]) -> None:
    """Do something once, in the moment after a campaign was read that runs."""
    ledger = visitor.desk.ledger
    look = ledger.campaign
    done: list[str] = []

    async def look_and_act(campaign_id: str) -> Campaign:
        campaign = await look(campaign_id)
        if campaign.state is CampaignState.RUNNING and not done:
            done.append(campaign_id)
            await act(campaign_id)
        return campaign

    monkeypatch.setattr(ledger, "campaign", look_and_act)


async def test_what_is_paused_in_the_moment_of_its_go_stays_paused(
    visitor: Visitor, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = visitor.desk.ledger
    after_the_look(visitor, monkeypatch, lambda campaign_id: ledger.pause(campaign_id, PAUSED_BY_HAND))
    path = await visitor.drop(write_list(phones(500)))
    await visitor.plan(path, message="Bonjour")
    campaign_id = await visitor.go(path)
    # Longer than it would take to be sent.
    await anyio.sleep(0.5)
    status = await visitor.settled(campaign_id)
    assert (status.state, status.reason) == (CampaignState.PAUSED, PAUSED_BY_HAND)
    assert (status.queued, len(sandbox.gateway.journal)) == (500, 0)


async def test_a_campaign_that_begins_in_the_moment_of_closing_is_not_sent_to_its_end(
    sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stall(sandbox, 0.1)
    async with MemoryLedger() as ledger:
        async with visiting(sandbox, ledger, max_connections=2) as visitor:
            looked = anyio.Event()

            async def close_meanwhile(_campaign_id: str) -> None:
                looked.set()
                await anyio.sleep(0.2)

            after_the_look(visitor, monkeypatch, close_meanwhile)
            campaign_id = await submit(visitor, 3000)
            await visitor.post(f"/campaigns/{campaign_id}/start", count="3000")
            await looked.wait()
        status = await ledger.status(campaign_id)
        assert (status.state, status.queued, status.accepted) == (CampaignState.PAUSED, 3000, 0)


@pytest.mark.parametrize(
    "other", [{"budget": "2000"}, {"begins": ""}, {"sender_id": "OTHER"}, {"rate": "1"}, {"daily_cap": "3"}]
)
async def test_the_go_of_a_page_with_other_limits_is_refused(
    visitor: Visitor, sandbox: SandboxServer, other: dict[str, str]
) -> None:
    typed = {"message": "Bonjour", "unit_price": "10", "budget": "1000", "begins": "2030-01-01T10:00"}
    path = await visitor.drop(write_list(phones(5)))
    await visitor.plan(path, **typed)
    draft = find(visitor, path)
    page = (await visitor.http.get(f"{path}/plan")).text
    seen = page.partition('name="plan" value="')[2].partition('"')[0]
    # In another tab somebody chooses otherwise, and looks at that plan: the same people, the same texts.
    await visitor.plan(path, **(typed | other))
    assert "plan was changed since" in await visitor.press(f"{path}/go", count="5", plan=seen)
    await visitor.idle(path)
    assert draft.campaign_id is None
    assert not len(sandbox.gateway.journal)
    # Back to what was seen, the page is good again.
    await visitor.plan(path, **typed)
    await visitor.press(f"{path}/go", count="5", plan=seen)
    await visitor.idle(path)
    assert draft.campaign_id is not None


async def test_a_plan_is_of_the_form_that_is_shown_with_it(visitor: Visitor) -> None:
    reply = await visitor.upload(write_list(phones(5)))
    path = reply.json()["location"]
    # Before its rows are read, from two tabs at once.
    await visitor.post(path, do="plan", message="Bonjour", unit_price="10")
    await visitor.post(path, do="save", message="Bonjour", unit_price="99")
    await visitor.idle(path)
    draft = find(visitor, path)
    assert draft.plan is None
    assert draft.rows is not None


async def test_nothing_goes_on_that_was_never_begun(visitor: Visitor, sandbox: SandboxServer) -> None:
    for is_paused in (False, True):
        campaign_id = await submit(visitor, 5, f"Bonjour {is_paused}")
        if is_paused:
            await visitor.press(f"/campaigns/{campaign_id}/pause")
        assert "changed since" in await visitor.press(f"/campaigns/{campaign_id}/go-on")
        page = await visitor.see(f"/campaigns/{campaign_id}")
        assert "type the number of recipients: 5" in page
        await visitor.press(f"/campaigns/{campaign_id}/start", count="4")
        assert not len(sandbox.gateway.journal)
    await visitor.press(f"/campaigns/{campaign_id}/start", count="5")
    assert (await visitor.settled(campaign_id)).accepted == 5


async def test_a_stale_start_does_not_go_on_with_what_a_person_paused(
    visitor: Visitor, sandbox: SandboxServer
) -> None:
    campaign_id = await submit(visitor)
    await visitor.desk.ledger.start(campaign_id)
    await visitor.press(f"/campaigns/{campaign_id}/pause")
    assert "changed since" in await visitor.press(f"/campaigns/{campaign_id}/start", count="5")
    status = await visitor.settled(campaign_id)
    assert (status.state, status.queued) == (CampaignState.PAUSED, 5)


async def test_what_was_sent_is_not_called_forgotten(visitor: Visitor) -> None:
    campaign_id = await submit(visitor)
    await visitor.press(f"/campaigns/{campaign_id}/start", count="5")
    await visitor.settled(campaign_id)
    page = await visitor.press(f"/campaigns/{campaign_id}/discard")
    assert "is forgotten" not in page
    assert "changed since" in page
    assert (await visitor.desk.ledger.status(campaign_id)).accepted == 5


@pytest.mark.parametrize("text", ["+50.000", "+1,234,567", "50 .000"])
def test_a_sign_or_a_blank_makes_no_amount_plain(text: str) -> None:
    with pytest.raises(InvalidInputError, match="two ways"):
        read_amount("Budget", text)


@pytest.mark.parametrize(
    "text", ["1e3", "1E+400", "1_000", "٣", "NaN", "sNaN", "Infinity", "1000.", ".5", "9" * 40]
)
async def test_what_python_alone_takes_for_a_number_is_refused(visitor: Visitor, text: str) -> None:
    with pytest.raises(InvalidInputError, match="no number"):
        read_amount("Budget", text)
    path = await visitor.drop(write_list(phones(5)))
    await visitor.press(path, do="save", message="Bonjour", unit_price=text)
    assert "no number" in await visitor.press(path, do="plan", message="Bonjour", unit_price=text)
    assert (await visitor.post(f"{path}/preview", message="Bonjour", unit_price=text)).status_code == 200


async def test_a_fault_of_a_page_is_told_and_nothing_of_the_request(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object, **_options: object) -> None:
        raise RuntimeError("0707000001")

    monkeypatch.setattr(visitor.desk.ledger, "add_opt_outs", fail)
    reply = await visitor.post("/optouts", number="0707000001", do="add")
    assert reply.status_code == 500
    assert "This page failed" in reply.text
    assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
    assert "0707000001" not in f"{reply.text} {reply.headers} {caplog.text}"
    assert "RuntimeError" in caplog.text


async def test_a_form_of_too_many_fields_is_refused(visitor: Visitor) -> None:
    reply = await visitor.post("/optouts", **{f"field{index}": "1" for index in range(1000)})
    assert reply.status_code == 413


async def test_a_batch_that_no_page_showed_is_passed_over(visitor: Visitor) -> None:
    campaign_id = await submit(visitor)
    shown = ["0 0x1p999999", "x 0x1p3", "0 nan", "9" * 5000, ""]
    page = await visitor.press(f"/campaigns/{campaign_id}/decide", batch=shown, decision="sent")
    assert "Marked as sent: 0 batches" in page


async def test_what_nobody_sends_any_more_is_paused_once_the_ledger_can_be_written(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, failed = visitor.desk.ledger, Counter[str]()

    def failing(name: str, times: int) -> None:
        call = getattr(ledger, name)

        async def fail(*args: Any, **options: Any) -> Any:
            failed[name] += 1
            if failed[name] <= times:
                raise LedgerError("The disk is full.", error_code="ledger.disk")
            return await call(*args, **options)

        monkeypatch.setattr(ledger, name, fail)

    monkeypatch.setattr("vavasms.desk.desk._RETRY_SECONDS", 0.05, raising=False)
    for name, times in (("queued", 1000), ("pause", 3)):
        failing(name, times)
    campaign_id = await submit(visitor)
    await visitor.press(f"/campaigns/{campaign_id}/start", count="5")
    await wait(lambda: failed["pause"] > 3)
    status = await visitor.settled(campaign_id)
    assert (status.state, status.queued) == (CampaignState.PAUSED, 5)
    page = await visitor.see(f"/campaigns/{campaign_id}")
    assert "The disk is full" in page
    assert "paused" in page


async def leave_unknown(visitor: Visitor, campaign_id: str, token: str) -> None:
    """Claim the first batch of a campaign, and settle it as one of which nobody heard again."""
    ledger = visitor.desk.ledger
    await ledger.start(campaign_id)
    claim = await ledger.claim(campaign_id, 0, token=token, worker="w", now=time.time())
    assert claim is not None
    await ledger.settle(claim, BatchEvent.MARK_UNKNOWN, BatchRecord())


async def test_two_tabs_that_decide_at_once_send_again_once(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, campaign_id = visitor.desk.ledger, await submit(visitor)
    await leave_unknown(visitor, campaign_id, "first")
    await ledger.pause(campaign_id, PAUSED_BY_HAND)
    page = (await visitor.http.get(f"/campaigns/{campaign_id}")).text
    shown = page.partition('name="batch" value="')[2].partition('"')[0]
    resend = ledger.resend

    async def come_second(campaign_id: str, numbers: Any, *, sent_before: float) -> int:
        # The other tab was first: its attempt left, and is unknown by now.
        assert await resend(campaign_id, numbers, sent_before=math.inf) == 1
        await leave_unknown(visitor, campaign_id, "second")
        return await resend(campaign_id, numbers, sent_before=sent_before)

    monkeypatch.setattr(ledger, "resend", come_second)
    typed = {"batch": shown, "decision": "again", "sure": "on"}
    assert "Queued again: 0 batches" in await visitor.press(f"/campaigns/{campaign_id}/decide", **typed)
    assert (await ledger.status(campaign_id)).unknown == 5


async def test_a_single_send_is_decided_on_by_its_attempt(visitor: Visitor) -> None:
    store, account = visitor.desk.ledger.sends, visitor.desk.account
    await visitor.desk.client.enqueue("0757000001", "Bonjour", idempotency_key="order-1")

    async def leave_unknown() -> None:
        (claim,) = await store.claim_due(account, token="t", now=time.time() + 1, limit=1)
        await store.settle(claim, BatchEvent.MARK_UNKNOWN, BatchRecord(), now=time.time())

    await leave_unknown()
    page = (await visitor.http.get("/sends")).text
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
    await visitor.press("/sends", **hidden, decision="again", sure="on")
    await leave_unknown()
    # The same button, in a tab that was left open.
    assert "tried again since" in await visitor.press("/sends", **hidden, decision="again", sure="on")
    record = await store.find(account, "order-1")
    assert record is not None
    assert record.state is BatchState.UNKNOWN


async def test_a_form_without_a_decision_decides_nothing(visitor: Visitor) -> None:
    campaign_id = await submit(visitor)
    await leave_unknown(visitor, campaign_id, "first")
    await visitor.desk.ledger.pause(campaign_id, PAUSED_BY_HAND)
    page = (await visitor.http.get(f"/campaigns/{campaign_id}")).text
    shown = page.partition('name="batch" value="')[2].partition('"')[0]
    for decision in ("", "other"):
        page = await visitor.press(
            f"/campaigns/{campaign_id}/decide", batch=shown, decision=decision, sure="on"
        )
        assert "Nothing was changed" in page
    assert (await visitor.desk.ledger.status(campaign_id)).unknown == 5


async def wait_for_report(visitor: Visitor, campaign_id: str) -> str:
    """Wait until the report of a campaign is counted; return its page."""
    with anyio.fail_after(30):
        while "Counting for the report" in (page := await visitor.see(f"/campaigns/{campaign_id}/report")):
            await anyio.sleep(0.1)
    return page


async def test_reports_in_two_tabs_do_not_wait_for_one_another(visitor: Visitor) -> None:
    paths = []
    for text in ("Bonjour", "Bonsoir"):
        campaign_id = await submit(visitor, 5, text)
        await visitor.press(f"/campaigns/{campaign_id}/start", count="5")
        await visitor.settled(campaign_id)
        paths.append(f"/campaigns/{campaign_id}/report")
    # Each page loads itself again, once a second.
    pages = ["Counting for the report"]
    with anyio.fail_after(30):
        while any("Counting for the report" in page for page in pages):
            pages = []
            for path in paths:
                pages.append(await visitor.see(path))
                await anyio.sleep(0.3)
    assert ["Bonjour" in page for page in pages] == [True, False]
    assert ["Bonsoir" in page for page in pages] == [False, True]


async def test_a_report_that_could_not_be_read_is_read_again(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign_id = await submit(visitor)
    batches = visitor.desk.ledger.batches
    failed: list[bool] = []

    async def fail_once(*args: Any, **options: Any) -> Any:
        if not failed:
            failed.append(True)
            raise LedgerError("It is locked.", error_code="ledger.locked")
        return await batches(*args, **options)

    monkeypatch.setattr(visitor.desk.ledger, "batches", fail_once)
    monkeypatch.setattr(visitor.desk.ledger, "accepted_by_prefix", fail_once)
    assert "Bonjour" in await wait_for_report(visitor, campaign_id)
    assert failed


async def test_the_report_of_a_campaign_that_runs_is_shown(visitor: Visitor, sandbox: SandboxServer) -> None:
    stall(sandbox, 0.1)
    campaign_id = await submit(visitor, 5000)
    await visitor.desk.ledger.set_policy(campaign_id, '{"concurrency": 1}', max_segments=None)
    await visitor.press(f"/campaigns/{campaign_id}/start", count="5000")
    assert "Bonjour" in await wait_for_report(visitor, campaign_id)
    assert (await visitor.desk.ledger.status(campaign_id)).state is CampaignState.RUNNING
    await visitor.press(f"/campaigns/{campaign_id}/pause")


async def test_what_is_remembered_of_campaigns_is_bounded() -> None:
    kept: dict[str, int] = {}
    for index in range(1000):
        campaign_pages._keep(kept, str(index % 500), index)
    assert len(kept) == 50
    assert "499" in kept


async def test_the_file_of_left_out_rows_is_bounded(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vavasms.desk.drafts.MAX_LEFT_OUT", 5000, raising=False)
    path = await visitor.drop(write_list([*phones(5), *["0"] * 5000]))
    refused = find(visitor, path).refused.decode()
    assert len(refused) < 5100
    assert "more rows" in refused.splitlines()[-1]
    assert refused.splitlines()[-2].count(";") == 3


async def test_what_was_answered_while_the_ledger_was_locked_is_written_by_itself(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, is_locked = visitor.desk.ledger, True
    settle = ledger.settle

    async def settle_later(*args: Any, **options: Any) -> bool:
        if is_locked:
            raise LedgerError("It is locked.", error_code="ledger.locked")
        return await settle(*args, **options)

    monkeypatch.setattr(ledger, "settle", settle_later)
    monkeypatch.setattr("vavasms.campaigns.runner._MAINTENANCE_SECONDS", 0.1)
    campaign_id = await submit(visitor)
    await visitor.press(f"/campaigns/{campaign_id}/start", count="5")
    with anyio.fail_after(10):
        while (await ledger.status(campaign_id)).state is CampaignState.RUNNING:
            await anyio.sleep(0.05)
    assert (await ledger.status(campaign_id)).sending == 5
    is_locked = False
    assert (await visitor.settled(campaign_id)).accepted == 5


@pytest.mark.parametrize("is_replaced", [False, True])
async def test_a_ledger_that_is_removed_is_told_and_nothing_more_is_sent(
    sandbox: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_replaced: bool
) -> None:
    monkeypatch.setattr("vavasms.desk.desk._RETRY_SECONDS", 0.1, raising=False)
    stall(sandbox, 0.1)
    path = tmp_path / "ledger.db"
    async with await SqliteLedger.open(path) as ledger, visiting(sandbox, ledger) as visitor:
        draft = await visitor.drop(write_list(phones(3000)))
        await visitor.plan(draft, message="Bonjour", rate="2000")
        other = await visitor.drop(write_list(phones(5, first=5000)))
        await visitor.plan(other, message="Bonjour")
        campaign_id = await visitor.go(draft)
        await wait(lambda: len(sandbox.gateway.journal) > 1)
        path.rename(tmp_path / "moved.db")
        if is_replaced:
            path.touch()
        status = await visitor.settled(campaign_id)
        assert status.state is CampaignState.PAUSED
        assert status.queued > 0
        assert "not where it was" in await visitor.see("/")
        await visitor.press(f"/campaigns/{campaign_id}/go-on")
        assert await visitor.go(other) == ""
        await visitor.press(f"{other}/test", number="0757999999")
        assert (await ledger.status(campaign_id)).queued == status.queued
        # Back in its place all goes on.
        (tmp_path / "moved.db").rename(path)
        assert "not where it was" not in await visitor.see("/")
        assert await visitor.go(other) != ""


async def test_no_cell_of_the_left_out_rows_is_a_formula(visitor: Visitor) -> None:
    evil = ("=HYPERLINK(1)", "+1+cmd", "-1+1", "@SUM(1)", "\t=1")
    header = ";".join(["Téléphone", *(f"{cell}x" for cell in evil)])
    row = ";".join(["12", *evil])
    path = await visitor.drop(f"{header}\n0757000001;a;b;c;d;e\n{row}\n=1+1;a;b;c;d;e\n".encode())
    reply = await visitor.http.get(f"{path}/refused.csv")
    assert "filename=refused.csv" in reply.headers["content-disposition"]
    rows = [*csv.reader(StringIO(reply.text.removeprefix("\ufeff")), delimiter=";")]
    assert len(rows) == 3
    digits = re.compile(r'="\+?[0-9]+"').fullmatch
    for cell in (cell for row in rows for cell in row):
        assert digits(cell) or not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_on_a_shared_ledger_nothing_leaves_from_the_desk(sandbox: SandboxServer, postgres: str) -> None:
    async with await PostgresLedger.open(postgres) as ledger, visiting(sandbox, ledger) as visitor:
        path = await visitor.drop(write_list(phones(5, first=int(time.time() * 10) % 900_000)))
        await visitor.plan(path, message=f"Bonjour {time.time()}")
        campaign_id = await visitor.go(path)
        page = await visitor.see(f"/campaigns/{campaign_id}")
        assert "at least one has to run" in page
        await visitor.press(f"/campaigns/{campaign_id}/pause")
        await visitor.press(f"/campaigns/{campaign_id}/go-on")
        await anyio.sleep(0.5)
        status = await ledger.status(campaign_id)
        assert (status.state, status.queued) == (CampaignState.RUNNING, 5)
        await visitor.press(f"/campaigns/{campaign_id}/cancel")
    assert not len(sandbox.gateway.journal)


async def test_nothing_that_others_wrote_is_markup(visitor: Visitor) -> None:
    evil = "<img src=x onerror=alert(1)>\"'"
    data = f"Téléphone;{evil}\n0757000001;{evil}\n{evil};1\n".encode()
    path = (await visitor.upload(data, name=quote(f"{evil}\r\nX-Evil: 1"))).json()["location"]
    await visitor.idle(path)
    await visitor.upload(f"phone\n0757000009\n{evil}".encode(), "/optouts/import", name=quote(evil))
    fields = ("sender_id", "unit_price", "budget", "begins", "opens", "sheet", "days", "rate", "daily_cap")
    seen = []
    for typed in (dict.fromkeys(fields, evil), {}):
        await visitor.plan(path, message=f"{evil} {{{evil}}}", **typed)
        seen += [path, f"{path}/plan", "/", "/optouts", "/sends"]
        await visitor.post(f"{path}/test", number=evil)
        for one in seen:
            reply = await visitor.http.get(one, follow_redirects=True)
            assert "<img" not in reply.text
            assert "x-evil" not in reply.headers
    assert (await visitor.post(f"{path}/preview", message=evil)).text.count("<img") == 0
    await visitor.plan(path, message=evil)
    campaign_id = await visitor.go(path)
    await visitor.settled(campaign_id)
    for _turn in range(2):
        for one in ("", "/live", "/report"):
            assert "<img" not in (await visitor.http.get(f"/campaigns/{campaign_id}{one}")).text
        await anyio.sleep(0.2)


async def test_a_test_goes_once_per_text_and_number(visitor: Visitor, sandbox: SandboxServer) -> None:
    stall(sandbox, 0.2)
    path = await visitor.drop(write_list(phones(5)))
    await visitor.plan(path, message="Bonjour")
    async with anyio.create_task_group() as tasks:
        for number in ("0757999999", "07 57 99 99 99", "+2250757999999", "002250757999999"):
            tasks.start_soon(partial(visitor.post, f"{path}/test", number=number))
    await visitor.press(f"{path}/test", number="0757999999")
    assert sandbox.gateway.journal.accepted_count("2250757999999") == 1
    page = await visitor.see(f"{path}/plan")
    assert page.count("The test to +2250757999999: accepted.") == 1


async def test_a_go_that_comes_while_the_desk_is_closed_sends_nothing(
    visitor: Visitor, sandbox: SandboxServer
) -> None:
    campaign_id = await submit(visitor)
    path = await visitor.drop(write_list(phones(5, first=100)))
    await visitor.plan(path, message="Bonjour")
    visitor.desk.stop()
    await visitor.press(f"/campaigns/{campaign_id}/start", count="5")
    for one in (campaign_id, await visitor.go(path)):
        status = await visitor.settled(one)
        assert (status.state, status.queued) == (CampaignState.PAUSED, 5)
    assert not len(sandbox.gateway.journal)


async def test_a_stale_page_does_not_go_on_with_what_was_paused_again(visitor: Visitor) -> None:
    campaign_id, ledger = await submit(visitor), visitor.desk.ledger
    await ledger.start(campaign_id)
    await ledger.pause(campaign_id, "the budget is spent")
    page = (await visitor.http.get(f"/campaigns/{campaign_id}")).text
    (revision,) = re.findall(r'name="revision" value="([^"]*)"', page)
    # In another tab it went on, and a person paused it.
    await ledger.start(campaign_id)
    await ledger.pause(campaign_id, PAUSED_BY_HAND)
    page = await visitor.press(f"/campaigns/{campaign_id}/go-on", revision=revision)
    assert "changed since" in page
    assert (await visitor.settled(campaign_id)).queued == 5


async def send_all(visitor: Visitor, people: int) -> None:
    """Begin what was never begun, and go on with what is paused, until all is done."""
    for status in await visitor.desk.ledger.statuses():
        await visitor.post(f"/campaigns/{status.id}/start", count=str(people))
        with anyio.fail_after(60):
            while (await visitor.settled(status.id)).state is CampaignState.PAUSED:
                await visitor.press(f"/campaigns/{status.id}/go-on")
                # On a busy machine it takes a moment until it is begun.
                await anyio.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_pressed_nobody_gets_two(
    visitor: Visitor, sandbox: SandboxServer, seed: int
) -> None:
    stall(sandbox, 0.03)
    draw, people = random.Random(seed), 1500
    paths = [await visitor.drop(write_list(phones(people))) for _tab in range(2)]
    for path in paths:
        await visitor.plan(path, message="Bonjour", rate="5000")

    async def press_some() -> None:
        for _press in range(25):
            draft = find(visitor, draw.choice(paths))
            campaigns = [status.id for status in await visitor.desk.ledger.statuses()]
            campaign = f"/campaigns/{draw.choice(campaigns)}" if campaigns else "/campaigns/none"
            forms: list[tuple[str, dict[str, str]]] = [
                (f"/drafts/{draft.id}/go", {"count": str(people), "plan": draft.seen()}),
                (f"/drafts/{draft.id}", {"do": "plan", "message": "Bonjour", "rate": "5000"}),
                (f"{campaign}/start", {"count": str(people)}),
                (f"{campaign}/go-on", {}),
                (f"{campaign}/go-on", {}),
                (f"{campaign}/pause", {}),
                (f"{campaign}/discard", {}),
                (f"{campaign}/decide", {"batch": "0 0x1p3", "decision": "again", "sure": "on"}),
            ]
            path, typed = draw.choice(forms)
            assert (await visitor.post(path, **typed)).status_code in (303, 404)
            await anyio.sleep(draw.uniform(0, 0.05))

    async with anyio.create_task_group() as tasks:
        for _tab in range(4):
            tasks.start_soon(press_some)
    for path in paths:
        await visitor.idle(path)
    await send_all(visitor, people)
    counts = sandbox.gateway.journal.counts()
    assert max(counts.values(), default=0) <= 1
    statuses = await visitor.desk.ledger.statuses()
    assert sum(status.accepted for status in statuses) == sum(counts.values())
    assert all(status.queued + status.sending == 0 for status in statuses)


async def test_what_is_paused_before_it_begins_is_not_begun(
    visitor: Visitor, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = visitor.desk.ledger
    finish = ledger.finish_loading

    async def finish_and_pause(campaign_id: str, **options: Any) -> str | None:
        first = await finish(campaign_id, **options)
        await ledger.pause(campaign_id, PAUSED_BY_HAND)
        return first

    monkeypatch.setattr(ledger, "finish_loading", finish_and_pause)
    path = await visitor.drop(write_list(phones(5)))
    await visitor.plan(path, message="Bonjour")
    status = await visitor.settled(await visitor.go(path))
    assert (status.state, status.reason) == (CampaignState.PAUSED, PAUSED_BY_HAND)
    assert not len(sandbox.gateway.journal)


async def test_nobody_waits_for_a_campaign_that_is_not_there(visitor: Visitor) -> None:
    with anyio.fail_after(30):
        await visitor.desk._stand_still("none")
