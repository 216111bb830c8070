"""Nobody is lost and nobody is there twice between a list and its batches, and the counts add up."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Sequence

import pytest
from attrs import define
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.campaigns.staging import phones
from vavasms.campaigns.contacts import Judge, read_contacts
from vavasms.campaigns.ledger.port import NewBatch
from vavasms.campaigns.plan import CampaignPlan
from vavasms.campaigns.planner import EMPTY_MESSAGE, LOAD, MESSAGE_TOO_LONG, OPEN_TEXTS, Planner
from vavasms.campaigns.template import parse_template
from vavasms.errors import InvalidMessageError
from vavasms.wire.requests import MAX_SEGMENTS, draft_text

Row = tuple[str, str]


@define
class Planned:
    """What a list came to."""

    plan: CampaignPlan
    batches: list[NewBatch]

    @property
    def texts(self) -> dict[str, str]:
        """Give each recipient's text; fails where one is there twice."""
        texts: dict[str, str] = {}
        for batch in self.batches:
            for each in batch.recipients:
                assert str(each) not in texts
                texts[str(each)] = batch.message
        return texts


def plan(
    rows: Iterable[Row],
    message: str = "Bonjour {nom}",
    *,
    batch_size: int = 100,
    opted_out: Iterable[str] = (),
    repair: bool = False,
    fold: bool = False,
) -> Planned:
    text = "".join(f'"{phone}","{name}"\n' for phone, name in rows)
    template = parse_template(message)
    with read_contacts(io.BytesIO(f"phone,nom\n{text}".encode())) as contacts:
        planner = Planner(
            judge=Judge(opted_out=frozenset(map(int, opted_out)), repair=repair),
            template=template.bind(contacts.columns, fold=fold),
            batch_size=batch_size,
            is_plain=template.is_plain,
        )
        batches = [batch for chunk in planner.plan(contacts) for batch in chunk]
        return Planned(planner.result(contacts.phone_column), batches)


def named(names: Sequence[str], first: int = 0) -> list[Row]:
    return list(zip(phones(len(names), first), names, strict=True))


CELLS = st.tuples(
    st.sampled_from(
        [*phones(12), "+225 07 57 00 00 03", "0757000004", "07570005", "12", "x", "", "2250757000001;12"]
    ),
    st.sampled_from(["", "Awa", "Ama", "  ", "Zoé", "Łukasz", "😀"]),
)


@settings(deadline=None, max_examples=120)
@given(
    rows=st.lists(CELLS, min_size=1, max_size=40),
    size=st.integers(1, 7),
    message=st.sampled_from(["Bonjour", "Bonjour {nom}", "{nom}", "{nom|client}"]),
    repair=st.booleans(),
)
def test_the_counts_add_up_and_the_batches_hold_exactly_who_is_kept(
    rows: list[Row], size: int, message: str, repair: bool
) -> None:
    options = {"opted_out": phones(2), "repair": repair}
    planned = plan([(phones(1)[0], "first"), *rows], message, batch_size=size, **options)  # type: ignore[arg-type]
    got, batches, texts = planned.plan, planned.batches, planned.texts
    assert got.kept + got.duplicates + got.opted_out + got.refused == got.numbers >= got.rows
    assert got.kept == got.recipients == len(texts)
    assert got.refused == sum(each.count for each in got.refusals.values())
    assert texts.keys().isdisjoint(phones(2))
    assert [batch.no for batch in batches] == list(range(got.requests))
    assert all(1 <= len(batch.recipients) <= size and batch.message.strip() for batch in batches)
    assert got.segments == sum(batch.segments * len(batch.recipients) for batch in batches)
    assert got.segments_if_folded <= got.segments
    assert sum(got.countries.values()) == sum(got.operators.values()) == got.recipients
    sizes = Counter(batch.message for batch in batches if len(batch.recipients) < size)
    assert all(count == 1 for count in sizes.values()), "only the last batch of a text is not full"
    assert plan([(phones(1)[0], "first"), *rows], message, batch_size=99, **options).plan.hash == got.hash  # type: ignore[arg-type]


def test_the_hash_changes_with_every_recipient_and_every_text() -> None:
    names = ["Awa", "Ama", "Awa"]
    hashes = {
        "as it is": plan(named(names)).plan.hash,
        "another recipient": plan([*named(names[:2]), (phones(1, 50)[0], "Awa")]).plan.hash,
        "one more": plan(named([*names, "Awa"])).plan.hash,
        "one fewer": plan(named(names[:2])).plan.hash,
        "another text of one": plan(named(["Awa", "Ama", "Ami"])).plan.hash,
        "texts changed over": plan(named(["Ama", "Awa", "Awa"])).plan.hash,
        "another message": plan(named(names), "Salut {nom}").plan.hash,
        "the same for all": plan(named(names), "Bonjour Awa").plan.hash,
        "an opt-out": plan(named(names), opted_out=phones(1)).plan.hash,
    }
    assert len(set(hashes.values())) == len(hashes)
    assert plan(named(names)).plan.hash == hashes["as it is"]
    assert plan(named(names), batch_size=1).plan.hash == hashes["as it is"]


@pytest.mark.parametrize("message", ["Bonjour", "Bonjour {nom}"])
def test_the_hash_names_what_is_sent_and_not_what_is_left_out(message: str) -> None:
    good = named(["Awa"] * 3)
    refused = [(f"{each}", "Awa") for each in range(600)]
    expected = plan(good, message).plan.hash
    assert plan([*good, *refused], message).plan.hash == expected
    assert plan([*refused, *good], message).plan.hash == expected
    assert plan([good[0], *refused, *good], message).plan.hash == expected


def test_a_list_of_which_nobody_is_kept_needs_no_request() -> None:
    for message in ("Zażółć", "Zażółć {nom}"):
        got = plan([("12", "a"), ("13", "b")], message)
        assert (got.plan.requests, got.plan.segments, got.batches) == (0, 0, [])
        assert (got.plan.offending, got.plan.ucs2_recipients) == ({}, 0)


def test_equal_texts_share_batches() -> None:
    got = plan(named(["Awa", "Ama"] * 50), batch_size=20)
    assert got.plan.requests == 6
    assert sorted(len(batch.recipients) for batch in got.batches) == [10, 10, 20, 20, 20, 20]
    assert not got.plan.is_personal


def test_a_fully_personal_list_is_a_request_each_and_says_so() -> None:
    got = plan(named([f"n{each}" for each in range(30)]))
    assert (got.plan.requests, got.plan.is_personal) == (30, True)
    assert got.texts == {phone: f"Bonjour n{each}" for each, phone in enumerate(phones(30))}
    assert not plan(named(["a", "b"]), "Bonjour").plan.is_personal


def test_an_empty_text_is_refused_and_the_row_named() -> None:
    got = plan([*named(["Awa", "", "  "]), (phones(1, 9)[0], "Ama")], "{nom}")
    assert (got.plan.kept, got.plan.refused) == (2, 2)
    example = got.plan.refusals[EMPTY_MESSAGE]
    assert (example.count, example.row, example.text) == (2, 3, phones(2)[1])
    assert got.texts == {phones(1)[0]: "Awa", phones(1, 9)[0]: "Ama"}
    assert not got.plan.missing


def test_empty_cells_without_a_fallback_are_counted() -> None:
    assert plan(named(["", "Awa", ""])).plan.missing == {"nom": 2}
    assert plan(named(["", "Awa"]), "Bonjour {nom|client}").plan.missing == {}


def test_the_first_example_of_each_fault_is_kept_with_its_row() -> None:
    rows = [*named(["a"]), ("2,25071E+12", "b"), ("12", "c"), ("13", "d"), ("", "e")]
    refusals = plan(rows).plan.refusals
    assert {each.row for each in refusals.values()} >= {3, 4}
    assert sum(each.count for each in refusals.values()) == 4
    assert all(each.became is None for each in refusals.values())
    short = next(each for each in refusals.values() if each.row == 4)
    assert (short.text, short.count >= 2) == ("12", True)


def test_a_repair_is_shown_from_old_to_new() -> None:
    rows = [("+22507570001", "a"), ("+22507570002", "b")]
    strict = plan(rows)
    assert (strict.plan.kept, strict.plan.refused) == (0, 2)
    got = plan(rows, repair=True)
    assert (got.plan.kept, got.plan.repaired) == (2, 2)
    (example,) = got.plan.repairs.values()
    assert (example.count, example.row, example.text) == (2, 2, "+22507570001")
    assert example.became is not None
    assert example.became in got.texts


def test_what_pushes_texts_to_ucs2_is_counted_with_the_saving() -> None:
    long = "a" * 75
    got = plan(named(["Awa", "ê", "êî"]), f"{long} {{nom}}").plan
    assert (got.ucs2_recipients, got.offending) == (2, {"ê": 2, "î": 1})
    assert (got.segments, got.segments_if_folded) == (1 + 2 + 2, 3)
    folded = plan(named(["Awa", "ê", "êî"]), f"{long} {{nom}}", fold=True)
    assert (folded.plan.ucs2_recipients, folded.plan.segments) == (0, 3)
    assert folded.texts[phones(2)[1]] == f"{long} e"
    assert plan(named(["😀"]), f"{long} {{nom}}").plan.segments_if_folded == 2


def test_recipients_are_counted_by_country_and_operator() -> None:
    others = ["2250507000001", "2250107000001", "2290197000001", "33612345678"]
    got = plan([*named(["a"] * 5), *[(each, "b") for each in others]], "Bonjour").plan
    assert dict(got.countries) == {"CI": 7, "BJ": 1, "FR": 1}
    assert got.operators["CI Orange"] == 5
    assert got.operators["CI MTN"] == 1
    assert got.operators["FR other"] == 1


def test_several_numbers_of_a_row_are_one_row() -> None:
    one, two, three = phones(3)
    got = plan([(f"{one} / {two}", "Awa"), (three, "Ama")]).plan
    assert (got.rows, got.numbers, got.kept) == (2, 3, 3)
    # A row that is parted between two chunks is still one.
    many = [(each, "a") for each in phones(499)]
    got = plan([*many, (" / ".join(phones(2, 499)), "Awa")]).plan
    assert (got.rows, got.numbers, got.kept) == (500, 501, 501)


def test_the_first_text_is_the_first_that_is_sent() -> None:
    assert plan([("12", "Nul"), *named(["Awa", "Ama"])]).plan.first_text == "Bonjour Awa"
    assert plan(named(["Awa"]), "Salut").plan.first_text == "Salut"


def test_batches_come_while_the_list_is_read() -> None:
    text = "\n".join(["phone", *phones(LOAD * 2 + 1), ""])
    template = parse_template("Bonjour")
    with read_contacts(io.BytesIO(text.encode())) as contacts:
        bound = template.bind(contacts.columns)
        planner = Planner(judge=Judge(), template=bound, batch_size=100, is_plain=True)
        sizes = [sum(len(batch.recipients) for batch in chunk) for chunk in planner.plan(contacts)]
    assert sizes == [LOAD, LOAD, 1]


def test_more_texts_than_are_held_open_lose_nobody() -> None:
    count = OPEN_TEXTS + 300
    rows = [*named([f"n{each}" for each in range(count)]), *named(["n0", f"n{count - 1}"], count)]
    got = plan(rows, "{nom}", batch_size=2)
    texts = got.texts
    assert texts == dict(rows)
    # The first text had gone by then, the last one waited.
    assert got.plan.requests == count + 1


LONGEST = "x" * (153 * MAX_SEGMENTS)


@pytest.mark.parametrize(("bad", "reason"), [("", EMPTY_MESSAGE), (f"{LONGEST}x", MESSAGE_TOO_LONG)])
def test_a_later_row_of_a_number_is_sent_where_the_text_of_the_first_is_refused(
    bad: str, reason: str
) -> None:
    one, other = phones(2)
    rows = [(one, bad), (one, bad), (other, "Ama"), (one, "Awa"), (one, "Aya"), (other, bad)]
    # Within one chunk of the list, and far from each other.
    for between in ([], named(["n"] * 600, 10)):
        got = plan([rows[0], *between, *rows[1:]], "{nom}")
        assert {each: got.texts[each] for each in (one, other)} == {one: "Awa", other: "Ama"}
        assert (got.plan.kept, got.plan.refused, got.plan.duplicates) == (2 + len(between), 2, 2)
        assert {key: each.count for key, each in got.plan.refusals.items()} == {reason: 2}


def test_a_repair_is_counted_once_where_its_first_text_is_refused() -> None:
    got = plan([("+22507570001", ""), ("+22507570001", "Awa")], "{nom}", repair=True).plan
    assert (got.kept, got.repaired, got.refused, got.duplicates) == (1, 1, 1, 0)
    assert [each.count for each in got.repairs.values()] == [1]


def test_the_longest_text_that_a_send_takes_is_kept_and_one_longer_is_refused() -> None:
    got = plan([*named([LONGEST, f"{LONGEST}x", f"{LONGEST}x"])], "{nom}")
    draft_text(got.texts[phones(1)[0]], "SANDBOX")
    assert (got.plan.kept, got.plan.segments) == (1, MAX_SEGMENTS)
    assert (got.plan.refusals[MESSAGE_TOO_LONG].count, got.plan.refusals[MESSAGE_TOO_LONG].row) == (2, 3)


def test_a_text_for_all_that_no_send_takes_is_an_error() -> None:
    assert plan(named(["a"]), LONGEST).plan.segments == MAX_SEGMENTS
    with pytest.raises(InvalidMessageError, match=f"longer than {MAX_SEGMENTS} segments"):
        plan(named(["a"]), f"{LONGEST}x")


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(st.sampled_from(["Awa", "Ama", "Zoé"]), min_size=1, max_size=30)
    .map(named)
    .flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows))),
    message=st.sampled_from(["Bonjour", "Bonjour {nom}"]),
    size=st.integers(1, 7),
)
def test_the_same_list_in_another_order_is_the_same_plan(
    rows: tuple[list[Row], list[Row]], message: str, size: int
) -> None:
    one, other = rows
    assert plan(one, message).plan.hash == plan(other, message, batch_size=size).plan.hash
