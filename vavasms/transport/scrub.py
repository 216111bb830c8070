"""Take out of an error what the gateway's own words repeat of the request: no error may hold it."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote_plus

from vavasms.errors import GatewayError
from vavasms.wire.requests import Request

_PRIVATE_FIELDS = frozenset({"message", "otp"})
#: Below this length a text is no secret, and taking it out would only garble other words.
_SHORTEST_SECRET = 4
_LONG_NUMBER = re.compile(r"\+?[0-9]{8,}")


def scrub(error: GatewayError, request: Request, password: str) -> None:
    """Mask the password, the text or code, and the numbers (their national form too) of `request`."""
    secrets = [password, quote_plus(password)]
    fields = parse_qsl(request.form)
    secrets += [text for name, text in fields if name in _PRIVATE_FIELDS and len(text) >= _SHORTEST_SECRET]
    # The last eight digits are those of the national form as well.
    masks = {number[-8:]: number.masked for number in request.recipients}

    def clean(words: str) -> str:
        for secret in secrets:
            words = words.replace(secret, "***")
        return _LONG_NUMBER.sub(lambda found: masks.get(found[0][-8:], found[0]), words)

    sentence = str(error)
    for words in (error.description, error.name):
        if words is not None:
            # The sentence ends the gateway's words with a full stop of its own.
            sentence = sentence.replace(words.rstrip("."), clean(words).rstrip("."))
    error.args = (sentence,)
    error.name = None if error.name is None else clean(error.name)
    error.description = None if error.description is None else clean(error.description)
