"""The backend of tests: what is sent stays in memory, in `vavasms.django.outbox`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from django.core import mail

from vavasms.django.backends.console import make_lot
from vavasms.django.backends.keys import SentKeys
from vavasms.django.environment import in_test
from vavasms.django.messages import SmsMessage
from vavasms.models import Lot


class LocmemOutbox(Sequence[SmsMessage]):
    """What was sent in this test, the oldest first.

    Empty again in each test: Django's test cases begin a new list of mails then, and this one goes by it.
    With pytest it is vavasms' own plugin that empties it.
    """

    def __init__(self) -> None:
        self._messages: list[SmsMessage] = []
        self._keys = SentKeys()
        self._mails: object = None

    def clear(self) -> None:
        """Forget what was sent, and under which keys."""
        self._messages.clear()
        self._keys.clear()

    def send(self, message: SmsMessage) -> Lot:
        """Keep a message, once for its key."""
        self._begin_test()
        return self._keys.send_once(message, self._keep)

    def _keep(self, message: SmsMessage) -> Lot:
        self._messages.append(message)
        return make_lot(message)

    def _begin_test(self) -> None:
        if not in_test():
            return
        mails = getattr(mail, "outbox", None)
        if mails is not self._mails:
            self._mails = mails
            self.clear()

    def __len__(self) -> int:
        self._begin_test()
        return len(self._messages)

    @overload
    def __getitem__(self, index: int) -> SmsMessage: ...

    @overload
    def __getitem__(self, index: slice) -> list[SmsMessage]: ...

    def __getitem__(self, index: int | slice) -> SmsMessage | list[SmsMessage]:
        self._begin_test()
        return self._messages[index]

    def __repr__(self) -> str:
        return f"LocmemOutbox({self[:]!r})"


outbox = LocmemOutbox()


class LocmemBackend:
    """Keeps messages in `outbox`."""

    def send(self, message: SmsMessage) -> Lot:
        """Keep a message, once for its key within a test."""
        return outbox.send(message)
