"""What asks to be left alone: a stop word first, and three words at most."""

from __future__ import annotations

import unicodedata

import pytest

from vavasms.errors import InvalidInputError
from vavasms.inbound.stop_words import START_WORDS, STOP_WORDS, check_words, is_start, is_stop


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


@pytest.mark.parametrize(
    "text",
    [
        "Désabonnez-moi",
        "Arrêtez-moi ça",
        "Désinscris-moi",
        "Arrête",
        "désabonne",
        "me désabonner",
        "opt out",
        "OPT-OUT",
        "Opt me out please",
        "STOP_SMS",
        "stop-pub",
        "STOPE",
        "please stop",
        "Svp arrêtez !",
        "S’il vous plaît, arrêtez",
        "Bonjour, merci de me désabonner de votre liste SMS",
        "Je veux me désinscrire",
        "Arrêtez de m'envoyer des messages",
        "dés-abonnez-moi",
        "Stop ! Stop ! Stop ! Stop !",
        "REVOKE",
        "quit",
        "End.",
        "Cancel please",
        "Fin",
        "Résiliez mon abonnement",
        "STOP ACME",
        "Se désabonner",
        "Stop\n\nEnvoyé de mon iPhone",
        "Arrêtez svp\n--\nEnvoyé depuis mon Samsung",
        "STOP\nSent from my iPhone",
        "Retirez-moi de votre liste",
        "Supprimez mon numéro de votre liste svp",
        "Ne m'envoyez plus de messages",
        "Je ne veux plus recevoir vos SMS",
        "ne m’écrivez plus",
    ],
)
def test_a_stop_is_one_in_the_forms_that_french_and_english_have(text: str) -> None:
    assert is_stop(text)
    assert is_stop(unicodedata.normalize("NFD", text.upper()))
    assert not is_start(text)


@pytest.mark.parametrize(
    "text",
    [
        "Ne stoppez pas",
        "stop pas",
        "N'arrêtez pas",
        "arrête pas",
        "Ne me désabonnez pas",
        "Je ne veux pas me désabonner",
        "Don't stop",
        "arrêt de bus Cocody",
        "arrêt de bus",
        "Arrêt maladie demain",
        "Je suis à l'arrêt",
        "stop-over à Accra",
        "Le stop est au coin",
        "Fin de mois",
        "la fin",
        "End of month",
        "Cancel my order",
        "Retirez-moi un doute",
        "Supprimez ma commande",
        "Je ne veux plus recevoir le colis",
        "Ne m'envoyez plus le livreur",
        "start-up à Abidjan",
        "Début des cours lundi",
        "stop " * 40,
    ],
)
def test_sentences_that_hold_such_a_word_are_neither(text: str) -> None:
    assert not is_stop(text)
    assert not is_start(text)


@pytest.mark.parametrize(
    "text",
    [
        *sorted(START_WORDS),
        "Début",
        "me réabonner",
        "Réabonnez-moi svp",
        "opt in",
        "start merci",
        "Reprendre les SMS",
    ],
)
def test_a_start_takes_a_stop_back(text: str) -> None:
    assert is_start(text)
    assert not is_stop(text)


def test_a_text_that_says_both_is_a_stop() -> None:
    assert is_stop("stop start")
    assert not is_start("stop start")
    assert not is_start("START STOP")


def test_own_words_are_stops_where_they_stand_alone() -> None:
    own = check_words(["Assez", "plus rien", "اوقف"])
    for text in ("ASSEZ !", "assez svp", "Plus  rien.", "اوقف"):
        assert is_stop(text, own)
        assert not is_stop(text)
    for text in ("assez bien", "plus", "rien"):
        assert not is_stop(text, own)
    assert check_words("ASSEZ") == ("ASSEZ",)


@pytest.mark.parametrize("words", [[""], ["  "], ["!"], [5], ["ok", "…"]])
def test_an_own_word_without_a_letter_is_refused(words: list[str]) -> None:
    with pytest.raises(InvalidInputError, match="a letter or a digit"):
        check_words(words)
