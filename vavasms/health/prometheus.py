"""Metrics in the text format of Prometheus.

What must equal the ledger is read from it when somebody asks: it is right after a kill, and the same from
whichever worker. What belongs to one process is counted in it, and begins at 0 with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import anyio
from anyio.to_thread import run_sync
from attrs import define

from vavasms.config import misconfigured
from vavasms.health.gauges import Gauge, list_moment, list_totals
from vavasms.health.monitor import HealthMonitor
from vavasms.i18n import gettext as _
from vavasms.ledger.totals import LedgerTotals
from vavasms.transport.hooks import CallInfo
from vavasms.version import __version__

try:
    from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.metrics_core import Metric
except ImportError:
    raise misconfigured(
        _("Metrics need their extra: pip install 'vavasms[metrics]'."), "config.extra"
    ) from None

#: Seconds. A call may take half a minute.
_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0)
#: What the help of such a metric begins with.
_PROCESS = "Of this process, from 0 with it (take sum of rate): "


class WorkerMetrics:
    """The metrics of one worker: what it counts itself, and how its ledger's totals are shown."""

    def __init__(self) -> None:
        self._listing = anyio.Lock()
        #: The gauges of these totals.
        self._totals: LedgerTotals | None = None
        self._gauges: Sequence[Gauge] = ()
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Info("vavasms_build", "The version of vavasms.", registry=registry).info({"version": __version__})
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
        gauges = [] if reading is None else await self._list_totals(reading.totals)
        collection = _Collection(self._registry, [*list_moment(monitor, reading), *gauges])
        encode, content_type = choose_encoder(accept)
        return encode(collection), content_type

    async def _list_totals(self, totals: LedgerTotals) -> Sequence[Gauge]:
        """List a reading's gauges once for all who ask, beside the loop, which has SMS to send."""
        async with self._listing:
            if totals is not self._totals:
                self._gauges = await run_sync(lambda: [*list_totals(totals)])
                self._totals = totals
            return self._gauges


@define(eq=False)
class _Collection(CollectorRegistry):
    """What one scrape collects."""

    registry: CollectorRegistry
    gauges: Iterable[Gauge]

    def collect(self) -> Iterator[Metric]:
        """Yield what the process counts, then what was read for this scrape."""
        yield from self.registry.collect()
        yield from map(_build, self.gauges)


def _build(gauge: Gauge) -> Metric:
    family = GaugeMetricFamily(gauge.name, gauge.text, labels=gauge.labels)
    for labels, value in sorted(gauge.values.items()):
        family.add_metric(labels, value)
    return family
