"""The batches whose outcome is unknown, as `campaign resolve` shows them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from decimal import Decimal

from vavasms.campaigns.ledger.base import StoredBatch
from vavasms.campaigns.policy import Policy
from vavasms.cli import output
from vavasms.cli.commands.campaign.params import moment

_WIDTH = 76


def included(batch: StoredBatch) -> int:
    """Count the recipients that were sent to, those left out at the claim not."""
    return sum(exclusion is None for _, exclusion in batch.recipients)


def is_purged(batches: Sequence[StoredBatch]) -> bool:
    """Say whether the numbers are forgotten: nobody is left to decide on."""
    return bool(batches) and not any(batch.recipients for batch in batches)


def risk(batch: StoredBatch) -> int:
    """Give the segments that were perhaps paid, and would be once more."""
    return included(batch) * batch.segments


def make_object(batch: StoredBatch, policy: Policy) -> dict[str, object]:
    """Give a batch as JSON has it."""
    return {
        "batch": batch.no,
        "recipients": included(batch),
        "segments": risk(batch),
        "cost": policy.cost(risk(batch)),
        "sent_at": None if batch.sending_at is None else moment(batch.sending_at),
        "error": batch.record.error,
        "lot_id": batch.record.lot_id or None,
        "message_ids": batch.record.message_ids,
        "balance_before": batch.balance_before,
        "balance_after": batch.balance_after,
    }


def show_unknown(campaign_id: str, batches: Sequence[StoredBatch], policy: Policy) -> None:
    """Show each batch with what it may cost and what hints at its fate."""
    name = output.clean(campaign_id)
    if not batches:
        output.say(f"Nothing of the campaign {name} is unknown.")
        return
    if is_purged(batches):
        output.say(f"What is unknown of the campaign {name} stays so: its numbers are forgotten.")
        return
    people = output.count(sum(map(included, batches)), "recipient")
    price = _price(sum(map(risk, batches)), policy)
    output.say(f"Of {people} of the campaign {name} it is unknown whether the SMS was sent.", style="bold")
    output.say(f"At risk, once more if they are sent again: {price}.")
    for batch in batches:
        _show_batch(batch, policy)
    output.say()


def _show_batch(batch: StoredBatch, policy: Policy) -> None:
    when = "" if batch.sending_at is None else f", sent at {moment(batch.sending_at)}"
    people = output.count(included(batch), "recipient")
    output.say()
    output.say(f"Batch {batch.no}: {people}{when}, {_price(risk(batch), policy)}")
    error = output.clean(batch.record.error or "No word is kept of what happened.")
    output.say(textwrap.indent(textwrap.fill(error, _WIDTH), "  "))
    if batch.record.lot_id:
        output.say(f"  The gateway named the lot {output.clean(batch.record.lot_id)}.")
    output.say(f"  {_hint(batch.balance_before, batch.balance_after)}")


def _price(segments: int, policy: Policy) -> str:
    cost = policy.cost(segments)
    counted = output.count(segments, "segment")
    return counted if cost is None else f"{counted}, {output.number(cost):,} XOF"


def _hint(before: Decimal | None, after: Decimal | None) -> str:
    if before is None or after is None:
        return "The balance was not read on both sides of it."
    change = f"{output.number(before):,} XOF before it, {output.number(after):,} XOF after"
    return f"Balance: {change} ({output.number(after - before):+,}; other batches count in it)."
