"""What a simulation consists of, besides its faults: who sends what, by which limits. Drawn from the seed. Pure."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from random import Random

from attrs import field, frozen

from tests.simulation.intents import Intent, IntentKind
from vavasms.campaigns.policy import Policy
from vavasms.config import Timeouts

#: The sandbox refuses a lot that names it, with 903.
BAD_NUMBER = "2250700000903"
#: XOF a segment.
PRICE = Decimal(10)


class Role(Enum):
    """What a process does."""

    #: Sends single texts, each with a key; the same ones in several processes.
    KEYED = "keyed"
    #: Sends single texts, without a key and without a ledger.
    PLAIN = "plain"
    #: Sends in bulk.
    BULK = "bulk"
    #: Enqueues texts.
    PRODUCER = "producer"
    #: Sends what is enqueued.
    WORKER = "worker"
    #: Submits campaigns and runs them.
    RUNNER = "runner"
    #: Looks at what is unknown and decides; pauses, cancels, opts people out.
    PERSON = "person"


class Act(Enum):
    """What a person does."""

    PAUSE = "pause"
    CANCEL = "cancel"
    RESUME = "resume"
    OPT_OUT = "opt_out"
    DECIDE = "decide"
    RAISE_BUDGET = "raise_budget"


@frozen(kw_only=True)
class Action:
    """Something that a person does, so many seconds after the one before."""

    act: Act
    wait: float
    #: Which of several things it is done to.
    choice: int
    #: Whether the person looked at what the gateway has before deciding.
    is_informed: bool


@frozen(kw_only=True)
class BulkShape:
    """How a bulk send is cut."""

    batch_size: int
    concurrency: int
    rate: float | None


@frozen(kw_only=True)
class Scenario:
    """The programs of a simulation and what they are given."""

    roles: tuple[Role, ...]
    intents: tuple[Intent, ...]
    policies: tuple[Policy, ...]
    bulk: BulkShape
    actions: tuple[Action, ...]
    timeouts: Timeouts
    lots_are_atomic: bool
    #: XOF on the account.
    balance: Decimal
    #: Whether the order of callbacks is drawn.
    shuffles: bool
    #: How often a process is started again after it died.
    restarts: int
    #: How often a call is made that did not succeed.
    patience: int
    #: Whether the ledger is made by the first who opens it.
    is_new: bool

    def of(self, kind: IntentKind) -> list[Intent]:
        """Return the intents of a kind."""
        return [intent for intent in self.intents if intent.kind is kind]


@frozen
class _Drawer:
    """Draws one scenario."""

    draw: Random
    numbers: list[str] = field(factory=lambda: [f"22507570{number:05d}" for number in range(100, 160)])

    def scenario(self) -> Scenario:
        roles, policies = self._roles(), self._policies()
        return Scenario(
            roles=roles,
            intents=self._intents(roles),
            policies=policies,
            bulk=BulkShape(
                batch_size=self.draw.randint(1, 3),
                concurrency=self.draw.randint(1, 4),
                rate=self.draw.choice((None, None, 5.0)),
            ),
            actions=tuple(self._action() for _action in range(self.draw.randint(1, 4))),
            timeouts=self._timeouts(),
            lots_are_atomic=self.draw.random() < 0.6,
            balance=self._balance(policies),
            shuffles=self.draw.random() < 0.5,
            restarts=self.draw.randint(1, 3),
            patience=self.draw.randint(1, 3),
            is_new=self.draw.random() < 0.1,
        )

    def _roles(self) -> tuple[Role, ...]:
        draw = self.draw
        mix = draw.choices(
            (
                [Role.KEYED] * draw.randint(1, 2),
                [Role.PLAIN],
                [Role.BULK],
                [Role.PRODUCER] + [Role.WORKER] * draw.randint(1, 2),
                [Role.RUNNER] * draw.randint(1, 2),
                [Role.RUNNER, Role.PRODUCER],
                [Role.RUNNER, Role.KEYED],
                [Role.BULK, Role.KEYED],
            ),
            weights=(4, 1, 3, 4, 8, 2, 2, 1),
        )[0]
        ledgers = Role.PLAIN not in mix and mix != [Role.BULK]
        return (*mix, *([Role.PERSON] if ledgers and draw.random() < 0.5 else []))

    def _intents(self, roles: tuple[Role, ...]) -> tuple[Intent, ...]:
        draw, found = self.draw, []
        same = self._recipients(draw.randint(2, 7)) if draw.random() < 0.3 else None
        sizes = (
            (Role.KEYED, IntentKind.KEYED, (1, 3), (1, 2)),
            (Role.PLAIN, IntentKind.PLAIN, (1, 4), (1, 2)),
            (Role.BULK, IntentKind.BULK, (1, 1), (2, 8)),
            (Role.PRODUCER, IntentKind.ENQUEUED, (1, 4), (1, 2)),
            (Role.RUNNER, IntentKind.CAMPAIGN, (1, 2), (2, 7)),
        )
        for role, kind, counts, recipients in sizes:
            if role in roles:
                for number in range(draw.randint(*counts)):
                    to = self._recipients(draw.randint(*recipients))
                    if same is not None and kind is IntentKind.CAMPAIGN:
                        to = same
                    segments = 2 if draw.random() < 0.15 else 1
                    found.append(Intent(kind=kind, number=number, recipients=to, segments=segments))
        return tuple(found)

    def _recipients(self, count: int) -> tuple[str, ...]:
        # Some are in several intents: a daily cap and an opt-out concern them all.
        chosen = self.draw.sample(self.numbers[:12] if self.draw.random() < 0.5 else self.numbers, count)
        if self.draw.random() < 0.15:
            chosen[self.draw.randrange(count)] = BAD_NUMBER
        return tuple(chosen)

    def _policies(self) -> tuple[Policy, Policy]:
        """Return the limits of the campaigns; now and then both keep to the same floor, or to the same cap."""
        draw = self.draw
        floor, cap = draw.choice(((None, None), (None, None), (None, None), (20, None), (None, 1)))
        first, second = (
            Policy(
                rate=draw.choice((None, None, None, 2.0)),
                unit_price=PRICE,
                budget=draw.choice((None, None, PRICE * draw.randint(1, 12))),
                balance_floor=None if floor is None else Decimal(floor),
                daily_cap=cap,
                batch_size=draw.randint(1, 3),
                concurrency=draw.randint(1, 4),
            )
            for _policy in range(2)
        )
        return first, second

    def _balance(self, policies: tuple[Policy, ...]) -> Decimal:
        has_floor = any(policy.balance_floor is not None for policy in policies)
        return Decimal(self.draw.randint(30, 120) if has_floor else self.draw.choice((100_000, 100_000, 60)))

    def _timeouts(self) -> Timeouts:
        if self.draw.random() < 0.1:
            return Timeouts()
        return Timeouts(connect=1.0, write=1.0, pool=1.0, read=2.0, send=self.draw.choice((2.0, 4.0)))

    def _action(self) -> Action:
        return Action(
            act=self.draw.choice(list(Act)),
            wait=self.draw.choice((0.05, 0.3, 1.0, 5.0)) * self.draw.random(),
            choice=self.draw.randrange(1000),
            is_informed=self.draw.random() < 0.8,
        )


def draw_scenario(draw: Random) -> Scenario:
    """Draw a scenario."""
    return _Drawer(draw).scenario()
