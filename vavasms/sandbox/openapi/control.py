"""The sandbox's own interface: what was accepted, what handsets received, the balance."""

from __future__ import annotations

from vavasms.sandbox.control import AMOUNT_TEXT, MAX_AMOUNT
from vavasms.sandbox.journal import Kind
from vavasms.sandbox.messages import LONGEST_WAIT
from vavasms.sandbox.openapi.parts import (
    AMOUNT,
    COUNT,
    MISTAKE,
    NO_JSON,
    NUMBER,
    STRING,
    TIME,
    Operation,
    Part,
    answer,
    content,
    list_of,
    or_null,
    query,
    record,
    refer,
    segment,
    whole,
)
from vavasms.text.segments import Encoding

_TAG = "sandbox"
_AFTER = whole("after", "The `sequence` of an earlier entry: what came later.")
_LIMIT = whole("limit", "How many at most.")
_WHO = (
    query("to", "A number, as it was sent; a plus sign is left out.", STRING),
    query("text", "What the text holds, in any case.", STRING),
)
_OK = record({"ok": {"const": True}})
_KIND: Part = {"enum": [kind.value for kind in Kind]}
_AMOUNT: Part = {
    "oneOf": [
        {"type": "integer", "exclusiveMinimum": -MAX_AMOUNT, "exclusiveMaximum": MAX_AMOUNT},
        {"type": "string", "pattern": f"^{AMOUNT_TEXT}$"},
    ],
    "description": "XOF. Decimals need a text.",
}
#: Of a message, whoever asks for it.
MESSAGE: dict[str, Part] = {
    "message_id": STRING,
    "sequence": COUNT,
    "lot_id": {"type": "string", "description": "Empty for a one-time code."},
    "kind": _KIND,
    "sender_id": STRING,
    "phone": STRING,
    "text": STRING,
    "otp": {**or_null("string"), "description": "The one-time code in the text."},
    "time": TIME,
    "segments": COUNT,
    "encoding": {"enum": [encoding.value for encoding in Encoding]},
    "price": AMOUNT,
    "status": {**or_null("string"), "description": "Null: the gateway knows of no such message."},
}

SCHEMAS: dict[str, Part] = {
    "Entry": record(
        {
            "sequence": {"type": "integer", "minimum": 1},
            "time": TIME,
            "kind": _KIND,
            "lot_id": STRING,
            "sender_id": STRING,
            "phones": list_of(STRING),
            "message": STRING,
            "message_ids": list_of(STRING),
            "segments": COUNT,
            "cost": AMOUNT,
        }
    ),
    "Message": record(MESSAGE),
    "Messages": record({"messages": list_of(refer("Message"))}),
}

OPERATIONS = {
    ("/sandbox/openapi.json", "get"): Operation(
        name="readDocument",
        tag=_TAG,
        summary="This document.",
        answers={"200": answer("OpenAPI 3.1.", {"type": "object", "required": ["openapi", "paths"]})},
    ),
    ("/sandbox/health", "get"): Operation(
        name="checkHealth",
        tag=_TAG,
        summary="Whether it is up.",
        answers={
            "200": answer(
                "It is, with so many entries and so much credit.",
                record({"ok": {"const": True}, "requests": COUNT, "balance": AMOUNT}),
            )
        },
    ),
    ("/sandbox/journal", "get"): Operation(
        name="readJournal",
        tag=_TAG,
        summary="What was accepted, request by request, oldest first.",
        description="The counts of recipients come with the whole journal only, without `after`.",
        parameters=(_AFTER, _LIMIT),
        answers={
            "200": answer(
                "The entries.",
                record(
                    {
                        "requests": COUNT,
                        "entries": list_of(refer("Entry")),
                        "recipients": COUNT,
                        "accepted": {
                            "type": "object",
                            "additionalProperties": COUNT,
                            "description": "How often each number was accepted.",
                        },
                    },
                    "recipients",
                    "accepted",
                ),
            ),
            **MISTAKE,
        },
    ),
    ("/sandbox/journal", "delete"): Operation(
        name="clearJournal",
        tag=_TAG,
        summary="Forget what was accepted; sequences and ids go on.",
        answers={"200": answer("It is empty.", _OK), **NO_JSON},
    ),
    ("/sandbox/messages", "get"): Operation(
        name="readMessages",
        tag=_TAG,
        summary="What handsets received, newest first.",
        parameters=(*_WHO, _AFTER, _LIMIT),
        answers={"200": answer("The messages.", refer("Messages")), **MISTAKE},
    ),
    ("/sandbox/messages/wait", "get"): Operation(
        name="awaitMessage",
        tag=_TAG,
        summary="The same, once there is one.",
        parameters=(
            *_WHO,
            _AFTER,
            query(
                "timeout",
                "Seconds (5).",
                {"type": "integer", "minimum": 0, "maximum": LONGEST_WAIT, "default": 5},
            ),
        ),
        answers={
            "200": answer("The messages.", refer("Messages")),
            **MISTAKE,
            "404": answer("None came in time.", refer("Mistake")),
        },
    ),
    ("/sandbox/otp/{phone}", "get"): Operation(
        name="readOtp",
        tag=_TAG,
        summary="The last one-time code of a number, used or not.",
        parameters=(segment("phone", "With or without a plus sign.", {"type": "string", "minLength": 1}),),
        answers={
            "200": answer("The code.", record({"phone": NUMBER, "otp": STRING})),
            "404": answer("No code was sent to it.", refer("Mistake")),
        },
    ),
    ("/sandbox/balance", "put"): Operation(
        name="setBalance",
        tag=_TAG,
        summary="Set the credit, or add to it.",
        body=content({"oneOf": [record({"amount": _AMOUNT}), record({"add": _AMOUNT})]}),
        answers={"200": answer("It is set.", _OK), **MISTAKE, **NO_JSON},
    ),
}
