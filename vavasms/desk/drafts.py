"""Campaigns that are being prepared: the list in memory, the form as it was typed, what was found out.

Of a draft nothing is on disk. It ends with the desk, or once its campaign is in the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from io import BytesIO, StringIO
from secrets import token_urlsafe
from typing import BinaryIO

from attrs import astuple, define, field

from vavasms.campaigns.planning.lists import Listing
from vavasms.campaigns.planning.plan import CampaignPlan
from vavasms.desk.form import CampaignForm
from vavasms.desk.preview import ListHead
from vavasms.errors import InvalidInputError, Outcome, VavaSMSError
from vavasms.i18n import gettext as _

#: Bytes of one list, and of all lists that are being prepared.
MAX_LIST, MAX_LISTS = 100_000_000, 250_000_000
_MAX_DRAFTS = 20
#: Letters of the file of rows that are left out.
MAX_LEFT_OUT = 10_000_000


class LeftOut(StringIO):
    """A file of rows that are left out, written row by row; cut off where they are very many."""

    is_cut = False

    def write(self, row: str) -> int:
        """Write a row, unless that is too much."""
        self.is_cut = self.is_cut or self.tell() + len(row) > MAX_LEFT_OUT
        return len(row) if self.is_cut else super().write(row)

    def encoded(self) -> bytes:
        """Return the file; at its end it says that it is cut off."""
        more = _("… and more rows, for which there is no room here") if self.is_cut else ""
        return (self.getvalue() + more).encode("utf-8-sig", "replace")


@define(kw_only=True)
class PhoneTest:
    """A test to one's own phone."""

    number: str
    outcome: Outcome
    error: VavaSMSError | None = None


@define(kw_only=True, eq=False)
class Draft:
    """One campaign that is being prepared."""

    id: str = field(factory=lambda: token_urlsafe(9))
    #: The file's, to be shown.
    name: str
    data: bytes = field(repr=False)
    form: CampaignForm = field(factory=CampaignForm, repr=False)
    head: ListHead | None = field(default=None, repr=False)
    #: What becomes of the rows, whatever the text.
    rows: CampaignPlan | None = field(default=None, repr=False)
    #: The rows that are left out, as CSV for Excel; cut off where they are very many.
    refused: bytes = field(default=b"", repr=False)
    #: The whole plan, for the form as it is.
    plan: CampaignPlan | None = field(default=None, repr=False)
    #: Why there is none, or why the rows could not be read.
    error: VavaSMSError | None = None
    #: What became of the test to one's own phone: the number, the text it was for, and the outcome.
    trials: list[PhoneTest] = field(factory=list)
    #: Counts what is worked out: an older answer is of another form.
    version: int = 0
    #: Whether something is being worked out.
    is_busy: bool = False
    #: Whether somebody gave the go, and the campaign is on its way into the ledger.
    is_going: bool = False
    #: The campaign that it became.
    campaign_id: str | None = None

    def seen(self) -> str:
        """Return what tells the plan and the form that a page shows from any other, limits and sender too."""
        plan = "" if self.plan is None else self.plan.hash
        return sha256(f"{plan} {astuple(self.form)}".encode()).hexdigest()

    def listing(self) -> Listing:
        """Return the list as the form says it is read; each has a stream of its own."""
        return Listing(contacts=self.open(), **self.form.reading())

    def open(self) -> BinaryIO:
        """Return the list as a stream."""
        return BytesIO(self.data)


@define(eq=False)
class Drafts:
    """The drafts of a desk, in memory."""

    _drafts: dict[str, Draft] = field(factory=dict)

    def add(self, name: str, data: bytes) -> Draft:
        """Keep a list; the oldest that nobody gave the go for are dropped where there are too many.

        Raises `InvalidInputError` for an empty one.
        """
        if not data.strip():
            raise InvalidInputError(
                _("The list is empty. Nothing was sent."), error_code="list.empty", outcome=None
            )
        draft = Draft(name=name, data=data)
        self._drafts[draft.id] = draft
        for other in [*self._drafts.values()]:
            if self._is_fit() or other is draft:
                break
            if not other.is_going:
                del self._drafts[other.id]
        return draft

    def find(self, draft_id: str) -> Draft | None:
        """Return a draft; None where there is none, or no longer."""
        return self._drafts.get(draft_id)

    def drop(self, draft: Draft) -> None:
        """Forget a draft."""
        self._drafts.pop(draft.id, None)

    def open(self) -> Sequence[Draft]:
        """Return those that are still being prepared, the latest first."""
        return [draft for draft in reversed(self._drafts.values()) if draft.campaign_id is None]

    def _is_fit(self) -> bool:
        size = sum(len(draft.data) + len(draft.refused) for draft in self._drafts.values())
        return len(self._drafts) <= _MAX_DRAFTS and size <= MAX_LISTS
