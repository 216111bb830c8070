"""`campaign plan`."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

import anyio
from attrs import evolve, fields

from vavasms.campaigns.planning.history import History, read_history
from vavasms.campaigns.planning.lists import Listing
from vavasms.campaigns.planning.loader import plan_listing
from vavasms.campaigns.planning.plan import CampaignPlan
from vavasms.campaigns.planning.refused import RefusedFile
from vavasms.campaigns.policy import Policy, finishing_time
from vavasms.cli import output, settings
from vavasms.cli.commands.campaign.options import PlanOptions, read_campaign_text
from vavasms.cli.commands.campaign.plan_view import make_object, show_plan
from vavasms.cli.excel import Excel
from vavasms.cli.ledger_option import LedgerPath, find_ledger, open_place
from vavasms.cli.message_input import uses_stdin
from vavasms.cli.params import Contacts, JsonFlag, open_contacts
from vavasms.cli.refused import RefusedPath, open_refused
from vavasms.cli.shell import quote
from vavasms.errors import VavaSMSError
from vavasms.i18n import gettext as _
from vavasms.ledger.rows import no_campaign
from vavasms.storage.location import Place, is_there

_WIDTH = 76


def plan(
    contacts: Contacts,
    /,
    *,
    options: PlanOptions = PlanOptions(),  # noqa: B008  frozen; refused where nothing was given
    refused: RefusedPath = None,
    excel: Excel = False,
    ledger: LedgerPath = None,
    as_json: JsonFlag = False,
) -> None:
    """Work out what a campaign would do and cost. Nothing is sent."""
    policy, place = options.policy(), find_ledger(ledger)
    # A plan makes no ledger where there is none.
    known = None if isinstance(place, Path) and not is_there(place) else place
    text = read_campaign_text(options, contacts)
    with open_refused(refused, contacts, excel=excel) as file:
        outlook = anyio.run(_plan, open_contacts(contacts), text, options, policy, known, file)
    if as_json:
        output.print_json(make_object(outlook))
        return
    show_plan(outlook, policy, folded=options.fold)
    head = _("Nothing was sent. To send exactly this:")
    output.say(f"\n{head}", style="bold")
    output.say(_command(contacts, options, outlook, ledger))


async def _plan(
    source: Path | BinaryIO,
    text: str,
    options: PlanOptions,
    policy: Policy,
    ledger: Place | None,
    refused: RefusedFile | None,
) -> CampaignPlan:
    listing = Listing(contacts=source, **options.reading())
    history = await _read_history(ledger, options.exclude_campaign)
    outlook = await plan_listing(
        listing,
        text,
        batch_size=policy.request_size,
        history=history,
        on_left_out=None if refused is None else refused.on_left_out,
    )
    recipients, requests = outlook.recipients, outlook.requests
    ends_at = finishing_time(policy, messages=recipients, requests=requests, starts=time.time())
    return evolve(outlook, cost=policy.cost(outlook.segments), balance=await _balance(), ends_at=ends_at)


async def _read_history(place: Place | None, exclude: Sequence[str]) -> History:
    if place is None:
        if exclude:
            raise no_campaign(exclude[0])
        return History()
    async with open_place(place) as ledger:
        return await read_history(ledger, exclude=exclude, now=time.time())


async def _balance() -> Decimal | None:
    """Return the balance where the settings name an account and it answers."""
    try:
        async with settings.make_async_client(max_connections=1) as sms:
            return (await sms.balance()).amount
    except VavaSMSError:
        return None


def _command(contacts: str, options: PlanOptions, plan: CampaignPlan, ledger: str | None) -> str:
    """Return the command that sends what was planned."""
    # The same draw: a seed that was drawn is said.
    options = evolve(options, seed=plan.seed)
    parts = [f"vavasms campaign run {quote(contacts)}"]
    for option in fields(PlanOptions):
        value = getattr(options, option.name)
        if value != option.default:
            name = f"--{option.name.replace('_', '-')}"
            for each in value if isinstance(value, tuple) else (value,):
                written = f"{each:g}" if isinstance(each, float) else str(each)
                parts.append(name if each is True else f"{name} {quote(written)}")
    if ledger is not None:
        parts.append(f"--ledger {quote(ledger)}")
    # Where the list or the text comes from standard input, nobody can be asked.
    piped = contacts == "-" or uses_stdin(options.message, options.message_file)
    return _fill([*parts, f"--plan {plan.hash}", *(["--yes"] if piped else [])])


def _fill(parts: list[str]) -> str:
    """Break a command where options begin, in a way that shells read as one line."""
    lines = [f"  {parts[0]}"]
    for part in parts[1:]:
        if os.name == "posix" and len(lines[-1]) + len(part) > _WIDTH:
            lines[-1] += " \\"
            lines.append(f"    {part}")
        else:
            lines[-1] += f" {part}"
    return "\n".join(lines)
