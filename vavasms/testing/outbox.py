"""What a test has sent, as the fixture `sms_outbox` gives it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import overload

from attrs import frozen

from vavasms.numbers import Msisdn, parse_msisdn
from vavasms.sandbox import Entry, Gateway


@frozen(kw_only=True)
class Message:
    """One SMS to one number."""

    #: E.164, with its `+`.
    recipient: str
    #: The text; a one-time code's with the code in it.
    text: str
    #: Who it comes from.
    sender_id: str
    #: In how many segments it travels.
    segments: int
    #: The id that the gateway gave it.
    message_id: str
    #: The lot it was part of; empty for a one-time code.
    lot_id: str
    #: The key that a client of this process sent it with. It is never on the wire, but known by the id in the
    #: answer: None also where another process sent it, and where the answer was lost.
    idempotency_key: str | None = None


class Outbox(Sequence[Message]):
    """The messages that the gateway accepted, oldest first; it grows while the test runs."""

    def __init__(self, gateway: Gateway, idempotency_keys: Mapping[str, str] | None = None) -> None:
        self._gateway = gateway
        self._keys: Mapping[str, str] = {} if idempotency_keys is None else idempotency_keys

    def __len__(self) -> int:
        return self._gateway.journal.recipients

    def __iter__(self) -> Iterator[Message]:
        for entry in self._gateway.journal.entries:
            yield from self._spread(entry)

    @overload
    def __getitem__(self, index: int) -> Message: ...

    @overload
    def __getitem__(self, index: slice) -> list[Message]: ...

    def __getitem__(self, index: int | slice) -> Message | list[Message]:
        return list(self)[index]

    def __repr__(self) -> str:
        return f"Outbox({list(self)!r})"

    @property
    def last(self) -> Message:
        """The last message; an `AssertionError` where none was sent."""
        messages = list(self)
        if not messages:
            raise AssertionError("No SMS was sent in this test.")
        return messages[-1]

    def to(self, number: str) -> list[Message]:
        """Return the messages to a number, in any form that `send` takes: `+225 07 00 00 00 01`.

        Raises `InvalidNumberError` for what is no number, to which nothing can have been sent.
        """
        recipient = _read(number).e164
        return [message for message in self if message.recipient == recipient]

    def latest_otp(self, number: str) -> str:
        """Return the last one-time code to a number; an `AssertionError` where none was sent."""
        code = self._gateway.latest_otp(_read(number))
        if code is None:
            raise AssertionError(f"No one-time code was sent to {number} in this test.")
        return code

    def _spread(self, entry: Entry) -> Iterator[Message]:
        for phone, message_id in zip(entry.phones, entry.message_ids, strict=True):
            yield Message(
                recipient=f"+{phone}",
                text=entry.message,
                sender_id=entry.sender_id,
                segments=entry.segments,
                message_id=message_id,
                lot_id=entry.lot_id,
                idempotency_key=self._keys.get(message_id),
            )


def _read(number: str) -> Msisdn:
    """Read a number as a client does by default."""
    return parse_msisdn(number, region="CI")
