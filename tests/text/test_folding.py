"""What folding changes, and above all what it leaves alone."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vavasms.text.folding import fold_to_gsm7
from vavasms.text.gsm7 import BASIC, EXTENSION
from vavasms.text.segments import Encoding, count_segments

anything = st.text(alphabet=st.characters(exclude_categories=()), max_size=60)
nasty = st.text(
    alphabet="aeEnNm=<>＝ａ≠°²êœŒ«»\u0301\u0302\u0323\u0338\u200b\u200d\ufe0f\u00a0😀س\u0651", max_size=20
)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Être prêt, ça coûte", "Etre pret, ca coute"),
        ("cœur, Œuvre, ŒUVRE", "coeur, OEuvre, OEUVRE"),
        ("« L’été » – “déjà”…", '" L\'été " - "déjà"...'),
        ("10\u202f000\u00a0FCFA\t!", "10 000 FCFA !"),
        ("N°\u202f5, n°6", "No 5, no6"),
        ("12 m², 3 m³", "12 m2, 3 m3"),
        ("À bientôt, Noël", "A bientot, Noel"),
        ("client·e·s", "client.e.s"),
        ("ﬁn de l\u00adannée\u200b", "fin de lannée"),
        ("e\u0301te\u0301", "été"),
        ("x\u0302", "x"),
        ("Ａｂ１！", "Ab1!"),
        ("a\u200db\ufe0f", "ab"),
        ("ê\u200dtre", "etre"),
        ("Łódź ơ ǿ ẞ", "Lodz o ø SS"),
        ("• un\u2028• deux", "- un\n- deux"),
    ],
)
def test_what_has_a_plain_spelling_becomes_gsm7(text: str, folded: str) -> None:
    assert fold_to_gsm7(text) == folded
    assert count_segments(folded).encoding is Encoding.GSM7


@pytest.mark.parametrize(
    "text",
    [
        "😀",
        "👩\u200d💻",
        "❤\ufe0f",
        "مرحبا",
        "س\u200cس",
        "Привет й",
        "25°C",
        "10²",
        "1½",
        "≠",
        "ɛ ɔ ŋ",
        "a\u0336",
        "\x1b",
        "\ud83d",
    ],
)
def test_what_would_change_its_sense_is_left(text: str) -> None:
    assert fold_to_gsm7(text) == text


def test_characters_of_gsm7_are_never_touched() -> None:
    everything = BASIC + EXTENSION
    assert fold_to_gsm7(everything) == everything
    for character in everything:
        assert fold_to_gsm7(character + "😀") == character + "😀"


def test_no_character_folds_to_another_foreign_one() -> None:
    for code in range(0x3_0000):
        folded = fold_to_gsm7(chr(code))
        assert folded == unicodedata.normalize("NFC", chr(code)) or not count_segments(folded).offending


def test_a_text_of_gsm7_comes_back_as_it_is() -> None:
    text = "Déjà 5 € [promo]"
    assert fold_to_gsm7(text) is text


@given(anything | nasty)
def test_folding_twice_changes_nothing(text: str) -> None:
    folded = fold_to_gsm7(text)
    assert fold_to_gsm7(folded) == folded


@given(anything | nasty)
def test_folding_never_adds_what_forces_ucs2(text: str) -> None:
    before = count_segments(unicodedata.normalize("NFC", text)).offending
    assert len(count_segments(fold_to_gsm7(text)).offending) <= len(before)
