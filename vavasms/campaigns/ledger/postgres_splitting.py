"""The transaction of the PostgreSQL ledger that halves a lot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vavasms.campaigns.ledger import postgres_transactions as tx
from vavasms.campaigns.ledger.port import Claim
from vavasms.campaigns.ledger.postgres_transactions import SQL
from vavasms.campaigns.states import BatchEvent, CampaignState
from vavasms.errors import InvalidInputError
from vavasms.storage.postgres import Step, ask
from vavasms.storage.postgres_link import Connection


async def split(connection: Connection, claim: Claim) -> tuple[int, int] | None:
    """Put two queued batches in the place of one that was refused as a whole."""
    campaign = await tx.hold(connection, claim.campaign_id, alone=True)
    key = {"campaign": campaign.seq, "no": claim.no}
    half = {**key, "half": len(claim.recipients) // 2}
    fenced, middle, last = await ask(
        connection,
        (SQL["select_fenced"], {**key, "token": claim.token}),
        (SQL["select_middle"], half),
        (SQL["select_last_no"], key),
    )
    if not fenced:
        return None
    if campaign.purged:
        # Nobody is left to part: it is as good as never sent.
        answer = tx.Answer(
            campaign_id=claim.campaign_id, no=claim.no, token=claim.token, event=BatchEvent.TURN_BACK
        )
        await tx.write_answer(connection, campaign, answer)
        return None
    if len(claim.recipients) == 1:
        raise InvalidInputError(f"Batch {claim.no} has one recipient: it cannot be halved.")
    first, second = last[0][0] + 1, last[0][0] + 2
    await _halve(connection, key, fenced[0], {first: (0, middle[0][0]), second: (middle[0][0], 2**31 - 1)})
    if campaign.state is CampaignState.CANCELLED:
        await tx.cancel_queued(connection, campaign)
    await tx.give_back(connection, campaign, fenced[0][1] * len(claim.recipients))
    await tx.requeued(connection, campaign, (first, second))
    return first, second


async def _halve(
    connection: Connection,
    key: Mapping[str, int],
    batch: tuple[Any, ...],
    spans: Mapping[int, tuple[int, int]],
) -> None:
    """Move the recipients of a batch, by their places, into new ones like it."""
    message, segments, sending_at, doubt = batch
    like = {"message": message, "segments": segments, "sending_at": sending_at, "doubt": doubt}
    steps: list[Step] = [(SQL["delete_batch"], key)]
    for new, (first, end) in spans.items():
        place = {**key, "new": new, "first": first, "end": end}
        steps += [
            (SQL["move_recipients"], place),
            (SQL["move_addressees"], place),
            (SQL["insert_half"], {**place, **like}),
        ]
    await ask(connection, *steps)
