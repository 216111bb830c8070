"""Kept, repaired, a duplicate, opted out, refused."""

from __future__ import annotations

import io
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.growth import assert_linear
from vavasms.campaigns.planning.contacts import Fate, Judge, Verdict, read_contacts
from vavasms.errors import ConfigurationError
from vavasms.numbers import Msisdn

OPTED_OUT = frozenset({2250700000001, 2250709000001})

#: Written numbers of every fate, few enough that they come twice.
TEXTS = st.one_of(
    st.sampled_from(["", " ", "abc", "2,25071E+12", "2.25071E+12", "0700000001", "+2250700000001"]),
    st.sampled_from(
        ["+22509000001", "09000001", "707000101", "0707000101", "27 22 41 20 00", "221771234567"]
    ),
    st.integers(0, 40).map(lambda number: f"22507000001{number:02}"),
    st.integers(0, 40).map(lambda number: f"07 00 00 01 {number:02}"),
    st.text(max_size=12),
)
JUDGES = st.fixed_dictionaries(
    {"region": st.sampled_from([None, "CI", "ci", "SN", "FR"]), "repair": st.booleans()}
)


def test_a_mobile_number_is_kept_in_any_written_form() -> None:
    for text in ("+225 07 00 00 00 01", "0700000001", "00225-07.00.00.00.01"):
        verdict = Judge().judge(text)
        assert (verdict.fate, verdict.recipient, verdict.reason) == (Fate.KEPT, "2250700000001", None)


def test_a_number_that_came_before_in_whatever_form_is_a_duplicate() -> None:
    judge = Judge(repair=True)
    fates = [judge.judge(text).fate for text in ("0709000001", "+2250709000001", "+22509000001")]
    assert fates == [Fate.KEPT, Fate.DUPLICATE, Fate.DUPLICATE]


def test_an_old_number_is_refused_with_its_suggestion_and_repaired_on_demand() -> None:
    refused = Judge().judge("+22509000001")
    assert (refused.fate, refused.reason) == (Fate.REFUSED, "old_plan")
    assert (refused.recipient, refused.suggestion) == (None, "2250709000001")
    repaired = Judge(repair=True).judge("+22509000001")
    assert (repaired.fate, repaired.recipient) == (Fate.REPAIRED, "2250709000001")
    assert (repaired.reason, repaired.suggestion) == ("old_plan", None)


def test_eight_digits_are_repaired_only_where_the_region_is_named() -> None:
    assert Judge(repair=True).judge("09000001").reason == "ambiguous"
    assert Judge(repair=True, region="CI").judge("09000001").recipient == "2250709000001"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "empty"), ("abc", "letters"), ("2,25E+12", "scientific"), ("27 22 41 20 00", "landline")],
)
def test_what_is_no_mobile_number_is_refused_even_with_repair(text: str, reason: str) -> None:
    verdict = Judge(repair=True).judge(text)
    assert (verdict.fate, verdict.reason, verdict.suggestion) == (Fate.REFUSED, reason, None)
    assert verdict.sentence


@pytest.mark.parametrize("text", ["2,25071E+12", "2.25071E+12"])
def test_scientific_notation_has_lost_digits_and_is_refused_with_that_reason(text: str) -> None:
    verdict = Judge(region="CI", repair=True).judge(text)
    assert (verdict.fate, verdict.reason, verdict.suggestion) == (Fate.REFUSED, "scientific", None)
    assert "lost digits" in verdict.sentence


def test_a_lost_zero_is_repaired_only_where_the_region_is_named() -> None:
    verdict = Judge(repair=True, region="CI").judge("707000101")
    assert (verdict.fate, verdict.recipient, verdict.reason) == (
        Fate.REPAIRED,
        "2250707000101",
        "lost_zero",
    )
    guess = Judge(repair=True).judge("707000101")
    assert (guess.fate, guess.recipient, guess.suggestion) == (Fate.REFUSED, None, "2250707000101")


@pytest.mark.parametrize(
    "text", ["2250700000101;22507", "0700000101 ext. 12", "0700000101;ext=12", "0700000101 poste 3"]
)
def test_what_follows_a_number_is_not_dropped(text: str) -> None:
    with read_contacts(io.BytesIO(f'tel|nom\n"{text}"|Awa\n'.encode())) as contacts:
        (contact,) = contacts
    verdict = Judge(region="CI", repair=True).judge(contact.phone)
    assert (verdict.fate, verdict.reason) == (Fate.REFUSED, "extension")


def test_a_number_opted_out_is_so_each_time_it_comes_in_whatever_form() -> None:
    judge = Judge(repair=True, opted_out=OPTED_OUT)
    texts = ["0700000001", "2250700000001", "+22509000001", "0700000002", "2250700000002"]
    fates = [judge.judge(text).fate for text in texts]
    assert fates == [Fate.OPTED_OUT, Fate.OPTED_OUT, Fate.OPTED_OUT, Fate.KEPT, Fate.DUPLICATE]
    assert judge.judge("0700000001").recipient == "2250700000001"


def test_an_old_number_of_someone_opted_out_is_refused_where_nothing_is_repaired() -> None:
    assert Judge(opted_out=OPTED_OUT).judge("+22509000001").fate is Fate.REFUSED


@given(texts=st.lists(TEXTS, max_size=30), how=JUDGES)
@example(texts=["0700000001", "2250700000002", "2250700000002", "x"], how={"region": None, "repair": False})
def test_every_number_has_exactly_one_fate_and_the_counts_add_up(
    texts: list[str], how: dict[str, object]
) -> None:
    judge = Judge(opted_out=OPTED_OUT, **how)  # type: ignore[arg-type]
    verdicts = [judge.judge(text) for text in texts]
    fates = Counter(verdict.fate for verdict in verdicts)
    assert sum(fates[fate] for fate in Fate) == len(texts)
    sent = [verdict.recipient for verdict in verdicts if verdict.fate in {Fate.KEPT, Fate.REPAIRED}]
    assert len(set(sent)) == len(sent)
    assert not {int(number) for number in sent if number is not None} & OPTED_OUT
    for verdict in verdicts:
        assert (verdict.recipient is None) == (verdict.fate is Fate.REFUSED)
        assert (verdict.reason is not None) == (verdict.fate in {Fate.REFUSED, Fate.REPAIRED})


@given(texts=st.lists(TEXTS, max_size=30), how=JUDGES)
def test_many_at_once_are_judged_as_one_by_one(texts: list[str], how: dict[str, object]) -> None:
    one, many = (Judge(opted_out=OPTED_OUT, **how) for _ in range(2))  # type: ignore[arg-type]
    found = many.judge_many(texts[:10]) + many.judge_many(iter(texts[10:]))
    assert [
        Verdict(fate=Fate.KEPT, recipient=verdict) if isinstance(verdict, Msisdn) else verdict
        for verdict in found
    ] == [one.judge(text) for text in texts]


def test_numbers_are_judged_in_linear_time() -> None:
    texts = [f"22507{number:08}" for number in range(100_000)]

    def judge(count: int) -> None:
        assert all(isinstance(verdict, Msisdn) for verdict in Judge().judge_many(texts[:count]))

    assert_linear(judge, 100_000)


def test_a_refused_number_does_not_make_a_duplicate_of_the_next() -> None:
    judge = Judge()
    assert judge.judge("+22509000001").fate is Fate.REFUSED
    assert judge.judge("+2250709000001").fate is Fate.KEPT


def test_a_verdict_does_not_show_the_number() -> None:
    judge = Judge(opted_out=OPTED_OUT)
    assert "2250700000001" not in repr(judge.judge("0700000001"))
    assert "2250700000001" not in repr(judge)


def test_an_unknown_region_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="unknown region 'XX'"):
        Judge(region="XX").judge("0700000001")


def test_a_number_that_is_forgotten_is_kept_when_it_comes_again() -> None:
    judge = Judge()
    judge.judge("0700000001")
    judge.forget(Msisdn("2250700000001"))
    fates = [judge.judge("0700000001").fate for _ in range(2)]
    assert fates == [Fate.KEPT, Fate.DUPLICATE]
