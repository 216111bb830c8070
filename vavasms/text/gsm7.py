"""The GSM 7-bit default alphabet and its extension table (3GPP TS 23.038, 6.2.1)."""

from __future__ import annotations

import re

#: Characters of one septet. Without the escape (0x1B): it opens the extension table and is no character.
BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
#: Characters that take two septets: the escape and one more.
EXTENSION = "\f^{}\\[~]|€"

#: Everything in both tables, as the inside of a regular expression's set.
CHARACTER_SET = re.escape(BASIC + EXTENSION)

#: Matches the run of one-septet characters at a position.
match_basic = re.compile(f"[{re.escape(BASIC)}]*").match
#: Matches the run of GSM-7 characters at a position.
match_gsm7 = re.compile(f"[{CHARACTER_SET}]*").match
#: Finds the first character outside both tables, or None where the text is GSM-7.
search_foreign = re.compile(f"[^{CHARACTER_SET}]").search
