"""Why a text is no mobile number, in one closed vocabulary and one sentence each."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from vavasms.i18n import Sentence
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_


class NumberFault(StrEnum):
    """The reasons of `InvalidNumberError`. Its text is the error's `.reason`."""

    #: Not text at all, such as a spreadsheet's integer.
    NOT_TEXT = "not_text"
    #: No digit in it.
    EMPTY = "empty"
    #: Letters in it.
    LETTERS = "letters"
    #: Signs no written number has.
    CHARACTERS = "characters"
    #: An extension or a USSD code.
    EXTENSION = "extension"
    #: More than one number.
    SEVERAL = "several"
    #: A spreadsheet's `2,25071E+12`: digits are lost.
    SCIENTIFIC = "scientific"
    #: A spreadsheet's `2250709000001.0`. Repairable.
    DECIMAL = "decimal"
    #: Three to six digits, as services have.
    SHORT_CODE = "short_code"
    #: Fewer digits than the country's numbers have.
    TOO_SHORT = "too_short"
    #: More digits than the country's numbers have.
    TOO_LONG = "too_long"
    #: A number of no plan.
    INVALID = "invalid"
    #: A landline's number.
    LANDLINE = "landline"
    #: A toll-free, premium, VoIP or pager number.
    NOT_MOBILE = "not_mobile"
    #: A number of the old Ivorian or Beninese plan. Repairable.
    OLD_PLAN = "old_plan"
    #: A national number whose leading zero is gone. Repairable.
    LOST_ZERO = "lost_zero"
    #: It reads as a number of several countries.
    AMBIGUOUS = "ambiguous"
    #: A national number, and no region named.
    NO_REGION = "no_region"


#: Reasons to refuse a number of which a repair may make a right one.
REPAIRABLE = (NumberFault.OLD_PLAN, NumberFault.LOST_ZERO, NumberFault.DECIMAL)


class Reading(NamedTuple):
    """What a text was understood as."""

    #: What is wrong; None where nothing is.
    fault: NumberFault | None = None
    #: The number's digits; with a fault, those that a repair gives. Empty where there are none.
    digits: str = ""


#: What is wrong and what to do; `{shown}` is the number, masked.
SENTENCES = {
    NumberFault.NOT_TEXT: N_("a phone number must be text: give it as text, such as '+2250709000001'"),
    NumberFault.EMPTY: N_("no phone number here: give its digits, such as '+2250709000001'"),
    NumberFault.LETTERS: N_("{shown} holds letters: give digits only"),
    NumberFault.CHARACTERS: N_("{shown} holds signs that no phone number has: give digits only"),
    NumberFault.EXTENSION: N_("{shown} has an extension or is a service code: give a mobile number alone"),
    NumberFault.SEVERAL: N_("{shown} looks like several numbers: give one at a time"),
    NumberFault.SCIENTIFIC: N_(
        "a spreadsheet rounded this number and lost digits: format its column as text"
    ),
    NumberFault.DECIMAL: N_("a spreadsheet made {shown} a decimal: remove the '.0' or repair it"),
    NumberFault.SHORT_CODE: N_("{shown} is a short code, or digits are missing: give a full mobile number"),
    NumberFault.TOO_SHORT: N_("{shown} is too short: give all its digits"),
    NumberFault.TOO_LONG: N_("{shown} is too long: give one number with its calling code"),
    NumberFault.INVALID: N_("{shown} is in no numbering plan: check its digits"),
    NumberFault.LANDLINE: N_("{shown} is a landline, which takes no SMS: give a mobile number"),
    NumberFault.NOT_MOBILE: N_("{shown} is no mobile number: give a mobile number"),
    NumberFault.OLD_PLAN: N_("{shown} is of the old numbering plan: use {suggestion} or repair it"),
    NumberFault.LOST_ZERO: N_(
        "{shown} seems to have lost its leading zero: use {suggestion}, or repair it with the region named"
    ),
    NumberFault.AMBIGUOUS: N_(
        "{shown} reads as a number of several countries: name the region or write the +"
    ),
    NumberFault.NO_REGION: N_("{shown} has no calling code: name its region or write it as +225..."),
}


def describe(fault: NumberFault, text: object, suggestion: str) -> Sentence:
    """Return what is wrong and what to do, showing at most five digits at the front and two at the end.

    `suggestion` is masked by whoever has it.
    """
    sentence = SENTENCES[fault]
    if "{shown}" not in sentence or not isinstance(text, str):
        return _(sentence)
    # What a spreadsheet added is no digit of the number.
    number = text.replace(",", ".").rpartition(".")[0] if fault is NumberFault.DECIMAL else text
    return _(sentence, shown=mask(number), suggestion=suggestion)


def mask(text: str) -> str:
    """Hide the middle of the digits, four at least, and everything that is no digit."""
    digits = "".join(c for c in text if c.isdecimal())
    head, tail = min(5, max(0, len(digits) - 6)), 2 if len(digits) >= 6 else 0
    hidden = min(len(digits) - head - tail, 12)
    return digits[:head] + "•" * hidden + digits[len(digits) - tail :] if digits else _("the text")
