"""All checks, side by side where none depends on another, each with an end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import anyio
from attrs import field, frozen

from vavasms.client import AsyncVavaSMS
from vavasms.config import Secret
from vavasms.doctor.account import check_credentials
from vavasms.doctor.findings import Finding, FindingState, skipped, unreached
from vavasms.doctor.inbound import check_inbound
from vavasms.doctor.ledger import check_ledger
from vavasms.doctor.local import check_versions
from vavasms.doctor.network import check_gateway
from vavasms.i18n import gettext as _
from vavasms.storage.location import Place

#: In the order in which they are told.
NAMES = (
    "versions",
    "dotenv",
    "proxy",
    "dns",
    "connection",
    "tls",
    "clock",
    "credentials",
    "sender",
    "ledger",
    "schema",
    "workers",
    "inbound",
)


@frozen(kw_only=True)
class Installation:
    """What is examined. In the place of what cannot be, the finding that says why."""

    dotenv: Finding
    #: The base URL.
    gateway: str | Finding = field(repr=False)
    client: AsyncVavaSMS | Finding = field(repr=False)
    sender: Finding
    ledger: Place | Finding
    #: What a command needs so that it finds that ledger.
    ledger_option: str = ""
    inbound: Secret | Finding | None


async def examine(installation: Installation) -> Sequence[Finding]:
    """Run every check and return what they found, in the order of `NAMES`. Sends nothing, costs nothing."""
    found: list[Finding] = [installation.dotenv, installation.sender]

    async def run(name: str, check: Callable[[], Awaitable[Sequence[Finding]]]) -> None:
        try:
            found.extend(await check())
        except Exception as error:  # noqa: BLE001  the others go on, and what it says may be a secret
            found.append(_fail(name, error))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, "versions", _check_versions)
        tasks.start_soon(run, "connection", lambda: _check_account(installation))
        tasks.start_soon(run, "ledger", lambda: _check_ledger(installation))
        tasks.start_soon(run, "inbound", lambda: _check_inbound(installation))
    return sorted(found, key=lambda finding: NAMES.index(finding.name))


def _fail(name: str, error: Exception) -> Finding:
    return unreached(
        name,
        _("The check itself failed ({why}).", why=type(error).__name__),
        _("Send this report to whoever maintains vavasms."),
    )


async def _check_versions() -> Sequence[Finding]:
    return [check_versions()]


async def _check_account(installation: Installation) -> Sequence[Finding]:
    if isinstance(installation.gateway, Finding):
        found = [installation.gateway]
    else:
        found = await check_gateway(installation.gateway)
    if isinstance(installation.client, Finding):
        return [*found, installation.client]
    if not _is_reached(found):
        return [*found, skipped("credentials", _("the gateway was not reached"))]
    return [*found, await check_credentials(installation.client)]


def _is_reached(found: Sequence[Finding]) -> bool:
    states = {finding.name: finding.state for finding in found}
    return (
        states.get("connection") in (FindingState.GOOD, FindingState.WARNING)
        and states.get("tls") is not FindingState.BAD
    )


async def _check_ledger(installation: Installation) -> Sequence[Finding]:
    if isinstance(installation.ledger, Finding):
        return [installation.ledger]
    return await check_ledger(installation.ledger, installation.ledger_option)


async def _check_inbound(installation: Installation) -> Sequence[Finding]:
    if isinstance(installation.inbound, Finding):
        return [installation.inbound]
    return [await check_inbound(installation.inbound)]
