"""What a raw phone text is: kept, repaired, a duplicate or refused. Pure."""

from __future__ import annotations

from enum import Enum

from attrs import define, field, frozen

from vavasms.errors import InvalidNumberError
from vavasms.numbers import Msisdn, parse_msisdn


class Fate(Enum):
    """What becomes of a number of a contact list, before anything is sent."""

    #: A mobile number, sent to as it is.
    KEPT = "kept"
    #: Sent to under the number it has become.
    REPAIRED = "repaired"
    #: The number of an earlier row; sent to once.
    DUPLICATE = "duplicate"
    #: No mobile number; not sent to.
    REFUSED = "refused"


@frozen(kw_only=True)
class Verdict:
    """The judgement on one raw phone text."""

    fate: Fate
    #: Who to send to; None where the fate is `REFUSED`.
    recipient: Msisdn | None = None
    #: Why it was refused, or what was repaired: a value of `NumberFault`; None otherwise.
    reason: str | None = None
    #: The same in words, the number masked; empty otherwise.
    sentence: str = ""
    #: Of a refused number, what `repair` would make of it; None where that is not known.
    suggestion: Msisdn | None = None


@define(kw_only=True)
class Judge:
    """Judge the numbers of one list, in order.

    Remembers the numbers it kept, about 60 bytes each, to tell the duplicates.
    """

    #: The country that all numbers are known to be of: eight bare digits can be read; None: not known.
    region: str | None = None
    #: The country of national numbers of the present plan.
    default_region: str = "CI"
    #: Take the new number in place of one of the old plan, or of one that a spreadsheet spoiled.
    repair: bool = False
    _seen: set[int] = field(factory=set, init=False)

    def judge(self, text: str) -> Verdict:
        """Judge the next number of the list."""
        try:
            number = parse_msisdn(text, region=self.region, default_region=self.default_region)
        except InvalidNumberError as error:
            reason, sentence, suggestion = error.reason, str(error), error.suggestion
        else:
            return self._keep(Verdict(fate=Fate.KEPT, recipient=number))
        new = None if suggestion is None else Msisdn(suggestion)
        if self.repair and new is not None:
            return self._keep(Verdict(fate=Fate.REPAIRED, recipient=new, reason=reason, sentence=sentence))
        return Verdict(fate=Fate.REFUSED, reason=reason, sentence=sentence, suggestion=new)

    def _keep(self, verdict: Verdict) -> Verdict:
        assert verdict.recipient is not None
        # As ints: a third of the memory of the texts, and exact.
        if (key := int(verdict.recipient)) in self._seen:
            return Verdict(fate=Fate.DUPLICATE, recipient=verdict.recipient)
        self._seen.add(key)
        return verdict
