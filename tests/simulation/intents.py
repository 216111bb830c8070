"""What is to be sent in a simulation, what was told of it to whoever asked, and what persons allowed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import Enum

from attrs import define, field, frozen

from vavasms.errors import Outcome
from vavasms.models import Lot
from vavasms.sandbox import Gateway

_TO = re.compile(r"phone=([0-9]+(?:%2C[0-9]+)*)")
_MARK = re.compile(r"Bonjour[ +]([a-z][0-9]+)")


class IntentKind(Enum):
    """How it is sent; the value begins its name."""

    KEYED = "k"
    ENQUEUED = "e"
    PLAIN = "p"
    BULK = "b"
    CAMPAIGN = "c"

    @property
    def has_ledger(self) -> bool:
        """Whether what becomes of it is kept."""
        return self not in (IntentKind.PLAIN, IntentKind.BULK)


@frozen(kw_only=True)
class Intent:
    """One text, and whom it is for. No other one has its name, which stands in the text."""

    kind: IntentKind
    number: int
    recipients: tuple[str, ...]
    #: SMS to pay per recipient.
    segments: int = 1

    @property
    def name(self) -> str:
        """Return its name, which is its key as well."""
        return f"{self.kind.value}{self.number}"

    @property
    def text(self) -> str:
        """Return what is sent."""
        return f"Bonjour {self.name}." + " Ceci est long." * (11 * (self.segments - 1))


def name_in(text: str) -> str:
    """Return the name of the intent that a text, or the form of a request, belongs to; empty: of none."""
    found = _MARK.search(text)
    return found[1] if found else ""


def recipients_in(form: str) -> list[str]:
    """Return whom the form of a request is for."""
    found = _TO.search(form)
    return [] if found is None else found[1].split("%2C")


@frozen(kw_only=True)
class Told:
    """What one call was told of its send."""

    outcome: Outcome
    #: Recipients it was told of.
    recipients: tuple[str, ...]


@define(eq=False)
class Book:
    """Everything that is known beside the ledger."""

    intents: Mapping[str, Intent]
    gateway: Gateway
    told: dict[str, list[Told]] = field(factory=dict)
    #: Calls without a ledger of which nobody was told the end: cancelled, or cut off.
    untold: Counter[str] = field(factory=Counter)
    #: What is wrong already.
    problems: list[str] = field(factory=list)
    #: How often a person had it sent again, by name and recipient; what a person took for sent.
    resends: Counter[tuple[str, str]] = field(factory=Counter)
    marked: set[tuple[str, str]] = field(factory=set)
    #: When something left a client for the last time, by name and recipient: the gateway may have it, or get it.
    left_at: dict[tuple[str, str], float] = field(factory=dict)
    #: Whose opt-out was committed; whose was tried.
    opt_outs: dict[str, None] = field(factory=dict)
    maybe_opted_out: set[str] = field(factory=set)
    #: How often an outcome was reported by `on_send`.
    reported: Counter[tuple[str, Outcome]] = field(factory=Counter)

    def accepted(self, name: str) -> Counter[str]:
        """Count what the gateway accepted of an intent, by recipient."""
        counts: Counter[str] = Counter()
        for entry in self.gateway.journal.entries:
            if name_in(entry.message) == name:
                counts.update(entry.phones)
        return counts

    def tell(self, intent: Intent, outcome: Outcome | None, recipients: Iterable[str] | None = None) -> None:
        """Note what a call was told."""
        if outcome is None:
            self.problems.append(f"{intent.name}: a send failed without an outcome")
            return
        to = intent.recipients if recipients is None else tuple(recipients)
        told = Told(outcome=outcome, recipients=to)
        self.told.setdefault(intent.name, []).append(told)

    def tell_lot(self, intent: Intent, lot: Lot) -> None:
        """Note a lot that a call was given, and hold it against the journal."""
        self.tell(intent, Outcome.ACCEPTED, lot.recipients)
        counts = self.accepted(intent.name)
        for recipient in lot.recipients:
            if not counts[recipient] and (intent.name, recipient) not in self.marked:
                self.problems.append(
                    f"{intent.name}: told accepted, and the gateway has nothing for {recipient}"
                )
        for recipient, message_id in (lot.by_recipient or {}).items():
            self.problems += self.check_pair(intent.name, recipient, message_id)

    def check_pair(self, name: str, recipient: str, message_id: str) -> list[str]:
        """Hold a message id against the journal; return what is wrong."""
        found = self.gateway.journal.find(message_id)
        if found is None or found[0].phone(found[1]) != recipient or name_in(found[0].message) != name:
            return [f"{name}: the message {message_id} is not the one to {recipient}"]
        return []
