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
from vavasms.models import OtpReason
from vavasms.numbers import parse_msisdn

_REASONS = {
    OtpReason.INVALID: "The code is wrong.",
    OtpReason.EXPIRED: "The code has expired.",
    OtpReason.NOT_FOUND: "There is no code to check for this number: none was sent, or it was used up.",
    OtpReason.MALFORMED: "A one-time code has 4 to 9 digits; nothing was sent.",
    None: "The code did not pass; the gateway says no more.",
}


def send(
    to: Annotated[str, Parameter(help="The number: +2250700000001.")],
    /,
    *,
    length: Annotated[
        int | None, Parameter(metavar="DIGITS", help="How long the code is, 4 to 9 [4].")
    ] = None,
    valid_for: Annotated[
        int | None, Parameter(name="--valid-for", metavar="MINUTES", help="How long the code lives [60].")
    ] = None,
    template: Annotated[
        str | None, text_option("The text, with ##OTP## where the code goes; `-` is standard input.")
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
        output.say(f"Accepted: a one-time code to {recipient.e164}, message {message_id}.")


def verify(
    to: Annotated[str, Parameter(help="The number the code was sent to.")],
    code: Annotated[str, Parameter(help="The code, with its leading zeros.")],
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
        output.say("The code is right.")
    if verification.valid:
        return exit_codes.DONE
    output.fail(_REASONS[reason])
    # Of what can be no code the gateway was not asked.
    return exit_codes.USAGE if reason is OtpReason.MALFORMED else exit_codes.REJECTED


def _minutes(number: int) -> timedelta:
    with suppress(OverflowError):
        return timedelta(minutes=number)
    raise InvalidInputError("No one-time code lives that long; nothing was sent.")
