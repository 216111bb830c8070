"""Which column holds the numbers. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NO_WORD = re.compile(r"[^a-z]+")

#: Words that only a mobile's column has.
_MOBILE = frozenset({"mobile", "portable", "gsm", "cell", "cellphone", "cellulaire", "msisdn", "whatsapp"})
#: Words of any phone's column.
_PHONE = frozenset({"telephone", "telephonique", "tel", "phone", "phonenumber", "numtel", "telno"})
#: Words that mean a phone only where nothing else is said: `Numéro`, but not `Numéro de commande`.
_VAGUE = frozenset({"numero", "num", "number", "contact"})
_FILLERS = _VAGUE | {"n", "no", "de", "du", "d", "le", "la", "l", "the", "of", "client", "customer"}
#: Phones that take no SMS.
_FIXED = frozenset({"fixe", "fixed", "landline", "bureau", "office", "domicile", "home", "maison"})
#: Phones of somebody else.
_OTHERS = frozenset(
    {"father", "femme", "frere", "husband", "mari", "mere", "mother", "parent", "pere", "wife"}
)
_OTHERS |= {"conjoint", "conjointe", "epouse", "epoux", "garant", "guardian", "parrain", "proche", "soeur"}
_OTHERS |= {"assistant", "emergency", "referent", "secour", "secretaire", "spouse", "tuteur", "tutrice"}
_OTHERS |= {"urgence"}
#: What is told of a phone rather than its number.
_ASIDES = frozenset({"label", "code", "indicatif", "prefix", "prefixe", "consent", "consentement", "optin"})
_ASIDES |= {"verified", "verifie", "valid", "valide", "status", "statut", "country", "pay", "date"}
#: Chosen only where there is no other.
_LAST = _FIXED | _OTHERS | _ASIDES
#: Columns that speak of a mobile and hold no number.
_OTHER = frozenset({"fax", "money", "operateur", "operator", "reseau", "network", "type", "marque"})
_OTHER |= {"model", "modele", "os", "id"}

_BLANKS = " \u00a0\u202f"
#: What programs write where there is nothing, and what spreadsheets show for an error. No name is spelt so.
NO_VALUES = frozenset(
    {"nan", "NaN", "NULL", "null", "(null)", "None", "NaT", "<NA>", "undefined", "\\N", "N/A"}
)
NO_VALUES |= {"#N/A", "#NA", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#CALC!"}
NO_VALUES |= {"#VALEUR!", "#NOM?", "#NOMBRE!", "#NUL!", "#GETTING_DATA", "#FIELD!", "#ERROR!", "#ERREUR!"}
# LibreOffice in French has a blank before the sign, and numbers for what has no name.
NO_VALUES |= {
    f"{error[:-1]}{blank}{error[-1]}" for error in NO_VALUES if error[-1] in "!?" for blank in _BLANKS
}
NO_VALUES |= {"#N/D", "n/a", "<NULL>"} | {f"Err:{number}" for number in range(501, 541)}

#: Control characters, marks that turn the direction of text, half characters: terminals obey some of them.
_HARMFUL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
_SHOWN_CHARACTERS = 40

#: The second of a name's rank, where it says phone only for want of anything else.
VAGUE = 2
#: What parts several numbers in one cell; `:::` is Google's.
_SEPARATORS = re.compile(r"[/,;|\n\r]+|\s(?:ou|or|et|and)\s|\s&\s|:::", re.IGNORECASE)

#: Fewer digits are no number: the rest of one (`07 07 07 07/08`), or the year in a title.
DIGITS_OF_A_NUMBER = 7


def cut_words(name: str) -> tuple[str, ...]:
    """Cut a column's name into bare words: no accents, no case, no digits, no punctuation, no plural."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    letters = "".join(character for character in plain if not unicodedata.combining(character))
    words = _NO_WORD.sub(" ", letters).split()
    return tuple(word.rstrip("s") or word for word in words)


def find_phone_column(header: Sequence[str]) -> int | None:
    """Find the column whose name says phone, in French or English; the best of several, then the first."""
    ranks = [(rank_name(name), index) for index, name in enumerate(header)]
    ranked = [(rank, index) for rank, index in ranks if rank is not None]
    return min(ranked)[1] if ranked else None


def rank_name(name: str) -> tuple[bool, int, int] | None:
    """Return a key to order names: mobiles before phones before vague ones, short before long.

    Landlines, other people's phones and what is told of a phone come last. None for any other name.
    """
    parted, whole = cut_words(_CAMEL.sub(" ", name)), cut_words(name)
    # Both `telMobile` and `WhatsApp`.
    words = min(parted, whole, key=len)
    stems = frozenset(parted) | frozenset(whole)
    if stems & _OTHER:
        return None
    last = bool(stems & _LAST)
    if stems & _MOBILE:
        return last, 0, len(words)
    if stems & _PHONE:
        return last, 1, len(words)
    return (last, VAGUE, len(words)) if stems & _VAGUE and _FILLERS.issuperset(parted) else None


def find_named_column(header: Sequence[str], name: str) -> int | None:
    """Find the column of this very name, then one that differs by accents, case and punctuation only."""
    stripped = [one.strip() for one in header]
    if name.strip() in stripped:
        return stripped.index(name.strip())
    wanted = _squeeze(name)
    return next((index for index, one in enumerate(header) if wanted and _squeeze(one) == wanted), None)


def find_columns(wanted: Sequence[str], header: Sequence[str]) -> tuple[int, ...]:
    """Find columns by their names, each once.

    Raises `InvalidInputError` where the list has none such.
    """
    places = [find_named_column(header, str(name)) for name in wanted]
    for name, place in zip(wanted, places, strict=True):
        if place is None:
            raise InvalidInputError(
                _(
                    "The list has no column {name}; its columns are: {columns}. Nothing was sent.",
                    name=show_name(str(name)),
                    columns=", ".join(map(show_name, header)) or _("none"),
                ),
                error_code="list.column",
            )
    return tuple(dict.fromkeys(place for place in places if place is not None))


def is_data(cells: Sequence[str]) -> bool:
    """Return whether these are numbers rather than the names of columns."""
    filled = [cell for cell in cells if cell.strip()]
    return bool(filled) and all(sum(map(str.isdecimal, cell)) >= DIGITS_OF_A_NUMBER for cell in filled)


def split_numbers(text: str) -> tuple[str, ...]:
    """Part a cell that holds several numbers; a text where only one part is a number stays whole."""
    parts = tuple(part.strip() for part in _SEPARATORS.split(text) if part.strip())
    whole = all(sum(map(str.isdecimal, part)) >= DIGITS_OF_A_NUMBER for part in parts)
    return parts if parts and whole else (text,)


def unique_names(header: Sequence[str]) -> tuple[str, ...]:
    """Trim the names, and number those that come again or are empty: `nom`, `nom 2`, `nom 3`, `column 4`.

    A name that the header has stays with its own column: `nom`, `nom`, `nom 2` are `nom`, `nom 3`, `nom 2`.
    """
    plain = [name.strip() or f"column {place}" for place, name in enumerate(header, start=1)]
    taken = {name.strip() for name in header}
    names: dict[str, None] = {}
    # Of each name the number to try next: from 2 each time, a thousand like names would take seconds.
    numbers: dict[str, int] = {}
    for name, one in zip(header, plain, strict=True):
        if one not in names and (name.strip() or one not in taken):
            names[one] = None
            continue
        number = numbers.get(one, 2)
        while f"{one} {number}" in taken or f"{one} {number}" in names:
            number += 1
        names[f"{one} {number}"] = None
        numbers[one] = number + 1
    return tuple(names)


def show_name(name: str) -> str:
    """Make a column's name fit for one line of an error."""
    return disarm(name)[:_SHOWN_CHARACTERS]


def disarm(text: str) -> str:
    """Make a text one line, without what a terminal obeys."""
    return " ".join(_HARMFUL.sub("", " ".join(text.split())).split())


def _squeeze(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).casefold()
    return "".join(character for character in plain if character.isalnum())
