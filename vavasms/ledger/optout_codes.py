"""The codes of opt-out links: one for each number in all campaigns, for good. Pure, but for chance.

A code is kept beside the opt-out list, apart from the campaigns whose texts hold it: a link works on after
they are purged. One for each number, not for each message: so many are out as there are people, and no more
with every campaign, which is what a guess is worth.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from secrets import randbelow
from string import ascii_letters, digits
from typing import Protocol

from attrs import evolve, field, frozen

from vavasms.ledger.models import NewBatch, OptOut
from vavasms.numbers import Msisdn

#: How many letters a code has. With a million codes out, ten million guesses find one in 108,000 tries.
LENGTH = 10
_ENDS = digits + ascii_letters
#: What stands in a URL's path as it is (RFC 3986, 3.3), and has one code in GSM-7 and ASCII. The underscore
#: has two, so gateways garble it; behind a dot proxies see the name of a file.
_MARKS = "-="
#: The letters of each place. No link that a phone finds in a text ends with a mark.
PLACES = (_ENDS, *[_ENDS + _MARKS] * (LENGTH - 2), _ENDS)
#: Stands in a text that waits for its code: no message and no cell of a list holds it.
CODE_MARK = "\0"
#: As long as a code, for whoever is shown a text before it has one.
EXAMPLE = "AbC3xYz9Kq"
#: Where an opt-out came from that was made by a link, in the list.
LINK_SOURCE = "link"

_count = prod(map(len, PLACES))
_is_code = re.compile("".join(f"[{re.escape(letters)}]" for letters in PLACES)).fullmatch


@frozen(kw_only=True)
class CodeHolder:
    """Whose code it is."""

    recipient: Msisdn = field(repr=False)
    #: None where the number is not on the opt-out list.
    opt_out: OptOut | None

    @property
    def can_take_back(self) -> bool:
        """Whether the opt-out was made by a link: no other one is taken back by it."""
        return self.opt_out is not None and self.opt_out.source == LINK_SOURCE


class OptOutCodes(Protocol):
    """The codes in a ledger. Each method is one committed transaction."""

    async def issue(self, recipients: Iterable[Msisdn]) -> Mapping[Msisdn, str]:
        """Return the code of each number, drawn and kept for good where it has none yet."""
        ...

    async def find(self, code: str) -> CodeHolder | None:
        """Return whose code it is; None where it is nobody's."""
        ...

    async def opt_out(self, code: str, *, now: float) -> CodeHolder | None:
        """Put its number on the opt-out list, and return how it stands there; None where it is nobody's.

        May be repeated: a number that is on the list stays as it came there.
        """
        ...

    async def take_back(self, code: str) -> CodeHolder | None:
        """Take its number off the opt-out list where a link put it there; None where it is nobody's code.

        What came by a STOP, a file or a person's hand stays. May be repeated.
        """
        ...


def draw_code() -> str:
    """Draw a code. A few microseconds."""
    rest, code = randbelow(_count), ""
    for letters in PLACES:
        rest, letter = divmod(rest, len(letters))
        code += letters[letter]
    return code


def is_code(text: str) -> bool:
    """Return whether a text can be a code at all."""
    return _is_code(text) is not None


def find_marked(batches: Iterable[NewBatch]) -> list[int]:
    """Return the numbers, in order, whose texts wait for a code.

    Raises `ValueError` for a text that waits for one and is for several.
    """
    phones: set[int] = set()
    for batch in batches:
        if CODE_MARK in batch.message:
            (recipient,) = batch.recipients
            phones.add(int(recipient))
    return sorted(phones)


def fill_codes(batches: Sequence[NewBatch], codes: Mapping[int, str]) -> list[NewBatch]:
    """Put the codes into the texts that wait for them."""
    return [
        evolve(batch, message=batch.message.replace(CODE_MARK, codes[int(batch.recipients[0])]))
        if CODE_MARK in batch.message
        else batch
        for batch in batches
    ]


def read_holder(row: Sequence[object] | None) -> CodeHolder | None:
    """Make a holder of `select_holder`'s row."""
    if row is None:
        return None
    phone, source, at = row
    recipient = Msisdn(str(phone))
    listed = None if source is None else OptOut(recipient=recipient, source=str(source), at=float(str(at)))
    return CodeHolder(recipient=recipient, opt_out=listed)
