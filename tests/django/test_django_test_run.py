"""What is a test and what is not, by Django's own sign; and what tests never touch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.test import Client
from django.test.utils import setup_test_environment, teardown_test_environment
from django.urls import clear_url_caches, include, set_urlconf
from django.urls import path as url
from psycopg.conninfo import conninfo_to_dict

from tests.django.conftest import Configure
from tests.django.test_django_project import ROOT, new_database
from tests.inbound.posting import TOKEN
from vavasms.django import get_sms, outbox, send_sms
from vavasms.django.backends.gateway import GatewayBackend
from vavasms.django.client import find_ledger
from vavasms.django.environment import in_test
from vavasms.django.ledger import run_on_ledger
from vavasms.django.settings import BACKENDS, read_settings
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


def test_where_django_has_its_sign_no_more_its_list_of_mails_is_one(
    configure: Configure, no_mails: None, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("django.test.utils._TestState")
    assert not in_test()
    EmailBackend()
    assert in_test()
    send_sms(TO, TEXT)
    assert sandbox.gateway.journal.entries == ()


def test_mails_in_memory_make_locmem_forget_no_key(configure: Configure, no_mails: None) -> None:
    configure(BACKEND="locmem", LEDGER="/nowhere/sms.db")
    send_sms(TO, TEXT, idempotency_key="order-42")
    EmailBackend()
    assert send_sms(TO, TEXT, idempotency_key="order-42").replayed
    assert len(outbox) == 1


class Urls:
    """A module of URLs, as Django wants it."""

    urlpatterns = (url("sms/", include("vavasms.django.urls")),)


@pytest.fixture
def urls() -> Iterator[None]:
    settings.ROOT_URLCONF = Urls
    clear_url_caches()
    set_urlconf(None)
    yield
    settings.ROOT_URLCONF = None


def test_a_stop_that_a_test_posts_is_not_on_the_list_of_the_settings_ledger(
    configure: Configure, no_mails: None, urls: None, tmp_path: Path
) -> None:
    places = {"LEDGER": tmp_path / "sms.db", "INBOUND_SEEN": str(tmp_path / "seen.db")}
    configure(INBOUND_TOKEN=TOKEN, **places)
    # What was made before the tests is not what they use.
    assert get_sms().sent("order-42") is None
    setup_test_environment(debug=settings.DEBUG)
    try:
        posted = {"message_id": "SM-1", "form": TO, "content": "STOP"}
        assert Client().post(f"/sms/inbound/{TOKEN}", posted).status_code == 200
        assert run_on_ledger(lambda ledger: ledger.opted_out()) == {int(TO[1:])}
        get_sms().enqueue(TO, TEXT, idempotency_key="order-42")
    finally:
        teardown_test_environment()
    assert get_sms().sent("order-42") is None
    assert run_on_ledger(lambda ledger: ledger.opted_out()) == frozenset()
    assert not (tmp_path / "seen.db").exists()
    assert find_ledger(read_settings()) == places["LEDGER"]


def test_each_ledger_of_the_settings_has_a_file_of_its_own_in_a_test(
    configure: Configure, tests: None, tmp_path: Path
) -> None:
    found = []
    for name in ("one.db", "two.db", "one.db"):
        configure(LEDGER=tmp_path / name)
        found.append(find_ledger(read_settings()))
    configure(LEDGER="postgresql://shop@db.example/sms")
    found.append(find_ledger(read_settings()))
    assert found[0] == found[2]
    assert len({*found}) == 3
    assert not any(tmp_path in Path(str(place)).parents or "://" in str(place) for place in found)


SCRIPT = """
import os, sys
from django.conf import settings
settings.configure(INSTALLED_APPS=["vavasms.django"], VAVASMS={"LEDGER": "/nowhere/sms.db"})
import django
django.setup()
from django.test.utils import setup_test_environment
setup_test_environment()
from vavasms.django.client import find_ledger
from vavasms.django.ledger import run_on_ledger
from vavasms.django.settings import read_settings
run_on_ledger(lambda ledger: ledger.now())
print(find_ledger(read_settings()), flush=True)
if os.fork() == 0:
    run_on_ledger(lambda ledger: ledger.now())
    print(find_ledger(read_settings()), flush=True)
    sys.exit()
os.wait()
assert find_ledger(read_settings()).exists()
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="it forks")
def test_a_process_of_tests_has_a_ledger_of_its_own_and_takes_it_away_at_its_end() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    places = [Path(line) for line in done.stdout.split()]
    assert len({*places}) == 2
    assert not any(place.parent.exists() for place in places)


PROJECT = """
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", **PARTS}}
INSTALLED_APPS = ["vavasms.django"]
ROOT_URLCONF = "shop"
SECRET_KEY = "for a test"
USE_TZ = True
VAVASMS = {"DATABASE": "default", "INBOUND_TOKEN": TOKEN}

from django.urls import include, path
urlpatterns = [path("sms/", include("vavasms.django.urls"))]
"""
TESTS = """
from django.test import TestCase, TransactionTestCase
from vavasms.django import get_sms
from shop import TOKEN

class Stop:
    def test_stop(self):
        posted = {"message_id": "SM-1", "form": "+2250700000001", "content": "STOP"}
        self.assertEqual(self.client.post(f"/sms/inbound/{TOKEN}", posted).status_code, 200)
        self.assertIsNone(get_sms().sent("order-42"))

class StopTest(Stop, TestCase):
    pass

class CommittedStopTest(Stop, TransactionTestCase):
    pass
"""


@pytest.mark.slow
def test_djangos_test_database_is_dropped_though_the_ledger_was_used(
    postgres: str, sandbox: SandboxServer, tmp_path: Path
) -> None:
    with new_database(postgres) as server:
        parts = conninfo_to_dict(server)
        keys = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
        values = {name: str(parts.get(key) or "") for name, key in keys.items()}
        head = f"PARTS = {values!r}\nTOKEN = {TOKEN!r}\n"
        (tmp_path / "shop.py").write_text(head + PROJECT, encoding="utf-8")
        (tmp_path / "tests.py").write_text(TESTS, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "django", "test", "--settings", "shop"],
            cwd=tmp_path,
            env=os.environ | sandbox.settings | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Ran 2 tests" in done.stderr
        with psycopg.connect(postgres) as connection:
            left = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [f"test_{values['NAME']}"]
            )
            assert left.fetchone() is None
