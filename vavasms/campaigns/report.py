"""What became of each recipient of a campaign, one by one, and how that is written down."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from itertools import repeat
from typing import Self

from attrs import field, frozen

from vavasms.campaigns.policy import Policy, load_policy
from vavasms.errors import Outcome
from vavasms.i18n import current_language, language_set
from vavasms.i18n import gettext as _
from vavasms.ledger.base import Ledger
from vavasms.ledger.kept import say_error
from vavasms.ledger.models import Campaign, Delivery, Exclusion, StoredBatch
from vavasms.ledger.states import OUTCOMES, BatchState
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn

#: What a column holds.
Cell = str | int | Decimal | datetime | None

#: Batches read at a time.
PAGE = 50

#: The columns of the CSV; between the first and the second are those that the campaign keeps.
COLUMNS = (
    "recipient",
    "outcome",
    "error",
    "message_id",
    "lot_id",
    "sent_at",
    "delivery",
    "delivered_at",
    "segments",
    "cost",
)
#: Of these batches a request may have left; all but the rejected are paid, or possibly paid.
LEFT = frozenset({BatchState.SENDING, BatchState.ACCEPTED, BatchState.REJECTED, BatchState.UNKNOWN})
PAID = LEFT - {BatchState.REJECTED}

#: The kept cells of a batch that has none.
_NONE: Iterable[tuple[str, ...]] = repeat(())
#: A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
#: What a terminal could obey: control characters, marks that turn the direction of text; half characters too.
_COMMANDS = re.compile(
    r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)
_BREAKS = re.compile(r"[\r\n]+")


@frozen(kw_only=True)
class RecipientReport:
    """What became of one recipient."""

    recipient: Msisdn
    #: None while it is queued or being sent.
    outcome: Outcome | None
    #: None where the gateway named none, or where ids cannot be told apart by number.
    message_id: str | None = None
    lot_id: str | None = None
    #: `TypeOfError: its sentence`, what a person decided, or `opted_out`, `capped`, `cancelled`.
    error: str | None = None
    #: The latest delivery report; None where none was read.
    delivery: DeliveryStatus | None = None
    #: When its last attempt began, in the zone of the campaign; None where nothing left.
    sent_at: datetime | None = None
    #: When it was first read that it is delivered: the gateway tells no moment.
    delivered_at: datetime | None = None
    #: SMS paid, or possibly paid where the outcome is unknown or not there yet; 0 of any other.
    segments: int = 0
    #: XOF that those cost; None where the price is not known.
    cost: Decimal | None = None
    #: The cells of the list that the campaign keeps, by their columns.
    kept: Mapping[str, str] = field(factory=dict, repr=False)


def kept_columns(campaign: Campaign) -> tuple[str, ...]:
    """Return the columns of the list that a campaign keeps with each recipient."""
    return tuple(dict.fromkeys(json.loads(campaign.plan).get("keep") or ()))


async def read_report(ledger: Ledger, campaign_id: str) -> AsyncIterator[RecipientReport]:
    """Yield every recipient of a campaign in the order of its batches; memory stays flat.

    Nothing of a purged campaign. Beside a runner it is no snapshot: a batch that is halved meanwhile can
    come twice, first undecided. Raises `InvalidInputError` where there is no campaign of this id.
    """
    reader = _Reader.of(await ledger.campaign(campaign_id))
    async for batches, known in read_pages(ledger, campaign_id):
        for batch in batches:
            for report in reader.read(batch, known):
                yield report


async def read_pages(
    ledger: Ledger, campaign_id: str
) -> AsyncIterator[tuple[Sequence[StoredBatch], Mapping[str, Delivery]]]:
    """Yield the batches of a campaign, some at a time, with what is known of their messages."""
    after = -1
    while batches := await ledger.batches(campaign_id, after=after, limit=PAGE):
        ids = [message_id for batch in batches for message_id in batch.record.message_ids]
        yield batches, await ledger.deliveries(campaign_id, ids) if ids else {}
        after = batches[-1].number


@frozen
class _Reader:
    """How the batches of a campaign are read."""

    policy: Policy
    columns: tuple[str, ...]
    #: What a recipient of whom nothing was sent cost: nothing, where there is a price.
    free: Decimal | None

    @classmethod
    def of(cls, campaign: Campaign) -> Self:
        """Make it of a campaign's limits and its plan."""
        policy = load_policy(campaign.policy)
        return cls(policy, kept_columns(campaign), policy.cost(0))

    def read(self, batch: StoredBatch, known: Mapping[str, Delivery]) -> Iterator[RecipientReport]:
        """Yield the recipients of a batch."""
        ids = iter(pair_ids(batch))
        outcome, lot_id = OUTCOMES[batch.state], batch.record.lot_id or None
        error = batch.record.error or ("cancelled" if batch.state is BatchState.CANCELLED else None)
        sent_at = self._moment(batch.sending_at if batch.state in LEFT else None)
        segments = batch.segments if batch.state in PAID else 0
        cost = self.policy.cost(segments)
        for (recipient, exclusion), cells in zip(batch.recipients, batch.kept or _NONE, strict=False):
            kept = dict(zip(self.columns, cells or ("",) * len(self.columns), strict=False))
            if exclusion is not None:
                yield self._leave_out(recipient, exclusion, kept)
                continue
            message_id = next(ids, None)
            delivery = known.get(message_id) if message_id is not None else None
            yield RecipientReport(
                recipient=recipient,
                outcome=outcome,
                message_id=message_id,
                lot_id=lot_id,
                error=error,
                delivery=None if delivery is None else delivery.status,
                sent_at=sent_at,
                delivered_at=self._delivered_at(delivery),
                segments=segments,
                cost=cost,
                kept=kept,
            )

    def _leave_out(self, recipient: Msisdn, exclusion: Exclusion, kept: Mapping[str, str]) -> RecipientReport:
        return RecipientReport(
            recipient=recipient, outcome=Outcome.NOT_SENT, error=exclusion.value, cost=self.free, kept=kept
        )

    def _delivered_at(self, delivery: Delivery | None) -> datetime | None:
        is_delivered = delivery is not None and delivery.status is DeliveryStatus.DELIVERED
        return self._moment(delivery.at) if delivery is not None and is_delivered else None

    def _moment(self, at: float | None) -> datetime | None:
        return None if at is None else datetime.fromtimestamp(at, self.policy.zone)


def pair_ids(batch: StoredBatch) -> Collection[str]:
    """Return the message ids where each belongs to one included recipient, by position."""
    ids = batch.record.message_ids
    # One id for two says nothing of either.
    return ids if len(set(ids)) == len(ids) == count_included(batch) else ()


def count_included(batch: StoredBatch) -> int:
    """Count the recipients that were not left out."""
    return sum(exclusion is None for _number, exclusion in batch.recipients)


def format_json(report: RecipientReport) -> str:
    """Write a recipient as one line of JSON in ASCII; each value is text, a number or null.

    The cells that the campaign keeps are an object, under `kept`, where it keeps any.
    """
    recipient, *values = report_cells(report)
    kept = {"kept": dict(report.kept)} if report.kept else {}
    columns = zip(COLUMNS[1:], values, strict=True)
    return json.dumps({COLUMNS[0]: recipient, **kept, **dict(columns)}, default=_to_value) + "\n"


def format_csv(report: RecipientReport) -> str:
    """Write a recipient as one line of CSV, under `csv_columns`."""
    recipient, *values = report_cells(report)
    return csv_line([_to_text(recipient), *report.kept.values(), *map(_to_text, values)])


def csv_columns(kept: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of a CSV with those that are kept."""
    return (COLUMNS[0], *kept, *COLUMNS[1:])


def csv_line(cells: Collection[str | None]) -> str:
    """Write a line of CSV that no spreadsheet and no terminal obeys; None is an empty cell."""
    line: str = _writer.writerow([guard_cell(cell or "") for cell in cells])
    return line


def write_number(amount: Decimal) -> int | float:
    """Return an amount as JSON has it: a whole number where it is one."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def _to_value(cell: object) -> int | float | str | None:
    return write_number(cell) if isinstance(cell, Decimal) else _to_text(cell)


def _to_text(cell: object) -> str | None:
    match cell:
        case Decimal():
            return f"{cell.normalize():f}"
        case datetime():
            return cell.isoformat(timespec="seconds")
    return None if cell is None else str(cell)


def format_text(report: RecipientReport) -> str:
    """Write a recipient as one line for a person."""
    outcome, delivery, error = report.outcome, report.delivery, report.error
    cells = (f"{report.recipient.e164:<16}", _name_fates(current_language())[outcome], report.message_id)
    details = (None if delivery is None else _(delivery.value), error and say_error(error))
    return "  ".join([text for cell in (*cells, *details) if (text := _to_line(cell))]).rstrip() + "\n"


@cache
def _name_fates(language: str) -> Mapping[Outcome | None, str]:
    """Return what a language calls the outcomes, None among them, as wide as the widest."""
    words: dict[Outcome | None, str] = {outcome: outcome.value.replace("_", " ") for outcome in Outcome}
    words[None] = "waiting"
    with language_set(language):
        names = {outcome: _(word) for outcome, word in words.items()}
    return {outcome: name.ljust(max(map(len, names.values()))) for outcome, name in names.items()}


def report_cells(report: RecipientReport) -> tuple[Cell, ...]:
    """Return what stands under `COLUMNS`."""
    outcome, delivery = report.outcome, report.delivery
    return (
        # Digits only: a leading `+` is a formula to a spreadsheet.
        str(report.recipient),
        None if outcome is None else outcome.value,
        report.error,
        report.message_id,
        report.lot_id,
        report.sent_at,
        None if delivery is None else delivery.value,
        report.delivered_at,
        report.segments,
        report.cost,
    )


def _to_line(cell: str | None) -> str:
    if cell is None or cell.isprintable():
        return cell or ""
    return _COMMANDS.sub("", " ".join(cell.split()))


def guard_cell(cell: str) -> str:
    """Return a text that no spreadsheet takes for a formula and no terminal obeys."""
    safe = cell if cell.isprintable() else _COMMANDS.sub("", _BREAKS.sub(" ", cell))
    return f"'{safe}" if cell.startswith(_FORMULA) or safe.startswith(_FORMULA) else safe


@frozen
class _Echo:
    """Where `csv` writes to, to have the line given back."""

    write: Callable[[str], str]


_writer = csv.writer(_Echo(str), lineterminator="\n")
