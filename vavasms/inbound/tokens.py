"""The token in the URL: the platform signs nothing, so who knows the URL is the platform."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import MutableMapping, Sequence
from hmac import compare_digest
from math import log2
from typing import Any

from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _

#: What is shorter could be guessed.
MIN_BITS = 128
#: What stands in a log where the token was.
HIDDEN = "hidden"

_URL_SAFE = re.compile(r"[\w.~-]+", re.ASCII)
#: How many characters it may have been drawn from, by those it has.
_ALPHABETS = {r"\d+": 10, r"[\da-f-]+|[\dA-F-]+": 16, r"[\da-z]+|[\dA-Z]+": 36, r".+": 64}
#: Fewer different ones than this are not drawn, but typed.
_MIN_DIFFERENT = 6
#: Where WSGI servers keep the path.
_WSGI_KEYS = ("PATH_INFO", "RAW_URI", "REQUEST_URI", "werkzeug.request_line")


def make_token() -> str:
    """Draw a token of 160 bits: 40 characters that need no quoting in a URL or a shell."""
    return secrets.token_hex(20)


class Tokens:
    """The valid tokens: one, or several while one replaces another. Shows none of them."""

    def __init__(self, token: str | Sequence[str]) -> None:
        tokens = (token,) if isinstance(token, str) else tuple(token)
        if not tokens:
            raise InvalidInputError(
                _("An inbound URL needs a token: make_token() draws one."),
                error_code="inbound.token",
                outcome=None,
            )
        for valid in tokens:
            _check(valid)
        self._tokens = tuple(valid.encode() for valid in tokens)

    def accept(self, token: str) -> bool:
        """Return whether it is one of ours, in a time that tells nothing of how much of it is right."""
        candidate, is_valid = token.encode("utf-8", "replace"), False
        for valid in self._tokens:
            is_valid |= compare_digest(valid, candidate)
        return is_valid


def _check(token: str) -> None:
    if not isinstance(token, str) or not _URL_SAFE.fullmatch(token):
        sentence = _(
            "A token holds a character that a URL would have to quote: make_token() draws a good one."
        )
    elif len(set(token)) < _MIN_DIFFERENT or _bits(token) < MIN_BITS:
        sentence = _(
            "A token is easier to guess than {bits} random bits: make_token() draws a good one.",
            bits=MIN_BITS,
        )
    else:
        return
    raise InvalidInputError(sentence, error_code="inbound.token", outcome=None)


def _bits(token: str) -> float:
    size = next(size for pattern, size in _ALPHABETS.items() if re.fullmatch(pattern, token))
    # The dashes of a UUID are always in the same places.
    length = len(token.replace("-", "")) if size == 16 else len(token)
    return length * log2(size)


def hide_in_scope(scope: MutableMapping[str, Any], prefix: str = "") -> None:
    """Take the path out of an ASGI scope: servers write it into their access log after the answer."""
    scope["path"] = f"{prefix}/{HIDDEN}"
    if "raw_path" in scope:
        scope["raw_path"] = scope["path"].encode("utf-8", "replace")


def hide_in_environ(environ: MutableMapping[str, Any]) -> None:
    """Take the path out of a WSGI environment, as far as servers read it from there for their access log."""
    for key in _WSGI_KEYS:
        if key in environ:
            environ[key] = f"/{HIDDEN}"


class HideToken(logging.Filter):
    """A filter of tokens in what a server logs, for servers that note the path before the application runs.

    `logging.getLogger("werkzeug").addFilter(HideToken(token))`. What stands before the server, such as nginx,
    has a log of its own.
    """

    def __init__(self, token: str | Sequence[str]) -> None:
        super().__init__()
        self._tokens = (token,) if isinstance(token, str) else tuple(token)

    def filter(self, record: logging.LogRecord) -> bool:
        """Take the tokens out of a record; every record passes."""
        try:
            self._clean(record)
        except Exception:  # noqa: BLE001  logging would tell of it, and go on: a filter that raises breaks the caller
            record.msg, record.args = "A record whose arguments do not fit its text.", ()
        return True

    def _clean(self, record: logging.LogRecord) -> None:
        if self._is_clean(record):
            return
        record.msg = self._hide(record.msg)
        if isinstance(record.args, tuple):
            # Formatters such as uvicorn's take the arguments one by one.
            record.args = tuple(self._hide(argument) for argument in record.args)
        if not self._is_clean(record):
            record.msg, record.args = self._hide(record.getMessage()), ()

    def _is_clean(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        return not any(token in message for token in self._tokens)

    def _hide(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        for token in self._tokens:
            value = value.replace(token, HIDDEN)
        return value
