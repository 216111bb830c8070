"""What a probe asks next, what it may cost, and what it makes of an answer: pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vavasms.errors import GatewayError, NotSentError, Outcome, OutcomeUnknownError, RejectedNumberError
from vavasms.models import Lot
from vavasms.numbers import Msisdn
from vavasms.probe.knowledge import Knowledge, make_done, make_facts, make_intent, make_outcome
from vavasms.probe.plan import MOST_NUMBERS, ProbeStep, assess, find_limit, name_request, next_size, next_step
from vavasms.probe.verdicts import (
    ProbeReply,
    bounds_size,
    count_lot,
    judge_lot,
    judge_price,
    judge_segments,
    judge_size,
    read_error,
)
from vavasms.profile.models import GatewayProfile

OWN = Msisdn("2250700000001")


def lot(ids: int, recipients: int = 1) -> ProbeReply:
    names = tuple(f"SM-{index}" for index in range(ids))
    return ProbeReply(
        label="accepted",
        lot=Lot(lot_id="L", message_ids=names, description="", recipients=(OWN,) * recipients),
    )


@given(limit=st.integers(1, MOST_NUMBERS * 2))
def test_the_limit_is_found_by_doubling_and_halving(limit: int) -> None:
    taken: dict[int, bool] = {}
    while (size := next_size(taken)) is not None:
        assert size not in taken
        assert 1 < size <= MOST_NUMBERS
        taken[size] = size <= limit
        assert len(taken) <= 14
    if limit < MOST_NUMBERS:
        assert find_limit(taken) == (limit, True)
    else:
        assert find_limit(taken) == (MOST_NUMBERS, False)


@given(limit=st.integers(1, 200), tries=st.integers(0, 14))
def test_what_is_said_of_the_limit_is_true_however_early_it_ends(limit: int, tries: int) -> None:
    taken: dict[int, bool] = {}
    for _try in range(tries):
        size = next_size(taken)
        if size is not None:
            taken[size] = size <= limit
    most, is_limit = find_limit(taken)
    assert most is None or most <= limit
    assert not is_limit or most == limit


def take(known: Knowledge, step: ProbeStep, **facts: Any) -> None:
    """Settle a step, with what it cost."""
    cost = assess(step, known).most
    known.apply(make_intent(name_request(step), cost))
    known.apply(make_outcome(name_request(step), "accepted", cost))
    known.apply(make_facts(**facts))
    known.apply(make_done(step))


def test_the_steps_come_in_the_order_of_their_use_and_none_twice() -> None:
    known, order = Knowledge(), []
    facts: dict[ProbeStep, dict[str, Any]] = {
        ProbeStep.PLAIN: {
            "found": GatewayProfile(unit_price=Decimal(10)),
            "is_billed": True,
            "message": {"message_id": "SM-1", "lot_id": "L", "accepted_at": 1.0},
        },
        ProbeStep.STATUS_PATH: {"found": GatewayProfile(status_path="/v1/text/single")},
        ProbeStep.BAD_NUMBER: {"bad_reply": "903", "bad_is_free": True},
        ProbeStep.LOT: {"found": GatewayProfile(lots_are_atomic=True)},
        ProbeStep.FREE_SIZES: {"found": GatewayProfile(batch_size=20, batch_size_is_limit=True)},
    }
    while (found := next_step(known, 100, ())) is not None:
        order.append(found)
        take(known, found[0], **facts.get(found[0], {}))
    assert order == [
        ("plain", 1),
        ("status_path", 0),
        ("statuses", 0),
        ("bad_number", 1),
        ("lot", 2),
        ("ucs2", 1),
        ("segments", 2),
        ("free_sizes", 0),
        ("pace", 0),
    ]
    assert known.spent == 7


@given(spend=st.integers(0, 40), losses=st.sets(st.integers(0, 12)))
def test_whatever_is_lost_the_bound_holds_and_nothing_is_posted_twice(spend: int, losses: set[int]) -> None:
    known, posted = Knowledge(), set()
    known.apply(make_facts(GatewayProfile(unit_price=Decimal(10)), is_billed=True))
    known.apply(make_facts(bad_reply="903", bad_is_free=True))
    known.apply(make_done(ProbeStep.FREE_SIZES))
    for turn in range(30):
        found = next_step(known, spend, ())
        if found is None:
            break
        step, most = found
        size = next_size(known.paid_sizes) if step is ProbeStep.PAID_SIZES else None
        request = name_request(step, size)
        assert request not in posted
        posted.add(request)
        known.apply(make_intent(request, most))
        assert known.committed <= spend
        if turn in losses:
            # Cut off: nothing more is written down.
            continue
        known.apply(make_outcome(request, "accepted", most))
        if size is not None:
            known.apply(make_facts(paid_sizes={size: True}))
        else:
            known.apply(make_done(step))
    assert known.spent + known.may_have_spent == known.committed <= spend


def test_what_was_not_sent_may_be_sent_and_costs_nothing() -> None:
    known = Knowledge()
    known.apply(make_intent("plain", 1))
    assert assess(ProbeStep.PLAIN, known).obstacle
    known.apply(make_outcome("plain", "not sent", 0, again=True))
    assert (known.committed, assess(ProbeStep.PLAIN, known).obstacle) == (0, "")


def test_what_a_profile_says_already_is_not_asked() -> None:
    known = Knowledge(
        profile=GatewayProfile(unit_price=Decimal(1), lots_are_atomic=False, requests_per_second=3)
    )
    for step in (ProbeStep.PLAIN, ProbeStep.LOT, ProbeStep.PACE):
        assert assess(step, known).is_finished
    assert assess(ProbeStep.STATUS_PATH, known).obstacle == "no SMS of the probe was accepted"
    assert assess(ProbeStep.STATUSES, known).obstacle == "no SMS of the probe was accepted"


def test_an_event_of_a_later_version_is_passed_over() -> None:
    known = Knowledge()
    known.apply({"event": "sung", "song": 1})
    known.apply({})
    assert known == Knowledge()


def test_a_word_of_the_status_keeps_its_earliest_moment() -> None:
    known = Knowledge()
    for age in (3.0, 2.0, 5.0):
        known.apply(make_facts(GatewayProfile(statuses={"sent": age})))
    assert dict(known.profile.statuses) == {"sent": 2.0}


@pytest.mark.parametrize(
    ("error", "label"),
    [
        (NotSentError("x", outcome=Outcome.NOT_SENT), "not sent"),
        (OutcomeUnknownError("x", outcome=Outcome.UNKNOWN), "unknown"),
        (RejectedNumberError("x", code=903, outcome=Outcome.UNKNOWN), "903"),
        (GatewayError("x", code=921, outcome=Outcome.REJECTED), "921"),
        (GatewayError("x", code=5, outcome=Outcome.UNKNOWN), "unknown"),
        (GatewayError("x", http_status=413, outcome=Outcome.UNKNOWN), "http 413"),
    ],
)
def test_an_error_is_what_it_proves_and_no_more(error: Any, label: str) -> None:
    assert read_error(error).label == label


@pytest.mark.parametrize(
    ("fell", "price"),
    [("10", "10"), ("12.50", "12.5"), ("100", "100"), ("0", None), ("-5", None), ("0.00000001", None), (None, None)],
)  # fmt: skip
def test_a_price_is_what_the_balance_fell_by(fell: str | None, price: str | None) -> None:
    found = judge_price(None if fell is None else Decimal(fell))
    assert found == (None if price is None else Decimal(price))
    assert price is None or str(found) == price


@pytest.mark.parametrize(("fell", "verdict"), [(20, True), (10, False), (15, None), (0, None), (None, None)])
def test_two_segments_cost_two_or_one_or_nobody_knows(fell: int | None, verdict: bool | None) -> None:
    assert judge_segments(None if fell is None else Decimal(fell), Decimal(10)) is verdict


@pytest.mark.parametrize(
    ("label", "fell", "atomic", "spent"),
    [
        ("903", 0, True, 0),
        ("903", 10, False, 1),
        ("903", -10, None, None),
        ("903", None, None, None),
        ("accepted", 10, False, 1),
        # Both numbers, for all that anybody knows.
        ("accepted", None, False, 2),
        ("accepted", 20, False, 2),
        ("921", 0, None, 0),
        ("921", 10, None, None),
        ("unknown", 0, None, None),
        ("http 413", 0, None, None),
        ("not sent", None, None, 0),
    ],
)
def test_a_lot_is_atomic_only_by_its_refusal_and_a_balance_that_stands(
    label: str, fell: int | None, atomic: bool | None, spent: int | None
) -> None:
    reply, moved = ProbeReply(label=label), None if fell is None else Decimal(fell)
    verdict = judge_lot(reply, moved)
    assert verdict is atomic
    assert count_lot(reply, moved, verdict, Decimal(10)) == spent


@pytest.mark.parametrize(
    ("reply", "fell", "found"),
    [
        (lot(4, 4), 40, (True, None, 4)),
        (lot(4, 4), 20, (None, None, 4)),
        (lot(3, 4), 30, (None, 3, 3)),
        (lot(3, 4), 40, (None, None, 4)),
        # A number that is named four times may be sent to once.
        (lot(1, 4), 10, (None, None, 1)),
        (lot(0, 4), 0, (None, None, 4)),
        (ProbeReply(label="921"), 0, (False, None, 0)),
        (ProbeReply(label="921"), 10, (None, None, None)),
        (ProbeReply(label="unknown"), 0, (None, None, None)),
        (ProbeReply(label="not sent"), None, (None, None, 0)),
    ],
)
def test_a_size_is_taken_only_where_ids_and_money_agree(
    reply: ProbeReply, fell: int | None, found: tuple[bool | None, int | None, int | None]
) -> None:
    moved = None if fell is None else Decimal(fell)
    verdict = judge_size(4, reply, moved, Decimal(10), balance=Decimal(40))
    assert (verdict.is_taken, verdict.limit, verdict.spent) == found


@pytest.mark.parametrize(
    ("label", "price", "balance", "bounds"),
    [("921", 10, 40, True), ("921", 10, 39, False), ("921", None, 40, False), ("http 413", None, 0, True)],
)
def test_a_refusal_bounds_the_size_where_money_is_no_reason(
    label: str, price: int | None, balance: int, bounds: bool
) -> None:
    known = None if price is None else Decimal(price)
    assert bounds_size(4, ProbeReply(label=label), known, Decimal(balance)) is bounds
