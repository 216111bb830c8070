"""A plan as a value: its sums, and what of it is kept."""

from __future__ import annotations

import json
from decimal import Decimal

from attrs import asdict, evolve

from vavasms.campaigns.planning.plan import CampaignPlan, Example, dump_plan

PLAN = CampaignPlan(
    rows=4,
    numbers=5,
    kept=2,
    repaired=1,
    duplicates=1,
    opted_out=1,
    refused=1,
    recipients=2,
    requests=1,
    segments=4,
    cost=Decimal("50.0"),
    hash="0123456789abcdef",
    countries={"CI": 2},
    operators={"CI Orange": 2},
    repairs={"old_plan": Example(count=1, row=2, text="07570001", became="2250757000101")},
    refusals={"too_short": Example(count=1, row=3, text="225075")},
    ucs2_recipients=1,
    offending={"ê": 1},
    segments_if_folded=2,
    missing={"nom": 1},
    is_personal=True,
    first_text="Bonjour Awa",
    phone_column="phone",
    balance=Decimal(1000),
    ends_at=12.5,
)


def test_what_is_kept_of_a_plan_names_no_number_and_no_text() -> None:
    text = dump_plan(PLAN)
    for secret in ("07570001", "2250757000101", "225075", "Bonjour", "Awa"):
        assert secret not in text
    assert "Bonjour" not in repr(PLAN)
    assert "07570001" not in repr(PLAN)


def test_all_else_is_kept_as_it_was() -> None:
    bare = evolve(
        PLAN,
        first_text="",
        repairs={"old_plan": Example(count=1, row=2, text="")},
        refusals={"too_short": Example(count=1, row=3, text="")},
    )
    assert json.loads(dump_plan(PLAN)) == json.loads(json.dumps(asdict(bare), default=str))


def test_what_is_left_is_known_where_balance_and_price_are() -> None:
    assert PLAN.balance_after == 950
    assert evolve(PLAN, cost=None).balance_after is None
    assert evolve(PLAN, balance=None).balance_after is None


def test_folding_costs_what_its_segments_cost() -> None:
    assert PLAN.cost_if_folded == 25
    assert evolve(PLAN, cost=None).cost_if_folded is None
    assert evolve(PLAN, segments=0, cost=Decimal(0)).cost_if_folded == 0
