"""The desk."""

from __future__ import annotations

from vavasms.explanations.base import Explanation
from vavasms.i18n import gettext_noop as N_

EXPLANATIONS = (
    Explanation(
        code="desk.port",
        what=N_("The desk cannot listen on this port of the machine."),
        sent=N_("No."),
        do=N_("Choose another port, or 0 for any free one."),
        example="vavasms desk --port 0",
    ),
    Explanation(
        code="desk.form",
        what=N_("An amount or a number in the form cannot be read, or may be read in two ways."),
        sent=N_("No: nothing was sent."),
        do=N_("Write 50 000 or 50000; the decimal sign is a comma or a point."),
        example="vavasms desk",
    ),
    Explanation(
        code="desk.list_too_large",
        what=N_("The list is larger than a browser may hand over."),
        sent=N_("No: nothing was sent."),
        do=N_("Cut it in two, or run the campaign from the command line."),
        example="vavasms campaign run contacts.csv --message Bonjour",
    ),
    Explanation(
        code="desk.no_plan",
        what=N_("The campaign was changed since its plan was shown."),
        sent=N_("No: nothing was sent."),
        do=N_("Look at the plan again, then give the go."),
        example="vavasms desk",
    ),
    Explanation(
        code="desk.not_confirmed",
        what=N_("The number that was typed is not that of the recipients."),
        sent=N_("No: nothing was sent."),
        do=N_("Type the number of recipients that the plan shows."),
        example="vavasms desk",
    ),
    Explanation(
        code="desk.fault",
        what=N_("Something failed while the campaign was begun: it may be in the ledger."),
        sent=N_("Not known: look at the list of campaigns."),
        do=N_("Look at the campaign in the list before you begin anything again."),
        example="vavasms campaign list",
    ),
    Explanation(
        code="desk.stale_page",
        what=N_("The page was loaded before somebody else changed what it shows."),
        sent=N_("No: nothing was sent."),
        do=N_("Look at the page that is shown now, then decide."),
        example="vavasms desk",
    ),
)
