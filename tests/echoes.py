"""The ways in which a gateway in PHP may repeat what it was sent."""

from __future__ import annotations

import base64
import html
import json
import quopri
from collections.abc import Callable, Mapping
from urllib.parse import quote, quote_plus

Way = Callable[[str], str]

NUMBER = "2250759123456"
TEXT = "L'été à Bouaké : « réservé » pour Aya & Kofi, 20 % à l'achat"
CODE = "482913"
PASSWORD = 'S3ntinel "pass"&wörd/é'
PARTS = {"number": NUMBER, "text": TEXT, "code": CODE, "password": PASSWORD}
RUN = 8


def cp1252(text: str) -> str:
    """Read UTF-8 as Windows does, what it has no sign for as browsers do."""
    return "".join([bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in text.encode()])


def latin1(text: str) -> str:
    return text.encode().decode("latin-1")


def entities(text: str) -> str:
    """Do what `htmlentities` does."""
    named = {"é": "&eacute;", "à": "&agrave;", "ö": "&ouml;", "«": "&laquo;", "»": "&raquo;"}
    return "".join(named.get(character, html.escape(character)) for character in text)


def addslashes(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'").replace('"', '\\"')


def chunks(size: int, between: str) -> Way:
    return lambda text: between.join(text[at : at + size] for at in range(0, len(text), size))


def thousands(text: str) -> str:
    return f"{int(text):,}" if text.isdigit() else chunks(3, ",")(text)


def addcslashes(text: str) -> str:
    """Do what `addcslashes(…, "\\x80..\\xff")` does."""
    return "".join([f"\\{byte:03o}" if byte > 0x7F else chr(byte) for byte in text.encode()])


LIGATURES: Mapping[int, str] = {ord("œ"): "oe", ord("Œ"): "OE", ord("æ"): "ae", ord("€"): "EUR"}


def transliterated(text: str) -> str:
    """Do what `iconv(…, 'ASCII//TRANSLIT')` does to ligatures and signs, too."""
    return unaccented(text).translate(LIGATURES)


def by_points(before: str, after: str, between: str = "") -> Way:
    """Name each character by its code point."""
    return lambda text: between.join(f"{before}{ord(character):04x}{after}" for character in text)


def unaccented(text: str) -> str:
    """Do what `iconv(…, 'ASCII//TRANSLIT')` does."""
    return text.translate(str.maketrans("éàö«»", "eao<>"))


#: Without loss: what comes out of one may go through another.
LAYERS: Mapping[str, Way] = {
    "htmlspecialchars": html.escape,
    "htmlentities": entities,
    "addslashes": addslashes,
    "urlencode": quote_plus,
    "rawurlencode": lambda text: quote(text, safe=""),
    "json_encode": lambda text: json.dumps(text)[1:-1],
    "decimal entities": lambda text: "".join(f"&#{ord(character)};" for character in text),
    "hexadecimal entities": lambda text: "".join(f"&#x{ord(character):X};" for character in text),
    "chunk_split": chunks(4, "\r\n"),
    "nl2br": chunks(5, "<br />\n"),
    "no-break spaces": lambda text: text.replace(" ", "\u00a0"),
    "spaces between": chunks(1, " "),
}

WAYS: Mapping[str, Way] = {
    "as it is": str,
    **LAYERS,
    "htmlspecialchars twice": lambda text: html.escape(html.escape(text)),
    "urlencode twice": lambda text: quote_plus(quote_plus(text)),
    "utf8_encode": latin1,
    "utf8_encode twice": lambda text: latin1(latin1(text)),
    "read as cp1252": cp1252,
    "read as cp1252 twice": lambda text: cp1252(cp1252(text)),
    "utf8_decode to what is not there": lambda text: text.encode("ascii", "replace").decode(),
    "iconv TRANSLIT": unaccented,
    "strtoupper": str.upper,
    "strtolower": str.lower,
    "ucwords": str.title,
    "htmlentities in upper case": lambda text: entities(text).upper(),
    "substr from its middle": lambda text: text[3:-1] if len(text) > 12 else text,
    "substr to its middle": lambda text: text[: len(text) // 2 + 3],
    "number_format": thousands,
    "number_format with spaces": lambda text: thousands(text).replace(",", "\u202f"),
    "slashes between pairs": chunks(2, "/"),
    "dashes between pairs": chunks(2, "-"),
    "points between pairs": chunks(2, "."),
    "no-break spaces between pairs": chunks(2, "\u00a0"),
    "quoted_printable_encode": lambda text: quopri.encodestring(text.encode(), quotetabs=True).decode(),
    "strrev": lambda text: text[::-1],
    "base64_encode": lambda text: base64.b64encode(text.encode()).decode(),
    "bin2hex": lambda text: text.encode().hex(),
    "bin2hex with colons": lambda text: text.encode().hex(":"),
    "bytes of 0x": lambda text: " ".join(f"0x{byte:02X}" for byte in text.encode()),
    "UCS-2 in hexadecimal digits": lambda text: text.encode("utf-16-be").hex().upper(),
    "addcslashes": addcslashes,
    "iconv TRANSLIT of ligatures": transliterated,
    "code points of intl": by_points("\\u{", "}"),
    "code points by name": by_points("U+", "", " "),
    "comments between": chunks(5, "<!-- x -->"),
    "long tags between": chunks(5, f'<span style="{"color:red;" * 9}">'),
    "base64_encode behind a word": lambda text: "v1_" + base64.b64encode(text.encode()).decode(),
    "digits of ar": lambda text: text.translate({48 + at: 0x660 + at for at in range(10)}),
    "var_export": lambda text: f"'{addslashes(text)}'",
}


def left_of(echo: str, words: str) -> list[str]:
    """Return the runs of an echo that are left in words: each of eight characters, or a short echo whole."""
    size = min(RUN, len(echo))
    runs = {echo[at : at + size] for at in range(len(echo) - size + 1)}
    return sorted(run for run in runs if run in words)
