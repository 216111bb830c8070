"""The pages of the admin: single sends, the unknown, opt-outs, campaigns; all by the ledger's own calls."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from attrs import frozen
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import Error
from django.http import HttpRequest, HttpResponse, QueryDict

from vavasms.campaigns.decisions import find_shown
from vavasms.campaigns.words import MARKED_AS_SENT, TAKEN_BACK, tell_state
from vavasms.desk.words import STATES, name_source
from vavasms.django.admin_page import Choice, LedgerAdmin, LedgerPage, Row, Section, TextForm, show_moment
from vavasms.django.ledger import run_on_ledger
from vavasms.django.models import CampaignEntry, OptedOutNumber, PendingSend, SingleSend, UnknownSend
from vavasms.django.settings import read_settings
from vavasms.django.signals import announce, opted_out
from vavasms.django.transactions import has_table, list_databases
from vavasms.errors import InvalidInputError
from vavasms.i18n import format_number
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.base import Ledger
from vavasms.ledger.kept import say_error
from vavasms.ledger.leases import RESEND_GRACE
from vavasms.ledger.models import Campaign, CampaignStatus, OptOut, StoredBatch
from vavasms.ledger.send_record import SendKind, SendRecord
from vavasms.ledger.states import BatchState
from vavasms.numbers import Msisdn, check_region, parse_msisdn

_SHOWN, _LISTED = 100, 50
#: What a ledger has of a number that was put on the list here.
_SOURCE = "admin"


async def _read_sends(ledger: Ledger, states: Sequence[BatchState]) -> Sequence[SendRecord]:
    # What a process that died had under way is unknown from now on.
    await ledger.sends.reap(now=await ledger.now())
    return await ledger.sends.records(None, states=states, since=0.0, limit=_SHOWN + 1)


async def _find_sends(ledger: Ledger, key: str) -> Sequence[SendRecord]:
    found = [await ledger.sends.find(account, key) for account in await ledger.sends.accounts(key)]
    return [record for record in found if record is not None]


def _show_recipients(record: SendRecord) -> str:
    first, others = "".join(one.e164 for one in record.recipients[:1]), len(record.recipients) - 1
    # Not within the other text: before Python 3.12 Babel does not find it there.
    more = _("and {n} more", n=others)
    return f"{first} {more}" if others > 0 else first


def _show_send(record: SendRecord) -> list[str]:
    return [
        show_moment(record.created_at),
        _(STATES[record.state]),
        _show_recipients(record),
        _("a one-time code") if record.kind is SendKind.OTP else _("a text"),
        record.key,
        say_error(record.error) if record.error else "–",
    ]


def _send_columns() -> list[str]:
    return [_("When"), _("State"), _("To"), _("What"), _("Key"), _("What happened")]


@admin.register(SingleSend)
class SingleSendAdmin(LedgerAdmin):
    """The latest sends, and one by its key."""

    def make_page(self, _request: HttpRequest) -> LedgerPage:
        """Return the latest."""
        records = run_on_ledger(lambda ledger: _read_sends(ledger, tuple(BatchState)))
        more = _("Older ones: look up a key.") if len(records) > _SHOWN else ""
        return self._list(_("The latest"), records[:_SHOWN], more=more)

    def decide(self, request: HttpRequest) -> HttpResponse | None:
        """Find the sends of a key."""
        key = request.POST.get("typed", "").strip()
        if not key:
            return None
        records = run_on_ledger(lambda ledger: _find_sends(ledger, key))
        return self.show(request, self._list(_("Found"), records, value=key))

    def _list(
        self, title: str, records: Sequence[SendRecord], *, more: str = "", value: str = ""
    ) -> LedgerPage:
        rows = [Row(cells=_show_send(record)) for record in records]
        return LedgerPage(
            intro=_("What the project and the command line sent one by one, with a key."),
            form=TextForm(
                label=_("Key"), choices=[Choice(name="search", label=_("Look it up"))], value=value
            ),
            sections=[
                Section(title=title, columns=_send_columns(), rows=rows, empty=_("None yet."), more=more)
            ],
        )


@frozen
class UnknownBatches:
    """The unknown batches of a campaign."""

    campaign: Campaign
    batches: Sequence[StoredBatch]


async def _read_unknown_batches(ledger: Ledger) -> Sequence[UnknownBatches]:
    return [
        UnknownBatches(await ledger.campaign(status.id), await ledger.unknown(status.id))
        for status in await ledger.statuses()
        if status.unknown
    ]


@admin.register(UnknownSend)
class UnknownSendAdmin(LedgerAdmin):
    """What a person must decide on: was it sent?"""

    def make_page(self, request: HttpRequest) -> LedgerPage:
        """Return the sends, the batches of campaigns, and what was enqueued and cannot be kept."""
        may_decide = self.has_change_permission(request)
        records = run_on_ledger(lambda ledger: _read_sends(ledger, [BatchState.UNKNOWN]))
        sends = Section(
            title=_("Single sends"),
            columns=_send_columns(),
            rows=[_make_send_row(record, may_decide=may_decide) for record in records[:_SHOWN]],
            empty=_("None."),
            more=_say_more(records, _SHOWN),
        )
        batches = [
            _make_batches(unknown, may_decide=may_decide) for unknown in run_on_ledger(_read_unknown_batches)
        ]
        refused, away = _list_refused(may_decide=may_decide)
        error = (
            _("{names} does not answer: what is refused there is not shown.", names=", ".join(away))
            if away
            else ""
        )
        intro = _(
            "VavaSMS was asked to send, and its answer never came. Look at the phone, or at the list of "
            "messages in your VavaSMS account. Then decide."
        )
        shown = [refused] if refused.rows else []
        return LedgerPage(intro=intro, sections=[sends, *batches, *shown], error=error)

    def decide(self, request: HttpRequest) -> HttpResponse | None:
        """Write what a person found out."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        typed = request.POST
        is_sent = typed.get("decision") == "sent"
        if not is_sent and not typed.get("sure"):
            raise InvalidInputError(
                _("Tick the box first: who has the SMS gets a second one. Nothing was changed."),
                error_code="desk.not_confirmed",
            )
        entry = _DECISIONS.get(typed.get("kind", ""), _decide_send)(typed, is_sent)
        self.note(request, entry, MARKED_AS_SENT if is_sent else TAKEN_BACK)
        messages.success(request, _("It is written down."))
        return None


def _say_more(found: Sequence[object], shown: int) -> str:
    """Return that not all is shown, where it is not."""
    return _("There are more: they are shown once these are dealt with.") if len(found) > shown else ""


def _choose(was_sent: str, was_not: str) -> Sequence[Choice]:
    sure = _("I know that whoever has the SMS gets a second one, paid again")
    return [Choice(name="sent", label=was_sent), Choice(name="again", label=was_not, sure=sure)]


def _write_attempt(at: float | None) -> str:
    """Write which attempt is shown, exactly."""
    return "" if at is None else at.hex()


def _read_attempt(written: str) -> float | None:
    """Read it again. Raises `ValueError` for what is none."""
    try:
        return float.fromhex(written) if written else None
    except OverflowError:
        # No ledger has it: as any other that is not there any more.
        return math.nan


def _make_send_row(record: SendRecord, *, may_decide: bool) -> Row:
    label = _("It was not: send again") if record.is_enqueued else _("It was not: its key may be used again")
    fields = {
        "kind": "send",
        "account": record.account,
        "key": record.key,
        "attempt": _write_attempt(record.sent_at),
        "again": "yes" if record.is_enqueued else "",
    }
    return Row(
        cells=_show_send(record),
        fields=fields,
        choices=_choose(_("It was sent"), label) if may_decide else (),
    )


def _decide_send(typed: QueryDict, is_sent: bool) -> str:
    """Decide on a send by the attempt that was shown; return what names it."""

    async def work(ledger: Ledger) -> None:
        account, key = typed["account"], typed["key"]
        record = await ledger.sends.find(account, key)
        if record is not None and _write_attempt(record.sent_at) != typed["attempt"]:
            raise InvalidInputError(
                _("This send was tried again since: look at it anew. Nothing was changed."),
                error_code="desk.stale_page",
            )
        await ledger.sends.resolve(
            account,
            key,
            sent=is_sent,
            # The text of the others is their callers', who send it anew with its key.
            again=bool(typed["again"]) and not is_sent,
            note=MARKED_AS_SENT if is_sent else TAKEN_BACK,
            now=await ledger.now(),
        )

    run_on_ledger(work)
    return str(typed["key"])


def _make_batches(unknown: UnknownBatches, *, may_decide: bool) -> Section:
    choices = _choose(_("They were sent"), _("They were not: send again")) if may_decide else ()
    rows = [
        Row(
            cells=[
                str(batch.number),
                show_moment(batch.sending_at),
                ", ".join(recipient.e164 for recipient, _why in batch.recipients[:3]),
                format_number(len(batch.recipients)),
                say_error(batch.record.error) if batch.record.error else "–",
            ],
            fields={
                "kind": "batch",
                "campaign": unknown.campaign.id,
                "number": str(batch.number),
                "attempt": _write_attempt(batch.sending_at),
            },
            choices=choices,
        )
        for batch in unknown.batches[:_LISTED]
    ]
    return Section(
        title=_("Campaign {id}", id=unknown.campaign.id),
        note=_("What is to be sent again goes out once somebody goes on with the campaign."),
        columns=[_("Batch"), _("When"), _("To"), _("Recipients"), _("What happened")],
        rows=rows,
        empty=_("Their numbers are forgotten: nothing can be decided any more."),
        more=_say_more(unknown.batches, _LISTED),
    )


def _decide_batch(typed: QueryDict, is_sent: bool) -> str:
    """Decide on a batch by the attempt that was shown; return what names it."""
    campaign, sent_at = typed["campaign"], _read_attempt(typed["attempt"])
    shown = {int(typed["number"]): sent_at}

    async def work(ledger: Ledger) -> int:
        numbers = await find_shown(ledger, campaign, shown)
        if is_sent:
            return await ledger.mark_sent(campaign, numbers, note=MARKED_AS_SENT)
        # What somebody else has sent again since the look just now is a later attempt.
        sent_before = math.nextafter(sent_at or 0.0, math.inf)
        if ledger.is_shared:
            sent_before = min(sent_before, await ledger.now() - RESEND_GRACE)
        return await ledger.resend(campaign, numbers, sent_before=sent_before)

    if not run_on_ledger(work):
        raise InvalidInputError(
            _("This batch changed since, or was sent a moment ago: look at it anew. Nothing was changed."),
            error_code="desk.stale_page",
        )
    return f"{campaign} {typed['number']}"


def _read_refused() -> tuple[list[tuple[str, PendingSend]], list[str]]:
    """Return what each database has, one more than is shown, and which do not answer."""
    refused: list[tuple[str, PendingSend]] = []
    away: list[str] = []
    for alias in list_databases():
        try:
            if has_table(alias):
                rows = PendingSend.objects.using(alias).filter(is_refused=True).order_by("-pk")
                refused += [(alias, row) for row in rows[: _LISTED + 1]]
        except Error:
            away.append(alias)
    return refused, away


def _list_refused(*, may_decide: bool) -> tuple[Section, list[str]]:
    """Return what was enqueued in a transaction and cannot be kept, and which databases do not answer.

    It has no outcome but not sent.
    """
    refused, away = _read_refused()
    choices = [Choice(name="forget", label=_("Forget it"), sure=_("It will never be sent"))]
    rows = [
        Row(
            cells=[show_moment(each.created_at.timestamp()), each.idempotency_key, each.error_code],
            fields={"kind": "refused", "alias": alias, "number": str(each.pk)},
            choices=choices if may_decide else (),
        )
        for alias, each in refused[:_LISTED]
    ]
    section = Section(
        title=_("Enqueued, and refused by the ledger: not sent"),
        note=_("`vavasms explain CODE` says what each code means."),
        columns=[_("When"), _("Key"), _("code")],
        rows=rows,
        empty=_("None."),
        more=_say_more(refused, _LISTED),
    )
    return section, away


def _forget_refused(typed: QueryDict, is_sent: bool) -> str:
    if is_sent or typed["alias"] not in list_databases():
        # It is of no page of ours.
        raise ValueError
    rows = PendingSend.objects.using(typed["alias"]).filter(is_refused=True)
    if not rows.filter(pk=typed["number"]).delete()[0]:
        raise InvalidInputError(
            _("It is not there any more. Nothing was changed."), error_code="desk.stale_page"
        )
    return f"PendingSend({typed['number']})"


_DECISIONS: Mapping[str, Callable[[QueryDict, bool], str]] = {
    "batch": _decide_batch,
    "refused": _forget_refused,
}


@admin.register(OptedOutNumber)
class OptedOutNumberAdmin(LedgerAdmin):
    """The opt-out list. A number is never part of an address: browsers keep those."""

    def make_page(self, request: HttpRequest) -> LedgerPage:
        """Return the beginning of the list."""
        listed = run_on_ledger(lambda ledger: ledger.opt_outs(limit=_LISTED + 1))
        return self._list(request, listed)

    def decide(self, request: HttpRequest) -> HttpResponse | None:
        """Search a number, put it on the list, or take it off."""
        decision = request.POST.get("decision")
        number = parse_msisdn(
            request.POST.get("typed", ""), default_region=check_region(read_settings().region)
        )
        if decision == "search":
            found = run_on_ledger(lambda ledger: _find_opt_out(ledger, number))
            if not found:
                messages.info(request, _("{number} is not on the list.", number=number.masked))
            return self.show(request, self._list(request, found, value=number.e164))
        if decision == "remove":
            self._remove(request, number)
        else:
            self._add(request, number)
        return None

    def _add(self, request: HttpRequest, number: Msisdn) -> None:
        if not self.has_add_permission(request):
            raise PermissionDenied

        async def work(ledger: Ledger) -> int:
            return await ledger.add_opt_outs([number], source=_SOURCE, now=await ledger.now())

        if run_on_ledger(work):
            announce(opted_out, recipients=(number,), source=_SOURCE)
            self.log_addition(request, self.model(pk=number.masked), _ADDED)
        messages.success(
            request, _("{number} is on the list: no campaign sends to it.", number=number.masked)
        )

    def _remove(self, request: HttpRequest, number: Msisdn) -> None:
        if not self.has_delete_permission(request):
            raise PermissionDenied
        if run_on_ledger(lambda ledger: ledger.remove_opt_outs([number])):
            self.note(request, number.masked, _REMOVED)
        messages.success(request, _("{number} is not on the list any more.", number=number.masked))

    def _list(self, request: HttpRequest, listed: Sequence[OptOut], *, value: str = "") -> LedgerPage:
        choices = [Choice(name="search", label=_("Look it up"))]
        if self.has_add_permission(request):
            choices.append(Choice(name="add", label=_("Put it on the list")))
        if self.has_delete_permission(request):
            choices.append(Choice(name="remove", label=_("Take it off")))
        rows = [
            Row(cells=[one.recipient.e164, show_moment(one.at), _name_source(one.source)])
            for one in listed[:_LISTED]
        ]
        more = _("There are more: look up a number.") if len(listed) > _LISTED else ""
        return LedgerPage(
            intro=_("Who is on this list gets no message of any campaign."),
            form=TextForm(label=_("Number"), choices=choices, value=value),
            sections=[
                Section(
                    title=_("On the list"),
                    columns=[_("Number"), _("Since"), _("From where")],
                    rows=rows,
                    empty=_("Nobody."),
                    more=more,
                )
            ],
        )


#: For the admin's own log, which is in the project's database.
_ADDED, _REMOVED = N_("Put on the opt-out list."), N_("Taken off the opt-out list.")


def _name_source(source: str) -> str:
    return _("by hand") if source == _SOURCE else name_source(source)


async def _find_opt_out(ledger: Ledger, number: Msisdn) -> Sequence[OptOut]:
    before = Msisdn(str(int(number) - 1).zfill(len(number)))
    return [one for one in await ledger.opt_outs(after=before, limit=1) if one.recipient == number]


async def _read_statuses(ledger: Ledger) -> Sequence[CampaignStatus]:
    return await ledger.statuses()


@admin.register(CampaignEntry)
class CampaignEntryAdmin(LedgerAdmin):
    """The campaigns, to be looked at: `vavasms desk` and the command line do the rest."""

    def make_page(self, _request: HttpRequest) -> LedgerPage:
        """Return the latest."""
        statuses = run_on_ledger(_read_statuses)
        counts = ("recipients", "accepted", "rejected", "not_sent", "unknown", "queued", "segments")
        rows = [
            Row(
                cells=[
                    status.id,
                    tell_state(status),
                    *(format_number(getattr(status, name)) for name in counts),
                ]
            )
            for status in statuses[:_SHOWN]
        ]
        columns = [
            _("Campaign"),
            _("State"),
            _("Recipients"),
            _("Accepted"),
            _("Rejected"),
            _("Not sent"),
            _("Unknown"),
            _("Waiting"),
            _("Segments"),
        ]
        return LedgerPage(
            intro=_("To be looked at: the command line and the desk begin, pause and end them."),
            sections=[
                Section(title=_("The latest"), columns=columns, rows=rows, empty=_("No campaign yet."))
            ],
        )
