"""A campaign and a single send side by side, in the same two workers.

They share no row of the ledger, which each of their transactions is checked for; what they have in common is
the process that dies. So each is searched by itself with all that can happen to it, and both together with less.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field

from tests.model.campaign import CampaignSystem, Scope
from tests.model.moves import Words
from tests.model.search import State
from tests.model.single import SendSystem


@define(eq=False)
class BothSystem:
    """The system of a campaign and a send: the state of one, and behind it that of the other."""

    scope: Scope
    campaign: CampaignSystem = field(init=False)
    send: SendSystem = field(init=False)
    _is_campaign: bool = field(default=True, init=False)

    def __attrs_post_init__(self) -> None:
        self.campaign = CampaignSystem(self.scope)
        self.send = SendSystem(is_shared=self.scope.is_shared, resends=self.scope.resends)

    @property
    def start(self) -> State:
        """Neither has begun."""
        return (*self.campaign.start, *self.send.start)

    @property
    def doing(self) -> Words:
        """What was tried last, of a campaign or of a send."""
        return self.campaign.doing if self._is_campaign else self.send.doing

    def tell(self, label: Words) -> str:
        """Return a step as a line."""
        return self.campaign.tell(label)

    def canonical(self, state: State) -> State:
        """Return the state that stands for all that nothing can tell from it."""
        first, second = self.campaign.variants(state[:-1])
        one, other = self.send.variants(state[-1])
        return min((*first, one), (*second, other))

    def successors(self, state: State) -> Iterator[tuple[Words, State]]:
        """Yield each step, and the state after it."""
        batches, send = state[:-1], state[-1]
        self._is_campaign = True
        for words, after in self.campaign.steps(batches):
            yield words, (*after, send)
        self._is_campaign = False
        for words, code in self.send.find_moves(send):
            yield words, (*batches, code)
        for worker in (0, 1):
            words = ("crash", f"worker {worker + 1}")
            yield words, (*self.campaign.crash(batches, worker), self.send.crash(send, worker))
