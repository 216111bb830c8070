"""The signals of the app: what became of a send, and what came in.

Each is sent without a sender, so `@receiver(sent)` is enough. A receiver that raises is told of in the log,
by the kind of its error alone, and changes nothing of the send.
"""

from __future__ import annotations

import logging
from typing import Any

from django.dispatch import Signal

from vavasms.i18n import gettext_noop as N_
from vavasms.inbound.handlers import describe

__all__ = ["delivered", "inbound", "opted_out", "sent", "unknown"]

logger = logging.getLogger("vavasms")


class SmsSignal(Signal):
    """A signal whose receivers' errors are logged without their words."""

    def _log_robust_failure(self, receiver: object, err: Exception) -> None:
        """Leave it to `announce`: the error may hold a number or a text."""


#: The gateway accepted a message: `recipients`, `idempotency_key`, `lot`. Of a code that a
#: worker sent `lot` is None. A send that is replayed sends none.
sent = SmsSignal()
#: Nobody knows whether a message left: `recipients`, `idempotency_key`, `error` (a text).
unknown = SmsSignal()
#: A message reached its handset: `recipient`, `idempotency_key`, `message_id`.
delivered = SmsSignal()
#: An SMS came in: `message`, an `InboundMessage`. A receiver that raises has the platform post it again.
inbound = SmsSignal()
#: Numbers went on the opt-out list: `recipients`, and `source`: `inbound`, `link` or `admin`.
opted_out = SmsSignal()

_NAMES = {
    sent: "sent",
    unknown: "unknown",
    delivered: "delivered",
    inbound: "inbound",
    opted_out: "opted_out",
}


def announce(signal: SmsSignal, **values: Any) -> bool:
    """Send a signal to all its receivers; return whether none of them failed. Raises nothing."""
    try:
        answers = [answer for _receiver, answer in signal.send_robust(sender=None, **values)]
    except Exception as error:  # noqa: BLE001  by a loop in this very thread async receivers are not called
        answers = [error]
    failed = [answer for answer in answers if isinstance(answer, Exception)]
    for problem in failed:
        logger.warning(N_("A receiver of the signal %s failed (%s)."), _NAMES[signal], describe(problem))
    return not failed
