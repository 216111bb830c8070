"""What every seen store promises: at least once, and never again once it is committed."""

from __future__ import annotations

import anyio
import pytest

from tests.inbound.stores import Kind
from vavasms.inbound.seen.base import KEEP_DAYS, ClaimStatus, SeenStore, digest_of
from vavasms.models import InboundMessage

pytestmark = pytest.mark.anyio

SAME, OTHER = b"s" * 16, b"o" * 16


async def test_a_new_id_is_claimed_and_then_busy(store: SeenStore) -> None:
    assert await store.claim("a", SAME, "me") is ClaimStatus.CLAIMED
    assert await store.claim("a", SAME, "you") is ClaimStatus.BUSY
    assert await store.claim("a", OTHER, "you") is ClaimStatus.BUSY
    assert await store.claim("b", SAME, "you") is ClaimStatus.CLAIMED


async def test_what_was_committed_is_never_claimed_again(store: SeenStore, kind: Kind) -> None:
    await store.claim("a", SAME, "me")
    await store.commit("a", SAME, "me")
    for seconds in (0.0, 2 * store.lease):
        kind.wait(seconds)
        assert await store.claim("a", SAME, "you") is ClaimStatus.HANDLED
        assert await store.claim("a", OTHER, "you") is ClaimStatus.CONFLICT


async def test_what_was_released_is_claimed_anew_with_whatever_content(store: SeenStore) -> None:
    await store.claim("a", SAME, "me")
    await store.release("a", "me")
    assert await store.claim("a", OTHER, "you") is ClaimStatus.CLAIMED
    await store.commit("a", OTHER, "you")
    assert await store.claim("a", OTHER, "me") is ClaimStatus.HANDLED


async def test_a_claim_of_the_dead_can_be_taken_over_after_its_lease(store: SeenStore, kind: Kind) -> None:
    await store.claim("a", SAME, "me")
    kind.wait(store.lease - 1)
    assert await store.claim("a", SAME, "you") is ClaimStatus.BUSY
    kind.wait(2)
    assert await store.claim("a", OTHER, "you") is ClaimStatus.CLAIMED
    assert await store.claim("a", SAME, "me") is ClaimStatus.BUSY


async def test_a_claim_that_is_renewed_holds(store: SeenStore, kind: Kind) -> None:
    await store.claim("a", SAME, "me")
    for _ in range(3):
        kind.wait(store.lease - 1)
        await store.renew("a", "me")
    kind.wait(store.lease - 1)
    assert await store.claim("a", SAME, "you") is ClaimStatus.BUSY


async def test_who_lost_a_claim_neither_renews_nor_releases_it(store: SeenStore, kind: Kind) -> None:
    await store.claim("a", SAME, "me")
    kind.wait(store.lease + 1)
    await store.claim("a", SAME, "you")
    await store.release("a", "me")
    assert await store.claim("a", SAME, "they") is ClaimStatus.BUSY
    kind.wait(store.lease - 1)
    await store.renew("a", "me")
    kind.wait(2)
    assert await store.claim("a", SAME, "they") is ClaimStatus.CLAIMED


async def test_who_lost_a_claim_but_handled_the_message_commits_it_all_the_same(
    store: SeenStore, kind: Kind
) -> None:
    await store.claim("a", SAME, "me")
    kind.wait(store.lease + 1)
    await store.claim("a", OTHER, "you")
    await store.commit("a", SAME, "me")
    assert await store.claim("a", SAME, "they") is ClaimStatus.HANDLED
    await store.release("a", "you")
    assert await store.claim("a", SAME, "they") is ClaimStatus.HANDLED
    await store.commit("a", OTHER, "you")
    assert await store.claim("a", SAME, "they") is ClaimStatus.HANDLED


async def test_a_commit_without_any_claim_is_kept(store: SeenStore) -> None:
    await store.commit("a", SAME, "me")
    assert await store.claim("a", SAME, "you") is ClaimStatus.HANDLED


async def test_releasing_or_renewing_what_is_handled_or_unknown_changes_nothing(store: SeenStore) -> None:
    for _ in range(2):
        await store.release("a", "me")
        await store.renew("a", "me")
        await store.commit("a", SAME, "me")
    assert await store.claim("a", SAME, "you") is ClaimStatus.HANDLED


async def test_one_of_many_who_claim_at_once_gets_it(store: SeenStore) -> None:
    found: list[ClaimStatus] = []

    async def claim(owner: str) -> None:
        found.append(await store.claim("a", SAME, owner))

    async with anyio.create_task_group() as tasks:
        for each in range(16):
            tasks.start_soon(claim, f"owner-{each}")
    assert sorted(each.value for each in found) == ["busy"] * 15 + ["claimed"]


async def test_ids_are_forgotten_after_their_days_and_no_sooner(store: SeenStore, kind: Kind) -> None:
    await store.commit("old", SAME, "me")
    kind.wait(KEEP_DAYS * 86_400 - 100)
    await store.claim("young", SAME, "me")
    assert await store.claim("old", SAME, "me") is ClaimStatus.HANDLED
    kind.wait(200)
    async with kind.open() as later:
        shared = later if kind.is_shared else store
        await shared.claim("other", SAME, "me")
        assert await shared.claim("old", SAME, "me") is ClaimStatus.CLAIMED


async def test_stores_at_one_place_know_of_each_other(store: SeenStore, kind: Kind) -> None:
    if not kind.is_shared:
        pytest.skip("in memory every store is its own")
    async with kind.open() as other:
        assert await store.claim("a", SAME, "me") is ClaimStatus.CLAIMED
        assert await other.claim("a", SAME, "you") is ClaimStatus.BUSY
        await store.commit("a", SAME, "me")
        assert await other.claim("a", SAME, "you") is ClaimStatus.HANDLED


async def test_what_was_committed_outlives_the_store(kind: Kind) -> None:
    if not kind.is_shared:
        pytest.skip("the memory forgets")
    async with kind.open() as store:
        await store.commit("a", SAME, "me")
    async with kind.open() as store:
        assert await store.claim("a", SAME, "you") is ClaimStatus.HANDLED
        await store.aclose()
        await store.aclose()


def test_a_digest_tells_senders_and_texts_apart_but_not_dates() -> None:
    def digest(sender: str = "1", text: str = "x", raw_date: str = "") -> bytes:
        return digest_of(InboundMessage(message_id="a", sender=sender, text=text, raw_date=raw_date))

    assert digest() == digest(raw_date="2026-01-01")
    assert (
        len(
            {
                digest(),
                digest(text="y"),
                digest(sender="2"),
                digest(sender="1x", text=""),
                digest(text="\ud800"),
            }
        )
        == 5
    )
    assert len(digest()) == 16
