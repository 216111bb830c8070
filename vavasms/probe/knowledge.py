"""What a probe has learnt and spent, as the events of its journal add up to it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, evolve, field, frozen

from vavasms.profile.models import NAMES, UNKNOWN, GatewayProfile
from vavasms.profile.toml import dump_profile, parse_profile

Event = Mapping[str, Any]


@frozen(kw_only=True)
class SentMessage:
    """An SMS of the probe that the gateway accepted, to ask its status after."""

    message_id: str
    lot_id: str
    #: Seconds since the epoch.
    accepted_at: float


@define(kw_only=True)
class Knowledge:
    """What is known, and what it cost, in SMS."""

    profile: GatewayProfile = UNKNOWN
    #: SMS that were accepted.
    spent: int = 0
    #: The requests that left and whose end is not known, with the SMS that each may have cost.
    open: dict[str, int] = field(factory=dict)
    #: The requests that are never posted again.
    tried: set[str] = field(factory=set)
    #: The steps that have nothing more to ask.
    done: set[str] = field(factory=set)
    #: The last SMS that was accepted.
    message: SentMessage | None = None
    #: The balance was seen to fall by an SMS.
    is_billed: bool = False
    #: Seconds after which it was, at the latest: so long a balance that stands has to be watched.
    billing_lag: float = 0.0
    #: What a request for one number that cannot exist was answered: a code, such as `903`.
    bad_reply: str | None = None
    #: Such a request costs nothing.
    bad_is_free: bool = False
    #: By how many numbers that cannot exist a request had, whether it was answered as one with one is.
    free_sizes: dict[int, bool] = field(factory=dict)
    #: By how often a request named the owner's number, whether it was accepted.
    paid_sizes: dict[int, bool] = field(factory=dict)

    @property
    def may_have_spent(self) -> int:
        """The SMS that may have been sent, and of which nobody knows."""
        return sum(self.open.values())

    @property
    def committed(self) -> int:
        """The SMS that are spent, or may be."""
        return self.spent + self.may_have_spent

    def apply(self, event: Event) -> None:
        """Add an event; one of a later version is passed over."""
        change = _CHANGES.get(str(event.get("event")))
        if change is not None:
            change(self, event)

    def learn(self, found: GatewayProfile) -> None:
        """Add what was found to the profile."""
        news = {name: getattr(found, name) for name in NAMES if getattr(found, name) is not None}
        self.profile = evolve(self.profile, **(news | {"statuses": self._merge(found.statuses)}))

    def _merge(self, statuses: Mapping[str, float]) -> Mapping[str, float]:
        """Return the words that were read, each with the earliest moment."""
        known = self.profile.statuses
        return {word: min(known.get(word, age), age) for word, age in (dict(known) | dict(statuses)).items()}


def make_intent(request: str, most: int) -> Event:
    """Return that a request is about to be posted, which may cost so many SMS."""
    return {"event": "intent", "request": request, "most": most}


def make_outcome(request: str, reply: str, spent: int | None, *, again: bool = False) -> Event:
    """Return what became of it; `spent` None: nobody knows. `again`: nothing left, so it may be posted."""
    return {"event": "outcome", "request": request, "reply": reply, "spent": spent, "again": again}


def make_facts(found: GatewayProfile = UNKNOWN, **facts: object) -> Event:
    """Return what was learnt: of the gateway, and what later steps need."""
    return {"event": "learnt", "profile": dump_profile(found), **facts}


def make_done(step: str) -> Event:
    """Return that a step has nothing more to ask."""
    return {"event": "done", "step": step}


def _intend(known: Knowledge, event: Event) -> None:
    known.tried.add(event["request"])
    known.open[event["request"]] = int(event["most"])


def _settle(known: Knowledge, event: Event) -> None:
    request = event["request"]
    if event["spent"] is not None:
        known.open.pop(request, None)
        known.spent += int(event["spent"])
    if event["again"]:
        known.tried.discard(request)


def _learn(known: Knowledge, event: Event) -> None:
    known.learn(parse_profile(event["profile"]))
    if event.get("message") is not None:
        known.message = SentMessage(**event["message"])
    known.is_billed = known.is_billed or bool(event.get("is_billed"))
    known.billing_lag = max(known.billing_lag, float(event.get("billing_lag", 0.0)))
    known.bad_reply = event.get("bad_reply", known.bad_reply)
    known.bad_is_free = event.get("bad_is_free", known.bad_is_free)
    for name in ("free_sizes", "paid_sizes"):
        getattr(known, name).update({int(size): taken for size, taken in event.get(name, {}).items()})


def _finish(known: Knowledge, event: Event) -> None:
    known.done.add(event["step"])


_CHANGES = {"intent": _intend, "outcome": _settle, "learnt": _learn, "done": _finish}
