"""Fixtures of the sandbox's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from attrs import define

from vavasms.sandbox import Gateway, SandboxServer

LOGIN = {"username": "sandbox@example.com", "password": "sandbox"}


@define
class Clock:
    """Hold a time that only a test moves (2025-06-15 12:00 UTC)."""

    #: Seconds since the epoch.
    now: float = 1_750_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gateway(clock: Clock) -> Gateway:
    return Gateway(clock=clock, balance=100_000)


@pytest.fixture
def server(gateway: Gateway) -> Iterator[SandboxServer]:
    with SandboxServer(gateway) as running:
        yield running


@pytest.fixture
def client(server: SandboxServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=5) as opened:
        yield opened


@pytest.fixture
def text() -> Callable[..., dict[str, str]]:
    """Build the fields of a text."""

    def build(phone: str = "2250709000001", message: str = "Bonjour") -> dict[str, str]:
        return {**LOGIN, "sender_id": "ACME", "phone": phone, "message": message}

    return build
