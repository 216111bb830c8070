"""SMS that ask to be left alone, or to be written to again: the words, and the list they go to. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Protocol, runtime_checkable

from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.numbers import Msisdn


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# All without accents, in capitals. Whatever follows these in a short text, they are meant:
_STRONG = _words(
    "STOP STOPP STOPE STOPPE STOPALL STOPSMS STOPPUB STOPPUBS DESABO DESABONNER DESABONNEZ DESABONNE "
    "DESABONNES DESABONNEMENT DESABONER DESABONEZ DESABONE DESABONEMENT DESINSCRIRE DESINSCRIVEZ "
    "DESINSCRIS DESINSCRIT DESINSCRIPTION UNSUB UNSUBSCRIBE OPTOUT"
)
# These are words of other sentences too ("arrêt de bus"), so all that is beside them must be known:
_WEAK = _words(
    "STOPPER STOPPEZ STOPPES ARRET ARRETER ARRETEZ ARRETE ARRETES ARRETS ARET ARETE ARETEZ ARETER ARRETTE "
    "ARRETTEZ RESILIER RESILIEZ RESILIE RESILIATION"
)
# These are stops only where they stand alone.
_ALONE = _words("REVOKE QUIT END CANCEL FIN")
#: Without accents, in capitals.
STOP_WORDS = _STRONG | _WEAK | _ALONE
#: The same, of those that take it back.
START_WORDS = _words(
    "START UNSTOP DEBUT REPRENDRE REPRENEZ REPRENDS REABONNER REABONNEZ REABONNE REABONNES REABONNEMENT "
    "REABONER REINSCRIRE REINSCRIVEZ REINSCRIS REINSCRIPTION RESUBSCRIBE OPTIN"
)
_POLITE = _words(
    "SVP STP MERCI PLEASE PLS PLZ THANKS THANK YOU BONJOUR BONSOIR SALUT HELLO HI OK S IL VOUS TE PLAIT D "
    "AVANCE"
)
_BEFORE = _POLITE | _words(
    "JE J VEUX VOUDRAIS SOUHAITE SOUHAITERAIS AIMERAIS DESIRE DEMANDE DE POUVEZ PEUX POURRIEZ VOUS TU "
    "VEUILLEZ ME M SE MOI NOUS I WANT TO WOULD LIKE MY"
)
_AFTER = _POLITE | _words(
    "MOI ME M NOUS CA CELA TOUT TOUS TOUTE TOUTES LE LA LES L DES DU DE D CE CES CET CETTE VOS VOTRE TES "
    "TON MES MON A AUX AU LISTE NUMERO SMS TEXTO TEXTOS MESSAGE MESSAGES MSG MSGS PUB PUBS PUBLICITE "
    "PUBLICITES PROMO PROMOS NEWSLETTER NOTIFICATION NOTIFICATIONS ALERTE ALERTES SPAM SPAMS ENVOI ENVOIS "
    "ENVOYER ENVOYEZ ABONNEMENT MAINTENANT IMMEDIATEMENT NOW ALL THE THIS THESE FROM LIST IT TEXT TEXTS "
    "TEXTING MESSAGING SENDING US"
)
_NEGATIONS = _words("NE N PAS JAMAIS NON NO NOT NEVER DONT")
#: Longer texts that begin with a strong word have something else to say.
MAX_WORDS = 3
# Longer texts are not looked at, however well known their words.
_MOST_WORDS = 16

# A hyphen, an underscore or an apostrophe inside a word is part of it: a stop-over is no stop.
_GLUED = re.compile(r"[^\W_]+(?:[-_'’\u2010\u2011]+[^\W_]+)*")
_WORD = re.compile(r"[^\W_]+")
# Words that are written in one or in two.
_JOINED = (
    (re.compile(r"\bOPT (?:ME |US )?OUT\b"), "OPTOUT"),
    (re.compile(r"\bOPT (?:ME |US )?IN\b"), "OPTIN"),
    (re.compile(r"\b(DES|RE) (?=ABON|INSCRI)"), r"\1"),
)
# What phones and programs put below a text, in a line of its own.
_SIGNATURE = re.compile(r"[\r\n]\s*(?:--|(?:ENVOYE|SENT|OBTENEZ|TELECHARGE[RZ]|GET OUTLOOK)\b).*", re.DOTALL)
# Requests without a stop word. What is no longer wanted must be messages, whose list must be left.
_THINGS = r"(?: (?:DE|D|VOS|TES|LES|CES|AUCUN|SMS|MSGS?|MESSAGES?|TEXTOS?|PUBS?|PUBLICITES?|PROMOS?|SPAMS?))"
_PLEAS = (
    (
        r"(?:RETIRE|ENLEVE|SUPPRIME|EFFACE)[ZR]? (?:MOI|ME|NOUS|MON NUMERO)"
        r"(?: DE (?:LA|VOTRE|VOS|CETTE) LISTES?)?"
    ),
    rf"(?:NE )?(?:ME?|NOUS) (?:ENVOYE[RZ]|ENVOIES?|ECRIVEZ|ECRIS|CONTACTE[RZS]?) PLUS{_THINGS}*",
    rf"NE PLUS (?:(?:ME?|NOUS) )?(?:RECEVOIR|ENVOYER|ECRIRE|CONTACTER){_THINGS}*",
    rf"(?:JE )?(?:NE )?(?:VEUX|SOUHAITE|DESIRE) PLUS(?: RECEVOIR)?{_THINGS}+",
)


class OptOuts(Protocol):
    """A list of numbers that want no SMS; the ledgers of campaigns are such lists."""

    async def add_opt_outs(self, recipients: Iterable[Msisdn], *, source: str, now: float) -> int:
        """Put numbers on the list, which may be there already; return how many were new."""
        ...


@runtime_checkable
class RevocableOptOuts(OptOuts, Protocol):
    """A list that numbers can be taken off again."""

    async def remove_opt_outs(self, recipients: Iterable[Msisdn]) -> int:
        """Take numbers off the list, which need not be there; return how many were."""
        ...


def is_stop(text: str, words: Sequence[str] = ()) -> bool:
    """Return whether an SMS asks for no more, by our words or by `words`.

    Capitals, accents and punctuation do not count: "Stop merci", "ARRÊT !", "désabonnez-moi", "merci de me
    désabonner", "ne m'envoyez plus de SMS" and "STOP_SMS" are stops; "stop-over", "ne stoppez pas" and
    "arrêt de bus Cocody" are not. What a phone signs below a text is not part of it.
    """
    plain = _normalize(text)
    patterns = (_stop_pattern(tuple(words)), _PLEA)
    return _is_strong(plain) or any(_is_request(plain, pattern) for pattern in patterns)


def is_start(text: str) -> bool:
    """Return whether an SMS takes a stop back: "START", "me réabonner", "reprendre les SMS"."""
    return _is_request(_normalize(text), _START) and not is_stop(text)


def check_words(words: Iterable[str]) -> tuple[str, ...]:
    """Return a program's own stop words. Raises `InvalidInputError` where one has no letter."""
    own = (words,) if isinstance(words, str) else tuple(words)
    if not all(isinstance(word, str) and _split(_normalize(word)) for word in own):
        raise InvalidInputError(
            _("A stop word is a text with a letter or a digit in it."),
            error_code="inbound.stop_word",
            outcome=None,
        )
    return own


def _normalize(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter)).upper()
    return _SIGNATURE.sub("", plain)


def _split(plain: str) -> str:
    """Return the words of a text with a blank between them."""
    words = " ".join(_WORD.findall(plain))
    for pattern, joined in _JOINED:
        words = pattern.sub(joined, words)
    return words


def _is_strong(plain: str) -> bool:
    words = _GLUED.findall(plain)
    if not 0 < len(words) <= MAX_WORDS or words[0] not in _STRONG:
        return False
    return _NEGATIONS.isdisjoint(_WORD.findall(plain))


def _is_request(plain: str, pattern: re.Pattern[str]) -> bool:
    words = _split(plain)
    return words.count(" ") < _MOST_WORDS and pattern.fullmatch(words) is not None


def _pattern(words: Iterable[str], alone: Iterable[str] = ()) -> re.Pattern[str]:
    """Return what matches a request: what is said before, the word, what is said after, all of it known."""
    known, lone = _any_of(words), _any_of(alone)
    before, after, polite = _any_of(_BEFORE), _any_of(_AFTER | set(words)), _any_of(_POLITE)
    return re.compile(rf"(?:{before} )*+(?:{known})(?: {after})*+|(?:{polite} )*+(?:{lone})(?: {polite})*+")


def _any_of(words: Iterable[str]) -> str:
    # The longest first: no word is taken for the beginning of another.
    return f"(?:{'|'.join(sorted(map(re.escape, words), key=len, reverse=True)) or '(?!)'})"


@lru_cache(maxsize=64)
def _stop_pattern(own: tuple[str, ...]) -> re.Pattern[str]:
    return _pattern(_STRONG | _WEAK, _ALONE | {_split(_normalize(word)) for word in own})


_START = _pattern(START_WORDS)
_PLEA = re.compile(
    rf"(?:(?:{_any_of(_POLITE | {'VEUILLEZ', 'DE'})}) )*+(?:{'|'.join(_PLEAS)})(?: {_any_of(_POLITE)})*+"
)
