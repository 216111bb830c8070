"""The tables of the demonstration, within 80 columns."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from vavasms.campaigns.contacts import Fate
from vavasms.cli import show
from vavasms.cli.demo.screening import Screening
from vavasms.cli.demo.sending import BATCH_SIZE, Audit, Sent
from vavasms.errors import Outcome
from vavasms.text import Encoding, count_segments

_ENCODINGS = {Encoding.GSM7: "GSM-7", Encoding.UCS2: "UCS-2"}
_MEANINGS = {
    Outcome.ACCEPTED: "the gateway took the message",
    Outcome.REJECTED: "the gateway refused the number, found by halving its lot",
    Outcome.NOT_SENT: "nothing left this machine",
    Outcome.UNKNOWN: "the connection was lost after the request had left",
}
_STYLES = {
    Outcome.ACCEPTED: "green",
    Outcome.REJECTED: "red",
    Outcome.NOT_SENT: "yellow",
    Outcome.UNKNOWN: "magenta",
}


def show_screening(found: Screening) -> None:
    """Show what is in the list, and what was made of it."""
    column = f"the numbers under {found.phone_column!r}"
    show.say(
        f"A list of {show.count(found.rows, 'contact')} (CSV, semicolons, cp1252), {column}", style="bold"
    )
    table = _table("Numbers", "", "For example")
    for fate in Fate:
        _add_fate(table, found, fate)
    table.add_section()
    table.add_row(f"{found.fates.total():,}", "in all", "")
    show.output().print(table)


def show_text(before: str, after: str) -> None:
    """Show what the text costs, as written and as sent."""
    show.say("The text", style="bold")
    letters = ", ".join(sorted({one for _, one in count_segments(before).offending}))
    for text, note in ((before, f"as written, for the letter {letters}"), (after, "as sent, folded")):
        counted = count_segments(text)
        size = show.count(counted.segments, "segment")
        show.say(f"  {size} a recipient in {_ENCODINGS[counted.encoding]} {note}")
    show.say(f"  “{after}”\n", style="dim")


def show_account(found: Screening, sent: Sent, settled: Audit) -> None:
    """Show what became of every recipient, and the journal's word on it."""
    counts = sent.counts()
    table = _table("Recipients", "Outcome", "Which means")
    for outcome in Outcome:
        style = _STYLES[outcome] if counts[outcome] else "dim"
        word = Text(outcome.value.replace("_", " "), style=style)
        table.add_row(f"{counts[outcome]:,}", word, _MEANINGS[outcome] if counts[outcome] else "")
    table.add_section()
    pauses = f", {show.count(sent.pauses, 'pause')} kept as asked for (429)" if sent.pauses else ""
    way = f"{show.count(sent.requests, 'request')} of up to {BATCH_SIZE} numbers{pauses}"
    table.add_row(f"{sum(counts.values()):,}", "in all", way)
    show.say("\nThe closing report", style="bold")
    show.output().print(table)
    _show_journal(counts[Outcome.UNKNOWN], settled)
    _show_money(sent, settled)
    _show_verdict(found, settled)


def print_json(found: Screening, sent: Sent, settled: Audit) -> None:
    """Print the same for programs."""
    show.print_json(
        {
            "rows": found.rows,
            "numbers": found.fates.total(),
            **{f"numbers_{fate.value}": found.fates[fate] for fate in Fate},
            "recipients": len(found.recipients),
            **{outcome.value: count for outcome, count in sent.counts().items()},
            "requests": sent.requests,
            "pauses": sent.pauses,
            "received_once": settled.once,
            "received_twice": settled.several_times,
            "unknown_received": settled.unknown_received,
            "segments": settled.segments,
            "cost": settled.cost,
            "currency": "XOF",
            "balance_before": sent.balance_before,
            "balance_after": sent.balance_after,
            "adds_up": not settled.faults,
        }
    )


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1), header_style="dim")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place else "right", overflow="fold")
    return table


def _add_fate(table: Table, found: Screening, fate: Fate) -> None:
    reasons = [(count, reason) for (of, reason), count in found.reasons.items() if of is fate]
    table.add_row(f"{found.fates[fate]:,}", fate.value, "")
    for count, reason in sorted(reasons, reverse=True):
        text, became = found.examples[fate, reason]
        arrow = f" → {became.e164}" if became is not None else ""
        example = Text(f"{show.clean(text) or '(an empty cell)'}{arrow}")
        table.add_row(Text(f"{count:,}", style="dim"), f"  {reason.replace('_', ' ')}", example)


def _show_journal(unknown: int, settled: Audit) -> None:
    once, twice = f"{show.count(settled.once, 'number')} received it once", f"{settled.several_times:,} twice"
    show.say(f"\nThe gateway's journal says: {once}, {twice}.")
    if unknown:
        received = f"Of the {unknown:,} unknown, {settled.unknown_received:,} did receive it"
        show.say(f"{received}: to send again would be a second SMS.")


def _show_money(sent: Sent, settled: Audit) -> None:
    before, after, cost = (
        f"{show.number(amount):,}" for amount in (sent.balance_before, sent.balance_after, settled.cost)
    )
    show.say(
        f"Cost: {cost} XOF for {show.count(settled.segments, 'segment')}; balance {before} → {after} XOF."
    )


def _show_verdict(found: Screening, settled: Audit) -> None:
    if settled.faults:
        show.say(f"The account does not add up: {'; '.join(settled.faults)}.", style="bold red")
        return
    numbers = show.count(len(found.recipients), "recipient")
    show.say(f"The account adds up: every one of {numbers} in exactly one outcome.", style="bold green")
