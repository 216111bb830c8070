"""What a failure or a reply means: the outcome table, as pure functions.

`P` below is the moment the body of the POST was asked for. Before it the gateway has neither the
credentials nor the text; after it, whatever goes wrong, nobody knows what the gateway did.
"""

from __future__ import annotations

from vavasms.errors import (
    AuthenticationError,
    ConfigurationError,
    GatewayError,
    MessageNotFoundError,
    NotSentError,
    Outcome,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedNumberError,
    ServerError,
    UnexpectedReplyError,
    UnknownSenderIdError,
    VavaSMSError,
)
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.wire.requests import Call, CallKind, Request
from vavasms.wire.responses import Envelope, otp_reason, parse_envelope
from vavasms.wire.signs import may_hold_success

#: Attempts in all: one, or the first with two more.
ONCE, TWICE, THRICE = 1, 2, 3
#: Turned away for the pace, unprocessed (RFC 9110, RFC 8470, RFC 6585).
TURNED_AWAY = frozenset({421, 425, 429})
#: Refused, says RFC 9110. A proxy's outbound rule or a notice of PHP's says so after the SMS went out.
REFUSED = frozenset({400, 401, 403, 404, 405, 411, 413, 414, 415, 422, 431})
#: Of these, the ones that every further request of the account would get as well.
REFUSED_FOR_ALL = frozenset({401, 403, 404, 405})

_ERROR_TYPES: dict[int, type[GatewayError]] = {
    901: AuthenticationError,
    902: UnknownSenderIdError,
    903: RejectedNumberError,
}
_HALTING_CODES = frozenset({901, 902})

_SENTENCES = {
    CallKind.SEND: {
        Outcome.NOT_SENT: N_("{sentence} Nothing was sent."),
        Outcome.REJECTED: N_("{sentence} Nothing was sent."),
        Outcome.UNKNOWN: N_("{sentence} It is unknown whether the SMS was sent: look before sending again."),
    },
    CallKind.VERIFY: {Outcome.UNKNOWN: N_("{sentence} It is unknown whether the code was checked.")},
}


# Plain classes, which nobody compares: attrs would take two milliseconds of the client's import for them.
class OutcomePolicy:
    """The readings of the table that the documentation leaves to the account's owner."""

    def __init__(
        self, *, lots_are_atomic: bool = False, retry_refused: bool = True, refusals_are_final: bool = False
    ) -> None:
        #: 903 for several recipients means that none of them was sent.
        self.lots_are_atomic = lots_are_atomic
        #: 421, 425 and 429 mean that nothing was sent.
        self.retry_refused = retry_refused
        #: A bare 4xx, without a sign of a success in its body, means that nothing was sent.
        self.refusals_are_final = refusals_are_final


class Problem:
    """A failed attempt, told without the exception: that one holds the password."""

    def __init__(
        self,
        *,
        name: str,
        asked: bool,
        tls: bool = False,
        crowded: bool = False,
        misconfigured: bool = False,
        barred: str | None = None,
    ) -> None:
        #: The exception's type name.
        self.name = name
        #: The body was asked for, or this transport cannot tell.
        self.asked = asked
        #: TLS or a certificate failed.
        self.tls = tls
        #: No free connection in time.
        self.crowded = crowded
        #: The URL is of no use.
        self.misconfigured = misconfigured
        #: The barrier of a test run stopped it before any connection: its sentence.
        self.barred = barred


class Failure:
    """An error, and whether another attempt is allowed."""

    def __init__(self, *, error: VavaSMSError, attempts: int = ONCE, wait: float | None = None) -> None:
        self.error = error
        #: How many attempts in all.
        self.attempts = attempts
        #: Seconds the gateway asked to wait; None: exponential backoff.
        self.wait = wait


class Reply:
    """What came back."""

    def __init__(self, *, status: int, retry_after: float | None, body: bytes, whole: bool = True) -> None:
        self.status = status
        #: Seconds, read from Retry-After; None where it was absent or nonsense.
        self.retry_after = retry_after
        self.body = body
        #: False where it was too long to be read to its end, compressed and not whole, or followed by more.
        self.whole = whole


def judge_problem(request: Request, problem: Problem) -> Failure:
    """Return what an attempt without a reply means."""
    kind = request.call.kind
    if problem.barred is not None:
        # Whatever the body was asked for, it had no way to go.
        return _failure(
            ConfigurationError,
            problem.barred,
            kind,
            Outcome.NOT_SENT,
            halts=True,
            error_code="config.real_gateway",
        )
    if problem.asked:
        text = _("The request left, and no answer could be read ({name}).", name=problem.name)
        attempts = _for_reads(kind, THRICE)
        return _failure(OutcomeUnknownError, text, kind, Outcome.UNKNOWN, attempts=attempts)
    if problem.misconfigured:
        text = _("The gateway's address cannot be used ({name}).", name=problem.name)
        return _failure(
            ConfigurationError, text, kind, Outcome.NOT_SENT, halts=True, error_code="config.base_url"
        )
    if problem.tls:
        text = _("The gateway's TLS certificate or handshake was refused ({name}).", name=problem.name)
        return _failure(NotSentError, text, kind, Outcome.NOT_SENT, halts=True, error_code="not_sent.tls")
    if problem.crowded:
        text, error_code = _("No connection to the gateway came free in time."), "not_sent.crowded"
        attempts = ONCE if kind is CallKind.SEND else THRICE
    else:
        text = _("The gateway could not be reached ({name}).", name=problem.name)
        error_code, attempts = None, THRICE
    return _failure(NotSentError, text, kind, Outcome.NOT_SENT, attempts=attempts, error_code=error_code)


def judge_reply(request: Request, reply: Reply, policy: OutcomePolicy) -> Envelope | Failure:
    """Return what a reply means: the envelope of a success, or a failure."""
    kind, status = request.call.kind, reply.status
    envelope = parse_envelope(reply.body)
    if envelope is not None and envelope.refuses and (reply.whole or kind is not CallKind.SEND):
        return _judge_refusal(request, envelope, status, policy)
    if 300 <= status < 400:
        text = _(
            "The gateway redirects elsewhere (HTTP {status}), which is never followed: check the base URL.",
            status=str(status),
        )
        return _failure(
            ConfigurationError, text, kind, Outcome.UNKNOWN, halts=True, error_code="config.redirected"
        )
    if 200 <= status < 300:
        if envelope is not None and envelope.success and envelope.sound:
            return envelope
        text = _("The gateway's answer (HTTP {status}) cannot be read.", status=str(status))
        return _unreadable(kind, text, TWICE)
    if envelope is not None and envelope.success:
        text = _("The gateway answered a success under HTTP {status}.", status=str(status))
        return _unreadable(kind, text, ONCE)
    if envelope is not None and status in TURNED_AWAY:
        text = _("The gateway answered an envelope without a name (HTTP {status}).", status=str(status))
        return _unreadable(kind, text, ONCE)
    return _judge_status(kind, reply, policy)


def misshapen(kind: CallKind) -> VavaSMSError:
    """Build the error of a success whose data is not of the documented shape."""
    text = _("The gateway's answer says success, but its data cannot be read.")
    return _unreadable(kind, text, ONCE).error


def _judge_status(kind: CallKind, reply: Reply, policy: OutcomePolicy) -> Failure:
    status = reply.status
    if status in TURNED_AWAY:
        if _is_doubtful(reply):
            # It may be a success in disguise, and what is turned away is sent again.
            text = _("The gateway answered HTTP {status} with what may be a success.", status=str(status))
            return _unreadable(kind, text, ONCE)
        return _judge_turned_away(kind, reply, policy)
    if status in REFUSED:
        return _judge_bare_refusal(kind, reply, policy)
    if status == 408 or 500 <= status < 600:
        text = _("The gateway, or a proxy before it, failed (HTTP {status}).", status=str(status))
        cls = OutcomeUnknownError if kind is CallKind.VERIFY else ServerError
        return _failure(
            cls,
            text,
            kind,
            Outcome.UNKNOWN,
            attempts=_for_reads(kind, THRICE),
            error_code=ServerError.default_code,
        )
    text = _("The gateway answered HTTP {status}, which it does not document.", status=str(status))
    return _unreadable(kind, text, ONCE)


def _is_doubtful(reply: Reply) -> bool:
    return not reply.whole or may_hold_success(reply.body)


def _judge_bare_refusal(kind: CallKind, reply: Reply, policy: OutcomePolicy) -> Failure:
    """Build the failure of a 4xx without the gateway's own envelope: anybody may have written it."""
    final = policy.refusals_are_final and not _is_doubtful(reply)
    outcome = Outcome.REJECTED if final else Outcome.UNKNOWN
    text = _(
        "The request was refused without the gateway's own words (HTTP {status}).", status=str(reply.status)
    )
    error = GatewayError(
        _sentence(text, kind, outcome),
        http_status=reply.status,
        error_code="gateway.http_refused",
        outcome=_outcome(kind, outcome),
        # A send of which nobody knows is one too many already: the first stops the others.
        halts=reply.status in REFUSED_FOR_ALL or (kind is CallKind.SEND and not final),
    )
    return Failure(error=error)


def _judge_turned_away(kind: CallKind, reply: Reply, policy: OutcomePolicy) -> Failure:
    outcome = Outcome.NOT_SENT if policy.retry_refused else Outcome.UNKNOWN
    text = _("The gateway asks for a slower pace (HTTP {status}).", status=str(reply.status))
    error = RateLimitedError(
        _sentence(text, kind, outcome),
        retry_after=reply.retry_after,
        outcome=_outcome(kind, outcome),
    )
    # A READ may be repeated whatever the gateway did with the first one.
    again = kind is CallKind.READ or (kind is CallKind.VERIFY and policy.retry_refused)
    return Failure(error=error, attempts=THRICE if again else ONCE, wait=reply.retry_after)


def _judge_refusal(
    request: Request, envelope: Envelope, status: int, policy: OutcomePolicy
) -> Envelope | Failure:
    if request.call is Call.VERIFY_OTP and otp_reason(envelope) is not None:
        return envelope
    code, kind = envelope.code, request.call.kind
    outcome = _refused_outcome(request, envelope, policy)
    cls = _ERROR_TYPES.get(code or 0, GatewayError)
    if code == 709 and request.call is Call.DELIVERY_STATUS:
        cls = MessageNotFoundError
    label = ", ".join(str(part) for part in (envelope.name, code) if part is not None)
    if envelope.description:
        words = envelope.description.rstrip(".")
        text = _("The gateway refused ({label}): {words}.", label=label, words=words)
    else:
        text = _("The gateway refused ({label}).", label=label)
    error = cls(
        _sentence(text, kind, outcome),
        code=code,
        name=envelope.name,
        description=envelope.description,
        http_status=status,
        outcome=_outcome(kind, outcome),
        halts=code in _HALTING_CODES,
    )
    return Failure(error=error)


def _refused_outcome(request: Request, envelope: Envelope, policy: OutcomePolicy) -> Outcome:
    code = envelope.code
    if envelope.has_ids:
        # What was refused has no message: somebody may have one.
        return Outcome.UNKNOWN
    if code == 903 and len(request.recipients) > 1:
        # Not documented: whether the lot's other numbers went out.
        return Outcome.REJECTED if policy.lots_are_atomic else Outcome.UNKNOWN
    return Outcome.REJECTED if code is not None and 900 <= code <= 999 else Outcome.UNKNOWN


def _unreadable(kind: CallKind, text: str, attempts: int) -> Failure:
    cls = OutcomeUnknownError if kind is CallKind.VERIFY else UnexpectedReplyError
    return _failure(
        cls,
        text,
        kind,
        Outcome.UNKNOWN,
        attempts=_for_reads(kind, attempts),
        error_code=UnexpectedReplyError.default_code,
    )


def _failure(
    cls: type[VavaSMSError],
    text: str,
    kind: CallKind,
    outcome: Outcome,
    *,
    attempts: int = ONCE,
    halts: bool = False,
    error_code: str | None = None,
) -> Failure:
    error = cls(
        _sentence(text, kind, outcome),
        error_code=error_code,
        outcome=_outcome(kind, outcome),
        halts=halts,
    )
    return Failure(error=error, attempts=attempts)


def _for_reads(kind: CallKind, attempts: int) -> int:
    return attempts if kind is CallKind.READ else ONCE


def _outcome(kind: CallKind, outcome: Outcome) -> Outcome | None:
    return None if kind is CallKind.READ else outcome


def _sentence(text: str, kind: CallKind, outcome: Outcome) -> str:
    template = _SENTENCES.get(kind, {}).get(outcome)
    return text if template is None else _(template, sentence=text)
