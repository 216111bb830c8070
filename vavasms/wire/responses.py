"""Bytes to values: the gateway's envelopes, and what stands in them.

A success must be strict JSON. An error may come in the documentation's own broken JSON (a trailing
comma): a complete envelope that is not JSON is read leniently, and then believed only when it is an error.
A success that is not to be believed is still told from no envelope at all: it speaks against "not sent".
What refuses is the gateway's own envelope only, and only where nothing in the body speaks of a success.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from attrs import evolve, field, frozen

from vavasms.models import (
    Balance,
    DeliveryReport,
    DeliveryStatus,
    Lot,
    OtpReason,
    OtpReceipt,
    OtpVerification,
)
from vavasms.numbers import Msisdn
from vavasms.wire.converter import MisshapenError, structure, text_or, texts_of
from vavasms.wire.signs import CodeWatch, says_success

#: json5 is recursive and slow: 64 KiB would hold the event loop for a second.
MAX_LENIENT_BYTES = 4096
#: PHP prints its diagnostics before the body it was asked for.
_PHP_DIAGNOSTIC = (
    # No whitespace before the first group: two runs of it side by side take quadratic time.
    r"(?:<br\s*/?>)?\s*(?:<b>)?(?:PHP )?(?:Warning|Notice|Deprecated|Strict Standards)(?:</b>)?:"
)
_CONTROL = r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+"
_NAME = r"[A-Z][A-Z0-9_]*\Z"


@frozen(kw_only=True)
class Envelope:
    """What every answer of the gateway is wrapped in."""

    #: None where the gateway's code is a word.
    code: int | None
    #: The constant that goes with the code, such as `INVALID_SENDER_ID`.
    name: str | None
    description: str | None
    data: Any = field(default=None, repr=False)
    #: Strict JSON in UTF-8. Without it a success is no success, though an error is an error.
    sound: bool = True
    #: The gateway's own refusal: a code that is not 0 with a name, and no sign of a success anywhere.
    refuses: bool = field(default=False, eq=False, repr=False)
    #: It names a lot or a message, which only what was taken has.
    has_ids: bool = field(default=False, eq=False, repr=False)

    @property
    def success(self) -> bool:
        return self.code == 0


def parse_envelope(body: bytes) -> Envelope | None:
    """Read an envelope; None where the body holds none that is complete."""
    try:
        text = body.decode("utf-8")
        sound = True
    except UnicodeDecodeError:
        text = body.decode("cp1252", errors="replace")
        sound = False
    # What is stepped over may be a success of its own.
    whole, text = text, _step_over_diagnostics(text)
    if not text.startswith("{"):
        return None
    watch = CodeWatch()
    strict = _load(json.loads, text, parse_constant=_refuse_constant, object_pairs_hook=watch)
    if watch.has_twins:
        # Which of them counts would be a guess.
        return None
    if isinstance(strict, dict):
        return _judge(_read(strict, sound=sound), strict, watch, whole)
    return _parse_leniently(text, whole)


def _parse_leniently(text: str, whole: str) -> Envelope | None:
    if not text.endswith("}") or len(text.encode("utf-8", "replace")) > MAX_LENIENT_BYTES:
        return None
    import json5  # rarely needed: 10 ms that no import should cost

    watch = CodeWatch()
    loose = _load(json5.loads, text, allow_duplicate_keys=False, object_pairs_hook=watch)
    if not isinstance(loose, dict):
        return None
    return _judge(_read(loose, sound=False), loose, watch, whole)


def _judge(
    envelope: Envelope | None, document: dict[Any, Any], watch: CodeWatch, whole: str
) -> Envelope | None:
    """Mark what is the gateway's own refusal."""
    if envelope is None or envelope.success:
        return envelope
    names = [name for name in (_clean(document.get("message")), _clean(document.get("status"))) if name]
    # What is parsed may spell names as no text shows, and what is stepped over is not parsed.
    doubtful = watch.has_zero or says_success(whole) or any(says_success(name) for name in names)
    return evolve(envelope, refuses=bool(names) and not doubtful, has_ids=watch.has_ids)


def _step_over_diagnostics(text: str) -> str:
    text = text.strip("\ufeff \t\r\n")
    if not text.startswith("{") and re.match(_PHP_DIAGNOSTIC, text):
        start = text.find("\n{")
        text = text[start + 1 :] if start >= 0 else ""
    return text


def _load(loads: Callable[..., Any], text: str, **options: Any) -> Any:
    try:
        return loads(text, **options)
    except (ValueError, RecursionError, OverflowError):
        return None


def _refuse_constant(constant: str) -> None:
    raise ValueError(constant)


def _read(document: dict[Any, Any], *, sound: bool) -> Envelope | None:
    code = document.get("code")
    if isinstance(code, bool) or not isinstance(code, int | str) or code == "":
        return None
    return Envelope(
        code=_read_code(code),
        name=_read_name(document, code),
        description=_clean(document.get("description")),
        data=document.get("data"),
        sound=sound,
    )


def _read_code(code: int | str) -> int | None:
    # Success is exactly 0 or "0": a look-alike must not be rounded to it.
    if isinstance(code, str):
        digits = code.strip()
        number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 9 else None
        return None if number == 0 and code != "0" else number
    # A number too long to be a code may be too long to be written, too.
    return code if abs(code) < 10**30 else None


def _read_name(document: dict[Any, Any], code: int | str) -> str | None:
    candidates = [_clean(value) for value in (document.get("message"), document.get("status"), code)]
    names = [name for name in candidates if name is not None]
    return next((name for name in names if re.match(_NAME, name)), names[0] if names else None)


def _clean(value: object) -> str | None:
    """Return one line of plain text: what the gateway says ends in logs and terminals."""
    if not isinstance(value, str):
        return None
    sound = value[:400].encode("utf-8", "replace").decode()
    return re.sub(_CONTROL, " ", sound).strip()[:200] or None


def parse_balance(data: Any) -> Balance:
    """Read the credit; raise `MisshapenError` where there is none."""
    return structure(data, Balance)


def parse_lot(data: Any, recipients: tuple[Msisdn, ...]) -> Lot:
    """Read an accepted lot. Never fails: the gateway said it took the messages."""
    fields = data if isinstance(data, dict) else {}
    return Lot(
        lot_id=text_or(fields.get("lot_id"), ""),
        message_ids=texts_of(fields.get("message_id")),
        description=text_or(fields.get("description"), ""),
        recipients=recipients,
    )


def parse_receipt(data: Any) -> OtpReceipt:
    """Read the receipt of a one-time code. Never fails: the gateway said it sent it."""
    fields = data if isinstance(data, dict) else {}
    return OtpReceipt(
        message_id=text_or(fields.get("message_id"), ""), description=text_or(fields.get("description"), "")
    )


_STATUSES = {
    "sent": DeliveryStatus.SENT,
    "envoyé": DeliveryStatus.SENT,
    "pending": DeliveryStatus.PENDING,
    "queued": DeliveryStatus.PENDING,
    "delivered": DeliveryStatus.DELIVERED,
    "failed": DeliveryStatus.FAILED,
    "undelivered": DeliveryStatus.FAILED,
    "rejected": DeliveryStatus.FAILED,
    "expired": DeliveryStatus.FAILED,
}


def parse_reports(data: Any) -> tuple[DeliveryReport, ...]:
    """Read delivery reports, one or a list; raise `MisshapenError` where one has no message id."""
    items: Sequence[Any] = [data] if isinstance(data, dict) else data
    if not isinstance(items, list):
        raise MisshapenError("no list of reports")
    return tuple([_parse_report(item) for item in items])


def _parse_report(item: Any) -> DeliveryReport:
    if not isinstance(item, dict):
        raise MisshapenError("no report")
    status = structure(item.get("status", ""), str)
    return DeliveryReport(
        message_id=structure(item.get("message_id"), str),
        lot_id=structure(item.get("lot_id", ""), str),
        status=_STATUSES.get(status.strip().lower(), DeliveryStatus.OTHER),
        raw_status=status,
        description=structure(item.get("description", ""), str),
    )


#: 913 is documented; the other two are names the vendor's PHP client knows, their codes are not public.
# Malformed is our own word: no gateway was asked then.
_OTP_REASONS = {reason.value: reason for reason in OtpReason if reason is not OtpReason.MALFORMED}


def otp_reason(envelope: Envelope) -> OtpReason | None:
    """Return an answer about the code itself from an error of the call."""
    return _OTP_REASONS.get(envelope.name or "", OtpReason.INVALID if envelope.code == 913 else None)


def parse_verification(envelope: Envelope) -> OtpVerification:
    """Read the verdict on a code; raise `MisshapenError` where a success does not say which."""
    data = envelope.data if isinstance(envelope.data, dict) else {}
    message_id = text_or(data.get("message_id"), "") or None
    if not envelope.success:
        return OtpVerification(valid=False, reason=otp_reason(envelope), message_id=message_id)
    status = text_or(data.get("status"), "").strip()
    if not status:
        raise MisshapenError("no status")
    if status.lower() == "success":
        return OtpVerification(valid=True, message_id=message_id)
    reason = _OTP_REASONS.get(status.upper())
    return OtpVerification(valid=False, reason=reason, message_id=message_id)
