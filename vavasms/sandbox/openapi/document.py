"""The document itself."""

from __future__ import annotations

from collections.abc import Mapping

from vavasms.sandbox.gateway import Gateway
from vavasms.sandbox.openapi import calls, control, faults, page, parts
from vavasms.sandbox.openapi.parts import Operation, Part
from vavasms.version import __version__

_DESCRIPTION = """\
A stand-in for the VavaSMS gateway, on this machine: its calls as the vendor documents them, and the sandbox's
own interface. A planned fault or a magic number (+2250700000 and three digits) may put any answer in the
place of one of the gateway's. What the vendor leaves open is the sandbox's own choice.
"""
_TAGS = {
    "gateway": "The gateway's calls. Every error but a planned fault's comes under HTTP 200.",
    "sandbox": "What was accepted, and what handsets received.",
    "faults": "What goes wrong next.",
    "page": "The inbox page, what its script asks for, and the guide.",
}


def build_document(gateway: Gateway, base_path: str) -> dict[str, object]:
    """Return the OpenAPI document of a sandbox whose calls stand under `base_path`."""
    paths: dict[str, dict[str, object]] = {}
    for (path, method), operation in {**_calls(gateway, base_path), **_OPERATIONS}.items():
        paths.setdefault(path, {})[method] = operation.describe()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The sandbox of vavasms",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {"schemas": dict(_SCHEMAS)},
    }


_OPERATIONS = {**control.OPERATIONS, **faults.OPERATIONS, **page.OPERATIONS}
_SCHEMAS: Mapping[str, Part] = {
    **parts.SCHEMAS,
    **calls.SCHEMAS,
    **control.SCHEMAS,
    **faults.SCHEMAS,
    **page.SCHEMAS,
}


def _calls(gateway: Gateway, base_path: str) -> dict[tuple[str, str], Operation]:
    """Return the gateway's calls; that for the status may have a path of its own."""
    operations = {path: calls.CALLS.get(path) or calls.status_call() for path in gateway.paths}
    return {(base_path + path, "post"): operation for path, operation in operations.items()}
