"""The words of the page that its script needs, or that stand in tables; the others stand in its templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.i18n import ngettext
from vavasms.sandbox.faults import WRONG_RATES, FaultKind, Moment

FAULTS: Mapping[FaultKind, str] = {
    FaultKind.CLOSE_AFTER_ACCEPTING: N_("Accepted, then cut off"),
    FaultKind.STALL: N_("Slow reply"),
    FaultKind.STATUS: N_("HTTP error"),
    FaultKind.RATE_LIMIT: N_("Too many requests (429)"),
    FaultKind.REFUSE: N_("Connection refused"),
    FaultKind.RESET: N_("Connection reset"),
    FaultKind.CLOSE_BEFORE_READING: N_("Closed before the request is read"),
    FaultKind.CLOSE_AFTER_READING: N_("Closed after the request is read, not accepted"),
    FaultKind.CUT: N_("Accepted, reply cut short"),
    FaultKind.EMPTY: N_("Empty reply"),
    FaultKind.HTML: N_("A page of HTML instead of JSON"),
    FaultKind.PHP_WARNING: N_("A PHP warning before the JSON"),
    FaultKind.BOM: N_("A byte order mark before the JSON"),
    FaultKind.TOO_FEW_IDS: N_("One message id too few"),
    FaultKind.REDIRECT: N_("Redirect to another host"),
    FaultKind.RAW: N_("A body of nonsense"),
}
MOMENTS: Mapping[Moment, str] = {
    Moment.BEFORE_READING: N_("Before the request is read"),
    Moment.AFTER_READING: N_("Before the SMS is accepted"),
    Moment.AFTER_ACCEPTING: N_("After the SMS is accepted (and paid)"),
}
#: A delivery status, and what stands where the gateway knows of none.
_STATUSES = {
    "pending": N_("pending"),
    "sent": N_("sent"),
    "delivered": N_("delivered"),
    "failed": N_("failed"),
    "unknown": N_("unknown to the gateway"),
}
_ENCODINGS = {"gsm7": "GSM-7", "ucs2": "Unicode"}
#: What a letter that costs does.
_MARKS = {
    "ucs2": N_("This character forces Unicode: 70 characters a segment instead of 160"),
    "double": N_("This character takes two places"),
}
_COSTLY = {"ucs2": N_("Unicode because of {letters}"), "gsm7": N_("Counts twice: {letters}")}
#: What the page says instead of an error of the control interface, by its code.
_ERRORS = {"sandbox.rates": WRONG_RATES}
#: What is counted, by a number and what is written for it: a place for it where the script counts.
_COUNTED: Mapping[str, Callable[[int, int | str], str]] = {
    "messages": lambda n, count: ngettext("{count} message", "{count} messages", n, count=count),
    "numbers": lambda n, count: ngettext("{count} number", "{count} numbers", n, count=count),
    "segments": lambda n, count: ngettext("{count} segment", "{count} segments", n, count=count),
}


def say_count(what: str, n: int) -> str:
    """Return a number with its noun."""
    return _COUNTED[what](n, n)


def make_script_words() -> dict[str, object]:
    """Return the words of the script; `{names}` are filled there."""
    return {
        "thread": _("Messages"),
        "none": _("Nothing received yet"),
        "none_hint": _("Send an SMS with these settings; it appears here at once."),
        "nothing_found": _("Nothing found"),
        "choose": _("Choose a conversation"),
        "new_message": _("New message to {phone}: {text}"),
        "counts": {
            what: {"one": say(1, "{count}"), "other": say(2, "{count}")} for what, say in _COUNTED.items()
        },
        "encodings": _ENCODINGS,
        "costly": _translate(_COSTLY),
        "marks": _translate(_MARKS),
        "statuses": _translate(_STATUSES),
        "copy_code": _("Copy"),
        "copied": _("Copied"),
        "not_copied": _("the browser does not let this page copy"),
        "reply_sending": _("Posting…"),
        "reply_status": _("Your URL answered HTTP {status}"),
        "reply_failed": _("No answer from your URL: {why}"),
        "next": _("Next request"),
        "always": _("Every request"),
        "percent": _("{n} %"),
        "no_faults": _("None: every request goes well."),
        "well": _("Goes well"),
        "more_steps": _("+ {n} more"),
        "kinds": {kind.value: _(said) for kind, said in FAULTS.items()},
        "moments": {moment.value: _(said) for moment, said in MOMENTS.items()},
        "live": _("Live"),
        "offline": _("Not connected: trying again"),
        "error": _("That did not work: {why}"),
        "errors": _translate(_ERRORS),
        "unreachable": _("the sandbox does not answer"),
    }


def _translate(table: Mapping[str, str]) -> dict[str, str]:
    return {name: _(said) for name, said in table.items()}
