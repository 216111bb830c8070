"""The text of a campaign as the first recipients' phones will show it."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from itertools import islice

from attrs import frozen
from markupsafe import Markup

from vavasms.campaigns.planning.contacts import Fate, Judge, read_contacts
from vavasms.campaigns.planning.contacts.reader import ContactList
from vavasms.campaigns.planning.lists import Listing
from vavasms.campaigns.planning.optout_link import show_example
from vavasms.campaigns.planning.template import parse_template
from vavasms.campaigns.planning.text_cost import check_text
from vavasms.numbers import Msisdn
from vavasms.text.folding import fold_to_gsm7
from vavasms.text.segments import Encoding, count_segments

#: Rows that are read for it, and phones that are shown.
_ROWS, PHONES = 400, 8

_MARK = Markup("<mark>{}</mark>")


@frozen(kw_only=True)
class ListHead:
    """The beginning of a list: enough to choose columns and to write a text."""

    columns: tuple[str, ...]
    phone_column: str | None
    #: All of a spreadsheet that may be read; none of a text.
    sheets: tuple[str, ...]
    sheet: str | None
    encoding: str | None
    #: The first who will be sent to, each with the cells of the row.
    people: tuple[tuple[Msisdn, tuple[str, ...]], ...]


@frozen(kw_only=True)
class Phone:
    """What one phone will show."""

    number: str
    #: The letters marked that make the text dearer.
    text: Markup
    segments: int
    is_ucs2: bool
    units_left: int


@frozen(kw_only=True)
class Preview:
    """The text on the first phones, and what it costs by them."""

    phones: Sequence[Phone]
    #: Letters that make a text dearer, each once.
    costly: Sequence[str]
    #: Of how many people that were read, the segments, and what they would be with these letters spelt
    #: otherwise.
    people: int
    segments: int
    folded: int
    #: Columns without a value for one of these, and without words for that.
    missing: Sequence[str]

    def estimate(self, recipients: int) -> int:
        """Return about how many segments a list of so many costs."""
        return round(recipients * self.segments / self.people) if self.people else 0


def read_head(data: bytes, listing: Listing) -> ListHead:
    """Read the beginning of a list. Raises what `read_contacts` raises."""
    with read_contacts(
        BytesIO(data), phone_column=listing.phone_column, sheet=listing.sheet, encoding=listing.encoding
    ) as contacts:
        judge = Judge(region=listing.region, default_region=listing.default_region, repair=listing.repair)
        return ListHead(
            columns=contacts.columns,
            phone_column=contacts.phone_column,
            sheets=() if contacts.sheet is None else _name_sheets(data),
            sheet=contacts.sheet,
            encoding=contacts.encoding,
            people=tuple(_find_people(contacts, judge)),
        )


def _name_sheets(data: bytes) -> tuple[str, ...]:
    # Here, for the extra may be missing; a list that has a sheet was read with it.
    from vavasms.campaigns.planning.contacts.xlsxfile import name_sheets

    return name_sheets(BytesIO(data))


def _find_people(contacts: ContactList, judge: Judge) -> Sequence[tuple[Msisdn, tuple[str, ...]]]:
    people: list[tuple[Msisdn, tuple[str, ...]]] = []
    width = len(contacts.columns)
    for _row, phone, cells in islice((line for chunk in contacts.chunks() for line in chunk), _ROWS):
        verdict = judge.judge(phone) if len(cells) <= width else None
        if verdict is not None and verdict.fate in (Fate.KEPT, Fate.REPAIRED):
            assert verdict.recipient is not None
            people.append((verdict.recipient, cells))
    return people


def make_preview(head: ListHead, message: str, *, fold: bool, opt_out_url: str | None = None) -> Preview:
    """Write the text for the first recipients. Raises `InvalidMessageError` for one that no send takes.

    Pure; about a millisecond.
    """
    template = parse_template(message).bind(head.columns, fold=fold, opt_out_url=opt_out_url)
    texts = [(number, show_example(template.render(cells))) for number, cells in head.people]
    if texts:
        check_text(texts[0][1])
    costly = {letter for _number, text in texts for _place, letter in count_segments(text).offending}
    missing = {name for _number, cells in head.people for name in template.missing(cells)}
    return Preview(
        phones=[_make_phone(number, text) for number, text in texts[:PHONES]],
        costly=sorted(costly),
        people=len(texts),
        segments=sum(count_segments(text).segments for _number, text in texts),
        folded=sum(count_segments(fold_to_gsm7(text)).segments for _number, text in texts),
        missing=sorted(missing),
    )


def _make_phone(number: Msisdn, text: str) -> Phone:
    cost = count_segments(text)
    dear = {place for place, _letter in cost.offending}
    letters = (_MARK.format(letter) if place in dear else letter for place, letter in enumerate(text))
    return Phone(
        number=number.e164,
        text=Markup("").join(letters),
        segments=cost.segments,
        is_ucs2=cost.encoding is Encoding.UCS2,
        units_left=cost.units_left,
    )
