"""Generated numbers and texts, the same in every run."""

from __future__ import annotations

import random
from collections.abc import Iterator

#: Calling code and first digits of mobile ranges, and how many digits follow them.
_RANGES = (
    ("22507", 8),
    ("22505", 8),
    ("22501", 8),
    ("22177", 7),
    ("22176", 7),
    ("22370", 6),
    ("22676", 6),
    ("2290197", 6),
    ("22890", 6),
    ("22796", 6),
    ("22462", 7),
)
_COMMON = (
    "bonjour votre commande arrive demain merci de passer à la boutique avant 18h le colis est parti "
    "chère cliente cher client solde restant 2 500 F appelez-nous réunion reportée élève école où "
    "paiement validé code rappel facture échéance très déjà année numéro répondez stop"
)
_RARE = "prête reçu août français ça être noël maïs hôpital cœur bientôt même dîner théâtre"
#: Letters that GSM-7 lacks are one in two hundred of French letters, so about one word in forty.
_WORDS = (_COMMON.split(), _RARE.split())
_RARITY = 40
_ENDINGS = (".", ".", ".", "!", " !", "?", " STOP", " : 15 €", "…", " 🎉")


def make_wire_numbers(count: int) -> list[str]:
    """Make Ivorian numbers in the wire's form, all different."""
    return list(stream_wire_numbers(count))


def stream_wire_numbers(count: int) -> Iterator[str]:
    """Yield Ivorian numbers one by one, so that a million of them take no memory."""
    return (f"22507{10_000_000 + index}" for index in range(count))


def make_written_numbers(count: int) -> list[str]:
    """Make mobile numbers of eight countries as people write them; one in a hundred lost a digit."""
    chance = random.Random(2021)
    return [_write(chance, index) for index in range(count)]


def _write(chance: random.Random, index: int) -> str:
    head, more = chance.choice(_RANGES)
    digits = f"{head}{chance.randrange(10**more):0{more}d}"
    if index % 100 == 99:
        digits = digits[:-1]
    pairs = " ".join(digits[at : at + 2] for at in range(3, len(digits), 2))
    return (digits, f"+{digits}", f"00{digits}", f"+{digits[:3]} {pairs}")[chance.randrange(4)]


def make_french_texts(count: int) -> list[str]:
    """Make French texts of 20 to 300 characters; some hold what GSM-7 lacks, some what it escapes."""
    chance = random.Random(1992)
    return [_tell(chance) for _ in range(count)]


def _tell(chance: random.Random) -> str:
    length = chance.randrange(20, 300)
    words: list[str] = []
    while sum(map(len, words)) + len(words) < length:
        words.append(chance.choice(_WORDS[chance.randrange(_RARITY) == 0]))
    ending = chance.choice(_ENDINGS)
    return " ".join(words).capitalize()[: length - len(ending)] + ending
