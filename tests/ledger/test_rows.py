"""Rows of campaigns: what is written is read again, and what a campaign in the way refuses is one sentence."""

from __future__ import annotations

import pytest

from vavasms.errors import InvalidInputError
from vavasms.ledger.models import BatchRecord
from vavasms.ledger.rows import DIED, check_campaign_id, dump_cells, dump_record, load_record, still_going
from vavasms.ledger.states import CampaignState

RECORD = BatchRecord(
    lot_id="LOT-1",
    message_ids=("SM-1", "SM-2"),
    error="GatewayError: no",
    description="Message refusé",
    code="gateway.903",
)


@pytest.mark.parametrize("record", [RECORD, BatchRecord(), BatchRecord(message_ids=("SM-1",)), DIED])
def test_a_record_is_read_as_it_was_written(record: BatchRecord) -> None:
    assert load_record(dump_record(record)) == record


def test_nothing_is_a_record_of_nothing() -> None:
    assert load_record(None) == load_record("") == BatchRecord()


def test_who_died_while_sending_has_the_code_of_a_send_that_was_interrupted() -> None:
    assert DIED.code == "outcome.unknown.interrupted"


def test_cells_are_kept_in_ascii_and_without_spaces() -> None:
    assert dump_cells(["Zoé", "a,b", ""]) == '["Zo\\u00e9","a,b",""]'


@pytest.mark.parametrize(
    ("action", "rest"),
    [
        ("loaded", "it cannot be loaded."),
        ("purged", "it cannot be purged."),
        ("excluded", "exclude it once its list is whole. Nothing was sent."),
        ("retried", "resume or cancel it, and retry it once it has ended."),
    ],
)
def test_a_campaign_in_the_way_is_named_with_its_state(action: str, rest: str) -> None:
    assert str(still_going("c", CampaignState.RUNNING, action)) == f"The campaign 'c' is running: {rest}"


@pytest.mark.parametrize("campaign_id", ["c", "2026-11-30 promo", "~" * 300, ""])
def test_what_can_be_an_id_is_looked_for(campaign_id: str) -> None:
    check_campaign_id(campaign_id)


@pytest.mark.parametrize("campaign_id", ["été", "a\nb", "a\0", "\x7f", None, 7, b"c", ["c"], "é" * 300])
def test_what_can_be_no_id_is_no_campaign_and_said_in_few_words(campaign_id: object) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_campaign_id(campaign_id)
    assert caught.value.error_code == "campaign.not_found"
    assert repr(str(campaign_id)[:60]) in str(caught.value)
    assert len(str(caught.value)) < 100
