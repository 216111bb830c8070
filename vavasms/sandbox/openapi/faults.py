"""What goes wrong, and when: the schemas of faults, made from the tables that the sandbox reads them by."""

from __future__ import annotations

from collections import defaultdict

from vavasms.sandbox.faults import FIELD_NAME, FIELD_TEXT, MAX_SECONDS, MOMENTS, FaultKind
from vavasms.sandbox.inbox.words import FAULTS
from vavasms.sandbox.openapi.parts import (
    COUNT,
    MISTAKE,
    NO_JSON,
    STRING,
    Operation,
    Part,
    answer,
    content,
    list_of,
    record,
    refer,
)

_TAG = "faults"
_PATH = "/sandbox/faults"
_HEADER_TEXT = {"type": "string", "pattern": f"^{FIELD_TEXT}$"}
_OPTIONS: dict[str, Part] = {
    "kind": refer("FaultKind"),
    "moment": {
        "enum": sorted({moment.value for moments in MOMENTS.values() for moment in moments}),
        "description": "When it strikes; each kind has a moment of its own where nothing is said.",
    },
    "seconds": {
        "type": "number",
        "minimum": 0,
        "maximum": MAX_SECONDS,
        "description": "How long `refuse` and `stall` last (1).",
    },
    "status": {
        "type": "integer",
        "minimum": 200,
        "maximum": 599,
        "description": "503 for `status`, 429 for `rate_limit`, 307 for `redirect`.",
    },
    "headers": {
        "type": "object",
        "propertyNames": {"pattern": f"^{FIELD_NAME}$"},
        "additionalProperties": _HEADER_TEXT,
        "description": "Further headers of the answer.",
    },
    "body": {"type": "string", "description": "The body of `status`, `html` and `raw`."},
    "at": {"type": "integer", "description": "The byte at which `cut` stops (0)."},
    "in_head": {"type": "boolean", "description": "`at` counts from the first byte of the head."},
    "retry_after": {**_HEADER_TEXT, "description": "The Retry-After of `rate_limit`, word for word."},
    "location": {**_HEADER_TEXT, "description": "Where `redirect` points to."},
}
_STEP_PATH: Part = {"type": "string", "description": "For this call alone.", "examples": ["/v1/text/single"]}
_RATE: Part = {
    "type": "number",
    "minimum": 0,
    "maximum": 1,
    "description": "Of all requests; 1 in all at most.",
}
_WHEN = "`next`: the next request (to `path`); `always`: each; `rate`: a share of them."


def _fault(**further: Part) -> Part:
    """Return the schema of a fault with further properties, those of them required that are no path."""
    groups = defaultdict(list)
    for kind, moments in MOMENTS.items():
        groups[tuple(moment.value for moment in moments)].append(kind.value)
    required = ["kind", *(name for name in further if name != "path")]
    return {
        **record({**further, **_OPTIONS}),
        "required": required,
        # Each kind strikes at some of the moments.
        "anyOf": [
            {
                "properties": {
                    "kind": {"enum": kinds},
                    "moment": {"enum": moments},
                }
            }
            for moments, kinds in groups.items()
        ],
    }


def _shown(**further: Part) -> Part:
    """Return the schema of a fault as the plan shows it: what matters of it."""
    names = ("kind", "moment", "seconds", "status")
    return record({**{name: _OPTIONS[name] for name in names}, **further}, "seconds", "status")


_PLAN: dict[str, Part] = {
    "pending": {**COUNT, "description": "Steps that no request has met yet."},
    "script": {
        **list_of({"oneOf": [{"type": "null"}, record({"path": STRING}), _shown(), _shown(path=STRING)]}),
        "maxItems": 20,
    },
    "rates": list_of(_shown(rate=_RATE)),
}
SCHEMAS: dict[str, Part] = {
    "FaultKind": {
        "enum": [kind.value for kind in FaultKind],
        "description": "\n".join(f"- `{kind.value}`: {FAULTS[kind]}" for kind in FaultKind),
    },
    "Step": {
        "oneOf": [
            {"type": "null"},
            record({"path": _STEP_PATH}, "path"),
            _fault(path=_STEP_PATH),
        ],
        "description": "One request: null, or no kind, lets it go well.",
    },
    "Rate": _fault(rate=_RATE),
    "NextFault": _fault(when={"const": "next"}, path=_STEP_PATH),
    "EveryFault": _fault(when={"const": "always"}),
    "RatedFault": _fault(when={"const": "rate"}, rate=_RATE),
    "Plan": record(_PLAN),
}
_PLANNED: dict[str, Part] = {"ok": {"const": True}}

OPERATIONS = {
    (_PATH, "get"): Operation(
        name="readFaults",
        tag=_TAG,
        summary="What is planned.",
        answers={"200": answer("The plan: the next 20 steps, and all rates.", refer("Plan"))},
    ),
    (_PATH, "put"): Operation(
        name="setFaults",
        tag=_TAG,
        summary="Put a script and rates in the place of what is planned.",
        body=content(
            record(
                {
                    "script": list_of(refer("Step")),
                    "rates": {**list_of(refer("Rate")), "description": "Together 1 at most."},
                    "seed": {"type": ["integer", "null"], "description": "The same draws again."},
                },
                "script",
                "rates",
                "seed",
            )
        ),
        answers={
            "200": answer("It is planned.", record({**_PLANNED, "pending": COUNT})),
            **MISTAKE,
            **NO_JSON,
        },
    ),
    (_PATH, "post"): Operation(
        name="addFault",
        tag=_TAG,
        summary="Plan one more fault.",
        description=_WHEN,
        body=content({"oneOf": [refer("NextFault"), refer("EveryFault"), refer("RatedFault")]}),
        answers={
            "200": answer("The whole plan.", record({**_PLANNED, **_PLAN})),
            **MISTAKE,
            **NO_JSON,
        },
    ),
    (_PATH, "delete"): Operation(
        name="clearFaults",
        tag=_TAG,
        summary="Let everything go well again.",
        answers={"200": answer("Nothing is planned.", record(_PLANNED)), **NO_JSON},
    ),
}
