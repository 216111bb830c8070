"""`segments`."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from cyclopts import Parameter

from vavasms.cli import output
from vavasms.cli.message_input import read_text
from vavasms.cli.params import JsonFlag
from vavasms.text.folding import fold_to_gsm7
from vavasms.text.segments import Encoding, Segmentation, count_segments

_NAMES = {Encoding.GSM7: "GSM-7", Encoding.UCS2: "UCS-2"}
_UNITS = {Encoding.GSM7: "septet", Encoding.UCS2: "code unit"}
_SHOWN = 8


def segments(
    text: Annotated[
        str,
        Parameter(help="The text of an SMS, in quotes; `-` is standard input.", allow_leading_hyphen=True),
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
    units = output.count(counted.units, _UNITS[counted.encoding])
    left = f"{counted.units_left:,} left in the last"
    output.say(f"{output.count(counted.segments, 'segment')} in {_NAMES[counted.encoding]}: {units}, {left}.")
    if counted.offending:
        _show_offending(counted, folded)


def _show_offending(counted: Segmentation, folded: str) -> None:
    output.say("These characters force UCS-2, which takes 70 characters where GSM-7 takes 160:")
    for index, character in counted.offending[:_SHOWN]:
        name = unicodedata.name(character, "a character without a name").lower()
        output.say(f"  {output.clean(character) or '?'}  {name}, at {index + 1}")
    if len(counted.offending) > _SHOWN:
        output.say(f"  … and {len(counted.offending) - _SHOWN:,} more")
    after = count_segments(folded)
    if after.segments < counted.segments or after.encoding is not counted.encoding:
        cost = output.count(after.segments, "segment")
        output.say(f"Spelt without them it takes {cost} in {_NAMES[after.encoding]}:")
        output.say(f"  {output.clean(folded)}")


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
