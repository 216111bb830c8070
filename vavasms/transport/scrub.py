"""Take out of an error what the gateway's own words repeat of the request: no error may hold it."""

from __future__ import annotations

import re
from os.path import commonprefix
from urllib.parse import parse_qsl, quote_plus

from vavasms.errors import GatewayError
from vavasms.wire.requests import Request

_PRIVATE_FIELDS = frozenset({"message", "otp"})
#: Below this length a text is no secret, and taking it out would only garble other words.
_SHORTEST_SECRET = 4
#: How much of a text, from its beginning, tells that it is that text.
_LEAST_PART = 12
_LONG_NUMBER = re.compile(r"\+?[0-9](?:[ .\-]?[0-9]){7,}")
_SPACES = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


def scrub(error: GatewayError, request: Request, password: str) -> None:
    """Mask the password, the text or code, and the numbers (their national form too) of `request`."""
    texts = [text for name, text in parse_qsl(request.form) if name in _PRIVATE_FIELDS]
    # The last eight digits are those of the national form as well.
    masks = {number[-8:]: number.masked for number in request.recipients}

    def clean(words: str) -> str:
        for secret in (password, quote_plus(password)):
            words = words.replace(secret, "***")
        for text in texts:
            words = _hide_text(words, " ".join(_SPACES.split(text)).strip())
        return _LONG_NUMBER.sub(lambda found: masks.get(_digits(found[0])[-8:], found[0]), words)

    sentence = str(error)
    for words in (error.description, error.name):
        if words is not None:
            # The sentence ends the gateway's words with a full stop of its own.
            sentence = sentence.replace(words.rstrip("."), clean(words).rstrip("."))
    error.args = (sentence,)
    error.name = None if error.name is None else clean(error.name)
    error.description = None if error.description is None else clean(error.description)


def _hide_text(words: str, text: str) -> str:
    if len(text) < _SHORTEST_SECRET:
        return words
    words = words.replace(text, "***")
    # The gateway's words are cut at a length: a text that was begun and not ended is a text all the same.
    start = words.find(text[:_LEAST_PART]) if len(text) > _LEAST_PART else -1
    if start < 0:
        return words
    shared = commonprefix([words[start:], text])  # noqa: RUF071  by characters is what is meant
    return words.replace(shared, "***")


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))
