"""What every test can have: both event loops, and the gateway's stand-in over real sockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stamina

from vavasms.sandbox import SandboxServer


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run each async test on both."""
    return str(request.param)


@pytest.fixture(scope="session")
def _sandbox_server() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture
def sandbox(_sandbox_server: SandboxServer) -> SandboxServer:
    """Give a sandbox gateway with an empty journal and no faults."""
    _sandbox_server.faults.clear()
    _sandbox_server.gateway.journal.clear()
    return _sandbox_server


@pytest.fixture
def no_backoff() -> Iterator[None]:
    """Retry as often as ever, but without waiting in between."""
    with stamina.set_testing(True, attempts=100, cap=True):
        yield
