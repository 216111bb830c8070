"""The redaction of what the gateway's own words repeat of the request: no error may hold it.

What can be pointed at is masked where it stands. Then the words are compared in every spelling, and where one
of them still holds a run of a secret, they are left out altogether.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from urllib.parse import quote_plus

from vavasms.errors import GatewayError
from vavasms.i18n import Sentence
from vavasms.transport.request_secrets import FoldedSecrets, fold_secrets, hide_runs
from vavasms.transport.spellings import spellings, unescaped
from vavasms.wire.requests import Call, Request

_MASK = "***"
#: Names of the documentation's: whatever the text says, they tell nothing.
_NAMES = frozenset(
    {"INVALID_CREDENTIALS", "INVALID_SENDER_ID", "INVALID_PHONE_NUMBER", "INVALID_OTP", "EXECUTION_ERROR"}
)
#: The digits of the longest code that was ever seen.
_LONGEST_CODE = 3
#: Stand for masks until all is compared, so that nothing is a run across one: first `***`, then numbers.
_HOLE, _FIRST_NUMBER = "\ue000", 0xE001
_HOLES = re.compile("([\ue000-\uf8ff])")
_LONG_NUMBER = re.compile(r"\+?[0-9](?:[\s.\-/]{0,2}[0-9]){7,}")
#: A code of the gateway's own, where the template around it stood.
_CODE = r"\d(?:[\s.,\-/]?\d){3,8}"
_CODE_IN_TEMPLATE = re.compile(rf"{_CODE}\W{{0,6}}{_HOLE}|{_HOLE}\W{{0,6}}{_CODE}")


def scrub(error: GatewayError, request: Request, password: str) -> None:
    """Mask the password, the text or code, and the numbers (their national form too) of `request`."""
    scrubber = _Scrubber(request, password)
    cleaned = {text: scrubber.clean(text) for text in (error.description, error.name) if text is not None}
    if error.name in _NAMES:
        cleaned[error.name] = error.name
    code = str(error.code)
    if len(code) > _LONGEST_CODE and scrubber.clean(code) != code:
        # It is none: a number or a one-time code in the wrong place.
        cleaned[code], error.code = _MASK, None
    sentence = error.args[0]
    # Made anew of what is masked: a sentence keeps its values, for the other language.
    if isinstance(sentence, Sentence):
        error.args = (sentence.with_values(partial(_replace, cleaned=cleaned)),)
    else:
        error.args = (_replace(sentence, cleaned),)
    error.name = None if error.name is None else cleaned[error.name]
    error.description = None if error.description is None else cleaned[error.description]


def _replace(text: str, cleaned: Mapping[str, str]) -> str:
    """Replace the gateway's words by the masked ones: at once, since one may be a part of the other."""
    # The sentence ends the gateway's words with a full stop of its own.
    masked = {text.rstrip("."): clean.rstrip(".") for text, clean in cleaned.items() if text.rstrip(".")}
    longest_first = sorted(masked, key=len, reverse=True)
    if not longest_first:
        return text
    return re.sub("|".join(map(re.escape, longest_first)), lambda match: masked[match[0]], text)


class _Scrubber:
    """The cleaner of the words that answer one request."""

    def __init__(self, request: Request, password: str) -> None:
        self._literal = tuple(filter(None, (password, quote_plus(password))))
        # The last eight digits are those of the national form as well.
        self._masks = {number[-8:]: number.masked for number in request.recipients}
        self._secrets: tuple[FoldedSecrets, ...] = fold_secrets(request, password)
        self._is_template = request.call is Call.SEND_OTP

    def clean(self, text: str) -> str:
        """Return `text` with masks; the mask alone where a part of a secret would be left."""
        text = _HOLES.sub(" ", text)
        for secret in self._literal:
            text = text.replace(secret, _HOLE)
        masks: dict[str, str] = {}
        text = _LONG_NUMBER.sub(lambda match: self._hide_number(match[0], masks), text)
        # What an escape is part of cannot be pointed at: a mask in the middle of it would leave its ends.
        if self._holds_secret(text, unescaped, begin=1):
            return _MASK
        text = "".join([hide_runs(part, self._secrets, _HOLE) for part in _HOLES.split(text)])
        if self._is_template:
            text = _CODE_IN_TEMPLATE.sub(_HOLE, text)
        if self._holds_secret(text, spellings):
            return _MASK
        return _HOLES.sub(lambda match: masks.get(match[0], _MASK), text)

    def _hide_number(self, written: str, masks: dict[str, str]) -> str:
        mask = self._masks.get("".join(filter(str.isdigit, written))[-8:])
        if mask is None:
            return written
        hole = chr(_FIRST_NUMBER + len(masks))
        masks[hole] = mask
        return hole

    def _holds_secret(self, text: str, spell: Callable[[str], Iterator[str]], *, begin: int = 0) -> bool:
        """Return whether what stands between masks holds a secret, in its spellings from `begin` on."""
        variants = [variant for part in _HOLES.split(text) for variant in islice(spell(part), begin, None)]
        return any(secrets.find(variant) for variant in variants for secrets in self._secrets)
