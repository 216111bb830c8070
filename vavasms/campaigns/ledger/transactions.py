"""The transactions of the SQLite ledger that send: TX1 and TX2, as plain functions of a connection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from sqlite3 import Connection
from typing import Any

from attrs import evolve, frozen

from vavasms.campaigns.ledger.port import LONGEST_DELAY, BatchRecord, Claim, Exclusion, NewBatch
from vavasms.campaigns.ledger.rows import (
    DAY,
    DROPPED,
    HINDERED,
    OVER_BUDGET,
    PURGE_ROWS,
    PURGE_STEPS,
    dump_record,
    no_campaign,
    still_going,
    waiting_again,
)
from vavasms.campaigns.states import (
    BATCH_TRANSITIONS,
    CAMPAIGN_TRANSITIONS,
    BatchEvent,
    BatchState,
    CampaignEvent,
    CampaignState,
    campaign_sources,
    settling,
)
from vavasms.errors import InvalidInputError
from vavasms.numbers import Msisdn
from vavasms.storage.queries import load_queries

SQL: Mapping[str, str] = load_queries("vavasms.campaigns.ledger.sql.sqlite", "queries.sql")


@frozen(kw_only=True)
class Held:
    """What a transaction needs to know of its campaign."""

    #: Its key within the file.
    seq: int
    #: Its numbers and texts are forgotten.
    purged: bool
    state: CampaignState
    #: Of its limits: see `Campaign.revision`.
    revision: int
    max_segments: int | None
    daily_cap: int | None
    committed: int

    @property
    def closed(self) -> bool:
        """Whether nothing of it can be sent any more, not even by a person's word."""
        return self.purged or self.state is CampaignState.CANCELLED


@frozen(kw_only=True)
class Intent:
    """What TX1 writes."""

    campaign_id: str
    no: int
    token: str
    worker: str
    now: float
    balance: Decimal | None
    revision: int | None = None


def find(connection: Connection, campaign_id: str) -> tuple[Any, ...]:
    """Give the row of a campaign. Raises `InvalidInputError` where there is none."""
    row: tuple[Any, ...] | None = connection.execute(SQL["select_campaign"], {"id": campaign_id}).fetchone()
    if row is None:
        raise no_campaign(campaign_id)
    return row


def hold(connection: Connection, campaign_id: str) -> Held:
    """Give what a transaction needs of a campaign."""
    row = find(connection, campaign_id)
    return Held(
        seq=row[0],
        purged=not row[6],
        state=CampaignState(row[2]),
        revision=row[11],
        max_segments=row[12],
        daily_cap=row[13],
        committed=row[14],
    )


def find_same(connection: Connection, campaign: Held, plan_hash: str) -> str | None:
    """Give the id of another campaign that says the same to the same: see `Ledger.finish_loading`."""
    key = {"campaign": campaign.seq, "plan_hash": plan_hash}
    row = connection.execute(SQL["select_same_plan"], key).fetchone()
    return None if row is None else str(row[0])


def move(
    connection: Connection,
    seq: int,
    event: CampaignEvent,
    reason: str | None = None,
    *,
    revision: int | None = None,
) -> bool:
    """Move a campaign by the table; False where its state or revision does not allow it. Not for `REOPEN`."""
    sources = campaign_sources(event)
    (target,) = {CAMPAIGN_TRANSITIONS[source, event] for source in sources}
    done = connection.execute(
        SQL["move_campaign"],
        {
            "campaign": seq,
            "state": target.value,
            "reason": reason,
            "revision": revision,
            "sources": json.dumps([source.value for source in sources]),
        },
    )
    return done.rowcount == 1


def reopen(connection: Connection, campaign: Held, batches: int) -> None:
    """Let a campaign that was done wait for a person: something of it is queued again."""
    if batches and campaign.state is CampaignState.DONE:
        values = {"campaign": campaign.seq, "sources": json.dumps([campaign.state.value])}
        target = CAMPAIGN_TRANSITIONS[campaign.state, CampaignEvent.REOPEN].value
        reason = waiting_again(batches)
        connection.execute(
            SQL["move_campaign"], {**values, "state": target, "reason": reason, "revision": None}
        )


def insert(connection: Connection, seq: int, batch: NewBatch) -> None:
    """Add a batch of a new campaign."""
    key = {"campaign": seq, "no": batch.no}
    # A number in the wire's form is JSON as it stands.
    connection.execute(SQL["insert_recipients"], {**key, "phones": f"[{','.join(batch.recipients)}]"})
    row = {"segments": batch.segments, "n": len(batch.recipients), "excluded": 0, "message": batch.message}
    connection.execute(SQL["insert_batch"], {**key, **row, "sending_at": None, "doubt": 0})


def drop_queued(connection: Connection, seq: int) -> None:
    """Have what is queued never sent; an earlier attempt that may have gone out stays unknown."""
    connection.execute(SQL["cancel_queued"], {"campaign": seq})
    _doubt(connection, {"campaign": seq, "no": None}, DROPPED)


def claim(connection: Connection, intent: Intent) -> Claim | None:
    """TX1: write the intent, with whom it is for."""
    campaign = hold(connection, intent.campaign_id)
    key = {"campaign": campaign.seq, "no": intent.no}
    due = {"now": intent.now, "latest": intent.now + LONGEST_DELAY}
    row = connection.execute(SQL["select_due"], {**key, **due}).fetchone()
    if row is None or campaign.state is not CampaignState.RUNNING:
        return None
    if intent.revision not in (None, campaign.revision):
        return None
    message, segments, attempt, doubt = row
    if doubt:
        hindrance = _find_hindrance(connection, campaign, key, intent.now)
        if hindrance is not None:
            _doubt(connection, key, HINDERED[hindrance])
            return None
    else:
        _exclude(connection, campaign, key, intent.now)
    found = connection.execute(SQL["select_included"], key).fetchall()
    if not found:
        connection.execute(SQL["cancel_batch"], key)
        return None
    if not _afford(connection, campaign, segments * len(found)):
        return None
    balance = None if intent.balance is None else str(intent.balance)
    values = {"token": intent.token, "worker": intent.worker, "now": intent.now, "balance": balance}
    connection.execute(SQL["claim_batch"], {**key, **values})
    return Claim(
        campaign_id=intent.campaign_id,
        no=intent.no,
        token=intent.token,
        at=intent.now,
        attempt=attempt + 1,
        message=message,
        segments=segments,
        recipients=tuple([Msisdn(phone) for (phone,) in found]),
    )


def settle(
    connection: Connection,
    key: tuple[str, int, str],
    event: BatchEvent,
    record: BatchRecord,
    not_before: float,
) -> bool:
    """TX2: write what became of a claim, fenced by its token."""
    campaign_id, no, token = key
    campaign = hold(connection, campaign_id)
    fence = {"campaign": campaign.seq, "no": no, "token": token}
    row = connection.execute(SQL["select_attempt"], fence).fetchone()
    if row is None:
        return False
    doubt, segments = row
    state, steps = BatchState.SENDING, settling(event, doubtful=doubt > 0, closed=campaign.closed)
    for step in steps:
        state = BATCH_TRANSITIONS[state, step]
    over = steps[-1] is BatchEvent.DOUBT
    left = doubt - over
    kept = DROPPED if over and event is BatchEvent.TURN_BACK else _keepable(record, campaign)
    values = {"state": state.value, "result": dump_record(kept), "not_before": not_before}
    connection.execute(SQL["settle_batch"], {**fence, **values, "doubt": left, "over": over})
    if event not in (BatchEvent.ACCEPT, BatchEvent.LOSE):
        give_back(connection, campaign.seq, segments)
    reopen(connection, campaign, int(state is BatchState.QUEUED))
    return True


def split(connection: Connection, claim: Claim) -> tuple[int, int] | None:
    """Put two queued batches in the place of one that was refused as a whole."""
    campaign = hold(connection, claim.campaign_id)
    key = {"campaign": campaign.seq, "no": claim.no}
    row = connection.execute(SQL["select_fenced"], {**key, "token": claim.token}).fetchone()
    if row is None:
        return None
    if campaign.purged:
        # Nobody is left to part: it is as good as never sent.
        fenced = (claim.campaign_id, claim.no, claim.token)
        settle(connection, fenced, BatchEvent.TURN_BACK, BatchRecord(), 0.0)
        return None
    message, segments, sending_at, doubt = row
    if len(claim.recipients) == 1:
        raise InvalidInputError(f"Batch {claim.no} has one recipient: it cannot be halved.")
    half = {**key, "half": len(claim.recipients) // 2}
    (middle,) = connection.execute(SQL["select_middle"], half).fetchone()
    (last,) = connection.execute(SQL["select_last_no"], key).fetchone()
    connection.execute(SQL["delete_batch"], key)
    spans = ((last + 1, 0, middle), (last + 2, middle, 1 << 62))
    for new, first, end in spans:
        connection.execute(SQL["move_recipients"], {**key, "new": new, "first": first, "end": end})
        connection.execute(SQL["move_addressees"], {"campaign": campaign.seq, "new": new})
        n, excluded = connection.execute(
            SQL["count_recipients"], {"campaign": campaign.seq, "no": new}
        ).fetchone()
        values = {"segments": segments, "n": n, "excluded": excluded, "message": message}
        half = {"campaign": campaign.seq, "no": new, "sending_at": sending_at, "doubt": doubt}
        connection.execute(SQL["insert_batch"], {**half, **values})
    reopen(connection, campaign, len(spans))
    if campaign.state is CampaignState.CANCELLED:
        drop_queued(connection, campaign.seq)
    give_back(connection, campaign.seq, segments * len(claim.recipients))
    return last + 1, last + 2


def begin_purge(connection: Connection, campaign_id: str) -> None:
    """Forget the texts of a campaign that has ended; nothing of it is kept or sent from now on."""
    campaign = hold(connection, campaign_id)
    if campaign.state not in (CampaignState.DONE, CampaignState.CANCELLED):
        raise still_going(campaign_id, campaign.state, "purged")
    for name in ("purge_batches", "purge_campaign"):
        connection.execute(SQL[name], {"campaign": campaign.seq})


def purge_rows(connection: Connection, campaign_id: str) -> bool:
    """Delete some of a purged campaign's recipients and deliveries; return whether there may be more."""
    key = {"campaign": hold(connection, campaign_id).seq, "rows": PURGE_ROWS}
    # In this order: addressees are found through the recipients.
    counts = [connection.execute(SQL[name], key).rowcount for name in PURGE_STEPS]
    return max(counts) >= PURGE_ROWS


def give_back(connection: Connection, seq: int, segments: int) -> None:
    """Count these segments as not spent."""
    connection.execute(SQL["commit_segments"], {"campaign": seq, "segments": -segments})


def _keepable(record: BatchRecord, campaign: Held) -> BatchRecord:
    """Give what may be kept of an answer: no message ids of what is forgotten."""
    return evolve(record, message_ids=()) if campaign.purged else record


def _doubt(connection: Connection, key: dict[str, Any], record: BatchRecord) -> None:
    """Leave to a person what was queued to be sent again; where `no` is None, all of the campaign."""
    connection.execute(SQL["doubt_queued"], {**key, "result": dump_record(record)})


def _find_hindrance(
    connection: Connection, campaign: Held, key: dict[str, int], now: float
) -> Exclusion | None:
    """Say why someone of a batch may not be sent to."""
    if connection.execute(SQL["has_opted_out"], key).fetchone()[0]:
        return Exclusion.OPTED_OUT
    cap = {"cap": campaign.daily_cap, "since": now - DAY}
    if campaign.daily_cap is not None and connection.execute(SQL["has_capped"], {**key, **cap}).fetchone()[0]:
        return Exclusion.CAPPED
    return None


def _exclude(connection: Connection, campaign: Held, key: dict[str, int], now: float) -> None:
    """Leave out for good who opted out, or has had enough messages this day."""
    excluded = connection.execute(SQL["exclude_opted_out"], key).rowcount
    if campaign.daily_cap is not None:
        cap = {"cap": campaign.daily_cap, "since": now - DAY}
        excluded += connection.execute(SQL["exclude_capped"], {**key, **cap}).rowcount
    if excluded:
        connection.execute(SQL["add_excluded"], {**key, "excluded": excluded})


def _afford(connection: Connection, campaign: Held, segments: int) -> bool:
    """Take the segments off the budget; False, and the campaign paused, where it does not suffice."""
    if campaign.max_segments is None:
        return True
    if campaign.committed + segments > campaign.max_segments:
        move(connection, campaign.seq, CampaignEvent.PAUSE, OVER_BUDGET)
        return False
    connection.execute(SQL["commit_segments"], {"campaign": campaign.seq, "segments": segments})
    return True
