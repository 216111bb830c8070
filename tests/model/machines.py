"""What sends, as finite automata made of the real coroutines.

A coroutine cannot be copied, but it does the same again for the same results: each state of an automaton is
found by running the coroutine from its beginning. States that behave alike from there on are one state.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache, partial
from typing import NamedTuple, cast

from attrs import define, field

from tests.model.batches import AGES, REVISION
from tests.model.effects import (
    ACCOUNT,
    ANSWERS,
    CAMPAIGN,
    KEY,
    PHONES,
    SENDER,
    TEXT,
    Effect,
    Result,
    Script,
    ScriptedLedger,
    VirtualLoop,
    make_transport,
)
from tests.model.violation import Violation
from vavasms import endpoints
from vavasms.campaigns.policy import Policy, dump_policy
from vavasms.campaigns.sending.balance_floor import BalanceReader
from vavasms.campaigns.sending.campaign_sender import CampaignSender
from vavasms.config import Timeouts
from vavasms.endpoints import Account, HasAccount
from vavasms.errors import LedgerError, Outcome, VavaSMSError
from vavasms.ledger.attempts import measure_age
from vavasms.ledger.clock import SharedClock
from vavasms.ledger.models import Campaign, QueuedBatch
from vavasms.ledger.pending_writes import PendingWrites
from vavasms.ledger.send_record import SendRecord
from vavasms.ledger.sends import NewSend
from vavasms.ledger.states import BatchState, CampaignState
from vavasms.sends.outbox_worker import OutboxWorker
from vavasms.sends.sender import SingleSender
from vavasms.wire.requests import draft_text

#: Answers that say, and prove, that nobody has the message; of a lot only where it is refused as a whole.
PROOFS = frozenset({"number refused", "sender refused", "turned away"})
_END = Effect("end")
WRITES = frozenset({"settle", "split", "abandon", "abandon_due"})
#: In the place of a state: the one that it is in.
SAME = -1
#: More effects than any life has.
_MOST = 14


class Named(NamedTuple):
    """A result by the name that the model has for it."""

    name: str
    result: Result


@define
class Machine:
    """An automaton: in each state it waits for an effect, and goes on by the name of its result."""

    effects: list[Effect] = field(factory=list)
    moves: list[Mapping[str, int]] = field(factory=list)
    start: int = 0

    def is_end(self, state: int) -> bool:
        """Return whether nothing follows."""
        return self.effects[state].name == "end"


Life = Callable[[Script], Awaitable[None]]
History = tuple[tuple[Effect, Named], ...]


@cache
def batch_machine(*, atomic: bool) -> Machine:
    """Build the automaton of a batch, of one recipient or two, in a worker."""
    return _Builder(partial(_send_batch, atomic=atomic)).build()


@cache
def call_machine(*, is_shared: bool) -> Machine:
    """Build the automaton of a call that sends under a key, and is told what became of it."""
    return _Builder(partial(_call, is_shared=is_shared), check=_check_told).build()


@cache
def outbox_machine(*, is_shared: bool) -> Machine:
    """Build the automaton of what was enqueued, in a worker."""
    return _Builder(partial(_work_outbox, is_shared=is_shared)).build()


async def _send_batch(script: Script, *, atomic: bool) -> None:
    ledger, pending = ScriptedLedger(script, is_shared=True), PendingWrites()
    account = _make_account(script, atomic=atomic)
    sender = CampaignSender(
        ledger=ledger.shared,
        campaign=_CAMPAIGN,
        account=account,
        worker="w",
        clock=script.clock,
        pending=pending,
        reader=BalanceReader(transport=account.transport),
    )
    # The balance was read before, and something was answered.
    sender._is_answered = True
    with suppress(LedgerError, asyncio.CancelledError):
        await sender.send(QueuedBatch(number=0, messages=1, segments=1, not_before=0.0))
    await _write(pending)


async def _call(script: Script, *, is_shared: bool) -> None:
    ledger = ScriptedLedger(script, is_shared=is_shared)
    sender = SingleSender(ledger=ledger.any, patience=0.0, keep=1.0, clock=SharedClock(own=script.clock))
    transport = _make_account(script, atomic=False).transport
    call = partial(endpoints.send_text, transport, draft_text(TEXT, SENDER), PHONES[:1])
    told: Outcome | None = None
    try:
        found = await sender.send(_NEW_SEND, call)
        told = found.outcome if isinstance(found, SendRecord) else Outcome.ACCEPTED
    except VavaSMSError as error:
        told = error.outcome
    except asyncio.CancelledError:
        pass
    await script.ask("told", told)
    await _write(sender.pending)


async def _work_outbox(script: Script, *, is_shared: bool) -> None:
    ledger = ScriptedLedger(script, is_shared=is_shared)
    client = cast("HasAccount", _Client(_make_account(script, atomic=False)))
    outbox = OutboxWorker(client, ledger.any)
    outbox._clock = SharedClock(own=script.clock)
    with suppress(LedgerError, asyncio.CancelledError):
        for claim in await outbox._claim_due(1):
            await outbox._slots.acquire()
            await outbox._send(claim, measure_age(claim.at, outbox._clock))
    await _write(outbox._pending)


async def _write(pending: PendingWrites) -> None:
    while len(pending):
        with suppress(LedgerError):
            await pending.flush()


class _Client(NamedTuple):
    account: Account


def _make_account(script: Script, *, atomic: bool) -> Account:
    return Account(
        name=ACCOUNT,
        transport=make_transport(script, atomic=atomic),
        sender_id=SENDER,
        region="CI",
        status_path="/status",
        timeouts=Timeouts(),
    )


_CAMPAIGN = Campaign(
    id=CAMPAIGN,
    state=CampaignState.RUNNING,
    reason=None,
    account=ACCOUNT,
    sender_id=SENDER,
    message=TEXT,
    policy=dump_policy(Policy()),
    plan="{}",
    plan_hash="",
    created_at=1.0,
    revision=REVISION,
)
_NEW_SEND = NewSend(account=ACCOUNT, key=KEY, recipients=PHONES[:1], sender_id=SENDER, segments=1, text=TEXT)


@define
class _Builder:
    """Finds the states of a coroutine, and makes one of those that behave alike."""

    life: Life
    #: Called with how each life went, to its end.
    check: Callable[[History], None] = lambda history: None
    _machine: Machine = field(factory=Machine, init=False)
    _known: dict[tuple[Effect, frozenset[tuple[str, int]]], int] = field(factory=dict, init=False)
    _loop: VirtualLoop = field(factory=VirtualLoop, init=False)

    def build(self) -> Machine:
        with _silent():
            self._machine.start = self._explore(())
            self._loop.close()
        return self._machine

    def _explore(self, history: History) -> int:
        if len(history) > _MOST:
            raise Violation(f"it never ends: {_tell(history)}")
        effect = self._run(history)
        if effect.name in ("connect", "answer"):
            _check_right(effect, history)
        if effect is _END:
            self.check(history)
        moves = {
            named.name: self._explore((*history, (effect, named))) for named in results_of(effect, history)
        }
        if effect.name == "pause":
            return self._leave_out_pause(effect, moves)
        if effect.name == "told":
            # `check` is told of it.
            return moves["done"]
        return self._intern(effect, self._join_tries(effect, moves))

    def _intern(self, effect: Effect, moves: Mapping[str, int]) -> int:
        key = (effect, frozenset(moves.items()))
        if key not in self._known:
            self._known[key] = len(self._machine.effects)
            self._machine.effects.append(effect)
            self._machine.moves.append(moves)
        return self._known[key]

    def _join_tries(self, effect: Effect, moves: Mapping[str, int]) -> Mapping[str, int]:
        """Return the moves of a state in which nothing is done but the same a second time, as those of the second.

        Whoever can try once more can do nothing that the last try cannot. A write is tried until it is made:
        `results_of` lets it fail once, and here any number of times.
        """
        for again in set(moves.values()):
            last = self._machine.moves[again]
            if self._machine.effects[again] == effect and all(
                at in (again, last.get(name, again)) for name, at in moves.items()
            ):
                return last
        return {**moves, "lost": SAME} if effect.name in WRITES and "lost" not in moves else moves

    def _leave_out_pause(self, effect: Effect, moves: Mapping[str, int]) -> int:
        """Return the state after a pause: a person may pause whenever a worker does, and does so in the model."""
        if effect.detail != (REVISION,):
            raise Violation("a worker pauses what somebody else may have started")
        if len({*moves.values()}) > 1:
            raise Violation("a worker goes by whether its pause was the first")
        return moves["done"]

    def _run(self, history: History) -> Effect:
        """Return what the coroutine waits for after this."""
        script = Script([named.result for _, named in history])
        return self._loop.run_until_complete(self._run_until_parked(script, history))

    async def _run_until_parked(self, script: Script, history: History) -> Effect:
        task = asyncio.ensure_future(self.life(script))
        parked = asyncio.ensure_future(script.parked.wait())
        await asyncio.wait([task, parked], return_when=asyncio.FIRST_COMPLETED)
        pending = script.pending
        if pending is None:
            parked.cancel()
            problem = task.exception()
            if problem is not None:
                raise Violation(f"it raised {problem!r}: {_tell(history)}")
            return _END
        script.dismiss()
        with suppress(BaseException):
            await task
        return pending


def results_of(effect: Effect, history: History = ()) -> Iterator[Named]:
    """Yield what the world can answer to an effect."""
    for name in _NAMES[effect.name]:
        # What could not be written once is written later: another failure changes nothing.
        was_lost = any(each.name == "lost" and one.name in WRITES for one, each in history)
        if name == "lost" and was_lost and effect.name in WRITES:
            continue
        yield Named(name, _make_result(name))


def _make_result(name: str) -> Result:
    word, *rest = name.split()
    if word == "granted":
        count, age = map(int, rest)
        return Result("granted", AGES[age], tuple(range(count)))
    if word == "go":
        return Result("go", AGES[int(rest[0])])
    if word == "found":
        return Result("found", 0.0, BatchState(rest[0]))
    return Result(name)


_WRITTEN = ("done", "refused", "lost")
_GRANTED_ONE = ("granted 1 0", "granted 1 1")
_NAMES: Mapping[str, tuple[str, ...]] = {
    "claim": ("refused", "lost", *_GRANTED_ONE, "granted 2 0", "granted 2 1"),
    "begin": ("lost", "granted 1 0", "found accepted", "found unknown", "found sending", "found queued"),
    "claim_due": ("refused", "lost", *_GRANTED_ONE),
    "settle": _WRITTEN,
    "split": _WRITTEN,
    "abandon": _WRITTEN,
    "abandon_due": ("done", "lost"),
    "pause": ("done", "refused"),
    "connect": (*[f"go {age}" for age in range(len(AGES))], "unreachable", "interrupted"),
    "answer": (*ANSWERS, "reset", "interrupted"),
    "told": ("done",),
    "wait": (),
    "end": (),
}


def _check_right(effect: Effect, history: History) -> None:
    """Raise `Violation` where something leaves without a claim, or a second time by one."""
    if not any(each.name.startswith("granted") for _, each in history):
        raise Violation(f"it is sent before its claim is committed: {_tell(history)}")
    answers = [each.name for one, each in history if one.name == "answer"]
    if effect.name == "answer" and not PROOFS.issuperset(answers):
        raise Violation(f"it is sent a second time by one claim: {_tell(history)}")


def _check_told(history: History) -> None:
    """Raise `Violation` where a call was told what is not so, or what nobody can know."""
    named = {effect.name: each.name for effect, each in history}
    told = next((effect.detail[0] for effect, _ in history if effect.name == "told"), None)
    answer = named.get("answer")
    may_have_it = answer is not None and answer not in PROOFS
    was_accepted = answer == "accepted" or named.get("begin") == "found accepted"
    if told in (Outcome.NOT_SENT, Outcome.REJECTED) and may_have_it:
        raise Violation(f"the gateway may have it, and the call was told {told}: {_tell(history)}")
    if told is Outcome.ACCEPTED and not was_accepted:
        raise Violation(f"nobody said that it was accepted, and the call was told so: {_tell(history)}")


def _tell(history: History) -> str:
    return ", ".join(f"{effect.name}: {each.name}" for effect, each in history)


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the warnings of failures that are part of the model out of the output."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
