"""What is a test and what is not, by Django's own sign; and what tests never touch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.test.utils import setup_test_environment, teardown_test_environment

from tests.django.conftest import Configure
from vavasms.django import outbox, send_sms
from vavasms.django.backends.gateway import GatewayBackend
from vavasms.django.environment import in_test
from vavasms.django.settings import BACKENDS
from vavasms.sandbox import SandboxServer

TO, TEXT = "+2250700000001", "Votre commande 42 est partie"


@pytest.fixture
def no_mails() -> Iterator[None]:
    """Leave no list of mails behind."""
    yield
    vars(mail).pop("outbox", None)


@pytest.fixture
def tests(no_mails: None) -> Iterator[None]:
    """Do what `manage.py test` and pytest-django do before the first test."""
    setup_test_environment(debug=settings.DEBUG)
    yield
    teardown_test_environment()


class Own(GatewayBackend):
    """A backend of a project's own, which sends by the gateway."""


@pytest.mark.parametrize("path", ["gateway", BACKENDS["gateway"], f"{__name__}.Own"])
def test_in_a_test_the_gateway_is_locmem_by_any_name(
    configure: Configure, tests: None, sandbox: SandboxServer, path: str
) -> None:
    configure(BACKEND=path)
    assert in_test()
    send_sms(TO, TEXT)
    assert len(outbox) == 1
    assert sandbox.gateway.journal.entries == ()


def test_in_a_test_nothing_goes_to_the_gateway_and_the_outbox_is_empty_again_in_the_next(
    configure: Configure, tests: None, sandbox: SandboxServer, tmp_path: Path
) -> None:
    configure(LEDGER=tmp_path / "sms.db")
    for _test in range(2):
        # What Django does at the beginning of each.
        mail.outbox = []
        assert len(outbox) == 0
        assert send_sms(TO, TEXT, idempotency_key="order-42").replayed is False
        assert len(outbox) == 1
    assert sandbox.gateway.journal.entries == ()


def test_mails_that_a_live_process_keeps_in_memory_make_it_no_test(
    configure: Configure, no_mails: None, sandbox: SandboxServer
) -> None:
    EmailBackend()
    assert hasattr(mail, "outbox")
    assert not in_test()
    send_sms(TO, TEXT)
    assert len(sandbox.gateway.journal.entries) == 1


def test_mails_in_memory_make_locmem_forget_no_key(configure: Configure, no_mails: None) -> None:
    configure(BACKEND="locmem", LEDGER="/nowhere/sms.db")
    send_sms(TO, TEXT, idempotency_key="order-42")
    EmailBackend()
    assert send_sms(TO, TEXT, idempotency_key="order-42").replayed
    assert len(outbox) == 1
