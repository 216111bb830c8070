"""Contacts to batches and a plan, in one pass and flat memory but for the numbers seen. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from attrs import define, field

from vavasms.campaigns.planning.contacts import ContactList, Fate, Judge, Verdict
from vavasms.campaigns.planning.contacts.reader import TOO_MANY_CELLS
from vavasms.campaigns.planning.observations import Observations, count_example
from vavasms.campaigns.planning.optout_link import show_example
from vavasms.campaigns.planning.plan import CampaignPlan, Example
from vavasms.campaigns.planning.template import Texts
from vavasms.campaigns.planning.text_cost import (
    MODULUS,
    TextCost,
    TextGroup,
    check_text,
    fits_a_phone,
    hash_recipients,
    hash_text,
    measure_text,
)
from vavasms.ledger.models import PREFIX_DIGITS, NewBatch
from vavasms.numbers import Msisdn
from vavasms.text.visible import is_visible

#: Contacts read at once: longer lists keep the garbage collector busy.
_CHUNK = 500
#: Recipients that are loaded in one transaction, about.
LOAD = 10_000
#: Texts whose batches wait to be filled at once; beyond, the oldest one goes as it is.
OPEN_TEXTS = 20_000
#: Why a row is refused whose text came out empty.
EMPTY_MESSAGE = "empty_message"
#: Why a row is refused whose text no phone can join.
MESSAGE_TOO_LONG = "message_too_long"

#: Row number, phone as written, cells: as `ContactList.chunks` gives them.
_Row = tuple[int, str, tuple[str, ...]]
#: Called with a row that is left out, and why.
OnLeftOut = Callable[[_Row, str], object]
#: With the verdict on a number that was repaired.
_Kept = tuple[_Row, Msisdn, Verdict | None]


@define(kw_only=True)
class Planner:
    """The planner of one list: it takes the chunks in order, then tells the result."""

    judge: Judge
    template: Texts
    batch_size: int
    #: Everybody gets one text.
    is_plain: bool
    #: None where nobody asks who is left out.
    on_left_out: OnLeftOut | None = None
    #: The positions of the cells that are kept of each recipient.
    keep: tuple[int, ...] = ()
    _observations: Observations = field(init=False)
    _left_out: list[tuple[_Row, str]] = field(factory=list, init=False, repr=False)
    _duplicates: list[tuple[_Row, Msisdn]] = field(factory=list, init=False, repr=False)
    _width: int = field(default=0, init=False)
    _fates: Counter[Fate] = field(factory=Counter, init=False)
    _repairs: dict[str, Example] = field(factory=dict, init=False)
    _refusals: dict[str, Example] = field(factory=dict, init=False)
    _prefixes: Counter[str] = field(factory=Counter, init=False)
    #: A number of each prefix: some countries are told by more digits.
    _samples: dict[str, Msisdn] = field(factory=dict, init=False)
    _offending: Counter[str] = field(factory=Counter, init=False)
    _missing: Counter[str] = field(factory=Counter, init=False)
    _groups: dict[str, TextGroup] = field(factory=dict, init=False)
    _rows: int = field(default=0, init=False)
    _last_row: int = field(default=0, init=False)
    _segments: int = field(default=0, init=False)
    _folded: int = field(default=0, init=False)
    _ucs2: int = field(default=0, init=False)
    _requests: int = field(default=0, init=False)
    _first_text: str = field(default="", init=False)
    #: Of the hashes of all recipients with their texts: a sum is the same in any order.
    _sum: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._observations = Observations(template=self.template)

    def plan(self, contacts: ContactList) -> Iterator[list[NewBatch]]:
        """Yield batches, a good many at once; those that never got full come last.

        Raises `InvalidMessageError` where everybody's text is empty or longer than a phone joins.
        """
        if self.is_plain:
            check_text(self.template.render(()))
        self._width = len(contacts.columns)
        ready: list[NewBatch] = []
        for chunk in contacts.chunks(_CHUNK):
            ready += self._take(chunk)
            if len(ready) * self.batch_size >= LOAD:
                yield ready
                ready = []
        ready += [self._batch(text, group) for text, group in self._groups.items()]
        self._groups.clear()
        yield ready

    def result(self, phone_column: str | None) -> CampaignPlan:
        """Return the plan of everything that was taken."""
        kept = self._fates[Fate.KEPT] + self._fates[Fate.REPAIRED]
        countries, operators = self._places()
        return CampaignPlan(
            rows=self._rows,
            numbers=self._fates.total(),
            kept=kept,
            repaired=self._fates[Fate.REPAIRED],
            duplicates=self._fates[Fate.DUPLICATE],
            opted_out=self._fates[Fate.OPTED_OUT],
            excluded=self._fates[Fate.EXCLUDED],
            not_drawn=self._fates[Fate.NOT_DRAWN],
            refused=self._fates[Fate.REFUSED],
            recipients=kept,
            requests=self._requests,
            segments=self._segments,
            hash=f"{self._sum % MODULUS:032x}"[:16],
            countries=countries,
            operators=operators,
            repairs=self._repairs,
            refusals=self._refusals,
            ucs2_recipients=self._ucs2,
            offending=dict(self._offending.most_common()),
            segments_if_folded=self._folded,
            missing=dict(self._missing),
            is_personal=self.template.has_link or (not self.is_plain and self._requests * 2 > kept),
            has_opt_out_link=self.template.has_link,
            first_text=self._first_text,
            phone_column=phone_column,
            garbled=self._observations.garbled,
            no_values=self._observations.no_values,
            differing=self._observations.differing,
            unfilled=tuple(name for name in self.template.names if name in self._observations.unfilled),
        )

    def _take(self, chunk: Sequence[_Row]) -> list[NewBatch]:
        rows = {row for row, _, _ in chunk}
        self._rows += len(rows) - (self._last_row in rows)
        self._last_row = chunk[-1][0]
        ready: list[NewBatch] = []
        chunk = self._refuse_wide(chunk)
        while chunk:
            judged = self.judge.judge_many([phone for _, phone, _ in chunk])
            kept = self._sort(chunk, judged)
            dropped: set[Msisdn] = set()
            ready += self._share(kept) if self.is_plain else self._personalise(kept, dropped)
            chunk = self._reconsider(chunk, judged, dropped) if dropped else ()
            self._settle_duplicates(dropped)
        self._report_left_out()
        return ready

    def _refuse_wide(self, chunk: Sequence[_Row]) -> Sequence[_Row]:
        """Refuse the rows with cells beyond the header: which cell is whose cannot be known."""
        width = self._width
        if all(len(cells) <= width for _, _, cells in chunk):
            return chunk
        for contact in chunk:
            if len(contact[2]) > width:
                self._fates[Fate.REFUSED] += 1
                self._refuse_row(contact, TOO_MANY_CELLS)
        return [contact for contact in chunk if len(contact[2]) <= width]

    def _settle_duplicates(self, dropped: set[Msisdn]) -> None:
        """Compare the texts of the duplicates, save those that are judged again."""
        for contact, number in self._duplicates:
            if number not in dropped:
                row, _, cells = contact
                differs = not self.is_plain and self._observations.compare(row, cells, number)
                self._leave_out(contact, "duplicate_with_another_text" if differs else "duplicate")
        self._duplicates.clear()

    def _leave_out(self, contact: _Row, reason: str) -> None:
        if self.on_left_out is not None:
            self._left_out.append((contact, reason))

    def _report_left_out(self) -> None:
        """Report the rows of a chunk in the order of the list."""
        if self.on_left_out is not None:
            for contact, reason in sorted(self._left_out, key=lambda item: item[0][0]):
                self.on_left_out(contact, reason)
            self._left_out.clear()

    def _sort(self, chunk: Sequence[_Row], judged: Sequence[Msisdn | Verdict]) -> list[_Kept]:
        """Count the fates, and yield who is kept."""
        kept: list[_Kept] = []
        for contact, verdict in zip(chunk, judged, strict=True):
            if isinstance(verdict, Msisdn):
                kept.append((contact, verdict, None))
            else:
                self._note(contact, verdict, kept)
        repaired = sum(verdict is not None for _, _, verdict in kept)
        self._fates[Fate.REPAIRED] += repaired
        self._fates[Fate.KEPT] += len(kept) - repaired
        return kept

    def _note(self, contact: _Row, verdict: Verdict, kept: list[_Kept]) -> None:
        """Take in a number that is not simply kept."""
        if verdict.fate is Fate.REPAIRED and verdict.recipient is not None:
            kept.append((contact, verdict.recipient, verdict))
            return
        self._fates[verdict.fate] += 1
        if verdict.fate is Fate.DUPLICATE and verdict.recipient is not None:
            self._duplicates.append((contact, verdict.recipient))
        else:
            self._leave_out(contact, verdict.reason or verdict.fate.value)
        if verdict.reason is not None:
            self._exemplify(contact, verdict)

    def _reconsider(
        self, chunk: Sequence[_Row], judged: Sequence[Msisdn | Verdict], dropped: set[Msisdn]
    ) -> list[_Row]:
        """Return the rows that were duplicates of those whose text was refused."""
        again = [
            contact
            for contact, verdict in zip(chunk, judged, strict=True)
            if isinstance(verdict, Verdict)
            and verdict.fate is Fate.DUPLICATE
            and verdict.recipient in dropped
        ]
        self._fates[Fate.DUPLICATE] -= len(again)
        return again

    def _exemplify(self, contact: _Row, verdict: Verdict) -> None:
        assert verdict.reason is not None
        repaired = verdict.fate is Fate.REPAIRED
        became = str(verdict.recipient) if repaired else None
        examples = self._repairs if repaired else self._refusals
        _count(examples, verdict.reason, contact[0], contact[1], became)

    def _share(self, kept: Sequence[_Kept]) -> Iterator[NewBatch]:
        """Address everybody's text."""
        for contact, _, verdict in kept:
            if verdict is not None:
                self._exemplify(contact, verdict)
        if kept:
            text = self.template.render(())
            group = self._groups.get(text) or self._open(text, measure_text(text))
            cells = [self._pick(contact) for contact, _, _ in kept] if self.keep else ()
            yield from self._address(text, group, [number for _, number, _ in kept], cells)

    def _personalise(self, kept: Iterable[_Kept], dropped: set[Msisdn]) -> Iterator[NewBatch]:
        """Address each one's text; whose text is of no use is refused, and put with the dropped."""
        for contact, number, verdict in kept:
            text = self.template.render(contact[2])
            group = self._find(text)
            if isinstance(group, str):
                self._refuse(contact, number, verdict, group)
                dropped.add(number)
                continue
            if verdict is not None:
                self._exemplify(contact, verdict)
            self._missing.update(self.template.missing(contact[2]))
            self._observations.see(contact[0], contact[2], number, text)
            yield from self._address(text, group, (number,), (self._pick(contact),) if self.keep else ())

    def _find(self, text: str) -> TextGroup | str:
        """Find the group of a text, or why the text cannot be sent."""
        group = self._groups.get(text)
        if group is not None:
            return group
        if not is_visible(text):
            return EMPTY_MESSAGE
        cost = measure_text(text)
        return self._open(text, cost) if fits_a_phone(cost.segments) else MESSAGE_TOO_LONG

    def _refuse(self, contact: _Row, number: Msisdn, verdict: Verdict | None, reason: str) -> None:
        """Refuse a number for its text: a later row of it may have a better one."""
        self.judge.forget(number)
        self._fates[Fate.KEPT if verdict is None else verdict.fate] -= 1
        self._fates[Fate.REFUSED] += 1
        self._refuse_row(contact, reason)

    def _refuse_row(self, contact: _Row, reason: str) -> None:
        _count(self._refusals, reason, contact[0], contact[1], None)
        self._leave_out(contact, reason)

    def _address(
        self, text: str, group: TextGroup, numbers: Sequence[Msisdn], kept: Sequence[tuple[str, ...]]
    ) -> Iterator[NewBatch]:
        """Put numbers into the batch of their text, and yield each that is full."""
        if len(self._groups) > OPEN_TEXTS:
            oldest = next(iter(self._groups))
            yield self._batch(oldest, self._groups.pop(oldest))
        self._account(group, numbers)
        group.recipients += numbers
        group.kept += kept
        while len(group.recipients) >= self.batch_size:
            yield self._batch(text, group)
            del group.recipients[: self.batch_size], group.kept[: self.batch_size]
        if not group.recipients:
            del self._groups[text]

    def _pick(self, contact: _Row) -> tuple[str, ...]:
        return tuple(contact[2][place] for place in self.keep)

    def _open(self, text: str, cost: TextCost) -> TextGroup:
        self._first_text = self._first_text or show_example(text)
        group = self._groups[text] = TextGroup(cost=cost, hash=hash_text(text))
        return group

    def _account(self, group: TextGroup, numbers: Sequence[Msisdn]) -> None:
        cost = group.cost
        count = len(numbers)
        self._segments += cost.segments * count
        self._folded += cost.folded * count
        if cost.offending:
            self._ucs2 += count
            for character in cost.offending:
                self._offending[character] += count
        prefixes = [number[:PREFIX_DIGITS] for number in numbers]
        self._prefixes.update(prefixes)
        if not self._samples.keys() >= set(prefixes):
            self._samples.update(zip(prefixes, numbers, strict=True))
        self._sum += hash_recipients(group.hash, numbers)

    def _batch(self, text: str, group: TextGroup) -> NewBatch:
        """Return the next batch, of the first who wait for this text."""
        batch = NewBatch(
            number=self._requests,
            message=text,
            segments=group.cost.segments,
            recipients=tuple(group.recipients[: self.batch_size]),
            kept=tuple(group.kept[: self.batch_size]),
        )
        self._requests += 1
        return batch

    def _places(self) -> tuple[dict[str, int], dict[str, int]]:
        countries: Counter[str] = Counter()
        operators: Counter[str] = Counter()
        for prefix, count in self._prefixes.items():
            sample = self._samples[prefix]
            countries[sample.country] += count
            operators[f"{sample.country} {sample.operator_range or 'other'}"] += count
        return dict(countries.most_common()), dict(operators.most_common())


def _count(examples: dict[str, Example], reason: str, row: int, text: str, became: str | None) -> None:
    examples[reason] = count_example(examples.get(reason), row, text, became)
