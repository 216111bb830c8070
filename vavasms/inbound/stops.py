"""SMS that ask to be left alone: the words, and the list they go to. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Protocol

from vavasms.numbers import Msisdn

#: Without accents, in capitals.
STOP_WORDS = frozenset(
    [
        "STOP",
        "STOPP",
        "STOPPER",
        "STOPPEZ",
        "STOPALL",
        "STOPSMS",
        "ARRET",
        "ARRETER",
        "ARRETEZ",
        "DESABO",
        "DESABONNER",
        "DESABONNEZ",
        "DESABONNEMENT",
        "DESINSCRIRE",
        "DESINSCRIVEZ",
        "DESINSCRIPTION",
        "UNSUB",
        "UNSUBSCRIBE",
        "OPTOUT",
    ]
)
#: Longer texts that begin with such a word have something else to say.
MAX_WORDS = 3

#: A hyphen or an apostrophe inside a word is part of it: a stop-over is no stop.
_WORD = re.compile(r"\w+(?:[-'’]\w+)*")


class OptOuts(Protocol):
    """A list of numbers that want no SMS; the ledgers of campaigns are such lists."""

    async def add_opt_outs(self, recipients: Iterable[Msisdn], *, source: str, now: float) -> int:
        """Put numbers on the list, which may be there already; give how many were new."""
        ...


def is_stop(text: str) -> bool:
    """Say whether an SMS asks for no more: its first word is a stop word, and it has three words at most.

    Capitals, accents and punctuation do not count: "Stop merci", "ARRÊT !" and "«désabonner»" are stops;
    "stopover", "stop-over" and "ne stop pas" are not.
    """
    plain = unicodedata.normalize("NFKD", text)
    words = _WORD.findall("".join(each for each in plain if not unicodedata.combining(each)))
    return 0 < len(words) <= MAX_WORDS and words[0].upper() in STOP_WORDS
