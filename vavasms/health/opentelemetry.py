"""The gauges of a worker for OpenTelemetry: what a program that has loaded it exports beside its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import anyio
from attrs import define, field

from vavasms.health.gauges import Gauge, list_gauges
from vavasms.health.monitor import HealthMonitor

#: Seconds between two looks at the ledger; exporters ask for it as often or less.
_EVERY = 15.0


@define(kw_only=True, eq=False)
class GaugeObserver:
    """What is exported of a worker: its gauges, as they were at the last look."""

    monitor: HealthMonitor
    #: OpenTelemetry's, which is not imported here.
    meter: Any
    _latest: dict[str, Gauge] = field(factory=dict, init=False)
    _known: set[str] = field(factory=set, init=False)

    async def run(self) -> None:
        """Refresh them now and then, until cancelled."""
        while True:
            await self.look()
            await anyio.sleep(_EVERY)

    async def look(self) -> None:
        """Read the gauges, and have those exported that are new."""
        reading = await self.monitor.read_totals()
        self._latest = {gauge.name: gauge for gauge in list_gauges(self.monitor, reading)}
        for name, gauge in self._latest.items():
            if name not in self._known:
                self._known.add(name)
                self.meter.create_observable_gauge(
                    # OpenTelemetry's names have dots.
                    name.replace("_", ".", 1),
                    callbacks=[self._make_callback(name)],
                    description=gauge.text,
                )

    def _make_callback(self, name: str) -> Callable[[object], list[Any]]:
        def observe(_options: object) -> list[Any]:
            # In the exporter's thread: of what is not known any more nothing is told.
            gauge = self._latest.get(name)
            if gauge is None:
                return []
            observation = sys.modules["opentelemetry.metrics"].Observation
            values = gauge.values.items()
            return [observation(value, dict(zip(gauge.labels, key, strict=True))) for key, value in values]

        return observe
