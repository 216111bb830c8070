"""The models of the admin's pages, which have no table: what Django's own commands make of them."""

from __future__ import annotations

import io
import json

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from vavasms.django.models import CampaignEntry, OptedOutNumber, PendingSend, SingleSend, UnknownSend

ENTRIES = (CampaignEntry, OptedOutNumber, SingleSend, UnknownSend)


@pytest.mark.parametrize("takes_all", [False, True])
def test_a_dump_has_the_waiting_rows_and_no_entry(tables: None, takes_all: bool) -> None:
    PendingSend.objects.create(idempotency_key="order-42", recipient="2250700000001", text="x", backend="y")
    printed = io.StringIO()
    call_command("dumpdata", "vavasms", use_base_manager=takes_all, stdout=printed)
    assert [row["model"] for row in json.loads(printed.getvalue())] == ["vavasms.pendingsend"]


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_without_a_table_is_never_found(tables: None, entry: type[SingleSend]) -> None:
    with CaptureQueriesContext(connection) as queries:
        found = [
            entry.objects.count(),
            entry.objects.using("default").filter(pk="x").exists(),
            [*entry._base_manager.order_by("pk").iterator()],
        ]
    assert found == [0, False, []]
    assert len(queries) == 0


@pytest.mark.parametrize("language", ["en", "fr"])
def test_migrations_hold_english_whatever_the_language(
    tables: None, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    monkeypatch.setenv("VAVASMS_LANG", language)
    call_command("makemigrations", "vavasms", check_changes=True, dry_run=True, verbosity=0)
    Permission.objects.filter(codename="view_singlesend").delete()
    call_command("migrate", verbosity=0)
    assert Permission.objects.get(codename="view_singlesend").name == "Can view single send"
