"""The one client of the process: made when it is first needed, closed at its end, anew after a fork."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import Any
from urllib.parse import quote, urlencode

from django.db import connections

from vavasms.config import misconfigured
from vavasms.django import settings
from vavasms.django.settings import AppSettings
from vavasms.forks import forget_at_fork
from vavasms.i18n import gettext as _
from vavasms.sync.client import VavaSMS
from vavasms.tracebacks import hide_frames

#: What `OPTIONS` of a database may say that is libpq's, beside what begins with `ssl`.
_LIBPQ = ("service", "passfile", "options", "connect_timeout", "target_session_attrs", "channel_binding")


class ProcessClient:
    """A client that all threads of a process share."""

    def __init__(self, *, is_sandbox: bool) -> None:
        self._is_sandbox = is_sandbox
        self._client: VavaSMS | None = None
        self._lock = RLock()
        forget_at_fork(self, ProcessClient._forget)

    def _forget(self) -> None:
        """Take a lock of one's own in a forked child; the client itself begins afresh there."""
        self._lock = RLock()

    def get(self) -> VavaSMS:
        """Return the client. Raises `ConfigurationError` where the settings do not suffice."""
        with self._lock:
            if self._client is None:
                found = settings.read_settings()
                account = found.make_account(is_sandbox=self._is_sandbox)
                self._client = VavaSMS(**account, **found.options, ledger=find_ledger(found))
            return self._client

    def close(self) -> None:
        """Close it, once what is under way is over; the next call makes another."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()


_gateway, _sandbox = ProcessClient(is_sandbox=False), ProcessClient(is_sandbox=True)
#: What else holds something of the settings, and gives it up.
_closers: list[Callable[[], object]] = [_gateway.close, _sandbox.close]


@hide_frames
def get_sms() -> VavaSMS:
    """Return the process's client: for the balance, one-time codes, what `send_sms` does not do.

    It is thread-safe, and is not to be closed. It blocks: in an async view call it by `sync_to_async`.
    Raises `ConfigurationError` where the settings do not suffice.
    """
    return find_client(is_sandbox=settings.read_settings().backend == "sandbox").get()


def find_client(*, is_sandbox: bool) -> ProcessClient:
    """Return the holder of the client of the gateway's account, or of the sandbox's."""
    return _sandbox if is_sandbox else _gateway


def close_with_settings(close: Callable[[], object]) -> None:
    """Register what is to be closed when the settings change, and at the end of the process."""
    _closers.append(close)


def forget_settings(*, setting: str = "VAVASMS", **_signal: Any) -> None:
    """Close what was made of the settings, once a test overrides them."""
    if setting in ("VAVASMS", "DATABASES"):
        settings.forget()
        close_all()


def close_all() -> None:
    """Close everything that was made of the settings; it is made anew when it is next needed."""
    for close in reversed(_closers):
        close()


@atexit.register
def _close_at_exit() -> None:
    # The outcomes are in the ledger by now; what fails here would only hide what ended the process.
    with suppress(Exception):
        close_all()


def find_ledger(found: AppSettings) -> str | Path | None:
    """Return where the ledger is; None without one. Of a database it is a connection string, a secret."""
    alias = found.get("DATABASE")
    if alias is None:
        ledger = found.get("LEDGER")
        return ledger if ledger is None or isinstance(ledger, Path) else str(ledger)
    return write_url(connections[alias].settings_dict)


def write_url(database: dict[str, Any]) -> str:
    """Return one of `DATABASES` as a connection string.

    Raises `ConfigurationError` for one without a name.
    """
    options = database.get("OPTIONS") or {}
    parts = {
        "dbname": database.get("NAME"),
        "user": database.get("USER"),
        "password": database.get("PASSWORD"),
        "host": database.get("HOST"),
        "port": database.get("PORT"),
        **{name: value for name, value in options.items() if name in _LIBPQ or name.startswith("ssl")},
    }
    if not parts["dbname"] and not parts.get("service"):
        raise misconfigured(_("The database that VAVASMS['DATABASE'] names has no NAME."), "config.django")
    filled = {name: str(value) for name, value in parts.items() if value not in (None, "")}
    # Libpq takes a plus for itself, and no blank.
    return f"postgresql://?{urlencode(filled, quote_via=quote)}"
