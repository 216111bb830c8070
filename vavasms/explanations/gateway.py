"""What the gateway refuses."""

from __future__ import annotations

from vavasms.explanations.base import Explanation
from vavasms.i18n import gettext_noop as N_

EXPLANATIONS = (
    Explanation(
        code="gateway.709",
        what=N_("The gateway knows no message of this id, or could not do what it was asked."),
        sent=N_("A status call sends nothing; a send is unknown."),
        do=N_("Check the id, and that it is one of this account."),
        example="vavasms status SM-1234",
    ),
    Explanation(
        code="gateway.901",
        what=N_("The gateway does not take the username or the password."),
        sent=N_("No: nothing was sent."),
        do=N_("Correct them: they are those of your VavaSMS account."),
        example="vavasms balance",
    ),
    Explanation(
        code="gateway.902",
        what=N_("The sender ID does not exist on your account."),
        sent=N_("No: nothing was sent."),
        do=N_("Use one that VavaSMS has approved, or ask for it."),
        example="export VAVASMS_SENDER_ID=MABOUTIQUE",
    ),
    Explanation(
        code="gateway.903",
        what=N_("The gateway refuses the format of a number."),
        sent=N_("No for one recipient; of several in one request it is unknown."),
        do=N_("Correct or remove the number."),
        example="vavasms numbers check contacts.csv",
    ),
    Explanation(
        code="gateway.913",
        what=N_("The gateway says that a one-time code is wrong."),
        sent=N_("No: nothing was sent."),
        do=N_("Let the person type it again, or send a new one."),
        example="vavasms otp send +2250700000001",
    ),
    Explanation(
        code="gateway.refused",
        what=N_("The gateway refused, with a code that its documentation does not know."),
        sent=N_("The sentence says so: a code from 900 to 999 sends nothing, any other is unknown."),
        do=N_("Read the gateway's own words; ask VavaSMS with the code at hand."),
        example="vavasms balance",
    ),
    Explanation(
        code="gateway.http_refused",
        what=N_("Something on the way refused the request, without the gateway's own words."),
        sent=N_("It is unknown: the request may have gone out."),
        do=N_("Check the base URL and the proxy, and look before you send again."),
        example="vavasms balance",
    ),
    Explanation(
        code="gateway.rate_limited",
        what=N_("The gateway asks for a slower pace."),
        sent=N_("No: nothing was sent."),
        do=N_("Wait, then send again, more slowly."),
        example="await sms.send_bulk(numbers, text, rate=10)",
    ),
    Explanation(
        code="gateway.server_error",
        what=N_("The gateway, or a proxy before it, failed."),
        sent=N_("It is unknown: the request may have gone out."),
        do=N_("Wait, and look in your VavaSMS account before you send again."),
        example="vavasms balance",
    ),
)
