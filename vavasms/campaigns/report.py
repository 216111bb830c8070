"""What became of each recipient of a campaign, one by one, and how that is written down."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from functools import cache

from attrs import frozen

from vavasms.errors import Outcome
from vavasms.i18n import current_language, language_set
from vavasms.i18n import gettext as _
from vavasms.ledger.base import Ledger
from vavasms.ledger.kept import say_error
from vavasms.ledger.models import Delivery, Exclusion, StoredBatch
from vavasms.ledger.states import OUTCOMES, BatchState
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn

#: Batches read at a time.
PAGE = 50

#: The columns of the CSV.
COLUMNS = ("recipient", "outcome", "message_id", "lot_id", "error", "delivery")

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


async def read_report(ledger: Ledger, campaign_id: str) -> AsyncIterator[RecipientReport]:
    """Yield every recipient of a campaign in the order of its batches; memory stays flat.

    Nothing of a purged campaign. Beside a runner it is no snapshot: a batch that is halved meanwhile can
    come twice, first undecided. Raises `InvalidInputError` where there is no campaign of this id.
    """
    after = -1
    while batches := await ledger.batches(campaign_id, after=after, limit=PAGE):
        ids = [message_id for batch in batches for message_id in batch.record.message_ids]
        known = await ledger.deliveries(campaign_id, ids) if ids else {}
        for batch in batches:
            for report in _read_batch(batch, known):
                yield report
        after = batches[-1].number


def _read_batch(batch: StoredBatch, known: Mapping[str, Delivery]) -> Iterator[RecipientReport]:
    paired = iter(_pair(batch))
    outcome, lot_id = OUTCOMES[batch.state], batch.record.lot_id or None
    error = batch.record.error or ("cancelled" if batch.state is BatchState.CANCELLED else None)
    for recipient, exclusion in batch.recipients:
        if exclusion is not None:
            yield _leave_out(recipient, exclusion)
            continue
        message_id = next(paired, None)
        delivery = known.get(message_id) if message_id is not None else None
        yield RecipientReport(
            recipient=recipient,
            outcome=outcome,
            message_id=message_id,
            lot_id=lot_id,
            error=error,
            delivery=None if delivery is None else delivery.status,
        )


def _pair(batch: StoredBatch) -> Collection[str]:
    """Return the message ids where each belongs to one included recipient, by position."""
    ids = batch.record.message_ids
    included = sum(exclusion is None for _number, exclusion in batch.recipients)
    return ids if len(ids) == included else ()


def _leave_out(recipient: Msisdn, exclusion: Exclusion) -> RecipientReport:
    return RecipientReport(recipient=recipient, outcome=Outcome.NOT_SENT, error=exclusion.value)


def format_json(report: RecipientReport) -> str:
    """Write a recipient as one line of JSON in ASCII; each value is text or null."""
    return json.dumps(dict(zip(COLUMNS, _cells(report), strict=True))) + "\n"


def format_csv(report: RecipientReport) -> str:
    """Write a recipient as one line of CSV, under `COLUMNS`."""
    return csv_line(_cells(report))


def csv_line(cells: Collection[str | None]) -> str:
    """Write a line of CSV that no spreadsheet and no terminal obeys; None is an empty cell."""
    line: str = _writer.writerow([_guard(cell or "") for cell in cells])
    return line


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


def _cells(report: RecipientReport) -> tuple[str | None, ...]:
    outcome, delivery = report.outcome, report.delivery
    return (
        # Digits only: a leading `+` is a formula to a spreadsheet.
        str(report.recipient),
        None if outcome is None else outcome.value,
        report.message_id,
        report.lot_id,
        report.error,
        None if delivery is None else delivery.value,
    )


def _to_line(cell: str | None) -> str:
    if cell is None or cell.isprintable():
        return cell or ""
    return _COMMANDS.sub("", " ".join(cell.split()))


def _guard(cell: str) -> str:
    safe = cell if cell.isprintable() else _COMMANDS.sub("", _BREAKS.sub(" ", cell))
    return f"'{safe}" if cell.startswith(_FORMULA) or safe.startswith(_FORMULA) else safe


@frozen
class _Echo:
    """Where `csv` writes to, to have the line given back."""

    write: Callable[[str], str]


_writer = csv.writer(_Echo(str), lineterminator="\n")
