"""`--detach`: let a campaign run and leave, workers carry it."""

from __future__ import annotations

import anyio

from vavasms.campaigns.ledger.base import CampaignStatus
from vavasms.cli import exit_codes, output
from vavasms.cli.commands.campaign.params import open_existing, repeat_option
from vavasms.cli.commands.campaign.status_view import make_object
from vavasms.errors import InvalidInputError


def hand_over(campaign_id: str, ledger: str | None, *, as_json: bool) -> int:
    """Let a campaign run, and say who carries it and how to follow it; give the exit code.

    Raises `InvalidInputError` for a campaign that has ended.
    """
    status = anyio.run(_start, campaign_id, ledger)
    if as_json:
        output.print_json({"event": "detach", **make_object(status)})
    else:
        _introduce(status, repeat_option(ledger))
    return exit_codes.DONE


async def _start(campaign_id: str, ledger: str | None) -> CampaignStatus:
    async with open_existing(ledger) as opened:
        started = await opened.start(campaign_id)
        status = await opened.status(campaign_id)
    if started:
        return status
    raise InvalidInputError(
        f"The campaign {campaign_id!r} is {status.state.value}: nothing of it is left to send."
    )


def _introduce(status: CampaignStatus, option: str) -> None:
    waiting = output.count(status.queued, "recipient")
    output.say(f"\nLeft to the workers: {waiting} to send to.", style="bold")
    steps = {
        "To follow it": f"campaign status {status.id}",
        "To stop it": f"campaign pause {status.id}",
        "To start a worker": "worker",
    }
    for words, command in steps.items():
        output.say(f"{words + ':':<26}vavasms {command}{option}")
