"""The body that the platform posts for an inbound SMS (documentation: notification link). Pure."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from email import message_from_bytes
from email.message import Message
from email.utils import collapse_rfc2231_value
from urllib.parse import parse_qsl

from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.models import InboundMessage

Pairs = list[tuple[str, str]]

#: The documentation names four.
MAX_FIELDS = 20
_WITHOUT_ID = N_("An inbound SMS without message_id.")
_WITHOUT_SENDER = N_("An inbound SMS without form (the sender).")
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
    """Return the inbound SMS of a form-encoded body (UTF-8, else Windows' letters) or of its fields.

    The sender is `form`, the documentation's spelling, or `from`. The format and zone of `sms_date` are
    not documented: the text is kept, and read as a naive datetime only where it is plainly one.
    Raises `InvalidInputError` where the message id or the sender is missing.
    """
    fields = decode_form(body) if isinstance(body, bytes | bytearray) else body
    message = build_message(fields)
    if not message.message_id or not message.sender:
        missing = _WITHOUT_ID if not message.message_id else _WITHOUT_SENDER
        raise InvalidInputError(_(missing), error_code="inbound.body", outcome=None)
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
    # As Latin-1 each byte is a character, those behind a percent sign too.
    form = bytes(body).decode("latin-1")
    pairs = None
    with suppress(ValueError):
        pairs = parse_qsl(form, keep_blank_values=True, max_num_fields=MAX_FIELDS, encoding="latin-1")
    return _as_fields(
        pairs and [(_redecode(name, charset), _redecode(value, charset)) for name, value in pairs]
    )


def _as_fields(pairs: Pairs | None) -> dict[str, str]:
    if pairs is None or len(pairs) > MAX_FIELDS:
        raise InvalidInputError(
            _("An inbound SMS with more than {most} fields.", most=MAX_FIELDS),
            error_code="inbound.body",
            outcome=None,
        )
    return dict(reversed(pairs))  # of a field that is there twice, the first counts


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


#: What is read of a body; of the rest not even the type counts.
_READ = frozenset(["message_id", "form", "from", "content", "sms_date"])
#: Python's parser of headers takes quadratic time: what is longer would hold the event loop for seconds.
_LONGEST_TYPE, _LONGEST_MULTIPART = 1_000, 16_384
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_fields(body: bytes, content_type: str = "") -> Mapping[str, str]:
    """Return the fields of a form, a multipart form (what PHP's curl sends for an array) or a JSON object.

    Each is in the charset of its part, else of the Content-Type, else UTF-8 or Windows' letters. What is of
    another type is taken for a form. Raises `InvalidInputError` where it is not what its type says, or has
    more than 20 fields.
    """
    if len(content_type) > _LONGEST_TYPE:
        content_type = ""
    head = Message()
    head["Content-Type"] = " ".join(content_type.split())
    kind, charset = content_type.partition(";")[0].strip().lower(), _charset_of(head)
    if kind == "multipart/form-data":
        return _as_fields(_read(lambda: _read_multipart(body, content_type, charset)))
    if kind == "application/json":
        return _as_fields(_read(lambda: _read_json(body, charset)))
    return decode_form(body, charset)


def _charset_of(part: Message) -> str | None:
    try:
        charset = part.get_param("charset")
    except Exception:  # noqa: BLE001  the parsers raise many kinds for what is broken
        return None
    return collapse_rfc2231_value(charset).strip() if charset else None


def _read(reader: Callable[[], Pairs]) -> Pairs:
    try:
        return reader()
    except Exception:  # noqa: BLE001, S110  the parsers raise many kinds for what is broken
        pass
    raise InvalidInputError(
        _("The body is not what its Content-Type says."), error_code="inbound.body", outcome=None
    )


def _read_multipart(body: bytes, content_type: str, charset: str | None) -> Pairs:
    if len(body) > _LONGEST_MULTIPART:
        raise ValueError
    head = f"Content-Type: {' '.join(content_type.split())}\r\n\r\n"
    parts = message_from_bytes(head.encode() + body).get_payload()
    assert isinstance(parts, list)
    return [_read_part(part, charset) for part in parts if isinstance(part, Message)]


def _read_part(part: Message, charset: str | None) -> tuple[str, str]:
    name = part.get_param("name", "", header="content-disposition")
    value = part.get_payload(decode=True)
    assert isinstance(value, bytes)
    return collapse_rfc2231_value(name or ""), decode(value, _charset_of(part) or charset)


def _read_json(body: bytes, charset: str | None) -> Pairs:
    # JSON may begin with a byte order mark, and with one of UTF-16 it is that.
    text = body.decode("utf-16") if body.startswith(_BYTE_ORDER_MARKS) else decode(body, charset)
    # An object as its pairs: of a name given twice the first counts, as in a form. Numbers as written.
    pairs = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_Object, parse_int=str, parse_float=str)
    if not isinstance(pairs, _Object):
        raise TypeError
    return [(name, _text(value) if name in _READ else "") for name, value in pairs]


class _Object(list[tuple[str, object]]):
    """The pairs of a JSON object, told from an array."""


def _text(value: object) -> str:
    if isinstance(value, str):
        # A lone surrogate is no text that could be stored.
        return value.encode("utf-8", "replace").decode()
    if value is None:
        return ""
    raise TypeError


#: Where ASCII is itself. Python knows more, some of which read any text slowly or as something else.
_KNOWN = re.compile(
    r"utf-8(-sig)?|ascii|iso8859-\d+|cp(125[0-8]|437|85[0-9]|86[0-9])|mac-roman|koi8-[ru]|gb\w+|big5|euc_\w+"
)
#: What a declaration of these means on the web: Windows' letters stand in the places of control characters.
_WINDOWS = {"iso8859-1": "cp1252"}


def decode(raw: bytes, charset: str | None) -> str:
    """Return the text of some bytes: in `charset` where that fits, else in UTF-8, else in Windows' letters.

    French operators send Latin-1, with and without saying so. Never fails.
    """
    for encoding in (_find(charset or ""), "utf-8"):
        with suppress(UnicodeDecodeError):
            return raw.decode(encoding)
    # Five bytes have no letter there.
    return raw.decode("cp1252", "replace")


def _find(charset: str) -> str:
    """Return Python's name of a charset, or UTF-8's."""
    name = "utf-8"
    with suppress(LookupError, ValueError):
        name = codecs.lookup(charset).name
    return _WINDOWS.get(name, name) if _KNOWN.fullmatch(name) else "utf-8"
