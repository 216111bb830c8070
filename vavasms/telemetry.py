"""Traces and metrics for OpenTelemetry, by its API alone.

It is never imported here: where no program has loaded it nobody listens, and all of this does nothing. A span
holds no number, no text, no key and no credential, and of an error its code alone.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import sha256
from types import TracebackType
from typing import Any, NamedTuple, Self

from vavasms.errors import VavaSMSError
from vavasms.i18n import gettext_noop as N_
from vavasms.version import __version__

_NAME = "vavasms"

logger = logging.getLogger("vavasms")


class _Instruments(NamedTuple):
    """What a process counts."""

    requests: Any
    seconds: Any
    waits: Any


def is_loaded() -> bool:
    """Return whether this process has loaded OpenTelemetry's metrics."""
    return _find("metrics", "get_meter_provider") is not None


def record_request(call: str, outcome: str, error_code: str, seconds: float) -> None:
    """Count one attempt of a call, and how long it took."""
    with _Guard():
        instruments = _find_instruments()
        if instruments is not None:
            instruments.requests.add(1, {"call": call, "outcome": outcome, "error_code": error_code})
            instruments.seconds.record(seconds, {"call": call})


def record_wait(seconds: float) -> None:
    """Count the seconds that a batch waited for its rate."""
    with _Guard():
        instruments = _find_instruments()
        if instruments is not None:
            instruments.waits.add(seconds)


def make_meter() -> Any:
    """Return the meter of this package; None where OpenTelemetry is not loaded, or its provider fails."""
    metrics = _find("metrics", "get_meter_provider")
    if metrics is not None:
        with _Guard():
            return metrics.get_meter_provider().get_meter(_NAME, __version__)
    return None


class _Guard:
    """Log what a program's own exporter or processor raises: it must not lose the outcome of a send."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        logger.warning(N_("OpenTelemetry failed (%s); what is sent goes on."), type(error).__name__)
        return True


class TraceSpan:
    """A span around a block: a call, a batch, or the run of a campaign.

    Where OpenTelemetry is not loaded it is nothing. An error that leaves the block ends it as that.
    """

    def __init__(
        self,
        name: str,
        attributes: Mapping[str, str | int],
        *,
        campaign_id: str | None = None,
        is_call: bool = False,
        interrupted: Callable[[], str] = lambda: "interrupted",
    ) -> None:
        self._name, self._attributes = name, attributes
        self._campaign_id, self._is_call = campaign_id, is_call
        #: The outcome where the block is cut off.
        self._interrupted = interrupted
        self._span: Any = None
        self._token: Any = None

    def __enter__(self) -> Self:
        trace = _find("trace", "get_tracer_provider")
        if trace is not None:
            with _Guard():
                self._start(trace)
        return self

    def _start(self, trace: Any) -> None:
        context: Any = None
        links: list[Any] = []
        if self._campaign_id is not None:
            context, links = _enter_campaign(trace, self._campaign_id)
        self._span = _make_tracer(trace.get_tracer_provider()).start_span(
            self._name,
            context=context,
            kind=trace.SpanKind.CLIENT if self._is_call else trace.SpanKind.INTERNAL,
            attributes={f"{_NAME}.{key}": value for key, value in self._attributes.items()},
            links=links,
        )
        self._token = sys.modules["opentelemetry.context"].attach(
            trace.set_span_in_context(self._span, context)
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._span is None:
            return
        if isinstance(error, VavaSMSError):
            self.settle("failed" if error.outcome is None else error.outcome.value, error)
        elif error is not None:
            self.settle(self._interrupted())
        with _Guard():
            if self._token is not None:
                sys.modules["opentelemetry.context"].detach(self._token)
            self._span.end()

    def settle(self, outcome: str, error: VavaSMSError | None = None) -> None:
        """Note how it ended."""
        if self._span is None:
            return
        with _Guard():
            self._span.set_attribute(f"{_NAME}.outcome", outcome)
            if error is not None:
                self._span.set_attribute("error.type", error.error_code)
                trace = sys.modules["opentelemetry.trace"]
                self._span.set_status(trace.Status(trace.StatusCode.ERROR, error.error_code))


def _enter_campaign(trace: Any, campaign_id: str) -> tuple[Any, list[Any]]:
    """Return the context of a campaign's trace, and a link to the span that it is begun in.

    The trace has an identity made of the campaign's: every process that sends from it, and each time that it
    is resumed, writes to one trace without a word between them.
    """
    digest = sha256(f"{_NAME}.campaign.{campaign_id}".encode()).digest()
    trace_id, span_id = int.from_bytes(digest[:16], "big"), int.from_bytes(digest[16:24], "big")
    current = trace.get_current_span().get_span_context()
    if current.is_valid and current.trace_id == trace_id:
        return None, []
    parent = trace.SpanContext(
        trace_id=trace_id,
        span_id=span_id,
        is_remote=True,
        trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
    )
    links = [trace.Link(current)] if current.is_valid else []
    return trace.set_span_in_context(trace.NonRecordingSpan(parent)), links


def _find(name: str, needed: str) -> Any:
    """Return a module of OpenTelemetry's API; None where nobody has loaded it, or is just about to."""
    module = sys.modules.get(f"opentelemetry.{name}")
    return module if hasattr(module, needed) else None


def _find_instruments() -> _Instruments | None:
    metrics = _find("metrics", "get_meter_provider")
    return None if metrics is None else _make_instruments(metrics.get_meter_provider())


# A provider may be set after the first call.
@lru_cache(maxsize=4)
def _make_tracer(provider: Any) -> Any:
    return provider.get_tracer(_NAME, __version__)


@lru_cache(maxsize=4)
def _make_instruments(provider: Any) -> _Instruments:
    meter = provider.get_meter(_NAME, __version__)
    return _Instruments(
        requests=meter.create_counter(
            "vavasms.requests", "{request}", "Requests to the gateway, each attempt one."
        ),
        seconds=meter.create_histogram(
            "vavasms.request.duration", "s", "From a request to the end of its answer."
        ),
        waits=meter.create_counter(
            "vavasms.rate_wait", "s", "What batches waited for their rate, or for a pause that was asked for."
        ),
    )
