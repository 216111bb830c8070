"""The transactions of the SQLite ledger that send: TX1 and TX2, as plain functions of a connection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from sqlite3 import Connection
from typing import Any

from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.ledger.models import Claim, Exclusion, NewBatch
from vavasms.ledger.rows import (
    DROPPED,
    HINDERED,
    OVER_BUDGET,
    PURGE_ROWS,
    PURGE_STEPS,
    CampaignRow,
    Intent,
    Settlement,
    dump_cells,
    dump_record,
    read_campaign,
    still_going,
    waiting_again,
)
from vavasms.ledger.states import BatchEvent, BatchState, CampaignEvent, CampaignState
from vavasms.storage.queries import load_queries

SQL: Mapping[str, str] = load_queries("vavasms.ledger.sqlite", "queries.sql")


def find(connection: Connection, campaign_id: str) -> CampaignRow:
    """Return a campaign. Raises `InvalidInputError` where there is none."""
    row = connection.execute(SQL["select_campaign"], {"id": campaign_id}).fetchone()
    return read_campaign(campaign_id, row)


def select(connection: Connection, campaign: CampaignRow, query: str, **values: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query about a campaign."""
    return connection.execute(SQL[query], {"campaign": campaign.seq, **values}).fetchall()


def execute(connection: Connection, campaign: CampaignRow, query: str, **values: Any) -> int:
    """Run a statement about a campaign; return how many rows it touched."""
    return connection.execute(SQL[query], {"campaign": campaign.seq, **values}).rowcount


def find_same(connection: Connection, campaign: CampaignRow, plan_hash: str) -> str | None:
    """Return the id of another campaign that says the same to the same: see `Ledger.finish_loading`."""
    rows = select(connection, campaign, "select_same_plan", plan_hash=plan_hash)
    return str(rows[0][0]) if rows else None


def move(
    connection: Connection,
    campaign: CampaignRow,
    event: CampaignEvent,
    reason: str | None = None,
    *,
    revision: int | None = None,
) -> bool:
    """Move a campaign by the table; False where its state or revision does not allow it."""
    values = campaign.move(event, reason, revision)
    return values is not None and connection.execute(SQL["move_campaign"], values).rowcount == 1


def reopen(connection: Connection, campaign: CampaignRow, batches: int) -> None:
    """Reopen a campaign that was done: something of it is queued again, and waits for a person."""
    if batches and campaign.state is CampaignState.DONE:
        move(connection, campaign, CampaignEvent.REOPEN, waiting_again(batches))


def insert(connection: Connection, campaign: CampaignRow, batch: NewBatch) -> None:
    """Add a batch of a new campaign."""
    if batch.kept:
        rows = json.dumps(list(zip(map(int, batch.recipients), map(dump_cells, batch.kept), strict=True)))
        execute(connection, campaign, "insert_kept_recipients", number=batch.number, rows=rows)
    else:
        # A number in the wire's form is JSON as it stands.
        phones = f"[{','.join(batch.recipients)}]"
        execute(connection, campaign, "insert_recipients", number=batch.number, phones=phones)
    row = {
        "number": batch.number,
        "segments": batch.segments,
        "size": len(batch.recipients),
        "message": batch.message,
    }
    execute(connection, campaign, "insert_batch", **row)


def cancel_queued(connection: Connection, campaign: CampaignRow) -> None:
    """Cancel what is queued; what may have been sent before is unknown."""
    execute(connection, campaign, "cancel_queued")
    execute(connection, campaign, "drop_resends", number=None, result=dump_record(DROPPED))


def claim(connection: Connection, intent: Intent) -> Claim | None:
    """TX1: write the intent, with whom it is for."""
    campaign = find(connection, intent.campaign_id)
    values = {**intent.values, "cap": campaign.daily_cap}
    rows = select(connection, campaign, "select_due", **values)
    if not rows:
        return None
    message, segments, attempt, unknown_attempts = rows[0]
    phones = _include(connection, campaign, values, maybe_sent=unknown_attempts > 0)
    if phones is None or not _afford(connection, campaign, intent.number, segments * len(phones)):
        return None
    execute(connection, campaign, "claim_batch", **values)
    return intent.grant(message, segments, attempt + 1, phones)


def _include(
    connection: Connection, campaign: CampaignRow, values: Mapping[str, Any], *, maybe_sent: bool
) -> list[int] | None:
    """Leave out for good who opted out, or has had enough messages this day; return who is left.

    None, nobody left out and the batch `unknown`, where that concerns anyone of a doubtful batch: of who may
    have had it nobody can say that it was not sent.
    """
    if maybe_sent:
        connection.execute("SAVEPOINT exclusions")
    opted_out = execute(connection, campaign, "exclude_opted_out", **values)
    capped = 0 if values["cap"] is None else execute(connection, campaign, "exclude_capped", **values)
    if maybe_sent and opted_out + capped:
        connection.execute("ROLLBACK TO exclusions")
        reason = HINDERED[Exclusion.OPTED_OUT if opted_out else Exclusion.CAPPED]
        execute(connection, campaign, "drop_resends", number=values["number"], result=dump_record(reason))
        return None
    if opted_out + capped:
        execute(connection, campaign, "add_excluded", number=values["number"], excluded=opted_out + capped)
    return [phone for (phone,) in select(connection, campaign, "select_included", number=values["number"])]


def _afford(connection: Connection, campaign: CampaignRow, number: int, segments: int) -> bool:
    """Take the segments off the budget.

    False, and the batch cancelled, where nobody is left; False, and the campaign paused, where it does not
    suffice.
    """
    if not segments:
        execute(connection, campaign, "cancel_batch", number=number)
        return False
    if campaign.max_segments is None or execute(connection, campaign, "take_segments", segments=segments):
        return True
    move(connection, campaign, CampaignEvent.PAUSE, OVER_BUDGET)
    return False


def settle(connection: Connection, answer: Settlement) -> bool:
    """TX2: write what became of a claim, fenced by its token."""
    campaign = find(connection, answer.campaign_id)
    fence = {"number": answer.number, "token": answer.token}
    rows = select(connection, campaign, "select_attempt", **fence)
    if not rows:
        return False
    _message, segments, messages, _at, unknown_attempts = rows[0]
    state, values = answer.settle(campaign, unknown_attempts)
    execute(connection, campaign, "settle_batch", **fence, **values)
    if answer.is_unspent:
        execute(connection, campaign, "give_back_segments", segments=segments * messages)
    reopen(connection, campaign, int(state is BatchState.QUEUED))
    return True


def split(connection: Connection, claim: Claim) -> tuple[int, int] | None:
    """Put two queued batches in the place of one that was refused as a whole."""
    campaign = find(connection, claim.campaign_id)
    fence = {"number": claim.number, "token": claim.token}
    rows = select(connection, campaign, "select_attempt", **fence)
    if not rows:
        return None
    if campaign.purged:
        # Nobody is left to part: it is as good as never sent.
        settle(connection, Settlement(claim.campaign_id, claim.number, claim.token, BatchEvent.REQUEUE))
        return None
    message, segments, messages, sending_at, unknown_attempts = rows[0]
    if messages == 1:
        raise InvalidInputError(
            _("Batch {number} has one recipient: it cannot be halved.", number=str(claim.number)),
            error_code="campaign.one_recipient",
        )
    ((middle,),) = select(connection, campaign, "select_middle", number=claim.number, half=messages // 2)
    ((last,),) = select(connection, campaign, "select_last_number")
    execute(connection, campaign, "delete_batch", number=claim.number)
    copied = {
        "message": message,
        "segments": segments,
        "sending_at": sending_at,
        "unknown_attempts": unknown_attempts,
    }
    for new, first, end in ((last + 1, 0, middle), (last + 2, middle, 1 << 62)):
        execute(connection, campaign, "move_recipients", number=claim.number, new=new, first=first, end=end)
        execute(connection, campaign, "move_addressees", new=new)
        execute(connection, campaign, "insert_half", new=new, **copied)
    reopen(connection, campaign, 2)
    if campaign.state is CampaignState.CANCELLED:
        cancel_queued(connection, campaign)
    execute(connection, campaign, "give_back_segments", segments=segments * messages)
    return last + 1, last + 2


def begin_purge(connection: Connection, campaign: CampaignRow) -> None:
    """Forget the texts of a campaign that has ended; nothing of it is kept or sent from now on."""
    if campaign.state not in (CampaignState.DONE, CampaignState.CANCELLED):
        raise still_going(campaign.id, campaign.state, "purged")
    execute(connection, campaign, "purge_batches")
    execute(connection, campaign, "purge_campaign")


def purge_rows(connection: Connection, campaign: CampaignRow) -> bool:
    """Delete some of a purged campaign's recipients and deliveries; return whether there may be more."""
    # In this order: addressees are found through the recipients.
    counts = [execute(connection, campaign, query, rows=PURGE_ROWS) for query in PURGE_STEPS]
    return max(counts) >= PURGE_ROWS
