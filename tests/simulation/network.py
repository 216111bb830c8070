"""The network: connections that deliver bytes late and in pieces, and that break or go dumb at any byte.

It stands where asyncio's own transports do: what is above (anyio's streams, httpcore's pools, uvicorn's HTTP) is
the real thing.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from attrs import define, field

from tests.simulation.faults import Event, Fault, FaultKind
from tests.simulation.host import Caller, Host, caller, with_loop
from tests.simulation.scheduler import Scheduler

#: Seconds that bytes are on their way: as a rule at most, and now and then.
_LATENCY, _SLOW_LATENCY = 0.02, 0.4
#: A reply has some hundred bytes: where it breaks is drawn among so many.
_REPLY_BYTES = 400
_ADDRESS = "127.0.0.1"


class NoSocket:
    """What is asked of a transport's socket, as far as anybody asks."""

    family = socket.AF_INET

    def __init__(self, transport: SimulatedTransport) -> None:
        self.transport = transport

    def fileno(self) -> int:
        """Return that of an open socket to whoever only wants to know that."""
        return -1 if self.transport.is_closing() else 0

    def getsockname(self) -> tuple[str, int]:
        """Return its own address."""
        return _ADDRESS, self.transport.port

    def getpeername(self) -> tuple[str, int]:
        """Return the other's address."""
        return _ADDRESS, self.transport.peer.port

    def setsockopt(self, level: int, option: int, _value: object) -> None:
        """Note that the connection is to be reset as it is closed."""
        if (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER):
            self.transport.resets = True

    def is_readable(self) -> bool:
        """Return whether reading would return at once."""
        return self.transport.has_arrived


class SimulatedTransport(asyncio.Transport):
    """One end of a connection."""

    peer: SimulatedTransport

    def __init__(self, network: Network, host: Host, port: int) -> None:
        super().__init__()
        self.host, self.port, self._network = host, port, network
        self.resets = False
        #: Told of what is written, before it leaves.
        self.on_write: Callable[[SimulatedTransport, bytes], object] | None = None
        self._protocol: asyncio.Protocol | None = None
        self._socket = NoSocket(self)
        self._arrived: deque[bytes] = deque()
        #: How it ended at the other side: an error, or the end of what was sent.
        self._end: Exception | None = None
        self._is_paused = self._is_closing = self._is_waking = False
        self.out = Pipe(network=network, sender=self)
        host.own(self)

    def attach(self, protocol: asyncio.Protocol) -> None:
        """Begin to use it."""
        self._protocol = protocol
        protocol.connection_made(self)
        self._wake()

    @property
    def has_arrived(self) -> bool:
        """Whether there is anything to read, and be it the end."""
        return bool(self._arrived) or self._end is not None or self._is_closing

    def arrive(self, data: bytes) -> None:
        """Take what the network brings."""
        if not self.host.has_ended and self._end is None:
            self._arrived.append(data)
            self._wake()

    def arrive_end(self, end: Exception) -> None:
        """Take the end of it: `EOFError`, or an error, which can overtake what was not read yet."""
        if self._end is None:
            if not isinstance(end, EOFError) and self._network.draw.random() < 0.5:
                self._arrived.clear()
            self._end = end
            self._wake()

    def take_away(self) -> None:
        """Close it for a process that died."""
        self.out.finish(resets=bool(self._arrived))

    def write(self, data: Any) -> None:
        if self._is_closing:
            return
        if self._end is not None and not isinstance(self._end, EOFError):
            self._lose(self._end)
            return
        if self.on_write is not None:
            self.on_write(self, bytes(data))
        self.out.write(bytes(data))

    def close(self) -> None:
        if not self._is_closing:
            self._lose(None)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._is_closing

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
        self._wake()

    def is_reading(self) -> bool:
        return not self._is_paused

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._socket if name == "socket" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return False

    def _wake(self) -> None:
        if not (self._is_paused or self._is_closing or self._is_waking or self.host.has_ended):
            self._is_waking = True
            self.host.loop.call_soon(self._read)

    def _read(self) -> None:
        self._is_waking = False
        if self._is_paused or self._is_closing or self._protocol is None:
            return
        if self._arrived:
            data = b"".join(self._arrived)
            self._arrived.clear()
            self._protocol.data_received(data)
            if self._end is not None:
                self._wake()
        elif isinstance(self._end, EOFError):
            if not self._protocol.eof_received():
                self.close()
        elif self._end is not None:
            self._lose(self._end)

    def _lose(self, error: Exception | None) -> None:
        self._is_closing = True
        self.out.finish(resets=self.resets or bool(self._arrived))
        self.host.disown(self)
        if self._protocol is not None:
            self.host.loop.call_soon(self._protocol.connection_lost, error)


@define(eq=False, kw_only=True)
class Pipe:
    """One direction of a connection."""

    network: Network
    sender: SimulatedTransport
    sent: int = 0
    #: At which byte it breaks, and whether by a reset; at which it goes dumb.
    cut_at: int | None = None
    cut_resets: bool = True
    lost_at: int | None = None
    delay: float = 0.0
    _arrives: float = field(default=0.0, init=False)
    _is_finished: bool = field(default=False, init=False)

    def write(self, data: bytes) -> None:
        """Send bytes, as far as they get."""
        if self._is_finished:
            return
        limits = [limit for limit in (self.cut_at, self.lost_at) if limit is not None]
        room = min(limits, default=self.sent + len(data)) - self.sent
        for piece in _cut_up(data[: max(room, 0)], self.network.draw):
            self._deliver(lambda piece=piece: self.sender.peer.arrive(piece))  # type: ignore[misc]
        self.sent += len(data)
        if self.cut_at is not None and self.sent > self.cut_at:
            self.break_off()

    def finish(self, *, resets: bool) -> None:
        """End what is sent, unless nothing arrives any more."""
        if not self._is_finished:
            self._is_finished = True
            if self.lost_at is None or self.sent <= self.lost_at:
                self._deliver(partial_end(self.sender.peer, resets=resets))

    def break_off(self) -> None:
        """Break the connection: both ends learn of it, each in its time."""
        self._is_finished = True
        self._deliver(partial_end(self.sender.peer, resets=self.cut_resets))
        back = self.sender.peer.out
        back._is_finished = True
        back._deliver(partial_end(self.sender, resets=True))

    def _deliver(self, call: Callable[[], object]) -> None:
        """Deliver something after all that was sent before."""
        now = self.network.scheduler.timeline.now
        self._arrives = max(self._arrives, now + self.network.latency() + self.delay)
        self.network.scheduler.call_later(self._arrives - now, call)


def partial_end(transport: SimulatedTransport, *, resets: bool) -> Callable[[], None]:
    """Return what brings the end to one side."""
    return lambda: transport.arrive_end(ConnectionResetError("reset") if resets else EOFError())


def _cut_up(data: bytes, draw: Random) -> Sequence[bytes]:
    """Return the pieces that the bytes arrive in: mostly one."""
    if len(data) < 2 or draw.random() < 0.8:
        return [data] if data else []
    at = draw.randrange(1, len(data))
    return [data[:at], data[at:]]


@define(eq=False, kw_only=True)
class Network:
    """All connections to the gateway."""

    scheduler: Scheduler
    draw: Random
    server: Host
    #: Makes the server's side of a connection.
    accept: Callable[[], asyncio.Protocol]
    #: Told of each send that leaves: whose it is, and its bytes.
    on_send: Callable[[Host, Caller | None, bytes], object]
    #: Until then nobody listens.
    down_until: float = 0.0
    _next_port: int = field(default=20_000, init=False)
    #: In the order they were opened.
    _open: list[SimulatedTransport] = field(factory=list, init=False)

    def latency(self) -> float:
        """Draw for how long bytes are on their way."""
        longest = _LATENCY if self.draw.random() < 0.95 else _SLOW_LATENCY
        return self.draw.uniform(0.0005, longest)

    async def connect(
        self, host: Host, make: Callable[[], asyncio.Protocol]
    ) -> tuple[SimulatedTransport, asyncio.Protocol]:
        """Open a connection from a process to the gateway."""
        for fault in host.happen(Event.CONNECT):
            if fault.kind is FaultKind.NO_ANSWER:
                await host.loop.create_future()
            if fault.kind is FaultKind.REFUSED:
                await asyncio.sleep(self.latency())
                raise ConnectionRefusedError("refused")
        await asyncio.sleep(2 * self.latency())
        if self.scheduler.timeline.now < self.down_until:
            raise ConnectionRefusedError("refused")
        client = self._connect_ends(host)
        protocol = make()
        client.attach(protocol)
        return client, protocol

    def drop_all(self, seconds: float) -> None:
        """Refuse connections for so long, and drop those there are."""
        self.down_until = max(self.down_until, self.scheduler.timeline.now + seconds)
        for transport in self._open:
            if not transport.is_closing():
                with_loop(transport.host, transport.abort)
        self._open.clear()

    def _inject(self, client: SimulatedTransport, data: bytes) -> None:
        """Apply the faults of a request that is about to leave."""
        line = data.partition(b"\r\n")[0]
        if not line.startswith(b"POST "):
            return
        is_send = b"/text/single" in line
        if is_send:
            self.on_send(client.host, caller.get(), data)
        for fault in client.host.happen(Event.SEND if is_send else Event.BALANCE):
            _break(client, fault, len(data))

    def _connect_ends(self, host: Host) -> SimulatedTransport:
        self._next_port += 1
        client = SimulatedTransport(self, host, self._next_port)
        server = SimulatedTransport(self, self.server, 80)
        client.peer, server.peer = server, client
        client.on_write = self._inject
        self._open.append(server)
        with_loop(self.server, lambda: server.attach(self.accept()))
        return client


def _break(client: SimulatedTransport, fault: Fault, length: int) -> None:
    there, back = client.out, client.peer.out
    in_request = there.sent + int(fault.place * length)
    in_reply = back.sent + int(fault.place * _REPLY_BYTES)
    resets = fault.variant == 0
    match fault.kind:
        case FaultKind.CUT_REQUEST:
            there.cut_at, there.cut_resets = in_request, resets
        case FaultKind.LOST_REQUEST:
            there.lost_at = in_request
        case FaultKind.LATE_REQUEST:
            there.delay = fault.seconds
        case FaultKind.CUT_REPLY:
            back.cut_at, back.cut_resets = in_reply, resets
        case FaultKind.LOST_REPLY:
            back.lost_at = in_reply
        case FaultKind.LATE_REPLY:
            back.delay = fault.seconds
        case _:
            return
