"""OpenTelemetry's instrumentation of httpx sees every attempt, and no secret."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from vavasms import AsyncVavaSMS, OutcomeUnknownError, ServerError
from vavasms.sandbox import Fault, FaultKind, SandboxServer

pytestmark = pytest.mark.anyio

ONE, TEXT = "2250759123456", "sentinel-texte"


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    """Instrument httpx while a test runs."""
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    instrumentor = HTTPXClientInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    yield memory
    instrumentor.uninstrument()
    provider.shutdown()


def connect(sandbox: SandboxServer) -> AsyncVavaSMS:
    return AsyncVavaSMS(
        "sandbox@example.com", "sandbox-password", sender_id="ACME", base_url=sandbox.url, trust_env=False
    )


def check_secrecy(spans: tuple[ReadableSpan, ...]) -> None:
    shown = " ".join(span.to_json() for span in spans)
    for secret in ("sandbox@", "sandbox%40", "sandbox-password", ONE[3:], TEXT):
        assert secret not in shown


async def test_each_request_is_one_span_without_secrets(
    sandbox: SandboxServer, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox.gateway, "password", "sandbox-password")
    async with connect(sandbox) as sms:
        await sms.balance()
        await sms.send(ONE, TEXT)
    spans = exporter.get_finished_spans()
    attributes_by_span = [dict(span.attributes or {}) for span in spans]
    urls = [attributes.get("http.url", attributes.get("url.full")) for attributes in attributes_by_span]
    assert urls == [f"{sandbox.url}/v1/check/balance", f"{sandbox.url}/v1/text/single"]
    assert [a.get("http.status_code", a.get("http.response.status_code")) for a in attributes_by_span] == [
        200,
        200,
    ]
    check_secrecy(spans)


@pytest.mark.usefixtures("no_backoff")
async def test_each_attempt_is_one_span_and_its_failure_shows_no_secret(
    sandbox: SandboxServer, exporter: InMemorySpanExporter
) -> None:
    sandbox.faults.set_rates({Fault(kind=FaultKind.STATUS): 1})
    async with connect(sandbox) as sms:
        with pytest.raises(ServerError):
            await sms.balance()
        sandbox.faults.set_rates({Fault(kind=FaultKind.CLOSE_BEFORE_READING): 1})
        with pytest.raises(OutcomeUnknownError):
            await sms.send(ONE, TEXT)
    spans = exporter.get_finished_spans()
    assert [span.status.status_code for span in spans] == [StatusCode.ERROR] * 4
    check_secrecy(spans)
