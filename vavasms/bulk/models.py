"""What a caller may choose about a bulk send, and what became of it. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from attrs import field, frozen

from vavasms.arguments import NOTHING_SENT, check_flags
from vavasms.errors import InvalidInputError, InvalidNumberError, Outcome, VavaSMSError
from vavasms.i18n import gettext as _
from vavasms.models import Lot
from vavasms.numbers import Msisdn
from vavasms.transport.hooks import check_hook

#: Numbers a request where nobody says and nothing is known: how many one takes is not documented.
DEFAULT_BATCH_SIZE = 100

Batch = tuple[Msisdn, ...]


@frozen(kw_only=True)
class InvalidRecipient:
    """A recipient that was not sent to, because it is no mobile number."""

    #: Its place in the input, from 0.
    index: int
    #: As it was given; not shown by `repr`.
    text: str = field(repr=False)
    #: Why, with `.reason` and, where it is known, `.suggestion`.
    error: InvalidNumberError


@frozen(kw_only=True)
class BatchResult:
    """The fate of one request of a bulk send."""

    recipients: Batch
    outcome: Outcome
    #: What the gateway answered; None unless the outcome is `ACCEPTED`.
    lot: Lot | None = None
    #: Why not; None where the outcome is `ACCEPTED`.
    error: VavaSMSError | None = None
    #: The batch's place in the input, from 0. A batch that was halved gives several results.
    number: int = 0


@frozen(kw_only=True)
class BulkProgress:
    """How far a bulk send is, after one more batch."""

    #: Recipients so far.
    accepted: int
    rejected: int
    not_sent: int
    unknown: int
    invalid: int
    duplicates: int
    #: The batch that was just settled.
    result: BatchResult


@frozen(kw_only=True)
class BulkReport:
    """What became of every recipient that was read.

    accepted + rejected + not_sent + unknown + len(invalid) + duplicates is the number of them.
    """

    #: Every batch, in the order of the input (`send_bulk`); empty for `stream_bulk`, which handed
    #: them over as they came.
    results: tuple[BatchResult, ...] = ()
    #: What `stream_bulk` could hand to nobody, because its consumer had left.
    undelivered: tuple[BatchResult, ...] = ()
    accepted: int = 0
    rejected: int = 0
    not_sent: int = 0
    unknown: int = 0
    invalid: tuple[InvalidRecipient, ...] = ()
    duplicates: int = 0

    def recipients(self, outcome: Outcome) -> Iterator[Msisdn]:
        """Yield the recipients of one fate, in the batches that this report holds.

        All of them after `send_bulk`; after `stream_bulk` the undelivered ones.
        """
        for result in (*self.results, *self.undelivered):
            if result.outcome is outcome:
                yield from result.recipients


OnProgress = Callable[[BulkProgress], object]


class BulkOptions:
    """How to send in bulk. Raises `InvalidInputError` where an argument makes no sense."""

    def __init__(
        self,
        *,
        batch_size: int,
        concurrency: int,
        rate: float | None,
        dedupe: bool,
        on_progress: OnProgress | None,
    ) -> None:
        for name, value in (("batch_size", batch_size), ("concurrency", concurrency)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InvalidInputError(
                    _("{name} must be a whole number, 1 or more; nothing was sent.", name=name),
                    error_code="input.bulk_option",
                    argument=name,
                )
        check_flags(NOTHING_SENT, dedupe=dedupe)
        is_number = isinstance(rate, int | float) and not isinstance(rate, bool)
        if rate is not None and not (is_number and 0 < rate < math.inf):
            raise InvalidInputError(
                _("rate must be a number of messages a second above 0; nothing was sent."),
                error_code="input.bulk_option",
                argument="rate",
            )
        self.batch_size = batch_size
        self.concurrency = concurrency
        #: Messages a second; None: as fast as answers come.
        self.rate = rate
        self.dedupe = dedupe
        self.on_progress = check_hook("on_progress", on_progress)
