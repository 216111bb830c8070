"""A number that was typed and is none: whoever typed it sees it in full, which no error of the SDK shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from inspect import BoundArguments
from typing import Any

from vavasms.cli import output
from vavasms.cli.words import read_amounts
from vavasms.errors import InvalidNumberError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.numbers import NumberFault, parse_msisdn
from vavasms.numbers.faults import SENTENCES

#: The parameters of commands that are numbers.
_PARAMETERS = ("to", "numbers")
_HOME = "CI"
_TYPED = {
    NumberFault.EMPTY: N_("{shown} is no number: it has no digits"),
    NumberFault.LETTERS: N_("{shown} is no number: it holds letters"),
    NumberFault.CHARACTERS: N_("{shown} is no number: it holds signs that no phone number has"),
    NumberFault.DECIMAL: N_('{shown} ends in the ".0" that a spreadsheet adds: remove it'),
    NumberFault.SCIENTIFIC: N_("{shown} was rounded by a spreadsheet and lost digits: write them all"),
}
#: For commands that take no region.
_WITHOUT_REGION = {
    NumberFault.AMBIGUOUS: N_(
        "{shown} reads as a number of several countries: write it with +225 and its ten digits"
    ),
    NumberFault.NO_REGION: N_("{shown} has no calling code: write it with +225 and its ten digits"),
}
_WITH_REGION = {
    NumberFault.AMBIGUOUS: N_(
        "{shown} reads as a number of several countries: add --region CI, or write it with the +"
    ),
    NumberFault.NO_REGION: N_("{shown} has no calling code: add --region CI, or write it with the +"),
}


def tell_number(error: InvalidNumberError, words: Sequence[str]) -> str | None:
    """Return what is wrong with the number among the words of a command; None where it is not one of them."""
    bound = bind(words)
    region = bound.arguments.get("region")
    word = next((word for word in _typed(bound.arguments) if _is_it(word, error, region)), None)
    if word is None:
        return None
    fault = NumberFault(error.reason)
    advice = _WITH_REGION if "region" in bound.signature.parameters else _WITHOUT_REGION
    sentence = (_TYPED | advice).get(fault, SENTENCES[fault])
    suggestion = "" if error.suggestion is None else f"+{error.suggestion}"
    told = _(sentence, shown=output.clean(word) or repr(word), suggestion=suggestion)
    return _("{sentence}. Nothing was sent.", sentence=told) if _says_nothing_sent(error) else told


def _says_nothing_sent(error: InvalidNumberError) -> bool:
    return error.english.endswith("Nothing was sent.")


def bind(words: Sequence[str]) -> BoundArguments:
    """Return the arguments that the words of a command are."""
    # Here, since it is imported by then, and in the language of its help.
    from vavasms.cli.app import app

    _command, bound, _ignored = app.parse_args(read_amounts(words), print_error=False, exit_on_error=False)
    return bound


def _typed(arguments: dict[str, Any]) -> Iterator[str]:
    for name in _PARAMETERS:
        value = arguments.get(name) or ()
        yield from (value,) if isinstance(value, str) else value
    # A campaign's options come in one value.
    tester = getattr(arguments.get("options"), "test_to", None)
    if tester is not None:
        yield tester


def _is_it(word: str, error: InvalidNumberError, region: str | None) -> bool:
    try:
        parse_msisdn(word, region=region, default_region=_HOME)
    except InvalidNumberError as again:
        # A send adds that nothing was sent.
        return again.reason == error.reason and error.english.startswith(again.english)
    return False
