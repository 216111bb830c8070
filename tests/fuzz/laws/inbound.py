"""Any body is an inbound SMS or refused; it is handled once however often it comes, and never answered by 500."""

from __future__ import annotations

import asyncio
import atexit
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote_to_bytes

from attrs import define, field

from tests.fuzz.laws.sentences import check_sentence
from tests.fuzz.target import Target, words
from vavasms.errors import InvalidInputError
from vavasms.inbound.parse import MAX_FIELDS, build_message, parse_inbound, read_fields
from vavasms.inbound.receiver import Receiver
from vavasms.inbound.seen.memory import MemorySeenStore
from vavasms.models import InboundMessage
from vavasms.numbers import Msisdn

_READ = ("message_id", "form", "from", "content", "sms_date")
_TOKEN = "0123456789abcdef" * 4
# One for all inputs: a loop takes a hundred times as long to make as a body to read.
_LOOP = asyncio.new_event_loop()
atexit.register(_LOOP.close)


@define
class _Desk:
    """Whoever takes the messages, and the list of who asked for no more."""

    messages: list[InboundMessage] = field(factory=list)
    conflicts: list[InboundMessage] = field(factory=list)
    opted_out: list[Msisdn] = field(factory=list)

    async def add_opt_outs(self, recipients: Iterable[Msisdn], *, source: str, now: float) -> int:
        """Take numbers onto the list."""
        self.opted_out += recipients
        return len(self.opted_out)


def check_body(data: bytes) -> None:
    """Take the Content-Type up to the first line end, then the body."""
    head, _, body = data.partition(b"\n")
    content_type = head.decode("latin-1")
    fields = _read(body, content_type)
    if fields is not None:
        _check_fields(fields, body, content_type)
    _check_parse(body)
    _LOOP.run_until_complete(_check_receiver(body, content_type, fields))


def _read(body: bytes, content_type: str) -> Mapping[str, str] | None:
    try:
        fields = read_fields(body, content_type)
    except InvalidInputError as error:
        check_sentence(error)
        return None
    assert len(fields) <= MAX_FIELDS
    return fields


def _check_fields(fields: Mapping[str, str], body: bytes, content_type: str) -> None:
    message = build_message(fields)
    # What cannot be encoded can be stored nowhere.
    for text in (message.message_id, message.sender, message.text, message.raw_date):
        text.encode()
    assert message.received_at is None or message.received_at.tzinfo is None
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        expected = _read_json(body)
    elif kind != "multipart/form-data" and body.isascii() and "charset" not in content_type:
        expected = _read_form(body)
    else:
        return
    for name in _READ if expected is not None else ():
        assert fields.get(name, "") == (expected or {}).get(name, "")


def _read_json(body: bytes) -> dict[str, str] | None:
    """Read an object of texts; None for one with names twice, half characters, or of another encoding."""
    try:
        # Numbers are read as they are written.
        pairs = json.loads(body.decode(), object_pairs_hook=list, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None
    if not isinstance(pairs, list) or len({name for name, _ in pairs}) < len(pairs):
        return None
    texts = {name: value for name, value in pairs if isinstance(value, str)}
    return None if re.search("[\ud800-\udfff]", "".join(texts.values())) else texts


def _read_form(body: bytes) -> dict[str, str] | None:
    """Read a form of ASCII by hand; None where a field is no UTF-8."""
    fields: dict[str, str] = {}
    for pair in filter(None, body.decode().split("&")):
        name, _, value = pair.partition("=")
        try:
            key, text = (unquote_to_bytes(part.replace("+", " ")).decode() for part in (name, value))
        except UnicodeDecodeError:
            return None
        fields.setdefault(key, text)
    return fields


def _check_parse(body: bytes) -> None:
    try:
        message = parse_inbound(body)
    except InvalidInputError as error:
        check_sentence(error)
        return
    assert message.message_id
    assert message.sender


async def _check_receiver(body: bytes, content_type: str, fields: Mapping[str, str] | None) -> None:
    desk = _Desk()

    async def take(message: InboundMessage) -> None:
        desk.messages.append(message)

    async def refuse(message: InboundMessage) -> None:
        desk.conflicts.append(message)

    receiver = Receiver(take, token=_TOKEN, seen=MemorySeenStore(), opt_outs=desk, on_conflict=refuse)
    first = await receiver.receive(body, content_type)
    second = await receiver.receive(body, content_type)
    assert (first.status, first.text) == (second.status, second.text)
    assert first.status in {200, 400, 413}
    assert len(desk.messages) == (first.status == 200)
    assert desk.conflicts == []
    if first.status == 200:
        assert fields is not None
        assert desk.messages[0].sender
        assert desk.messages[0].message_id


_FORM = b"message_id=SM-1&form=2250709000001&content=Bonjour+%C3%A9&sms_date=2025-06-15+12%3A00%3A00"
_PARTS = b"".join(
    b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % part
    for part in (
        (b"message_id", b"SM-1"),
        (b"form", b"2250709000001"),
        (b"content", b"STOP"),
        (b"sms_date", b"15/06/2025 12:00"),
    )
)

TARGET = Target(
    check=check_body,
    seeds=(
        b"application/x-www-form-urlencoded\n" + _FORM,
        b"application/x-www-form-urlencoded; charset=iso-8859-1\nmessage_id=1&from=0709000001&content=arr%EAt",
        b"\nform=%2B2250709000001&content=STOP&sms_date=15%2F06%2F2025+12%3A00",
        b"multipart/form-data; boundary=x\n" + _PARTS + b"--x--\r\n",
        b'application/json\n{"message_id": "SM-1", "form": 2250709000001, "content": "Oui", "sms_date": null}',
        b'application/json; charset=utf-16\n{"message_id": "SM-1", "from": "+225", "content": "\\ud83d"}',
    ),
    tokens=words(
        r"""
        message_id= &form= &from= &content= &sms_date= %C3%A9 %ED%A0%80 %00 % + & ; STOP START
        +2250709000001 2250709000001 application/json charset= multipart/form-data;\x20boundary= utf-16
        utf-7 idna gb18030 punycode *=utf-8'' --x ;\x20name=" \r\n\r\n
        Content-Transfer-Encoding:\x20base64\r\n Content-Type:\x20text/plain;\x20charset=
        Content-Type:\x20message/rfc822\r\n quoted-printable uuencode filename= "message_id": \\ud800
        \xef\xbb\xbf \xff\xfe 2025-06-15\x2012:00:00 31/02/2025 0001-01-01 null [ {
        """
    ),
    smoke=200,
)
