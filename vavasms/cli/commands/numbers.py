"""`numbers check`."""

from __future__ import annotations

import sys
from collections import Counter

from vavasms.campaigns.planning.contacts import Contact, Fate, Judge, Verdict, read_contacts
from vavasms.cli import output, params
from vavasms.cli.refused import RefusedPath, open_refused
from vavasms.numbers.faults import mask
from vavasms.numbers.lookup import check_country

#: Fates by their colours; no opt-out list is asked here.
_STYLES = {Fate.KEPT: "green", Fate.REPAIRED: "cyan", Fate.DUPLICATE: "yellow", Fate.REFUSED: "red"}
_LEFT_OUT = (Fate.DUPLICATE, Fate.REFUSED)


def check(
    file: params.Contacts = "-",
    /,
    *,
    region: params.Region = None,
    repair: params.Repair = False,
    phone_column: params.PhoneColumn = None,
    sheet: params.SheetName = None,
    encoding: params.TextEncoding = None,
    refused: RefusedPath = None,
    as_json: params.JsonFlag = False,
) -> None:
    """Check each number of a list: kept, repaired, a duplicate, or refused and why."""
    judge = Judge(region=check_country(region), repair=repair)
    fates: Counter[Fate] = Counter()
    source = params.open_contacts(file)
    with (
        open_refused(refused, file) as left_out,
        read_contacts(source, phone_column=phone_column, sheet=sheet, encoding=encoding) as contacts,
    ):
        write = _write_json if as_json else _NumberLines(phone_column=contacts.phone_column).write
        if left_out is not None:
            left_out.begin(contacts)
        for contact in contacts:
            verdict = _judge(judge, contact)
            fates[verdict.fate] += 1
            write(contact, verdict)
            if left_out is not None and verdict.fate in _LEFT_OUT:
                line = (contact.row, contact.phone, contact.cells)
                left_out.write(line, verdict.reason or verdict.fate.value)
    if not as_json:
        _summarize(fates)


def _judge(judge: Judge, contact: Contact) -> Verdict:
    if contact.fault is None:
        return judge.judge(contact.phone)
    sentence = f"{mask(contact.phone)} stands in a row with more cells than the header"
    return Verdict(fate=Fate.REFUSED, reason=contact.fault, sentence=sentence)


class _NumberLines:
    """Write a line a number; rich only where there are colours to show, for its cost."""

    def __init__(self, *, phone_column: str | None) -> None:
        self._console = output.output() if sys.stdout.isatty() else None
        if phone_column is not None:
            sys.stdout.write(f"The numbers are in the column {output.clean(phone_column)!r}.\n")

    def write(self, contact: Contact, verdict: Verdict) -> None:
        """Write the verdict on one number."""
        head, tail = f"{contact.row:>7,}  ", _explain(contact.phone, verdict)
        fate = f"{verdict.fate.value:<9}"
        if self._console is None:
            sys.stdout.write(f"{head}{fate}  {tail}\n")
            return
        self._console.out(head, end="")
        self._console.out(fate, style=_STYLES[verdict.fate], end="")
        self._console.out(f"  {tail}")


def _explain(text: str, verdict: Verdict) -> str:
    raw = output.clean(text).strip()
    if verdict.fate is Fate.REFUSED:
        # Its own words begin with the number, masked; here it stands there in full.
        why = verdict.sentence.removeprefix(mask(text))
        joint = ": " if why == verdict.sentence else ""
        use = f" (+{verdict.suggestion})" if verdict.suggestion else ""
        return f"{raw}{joint}{why}{use}" if raw else why
    assert verdict.recipient is not None
    was = f" was {raw}" if verdict.fate is Fate.REPAIRED else ""
    return f"{verdict.recipient.e164}{was}"


def _write_json(contact: Contact, verdict: Verdict) -> None:
    output.print_json(
        {
            "row": contact.row,
            "text": contact.phone,
            "fate": verdict.fate.value,
            "recipient": verdict.recipient,
            "reason": verdict.reason,
            "suggestion": verdict.suggestion,
        }
    )


def _summarize(fates: Counter[Fate]) -> None:
    parts = ", ".join(f"{fates[fate]:,} {fate.value}" for fate in _STYLES)
    output.say(f"{output.count(fates.total(), 'number')}: {parts}.")
