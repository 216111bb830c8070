"""The fields of a body by its type: the documentation says POST and no more. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from email import message_from_bytes
from email.message import Message
from email.utils import collapse_rfc2231_value

from vavasms.errors import InvalidInputError
from vavasms.inbound.charsets import decode
from vavasms.inbound.parse import MAX_FIELDS, decode_form

Pairs = list[tuple[str, str]]

#: What is read of a body; of the rest not even the type counts.
_READ = frozenset(["message_id", "form", "from", "content", "sms_date"])
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_fields(body: bytes, content_type: str = "") -> Mapping[str, str]:
    """Return the fields of a form, a multipart form (what PHP's curl sends for an array) or a JSON object.

    Each is in the charset of its part, else of the Content-Type, else UTF-8 or Windows' letters. What is of
    another type is taken for a form. Raises `InvalidInputError` where it is not what its type says, or has
    more than 20 fields.
    """
    head = Message()
    head["Content-Type"] = " ".join(content_type.split())
    kind, charset = content_type.partition(";")[0].strip().lower(), _charset_of(head)
    if kind == "multipart/form-data":
        fields = _read(lambda: _read_multipart(body, content_type, charset))
    elif kind == "application/json":
        fields = _read(lambda: _read_json(body, charset))
    else:
        return decode_form(body, charset)
    if len(fields) > MAX_FIELDS:
        raise InvalidInputError(f"An inbound SMS with more than {MAX_FIELDS} fields.", outcome=None)
    return dict(reversed(fields))  # of a field given twice, the first counts


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
    raise InvalidInputError("The body is not what its Content-Type says.", outcome=None)


def _read_multipart(body: bytes, content_type: str, charset: str | None) -> Pairs:
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
