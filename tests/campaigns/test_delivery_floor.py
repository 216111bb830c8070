"""The floor of delivered messages: judged from a thousand final ones, of all and of each prefix."""

from __future__ import annotations

from decimal import Decimal

import pytest

from vavasms.campaigns.delivery_floor import Shortfall, find_shortfall
from vavasms.campaigns.prefixes import DeliveryCounts
from vavasms.i18n import language_set
from vavasms.ledger.kept import say_reason
from vavasms.models import DeliveryStatus

FLOOR = Decimal("0.8")


def count(**counts: tuple[int, int]) -> DeliveryCounts:
    """Return delivered and failed ones by prefix; `none` is those without."""
    made = {}
    for name, (delivered, failed) in counts.items():
        prefix = name.removeprefix("p").replace("none", "")
        made[prefix, DeliveryStatus.DELIVERED] = delivered
        made[prefix, DeliveryStatus.FAILED] = failed
        made[prefix, DeliveryStatus.SENT] = 5_000
    return made


@pytest.mark.parametrize(("delivered", "failed", "is_under"), [(799, 201, True), (800, 200, False)])
def test_a_share_is_under_the_floor_where_it_is_smaller(delivered: int, failed: int, is_under: bool) -> None:
    assert (find_shortfall(count(none=(delivered, failed)), FLOOR) is not None) is is_under


def test_fewer_than_a_thousand_final_ones_say_nothing() -> None:
    assert find_shortfall(count(p22507=(0, 999)), FLOOR) is None
    assert find_shortfall(count(p22507=(0, 500), p22505=(0, 499)), FLOOR) is None
    assert find_shortfall({}, FLOOR) is None


def test_all_together_are_judged_first_and_those_without_a_prefix_with_them() -> None:
    shortfall = find_shortfall(count(p22507=(0, 900), none=(0, 100)), FLOOR)
    assert shortfall == Shortfall(prefix=None, delivered=0, final=1_000, floor=FLOOR)


def test_a_prefix_is_judged_by_a_thousand_of_its_own() -> None:
    assert find_shortfall(count(p22507=(599, 400), p22505=(9_000, 0)), FLOOR) is None
    shortfall = find_shortfall(count(p22507=(600, 400), p22505=(9_000, 0)), FLOOR)
    assert shortfall == Shortfall(prefix="22507", delivered=600, final=1_000, floor=FLOOR)


def test_the_ranges_of_a_country_abroad_are_judged_together() -> None:
    shortfall = find_shortfall(count(p22177=(300, 200), p22178=(300, 200), p22507=(9_000, 0)), FLOOR)
    assert shortfall == Shortfall(prefix="221", delivered=600, final=1_000, floor=FLOOR)


def test_what_was_final_before_does_not_count() -> None:
    before = count(p22507=(0, 1_000))
    assert find_shortfall(before, FLOOR, before=before) is None
    assert find_shortfall(count(p22507=(999, 1_000)), FLOOR, before=before) is None
    assert find_shortfall(count(p22507=(1_000, 1_000)), FLOOR, before=before) is None
    assert find_shortfall(count(p22507=(700, 1_300)), FLOOR, before=before) is not None


def test_the_sentence_has_the_share_the_prefix_and_how_to_go_on() -> None:
    sentence = Shortfall(prefix="22507", delivered=7_999, final=10_000, floor=FLOOR).sentence
    assert sentence == (
        "79.9 percent of 10,000 messages to the prefix 22507 were delivered, fewer than the 80 percent of "
        "--min-delivery: `vavasms campaign resume` goes on, with a lower one if need be"
    )
    with language_set("fr"):
        assert say_reason(sentence.english).startswith(
            "79,9\u00a0% de 10\u00a0000 messages vers le préfixe 22507 ont été remis, moins que les 80\u00a0% de "
        )
    sentence = Shortfall(prefix=None, delivered=600, final=1_000, floor=Decimal("0.625")).sentence
    assert sentence.startswith("60 percent of 1,000 messages were delivered, fewer than the 62.5 percent of ")
