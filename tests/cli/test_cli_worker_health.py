"""`vavasms worker --health`: where it listens, and what it says where it cannot."""

from __future__ import annotations

import os
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from tests.campaigns.workers.health import check_privacy, worker
from tests.campaigns.workers.stage import poll
from vavasms import AsyncVavaSMS, VavaSMS
from vavasms.cli.commands.worker_health import WorkerHealth, open_health, parse_address, running_beside
from vavasms.errors import ConfigurationError, InvalidInputError, LedgerError
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.sandbox import SandboxServer

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    ("address", "parsed"),
    [
        ("127.0.0.1:8428", ("127.0.0.1", 8428)),
        ("8428", ("127.0.0.1", 8428)),
        (":0", ("127.0.0.1", 0)),
        ("[::1]:8428", ("::1", 8428)),
        ("0.0.0.0:65535", ("0.0.0.0", 65535)),
        ("localhost:80", ("localhost", 80)),
    ],
)
def test_an_address_without_a_host_is_this_machine_alone(address: str, parsed: tuple[str, int]) -> None:
    assert parse_address(address) == parsed


@pytest.mark.parametrize("address", ["", "host", "host:", "1.2.3.4:65536", "::1:80", "a:b:1", "http://x:1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidInputError, match=r"--health is an address such as 127\.0\.0\.1:8428\."):
        parse_address(address)


def test_a_port_that_is_taken_is_one_sentence_before_any_work(
    inside: Run, account: Mapping[str, str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finished = inside("worker", "--ledger", "new.db", "--health", f"127.0.0.1:{port}")
    assert (finished.returncode, finished.stdout, finished.stderr.count("\n")) == (2, "", 1)
    assert f"Port {port} of 127.0.0.1 is taken" in finished.stderr
    assert not Path("new.db").exists()


def test_without_the_extra_one_sentence_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vavasms.cli.commands.worker_health.find_spec", lambda name: None)
    with (
        pytest.raises(ConfigurationError, match=r"pip install 'vavasms\[metrics\]'") as caught,
        open_health(":0"),
    ):
        pass
    assert caught.value.error_code == "config.extra"


def serve_for_a_moment(address: str | None, problem: Exception | None = None) -> None:
    """Serve the health of a worker that ends at once, or fails."""

    async def run() -> None:
        with open_health(address) as health:
            async with AsyncVavaSMS(trust_env=False) as sms, health.served(sms, MemoryLedger()):
                assert (health.url or "http://127.0.0.1:").startswith("http://127.0.0.1:")
                if problem is not None:
                    raise problem

    anyio.run(run)


def test_who_lets_others_reach_it_is_warned(
    account: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    serve_for_a_moment("127.0.0.1:0")
    assert capsys.readouterr().err == ""
    serve_for_a_moment("0.0.0.0:0")
    assert "Others can reach the worker's health by plain HTTP" in capsys.readouterr().err


def test_without_an_address_opentelemetry_alone_is_told(
    account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: provider)

    def read_names() -> set[str]:
        data = reader.get_metrics_data()
        scopes = [] if data is None else data.resource_metrics[0].scope_metrics
        return {metric.name for scope in scopes for metric in scope.metrics}

    async def run() -> None:
        async with AsyncVavaSMS(trust_env=False) as sms, WorkerHealth().served(sms, MemoryLedger()):
            with anyio.fail_after(10):
                while "vavasms.recipients" not in read_names():
                    await anyio.sleep(0.02)

    anyio.run(run)
    provider.shutdown()


@pytest.mark.parametrize("address", [None, "127.0.0.1:0"])
def test_a_provider_of_meters_that_fails_keeps_no_worker_from_its_work(
    account: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    address: str | None,
) -> None:
    class Broken(MeterProvider):
        def get_meter(self, *_: Any, **_values: Any) -> Any:
            raise RuntimeError("a fault of theirs")

    provider = Broken()
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: provider)
    serve_for_a_moment(address)
    assert "OpenTelemetry failed (RuntimeError); what is sent goes on." in caplog.messages
    assert "a fault of theirs" not in caplog.text
    provider.shutdown()


def test_what_a_worker_fails_of_comes_out_of_its_health_by_itself(account: Mapping[str, str]) -> None:
    with pytest.raises(LedgerError, match="It is away"):
        serve_for_a_moment(":0", LedgerError("It is away."))


def test_what_the_health_fails_of_does_not_end_the_work(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise RuntimeError("hunter2")

    async def work() -> str:
        async with running_beside(fail):
            await anyio.sleep(0.05)
            return "done"

    assert anyio.run(work) == "done"
    assert caplog.messages == ["The health of a worker is told no more (RuntimeError); its work goes on."]


@pytest.mark.slow
def test_a_worker_of_a_file_tells_what_its_ledger_holds(
    account: Mapping[str, str], server: SandboxServer
) -> None:
    environment = {**os.environ, "VAVASMS_LEDGER": "new.db"}
    with worker(environment) as running:
        poll(lambda: bool(running.ready()["ready"]), timeout=20)
        with VavaSMS(ledger="new.db") as sms:
            sms.enqueue("+2250700000101", "Bonjour", idempotency_key="order-42")
            sms.enqueue("+2250700000903", "Bonjour", idempotency_key="order-43")
            sms.send("+2250700000102", "Bonjour à tous", idempotency_key="order-44")
        poll(lambda: running.scrape().total("vavasms_recipients", kind="text") == 3, timeout=20)
        scrape = running.scrape()
        with urllib.request.urlopen(f"{running.url}/live") as answer:
            assert answer.headers["cache-control"] == "no-store"
    check_privacy(scrape, "Bonjour", "order-4")
    sends = +scrape.sum_by("vavasms_recipients", "outcome", "error_code", kind="text")
    assert sends == {("accepted", ""): 2, ("rejected", "gateway.903"): 1}
    assert scrape.total("vavasms_segments", kind="text") == 2
    assert scrape.total("vavasms_balance_xof") > 0
    assert set(server.gateway.journal.counts().values()) == {1}
