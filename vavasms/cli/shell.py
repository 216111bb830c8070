"""Words for a shell."""

from __future__ import annotations

import os
import shlex


def write_setting(name: str, value: str, *, system: str = os.name) -> str:
    """Return the line that sets a variable of the environment, in a POSIX shell or in PowerShell."""
    if system == "nt":
        doubled = value.replace("'", "''")
        return f"$env:{name} = '{doubled}'"
    return f"export {name}={quote(value)}"


def quote(text: str) -> str:
    """Quote a text for a shell; what a terminal would obey is written as its code (`$'\\x1b'`)."""
    if text.isprintable():
        return shlex.quote(text)
    return f"$'{''.join(map(_escape, text))}'"


def _escape(character: str) -> str:
    code = ord(character)
    if character.isprintable():
        return f"\\{character}" if character in "\\'" else character
    if code < 0x80 or 0xDC80 <= code <= 0xDCFF:
        # The latter is how Python reads a byte that is no text.
        return f"\\x{code & 0xFF:02x}"
    return f"\\U{code:08x}"
