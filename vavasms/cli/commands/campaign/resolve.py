"""`campaign resolve`: what is unknown, and what a person decides about it."""

from __future__ import annotations

import math
import textwrap
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from attrs import evolve, frozen
from cyclopts import Parameter

from vavasms.campaigns.decisions import find_shown
from vavasms.campaigns.policy import Policy, load_policy
from vavasms.campaigns.words import MARKED_AS_SENT
from vavasms.cli import exit_codes, output
from vavasms.cli.commands.campaign.plan_view import write_money
from vavasms.cli.ledger_option import LedgerPath, repeat_option, run_on_ledger
from vavasms.cli.output import moment
from vavasms.cli.params import CampaignId, JsonFlag, Yes, flag
from vavasms.cli.prompts import confirm
from vavasms.errors import InvalidInputError, LedgerBusyError
from vavasms.i18n import Sentence, current_language, format_moment, ngettext
from vavasms.i18n import gettext as _
from vavasms.ledger.base import Ledger
from vavasms.ledger.kept import say_error
from vavasms.ledger.leases import RESEND_GRACE
from vavasms.ledger.models import StoredBatch

_WIDTH = 76


@Parameter(name="*")
@frozen(kw_only=True)
class ResolveOptions:
    """What is decided, and about which batches."""

    mark_sent: Annotated[bool, flag(_("Take them for accepted; nothing is sent."))] = False
    resend: Annotated[bool, flag(_("Queue them again: who has it gets a second SMS."))] = False
    batch: Annotated[
        tuple[int, ...],
        Parameter(
            metavar=_("NO"), negative=(), show_default=False, help=_("This batch only; may be repeated.")
        ),
    ] = ()
    unit_price: Annotated[
        Decimal | None,
        Parameter(metavar="XOF", help=_("What one segment costs, if the campaign does not say.")),
    ] = None
    yes: Yes = False


def resolve(
    campaign_id: CampaignId,
    /,
    *,
    options: ResolveOptions = ResolveOptions(),
    ledger: LedgerPath = None,
    as_json: JsonFlag = False,
) -> int:
    """Show the batches whose outcome is unknown, and decide on them."""
    if options.mark_sent and options.resend:
        raise InvalidInputError(
            _("--mark-sent and --resend exclude each other: name the batches of each with --batch."),
            error_code="usage.options",
            outcome=None,
        )
    resolution = _Resolution(
        campaign_id=campaign_id, options=options, again=repeat_option(ledger), as_json=as_json
    )
    return run_on_ledger(ledger, resolution.run)


@frozen(kw_only=True)
class _Resolution:
    campaign_id: str
    options: ResolveOptions
    #: The ledger's option, for commands to be copied.
    again: str
    as_json: bool

    async def run(self, ledger: Ledger) -> int:
        """List, and decide where that was asked for; return the exit code."""
        deciding = self.options.mark_sent or self.options.resend
        policy = await self._policy(ledger)
        await _reap(ledger)
        batches = self._choose(await ledger.unknown(self.campaign_id))
        if deciding and is_purged(batches):
            raise InvalidInputError(
                _("The numbers of this campaign are forgotten: nothing can be decided any more."),
                error_code="campaign.purged",
                outcome=None,
            )
        if not (deciding and self.as_json):
            self._list(batches, policy, deciding=deciding)
        changed = await self._decide(ledger, batches) if deciding and batches else 0
        left = (await ledger.status(self.campaign_id)).unknown
        if deciding:
            self._report(changed, left)
        return exit_codes.UNKNOWN if left else exit_codes.DONE

    async def _policy(self, ledger: Ledger) -> Policy:
        policy = load_policy((await ledger.campaign(self.campaign_id)).policy)
        price = self.options.unit_price
        return policy if price is None else evolve(policy, unit_price=price)

    def _choose(self, batches: Sequence[StoredBatch]) -> Sequence[StoredBatch]:
        wanted = set(self.options.batch)
        if missing := wanted - {batch.number for batch in batches}:
            raise InvalidInputError(
                _(
                    "The outcome of batch {number} is not unknown: see `vavasms campaign resolve {id}`. "
                    "Nothing was changed.",
                    number=str(min(missing)),
                    id=self.campaign_id,
                ),
                error_code="campaign.batch",
                outcome=None,
            )
        return [batch for batch in batches if batch.number in wanted] if wanted else batches

    def _list(self, batches: Sequence[StoredBatch], policy: Policy, *, deciding: bool) -> None:
        if self.as_json:
            for batch in batches:
                output.print_json(make_object(batch, policy))
            return
        show_unknown(self.campaign_id, batches, policy)
        if batches and not deciding and not is_purged(batches):
            name = f"vavasms campaign resolve {output.clean(self.campaign_id)}"
            people = sum(map(included, batches))
            sent, not_sent = _("If they were sent:"), _("If they were not sent:")
            if people == 1:
                sent, not_sent = _("If it was sent:"), _("If it was not sent:")
            width = max(len(sent), len(not_sent)) + 2
            output.say(f"{sent:<{width}}{name} --mark-sent{self.again}")
            output.say(f"{not_sent:<{width}}{name} --resend{self.again}")

    async def _decide(self, ledger: Ledger, batches: Sequence[StoredBatch]) -> int:
        """Decide so that no late answer of a living runner can come in between.

        A file has a lock for that; on a shared ledger, what was sent too recently is not sent again.
        """
        confirm(self._question(batches), word=self.campaign_id, yes=self.options.yes)
        if ledger.is_shared:
            return await self._change(ledger, batches, sent_before=await ledger.now() - RESEND_GRACE)
        with suppress(LedgerBusyError):
            async with ledger.take_over(time.time()):
                return await self._change(ledger, batches, sent_before=math.inf)
        raise LedgerBusyError(
            _(
                "A runner is at work on this ledger: wait for its end, or stop it, then decide. "
                "Nothing was changed."
            )
        )

    async def _change(self, ledger: Ledger, shown: Sequence[StoredBatch], *, sent_before: float) -> int:
        sent_at = {batch.number: batch.sending_at for batch in shown}
        numbers = await find_shown(ledger, self.campaign_id, sent_at)
        if self.options.mark_sent:
            return await ledger.mark_sent(self.campaign_id, numbers, note=MARKED_AS_SENT)
        _warn_of_recent([sent_at[number] or 0.0 for number in numbers], sent_before)
        return await ledger.resend(self.campaign_id, numbers, sent_before=sent_before)

    def _question(self, batches: Sequence[StoredBatch]) -> str:
        people = sum(map(included, batches))
        if self.options.mark_sent:
            return ngettext(
                "{n} recipient will be taken for accepted: they are not sent to again.",
                "{n} recipients will be taken for accepted: they are not sent to again.",
                people,
            )
        return ngettext(
            "{n} recipient will be sent to again: whoever has the SMS gets a second one, paid again.",
            "{n} recipients will be sent to again: whoever has the SMS gets a second one, paid again.",
            people,
        )

    def _report(self, changed: int, left: int) -> None:
        if self.as_json:
            decision = "mark_sent" if self.options.mark_sent else "resend"
            counts = {"batches": changed, "unknown": left}
            output.print_json({"id": self.campaign_id, "decision": decision, **counts})
            return
        if self.options.mark_sent and changed:
            output.say(ngettext("Marked as sent: {n} batch.", "Marked as sent: {n} batches.", changed))
        elif changed:
            output.say(
                ngettext(
                    "Queued again: {n} batch. A campaign that does not run waits for you:",
                    "Queued again: {n} batches. A campaign that does not run waits for you:",
                    changed,
                )
            )
            output.say(f"  vavasms campaign resume {output.clean(self.campaign_id)}{self.again}")


async def _reap(ledger: Ledger) -> None:
    """Find what a dead runner had under way; beside a living one there is nothing to find."""
    if ledger.is_shared:
        from vavasms.ledger.postgres.ledger import PostgresLedger

        assert isinstance(ledger, PostgresLedger)
        await ledger.reap_orphans(now=await ledger.now())
        return
    with suppress(LedgerBusyError):
        async with ledger.take_over(time.time()):
            pass


def _warn_of_recent(sent_at: Sequence[float], sent_before: float) -> None:
    """Warn of what is left as it is, since a call may still be under way, and until when."""
    recent = [at for at in sent_at if at >= sent_before]
    if recent:
        minutes = int((max(recent) - sent_before) // 60) + 1
        output.warn(
            _(
                "Too recent to be sent again, an answer may still come: {batches}. Try in {minutes}",
                batches=ngettext("{n} batch", "{n} batches", len(recent)),
                minutes=ngettext("{n} minute", "{n} minutes", minutes),
            )
        )


def included(batch: StoredBatch) -> int:
    """Count the recipients that were sent to, those left out at the claim not."""
    return sum(exclusion is None for _number, exclusion in batch.recipients)


def is_purged(batches: Sequence[StoredBatch]) -> bool:
    """Return whether the numbers are forgotten: nobody is left to decide on."""
    return bool(batches) and not any(batch.recipients for batch in batches)


def risk(batch: StoredBatch) -> int:
    """Return the segments that were perhaps paid, and would be once more."""
    return included(batch) * batch.segments


def make_object(batch: StoredBatch, policy: Policy) -> dict[str, object]:
    """Return a batch as JSON has it."""
    return {
        "batch": batch.number,
        "recipients": included(batch),
        "segments": risk(batch),
        "cost": policy.cost(risk(batch)),
        "sent_at": None if batch.sending_at is None else moment(batch.sending_at),
        "error": batch.record.error,
        "lot_id": batch.record.lot_id or None,
        "message_ids": batch.record.message_ids,
        "balance_before": batch.balance_before,
        "balance_after": batch.balance_after,
    }


def show_unknown(campaign_id: str, batches: Sequence[StoredBatch], policy: Policy) -> None:
    """Show each batch with what it may cost and what hints at its fate."""
    name = output.clean(campaign_id)
    if not batches:
        output.say(_("Nothing of the campaign {id} is unknown.", id=name))
        return
    if is_purged(batches):
        output.say(_("What is unknown of the campaign {id} stays so: its numbers are forgotten.", id=name))
        return
    head = ngettext(
        "Campaign {id}: for {n} recipient it is unknown whether the SMS was sent.",
        "Campaign {id}: for {n} recipients it is unknown whether the SMS was sent.",
        sum(map(included, batches)),
        id=name,
    )
    output.say(head, style="bold")
    output.say(_tell_risk(sum(map(risk, batches)), policy))
    for batch in batches:
        _show_batch(batch, policy)
    output.say()


def _tell_risk(segments: int, policy: Policy) -> Sentence:
    counted, cost = ngettext("{n} segment", "{n} segments", segments), policy.cost(segments)
    if cost is None:
        return _("Sending again risks paying {segments} twice.", segments=counted)
    return _(
        "Sending again risks paying {segments} twice: {cost} more.", segments=counted, cost=write_money(cost)
    )


def _show_batch(batch: StoredBatch, policy: Policy) -> None:
    values = {
        "number": str(batch.number),
        "people": ngettext("{n} recipient", "{n} recipients", included(batch)),
        "price": _price(risk(batch), policy),
    }
    output.say()
    if batch.sending_at is None:
        output.say(_("Batch {number}: {people}, {price}", **values))
    else:
        when = _show_moment(batch.sending_at)
        output.say(_("Batch {number}: {people}, sent at {when}, {price}", **values, when=when))
    kept = batch.record.error
    error = output.clean(say_error(kept) if kept else _("No word is kept of what happened."))
    output.say(textwrap.indent(textwrap.fill(error, _WIDTH), "  "))
    if batch.record.lot_id:
        lot = _("The gateway named the lot {id}.", id=output.clean(batch.record.lot_id))
        output.say(f"  {lot}")
    hint = _hint(batch.balance_before, batch.balance_after)
    output.say(textwrap.indent(textwrap.fill(hint, _WIDTH), "  "))


def _show_moment(at: float) -> str:
    """Return a moment for people: of this machine's zone in French, of UTC in English, as in JSON."""
    # The clock on the wall is what people compare with; the English one is also read by programs.
    return (
        moment(at) if current_language() == "en" else format_moment(datetime.fromtimestamp(at).astimezone())
    )


def _price(segments: int, policy: Policy) -> str:
    cost = policy.cost(segments)
    counted = ngettext("{n} segment", "{n} segments", segments)
    return counted if cost is None else f"{counted}, {write_money(cost)}"


def _hint(before: Decimal | None, after: Decimal | None) -> str:
    if before is None or after is None:
        return _("The balance was not read on both sides of it.")
    sign = "+" if after >= before else ""
    change = f"{sign}{write_money(after - before)}"
    return _(
        "Balance: {before} before, {after} after, that is {change}. Other batches may have a part in it.",
        before=write_money(before),
        after=write_money(after),
        change=change,
    )
