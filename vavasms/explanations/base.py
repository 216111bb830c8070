"""One explanation."""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class Explanation:
    """What a person needs to know of an error code; sentences are English ones of the catalogue."""

    code: str
    #: What happened.
    what: str
    #: Whether anything was sent.
    sent: str
    #: What to do.
    do: str
    #: A command, or a line of Python: the same in every language.
    example: str
