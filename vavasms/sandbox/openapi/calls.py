"""The gateway's calls, as the vendor's documentation has them."""

from __future__ import annotations

from vavasms.sandbox.gateway import BALANCE, DEFAULT_MESSAGE, OTP_SEND, OTP_VERIFY, TEXT
from vavasms.sandbox.openapi.parts import (
    HTML,
    STRING,
    Operation,
    Part,
    answer,
    content,
    list_of,
    record,
    refer,
)

FORM = "application/x-www-form-urlencoded"
_TAG = "gateway"
_ACCOUNT = {
    "username": {"type": "string", "description": "The e-mail of the account."},
    "password": {"type": "string", "format": "password"},
}
_SENDER = {
    "type": "string",
    "description": "3 to 11 letters and digits that the account has, or the username.",
    "examples": ["SANDBOX"],
}
_PHONE = {"type": "string", "pattern": r"^\+?[1-9][0-9]{7,14}$", "examples": ["2250709000001"]}
_PHONES = {
    "type": "string",
    "pattern": r"^\+?[1-9][0-9]{7,14}(,\+?[1-9][0-9]{7,14})*$",
    "description": "Numbers in international form, joined by commas.",
    "examples": ["2250709000001,2250709000002"],
}
_REFUSED = "or why it was refused: a code that is not 0."


def _form(properties: dict[str, Part], *optional: str) -> Part:
    return record({**_ACCOUNT, **properties}, *optional)


def _success(data: Part) -> Part:
    return record({"code": {"const": 0}, "message": {"const": "OPERATION_SUCCES"}, "data": data})


def _call(name: str, summary: str, fields: Part, data: Part, *, description: str = "") -> Operation:
    return Operation(
        name=name,
        tag=_TAG,
        summary=summary,
        description=description,
        body=content(fields, FORM),
        answers={
            "200": answer(f"What was done, {_REFUSED}", {"oneOf": [data, refer("Refusal")]}),
            "default": answer("What a planned fault or a magic number wants instead.", STRING, HTML),
        },
    )


_SEND = _form(
    {"sender_id": _SENDER, "phone": _PHONES, "message": {"type": "string", "minLength": 1}},
)
_ASK = _form({"message_id": STRING, "lot_id": STRING}, "lot_id")
_OTP = _form(
    {
        "sender_id": _SENDER,
        "phone": _PHONE,
        "otp_length": {"type": "integer", "minimum": 4, "maximum": 9, "default": 4},
        "otp_expiry": {
            "type": "integer",
            "minimum": 1,
            "maximum": 10**6,
            "default": 60,
            "description": "Minutes.",
        },
        "message": {"type": "string", "pattern": "##OTP##", "default": DEFAULT_MESSAGE},
    },
    "otp_length",
    "otp_expiry",
    "message",
)
_VERIFY = _form(
    {
        "sender_id": _SENDER,
        "phone": _PHONE,
        "otp": {"type": "string", "description": "Text: a code may begin with zeros."},
    },
    "sender_id",
)
#: A message id, a word and what it is called, for each message.
_REPORT = record({"lot_id": STRING, "message_id": STRING, "status": STRING, "description": STRING})
_LOT = record({"lot_id": STRING, "description": STRING, "message_id": list_of(STRING)})

#: By the path behind `/api`.
CALLS = {
    BALANCE: _call(
        "checkBalance",
        "The credit of the account.",
        _form({}),
        _success(record({"amount": {"type": "number"}, "currency": {"const": "XOF"}})),
    ),
    TEXT: _call(
        "sendText",
        "Send a text to one number or to several; or ask for the delivery status of a message.",
        {"anyOf": [_SEND, _ASK]},
        {"anyOf": [_success(_LOT), _success(list_of(_REPORT))]},
        description=(
            "There is no idempotency key: the same request twice is two SMS. A `message_id` without phone "
            "and message asks for a status; the vendor does not document its path."
        ),
    ),
    OTP_SEND: _call(
        "sendOtp",
        "Send a one-time code.",
        _OTP,
        _success(record({"message_id": STRING, "description": STRING})),
    ),
    OTP_VERIFY: _call(
        "verifyOtp",
        "Check a one-time code, which uses up an attempt.",
        _VERIFY,
        _success(record({"message_id": STRING, "status": {"const": "success"}})),
    ),
}


def status_call() -> Operation:
    """Return the call for the delivery status at a path of its own."""
    return _call("deliveryStatus", "The delivery status of a message.", _ASK, _success(list_of(_REPORT)))


SCHEMAS: dict[str, Part] = {
    "Refusal": {
        "description": (
            "The documentation shows three shapes. That of 901, 902 and 903, but for the balance's, has a "
            "trailing comma: it is no JSON."
        ),
        "oneOf": [
            record(
                {
                    "code": {"type": ["integer", "string"], "not": {"enum": [0, "0"]}},
                    "message": STRING,
                    "description": STRING,
                    "data": {"type": "array", "maxItems": 0},
                }
            ),
            record({"code": {"enum": ["901", "902", "903"]}, "status": STRING, "description": STRING}),
        ],
    }
}
