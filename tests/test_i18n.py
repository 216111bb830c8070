"""What people read, in two languages: one sentence, one number, one moment at a time."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import anyio
import pytest

from vavasms.i18n import (
    LANGUAGES,
    Argument,
    Sentence,
    current_language,
    format_moment,
    format_number,
    gettext_noop,
    in_english,
    language_set,
    ngettext,
    read_language,
    set_language,
    with_options,
    without_stop,
)
from vavasms.i18n import gettext as _

AT = datetime(2026, 11, 28, 14, 5, tzinfo=UTC)
CLOSED = "The client is closed: make a new one."
UNSENT = "{sentence} Nothing was sent."


@pytest.fixture(autouse=True)
def undecided(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave the language to each test, and to no environment."""
    monkeypatch.delenv("VAVASMS_LANG", raising=False)
    yield
    set_language(None)


def waiting(n: int) -> Sentence:
    return ngettext("{n} batch waits to be sent again", "{n} batches wait to be sent again", n)


@pytest.mark.parametrize(
    ("value", "english", "french"),
    [
        (0, "0", "0"),
        (-1, "-1", "-1"),
        (999, "999", "999"),
        (1000, "1,000", "1\xa0000"),
        (1234567, "1,234,567", "1\xa0234\xa0567"),
        (Decimal(25540), "25,540", "25\xa0540"),
        (Decimal("-1234.50"), "-1,234.50", "-1\xa0234,50"),
        (Decimal("1E+6"), "1,000,000", "1\xa0000\xa0000"),
        (0.5, "0.5", "0,5"),
    ],
)
def test_a_number_is_written_as_its_language_writes_it(value: float, english: str, french: str) -> None:
    assert (format_number(value, "en"), format_number(value, "fr")) == (english, french)
    assert format_number(value) == str(_("{value}", value=value)) == english
    with language_set("fr"):
        assert format_number(value) == str(_("{value}", value=value)) == french


def test_a_moment_is_written_as_its_language_writes_it() -> None:
    assert (format_moment(AT), format_moment(AT, "fr")) == ("2026-11-28 14:05", "28/11/2026 14:05")
    assert _("{at}", at=AT).said_in("fr") == "28/11/2026 14:05"


@pytest.mark.parametrize("value", [True, None, "1234", "2250700000001"])
def test_what_is_no_number_stays_as_it_is(value: object) -> None:
    for language in LANGUAGES:
        assert _("{value}", value=value).said_in(language) == str(value)


def test_an_argument_is_said_as_python_writes_it_and_on_a_command_line_as_an_option() -> None:
    sentence = _("Add {argument}: {text}", argument=Argument.make("again=True", "--again"), text="again=True")
    assert sentence == "Add again=True: again=True"
    assert with_options(sentence) == "Add --again: again=True"
    assert with_options(pickle.loads(pickle.dumps(sentence))) == "Add --again: again=True"
    assert with_options("Add again=True") == "Add again=True"


def test_zero_is_one_in_french_and_many_in_english() -> None:
    assert (waiting(0), waiting(1)) == ("0 batches wait to be sent again", "1 batch waits to be sent again")
    none, one, two = [waiting(n).said_in("fr") for n in (0, 1, 2)]
    assert none.replace("0", "1") == one != two.replace("2", "1")


def test_many_are_grouped_in_their_sentence() -> None:
    assert waiting(12_000) == "12,000 batches wait to be sent again"
    assert waiting(12_000).said_in("fr").startswith("12\xa0000 ")


def test_a_sentence_is_in_the_language_in_which_it_was_made_and_can_be_had_in_the_other() -> None:
    with language_set("fr"):
        french = _(CLOSED)
    english = _(CLOSED)
    assert (english, english.said_in("fr")) == (CLOSED, french)
    assert (french.english, french.said_in("en")) == (CLOSED, CLOSED)
    assert french != CLOSED
    # The English one is a text like any other.
    assert type(french.english) is str


def test_a_sentence_within_another_one_changes_its_language_with_it() -> None:
    outer = _(
        UNSENT, sentence=_("The timeout {name} must be a finite number of seconds above 0.", name="read")
    )
    assert outer == "The timeout read must be a finite number of seconds above 0. Nothing was sent."
    with language_set("fr"):
        inner = _("The timeout {name} must be a finite number of seconds above 0.", name="read")
        again = _(UNSENT, sentence=inner)
    assert outer.said_in("fr") == again
    assert again.startswith(inner)
    assert inner != inner.english
    assert again.english == outer


def test_a_message_is_a_text() -> None:
    sentence = _(UNSENT, sentence=CLOSED)
    assert isinstance(sentence, str)
    assert f"{sentence}" == sentence == str(sentence)
    assert json.loads(json.dumps([sentence])) == [sentence]
    assert hash(sentence) == hash(str(sentence))
    assert sentence.startswith("The client")


def test_a_sentence_without_values_may_have_braces() -> None:
    assert _("{} and {name}") == "{} and {name}"
    assert _("{{}} and {name}", name="{x}") == "{} and {x}"


def test_a_sentence_that_no_catalogue_has_is_said_as_it_is() -> None:
    for text in ("lunch", "wrong list", ""):
        assert _(text).said_in("fr") == text
    assert gettext_noop("lunch") == "lunch"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_sentence_survives_pickling_in_both_languages(protocol: int) -> None:
    with language_set("fr"):
        sentence = without_stop(_(UNSENT, sentence=_(CLOSED)))
    assert isinstance(sentence, Sentence)
    for twin in (
        pickle.loads(pickle.dumps(sentence, protocol)),
        copy.copy(sentence),
        copy.deepcopy(sentence),
    ):
        assert type(twin) is Sentence
        assert twin == sentence
        assert [twin.said_in(language) for language in LANGUAGES] == [
            sentence.said_in(language) for language in LANGUAGES
        ]


def test_a_text_of_others_is_its_own_english() -> None:
    assert in_english("Envoyé") == "Envoyé"
    with language_set("fr"):
        assert in_english(_(CLOSED)) == CLOSED


def test_a_sentence_within_brackets_loses_its_full_stop_in_every_language() -> None:
    inner = without_stop(_(UNSENT, sentence=_(CLOSED)))
    assert inner == f"{CLOSED} Nothing was sent"
    for language in LANGUAGES:
        assert (
            _("({inner}).", inner=inner).said_in(language)
            == f"({_(UNSENT, sentence=_(CLOSED)).said_in(language)[:-1]})."
        )
    assert without_stop("Non.") == "Non"


def test_of_the_texts_that_a_sentence_had_nothing_is_left() -> None:
    inner = _("The file {path} cannot be made: {why}.", path="secret", why=7)
    outer = _(UNSENT, sentence=inner).without_stop().with_values(lambda text: text.replace("secret", "***"))
    assert outer == "The file *** cannot be made: 7. Nothing was sent"
    assert not outer.said_in("fr").endswith(".")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert b"secret" not in pickle.dumps(outer, protocol)
    assert "secret" not in f"{vars(outer)} {[vars(value) for value in outer._values.values()]}"


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        *(("fr", "fr"), ("fr_CI.UTF-8", "fr"), ("fr-FR", "fr"), ("FR", "fr"), ("fr.utf8", "fr")),
        *(
            ("en", "en"),
            ("en_GB", "en"),
            ("C", None),
            ("POSIX", None),
            ("de_DE", None),
            ("", None),
            ("frr", None),
        ),
    ],
)
def test_a_locale_names_its_language(locale: str, language: str | None) -> None:
    assert read_language(locale) == language


def test_the_environment_says_the_language_where_the_program_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert current_language() == "en"
    for named, language in (("fr", "fr"), ("fr_CI.UTF-8", "fr"), ("de", "en"), ("", "en")):
        monkeypatch.setenv("VAVASMS_LANG", named)
        assert current_language() == language
    monkeypatch.setenv("VAVASMS_LANG", "fr")
    set_language("en")
    assert current_language() == "en"
    set_language(None)
    assert current_language() == "fr"


def test_a_block_has_its_language_and_gives_it_back() -> None:
    set_language("fr")
    with language_set("en"):
        assert current_language() == "en"
        with pytest.raises(RuntimeError), language_set("fr"):
            assert current_language() == "fr"
            raise RuntimeError
        assert current_language() == "en"
    assert current_language() == "fr"


@pytest.mark.anyio
async def test_two_tasks_at_once_speak_a_language_each() -> None:
    said: dict[str, list[str]] = {language: [] for language in LANGUAGES}
    turns = {language: anyio.Event() for language in LANGUAGES}

    async def speak(language: str, other: str) -> None:
        with language_set(language):
            turns[language].set()
            await turns[other].wait()
            for _turn in range(3):
                said[language].append(current_language())
                await anyio.lowlevel.checkpoint()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(speak, "en", "fr")
            tasks.start_soon(speak, "fr", "en")
    assert said == {"en": ["en"] * 3, "fr": ["fr"] * 3}
    assert current_language() == "en"
