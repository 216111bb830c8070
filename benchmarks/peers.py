"""Other gateways' SDKs, sending one text to many the way each one's documentation says to."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager

import africastalking  # type: ignore[import-untyped]
from twilio.http.async_http_client import AsyncTwilioHttpClient  # type: ignore[import-untyped]
from twilio.http.response import Response  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]
from vonage import Auth, HttpClientOptions, Vonage  # type: ignore[import-untyped]
from vonage_sms import SmsMessage  # type: ignore[import-untyped]

from benchmarks.clients import SENDER, TEXT
from benchmarks.gateway import Gateway
from benchmarks.load import DEADLINE, drive
from benchmarks.made import make_wire_numbers


class _Redirected(AsyncTwilioHttpClient):  # type: ignore[misc]
    """Twilio's own client, at another address: its host is fixed."""

    origin = ""

    async def request(self, method: str, url: str, *args: object, **options: object) -> Response:
        address = url.replace("https://api.twilio.com", self.origin)
        return await super().request(method, address, *args, **options)


def send_with_twilio(gateway: Gateway, count: int) -> None:
    """Send with `messages.create_async`: one request a recipient, 64 at once."""
    asyncio.run(_send_with_twilio(gateway, count))


async def _send_with_twilio(gateway: Gateway, count: int) -> None:
    left = iter(make_wire_numbers(count))
    async with asyncio.timeout(DEADLINE), _Redirected() as http:
        http.origin = gateway.origin
        client = Client("AC0", "bench", http_client=http)

        async def one() -> object:
            return await client.messages.create_async(to=f"+{next(left)}", from_="+15005550006", body=TEXT)

        await drive(one, 64, count)


def send_with_africastalking(gateway: Gateway, count: int) -> None:
    """Send with `SMS.send` and a list of recipients: 100 a request, one request after another."""
    africastalking.initialize("bench", "bench")
    sms = africastalking.SMS
    sms._baseUrl = f"{gateway.origin}/version1"
    numbers = [f"+{number}" for number in make_wire_numbers(count)]
    for at in range(0, count, 100):
        sms.send(TEXT, numbers[at : at + 100])


def send_with_vonage(gateway: Gateway, count: int) -> None:
    """Send with `sms.send`: one request a recipient, one after another, over TLS."""
    options = HttpClientOptions(rest_host=gateway.tls_host, timeout=30)
    with _trusted(gateway):
        vonage = Vonage(Auth(api_key="bench", api_secret="bench"), options)
        for number in make_wire_numbers(count):
            vonage.sms.send(SmsMessage(to=number, from_=SENDER, text=TEXT))


@contextmanager
def _trusted(gateway: Gateway) -> Iterator[None]:
    before = os.environ.get("REQUESTS_CA_BUNDLE")
    os.environ["REQUESTS_CA_BUNDLE"] = str(gateway.authority)
    try:
        yield
    finally:
        del os.environ["REQUESTS_CA_BUNDLE"]
        if before is not None:
            os.environ["REQUESTS_CA_BUNDLE"] = before
