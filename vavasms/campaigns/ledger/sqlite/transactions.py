"""The transactions of the SQLite ledger that send: TX1 and TX2, as plain functions of a connection."""

from __future__ import annotations

from collections.abc import Mapping
from sqlite3 import Connection
from typing import Any

from vavasms.campaigns.ledger.models import BatchRecord, Claim, Exclusion, NewBatch
from vavasms.campaigns.ledger.rows import (
    DROPPED,
    HINDERED,
    OVER_BUDGET,
    PURGE_ROWS,
    PURGE_STEPS,
    CampaignRow,
    Intent,
    Settlement,
    dump_record,
    read_campaign,
    still_going,
    waiting_again,
)
from vavasms.campaigns.states import BatchEvent, BatchState, CampaignEvent, CampaignState
from vavasms.errors import InvalidInputError
from vavasms.storage.queries import load_queries

SQL: Mapping[str, str] = load_queries("vavasms.campaigns.ledger.sqlite", "queries.sql")


def find(connection: Connection, campaign_id: str) -> CampaignRow:
    """Return a campaign. Raises `InvalidInputError` where there is none."""
    row = connection.execute(SQL["select_campaign"], {"id": campaign_id}).fetchone()
    return read_campaign(campaign_id, row)


def find_same(connection: Connection, campaign: CampaignRow, plan_hash: str) -> str | None:
    """Return the id of another campaign that says the same to the same: see `Ledger.finish_loading`."""
    key = {"campaign": campaign.seq, "plan_hash": plan_hash}
    row = connection.execute(SQL["select_same_plan"], key).fetchone()
    return None if row is None else str(row[0])


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


def insert(connection: Connection, seq: int, batch: NewBatch) -> None:
    """Add a batch of a new campaign."""
    key = {"campaign": seq, "no": batch.no}
    # A number in the wire's form is JSON as it stands.
    connection.execute(SQL["insert_recipients"], {**key, "phones": f"[{','.join(batch.recipients)}]"})
    row = {"segments": batch.segments, "n": len(batch.recipients), "message": batch.message}
    connection.execute(SQL["insert_batch"], {**key, **row})


def cancel_queued(connection: Connection, campaign: CampaignRow) -> None:
    """Cancel what is queued; what may have been sent before is unknown."""
    connection.execute(SQL["cancel_queued"], {"campaign": campaign.seq})
    _doubt(connection, {"campaign": campaign.seq, "no": None}, DROPPED)


def claim(connection: Connection, intent: Intent) -> Claim | None:
    """TX1: write the intent, with whom it is for."""
    campaign = find(connection, intent.campaign_id)
    values = {**intent.values, "campaign": campaign.seq, "cap": campaign.daily_cap}
    row = connection.execute(SQL["select_due"], values).fetchone()
    if row is None:
        return None
    message, segments, attempt, doubt = row
    phones = _include(connection, values, is_doubtful=doubt > 0)
    if phones is None or not _afford(connection, campaign, intent.no, segments * len(phones)):
        return None
    connection.execute(SQL["claim_batch"], values)
    return intent.grant(message, segments, attempt + 1, phones)


def _include(connection: Connection, values: Mapping[str, Any], *, is_doubtful: bool) -> list[int] | None:
    """Leave out for good who opted out, or has had enough messages this day; return who is left.

    None, nobody left out and the batch `unknown`, where that concerns anyone of a doubtful batch: of who may
    have had it nobody can say that it was not sent.
    """
    if is_doubtful:
        connection.execute("SAVEPOINT exclusions")
    opted_out = connection.execute(SQL["exclude_opted_out"], values).rowcount
    capped = 0 if values["cap"] is None else connection.execute(SQL["exclude_capped"], values).rowcount
    if is_doubtful and opted_out + capped:
        connection.execute("ROLLBACK TO exclusions")
        _doubt(connection, values, HINDERED[Exclusion.OPTED_OUT if opted_out else Exclusion.CAPPED])
        return None
    if opted_out + capped:
        connection.execute(SQL["add_excluded"], {**values, "excluded": opted_out + capped})
    return [phone for (phone,) in connection.execute(SQL["select_included"], values)]


def _afford(connection: Connection, campaign: CampaignRow, no: int, segments: int) -> bool:
    """Take the segments off the budget.

    False, and the batch cancelled, where nobody is left; False, and the campaign paused, where it does not
    suffice.
    """
    key = {"campaign": campaign.seq, "no": no}
    if not segments:
        connection.execute(SQL["cancel_batch"], key)
        return False
    if campaign.max_segments is None:
        return True
    if connection.execute(SQL["take_segments"], {**key, "segments": segments}).rowcount:
        return True
    move(connection, campaign, CampaignEvent.PAUSE, OVER_BUDGET)
    return False


def settle(connection: Connection, answer: Settlement) -> bool:
    """TX2: write what became of a claim, fenced by its token."""
    campaign = find(connection, answer.campaign_id)
    fence = {"campaign": campaign.seq, "no": answer.no, "token": answer.token}
    row = connection.execute(SQL["select_attempt"], fence).fetchone()
    if row is None:
        return False
    _, segments, messages, _, doubt = row
    state, values = answer.settle(campaign, doubt)
    connection.execute(SQL["settle_batch"], {**fence, **values})
    if answer.is_unspent:
        _give_back(connection, campaign, segments * messages)
    reopen(connection, campaign, int(state is BatchState.QUEUED))
    return True


def split(connection: Connection, claim: Claim) -> tuple[int, int] | None:
    """Put two queued batches in the place of one that was refused as a whole."""
    campaign = find(connection, claim.campaign_id)
    key = {"campaign": campaign.seq, "no": claim.no, "token": claim.token}
    row = connection.execute(SQL["select_attempt"], key).fetchone()
    if row is None:
        return None
    if campaign.purged:
        # Nobody is left to part: it is as good as never sent.
        settle(connection, Settlement(claim.campaign_id, claim.no, claim.token, BatchEvent.REQUEUE))
        return None
    message, segments, messages, sending_at, doubt = row
    if messages == 1:
        raise InvalidInputError(f"Batch {claim.no} has one recipient: it cannot be halved.")
    (middle,) = connection.execute(SQL["select_middle"], {**key, "half": messages // 2}).fetchone()
    (last,) = connection.execute(SQL["select_last_no"], key).fetchone()
    connection.execute(SQL["delete_batch"], key)
    like = {"message": message, "segments": segments, "sending_at": sending_at, "doubt": doubt}
    for new, first, end in ((last + 1, 0, middle), (last + 2, middle, 1 << 62)):
        for name in ("move_recipients", "move_addressees", "insert_half"):
            connection.execute(SQL[name], {**key, **like, "new": new, "first": first, "end": end})
    reopen(connection, campaign, 2)
    if campaign.state is CampaignState.CANCELLED:
        cancel_queued(connection, campaign)
    _give_back(connection, campaign, segments * messages)
    return last + 1, last + 2


def begin_purge(connection: Connection, campaign_id: str) -> None:
    """Forget the texts of a campaign that has ended; nothing of it is kept or sent from now on."""
    campaign = find(connection, campaign_id)
    if campaign.state not in (CampaignState.DONE, CampaignState.CANCELLED):
        raise still_going(campaign_id, campaign.state, "purged")
    for name in ("purge_batches", "purge_campaign"):
        connection.execute(SQL[name], {"campaign": campaign.seq})


def purge_rows(connection: Connection, campaign_id: str) -> bool:
    """Delete some of a purged campaign's recipients and deliveries; return whether there may be more."""
    key = {"campaign": find(connection, campaign_id).seq, "rows": PURGE_ROWS}
    # In this order: addressees are found through the recipients.
    counts = [connection.execute(SQL[name], key).rowcount for name in PURGE_STEPS]
    return max(counts) >= PURGE_ROWS


def _give_back(connection: Connection, campaign: CampaignRow, segments: int) -> None:
    """Count these segments as not spent."""
    connection.execute(SQL["give_back_segments"], {"campaign": campaign.seq, "segments": segments})


def _doubt(connection: Connection, key: Mapping[str, Any], record: BatchRecord) -> None:
    """Leave to a person what was queued to be sent again; where `no` is None, all of the campaign."""
    connection.execute(SQL["doubt_queued"], {**key, "result": dump_record(record)})
