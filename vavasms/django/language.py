"""The language that Django has chosen, for our own sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.utils.translation import get_language

from vavasms.i18n import current_language, language_set, read_language
from vavasms.i18n import gettext as _


@contextmanager
def djangos_language() -> Iterator[None]:
    """Speak Django's language while the block runs, where it is one of ours."""
    with language_set(read_language(get_language() or "") or current_language()):
        yield


def say(english: str) -> str:
    """Return a sentence of the catalogue in that language; in English where Django has chosen none.

    That is while it writes migrations, and permissions by their names: they are the same everywhere.
    """
    if get_language() is None:
        return english
    with djangos_language():
        return str(_(english))
