"""`balance`, `send`, `status`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from vavasms.cli import output, settings, signals
from vavasms.cli.message_input import MessageFile, read_message
from vavasms.cli.output import write_moment
from vavasms.cli.params import JsonFlag, SenderId, flag, text_option
from vavasms.i18n import format_number, ngettext
from vavasms.i18n import gettext as _
from vavasms.ledger.send_record import SendRecord
from vavasms.models import DeliveryReport, DeliveryStatus, Lot
from vavasms.storage.location import Place
from vavasms.text.segments import count_segments


def balance(*, as_json: JsonFlag = False) -> None:
    """Show the credit of the account."""
    with settings.make_client() as sms:
        credit = sms.balance()
    if as_json:
        output.print_json({"amount": credit.amount, "currency": credit.currency})
    else:
        output.say(f"{format_number(output.number(credit.amount))} {output.clean(credit.currency)}")


def send(
    *to: Annotated[str, Parameter(help=_("The numbers: +2250700000001, or 0700000001 in Côte d'Ivoire."))],
    message: Annotated[str | None, text_option(_("The text of the SMS; `-` is standard input."))] = None,
    message_file: MessageFile = None,
    sender_id: SenderId = None,
    idempotency_key: Annotated[
        str | None,
        text_option(
            _("Of calls with this key one is sent: the command may be run again."),
            metavar="KEY",
            name="--idempotency-key",
        ),
    ] = None,
    ledger: Annotated[
        str | None,
        Parameter(
            name="--ledger",
            metavar="PATH|URL",
            show_default=False,
            help=_("Where what is sent is kept, a file or postgresql:// [VAVASMS_LEDGER, with a key]."),
        ),
    ] = None,
    quiet: Annotated[bool, flag(_("Print the message ids only, one a line."))] = False,
    as_json: JsonFlag = False,
) -> None:
    """Send one text to one number or a few, in one request."""
    text = read_message(message, message_file)
    place = _find_place(idempotency_key, ledger)
    with settings.make_client(ledger=place) as sms, signals.announced():
        lot = sms.send(to, text, sender_id=sender_id, idempotency_key=idempotency_key)
        earlier = sms.sent(idempotency_key) if lot.replayed and idempotency_key is not None else None
    if as_json:
        output.print_json(_lot_as_json(lot))
    elif quiet:
        for message_id in lot.message_ids:
            output.say(output.clean(message_id))
    else:
        if lot.replayed:
            output.say(_tell_replay(earlier))
        _show_lot(lot, text)


def status(
    message_id: Annotated[str, Parameter(help=_("The id that `vavasms send` gave."))],
    /,
    *,
    lot_id: Annotated[
        str | None, Parameter(name="--lot-id", metavar="ID", help=_("The lot it was part of."))
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show how far a message came."""
    with settings.make_client() as sms:
        reports = sms.delivery_reports(message_id, lot_id=lot_id)
    if as_json:
        for report in reports:
            output.print_json(_report_as_json(report))
    elif reports:
        output.output().print(_report_table(reports))
    else:
        output.say(_("The gateway reports nothing of this message."))


def _find_place(key: str | None, ledger: str | None) -> Place | None:
    """Return where it is kept; with neither of the two options nowhere."""
    if key is None and ledger is None:
        return None
    # Who keeps nothing pays nothing for a ledger.
    from vavasms.cli.ledger_option import find_ledger

    return find_ledger(ledger)


def _lot_as_json(lot: Lot) -> dict[str, object]:
    pairs = lot.by_recipient
    return {
        "lot_id": lot.lot_id,
        "description": lot.description,
        "message_ids": lot.message_ids,
        "recipients": lot.recipients,
        "by_recipient": None if pairs is None else dict(pairs),
        "replayed": lot.replayed,
    }


def _tell_replay(earlier: SendRecord | None) -> str:
    # One that was forgotten in between has no time.
    if earlier is None or earlier.sent_at is None:
        return _("Sent already: nothing was sent now.")
    return _("Sent already on {moment}: nothing was sent now.", moment=write_moment(earlier.sent_at))


def _show_lot(lot: Lot, message: str) -> None:
    segments = ngettext("{n} segment", "{n} segments", count_segments(message).segments)
    if lot.lot_id:
        line = ngettext(
            "Accepted as lot {lot}: {n} message of {segments}.",
            "Accepted as lot {lot}: {n} messages of {segments}.",
            len(lot.recipients),
            lot=output.clean(lot.lot_id),
            segments=segments,
        )
    else:
        line = ngettext(
            "Accepted: {n} message of {segments}.",
            "Accepted: {n} messages of {segments}.",
            len(lot.recipients),
            segments=segments,
        )
    output.say(line)
    pairs = lot.by_recipient
    if pairs is not None:
        for recipient, message_id in pairs.items():
            output.say(f"  {recipient.e164}  {output.clean(message_id)}")
        return
    numbers = ", ".join(recipient.e164 for recipient in lot.recipients)
    ids = ", ".join(map(output.clean, lot.message_ids)) or _("none")
    output.say(f"  {numbers}")
    sentence = _("Message ids, which cannot be told apart by number: {ids}.", ids=ids)
    output.say(f"  {sentence}")


def _report_as_json(report: DeliveryReport) -> dict[str, str]:
    return {
        "message_id": report.message_id,
        "lot_id": report.lot_id,
        "status": report.status.value,
        "raw_status": report.raw_status,
        "description": report.description,
    }


def _report_table(reports: tuple[DeliveryReport, ...]) -> Table:
    heads = (_("Message"), _("Lot"), _("Status"), _("In the gateway's words"))
    table = Table(*heads, box=None, pad_edge=False)
    for report in reports:
        is_known = report.status is not DeliveryStatus.OTHER
        status = _(report.status.value) if is_known else report.raw_status
        cells = (report.message_id, report.lot_id, status, report.description)
        table.add_row(*(Text(output.clean(cell)) for cell in cells))
    return table
