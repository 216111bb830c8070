"""Single sends, on every ledger: the table of a key, row by row."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from vavasms.errors import IdempotencyConflictError, InvalidInputError, Outcome
from vavasms.ledger.base import Ledger
from vavasms.ledger.leases import ORPHAN_AFTER, RESEND_GRACE
from vavasms.ledger.models import BatchRecord
from vavasms.ledger.send_record import SendKind, SendRecord
from vavasms.ledger.sends import MAX_ATTEMPTS, NewSend, SendClaim
from vavasms.ledger.states import BatchEvent, BatchState
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

NOW = 10_000.0
TAKEN = BatchRecord(lot_id="LOT-1", message_ids=("SM-1", "SM-2"), description="Message envoyé")
FAILED = BatchRecord(error="ServerError: The gateway broke.")
_tokens = count(1)


def new(key: str = "order-42", **options: object) -> NewSend:
    values = {
        "account": "ops",
        "recipients": (Msisdn("2250700000001"), Msisdn("2250700000002")),
        "sender_id": "ACME",
        "segments": 1,
        "text": "Votre commande est partie",
    }
    return NewSend(key=key, **{**values, **options})  # type: ignore[arg-type]


async def begin(
    ledger: Ledger, key: str = "order-42", now: float = NOW, **options: object
) -> SendClaim | SendRecord:
    return await ledger.sends.begin(new(key, **options), token=f"token-{next(_tokens)}", now=now)


async def claim(ledger: Ledger, key: str = "order-42", now: float = NOW, **options: object) -> SendClaim:
    made = await begin(ledger, key, now, **options)
    assert isinstance(made, SendClaim)
    return made


async def find(ledger: Ledger, key: str = "order-42") -> SendRecord:
    record = await ledger.sends.find("ops", key)
    assert record is not None
    return record


async def settle(ledger: Ledger, made: SendClaim, event: BatchEvent, record: BatchRecord = FAILED) -> None:
    assert await ledger.sends.settle(made, event, record, now=NOW + 1)


async def enqueue(ledger: Ledger, key: str = "order-42", **options: object) -> SendRecord:
    return await ledger.sends.enqueue(new(key, is_enqueued=True, **options), now=NOW)


async def claim_due(ledger: Ledger, now: float = NOW, limit: int = 10) -> list[SendClaim]:
    return list(await ledger.sends.claim_due("ops", token=f"due-{next(_tokens)}", now=now, limit=limit))


async def test_a_key_is_claimed_once_and_its_lot_is_kept(ledger: Ledger) -> None:
    made = await claim(ledger)
    assert (made.attempt, made.text, made.is_enqueued) == (1, "Votre commande est partie", False)
    await settle(ledger, made, BatchEvent.ACCEPT, TAKEN)
    record = await begin(ledger)
    assert isinstance(record, SendRecord)
    assert (record.state, record.outcome, record.text) == (BatchState.ACCEPTED, Outcome.ACCEPTED, None)
    lot = record.lot
    assert lot is not None
    assert (lot.lot_id, lot.message_ids, lot.description) == ("LOT-1", ("SM-1", "SM-2"), "Message envoyé")
    assert (lot.recipients, lot.replayed) == (made.recipients, True)
    assert (record.created_at, record.sent_at, record.settled_at, record.attempts) == (NOW, NOW, NOW + 1, 1)
    assert record == await find(ledger)


@pytest.mark.parametrize("event", [BatchEvent.REJECT, BatchEvent.REQUEUE])
async def test_a_key_whose_send_came_to_nothing_is_claimed_again(ledger: Ledger, event: BatchEvent) -> None:
    await settle(ledger, await claim(ledger), event)
    record = await find(ledger)
    assert record.outcome is (Outcome.REJECTED if event is BatchEvent.REJECT else Outcome.NOT_SENT)
    assert record.error == FAILED.error
    # Of what went nowhere the content is free.
    again = await claim(ledger, now=NOW + 5, text="Un autre texte")
    assert (again.attempt, again.text) == (2, "Un autre texte")
    await settle(ledger, again, BatchEvent.ACCEPT, TAKEN)
    record = await find(ledger)
    assert (record.outcome, record.created_at, record.sent_at) == (Outcome.ACCEPTED, NOW, NOW + 5)
    with pytest.raises(IdempotencyConflictError):
        await begin(ledger)


async def test_an_unknown_send_is_never_claimed(ledger: Ledger) -> None:
    await settle(ledger, await claim(ledger), BatchEvent.MARK_UNKNOWN)
    record = await begin(ledger, now=NOW + 1e6)
    assert isinstance(record, SendRecord)
    assert (record.state, record.lot) == (BatchState.UNKNOWN, None)


async def test_what_another_call_has_under_way_is_not_claimed(ledger: Ledger) -> None:
    await claim(ledger)
    record = await begin(ledger, now=NOW + 1)
    assert isinstance(record, SendRecord)
    assert (record.state, record.outcome) == (BatchState.SENDING, None)


@pytest.mark.parametrize(
    "state", [BatchState.SENDING, BatchState.ACCEPTED, BatchState.UNKNOWN, BatchState.QUEUED]
)
@pytest.mark.parametrize(
    "other",
    [
        {"text": "Autre"},
        {"sender_id": "OTHER"},
        {"recipients": (Msisdn("2250700000001"),)},
        {"recipients": (Msisdn("2250700000002"), Msisdn("2250700000001"))},
        {"kind": SendKind.OTP},
    ],
    ids=["text", "sender", "fewer", "order", "kind"],
)
async def test_a_key_stands_for_one_content(ledger: Ledger, state: BatchState, other: dict[str, Any]) -> None:
    if state is BatchState.QUEUED:
        await enqueue(ledger)
    else:
        made = await claim(ledger)
        if state is not BatchState.SENDING:
            event = BatchEvent.ACCEPT if state is BatchState.ACCEPTED else BatchEvent.MARK_UNKNOWN
            await settle(ledger, made, event)
    before = await find(ledger)
    for call in (begin(ledger, **other), enqueue(ledger, **other)):
        with pytest.raises(IdempotencyConflictError) as raised:
            await call
        assert (raised.value.first_used_at, raised.value.outcome) == (NOW, Outcome.NOT_SENT)
        assert "commande" not in str(raised.value)
    assert await find(ledger) == before


async def test_a_key_belongs_to_its_account(ledger: Ledger) -> None:
    await settle(ledger, await claim(ledger), BatchEvent.ACCEPT, TAKEN)
    other = await claim(ledger, account="sales", text="Autre")
    assert other.attempt == 1
    assert await ledger.sends.find("nobody", "order-42") is None


async def test_the_accounts_of_a_key_are_found(ledger: Ledger) -> None:
    for account in ("sales", "ops"):
        await claim(ledger, account=account)
    assert list(await ledger.sends.accounts("order-42")) == ["ops", "sales"]
    assert list(await ledger.sends.accounts("order-43")) == []
    assert (await find(ledger)).account == "ops"


async def test_only_the_attempt_itself_settles(ledger: Ledger) -> None:
    first = await claim(ledger)
    await settle(ledger, first, BatchEvent.REQUEUE)
    second = await claim(ledger)
    assert not await ledger.sends.settle(first, BatchEvent.ACCEPT, TAKEN, now=NOW)
    assert (await find(ledger)).state is BatchState.SENDING
    await settle(ledger, second, BatchEvent.MARK_UNKNOWN)
    # A late true answer.
    await settle(ledger, second, BatchEvent.ACCEPT, TAKEN)
    assert not await ledger.sends.settle(second, BatchEvent.REJECT, FAILED, now=NOW)
    assert (await find(ledger)).outcome is Outcome.ACCEPTED


async def test_an_abandoned_claim_was_not_sent(ledger: Ledger) -> None:
    made = await claim(ledger)
    assert not await ledger.sends.abandon("ops", "order-42", "another token")
    assert await ledger.sends.abandon("ops", "order-42", made.token)
    assert (await find(ledger)).outcome is Outcome.NOT_SENT
    assert not await ledger.sends.abandon("ops", "order-42", made.token)


async def test_what_is_enqueued_is_claimed_in_its_order_and_once(ledger: Ledger) -> None:
    await enqueue(ledger, "late", not_before=NOW + 50)
    for key in ("a", "b", "c"):
        record = await enqueue(ledger, key, text=f"Texte {key}")
        assert (record.state, record.text, record.is_enqueued) == (BatchState.QUEUED, f"Texte {key}", True)
    claims = await claim_due(ledger, limit=2)
    assert [(made.key, made.text, made.is_enqueued) for made in claims] == [
        ("a", "Texte a", True),
        ("b", "Texte b", True),
    ]
    assert [made.key for made in await claim_due(ledger)] == ["c"]
    assert await claim_due(ledger, now=NOW + 49) == []
    assert [made.key for made in await claim_due(ledger, now=NOW + 50)] == ["late"]
    assert len({made.token for made in claims}) == 2
    await settle(ledger, claims[0], BatchEvent.ACCEPT, TAKEN)
    assert (await find(ledger, "a")).text is None


async def test_claims_whose_answer_was_lost_are_queued_as_before(ledger: Ledger) -> None:
    for key in ("a", "b"):
        await enqueue(ledger, key)
    claims = await ledger.sends.claim_due("ops", token="lost", now=NOW, limit=5)
    await settle(ledger, claims[0], BatchEvent.ACCEPT, TAKEN)
    await ledger.sends.abandon_due("ops", "lost", limit=5)
    assert ((await find(ledger, "a")).state, (await find(ledger, "b")).attempts) == (BatchState.ACCEPTED, 0)
    (made,) = await claim_due(ledger)
    assert (made.key, made.attempt) == ("b", 1)
    assert not await ledger.sends.settle(claims[1], BatchEvent.ACCEPT, TAKEN, now=NOW)


async def test_enqueuing_again_changes_nothing(ledger: Ledger) -> None:
    first = await enqueue(ledger)
    assert await enqueue(ledger) == first
    (made,) = await claim_due(ledger)
    await settle(ledger, made, BatchEvent.ACCEPT, TAKEN)
    assert (await enqueue(ledger)).outcome is Outcome.ACCEPTED
    assert await claim_due(ledger) == []


async def test_what_a_worker_could_not_send_waits_and_is_given_up_at_last(ledger: Ledger) -> None:
    await enqueue(ledger)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        due = NOW + 100.0 * attempt
        if attempt > 1:
            assert await claim_due(ledger, now=due - 1) == []
        (made,) = await claim_due(ledger, now=due)
        assert made.attempt == attempt
        assert await ledger.sends.settle(made, BatchEvent.REQUEUE, FAILED, now=due, not_before=due + 100)
    record = await find(ledger)
    assert (record.outcome, record.error, record.attempts) == (Outcome.NOT_SENT, FAILED.error, MAX_ATTEMPTS)
    assert await claim_due(ledger, now=NOW + 1e6) == []
    # A person may have it sent after all.
    assert (await enqueue(ledger)).attempts == 0
    assert len(await claim_due(ledger)) == 1


async def test_each_outcome_of_a_worker_is_told_until_it_is_noted(ledger: Ledger) -> None:
    for key in ("a", "b", "c"):
        await enqueue(ledger, key)
    await settle(ledger, await claim(ledger, "direct"), BatchEvent.ACCEPT, TAKEN)
    a, b, _ = await claim_due(ledger)
    assert await ledger.sends.untold("ops", before=NOW + 2, limit=10) == []
    await settle(ledger, a, BatchEvent.ACCEPT, TAKEN)
    await settle(ledger, b, BatchEvent.MARK_UNKNOWN)
    for _ in range(2):
        assert [record.key for record in await ledger.sends.untold("ops", before=NOW + 2, limit=10)] == [
            "a",
            "b",
        ]
    told = [await find(ledger, key) for key in ("a", "b", "c")]
    for record in told:
        await ledger.sends.note_told(record)
    assert await ledger.sends.untold("ops", before=NOW + 2, limit=10) == []
    # The late true answer is another outcome, also where the one before is noted after it.
    await settle(ledger, b, BatchEvent.ACCEPT, TAKEN)
    await ledger.sends.note_told(told[1])
    assert [record.key for record in await ledger.sends.untold("ops", before=NOW + 2, limit=10)] == ["b"]


@pytest.mark.parametrize("sent", [True, False])
async def test_a_person_decides_on_what_is_unknown(ledger: Ledger, sent: bool) -> None:
    made = await claim(ledger)
    await settle(ledger, made, BatchEvent.MARK_UNKNOWN)
    record = await ledger.sends.resolve("ops", "order-42", sent=sent, again=False, note="Seen", now=NOW + 2)
    assert (record.outcome, record.error) == (Outcome.ACCEPTED if sent else Outcome.NOT_SENT, "Seen")
    # What was sent took its attempts; what was not has them all before it.
    assert record.attempts == (1 if sent else 0)
    with pytest.raises(InvalidInputError, match="only what is unknown"):
        await ledger.sends.resolve("ops", "order-42", sent=sent, again=False, note="", now=NOW)
    if not sent:
        # The late answer of the first attempt settles nothing any more.
        again = await claim(ledger)
        assert not await ledger.sends.settle(made, BatchEvent.ACCEPT, TAKEN, now=NOW)
        await settle(ledger, again, BatchEvent.ACCEPT, TAKEN)


@pytest.mark.parametrize("wrong", ["no", 0, 1, None], ids=repr)
async def test_what_a_person_decided_is_true_or_false_and_nothing_like_it(ledger: Ledger, wrong: Any) -> None:
    await settle(ledger, await claim(ledger), BatchEvent.MARK_UNKNOWN)
    for name in ("sent", "again"):
        flags: dict[str, Any] = {"sent": False, "again": False, name: wrong}
        with pytest.raises(
            InvalidInputError, match=f"^{name} is True or False; nothing was changed.$"
        ) as caught:
            await ledger.sends.resolve("ops", "order-42", **flags, note="", now=NOW)
        assert caught.value.error_code == "input.flag"
    assert (await find(ledger)).state is BatchState.UNKNOWN


async def test_an_enqueued_one_can_be_sent_again_by_a_persons_word(ledger: Ledger) -> None:
    await enqueue(ledger)
    (made,) = await claim_due(ledger)
    await settle(ledger, made, BatchEvent.MARK_UNKNOWN)
    record = await ledger.sends.resolve("ops", "order-42", sent=False, again=True, note="Again", now=NOW)
    assert (record.state, record.text) == (BatchState.QUEUED, "Votre commande est partie")
    assert len(await claim_due(ledger)) == 1


async def test_the_options_of_a_code_are_never_sent_as_a_text(ledger: Ledger) -> None:
    made = await claim(ledger, kind=SendKind.OTP, text='{"template": null}', keeps_text=True)
    await settle(ledger, made, BatchEvent.MARK_UNKNOWN)
    with pytest.raises(InvalidInputError, match="text"):
        await ledger.sends.resolve("ops", "order-42", sent=False, again=True, note="", now=NOW)
    assert await claim_due(ledger) == []


async def test_a_text_that_is_not_kept_is_not_sent_again(ledger: Ledger) -> None:
    await settle(ledger, await claim(ledger), BatchEvent.MARK_UNKNOWN)
    with pytest.raises(InvalidInputError, match="text"):
        await ledger.sends.resolve("ops", "order-42", sent=False, again=True, note="", now=NOW)
    with pytest.raises(InvalidInputError, match="no send"):
        await ledger.sends.resolve("ops", "none", sent=True, again=False, note="", now=NOW)
    assert (await find(ledger)).state is BatchState.UNKNOWN


@pytest.mark.parametrize("keeps_text", [True, False])
async def test_the_text_is_kept_where_it_is_wanted(ledger: Ledger, keeps_text: bool) -> None:
    await settle(ledger, await claim(ledger, keeps_text=keeps_text), BatchEvent.ACCEPT, TAKEN)
    assert (await find(ledger)).text == ("Votre commande est partie" if keeps_text else None)


async def test_the_log_is_read_by_state_and_time(ledger: Ledger) -> None:
    for number, key in enumerate("abc"):
        await settle(ledger, await claim(ledger, key, now=NOW + number), BatchEvent.ACCEPT, TAKEN)
    await settle(ledger, await claim(ledger, "d", now=NOW + 3), BatchEvent.MARK_UNKNOWN)
    await claim(ledger, "other", account="sales")

    async def keys(
        account: str | None = "ops", since: float = 0.0, limit: int = 10, *states: BatchState
    ) -> list[str]:
        wanted = states or tuple(BatchState)
        records = await ledger.sends.records(account, states=wanted, since=since, limit=limit)
        return [record.key for record in records]

    assert await keys() == ["d", "c", "b", "a"]
    assert await keys(None, NOW + 1, 2) == ["d", "c"]
    assert set(await keys(None)) == {"a", "b", "c", "d", "other"}
    assert await keys("ops", 0.0, 10, BatchState.UNKNOWN) == ["d"]


async def test_a_purge_forgets_what_is_over_and_never_what_is_unknown(ledger: Ledger) -> None:
    for key, event in (("a", BatchEvent.ACCEPT), ("b", BatchEvent.REJECT), ("c", BatchEvent.MARK_UNKNOWN)):
        await settle(ledger, await claim(ledger, key), event)
    await claim(ledger, "sending")
    await enqueue(ledger, "queued")
    await settle(ledger, await claim(ledger, "other", account="sales"), BatchEvent.ACCEPT)
    assert await ledger.sends.purge(account="ops", before=NOW + 1, limit=10) == 0
    assert await ledger.sends.purge(account="ops", before=NOW + 2, limit=1) == 1
    assert await ledger.sends.purge(account=None, before=NOW + 2, limit=10) == 2
    records = await ledger.sends.records(None, states=tuple(BatchState), since=0.0, limit=10)
    assert {record.key for record in records} == {"c", "sending", "queued"}
    # Its key is free.
    assert (await claim(ledger, "a", text="Neuf")).attempt == 1


async def test_a_dead_senders_key_is_unknown(ledger: Ledger) -> None:
    if not ledger.is_shared:
        pytest.skip("a file knows who lives: see the tests of processes")
    made = await claim(ledger)
    assert await ledger.sends.reap(now=NOW + ORPHAN_AFTER - 1) == 0
    record = await begin(ledger, now=NOW + ORPHAN_AFTER + 1)
    assert isinstance(record, SendRecord)
    assert record.state is BatchState.UNKNOWN
    with pytest.raises(InvalidInputError, match="moment ago"):
        await ledger.sends.resolve(
            "ops", "order-42", sent=False, again=False, note="", now=NOW + RESEND_GRACE - 1
        )
    await settle(ledger, made, BatchEvent.ACCEPT, TAKEN)
    await claim(ledger, "second")
    assert await ledger.sends.reap(now=NOW + ORPHAN_AFTER + 1) == 1
    assert (
        await find(ledger, "second")
    ).error == "OutcomeUnknownError: The process ended while this was being sent."


async def test_who_was_sent_to_since_then_or_may_have_been(ledger: Ledger) -> None:
    people = [Msisdn(2250700000200 + index) for index in range(6)]
    for key, person, now, event in (
        ("early", people[0], NOW - 100, BatchEvent.ACCEPT),
        ("accepted", people[1], NOW, BatchEvent.ACCEPT),
        ("unknown", people[2], NOW, BatchEvent.MARK_UNKNOWN),
        ("rejected", people[3], NOW, BatchEvent.REJECT),
        ("under way", people[4], NOW, None),
    ):
        made = await claim(ledger, key, now, recipients=(person,))
        if event is not None:
            assert await ledger.sends.settle(made, event, TAKEN, now=now + 1)
    await enqueue(ledger, "queued", recipients=(people[5],))
    assert await ledger.sends.reached(NOW - 1) == {int(people[index]) for index in (1, 2, 4)}
    assert await ledger.sends.reached(NOW + 1) == set()
    assert await ledger.sends.reached(0.0) == {int(people[index]) for index in (0, 1, 2, 4)}


async def test_what_was_enqueued_long_ago_counts_from_when_it_was_sent(ledger: Ledger) -> None:
    people = [Msisdn(2250700000200 + index) for index in range(3)]
    for person in people:
        await enqueue(ledger, f"order-{person}", recipients=(person,))
    sent = NOW + 5000
    made = await claim_due(ledger, sent)
    assert len(made) == 3
    # One at the very moment, one later; the last one is under way.
    assert await ledger.sends.settle(made[0], BatchEvent.ACCEPT, TAKEN, now=sent)
    assert await ledger.sends.settle(made[1], BatchEvent.MARK_UNKNOWN, TAKEN, now=sent + 1)
    assert await ledger.sends.reached(sent) == set(map(int, people))
    assert await ledger.sends.reached(sent + 0.5) == set()


async def test_whatever_characters_a_send_has_are_kept_as_they_are(ledger: Ledger) -> None:
    key, text = "k'\"\\{}é€😀", 'L\'été \\ "x"\n\t€ 😀 \\u0041'
    sent = NewSend(
        account="opsé",
        key=key,
        recipients=(Msisdn("2250700000003"),),
        sender_id='A"C',
        segments=1,
        text=text,
        keeps_text=True,
    )
    claim = await ledger.sends.begin(sent, token="t", now=NOW + 0.123456)
    assert isinstance(claim, SendClaim)
    answer = BatchRecord(message_ids=("SM-1",), description="Envoyé\0\\")
    assert await ledger.sends.settle(claim, BatchEvent.ACCEPT, answer, now=NOW + 1.654321)
    record = await ledger.sends.find("opsé", key)
    assert record is not None
    assert (record.key, record.sender_id, record.text, record.description) == (
        key,
        'A"C',
        text,
        answer.description,
    )
    assert (record.created_at, record.settled_at) == (NOW + 0.123456, NOW + 1.654321)
