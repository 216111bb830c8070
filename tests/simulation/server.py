"""The gateway as a process of the simulation: the sandbox's application behind uvicorn's HTTP, as it is served."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

from attrs import evolve
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from tests.simulation.clock import MachineClock
from tests.simulation.faults import Event, Fault, FaultKind
from tests.simulation.host import Host
from tests.simulation.network import Network
from vavasms.sandbox import Fault as SandboxFault
from vavasms.sandbox import FaultPlan, Gateway
from vavasms.sandbox.app import create_app
from vavasms.sandbox.connection import CONNECTION, ConnectionControl
from vavasms.sandbox.gateway import BALANCE, TEXT
from vavasms.sandbox.journal import Entry
from vavasms.sandbox.listener import make_config
from vavasms.sandbox.replies import Answer

PASSWORD = "sandbox"


class SimulatedGateway(Gateway):
    """The sandbox's gateway, whose accepting can be watched."""

    def __init__(
        self, clock: MachineClock, balance: Decimal, on_accept: Callable[[Entry], Sequence[Fault]]
    ) -> None:
        super().__init__(clock=clock.time, balance=balance, password=PASSWORD)
        self._on_accept = on_accept

    def handle(self, path: str, fields: Mapping[str, str]) -> Answer:
        accepted = len(self.journal)
        answer = super().handle(path, fields)
        for entry in self.journal.entries[accepted:]:
            for fault in self._on_accept(entry):
                if fault.kind is FaultKind.ID_MISSING:
                    answer = evolve(answer, body=_leave_out_id(answer.body, fault.place))
        return answer


def _leave_out_id(body: bytes, place: float) -> bytes:
    envelope = json.loads(body)
    ids = envelope["data"]["message_id"]
    if ids:
        del ids[int(place * len(ids))]
    return json.dumps(envelope, ensure_ascii=False).encode()


class PlannedFaults(FaultPlan):
    """The gateway's own faults, as the plan of the simulation has them."""

    def __init__(self, server: Host, variants: tuple[SandboxFault, ...]) -> None:
        super().__init__()
        self._server, self._variants = server, variants

    def take(self, path: str) -> SandboxFault | None:
        event = {TEXT: Event.REQUEST, BALANCE: Event.READING}.get(path)
        faults = () if event is None else self._server.happen(event)
        planned = [self._make(fault) for fault in faults if fault.kind is FaultKind.GATEWAY]
        return planned[0] if planned else None

    def _make(self, fault: Fault) -> SandboxFault:
        return self._variants[fault.variant % len(self._variants)]


class Server:
    """What answers connections."""

    def __init__(self, host: Host, gateway: Gateway, faults: FaultPlan) -> None:
        self._host = host
        self._config = make_config(self._call, certfile=None, keyfile=None)
        self._config.load()
        self._app = create_app(gateway, faults)
        self._state = ServerState()
        self._stopping = asyncio.Event()
        self.network: Network | None = None

    def accept(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        protocol = H11Protocol(
            config=self._config, server_state=self._state, app_state={}, _loop=self._host.loop
        )
        protocol.access_log = False
        return protocol

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        control = ConnectionControl(
            transport=self._transport(scope["client"]),
            receive=receive,
            stopping=self._stopping,
            close_listener=self._close,
        )
        await self._app(cast(Scope, {**scope, "extensions": {CONNECTION: control}}), receive, send)

    async def _close(self, seconds: float) -> None:
        assert self.network is not None
        self.network.drop_all(seconds)

    def _transport(self, client: Any) -> asyncio.Transport | None:
        protocols = cast(set[H11Protocol], self._state.connections)
        return next((protocol.transport for protocol in protocols if protocol.client == client), None)
