"""How long an intent can be acted on, and hence when its worker may be taken for dead. Seconds."""

from __future__ import annotations

from vavasms.config import Timeouts, misconfigured
from vavasms.i18n import gettext as _
from vavasms.transport.retry import MAX_ELAPSED, MAX_RETRY_AFTER, deadlines_of
from vavasms.wire.requests import CallKind

#: After its commit an intent may still be acted on for so long. A machine that slept has lost it.
MAX_CLAIM_AGE = 5.0
#: Attempts that a SEND can have after its first.
_MORE_ATTEMPTS = 2
_SPARE = 5.0
#: A worker without a heartbeat for so long is taken for dead.
WORKER_SILENCE = 8.0

_WAITS = Timeouts()
_CALL = deadlines_of(_WAITS, CallKind.SEND)[1]
#: What was claimed so long ago and is not settled becomes unknown. A worker that lives after all, since the
#: gateway had it wait, still writes the true outcome over it.
ORPHAN_AFTER = MAX_CLAIM_AGE + _WAITS.pool + MAX_ELAPSED + _CALL + _SPARE
#: Before so long a person cannot have it sent again: whoever claimed it might still send.
RESEND_GRACE = ORPHAN_AFTER + _MORE_ATTEMPTS * MAX_RETRY_AFTER
#: And no byte of it leaves so long after its claim, however long the machine slept in between.
SEND_DEADLINE = RESEND_GRACE - _CALL - _SPARE


def check_timeouts(timeouts: Timeouts) -> None:
    """Raise `ConfigurationError` for calls that could outlive what all who share a ledger reckon with."""
    if timeouts.pool + deadlines_of(timeouts, CallKind.SEND)[1] > _WAITS.pool + _CALL:
        raise misconfigured(
            _(
                "Workers that share a ledger take each other for dead by the default timeouts: leave those "
                "for connecting, writing and sending below {seconds} seconds together.",
                seconds=round(_CALL),
            ),
            "config.timeouts",
        )
