"""`explain`: what an error code means and what to do."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated

from attrs import asdict
from cyclopts import Parameter

from vavasms.cli import output
from vavasms.cli.params import JsonFlag
from vavasms.errors import InvalidInputError
from vavasms.explanations import Explanation, explanations, find_explanation
from vavasms.i18n import gettext as _


def explain(
    code: Annotated[
        str | None,
        Parameter(
            name="CODE",
            help=_("What stands in brackets after an error; without it all of them."),
            show_default=False,
        ),
    ] = None,
    /,
    *,
    as_json: JsonFlag = False,
) -> None:
    """Explain an error by its code: what happened, what was sent, what to do."""
    entries = list(explanations().values()) if code is None else [_find(code)]
    if as_json:
        for entry in entries:
            output.print_json(asdict(entry))
    elif code is None:
        _list(entries)
    else:
        _show(entries[0])


def _find(code: str) -> Explanation:
    entry = find_explanation(code)
    if entry is not None:
        return entry
    close = get_close_matches(code, explanations(), n=1, cutoff=0.5)
    if close:
        hint = _("did you mean `vavasms explain {code}`?", code=close[0])
    else:
        hint = _("`vavasms explain` lists those there are.")
    raise InvalidInputError(
        _("No error has the code {code}: {hint}", code=repr(code), hint=hint),
        outcome=None,
        error_code="usage.words",
    )


def _list(entries: list[Explanation]) -> None:
    width = max(len(entry.code) for entry in entries)
    for entry in entries:
        output.say(f"{entry.code:{width}}  {_(entry.what)}")


def _show(entry: Explanation) -> None:
    output.say(entry.code, style="bold")
    for title, text in (
        (_("What happened"), _(entry.what)),
        (_("Was anything sent?"), _(entry.sent)),
        (_("What to do"), _(entry.do)),
    ):
        output.say(f"\n{title}")
        output.say(f"  {text}")
    output.say()
    for line in entry.example.splitlines():
        output.say(f"  {line}")
