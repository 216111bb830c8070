"""What a raw phone text is: kept, repaired, a duplicate, opted out or refused. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum

from attrs import define, field, frozen

from vavasms.campaigns.planning.contacts.number_set import NumberSet
from vavasms.errors import InvalidNumberError
from vavasms.numbers import Msisdn, parse_msisdn
from vavasms.numbers.plans import PLANS


class Fate(Enum):
    """What becomes of a number of a contact list, before anything is sent."""

    #: A mobile number, sent to as it is.
    KEPT = "kept"
    #: Sent to under the number it has become.
    REPAIRED = "repaired"
    #: The number of an earlier row; sent to once.
    DUPLICATE = "duplicate"
    #: On the opt-out list, each time it comes; not sent to.
    OPTED_OUT = "opted_out"
    #: A recipient of a campaign whose recipients are left out, each time it comes; not sent to.
    EXCLUDED = "excluded"
    #: Not drawn for the sample, each time it comes; not sent to.
    NOT_DRAWN = "not_drawn"
    #: No mobile number; not sent to.
    REFUSED = "refused"


@frozen(kw_only=True)
class Verdict:
    """The judgement on one raw phone text."""

    fate: Fate
    #: The number that was read or repaired; None where the fate is `REFUSED`.
    recipient: Msisdn | None = None
    #: Why it was refused, or what was repaired: a value of `NumberFault`; None otherwise.
    reason: str | None = None
    #: The same in words, the number masked; empty otherwise.
    sentence: str = ""
    #: Of a refused number, what `repair` would make of it; None where that is not known.
    suggestion: Msisdn | None = None


# What the tables of numbering plans take in any tabled region: nearly all rows of most lists.
_match_wire = re.compile("|".join(plan.calling_code + plan.mobile for plan in PLANS.values())).fullmatch
_TABLED = {None, *PLANS}


@define(kw_only=True)
class Judge:
    """The judge of the numbers of one list, in order: each gets exactly one fate.

    Remembers the numbers it kept, to tell the duplicates: see `NumberSet`.
    """

    #: The country that all numbers are known to be of: eight bare digits can be read; None: not known.
    region: str | None = None
    #: The country of national numbers of the present plan.
    default_region: str = "CI"
    #: Take the new number in place of one of the old plan, or of one that a spreadsheet spoiled.
    repair: bool = False
    #: Numbers that want no message, as the integers of their digits.
    opted_out: frozenset[int] = field(default=frozenset(), repr=False)
    #: The same of those who have another campaign's message.
    excluded: frozenset[int] = field(default=frozenset(), repr=False)
    #: Those alone who are sent to; None: everybody.
    drawn: frozenset[int] | None = field(default=None, repr=False)
    _seen: NumberSet = field(factory=NumberSet, init=False, repr=False)

    @property
    def kept(self) -> NumberSet:
        """The numbers that were kept or repaired so far."""
        return self._seen

    def judge(self, text: str) -> Verdict:
        """Judge the next number of the list."""
        judged = self._judge(text)
        return Verdict(fate=Fate.KEPT, recipient=judged) if isinstance(judged, Msisdn) else judged

    def judge_many(self, texts: Iterable[str]) -> list[Msisdn | Verdict]:
        """Judge the next numbers as `judge` would one by one, in less than half of the time.

        A number that is kept stands for its verdict: on a long list nearly all are.
        """
        match = _match_wire if {self.region, self.default_region} <= _TABLED else _match_nothing
        settle, judge = self._settle, self._judge
        return [settle(Msisdn(text)) if match(text) else judge(text) for text in texts]

    def forget(self, number: Msisdn) -> None:
        """Take back that a number was kept: its next row is no duplicate."""
        self._seen.discard(int(number))

    def _judge(self, text: str) -> Msisdn | Verdict:
        try:
            return self._settle(self._parse(text))
        except InvalidNumberError as error:
            # The message itself, which can be had in English too.
            reason, sentence, suggestion = error.reason, error.args[0], error.suggestion
        new = None if suggestion is None else Msisdn(suggestion)
        if not self.repair or new is None or not self._is_sure(text):
            return Verdict(fate=Fate.REFUSED, reason=reason, sentence=sentence, suggestion=new)
        settled = self._settle(new)
        if settled is not new:
            return settled
        return Verdict(fate=Fate.REPAIRED, recipient=new, reason=reason, sentence=sentence)

    def _settle(self, number: Msisdn) -> Msisdn | Verdict:
        """Return the verdict on a number that is not sent to; remember any other, and return it."""
        # As ints: a third of the memory of the texts, and exact.
        key = int(number)
        if key in self.opted_out:
            return Verdict(fate=Fate.OPTED_OUT, recipient=number)
        if key in self.excluded:
            return Verdict(fate=Fate.EXCLUDED, recipient=number)
        if self.drawn is not None and key not in self.drawn:
            return Verdict(fate=Fate.NOT_DRAWN, recipient=number)
        return number if self._seen.add(key) else Verdict(fate=Fate.DUPLICATE, recipient=number)

    def _parse(self, text: str, *, repair: bool = False) -> Msisdn:
        return parse_msisdn(text, region=self.region, default_region=self.default_region, repair=repair)

    def _is_sure(self, text: str) -> bool:
        """Return whether the suggestion may be taken: not where other countries have such numbers."""
        try:
            self._parse(text, repair=True)
        except InvalidNumberError:
            return False
        return True


def _match_nothing(_: str) -> None:
    """Leave every number to the complete reading."""
