"""The one client of the process: made when it is first needed, closed at its end, anew after a fork."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from django.db import connections

from vavasms.config import misconfigured
from vavasms.django import settings
from vavasms.django.location import find_options
from vavasms.django.process import ProcessValue
from vavasms.django.settings import AppSettings
from vavasms.i18n import gettext as _
from vavasms.sync.client import VavaSMS
from vavasms.tracebacks import hide_frames


def _make(*, is_sandbox: bool) -> VavaSMS:
    found = settings.read_settings()
    return VavaSMS(**found.make_account(is_sandbox=is_sandbox), **found.options, ledger=find_ledger(found))


_gateway = ProcessValue(partial(_make, is_sandbox=False), VavaSMS.close)
_sandbox = ProcessValue(partial(_make, is_sandbox=True), VavaSMS.close)


@hide_frames
def get_sms() -> VavaSMS:
    """Return the process's client: for the balance, one-time codes, what `send_sms` does not do.

    It is thread-safe, and is not to be closed. It blocks: in an async view call it by `sync_to_async`.
    Raises `ConfigurationError` where the settings do not suffice.
    """
    return find_client(is_sandbox=settings.read_settings().is_sandbox)


def find_client(*, is_sandbox: bool) -> VavaSMS:
    """Return the client of the gateway's account, or of the sandbox's."""
    return (_sandbox if is_sandbox else _gateway).get()


def find_ledger(found: AppSettings) -> str | Path | None:
    """Return where the ledger is; None without one. Of a database it is a connection string, a secret."""
    alias = found.get("DATABASE")
    if alias is None:
        ledger = found.get("LEDGER")
        return ledger if ledger is None or isinstance(ledger, Path) else str(ledger)
    return write_url(connections[alias].settings_dict)


def write_url(database: dict[str, Any]) -> str:
    """Return one of `DATABASES` as a connection string, with every option that libpq knows.

    What of `OPTIONS` is Django's own is not carried: `assume_role`, `pool`, `isolation_level`.
    Raises `ConfigurationError` for one without a name.
    """
    options = find_options(database)
    if "dbname" not in options and "service" not in options:
        raise misconfigured(
            _("The database that `VAVASMS['DATABASE']` names has no `NAME`."), "config.django"
        )
    # Libpq takes a plus for itself, and no blank.
    return f"postgresql://?{urlencode(options, quote_via=quote)}"
