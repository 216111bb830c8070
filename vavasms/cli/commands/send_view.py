"""Single sends of a ledger: for people, and for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from vavasms.cli import output
from vavasms.cli.commands.campaign.status_view import STYLES
from vavasms.cli.output import moment
from vavasms.cli.shell import quote
from vavasms.ledger.send_record import SendRecord
from vavasms.ledger.states import OUTCOMES, BatchState

_WIDTH = 76


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
    """Return an outcome for a log, which has no numbers."""
    return {**make_object(record), "recipients": len(record.recipients)}


def tell_outcome(record: SendRecord) -> Text:
    """Return what became of a send, for a log: in one line, without its numbers."""
    people = output.count(len(record.recipients), "recipient")
    word = Text(_word(record), style=_style(record))
    detail = f"lot {record.lot_id}" if record.lot_id and not record.error else record.error
    end = f": {output.clean(detail)}" if detail else "."
    return Text(f"The send {output.clean(record.key)} to {people} is ").append_text(word).append(end)


def list_records(records: Sequence[SendRecord]) -> None:
    """List sends, one a line: the key is last, since it may be long and is to be copied."""
    several = len({record.account for record in records}) > 1
    for record in records:
        more = f" and {len(record.recipients) - 1:,} more" if len(record.recipients) > 1 else ""
        people = f"{record.recipients[0].e164}{more}" if record.recipients else ""
        line = Text(f"{moment(record.created_at)}  ").append(f"{_word(record):<8}", style=_style(record))
        line.append(f"  {people:<14}  {output.clean(record.key)}")
        output.say(line.append(f"  ({output.clean(record.account)})" if several else ""))


def show_record(record: SendRecord) -> None:
    """Show all that is kept of a send."""
    head = Text(f"The send {output.clean(record.key)} is ", style="bold")
    output.say(head.append(_word(record), style=_style(record)).append("."))
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
    head = "It" if one else f"Of {output.count(len(unknown), 'send')} it"
    sentence = f"{head} is unknown whether the SMS was sent: look at the handset, or ask the gateway."
    output.say()
    output.say(textwrap.fill(sentence, _WIDTH))
    output.say(f"If it was sent:      vavasms sends resolve {name} --mark-sent{options}")
    output.say(f"If it was not sent:  vavasms sends resolve {name} --resend{options}")


def _describe(record: SendRecord) -> Iterable[tuple[str, str | None]]:
    yield "What", "a one-time code" if record.kind.value == "otp" else "a text"
    yield "To", ", ".join(recipient.e164 for recipient in record.recipients)
    yield "From", record.sender_id
    yield "Text", record.text
    yield "Segments", f"{record.segments:,} for each recipient" if record.segments else None
    yield "Account", record.account
    yield "First asked", moment(record.created_at)
    yield "Not before", _moment(record.not_before or None)
    yield "Sent", _moment(record.sent_at)
    yield "Settled", _moment(record.settled_at)
    yield "Attempts", f"{record.attempts:,}, by a worker" if record.is_enqueued else f"{record.attempts:,}"
    yield "Lot", record.lot_id
    yield "Message ids", ", ".join(record.message_ids)
    yield "Gateway", record.description
    yield "Error", record.error


def _word(record: SendRecord) -> str:
    return name_state(record.state).replace("_", " ")


def _style(record: SendRecord) -> str:
    return "cyan" if record.outcome is None else STYLES[record.outcome]


def _moment(at: float | None) -> str | None:
    return None if at is None else moment(at)
