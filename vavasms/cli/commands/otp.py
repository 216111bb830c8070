"""`otp send`, `otp verify`."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Annotated

from cyclopts import Parameter

from vavasms.cli import exit_codes, output, settings, signals
from vavasms.cli.message_input import read_text
from vavasms.cli.params import JsonFlag, SenderId, text_option
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.models import OtpReason
from vavasms.numbers import parse_msisdn

#: What is said of a code that does not pass, and what that is called.
_REASONS = {
    OtpReason.INVALID: (N_("The code is wrong."), "otp.wrong"),
    OtpReason.EXPIRED: (N_("The code has expired."), "otp.expired"),
    OtpReason.NOT_FOUND: (
        N_("There is no code to check for this number: none was sent, or it was used up."),
        "otp.not_found",
    ),
    OtpReason.MALFORMED: (N_("A one-time code has 4 to 9 digits; nothing was sent."), "otp.malformed"),
    None: (N_("The code did not pass; the gateway says no more."), "otp.not_passed"),
}


def send(
    to: Annotated[str, Parameter(help=_("The number: +2250700000001."))],
    /,
    *,
    length: Annotated[
        int | None, Parameter(metavar="DIGITS", help=_("How long the code is, 4 to 9 [4]."))
    ] = None,
    valid_for: Annotated[
        int | None, Parameter(name="--valid-for", metavar="MINUTES", help=_("How long the code lives [60]."))
    ] = None,
    template: Annotated[
        str | None, text_option(_("The text, with ##OTP## where the code goes; `-` is standard input."))
    ] = None,
    sender_id: SenderId = None,
    as_json: JsonFlag = False,
) -> None:
    """Send a one-time code that the gateway makes."""
    recipient = parse_msisdn(to, default_region="CI")
    text = None if template is None else read_text(template)
    life = None if valid_for is None else _minutes(valid_for)
    with settings.make_client() as sms, signals.announced():
        receipt = sms.send_otp(recipient, length=length, valid_for=life, template=text, sender_id=sender_id)
    if as_json:
        output.print_json(
            {"recipient": recipient, "message_id": receipt.message_id, "description": receipt.description}
        )
    else:
        message_id = output.clean(receipt.message_id) or "?"
        output.say(
            _(
                "Accepted: a one-time code to {number}, message {message_id}.",
                number=recipient.e164,
                message_id=message_id,
            )
        )


def verify(
    to: Annotated[str, Parameter(help=_("The number the code was sent to."))],
    code: Annotated[str, Parameter(help=_("The code, with its leading zeros."))],
    /,
    *,
    as_json: JsonFlag = False,
) -> int:
    """Check a one-time code, which uses up an attempt."""
    recipient = parse_msisdn(to, default_region="CI")
    with settings.make_client() as sms, signals.announced():
        verification = sms.verify_otp(recipient, code)
    reason = verification.reason
    if as_json:
        output.print_json(
            {
                "recipient": recipient,
                "valid": verification.valid,
                "reason": None if reason is None else reason.value,
                "message_id": verification.message_id,
            }
        )
    elif verification.valid:
        output.say(_("The code is right."))
    if verification.valid:
        return exit_codes.DONE
    sentence, code_of_reason = _REASONS[reason]
    if as_json:
        output.fail_json(sentence, code_of_reason, None)
    else:
        output.fail(_(sentence), code_of_reason)
    # Of what can be no code the gateway was not asked.
    return exit_codes.USAGE if reason is OtpReason.MALFORMED else exit_codes.REJECTED


def _minutes(number: int) -> timedelta:
    with suppress(OverflowError):
        return timedelta(minutes=number)
    raise InvalidInputError(
        _("No one-time code lives that long; nothing was sent."), error_code="usage.value"
    )
