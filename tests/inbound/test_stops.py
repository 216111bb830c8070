"""What asks to be left alone: a stop word first, and three words at most."""

from __future__ import annotations

import unicodedata

import pytest

from vavasms.inbound.stops import STOP_WORDS, is_stop


@pytest.mark.parametrize("word", sorted(STOP_WORDS))
def test_every_stop_word_alone_is_a_stop_however_it_is_written(word: str) -> None:
    assert is_stop(word)
    assert is_stop(f" {word.lower()}.\r\n")
    assert is_stop(f"«{word.title()}» !")


@pytest.mark.parametrize(
    "text",
    [
        "Stop merci",
        "STOP SVP merci",
        "stop les sms",
        "Stop, merci.",
        "arrêt",
        "ARRÊT !",
        "Arrêtez !!!",
        "Désabonner",
        "DÉSABONNEMENT",
        unicodedata.normalize("NFD", "désabonnement"),
        "Désinscription svp",
        "ＳＴＯＰ",
        "'STOP'",
        "*stop*",
        "\u200bSTOP",
        "Unsubscribe me",
        "STOP 🙏",
    ],
)
def test_accents_capitals_and_punctuation_do_not_count(text: str) -> None:
    assert is_stop(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "…",
        "stopover",
        "stop-over",
        "ne stop pas",
        "non stop",
        "non-stop",
        "Bonjour",
        "Stop, je serai en retard ce soir",
        "arrêtons",
        "STOP4",
        "s t o p",
    ],
)
def test_other_words_and_longer_texts_are_not_stops(text: str) -> None:
    assert not is_stop(text)
