"""Send the list in batches to a sandbox that misbehaves, and settle the account with its journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from decimal import Decimal

from attrs import define, field, frozen

from vavasms.bulk.batches import BatchResult, BulkReport
from vavasms.errors import Outcome
from vavasms.numbers import Msisdn
from vavasms.sandbox import Fault, FaultKind, FaultPlan, Gateway, Journal, SandboxServer
from vavasms.sync import VavaSMS
from vavasms.transport.telling import CallInfo

BATCH_SIZE = 100
_CONCURRENCY = 8
_TEXT_PATH = "/v1/text/single"
#: Below as many batches a lost one would be most of the list: nothing goes wrong then.
_BATCHES_FOR_FAULTS = 8


@define(kw_only=True)
class Sent:
    """What the sending came to, as the client saw it."""

    #: Every recipient by the outcome.
    outcomes: dict[Outcome, list[Msisdn]] = field(factory=lambda: {outcome: [] for outcome in Outcome})
    balance_before: Decimal = Decimal(0)
    balance_after: Decimal = Decimal(0)
    #: Requests that carried the text, those turned away too.
    requests: int = 0
    #: How often the gateway asked for a pause (429), which was kept.
    pauses: int = 0

    def add(self, result: BatchResult) -> None:
        """Take in one settled batch."""
        self.outcomes[result.outcome].extend(result.recipients)

    def watch(self, call: CallInfo) -> None:
        """Count one answer, or one that did not come."""
        self.requests += call.call == "send_text"
        self.pauses += call.http_status == 429

    def counts(self) -> dict[Outcome, int]:
        """Count the recipients of each outcome."""
        return {outcome: len(numbers) for outcome, numbers in self.outcomes.items()}


@frozen(kw_only=True)
class Audit:
    """The same as the gateway's journal has it."""

    #: Numbers that received the text once, and more than once.
    once: int
    several_times: int
    #: Of the unknown ones, how many did receive it.
    unknown_received: int
    #: Segments paid, over all recipients.
    segments: int
    cost: Decimal
    #: What does not add up, in words; empty where all does.
    faults: tuple[str, ...]


def make_gateway(recipients: int) -> Gateway:
    """Make a gateway with enough credit."""
    return Gateway(balance=max(1_000_000, 20 * recipients))


def make_faults(recipients: int) -> FaultPlan:
    """Plan what goes wrong: two requests for a slower pace, one connection lost after accepting."""
    plan = FaultPlan()
    batches = -(-recipients // BATCH_SIZE)
    if batches >= _BATCHES_FOR_FAULTS:
        steps: list[Fault | None] = [None] * (batches // 2)
        slower = Fault(kind=FaultKind.RATE_LIMIT, retry_after="1")
        steps[batches // 8] = steps[batches // 4] = slower
        steps[-1] = Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING)
        plan.script(*steps, path=_TEXT_PATH)
    return plan


def send(
    server: SandboxServer,
    recipients: Collection[Msisdn],
    message: str,
    advance: Callable[[BatchResult], None],
) -> Sent:
    """Send `message` to all, `advance` being told of each batch; an interrupt settles what is in flight."""
    sent = Sent()
    # The sandbox refuses a lot for one number as a whole, so the sender may halve it to find the number.
    with VavaSMS(
        server.gateway.username,
        server.gateway.password,
        sender_id="SANDBOX",
        base_url=server.url,
        trust_env=False,
        lots_are_atomic=True,
        on_response=sent.watch,
    ) as sms:
        sent.balance_before = sms.balance().amount
        results = sms.stream_bulk(recipients, message, batch_size=BATCH_SIZE, concurrency=_CONCURRENCY)
        try:
            with results:
                for result in results:
                    sent.add(result)
                    advance(result)
        except KeyboardInterrupt as interrupt:
            interrupt.add_note(_account(results.report))
            raise
        sent.balance_after = sms.balance().amount
    return sent


def audit(journal: Journal, recipients: Collection[Msisdn], sent: Sent) -> Audit:
    """Hold the client's account against the journal."""
    received = Counter(journal.counts())
    unknown = sent.outcomes[Outcome.UNKNOWN]
    cost = sum((entry.cost for entry in journal.entries), Decimal(0))
    settled = Counter(number for numbers in sent.outcomes.values() for number in numbers)
    not_received = (*sent.outcomes[Outcome.REJECTED], *sent.outcomes[Outcome.NOT_SENT])
    checks = {
        "a recipient is missing from the account": settled == Counter(recipients),
        "an accepted number did not receive it once": all(
            received[number] == 1 for number in sent.outcomes[Outcome.ACCEPTED]
        ),
        "a number received it twice": max(received.values(), default=0) <= 1,
        "a rejected or unsent number received it": not any(received[number] for number in not_received),
        "a stranger received it": received.keys() <= set(recipients),
        "the cost is not what left the balance": cost == sent.balance_before - sent.balance_after,
    }
    return Audit(
        once=sum(times == 1 for times in received.values()),
        several_times=sum(times > 1 for times in received.values()),
        unknown_received=sum(received[number] > 0 for number in unknown),
        segments=sum(entry.segments * entry.recipients for entry in journal.entries),
        cost=cost,
        faults=tuple(fault for fault, holds in checks.items() if not holds),
    )


def _account(report: BulkReport) -> str:
    return (
        f"{report.accepted:,} accepted, {report.rejected:,} rejected, "
        f"{report.not_sent:,} not sent, {report.unknown:,} unknown, the rest was not started"
    )
