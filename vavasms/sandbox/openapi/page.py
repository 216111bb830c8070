"""The page and what its script asks for, and the guide."""

from __future__ import annotations

from vavasms.guide import CHAPTERS, INDEX
from vavasms.i18n import LANGUAGES
from vavasms.sandbox.inbox.api import LONGEST_REPLY
from vavasms.sandbox.openapi.control import MESSAGE
from vavasms.sandbox.openapi.parts import (
    COUNT,
    HTML,
    MISTAKE,
    NO_JSON,
    NUMBER,
    STRING,
    TEXT,
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

_TAG = "page"
_PHONE: Part = {"type": "string", "pattern": r"^\+?[1-9][0-9]{7,14}$"}
_BELOW = whole("below", "What the page before named: the next page.")
_NEXT: Part = {**or_null("integer"), "description": "Where the next page begins; null: that was all."}
_LANGUAGE: Part = {"enum": list(LANGUAGES)}
_CONVERSATION: dict[str, Part] = {
    "phone": STRING,
    "number": COUNT,
    "sender_id": STRING,
    "preview": STRING,
    "time": TIME,
}
_PARTS: Part = {
    "type": "array",
    "prefixItems": [STRING, {"enum": ["", "double", "ucs2"]}],
    "minItems": 2,
    "maxItems": 2,
}
_NOT_FOUND = {"404": answer("There is none.", STRING, TEXT)}

SCHEMAS: dict[str, Part] = {
    "Conversation": record(_CONVERSATION),
    "ShownMessage": record(
        {
            **MESSAGE,
            **_CONVERSATION,
            "parts": {**list_of(_PARTS), "description": "Runs of the text, and what they cost."},
            "costly": list_of(STRING),
            "changes_in": {**or_null("number"), "description": "Seconds until the status is another."},
        }
    ),
    "Reply": record(
        {
            "reply": {"const": True},
            "message_id": STRING,
            "phone": STRING,
            "text": STRING,
            "time": TIME,
            "after": COUNT,
            "status": {**or_null("integer"), "description": "What the inbound URL answered; null: nothing."},
            "error": STRING,
        }
    ),
}


def _page(name: str, summary: str, *parameters: Part, found: bool = True) -> Operation:
    missing = {} if found else _NOT_FOUND
    return Operation(
        name=name,
        tag=_TAG,
        summary=summary,
        parameters=parameters,
        answers={"200": answer("The page.", STRING, HTML), **missing},
    )


OPERATIONS = {
    ("/sandbox/inbox/conversations", "get"): Operation(
        name="readConversations",
        tag=_TAG,
        summary="Conversations, newest first.",
        parameters=(query("q", "What a text or a number holds.", STRING), _BELOW),
        answers={
            "200": answer(
                "A page of them.", record({"conversations": list_of(refer("Conversation")), "below": _NEXT})
            ),
            **MISTAKE,
        },
    ),
    ("/sandbox/inbox/conversations/{phone}", "get"): Operation(
        name="readThread",
        tag=_TAG,
        summary="What a handset received and answered, oldest first.",
        parameters=(segment("phone", "Its number.", _PHONE), _BELOW),
        answers={
            "200": answer(
                "A page of it.",
                record(
                    {
                        "phone": NUMBER,
                        "items": list_of({"oneOf": [refer("ShownMessage"), refer("Reply")]}),
                        "older": _NEXT,
                    }
                ),
            ),
            **MISTAKE,
        },
    ),
    ("/sandbox/inbox/reply", "post"): Operation(
        name="reply",
        tag=_TAG,
        summary="Answer as a handset: post an inbound SMS to the URL that was named at the start.",
        body=content(
            record({"phone": _PHONE, "text": {"type": "string", "minLength": 1, "maxLength": LONGEST_REPLY}})
        ),
        answers={"200": answer("What came of it.", refer("Reply")), **MISTAKE, **NO_JSON},
    ),
    ("/sandbox/inbox/events", "get"): Operation(
        name="streamEvents",
        tag=_TAG,
        summary="What changes, as server-sent events, until the client leaves.",
        parameters=(query("since", "The id of the last event that was seen.", STRING),),
        answers={"200": answer("Events.", STRING, "text/event-stream")},
    ),
    ("/", "get"): _page(
        "showInbox",
        "The page.",
        query("to", "The number of a conversation.", STRING),
        query("q", "What is looked for.", STRING),
        query("lang", f"The language from now on: one of {', '.join(LANGUAGES)}.", STRING),
    ),
    ("/guide", "get"): Operation(
        name="openGuide",
        tag=_TAG,
        summary="The way to the guide in the reader's language.",
        answers={"307": {"description": "To the table of chapters."}},
    ),
    ("/guide/{language}/{name}.md", "get"): _page(
        "showChapter",
        "A chapter of the guide.",
        segment("language", "Its language.", _LANGUAGE),
        segment("name", "Its name.", {"enum": [INDEX, *CHAPTERS]}),
        found=False,
    ),
    ("/guide/pictures/{name}", "get"): Operation(
        name="showPicture",
        tag=_TAG,
        summary="A picture of the guide.",
        parameters=(segment("name", "Its file.", {"type": "string", "minLength": 1}),),
        answers={"200": {"description": "The picture.", "content": {"image/png": {}}}, **_NOT_FOUND},
    ),
}
