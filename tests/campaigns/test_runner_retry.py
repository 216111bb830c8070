"""A retry sends to those to whom nothing came, never to the unknown, and to nobody twice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.campaigns.staging import Stage, phones
from vavasms.campaigns.planning.retry import RetryReason, parse_reasons
from vavasms.campaigns.policy import Policy, load_policy
from vavasms.errors import InvalidInputError, Outcome
from vavasms.ledger.models import BatchRecord, Delivery, NewBatch, NewCampaign
from vavasms.ledger.states import BatchEvent
from vavasms.models import DeliveryStatus
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

SIZE = 3
#: What becomes of the batches of the first campaign, in order; None: nothing, until it is cancelled.
EVENTS = (BatchEvent.ACCEPT, BatchEvent.REJECT, BatchEvent.MARK_UNKNOWN, BatchEvent.ACCEPT, None)


async def begin(stage: Stage, campaign_id: str = "first", *, policy: str = "{}", keep: bool = False) -> None:
    """Keep a campaign that ended: two batches accepted, one rejected, one unknown, one cancelled."""
    account = stage.runner._account.name
    await stage.ledger.create(
        NewCampaign(
            id=campaign_id,
            account=account,
            sender_id="SANDBOX",
            message="Bonjour {nom}",
            policy=policy,
            created_at=1.0,
        )
    )
    people = list(map(Msisdn, phones(SIZE * len(EVENTS))))
    batches = [
        NewBatch(
            number=number,
            # To the letter, whatever a template would make of it.
            message=f"  Bonjour {number}\n{{nom}} ",
            segments=1,
            recipients=tuple(people[number * SIZE : (number + 1) * SIZE]),
            kept=tuple((f"R-{number}-{place}",) for place in range(SIZE)) if keep else (),
        )
        for number in range(len(EVENTS))
    ]
    await stage.ledger.load(campaign_id, batches)
    plan = '{"keep": ["Réf"]}' if keep else "{}"
    await stage.ledger.finish_loading(campaign_id, plan=plan, plan_hash=campaign_id)
    await stage.ledger.start(campaign_id)
    for number, event in enumerate(EVENTS):
        if event is None:
            continue
        claim = await stage.ledger.claim(campaign_id, number, token=f"t{number}", worker="w", now=1000.0)
        assert claim is not None
        ids = tuple(f"{campaign_id}-{number}-{place}" for place in range(len(claim.recipients)))
        await stage.ledger.settle(claim, event, BatchRecord(message_ids=ids))
    await stage.ledger.cancel(campaign_id, "by hand")


async def deliver(stage: Stage, message_id: str, status: DeliveryStatus) -> None:
    report = Delivery(message_id=message_id, status=status, raw_status=status.value, at=2.0)
    await stage.ledger.record_deliveries("first", [report])


def people(*places: tuple[int, int]) -> set[str]:
    return {phones(SIZE * len(EVENTS))[batch * SIZE + place] for batch, place in places}


def whole(*batches: int) -> set[str]:
    return people(*((batch, place) for batch in batches for place in range(SIZE)))


async def test_nothing_came_to_the_rejected_the_cancelled_and_the_undelivered(stage: Stage) -> None:
    await begin(stage)
    await deliver(stage, "first-0-1", DeliveryStatus.FAILED)
    await deliver(stage, "first-0-2", DeliveryStatus.DELIVERED)
    await deliver(stage, "first-3-0", DeliveryStatus.PENDING)
    await deliver(stage, "first-3-1", DeliveryStatus.OTHER)
    # Of what is unknown no word counts: nobody knows whose id it is.
    await deliver(stage, "first-2-0", DeliveryStatus.FAILED)
    campaign, plan = await stage.runner.retry("first")
    assert (campaign.retry_of, campaign.message, campaign.sender_id) == ("first", "Bonjour {nom}", "SANDBOX")
    assert plan.retries == {"undelivered": 1, "rejected": 3, "not-sent": 3}
    assert (plan.retry_of, plan.recipients, plan.retried_before) == ("first", 7, 0)
    assert (await stage.runner.run(campaign.id)).status.accepted == 7
    assert stage.received() == dict.fromkeys(whole(1, 4) | people((0, 1)), 1)
    texts = {entry.message for entry in stage.sandbox.gateway.journal.entries}
    assert texts == {f"  Bonjour {number}\n{{nom}} " for number in (0, 1, 4)}


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("rejected", whole(1)),
        ("not-sent", whole(4)),
        ("undelivered", people((0, 1))),
        ("rejected, not-sent", whole(1, 4)),
        ([RetryReason.REJECTED, "undelivered"], whole(1) | people((0, 1))),
    ],
)
async def test_whom_it_is_for_can_be_said(stage: Stage, what: Any, expected: set[str]) -> None:
    await begin(stage)
    await deliver(stage, "first-0-1", DeliveryStatus.FAILED)
    campaign, _plan = await stage.runner.retry("first", what=what)
    await stage.runner.run(campaign.id)
    assert stage.received() == dict.fromkeys(expected, 1)


@pytest.mark.parametrize(
    "what", ["unknown", "accepted", "", [], None, 5, ["rejected", "unknown"], "rejected;x"]
)
async def test_the_unknown_cannot_be_asked_for(stage: Stage, what: Any) -> None:
    await begin(stage)
    with pytest.raises(InvalidInputError, match="The unknown never are") as raised:
        await stage.runner.retry("first", what=what)
    assert raised.value.error_code == "campaign.retry"
    assert len(await stage.ledger.statuses()) == 1


async def test_an_unknown_batch_that_is_marked_sent_stays_out(stage: Stage) -> None:
    await begin(stage)
    await stage.ledger.mark_sent("first", [2], note="seen")
    await deliver(stage, "first-2-0", DeliveryStatus.FAILED)
    campaign, plan = await stage.runner.retry("first")
    assert plan.retries == {"rejected": 3, "undelivered": 1, "not-sent": 3}
    batches = await stage.batches(campaign.id)
    assert {str(number) for batch in batches for number, _ in batch.recipients} & whole(2) == people((2, 0))


async def test_nobody_is_in_two_retries_of_one_campaign(stage: Stage) -> None:
    await begin(stage)
    first, _plan = await stage.runner.retry("first", what="rejected")
    second, plan = await stage.runner.retry("first")
    assert (plan.retries, plan.retried_before) == ({"not-sent": 3}, 3)
    with pytest.raises(InvalidInputError, match="are in a retry already"):
        await stage.runner.retry("first")
    for campaign in (first, second):
        await stage.runner.run(campaign.id)
    assert stage.received() == dict.fromkeys(whole(1, 4), 1)
    with pytest.raises(InvalidInputError, match="are in a retry already"):
        await stage.runner.retry("first", what="rejected")


async def test_two_retries_at_once_are_one(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await begin(stage)
    campaign, _plan = await stage.runner.retry("first", what="rejected")
    await stage.runner.run(campaign.id)

    async def nobody(campaign_id: str) -> frozenset[int]:
        """Return what was there before the other one was."""
        del campaign_id
        return frozenset()

    monkeypatch.setattr(stage.ledger, "recipients", nobody)
    monkeypatch.setattr(stage.ledger, "addressed", nobody)
    for what in ("rejected", "rejected,not-sent"):
        with pytest.raises(InvalidInputError, match=campaign.id) as raised:
            await stage.runner.retry("first", what=what)
        assert raised.value.error_code == "campaign.duplicate"
    assert len(await stage.ledger.statuses()) == 2


async def test_a_retry_that_came_to_nothing_can_be_retried(stage: Stage) -> None:
    await begin(stage)
    known: set[str] = set()
    campaign_id = "first"
    for _ in range(3):
        campaign, plan = await stage.runner.retry(campaign_id, what="rejected,not-sent")
        assert plan.recipients == 6
        known.add(plan.hash)
        await stage.ledger.start(campaign.id)
        await stage.ledger.cancel(campaign.id, "by hand")
        campaign_id = campaign.id
    # The same texts for the same recipients each time, and no duplicate of what it comes of.
    assert len(known) == 1
    campaign, _plan = await stage.runner.retry(campaign_id)
    assert (await stage.runner.run(campaign.id)).status.accepted == 6
    assert stage.received() == dict.fromkeys(whole(1, 4), 1)


async def test_who_opted_out_meanwhile_stays_out(stage: Stage) -> None:
    await begin(stage)
    await stage.ledger.add_opt_outs(map(Msisdn, sorted(whole(1))), source="cli", now=1.0)
    _campaign, plan = await stage.runner.retry("first")
    assert (plan.recipients, plan.opted_out) == (3, 3)
    with pytest.raises(InvalidInputError, match=r"Nobody of the campaign first .* 3 opted out. Nothing was"):
        await stage.runner.retry("first", what="rejected")


async def test_kept_cells_go_along(stage: Stage) -> None:
    await begin(stage, keep=True)
    campaign, plan = await stage.runner.retry("first")
    assert plan.keep == ("Réf",)
    kept = {
        str(number): cells
        for batch in await stage.batches(campaign.id)
        for (number, _), cells in zip(batch.recipients, batch.kept, strict=True)
    }
    numbers = phones(SIZE * len(EVENTS))
    assert kept == {numbers[n * SIZE + p]: (f"R-{n}-{p}",) for n in (1, 4) for p in range(SIZE)}


async def test_the_limits_are_those_of_the_first_with_what_is_left_of_its_budget(stage: Stage) -> None:
    first = '{"unit_price": "10", "budget": "100", "rate": 50, "not_before": "2030-01-01T09:00:00+00:00"}'
    await begin(stage, policy=first)
    campaign, _plan = await stage.runner.retry("first")
    # Two batches accepted and one unknown: 90 of the 100 francs.
    expected = Policy(unit_price=Decimal(10), budget=Decimal(10), rate=50, batch_size=100)
    assert load_policy(campaign.policy) == expected
    run = await stage.runner.run(campaign.id)
    assert (run.status.accepted, run.status.queued) == (0, 6)


async def test_a_spent_budget_is_said_and_can_be_named_anew(stage: Stage) -> None:
    await begin(stage, policy='{"unit_price": "10", "budget": "90"}')
    with pytest.raises(InvalidInputError, match="budget of the campaign first is spent"):
        await stage.runner.retry("first")
    campaign, _plan = await stage.runner.retry("first", budget=Decimal(60))
    assert (await stage.runner.run(campaign.id)).status.accepted == 6


async def test_only_what_has_ended_and_is_known_is_retried(stage: Stage) -> None:
    campaign_id = await stage.submit(3)
    with pytest.raises(
        InvalidInputError, match="is queued: resume or cancel it, and retry it once it has ended"
    ):
        await stage.runner.retry(campaign_id)
    assert (await stage.runner.run(campaign_id)).status.accepted == 3
    with pytest.raises(InvalidInputError, match=r"is left to retry \(.*\)\. Nothing was sent"):
        await stage.runner.retry(campaign_id)
    await stage.ledger.purge(campaign_id)
    with pytest.raises(InvalidInputError, match=r"numbers of the campaign \w+ are forgotten"):
        await stage.runner.retry(campaign_id)
    for name in ("x", "\ud800", "\0", 5, None):
        with pytest.raises(InvalidInputError, match="There is no campaign"):
            await stage.runner.retry(name)  # type: ignore[arg-type]


async def test_a_purged_retry_forbids_another_one(stage: Stage) -> None:
    await begin(stage)
    retries = [await stage.runner.retry("first", what="rejected")]
    await stage.ledger.start(retries[0][0].id)
    await stage.ledger.cancel(retries[0][0].id, "by hand")
    retries.append(await stage.runner.retry(retries[0][0].id))
    await stage.runner.run(retries[1][0].id)
    for campaign, _plan in reversed(retries):
        await stage.ledger.purge(campaign.id)
        with pytest.raises(
            InvalidInputError, match=f"numbers of the campaign {campaign.id} are forgotten"
        ) as raised:
            await stage.runner.retry("first")
        assert raised.value.error_code == "campaign.purged"
    assert stage.received() == dict.fromkeys(whole(1), 1)


async def test_what_was_sent_again_after_an_unknown_attempt_is_not_undelivered(stage: Stage) -> None:
    await begin(stage)
    campaign_id = await stage.submit(phones(3, 100))
    await stage.ledger.start(campaign_id)
    for token, event in (("one", BatchEvent.MARK_UNKNOWN), ("two", BatchEvent.ACCEPT)):
        claim = await stage.ledger.claim(campaign_id, 0, token=token, worker="w", now=1000.0)
        assert claim is not None
        await stage.ledger.settle(claim, event, BatchRecord(message_ids=("a", "b", "c")))
        await stage.ledger.resend(campaign_id, [0], sent_before=2000.0)
        await stage.ledger.start(campaign_id)
    await stage.ledger.finish(campaign_id)
    reports = [
        Delivery(message_id=one, status=DeliveryStatus.FAILED, raw_status="failed", at=2.0) for one in "abc"
    ]
    await stage.ledger.record_deliveries(campaign_id, reports)
    with pytest.raises(InvalidInputError, match="is left to retry"):
        await stage.runner.retry(campaign_id)


async def test_one_id_for_two_says_of_neither_that_it_was_not_delivered(stage: Stage) -> None:
    campaign_id = await stage.submit(phones(3, 100))
    await stage.ledger.start(campaign_id)
    claim = await stage.ledger.claim(campaign_id, 0, token="t", worker="w", now=1000.0)
    assert claim is not None
    await stage.ledger.settle(claim, BatchEvent.ACCEPT, BatchRecord(message_ids=("a", "a", "b")))
    await stage.ledger.finish(campaign_id)
    reports = [
        Delivery(message_id=one, status=DeliveryStatus.FAILED, raw_status="failed", at=2.0) for one in "ab"
    ]
    await stage.ledger.record_deliveries(campaign_id, reports)
    with pytest.raises(InvalidInputError, match="is left to retry"):
        await stage.runner.retry(campaign_id)


async def test_who_has_the_same_message_of_another_campaign_since_stays_out(stage: Stage) -> None:
    await begin(stage)
    path = stage.folder / "list.csv"
    rows = [f"{number};Awa" for number in sorted(whole(1) | {phones(1, 500)[0]})]
    path.write_text("\n".join(["tel;nom", *rows, ""]), encoding="utf-8")
    campaign, _plan = await stage.runner.submit(path, "Bonjour {nom}")
    await stage.runner.run(campaign.id)
    retry, plan = await stage.runner.retry("first")
    assert (plan.recipients, plan.excluded, plan.exclude) == (3, 3, (campaign.id,))
    await stage.runner.run(retry.id)
    assert set(stage.received().values()) == {1}
    with pytest.raises(InvalidInputError, match="have the same message"):
        await stage.runner.retry("first", what="rejected")


async def test_who_is_in_a_retry_is_excluded_with_the_campaign(stage: Stage) -> None:
    await begin(stage)
    retry, _plan = await stage.runner.retry("first", what="rejected")
    numbers = [*phones(SIZE * len(EVENTS)), phones(1, 500)[0]]
    path = stage.write(numbers)
    campaign, plan = await stage.runner.submit(path, "Salut", exclude_campaigns="first")
    # Before the retry is sent, too: it is to be.
    assert (plan.excluded, plan.recipients) == (12, 4)
    for one in (retry, campaign):
        await stage.runner.run(one.id)
    assert stage.received() == dict.fromkeys(whole(1, 4) | {phones(1, 500)[0]}, 1)


async def test_a_campaign_that_is_still_to_be_sent_can_be_excluded_and_a_purged_one_cannot(
    stage: Stage,
) -> None:
    first = await stage.submit(phones(5))
    path = stage.write(phones(8))
    campaign, plan = await stage.runner.submit(path, "Salut", exclude_campaigns=[first])
    assert (plan.excluded, plan.recipients) == (5, 3)
    for campaign_id in (first, campaign.id):
        await stage.runner.run(campaign_id)
    assert stage.received() == dict.fromkeys(phones(8), 1)
    await stage.ledger.purge(first)
    with pytest.raises(InvalidInputError, match=f"numbers of the campaign {first} are forgotten"):
        await stage.runner.plan(path, "Bonsoir", exclude_campaigns=[first])
    for name in ("\ud800", "\0", 5, None):
        with pytest.raises(InvalidInputError, match="There is no campaign"):
            await stage.runner.plan(path, "Bonsoir", exclude_campaigns=[name])  # type: ignore[list-item]


async def test_several_retries_share_what_is_left_of_the_budget(stage: Stage) -> None:
    await begin(stage, policy='{"unit_price": "10", "budget": "130"}')
    retry, _plan = await stage.runner.retry("first", what="rejected")
    assert load_policy(retry.policy).budget == Decimal(40)
    # It has all of that for as long as it is not over.
    with pytest.raises(InvalidInputError, match="budget of the campaign first is spent"):
        await stage.runner.retry("first", what="not-sent")
    await stage.runner.run(retry.id)
    other, _plan = await stage.runner.retry("first", what="not-sent")
    assert load_policy(other.policy).budget == Decimal(10)


async def test_a_retry_whose_loading_was_cut_off_is_none(stage: Stage) -> None:
    await begin(stage, keep=True)
    await stage.ledger.create(
        NewCampaign(
            id="cut",
            account=stage.runner._account.name,
            sender_id="S",
            message="Bonjour {nom}",
            created_at=2.0,
            retry_of="first",
        )
    )
    people = tuple(map(Msisdn, sorted(whole(1))))
    batch = NewBatch(number=0, message="B", segments=1, recipients=people, kept=tuple(("R",) for _ in people))
    await stage.ledger.load("cut", [batch])
    await stage.ledger.cancel("cut", "cut off")
    with pytest.raises(InvalidInputError, match="'cut' was never whole") as raised:
        await stage.runner.retry("cut")
    assert raised.value.error_code == "campaign.state"
    _campaign, plan = await stage.runner.retry("first")
    assert (plan.recipients, plan.retried_before) == (6, 0)


async def test_a_plan_that_changed_is_refused(stage: Stage) -> None:
    await begin(stage)
    with pytest.raises(InvalidInputError, match="The plan is"):
        await stage.runner.retry("first", expect="0" * 16)
    assert len(await stage.ledger.statuses()) == 1


def test_the_reasons_are_no_outcome_that_may_have_been_sent() -> None:
    words = {reason.value for reason in parse_reasons(tuple(RetryReason))}
    assert words.isdisjoint({Outcome.UNKNOWN.value, Outcome.ACCEPTED.value})
