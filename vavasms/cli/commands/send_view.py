"""Single sends of a ledger: for people, and for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from vavasms.campaigns.words import MARKED_AS_SENT, TAKEN_BACK
from vavasms.cli import output
from vavasms.cli.commands.campaign.status_view import STYLES
from vavasms.cli.output import moment, write_moment
from vavasms.cli.shell import quote
from vavasms.i18n import format_number, ngettext
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.kept import say_error
from vavasms.ledger.send_record import SendRecord
from vavasms.ledger.states import OUTCOMES, BatchState

_WIDTH = 76
_WORDS = {
    BatchState.QUEUED: N_("queued"),
    BatchState.SENDING: N_("sending"),
    BatchState.ACCEPTED: N_("accepted"),
    BatchState.REJECTED: N_("rejected"),
    BatchState.CANCELLED: N_("not sent"),
    BatchState.UNKNOWN: N_("unknown"),
}


def name_state(state: BatchState) -> str:
    """Return the word of a state: its outcome's, where it has one."""
    outcome = OUTCOMES[state]
    return state.value if outcome is None else outcome.value


def make_object(record: SendRecord) -> dict[str, object]:
    """Return a send as JSON has it, without its text."""
    return {
        "key": record.key,
        "account": record.account,
        "kind": record.kind.value,
        "state": name_state(record.state),
        "recipients": record.recipients,
        "sender_id": record.sender_id,
        "segments": record.segments,
        "lot_id": record.lot_id or None,
        "message_ids": record.message_ids,
        "description": record.description,
        "error": record.error,
        "attempts": record.attempts,
        "enqueued": record.is_enqueued,
        "created_at": moment(record.created_at),
        "sent_at": _moment(record.sent_at),
        "settled_at": _moment(record.settled_at),
        "not_before": _moment(record.not_before or None),
    }


def make_event(record: SendRecord) -> dict[str, object]:
    """Return an outcome for a log: without numbers, and without words of others that may repeat the text."""
    event = {**make_object(record), "recipients": len(record.recipients)}
    del event["description"]
    return event


def tell_outcome(record: SendRecord) -> Text:
    """Return what became of a send, for a log: in one line, without its numbers."""
    people = ngettext("{n} recipient", "{n} recipients", len(record.recipients))
    names = {"key": output.clean(record.key), "people": people, "state": output.PLACE}
    if record.error:
        detail = output.clean(say_error(record.error))
        line = _("The send {key} to {people} is {state}: {detail}", detail=detail, **names)
    elif record.lot_id:
        line = _("The send {key} to {people} is {state}: lot {lot}", lot=output.clean(record.lot_id), **names)
    else:
        line = _("The send {key} to {people} is {state}.", **names)
    return output.fill(line, _styled_state(record))


def list_records(records: Sequence[SendRecord]) -> None:
    """List sends, one a line: the key is last, since it may be long and is to be copied."""
    several = len({record.account for record in records}) > 1
    width = max(len(_(word)) for word in _WORDS.values())
    for record in records:
        line = Text(f"{write_moment(record.created_at)}  ")
        line.append(f"{tell_state(record):<{width}}", style=_style(record))
        line.append(f"  {_tell_people(record):<14}  {output.clean(record.key)}")
        output.say(line.append(f"  ({output.clean(record.account)})" if several else ""))


def show_record(record: SendRecord) -> None:
    """Show all that is kept of a send."""
    head = _("The send {key} is {state}.", key=output.clean(record.key), state=output.PLACE)
    output.say(output.fill(head, _styled_state(record), style="bold"))
    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="dim", no_wrap=True)
    lines.add_column(overflow="fold")
    for name, value in _describe(record):
        if value:
            lines.add_row(name, Text(output.clean(value)))
    output.output().print(lines)


def show_choice(unknown: Sequence[SendRecord], options: str) -> None:
    """Show what a person can do about sends that are unknown; `options` are those of the ledger."""
    if not unknown:
        return
    one = len(unknown) == 1
    name = quote(unknown[0].key) if one else "KEY"
    sentence = ngettext(
        "It is unknown whether the SMS was sent: look at the handset, or ask the gateway.",
        "Of {n} sends it is unknown whether the SMS was sent: look at the handset, or ask the gateway.",
        len(unknown),
    )
    output.say()
    output.say(textwrap.fill(sentence, _WIDTH))
    sent, not_sent = _("If it was sent:"), _("If it was not sent:")
    width = max(len(sent), len(not_sent))
    command = f"vavasms sends resolve {name}"
    output.say(f"{sent:<{width}}  {command} --mark-sent{options}")
    output.say(f"{not_sent:<{width}}  {command} --resend{options}")


def _describe(record: SendRecord) -> Iterable[tuple[str, str | None]]:
    yield _("What"), _("a one-time code") if record.kind.value == "otp" else _("a text")
    yield _("To"), ", ".join(recipient.e164 for recipient in record.recipients)
    yield _("From"), record.sender_id
    yield _("Text"), record.text
    yield _("Segments"), _("{n} for each recipient", n=record.segments) if record.segments else None
    yield _("Account"), record.account
    yield _("First asked"), write_moment(record.created_at)
    yield _("Not before"), _write_moment(record.not_before or None)
    yield _("Sent"), _write_moment(record.sent_at)
    yield _("Settled"), _write_moment(record.settled_at)
    attempts = format_number(record.attempts)
    yield _("Attempts"), _("{n}, by a worker", n=attempts) if record.is_enqueued else attempts
    yield _("Lot"), record.lot_id
    yield _("Message ids"), ", ".join(record.message_ids)
    yield _("Gateway"), record.description
    is_note = record.state is BatchState.ACCEPTED or record.error in (MARKED_AS_SENT, TAKEN_BACK)
    yield _("Note") if is_note else _("Error"), say_error(record.error) if record.error else None


def _tell_people(record: SendRecord) -> str:
    numbers = [recipient.e164 for recipient in record.recipients[:1]]
    if len(record.recipients) < 2:
        return "".join(numbers)
    return ngettext(
        "{number} and {n} more", "{number} and {n} more", len(record.recipients) - 1, number=numbers[0]
    )


def tell_state(record: SendRecord) -> str:
    """Return the word of a send's state for people."""
    return _(_WORDS[record.state])


def _styled_state(record: SendRecord) -> Text:
    return Text(tell_state(record), style=_style(record))


def _style(record: SendRecord) -> str:
    return "cyan" if record.outcome is None else STYLES[record.outcome]


def _moment(at: float | None) -> str | None:
    return None if at is None else moment(at)


def _write_moment(at: float | None) -> str | None:
    return None if at is None else write_moment(at)
