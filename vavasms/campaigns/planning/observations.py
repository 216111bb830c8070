"""What a plan warns of beside its counts: cells and texts that may not be what was meant. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import define, field

from vavasms.campaigns.planning.plan import Example
from vavasms.campaigns.planning.template import Texts
from vavasms.numbers import Msisdn

#: The second of two characters that one letter of UTF-8 becomes in cp1252 or Latin-1.
_SECOND = "".join(bytes([byte]).decode("cp1252", "ignore") + chr(byte) for byte in range(0x80, 0xC0))
#: U+FFFD, C1 characters, `Ã©` and its like, and `√©`, which is the same on a Mac.
_find_garble = re.compile(
    f"\ufffd|[\x80-\x84\x86-\x9f]|[\u00c2\u00c3][{re.escape(_SECOND)}]|\u00e2\u20ac|\u00c5[\u2019\u201c\u00b8]"
    "|\u221a[\u00a0\u00a7-\u00aa\u00ae\u00b4\u00b9]"
).search


def is_garbled(text: str) -> bool:
    """Return whether a text looks like one that was read in another encoding than it was written in."""
    return not text.isascii() and _find_garble(text) is not None


def count_example(known: Example | None, row: int, text: str, became: str | None = None) -> Example:
    """Return the example with one more counted: it stays the first."""
    if known is None:
        return Example(count=1, row=row, text=text, became=became)
    return Example(count=known.count + 1, row=known.row, text=known.text, became=known.became)


@define(kw_only=True)
class Observations:
    """What is seen of the recipients of one list whose texts have columns in them."""

    template: Texts
    #: Cells that say `NULL` and the like, and count as empty.
    no_values: int = field(default=0, init=False)
    garbled: Example | None = field(default=None, init=False)
    #: Rows of a number that came before, with another text.
    differing: Example | None = field(default=None, init=False)
    #: Columns that no row filled so far.
    unfilled: set[str] = field(init=False)
    #: Of each number with its text: seventy bytes.
    _sent: set[int] = field(factory=set, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.unfilled = set(self.template.names)

    def see(self, row: int, cells: Sequence[str], number: Msisdn, text: str) -> None:
        """Take in a recipient and the text that will be sent."""
        self._sent.add(hash((number, text)))
        used = self.template.used(cells)
        self.no_values += self.template.count_no_values(cells)
        if self.unfilled:
            self.unfilled -= self.template.filled(cells)
        if is_garbled("".join(used)):
            self.garbled = count_example(self.garbled, row, text)

    def compare(self, row: int, cells: Sequence[str], number: Msisdn) -> bool:
        """Return whether a further row of a number has another text than the one that will be sent."""
        text = self.template.render(cells)
        if hash((number, text)) in self._sent:
            return False
        self.differing = count_example(self.differing, row, text)
        return True
