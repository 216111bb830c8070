"""The transactions of the PostgreSQL ledger that send: TX1 and TX2, as plain functions of a connection.

READ COMMITTED: each statement sees what was committed before it began. A transaction takes the lock of its
campaign first, then reads. In this order and no other: campaign's lock, batch, caps, budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve

from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.ledger.models import Claim, Exclusion
from vavasms.ledger.postgres.jobs import wake
from vavasms.ledger.rows import (
    DROPPED,
    HINDERED,
    OVER_BUDGET,
    CampaignRow,
    Intent,
    Settlement,
    dump_record,
    read_campaign,
    waiting_again,
)
from vavasms.ledger.states import BatchEvent, BatchState, CampaignEvent, CampaignState
from vavasms.storage.postgres.connection import Connection
from vavasms.storage.postgres.database import Rows, Step, ask, change
from vavasms.storage.queries import load_queries

SQL: Mapping[str, str] = load_queries("vavasms.ledger.postgres", "queries.sql")


async def find(connection: Connection, campaign_id: str) -> CampaignRow:
    """Return a campaign. Raises `InvalidInputError` where there is none."""
    (rows,) = await ask(connection, (SQL["select_campaign"], {"id": campaign_id}))
    return _read_only(campaign_id, rows)


async def hold(connection: Connection, campaign_id: str, *, alone: bool = False) -> CampaignRow:
    """Lock a campaign till the end of the transaction, shared or alone, and return it."""
    values = {"id": campaign_id}
    lock = SQL["lock_alone" if alone else "lock_shared"]
    _locked, rows = await ask(connection, (lock, values), (SQL["select_campaign"], values))
    return _read_only(campaign_id, rows)


async def execute(connection: Connection, campaign: CampaignRow, query: str, **values: Any) -> int:
    """Run a statement about a campaign; return how many rows it touched."""
    return await change(connection, SQL[query], {"campaign": campaign.seq, **values})


def _read_only(campaign_id: str, rows: Rows) -> CampaignRow:
    return read_campaign(campaign_id, rows[0] if rows else None)


async def move(
    connection: Connection,
    campaign: CampaignRow,
    event: CampaignEvent,
    reason: str | None = None,
    *,
    revision: int | None = None,
) -> bool:
    """Move a campaign by the table; False where its state or revision does not allow it."""
    values = campaign.move(event, reason, revision)
    return values is not None and await change(connection, SQL["move_campaign"], values) == 1


async def requeued(connection: Connection, campaign: CampaignRow, numbers: Sequence[int]) -> None:
    """Reopen a campaign that was done; wake workers for one that runs."""
    if numbers and campaign.state is CampaignState.DONE:
        await move(connection, campaign, CampaignEvent.REOPEN, waiting_again(len(numbers)))
    if numbers and campaign.state is CampaignState.RUNNING:
        await wake(connection, campaign, numbers)


def plain_claims(intents: Sequence[Intent]) -> Step:
    """Build TX1 of batches of one campaign as one statement: a row for each that can be claimed plainly."""
    return SQL["claim_plainly"], {
        "id": intents[0].campaign_id,
        "numbers": [intent.number for intent in intents],
        "tokens": [intent.token for intent in intents],
        "workers": [intent.worker for intent in intents],
        "nows": [intent.now for intent in intents],
        "balances": [intent.balance_text for intent in intents],
        "revisions": [intent.revision for intent in intents],
    }


async def claim(connection: Connection, intent: Intent) -> Claim | None:
    """TX1: write the intent, with whom it is for; find out why it cannot be."""
    key = {"id": intent.campaign_id}
    _locked, campaigns, due = await ask(
        connection,
        (SQL["lock_shared"], key),
        (SQL["select_campaign"], key),
        (SQL["select_due"], intent.values),
    )
    campaign = _read_only(intent.campaign_id, campaigns)
    if not due:
        return None
    message, segments, attempt, unknown_attempts = due[0]
    values = {**intent.values, "campaign": campaign.seq, "cap": campaign.daily_cap}
    phones = await _include(connection, values, maybe_sent=unknown_attempts > 0)
    if phones is None or not await _afford(connection, campaign, intent.number, segments * len(phones)):
        return None
    await change(connection, SQL["claim_batch"], values)
    return intent.grant(message, segments, attempt + 1, phones)


async def _include(
    connection: Connection, values: Mapping[str, Any], *, maybe_sent: bool
) -> list[int] | None:
    """Leave out for good who opted out, or has had enough messages this day; return who is left.

    None, nobody left out and the batch `unknown`, where that concerns anyone of a doubtful batch: of who may
    have had it nobody can say that it was not sent.
    """
    if maybe_sent:
        await connection.execute("SAVEPOINT exclusions")
    names = ["exclude_opted_out"]
    if values["cap"] is not None:
        names += ["lock_capped", "exclude_capped"]
    *done, rows = await ask(connection, *[(SQL[name], values) for name in (*names, "select_included")])
    # Of `lock_capped` the rows are locks.
    excluded = sum(len(recipients) for recipients in done[::2])
    if excluded and maybe_sent:
        reason = HINDERED[Exclusion.OPTED_OUT if done[0] else Exclusion.CAPPED]
        await connection.execute("ROLLBACK TO exclusions")
        await change(connection, SQL["drop_resends"], {**values, "result": dump_record(reason)})
        return None
    if excluded:
        await change(connection, SQL["add_excluded"], {**values, "excluded": excluded})
    return [phone for (phone,) in rows]


async def _afford(connection: Connection, campaign: CampaignRow, number: int, segments: int) -> bool:
    """Take the segments off the budget.

    False, and the batch cancelled, where nobody is left; False, and the campaign paused, where it does not
    suffice.
    """
    if not segments:
        await execute(connection, campaign, "cancel_batch", number=number)
        return False
    if campaign.max_segments is None or await execute(
        connection, campaign, "take_segments", segments=segments
    ):
        return True
    await move(connection, campaign, CampaignEvent.PAUSE, OVER_BUDGET)
    return False


def plain_accepts(answers: Sequence[Settlement]) -> Step:
    """Build TX2 of what the gateway took, of one campaign, as one statement: the tokens that still held."""
    return SQL["accept_batches"], {
        "id": answers[0].campaign_id,
        "numbers": [answer.number for answer in answers],
        "tokens": [answer.token for answer in answers],
        "results": [dump_record(answer.record) for answer in answers],
        # What a purge took away stays away.
        "purged_results": [dump_record(evolve(answer.record, message_ids=())) for answer in answers],
    }


async def settle(connection: Connection, answer: Settlement, *, alone: bool = False) -> bool:
    """TX2: write what became of a claim, fenced by its token; `alone`: after any claim of this moment."""
    if alone:
        # Whoever comes after it waits behind it; where it has to wait long itself, it is owed.
        await connection.execute("SET LOCAL lock_timeout = '1s'")
    campaign = await hold(connection, answer.campaign_id, alone=alone)
    fence = {"campaign": campaign.seq, "number": answer.number, "token": answer.token}
    (rows,) = await ask(connection, (SQL["select_attempt"], fence))
    if not rows:
        return False
    _message, segments, messages, _at, unknown_attempts = rows[0]
    state, values = answer.settle(campaign, unknown_attempts)
    await change(connection, SQL["settle_batch"], {**fence, **values})
    if answer.is_unspent:
        await execute(connection, campaign, "give_back_segments", segments=segments * messages)
    await requeued(connection, campaign, [answer.number] if state is BatchState.QUEUED else [])
    return True


async def split(connection: Connection, claim: Claim) -> tuple[int, int] | None:
    """Put two queued batches in the place of one that was refused as a whole."""
    campaign = await hold(connection, claim.campaign_id, alone=True)
    key = {"campaign": campaign.seq, "number": claim.number, "token": claim.token}
    attempt, middle, last = await ask(
        connection,
        (SQL["select_attempt"], key),
        (SQL["select_middle"], {**key, "half": len(claim.recipients) // 2}),
        (SQL["select_last_number"], key),
    )
    if not attempt:
        return None
    if campaign.purged:
        # Nobody is left to part: it is as good as never sent.
        await settle(connection, Settlement(claim.campaign_id, claim.number, claim.token, BatchEvent.REQUEUE))
        return None
    message, segments, messages, sending_at, unknown_attempts = attempt[0]
    if messages == 1:
        raise InvalidInputError(
            _("Batch {number} has one recipient: it cannot be halved.", number=str(claim.number)),
            error_code="campaign.one_recipient",
        )
    first, second = last[0][0] + 1, last[0][0] + 2
    copied = {
        "message": message,
        "segments": segments,
        "sending_at": sending_at,
        "unknown_attempts": unknown_attempts,
    }
    steps: list[Step] = [(SQL["delete_batch"], key)]
    for new, start, end in ((first, 0, middle[0][0]), (second, middle[0][0], 2**31 - 1)):
        half = {**key, **copied, "new": new, "first": start, "end": end}
        steps += [(SQL[query], half) for query in ("move_recipients", "move_addressees", "insert_half")]
    await ask(connection, *steps)
    if campaign.state is CampaignState.CANCELLED:
        await cancel_queued(connection, campaign)
    await execute(connection, campaign, "give_back_segments", segments=segments * messages)
    await requeued(connection, campaign, (first, second))
    return first, second


async def cancel_queued(connection: Connection, campaign: CampaignRow) -> None:
    """Cancel what waits; what may have been sent before is unknown."""
    key = {"campaign": campaign.seq, "number": None, "result": dump_record(DROPPED)}
    await ask(connection, (SQL["cancel_queued"], key), (SQL["drop_resends"], key))
