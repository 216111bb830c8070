"""What may go wrong with a request, and the plan of it: by script first, then by rate. Pure."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from attrs import Attribute, field, frozen

from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.i18n import in_english
from vavasms.sandbox.signals import Signal


class SandboxError(Exception):
    """Something was asked of the sandbox that it cannot do."""

    #: The stable name of what went wrong, such as `sandbox.rates`.
    error_code: str

    def __init__(self, message: str, *, error_code: str = "sandbox.request") -> None:
        super().__init__(message)
        self.error_code = error_code

    @property
    def english(self) -> str:
        """The sentence in English, whatever the language of the moment."""
        return in_english(self.args[0])


class Moment(Enum):
    """How far a request has come when its fault strikes."""

    #: The head of the request is here, its body has not been asked for; nothing is accepted.
    BEFORE_READING = "before_reading"
    #: The body has been read; nothing is accepted, unless a stall ends.
    AFTER_READING = "after_reading"
    #: The gateway did its work; what it accepted is in the journal.
    AFTER_ACCEPTING = "after_accepting"


class FaultKind(Enum):
    """What goes wrong."""

    #: The listener closes, and all connections with it, for `seconds`.
    REFUSE = "refuse"
    #: The connection closes before the body is read.
    CLOSE_BEFORE_READING = "close_before_reading"
    #: The connection closes once the body is read; not accepted.
    CLOSE_AFTER_READING = "close_after_reading"
    #: The connection closes without a reply; accepted.
    CLOSE_AFTER_ACCEPTING = "close_after_accepting"
    #: Any HTTP status (503), with `headers` and a `body` (None: a page of HTML), before or after accepting.
    STATUS = "status"
    #: Nothing happens for `seconds`, then the request goes on as if nothing had been.
    STALL = "stall"
    #: The reply stops at byte `at` of its body (`in_head`: of its head); Content-Length is the whole one.
    CUT = "cut"
    #: A page of HTML under 200.
    HTML = "html"
    #: No body under 200.
    EMPTY = "empty"
    #: A line of PHP's before the right reply.
    PHP_WARNING = "php_warning"
    #: A byte order mark before the right reply.
    BOM = "bom"
    #: 429, or 421 or 425, with `retry_after` word for word.
    RATE_LIMIT = "rate_limit"
    #: 307, or another 3xx, to `location`.
    REDIRECT = "redirect"
    #: One message id fewer than there are recipients; all are accepted.
    TOO_FEW_IDS = "too_few_ids"
    #: TCP RST.
    RESET = "reset"
    #: `body` word for word, whatever it is.
    RAW = "raw"


#: Kinds that need a connection to misbehave on.
NEEDS_SERVER = frozenset(
    {
        FaultKind.REFUSE,
        FaultKind.CLOSE_BEFORE_READING,
        FaultKind.CLOSE_AFTER_READING,
        FaultKind.CLOSE_AFTER_ACCEPTING,
        FaultKind.CUT,
        FaultKind.RESET,
    }
)

_ANY = (Moment.AFTER_READING, Moment.BEFORE_READING, Moment.AFTER_ACCEPTING)
_REPLIED = (Moment.AFTER_READING, Moment.AFTER_ACCEPTING)
_ACCEPTED = (Moment.AFTER_ACCEPTING,)
#: When each kind may strike; the first is meant where nothing is said.
MOMENTS: Mapping[FaultKind, tuple[Moment, ...]] = {
    FaultKind.REFUSE: (Moment.BEFORE_READING,),
    FaultKind.CLOSE_BEFORE_READING: (Moment.BEFORE_READING,),
    FaultKind.CLOSE_AFTER_READING: (Moment.AFTER_READING,),
    FaultKind.CLOSE_AFTER_ACCEPTING: _ACCEPTED,
    FaultKind.STATUS: _REPLIED,
    FaultKind.STALL: _ANY,
    FaultKind.CUT: _ACCEPTED,
    FaultKind.HTML: _REPLIED,
    FaultKind.EMPTY: _REPLIED,
    FaultKind.PHP_WARNING: _ACCEPTED,
    FaultKind.BOM: _ACCEPTED,
    FaultKind.RATE_LIMIT: _REPLIED,
    FaultKind.REDIRECT: _REPLIED,
    FaultKind.TOO_FEW_IDS: _ACCEPTED,
    FaultKind.RESET: _ANY,
    FaultKind.RAW: _REPLIED,
}
#: What the page says too.
WRONG_RATES = N_("rates are probabilities: none below 0, together 1 at most")
_STATUSES = {FaultKind.STATUS: 503, FaultKind.RATE_LIMIT: 429, FaultKind.REDIRECT: 307}
#: The longest that REFUSE and STALL last: eleven days.
MAX_SECONDS = 1_000_000
# RFC 9110, 5.1 and 5.5; servers write the text as Latin-1.
FIELD_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
FIELD_TEXT = r"([!-~\x80-\xff]+([ \t]+[!-~\x80-\xff]+)*)?"
_is_field_name, _is_field_text = re.compile(FIELD_NAME).fullmatch, re.compile(FIELD_TEXT).fullmatch


def _check_moment(fault: Fault, _attribute: Attribute[Moment], moment: Moment) -> None:
    """Refuse a moment that the kind does not know."""
    allowed = MOMENTS[fault.kind]
    if moment not in allowed:
        names = ", ".join(other.value for other in allowed)
        raise SandboxError(
            _(
                "a {kind} fault strikes {moments}, not {moment}",
                kind=fault.kind.value,
                moments=names,
                moment=moment.value,
            ),
            error_code="sandbox.fault",
        )


def _check_status(_fault: Fault, _attribute: Attribute[int], status: int) -> None:
    """Refuse a status that is no final reply."""
    if not 200 <= status <= 599:
        raise SandboxError(
            _("a reply has an HTTP status from 200 to 599, not {status}", status=str(status)),
            error_code="sandbox.fault",
        )


def _check_seconds(_fault: Fault, _attribute: Attribute[float], seconds: float) -> None:
    """Refuse a time that no clock measures."""
    if not 0 <= seconds <= MAX_SECONDS:
        raise SandboxError(
            _("a fault lasts from 0 to {most} seconds", most=str(MAX_SECONDS)), error_code="sandbox.fault"
        )


def _check_header(name: str, text: str) -> None:
    """Refuse a header that no server could write."""
    if not (_is_field_name(name) and _is_field_text(text)):
        raise SandboxError(
            _(
                "a header of a reply is a name and a text in Latin-1 on one line, not {header}",
                header=ascii(f"{name}: {text}"),
            ),
            error_code="sandbox.fault",
        )


def _check_headers(
    _fault: Fault, _attribute: Attribute[tuple[tuple[str, str], ...]], headers: tuple[tuple[str, str], ...]
) -> None:
    for name, text in headers:
        _check_header(name, text)


def _check_text(_fault: Fault, attribute: Attribute[Any], text: str | None) -> None:
    """Refuse the text of the header that is named like the attribute."""
    _check_header(attribute.name.replace("_", "-"), text or "")


@frozen(kw_only=True)
class Fault:
    """One thing that goes wrong with one request."""

    kind: FaultKind
    #: When it strikes; each kind has its own default.
    moment: Moment = field(validator=_check_moment)
    #: How long REFUSE and STALL last, in seconds.
    seconds: float = field(default=1.0, validator=_check_seconds)
    #: The HTTP status of a reply: 503 for STATUS, 429 for RATE_LIMIT, 307 for REDIRECT, 200 otherwise.
    status: int = field(validator=_check_status)
    #: Further headers of a reply.
    headers: tuple[tuple[str, str], ...] = field(default=(), validator=_check_headers)
    #: The body of STATUS, HTML and RAW; None: a page of HTML.
    body: bytes | None = None
    #: The byte at which CUT stops.
    at: int = 0
    #: Whether `at` counts from the first byte of the reply's head instead of its body.
    in_head: bool = False
    #: The `Retry-After` of RATE_LIMIT, word for word: seconds, a date, nonsense; None: no such header.
    retry_after: str | None = field(default=None, validator=_check_text)
    #: Where REDIRECT points to.
    location: str = field(default="https://elsewhere.invalid/api", validator=_check_text)

    @moment.default
    def _usual_moment(self) -> Moment:
        return MOMENTS[self.kind][0]

    @status.default
    def _usual_status(self) -> int:
        return _STATUSES.get(self.kind, 200)


#: A fault (None: the request goes well), and the only path it is meant for, without `/api` (None: any).
Step = tuple[Fault | None, str | None]


class FaultPlan:
    """The faults of the requests to come; safe between threads."""

    def __init__(self, *, rng: random.Random | None = None) -> None:
        #: Emitted when the script or the rates change.
        self.signal = Signal()
        self._changed = threading.Condition()
        self._rng = rng or random.Random(0)  # noqa: S311 - a repeatable draw, no secret
        self._steps: list[Step] = []
        self._rates: dict[Fault, float] = {}
        self._taken = 0

    @property
    def pending(self) -> int:
        """Count the steps of the script that no request has met yet."""
        return len(self._steps)

    @property
    def taken(self) -> int:
        """Count the faults handed out so far."""
        return self._taken

    def script(self, *faults: Fault | None, path: str | None = None) -> None:
        """Append steps, one a request (None: it goes well), for the call `path` (`/v1/otp/send`) or any."""
        with self._changed:
            self._steps.extend((fault, path) for fault in faults)
        self.signal.emit()

    def steps(self, limit: int | None = None) -> list[Step]:
        """Return the steps that no request has met yet, at most `limit`."""
        with self._changed:
            return self._steps[:limit]

    @property
    def rates(self) -> Mapping[Fault, float]:
        """Return the probability of each fault where the script says nothing."""
        return dict(self._rates)

    def set_rates(self, rates: Mapping[Fault, float], *, seed: int | None = None) -> None:
        """Set the probability of each fault (0 to 1, 1 together at most) where the script says nothing."""
        if any(not 0 <= rate <= 1 for rate in rates.values()) or sum(rates.values()) > 1:
            raise SandboxError(_(WRONG_RATES), error_code="sandbox.rates")
        with self._changed:
            self._rates = dict(rates)
            if seed is not None:
                self._rng.seed(seed)
        self.signal.emit()

    def replace(
        self, steps: Iterable[Step], rates: Mapping[Fault, float], *, seed: int | None = None
    ) -> None:
        """Put a script and rates in place of the old; wrong rates change nothing."""
        with self._changed:
            self.set_rates(rates, seed=seed)
            self._steps = list(steps)
        self.signal.emit()

    def clear(self) -> None:
        """Forget the script and the rates."""
        with self._changed:
            self._steps.clear()
            self._rates = {}
        self.signal.emit()

    def take(self, path: str) -> Fault | None:
        """Use up the first step of the script that suits `path`; without one, draw by the rates."""
        with self._changed:
            step = next((step for step in self._steps if step[1] in {None, path}), None)
            if step is None:
                fault = self._draw()
            else:
                self._steps.remove(step)
                fault = step[0]
            self._taken += fault is not None
            self._changed.notify_all()
        if step is not None:
            self.signal.emit()
        return fault

    def wait_taken(self, faults: int, *, timeout: float = 5.0) -> bool:
        """Wait in this thread until that many faults were handed out; return whether within `timeout` s."""
        with self._changed:
            return self._changed.wait_for(lambda: self._taken >= faults, timeout)

    def _draw(self) -> Fault | None:
        if not self._rates:
            return None
        mark = self._rng.random()
        for fault, rate in self._rates.items():
            mark -= rate
            if mark < 0:
                return fault
        return None
