"""When to send no further: what would befall every batch, or befell the last few alike. Pure."""

from __future__ import annotations

from vavasms.errors import GatewayError, NotSentError, Outcome, VavaSMSError
from vavasms.i18n import gettext as _
from vavasms.i18n import without_stop

#: Codes that nobody documented, alike and in a row, before the rest is not sent.
MAX_EQUAL_FAILURES = 3


class CircuitBreaker:
    """Decide, result by result, whether sending on makes sense."""

    def __init__(self) -> None:
        #: What ended the sending; None while it goes on, and where somebody merely stopped it.
        self.cause: VavaSMSError | None = None
        #: How many batches in a row, up to the last, ended in one code that nobody documented.
        self.equal_failures = 0
        #: The cause was met before anything was sent.
        self.is_early = False
        self._last: tuple[int | None, str | None] | None = None

    def record(self, error: VavaSMSError | None) -> bool:
        """Record one settled batch, in the order they settle; return True once the rest is not to be sent."""
        code = _undocumented(error)
        if code is None:
            self.equal_failures = 0
        else:
            self.equal_failures = self.equal_failures + 1 if code == self._last else 1
        self._last = code
        if error is not None and (error.halts or self.equal_failures >= MAX_EQUAL_FAILURES):
            self.cause = self.cause or error
        return self.cause is not None

    def end_early(self, error: VavaSMSError) -> None:
        """Send nothing at all: reading the balance first met what every send would meet."""
        self.cause, self.is_early = error, True

    def not_sent(self) -> NotSentError:
        """Build the error of a batch that was not tried any more."""
        name = type(self.cause).__name__
        if self.cause is None:
            text = _("Nothing was sent: sending was stopped.")
        elif self.is_early:
            # The gateway's or the network's own sentence: no batch carries that error itself.
            text = _(
                "Nothing was sent: reading the balance first ended in {name} ({sentence}).",
                name=name,
                sentence=without_stop(self.cause.args[0]),
            )
        else:
            text = _("Nothing was sent: an earlier batch ended in {name}.", name=name)
        return NotSentError(text, error_code="not_sent.stopped", outcome=Outcome.NOT_SENT)


def _undocumented(error: VavaSMSError | None) -> tuple[int | None, str | None] | None:
    """Return the code of an error that the gateway named and no document does."""
    # Every documented code has a class of its own.
    if error is None or type(error) is not GatewayError or (error.code, error.name) == (None, None):
        return None
    return error.code, error.name
