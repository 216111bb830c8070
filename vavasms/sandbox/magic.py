"""Name the recipients that always bring the same misfortune, whatever the script says.

All are Ivorian mobile numbers of the present plan by shape (`225 07 00 00 0N NN`), so that a client's own
checks let them pass. The last three digits are the code to remember.
"""

from __future__ import annotations

from attrs import frozen

from vavasms.sandbox.faults import Fault, FaultKind, Moment

__all__ = ["MAGIC_NUMBERS", "MagicNumber", "find_magic"]

_STEM = "2250700000"


@frozen(kw_only=True)
class MagicNumber:
    """Describe one such recipient."""

    #: The number, digits without `+`.
    phone: str
    #: What it does.
    sentence: str
    #: What goes wrong with the whole request that names it; None: see the others.
    fault: Fault | None = None
    #: The code by which the gateway turns the whole request away; None: it does not.
    code: int | None = None
    #: The code by which every verification of its OTP fails; None: it may succeed.
    otp_code: int | None = None
    #: The word its delivery status stays at for ever; `709`: the gateway never heard of it.
    status: str | None = None


def _magic(
    suffix: str,
    sentence: str,
    *,
    fault: Fault | None = None,
    code: int | None = None,
    otp_code: int | None = None,
    status: str | None = None,
) -> MagicNumber:
    return MagicNumber(
        phone=_STEM + suffix, sentence=sentence, fault=fault, code=code, otp_code=otp_code, status=status
    )


def _status(status: int, moment: Moment = Moment.AFTER_READING) -> Fault:
    return Fault(kind=FaultKind.STATUS, status=status, moment=moment)


_TABLE = (
    _magic("100", "Accepted; its delivery status stays `pending` for ever.", status="pending"),
    _magic("404", "Accepted; its delivery status is the undocumented word `failed`.", status="failed"),
    _magic("709", "Accepted; asking for its delivery status answers 709 EXECUTION_ERROR.", status="709"),
    _magic("901", "Refused with 901 INVALID_CREDENTIALS.", code=901),
    _magic("902", "Refused with 902 INVALID_SENDER_ID.", code=902),
    _magic("903", "Refused with 903 INVALID_PHONE_NUMBER.", code=903),
    _magic("920", "Refused with 920 INSUFFICIENT_CREDIT, the sandbox's own code.", code=920),
    _magic("999", "Refused with 999 UNEXPECTED_ERROR, a code nobody knows.", code=999),
    _magic("913", "Its OTP is sent; every verification answers 913 INVALID_OTP.", otp_code=913),
    _magic(
        "914",
        "Its OTP is sent; every verification answers EXPIRED_OTP (914, the sandbox's code).",
        otp_code=914,
    ),
    _magic(
        "915",
        "Its OTP is sent; every verification answers OTP_NOT_FOUND (915, the sandbox's code).",
        otp_code=915,
    ),
    _magic("408", "HTTP 408, not accepted.", fault=_status(408)),
    _magic(
        "429",
        "HTTP 429 with `Retry-After: 1`, not accepted.",
        fault=Fault(kind=FaultKind.RATE_LIMIT, retry_after="1"),
    ),
    _magic("500", "HTTP 500 with a page of HTML, not accepted.", fault=_status(500)),
    _magic("503", "HTTP 503 with a page of HTML, not accepted.", fault=_status(503)),
    _magic("504", "Accepted, then HTTP 504 as from a proxy.", fault=_status(504, Moment.AFTER_ACCEPTING)),
    _magic("200", "HTTP 200 with a page of HTML, not accepted.", fault=Fault(kind=FaultKind.HTML)),
    _magic(
        "204",
        "Accepted, then an empty body under HTTP 200.",
        fault=Fault(kind=FaultKind.EMPTY, moment=Moment.AFTER_ACCEPTING),
    ),
    _magic(
        "302", "HTTP 302 to another host, not accepted.", fault=Fault(kind=FaultKind.REDIRECT, status=302)
    ),
    _magic("207", "Accepted, with one message id too few.", fault=Fault(kind=FaultKind.TOO_FEW_IDS)),
    _magic(
        "206",
        "Accepted, the reply cut after 10 bytes (needs the server).",
        fault=Fault(kind=FaultKind.CUT, at=10),
    ),
    _magic(
        "444",
        "Accepted, then closed without a reply (needs the server).",
        fault=Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING),
    ),
    _magic(
        "104",
        "Accepted, then reset without a reply (needs the server).",
        fault=Fault(kind=FaultKind.RESET, moment=Moment.AFTER_ACCEPTING),
    ),
    _magic(
        "110",
        "Accepted, answered only after 90 seconds.",
        fault=Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=90),
    ),
)

#: Every such number and what it does.
MAGIC_NUMBERS = {magic.phone: magic for magic in _TABLE}


def find_magic(to: str) -> MagicNumber | None:
    """Find the first such number among recipients joined by commas."""
    if _STEM not in to:
        return None
    for phone in to.split(","):
        magic = MAGIC_NUMBERS.get(phone.removeprefix("+"))
        if magic is not None:
            return magic
    return None
