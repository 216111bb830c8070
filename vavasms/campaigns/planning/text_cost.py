"""What a rendered text costs, who waits for it, and its share in the hash of a plan. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from attrs import define, field, frozen

from vavasms.campaigns.planning.optout_link import show_example
from vavasms.errors import InvalidMessageError
from vavasms.i18n import gettext as _
from vavasms.numbers import Msisdn
from vavasms.text.folding import fold_to_gsm7
from vavasms.text.segments import Encoding, count_segments
from vavasms.text.visible import is_visible
from vavasms.wire.requests import MAX_SEGMENTS

#: Hashes of recipients are added up modulo this.
MODULUS = 1 << 128

_HASH_BYTES = 16


@frozen
class TextCost:
    """What one rendered text costs."""

    segments: int
    #: Folded.
    folded: int
    #: What forces UCS-2.
    offending: frozenset[str]


@define
class TextGroup:
    """Recipients of one text that wait for their batch to be full."""

    cost: TextCost
    #: Has taken in the text: a copy of it takes a number.
    hash: blake2b
    recipients: list[Msisdn] = field(factory=list)
    #: Of each of them the cells that are kept; empty where none are.
    kept: list[tuple[str, ...]] = field(factory=list)


def check_text(text: str) -> None:
    """Raise `InvalidMessageError` for a text that no send takes."""
    text = show_example(text)
    if not is_visible(text):
        raise InvalidMessageError(
            _("The message shows nothing on a phone; nothing was sent."), error_code="message.empty"
        )
    if not fits_a_phone(count_segments(text).segments):
        raise InvalidMessageError(
            _(
                "The message is longer than {most} segments, the most a phone joins; nothing was sent.",
                most=MAX_SEGMENTS,
            ),
            error_code="message.too_long",
        )


def fits_a_phone(segments: int) -> bool:
    """Return whether phones join so many segments, as `draft_text` has it."""
    return segments <= MAX_SEGMENTS


def measure_text(text: str) -> TextCost:
    """Count the segments of a text, the code that it waits for among them, and what folding would save."""
    text = show_example(text)
    cost = count_segments(text)
    if cost.encoding is not Encoding.UCS2:
        return TextCost(cost.segments, cost.segments, frozenset())
    offending = frozenset(character for _place, character in cost.offending)
    return TextCost(cost.segments, count_segments(fold_to_gsm7(text)).segments, offending)


def hash_text(text: str) -> blake2b:
    """Begin the hash of a text's recipients."""
    # A text's length parts it from the number: no two recipients give the same bytes.
    return blake2b(f"{len(text)}:{text}:".encode(), digest_size=_HASH_BYTES)


def hash_recipients(head: blake2b, numbers: Sequence[Msisdn]) -> int:
    """Add up the hashes of a text's recipients: the same in any order. Half a microsecond each."""
    total = 0
    for number in numbers:
        one = head.copy()
        one.update(number.encode())
        total += int.from_bytes(one.digest(), "little")
    return total
