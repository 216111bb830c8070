"""Exit codes, and which of them an error means.

| code | meaning |
|---|---|
| 0 | done |
| 1 | our own fault |
| 2 | usage or input: nothing was sent |
| 3 | the gateway rejected it |
| 4 | the outcome is unknown: look before running the command again |
| 5 | not sent: the command may be run again |
| 130 | interrupted |

A call that only reads (`balance`, `status`) has nothing at stake: where it got no answer that can be
read, the code is 5.
"""

from __future__ import annotations

from collections.abc import Collection

from vavasms.errors import ConfigurationError, GatewayError, InvalidInputError, Outcome, VavaSMSError

DONE, OUR_FAULT, USAGE, REJECTED, UNKNOWN, NOT_SENT = range(6)
INTERRUPTED = 130
#: As a shell tells a program that the reader of its output has left.
READER_LEFT = 141

_BY_OUTCOME = {
    Outcome.ACCEPTED: DONE,
    Outcome.REJECTED: REJECTED,
    Outcome.NOT_SENT: NOT_SENT,
    Outcome.UNKNOWN: UNKNOWN,
}


def code_of(error: VavaSMSError) -> int:
    """Choose the exit code of an error."""
    if error.outcome is Outcome.UNKNOWN:
        return UNKNOWN
    if isinstance(error, InvalidInputError | ConfigurationError):
        return USAGE
    if error.outcome is not None:
        return _BY_OUTCOME[error.outcome]
    return REJECTED if isinstance(error, GatewayError) else NOT_SENT


def worst(outcomes: Collection[Outcome]) -> int:
    """Choose the exit code where several outcomes apply: the first of unknown, rejected, not sent."""
    order = (Outcome.UNKNOWN, Outcome.REJECTED, Outcome.NOT_SENT)
    return next((_BY_OUTCOME[outcome] for outcome in order if outcome in outcomes), DONE)
