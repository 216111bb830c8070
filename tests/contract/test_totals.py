"""The totals of a ledger are the sums of its campaigns and sends, whatever happens to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from attrs import evolve

from vavasms.errors import Outcome
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import BatchRecord, Claim, NewBatch, NewCampaign
from vavasms.ledger.send_record import SendKind
from vavasms.ledger.sends import NewSend, SendClaim
from vavasms.ledger.states import BatchEvent, BatchState, CampaignState
from vavasms.ledger.totals import CodedOutcome, LedgerTotals
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

Run = Callable[..., Awaitable[None]]
Take = Callable[..., Awaitable[Claim]]

REFUSED = BatchRecord(error='RejectedNumberError: no \0 "code":"a.b"', code="gateway.903")
LOST = BatchRecord(error="OutcomeUnknownError: lost", code="outcome.unknown.no_reply")
ACCEPTED, REJECTED = CodedOutcome(Outcome.ACCEPTED), CodedOutcome(Outcome.REJECTED, "gateway.903")
UNKNOWN, NOT_SENT = CodedOutcome(Outcome.UNKNOWN, "outcome.unknown.no_reply"), CodedOutcome(Outcome.NOT_SENT)


async def settle_four(ledger: Ledger, run: Run, take: Take) -> None:
    """Run a campaign of five batches: accepted, refused, unknown, under way, queued; one recipient opted out."""
    await run("c", 2, 3, 4, 5, 6, segments=2)
    await ledger.add_opt_outs([Msisdn(2250700000101)], source="cli", now=1.0)
    for number, (event, record) in enumerate(
        [
            (BatchEvent.ACCEPT, BatchRecord(lot_id="LOT-1")),
            (BatchEvent.REJECT, REFUSED),
            (BatchEvent.MARK_UNKNOWN, LOST),
        ]
    ):
        assert await ledger.settle(await take("c", number), event, record)
    await take("c", 3)


async def check_sums(ledger: Ledger, totals: LedgerTotals) -> None:
    """Hold the totals against the statuses, campaign by campaign in sum."""
    statuses = await ledger.statuses()
    counts = [each.counts for each in totals.campaigns.values()]
    assert sum(count.queued for count in counts) == sum(each.queued for each in statuses)
    assert sum(count.sending for count in counts) == sum(each.sending for each in statuses)
    assert sum(count.segments for count in counts) == sum(each.segments for each in statuses)
    assert sum(sum(count.batches.values()) for count in counts) == sum(each.batches for each in statuses)
    for outcome in Outcome:
        counted = sum(
            n for count in counts for coded, n in count.by_outcome.items() if coded.outcome is outcome
        )
        assert counted == sum(getattr(each, outcome.value) for each in statuses), outcome


async def test_recipients_are_counted_by_outcome_and_error_code(ledger: Ledger, run: Run, take: Take) -> None:
    await settle_four(ledger, run, take)
    totals = await ledger.totals.read("ops", now=1000.0)
    (campaign,) = totals.campaigns.values()
    assert (campaign.state, campaign.created_at, campaign.policy) == (CampaignState.RUNNING, 10.0, "{}")
    counts = campaign.counts
    assert counts.by_outcome == {ACCEPTED: 1, NOT_SENT: 1, REJECTED: 3, UNKNOWN: 4}
    assert (counts.queued, counts.sending, counts.unknown, counts.segments) == (6, 5, 4, 2 * (1 + 4 + 5))
    assert counts.batches == dict.fromkeys(
        (
            BatchState.ACCEPTED,
            BatchState.REJECTED,
            BatchState.UNKNOWN,
            BatchState.SENDING,
            BatchState.QUEUED,
        ),
        1,
    )
    assert totals.final == {}
    await check_sums(ledger, totals)


async def test_a_campaign_that_is_over_is_not_counted_again_and_a_decision_is(
    ledger: Ledger, run: Run, take: Take
) -> None:
    await run("c", 2, 3)
    assert await ledger.settle(await take("c", 0), BatchEvent.ACCEPT, BatchRecord())
    assert await ledger.settle(await take("c", 1), BatchEvent.MARK_UNKNOWN, LOST)
    assert await ledger.finish("c")
    await run("d", 1, first=90)
    await ledger.cancel("d", "enough")
    first = await ledger.totals.read("ops", now=1000.0)
    # What is unknown may still change, though its campaign is done.
    assert [each.counts.by_outcome for each in first.final.values()] == [{NOT_SENT: 1}]
    again = await ledger.totals.read("ops", now=1000.0, known=first.final)
    assert again.campaigns == first.campaigns
    assert await ledger.mark_sent("c", [1], note="seen") == 1
    decided = await ledger.totals.read("ops", now=1000.0, known=first.final)
    assert sum(each.counts.unknown for each in decided.campaigns.values()) == 0
    await check_sums(ledger, decided)


async def test_single_sends_are_counted_by_kind_and_the_oldest_that_is_due_tells_its_age(
    ledger: Ledger,
) -> None:
    async def begin(key: str, *, size: int = 1, kind: SendKind = SendKind.TEXT) -> SendClaim:
        to = tuple(Msisdn(2250700000100 + index) for index in range(size))
        new = NewSend(
            account="ops", key=key, kind=kind, recipients=to, sender_id="ACME", segments=2, text="x"
        )
        claim = await ledger.sends.begin(new, token=f"token-{key}", now=1000.0)
        assert isinstance(claim, SendClaim)
        return claim

    await ledger.sends.settle(await begin("a", size=3), BatchEvent.ACCEPT, BatchRecord(), now=1001.0)
    await ledger.sends.settle(await begin("b"), BatchEvent.REJECT, REFUSED, now=1001.0)
    await ledger.sends.settle(await begin("c", kind=SendKind.OTP), BatchEvent.MARK_UNKNOWN, LOST, now=1001.0)
    await begin("d")
    for key, due in (("e", 0.0), ("f", 9e12)):
        to = (Msisdn(2250700000199),)
        await ledger.sends.enqueue(
            NewSend(
                account="ops",
                key=key,
                recipients=to,
                sender_id=None,
                segments=2,
                text="x",
                is_enqueued=True,
                not_before=due,
            ),
            now=900.0,
        )
    totals = await ledger.totals.read("ops", now=1000.0)
    texts, codes = totals.sends[SendKind.TEXT], totals.sends[SendKind.OTP]
    assert texts.by_outcome == {ACCEPTED: 3, REJECTED: 1}
    assert (texts.queued, texts.sending, texts.segments) == (2, 1, 2 * 4)
    assert (codes.by_outcome, codes.segments, codes.unknown) == ({UNKNOWN: 1}, 2, 1)
    # By the server's own clock on a database.
    assert totals.send_wait == 100.0 if totals.workers is None else totals.send_wait > 1e9
    assert (await ledger.totals.read("nobody", now=1000.0)).sends[SendKind.TEXT].by_outcome == {}
    await ledger.totals.check()


async def test_a_campaign_that_has_the_place_of_a_discarded_one_is_counted_for_itself(
    ledger: Ledger,
) -> None:
    first = NewCampaign(id="c", account="ops", sender_id="ACME", message="x", policy="{}", created_at=1.0)
    await ledger.create(first)
    await ledger.load("c", [NewBatch(number=0, message="x", segments=1, recipients=(Msisdn(2250700000001),))])
    await ledger.finish_loading("c", plan="{}", plan_hash="c")
    await ledger.cancel("c", "enough")
    known = (await ledger.totals.read("ops", now=1000.0)).final
    assert len(known) == 1
    await ledger.discard("c")
    await ledger.create(evolve(first, id="d", policy='{"unit_price": "5"}', created_at=2.0))
    two = (Msisdn(2250700000002), Msisdn(2250700000003))
    await ledger.load("d", [NewBatch(number=0, message="x", segments=1, recipients=two)])
    await ledger.finish_loading("d", plan="{}", plan_hash="d")
    await ledger.cancel("d", "enough")
    (totals,) = (await ledger.totals.read("ops", now=1000.0, known=known)).campaigns.values()
    assert (totals.counts.by_outcome, totals.policy) == ({NOT_SENT: 2}, '{"unit_price": "5"}')
