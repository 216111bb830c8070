"""English words, by which a French text is known that was left untranslated."""

from __future__ import annotations

import re

from vavasms.cli.app import COMMANDS

_COMMON = """
    the of and to in is are was were be been being it its they them their this that these those there here
    with without within from for by at into out up down over under after before between until since while
    during through against because if than then so not nor never always still yet already again only also even
    has have had having does did do can cannot could may must should will would shall
    which who whom whose what where when why how
    each every any all both other others more most much many few less one two three first last next
    new old same own such some nothing nobody anything everything
    send sends sent sending number numbers files list lists text texts name names line lines row rows column
    columns sheet cell cells header key keys value values word words day days hour hours week weeks time times
    account accounts gateway batch batches ledger sender recipient recipients handset handsets phone
    outcome network answer answers answered reply request requests spreadsheet input
    need needs take takes taken give gives given make makes made show shows shown ask asks asked tell tells
    look looks see sees read reads write writes written keep keeps kept leave leaves left find finds found
    know knows known run runs running add adds added wait waits waiting stopped stopping interrupted
    accepted rejected unknown queued paused cancelled refused duplicate repaired enqueued empty wrong right
    required default choices example help display language error errors warning
    settings password username credentials you your we our us yes now
"""
#: What is common in our sentences and no French word: not `on`, `or`, `but`, `an`, `as`, `file`, `second`.
WORDS = frozenset(_COMMON.split())
_COMMANDS = "|".join({word for command in COMMANDS for word in command.name.split()})
#: What is the same in every language, each with what stands for it.
_SAME = (
    # The first column of a panel of help, where it holds a command or an option.
    re.compile(r"^│ (?:\* )? *\S+(?: \S+)*?(?=  |$)", re.MULTILINE),
    # Between them: what is wrapped is one sentence.
    re.compile(r"[│╭╰╮╯─]"),
    # What is typed: an example, the values of an option.
    re.compile(r"^Exemple\s: .*$", re.MULTILINE),
    re.compile(r"\[(?:--[a-z-]+ |choix\s: |par\s+défaut\s: )[^]]*\]"),
    re.compile(r"`[^`]*`"),
    re.compile(r"##\w+##"),
    re.compile(rf"\bvavasms(?:\s+(?:{_COMMANDS})\b)*"),
    re.compile(r"\b[\w+]+://\S*"),
    re.compile(r"(?<![\w-])--?[a-z][a-z-]*"),
    # The code of an error, a setting, the name of a file.
    re.compile(r"\[[a-z_]+(?:\.[a-z0-9_]+)*\]"),
    re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b"),
    re.compile(r"[\w./~-]*\.[a-z]{2,5}\b"),
)


def english_words(text: str) -> list[str]:
    """Return the English words of a text, in their order.

    Names of commands and options, code in backticks, settings, URLs, names of files and codes of errors are
    no words.
    """
    for pattern in _SAME:
        text = pattern.sub(" ", text)
    return [word for word in re.findall(r"[^\W\d_]+", text.casefold()) if word in WORDS]
