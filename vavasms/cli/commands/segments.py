"""`segments`."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from cyclopts import Parameter

from vavasms.cli import output
from vavasms.cli.message_input import read_text
from vavasms.cli.params import JsonFlag
from vavasms.i18n import current_language, ngettext
from vavasms.i18n import gettext as _
from vavasms.text.folding import fold_to_gsm7
from vavasms.text.segments import Encoding, Segmentation, count_segments

_NAMES = {Encoding.GSM7: "GSM-7", Encoding.UCS2: "UCS-2"}
_SHOWN = 8


def segments(
    text: Annotated[
        str,
        Parameter(help=_("The text of an SMS, in quotes; `-` is standard input."), allow_leading_hyphen=True),
    ],
    /,
    *,
    as_json: JsonFlag = False,
) -> None:
    """Count the SMS that a text becomes, and show which letters cost."""
    text = read_text(text)
    counted = count_segments(text)
    folded = fold_to_gsm7(text)
    if as_json:
        output.print_json(_as_json(counted, folded))
        return
    if counted.encoding is Encoding.GSM7:
        units = ngettext("{n} septet", "{n} septets", counted.units)
    else:
        units = ngettext("{n} code unit", "{n} code units", counted.units)
    output.say(
        ngettext(
            "{n} segment in {encoding}: {units}, {left} left in the last.",
            "{n} segments in {encoding}: {units}, {left} left in the last.",
            counted.segments,
            encoding=_NAMES[counted.encoding],
            units=units,
            left=counted.units_left,
        )
    )
    if counted.offending:
        _show_offending(counted, folded)


def _show_offending(counted: Segmentation, folded: str) -> None:
    output.say(_("These characters force UCS-2, which takes 70 characters where GSM-7 takes 160:"))
    for index, character in counted.offending[:_SHOWN]:
        place = _("{name}, at {position}", name=_name(character), position=str(index + 1))
        output.say(f"  {output.clean(character) or '?'}  {place}")
    if len(counted.offending) > _SHOWN:
        more = ngettext("… and {n} more", "… and {n} more", len(counted.offending) - _SHOWN)
        output.say(f"  {more}")
    after = count_segments(folded)
    if after.segments < counted.segments or after.encoding is not counted.encoding:
        output.say(
            ngettext(
                "Spelt without them it takes {n} segment in {encoding}:",
                "Spelt without them it takes {n} segments in {encoding}:",
                after.segments,
                encoding=_NAMES[after.encoding],
            )
        )
        output.say(f"  {output.clean(folded)}")


def _name(character: str) -> str:
    """Return Unicode's name of a character: it has English ones only, so elsewhere its number."""
    if current_language() == "en":
        return unicodedata.name(character, "a character without a name").lower()
    return f"U+{ord(character):04X}"


def _as_json(counted: Segmentation, folded: str) -> dict[str, object]:
    return {
        "encoding": counted.encoding.value,
        "segments": counted.segments,
        "units": counted.units,
        "units_left": counted.units_left,
        "offending": [{"index": index, "character": one} for index, one in counted.offending],
        "folded": folded,
        "folded_segments": count_segments(folded).segments,
    }
