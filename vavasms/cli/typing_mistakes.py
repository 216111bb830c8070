"""What a person meant who typed a word that is none: the closest one, or the English of a French one."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from difflib import get_close_matches

#: Commands by the French words for them, without accents; those of several groups, so several to a word.
_FRENCH = {
    "aide": ("--help",),
    "ajouter": ("add",),
    "annuler": ("cancel",),
    "campagne": ("campaign",),
    "campagnes": ("campaign",),
    "desabonnements": ("optouts",),
    "envoi": ("send", "sends"),
    "envois": ("sends",),
    "envoyer": ("send",),
    "etat": ("status",),
    "expliquer": ("explain",),
    "exporter": ("export",),
    "importer": ("import",),
    "lancer": ("run",),
    "liste": ("list",),
    "lister": ("list",),
    "montrer": ("show",),
    "numero": ("numbers",),
    "numeros": ("numbers",),
    "planifier": ("plan",),
    "preparer": ("plan",),
    "rapport": ("report",),
    "registre": ("ledger",),
    "reprendre": ("resume",),
    "retirer": ("remove",),
    "solde": ("balance",),
    "statut": ("status",),
    "suspendre": ("pause",),
    "verifier": ("check", "verify"),
}


def find_close(word: str, words: Collection[str]) -> str | None:
    """Return the closest of some words; None where none is close."""
    return next(iter(get_close_matches(word, words, n=1)), None)


def find_command(word: str, commands: Collection[str]) -> str | None:
    """Return the command that a word stands for, in English or in French; None where there is none."""
    plain = "".join(c for c in unicodedata.normalize("NFD", word.casefold()) if not unicodedata.combining(c))
    translated = next((one for one in _FRENCH.get(plain, ()) if one in commands), None)
    return translated or find_close(word, commands)
