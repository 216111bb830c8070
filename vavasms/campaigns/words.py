"""Words that stand in several places: states, outcomes, why a row is left out, who decided. Pure."""

from __future__ import annotations

from collections.abc import Callable

from vavasms.i18n import Sentence
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.kept import say_reason
from vavasms.ledger.models import CampaignStatus
from vavasms.ledger.rows import in_a_state

#: Kept in the ledger, as reasons.
PAUSED_BY_HAND, CANCELLED_BY_HAND = N_("paused by hand"), N_("cancelled by hand")
#: Kept in the ledger, of what was unknown.
MARKED_AS_SENT, TAKEN_BACK = N_("Marked as sent by hand."), N_("Taken for not sent by hand.")
#: Of a reason that says the state once more, both at once.
_BY_HAND = {PAUSED_BY_HAND: N_("was paused by hand"), CANCELLED_BY_HAND: N_("was cancelled by hand")}

#: The states of a campaign, with which the French agrees, and the outcomes, standing alone.
WORDS = (
    N_("loading"),
    N_("queued"),
    N_("running"),
    N_("paused"),
    N_("cancelled"),
    N_("done"),
    N_("accepted"),
    N_("rejected"),
    N_("not sent"),
    N_("unknown"),
    N_("waiting"),
)
#: What a delivery report says.
DELIVERIES = (N_("delivered"), N_("failed"), N_("sent"), N_("pending"), N_("other"))
#: Why a row of a list, or a recipient of a batch, is left out. JSON has these very words in every language.
REASONS = (
    N_("not_text"),
    N_("empty"),
    N_("letters"),
    N_("characters"),
    N_("extension"),
    N_("several"),
    N_("scientific"),
    N_("decimal"),
    N_("short_code"),
    N_("too_short"),
    N_("too_long"),
    N_("invalid"),
    N_("landline"),
    N_("not_mobile"),
    N_("old_plan"),
    N_("lost_zero"),
    N_("ambiguous"),
    N_("no_region"),
    N_("empty_message"),
    N_("message_too_long"),
    N_("too_many_cells"),
    N_("duplicate"),
    N_("duplicate_with_another_text"),
    N_("opted_out"),
    N_("excluded"),
    N_("not_drawn"),
    N_("capped"),
)


def tell_state(status: CampaignStatus, clean: Callable[[str], str] = str) -> Sentence:
    """Return a campaign's state and why it is in it, as it stands in a sentence, without a full stop.

    `clean` makes fit to be shown what may be another's words.
    """
    if status.reason in _BY_HAND:
        return _(_BY_HAND[status.reason])
    is_state = in_a_state(status.state)
    if not status.reason:
        return is_state
    why = clean(say_reason(status.reason)).rstrip(".")
    return _("{is_state}: {why}", is_state=is_state, why=why)
