"""What a person at a terminal is told beyond the words of an error: the word typed, a setting to look at."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from vavasms.cli import settings
from vavasms.cli.shell import quote
from vavasms.cli.typed_numbers import bind, tell_number
from vavasms.config import DEFAULT_BASE_URL
from vavasms.errors import AuthenticationError, GatewayError, InvalidNumberError, NotSentError, VavaSMSError
from vavasms.i18n import gettext as _
from vavasms.i18n import translate, with_options

_BASE_URL = "VAVASMS_BASE_URL"


def advise(error: VavaSMSError, words: Sequence[str]) -> str:
    """Return the sentence of an error for whoever typed the words of a command."""
    sentence = translate(with_options(error.args[0]))
    if isinstance(error, InvalidNumberError):
        return tell_number(error, words) or sentence
    if error.error_code == "outcome.unknown.earlier_send":
        return _tell_unknown(words) or sentence
    # That one reaches a receiver, not the gateway.
    advice = None if words[:1] == ["inbound"] else _find_advice(error)
    return f"{sentence.rstrip('.')}. {advice}" if advice else sentence


def _tell_unknown(words: Sequence[str]) -> str | None:
    arguments = bind(words).arguments
    key, ledger = arguments.get("idempotency_key"), arguments.get("ledger")
    if key is None:
        return None
    # Here, since by then what keeps keys is imported.
    from vavasms.cli.ledger_option import repeat_option

    command = f"vavasms sends resolve {quote(key)}{repeat_option(ledger)}"
    return _(
        "The send with the key {key} may have gone out: its outcome is unknown. Nothing was sent now. "
        "Look it up, then `{command} --mark-sent` or `{command} --resend`",
        key=repr(key),
        command=command,
    )


def _find_advice(error: VavaSMSError) -> str | None:
    if isinstance(error, AuthenticationError):
        return _("Check VAVASMS_USERNAME and VAVASMS_PASSWORD")
    is_elsewhere = isinstance(error, GatewayError) and error.description is None and error.http_status == 404
    if is_elsewhere or (isinstance(error, NotSentError) and error.error_code == NotSentError.default_code):
        host = _find_host(settings.find_setting(_BASE_URL) or DEFAULT_BASE_URL)
        return _("The gateway is looked for at {host}: check {setting}", host=host, setting=_BASE_URL)
    return None


def _find_host(url: str) -> str:
    """Return the host of a URL, and its port where it names one: never a user, a password or a path."""
    # What stands before an @ that was not encoded as it should be is read as the host.
    if "@" in url:
        return "…"
    try:
        parts = urlsplit(url)
        return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or "…"
    except ValueError:
        return "…"
