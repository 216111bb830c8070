"""What a campaign will do and cost, worked out before the first SMS. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal

from attrs import asdict, evolve, field, frozen


@frozen(kw_only=True)
class Example:
    """How often a repair or a refusal occurs, and the first of them."""

    count: int
    #: The row as a spreadsheet counts it.
    row: int
    #: As it was written.
    text: str = field(repr=False)
    #: What it became; None where it was refused.
    became: str | None = field(default=None, repr=False)


@frozen(kw_only=True)
class Earlier:
    """Who of a list was sent to already today, by one campaign or by single sends."""

    #: None: by single sends.
    campaign_id: str | None
    #: Under what name; None of single sends, which may have had several.
    sender_id: str | None
    #: Whether its message is the very same, columns as they were written.
    is_same_message: bool
    #: Of the recipients of the plan; what is unknown counts, for it may have been sent.
    count: int


@frozen(kw_only=True)
class CampaignPlan:
    """A dry run; `recipients` are the kept.

    kept + duplicates + opted_out + excluded + not_drawn + refused = numbers.
    """

    #: Rows that hold anything, the header and those that are passed over not counted.
    rows: int
    #: Numbers read: a cell may hold several, an empty one counts as one that is refused.
    numbers: int
    #: Repaired ones too.
    kept: int
    repaired: int
    duplicates: int
    opted_out: int
    refused: int
    recipients: int
    #: Calls of the gateway that send.
    requests: int
    #: SMS to pay, over all recipients.
    segments: int
    #: XOF; None where no unit price was given.
    cost: Decimal | None = None
    #: Changes with any recipient and any text; names what would be sent.
    hash: str
    #: Of each country, its recipients; `operators` the same by the first owner of the range.
    countries: Mapping[str, int] = field(factory=dict)
    operators: Mapping[str, int] = field(factory=dict)
    #: By a value of `NumberFault`, and `empty_message` for a row whose text came out empty.
    repairs: Mapping[str, Example] = field(factory=dict)
    refusals: Mapping[str, Example] = field(factory=dict)
    #: Recipients whose text needs UCS-2, and the characters that push them there, by recipients.
    ucs2_recipients: int = 0
    offending: Mapping[str, int] = field(factory=dict)
    #: What `segments` would be with every text folded; the same where that saves nothing.
    segments_if_folded: int = 0
    #: Columns without fallback that are empty, by recipients.
    missing: Mapping[str, int] = field(factory=dict)
    #: True where the columns leave hardly two texts alike: a request for nearly each recipient.
    is_personal: bool = False
    #: True where each text holds an opt-out link of its own: a request for each recipient.
    has_opt_out_link: bool = False
    #: The first text as it will be sent.
    first_text: str = field(default="", repr=False)
    phone_column: str | None = None
    #: The sheet that was read; None where the list is no spreadsheet.
    sheet: str | None = None
    #: The encoding of the list, as Python names it; None for a spreadsheet.
    encoding: str | None = None
    #: Records that were not in that encoding, and were read in another.
    strays: Example | None = None
    #: Texts that look as if they had been read in a wrong encoding, by recipients; row 0 is the message.
    garbled: Example | None = None
    #: Cells of the message's columns that say `NULL`, `#N/A` and the like, and count as empty.
    no_values: int = 0
    #: Of the duplicates, those whose text is another than the one that is sent.
    differing: Example | None = None
    #: Columns of the message that no row fills.
    unfilled: tuple[str, ...] = ()
    #: Columns of the list that stand in doubled braces in the message, and are not filled in.
    doubled: tuple[str, ...] = ()
    #: XOF on the account; None where it was not asked for.
    balance: Decimal | None = None
    #: Conditions on the rows, and the rows that are passed over for not holding them.
    where: tuple[str, ...] = ()
    passed_over: int = 0
    #: Who have the message of another campaign, or may have it, and are left out: its id is in `exclude`.
    excluded: int = 0
    exclude: tuple[str, ...] = ()
    #: How many were to be drawn, of how many people, and by which seed; None where nobody asked for a sample.
    sample: int | None = None
    sampled_from: int | None = None
    seed: int | None = None
    not_drawn: int = 0
    #: The campaign whose recipients these are, how many of them for which `RetryReason`, and how many more
    #: are in an earlier retry of it; None and none of any other list.
    retry_of: str | None = None
    retries: Mapping[str, int] = field(factory=dict)
    retried_before: int = 0
    #: The columns whose cells are kept with each recipient, by their names in the list.
    keep: tuple[str, ...] = ()
    #: Who of the recipients was sent to already today.
    earlier: tuple[Earlier, ...] = ()
    #: When it ends, in seconds since the epoch, if it starts now; None where nobody asked.
    ends_at: float | None = None

    @property
    def balance_after(self) -> Decimal | None:
        """The XOF that will be left; None where the balance or the price is not known."""
        return None if self.balance is None or self.cost is None else self.balance - self.cost

    @property
    def cost_if_folded(self) -> Decimal | None:
        """What `cost` would be with every text folded."""
        if self.cost is None or not self.segments:
            return self.cost
        return self.cost / self.segments * self.segments_if_folded


def dump_plan(plan: CampaignPlan) -> str:
    """Write a plan as JSON, without what names a person: examples keep their counts only."""
    bare = evolve(
        plan,
        first_text="",
        # They may name somebody.
        where=(),
        repairs={reason: _drop_texts(example) for reason, example in plan.repairs.items()},
        refusals={reason: _drop_texts(example) for reason, example in plan.refusals.items()},
        strays=plan.strays and _drop_texts(plan.strays),
        garbled=plan.garbled and _drop_texts(plan.garbled),
        differing=plan.differing and _drop_texts(plan.differing),
    )
    return json.dumps(asdict(bare), default=str, separators=(",", ":"))


def _drop_texts(example: Example) -> Example:
    return evolve(example, text="", became=None)
