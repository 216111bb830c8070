"""The codes of opt-out links: one a number, kept with the texts that hold it, and for good."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from itertools import chain, repeat

import pytest

from vavasms.ledger import optout_codes
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import NewBatch, NewCampaign
from vavasms.ledger.optout_codes import CODE_MARK, EXAMPLE, is_code
from vavasms.ledger.postgres import optout_codes as in_postgres
from vavasms.ledger.sqlite import optout_codes as in_sqlite
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

Run = Callable[..., Awaitable[None]]
Phones = Callable[..., tuple[Msisdn, ...]]

TEXT = f"Stop: https://sms.example.ci/d/{CODE_MARK} ou {CODE_MARK}"


async def load(ledger: Ledger, campaign_id: str, recipients: tuple[Msisdn, ...], *, text: str = TEXT) -> None:
    """Keep a campaign, `loading`, that has a text of its own for each recipient."""
    await ledger.create(
        NewCampaign(id=campaign_id, account="ops", sender_id="ACME", message="B", created_at=10.0)
    )
    batches = [
        NewBatch(number=number, message=text, segments=1, recipients=(recipient,))
        for number, recipient in enumerate(recipients)
    ]
    await ledger.load(campaign_id, batches)


async def texts(ledger: Ledger, campaign_id: str) -> list[str]:
    """Return the texts as they would be sent."""
    return [batch.message for batch in await ledger.batches(campaign_id, after=-1, limit=100)]


async def codes_of(ledger: Ledger, campaign_id: str) -> list[str]:
    """Return the code in each text."""
    return [text.rpartition(" ")[2] for text in await texts(ledger, campaign_id)]


async def test_a_text_holds_the_code_that_is_kept_of_its_number(ledger: Ledger, phones: Phones) -> None:
    people = phones(3)
    await load(ledger, "c", people)
    codes = await codes_of(ledger, "c")
    assert len(set(codes)) == 3
    for recipient, code, text in zip(people, codes, await texts(ledger, "c"), strict=True):
        assert is_code(code)
        assert text == TEXT.replace(CODE_MARK, code)
        holder = await ledger.optout_codes.find(code)
        assert holder is not None
        assert (holder.recipient, holder.opt_out, holder.can_take_back) == (recipient, None, False)
        assert recipient not in repr(holder)


async def test_a_number_has_one_code_in_all_campaigns(ledger: Ledger, phones: Phones) -> None:
    await load(ledger, "a", phones(3))
    await load(ledger, "b", phones(3, 1))
    first, second = await codes_of(ledger, "a"), await codes_of(ledger, "b")
    assert first[1:] == second[:2]
    assert len({*first, *second}) == 4
    issued = await ledger.optout_codes.issue(phones(5))
    assert [issued[phone] for phone in phones(4)] == [*first, second[2]]
    assert await ledger.optout_codes.issue(phones(5)) == issued
    assert await ledger.optout_codes.issue(()) == {}


async def test_texts_with_a_code_and_without_are_loaded_together(ledger: Ledger, phones: Phones) -> None:
    await ledger.create(NewCampaign(id="c", account="ops", sender_id="A", message="B", created_at=10.0))
    plain = NewBatch(number=0, message="Tous", segments=1, recipients=phones(2))
    marked = NewBatch(number=1, message=TEXT, segments=1, recipients=phones(1, 2), kept=(("Awa",),))
    await ledger.load("c", [plain, marked])
    first, second = await ledger.batches("c", after=-1, limit=2)
    assert (first.message, second.kept) == ("Tous", (("Awa",),))
    assert CODE_MARK not in second.message


async def test_a_text_for_several_has_no_code(ledger: Ledger, phones: Phones) -> None:
    await ledger.create(NewCampaign(id="c", account="ops", sender_id="A", message="B", created_at=10.0))
    batch = NewBatch(number=0, message=TEXT, segments=1, recipients=phones(2))
    with pytest.raises(ValueError, match="too many values"):
        await ledger.load("c", [batch])
    assert await texts(ledger, "c") == []


async def test_what_is_refused_keeps_neither_texts_nor_codes(
    ledger: Ledger, phones: Phones, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []

    def draw() -> str:
        drawn.append(optout_codes.draw_code())
        return drawn[-1]

    for module in (in_sqlite, in_postgres):
        monkeypatch.setattr(module, "draw_code", draw)
    await load(ledger, "c", phones(1))
    # The place of the first batch is taken: of this load nothing is kept.
    taken = [NewBatch(number=0, message=TEXT, segments=1, recipients=phones(1, 7))]
    with pytest.raises(Exception, match=r"\w"):
        await ledger.load("c", taken)
    assert [await ledger.optout_codes.find(code) is None for code in drawn] == [False, True]
    await ledger.discard("c")
    assert [await ledger.optout_codes.find(code) for code in drawn] == [None, None]


async def test_a_discarded_campaign_leaves_the_codes_that_others_sent(ledger: Ledger, phones: Phones) -> None:
    await load(ledger, "a", phones(3))
    await load(ledger, "b", phones(1))
    await ledger.optout_codes.issue(phones(1, 1))
    in_b, in_test, only_in_a = await codes_of(ledger, "a")
    await ledger.discard("a")
    found = [await ledger.optout_codes.find(code) for code in (in_b, in_test, only_in_a)]
    assert [holder is None for holder in found] == [False, False, True]


async def test_the_codes_that_a_retry_repeats_outlive_a_first_one_that_is_discarded(
    ledger: Ledger, phones: Phones
) -> None:
    await load(ledger, "first", phones(2))
    await ledger.finish_loading("first", plan="{}", plan_hash="h")
    await ledger.cancel("first", "enough")
    planned = await ledger.batches("first", after=-1, limit=100)
    again = NewCampaign(id="again", account="a", sender_id="S", message="m", created_at=2.0, retry_of="first")
    await ledger.create(again)
    repeated = [
        NewBatch(number=batch.number, message=batch.message, segments=1, recipients=phones(1, batch.number))
        for batch in planned
    ]
    await ledger.load("again", repeated)
    await ledger.discard("first")
    assert None not in [await ledger.optout_codes.find(code) for code in await codes_of(ledger, "again")]


@pytest.mark.parametrize("state", ["cancelled", "done"])
async def test_a_link_of_a_purged_campaign_still_works(
    ledger: Ledger, phones: Phones, take: Run, state: str
) -> None:
    await load(ledger, "c", phones(1))
    (code,) = await codes_of(ledger, "c")
    await ledger.finish_loading("c", plan="{}", plan_hash="h")
    await ledger.start("c")
    if state == "done":
        await ledger.add_opt_outs(phones(1), source="cli", now=1.0)
        await ledger.claim("c", 0, token="t", worker="w", now=1000.0)
        assert await ledger.finish("c")
        await ledger.remove_opt_outs(phones(1))
    else:
        await ledger.cancel("c", "enough")
    await ledger.purge("c")
    assert await ledger.recipients("c") == set()
    holder = await ledger.optout_codes.opt_out(code, now=50.0)
    assert holder is not None
    assert await ledger.opted_out() == set(map(int, phones(1)))


async def test_opting_out_and_taking_it_back_may_be_repeated(ledger: Ledger, phones: Phones) -> None:
    (code,) = (await ledger.optout_codes.issue(phones(1))).values()
    for now in (50.0, 60.0):
        holder = await ledger.optout_codes.opt_out(code, now=now)
        assert holder is not None
        assert holder.opt_out is not None
        assert (holder.opt_out.source, holder.opt_out.at, holder.can_take_back) == ("link", 50.0, True)
        assert await ledger.optout_codes.find(code) == holder
        assert await ledger.opted_out() == {int(phones(1)[0])}
    for _ in range(2):
        holder = await ledger.optout_codes.take_back(code)
        assert holder is not None
        assert holder.opt_out is None
        assert await ledger.opted_out() == frozenset()


@pytest.mark.parametrize("source", ["inbound", "cli", "refus.csv"])
async def test_a_link_does_not_take_back_what_it_did_not_do(
    ledger: Ledger, phones: Phones, source: str
) -> None:
    (code,) = (await ledger.optout_codes.issue(phones(1))).values()
    await ledger.add_opt_outs(phones(1), source=source, now=5.0)
    # Pressed as well: it stays what it was.
    await ledger.optout_codes.opt_out(code, now=50.0)
    holder = await ledger.optout_codes.take_back(code)
    assert holder is not None
    assert holder.opt_out is not None
    assert (holder.opt_out.source, holder.opt_out.at, holder.can_take_back) == (source, 5.0, False)
    assert await ledger.opted_out() == {int(phones(1)[0])}


async def test_a_link_does_not_take_back_a_stop_that_came_after_its_press(
    ledger: Ledger, phones: Phones
) -> None:
    codes = await ledger.optout_codes.issue(phones(2))
    for code in codes.values():
        await ledger.optout_codes.opt_out(code, now=50.0)
    # No new numbers, but a reason of their own.
    assert await ledger.add_opt_outs(phones(1), source="inbound", now=60.0) == 0
    assert await ledger.add_opt_outs(phones(1, 1), source="link", now=60.0) == 0
    for code in codes.values():
        await ledger.optout_codes.take_back(code)
    holder = await ledger.optout_codes.find(codes[phones(1)[0]])
    assert holder is not None
    assert holder.opt_out is not None
    assert (holder.opt_out.source, holder.opt_out.at) == ("inbound", 60.0)
    assert await ledger.opted_out() == {int(phones(1)[0])}


@pytest.mark.parametrize(
    "code", [EXAMPLE, EXAMPLE.lower(), "", "x", "a" * 11, "0" * 10, "\0" * 10, "\ud800" * 10]
)
async def test_a_code_that_is_nobodys_does_nothing(ledger: Ledger, phones: Phones, code: str) -> None:
    await ledger.optout_codes.issue(phones(2))
    assert await ledger.optout_codes.find(code) is None
    assert await ledger.optout_codes.opt_out(code, now=1.0) is None
    assert await ledger.optout_codes.take_back(code) is None
    assert await ledger.opted_out() == frozenset()


async def test_capitals_count(ledger: Ledger, phones: Phones) -> None:
    (code,) = (await ledger.optout_codes.issue(phones(1))).values()
    assert await ledger.optout_codes.find(code.swapcase()) is None


async def test_a_code_that_is_somebodys_is_drawn_anew(
    ledger: Ledger, phones: Phones, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = optout_codes.draw_code(), optout_codes.draw_code()
    drawn: Iterator[str] = chain(repeat(first, 5), repeat(second))
    for module in (in_sqlite, in_postgres):
        monkeypatch.setattr(module, "draw_code", lambda: next(drawn))
    issued = [await ledger.optout_codes.issue(phones(1, place)) for place in range(2)]
    assert [code for codes in issued for code in codes.values()] == [first, second]
