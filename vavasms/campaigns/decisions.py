"""What a person decides about unknown batches, about those that were shown and no others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vavasms.ledger.base import Ledger


async def find_shown(ledger: Ledger, campaign_id: str, shown: Mapping[int, float | None]) -> Sequence[int]:
    """Return which of the batches that a person saw are still unknown by the attempt that was shown.

    `shown` has of each number when its attempt began. A batch that somebody had sent again meanwhile is
    another attempt, on which nobody has decided.
    """
    now = {batch.number: batch.sending_at for batch in await ledger.unknown(campaign_id)}
    return [number for number, sent_at in shown.items() if number in now and now[number] == sent_at]
