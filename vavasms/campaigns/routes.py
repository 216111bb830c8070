"""One campaign's way through a worker: its limits, its carrier, what stopped it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import anyio
from attrs import define, field

from vavasms.bulk.halt import Halt
from vavasms.campaigns.balance import BalanceReader, BalanceWatch
from vavasms.campaigns.carrier import Carried, Carrier, Owed
from vavasms.campaigns.halting import stop_reason
from vavasms.campaigns.ledger.port import Campaign, QueuedBatch
from vavasms.campaigns.ledger.postgres import PostgresLedger
from vavasms.campaigns.policy import Policy, load_policy
from vavasms.campaigns.purse import Purse
from vavasms.endpoints import Account


@define(kw_only=True, eq=False)
class Route:
    """Carries the batches of one running campaign, until `close`."""

    ledger: PostgresLedger
    campaign: Campaign
    account: Account
    worker: str
    clock: Callable[[], float]
    owed: list[Owed]
    #: One for all campaigns of the worker.
    reader: BalanceReader
    policy: Policy = field(init=False)
    carrier: Carrier = field(init=False)
    balance: BalanceWatch = field(init=False)
    #: Set where nothing further of it is to be begun here.
    closed: anyio.Event = field(factory=anyio.Event, init=False)
    _halt: Halt = field(factory=Halt, init=False)

    def __attrs_post_init__(self) -> None:
        self.policy = load_policy(self.campaign.policy)
        campaign_id = self.campaign.id
        self.balance = BalanceWatch(reader=self.reader, ledger=self.ledger, campaign_id=campaign_id)
        purse = Purse(
            ledger=self.ledger,
            policy=self.policy,
            balance=self.balance,
            account=self.account.name,
            stopping=self.closed,
            pause=partial(self.ledger.pause, campaign_id, revision=self.campaign.revision),
        )
        self.carrier = Carrier(
            transport=self.account.transport,
            ledger=self.ledger,
            campaign=self.campaign,
            policy=self.policy,
            worker=self.worker,
            balance=self.balance,
            clock=self.clock,
            stopping=self.closed,
            owed=self.owed,
            spend=purse.spend,
        )

    @property
    def is_open(self) -> bool:
        """Whether messages may leave at this hour."""
        return self.policy.window is None or self.policy.window.is_open(self.clock())

    def close(self) -> None:
        """Begin nothing further; what is under way goes on."""
        self.closed.set()

    async def carry(self, batch: QueuedBatch) -> Carried | None:
        """Carry a batch; None outside of its hours. Pauses the campaign where all would fare alike."""
        if not self.is_open:
            return None
        carried = await self.carrier.carry(batch)
        stop = stop_reason(self._halt, carried)
        if stop is not None:
            await self.ledger.pause(self.campaign.id, stop, revision=self.campaign.revision)
            self.close()
        return carried
