"""The body that the platform posts for an inbound SMS (documentation: notification link). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl

from vavasms.errors import InvalidInputError
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
    """Read an inbound SMS from a form-encoded body or from its fields.

    The sender is `form`, the documentation's spelling, or `from`. The format and zone of `sms_date` are
    not documented: the text is kept, and read as a naive datetime only where it is plainly one.
    Raises `InvalidInputError` where the message id or the sender is missing.
    """
    fields = _decode(body) if isinstance(body, bytes | bytearray) else body
    message_id = fields.get("message_id", "").strip()
    sender = (fields.get("form") or fields.get("from") or "").strip()
    if not message_id or not sender:
        missing = "message_id" if not message_id else "form (the sender)"
        raise InvalidInputError(f"An inbound SMS without {missing}.", outcome=None)
    raw_date = fields.get("sms_date", "")
    return InboundMessage(
        message_id=message_id,
        sender=sender,
        text=fields.get("content", ""),
        received_at=_parse_date(raw_date),
        raw_date=raw_date,
    )


def _decode(body: bytes | bytearray) -> dict[str, str]:
    text = bytes(body).decode("utf-8", "replace")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        pairs = None
    if pairs is None:
        raise InvalidInputError(f"An inbound SMS with more than {MAX_FIELDS} fields.", outcome=None)
    return dict(reversed(pairs))  # of a field given twice, the first counts


def _parse_date(text: str) -> datetime | None:
    for pattern in _DATE_FORMATS:
        try:
            # Naive on purpose: the zone is not documented.
            return datetime.strptime(text.strip(), pattern)  # noqa: DTZ007
        except ValueError:
            continue
    return None
