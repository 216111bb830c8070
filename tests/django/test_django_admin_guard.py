"""What the admin's pages refuse: forged forms, other sites, and looks that would change something."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.messages.storage.cookie import CookieStorage
from django.core.signals import got_request_exception
from django.db import connections
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.views.debug import ExceptionReporter

from tests.django.test_django_admin import TEXT, TO, hidden, look, make_campaign, make_unknown, press, project
from vavasms.django import get_sms
from vavasms.django.ledger import run_on_ledger
from vavasms.django.models import PendingSend
from vavasms.errors import Outcome
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.sandbox import SandboxServer

__all__ = ["project"]


@pytest.fixture
def boss(project: None) -> Client:
    client = Client(
        headers={"Accept-Language": "en"}, enforce_csrf_checks=True, raise_request_exception=False
    )
    client.force_login(User.objects.create_superuser("boss", password="x"))
    return client


def is_unknown(key: str) -> bool:
    record = get_sms().sent(key)
    return record is not None and record.outcome is Outcome.UNKNOWN


def test_another_site_cannot_decide(boss: Client, sandbox: SandboxServer) -> None:
    make_unknown(sandbox, "order-42")
    fields = hidden(look(boss, "unknownsend"))
    token = fields.pop("csrfmiddlewaretoken")
    answers = [
        boss.post("/admin/vavasms/unknownsend/", {**fields, "decision": "sent", **extra}).status_code
        for extra in ({}, {"csrfmiddlewaretoken": token[::-1]})
    ]
    assert answers == [403, 403]
    assert is_unknown("order-42")


def test_there_are_no_other_pages(boss: Client) -> None:
    for page in (
        "unknownsend/add/",
        "unknownsend/1/change/",
        "singlesend/1/delete/",
        "optedoutnumber/1/history/",
    ):
        assert boss.get(f"/admin/vavasms/{page}").status_code == 404


@pytest.fixture
def forger(boss: Client) -> Client:
    boss.handler.enforce_csrf_checks = False
    return boss


def test_only_a_post_decides(forger: Client, sandbox: SandboxServer) -> None:
    make_unknown(sandbox, "order-42")
    fields = hidden(look(forger, "unknownsend"))
    typed = {**fields, "decision": "sent", "sure": "on"}
    address = "/admin/vavasms/unknownsend/"
    assert [forger.get(address, typed).status_code, forger.head(address, typed).status_code] == [200, 200]
    for method in (forger.put, forger.patch, forger.delete, forger.options):
        method(address, data=urlencode(typed), content_type="application/x-www-form-urlencoded")
    assert is_unknown("order-42")


FORGED = [
    {"kind": "send", "decision": "sent"},
    {"kind": "send", "decision": "sent", "account": "x", "key": "nothing", "attempt": "", "again": ""},
    {"kind": "batch", "decision": "sent", "campaign": "x", "number": "1", "attempt": "z"},
    {"kind": "batch", "decision": "sent", "campaign": "x", "number": "one", "attempt": ""},
    {"kind": "batch", "decision": "sent", "campaign": "x", "number": "1", "attempt": ""},
    {"kind": "batch", "decision": "sent", "campaign": "x", "number": "1", "attempt": "nan"},
    {"kind": "batch", "decision": "sent", "campaign": "x", "number": "9" * 30, "attempt": ""},
    {"kind": "batch", "decision": "sent", "campaign": "x\0", "number": "1", "attempt": ""},
    {"kind": "send", "decision": "sent", "account": "x", "key": "\0", "attempt": "", "again": ""},
    {"kind": "refused", "decision": "forget", "sure": "on", "alias": "default", "number": "9" * 30},
    {"kind": "refused", "decision": "sent", "alias": "nowhere", "number": "1"},
    {"kind": "refused", "decision": "forget", "sure": "on", "alias": "default", "number": "one"},
    {"kind": "refused", "decision": "forget", "sure": "on", "alias": "default"},
    {"kind": "pigeon", "decision": "sent"},
]


def test_a_forged_form_is_refused(forger: Client) -> None:
    for typed in FORGED:
        answer = forger.post("/admin/vavasms/unknownsend/", typed)
        assert answer.status_code in (302, 400), typed
    assert LogEntry.objects.count() == 0


@pytest.mark.parametrize("attempt", ["0x1p99999", "-0x1p99999"])
def test_a_moment_that_no_float_holds_is_of_a_stale_page(forger: Client, attempt: str) -> None:
    run_on_ledger(make_campaign)
    fields = {**hidden(look(forger, "unknownsend")), "decision": "sent", "attempt": attempt}
    assert "look at it anew" in press(forger, "unknownsend", **fields)


def test_what_is_forgotten_already_is_not_said_to_be(forger: Client, sandbox: SandboxServer) -> None:
    row = PendingSend.objects.create(
        idempotency_key="order-42", recipient=TO[1:], text=TEXT, is_refused=True, error_code="input.number"
    )
    typed = {"kind": "refused", "decision": "forget", "alias": "default", "number": str(row.pk)}
    pages = [press(forger, "unknownsend", **typed, sure="on") for _ in range(2)]
    assert ["It is written down." in page for page in pages] == [True, False]
    assert "not there any more" in pages[1]
    assert LogEntry.objects.count() == 1


def test_what_waits_is_not_forgotten(forger: Client, sandbox: SandboxServer) -> None:
    row = PendingSend.objects.create(
        idempotency_key="order-42", recipient=TO[1:], text=TEXT, backend="gateway"
    )
    press(
        forger,
        "unknownsend",
        kind="refused",
        decision="forget",
        sure="on",
        alias="default",
        number=str(row.pk),
    )
    assert PendingSend.objects.count() == 1


@pytest.fixture
def away(tmp_path: Path) -> Iterator[None]:
    """Add a database that is away, and one without the app's table."""
    # Not in memory: Django leaves such a one open, and Python 3.13 warns of it.
    for alias, name in (("away", "/nowhere/at/all.db"), ("bare", tmp_path / "bare.db")):
        settings.DATABASES[alias] = {"ENGINE": "django.db.backends.sqlite3", "NAME": name}
    connections.settings = connections.configure_settings(settings.DATABASES)
    yield
    for alias in ("away", "bare"):
        connections[alias].close()
        del connections[alias]
        del settings.DATABASES[alias]
        connections.settings.pop(alias, None)


def test_a_database_that_is_away_hides_no_unknown_send(
    boss: Client, sandbox: SandboxServer, away: None
) -> None:
    make_unknown(sandbox, "order-42")
    PendingSend.objects.create(
        idempotency_key="order-43", recipient=TO[1:], text=TEXT, is_refused=True, error_code="input.number"
    )
    page = look(boss, "unknownsend")
    assert "order-42" in page
    assert "order-43" in page
    assert "away does not answer" in page


def test_numbers_are_in_no_address_and_in_no_cookie_by_themselves(forger: Client) -> None:
    for decision in ("add", "remove"):
        answer = forger.post("/admin/vavasms/optedoutnumber/", {"typed": TO, "decision": decision})
        assert answer.status_code == 302
        assert TO[4:] not in answer["Location"]
        kept = CookieStorage(RequestFactory().get("/"))._decode(answer.cookies["messages"].value)
        assert "on the list" in str(kept)
        assert TO[4:] not in str(kept)
        assert TO[4:] not in str(answer.cookies)


def fail(*_values: Any, **_more: Any) -> None:
    number = TO
    raise RuntimeError(number)


@pytest.mark.parametrize("decision", ["add", "remove", "search"])
def test_a_fault_shows_no_number_in_djangos_error_mail(
    forger: Client, monkeypatch: pytest.MonkeyPatch, decision: str
) -> None:
    for call in ("add_opt_outs", "remove_opt_outs", "opt_outs"):
        for ledger in (SqliteLedger, PostgresLedger):
            monkeypatch.setattr(ledger, call, fail)
    reports: list[str] = []

    def hear(request: HttpRequest, **_values: Any) -> None:
        # As AdminEmailHandler writes it, the page with all frames too.
        reporter = ExceptionReporter(request, *sys.exc_info(), is_email=True)
        reports.extend([reporter.get_traceback_text(), reporter.get_traceback_html()])

    got_request_exception.connect(hear)
    try:
        answer = forger.post(
            "/admin/vavasms/optedoutnumber/", {"typed": "07 00 00 00 01", "decision": decision}
        )
    finally:
        got_request_exception.disconnect(hear)
    assert answer.status_code == 500
    assert len(reports) == 2
    for report in reports:
        assert "RuntimeError at test_django_admin_guard.py" in report
        assert not re.search("7 ?00 ?00 ?00 ?01", report)


def test_a_decision_is_taken_once(forger: Client, sandbox: SandboxServer) -> None:
    make_unknown(sandbox, "order-42")
    fields = hidden(look(forger, "unknownsend"))
    press(forger, "unknownsend", **fields, decision="again", sure="on")
    answer = press(forger, "unknownsend", **fields, decision="sent")
    assert "It is written down" not in answer
    assert get_sms().sent("order-42").outcome is Outcome.NOT_SENT  # type: ignore[union-attr]
