"""Words that stand in several places, for the catalogue: states, outcomes, why a row is left out. Pure."""

from __future__ import annotations

from vavasms.i18n import gettext_noop as N_

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
