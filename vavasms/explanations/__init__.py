"""What each `error_code` means: what happened, whether anything was sent, what to do.

`vavasms explain` shows it, and the guide's chapter on errors is made of it. One module for each kind of code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module

from vavasms.explanations.base import Explanation
from vavasms.i18n import gettext_noop as N_

__all__ = ["Explanation", "explanations", "families", "find_explanation"]

#: The modules and their titles, in the order in which the guide lists them.
_FAMILIES: Mapping[str, str] = {
    "outcomes": N_("Did it leave?"),
    "gateway": N_("What the gateway refuses"),
    "numbers": N_("Numbers"),
    "messages": N_("Texts, senders, keys and one-time codes"),
    "settings": N_("Settings and commands"),
    "ledger": N_("The ledger"),
    "campaigns": N_("Lists and campaigns"),
    "desk": N_("The desk"),
    "inbound": N_("Receiving, and the sandbox"),
}


@cache
def families() -> Mapping[str, Sequence[Explanation]]:
    """Return the explanations of each kind, by its title."""
    return {
        title: import_module(f"vavasms.explanations.{name}").EXPLANATIONS for name, title in _FAMILIES.items()
    }


@cache
def explanations() -> Mapping[str, Explanation]:
    """Return all explanations by their code."""
    return {entry.code: entry for entries in families().values() for entry in entries}


def find_explanation(code: str) -> Explanation | None:
    """Return the explanation of a code; of one that the gateway made up, that of any refusal."""
    known = explanations()
    code = code.strip().strip("[]").casefold()
    code = f"gateway.{code}" if code.isdecimal() else code
    family, _, number = code.partition(".")
    if code not in known and family == "gateway" and number.isdecimal():
        code = "gateway.refused"
    return known.get(code)
