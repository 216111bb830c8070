"""Between the rows of a SQL ledger and its values, for every engine. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

from attrs import evolve, fields, frozen

from vavasms.errors import InvalidInputError
from vavasms.i18n import Sentence, ngettext
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.models import (
    LONGEST_DELAY,
    BatchRecord,
    Campaign,
    CampaignStatus,
    Claim,
    Delivery,
    Exclusion,
    OptOut,
    QueuedBatch,
    StoredBatch,
)
from vavasms.ledger.states import (
    BATCH_TRANSITIONS,
    CAMPAIGN_TRANSITIONS,
    BatchEvent,
    BatchState,
    CampaignEvent,
    CampaignState,
    settle_events,
)
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn

#: Of a batch whose worker died while it was sending.
DIED = BatchRecord(
    error="OutcomeUnknownError: " + N_("The process ended while this was being sent."),
    code="outcome.unknown.interrupted",
)
#: Of a batch that was queued in a file of which nobody knows what was sent since.
RECOVERED = BatchRecord(error=N_("The ledger was recovered: this may have been sent."))
#: Of a batch that was queued to be sent again, and was dropped.
DROPPED = BatchRecord(
    error=N_("It was to be sent again and was not; the earlier attempt's outcome is unknown.")
)
#: Of a batch that was to be sent again, by why one of its recipients may not be sent to.
HINDERED: Mapping[Exclusion, BatchRecord] = MappingProxyType(
    {
        Exclusion.OPTED_OUT: BatchRecord(error=N_("A recipient opted out since: decide by hand.")),
        Exclusion.CAPPED: BatchRecord(error=N_("A recipient is over the daily cap: decide by hand.")),
    }
)
LOADING_ENDED = N_("loading was interrupted; nothing was sent")
LEDGER_RECOVERED = N_("the ledger was recovered")
OVER_BUDGET = N_("the budget does not suffice for the next batch")
_STILL_GOING: Mapping[str, str] = MappingProxyType(
    {
        "loaded": N_("The campaign {id} {is_state}: it cannot be loaded."),
        "purged": N_("The campaign {id} {is_state}: it cannot be purged."),
        "excluded": N_("The campaign {id} {is_state}: exclude it once its list is whole. Nothing was sent."),
        "retried": N_("The campaign {id} {is_state}: resume or cancel it, and retry it once it has ended."),
    }
)
#: Within a sentence, behind the campaign's name: French has to agree with it.
_IN_A_STATE: Mapping[CampaignState, str] = MappingProxyType(
    {
        CampaignState.LOADING: N_("is loading"),
        CampaignState.QUEUED: N_("is queued"),
        CampaignState.RUNNING: N_("is running"),
        CampaignState.PAUSED: N_("is paused"),
        CampaignState.CANCELLED: N_("is cancelled"),
        CampaignState.DONE: N_("is done"),
    }
)
#: The seconds of a day, as a recipient's cap counts it: rolling.
DAY = 86_400.0
#: Rows that a purge deletes in one transaction: whoever sends meanwhile writes in between.
PURGE_ROWS = 20_000
PURGE_STEPS = ("purge_addressees", "purge_recipients", "purge_deliveries")
#: Seconds between two of them.
PURGE_PAUSE = 0.1
#: Seconds by which the clocks of those who share a rate may differ; one that goes back further was set back.
CLOCK_SKEW = 5.0


@frozen(kw_only=True)
class CampaignRow(Campaign):
    """A campaign as a transaction reads it."""

    #: Its key within the database.
    seq: int
    max_segments: int | None
    daily_cap: int | None

    @property
    def purged(self) -> bool:
        """Whether its numbers and texts are forgotten."""
        return not self.message

    @property
    def closed(self) -> bool:
        """Whether nothing of it can be sent any more, not even by a person's word."""
        return self.purged or self.state is CampaignState.CANCELLED

    @property
    def public(self) -> Campaign:
        """What a ledger returns of it."""
        return Campaign(**{field.name: getattr(self, field.name) for field in fields(Campaign)})

    def move(
        self, event: CampaignEvent, reason: str | None, revision: int | None
    ) -> Mapping[str, Any] | None:
        """Return the values of `move_campaign`; None where its state or revision does not allow the event."""
        target = CAMPAIGN_TRANSITIONS.get((self.state, event))
        if target is None or revision not in (None, self.revision):
            return None
        states = {"source": self.state.value, "state": target.value}
        return {"campaign": self.seq, "reason": reason, **states}


class Intent(NamedTuple):
    """What TX1 writes."""

    campaign_id: str
    number: int
    token: str
    worker: str
    now: float
    balance: Decimal | None = None
    revision: int | None = None

    @property
    def values(self) -> dict[str, Any]:
        """What the queries of TX1 take, besides what they take of the campaign."""
        times = {"latest": self.now + LONGEST_DELAY, "since": self.now - DAY}
        return {**self._asdict(), **times, "balance": self.balance_text}

    @property
    def balance_text(self) -> str | None:
        """The balance as it is stored."""
        return None if self.balance is None else str(self.balance)

    def grant(self, message: str, segments: int, attempt: int, phones: Iterable[int | str]) -> Claim:
        """Build the claim that it became."""
        return Claim(
            campaign_id=self.campaign_id,
            number=self.number,
            token=self.token,
            at=self.now,
            attempt=attempt,
            message=message,
            segments=segments,
            recipients=tuple(map(Msisdn, phones)),
        )


class Settlement(NamedTuple):
    """What TX2 writes."""

    campaign_id: str
    number: int
    token: str
    event: BatchEvent
    record: BatchRecord = BatchRecord()
    not_before: float = 0.0

    @property
    def is_unspent(self) -> bool:
        """Whether it says that nothing was sent."""
        return self.event not in (BatchEvent.ACCEPT, BatchEvent.MARK_UNKNOWN)

    def settle(self, campaign: CampaignRow, unknown_attempts: int) -> tuple[BatchState, Mapping[str, Any]]:
        """Return what becomes of the batch, and the values of `settle_batch`.

        `unknown_attempts` counts the earlier attempts that may have gone out.
        """
        state, steps = (
            BatchState.SENDING,
            settle_events(self.event, maybe_sent=unknown_attempts > 0, closed=campaign.closed),
        )
        for step in steps:
            state = BATCH_TRANSITIONS[state, step]
        # The earlier attempt's outcome is the batch's own again: no answer to any attempt counts now.
        is_dropped = steps[-1] is BatchEvent.DROP_RESEND
        # What a purge took away stays away.
        record = evolve(self.record, message_ids=()) if campaign.purged else self.record
        if is_dropped and self.event is BatchEvent.REQUEUE:
            record = DROPPED
        kept = {
            "unknown_attempts": unknown_attempts - is_dropped,
            "kept_token": None if is_dropped else self.token,
        }
        values = {"state": state.value, "result": dump_record(record), "not_before": self.not_before}
        return state, {**values, **kept}


def shift_arrival(tat: float, at: float, now: float) -> tuple[float, float]:
    """Return a rate's arrival time and its latest time by the clock as it is now.

    What is reserved ahead of the clock stays ahead of it by as much where it was set back.
    """
    return (tat - (at - now), now) if now < at - CLOCK_SKEW else (tat, max(at, now))


def no_resending(campaign_id: str, *, purged: bool) -> InvalidInputError:
    """Build the error of a campaign whose unknown batches can only be marked."""
    name = repr(campaign_id)
    if purged:
        return InvalidInputError(
            _("Nothing of the campaign {id} can be sent again: its numbers are forgotten.", id=name),
            error_code="campaign.purged",
        )
    return InvalidInputError(
        _("Nothing of the campaign {id} can be sent again: it is cancelled.", id=name),
        error_code="campaign.ended",
    )


def in_a_state(state: CampaignState) -> Sentence:
    """Return a campaign's state as it stands in a sentence: `is paused`."""
    return _(_IN_A_STATE[state])


def still_going(campaign_id: str, state: CampaignState, what: str) -> InvalidInputError:
    """Build the error of a campaign whose state forbids that it is `loaded`, `purged` and so on."""
    sentence = _(_STILL_GOING[what], id=repr(campaign_id), is_state=in_a_state(state))
    return InvalidInputError(sentence, error_code="campaign.state")


def waiting_again(batches: int) -> str:
    """Return why a campaign is paused after a person had batches queued again, as a ledger keeps it."""
    return ngettext("{n} batch waits to be sent again", "{n} batches wait to be sent again", batches).english


def dump_record(record: BatchRecord) -> str:
    """Write what is kept of an answer."""
    values = {
        "lot": record.lot_id,
        "ids": list(record.message_ids),
        "error": record.error,
        "said": record.description,
        "code": record.code,
    }
    return json.dumps({key: value for key, value in values.items() if value}, separators=(",", ":"))


def dump_cells(cells: Sequence[str]) -> str:
    """Write the cells that are kept of a recipient, in ASCII: no engine stores each character."""
    return json.dumps(cells, separators=(",", ":"))


def load_record(text: str | None) -> BatchRecord:
    """Read it again."""
    values = json.loads(text or "{}")
    return BatchRecord(
        lot_id=values.get("lot") or "",
        message_ids=tuple(values.get("ids") or ()),
        error=values.get("error"),
        description=values.get("said") or "",
        code=values.get("code"),
    )


def no_campaign(campaign_id: str) -> InvalidInputError:
    """Build the error of an id that no campaign has."""
    return InvalidInputError(
        _("There is no campaign {id}.", id=repr(campaign_id)), error_code="campaign.not_found"
    )


def check_campaign_id(campaign_id: object) -> None:
    """Raise `InvalidInputError` for what can be no campaign's id: no engine takes each character."""
    if not (isinstance(campaign_id, str) and campaign_id.isascii() and campaign_id.isprintable()):
        raise no_campaign(str(campaign_id)[:60])


def read_campaign(campaign_id: str, row: Sequence[Any] | None) -> CampaignRow:
    """Make a campaign of `select_campaign`'s row. Raises `InvalidInputError` where there is none."""
    if row is None:
        raise no_campaign(campaign_id)
    # Between these the columns are the fields of `Campaign`.
    seq, *columns, max_segments, daily_cap = row
    values = dict(zip([field.name for field in fields(Campaign)], columns, strict=True))
    values["state"] = CampaignState(values["state"])
    return CampaignRow(seq=seq, max_segments=max_segments, daily_cap=daily_cap, **values)


def read_queued(rows: Iterable[Sequence[Any]]) -> list[QueuedBatch]:
    """Make batches of `select_queued`'s rows."""
    return [
        QueuedBatch(number=number, messages=messages, segments=segments, not_before=not_before)
        for number, messages, segments, not_before in rows
    ]


def read_status(campaign: Campaign, rows: Iterable[Sequence[Any]]) -> CampaignStatus:
    """Count recipients by what became of them, from `count_batches`."""
    counts = dict.fromkeys(BatchState, 0)
    batches = recipients = excluded = segments = 0
    for name, count, size, left_out, spent, spent_before in rows:
        state = BatchState(name)
        counts[state] = size - left_out
        batches, recipients, excluded = batches + count, recipients + size, excluded + left_out
        segments += spent_before
        if state in (BatchState.SENDING, BatchState.ACCEPTED, BatchState.UNKNOWN):
            segments += spent
    return CampaignStatus(
        id=campaign.id,
        state=campaign.state,
        reason=campaign.reason,
        recipients=recipients,
        queued=counts[BatchState.QUEUED],
        sending=counts[BatchState.SENDING],
        accepted=counts[BatchState.ACCEPTED],
        rejected=counts[BatchState.REJECTED],
        not_sent=counts[BatchState.CANCELLED] + excluded,
        unknown=counts[BatchState.UNKNOWN],
        batches=batches,
        segments=segments,
    )


def read_batch(row: Sequence[Any], recipients: Iterable[Sequence[Any]]) -> StoredBatch:
    """Make a batch of `select_batches`' row and `select_recipients`' rows."""
    number, state, segments, result, sending_at, before, after, message, unknown_attempts = row
    people = list(recipients)
    return StoredBatch(
        number=number,
        state=BatchState(state),
        message=message,
        segments=segments,
        record=load_record(result),
        unknown_attempts=unknown_attempts,
        sending_at=sending_at,
        balance_before=_decimal(before),
        balance_after=_decimal(after),
        recipients=tuple(
            (Msisdn(phone), None if exclusion is None else Exclusion(exclusion))
            for phone, exclusion, _kept in people
        ),
        kept=tuple(tuple(json.loads(kept)) if kept else () for _phone, _exclusion, kept in people),
    )


def read_deliveries(rows: Iterable[Sequence[Any]]) -> Mapping[str, Delivery]:
    """Make deliveries of `select_deliveries`' rows."""
    return {
        key: Delivery(message_id=key, status=DeliveryStatus(status), raw_status=raw, at=at, prefix=prefix)
        for key, status, raw, at, prefix in rows
    }


def read_delivery_counts(rows: Iterable[Sequence[Any]]) -> Mapping[tuple[str, DeliveryStatus], int]:
    """Make counts of `count_deliveries`' rows."""
    return {(prefix, DeliveryStatus(status)): count for prefix, status, count in rows}


def read_opt_outs(rows: Iterable[Sequence[Any]]) -> tuple[OptOut, ...]:
    """Make opt-outs of `select_opt_outs`' rows."""
    return tuple(OptOut(recipient=Msisdn(phone), source=source, at=at) for phone, source, at in rows)


def _decimal(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)
