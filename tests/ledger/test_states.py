"""The tables of states, told a second time."""

from __future__ import annotations

import pytest

from vavasms.errors import Outcome
from vavasms.ledger.states import (
    BATCH_TRANSITIONS,
    CAMPAIGN_TRANSITIONS,
    OUTCOMES,
    RENEWABLE,
    BatchEvent,
    BatchState,
    CampaignEvent,
    CampaignState,
    campaign_sources,
    drop_event,
    settle_events,
)

BATCH = """
queued   CLAIM        sending
queued   CANCEL       cancelled
queued   DROP_RESEND  unknown
sending  ACCEPT       accepted
sending  REJECT       rejected
sending  MARK_UNKNOWN unknown
sending  REQUEUE      queued
sending  ORPHAN       unknown
unknown  ACCEPT       accepted
unknown  REJECT       rejected
unknown  MARK_UNKNOWN unknown
unknown  REQUEUE      queued
unknown  MARK_SENT    accepted
unknown  RESEND       queued
"""
CAMPAIGN = """
loading  LOADED  queued
loading  CANCEL  cancelled
queued   START   running
queued   PAUSE   paused
queued   CANCEL  cancelled
running  START   running
running  PAUSE   paused
running  CANCEL  cancelled
running  FINISH  done
running  REOPEN  running
paused   START   running
paused   CANCEL  cancelled
paused   REOPEN  paused
done     REOPEN  paused
"""


def rows(table: str) -> list[list[str]]:
    return sorted(line.split() for line in table.split("\n") if line)


def test_a_batch_moves_in_these_ways_and_in_no_other() -> None:
    told = [[state.value, event.name, to.value] for (state, event), to in BATCH_TRANSITIONS.items()]
    assert sorted(told) == rows(BATCH)


def test_a_campaign_moves_in_these_ways_and_in_no_other() -> None:
    told = [[state.value, event.name, to.value] for (state, event), to in CAMPAIGN_TRANSITIONS.items()]
    assert sorted(told) == rows(CAMPAIGN)


def test_the_words_that_ledgers_hold_stay_what_they_were() -> None:
    # They stand in the ledgers of earlier versions, and in the SQL.
    assert [state.value for state in BatchState] == [state.name.lower() for state in BatchState]
    assert [state.value for state in CampaignState] == [state.name.lower() for state in CampaignState]


def test_what_a_state_means_for_its_recipients() -> None:
    assert {state.value: outcome for state, outcome in OUTCOMES.items()} == {
        "queued": None,
        "sending": None,
        "accepted": Outcome.ACCEPTED,
        "rejected": Outcome.REJECTED,
        "unknown": Outcome.UNKNOWN,
        "cancelled": Outcome.NOT_SENT,
    }


def test_only_what_came_to_nothing_is_begun_anew() -> None:
    assert {state.value for state in RENEWABLE} == {"rejected", "cancelled"}


def test_a_campaign_is_started_from_where_its_table_says() -> None:
    assert {state.value for state in campaign_sources(CampaignEvent.START)} == {"queued", "running", "paused"}
    assert {state.value for state in campaign_sources(CampaignEvent.FINISH)} == {"running"}


def test_what_may_have_gone_out_is_never_dropped_as_not_sent() -> None:
    assert drop_event(maybe_sent=True) is BatchEvent.DROP_RESEND
    assert drop_event(maybe_sent=False) is BatchEvent.CANCEL


SETTLED = (BatchEvent.ACCEPT, BatchEvent.MARK_UNKNOWN)


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("maybe_sent", [False, True])
def test_an_answer_does_to_a_batch_what_is_known_of_all_its_attempts(maybe_sent: bool, closed: bool) -> None:
    def steps(event: BatchEvent) -> tuple[BatchEvent, ...]:
        return settle_events(event, maybe_sent=maybe_sent, closed=closed)

    assert [steps(event) for event in SETTLED] == [(event,) for event in SETTLED]
    # Of this attempt nothing went out; of an earlier one nobody knows.
    doubt = (BatchEvent.REQUEUE, BatchEvent.DROP_RESEND)
    assert steps(BatchEvent.REJECT) == (doubt if maybe_sent else (BatchEvent.REJECT,))
    dropped = doubt if maybe_sent else (BatchEvent.REQUEUE, BatchEvent.CANCEL)
    assert steps(BatchEvent.REQUEUE) == (dropped if closed else (BatchEvent.REQUEUE,))
