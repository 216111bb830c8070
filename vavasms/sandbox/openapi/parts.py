"""What operations are written with: schemas, parameters, answers."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

#: A part of the document, as JSON has it.
Part = Mapping[str, object]

JSON, TEXT, HTML = "application/json", "text/plain", "text/html"
COUNT: Part = {"type": "integer", "minimum": 0}
STRING: Part = {"type": "string"}
NUMBER: Part = {"type": "string", "pattern": "^[1-9][0-9]{7,14}$", "examples": ["2250709000001"]}
AMOUNT: Part = {"type": "string", "description": "XOF.", "examples": ["25540"]}
TIME: Part = {"type": "number", "description": "Seconds since the epoch."}


def refer(name: str) -> Part:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(items: Part) -> Part:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def or_null(kind: str) -> Part:
    """Return the schema of a value that may be null."""
    return {"type": [kind, "null"]}


def record(properties: Mapping[str, Part], *optional: str) -> Part:
    """Return the schema of an object that has these properties and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def content(schema: Part, kind: str = JSON) -> Part:
    """Return the body of a request or an answer."""
    return {kind: {"schema": schema}}


def answer(description: str, schema: Part, kind: str = JSON) -> Part:
    """Return an answer."""
    return {"description": description, "content": content(schema, kind)}


def query(name: str, description: str, schema: Part) -> Part:
    """Return a parameter of the query, which may be left out."""
    return {"name": name, "in": "query", "description": description, "schema": schema}


def whole(name: str, description: str) -> Part:
    """Return a parameter of the query that is a whole number."""
    return query(name, description, {"type": "integer", "minimum": 0, "maximum": 10**15 - 1})


def segment(name: str, description: str, schema: Part) -> Part:
    """Return a parameter of the path."""
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


#: Why nothing was done, in English.
MISTAKE: Mapping[str, Part] = {"400": answer("It cannot be meant: nothing was done.", refer("Mistake"))}
NO_JSON: Mapping[str, Part] = {"415": answer("The body is not declared as JSON.", refer("Mistake"))}
SCHEMAS: Mapping[str, Part] = {"Mistake": record({"error": STRING, "code": STRING}, "code")}


@frozen(kw_only=True)
class Operation:
    """A method of a path."""

    #: Also what it is called in generated clients.
    name: str
    tag: str
    summary: str
    description: str = ""
    parameters: tuple[Part, ...] = ()
    #: The body, of one content type; None: there is none.
    body: Part | None = None
    #: By HTTP status; those that every path has are added.
    answers: Mapping[str, Part]

    def describe(self) -> dict[str, object]:
        """Return the operation as the document has it."""
        optional: dict[str, object] = {
            "description": self.description,
            "parameters": list(self.parameters),
            "requestBody": self.body and {"required": True, "content": self.body},
        }
        return {
            "operationId": self.name,
            "tags": [self.tag],
            "summary": self.summary,
            **{name: value for name, value in optional.items() if value},
            "responses": {**self.answers, **_OF_EVERY_PATH},
        }


_OF_EVERY_PATH: Mapping[str, Part] = {
    "403": answer("The Host is not this machine's, or the Origin is another site.", STRING, TEXT),
    "413": answer("The body is longer than 1 MiB.", STRING, TEXT),
}
#: By path and method.
Operations = Mapping[tuple[str, str], Operation]
