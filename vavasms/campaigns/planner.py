"""Contacts to batches and a plan, in one pass and flat memory but for the numbers seen. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Protocol

from attrs import define, field, frozen

from vavasms.campaigns.contacts import ContactList, Fate, Judge, Verdict
from vavasms.campaigns.ledger.port import NewBatch
from vavasms.campaigns.plan import CampaignPlan, Example
from vavasms.campaigns.template import BoundTemplate
from vavasms.numbers import Msisdn
from vavasms.text import Encoding, Segmentation, count_segments, fold_to_gsm7

#: Contacts read at once: longer lists keep the garbage collector busy.
_CHUNK = 500
#: Recipients that are loaded in one transaction, about.
LOAD = 10_000
#: Texts whose batches wait to be filled at once; beyond, the oldest one goes as it is.
OPEN_TEXTS = 20_000
#: Why a row is refused whose text came out empty.
EMPTY_MESSAGE = "empty_message"

_PREFIX = 5


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


#: Row number, phone as written, cells: as `ContactList.chunks` gives them.
_Row = tuple[int, str, tuple[str, ...]]
_Kept = tuple[_Row, Msisdn, Fate]


@frozen
class _Text:
    """What one rendered text costs."""

    segments: int
    #: Folded.
    folded: int
    #: What forces UCS-2.
    offending: frozenset[str]


@define
class _Group:
    """Recipients of one text that wait for their batch to be full."""

    text: _Text
    recipients: list[Msisdn] = field(factory=list)


@define(kw_only=True)
class Planner:
    """Plan one list: take its chunks in order, then finish."""

    judge: Judge
    template: BoundTemplate
    batch_size: int
    #: Everybody gets one text.
    is_plain: bool
    _fates: Counter[Fate] = field(factory=Counter, init=False)
    _repairs: dict[str, Example] = field(factory=dict, init=False)
    _refusals: dict[str, Example] = field(factory=dict, init=False)
    _prefixes: Counter[str] = field(factory=Counter, init=False)
    #: A number of each prefix: some countries are told by more digits.
    _samples: dict[str, Msisdn] = field(factory=dict, init=False)
    _offending: Counter[str] = field(factory=Counter, init=False)
    _missing: Counter[str] = field(factory=Counter, init=False)
    _groups: dict[str, _Group] = field(factory=dict, init=False)
    _rows: int = field(default=0, init=False)
    _last_row: int = field(default=0, init=False)
    _segments: int = field(default=0, init=False)
    _folded: int = field(default=0, init=False)
    _ucs2: int = field(default=0, init=False)
    _requests: int = field(default=0, init=False)
    _first_text: str = field(default="", init=False)
    _is_hashed: bool = field(default=False, init=False)
    _hash: _Hash = field(init=False, factory=sha256)

    def plan(self, contacts: ContactList) -> Iterator[list[NewBatch]]:
        """Give batches, a good many at once; those that never got full come last."""
        ready: list[NewBatch] = []
        for chunk in contacts.chunks(_CHUNK):
            ready += self._take(chunk)
            if len(ready) * self.batch_size >= LOAD:
                yield ready
                ready = []
        ready += [self._close(text, self._groups.pop(text)) for text in list(self._groups)]
        yield ready

    def result(self, phone_column: str | None) -> CampaignPlan:
        """Give the plan of everything that was taken."""
        kept = self._fates[Fate.KEPT] + self._fates[Fate.REPAIRED]
        countries, operators = self._places()
        return CampaignPlan(
            rows=self._rows,
            numbers=self._fates.total(),
            kept=kept,
            repaired=self._fates[Fate.REPAIRED],
            duplicates=self._fates[Fate.DUPLICATE],
            opted_out=self._fates[Fate.OPTED_OUT],
            refused=self._fates[Fate.REFUSED],
            recipients=kept,
            requests=self._requests,
            segments=self._segments,
            hash=self._hash.hexdigest()[:16],
            countries=countries,
            operators=operators,
            repairs=self._repairs,
            refusals=self._refusals,
            ucs2_recipients=self._ucs2,
            offending=dict(self._offending.most_common()),
            segments_if_folded=self._folded,
            missing=dict(self._missing),
            is_personal=not self.is_plain and self._requests * 2 > kept,
            first_text=self._first_text,
            phone_column=phone_column,
        )

    def _take(self, chunk: Sequence[_Row]) -> list[NewBatch]:
        judged = self.judge.judge_many([phone for _, phone, _ in chunk])
        rows = {row for row, _, _ in chunk}
        self._rows += len(rows) - (self._last_row in rows)
        self._last_row = chunk[-1][0]
        kept = self._sort(chunk, judged)
        if self.is_plain and kept:
            return list(self._address(self.template.render(()), [number for _, number, _ in kept]))
        return list(self._personalise(kept))

    def _sort(self, chunk: Sequence[_Row], judged: Sequence[Msisdn | Verdict]) -> list[_Kept]:
        """Count the fates, and give who is kept."""
        kept: list[_Kept] = []
        for contact, each in zip(chunk, judged, strict=True):
            if isinstance(each, Msisdn):
                kept.append((contact, each, Fate.KEPT))
            else:
                self._note(contact, each, kept)
        self._fates.update([fate for _, _, fate in kept])
        return kept

    def _note(self, contact: _Row, verdict: Verdict, kept: list[_Kept]) -> None:
        """Take in a number that is not simply kept."""
        if verdict.reason is not None:
            self._exemplify(contact, verdict)
        if verdict.fate is Fate.REPAIRED and verdict.recipient is not None:
            kept.append((contact, verdict.recipient, verdict.fate))
        else:
            self._fates[verdict.fate] += 1

    def _exemplify(self, contact: _Row, verdict: Verdict) -> None:
        assert verdict.reason is not None
        repaired = verdict.fate is Fate.REPAIRED
        became = str(verdict.recipient) if repaired else None
        examples = self._repairs if repaired else self._refusals
        _count(examples, verdict.reason, contact[0], contact[1], became)

    def _personalise(self, kept: Iterable[_Kept]) -> Iterator[NewBatch]:
        for contact, number, fate in kept:
            cells = contact[2]
            text = self.template.render(cells)
            if not text.strip():
                self._fates[fate] -= 1
                self._fates[Fate.REFUSED] += 1
                _count(self._refusals, EMPTY_MESSAGE, contact[0], contact[1], None)
                continue
            self._missing.update(self.template.missing(cells))
            yield from self._address(text, (number,))

    def _address(self, text: str, numbers: Sequence[Msisdn]) -> Iterator[NewBatch]:
        """Put numbers into the batch of their text, and give each that is full."""
        group = self._groups.get(text)
        if group is None:
            group = self._open(text)
            if len(self._groups) > OPEN_TEXTS:
                oldest = next(iter(self._groups))
                yield self._close(oldest, self._groups.pop(oldest))
        self._account(text, group.text, numbers)
        waiting = group.recipients
        waiting += numbers
        while len(waiting) >= self.batch_size:
            yield self._batch(text, group.text, waiting[: self.batch_size])
            del waiting[: self.batch_size]
        if not waiting:
            del self._groups[text]

    def _open(self, text: str) -> _Group:
        self._first_text = self._first_text or text
        group = self._groups[text] = _Group(text=_weigh(text))
        return group

    def _account(self, text: str, weight: _Text, numbers: Sequence[Msisdn]) -> None:
        count = len(numbers)
        self._segments += weight.segments * count
        self._folded += weight.folded * count
        if weight.offending:
            self._ucs2 += count
            for character in weight.offending:
                self._offending[character] += count
        prefixes = [number[:_PREFIX] for number in numbers]
        self._prefixes.update(prefixes)
        if not self._samples.keys() >= set(prefixes):
            self._samples.update(zip(prefixes, numbers, strict=True))
        # A text's length parts it from the numbers: no two lists give the same bytes.
        head = f"{len(text)}:{text}:" if not (self.is_plain and self._is_hashed) else ""
        self._is_hashed = True
        self._hash.update(f"{head}{','.join(numbers)},".encode())

    def _close(self, text: str, group: _Group) -> NewBatch:
        return self._batch(text, group.text, group.recipients)

    def _batch(self, text: str, weight: _Text, recipients: Sequence[Msisdn]) -> NewBatch:
        batch = NewBatch(
            no=self._requests, message=text, segments=weight.segments, recipients=tuple(recipients)
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


def _weigh(text: str) -> _Text:
    found = count_segments(text)
    if found.encoding is not Encoding.UCS2:
        return _Text(found.segments, found.segments, frozenset())
    return _Text(found.segments, count_segments(fold_to_gsm7(text)).segments, _characters(found))


def _characters(found: Segmentation) -> frozenset[str]:
    return frozenset(character for _, character in found.offending)


def _count(examples: dict[str, Example], reason: str, row: int, text: str, became: str | None) -> None:
    known = examples.get(reason)
    if known is None:
        examples[reason] = Example(count=1, row=row, text=text, became=became)
    else:
        examples[reason] = Example(count=known.count + 1, row=known.row, text=known.text, became=known.became)
