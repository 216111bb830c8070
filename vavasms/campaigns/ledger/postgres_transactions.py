"""The transactions of the PostgreSQL ledger that send: TX1 and TX2, as plain functions of a connection.

READ COMMITTED: each statement sees what was committed before it began. A transaction takes the lock of its
campaign first, then reads. In this order and no other: campaign's lock, batch, caps, budget.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from attrs import evolve, field, frozen

from vavasms.campaigns.ledger.port import LONGEST_DELAY, BatchRecord, Claim, Exclusion
from vavasms.campaigns.ledger.postgres_jobs import wake
from vavasms.campaigns.ledger.rows import (
    DAY,
    DROPPED,
    HINDERED,
    OVER_BUDGET,
    dump_record,
    no_campaign,
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
from vavasms.numbers import Msisdn
from vavasms.storage.postgres import Step, ask, change
from vavasms.storage.postgres_link import Connection
from vavasms.storage.queries import load_queries

SQL: Mapping[str, str] = load_queries("vavasms.campaigns.ledger.sql.postgres", "queries.sql")


@frozen(kw_only=True)
class Held:
    """What a transaction needs to know of its campaign."""

    id: str
    #: Its key within the database.
    seq: int
    #: Its numbers and texts are forgotten.
    purged: bool
    state: CampaignState
    #: Of its limits: see `Campaign.revision`.
    revision: int
    max_segments: int | None
    daily_cap: int | None
    #: As JSON.
    policy: str
    account: str

    @property
    def closed(self) -> bool:
        """Whether nothing of it can be sent any more, not even by a person's word."""
        return self.purged or self.state is CampaignState.CANCELLED

    @classmethod
    def of(cls, campaign_id: str, rows: Sequence[tuple[Any, ...]]) -> Held:
        """Read `select_campaign`'s row. Raises `InvalidInputError` where there is none."""
        if not rows:
            raise no_campaign(campaign_id)
        row = rows[0]
        return cls(
            id=row[1],
            seq=row[0],
            purged=not row[6],
            state=CampaignState(row[2]),
            revision=row[11],
            max_segments=row[12],
            daily_cap=row[13],
            policy=row[7],
            account=row[4],
        )

    async def wake(self, connection: Connection, numbers: Sequence[int]) -> None:
        """Have workers woken for these batches, with the commit."""
        policy = json.loads(self.policy)
        # With a rate they wait for their turn: in one worker's hand nobody else could take them.
        is_paced = isinstance(policy, dict) and policy.get("rate") is not None
        key = {"id": self.id, "campaign": self.seq}
        await wake(connection, key, self.account, numbers, singly=is_paced)


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

    def granted(self, message: str, segments: int, attempt: int, phones: Iterable[int | str]) -> Claim:
        """Make the claim that it became."""
        return Claim(
            campaign_id=self.campaign_id,
            no=self.no,
            token=self.token,
            at=self.now,
            attempt=attempt,
            message=message,
            segments=segments,
            recipients=tuple(map(Msisdn, phones)),
        )


@frozen(kw_only=True)
class Answer:
    """What TX2 writes."""

    campaign_id: str
    no: int
    token: str
    event: BatchEvent
    record: BatchRecord = field(factory=BatchRecord)
    not_before: float = 0.0


async def find(connection: Connection, campaign_id: str) -> tuple[Any, ...]:
    """Give the row of a campaign. Raises `InvalidInputError` where there is none."""
    (rows,) = await ask(connection, (SQL["select_campaign"], {"id": campaign_id}))
    Held.of(campaign_id, rows)
    return rows[0]


async def hold(connection: Connection, campaign_id: str, *, alone: bool = False) -> Held:
    """Lock a campaign till the end of the transaction, shared or alone, and read it."""
    values = {"id": campaign_id}
    lock = SQL["lock_alone" if alone else "lock_shared"]
    _, rows = await ask(connection, (lock, values), (SQL["select_campaign"], values))
    return Held.of(campaign_id, rows)


async def move(
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
    values = {"campaign": seq, "state": target.value, "reason": reason, "revision": revision}
    names = [source.value for source in sources]
    return await change(connection, SQL["move_campaign"], {**values, "sources": names}) == 1


async def requeued(connection: Connection, campaign: Held, numbers: Sequence[int]) -> None:
    """Have a campaign that was done wait for a person; have workers woken for one that runs."""
    if numbers and campaign.state is CampaignState.DONE:
        target = CAMPAIGN_TRANSITIONS[campaign.state, CampaignEvent.REOPEN].value
        reason = waiting_again(len(numbers))
        values = {"campaign": campaign.seq, "state": target, "reason": reason, "revision": None}
        await change(connection, SQL["move_campaign"], {**values, "sources": [campaign.state.value]})
    if numbers and campaign.state is CampaignState.RUNNING:
        await campaign.wake(connection, numbers)


def plain_claims(intents: Sequence[Intent]) -> Step:
    """Give TX1 of batches of one campaign as one statement: a row for each that can be claimed plainly."""
    return SQL["claim_plainly"], {
        "id": intents[0].campaign_id,
        "nos": [each.no for each in intents],
        "tokens": [each.token for each in intents],
        "workers": [each.worker for each in intents],
        "nows": [each.now for each in intents],
        "balances": [_text(each.balance) for each in intents],
        "revisions": [each.revision for each in intents],
    }


async def claim(connection: Connection, intent: Intent) -> Claim | None:
    """TX1: write the intent, with whom it is for; find out why it cannot be."""
    name = {"id": intent.campaign_id}
    due = {**name, "no": intent.no, "now": intent.now, "revision": intent.revision}
    due["latest"] = intent.now + LONGEST_DELAY
    _, rows, found = await ask(
        connection,
        (SQL["lock_shared"], name),
        (SQL["select_campaign"], name),
        (SQL["select_due"], due),
    )
    campaign = Held.of(intent.campaign_id, rows)
    if not found:
        return None
    message, segments, attempt, doubt = found[0]
    recipients = await _include(connection, campaign, intent, is_doubtful=doubt > 0)
    if recipients is None or not await _afford(connection, campaign, intent.no, segments * len(recipients)):
        return None
    key = {"campaign": campaign.seq, "no": intent.no, "balance": _text(intent.balance)}
    values = {"token": intent.token, "worker": intent.worker, "now": intent.now}
    await change(connection, SQL["claim_batch"], {**key, **values})
    return intent.granted(message, segments, attempt + 1, recipients)


async def _include(
    connection: Connection, campaign: Held, intent: Intent, *, is_doubtful: bool
) -> tuple[Msisdn, ...] | None:
    """Leave out for good who opted out, or has had enough messages this day; give who is left.

    None, nobody left out and the batch `unknown`, where that concerns anyone of a doubtful batch: of who may
    have had it nobody can say that it was not sent.
    """
    key = {"campaign": campaign.seq, "no": intent.no}
    if is_doubtful:
        await change(connection, SQL["before_exclusions"], {})
    steps: list[Step] = [(SQL["exclude_opted_out"], key)]
    if campaign.daily_cap is not None:
        cap = {"cap": campaign.daily_cap, "since": intent.now - DAY}
        steps += [(SQL["lock_capped"], key), (SQL["exclude_capped"], {**key, **cap})]
    *done, rows = await ask(connection, *steps, (SQL["select_included"], key))
    # Of `lock_capped` the rows are locks.
    excluded = sum(len(each) for each in done[::2])
    if excluded and is_doubtful:
        why = Exclusion.OPTED_OUT if done[0] else Exclusion.CAPPED
        doubted = {**key, "result": dump_record(HINDERED[why])}
        await ask(connection, (SQL["undo_exclusions"], {}), (SQL["doubt_batch"], doubted))
        return None
    if excluded:
        await change(connection, SQL["add_excluded"], {**key, "excluded": excluded})
    return tuple([Msisdn(phone) for (phone,) in rows])


async def _afford(connection: Connection, campaign: Held, no: int, segments: int) -> bool:
    """Take the segments off the budget.

    False, and the batch cancelled, where nobody is left; False, and the campaign paused, where it does not
    suffice.
    """
    key = {"campaign": campaign.seq, "no": no}
    if not segments:
        await change(connection, SQL["cancel_batch"], key)
        return False
    if campaign.max_segments is None:
        return True
    if await change(connection, SQL["take_segments"], {**key, "segments": segments}):
        return True
    await move(connection, campaign.seq, CampaignEvent.PAUSE, OVER_BUDGET)
    return False


def plain_accepts(answers: Sequence[Answer]) -> Step:
    """Give TX2 of what the gateway took, of one campaign, as one statement: the tokens that still held."""
    return SQL["accept_batches"], {
        "id": answers[0].campaign_id,
        "nos": [each.no for each in answers],
        "tokens": [each.token for each in answers],
        "results": [dump_record(each.record) for each in answers],
        # What a purge took away stays away.
        "purged_results": [dump_record(evolve(each.record, message_ids=())) for each in answers],
    }


async def settle(connection: Connection, answer: Answer, *, alone: bool = False) -> bool:
    """TX2: write what became of a claim, fenced by its token; `alone`: after any claim of this moment."""
    if alone:
        # Whoever comes after it waits behind it; where it has to wait long itself, it is owed.
        await connection.execute("SET LOCAL lock_timeout = '1s'")
    campaign = await hold(connection, answer.campaign_id, alone=alone)
    return await write_answer(connection, campaign, answer)


async def write_answer(connection: Connection, campaign: Held, answer: Answer) -> bool:
    """Do the same in a campaign that is locked already."""
    key = {"campaign": campaign.seq, "no": answer.no, "token": answer.token, "not_before": answer.not_before}
    (rows,) = await ask(connection, (SQL["settle_batch"], {**key, **_fate(campaign, answer)}))
    if not rows:
        return False
    state, segments = rows[0]
    if answer.event not in (BatchEvent.ACCEPT, BatchEvent.LOSE):
        await give_back(connection, campaign, segments)
    if state == BatchState.QUEUED.value:
        await requeued(connection, campaign, [answer.no])
    return True


def _fate(campaign: Held, answer: Answer) -> Mapping[str, Any]:
    """Tell what becomes of a batch, and what of one of which an earlier attempt may have gone out."""
    # What a purge took away stays away.
    record = evolve(answer.record, message_ids=()) if campaign.purged else answer.record
    plain, doubted = [settling(answer.event, doubtful=each, closed=campaign.closed) for each in (False, True)]
    is_over = doubted[-1] is BatchEvent.DOUBT
    is_silent = is_over and answer.event is BatchEvent.TURN_BACK
    return {
        "state": _follow(plain).value,
        "result": dump_record(record),
        "is_over": is_over,
        "doubted": _follow(doubted).value,
        "doubted_result": dump_record(DROPPED if is_silent else record),
    }


def _follow(events: Sequence[BatchEvent]) -> BatchState:
    state = BatchState.SENDING
    for each in events:
        state = BATCH_TRANSITIONS[state, each]
    return state


def _text(balance: Decimal | None) -> str | None:
    return None if balance is None else str(balance)


async def cancel_queued(connection: Connection, campaign: Held) -> None:
    """Have what waits never sent; what may have been sent before is unknown."""
    key = {"campaign": campaign.seq}
    doubted = {**key, "result": dump_record(DROPPED)}
    await ask(connection, (SQL["cancel_queued"], key), (SQL["doubt_queued"], doubted))


async def give_back(connection: Connection, campaign: Held, segments: int) -> None:
    """Count these segments as not spent."""
    if campaign.max_segments is not None:
        values = {"campaign": campaign.seq, "segments": segments}
        await change(connection, SQL["give_back_segments"], values)
