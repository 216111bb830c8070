"""One server of receivers for all of these tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.inbound.load.stage import ReceiverServer


@pytest.fixture(scope="session")
def _receiver_server() -> Iterator[ReceiverServer]:
    if os.name != "posix":
        pytest.skip("receivers are forked")
    with ReceiverServer() as server:
        yield server


@pytest.fixture
def server(_receiver_server: ReceiverServer) -> Iterator[ReceiverServer]:
    """Yield a server where no receiver runs."""
    yield _receiver_server
    _receiver_server.clear()
