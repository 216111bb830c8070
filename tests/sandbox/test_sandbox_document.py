"""The OpenAPI document names what the sandbox answers to, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.routing import Mount, Route

from vavasms.sandbox import Gateway, SandboxServer, create_app
from vavasms.sandbox.app import BASE_PATH
from vavasms.sandbox.openapi.document import build_document
from vavasms.version import __version__

DOCUMENT: dict[str, Any] = json.loads(json.dumps(build_document(Gateway(), BASE_PATH)))


def named(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}


def served(gateway: Gateway) -> Iterator[tuple[str, str]]:
    for route in create_app(gateway).routes:
        if isinstance(route, Mount):
            # The page's own files.
            assert route.path == "/sandbox/inbox/static"
            continue
        assert isinstance(route, Route)
        if route.methods is None:
            # It is the gateway that knows its calls.
            assert route.path == f"{BASE_PATH}/{{call:path}}"
            yield from (("POST", BASE_PATH + path) for path in gateway.paths)
        else:
            # Whatever gets a GET gets a HEAD.
            yield from ((method, route.path) for method in route.methods - {"HEAD"})


@pytest.mark.parametrize(
    "gateway", [Gateway(), Gateway(status_path="/v1/text/status")], ids=["usual", "status"]
)
def test_each_route_is_in_the_document_and_nothing_else(gateway: Gateway) -> None:
    assert named(build_document(gateway, BASE_PATH)) == set(served(gateway))


def test_the_document_is_served_with_the_version(server: SandboxServer) -> None:
    reply = httpx.get(f"{server.origin}/sandbox/openapi.json", trust_env=False)
    assert reply.headers["content-type"] == "application/json"
    assert reply.json() == DOCUMENT
    assert (DOCUMENT["openapi"], DOCUMENT["info"]["version"]) == ("3.1.0", __version__)


def test_every_operation_has_a_name_of_its_own_and_a_tag_that_is_explained() -> None:
    operations = [operation for methods in DOCUMENT["paths"].values() for operation in methods.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    used = {tag for operation in operations for tag in operation["tags"]}
    assert used == {tag["name"] for tag in DOCUMENT["tags"]}


def test_every_reference_leads_to_a_schema_and_every_schema_is_used() -> None:
    used = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(DOCUMENT)))
    assert used == set(DOCUMENT["components"]["schemas"])


def test_every_parameter_of_a_path_is_explained() -> None:
    for path, methods in DOCUMENT["paths"].items():
        for operation in methods.values():
            named_here = {
                parameter["name"]
                for parameter in operation.get("parameters", ())
                if parameter["in"] == "path"
            }
            assert named_here == set(re.findall(r"\{(\w+)\}", path))
