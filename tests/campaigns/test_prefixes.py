"""A prefix: the calling code, with the range of an Ivorian number, wherever it is counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vavasms.campaigns.prefixes import count_by_prefix, find_owner, find_prefix, widen_counts
from vavasms.ledger.models import PREFIX_DIGITS
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn


@pytest.mark.parametrize(
    ("recipient", "prefix"),
    [
        ("2250700000001", "22507"),
        ("22501", "225"),
        ("221770000001", "221"),
        ("33612345678", "33"),
        ("12025550100", "1"),
    ],
)
def test_a_prefix_is_the_calling_code_and_the_range_of_an_ivorian_number(recipient: str, prefix: str) -> None:
    assert find_prefix(Msisdn(recipient)) == prefix


@given(
    st.from_regex(r"(22[0-46-9]|1[0-9]{2}|[3-9][0-9]{2})[0-9]{8}", fullmatch=True)
    | st.from_regex(r"225[0-9]{10}", fullmatch=True)
)
def test_what_the_ledger_counts_by_tells_the_prefix(digits: str) -> None:
    recipient = Msisdn(digits)
    counts = {(digits[:PREFIX_DIGITS], DeliveryStatus.DELIVERED): 3}
    assert widen_counts(counts) == {(find_prefix(recipient), DeliveryStatus.DELIVERED): 3}


def test_the_ranges_of_a_country_abroad_are_one_prefix() -> None:
    accepted = {"22507": 5, "22177": 3, "22178": 2, "": 1}
    counts = {
        ("22177", DeliveryStatus.DELIVERED): 2,
        ("22178", DeliveryStatus.DELIVERED): 1,
        ("22178", DeliveryStatus.FAILED): 1,
        ("", DeliveryStatus.DELIVERED): 1,
    }
    rows = [
        (each.prefix, each.accepted, each.delivered, each.undelivered, each.pending)
        for each in count_by_prefix(accepted, counts)
    ]
    assert rows == [("", 1, 1, 0, 0), ("221", 5, 3, 1, 1), ("22507", 5, 0, 0, 5)]


@pytest.mark.parametrize(("prefix", "owner"), [("22507", "Orange"), ("221", None), ("", None), ("225", None)])
def test_only_an_ivorian_prefix_has_an_owner(prefix: str, owner: str | None) -> None:
    assert find_owner(prefix) == owner
