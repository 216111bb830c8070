"""Lists as people's programs write them, made by a generator that knows what each row was meant to say."""

from __future__ import annotations

import io
from collections import Counter
from random import Random

import pytest
from attrs import define, field

from vavasms.campaigns.planning.contacts import Fate, Judge, read_contacts
from vavasms.campaigns.planning.planner import Planner
from vavasms.campaigns.planning.template import parse_template

LISTS = 200
FRENCH = (
    "Théo",
    "Aïcha",
    "Noël",
    "Koné",
    "Zoë",
    "François",
    "Awa",
    "Jean-Luc",
    "N’Guessan",
    "Œuvre",
    "CAFÉ…",
)
TOWNS = ("Bouaké", "Man", "Koffi, Jean", "San-Pédro; sud", 'dit "le Vieux"', "l’Étoile", "", "ligne\nbrisée")
#: Letters that the old encodings lack.
NEWER = ("N’Guessan", "Œuvre", "CAFÉ…", "l’Étoile")
HEADERS = (
    "tel",
    "Téléphone",
    "Numéro",
    "phone_number",
    "Mobile",
    "N° de téléphone",
    "Contact",
    "WhatsApp",
    "GSM",
)
TITLES = ("Liste des clients", "Export 20260701", "Agence de Man, contacts", "")
#: A column that speaks of a phone, and what its cells hold.
DECOYS = {
    "phone_code": ("225",), "Mobile OS": ("Android", "iOS"), "Tel fax": ("2722410101",),
    "mobile_consent": ("oui", "non"), "Mobile du conjoint": ("0759000001", "0759000002"),
    "Phone 1 - Label": ("Mobile", "Home"), "Indicatif tel": ("+225",),
}  # fmt: skip
FORMS = (
    "{0}", "+225{0}", "00225{0}", "225{0}", "'+225{0}", '="{0}"', "tel:+225{0}", "whatsapp:+225{0}",
    "{0} (Orange)", "+225 {0}", "  {0} ", "\u00a0{0}", "Tél. : {0}",
)  # fmt: skip
#: The encodings that can be found out come without a name.
ENCODINGS = (
    ("utf-8", None), ("utf-8-sig", None), ("utf-16", None), ("utf-32", None), ("cp1252", None), ("stray", None),
    ("mac_roman", "mac_roman"), ("cp850", "cp850"), ("utf-16-le", "utf-16-le"),
)  # fmt: skip


@define
class Meant:
    """What a list was meant to say."""

    content: bytes
    encoding: str | None
    #: The text of each recipient.
    texts: dict[str, str] = field(factory=dict)
    fates: Counter[Fate] = field(factory=Counter)
    numbers: int = 0


def write_cell(cell: str, delimiter: str, random: Random) -> str:
    if any(mark in cell for mark in (delimiter, '"', "\n")) or random.random() < 0.1:
        return " " * random.choice((0, 0, 1, 2)) + '"' + cell.replace('"', '""') + '"'
    return cell


def write_number(number: str, random: Random) -> str:
    spaced = " ".join(number[place : place + 2] for place in range(0, 10, 2))
    return random.choice(FORMS).format(random.choice((number, number, spaced, spaced.replace(" ", "-"))))


def encode(lines: list[str], codec: str) -> bytes:
    if codec != "stray":
        return "".join(lines).encode(codec)
    # One record in seven was pasted from another program.
    return b"".join(line.encode("cp1252" if place % 7 == 6 else "utf-8") for place, line in enumerate(lines))


def make_list(seed: int) -> Meant:
    """Make a list, and what it means; the same of a seed each time."""
    random = Random(seed)
    codec, encoding = random.choice(ENCODINGS)
    is_old = codec in ("mac_roman", "cp850")
    # Of these letters and signs, two bytes of cp1252 are also a letter of UTF-8: a stray record cannot tell.
    alphabet = [
        name for name in FRENCH if not (is_old and name in NEWER) and not (codec == "stray" and "…" in name)
    ]
    towns = [town for town in TOWNS if not (is_old and town in NEWER)]
    delimiter, end = random.choice(",;\t|"), random.choice(("\n", "\r\n"))
    columns = ["prénom" if codec != "stray" else "prenom", "ville", random.choice(HEADERS)]
    decoy = random.choice((None, *DECOYS))
    columns += [decoy] if decoy else []
    random.shuffle(columns)
    meant = Meant(b"", encoding)
    lines = [delimiter.join(columns) + end]
    for _ in range(random.randint(8, 60)):
        lines.append(make_row(columns, alphabet, towns, delimiter, random, meant) + end)
        if random.random() < 0.05:
            lines.append(delimiter * random.choice((0, len(columns) - 1)) + end)
    above = [random.choice(TITLES) + end for _ in range(random.choice((0, 0, 1, 2)))]
    above += [end] if above else []
    declared = [f"sep={delimiter}{end}"] if random.random() < 0.2 else []
    meant.content = encode([*declared, *above, *lines], codec)
    return meant


def make_row(
    columns: list[str],
    names: list[str],
    towns: list[str],
    delimiter: str,
    random: Random,
    meant: Meant,
) -> str:
    """Write one row, and note what becomes of its number."""
    name, town = random.choice(names), random.choice(towns)
    number = f"07090000{random.randint(0, 60):02}"
    phone, fate = write_number(number, random), Fate.KEPT
    kind = random.random()
    if kind < 0.08:
        phone, fate = random.choice(("", "12", "NULL", "voir Awa", "2722410101", "2,25071E+12")), Fate.REFUSED
    cells = [{"prénom": name, "prenom": name, "ville": town}.get(column, phone) for column in columns]
    for place, column in enumerate(columns):
        if column in DECOYS:
            cells[place] = random.choice(DECOYS[column])
    if kind > 0.95:
        cells.append("de trop")
        fate = Fate.REFUSED
    elif kind > 0.9:
        cells += ["", " "]
    note(meant, f"225{number}", fate, f"Bonjour {name}, {' '.join(town.split()) or 'ici'}")
    return delimiter.join(write_cell(cell, delimiter, random) for cell in cells)


def note(meant: Meant, number: str, fate: Fate, text: str) -> None:
    meant.numbers += 1
    if fate is Fate.KEPT and number in meant.texts:
        fate = Fate.DUPLICATE
    elif fate is Fate.KEPT:
        meant.texts[number] = text
    meant.fates[fate] += 1


@pytest.mark.parametrize("seed", range(LISTS))
def test_every_number_has_one_fate_and_every_text_is_what_was_meant(seed: int) -> None:
    meant = make_list(seed)
    texts: dict[str, str] = {}
    with read_contacts(io.BytesIO(meant.content), encoding=meant.encoding) as contacts:
        template = parse_template("Bonjour {prenom}, {ville|ici}")
        planner = Planner(
            judge=Judge(), template=template.bind(contacts.columns), batch_size=7, is_plain=template.is_plain
        )
        for batch in (batch for chunk in planner.plan(contacts) for batch in chunk):
            for recipient in batch.recipients:
                assert str(recipient) not in texts
                texts[str(recipient)] = batch.message
        plan = planner.result(contacts.phone_column)
    assert texts == meant.texts
    assert (plan.numbers, plan.kept) == (meant.numbers, meant.fates[Fate.KEPT])
    assert (plan.duplicates, plan.refused) == (meant.fates[Fate.DUPLICATE], meant.fates[Fate.REFUSED])
    assert plan.kept + plan.duplicates + plan.opted_out + plan.refused == plan.numbers
    assert plan.garbled is None
