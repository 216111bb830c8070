"""A project in this process: its settings, its tables, its outbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from psycopg.conninfo import conninfo_to_dict

from tests.django_settings import configure_django
from vavasms.django.backends.locmem import outbox
from vavasms.django.process import forget_settings
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.sandbox import SandboxServer

configure_django()

Configure = Callable[..., None]


@pytest.fixture
def configure(sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """Yield what sets `VAVASMS`; unless it says otherwise the account is the sandbox's."""
    for name in sandbox.settings:
        monkeypatch.delenv(name, raising=False)
    account = {name.removeprefix("VAVASMS_"): value for name, value in sandbox.settings.items()}

    def configure(*, bare: bool = False, **values: Any) -> None:
        monkeypatch.setattr(settings, "VAVASMS", values if bare else account | values, raising=False)
        forget_settings()

    configure()
    yield configure
    monkeypatch.undo()
    forget_settings()
    outbox.clear()


@pytest.fixture(scope="session")
def _tables() -> None:
    call_command("migrate", verbosity=0)


@pytest.fixture
def tables(_tables: None) -> Iterator[None]:
    """Make the tables of the project in its SQLite file, and their rows for this test alone."""
    yield
    # Not `flush`, which makes all permissions anew.
    for name in ("vavasms.PendingSend", "admin.LogEntry", "auth.User", "auth.Group", "sessions.Session"):
        apps.get_model(name).objects.all().delete()
    connections.close_all()


@pytest.fixture
def shop(postgres: str) -> Iterator[str]:
    """Yield the alias of a database of PostgreSQL with the project's tables."""
    values = conninfo_to_dict(postgres)
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    settings.DATABASES["shop"] = {
        "ENGINE": "django.db.backends.postgresql",
        **{name: str(values.get(key) or "") for name, key in names.items()},
    }
    connections.settings = connections.configure_settings(settings.DATABASES)
    call_command("migrate", database="shop", verbosity=0)
    yield "shop"
    connections["shop"].close()
    del connections["shop"]
    del settings.DATABASES["shop"]
    connections.settings.pop("shop", None)


@pytest.fixture
def file(configure: Configure, tables: None, tmp_path: Path) -> str:
    """Return the alias of a project on SQLite, with its ledger in a file."""
    configure(LEDGER=tmp_path / "sms.db")
    return "default"


@pytest.fixture
def database(configure: Configure, shop: str, postgres: str) -> str:
    """Return the alias of a project on PostgreSQL, which is the ledger."""

    async def create() -> None:
        await (await PostgresLedger.open(postgres)).aclose()

    anyio.run(create)
    configure(DATABASE=shop)
    return shop


@pytest.fixture
def url(configure: Configure, database: str) -> str:
    """Return the same where the ledger is named by its connection string."""
    parts = connections[database].settings_dict
    configure(LEDGER=f"postgresql://{parts['USER']}@/{parts['NAME']}?host={parts['HOST']}")
    return database
