"""The route that serves the document."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vavasms.sandbox.gateway import Gateway
from vavasms.sandbox.http_json import make_routes


def document_routes(gateway: Gateway, base_path: str) -> list[Route]:
    """Return the route of the document."""

    async def show(_request: Request) -> Response:
        # Here, for few sandboxes are asked for it: five milliseconds that no import should cost.
        from vavasms.sandbox.openapi.document import build_document

        return JSONResponse(build_document(gateway, base_path))

    return make_routes(("GET", "openapi.json", show))
