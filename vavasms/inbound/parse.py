"""The body that the platform posts for an inbound SMS (documentation: notification link). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl

from vavasms.errors import InvalidInputError
from vavasms.inbound.charsets import decode
from vavasms.models import InboundMessage

#: The documentation names four.
MAX_FIELDS = 20
#: Plainly a date: year first, or the day first as in French. Anything else stays text.
_DATE_FORMATS = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d-%m-%Y %H:%M:%S",
)


def parse_inbound(body: bytes | bytearray | Mapping[str, str]) -> InboundMessage:
    """Read an inbound SMS from a form-encoded body (UTF-8, else Windows' letters) or from its fields.

    The sender is `form`, the documentation's spelling, or `from`. The format and zone of `sms_date` are
    not documented: the text is kept, and read as a naive datetime only where it is plainly one.
    Raises `InvalidInputError` where the message id or the sender is missing.
    """
    fields = decode_form(body) if isinstance(body, bytes | bytearray) else body
    message = build_message(fields)
    if not message.message_id or not message.sender:
        missing = "message_id" if not message.message_id else "form (the sender)"
        raise InvalidInputError(f"An inbound SMS without {missing}.", outcome=None)
    return message


def build_message(fields: Mapping[str, str]) -> InboundMessage:
    """Return the message of some fields as far as they are there; its id and its sender may be empty."""
    raw_date = fields.get("sms_date", "")
    return InboundMessage(
        message_id=fields.get("message_id", "").strip(),
        sender=(fields.get("form") or fields.get("from") or "").strip(),
        text=fields.get("content", ""),
        received_at=_parse_date(raw_date),
        raw_date=raw_date,
    )


def decode_form(body: bytes | bytearray, charset: str | None = None) -> dict[str, str]:
    """Return the fields of a form-encoded body, each in the charset it is in.

    Raises `InvalidInputError` for more than 20.
    """
    try:
        # As Latin-1 each byte is a character, those behind a percent sign too.
        pairs = parse_qsl(
            bytes(body).decode("latin-1"),
            keep_blank_values=True,
            max_num_fields=MAX_FIELDS,
            encoding="latin-1",
        )
    except ValueError:
        pairs = None
    if pairs is None:
        raise InvalidInputError(f"An inbound SMS with more than {MAX_FIELDS} fields.", outcome=None)
    plain = [(_redecode(name, charset), _redecode(value, charset)) for name, value in pairs]
    return dict(reversed(plain))  # of a field given twice, the first counts


def _redecode(text: str, charset: str | None) -> str:
    return text if text.isascii() else decode(text.encode("latin-1"), charset)


def _parse_date(text: str) -> datetime | None:
    for pattern in _DATE_FORMATS:
        try:
            # Naive on purpose: the zone is not documented.
            return datetime.strptime(text.strip(), pattern)  # noqa: DTZ007
        except ValueError:
            continue
    return None
