"""The ledger's opt-out list for the views, which announces what goes on it."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar

from asgiref.sync import sync_to_async
from attrs import frozen

from vavasms.django.ledger import run_on_ledger_async
from vavasms.django.signals import announce, opted_out
from vavasms.numbers import Msisdn


class LedgerOptOuts:
    """The list of the ledger that the settings name: an `OptOuts` that numbers can be taken off again."""

    async def add_opt_outs(self, recipients: Iterable[Msisdn], *, source: str, now: float) -> int:
        """Put numbers on the list, then notify the receivers of `opted_out`; return how many were new."""
        numbers = (*recipients,)
        added = await run_on_ledger_async(lambda ledger: ledger.add_opt_outs(numbers, source=source, now=now))
        # Where Django runs plain views: receivers have its database.
        await sync_to_async(announce)(opted_out, recipients=numbers, source=source)
        return added

    async def remove_opt_outs(self, recipients: Iterable[Msisdn]) -> int:
        """Take numbers off the list; return how many were on it."""
        numbers = (*recipients,)
        return await run_on_ledger_async(lambda ledger: ledger.remove_opt_outs(numbers))


@frozen
class Press:
    """What a press on the page put on the list."""

    recipients: tuple[Msisdn, ...]
    source: str


#: The presses of the request that is under way.
_presses: ContextVar[list[Press]] = ContextVar("vavasms_presses")


class PressedOptOuts:
    """Beside the ledger's own list, which the page has written by then: it remembers whom to announce."""

    async def add_opt_outs(self, recipients: Iterable[Msisdn], *, source: str, now: float) -> int:
        """Remember numbers, in the thread of the page."""
        # The ledger has it.
        del now
        press = Press((*recipients,), source)
        _presses.get().append(press)
        return len(press.recipients)


def begin_presses() -> list[Press]:
    """Return the list of what the request that begins here will put on the list."""
    presses: list[Press] = []
    _presses.set(presses)
    return presses
