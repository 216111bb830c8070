"""A project in this process: its settings, its tables, its outbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from psycopg.conninfo import conninfo_to_dict

from tests.django_settings import configure_django
from vavasms.django.backends.locmem import outbox
from vavasms.django.process import forget_settings
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
    """Have the tables of the project in its SQLite file, and their rows for this test alone."""
    yield
    call_command("flush", verbosity=0, interactive=False)
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
