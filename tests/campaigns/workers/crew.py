"""Workers that share a campaign and end one after the other, what they leave, and what it comes to."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping

from attrs import define, evolve, field, frozen

from tests.campaigns.crashes.stage import Audit, Runner
from tests.campaigns.workers.stage import SIZE, Left, SharedCampaign, poll
from vavasms.campaigns.policy import load_policy
from vavasms.ledger.states import BatchState

WORKERS = 4
#: A statement of a worker that was just killed may still be on its way: seconds until none is.
_ECHO = 0.15


@define
class Crew:
    """Some workers on one campaign."""

    campaign: SharedCampaign
    #: Further words of each order.
    words: Mapping[str, object] = field(factory=dict)
    workers: list[Runner] = field(init=False)
    #: What the killed ones had in hand.
    left: list[Left] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.workers = [self._start() for _ in range(WORKERS)]
        for worker in self.workers:
            assert worker.listen("worker_id"), worker.said

    def _start(self) -> Runner:
        return self.campaign.start(**self.words)

    def kill_in_flight(self, draw: random.Random) -> None:
        """Kill a worker that has batches in flight, and put a new one in its place."""
        worker = draw.choice(self.workers)
        poll(lambda: self.campaign.sending(worker) > 0, timeout=60, every=0.01)
        at = time.time()
        assert worker.kill(), worker.said
        before, left = None, self.campaign.in_hand(worker, at)
        while left != before:
            time.sleep(_ECHO)
            before, left = left, self.campaign.in_hand(worker, at)
        self._replace(worker, left)

    def retire(self, worker: Runner) -> None:
        """Ask a worker to end, and put a new one in its place once it has."""
        assert worker.listen("worker_id"), worker.said
        left = self.campaign.in_hand(worker, time.time())
        worker.signal(15)
        assert worker.wait() == 0, worker.said
        # What it had under way is settled.
        self._replace(worker, evolve(left, held=self.campaign.in_hand(worker, 0.0).held))

    def _replace(self, worker: Runner, left: Left) -> None:
        self.workers.remove(worker)
        self.left.append(left)
        self.workers.append(self._start())

    def kill_many(self, kills: int, draw: random.Random, *, until: float) -> None:
        """Kill so many that held something, the last one with the share `until` of the batches done."""
        batches = self.campaign.queued()
        while (dead := sum(bool(worker.held) for worker in self.left)) < kills:
            self.campaign.wait_for_queued(int(batches * (1 - until * (dead + 1) / kills)))
            self.kill_in_flight(draw)

    def stop(self) -> None:
        """Stop all of them; they end by themselves."""
        for worker in self.workers:
            worker.signal(15)
        for each in self.workers:
            assert each.wait() == 0, each.said
            assert each.heard("stopped"), each.said

    @property
    def held(self) -> frozenset[int]:
        """Return the batches that were `sending` with a worker as it died."""
        return frozenset[int]().union(*[worker.held for worker in self.left])

    def takeovers(self) -> list[float]:
        """Return the seconds after which what waited in a worker that ended was claimed by another one."""
        claims, latest = (
            self.campaign.claims(),
            {number: worker for worker in self.left for number in worker.waiting},
        )
        found = [(*claims[number], left) for number, left in latest.items()]
        return sorted(at - left.at for pid, at, left in found if pid != left.pid)

    def slowness(self) -> float:
        """Return how many times longer than by its rate the campaign took until the first worker ended."""
        campaign = self.campaign.ask(lambda ledger: ledger.campaign(self.campaign.id))
        rate = load_policy(campaign.policy).rate
        if rate is None or not self.left:
            return 1.0
        end = min(left.at for left in self.left)
        before = [at for _, at in self.campaign.claims().values() if at < end]
        return max((end - min(before)) / (len(before) * SIZE / rate), 1.0)


@frozen(kw_only=True)
class Report:
    """What a campaign came to."""

    audit: Audit
    #: Batches.
    unknown: frozenset[int]
    held: frozenset[int]
    ends: int
    takeovers: list[float]
    #: 1 where the workers kept the rate.
    slowness: float

    def __str__(self) -> str:
        slowest = max(self.takeovers, default=0.0)
        return (
            f"{self.ends} ended: duplicates {self.audit.duplicates}, lost {self.audit.lost}, "
            f"hidden {self.audit.hidden}, unknown {len(self.unknown)} of {len(self.held)} held; "
            f"{len(self.takeovers)} that waited were claimed by others within {slowest:.1f} s "
            f"(at {self.slowness:.1f} times the time)"
        )

    def check(self) -> None:
        """Hold it to the promises."""
        status = self.audit.status
        assert (self.audit.duplicates, self.audit.lost, self.audit.hidden) == (0, 0, 0)
        assert self.unknown <= self.held
        assert status.unknown == SIZE * len(self.unknown)
        assert status.accepted == status.recipients - status.unknown


def conclude(crew: Crew) -> Report:
    """Wait for the end of a campaign, end its workers, and hold the ledger against the journal."""
    crew.campaign.wait_for_end()
    crew.stop()
    unknown = [batch.number for batch in crew.campaign.batches() if batch.state is BatchState.UNKNOWN]
    report = Report(
        audit=crew.campaign.audit(),
        unknown=frozenset(unknown),
        held=crew.held,
        ends=len(crew.left),
        takeovers=crew.takeovers(),
        slowness=crew.slowness(),
    )
    print(report)
    return report
