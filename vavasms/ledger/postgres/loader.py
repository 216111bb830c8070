"""The transactions of the PostgreSQL ledger that go over a whole campaign: loaded, made whole, forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat

from attrs import evolve

from vavasms.errors import LedgerError
from vavasms.i18n import gettext as _
from vavasms.ledger.models import NewBatch
from vavasms.ledger.postgres import claims as tx
from vavasms.ledger.postgres.claims import SQL
from vavasms.ledger.postgres.optout_codes import SQL as CODES
from vavasms.ledger.postgres.optout_codes import add_codes
from vavasms.ledger.rows import PURGE_ROWS, PURGE_STEPS, dump_cells, dump_record, load_record, still_going
from vavasms.ledger.states import CampaignEvent, CampaignState
from vavasms.storage.postgres.connection import Connection, UniqueViolation
from vavasms.storage.postgres.database import ask

#: What holds numbers; addressees are found through the recipients.
_PERSONAL = ("delete_addressees", "delete_recipients", "delete_deliveries")
#: Batches whose results are rewritten at a time.
_CHUNK = 5000


async def copy_batches(connection: Connection, campaign_id: str, batches: Sequence[NewBatch]) -> None:
    """Add batches to a campaign that is loading."""
    campaign = await tx.hold(connection, campaign_id)
    if campaign.state is not CampaignState.LOADING:
        raise still_going(campaign_id, campaign.state, "loaded")
    batches = await add_codes(connection, campaign.seq, batches)
    cursor = connection.cursor()
    async with cursor.copy(SQL["copy_batches"].encode()) as copy:
        for batch in batches:
            row = (campaign.seq, batch.number, batch.segments, len(batch.recipients), batch.message)
            await copy.write_row(row)
    if any(batch.kept for batch in batches):
        await _copy_kept(connection, campaign.seq, batches)
        return
    async with cursor.copy(SQL["copy_recipients"].encode()) as copy:
        for batch in batches:
            # A number in the wire's form needs no quoting; by hand this takes a third of the time.
            head = f"{campaign.seq}\t{batch.number}\t"
            await copy.write(
                "".join([f"{head}{position}\t{phone}\n" for position, phone in enumerate(batch.recipients)])
            )


async def _copy_kept(connection: Connection, campaign: int, batches: Sequence[NewBatch]) -> None:
    async with connection.cursor().copy(SQL["copy_kept_recipients"].encode()) as copy:
        for batch in batches:
            kept = map(dump_cells, batch.kept) if batch.kept else repeat(None, len(batch.recipients))
            for position, (phone, cells) in enumerate(zip(batch.recipients, kept, strict=True)):
                await copy.write_row((campaign, batch.number, position, int(phone), cells))


async def finish_loading(
    connection: Connection, campaign_id: str, plan: Mapping[str, str], *, unless_same: bool
) -> str | None:
    """Make a campaign whole, and each of its recipients the addressee of one batch.

    With `unless_same`, return instead the id of another one that says the same to the same, if any.
    """
    campaign = await tx.hold(connection, campaign_id, alone=True)
    if unless_same:
        same = {"campaign": campaign.seq, "plan_hash": plan["plan_hash"]}
        _locked, others = await ask(connection, (SQL["lock_account"], same), (SQL["select_same_plan"], same))
        if others:
            return str(others[0][0])
    if not await tx.move(connection, campaign, CampaignEvent.LOADED):
        raise still_going(campaign_id, campaign.state, "loaded")
    await tx.execute(connection, campaign, "set_plan", **plan)
    try:
        await tx.execute(connection, campaign, "insert_addressees")
        return None
    except UniqueViolation:
        pass
    raise LedgerError(
        _("A recipient is twice in the campaign {id}.", id=repr(campaign_id)),
        error_code="campaign.duplicate_recipient",
    )


async def discard(connection: Connection, campaign_id: str) -> None:
    """Forget a campaign of which nothing was ever claimed."""
    name = {"id": campaign_id}
    _locked, rows = await ask(connection, (SQL["lock_alone"], name), (SQL["select_campaign"], name))
    if not rows:
        return
    key = {"campaign": rows[0][0]}
    (claimed,) = await ask(connection, (SQL["select_claimed"], key))
    if not claimed:
        names = (*_PERSONAL, "delete_batches", "delete_campaign")
        steps = [(SQL[name], key) for name in names]
        await ask(connection, *steps, (CODES["lock_codes"], {}), (CODES["discard_codes"], key))


async def begin_purge(connection: Connection, campaign_id: str) -> None:
    """Forget the text of a campaign that has ended; nothing of it is kept or sent from now on."""
    campaign = await tx.hold(connection, campaign_id, alone=True)
    if campaign.state not in (CampaignState.DONE, CampaignState.CANCELLED):
        raise still_going(campaign_id, campaign.state, "purged")
    await tx.execute(connection, campaign, "purge_campaign")


async def purge_batches(connection: Connection, campaign_id: str, after: int) -> int | None:
    """Forget the texts and ids of some batches of a purged campaign.

    Return the number of the last; None where there was none after `after`.
    """
    campaign = await tx.hold(connection, campaign_id, alone=True)
    page = {"campaign": campaign.seq, "after": after, "limit": _CHUNK}
    (rows,) = await ask(connection, (SQL["select_results"], page))
    if not rows:
        return None
    kept = {
        "numbers": [number for number, _ in rows],
        "results": [_without_ids(result) for _number, result in rows],
    }
    await tx.execute(connection, campaign, "purge_batches", **kept)
    return int(rows[-1][0])


async def purge_rows(connection: Connection, campaign_id: str) -> bool:
    """Delete some of a purged campaign's recipients and deliveries; return whether there may be more."""
    campaign = await tx.hold(connection, campaign_id, alone=True)
    # In this order: addressees are found through the recipients.
    counts = [await tx.execute(connection, campaign, query, rows=PURGE_ROWS) for query in PURGE_STEPS]
    return max(counts) >= PURGE_ROWS


def _without_ids(result: str | None) -> str | None:
    return None if result is None else dump_record(evolve(load_record(result), message_ids=()))
