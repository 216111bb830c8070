"""Recipients cut into batches, and the running counts of their outcomes. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

from vavasms.bulk.models import Batch, BatchResult, BulkProgress, BulkReport, InvalidRecipient
from vavasms.errors import InvalidNumberError, Outcome
from vavasms.i18n import gettext as _
from vavasms.numbers import Msisdn, NumberFault, parse_msisdn


class Counts:
    """The running account of a bulk send. Flat in memory but for invalid and undelivered ones."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(Outcome, 0)
        self.invalid: list[InvalidRecipient] = []
        #: Settled, and in nobody's hands yet; by identity.
        self._undelivered: dict[int, BatchResult] = {}
        self.duplicates = 0

    def add(self, result: BatchResult) -> None:
        """Count one settled batch, and own it until it was handed over."""
        self.counts[result.outcome] += len(result.recipients)
        self.take_back(result)

    def take_back(self, result: BatchResult) -> None:
        """Own a batch, counted already, that reached nobody."""
        self._undelivered[id(result)] = result

    def hand_over(self, result: BatchResult) -> None:
        """Forget a batch that somebody else holds now."""
        self._undelivered.pop(id(result), None)

    def copy(self) -> Counts:
        """Return a copy that can be added to without touching this one."""
        other = Counts()
        other.counts.update(self.counts)
        other.invalid.extend(self.invalid)
        other._undelivered.update(self._undelivered)
        other.duplicates = self.duplicates
        return other

    def progress(self, result: BatchResult) -> BulkProgress:
        """Return the counts for a progress bar."""
        return BulkProgress(
            **self._by_name(), invalid=len(self.invalid), duplicates=self.duplicates, result=result
        )

    def report(self) -> BulkReport:
        """Return the account as it stands now."""
        return BulkReport(
            **self._by_name(),
            results=(),
            undelivered=tuple(self._undelivered.values()),
            invalid=tuple(self.invalid),
            duplicates=self.duplicates,
        )

    def _by_name(self) -> dict[str, int]:
        return {outcome.value: count for outcome, count in self.counts.items()}


class Batcher:
    """The recipients that are read, sorted into batches of at most `size`, invalid ones and duplicates."""

    def __init__(self, *, size: int, region: str, dedupe: bool, counts: Counts) -> None:
        self._size, self._region, self._dedupe, self._counts = size, region, dedupe, counts
        #: Batches that nobody has taken yet.
        self.ready: list[Batch] = []
        self._seen: set[int] = set()
        self._rest: list[Msisdn] = []
        self._index = 0

    def cut(self, recipients: Iterable[str]) -> None:
        """Add recipients; batches that are full become `ready`."""
        for text in recipients:
            number = self._accept(text)
            self._index += 1
            if number is None:
                continue
            self._rest.append(number)
            if len(self._rest) == self._size:
                self.flush()

    @property
    def has_rest(self) -> bool:
        """Whether there are recipients for a batch that is not full yet."""
        return bool(self._rest)

    def flush(self) -> None:
        """Build a last batch of what is left."""
        if self._rest:
            self.ready.append(tuple(self._rest))
            self._rest = []

    def _accept(self, text: str) -> Msisdn | None:
        try:
            number = parse_msisdn(text, default_region=self._region)
        except InvalidNumberError as error:
            # Its frames would keep the number, and a million of them the memory.
            fault = error.with_traceback(None)
        except Exception:  # noqa: BLE001  an item's own methods: the others of its chunk are somebody's too
            fault = InvalidNumberError(
                _("An item of the list is no text."), reason=NumberFault.NOT_TEXT.value
            )
        else:
            return self._deduplicate(number)
        self._counts.invalid.append(InvalidRecipient(index=self._index, text=_to_text(text), error=fault))
        return None

    def _deduplicate(self, number: Msisdn) -> Msisdn | None:
        if not self._dedupe:
            return number
        # Numbers as ints: a third of the memory of the texts, and exact.
        if (key := int(number)) in self._seen:
            self._counts.duplicates += 1
            return None
        self._seen.add(key)
        return number


def _to_text(text: object) -> str:
    try:
        return str(text)
    except Exception:  # noqa: BLE001  what is no text may do anything when asked for one
        return f"<{type(text).__name__}>"
