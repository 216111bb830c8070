"""Write a list into the ledger while it is read: a thread plans ahead, the ledger takes what is ready."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

import anyio
from anyio.abc import ObjectSendStream
from anyio.to_thread import run_sync
from attrs import evolve, field, frozen
from attrs.converters import optional

from vavasms.arguments import NOTHING_SENT, check_flags
from vavasms.campaigns.planning.contacts import ContactList, Judge, read_contacts
from vavasms.campaigns.planning.observations import is_garbled
from vavasms.campaigns.planning.plan import CampaignPlan, Example
from vavasms.campaigns.planning.planner import OnLeftOut, Planner
from vavasms.campaigns.planning.template import find_doubled, parse_template
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import NewBatch
from vavasms.numbers import check_region

#: Called with the rows read so far.
OnRows = Callable[[int], object]


def _to_source(contacts: str | Path | BinaryIO) -> Path | BinaryIO:
    return Path(contacts) if isinstance(contacts, str) else contacts


@frozen(kw_only=True)
class Listing:
    """Which contacts, and how they are read."""

    #: A file (CSV, XLSX), or a stream of one that can be read twice.
    contacts: Path | BinaryIO = field(repr=False, converter=_to_source)
    #: The column of the numbers; None: the one whose name says so.
    phone_column: str | None = None
    #: Of a spreadsheet; None: the first that holds anything.
    sheet: str | None = None
    #: Of a text; None: a mark, UTF-8, or cp1252 for each record that is no UTF-8.
    encoding: str | None = None
    #: The country of all numbers, where it is known: makes old eight-digit ones readable.
    region: str | None = field(default=None, converter=optional(check_region))
    #: The country of national numbers of the present plan.
    default_region: str = "CI"
    #: Take the new number in place of an old or spoiled one.
    repair: bool = False
    #: Make the texts GSM-7 where that keeps their sense.
    fold: bool = False

    def __attrs_post_init__(self) -> None:
        check_flags(NOTHING_SENT, repair=self.repair, fold=self.fold)


async def plan_listing(
    listing: Listing,
    message: str,
    *,
    batch_size: int,
    opted_out: frozenset[int] = frozenset(),
    load: Ledger | None = None,
    campaign_id: str = "",
    on_left_out: Callable[[ContactList], OnLeftOut] | None = None,
) -> CampaignPlan:
    """Plan a list, and write its batches to `load` as they are made.

    `on_left_out` makes, of the list that was opened, what is called in a thread with each row left out.

    Raises `InvalidInputError` for whatever is wrong with the file or the message, and where nobody is left.
    """
    with await run_sync(_open, listing) as contacts:
        template = parse_template(message)
        bound = template.bind(contacts.columns, fold=listing.fold)
        judge = Judge(
            region=listing.region,
            default_region=listing.default_region,
            repair=listing.repair,
            opted_out=opted_out,
        )
        planner = Planner(
            judge=judge,
            template=bound,
            batch_size=batch_size,
            is_plain=template.is_plain,
            on_left_out=None if on_left_out is None else on_left_out(contacts),
        )
        await _load(planner.plan(contacts), load, campaign_id)
        plan = _describe_reading(contacts, message, planner.result(contacts.phone_column))
    if not plan.recipients:
        counts = {"refused": plan.refused, "opted_out": plan.opted_out}
        sentence = _(
            "Nobody of this list can be sent to: {refused} refused, {opted_out} opted out.", **counts
        )
        if plan.refused:
            sentence = _(
                "Nobody of this list can be sent to: {refused} refused, {opted_out} opted out: "
                "see `vavasms numbers check`.",
                **counts,
            )
        raise InvalidInputError(sentence, error_code="list.nobody")
    return plan


def _open(listing: Listing) -> ContactList:
    return read_contacts(
        listing.contacts,
        phone_column=listing.phone_column,
        sheet=listing.sheet,
        encoding=listing.encoding,
    )


def _describe_reading(contacts: ContactList, message: str, plan: CampaignPlan) -> CampaignPlan:
    """Add what is known of the file, and of the message as it was written."""
    strays = contacts.strays
    garbled = Example(count=plan.recipients, row=0, text=message) if is_garbled(message) else plan.garbled
    return evolve(
        plan,
        sheet=contacts.sheet,
        encoding=contacts.encoding,
        strays=Example(count=strays.count, row=strays.row, text=strays.text) if strays.count else None,
        garbled=garbled,
        doubled=find_doubled(message, contacts.columns),
    )


async def _load(chunks: Iterator[list[NewBatch]], ledger: Ledger | None, campaign_id: str) -> None:
    """Plan one chunk ahead of the writing."""
    if ledger is None:
        await run_sync(partial(deque, chunks, maxlen=0))
        return
    out, ready = anyio.create_memory_object_stream[list[NewBatch]](1)
    # The list's and the ledger's: raised below, not within the task group's own.
    errors: list[Exception] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_plan_ahead, chunks, out, errors)
        async with ready:
            try:
                async for batches in ready:
                    await ledger.load(campaign_id, batches)
            except Exception as error:  # noqa: BLE001
                errors.append(error)
                tasks.cancel_scope.cancel()
    if errors:
        raise errors[0]


async def _plan_ahead(
    chunks: Iterator[list[NewBatch]], out: ObjectSendStream[list[NewBatch]], errors: list[Exception]
) -> None:
    async with out:
        try:
            while (chunk := await run_sync(next, chunks, None)) is not None:
                await out.send(chunk)
        except Exception as error:  # noqa: BLE001
            errors.append(error)
