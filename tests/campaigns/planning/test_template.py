"""Messages with columns in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vavasms.campaigns.planning.template import parse_template
from vavasms.errors import InvalidMessageError, Outcome
from vavasms.text.folding import fold_to_gsm7

HEADER = ("telephone", "Prénom", "montant", "date_naissance")
LINE = "Bonjour {prenom|cher client}, votre solde: {montant} F"

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\r\t"))
literals = texts.filter(lambda text: text.strip() and not set(text) & {"{", "}"})
#: Letters of whole characters: folding them one by one and together is the same.
letters = st.text("aéêçŒ …’{}n!", min_size=1)


def escape(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def test_columns_are_filled_and_their_names_forgive_accents_and_case() -> None:
    bound = parse_template(LINE).bind(HEADER)
    assert bound.render(["225", " Awa ", "1 500", ""]) == "Bonjour Awa, votre solde: 1 500 F"


def test_a_column_of_this_very_name_goes_before_one_that_only_resembles_it() -> None:
    assert parse_template("{NOM}").bind(["nom", "NOM"]).render(["a", "b"]) == "b"


@pytest.mark.parametrize("cell", ["", "   ", "\t\n", "\x00", "\xa0", "\ufeff", "\u200b \u200b"])
def test_a_cell_that_looks_empty_gives_the_fallback(cell: str) -> None:
    bound = parse_template(LINE).bind(HEADER)
    assert bound.render(["225", cell, "5", ""]) == "Bonjour cher client, votre solde: 5 F"


def test_a_short_row_has_empty_cells_at_its_end() -> None:
    bound = parse_template(LINE).bind(HEADER)
    assert bound.render(["225"]) == "Bonjour cher client, votre solde:  F"
    assert bound.missing(["225"]) == ("montant",)


def test_empty_columns_without_a_fallback_are_told_each_once() -> None:
    bound = parse_template("{montant} {Montant} {prenom|vous} {date_naissance|}").bind(HEADER)
    assert bound.missing(["225", "", " ", ""]) == ("montant",)
    assert bound.missing(["225", "", "5", ""]) == ()


def test_a_column_with_a_fallback_in_one_place_only_is_still_missing_in_the_other() -> None:
    bound = parse_template("{prenom|vous} {prenom}").bind(HEADER)
    assert bound.missing(["225", "", "", ""]) == ("prenom",)
    assert bound.render(["225", "", "", ""]) == "vous "


def test_control_characters_and_half_characters_of_a_cell_become_one_space() -> None:
    bound = parse_template("<{a}>").bind(["a"])
    assert bound.render(["\nKoffi\r\n\tJean\u2028B\ud83d!\n"]) == "<Koffi Jean B !>"
    assert bound.render(["Awa\xa0👋🏽"]) == "<Awa\xa0👋🏽>"


def test_braces_in_a_cell_are_text() -> None:
    assert parse_template("{a}{b}").bind(["a", "b"]).render(["{b}", "x"]) == "{b}x"


def test_a_fallback_ends_at_its_brace_and_may_hold_bars_and_be_empty() -> None:
    template = parse_template("{ a | b|c }{a|}{{{a|d}}}")
    assert template.columns == ("a",)
    assert template.bind(["a"]).render([""]) == "b|c{d}"


def test_a_template_tells_its_text_and_its_columns_once_in_order() -> None:
    template = parse_template("{montant} {prenom|x} {montant}")
    assert template.text == "{montant} {prenom|x} {montant}"
    assert template.columns == ("montant", "prenom")
    assert not template.is_plain


def test_a_plain_template_gives_the_same_object_to_everybody() -> None:
    bound = parse_template("Soldes {{-50 %}}").bind([])
    assert bound.render(["a"]) is bound.render([])
    assert bound.render([]) == "Soldes {-50 %}"
    assert bound.missing([]) == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("Bonjour {prenom", "} is missing after {prenom, at character 9 of the message"),
        ("Bonjour {", "The { at character 9 of the message is not closed"),
        ("{", "The { at character 1"),
        ("{a{b}", "} is missing after {a, at character 1"),
        ("{a{{b}}}", "} is missing after {a, at character 1"),
        ("Bonjour prenom}", "The } at character 15 of the message closes nothing"),
        ("{a}}", "The } at character 4"),
        ("Bonjour {}", "at character 9 of the message name no column"),
        ("{ |vous}", "name no column"),
        ("a\ud83d", "half a character"),
        ("Bonjour\0{nom}", "a control character"),
        ("Prix 5\x80", "a control character"),
    ],
)
def test_a_message_that_makes_no_sense_is_refused_in_one_sentence(text: str, words: str) -> None:
    with pytest.raises(InvalidMessageError, match=r"nothing was sent\.$") as caught:
        parse_template(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.outcome is Outcome.NOT_SENT


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidMessageError, match="Give the message as text"):
        parse_template(None)  # type: ignore[arg-type]


def test_an_unknown_column_names_itself_the_one_like_it_and_those_that_exist() -> None:
    with pytest.raises(InvalidMessageError) as caught:
        parse_template("{prenm}").bind(HEADER)
    assert str(caught.value) == (
        "The list has no column prenm (did you mean Prénom?); "
        "its columns are: telephone, Prénom, montant, date_naissance. Nothing was sent."
    )


def test_only_the_first_ten_columns_are_listed_and_each_on_one_line() -> None:
    header = [f"colonne\n{number}" for number in range(12)]
    with pytest.raises(InvalidMessageError) as caught:
        parse_template("{xyz\nw}").bind(header)
    sentence = str(caught.value)
    assert sentence.startswith("The list has no column xyz w; its columns are: colonne 0, ")
    assert sentence.endswith(", colonne 9 and 2 more. Nothing was sent.")


def test_a_list_without_columns_says_so() -> None:
    with pytest.raises(InvalidMessageError, match=r"its columns are: none\. Nothing was sent\.$"):
        parse_template("{nom}").bind([])


def test_folding_reaches_literals_fallbacks_and_cells() -> None:
    bound = parse_template("Fête de {ville|la forêt} N{rang}").bind(["ville", "rang"], fold=True)
    assert bound.render(["Besançon", "°1"]) == "Fete de Besancon No1"
    assert bound.render(["", ""]) == "Fete de la foret N"
    assert parse_template("Fête").bind([], fold=True).render([]) == "Fete"


@given(text=literals, cells=st.lists(texts))
def test_text_without_braces_renders_to_itself(text: str, cells: list[str]) -> None:
    template = parse_template(text)
    assert template.is_plain
    assert template.bind([]).render(cells) == text


@given(text=texts.filter(str.strip), cells=st.lists(texts))
def test_escaped_braces_come_back(text: str, cells: list[str]) -> None:
    assert parse_template(escape(text)).bind([]).render(cells) == text


@given(before=texts, cell=texts, after=texts)
def test_a_cell_stands_between_its_literals(before: str, cell: str, after: str) -> None:
    bound = parse_template(f"{escape(before)}{{a|}}{escape(after)}").bind(["a"])
    middle = bound.render([cell])[len(before) :].removesuffix(after)
    assert bound.render([cell]) == before + middle + after
    assert middle == middle.strip()
    assert parse_template("{a}").bind(["a"]).missing([cell]) == (() if middle else ("a",))


@given(cells=st.lists(st.text()), fold=st.booleans())
def test_rendering_fails_for_no_cells_and_gives_what_can_be_sent(cells: list[str], fold: bool) -> None:
    bound = parse_template("Ô {a|vous} {b} {c|}").bind(["a", "b", "c"], fold=fold)
    assert bound.render(cells).encode()
    assert set(bound.missing(cells)) <= {"b"}


@given(before=letters, cell=letters, after=letters)
def test_folding_early_is_folding_late(before: str, cell: str, after: str) -> None:
    template = parse_template(f"{escape(before)}{{a|}}{escape(after)}")
    late = fold_to_gsm7(template.bind(["a"]).render([cell]))
    assert template.bind(["a"], fold=True).render([cell]) == late


@given(text=st.text("{}|a ", min_size=1))
def test_any_braces_are_parsed_or_refused(text: str) -> None:
    try:
        template = parse_template(text)
    except InvalidMessageError:
        return
    assert all(name == name.strip() != "" for name in template.columns)
    template.bind(["b", *template.columns]).render([])


def test_an_error_holds_nothing_that_a_terminal_obeys() -> None:
    with pytest.raises(InvalidMessageError) as caught:
        parse_template("{zz\u202e\u2066}").bind(["\x1b]0;x\x07zz", "\u202eabc\u2066\x9b"])
    assert str(caught.value).isprintable()
    assert "abc" in str(caught.value)


@pytest.mark.parametrize("encoding", ["cp850", "mac_roman"])
def test_a_column_that_was_misread_names_its_encoding(encoding: str) -> None:
    column = "prénom".encode(encoding).decode("cp1252")
    with pytest.raises(InvalidMessageError) as caught:
        parse_template("Bonjour {prénom}").bind(["tel", column])
    expected = f"some letters seem misread ({column}), try encoding={encoding} (`--encoding {encoding}`)."
    assert expected in str(caught.value)


# --- a text that is shown or not ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        (("oui", "oui"), "Bonjour.Votre colis est en retard.Merci !"),
        (("", "x"), "Bonjour.Merci !"),
        (("NULL", " "), "Bonjour.Il reste"),
    ],
)
def test_a_text_is_shown_where_its_column_holds_anything(cells: tuple[str, str], text: str) -> None:
    bound = parse_template("Bonjour.{retard? Votre colis est en retard.}{paye?Merci !|Il reste}").bind(
        ("retard", "paye")
    )
    assert bound.render(cells) == text
    # It is meant to be empty: nobody is told that the cell is.
    assert bound.missing(cells) == ()


def test_an_optional_text_is_folded_like_the_rest_and_makes_no_plain_text() -> None:
    template = parse_template("{retard?Très en retard, hélas}")
    assert not template.is_plain
    assert template.bind(("retard",), fold=True).render(("x",)) == fold_to_gsm7("Très en retard, hélas")


@pytest.mark.parametrize(
    ("message", "names", "text"),
    [
        ("{Payé?}", ("Payé?",), "oui"),
        ("{Payé?|non}", ("Payé?",), "oui"),
        ("{Payé ?  }", ("Payé ?",), "oui"),
        ("{paye?d'accord ? oui}", ("paye",), "d'accord ? oui"),
    ],
)
def test_a_column_may_end_in_a_question_mark(message: str, names: tuple[str, ...], text: str) -> None:
    assert parse_template(message).bind(names).render(("oui",)) == text


def test_the_column_of_an_optional_text_must_be_there() -> None:
    with pytest.raises(InvalidMessageError, match="has no column retard"):
        parse_template("{retard?x}").bind(("nom",))
    with pytest.raises(InvalidMessageError, match="name no column"):
        parse_template("{ ?x}")
