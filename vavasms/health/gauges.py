"""What is shown of a worker and its ledger at one moment: gauges, for whatever collects them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache

from attrs import define, field

from vavasms.campaigns.policy import load_policy
from vavasms.errors import VavaSMSError
from vavasms.health.monitor import OK, HealthMonitor
from vavasms.health.totals_cache import TotalsReading
from vavasms.ledger.states import BatchState, CampaignState
from vavasms.ledger.totals import LedgerTotals, RecipientCounts

#: What the help of a metric begins with, by where it comes from.
OF_LEDGER = "Of the ledger, the same from every worker of the account (take max, not sum): "
OF_PROCESS = "Of this process: "
_CAMPAIGN = "campaign"


@define
class Gauge:
    """A metric that goes up and down, by the values of its labels."""

    name: str
    #: What it is, in one sentence.
    text: str
    labels: tuple[str, ...] = ()
    values: dict[tuple[str, ...], float] = field(factory=dict)

    def add(self, value: float | Decimal, *labels: str) -> None:
        """Add to the value of these labels."""
        self.values[labels] = self.values.get(labels, 0.0) + float(value)


def list_gauges(monitor: HealthMonitor, reading: TotalsReading | None) -> Iterator[Gauge]:
    """Yield what is known now; of a ledger that was not read nothing."""
    yield from list_moment(monitor, reading)
    if reading is not None:
        yield from list_totals(reading.totals)


def list_moment(monitor: HealthMonitor, reading: TotalsReading | None) -> Iterator[Gauge]:
    """Yield what is another in each moment: the process, and the age of what was read."""
    yield from _show_monitor(monitor)
    if reading is not None:
        yield from _show_reading(reading)


def list_totals(totals: LedgerTotals) -> Iterator[Gauge]:
    """Yield what was read of a ledger. Goes over all its campaigns: 60 ms for 5,000."""
    yield from _show_recipients(totals)
    yield from _show_states(totals)
    yield from _show_spending(totals)
    yield _show_age(totals)
    if totals.workers is not None:
        text = OF_LEDGER + "workers of the database with a heartbeat of late."
        yield _gauge("vavasms_workers_alive", text, totals.workers)


def _gauge(name: str, text: str, value: float | Decimal) -> Gauge:
    return Gauge(name, text, values={(): float(value)})


def _show_monitor(monitor: HealthMonitor) -> Iterator[Gauge]:
    readiness = monitor.readiness
    yield _gauge("vavasms_ready", OF_PROCESS + "1 where /ready says yes, else 0.", readiness.is_ready)
    text = OF_PROCESS + "1 where the ledger answers, else 0; then whatever is read from it is absent."
    yield _gauge("vavasms_ledger_up", text, readiness.ledger == OK)
    balance = monitor.balance
    if balance is not None:
        text = "The account's balance in XOF, as this process read it last; absent before the first reading."
        yield _gauge("vavasms_balance_xof", text, balance.amount)
        text = "When this process read the balance last, seconds since the epoch."
        yield _gauge("vavasms_balance_read_timestamp_seconds", text, balance.at)


def _show_reading(reading: TotalsReading) -> Iterator[Gauge]:
    text = OF_PROCESS + "seconds since the ledger's totals shown here were read."
    yield _gauge("vavasms_ledger_age_seconds", text, reading.age)
    text = OF_PROCESS + "seconds that reading them took."
    yield _gauge("vavasms_ledger_read_seconds", text, reading.took)


def _by_kind(totals: LedgerTotals) -> Iterator[tuple[str, RecipientCounts]]:
    for campaign in totals.campaigns.values():
        yield _CAMPAIGN, campaign.counts
    for kind, counts in totals.sends.items():
        yield kind.value, counts


def _show_recipients(totals: LedgerTotals) -> Iterator[Gauge]:
    outcomes = Gauge(
        "vavasms_recipients",
        OF_LEDGER
        + "recipients by kind (campaign, text, otp), outcome and error code, an empty one where none was "
        "kept. Unknown is what a person must decide on. Sends that were purged are not in it.",
        ("kind", "outcome", "error_code"),
    )
    queued = Gauge("vavasms_queued_recipients", OF_LEDGER + "recipients that wait, by kind.", ("kind",))
    sending = Gauge("vavasms_sending_recipients", OF_LEDGER + "recipients under way, by kind.", ("kind",))
    for kind in (_CAMPAIGN, *(kind.value for kind in totals.sends)):
        # What alerts look for is there from the start.
        outcomes.add(0, kind, "unknown", "")
        queued.add(0, kind)
        sending.add(0, kind)
    for kind, counts in _by_kind(totals):
        queued.add(counts.queued, kind)
        sending.add(counts.sending, kind)
        for coded, count in counts.by_outcome.items():
            outcomes.add(count, kind, coded.outcome.value, coded.error_code)
    yield from (outcomes, queued, sending)


def _show_states(totals: LedgerTotals) -> Iterator[Gauge]:
    batches = Gauge("vavasms_batches", OF_LEDGER + "batches of campaigns, by state.", ("state",))
    campaigns = Gauge("vavasms_campaigns", OF_LEDGER + "campaigns, by state.", ("state",))
    for state in BatchState:
        batches.add(0, state.value)
    for each in CampaignState:
        campaigns.add(0, each.value)
    for campaign in totals.campaigns.values():
        campaigns.add(1, campaign.state.value)
        for state, count in campaign.counts.batches.items():
            batches.add(count, state.value)
    yield batches
    yield campaigns


def _show_spending(totals: LedgerTotals) -> Iterator[Gauge]:
    segments = Gauge("vavasms_segments", OF_LEDGER + "SMS paid or possibly paid, by kind.", ("kind",))
    segments.add(0, _CAMPAIGN)
    for kind, counts in _by_kind(totals):
        segments.add(counts.segments, kind)
    spent, unpriced = Decimal(0), 0
    for campaign in totals.campaigns.values():
        price = _find_price(campaign.policy)
        if price is None:
            unpriced += campaign.counts.segments
        else:
            spent += price * campaign.counts.segments
    yield segments
    yield _gauge("vavasms_cost_xof", OF_LEDGER + "XOF of the campaigns whose policy names a price.", spent)
    text = OF_LEDGER + "SMS of campaigns without a price: they are not in vavasms_cost_xof."
    yield _gauge("vavasms_unpriced_segments", text, unpriced)


def _show_age(totals: LedgerTotals) -> Gauge:
    family = Gauge(
        "vavasms_queue_age_seconds",
        OF_LEDGER
        + "seconds for which the oldest that waits has been due: an enqueued send, or since it was made "
        "a running campaign of which something is queued. 0 where nothing waits.",
        ("kind",),
    )
    family.add(totals.send_wait, "send")
    family.add(totals.campaign_wait, _CAMPAIGN)
    return family


@lru_cache(maxsize=256)
def _find_price(policy: str) -> Decimal | None:
    """Return the XOF that a segment costs; None where a policy names none, or is of another version."""
    try:
        return load_policy(policy).unit_price
    except (VavaSMSError, ValueError):
        return None
