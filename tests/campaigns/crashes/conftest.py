"""One gateway and one server of runners for all crash tests; slow enough for kills to hit calls in flight."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.campaigns.crashes.stage import RunnerServer, Stage
from vavasms.sandbox import Fault, FaultKind, Gateway, Moment, SandboxServer


@pytest.fixture(scope="session")
def _crash_gateway() -> Iterator[SandboxServer]:
    with SandboxServer(Gateway(balance=10**12)) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def _runner_server() -> Iterator[RunnerServer]:
    with RunnerServer() as server:
        yield server


@pytest.fixture
def stage(
    _crash_gateway: SandboxServer, _runner_server: RunnerServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """Yield a gateway that takes some milliseconds, before it accepts or before it answers."""
    _crash_gateway.gateway.journal.clear()
    _crash_gateway.faults.clear()
    slow = {
        Fault(kind=FaultKind.STALL, moment=Moment.AFTER_READING, seconds=0.01): 0.3,
        Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=0.02): 0.6,
    }
    _crash_gateway.faults.set_rates(slow, seed=1)
    yield Stage(_crash_gateway, _runner_server, tmp_path_factory.mktemp("crashes"))
    _runner_server.clear()
