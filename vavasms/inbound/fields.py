"""The fields of a body by its type: the documentation says POST and no more. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from email import message_from_bytes
from email.message import Message
from email.utils import collapse_rfc2231_value

from vavasms.errors import InvalidInputError
from vavasms.inbound.parse import MAX_FIELDS

Pairs = list[tuple[str, str]]


def read_fields(body: bytes, content_type: str = "") -> bytes | Mapping[str, str]:
    """Give the fields of a multipart form (what PHP's curl sends for an array) or of a JSON object.

    What is of another type comes back as it is: a form-encoded body, for `parse_inbound`.
    Raises `InvalidInputError` where it is not what its type says, or has more than 20 fields.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        fields = _read(_read_multipart, body, content_type)
    elif kind == "application/json":
        fields = _read(_read_json, body, content_type)
    else:
        return body
    if len(fields) > MAX_FIELDS:
        raise InvalidInputError(f"An inbound SMS with more than {MAX_FIELDS} fields.", outcome=None)
    return dict(reversed(fields))  # of a field given twice, the first counts


def _read(reader: Callable[[bytes, str], Pairs], body: bytes, content_type: str) -> Pairs:
    try:
        return reader(body, content_type)
    except Exception:  # noqa: BLE001, S110  the parsers raise many kinds for what is broken
        pass
    raise InvalidInputError("The body is not what its Content-Type says.", outcome=None)


def _read_multipart(body: bytes, content_type: str) -> Pairs:
    head = f"Content-Type: {' '.join(content_type.split())}\r\n\r\n"
    parts = message_from_bytes(head.encode() + body).get_payload()
    assert isinstance(parts, list)
    return [_read_part(each) for each in parts if isinstance(each, Message)]


def _read_part(part: Message) -> tuple[str, str]:
    name = part.get_param("name", "", header="content-disposition")
    value = part.get_payload(decode=True)
    assert isinstance(value, bytes)
    return collapse_rfc2231_value(name or ""), value.decode("utf-8", "replace")


def _read_json(body: bytes, _content_type: str) -> Pairs:
    # An object as its pairs: of a name given twice the first counts, as in a form.
    pairs = json.loads(body.decode("utf-8"), object_pairs_hook=_Object)
    if not isinstance(pairs, _Object):
        raise TypeError
    return [(name, _text(value)) for name, value in pairs]


class _Object(list[tuple[str, object]]):
    """The pairs of a JSON object, told from an array."""


def _text(value: object) -> str:
    if isinstance(value, str):
        # A lone surrogate is no text that could be stored.
        return value.encode("utf-8", "replace").decode()
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return "" if value is None else str(value)
    raise TypeError
