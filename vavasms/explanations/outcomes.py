"""What became of a send."""

from __future__ import annotations

from vavasms.explanations.base import Explanation
from vavasms.i18n import gettext_noop as N_

EXPLANATIONS = (
    Explanation(
        code="outcome.unknown.no_reply",
        what=N_("The request left, and no answer could be read."),
        sent=N_("It is unknown: the request may have gone out."),
        do=N_("Look in your VavaSMS account or ask the recipient before you send again."),
        example="vavasms sends resolve order-42",
    ),
    Explanation(
        code="outcome.unknown.odd_reply",
        what=N_("The gateway answered something that its documentation does not know."),
        sent=N_("It is unknown: the request may have gone out."),
        do=N_("Look in your VavaSMS account before you send again."),
        example="vavasms sends resolve order-42",
    ),
    Explanation(
        code="outcome.unknown.interrupted",
        what=N_("The call was cut off after the request had left."),
        sent=N_("It is unknown: the request may have gone out."),
        do=N_("Look in your VavaSMS account before you send again."),
        example="vavasms sends resolve order-42",
    ),
    Explanation(
        code="outcome.unknown.earlier_send",
        what=N_("An earlier send under this key may have gone out, and nobody knows."),
        sent=N_("Nothing by this call; the earlier one is unknown."),
        do=N_("Look it up, then say what you found."),
        example="vavasms sends resolve order-42",
    ),
    Explanation(
        code="not_sent.no_connection",
        what=N_("The gateway could not be reached."),
        sent=N_("No: nothing was sent."),
        do=N_("Check the network, then send again: it is safe."),
        example="vavasms balance",
    ),
    Explanation(
        code="not_sent.tls",
        what=N_("The gateway's certificate or the TLS handshake was refused."),
        sent=N_("No: nothing was sent."),
        do=N_("Check the clock of this machine, and the proxy; renew the CA certificates."),
        example="vavasms balance",
    ),
    Explanation(
        code="not_sent.crowded",
        what=N_("No connection came free in time: too many calls at once."),
        sent=N_("No: nothing was sent."),
        do=N_("Send again, with fewer calls at once or more connections."),
        example="AsyncVavaSMS(max_connections=64)",
    ),
    Explanation(
        code="not_sent.interrupted",
        what=N_("The call was interrupted before it left."),
        sent=N_("No: nothing was sent."),
        do=N_("Send it again: it is safe."),
        example="await sms.send(to, text, idempotency_key='order-42')",
    ),
    Explanation(
        code="not_sent.stopped",
        what=N_("The sending was stopped before this batch: by you, or by what befell an earlier one."),
        sent=N_("No: nothing of this batch was sent."),
        do=N_("Mend what stopped it, then send these recipients again."),
        example="report.recipients(Outcome.NOT_SENT)",
    ),
    Explanation(
        code="not_sent.ledger_slow",
        what=N_("The ledger took so long that the send was given up."),
        sent=N_("No: nothing was sent."),
        do=N_("Send again with the same key; look at what slows the disk or the database."),
        example="await sms.send(to, text, idempotency_key='order-42')",
    ),
)
