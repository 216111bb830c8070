"""Only type-checked: what a type checker must refuse. An `ignore` that hides no error is one itself."""

from __future__ import annotations

from decimal import Decimal

from vavasms import AsyncVavaSMS, Balance, Lot, Outcome, VavaSMS, parse_inbound, parse_msisdn


async def mistakes(client: AsyncVavaSMS, plain: VavaSMS, lot: Lot) -> None:
    AsyncVavaSMS(sender="ACME")  # type: ignore[call-arg]
    AsyncVavaSMS("me", "word", "ACME")  # type: ignore[call-arg]
    AsyncVavaSMS(backend="aiohttp")  # type: ignore[call-arg]
    await client.send(2250709000001, "Bonjour")  # type: ignore[arg-type]
    await client.send("x", "Bonjour", "ACME")  # type: ignore[call-arg]
    await client.send_otp("x", valid_for=10)  # type: ignore[arg-type]
    # A number loses its leading zeros.
    await client.verify_otp("x", 42317)  # type: ignore[arg-type]
    await client.send_bulk([1, 2], "x")  # type: ignore[list-item]
    # Forgotten: the coroutine is no lot.
    client.send("x", "Bonjour").lot_id  # type: ignore[attr-defined]  # noqa: B018
    await plain.balance()  # type: ignore[misc]
    lot.lot_id = "other"  # type: ignore[misc]
    lot.by_recipient["x"]  # type: ignore[index]
    Balance(Decimal(1), "XOF")  # type: ignore[call-arg]
    Balance(amount=1, currency="XOF")  # type: ignore[arg-type]
    Outcome.DELIVERED  # type: ignore[attr-defined]  # noqa: B018
    parse_msisdn("x", "CI")  # type: ignore[call-arg]
    parse_inbound("message_id=a")  # type: ignore[arg-type]
