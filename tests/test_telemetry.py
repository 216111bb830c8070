"""OpenTelemetry sees each call, each batch and each campaign, in one trace a campaign, and no secret."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, SpanKind, StatusCode

from tests.campaigns.staging import make_sender
from tests.cutoff import cut_off_after
from vavasms import AsyncVavaSMS, OutcomeUnknownError, RejectedNumberError
from vavasms.campaigns.policy import Policy
from vavasms.campaigns.runner import CampaignRunner
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.sandbox import Fault, FaultKind, Moment, SandboxServer
from vavasms.telemetry import TraceSpan

pytestmark = pytest.mark.anyio

ONE, TEXT, REFUSED = "+2250759123456", "sentinel-texte", "+2250700000903"
SEND = "/v1/text/single"


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Collect the traces, as a program does."""
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    yield memory
    provider.shutdown()


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemoryMetricReader]:
    """Collect the metrics, as a program does."""
    memory = InMemoryMetricReader()
    provider = MeterProvider([memory])
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: provider)
    yield memory
    provider.shutdown()


def read_points(reader: InMemoryMetricReader) -> Iterator[tuple[str, Any]]:
    data = reader.get_metrics_data()
    assert data is not None
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    yield metric.name, point


def connect(sandbox: SandboxServer, **options: Any) -> AsyncVavaSMS:
    known = sandbox.gateway
    return AsyncVavaSMS(
        known.username,
        known.password,
        sender_id="ACME",
        base_url=sandbox.url,
        trust_env=False,
        lots_are_atomic=True,
        **options,
    )


def check_secrecy(spans: tuple[ReadableSpan, ...]) -> None:
    shown = " ".join(span.to_json() for span in spans)
    for secret in ("sandbox@", "sandbox%40", ONE[4:], TEXT, "0700000"):
        assert secret not in shown


def identify(span: Any) -> SpanContext:
    found: SpanContext = span.get_span_context()
    return found


def describe(span: ReadableSpan) -> tuple[str, Any, Any]:
    attributes = span.attributes or {}
    return span.name, attributes.get("vavasms.outcome"), attributes.get("error.type")


async def test_each_call_is_a_span_with_its_outcome_and_the_code_of_its_error(
    sandbox: SandboxServer, exporter: InMemorySpanExporter
) -> None:
    async with connect(sandbox) as sms:
        await sms.balance()
        await sms.send(ONE, TEXT)
        with pytest.raises(RejectedNumberError):
            await sms.send(REFUSED, TEXT)
        sandbox.faults.script(Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING))
        with pytest.raises(OutcomeUnknownError):
            await sms.send(ONE, TEXT)
    spans = exporter.get_finished_spans()
    assert [describe(span) for span in spans] == [
        ("vavasms.balance", "ok", None),
        ("vavasms.send_text", "accepted", None),
        ("vavasms.send_text", "rejected", "gateway.903"),
        ("vavasms.send_text", "unknown", "outcome.unknown.no_reply"),
    ]
    assert {span.kind for span in spans} == {SpanKind.CLIENT}
    assert [span.status.status_code is StatusCode.ERROR for span in spans] == [False, False, True, True]
    assert (spans[1].attributes or {}).get("vavasms.recipients") == 1
    check_secrecy(spans)


async def test_a_send_that_is_cut_off_says_whether_it_had_left(
    sandbox: SandboxServer, exporter: InMemorySpanExporter
) -> None:
    sandbox.faults.script(Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=30), path=SEND)
    async with connect(sandbox) as sms, cut_off_after(sandbox, 1):
        await sms.send(ONE, TEXT)
    assert [describe(span) for span in exporter.get_finished_spans()] == [
        ("vavasms.send_text", "unknown", None)
    ]


async def test_the_span_of_a_request_stands_below_the_call_and_the_call_below_the_caller(
    sandbox: SandboxServer, exporter: InMemorySpanExporter
) -> None:
    instrumentor = HTTPXClientInstrumentor()
    instrumentor.instrument(tracer_provider=trace.get_tracer_provider())
    try:
        async with connect(sandbox) as sms:
            with trace.get_tracer_provider().get_tracer("shop").start_as_current_span("POST /orders"):
                await sms.send(ONE, TEXT)
    finally:
        instrumentor.uninstrument()
    request, call, view = exporter.get_finished_spans()
    assert request.parent == call.get_span_context()
    assert call.parent == view.get_span_context()
    check_secrecy((request, call))


async def submit(runner: CampaignRunner, folder: Path, phones: int) -> str:
    contacts = folder / "contacts.csv"
    lines = ["tel", *(str(2250701000100 + index) for index in range(phones)), REFUSED]
    contacts.write_text("\n".join(lines) + "\n")
    campaign, _ = await runner.submit(contacts, TEXT, policy=Policy(batch_size=2, rate=500))
    return campaign.id


async def test_a_campaign_is_one_trace_over_its_runs_with_a_span_for_each_batch(
    sandbox: SandboxServer, exporter: InMemorySpanExporter, tmp_path: Path
) -> None:
    async with connect(sandbox) as sms, CampaignRunner(sms, MemoryLedger()) as runner:
        campaign_id = await submit(runner, tmp_path, 5)
        exporter.clear()
        with trace.get_tracer_provider().get_tracer("shop").start_as_current_span("POST /campaigns") as view:
            await runner.run(campaign_id)
    spans = exporter.get_finished_spans()
    (campaign,) = [span for span in spans if span.name == "vavasms.campaign"]
    batches = [span for span in spans if span.name == "vavasms.batch"]
    sends = [span for span in spans if span.name == "vavasms.send_text"]
    # A trace of its own, linked to the request that began it.
    (link,) = campaign.links
    assert link.context == view.get_span_context()
    assert identify(campaign).trace_id != identify(view).trace_id
    assert all(span.parent == campaign.get_span_context() for span in batches)
    assert {span.parent.span_id for span in sends if span.parent} == {
        identify(span).span_id for span in batches
    }
    outcomes = Counter(describe(span)[1:] for span in batches)
    # The batch of the refused number, then that number alone.
    assert outcomes == {("accepted", None): 3, ("rejected", "gateway.903"): 2}
    assert {(span.attributes or {}).get("vavasms.campaign.id") for span in batches} == {campaign_id}
    sizes = Counter(
        tuple((span.attributes or {}).get(f"vavasms.{name}") for name in ("recipients", "segments"))
        for span in batches
    )
    # The batch of the refused number was halved.
    assert sizes == {(2, 2): 3, (1, 1): 2}
    check_secrecy(spans[:-1])


async def test_what_goes_out_beside_a_campaign_is_none_of_its_trace(
    sandbox: SandboxServer, exporter: InMemorySpanExporter, tmp_path: Path
) -> None:
    ledger = MemoryLedger()
    async with connect(sandbox, ledger=ledger) as sms, CampaignRunner(sms, ledger) as runner:
        campaign_id = await submit(runner, tmp_path, 199)
        await sms.enqueue("+2250700000002", TEXT, idempotency_key="order-42")
        exporter.clear()
        await runner.run(campaign_id)
    spans = exporter.get_finished_spans()
    (campaign,) = [span for span in spans if span.name == "vavasms.campaign"]
    trace_id = identify(campaign).trace_id
    sends = [span for span in spans if span.name == "vavasms.send_text"]
    # The one that was enqueued; each other one is a batch's.
    (beside,) = [span for span in sends if identify(span).trace_id != trace_id]
    assert beside.parent is None


def trace_of(exporter: InMemorySpanExporter, campaign_id: str) -> tuple[int, int]:
    with TraceSpan("vavasms.batch", {}, campaign_id=campaign_id):
        pass
    span = exporter.get_finished_spans()[-1]
    assert span.parent is not None
    assert span.parent.is_remote
    return identify(span).trace_id, span.parent.span_id


async def test_every_process_finds_the_same_trace_of_a_campaign(exporter: InMemorySpanExporter) -> None:
    assert trace_of(exporter, "3f9a1c07") == trace_of(exporter, "3f9a1c07")
    assert trace_of(exporter, "3f9a1c07")[0] != trace_of(exporter, "3f9a1c08")[0]
    # Written down: another version must find it too.
    assert f"{trace_of(exporter, '3f9a1c07')[0]:032x}" == "a29c554add5dd70c6884878a39cc8499"


async def test_a_batch_that_a_worker_sends_is_in_its_campaigns_trace(
    sandbox: SandboxServer, exporter: InMemorySpanExporter, tmp_path: Path
) -> None:
    """The campaign's own span is another process's."""
    ledger = MemoryLedger()
    async with connect(sandbox) as sms, CampaignRunner(sms, ledger) as runner:
        campaign_id = await submit(runner, tmp_path, 1)
        sender = await make_sender(sms, ledger, campaign_id, time.time)
        (batch,) = await ledger.queued(campaign_id, after=-1, limit=9)
        await sender.send(batch)
    (span,) = [span for span in exporter.get_finished_spans() if span.name == "vavasms.batch"]
    assert identify(span).trace_id == trace_of(exporter, campaign_id)[0]


async def test_requests_are_counted_and_timed_and_so_are_waits(
    sandbox: SandboxServer, reader: InMemoryMetricReader, tmp_path: Path
) -> None:
    async with connect(sandbox) as sms, CampaignRunner(sms, MemoryLedger()) as runner:
        await runner.run(await submit(runner, tmp_path, 5))
    points = list(read_points(reader))
    requests = {
        tuple(dict(point.attributes or {}).values()): point.value
        for name, point in points
        if name == "vavasms.requests" and isinstance(point, NumberDataPoint)
    }
    assert requests["send_text", "accepted", ""] == 3
    assert requests["send_text", "rejected", "gateway.903"] == 2
    timed = {
        dict(point.attributes or {})["call"]: point.count
        for name, point in points
        if name == "vavasms.request.duration" and isinstance(point, HistogramDataPoint)
    }
    assert timed["send_text"] == 5
    assert sum(point.value for name, point in points if name == "vavasms.rate_wait") > 0


class BrokenProcessor(SpanProcessor):
    """A program's own processor that fails."""

    def on_end(self, span: ReadableSpan) -> None:
        """Fail."""
        raise RuntimeError("a fault of theirs")


async def test_an_exporter_that_fails_loses_no_outcome(
    sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    provider = TracerProvider()
    provider.add_span_processor(BrokenProcessor())
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: None)
    async with connect(sandbox) as sms:
        assert (await sms.send(ONE, TEXT)).lot_id
    assert "OpenTelemetry failed (RuntimeError); what is sent goes on." in caplog.messages
    assert "a fault of theirs" not in caplog.text


def test_without_opentelemetry_nothing_of_it_is_loaded() -> None:
    code = (
        "import sys, anyio, vavasms, vavasms.telemetry as t\n"
        "sms = vavasms.VavaSMS('ops@example.com', 'secret', sender_id='ACME', base_url='http://127.0.0.1:9')\n"
        "with t.TraceSpan('x', {}) as span: span.settle('ok')\n"
        "t.record_request('balance', 'ok', '', 1.0); t.record_wait(1.0)\n"
        "assert not t.is_loaded() and t.make_meter() is None\n"
        "sms.close()\n"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    finished = subprocess.run([sys.executable, "-c", code], check=False, timeout=60, capture_output=True)
    assert finished.returncode == 0, finished.stderr
