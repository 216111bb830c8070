"""Write a list into the ledger while it is read: a thread plans ahead, the ledger takes what is ready."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from secrets import randbelow

import anyio
from anyio.abc import ObjectSendStream
from anyio.to_thread import run_sync
from attrs import evolve, frozen

from vavasms.campaigns.planning.contacts import ContactList, Judge, read_contacts
from vavasms.campaigns.planning.contacts.binary import copy_stream
from vavasms.campaigns.planning.contacts.columns import find_columns
from vavasms.campaigns.planning.contacts.number_set import NumberSet
from vavasms.campaigns.planning.history import History
from vavasms.campaigns.planning.lists import Listing
from vavasms.campaigns.planning.observations import is_garbled
from vavasms.campaigns.planning.plan import CampaignPlan, Earlier, Example
from vavasms.campaigns.planning.planner import OnLeftOut, Planner
from vavasms.campaigns.planning.retry import RetryList
from vavasms.campaigns.planning.sample import draw_sample
from vavasms.campaigns.planning.template import find_doubled, parse_template
from vavasms.campaigns.planning.where import bind_conditions
from vavasms.errors import InvalidInputError
from vavasms.i18n import Sentence, ngettext
from vavasms.i18n import gettext as _
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import NewBatch

#: Seeds that are drawn: few digits to type again.
_SEEDS = 1_000_000


async def plan_listing(
    listing: Listing,
    message: str,
    *,
    batch_size: int,
    history: History = History(),  # noqa: B008  frozen
    load: Ledger | None = None,
    campaign_id: str = "",
    on_left_out: Callable[[ContactList], OnLeftOut] | None = None,
) -> CampaignPlan:
    """Plan a list, and write its batches to `load` as they are made.

    `history` is what a ledger knows of the numbers. `on_left_out` makes, of the list that was opened, what is
    called in a thread with each row left out.

    Raises `InvalidInputError` for whatever is wrong with the file or the message, and where nobody is left.
    """
    drawn: Draw | None = None
    if listing.sample is not None:
        seed = randbelow(_SEEDS) if listing.seed is None else listing.seed
        first, listing = await run_sync(_read_twice, evolve(listing, seed=seed))
        drawn = await run_sync(partial(_draw, first, message, history, seed=seed))
    with await run_sync(_open, listing) as contacts:
        planner = _make_planner(contacts, listing, message, batch_size, history, drawn=drawn)
        if on_left_out is not None:
            planner.on_left_out = on_left_out(contacts)
        await _load(planner.plan(contacts), load, campaign_id)
        plan = _describe_reading(contacts, listing, message, planner.result(contacts.phone_column))
        plan = evolve(plan, sampled_from=None if drawn is None else drawn.people)
    return _complete(plan, message, planner, history)


async def plan_retry(
    retry: RetryList, *, batch_size: int, history: History, load: Ledger | None = None, campaign_id: str = ""
) -> CampaignPlan:
    """Plan a campaign of another one's recipients, and write its batches to `load` as they are made.

    Raises `InvalidInputError` where nobody is left: all opted out meanwhile.
    """
    planner = retry.make_planner(batch_size, history)
    with retry.open() as contacts:
        await _load(planner.plan(contacts), load, campaign_id)
    plan = retry.describe(planner.result(phone_column=None))
    return _complete(plan, retry.campaign.message, planner, history)


def _complete(plan: CampaignPlan, message: str, planner: Planner, history: History) -> CampaignPlan:
    """Add what the ledger knows of the recipients. Raises `InvalidInputError` where there are none."""
    plan = evolve(plan, exclude=history.exclude, earlier=_count_earlier(history, message, planner.judge.kept))
    _check_anybody(plan)
    return plan


def _read_twice(listing: Listing) -> tuple[Listing, Listing]:
    """Return a list for two readings, of which each closes its own stream."""
    if isinstance(listing.contacts, Path):
        return listing, listing
    first, second = copy_stream(listing.contacts)
    return evolve(listing, contacts=first), evolve(listing, contacts=second)


@frozen
class Draw:
    """Who was drawn for a sample, and from how many."""

    numbers: frozenset[int]
    people: int


def _draw(listing: Listing, message: str, history: History, *, seed: int) -> Draw:
    """Draw a sample from those who would be sent to."""
    with _open(listing) as contacts:
        planner = _make_planner(contacts, listing, message, 1, history)
        deque(planner.plan(contacts), maxlen=0)
    kept = planner.judge.kept
    return Draw(draw_sample(kept, listing.sample or 0, seed), people=sum(1 for _number in kept))


def _make_planner(
    contacts: ContactList,
    listing: Listing,
    message: str,
    batch_size: int,
    history: History,
    *,
    drawn: Draw | None = None,
) -> Planner:
    template = parse_template(message).bind(
        contacts.columns, fold=listing.fold, opt_out_url=listing.opt_out_url
    )
    return Planner(
        judge=Judge(
            region=listing.region,
            default_region=listing.default_region,
            repair=listing.repair,
            opted_out=history.opted_out,
            excluded=history.excluded,
            drawn=None if drawn is None else drawn.numbers,
        ),
        template=template,
        # No two texts with a link of their own are alike.
        batch_size=1 if template.has_link else batch_size,
        is_plain=template.is_plain,
        keep=find_columns(listing.keep, contacts.columns),
    )


def _count_earlier(history: History, message: str, recipients: NumberSet) -> tuple[Earlier, ...]:
    counts = [reach.count(message, recipients) for reach in history.today]
    return tuple(earlier for earlier in counts if earlier.count)


def _check_anybody(plan: CampaignPlan) -> None:
    """Raise `InvalidInputError` where nobody is left to send to."""
    if not plan.rows and plan.passed_over:
        raise InvalidInputError(
            ngettext(
                "Nobody of this list can be sent to: its row does not hold {conditions}. Nothing was sent.",
                "Nobody of this list can be sent to: none of its {n} rows holds {conditions}. "
                "Nothing was sent.",
                plan.passed_over,
                conditions=", ".join(plan.where),
            ),
            error_code="list.nobody",
        )
    if not plan.recipients:
        raise InvalidInputError(_explain_nobody(plan), error_code="list.nobody")


def _explain_nobody(plan: CampaignPlan) -> Sentence:
    counts = {"refused": plan.refused, "opted_out": plan.opted_out}
    if plan.retry_of is not None:
        return _(
            "Nobody of the campaign {id} can be sent to again: {excluded} have the same message of another "
            "campaign since, {opted_out} opted out. Nothing was sent.",
            id=plan.retry_of,
            excluded=plan.excluded,
            opted_out=plan.opted_out,
        )
    if plan.excluded:
        return _(
            "Nobody of this list can be sent to: {excluded} have the message of {campaigns}, "
            "{refused} refused, {opted_out} opted out.",
            **counts,
            excluded=plan.excluded,
            campaigns=", ".join(plan.exclude),
        )
    if plan.refused:
        return _(
            "Nobody of this list can be sent to: {refused} refused, {opted_out} opted out: "
            "see `vavasms numbers check`.",
            **counts,
        )
    return _("Nobody of this list can be sent to: {refused} refused, {opted_out} opted out.", **counts)


def _open(listing: Listing) -> ContactList:
    contacts = read_contacts(
        listing.contacts,
        phone_column=listing.phone_column,
        sheet=listing.sheet,
        encoding=listing.encoding,
    )
    try:
        return evolve(contacts, keeps=bind_conditions(listing.where, contacts.columns))
    except InvalidInputError:
        contacts.stream.close()
        raise


def _describe_reading(
    contacts: ContactList, listing: Listing, message: str, plan: CampaignPlan
) -> CampaignPlan:
    """Add what is known of the file, how it was read, and of the message as it was written."""
    strays = contacts.strays
    garbled = Example(count=plan.recipients, row=0, text=message) if is_garbled(message) else plan.garbled
    return evolve(
        plan,
        sheet=contacts.sheet,
        encoding=contacts.encoding,
        strays=Example(count=strays.count, row=strays.row, text=strays.text) if strays.count else None,
        garbled=garbled,
        doubled=find_doubled(message, contacts.columns),
        where=tuple(condition.text for condition in listing.where),
        passed_over=contacts.passed_over.count,
        keep=tuple(contacts.columns[place] for place in find_columns(listing.keep, contacts.columns)),
        sample=listing.sample,
        seed=listing.seed,
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
