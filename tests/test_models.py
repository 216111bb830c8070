"""The values: frozen, keyword-only, and quiet about numbers and texts."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs
import pytest

from vavasms import models
from vavasms.models import (
    Balance,
    DeliveryReport,
    DeliveryStatus,
    InboundMessage,
    Lot,
    OtpReason,
    OtpReceipt,
    OtpVerification,
)
from vavasms.numbers import Msisdn

ONE, TWO = Msisdn("2250709000001"), Msisdn("2250709000002")
VALUES = [
    Balance(amount=Decimal(1), currency="XOF"),
    Lot(lot_id="L", message_ids=("A",), description="d", recipients=(ONE,)),
    DeliveryReport(
        message_id="A", lot_id="L", status=DeliveryStatus.SENT, raw_status="sent", description="d"
    ),
    OtpReceipt(message_id="A", description="d"),
    OtpVerification(valid=True),
    InboundMessage(
        message_id="A",
        sender="+2250709000001",
        text="un texte",
        received_at=datetime.fromisoformat("2026-01-01"),
    ),
]


def test_every_value_is_tried() -> None:
    defined = {value for value in vars(models).values() if isinstance(value, type) and attrs.has(value)}
    assert defined == {type(value) for value in VALUES}


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_is_frozen_keyword_only_and_hashable(value: Any) -> None:
    fields = attrs.fields(type(value))
    for field in fields:
        assert field.kw_only
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(value, field.name, None)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        value.more = 1
    assert hash(value) == hash(attrs.evolve(value))
    assert value == attrs.evolve(value)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_shows_no_number_and_no_text(value: object) -> None:
    assert "2250709000001" not in repr(value)
    assert "un texte" not in repr(value)


def lot(ids: tuple[str, ...], *recipients: Msisdn) -> Lot:
    return Lot(lot_id="L", message_ids=ids, description="", recipients=recipients)


def test_ids_are_paired_by_position_where_there_are_as_many() -> None:
    paired = lot(("A", "B"), ONE, TWO).by_recipient
    assert paired == {ONE: "A", TWO: "B"}
    assert paired is not None
    assert list(paired) == [ONE, TWO]
    with pytest.raises(TypeError):
        paired[ONE] = "C"  # type: ignore[index]


@pytest.mark.parametrize("ids", [(), ("A",), ("A", "B", "C")])
def test_ids_are_paired_with_nobody_where_the_counts_differ(ids: tuple[str, ...]) -> None:
    assert lot(ids, ONE, TWO).by_recipient is None


def test_only_a_valid_code_is_true() -> None:
    assert OtpVerification(valid=True)
    for reason in [None, *OtpReason]:
        assert not OtpVerification(valid=False, reason=reason, message_id="A")


def test_the_reasons_are_the_gateways_words() -> None:
    assert [reason.value for reason in OtpReason] == [
        "INVALID_OTP",
        "EXPIRED_OTP",
        "OTP_NOT_FOUND",
        "MALFORMED",
    ]


def test_sent_is_not_delivered() -> None:
    # Two names of one value would be one member.
    assert [status.name for status in DeliveryStatus] == ["PENDING", "SENT", "DELIVERED", "FAILED", "OTHER"]
