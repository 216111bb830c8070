"""A message on its way to a backend: checked, so that every backend refuses what the gateway's would."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import field, frozen

from vavasms.config import misconfigured
from vavasms.django.settings import AppSettings
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.ledger.sends import check_key
from vavasms.numbers import Msisdn, check_region, parse_msisdn
from vavasms.wire.requests import draft_text

#: A sender ID that can stand for any: that of the settings is checked by whoever sends.
_ANY_SENDER = "VavaSMS"


@frozen(kw_only=True)
class SmsMessage:
    """One text to one number or a few. Its `repr` shows neither."""

    recipients: tuple[Msisdn, ...]
    text: str = field(repr=False)
    #: None: that of the settings.
    sender_id: str | None = None
    idempotency_key: str | None = None

    @property
    def to(self) -> list[str]:
        """The recipients as E.164, with their `+`."""
        return [recipient.e164 for recipient in self.recipients]


def read_message(
    settings: AppSettings,
    to: str | Iterable[str],
    text: str,
    *,
    sender_id: str | None = None,
    idempotency_key: str | None = None,
) -> SmsMessage:
    """Return a message that can be sent.

    Raises `InvalidInputError` for a number, a text, a sender or a key that cannot be, and
    `ConfigurationError` for a key where no ledger keeps it.
    """
    sender = _ANY_SENDER if sender_id is None else sender_id
    draft_text(text, sender, username=settings.get("USERNAME"))
    if idempotency_key is not None:
        check_key(idempotency_key)
        if not settings.has_ledger:
            raise misconfigured(
                _("A key needs a ledger: name one in `VAVASMS['LEDGER']`, or in `VAVASMS['DATABASE']`."),
                "config.no_ledger",
            )
    return SmsMessage(
        recipients=_read_recipients(to, settings.region),
        text=text,
        sender_id=sender_id,
        idempotency_key=idempotency_key,
    )


def _read_recipients(to: str | Iterable[str], region: str) -> tuple[Msisdn, ...]:
    if isinstance(to, bytes) or not isinstance(to, Iterable):
        raise InvalidInputError(
            _("Give the recipient as a text, or several as a list; nothing was sent."),
            error_code="input.recipients",
        )
    texts = [to] if isinstance(to, str) else to
    country = check_region(region)
    # A dict keeps the order and drops what was given twice.
    recipients = tuple(dict.fromkeys(parse_msisdn(each, default_region=country) for each in texts))
    if not recipients:
        raise InvalidInputError(
            _("The list of recipients is empty; nothing was sent."), error_code="input.recipients"
        )
    return recipients
