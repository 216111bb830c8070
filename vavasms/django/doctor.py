"""What `manage.py vavasms_doctor` examines: the account, the gateway and the ledger of the settings."""

from __future__ import annotations

import os
from collections.abc import Sequence

from vavasms.client import AsyncVavaSMS
from vavasms.config import DEFAULT_BASE_URL, Timeouts, check_base_url
from vavasms.django.client import find_ledger
from vavasms.django.settings import AppSettings, read_settings
from vavasms.doctor.account import check_sender
from vavasms.doctor.checks import Installation, examine
from vavasms.doctor.findings import Finding, misset, skipped
from vavasms.errors import VavaSMSError
from vavasms.i18n import gettext as _
from vavasms.i18n import translate
from vavasms.storage.location import Place, read_place

#: The balance is waited for no longer than anything else here.
_TIMEOUTS = Timeouts(connect=5.0, write=5.0, pool=5.0, read=8.0)
#: What a project has not.
_ELSEWHERE = {"dotenv"}


async def examine_project() -> Sequence[Finding]:
    """Run every check and return what they found. Sends nothing, costs nothing.

    Raises `ConfigurationError` for a setting that a system check refuses.
    """
    found = read_settings()
    account = found.make_account(is_sandbox=found.is_sandbox)
    client: AsyncVavaSMS | Finding
    try:
        options = {**found.options, "max_connections": 1, "timeouts": _TIMEOUTS}
        client = AsyncVavaSMS(**account, **options)
    except VavaSMSError as error:
        client = misset("credentials", translate(error.args[0]), _("Correct {setting}.", setting="VAVASMS"))
    try:
        findings = await examine(
            Installation(
                dotenv=skipped("dotenv", _("the settings of the project say everything")),
                gateway=_find_gateway(account),
                client=client,
                sender=check_sender(_find(account, "sender_id"), _find(account, "username")),
                ledger=_find_place(found),
                inbound=None,
            )
        )
    finally:
        if isinstance(client, AsyncVavaSMS):
            await client.aclose()
    return [finding for finding in findings if finding.name not in _ELSEWHERE]


def _find(account: dict[str, str], name: str) -> str | None:
    """Return a setting as the client finds it."""
    return account.get(name) or os.environ.get(f"VAVASMS_{name.upper()}")


def _find_gateway(account: dict[str, str]) -> str | Finding:
    try:
        return check_base_url(_find(account, "base_url") or DEFAULT_BASE_URL)
    except VavaSMSError as error:
        return misset(
            "connection", translate(error.args[0]), _("Correct {setting}.", setting="VAVASMS['BASE_URL']")
        )


def _find_place(found: AppSettings) -> Place | Finding:
    place = find_ledger(found)
    if place is None:
        return skipped("ledger", _("the settings name none"))
    return read_place(str(place))
