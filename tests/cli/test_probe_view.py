"""The words of `vavasms probe`: each fact in one sentence, and of what is not known why."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from vavasms.cli.commands import probe_view
from vavasms.i18n import language_set
from vavasms.numbers import Msisdn
from vavasms.probe.knowledge import Knowledge, make_done, make_facts, make_intent
from vavasms.probe.plan import ProbeStep, assess
from vavasms.profile.models import GatewayProfile, Oversize

LIMIT = {"batch_size": 20, "batch_size_is_limit": True}


@pytest.mark.parametrize(
    ("step", "facts", "sentence"),
    [
        (ProbeStep.PLAIN, {"unit_price": Decimal("12.5")}, "A segment costs 12.5 XOF."),
        (ProbeStep.UCS2, {"unit_price_ucs2": Decimal(15)}, "A segment in Unicode costs 15 XOF."),
        (ProbeStep.SEGMENTS, {"price_is_per_segment": True}, "A text of two segments costs two."),
        (ProbeStep.SEGMENTS, {"price_is_per_segment": False}, "A text of two segments costs as much as one of one."),
        (ProbeStep.STATUS_PATH, {"status_path": "/v1/x"}, "/v1/x answers the delivery status."),
        (
            ProbeStep.STATUS_PATH,
            {"has_status_call": False},
            "None of the paths that were tried answers it: delivery stays unknown.",
        ),
        (ProbeStep.LOT, {"lots_are_atomic": True}, "It is refused whole: nobody has it, and nothing is paid."),
        (
            ProbeStep.LOT,
            {"lots_are_atomic": False},
            "The good numbers of it are sent to: a refused lot stays unknown.",
        ),
        (ProbeStep.FREE_SIZES, {"batch_size": 4}, "A request takes 4 numbers at least."),
        (ProbeStep.PAID_SIZES, LIMIT, "A request takes exactly 20 numbers, and is refused with more."),
        (
            ProbeStep.PAID_SIZES,
            {**LIMIT, "oversize": Oversize.DROPPED},
            "A request takes exactly 20 numbers, and drops the others without a word.",
        ),
        (ProbeStep.STATUSES, {"statuses": {"sent": 0.5, "Délivré": 12.0}}, "They come: sent after 0.5 s, Délivré after 12.0 s."),
        (
            ProbeStep.PACE,
            {"requests_per_second": 5, "requests_per_second_is_limit": True},
            "After 5 requests within a second 429 comes.",
        ),
        (
            ProbeStep.PACE,
            {"requests_per_second": 20},
            "20 requests were answered within a second, and 429 did not come.",
        ),
    ],
)  # fmt: skip
def test_each_fact_is_one_sentence(step: ProbeStep, facts: dict[str, Any], sentence: str) -> None:
    with language_set("en"):
        assert probe_view.describe_fact(step, Knowledge()) is None
        assert probe_view.describe_result(step, Knowledge(profile=GatewayProfile(**facts))) == sentence


@pytest.mark.parametrize(
    ("is_free", "end"), [(True, "and costs nothing."), (False, "and the balance moved all the same.")]
)
def test_how_a_number_that_cannot_exist_is_refused_is_said(*, is_free: bool, end: str) -> None:
    known = Knowledge()
    with language_set("en"):
        assert probe_view.describe_result(ProbeStep.BAD_NUMBER, known).startswith(
            "Not settled: the answers leave"
        )
        known.apply(make_facts(bad_reply="903", bad_is_free=is_free))
        assert probe_view.describe_result(ProbeStep.BAD_NUMBER, known) == f"It is refused with 903, {end}"


def make(*events: Any, **facts: Any) -> Knowledge:
    known = Knowledge(profile=GatewayProfile(**facts))
    for event in events:
        known.apply(event)
    return known


@pytest.mark.parametrize(
    ("step", "known", "obstacle"),
    [
        (ProbeStep.LOT, make(), "it is not known how a number that cannot exist is refused"),
        (
            ProbeStep.LOT,
            make(make_facts(bad_reply="904", bad_is_free=True)),
            "a number that cannot exist is not refused as one (903), or is paid",
        ),
        (
            ProbeStep.LOT,
            make(make_facts(bad_reply="903", bad_is_free=True)),
            "the balance was not seen to fall when an SMS was accepted",
        ),
        (
            ProbeStep.FREE_SIZES,
            make(make_facts(bad_reply="903", bad_is_free=False)),
            "a number that cannot exist is refused, and paid all the same",
        ),
        (ProbeStep.PAID_SIZES, make(), "what costs nothing comes first"),
        (ProbeStep.SEGMENTS, make(), "the price of one segment is not known"),
        (
            ProbeStep.STATUSES,
            make(make_facts(message={"message_id": "SM-1", "lot_id": "", "accepted_at": 1.0})),
            "no path answers the status",
        ),
        (
            ProbeStep.UCS2,
            make(make_intent("ucs2", 1)),
            "its request left, and what became of it is not known: it is not sent again",
        ),
    ],
)
def test_what_cannot_be_asked_says_why(step: ProbeStep, known: Knowledge, obstacle: str) -> None:
    with language_set("en"):
        assert assess(step, known).obstacle == obstacle
        assert probe_view.describe_result(step, known) == f"Not settled: {obstacle}."


def test_where_bad_numbers_tell_nothing_the_owners_own_is_asked_about() -> None:
    known = make(make_facts(bad_reply="903", bad_is_free=False), make_done(ProbeStep.BAD_NUMBER))
    assert assess(ProbeStep.PAID_SIZES, known).most == 2
    assert assess(ProbeStep.PAID_SIZES, make(make_intent("bad_number", 1))).most == 2
    assert assess(
        ProbeStep.PAID_SIZES,
        make(make_facts(paid_sizes={64: True, 128: True}), make_done(ProbeStep.FREE_SIZES)),
    ).is_finished


def test_what_is_said_at_the_end_names_no_profile_where_nothing_was_learnt() -> None:
    with language_set("en"):
        assert [*probe_view.conclude(Knowledge(), 3, Path("x.toml"))] == ["Spent so far: 0 SMS."]
        lines = [*probe_view.conclude(make(**LIMIT), 3, Path("x.toml"))]
        assert len(lines) == 3
        begun = make(make_intent("plain", 1))
        introduced = [*probe_view.introduce(Msisdn("2250700000001"), begun, 3, Path("x.toml"))]
        assert introduced[2] == (
            "Spent so far: 0 SMS. Unknown, at most 1 SMS more: a request was cut off, and is not sent again."
        )
