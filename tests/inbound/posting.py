"""Call an ASGI app without a server, as the platform would."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any
from urllib.parse import urlencode

from attrs import define, field

TOKEN = "0123456789abcdef0123456789abcdef01234567"


@define
class Answer:
    """What an app sent back."""

    status: int = 0
    headers: dict[str, str] = field(factory=dict)
    text: str = ""


App = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]],
    Awaitable[None],
]


def sms(
    message_id: str = "SM-1", text: str = "Bonjour", sender: str = "+2250700000101", **more: str
) -> bytes:
    """Write what the platform posts."""
    return urlencode({"message_id": message_id, "form": sender, "content": text, **more}).encode()


async def post(
    app: App,
    body: bytes | Sequence[bytes] = b"",
    *,
    path: str = f"/{TOKEN}",
    method: str = "POST",
    client: tuple[str, int] | None = ("192.0.2.7", 4711),
    headers: Sequence[tuple[bytes, bytes]] = (),
    root_path: str = "",
) -> Answer:
    """Call an app once; the parts of the body come one by one."""
    parts = [body] if isinstance(body, bytes) else list(body)
    answer = Answer()

    async def receive() -> Any:
        part = parts.pop(0) if parts else b""
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(event: Any) -> None:
        if event["type"] == "http.response.start":
            answer.status = event["status"]
            answer.headers = {name.decode(): value.decode() for name, value in event["headers"]}
        else:
            answer.text += event["body"].decode()

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": root_path + path,
        "root_path": root_path,
        "headers": list(headers),
        "client": client,
    }
    await app(scope, receive, send)
    return answer
