"""Values to requests. A request holds no credentials: the transport adds them, last."""

from __future__ import annotations

import unicodedata
from datetime import timedelta
from enum import Enum
from urllib.parse import quote_plus, urlencode

from attrs import field, frozen

from vavasms.errors import (
    InvalidInputError,
    InvalidMessageError,
    InvalidOtpTemplateError,
    InvalidSenderIdError,
)
from vavasms.i18n import gettext as _
from vavasms.numbers import Msisdn
from vavasms.text.visible import has_control, is_visible

#: The most SMS one text may become: the sequence number of a segment is one octet (3GPP 23.040).
MAX_SEGMENTS = 255
#: The tag that the gateway replaces by the code.
OTP_TAG = "##OTP##"
#: Digits of a code where the gateway is asked for no other length.
DEFAULT_LENGTH = 4
#: What the gateway sends where it is given no text, says its documentation.
DEFAULT_TEMPLATE = f"Votre code OTP est : {OTP_TAG}"


class CallKind(Enum):
    """What repeating a call does."""

    #: Nothing: it may be repeated.
    READ = "read"
    #: It costs money again.
    SEND = "send"
    #: It uses up an attempt.
    VERIFY = "verify"


class Call(Enum):
    """The five calls of the gateway."""

    BALANCE = "balance"
    SEND_TEXT = "send_text"
    DELIVERY_STATUS = "delivery_status"
    SEND_OTP = "send_otp"
    VERIFY_OTP = "verify_otp"

    @property
    def kind(self) -> CallKind:
        return _KINDS[self]


_KINDS = {
    Call.BALANCE: CallKind.READ,
    Call.SEND_TEXT: CallKind.SEND,
    Call.DELIVERY_STATUS: CallKind.READ,
    Call.SEND_OTP: CallKind.SEND,
    Call.VERIFY_OTP: CallKind.VERIFY,
}


@frozen(kw_only=True)
class Request:
    """One call to the gateway, without credentials: it may be logged and stored."""

    call: Call
    #: Below the base URL, such as `/v1/text/single`.
    path: str
    #: The fields, form-encoded.
    form: str = field(repr=False, default="")
    recipients: tuple[Msisdn, ...] = ()


class TextDraft:
    """A text with its sender, checked and encoded once for any number of requests."""

    def __init__(self, *, prefix: str) -> None:
        #: Everything but the numbers, form-encoded.
        self.prefix = prefix

    def address(self, recipients: tuple[Msisdn, ...]) -> Request:
        """Build the request that sends this text to `recipients` (documentation: text/single)."""
        return Request(
            call=Call.SEND_TEXT,
            path="/v1/text/single",
            # Digits need no quoting, and a comma is %2C: quoting a long list would cost more than the rest.
            form=self.prefix + "%2C".join(recipients),
            recipients=recipients,
        )


def draft_text(message: str, sender_id: str, *, username: str | None = None) -> TextDraft:
    """Check and encode a text.

    The account's `username` is a sender ID whatever its form (documentation: "By default, your username is
    your SENDER_ID"), any other is one of 3 to 11 characters. Raises `InvalidMessageError` or
    `InvalidSenderIdError`.
    """
    _check_sender_id(sender_id, username)
    _check_message(message)
    return TextDraft(prefix=f"{urlencode({'sender_id': sender_id, 'message': message})}&phone=")


def build_balance() -> Request:
    """Build the balance request (documentation: check/balance)."""
    return Request(call=Call.BALANCE, path="/v1/check/balance")


def build_delivery_status(message_id: str, *, lot_id: str | None, path: str) -> Request:
    """Build the delivery status request.

    The documentation lost its path; it holds neither a number nor a text, so it cannot send an SMS.
    """
    if lot_id is not None and not isinstance(lot_id, str):
        raise InvalidInputError(_("lot_id is no text."), error_code="input.id", outcome=None)
    if not isinstance(message_id, str):
        raise InvalidInputError(_("message_id is no text."), error_code="input.id", outcome=None)
    if not message_id.strip():
        raise InvalidInputError(
            _("The message id is empty: give one that a send returned."), error_code="input.id", outcome=None
        )
    fields = {"message_id": message_id} | ({"lot_id": lot_id} if lot_id else {})
    if not all(_is_encodable(value) for value in fields.values()):
        raise InvalidInputError(
            _("An id holds half a character (a lone surrogate)."), error_code="input.id", outcome=None
        )
    return Request(call=Call.DELIVERY_STATUS, path=path, form=urlencode(fields))


def build_send_otp(
    to: Msisdn,
    *,
    sender_id: str,
    length: int | None,
    valid_for: timedelta | None,
    template: str | None,
    language: str | None,
    username: str | None = None,
) -> Request:
    """Build the request for a one-time code (documentation: otp/send); None leaves the gateway's default.

    Raises `InvalidInputError` and its `InvalidSenderIdError`, `InvalidOtpTemplateError`.
    """
    _check_sender_id(sender_id, username)
    fields = {"sender_id": sender_id, "phone": str(to)}
    if length is not None:
        fields["otp_length"] = _otp_length(length)
    if valid_for is not None:
        fields["otp_expiry"] = _whole_minutes(valid_for)
    if template is not None:
        _check_template(template)
        fields["message"] = template
    if language is not None:
        if not isinstance(language, str) or not language.isascii():
            raise InvalidInputError(
                _("The language is a word such as fr; nothing was sent."), error_code="otp.language"
            )
        fields["lang"] = language
    return Request(call=Call.SEND_OTP, path="/v1/otp/send", form=urlencode(fields), recipients=(to,))


def parse_code(typed: str) -> str | None:
    """Return the digits of a one-time code that a person typed, or None for what can be no code.

    Blanks, hyphens and invisible characters are dropped, digits of every script read as digits. Raises
    `InvalidInputError` for what is no text.
    """
    if not isinstance(typed, str):
        raise InvalidInputError(
            _("Give the one-time code as text: a number loses its leading zeros."),
            error_code="otp.code_not_text",
        )
    digits = [c for c in typed if not c.isspace() and unicodedata.category(c) not in {"Pd", "Cf"}]
    if not (4 <= len(digits) <= 9 and all(c.isdecimal() for c in digits)):
        return None
    return "".join(str(unicodedata.decimal(c)) for c in digits)


def build_verify_otp(to: Msisdn, code: str, *, sender_id: str | None, username: str | None = None) -> Request:
    """Build the request that checks a one-time code (documentation: otp/verify), the digits of `parse_code`.

    `sender_id` is in every sample of the documentation, though not in its table: sent where there is one.
    """
    fields = {"phone": str(to), "otp": code}
    if sender_id is not None:
        _check_sender_id(sender_id, username)
        fields["sender_id"] = sender_id
    return Request(call=Call.VERIFY_OTP, path="/v1/otp/verify", form=urlencode(fields), recipients=(to,))


def encode_credentials(username: str, password: str) -> str:
    """Encode the two fields that every body begins with."""
    return f"username={quote_plus(username)}&password={quote_plus(password)}"


def _check_sender_id(sender_id: str, username: str | None) -> None:
    if username is not None and sender_id == username:
        return
    if not isinstance(sender_id, str):
        raise InvalidSenderIdError(_("sender_id is no text; nothing was sent."))
    if not 3 <= len(sender_id) <= 11:
        raise InvalidSenderIdError(
            _("A sender ID has 3 to 11 characters, this one has {n}; nothing was sent.", n=len(sender_id))
        )
    if not (sender_id.isascii() and sender_id.isprintable()) or sender_id != sender_id.strip():
        raise InvalidSenderIdError(
            _(
                "A sender ID is made of printable ASCII characters: no accent, no control character, "
                "no space at its ends; nothing was sent."
            )
        )


def _check_message(message: str) -> None:
    if not isinstance(message, str):
        raise InvalidMessageError(
            _("Give the message as text; nothing was sent."), error_code="message.not_text"
        )
    # Not raised in an except block: the codec's error holds the text.
    if not _is_encodable(message):
        raise InvalidMessageError(
            _(
                "The message holds half a character (a lone surrogate), which cannot be sent; "
                "nothing was sent."
            ),
            error_code="message.characters",
        )
    if has_control(message):
        raise InvalidMessageError(
            _("The message holds a control character other than a line end or a tab; nothing was sent."),
            error_code="message.characters",
        )
    if not message.strip():
        raise InvalidMessageError(_("The message is empty; nothing was sent."), error_code="message.empty")
    if not is_visible(message):
        raise InvalidMessageError(
            _("The message shows nothing on a phone; nothing was sent."), error_code="message.empty"
        )
    # Counting is not free: below this length no text can have too many segments.
    if len(message) > MAX_SEGMENTS * 33 and _has_too_many_segments(message):
        raise InvalidMessageError(
            _(
                "The message is longer than {most} segments, the most a phone joins; nothing was sent.",
                most=MAX_SEGMENTS,
            ),
            error_code="message.too_long",
        )


def _has_too_many_segments(message: str) -> bool:
    # Hardly any text is so long that its segments are counted, and the tables are not built for the others.
    from vavasms.text.segments import count_segments

    return count_segments(message).segments > MAX_SEGMENTS


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_template(template: str) -> None:
    if not isinstance(template, str) or OTP_TAG not in template:
        raise InvalidOtpTemplateError(_("The OTP template must hold {tag}; nothing was sent.", tag=OTP_TAG))
    _check_message(template)


def _otp_length(length: int) -> str:
    if isinstance(length, bool) or not isinstance(length, int) or not 4 <= length <= 9:
        raise InvalidInputError(
            _("A one-time code has a length of 4 to 9 digits; nothing was sent."), error_code="otp.length"
        )
    return str(length)


def _whole_minutes(valid_for: timedelta) -> str:
    if not isinstance(valid_for, timedelta):
        raise InvalidInputError(
            _("Give valid_for as a timedelta; nothing was sent."), error_code="otp.validity"
        )
    minutes, rest = divmod(valid_for, timedelta(minutes=1))
    if rest or minutes < 1:
        raise InvalidInputError(
            _("A one-time code lives for whole minutes, 1 or more; nothing was sent."),
            error_code="otp.validity",
        )
    return str(minutes)
