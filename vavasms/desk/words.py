"""What the pages say: errors without the words of a command line, amounts, moments, reasons."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from vavasms.campaigns.planning.plan import Earlier
from vavasms.campaigns.words import tell_state
from vavasms.desk.form import FIELDS, ZONE
from vavasms.errors import VavaSMSError
from vavasms.i18n import Argument, Sentence, format_moment, format_number, ngettext
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.kept import say_error
from vavasms.ledger.models import CampaignStatus
from vavasms.ledger.optout_codes import LINK_SOURCE
from vavasms.ledger.states import BatchState

#: Errors whose own sentence speaks of commands.
_SENTENCES: Mapping[str, str] = {
    "campaign.duplicate": N_(
        "Another campaign has this text for these people, or for some of them: look at it in the list of "
        "campaigns. Nothing was sent."
    ),
    "list.nobody": N_(
        "Nobody of this list can be sent to: look at the rows that are left out. Nothing was sent."
    ),
    "campaign.plan_changed": N_(
        "The list, the text or the opt-outs changed since: look at the plan again. Nothing was sent."
    ),
    "config.extra": N_("A spreadsheet cannot be read here: save it as CSV. Nothing was sent."),
}
#: What becomes of a number of a list, in the order in which a page tells it.
STATES: Mapping[BatchState, str] = {
    BatchState.QUEUED: N_("waiting"),
    BatchState.SENDING: N_("sending"),
    BatchState.ACCEPTED: N_("accepted"),
    BatchState.REJECTED: N_("rejected"),
    BatchState.CANCELLED: N_("not sent"),
    BatchState.UNKNOWN: N_("unknown"),
}


def describe_error(error: VavaSMSError) -> str:
    """Return what went wrong, and what was sent, in the language of the moment."""
    if error.error_code in _SENTENCES:
        return _(_SENTENCES[error.error_code])
    sentence = error.args[0]
    if not isinstance(sentence, Sentence):
        return str(sentence)
    # What comes from a browser is read like a pipe.
    return sentence.with_values(_name_field).replace(_("The standard input"), _("The list"), 1)


def _name_field(value: str) -> str:
    """Return what the page calls an argument of the API."""
    if not isinstance(value, Argument):
        return value
    return _(FIELDS[value.option]) if value.option in FIELDS else value.option


def write_money(amount: Decimal | None) -> str:
    """Return an amount: `1,000 XOF`; a dash where it is not known."""
    if amount is None:
        return "–"
    whole = amount == amount.to_integral_value()
    return _("{amount} XOF", amount=int(amount) if whole else amount.quantize(Decimal("0.01")))


def write_moment(at: float | None) -> str:
    """Return a moment in Abidjan's time: hours and minutes of today, any other with its date."""
    if at is None:
        return "–"
    zone = ZoneInfo(ZONE)
    then = datetime.fromtimestamp(at, zone)
    is_today = then.date() == datetime.fromtimestamp(time.time(), zone).date()
    return f"{then:%H:%M}" if is_today else format_moment(then)


def write_duration(seconds: float) -> str:
    """Return about how long something takes."""
    minutes = max(round(seconds / 60), 1)
    if minutes < 60:
        return ngettext("{n} minute", "{n} minutes", minutes)
    hours = round(minutes / 60)
    return (
        ngettext("{n} hour", "{n} hours", hours)
        if hours < 48
        else ngettext("{n} day", "{n} days", round(hours / 24))
    )


def name_reason(reason: str) -> str:
    """Return why a row is left out or was repaired."""
    return _(reason).replace("_", " ")


def name_state(status: CampaignStatus) -> str:
    """Return a campaign's state as a sentence."""
    return _("This campaign {is_state}.", is_state=tell_state(status))


def describe_earlier(earlier: Earlier) -> str:
    """Return who had a message today already, and of which campaign."""
    if earlier.campaign_id is None:
        return ngettext(
            "Sent already today to {n} of these people, one by one.",
            "Sent already today to {n} of these people, one by one.",
            earlier.count,
        )
    if earlier.is_same_message:
        return ngettext(
            "Sent already today to {n} of these people: this same message, by the campaign {id}.",
            "Sent already today to {n} of these people: this same message, by the campaign {id}.",
            earlier.count,
            id=earlier.campaign_id,
        )
    return ngettext(
        "Sent already today to {n} of these people: another message, by the campaign {id}.",
        "Sent already today to {n} of these people: another message, by the campaign {id}.",
        earlier.count,
        id=earlier.campaign_id,
    )


def name_source(source: str) -> str:
    """Return where a number of the opt-out list came from."""
    if source == LINK_SOURCE:
        return _("by link")
    return _("by hand") if source in ("cli", "desk") else source


FILTERS = {
    "money": write_money,
    "number": format_number,
    "when": write_moment,
    "duration": write_duration,
    "reason": name_reason,
    "kept": say_error,
    "earlier": describe_earlier,
    "source": name_source,
    "state": name_state,
    "error": describe_error,
}
