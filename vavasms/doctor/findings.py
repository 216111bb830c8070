"""What a check found, and what to do about it."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from vavasms.i18n import gettext as _

#: Seconds that any check may wait.
PATIENCE = 10.0


class FindingState(StrEnum):
    """What a check says of what it examined."""

    GOOD = "good"
    #: It works, and somebody should see to it.
    WARNING = "warning"
    BAD = "bad"
    #: It was not examined.
    SKIPPED = "skipped"


@frozen(kw_only=True)
class Finding:
    """What one check found. Holds no credential and no number."""

    #: The name of the check, the same in every language and version.
    name: str
    state: FindingState
    #: What was found.
    sentence: str
    #: What to do next; empty where there is nothing to do.
    step: str = ""
    #: Of what is bad: nothing need be changed here, something on the way or at its end does not answer.
    is_unreached: bool = False


def good(name: str, sentence: str) -> Finding:
    """Return that it works."""
    return Finding(name=name, state=FindingState.GOOD, sentence=sentence)


def caution(name: str, sentence: str, step: str) -> Finding:
    """Return that it works, but for something."""
    return Finding(name=name, state=FindingState.WARNING, sentence=sentence, step=step)


def misset(name: str, sentence: str, step: str) -> Finding:
    """Return that a setting, a file or a version on this machine is wrong."""
    return Finding(name=name, state=FindingState.BAD, sentence=sentence, step=step)


def unreached(name: str, sentence: str, step: str) -> Finding:
    """Return that something does not answer."""
    return Finding(name=name, state=FindingState.BAD, sentence=sentence, step=step, is_unreached=True)


def skipped(name: str, why: str) -> Finding:
    """Return that it was not examined, because of `why`: a clause that ends the sentence."""
    return Finding(name=name, state=FindingState.SKIPPED, sentence=_("Skipped, because {why}.", why=why))
