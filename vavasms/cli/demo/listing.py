"""Write a contact list as they are found in the field. All numbers are drawn, none is looked up."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterator
from pathlib import Path

HEADER = ("Nom", "Prénom", "Ville", "Téléphone", "Montant dû")
#: A number that the sandbox always refuses with 903.
REFUSED_NUMBER = "2250700000903"
_SEED = 225

_NAMES = ("Kouassi", "Koné", "Traoré", "N'Guessan", "Yao", "Bamba", "Coulibaly", "Aké", "Gnagné", "Ouattara")
_FIRST_NAMES = ("Awa", "Aïcha", "Koffi", "Adjoua", "Sékou", "Mariam", "Désiré", "Akissi", "Ibrahim", "Prisca")
_CITIES = ("Abidjan", "Bouaké", "Yamoussoukro", "Daloa", "Korhogo", "San-Pédro", "Man", "Gagnoa")

Draw = Callable[[random.Random], str]


def write_contacts(path: Path, rows: int, *, refused: bool = True) -> None:
    """Write `rows` rows: semicolons and cp1252, as French Excel does. The same for the same arguments.

    `refused` puts the number among them that the gateway refuses.
    """
    rng = random.Random(_SEED)  # noqa: S311  a repeatable draw, no secret
    with path.open("w", encoding="cp1252", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(HEADER)
        for phone in _phones(rng, rows, refused=refused):
            person = (rng.choice(_NAMES), rng.choice(_FIRST_NAMES), rng.choice(_CITIES))
            writer.writerow((*person, phone, f"{rng.randrange(500, 90_000):,}".replace(",", " ")))


def _phones(rng: random.Random, rows: int, *, refused: bool) -> Iterator[str]:
    """Draw the cells of the phone column."""
    earlier: list[str] = []
    refused_row = rows * 9 // 10 if refused else None
    draws, weights = zip(*_SPOILED, strict=True)
    for row in range(rows):
        if row == refused_row:
            yield f"+{REFUSED_NUMBER}"
            continue
        chance = rng.random()
        if chance < _CLEAN or not earlier:
            number = _mobile(rng)
            earlier.append(number)
            yield _written(rng, number)
        elif chance < _CLEAN + _AGAIN:
            yield _written(rng, rng.choice(earlier))
        else:
            yield rng.choices(draws, weights)[0](rng)


def _mobile(rng: random.Random) -> str:
    """Draw a national number of the present plan; those that bring misfortune begin with 07000."""
    return rng.choice(("01", "05", "07")) + f"{rng.randrange(10_000_000, 100_000_000)}"


def _pairs(digits: str, separator: str) -> str:
    return separator.join(digits[index : index + 2] for index in range(0, len(digits), 2))


def _written(rng: random.Random, number: str) -> str:
    """Write a national number in one of the forms people use."""
    separator = rng.choice((" ", " ", ".", "-", "\u00a0", ""))
    return rng.choice(("", "", "+225 ", "+225", "00225 ", "225")) + _pairs(number, separator)


def _old(rng: random.Random) -> str:
    """Write a mobile number of the plan of before 2021."""
    number = rng.choice(("07", "08", "09", "47", "05", "44", "66", "01", "02", "40")) + _six(rng)
    return rng.choice(("", "+225 ", "225")) + _pairs(number, rng.choice((" ", "")))


def _six(rng: random.Random) -> str:
    return f"{rng.randrange(1_000_000):06d}"


def _landline(rng: random.Random) -> str:
    return (
        rng.choice(("27 22 4", "25 22 0", "27 20 3")) + f"{rng.randrange(10)} " + _pairs(_six(rng)[:4], " ")
    )


def _several(rng: random.Random) -> str:
    first, second = _pairs(_mobile(rng), " "), _pairs(_mobile(rng), " ")
    return rng.choice((" / ", ", ", " ou ")).join((first, second))


def _letters(rng: random.Random) -> str:
    return rng.choice(("à demander", "voir Awa", _mobile(rng)[:-1] + "O", "pas de tél."))


#: The shares of numbers that are fine, and of those that stand in an earlier row already.
_CLEAN, _AGAIN = 0.78, 0.05
#: All the rest, with its weights.
_SPOILED: tuple[tuple[Draw, int], ...] = (
    (_old, 55),
    (_landline, 12),
    (_several, 8),
    (lambda _: "", 10),
    (_letters, 6),
    (lambda rng: f"2,25{rng.randrange(10, 99)}E+12", 5),
    (lambda rng: _mobile(rng)[1:], 6),
    (lambda rng: _mobile(rng)[:-3], 4),
)
