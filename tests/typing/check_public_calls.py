"""Only type-checked: what users write, and the types they get. Nothing runs this."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import assert_type

import httpx

from vavasms import (
    AsyncVavaSMS,
    Balance,
    BatchResult,
    BulkReport,
    DeliveryReport,
    DeliveryStatus,
    Encoding,
    GatewayError,
    IdempotencyConflictError,
    InboundMessage,
    InvalidNumberError,
    InvalidRecipient,
    Lot,
    Msisdn,
    OtpLimits,
    OtpReason,
    OtpReceipt,
    OtpVerification,
    Outcome,
    RateLimitedError,
    Segmentation,
    SendKind,
    SendRecord,
    Timeouts,
    VavaSMS,
    VavaSMSError,
    __version__,
    count_segments,
    fold_to_gsm7,
    parse_inbound,
    parse_msisdn,
)


async def the_single_sends(sms: AsyncVavaSMS, plain: VavaSMS, later: datetime) -> None:
    assert_type(await sms.send("x", "Bonjour", idempotency_key="order-42"), Lot)
    assert_type(await sms.enqueue("x", "Bonjour", idempotency_key="a", not_before=later), SendRecord)
    assert_type(await sms.sent("order-42"), SendRecord | None)
    assert_type(plain.resolve("order-42", sent=True, note="seen"), SendRecord)


async def the_async_client(numbers: list[str], lazily: AsyncIterator[str], many: Iterator[Msisdn]) -> None:
    AsyncVavaSMS("me", "word")
    AsyncVavaSMS("me", "word", otp_limits=OtpLimits(cool_down=None, number_daily=4, countries=("ML",)))
    client = AsyncVavaSMS(
        username="me",
        password="word",
        sender_id="ACME",
        base_url="https://vavasms.com/api",
        status_path="/v1/text/single",
        region="CI",
        max_connections=32,
        transport=httpx.MockTransport(lambda _: httpx.Response(200)),
        timeouts=Timeouts(send=90),
    )
    async with client as sms:
        assert_type(sms, AsyncVavaSMS)
        assert_type(await sms.balance(), Balance)
        lot = await sms.send("+2250709000001", "Bonjour")
        assert_type(lot, Lot)
        assert_type(await sms.send(numbers, "Bonjour", sender_id="ACME"), Lot)
        assert_type(await sms.send(many, "Bonjour"), Lot)
        reports = await sms.delivery_reports(lot.message_ids[0], lot_id=lot.lot_id)
        assert_type(reports, tuple[DeliveryReport, ...])
        assert_type(
            await sms.send_otp("x", length=6, valid_for=timedelta(minutes=10), template="Code ##OTP##"),
            OtpReceipt,
        )
        assert_type(await sms.send_otp("x", idempotency_key="login-7", client="203.0.113.7"), OtpReceipt)
        assert_type(await sms.verify_otp("x", "042317"), OtpVerification)
        assert_type(await sms.send_bulk(numbers, "x", batch_size=100, concurrency=16, rate=2.5), BulkReport)
        assert_type(await sms.send_bulk(lazily, "x", dedupe=False, on_progress=print), BulkReport)
        async with sms.stream_bulk(many, "x") as results:
            async for result in results:
                assert_type(result, BatchResult)
        assert_type(results.report, BulkReport)
    assert_type(await client.aclose(), None)


def the_plain_client(numbers: list[str]) -> None:
    with VavaSMS() as sms:
        assert_type(sms, VavaSMS)
        assert_type(sms.balance(), Balance)
        assert_type(sms.send(numbers, "Bonjour"), Lot)
        assert_type(sms.delivery_reports("x"), tuple[DeliveryReport, ...])
        assert_type(sms.send_otp("x"), OtpReceipt)
        assert_type(sms.verify_otp("x", "042317"), OtpVerification)
        assert_type(sms.send_bulk(iter(numbers), "x"), BulkReport)
        with sms.stream_bulk(numbers, "x", rate=1) as results:
            for result in results:
                assert_type(result, BatchResult)
        assert_type(results.report, BulkReport)
    assert_type(sms.close(), None)


def the_values(
    balance: Balance,
    lot: Lot,
    report: DeliveryReport,
    verdict: OtpVerification,
    batch: BatchResult,
    bulk: BulkReport,
    inbound: InboundMessage,
) -> None:
    assert_type((balance.amount, balance.currency), tuple[Decimal, str])
    assert_type((lot.lot_id, lot.message_ids), tuple[str, tuple[str, ...]])
    assert_type(lot.recipients, tuple[Msisdn, ...])
    assert_type(lot.by_recipient, Mapping[Msisdn, str] | None)
    assert_type((report.status, report.raw_status), tuple[DeliveryStatus, str])
    assert_type((verdict.valid, verdict.reason), tuple[bool, OtpReason | None])
    assert_type(verdict.message_id, str | None)
    assert_type((batch.recipients, batch.outcome), tuple[tuple[Msisdn, ...], Outcome])
    assert_type((batch.lot, batch.error), tuple[Lot | None, VavaSMSError | None])
    assert_type((bulk.accepted, bulk.rejected, bulk.not_sent, bulk.unknown), tuple[int, int, int, int])
    assert_type(bulk.results, tuple[BatchResult, ...])
    assert_type((bulk.invalid, bulk.duplicates), tuple[tuple[InvalidRecipient, ...], int])
    assert_type(bulk.recipients(Outcome.UNKNOWN), Iterator[Msisdn])
    assert_type((inbound.sender, inbound.text), tuple[str, str])
    assert_type((inbound.received_at, inbound.raw_date), tuple[datetime | None, str])


def the_record(record: SendRecord, conflict: IdempotencyConflictError) -> None:
    assert_type((record.key, record.kind), tuple[str, SendKind])
    assert_type((record.outcome, record.lot), tuple[Outcome | None, Lot | None])
    assert_type((record.account, record.text), tuple[str, str | None])
    assert_type(conflict.first_used_at, float)


def the_errors(number: InvalidNumberError, limited: RateLimitedError, gateway: GatewayError) -> None:
    assert_type((number.reason, number.suggestion), tuple[str, str | None])
    assert_type(limited.retry_after, float | None)
    assert_type((gateway.code, gateway.http_status), tuple[int | None, int | None])
    assert_type((gateway.name, gateway.description), tuple[str | None, str | None])
    assert_type((gateway.outcome, gateway.safe_to_retry), tuple[Outcome | None, bool])


def the_functions() -> None:
    number = parse_msisdn("0709000001", region="CI", repair=True)
    assert_type(number, Msisdn)
    assert_type((number.e164, number.country, number.masked), tuple[str, str, str])
    assert_type(number.operator_range, str | None)
    found = count_segments("Bonjour")
    assert_type(found, Segmentation)
    assert_type((found.encoding, found.segments), tuple[Encoding, int])
    assert_type((found.units, found.units_left), tuple[int, int])
    assert_type(found.offending, tuple[tuple[int, str], ...])
    assert_type(fold_to_gsm7("ça"), str)
    assert_type(parse_inbound(b"message_id=a&form=b"), InboundMessage)
    assert_type(parse_inbound({"message_id": "a", "form": "b"}), InboundMessage)
    assert_type(__version__, str)
