"""The pages of the admin, on a file and on PostgreSQL: who may see them, and what a person decides."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import clear_url_caches, path, set_urlconf
from django.utils.translation import override

from tests.django.conftest import Configure
from vavasms.django import admin as pages
from vavasms.django import get_sms, send_sms
from vavasms.django.admin_page import show_moment
from vavasms.django.ledger import run_on_ledger
from vavasms.django.models import PendingSend
from vavasms.django.signals import opted_out
from vavasms.errors import Outcome, OutcomeUnknownError
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import BatchRecord, NewBatch, NewCampaign
from vavasms.ledger.states import BatchEvent
from vavasms.numbers import Msisdn
from vavasms.sandbox import Fault, FaultKind, SandboxServer

TO, TEXT = "+2250700000001", "Votre commande 42 est partie"
BATCH = BatchRecord(error="OutcomeUnknownError: cut off")
PAGES = ("singlesend", "unknownsend", "optedoutnumber", "campaignentry")


class Urls:
    """A module of URLs, as Django wants it."""

    urlpatterns = (path("admin/", admin.site.urls),)


@pytest.fixture(params=["file", "database"])
def project(request: pytest.FixtureRequest, tables: None) -> Iterator[None]:
    request.getfixturevalue(request.param)
    settings.ROOT_URLCONF = Urls
    clear_url_caches()
    set_urlconf(None)
    with override("en"):
        yield
    settings.ROOT_URLCONF = None


@pytest.fixture
def boss(project: None) -> Client:
    """Return the browser of somebody who may do everything."""
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(User.objects.create_superuser("boss", password="x"))
    return client


def look(client: Any, page: str) -> str:
    answer = client.get(f"/admin/vavasms/{page}/")
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    return str(answer.content.decode())


def press(client: Client, page: str, **typed: str) -> str:
    """Press a button, and return the page that is shown after it."""
    answer = client.post(f"/admin/vavasms/{page}/", typed, follow=True)
    assert answer.status_code == 200
    return str(answer.content.decode())


def hidden(page: str) -> dict[str, str]:
    """Return the hidden fields of the first line on which something may be decided."""
    form = page.partition('name="kind"')
    text = form[0].rpartition("<form")[2] + form[1] + form[2].partition("</form>")[0]
    fields = dict(
        re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', text.replace("<input", "\n<input"))
    )
    return {"kind": re.search(r'name="kind" value="(\w+)"', page)[1], **fields}  # type: ignore[index]


def make_unknown(sandbox: SandboxServer, key: str) -> None:
    sandbox.faults.script(Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING))
    with pytest.raises(OutcomeUnknownError):
        send_sms(TO, TEXT, idempotency_key=key)


def test_sends_are_listed_without_their_texts_and_found_by_their_key(
    boss: Client, sandbox: SandboxServer
) -> None:
    assert "None yet." in look(boss, "singlesend")
    send_sms([TO, "0700000002"], TEXT, idempotency_key="order-42")
    page = look(boss, "singlesend")
    assert all(words in page for words in ("order-42", "accepted", TO, "and 1 more"))
    assert TEXT not in page
    assert "order-42" in press(boss, "singlesend", typed=" order-42 ", decision="search")
    assert "order-42" not in press(boss, "singlesend", typed="order-43", decision="search").replace(
        'value="order-43"', ""
    )


def test_a_person_decides_on_what_is_unknown(boss: Client, sandbox: SandboxServer) -> None:
    make_unknown(sandbox, "order-42")
    page = look(boss, "unknownsend")
    fields = hidden(page)
    assert fields["key"] == "order-42"
    assert "Tick the box first" in press(boss, "unknownsend", **fields, decision="again")
    assert get_sms().sent("order-42").outcome is Outcome.UNKNOWN  # type: ignore[union-attr]
    assert "It is written down." in press(boss, "unknownsend", **fields, decision="sent")
    assert get_sms().sent("order-42").outcome is Outcome.ACCEPTED  # type: ignore[union-attr]
    assert send_sms(TO, TEXT, idempotency_key="order-42").replayed is True
    (entry,) = LogEntry.objects.all()
    assert (entry.object_repr, entry.change_message, entry.user.get_username()) == (
        "order-42",
        "Marked as sent by hand.",
        "boss",
    )

    make_unknown(sandbox, "order-43")
    fields = hidden(look(boss, "unknownsend"))
    press(boss, "unknownsend", **fields, decision="again", sure="on")
    assert get_sms().sent("order-43").outcome is Outcome.NOT_SENT  # type: ignore[union-attr]
    assert send_sms(TO, TEXT, idempotency_key="order-43").replayed is False
    assert len(sandbox.gateway.journal.entries) == 3


def test_what_was_tried_again_since_is_not_decided_on(boss: Client, sandbox: SandboxServer) -> None:
    make_unknown(sandbox, "order-42")
    fields = hidden(look(boss, "unknownsend"))
    get_sms().resolve("order-42", sent=False)
    make_unknown(sandbox, "order-42")
    assert "look at it anew" in press(boss, "unknownsend", **fields, decision="sent")
    assert get_sms().sent("order-42").outcome is Outcome.UNKNOWN  # type: ignore[union-attr]
    assert boss.post("/admin/vavasms/unknownsend/", {"decision": "sent"}).status_code == 400


async def make_campaign(ledger: Ledger, name: str = "soldes", *, batches: int = 1) -> None:
    """Make a campaign of which each batch is unknown, long ago."""
    account, now = get_sms().account.name, await ledger.now() - 7200
    await ledger.create(NewCampaign(id=name, account=account, sender_id="ACME", message=TEXT, created_at=now))
    loaded = [
        NewBatch(
            number=number,
            message=TEXT,
            segments=1,
            recipients=(Msisdn(f"22507000001{number}1"), Msisdn(f"22507000001{number}2")),
        )
        for number in range(batches)
    ]
    await ledger.load(name, loaded)
    await ledger.finish_loading(name, plan="{}", plan_hash="x")
    await ledger.start(name)
    async with ledger.take_over(now):
        for number in range(batches):
            claim = await ledger.claim(name, number, token="t", worker="w", now=now)
            assert claim is not None
            await ledger.settle(claim, BatchEvent.MARK_UNKNOWN, BATCH)
        await ledger.finish(name)


async def make_campaign_of_two(ledger: Ledger) -> None:
    """Make another one, of which two batches are."""
    await make_campaign(ledger, "fete", batches=2)


def test_campaigns_are_looked_at_and_their_unknown_batches_decided_on(boss: Client, project: None) -> None:
    run_on_ledger(make_campaign)
    page = look(boss, "campaignentry")
    assert "soldes" in page
    assert TEXT not in page
    assert boss.post("/admin/vavasms/campaignentry/", {"decision": "sent"}).status_code == 403
    fields = hidden(look(boss, "unknownsend"))
    assert (fields["kind"], fields["campaign"]) == ("batch", "soldes")
    press(boss, "unknownsend", **fields, decision="again", sure="on")
    (status,) = run_on_ledger(lambda ledger: ledger.statuses())
    assert (status.unknown, status.queued, status.state.value) == (0, 2, "paused")
    assert "look at it anew" in press(boss, "unknownsend", **fields, decision="sent")


def test_a_batch_is_marked_as_sent(boss: Client, project: None) -> None:
    run_on_ledger(make_campaign)
    press(boss, "unknownsend", **hidden(look(boss, "unknownsend")), decision="sent")
    (status,) = run_on_ledger(lambda ledger: ledger.statuses())
    assert (status.unknown, status.accepted) == (0, 2)


def test_numbers_go_on_the_opt_out_list_and_off_it(boss: Client) -> None:
    told: list[Any] = []

    def hear(recipients: Any, source: str, **_values: Any) -> None:
        told.append((*recipients, source))

    opted_out.connect(hear)
    try:
        assert "Nobody." in look(boss, "optedoutnumber")
        assert "no campaign sends to it" in press(
            boss, "optedoutnumber", typed="07 00 00 00 01", decision="add"
        )
    finally:
        opted_out.disconnect(hear)
    assert told == [(TO[1:], "admin")]
    assert TO in look(boss, "optedoutnumber")
    assert TO in press(boss, "optedoutnumber", typed=TO, decision="search")
    assert "is not on the list." in press(boss, "optedoutnumber", typed="0700000002", decision="search")
    assert "is not on the list any more" in press(boss, "optedoutnumber", typed=TO, decision="remove")
    assert "Nobody." in look(boss, "optedoutnumber")
    assert "errornote" not in press(boss, "optedoutnumber", typed="07", decision="add")
    log = [*LogEntry.objects.values_list("object_id", "object_repr", "change_message")]
    assert len(log) == 2
    assert TO[1:] not in str(log)


def test_what_the_ledger_refused_after_a_commit_is_shown_and_forgotten(
    boss: Client, sandbox: SandboxServer
) -> None:
    PendingSend.objects.create(
        idempotency_key="order-42",
        recipient=TO[1:],
        text=TEXT,
        backend="gateway",
        is_refused=True,
        error_code="idempotency.conflict",
    )
    page = look(boss, "unknownsend")
    assert "idempotency.conflict" in page
    assert TEXT not in page
    press(boss, "unknownsend", **hidden(page), decision="forget", sure="on")
    assert PendingSend.objects.count() == 0


def test_who_may_see_a_page_may_not_decide_on_it(project: None, sandbox: SandboxServer) -> None:
    make_unknown(sandbox, "order-42")
    clerk = User.objects.create_user("clerk", password="x", is_staff=True)
    client = Client()
    assert client.get("/admin/vavasms/unknownsend/").status_code == 302
    client.force_login(clerk)
    assert [client.get(f"/admin/vavasms/{page}/").status_code for page in PAGES] == [403] * 4
    # What lets a person put a number on the list shows no list.
    clerk.user_permissions.set(Permission.objects.filter(codename="add_optedoutnumber"))
    assert client.get("/admin/vavasms/optedoutnumber/").status_code == 403
    clerk.user_permissions.set(Permission.objects.filter(codename__in=[f"view_{page}" for page in PAGES]))
    fields = {"kind": "send", "key": "order-42", "decision": "sent"}
    for page in PAGES:
        offered = set(re.findall(r'name="decision" value="(\w+)"', look(client, page)))
        assert offered <= {"search"}
        answer = client.post(f"/admin/vavasms/{page}/", {**fields, "typed": TO})
        assert answer.status_code == (200 if page == "singlesend" else 403)
    typed = {"typed": TO, "decision": "remove"}
    assert client.post("/admin/vavasms/optedoutnumber/", typed).status_code == 403
    assert get_sms().sent("order-42").outcome is Outcome.UNKNOWN  # type: ignore[union-attr]


def test_the_index_leads_to_the_pages(boss: Client) -> None:
    index = boss.get("/admin/").content.decode()
    assert all(f'href="/admin/vavasms/{page}/"' in index for page in PAGES)


def test_a_ledger_that_is_away_is_one_sentence(boss: Client, configure: Configure) -> None:
    configure()
    for page in PAGES:
        assert "names no ledger" in look(boss, page)


def test_a_number_that_is_there_already_is_not_announced_again(boss: Client) -> None:
    told: list[str] = []

    def hear(source: str, **_values: Any) -> None:
        told.append(source)

    opted_out.connect(hear)
    try:
        for decision in ("remove", "add", "add"):
            press(boss, "optedoutnumber", typed=TO, decision=decision)
    finally:
        opted_out.disconnect(hear)
    assert told == ["admin"]
    assert LogEntry.objects.count() == 1
    assert "None yet." in press(boss, "singlesend", typed=" ", decision="search")


def test_the_unknown_that_are_not_shown_are_spoken_of(
    boss: Client, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_SHOWN", 1)
    monkeypatch.setattr(pages, "_LISTED", 1)

    def refuse(number: int) -> None:
        PendingSend.objects.create(
            idempotency_key=f"order-{number}",
            recipient="x",
            text=TEXT,
            backend="y",
            is_refused=True,
            error_code="input.number",
        )

    run_on_ledger(make_campaign)
    for number in range(2):
        make_unknown(sandbox, f"order-{number}")
        refuse(number)
        # One of each is all; then there is more of the sends, and of what was refused.
        assert look(boss, "unknownsend").count("There are more") == 2 * number
    run_on_ledger(make_campaign_of_two)
    page = look(boss, "unknownsend")
    assert page.count("There are more") == 3
    assert page.count('value="again"') == 3


def test_what_has_no_moment_is_a_dash() -> None:
    assert show_moment(None) == "–"
