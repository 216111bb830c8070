"""Metrics in the text format of Prometheus.

What must equal the ledger is read from it when somebody asks: it is right after a kill, and the same from
whichever worker. What belongs to one process is counted in it, and begins at 0 with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache

from attrs import define, field

from vavasms.campaigns.policy import load_policy
from vavasms.config import misconfigured
from vavasms.errors import VavaSMSError
from vavasms.health.monitor import HealthMonitor
from vavasms.health.totals_cache import TotalsReading
from vavasms.i18n import gettext as _
from vavasms.ledger.states import BatchState, CampaignState
from vavasms.ledger.totals import Counts, LedgerTotals
from vavasms.transport.hooks import CallInfo
from vavasms.version import __version__

try:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.metrics_core import Metric
except ImportError:
    raise misconfigured(
        _("Metrics need their extra: pip install 'vavasms[metrics]'."), "config.extra"
    ) from None

#: Seconds. A call may take half a minute.
_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0)
#: What the help of a metric begins with, by where it comes from.
_LEDGER = "Of the ledger, the same from every worker of the account (take max, not sum): "
_PROCESS = "Of this process, from 0 with it (take sum of rate): "
_CAMPAIGN = "campaign"


class WorkerMetrics:
    """The metrics of one worker: what it counts itself, and how its ledger's totals are shown."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Gauge(
            "vavasms_build", "The version of vavasms, as a label; always 1.", ["version"], registry=registry
        ).labels(__version__).set(1)
        self._requests = Counter(
            "vavasms_requests",
            _PROCESS
            + "requests to the gateway, each attempt one, by call, outcome and error code. The outcome "
            "of a call that sends nothing is ok or failed.",
            ["call", "outcome", "error_code"],
            registry=registry,
        )
        self._seconds = Histogram(
            "vavasms_request_seconds",
            _PROCESS + "seconds from a request to the end of its answer, by call.",
            ["call"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._waits = Counter(
            "vavasms_rate_wait_seconds",
            _PROCESS
            + "seconds that batches waited for their rate, or because the gateway asked for a pause; "
            "those of several that wait at once add up.",
            registry=registry,
        )

    def count_request(self, info: CallInfo) -> None:
        """Count an attempt: a client's `on_response`."""
        code = "" if info.error is None else info.error.error_code
        self._requests.labels(info.call, info.ending, code).inc()
        if info.elapsed is not None:
            self._seconds.labels(info.call).observe(info.elapsed)

    def count_wait(self, seconds: float) -> None:
        """Count a wait for the rate: a worker's `on_wait`."""
        self._waits.inc(seconds)

    async def render(self, monitor: HealthMonitor, accept: str) -> tuple[bytes, str]:
        """Return the metrics and their type, in the format that a scraper asks for."""
        reading = await monitor.read_totals()
        families = [*_show_monitor(monitor), *_show_ledger(reading)]
        encode, content_type = choose_encoder(accept)
        return encode(_Collection(self._registry, families)), content_type


@define(eq=False)
class _Collection(CollectorRegistry):
    """What one scrape collects."""

    registry: CollectorRegistry
    families: list[Metric]

    def collect(self) -> Iterator[Metric]:
        """Yield what the process counts, then what was read for this scrape."""
        yield from self.registry.collect()
        yield from self.families


@define
class _Family:
    """One gauge while it is made."""

    name: str
    text: str
    labels: tuple[str, ...] = ()
    values: dict[tuple[str, ...], float] = field(factory=dict)

    def add(self, value: float | Decimal, *labels: str) -> None:
        self.values[labels] = self.values.get(labels, 0.0) + float(value)

    def build(self) -> Metric:
        family = GaugeMetricFamily(self.name, self.text, labels=self.labels)
        for labels, value in sorted(self.values.items()):
            family.add_metric(labels, value)
        return family


def _gauge(name: str, text: str, value: float | Decimal) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))


def _show_monitor(monitor: HealthMonitor) -> Iterator[Metric]:
    ready = monitor.readiness.is_ready
    yield _gauge("vavasms_ready", "Of this process: 1 where /ready says yes, else 0.", ready)
    balance = monitor.balance
    if balance is not None:
        text = "The account's balance in XOF, as this process read it last; absent before the first reading."
        yield _gauge("vavasms_balance_xof", text, balance.amount)
        text = "When this process read the balance last, seconds since the epoch."
        yield _gauge("vavasms_balance_read_timestamp_seconds", text, balance.at)


def _show_ledger(reading: TotalsReading | None) -> Iterator[Metric]:
    text = "Of this process: 1 where the ledger answers, else 0; then whatever is read from it is absent."
    yield _gauge("vavasms_ledger_up", text, reading is not None)
    if reading is None:
        return
    text = "Of this process: seconds since the ledger's totals shown here were read."
    yield _gauge("vavasms_ledger_age_seconds", text, reading.age)
    yield _gauge(
        "vavasms_ledger_read_seconds", "Of this process: seconds that reading them took.", reading.took
    )
    yield from _show_totals(reading.totals)


def _show_totals(totals: LedgerTotals) -> Iterator[Metric]:
    yield from _show_recipients(totals)
    yield from _show_states(totals)
    yield from _show_spending(totals)
    yield _show_age(totals)
    if totals.workers is not None:
        text = _LEDGER + "workers of the database with a heartbeat of late."
        yield _gauge("vavasms_workers_alive", text, totals.workers)


def _by_kind(totals: LedgerTotals) -> Iterator[tuple[str, Counts]]:
    for campaign in totals.campaigns.values():
        yield _CAMPAIGN, campaign.counts
    for kind, counts in totals.sends.items():
        yield kind.value, counts


def _show_recipients(totals: LedgerTotals) -> Iterator[Metric]:
    fates = _Family(
        "vavasms_recipients",
        _LEDGER
        + "recipients by kind (campaign, text, otp), outcome and error code, an empty one where none was "
        "kept. Unknown is what a person must decide on. Sends that were purged are not in it.",
        ("kind", "outcome", "error_code"),
    )
    queued = _Family("vavasms_queued_recipients", _LEDGER + "recipients that wait, by kind.", ("kind",))
    sending = _Family("vavasms_sending_recipients", _LEDGER + "recipients under way, by kind.", ("kind",))
    for kind in (_CAMPAIGN, *(kind.value for kind in totals.sends)):
        # What alerts look for is there from the start.
        fates.add(0, kind, "unknown", "")
        queued.add(0, kind)
        sending.add(0, kind)
    for kind, counts in _by_kind(totals):
        queued.add(counts.queued, kind)
        sending.add(counts.sending, kind)
        for fate, count in counts.by_fate.items():
            fates.add(count, kind, fate.outcome.value, fate.error_code)
    yield from (family.build() for family in (fates, queued, sending))


def _show_states(totals: LedgerTotals) -> Iterator[Metric]:
    batches = _Family("vavasms_batches", _LEDGER + "batches of campaigns, by state.", ("state",))
    campaigns = _Family("vavasms_campaigns", _LEDGER + "campaigns, by state.", ("state",))
    for state in BatchState:
        batches.add(0, state.value)
    for each in CampaignState:
        campaigns.add(0, each.value)
    for campaign in totals.campaigns.values():
        campaigns.add(1, campaign.state.value)
        for state, count in campaign.counts.batches.items():
            batches.add(count, state.value)
    yield batches.build()
    yield campaigns.build()


def _show_spending(totals: LedgerTotals) -> Iterator[Metric]:
    segments = _Family("vavasms_segments", _LEDGER + "SMS paid or possibly paid, by kind.", ("kind",))
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
    yield segments.build()
    yield _gauge("vavasms_cost_xof", _LEDGER + "XOF of the campaigns whose policy names a price.", spent)
    text = _LEDGER + "SMS of campaigns without a price: they are not in vavasms_cost_xof."
    yield _gauge("vavasms_unpriced_segments", text, unpriced)


def _show_age(totals: LedgerTotals) -> Metric:
    family = _Family(
        "vavasms_queue_age_seconds",
        _LEDGER
        + "seconds for which the oldest that waits has been due: an enqueued send, or since it was made "
        "a running campaign of which something is queued. 0 where nothing waits.",
        ("kind",),
    )
    family.add(totals.send_wait, "send")
    family.add(totals.campaign_wait, _CAMPAIGN)
    return family.build()


@lru_cache(maxsize=256)
def _find_price(policy: str) -> Decimal | None:
    """Return the XOF that a segment costs; None where a policy names none, or is of another version."""
    try:
        return load_policy(policy).unit_price
    except (VavaSMSError, ValueError):
        return None
