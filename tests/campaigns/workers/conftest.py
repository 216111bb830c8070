"""One gateway and one server of workers for all of these tests, and a database for each."""

from __future__ import annotations

from collections.abc import Iterator
from secrets import token_hex

import pytest

from tests.campaigns.workers.stage import WorkerServer, WorkerStage
from vavasms.sandbox import Fault, FaultKind, Gateway, Moment, SandboxServer


@pytest.fixture(scope="session")
def _worker_gateway() -> Iterator[SandboxServer]:
    with SandboxServer(Gateway(balance=10**12)) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def _worker_server() -> Iterator[WorkerServer]:
    with WorkerServer() as server:
        yield server


@pytest.fixture
def stage(
    _worker_gateway: SandboxServer, _worker_server: WorkerServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerStage]:
    """Yield a gateway that takes 50 to 100 ms, before it accepts or before it answers."""
    _worker_gateway.gateway.journal.clear()
    _worker_gateway.faults.clear()
    slow = {
        Fault(kind=FaultKind.STALL, moment=Moment.AFTER_READING, seconds=0.05): 0.5,
        Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=0.1): 0.5,
    }
    _worker_gateway.faults.set_rates(slow, seed=1)
    yield WorkerStage(_worker_gateway, _worker_server, tmp_path_factory.mktemp("workers"))
    _worker_server.clear()


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """Yield an empty database: a worker carries every campaign that it finds."""
    psycopg = pytest.importorskip("psycopg")
    name = f"vavasms_workers_{token_hex(4)}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield psycopg.conninfo.make_conninfo(postgres, dbname=name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
