"""Segments against the standard written out, and against the libraries where they keep to it."""

from __future__ import annotations

import random

import gsm0338
import pytest
import smsutil
from hypothesis import given
from hypothesis import strategies as st

from vavasms.text.gsm7 import BASIC, EXTENSION
from vavasms.text.segments import Encoding, Segmentation, count_segments

CODEC = gsm0338.Codec()
# The library encodes the escape itself, which opens the extension table and is no character.
STANDARD = frozenset(CODEC._encoding_map) - {"\x1b"}
EMOJI = "😀"
ALPHABETS = ["abcdefghij é", BASIC, BASIC + EXTENSION, "[€a", "aê", "سلام", f"ab{EMOJI}", f"{EMOJI}é"]


def is_gsm7(text: str) -> bool:
    try:
        CODEC.encode(text)
    except UnicodeEncodeError:
        return False
    return True


def count_by_the_letter(text: str) -> tuple[int, int, int]:
    """Segments, units and units left, character by character."""
    if is_gsm7(text) and "\x1b" not in text:
        sizes, costs = (160, 153), [2 if c in EXTENSION else 1 for c in text]
    else:
        sizes, costs = (70, 67), [2 if c > "\uffff" else 1 for c in text]
    units = sum(costs)
    if units <= sizes[0]:
        return bool(text), units, sizes[0] - units
    segments, used = 1, 0
    for cost in costs:
        if used + cost > sizes[1]:
            segments, used = segments + 1, 0
        used += cost
    return segments, units, sizes[1] - used


def generated_texts(count: int) -> list[str]:
    rng = random.Random(23038)
    lengths = [0, 1, 69, 70, 71, 133, 134, 135, 152, 153, 154, 159, 160, 161, 305, 306, 307, 460]
    texts = []
    for _ in range(count):
        text = rng.choices(rng.choice(ALPHABETS), k=rng.choice(lengths))
        for _ in range(rng.choice([0, 0, 1, 2])):
            place = rng.choice([0, 66, 69, 133, 152, 159, 305]) + rng.randrange(3)
            text[place : place + 1] = rng.choice([EMOJI, "€", "{", "ç", "a"])
        texts.append("".join(text))
    return texts


def check_against_the_standard(count: int) -> None:
    for text in generated_texts(count):
        counted = count_segments(text)
        assert (counted.encoding is Encoding.GSM7) is is_gsm7(text)
        assert (counted.segments, counted.units, counted.units_left) == count_by_the_letter(text)
        assert counted.offending == tuple((i, c) for i, c in enumerate(text) if c not in STANDARD)
        if text:
            assert counted.segments == len(smsutil.split(text).parts)


def test_texts_have_the_encoding_and_count_of_the_standard() -> None:
    check_against_the_standard(3_000)


@pytest.mark.full
def test_20_000_texts_have_the_encoding_and_count_of_the_standard() -> None:
    check_against_the_standard(20_000)


def test_typical_lengths_cost_what_everyone_expects() -> None:
    for length, segments, left in ((1, 1, 159), (160, 1, 0), (161, 2, 145), (306, 2, 0), (307, 3, 152)):
        counted = count_segments("a" * length)
        assert (counted.segments, counted.units, counted.units_left) == (segments, length, left)
    for length, segments, left in ((1, 1, 69), (70, 1, 0), (71, 2, 63), (134, 2, 0), (135, 3, 66)):
        counted = count_segments("ê" * length)
        assert (counted.segments, counted.units, counted.units_left) == (segments, length, left)


def test_the_empty_text_is_no_sms() -> None:
    assert count_segments("") == Segmentation(
        encoding=Encoding.GSM7, segments=0, units=0, units_left=160, offending=()
    )


def test_an_extension_character_is_never_parted() -> None:
    assert count_segments("a" * 158 + "€").segments == 1
    assert count_segments("a" * 152 + "€" + "a" * 151).units_left == 0
    assert count_segments("a" * 152 + "€" + "a" * 152).segments == 3
    assert count_segments("a" * 152 + "€" + "a" * 152).units == 306


def test_a_surrogate_pair_is_never_parted() -> None:
    assert count_segments("a" * 68 + EMOJI).segments == 1
    assert count_segments("a" * 66 + EMOJI + "a" * 65).segments == 2
    assert count_segments("a" * 66 + EMOJI + "a" * 66).segments == 3
    assert count_segments("é" * 66 + "\ud83d\ude00" + "a" * 66).segments == 3


def test_a_lone_surrogate_counts_one_unit() -> None:
    assert count_segments("\ud83d").units == 1
    assert count_segments("\ude00" * 134).segments == 2
    assert count_segments("a" * 66 + "\ud83d" + "a" * 67).segments == 2


def test_what_forces_ucs2_is_named_with_its_place() -> None:
    counted = count_segments(f"Ça coûte 5 € {EMOJI}")
    assert counted.encoding is Encoding.UCS2
    assert counted.offending == ((5, "û"), (13, EMOJI))
    assert count_segments("Ça vaut 5 €").offending == ()


@pytest.mark.parametrize("character", ["\x1b", "\x00", "\t", "`", "°"])
def test_characters_outside_the_alphabet_force_ucs2(character: str) -> None:
    assert count_segments(f"a{character}b").offending == ((1, character),)


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=400))
def test_any_text_is_counted(text: str) -> None:
    counted = count_segments(text)
    size = {Encoding.GSM7: (160, 153), Encoding.UCS2: (70, 67)}[counted.encoding]
    assert 0 <= counted.units_left <= size[counted.segments > 1]
    assert counted.units <= counted.segments * size[counted.segments > 1]
    assert counted.units >= len(text)
    assert (counted.encoding is Encoding.UCS2) is bool(counted.offending)
