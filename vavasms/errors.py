"""Every error of this package, and the fate of a send.

Who must act decides where an error stands in the tree::

    VavaSMSError
     ├── InvalidInputError (ValueError)    you: the input is wrong, nothing was sent
     │    ├── InvalidNumberError
     │    ├── InvalidSenderIdError
     │    ├── InvalidMessageError
     │    ├── InvalidOtpTemplateError
     │    └── IdempotencyConflictError      one key, two contents
     ├── ConfigurationError                you: the settings are wrong
     ├── LedgerError                       this machine: the ledger cannot be written or read
     │    └── LedgerBusyError                another runner has it
     ├── SendInProgressError               another call: its send of the same key has no outcome yet
     ├── OtpLimitedError                   your own limits: too many codes for a number, a caller, a range
     ├── NotSentError                      the network: nothing left this machine
     ├── OutcomeUnknownError               the network: it left, no answer could be read
     ├── UnexpectedReplyError              the gateway: an answer nobody documented
     ├── RateLimitedError                  the gateway: too fast, try later
     ├── ServerError                       the gateway: it broke, or a proxy before it
     └── GatewayError                      the gateway: it understood and refused
          ├── AuthenticationError            901
          ├── UnknownSenderIdError           902
          ├── RejectedNumberError            903
          └── MessageNotFoundError           709, delivery status only

No error holds a password, a text or a full number, in its words or in its attributes, save the `suggestion`
of an `InvalidNumberError`, which masks itself when shown.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Any, ClassVar

from vavasms.i18n import in_english


class Outcome(Enum):
    """The fate of a recipient: exactly one of four."""

    #: The gateway said it took the message.
    ACCEPTED = "accepted"
    #: The gateway said it refused the message.
    REJECTED = "rejected"
    #: Nothing left this machine, or the gateway turned it away unprocessed. Safe to send again.
    NOT_SENT = "not_sent"
    #: It left, and nobody knows what became of it. Sending again may be a second SMS.
    UNKNOWN = "unknown"


class OtpLimit(StrEnum):
    """Which of its limits refused a one-time code: the names of the fields of `OtpLimits`."""

    COOL_DOWN = "cool_down"
    NUMBER_HOURLY = "number_hourly"
    NUMBER_DAILY = "number_daily"
    CLIENT_HOURLY = "client_hourly"
    RANGE_HOURLY = "range_hourly"
    SEGMENTS_DAILY = "segments_daily"
    COUNTRY = "country"
    #: Of what is checked, not of what is sent.
    WRONG_CODES = "wrong_codes"


class VavaSMSError(Exception):
    """The root of every error this package raises.

    Its sentence is in the language of the moment (English, or what `VAVASMS_LANG` says); `error_code` and
    `english` are for programs and logs.
    """

    #: What an error of this class is called where nothing closer is known.
    default_code: ClassVar[str] = "fault"

    #: The stable name of what went wrong, such as `number.old_plan`; `vavasms explain` looks it up. It is not
    #: `code`, which is the gateway's number.
    error_code: str
    #: What became of the send; None for calls that send nothing (balance, delivery status).
    outcome: Outcome | None
    #: True where every further send of the same account would fail alike, so bulk sends stop.
    halts: bool

    def __init__(
        self,
        message: str,
        *,
        error_code: str | None = None,
        outcome: Outcome | None = None,
        halts: bool = False,
    ) -> None:
        super().__init__(message)
        self.error_code = error_code or self.default_code
        self.outcome = outcome
        self.halts = halts

    @property
    def safe_to_retry(self) -> bool:
        """True only where it is known that no SMS was sent: the outcome is `NOT_SENT`."""
        return self.outcome is Outcome.NOT_SENT

    @property
    def english(self) -> str:
        """The sentence in English, whatever the language of the moment."""
        return in_english(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only arguments do not survive Exception's own pickling.
        return type(self).__new__, (type(self), *self.args), dict(self.__dict__)


class InvalidInputError(VavaSMSError, ValueError):
    """The input is wrong; nothing was sent."""

    default_code = "input.invalid"

    #: The name of the argument that is wrong, with which the message begins; None where it is not just one.
    argument: str | None

    def __init__(
        self,
        message: str,
        *,
        error_code: str | None = None,
        outcome: Outcome | None = Outcome.NOT_SENT,
        argument: str | None = None,
    ) -> None:
        super().__init__(message, error_code=error_code, outcome=outcome)
        self.argument = argument


class InvalidNumberError(InvalidInputError):
    """The text is no mobile number that an SMS can be sent to."""

    #: Why, in one machine-readable word of `vavasms.numbers.NumberFault`.
    reason: str
    #: The `Msisdn` that `repair=True` would convert it to, where there is one; its `repr` is masked.
    suggestion: str | None

    def __init__(self, message: str, *, reason: str, suggestion: str | None = None) -> None:
        super().__init__(message, error_code=f"number.{reason}")
        self.reason = reason
        self.suggestion = suggestion


class InvalidSenderIdError(InvalidInputError):
    """The sender ID is not 3 to 11 printable ASCII characters."""

    default_code = "sender_id.invalid"


class InvalidMessageError(InvalidInputError):
    """The text of the SMS cannot be sent."""

    default_code = "message.invalid"


class InvalidOtpTemplateError(InvalidInputError):
    """The OTP template does not hold `##OTP##`."""

    default_code = "otp.template"


class IdempotencyConflictError(InvalidInputError):
    """The idempotency key stands for a send with other content; nothing was sent."""

    default_code = "idempotency.conflict"

    #: When the key was first used, in seconds since the epoch.
    first_used_at: float

    def __init__(self, message: str, *, first_used_at: float) -> None:
        super().__init__(message, argument="idempotency_key")
        self.first_used_at = first_used_at


class ConfigurationError(VavaSMSError):
    """The settings are wrong, or the gateway does not live where they say."""

    default_code = "config.invalid"


class LedgerError(VavaSMSError):
    """The ledger cannot be written or read: a full disk, a file that is locked or may not be changed."""

    default_code = "ledger.failed"


class LedgerBusyError(LedgerError):
    """Another runner lives on this ledger; there is one at a time."""

    default_code = "ledger.busy"


class SendInProgressError(VavaSMSError):
    """Another call sends under the same idempotency key; this one sent nothing. Ask again with that key."""

    default_code = "idempotency.in_progress"


class OtpLimitedError(VavaSMSError):
    """A limit of `OtpLimits` refused a one-time code, or to check one; nothing was sent."""

    #: Which of them; it equals its own word, such as `"cool_down"`.
    reason: OtpLimit
    #: Seconds after which it lets the next one through; None where no waiting helps.
    retry_after: float | None

    def __init__(self, message: str, *, reason: OtpLimit, retry_after: float | None = None) -> None:
        super().__init__(message, error_code=f"otp_limit.{reason.value}", outcome=Outcome.NOT_SENT)
        self.reason = reason
        self.retry_after = retry_after


class NotSentError(VavaSMSError):
    """Nothing left this machine: no connection, no TLS, no free place."""

    default_code = "not_sent.no_connection"


class OutcomeUnknownError(VavaSMSError):
    """The request left and no answer could be read. For a send: a person must look."""

    default_code = "outcome.unknown.no_reply"


class UnexpectedReplyError(VavaSMSError):
    """The gateway answered something its documentation does not know."""

    default_code = "outcome.unknown.odd_reply"


class RateLimitedError(VavaSMSError):
    """The gateway turned the request away for its pace (421, 425, 429)."""

    default_code = "gateway.rate_limited"

    #: Seconds to wait, as the gateway asked, at most 120; None where it named none that can be read.
    retry_after: float | None

    def __init__(self, message: str, *, retry_after: float | None, outcome: Outcome | None = None) -> None:
        super().__init__(message, outcome=outcome)
        self.retry_after = retry_after


class ServerError(VavaSMSError):
    """The gateway, or a proxy before it, answered 408 or 5xx."""

    default_code = "gateway.server_error"


#: The gateway's numbers that its documentation knows, besides that of a success.
_DOCUMENTED_CODES = frozenset({709, 901, 902, 903, 913})


class GatewayError(VavaSMSError):
    """The gateway understood and said no."""

    default_code = "gateway.refused"

    #: The gateway's number for it; None where it sent none.
    code: int | None
    #: The gateway's name for it, such as `INVALID_SENDER_ID`.
    name: str | None
    #: The gateway's own sentence, mostly French.
    description: str | None
    http_status: int | None

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        name: str | None = None,
        description: str | None = None,
        http_status: int | None = None,
        error_code: str | None = None,
        outcome: Outcome | None = None,
        halts: bool = False,
    ) -> None:
        if error_code is None and code in _DOCUMENTED_CODES:
            error_code = f"gateway.{code}"
        super().__init__(message, error_code=error_code, outcome=outcome, halts=halts)
        self.code = code
        self.name = name
        self.description = description
        self.http_status = http_status


class AuthenticationError(GatewayError):
    """Wrong username or password (901)."""

    default_code = "gateway.901"


class UnknownSenderIdError(GatewayError):
    """The sender ID does not exist on the account (902)."""

    default_code = "gateway.902"


class RejectedNumberError(GatewayError):
    """The gateway refuses the format of a number (903)."""

    default_code = "gateway.903"


class MessageNotFoundError(GatewayError):
    """No message of this id exists (709 on delivery status)."""

    default_code = "gateway.709"


def name_error(error: BaseException) -> str:
    """Return what went wrong in words that may be logged: a ledger's as they stand, else the type only."""
    return error.english if isinstance(error, LedgerError) else type(error).__name__
