"""Write a contact list as they are found in the field. All numbers are drawn, none is looked up."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

_HEADER = ("Nom", "Prénom", "Ville", "Téléphone", "Montant dû")
#: A number that the sandbox always refuses with 903.
_REFUSED = "+2250700000903"
_SEED = 225

_NAMES = ("Kouassi", "Koné", "Traoré", "N'Guessan", "Yao", "Bamba", "Coulibaly", "Aké", "Gnagné", "Ouattara")
_FIRST_NAMES = ("Awa", "Aïcha", "Koffi", "Adjoua", "Sékou", "Mariam", "Désiré", "Akissi", "Ibrahim", "Prisca")
_CITIES = ("Abidjan", "Bouaké", "Yamoussoukro", "Daloa", "Korhogo", "San-Pédro", "Man", "Gagnoa")


def write_contacts(path: Path, rows: int, *, refused: bool = True) -> None:
    """Write `rows` rows: semicolons and cp1252, as French Excel does. The same for the same arguments.

    `refused` puts the number among them that the gateway refuses.
    """
    rng = Random(_SEED)  # noqa: S311  a repeatable draw, no secret
    with path.open("w", encoding="cp1252", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(_HEADER)
        for phone in _phones(rng, rows, refused_row=rows * 9 // 10 if refused else None):
            person = (rng.choice(_NAMES), rng.choice(_FIRST_NAMES), rng.choice(_CITIES))
            writer.writerow((*person, phone, f"{rng.randrange(500, 90_000):,}".replace(",", " ")))


def _phones(rng: Random, rows: int, *, refused_row: int | None) -> Iterator[str]:
    """Draw the cells of the phone column."""
    earlier: list[str] = []
    for row in range(rows):
        if row == refused_row:
            yield _REFUSED
            continue
        chance = rng.random()
        if chance < _CLEAN or not earlier:
            earlier.append(_mobile(rng))
            yield _written(rng, earlier[-1])
        elif chance < _CLEAN + _DUPLICATE:
            yield _written(rng, rng.choice(earlier))
        else:
            yield rng.choices([*_SPOILED], [*_SPOILED.values()])[0](rng)


def _mobile(rng: Random) -> str:
    """Draw a national number of the present plan; the sandbox's magic numbers begin with 07000."""
    return rng.choice(("01", "05", "07")) + f"{rng.randrange(10_000_000, 100_000_000)}"


def _pairs(digits: str, separator: str = " ") -> str:
    return separator.join(digits[index : index + 2] for index in range(0, len(digits), 2))


def _written(rng: Random, number: str) -> str:
    """Write a national number in one of the forms people use."""
    separator = rng.choice((" ", " ", ".", "-", "\u00a0", ""))
    return rng.choice(("", "", "+225 ", "+225", "00225 ", "225")) + _pairs(number, separator)


def _old(rng: Random) -> str:
    """Write a mobile number of the plan of before 2021."""
    prefix = rng.choice(("07", "08", "09", "47", "05", "44", "66", "01", "02", "40"))
    number = f"{prefix}{rng.randrange(1_000_000):06d}"
    return rng.choice(("", "+225 ", "225")) + _pairs(number, rng.choice((" ", "")))


def _landline(rng: Random) -> str:
    prefix, digit = rng.choice(("27 22 4", "25 22 0", "27 20 3")), rng.randrange(10)
    return f"{prefix}{digit} " + _pairs(f"{rng.randrange(1_000_000):06d}"[:4])


def _several(rng: Random) -> str:
    first, second = _pairs(_mobile(rng)), _pairs(_mobile(rng))
    return rng.choice((" / ", ", ", " ou ")).join((first, second))


def _letters(rng: Random) -> str:
    return rng.choice(("à demander", "voir Awa", _mobile(rng)[:-1] + "O", "pas de tél."))


#: The shares of numbers that are fine, and of those that stand in an earlier row already.
_CLEAN, _DUPLICATE = 0.78, 0.05
#: All the rest, with its weights.
_SPOILED: dict[Callable[[Random], str], int] = {
    _old: 55,
    _landline: 12,
    _several: 8,
    lambda _: "": 10,
    _letters: 6,
    lambda rng: f"2,25{rng.randrange(10, 99)}E+12": 5,
    lambda rng: _mobile(rng)[1:]: 6,
    lambda rng: _mobile(rng)[:-3]: 4,
}
