"""From a list to its report, page by page: what a person presses is what the ledger and the gateway have."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from zipfile import ZipFile

import anyio
import pytest

from tests.campaigns.staging import TEXT, connect, phones, stall
from tests.desk.visitor import Visitor, visiting, write_list
from vavasms.campaigns.runner import CampaignRunner
from vavasms.desk.desk import Desk
from vavasms.desk.send_pages import write_attempt
from vavasms.errors import LedgerError, VavaSMSError
from vavasms.ledger.optout_codes import EXAMPLE
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.states import CampaignState
from vavasms.numbers import Msisdn
from vavasms.sandbox import Fault, FaultKind, Gateway, SandboxServer

pytestmark = pytest.mark.anyio
NUMBERS = phones(12)


@pytest.fixture
async def visitor(sandbox: SandboxServer) -> AsyncIterator[Visitor]:
    async with MemoryLedger() as ledger, visiting(sandbox, ledger) as visitor:
        yield visitor


def received(sandbox: SandboxServer) -> list[str]:
    """Return who got a message, each as often as they did."""
    return sorted(phone for entry in sandbox.gateway.journal.entries_after(0) for phone in entry.phones)


async def begin(visitor: Visitor, numbers: list[str] = NUMBERS, **typed: str) -> str:
    """Begin a campaign as a person does; return its id."""
    path = await visitor.drop(write_list(numbers))
    await visitor.plan(path, message="Bonjour", **typed)
    campaign_id = await visitor.go(path)
    assert campaign_id
    return campaign_id


async def test_a_list_becomes_a_campaign_and_its_report(visitor: Visitor, sandbox: SandboxServer) -> None:
    path = await visitor.drop(write_list([*NUMBERS, NUMBERS[0], "27 22 44 12 46", "voir Awa"]))
    page = await visitor.see(path)
    assert "contacts.csv" in page
    assert "Will be sent to 12" in page
    assert "Twice in the list 1" in page
    assert "Cannot be sent to 2" in page
    assert "voir Awa" in page
    plan = await visitor.plan(path, message="Bonjour {Prénom}", unit_price="12,5")
    assert "Bonjour Awa" in plan
    assert "150 XOF" in plan
    assert received(sandbox) == []
    campaign_id = await visitor.go(path)
    status = await visitor.settled(campaign_id)
    assert (status.state, status.accepted, status.recipients) == (CampaignState.DONE, 12, 12)
    assert received(sandbox) == NUMBERS
    page = await visitor.see(f"/campaigns/{campaign_id}")
    assert "This campaign is done." in page
    assert "Accepted by VavaSMS 12" in page
    # The draft is the campaign now, and has nothing of the list.
    assert "Accepted by VavaSMS 12" in await visitor.see(path)
    assert visitor.desk.drafts.open() == []
    assert campaign_id in await visitor.see("/")


async def test_nothing_leaves_before_the_very_number_is_typed(
    visitor: Visitor, sandbox: SandboxServer
) -> None:
    path = await visitor.drop(write_list(NUMBERS))
    await visitor.plan(path, message="Bonjour")
    plan = visitor.plan_hash(path)
    for count in ("", "11", "13", "12.0", "douze", "1 2 x"):
        page = await visitor.press(f"{path}/go", count=count, plan=plan)
        assert "Type the number of recipients, 12" in page
        assert visitor.desk.drafts.open()[0].campaign_id is None
    assert received(sandbox) == []
    assert not await visitor.desk.ledger.statuses()
    assert await visitor.go(path, " 12 ")


async def test_the_go_is_for_the_plan_that_was_seen(visitor: Visitor, sandbox: SandboxServer) -> None:
    path = await visitor.drop(write_list(NUMBERS))
    await visitor.plan(path, message="Bonjour")
    draft = visitor.desk.drafts.open()[0]
    seen = draft.seen()
    await visitor.post(path, do="save", message="Bonsoir")
    assert "plan was changed" in await visitor.press(f"{path}/go", count="12", plan=seen)
    await visitor.plan(path, message="Bonsoir")
    assert "plan was changed" in await visitor.press(f"{path}/go", count="12", plan=seen)
    # Somebody opts out between the plan and the go.
    await visitor.press("/optouts", number=f"+{NUMBERS[0]}", do="add")
    assert await visitor.go(path) == ""
    assert "changed since" in await visitor.see(f"{path}/plan")
    assert received(sandbox) == []


async def test_two_tabs_and_a_double_click_send_once(visitor: Visitor, sandbox: SandboxServer) -> None:
    path = await visitor.drop(write_list(NUMBERS))
    await visitor.plan(path, message="Bonjour")
    draft = visitor.desk.drafts.open()[0]
    plan = draft.seen()
    async with anyio.create_task_group() as tasks:
        for _tab in range(8):
            tasks.start_soon(lambda: visitor.post(f"{path}/go", count="12", plan=plan))
    await visitor.idle(path)
    assert draft.campaign_id is not None
    await visitor.settled(draft.campaign_id)
    await visitor.press(f"{path}/go", count="12", plan=plan)
    # Not the ledger refused the others: nobody asked it.
    assert draft.error is None
    assert received(sandbox) == NUMBERS
    assert len(await visitor.desk.ledger.statuses()) == 1


async def test_the_same_again_is_refused_in_words_of_the_page(
    visitor: Visitor, sandbox: SandboxServer
) -> None:
    await visitor.settled(await begin(visitor))
    path = await visitor.drop(write_list(NUMBERS))
    plan = await visitor.plan(path, message="Bonjour")
    assert "Sent already today to 12 of these people: this same message" in plan
    assert await visitor.go(path) == ""
    page = await visitor.see(f"{path}/plan")
    assert "Another campaign has this text" in page
    assert "vavasms campaign" not in page
    assert received(sandbox) == NUMBERS


async def test_a_test_goes_to_ones_own_phone_once(visitor: Visitor, sandbox: SandboxServer) -> None:
    path = await visitor.drop(write_list(NUMBERS))
    assert "Look at the plan first" in await visitor.press(f"{path}/test", number="0700000100")
    await visitor.plan(path, message="Bonjour {Prénom}")
    for number in ("0757123456", "+225 07 57 12 34 56"):
        assert "The test to +2250757123456: accepted." in await visitor.press(f"{path}/test", number=number)
    entries = sandbox.gateway.journal.entries_after(0)
    assert [(entry.phones, entry.message) for entry in entries] == [(("2250757123456",), "Bonjour Awa")]
    # Another text is another test.
    await visitor.plan(path, message="Bonsoir {Prénom}")
    await visitor.press(f"{path}/test", number="0757123456")
    assert len(received(sandbox)) == 2
    assert "is a landline" in await visitor.press(f"{path}/test", number="27 22 44 12 46")
    await visitor.press("/optouts", number="0757123456", do="add")
    assert "opt-out list" in await visitor.press(f"{path}/test", number="0757123456")
    assert len(received(sandbox)) == 2


async def test_a_test_whose_answer_was_lost_is_unknown_and_stays_one(
    visitor: Visitor, sandbox: SandboxServer
) -> None:
    path = await visitor.drop(write_list(NUMBERS))
    await visitor.plan(path, message="Bonjour")
    sandbox.faults.script(Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING), path=TEXT)
    for _press in range(3):
        assert "The test to +2250757123456: unknown." in await visitor.press(
            f"{path}/test", number="0757123456"
        )
    assert received(sandbox) == ["2250757123456"]
    # It is a single send, of which a person decides.
    page = await visitor.see("/sends")
    assert "1 send of which nobody knows" in page
    assert "+2250757123456" in page


async def test_a_campaign_is_paused_goes_on_and_is_ended(visitor: Visitor, sandbox: SandboxServer) -> None:
    stall(sandbox, 0.05)
    campaign_id = await begin(visitor, phones(400), rate="200")
    url = f"/campaigns/{campaign_id}"
    page = await visitor.see(url)
    assert "This campaign is running." in page
    assert "paused by hand" in await visitor.press(f"{url}/pause")
    status = await visitor.settled(campaign_id)
    assert status.queued
    assert status.state is CampaignState.PAUSED
    assert "This campaign is running." in await visitor.press(f"{url}/go-on")
    await visitor.press(f"{url}/pause")
    await visitor.settled(campaign_id)
    assert "cancelled by hand" in await visitor.press(f"{url}/cancel")
    status = await visitor.desk.ledger.status(campaign_id)
    assert status.state is CampaignState.CANCELLED
    assert status.not_sent
    assert status.accepted + status.not_sent == 400
    page = await visitor.press(f"{url}/go-on")
    assert "changed since this page was loaded" in page
    assert len(received(sandbox)) == len(set(received(sandbox))) == status.accepted


async def test_a_go_on_in_the_moment_a_run_ends_is_kept(
    visitor: Visitor, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stall(sandbox, 0.05)
    campaign_id = await begin(visitor, phones(400), rate="200")
    has_looked, may_go_on, look = anyio.Event(), anyio.Event(), Desk._is_running

    async def look_and_wait(desk: Desk, name: str) -> bool:
        is_running = await look(desk, name)
        if not is_running and not has_looked.is_set():
            has_looked.set()
            await may_go_on.wait()
        return is_running

    monkeypatch.setattr(Desk, "_is_running", look_and_wait)
    await visitor.press(f"/campaigns/{campaign_id}/pause")
    with anyio.fail_after(30):
        await has_looked.wait()
    assert "This campaign is running." in await visitor.press(f"/campaigns/{campaign_id}/go-on")
    may_go_on.set()
    status = await visitor.settled(campaign_id)
    assert (status.state, status.accepted) == (CampaignState.DONE, 400)
    assert received(sandbox) == sorted(phones(400))


async def test_a_go_on_while_its_run_stands_still_is_kept(
    visitor: Visitor, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Five seconds in earnest.
    monkeypatch.setattr("vavasms.campaigns.sending.dispatcher._STATE_CHECK_SECONDS", 0.05)
    campaign_id = await begin(visitor, phones(20), begins="2099-12-01T09:00")
    starting, may_start, start = anyio.Event(), anyio.Event(), MemoryLedger.start

    async def start_slowly(ledger: MemoryLedger, name: str) -> bool:
        is_started = await start(ledger, name)
        starting.set()
        await may_start.wait()
        return is_started

    await visitor.press(f"/campaigns/{campaign_id}/pause")
    with anyio.fail_after(30):
        while campaign_id in visitor.desk._carried:
            await anyio.sleep(0.01)
    monkeypatch.setattr(MemoryLedger, "start", start_slowly)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(visitor.press, f"/campaigns/{campaign_id}/go-on")
        with anyio.fail_after(30):
            await starting.wait()
        await visitor.desk._stand_still(campaign_id)
        may_start.set()
    assert "This campaign is running." in await visitor.see(f"/campaigns/{campaign_id}")
    assert campaign_id in visitor.desk._carried


async def test_a_run_that_failed_waits_for_a_person(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Five seconds in earnest.
    monkeypatch.setattr("vavasms.campaigns.sending.dispatcher._STATE_CHECK_SECONDS", 0.05)
    campaign_id = await begin(visitor, phones(20), begins="2099-12-01T09:00")
    await visitor.press(f"/campaigns/{campaign_id}/pause")
    desk, runs = visitor.desk, []
    with anyio.fail_after(30):
        while campaign_id in desk._carried:
            await anyio.sleep(0.01)

    async def fail(_runner: CampaignRunner, name: str) -> None:
        runs.append(name)
        desk._started_again.add(name)
        raise LedgerError("the disk is full")

    monkeypatch.setattr(CampaignRunner, "carry", fail)
    await visitor.press(f"/campaigns/{campaign_id}/go-on")
    status = await visitor.settled(campaign_id)
    assert (status.state, runs) == (CampaignState.PAUSED, [campaign_id])
    assert "the disk is full" in await visitor.see(f"/campaigns/{campaign_id}")


async def test_a_budget_pauses_and_a_larger_one_goes_on(visitor: Visitor, sandbox: SandboxServer) -> None:
    campaign_id = await begin(visitor, phones(300), unit_price="10", budget="2000")
    url = f"/campaigns/{campaign_id}"
    status = await visitor.settled(campaign_id)
    assert (status.state, status.accepted) == (CampaignState.PAUSED, 200)
    assert "Budget of the whole campaign" in await visitor.see(url)
    assert "two ways" in await visitor.press(f"{url}/go-on", budget="3,000")
    assert (await visitor.settled(campaign_id)).accepted == 200
    await visitor.press(f"{url}/go-on", budget="3 000")
    assert (await visitor.settled(campaign_id)).accepted == 300
    assert received(sandbox) == sorted(phones(300))


async def unknown_campaign(visitor: Visitor, sandbox: SandboxServer) -> str:
    sandbox.faults.script(Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING), path=TEXT)
    campaign_id = await begin(visitor)
    assert (await visitor.settled(campaign_id)).unknown == 12
    return campaign_id


async def shown(visitor: Visitor, campaign_id: str) -> str:
    """Return the value of the box of the one unknown batch, as the page has it."""
    reply = await visitor.http.get(f"/campaigns/{campaign_id}")
    return reply.text.partition('name="batch" value="')[2].partition('"')[0]


async def test_an_unknown_batch_is_explained_and_marked_as_sent(
    visitor: Visitor, sandbox: SandboxServer
) -> None:
    campaign_id = await unknown_campaign(visitor, sandbox)
    url = f"/campaigns/{campaign_id}"
    page = await visitor.see(url)
    assert "12 recipients of whom nobody knows" in page
    assert f"+{NUMBERS[0]}" in page
    batch = await shown(visitor, campaign_id)
    assert "Marked as sent: 1 batch." in await visitor.press(f"{url}/decide", batch=batch, decision="sent")
    status = await visitor.desk.ledger.status(campaign_id)
    assert (status.accepted, status.unknown) == (12, 0)
    assert received(sandbox) == NUMBERS


async def test_an_unknown_batch_is_sent_again_where_the_box_is_ticked(
    visitor: Visitor, sandbox: SandboxServer
) -> None:
    campaign_id = await unknown_campaign(visitor, sandbox)
    url, batch = f"/campaigns/{campaign_id}", await shown(visitor, campaign_id)
    assert "Tick the box first" in await visitor.press(f"{url}/decide", batch=batch, decision="again")
    assert (await visitor.desk.ledger.status(campaign_id)).unknown == 12
    page = await visitor.press(f"{url}/decide", batch=batch, decision="again", sure="on")
    assert "Queued again: 1 batch." in page
    assert received(sandbox) == NUMBERS
    await visitor.press(f"{url}/go-on")
    assert (await visitor.settled(campaign_id)).accepted == 12
    assert received(sandbox) == sorted(NUMBERS * 2)
    # A stale tab decides about an attempt that nobody can decide about any more.
    await visitor.press(f"{url}/decide", batch=batch, decision="again", sure="on")
    await visitor.press(f"{url}/go-on")
    assert received(sandbox) == sorted(NUMBERS * 2)


@pytest.mark.parametrize("batch", ["", "0", "0 0x1.0p+0", "x y", "99 ", "-1 0x1p3"])
async def test_a_batch_that_was_not_shown_so_is_not_decided(
    visitor: Visitor, sandbox: SandboxServer, batch: str
) -> None:
    campaign_id = await unknown_campaign(visitor, sandbox)
    url = f"/campaigns/{campaign_id}"
    await visitor.press(f"{url}/decide", batch=batch, decision="sent")
    await visitor.press(f"{url}/decide", batch=batch, decision="again", sure="on")
    assert (await visitor.desk.ledger.status(campaign_id)).unknown == 12


async def report(visitor: Visitor, campaign_id: str) -> str:
    with anyio.fail_after(30):
        while True:
            page = await visitor.see(f"/campaigns/{campaign_id}/report")
            if "Counting for the report" not in page:
                return page
            await anyio.sleep(0.02)


async def test_the_report_is_a_page_a_table_and_a_spreadsheet(visitor: Visitor) -> None:
    campaign_id = await begin(visitor)
    await visitor.settled(campaign_id)
    page = await report(visitor, campaign_id)
    assert "Campaign report" in page
    reply = await visitor.http.get(f"/campaigns/{campaign_id}/report")
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "'sha256-" in policy
    assert "unsafe" not in policy
    table = await visitor.http.get(f"/campaigns/{campaign_id}/report.csv")
    rows = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"))))
    assert sorted(row["recipient"] for row in rows) == NUMBERS
    assert {row["outcome"] for row in rows} == {"accepted"}
    book = await visitor.http.get(f"/campaigns/{campaign_id}/report.xlsx")
    assert ZipFile(io.BytesIO(book.content)).testzip() is None
    for name in ("report.csv", "report.xlsx"):
        assert (await visitor.http.get(f"/campaigns/none/{name}")).status_code == 404


async def test_the_rows_that_are_left_out_are_a_file_to_mend(visitor: Visitor) -> None:
    path = await visitor.drop(write_list([*NUMBERS, "=cmd()", "27 22 44 12 46"]))
    reply = await visitor.http.get(f"{path}/refused.csv")
    assert reply.headers["content-disposition"] == "attachment; filename=refused.csv"
    rows = list(csv.reader(io.StringIO(reply.content.decode("utf-8-sig")), delimiter=";"))
    assert [row[0] for row in rows] == ["line", "14", "15"]
    assert "=cmd()" not in [cell for row in rows for cell in row]
    # It can be dropped as it is once it is mended.
    mended = reply.content.decode("utf-8-sig").replace("27 22 44 12 46", "0757999999").encode()
    assert "Will be sent to 1" in await visitor.see(await visitor.drop(mended))


async def test_the_list_is_read_as_the_person_says(visitor: Visitor) -> None:
    data = "Nom;Bureau;Mobile\nAwa;2722441246;07 57 00 00 01\nKoffi;2722441247;47 71 92 68\n".encode("cp1252")
    path = await visitor.drop(data)
    page = await visitor.see(path)
    assert "found by its name: Mobile" in page
    assert "Will be sent to 1" in page
    page = await visitor.press(path, do="save", repair="on", is_ivorian="on")
    await visitor.idle(path)
    page = await visitor.see(path)
    assert "Will be sent to 2" in page
    assert "of these repaired 1" in page
    await visitor.post(path, do="save", phone_column="Bureau")
    await visitor.idle(path)
    page = await visitor.see(path)
    assert "Nobody of this list can be sent to" in page
    await visitor.post(path, do="save", phone_column="Mobile")
    await visitor.idle(path)
    assert "Will be sent to 1" in await visitor.see(path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"  \n ", "empty"),
        (b"a;b\n1;2\n", "column"),
        (b"\x00\x01\x02 binary" * 50, "binary"),
        (b"PK\x03\x04 no archive at all", "damaged"),
    ],
)
async def test_a_list_of_no_use_is_refused_in_a_sentence(visitor: Visitor, data: bytes, words: str) -> None:
    reply = await visitor.upload(data)
    if reply.status_code == 400:
        assert words in reply.json()["error"]
        return
    path = reply.json()["location"]
    await visitor.idle(path)
    page = await visitor.see(path)
    assert words in page
    assert "--" not in page
    assert "Traceback" not in page


async def test_a_text_of_no_use_is_refused_beside_it(visitor: Visitor) -> None:
    path = await visitor.drop(write_list(NUMBERS))
    page = await visitor.press(f"{path}/preview", message="Bonjour {Nom}")
    assert "has no column Nom" in page
    assert "did you mean" in page or "its columns are" in page
    page = await visitor.plan(path, message="Bonjour {Nom}")
    assert "has no column Nom" in page
    assert "Type the number" not in page


async def test_the_preview_shows_the_first_phones_and_what_it_costs(visitor: Visitor) -> None:
    path = await visitor.drop(write_list(NUMBERS))
    reply = await visitor.post(f"{path}/preview", message="Prêt {Prénom} <b>", unit_price="10")
    assert reply.text.count("<figure") == 8
    assert "Pr<mark>ê</mark>t Awa &lt;b&gt;" in reply.text
    assert "120 XOF" in reply.text
    folded = await visitor.post(f"{path}/preview", message="Prêt {Prénom}", fold="on")
    assert "<mark>" not in folded.text.partition("Letters that cost")[0]
    assert "Pret Awa" in folded.text
    # Nothing of it is kept.
    assert visitor.desk.drafts.open()[0].form.message == ""


async def test_a_text_with_the_opt_out_link_shows_it_and_is_tried_with_ones_own(
    visitor: Visitor, sandbox: SandboxServer
) -> None:
    text, own = "Promo {Prénom}. Stop: {desinscription}", "2250757123456"
    path = await visitor.drop(write_list(NUMBERS))
    page = await visitor.press(f"{path}/preview", message=text)
    assert "no page is named for it: add VAVASMS_OPT_OUT_URL to the settings" in page
    visitor.desk.opt_out_url = "https://sms.example.ci/d/"
    reply = await visitor.post(f"{path}/preview", message=text)
    assert f"Promo Awa. Stop: https://sms.example.ci/d/{EXAMPLE}" in reply.text
    await visitor.plan(path, message=text)
    await visitor.press(f"{path}/test", number=own)
    campaign_id = await visitor.go(path)
    await visitor.settled(campaign_id)
    texts = {entry.to: entry.message for entry in sandbox.gateway.journal.entries}
    assert len(texts) == len(NUMBERS) + 1
    for recipient, message in texts.items():
        holder = await visitor.desk.ledger.optout_codes.find(message.rpartition("/")[2])
        assert holder is not None
        assert holder.recipient == recipient
    await visitor.desk.ledger.optout_codes.opt_out(texts[own].rpartition("/")[2], now=1.0)
    assert "by link" in await visitor.see("/optouts")


async def test_what_comes_from_a_list_is_never_read_as_a_page(visitor: Visitor) -> None:
    evil = "<script>alert(1)</script>"
    path = await visitor.drop(f"Téléphone;{evil}\n0757000001;{evil}\n{evil};x\n".encode())
    await visitor.plan(path, message=f"Bonjour {{{evil}}}", sender_id="SANDBOX")
    for page in (path, f"{path}/plan", "/"):
        assert "<script>alert" not in (await visitor.http.get(page)).text
    reply = await visitor.upload(
        write_list(NUMBERS), name="%3Cscript%3Ealert(1)%3C%2Fscript%3E%0D%0ASet-Cookie%3A x"
    )
    shown = await visitor.http.get(reply.json()["location"])
    assert "<script>alert" not in shown.text
    assert "set-cookie" not in shown.headers


async def test_a_campaign_in_the_ledger_waits_for_its_go(visitor: Visitor, sandbox: SandboxServer) -> None:
    desk = visitor.desk
    campaign, _plan = await desk.runner.submit(io.BytesIO(write_list(NUMBERS)), "Bonjour")
    url = f"/campaigns/{campaign.id}"
    assert "To send, type the number of recipients: 12" in await visitor.see(url)
    assert "Type the number of recipients, 12" in await visitor.press(f"{url}/start", count="11")
    assert received(sandbox) == []
    await visitor.press(f"{url}/start", count="12")
    assert (await visitor.settled(campaign.id)).accepted == 12
    other, _plan = await desk.runner.submit(io.BytesIO(write_list(NUMBERS)), "Bonsoir")
    assert "forgotten" in await visitor.press(f"/campaigns/{other.id}/discard")
    assert other.id not in await visitor.see("/")


async def test_a_campaign_of_another_account_is_not_begun(sandbox: SandboxServer) -> None:
    async with MemoryLedger() as ledger:
        with SandboxServer(Gateway(username="other@example.com")) as other:
            async with connect(other, trust_env=False) as sms, CampaignRunner(sms, ledger) as runner:
                campaign, _plan = await runner.submit(io.BytesIO(write_list(NUMBERS)), "Bonjour")
        async with visiting(sandbox, ledger) as visitor:
            assert campaign.account != visitor.desk.account
            page = await visitor.press(f"/campaigns/{campaign.id}/start", count="12")
            assert "is another account's. Nothing was sent." in page
        assert received(sandbox) == []
        assert (await ledger.status(campaign.id)).state is CampaignState.QUEUED


async def test_what_ran_when_a_desk_died_is_paused_and_says_so(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    file = tmp_path / "ledger.db"
    async with await SqliteLedger.open(file) as ledger, visiting(sandbox, ledger) as visitor:
        campaign, _plan = await visitor.desk.runner.submit(io.BytesIO(write_list(NUMBERS)), "Bonjour")
    async with await SqliteLedger.open(file) as ledger:
        # As a process leaves it that was killed.
        assert await ledger.start(campaign.id)
        async with visiting(sandbox, ledger) as visitor:
            page = await visitor.see(f"/campaigns/{campaign.id}")
            assert "This campaign is paused: interrupted." in page
            assert received(sandbox) == []
            await visitor.press(f"/campaigns/{campaign.id}/go-on")
            assert (await visitor.settled(campaign.id)).accepted == 12
    assert received(sandbox) == NUMBERS


async def test_closing_the_desk_finishes_what_is_under_way(sandbox: SandboxServer, tmp_path: Path) -> None:
    stall(sandbox, 0.3)
    async with await SqliteLedger.open(tmp_path / "ledger.db") as ledger:
        async with visiting(sandbox, ledger) as visitor:
            campaign_id = await begin(visitor, phones(2500))
            with anyio.fail_after(30):
                while not received(sandbox):
                    await anyio.sleep(0.01)
        status = await ledger.status(campaign_id)
        assert (status.state, status.reason, status.sending, status.unknown) == (
            CampaignState.PAUSED,
            "interrupted",
            0,
            0,
        )
        assert status.accepted == len(received(sandbox))
        assert status.queued == 2500 - status.accepted > 0


async def test_opt_outs_are_added_found_imported_and_removed(visitor: Visitor) -> None:
    assert "is on the list" in await visitor.press("/optouts", number="07 57 00 00 03", do="add")
    assert "by hand" in await visitor.see("/optouts")
    page = await visitor.press("/optouts", number="+2250757000003", do="search")
    assert "+2250757000003" in page
    assert "is not on the list" in await visitor.press("/optouts", number="0757000004", do="search")
    reply = await visitor.upload(write_list([*NUMBERS, "voir Awa"]), "/optouts/import", "stop.csv")
    assert reply.json() == {"location": "/optouts"}
    page = await visitor.see("/optouts")
    assert "11 numbers added to the list; 1 on it already." in page
    assert "Not read, and so not on the list: row 14" in page
    assert "stop.csv" in page
    assert len(await visitor.desk.ledger.opt_outs(limit=100)) == 12
    await visitor.press("/optouts", number="0757000003", do="remove")
    assert int(Msisdn("2250757000003")) not in await visitor.desk.ledger.opted_out()
    assert "holds letters" in await visitor.press("/optouts", number="Awa", do="add")
    refused = await visitor.upload(b"", "/optouts/import")
    assert refused.status_code == 400
    assert "empty" in refused.json()["error"]


async def test_single_sends_are_listed_and_the_unknown_are_decided(
    visitor: Visitor, sandbox: SandboxServer
) -> None:
    sms, account = visitor.desk.client, visitor.desk.account
    await sms.send("+2250757000001", "Bonjour", idempotency_key="order-1")
    for key in ("order-2", "order-3"):
        sandbox.faults.script(Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING), path=TEXT)
        with pytest.raises(VavaSMSError):
            await sms.send("+2250757000002", "Bonjour", idempotency_key=key)
    page = await visitor.see("/sends")
    assert "2 sends of which nobody knows" in page
    assert "order-1" in page
    attempts = {
        key: write_attempt(record) for key in ("order-2", "order-3") if (record := await sms.sent(key))
    }
    second = {"account": account, "key": "order-2", "attempt": attempts["order-2"]}
    third = {"account": account, "key": "order-3", "attempt": attempts["order-3"]}
    await visitor.press("/sends", **second, decision="sent")
    assert "Tick the box first" in await visitor.press("/sends", **third, decision="again")
    await visitor.press("/sends", **third, decision="again", sure="on")
    records = [await sms.sent(f"order-{number}") for number in (1, 2, 3)]
    assert [record and record.state.value for record in records] == ["accepted", "accepted", "cancelled"]
    # A stale tab decides nothing more.
    page = await visitor.press("/sends", **second, decision="again", sure="on")
    assert (await sms.sent("order-2")).state.value == "accepted"  # type: ignore[union-attr]
    assert len(received(sandbox)) == 3


async def test_drafts_are_bounded_and_can_be_forgotten(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vavasms.desk.drafts.MAX_LISTS", 1000)
    first = await visitor.drop(write_list(phones(30)))
    second = await visitor.drop(write_list(phones(31)))
    assert [draft.id for draft in visitor.desk.drafts.open()] == [second.split("/")[2]]
    await visitor.see(first, 404)
    await visitor.press(f"{second}/drop")
    await visitor.see(second, 404)


async def test_typed_numbers_are_a_list_too(visitor: Visitor, sandbox: SandboxServer) -> None:
    reply = await visitor.post("/lists", numbers="07 57 00 00 01\n+225 0757000002\n")
    path = reply.headers["location"]
    await visitor.idle(path)
    assert "Everybody gets the same text." in await visitor.see(path)
    await visitor.plan(path, message="Bonjour")
    await visitor.settled(await visitor.go(path))
    assert received(sandbox) == ["2250757000001", "2250757000002"]
    assert "empty" in await visitor.press("/lists", numbers="  ")


async def test_a_beginning_that_is_still_to_come_sends_nothing_before(
    visitor: Visitor, sandbox: SandboxServer
) -> None:
    path = await visitor.drop(write_list(NUMBERS))
    plan = await visitor.plan(path, message="Bonjour", begins="2099-12-01T09:00")
    assert "Sending begins 2099-12-01 09:00" in plan
    assert "from 2099-12-01 09:00 on" in plan
    campaign_id = await visitor.go(path)
    assert "Nothing leaves before 2099-12-01 09:00." in await visitor.see(f"/campaigns/{campaign_id}")
    assert "Nothing leaves before" in await visitor.see(f"/campaigns/{campaign_id}/live")
    assert received(sandbox) == []
