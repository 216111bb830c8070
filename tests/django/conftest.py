"""A project in this process: its settings, its tables, its outbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings

from tests.django_settings import configure_django
from vavasms.django.backends.locmem import outbox
from vavasms.django.client import forget_settings
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
