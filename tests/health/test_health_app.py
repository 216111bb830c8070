"""What a worker tells of its health, over each ledger that needs no server, and on both event loops."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import anyio
import httpx
import pytest
from attrs import define, evolve
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)

from tests.campaigns.workers.health import Scrape, check_privacy, parse
from vavasms import AsyncVavaSMS, OutcomeUnknownError
from vavasms.campaigns.policy import Policy, dump_policy
from vavasms.health import monitor as monitor_module
from vavasms.health import totals_cache
from vavasms.health.asgi import HealthApp
from vavasms.health.monitor import HealthMonitor
from vavasms.health.opentelemetry import GaugeObserver
from vavasms.health.prometheus import WorkerMetrics
from vavasms.health.totals_cache import TotalsCache, TotalsReading
from vavasms.ledger.models import BatchRecord, NewBatch, NewCampaign
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.states import BatchEvent
from vavasms.ledger.totals import CampaignTotals, LedgerTotals
from vavasms.numbers import Msisdn
from vavasms.sandbox import Fault, FaultKind, SandboxServer

pytestmark = pytest.mark.anyio

ONE = "+2250700000101"


@define
class Served:
    """A health application at work."""

    http: httpx.AsyncClient
    sms: AsyncVavaSMS
    ledger: MemoryLedger
    monitor: HealthMonitor
    metrics: WorkerMetrics

    async def ready(self) -> dict[str, Any]:
        answer = await self.http.get("/ready")
        said: dict[str, Any] = answer.json()
        assert answer.status_code == (200 if said["ready"] else 503)
        return said

    async def until(self, **parts: object) -> None:
        """Wait until `/ready` says this."""
        with anyio.fail_after(10):
            while not parts.items() <= (await self.ready()).items():
                await anyio.sleep(0.01)

    async def scrape(self) -> Scrape:
        answer = await self.http.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain")
        return parse(answer.text)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor_module, "_LEDGER_EVERY", 0.02)
    monkeypatch.setattr(monitor_module, "_BALANCE_AGAIN", 0.02)
    monkeypatch.setattr(totals_cache, "_YOUNG", 0.0)
    monkeypatch.setattr(totals_cache, "_AGES", 0.0)


@asynccontextmanager
async def serve(sandbox: SandboxServer, ledger: MemoryLedger | None = None) -> AsyncIterator[Served]:
    metrics = WorkerMetrics()
    known, ledger = sandbox.gateway, ledger or MemoryLedger()
    async with (
        AsyncVavaSMS(
            known.username,
            known.password,
            sender_id="ACME",
            base_url=sandbox.url,
            trust_env=False,
            on_response=metrics.count_request,
        ) as sms,
        anyio.create_task_group() as tasks,
    ):
        monitor = HealthMonitor(account=sms.account, ledger=ledger, balance_every=0.02)
        tasks.start_soon(monitor.run)
        app = HealthApp(monitor=monitor, metrics=metrics)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://health") as http:
            yield Served(http, sms, ledger, monitor, metrics)
        tasks.cancel_scope.cancel()


async def test_it_is_ready_once_the_ledger_and_the_account_answered(sandbox: SandboxServer) -> None:
    async with serve(sandbox) as served:
        await served.until(ready=True, worker="ok", ledger="ok", account="ok")
        scrape = await served.scrape()
        assert scrape.total("vavasms_ready") == scrape.total("vavasms_ledger_up") == 1
        assert scrape.total("vavasms_balance_xof") == sandbox.gateway.balance
        served.monitor.stop()
        assert (await served.ready())["worker"] == "stopping"
        assert (await served.http.get("/live")).text == "alive\n"


async def test_it_is_not_ready_while_the_gateway_refuses_the_account(
    sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(sandbox) as served:
        await served.until(ready=True)
        with monkeypatch.context() as patch:
            patch.setattr(sandbox.gateway, "password", "another")
            await served.until(ready=False, account="gateway.901", ledger="ok")
            # The last balance that was read stays, with its time.
            assert (await served.scrape()).total("vavasms_balance_xof") == sandbox.gateway.balance
        await served.until(ready=True)


async def test_of_a_ledger_that_fails_nothing_is_told_and_it_recovers(
    sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = MemoryLedger()
    async with serve(sandbox, ledger) as served:
        await served.until(ready=True)
        assert "vavasms_recipients" in (await served.scrape()).names
        store = type(ledger.totals)
        with monkeypatch.context() as patch:
            # A reading that fails beside a ledger that answers: what was read before is not shown.
            patch.setattr(store, "read", _fail)
            assert "vavasms_recipients" not in (await served.scrape()).names
        monkeypatch.setattr(store, "check", _fail)
        await served.until(ready=False, ledger="RuntimeError")
        scrape = await served.scrape()
        assert "vavasms_recipients" not in scrape.names
        assert scrape.total("vavasms_ledger_up") == 0
        monkeypatch.undo()
        await served.until(ready=True)


async def _fail(*_: object, **_values: object) -> None:
    raise RuntimeError("a secret")


async def test_a_ledger_that_does_not_answer_is_away(
    sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = anyio.Event()

    async def wait(_self: object) -> None:
        await hangs.wait()

    async with serve(sandbox) as served:
        await served.until(ready=True)
        monkeypatch.setattr(monitor_module, "_LEDGER_SILENCE", 0.1)
        monkeypatch.setattr(type(served.ledger.totals), "check", wait)
        await served.until(ready=False, ledger="ledger.failed")
        hangs.set()
        await served.until(ready=True)


async def test_requests_are_counted_by_outcome_and_code_with_their_latency(sandbox: SandboxServer) -> None:
    async with serve(sandbox) as served:
        await served.until(ready=True)
        await served.sms.send(ONE, "Un texte")
        sandbox.faults.script(Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING), path="/v1/text/single")
        with pytest.raises(OutcomeUnknownError):
            await served.sms.send(ONE, "Un texte")
        served.metrics.count_wait(1.5)
        scrape = await served.scrape()
    sends = scrape.sum_by("vavasms_requests_total", "outcome", "error_code", call="send_text")
    assert sends == {("accepted", ""): 1, ("unknown", "outcome.unknown.no_reply"): 1}
    assert scrape.total("vavasms_requests_total", call="balance", outcome="ok") >= 1
    assert scrape.total("vavasms_request_seconds_count", call="send_text") == 2
    assert scrape.total("vavasms_rate_wait_seconds_total") == 1.5
    check_privacy(scrape, "Un texte", ONE[1:])


async def keep(ledger: MemoryLedger, campaign_id: str, policy: str, *, segments: int) -> None:
    """Keep a campaign of two batches, the first accepted and the second queued."""
    new = NewCampaign(
        id=campaign_id, account="", sender_id="ACME", message="x", created_at=1.0, policy=policy
    )
    await ledger.create(evolve(new, account="sandbox@example.com loopback"))
    first = int(campaign_id) * 10
    batches = [
        NewBatch(
            number=number,
            message="x",
            segments=segments,
            recipients=(Msisdn(2250700000100 + first + number),),
        )
        for number in range(2)
    ]
    await ledger.load(campaign_id, batches)
    await ledger.finish_loading(campaign_id, plan="{}", plan_hash=campaign_id)
    await ledger.start(campaign_id)
    claim = await ledger.claim(campaign_id, 0, token=campaign_id, worker="w", now=10.0)
    assert claim is not None
    await ledger.settle(claim, BatchEvent.ACCEPT, BatchRecord())


async def test_what_is_spent_is_told_in_xof_where_a_price_is_known_and_the_rest_beside_it(
    sandbox: SandboxServer,
) -> None:
    ledger = MemoryLedger()
    await keep(ledger, "1", dump_policy(Policy(unit_price=Decimal("12.5"))), segments=2)
    await keep(ledger, "2", dump_policy(Policy()), segments=3)
    await keep(ledger, "3", '{"unit_price": "a lot"}', segments=4)
    async with serve(sandbox, ledger) as served:
        await served.until(ready=True)
        scrape = await served.scrape()
    assert scrape.total("vavasms_cost_xof") == 25
    assert scrape.total("vavasms_unpriced_segments") == 7
    assert scrape.total("vavasms_segments", kind="campaign") == 9
    assert scrape.total("vavasms_queued_recipients", kind="campaign") == 3
    assert +scrape.sum_by("vavasms_campaigns", "state") == {"running": 3}
    assert scrape.sum_by("vavasms_queue_age_seconds", "kind")["campaign"] > 1e9
    # A file's workers leave no trace: none is guessed.
    assert "vavasms_workers_alive" not in scrape.names


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("POST", "/metrics", 405), ("HEAD", "/ready", 200)]
)
async def test_there_is_nothing_else(sandbox: SandboxServer, method: str, path: str, status: int) -> None:
    async with serve(sandbox) as served:
        await served.until(ready=True)
        answer = await served.http.request(method, path)
    assert answer.status_code == status
    assert method != "HEAD" or answer.content == b""


async def test_the_format_that_prometheus_asks_for_first_is_read_to_its_end_too(
    sandbox: SandboxServer,
) -> None:
    wanted = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"
    ledger = MemoryLedger()
    await keep(ledger, "1", dump_policy(Policy(unit_price=Decimal(12))), segments=2)
    async with serve(sandbox, ledger) as served:
        await served.until(ready=True)
        answer = await served.http.get("/metrics", headers={"Accept": wanted})
        plain = await served.scrape()
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = list(openmetrics_families(answer.text))  # type: ignore[no-untyped-call]
    names = {sample.name for family in families for sample in family.samples}
    assert {name for name in plain.names if "_created" not in name} <= names


async def test_a_websocket_is_refused(sandbox: SandboxServer) -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async with serve(sandbox) as served:
        app = HealthApp(monitor=served.monitor, metrics=served.metrics)
        await app({"type": "websocket"}, receive, send)
        await app({"type": "lifespan"}, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_opentelemetry_exports_the_same_gauges(sandbox: SandboxServer) -> None:
    ledger = MemoryLedger()
    await keep(ledger, "1", dump_policy(Policy(unit_price=Decimal(12))), segments=2)
    reader = InMemoryMetricReader()
    async with serve(sandbox, ledger) as served:
        await served.until(ready=True)
        observer = GaugeObserver(monitor=served.monitor, meter=MeterProvider([reader]).get_meter("vavasms"))
        await observer.look()
        scrape = await served.scrape()
        await observer.look()
    data = reader.get_metrics_data()
    assert data is not None
    exported = {
        (metric.name.replace(".", "_", 1), frozenset((point.attributes or {}).items())): point.value
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
        for point in metric.data.data_points
        if isinstance(point, NumberDataPoint)
    }
    # What tells of a moment is another one's.
    moving = (
        "process",
        "vavasms_request",
        "vavasms_rate",
        "vavasms_build",
        "vavasms_ledger",
        "vavasms_balance_r",
    )
    assert exported["vavasms_cost_xof", frozenset()] == 24
    assert {
        key: value for key, value in exported.items() if not key[0].startswith((*moving, "vavasms_queue_"))
    } == {
        key: value
        for key, value in scrape.samples.items()
        if not key[0].startswith((*moving, "vavasms_queue_"))
    }


class SlowTotals:
    """A store that takes its time, and counts how often it was asked."""

    def __init__(self, ledger: MemoryLedger, seconds: float) -> None:
        self.ledger, self.seconds, self.reads = ledger, seconds, 0

    async def read(self, account: str, *, now: float, known: dict[int, CampaignTotals]) -> LedgerTotals:
        self.reads += 1
        await anyio.sleep(self.seconds)
        return await self.ledger.totals.read(account, now=now, known=known)


@pytest.fixture
def make_cache(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], tuple[TotalsCache, SlowTotals]]:
    def make(seconds: float) -> tuple[TotalsCache, SlowTotals]:
        ledger = MemoryLedger()
        slow = SlowTotals(ledger, seconds)
        monkeypatch.setattr(MemoryLedger, "totals", slow)
        slow.ledger = _Plain(ledger)  # type: ignore[assignment]
        return TotalsCache(ledger=ledger, account="ops"), slow

    return make


class _Plain:
    """The ledger with its own totals, which the patch above has taken from it."""

    def __init__(self, ledger: MemoryLedger) -> None:
        from vavasms.ledger.sqlite.totals import SqliteTotals

        self.totals = SqliteTotals(ledger._database)


async def test_a_slow_ledger_is_read_once_for_all_who_ask_and_not_again_at_once(
    make_cache: Callable[[float], tuple[TotalsCache, SlowTotals]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals_cache, "_AGES", 1_000.0)
    cache, slow = make_cache(0.05)
    readings: list[TotalsReading | None] = []

    async def ask() -> None:
        readings.append(await cache.get())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cache.run)
        async with anyio.create_task_group() as scrapers:
            for _ in range(5):
                scrapers.start_soon(ask)
        await ask()
        tasks.cancel_scope.cancel()
    assert slow.reads == 1
    assert len({id(reading) for reading in readings}) == 1
    assert readings[0] is not None
    assert readings[0].took >= 0.05


async def test_who_asks_while_a_slow_reading_is_made_has_that_one(
    make_cache: Callable[[float], tuple[TotalsCache, SlowTotals]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals_cache, "_AGES", 1_000.0)
    cache, slow = make_cache(0.1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cache.run)
        tasks.start_soon(cache.get)
        while not slow.reads:
            await anyio.sleep(0.001)
        assert await cache.get() is cache.latest
        await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()
    assert slow.reads == 1


async def test_a_reading_that_fails_slowly_is_not_repeated_all_the_time(
    make_cache: Callable[[float], tuple[TotalsCache, SlowTotals]],
) -> None:
    cache, slow = make_cache(0.2)
    slow.ledger = None  # type: ignore[assignment]  # then it fails, once it took its time
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cache.run)
        assert await cache.get() is None
        assert await cache.get() is None
        assert slow.reads == 1
        await anyio.sleep(0.25)
        assert await cache.get() is None
        assert slow.reads == 2
        tasks.cancel_scope.cancel()


async def test_the_first_of_a_row_of_readings_that_fail_is_logged_without_its_words(
    make_cache: Callable[[float], tuple[TotalsCache, SlowTotals]], caplog: pytest.LogCaptureFixture
) -> None:
    cache, slow = make_cache(0.0)
    ledger = slow.ledger
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cache.run)
        for store in (None, None, ledger, None):
            slow.ledger = store  # type: ignore[assignment]
            cache._next_at = 0.0
            await cache.get()
        tasks.cancel_scope.cancel()
    assert caplog.messages == ["The totals of the ledger cannot be read (AttributeError)."] * 2


async def test_nobody_waits_long_for_a_reading(
    make_cache: Callable[[float], tuple[TotalsCache, SlowTotals]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals_cache, "PATIENCE", 0.02)
    cache, _slow = make_cache(0.2)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cache.run)
        assert await cache.get() is None
        with anyio.fail_after(30):
            while (first := await cache.get()) is None:
                await anyio.sleep(0.01)
        # The one of before, with its age, while the next is made.
        cache._next_at = 0.0
        assert await cache.get() is first
        tasks.cancel_scope.cancel()
