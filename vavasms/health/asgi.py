"""`HealthApp`: `/live`, `/ready` and `/metrics` of a worker. Nothing of it is personal."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

from attrs import asdict, define, frozen

from vavasms.config import is_loopback
from vavasms.health.monitor import HealthMonitor
from vavasms.health.prometheus import WorkerMetrics
from vavasms.inbound.asgi import Receive, Scope, Send, find_headers, refuse_websocket

_PLAIN, _JSON = "text/plain; charset=utf-8", "application/json"


@frozen(kw_only=True)
class HealthReply:
    """An answer."""

    status: int
    body: bytes
    content_type: str = _PLAIN


_NOT_FOUND = HealthReply(status=404, body=b"There is /live, /ready and /metrics.\n")
_NOT_HERE = HealthReply(status=403, body=b"This Host is no name of this machine.\n")
_ONLY_GET = HealthReply(status=405, body=b"There is nothing to post.\n")


@define(kw_only=True, eq=False)
class HealthApp:
    """The ASGI application of a worker's health.

    `/live` says that the process turns; `/ready` is 200 where the worker can work, else 503 with the parts
    that cannot; `/metrics` is for Prometheus.
    """

    monitor: HealthMonitor
    metrics: WorkerMetrics
    #: It is served on this machine alone: a site whose name leads here by a changed DNS is refused.
    is_local: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI 3 has it."""
        if scope["type"] == "websocket":
            await refuse_websocket(receive, send)
        elif scope["type"] == "http":
            reply = await self._answer(scope)
            await _send(send, reply, with_body=scope["method"] != "HEAD")

    async def _answer(self, scope: Scope) -> HealthReply:
        if self.is_local and not all(map(_is_this_machine, find_headers(scope, b"host"))):
            return _NOT_HERE
        if scope["method"] not in ("GET", "HEAD"):
            return _ONLY_GET
        pages: Mapping[str, Callable[[str], Awaitable[HealthReply]]] = {
            "/live": self._live,
            "/ready": self._ready,
            "/metrics": self._metrics,
        }
        page = pages.get(str(scope["path"]))
        return _NOT_FOUND if page is None else await page(",".join(find_headers(scope, b"accept")))

    async def _live(self, _accept: str) -> HealthReply:
        return HealthReply(status=200, body=b"alive\n")

    async def _ready(self, _accept: str) -> HealthReply:
        readiness = self.monitor.readiness
        said = json.dumps({"ready": readiness.is_ready, **asdict(readiness)})
        return HealthReply(
            status=200 if readiness.is_ready else 503, body=f"{said}\n".encode(), content_type=_JSON
        )

    async def _metrics(self, accept: str) -> HealthReply:
        body, content_type = await self.metrics.render(self.monitor, accept)
        return HealthReply(status=200, body=body, content_type=content_type)


def _is_this_machine(host: str) -> bool:
    name, colon, port = host.rpartition(":")
    return is_loopback((name if colon and port.isdecimal() else host).strip("[]"))


async def _send(send: Send, reply: HealthReply, *, with_body: bool) -> None:
    headers = {
        "content-type": reply.content_type,
        "content-length": str(len(reply.body)),
        # What is true now only.
        "cache-control": "no-store",
    }
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": raw})
    await send({"type": "http.response.body", "body": reply.body if with_body else b""})
