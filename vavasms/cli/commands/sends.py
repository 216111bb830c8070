"""`sends list`, `show`, `resolve`, `purge`: what is kept of single sends. All work beside whoever sends."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Literal

from cyclopts import Parameter

from vavasms.campaigns.words import MARKED_AS_SENT, TAKEN_BACK
from vavasms.cli import exit_codes, output
from vavasms.cli.commands.send_view import (
    list_records,
    make_object,
    name_state,
    show_choice,
    show_record,
    tell_state,
)
from vavasms.cli.durations import read_duration
from vavasms.cli.ledger_option import LedgerPath, repeat_option, run_on_ledger
from vavasms.cli.params import JsonFlag, Yes, flag
from vavasms.cli.prompts import confirm
from vavasms.cli.shell import quote
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.i18n import ngettext
from vavasms.ledger.base import Ledger
from vavasms.ledger.send_record import SendRecord
from vavasms.ledger.states import BatchState

#: Sends forgotten in one transaction.
_PART = 1000
_STATES = {name_state(state): state for state in BatchState}

StateName = Literal["queued", "sending", "accepted", "rejected", "not_sent", "unknown"]
Key = Annotated[
    str, Parameter(name="KEY", help=_("The idempotency key it was sent with."), allow_leading_hyphen=True)
]
AccountName = Annotated[
    str | None,
    Parameter(
        name="--account",
        metavar="NAME",
        show_default=False,
        help=_("Whose it is, where several accounts have such a key; `vavasms sends list` names them."),
    ),
]


def list_sends(
    *,
    state: Annotated[StateName | None, Parameter(help=_("Those of this state only."))] = None,
    since: Annotated[
        str | None, Parameter(metavar="TIME", help=_("Those of the last 24h, 7d and so on."))
    ] = None,
    limit: Annotated[int, Parameter(metavar="N", help=_("How many at most."))] = 50,
    ledger: LedgerPath = None,
    as_json: JsonFlag = False,
) -> None:
    """List the single sends of the ledger, the latest first."""
    if limit < 1:
        raise InvalidInputError(
            _("{option} is a whole number, 1 or more.", option="--limit"),
            error_code="usage.value",
            outcome=None,
        )
    states = tuple(BatchState) if state is None else (_STATES[state],)
    seconds = None if since is None else read_duration(since, "--since")

    async def read(opened: Ledger) -> Sequence[SendRecord]:
        now = await _reap(opened)
        begin = 0.0 if seconds is None else now - seconds
        return await opened.sends.records(None, states=states, since=begin, limit=limit + 1)

    records = run_on_ledger(ledger, read)
    if as_json:
        for record in records[:limit]:
            output.print_json(make_object(record))
        return
    list_records(records[:limit])
    if len(records) > limit:
        output.say(_("There are more than {limit}: --limit N shows more.", limit=limit))
    if not records:
        output.say(_("There is no such send in this ledger."))
    unknown = [record for record in records[:limit] if record.state is BatchState.UNKNOWN]
    show_choice(unknown, repeat_option(ledger))


def show(
    key: Key, /, *, account: AccountName = None, ledger: LedgerPath = None, as_json: JsonFlag = False
) -> None:
    """Show what is kept of a send: its state, its times, its ids."""
    record = run_on_ledger(ledger, lambda opened: _find(opened, key, account))
    _show(record, _repeat(ledger, account), as_json=as_json)


def resolve(
    key: Key,
    /,
    *,
    mark_sent: Annotated[bool, flag(_("Take it for accepted; nothing is sent."))] = False,
    resend: Annotated[bool, flag(_("Take it for not sent: whoever received it gets a second SMS."))] = False,
    account: AccountName = None,
    yes: Yes = False,
    ledger: LedgerPath = None,
    as_json: JsonFlag = False,
) -> int:
    """Decide on a send whose outcome is unknown, or show it."""
    if mark_sent and resend:
        raise InvalidInputError(
            _("--mark-sent and --resend exclude each other. Nothing was changed."),
            error_code="usage.options",
            outcome=None,
        )

    async def decide(opened: Ledger) -> SendRecord:
        record = await _find(opened, key, account)
        if not (mark_sent or resend):
            return record
        _check_unknown(record)
        confirm(_question(record, mark_sent=mark_sent), word="yes", yes=yes)
        return await _resolve(opened, record, mark_sent=mark_sent)

    record = run_on_ledger(ledger, decide)
    if as_json or not (mark_sent or resend):
        _show(record, _repeat(ledger, account), as_json=as_json)
    else:
        output.say(_tell_decision(record, repeat_option(ledger)))
    return exit_codes.UNKNOWN if record.state is BatchState.UNKNOWN else exit_codes.DONE


def purge(
    *,
    older_than: Annotated[
        str, Parameter(name="--older-than", metavar="TIME", help=_("Those that ended before that."))
    ] = "30d",
    yes: Yes = False,
    ledger: LedgerPath = None,
    as_json: JsonFlag = False,
) -> None:
    """Forget the sends that are over; what is unknown stays."""
    seconds = read_duration(older_than, "--older-than")

    async def forget(opened: Ledger) -> int:
        confirm(
            _(
                "What was sent, rejected or not sent longer ago than {older_than} will be forgotten for "
                "good: its keys are free, and a call that is repeated with one sends again.",
                older_than=older_than,
            ),
            word="yes",
            yes=yes,
        )
        before, count = await _reap(opened) - seconds, 0
        while part := await opened.sends.purge(account=None, before=before, limit=_PART):
            count += part
        return count

    forgotten = run_on_ledger(ledger, forget)
    if as_json:
        output.print_json({"purged": forgotten})
    else:
        output.say(ngettext("Forgotten: {n} send.", "Forgotten: {n} sends.", forgotten))


async def _reap(ledger: Ledger) -> float:
    """Make unknown what processes that died had under way; return the ledger's time."""
    now = await ledger.now() if ledger.is_shared else time.time()
    await ledger.sends.reap(now=now)
    return now


async def _find(ledger: Ledger, key: str, account: str | None) -> SendRecord:
    """Return a send. Raises `InvalidInputError` where there is none, or one of several accounts."""
    await _reap(ledger)
    # What no key can hold, no database needs to be asked for.
    accounts = await ledger.sends.accounts(key) if key.isprintable() else []
    owners = [owner for owner in accounts if account in (None, owner)]
    if len(owners) > 1:
        names = ", ".join(map(quote, owners))
        raise InvalidInputError(
            _(
                "Several accounts have a send with the key {key}: choose one by --account, of {names}.",
                key=repr(key),
                names=names,
            ),
            error_code="idempotency.several_accounts",
            outcome=None,
        )
    record = await ledger.sends.find(owners[0], key) if owners else None
    if record is None:
        if account is None:
            sentence = _("There is no send with the key {key} in this ledger.", key=repr(key))
        else:
            sentence = _(
                "There is no send of the account {account} with the key {key} in this ledger.",
                account=repr(account),
                key=repr(key),
            )
        raise InvalidInputError(sentence, error_code="idempotency.not_found", outcome=None)
    return record


async def _resolve(ledger: Ledger, record: SendRecord, *, mark_sent: bool) -> SendRecord:
    note = MARKED_AS_SENT if mark_sent else TAKEN_BACK
    return await ledger.sends.resolve(
        record.account,
        record.key,
        sent=mark_sent,
        # The text of the others is their callers', who send it anew with its key.
        again=record.is_enqueued and not mark_sent,
        note=note,
        now=await ledger.now() if ledger.is_shared else time.time(),
    )


def _check_unknown(record: SendRecord) -> None:
    if record.state is not BatchState.UNKNOWN:
        raise InvalidInputError(
            _(
                "The send {key} is {state}: only what is unknown is for a person to decide. "
                "Nothing was changed.",
                key=repr(record.key),
                state=tell_state(record),
            ),
            error_code="idempotency.not_unknown",
            outcome=None,
        )


def _show(record: SendRecord, options: str, *, as_json: bool) -> None:
    if as_json:
        output.print_json({**make_object(record), "text": record.text})
        return
    show_record(record)
    show_choice([record] if record.state is BatchState.UNKNOWN else [], options)


def _question(record: SendRecord, *, mark_sent: bool) -> str:
    n, key = len(record.recipients), output.clean(record.key)
    if mark_sent:
        return ngettext(
            "The send {key} to {n} recipient will be taken for accepted: it is not sent again.",
            "The send {key} to {n} recipients will be taken for accepted: it is not sent again.",
            n,
            key=key,
        )
    if record.is_enqueued:
        return ngettext(
            "The send {key} to {n} recipient will be taken for not sent, and a worker sends it again: "
            "whoever has the SMS gets a second one, paid again.",
            "The send {key} to {n} recipients will be taken for not sent, and a worker sends it again: "
            "whoever has the SMS gets a second one, paid again.",
            n,
            key=key,
        )
    return ngettext(
        "The send {key} to {n} recipient will be taken for not sent, and its key may be used again: "
        "whoever has the SMS gets a second one, paid again.",
        "The send {key} to {n} recipients will be taken for not sent, and its key may be used again: "
        "whoever has the SMS gets a second one, paid again.",
        n,
        key=key,
    )


def _tell_decision(record: SendRecord, options: str) -> str:
    key = output.clean(record.key)
    if record.state is BatchState.ACCEPTED:
        return _("The send {key} now counts as accepted; a repeat with its key sends nothing.", key=key)
    if record.is_enqueued:
        worker = f"vavasms worker{options}"
        return _("The send {key} is queued again: a worker sends it ({command}).", key=key, command=worker)
    return _(
        "The send {key} is taken for not sent. To send it, run the same command or call with the same key "
        "again.",
        key=key,
    )


def _repeat(ledger: str | None, account: str | None) -> str:
    """Return the options again, for a command to be copied."""
    return repeat_option(ledger) + ("" if account is None else f" --account {quote(account)}")
