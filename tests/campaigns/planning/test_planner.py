"""Nobody is lost and nobody is there twice between a list and its batches, and the counts add up."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial

import anyio
import pytest
from attrs import define
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.campaigns.staging import phones
from vavasms.campaigns.planning.contacts import Judge, read_contacts
from vavasms.campaigns.planning.lists import Listing
from vavasms.campaigns.planning.loader import plan_listing
from vavasms.campaigns.planning.plan import CampaignPlan, dump_plan
from vavasms.campaigns.planning.planner import EMPTY_MESSAGE, LOAD, MESSAGE_TOO_LONG, OPEN_TEXTS, Planner
from vavasms.campaigns.planning.template import parse_template
from vavasms.errors import InvalidMessageError
from vavasms.ledger.models import NewBatch
from vavasms.wire.requests import MAX_SEGMENTS, draft_text

Row = tuple[str, str]


@define
class Planned:
    """What a list came to."""

    plan: CampaignPlan
    batches: list[NewBatch]

    @property
    def texts(self) -> dict[str, str]:
        """Return each recipient's text; fails where one is there twice."""
        texts: dict[str, str] = {}
        for batch in self.batches:
            for recipient in batch.recipients:
                assert str(recipient) not in texts
                texts[str(recipient)] = batch.message
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


def plan_text(text: str, message: str) -> CampaignPlan:
    """Plan a list that is written out, and collect nothing of it."""
    return anyio.run(
        partial(plan_listing, Listing(contacts=io.BytesIO(text.encode())), message, batch_size=10)
    )


def named(names: Sequence[str], first: int = 0) -> list[Row]:
    return list(zip(phones(len(names), first), names, strict=True))


CELLS = st.tuples(
    st.sampled_from(
        [*phones(12), "+225 07 57 00 00 03", "0757000004", "07570005", "12", "x", "", "2250757000001;12"]
    ),
    st.sampled_from(["", "Awa", "Ama", "  ", "Zoé", "Łukasz", "😀"]),
)


@settings(max_examples=120)
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
    assert got.refused == sum(refusal.count for refusal in got.refusals.values())
    assert texts.keys().isdisjoint(phones(2))
    assert [batch.number for batch in batches] == list(range(got.requests))
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
    refused = [(f"{index}", "Awa") for index in range(600)]
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
    got = plan(named([f"n{index}" for index in range(30)]))
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


def test_a_text_that_no_handset_shows_is_an_empty_one() -> None:
    got = plan(named(["Awa", "\u200e", "\u2800"]), "{nom}")
    assert got.plan.refusals[EMPTY_MESSAGE].count == 2
    assert got.texts == {phones(1)[0]: "Awa"}
    with pytest.raises(InvalidMessageError, match="shows nothing on a phone"):
        plan(named(["Awa"]), "\u2060\ufeff")


def test_empty_cells_without_a_fallback_are_counted() -> None:
    assert plan(named(["", "Awa", ""])).plan.missing == {"nom": 2}
    assert plan(named(["", "Awa"]), "Bonjour {nom|client}").plan.missing == {}


def test_the_first_example_of_each_fault_is_kept_with_its_row() -> None:
    rows = [*named(["a"]), ("2,25071E+12", "b"), ("12", "c"), ("13", "d"), ("", "e")]
    refusals = plan(rows).plan.refusals
    assert {refusal.row for refusal in refusals.values()} >= {3, 4}
    assert sum(each.count for each in refusals.values()) == 4
    assert all(example.became is None for example in refusals.values())
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
    got = plan([*named(["a"] * 5), *[(other, "b") for other in others]], "Bonjour").plan
    assert dict(got.countries) == {"CI": 7, "BJ": 1, "FR": 1}
    assert got.operators["CI Orange"] == 5
    assert got.operators["CI MTN"] == 1
    assert got.operators["FR other"] == 1


def test_several_numbers_of_a_row_are_one_row() -> None:
    one, two, three = phones(3)
    got = plan([(f"{one} / {two}", "Awa"), (three, "Ama")]).plan
    assert (got.rows, got.numbers, got.kept) == (2, 3, 3)
    # A row that is parted between two chunks is still one.
    many = [(phone, "a") for phone in phones(499)]
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
    rows = [*named([f"n{index}" for index in range(count)]), *named(["n0", f"n{count - 1}"], count)]
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
    assert [repair.count for repair in got.repairs.values()] == [1]


def test_the_longest_text_that_a_send_takes_is_kept_and_one_longer_is_refused() -> None:
    got = plan([*named([LONGEST, f"{LONGEST}x", f"{LONGEST}x"])], "{nom}")
    draft_text(got.texts[phones(1)[0]], "SANDBOX")
    assert (got.plan.kept, got.plan.segments) == (1, MAX_SEGMENTS)
    assert (got.plan.refusals[MESSAGE_TOO_LONG].count, got.plan.refusals[MESSAGE_TOO_LONG].row) == (2, 3)


def test_a_text_for_all_that_no_send_takes_is_an_error() -> None:
    assert plan(named(["a"]), LONGEST).plan.segments == MAX_SEGMENTS
    with pytest.raises(InvalidMessageError, match=f"longer than {MAX_SEGMENTS} segments"):
        plan(named(["a"]), f"{LONGEST}x")


@settings(max_examples=60)
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


def test_a_row_with_cells_beyond_its_header_is_refused_and_nobody_gets_a_shifted_text() -> None:
    rows = (
        '+2250709000001,Koffi, Jean,Abidjan\n+2250709000002,Awa,Man,,\n+2250709000003, "Koffi, Jean",Bouake\n'
    )
    found = plan_text("tel,prenom,ville\n" + rows, "{prenom} de {ville}")
    assert (found.kept, found.refused, found.numbers, found.rows) == (2, 1, 3, 3)
    assert found.refusals["too_many_cells"].row == 2
    assert found.first_text == "Awa de Man"


def test_a_wide_row_is_no_earlier_row_of_its_number() -> None:
    found = plan_text("tel,nom\n0709000001,Koffi,Jean\n0709000001,Koffi Jean\n", "{nom}")
    assert (found.kept, found.duplicates, found.refused) == (1, 0, 1)
    assert found.first_text == "Koffi Jean"


@pytest.mark.parametrize(
    "word", ["nan", "NULL", "None", "#N/A", "#REF!", " NaN ", "#DIV/0!", "#N/D", "#NOM ?", "Err:502"]
)
def test_cells_that_stand_for_nothing_are_empty_and_counted(word: str) -> None:
    rows = f"tel,nom,ville\n0709000001,{word},Man\n0709000002,Awa,{word}\n{word},Yao,Man\n"
    found = plan_text(rows, "{nom|client}")
    assert (found.no_values, found.first_text) == (1, "client")
    assert found.refusals["empty"].count == 1
    assert plan_text(rows, "Bonjour").no_values == 0


def test_rows_of_one_number_with_another_text_are_told_from_plain_duplicates() -> None:
    rows = "0709000001,Awa\n0709000001,Awa\n0709000001,Aya\n0709000002,\n0709000001,Ama\n"
    found = plan_text("tel,nom\n" + rows, "{nom|client}")
    assert (found.kept, found.duplicates) == (2, 3)
    assert found.differing is not None
    assert (found.differing.count, found.differing.row, found.differing.text) == (2, 4, "Aya")
    assert plan_text("tel,nom\n" + rows, "Bonjour").differing is None


def test_a_row_that_comes_after_one_whose_text_was_refused_is_compared_with_what_is_sent() -> None:
    found = plan_text("tel,nom\n0709000001,\n0709000001,Awa\n0709000001,Aya\n", "{nom}")
    assert (found.kept, found.duplicates, found.refused) == (1, 1, 1)
    assert found.differing is not None
    assert found.differing.text == "Aya"


def test_placeholders_that_do_nothing_are_named() -> None:
    rows = "tel,prenom,ville\n0709000001,Awa,\n0709000002,Yao, \n"
    found = plan_text(rows, "{{prenom}} {{ Prénom|x }} {{autre}} {prenom} {ville|ici}")
    assert found.doubled == ("prenom", "Prénom")
    assert found.unfilled == ("ville",)
    assert plan_text(rows, "{prenom}").unfilled == ()


@pytest.mark.parametrize("name", ["Andr\ufffd", "ThÃ©o", "lâ€™ami", "Andr\x8e", "Ã\xa0", "Andr√©", "Å“uf"])
def test_a_text_that_was_read_wrongly_is_warned_of(name: str) -> None:
    found = plan_text(f"tel,nom\n0709000001,Awa\n0709000002,{name}\n", "Bonjour {nom}")
    assert found.garbled is not None
    assert (found.garbled.count, found.garbled.row) == (1, 3)
    rows = "tel,nom\n0709000001,Awa\n0709000002,Yao\n"
    if "\x8e" in name:
        with pytest.raises(InvalidMessageError, match="control character"):
            plan_text(rows, f"Bonjour {name}")
        return
    message = plan_text(rows, f"Bonjour {name}")
    assert message.garbled is not None
    assert (message.garbled.count, message.garbled.row) == (2, 0)


@pytest.mark.parametrize("name", ["Théo", "«CAFÉ»", "THÉÂTRE", "SÃO", "l’âge", "Œuf…", "Zoë €", "😀"])
def test_a_text_that_is_only_french_is_not_warned_of(name: str) -> None:
    assert plan_text(f"tel,nom\n0709000001,{name}\n", "{nom}").garbled is None


def test_records_in_another_encoding_are_counted_with_the_first() -> None:
    content = b"tel;prenom\n+2250709000001;Th\xc3\xa9o\n+2250709000002;Andr\xe9\n"
    listing = Listing(contacts=io.BytesIO(content))
    found = anyio.run(partial(plan_listing, listing, "{prenom}", batch_size=10))
    assert found.strays is not None
    assert (found.strays.count, found.strays.row, found.strays.text) == (1, 3, "+2250709000002 André")
    assert (found.encoding, found.sheet, found.garbled) == ("utf-8", None, None)
    assert json.loads(dump_plan(found))["strays"] == {"count": 1, "row": 3, "text": "", "became": None}
    for secret in ("André", "2250709000002", "Théo"):
        assert secret not in dump_plan(found)


def test_who_is_left_out_is_reported_in_the_order_of_the_list_with_the_reason() -> None:
    rows = (
        "0709000001,Awa\n0709000001,Aya\n12,x\n0709000001,Awa\n0709000004,a,b\n0709000002,Yao\n0709000003,\n"
    )
    left: list[tuple[int, str]] = []
    template = parse_template("{nom}")
    with read_contacts(io.BytesIO(("tel,nom\n" + rows).encode())) as contacts:
        planner = Planner(
            judge=Judge(opted_out=frozenset({2250709000002})),
            template=template.bind(contacts.columns),
            batch_size=10,
            is_plain=False,
            on_left_out=lambda contact, reason: left.append((contact[0], reason)),
        )
        for _ in planner.plan(contacts):
            pass
    assert left == [
        (3, "duplicate_with_another_text"), (4, "too_short"), (5, "duplicate"), (6, "too_many_cells"),
        (7, "opted_out"), (8, "empty_message"),
    ]  # fmt: skip
