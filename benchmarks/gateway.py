"""A gateway written for speed: one process on loopback that answers every POST, after a delay, and counts.

It knows the documented success of text/single, and as much of the peers' APIs as their clients look at.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import urlopen

_NUMBER = "+2250709000001"
_REPLIES: dict[tuple[bytes, int], bytes] = {}


def _reply(path: bytes, phones: int) -> bytes:
    """Build a whole reply once for each path and number of recipients."""
    found = _REPLIES.get((path, phones))
    if found is None:
        status = b"201 Created" if b"Messages.json" in path else b"200 OK"
        body = json.dumps(_body(path, phones)).encode()
        # Apache says how long it keeps a connection.
        kept = b"Keep-Alive: timeout=5\r\nConnection: Keep-Alive\r\n"
        head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\n" + kept + b"Content-Length: %d\r\n\r\n"
        found = _REPLIES[path, phones] = head % (status, len(body)) + body
    return found


def _body(path: bytes, phones: int) -> dict[str, object]:
    if b"Messages.json" in path:  # twilio
        return {"sid": "SM0", "status": "queued", "to": _NUMBER, "from": "ACME", "body": "x"}
    if path.endswith(b"/messaging"):  # africastalking
        one = {"statusCode": 101, "number": _NUMBER, "status": "Success", "cost": "XOF 1", "messageId": "1"}
        return {"SMSMessageData": {"Message": "Sent", "Recipients": [one] * phones}}
    if path == b"/sms/json":  # vonage
        message = {"to": _NUMBER[1:], "message-id": "1", "status": "0", "remaining-balance": "1"}
        return {"message-count": "1", "messages": [message]}
    ids = [f"SM-20190623-{index}" for index in range(phones)]
    data = {"lot_id": "LOT-20190623-1", "description": "Message envoyé avec succès", "message_id": ids}
    return {"code": 0, "message": "OPERATION_SUCCES", "data": data}


class _Connection(asyncio.Protocol):
    """HTTP/1.1 with Content-Length, one request at a time: all that the clients send."""

    delay = 0.0
    requests = 0

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, mark, rest = self._buffer.partition(b"\r\n\r\n")
        if not mark:
            return
        fields = head.lower()
        at = fields.find(b"content-length:")
        length = 0 if at < 0 else int(fields[at + 15 : (fields + b"\r\n").index(b"\r\n", at)])
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        self._answer(head.split(b" ", 2)[1], rest[:length])

    def _answer(self, path: bytes, body: bytes) -> None:
        if path == b"/count":
            text = b"%d" % _Connection.requests
            self._write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
            return
        if path.startswith(b"/delay/"):
            _Connection.delay = float(path[7:])
            self._write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            return
        _Connection.requests += 1
        reply = _reply(path, 1 + body.count(b"%2C") + body.count(b","))
        if _Connection.delay:
            asyncio.get_running_loop().call_later(_Connection.delay, self._write, reply)
        else:
            self._write(reply)

    def _write(self, reply: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(reply)


async def _serve(certificate: str) -> None:
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    plain = await loop.create_server(_Connection, "127.0.0.1", 0, backlog=1024)
    tls = await loop.create_server(_Connection, "127.0.0.1", 0, ssl=context, backlog=1024)
    print(*(server.sockets[0].getsockname()[1] for server in (plain, tls)), flush=True)
    # Ends with whoever started it: the pipe closes with that process, however it goes.
    await loop.run_in_executor(None, sys.stdin.read)
    plain.close()
    tls.close()


class Gateway:
    """A running gateway, seen from the process that measures."""

    def __init__(self, port: int, tls_port: int, authority: Path) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self.url = f"{self.origin}/api"
        #: For clients that speak TLS only, with the authority to trust.
        self.tls_host = f"localhost:{tls_port}"
        self.tls_url = f"https://{self.tls_host}/api"
        self.authority = authority

    def set_delay(self, seconds: float) -> None:
        """Answer each request `seconds` after it came."""
        urlopen(f"{self.origin}/delay/{seconds}", timeout=5).close()

    def count(self) -> int:
        """Count the requests so far."""
        with urlopen(f"{self.origin}/count", timeout=5) as reply:
            return int(reply.read())


@contextmanager
def start() -> Iterator[Gateway]:
    """Run a gateway in a process of its own, with a certificate made for the occasion."""
    with TemporaryDirectory() as folder:
        certificate, authority = _make_certificate(Path(folder))
        command = [sys.executable, "-m", "benchmarks.gateway", str(certificate)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            try:
                port, tls_port = map(int, process.stdout.readline().split())
                yield Gateway(port, tls_port, authority)
            finally:
                _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()


def _make_certificate(folder: Path) -> tuple[Path, Path]:
    # Here, so that the gateway's own process does without.
    import trustme

    issuer = trustme.CA()
    certificate, authority = folder / "certificate.pem", folder / "authority.pem"
    issuer.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    issuer.cert_pem.write_to_path(str(authority))
    return certificate, authority


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
