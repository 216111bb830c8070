"""`numbers check`."""

from __future__ import annotations

import sys
from collections import Counter

from vavasms.campaigns.planning.contacts import Contact, Fate, Judge, Verdict, read_contacts
from vavasms.cli import output, params
from vavasms.cli.excel import Excel
from vavasms.cli.refused import RefusedPath, open_refused
from vavasms.i18n import format_number, ngettext
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.numbers.faults import NumberFault, mask
from vavasms.numbers.lookup import check_country

#: Fates by their colours; no opt-out list is asked here.
_STYLES = {Fate.KEPT: "green", Fate.REPAIRED: "cyan", Fate.DUPLICATE: "yellow", Fate.REFUSED: "red"}
_WORDS = {
    Fate.KEPT: N_("kept"),
    Fate.REPAIRED: N_("repaired"),
    Fate.DUPLICATE: N_("duplicate"),
    Fate.REFUSED: N_("refused"),
}
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
    excel: Excel = False,
    as_json: params.JsonFlag = False,
) -> None:
    """Check each number of a list: kept, repaired, a duplicate, or refused and why."""
    judge = Judge(region=check_country(region), repair=repair)
    fates: Counter[Fate] = Counter()
    source = params.open_contacts(file)
    with (
        open_refused(refused, file, excel=excel) as left_out,
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
    sentence = _("{number} stands in a row with more cells than the header", number=mask(contact.phone))
    return Verdict(fate=Fate.REFUSED, reason=contact.fault, sentence=sentence)


class _NumberLines:
    """Write a line a number; rich only where there are colours to show, for its cost."""

    def __init__(self, *, phone_column: str | None) -> None:
        self._console = output.output() if sys.stdout.isatty() else None
        if phone_column is not None:
            name = repr(output.clean(phone_column))
            sys.stdout.write(_("The numbers are in the column {name}.", name=name) + "\n")
        self._words = {fate: f"{_(word):<9}" for fate, word in _WORDS.items()}

    def write(self, contact: Contact, verdict: Verdict) -> None:
        """Write the verdict on one number."""
        head, tail = f"{format_number(contact.row):>7}  ", _explain(contact.phone, verdict)
        fate = self._words[verdict.fate]
        if self._console is None:
            sys.stdout.write(f"{head}{fate}  {tail}\n")
            return
        self._console.out(head, end="")
        self._console.out(fate, style=_STYLES[verdict.fate], end="")
        self._console.out(f"  {tail}")


def _explain(text: str, verdict: Verdict) -> str:
    raw = output.clean(text).strip()
    if verdict.fate is Fate.REFUSED:
        if verdict.reason == NumberFault.DECIMAL and verdict.suggestion is not None:
            return _(
                '{text}: a spreadsheet added ".0": remove it, or add --repair ({number})',
                text=raw,
                number=verdict.suggestion.e164,
            )
        # Its own words begin with the number, masked; here it stands there in full.
        why = verdict.sentence.removeprefix(mask(text))
        use = f" (+{verdict.suggestion})" if verdict.suggestion else ""
        if not raw:
            return why
        return (_("{text}: {why}", text=raw, why=why) if why == verdict.sentence else f"{raw}{why}") + use
    assert verdict.recipient is not None
    number = verdict.recipient.e164
    return _("{number} was {text}", number=number, text=raw) if verdict.fate is Fate.REPAIRED else number


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
    output.say(
        ngettext(
            "{n} number: {kept} kept, {repaired} repaired, {duplicates}, {refused} refused.",
            "{n} numbers: {kept} kept, {repaired} repaired, {duplicates}, {refused} refused.",
            fates.total(),
            duplicates=ngettext("{n} duplicate", "{n} duplicates", fates[Fate.DUPLICATE]),
            **{fate.value: fates[fate] for fate in _WORDS if fate is not Fate.DUPLICATE},
        )
    )
