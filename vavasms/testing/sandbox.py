"""The fixture `vavasms_sandbox`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Self

import pytest

from vavasms.client import AsyncVavaSMS
from vavasms.ledger.sends import OWN_KEY
from vavasms.sandbox import FaultPlan, Gateway, SandboxServer, create_app
from vavasms.sends.sender import watched
from vavasms.sync.client import VavaSMS
from vavasms.transport.http import ASGITransport
from vavasms.transport.live_guard import SERVERLESS_URL

_NOWHERE = "http://127.0.0.1:1/api"


class _Gateway(Gateway):
    """A gateway for any account and well-formed sender ID that begins anew, its clock set forward at will."""

    def __init__(self) -> None:
        self.ahead = 0.0
        super().__init__(sender_ids=None, clock=self._time)
        # The code under test has an account of its own, in its settings.
        self.any_credentials = True

    def _time(self) -> float:
        return time.time() + self.ahead

    def begin_anew(self) -> None:
        """Forget everything, and give no id out again: who still asks for one finds no other message."""
        with self._lock:
            # Of a new one, all but what a request that is late may hold at this moment, and the counts.
            fresh = vars(_Gateway())
            kept = ("journal", "_lock", "_calls", "_sequence", "_next_id", "_clock")
            self.journal.clear()
            vars(self).update({name: value for name, value in fresh.items() if name not in kept})


class Sandbox:
    """A gateway for one test, and how to reach it."""

    def __init__(self, gateway: _Gateway, faults: FaultPlan, url: str | None) -> None:
        #: Its state: the balance, the journal, the sender IDs it takes (None: any), `any_credentials`.
        self.gateway: Gateway = gateway
        #: What goes wrong with which request.
        self.faults = faults
        #: The base URL; of no use to others where the sandbox is in-process.
        self.url = url or _NOWHERE
        #: The sender ID in the environment.
        self.sender_id = "SANDBOX"
        self.username = gateway.username
        self.password = gateway.password
        #: By message id: the key of what clients of this process sent with one.
        self.idempotency_keys: dict[str, str] = {}
        self._own = gateway
        self._in_process = url is None
        self._clients = ExitStack()

    def __repr__(self) -> str:
        return f"Sandbox({'in-process' if self._in_process else self.url!r})"

    @property
    def environment(self) -> dict[str, str]:
        """The account as environment variables, for a process of its own too."""
        return {
            "VAVASMS_USERNAME": self.username,
            "VAVASMS_PASSWORD": self.password,
            "VAVASMS_SENDER_ID": self.sender_id,
            "VAVASMS_BASE_URL": SERVERLESS_URL if self._in_process else self.url,
        }

    def client(self, **options: Any) -> AsyncVavaSMS:
        """Return a client of the sandbox; `options` are those of `AsyncVavaSMS`. Close it as any other."""
        return AsyncVavaSMS(**self._options(options))

    def sync_client(self, **options: Any) -> VavaSMS:
        """Return a client without await; what the test leaves open is closed after it."""
        client = VavaSMS(**self._options(options))
        self._clients.callback(client.close)
        return client

    def advance(self, seconds: float) -> None:
        """Wait for the gateway: delivery statuses move on, one-time codes expire."""
        self._own.ahead += seconds

    def note_key(self, key: str, message_ids: tuple[str, ...]) -> None:
        """Note the idempotency key of messages; one that a ledger made itself is none."""
        if not key.startswith(OWN_KEY):
            self.idempotency_keys |= dict.fromkeys(message_ids, key)

    def close(self) -> None:
        """Close the clients without await that were left open."""
        self._clients.close()

    def _options(self, options: dict[str, Any]) -> dict[str, Any]:
        defaults: dict[str, Any] = {
            "username": self.username,
            "password": self.password,
            "sender_id": self.sender_id,
            "base_url": self.url,
        }
        if self._in_process:
            defaults["transport"] = ASGITransport(app=create_app(self.gateway, self.faults))
        return defaults | options


class SandboxProvider:
    """Where tests find their sandbox, one after the other: a server, or nothing but an application."""

    def __init__(self, *, in_process: bool = False) -> None:
        self._gateway = _Gateway()
        self._faults = FaultPlan()
        self._server = None if in_process else SandboxServer(self._gateway, self._faults)
        self._taken = 0

    def __enter__(self) -> Self:
        if self._server is not None:
            self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.__exit__(kind, error, traceback)

    @contextmanager
    def provide(self) -> Iterator[Sandbox]:
        """Yield one test its sandbox, with the account in the environment."""
        self._clear()
        url = None if self._server is None else self._server.url
        sandbox = Sandbox(self._gateway, self._faults, url)
        with pytest.MonkeyPatch.context() as patch, watched(sandbox.note_key):
            # Those of the machine are another gateway's.
            for name in ("VAVASMS_STATUS_PATH", "VAVASMS_PROFILE"):
                patch.delenv(name, raising=False)
            for name, value in sandbox.environment.items():
                patch.setenv(name, value)
            try:
                yield sandbox
            finally:
                sandbox.close()

    def _clear(self) -> None:
        self._gateway.begin_anew()
        self._faults.clear()
        if self._server is not None and self._faults.taken > self._taken:
            # What a fault of an earlier test still does to the port or a connection ends here.
            self._taken = self._faults.taken
            with self._server.refuse():
                pass
