"""Receiving, and the sandbox."""

from __future__ import annotations

from vavasms.explanations.base import Explanation
from vavasms.i18n import gettext_noop as N_

EXPLANATIONS = (
    Explanation(
        code="inbound.body",
        what=N_("The body that was posted is no inbound SMS: its id or sender is missing, or it is broken."),
        sent=N_("Nothing is sent by a receiver."),
        do=N_("Compare it with what the platform posts."),
        example="vavasms inbound trigger --from +2250700000001 --text Bonjour",
    ),
    Explanation(
        code="inbound.token",
        what=N_("The token of the receiver is missing, can be guessed or does not fit a URL."),
        sent=N_("Nothing is sent by a receiver."),
        do=N_("Draw one with make_token()."),
        example='python -c "from vavasms.inbound.tokens import make_token; print(make_token())"',
    ),
    Explanation(
        code="inbound.address",
        what=N_("An address of allow or trusted_proxies cannot be read."),
        sent=N_("Nothing is sent by a receiver."),
        do=N_("Give a list of addresses or networks."),
        example='InboundApp(on_sms, token=token, allow=["203.0.113.0/24"])',
    ),
    Explanation(
        code="inbound.stop_word",
        what=N_("A stop word of your own has no letter and no digit."),
        sent=N_("Nothing is sent by a receiver."),
        do=N_("Give words or phrases."),
        example='InboundApp(on_sms, token=token, stop_words=["ASSEZ"])',
    ),
    Explanation(
        code="inbound.port",
        what=N_(
            "The receiver cannot listen at this address: no IP address, no such port, or another "
            "program has it."
        ),
        sent=N_("Nothing is sent by a receiver."),
        do=N_("Choose another port, or 0 for any free one."),
        example="vavasms inbound listen --port 0",
    ),
    Explanation(
        code="inbound.url",
        what=N_("The URL of the receiver is missing, cannot be read, or would show its token on the way."),
        sent=N_("Nothing was posted."),
        do=N_(
            "Take the URL that `vavasms inbound listen` prints; elsewhere than on this machine it "
            "begins with https://."
        ),
        example="vavasms inbound trigger --url http://127.0.0.1:8426/token --from +2250700000001 --text Bonjour",
    ),
    Explanation(
        code="inbound.seen",
        what=N_("--seen names something that is no file's path."),
        sent=N_("Nothing is sent by a receiver."),
        do=N_("Give the path of a file."),
        example="vavasms inbound listen --seen seen.db",
    ),
    Explanation(
        code="inbound.seen_busy",
        what=N_("Another process has the store of handled SMS to itself and does not answer."),
        sent=N_("Nothing is sent by a receiver; the platform posts the SMS again."),
        do=N_("Look for a receiver that is suspended, and end it."),
        example="vavasms inbound listen --seen seen.db",
    ),
    Explanation(
        code="inbound.refused",
        what=N_("The receiver answered the posted SMS with a refusal."),
        sent=N_("Nothing is sent by this command."),
        do=N_("404: the token is wrong; 400: the fields are; 500: its handler failed, see its log."),
        example="vavasms inbound trigger --from +2250700000001 --text Bonjour",
    ),
)
