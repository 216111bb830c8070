"""Every state that a campaign, a batch and a single send can be in, and every way from one to another. Pure.

A single send has the states of a batch.

What is not in these tables cannot happen: the ledgers are tested against them, pair by pair.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from vavasms.errors import Outcome


class BatchState(Enum):
    """How far a batch is."""

    QUEUED = "queued"
    #: The intent is committed: its request may be under way at any moment.
    SENDING = "sending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    #: It left, or may have left, and no answer was read. Only a person decides.
    UNKNOWN = "unknown"
    #: Never sent: its campaign was cancelled, or nobody of it was left to send to.
    CANCELLED = "cancelled"


class BatchEvent(Enum):
    """What moves a batch on."""

    #: TX1: a worker writes its intent, under a new token.
    CLAIM = "claim"
    #: TX2, fenced by that token: the gateway took it.
    ACCEPT = "accept"
    #: TX2: the gateway refused it.
    REJECT = "reject"
    #: TX2: it left, and nobody can say what became of it.
    MARK_UNKNOWN = "mark_unknown"
    #: TX2: it is proven that nothing left, or the gateway turned it away unprocessed.
    REQUEUE = "requeue"
    #: Its worker died while it was under way.
    ORPHAN = "orphan"
    #: A person looked it up: it was sent.
    MARK_SENT = "mark_sent"
    #: A person wants it sent, and takes the risk of a second SMS.
    RESEND = "resend"
    #: It was to be sent again and is not: the earlier attempt's unknown outcome is its own once more.
    DROP_RESEND = "drop_resend"
    #: Not for a batch that was queued to be sent again.
    CANCEL = "cancel"


BATCH_TRANSITIONS: Mapping[tuple[BatchState, BatchEvent], BatchState] = MappingProxyType(
    {
        (BatchState.QUEUED, BatchEvent.CLAIM): BatchState.SENDING,
        (BatchState.QUEUED, BatchEvent.CANCEL): BatchState.CANCELLED,
        (BatchState.QUEUED, BatchEvent.DROP_RESEND): BatchState.UNKNOWN,
        (BatchState.SENDING, BatchEvent.ACCEPT): BatchState.ACCEPTED,
        (BatchState.SENDING, BatchEvent.REJECT): BatchState.REJECTED,
        (BatchState.SENDING, BatchEvent.MARK_UNKNOWN): BatchState.UNKNOWN,
        (BatchState.SENDING, BatchEvent.REQUEUE): BatchState.QUEUED,
        # Never to `queued`: what a dead worker had under way may have been accepted.
        (BatchState.SENDING, BatchEvent.ORPHAN): BatchState.UNKNOWN,
        # The late true answer of a worker that was taken for dead; the token says that it is this attempt's.
        (BatchState.UNKNOWN, BatchEvent.ACCEPT): BatchState.ACCEPTED,
        (BatchState.UNKNOWN, BatchEvent.REJECT): BatchState.REJECTED,
        (BatchState.UNKNOWN, BatchEvent.MARK_UNKNOWN): BatchState.UNKNOWN,
        (BatchState.UNKNOWN, BatchEvent.REQUEUE): BatchState.QUEUED,
        (BatchState.UNKNOWN, BatchEvent.MARK_SENT): BatchState.ACCEPTED,
        (BatchState.UNKNOWN, BatchEvent.RESEND): BatchState.QUEUED,
    }
)


#: A single send in one of these came to nothing: a call with its key begins it anew, as if it were queued.
RENEWABLE = frozenset({BatchState.REJECTED, BatchState.CANCELLED})


class CampaignState(Enum):
    """How far a campaign is."""

    #: Its recipients are being written; nothing can be sent yet.
    LOADING = "loading"
    #: Whole, and never started.
    QUEUED = "queued"
    RUNNING = "running"
    #: By a person, a limit or an error: the reason is beside it.
    PAUSED = "paused"
    CANCELLED = "cancelled"
    #: Nothing is left to send.
    DONE = "done"


class CampaignEvent(Enum):
    """What moves a campaign on."""

    LOADED = "loaded"
    #: A runner takes it up, for the first time or again.
    START = "start"
    PAUSE = "pause"
    CANCEL = "cancel"
    FINISH = "finish"
    #: Something of it is queued again: a person wants it sent, or a late answer says that nothing was.
    REOPEN = "reopen"


CAMPAIGN_TRANSITIONS: Mapping[tuple[CampaignState, CampaignEvent], CampaignState] = MappingProxyType(
    {
        (CampaignState.LOADING, CampaignEvent.LOADED): CampaignState.QUEUED,
        (CampaignState.LOADING, CampaignEvent.CANCEL): CampaignState.CANCELLED,
        (CampaignState.QUEUED, CampaignEvent.START): CampaignState.RUNNING,
        (CampaignState.QUEUED, CampaignEvent.PAUSE): CampaignState.PAUSED,
        (CampaignState.QUEUED, CampaignEvent.CANCEL): CampaignState.CANCELLED,
        # Its last runner died.
        (CampaignState.RUNNING, CampaignEvent.START): CampaignState.RUNNING,
        (CampaignState.RUNNING, CampaignEvent.PAUSE): CampaignState.PAUSED,
        (CampaignState.RUNNING, CampaignEvent.CANCEL): CampaignState.CANCELLED,
        (CampaignState.RUNNING, CampaignEvent.FINISH): CampaignState.DONE,
        (CampaignState.RUNNING, CampaignEvent.REOPEN): CampaignState.RUNNING,
        (CampaignState.PAUSED, CampaignEvent.START): CampaignState.RUNNING,
        (CampaignState.PAUSED, CampaignEvent.CANCEL): CampaignState.CANCELLED,
        (CampaignState.PAUSED, CampaignEvent.REOPEN): CampaignState.PAUSED,
        (CampaignState.DONE, CampaignEvent.REOPEN): CampaignState.PAUSED,
    }
)


#: What a batch's state means for its recipients; None while it is not decided.
OUTCOMES: Mapping[BatchState, Outcome | None] = MappingProxyType(
    {
        BatchState.QUEUED: None,
        BatchState.SENDING: None,
        BatchState.ACCEPTED: Outcome.ACCEPTED,
        BatchState.REJECTED: Outcome.REJECTED,
        BatchState.UNKNOWN: Outcome.UNKNOWN,
        BatchState.CANCELLED: Outcome.NOT_SENT,
    }
)


def drop_event(*, maybe_sent: bool) -> BatchEvent:
    """Return what happens to a queued batch that is dropped; `maybe_sent`: it may have gone out before."""
    return BatchEvent.DROP_RESEND if maybe_sent else BatchEvent.CANCEL


def settle_events(event: BatchEvent, *, maybe_sent: bool, closed: bool) -> tuple[BatchEvent, ...]:
    """Return what an answer does to a batch, step by step.

    `maybe_sent`: an earlier attempt may have gone out. `closed`: nothing of its campaign is sent any more.
    """
    if event is BatchEvent.REJECT and maybe_sent:
        # Of this attempt nothing went out; of the earlier one nobody knows.
        return (BatchEvent.REQUEUE, BatchEvent.DROP_RESEND)
    if event is BatchEvent.REQUEUE and closed:
        return (event, drop_event(maybe_sent=maybe_sent))
    return (event,)


def campaign_sources(event: CampaignEvent) -> frozenset[CampaignState]:
    """Return the states from which an event can move a campaign."""
    return frozenset(state for state, known in CAMPAIGN_TRANSITIONS if known is event)
