"""The recipients that always bring the same misfortune, whatever the script says.

All are Ivorian mobile numbers of the present plan by shape (`225 07 00 00 0N NN`), so that a client's own
checks let them pass. The last three digits are the code to remember.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from vavasms.i18n import gettext_noop as N_
from vavasms.sandbox.faults import Fault, FaultKind, Moment

_STEM = "2250700000"


@frozen(kw_only=True)
class MagicNumber:
    """One such recipient."""

    #: The number, digits without `+`.
    phone: str
    #: What it does, in English; the catalogue has it in French.
    sentence: str
    #: What goes wrong with the whole request that names it; None: see the others.
    fault: Fault | None = None
    #: The code by which the gateway turns the whole request away; None: it does not.
    code: int | None = None
    #: The code by which every verification of its OTP fails; None: it may succeed.
    otp_code: int | None = None
    #: The word its delivery status stays at for ever; `709`: the gateway never heard of it.
    status: str | None = None


def _magic(suffix: str, sentence: str, **end: Any) -> MagicNumber:
    return MagicNumber(phone=_STEM + suffix, sentence=sentence, **end)


def _faulty(suffix: str, sentence: str, kind: FaultKind, **details: Any) -> MagicNumber:
    return _magic(suffix, sentence, fault=Fault(kind=kind, **details))


_ACCEPTED = Moment.AFTER_ACCEPTING
_TABLE = (
    _magic("100", N_("Accepted; its delivery status stays `pending` for ever."), status="pending"),
    _magic("404", N_("Accepted; its delivery status is the undocumented word `failed`."), status="failed"),
    _magic("709", N_("Accepted; asking for its delivery status answers 709 EXECUTION_ERROR."), status="709"),
    _magic("901", N_("Refused with 901 INVALID_CREDENTIALS."), code=901),
    _magic("902", N_("Refused with 902 INVALID_SENDER_ID."), code=902),
    _magic("903", N_("Refused with 903 INVALID_PHONE_NUMBER."), code=903),
    _magic("920", N_("Refused with 920 INSUFFICIENT_CREDIT, the sandbox's own code."), code=920),
    _magic("999", N_("Refused with 999 UNEXPECTED_ERROR, a code nobody knows."), code=999),
    _magic("913", N_("Its OTP is sent; every verification answers 913 INVALID_OTP."), otp_code=913),
    _magic(
        "914",
        N_("Its OTP is sent; every verification answers EXPIRED_OTP (914, the sandbox's code)."),
        otp_code=914,
    ),
    _magic(
        "915",
        N_("Its OTP is sent; every verification answers OTP_NOT_FOUND (915, the sandbox's code)."),
        otp_code=915,
    ),
    _faulty("408", N_("HTTP 408, not accepted."), FaultKind.STATUS, status=408),
    _faulty(
        "429", N_("HTTP 429 with `Retry-After: 1`, not accepted."), FaultKind.RATE_LIMIT, retry_after="1"
    ),
    _faulty("500", N_("HTTP 500 with a page of HTML, not accepted."), FaultKind.STATUS, status=500),
    _faulty("503", N_("HTTP 503 with a page of HTML, not accepted."), FaultKind.STATUS, status=503),
    _faulty(
        "504", N_("Accepted, then HTTP 504 as from a proxy."), FaultKind.STATUS, status=504, moment=_ACCEPTED
    ),
    _faulty("200", N_("HTTP 200 with a page of HTML, not accepted."), FaultKind.HTML),
    _faulty("204", N_("Accepted, then an empty body under HTTP 200."), FaultKind.EMPTY, moment=_ACCEPTED),
    _faulty("302", N_("HTTP 302 to another host, not accepted."), FaultKind.REDIRECT, status=302),
    _faulty("207", N_("Accepted, with one message id too few."), FaultKind.TOO_FEW_IDS),
    _faulty("206", N_("Accepted, the reply cut after 10 bytes."), FaultKind.CUT, at=10),
    _faulty(
        "444",
        N_("Accepted, then closed without a reply."),
        FaultKind.CLOSE_AFTER_ACCEPTING,
    ),
    _faulty(
        "104",
        N_("Accepted, then reset without a reply."),
        FaultKind.RESET,
        moment=_ACCEPTED,
    ),
    _faulty(
        "110", N_("Accepted, answered only after 90 seconds."), FaultKind.STALL, moment=_ACCEPTED, seconds=90
    ),
)

#: Every such number and what it does.
MAGIC_NUMBERS = {magic.phone: magic for magic in _TABLE}


def find_magic(to: str) -> MagicNumber | None:
    """Return the first such number among recipients joined by commas."""
    if _STEM not in to:
        return None
    phones = (phone.removeprefix("+") for phone in to.split(","))
    return next((MAGIC_NUMBERS[phone] for phone in phones if phone in MAGIC_NUMBERS), None)
