"""The sandbox's OpenAPI document, held against the sandbox by Schemathesis: each call alone, on a fresh sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from time import monotonic
from typing import Any

import anyio
import schemathesis
from attrs import define, field
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode, Response
from schemathesis.checks import CheckFunction
from schemathesis.core.deserialization import DeserializationContext
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vavasms.sandbox import Fault, FaultKind, FaultPlan, Gateway, Inbound, create_app
from vavasms.sandbox.app import BASE_PATH
from vavasms.sandbox.gateway import OTP_SEND, TEXT
from vavasms.sandbox.openapi.document import build_document

#: After so many seconds clients leave: some answers come only when something happens.
_PATIENCE = 0.02
_URL = "http://127.0.0.1"
_ACCOUNT = {"username": "sandbox@example.com", "password": "sandbox", "sender_id": "SANDBOX"}
_PHONE = "2250709000001"
_SENT = {
    TEXT: {"phone": f"{_PHONE},2250709000002", "message": "Ça coûte 5 € ^ «ici»"},
    OTP_SEND: {"phone": _PHONE, "message": "Code ##OTP##"},
}
_STALL = Fault(kind=FaultKind.STALL)


async def _post(_url: str, _form: Mapping[str, str]) -> int:
    return 200


@define
class FreshSandbox:
    """An application that is a new sandbox whenever `renew` was called."""

    _app: ASGIApp = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.renew()

    def renew(self, *, has_faults: bool = False) -> None:
        """Forget all that was done, and begin with some messages, or with faults as well."""
        gateway, faults = Gateway(below=lambda most: most // 3), FaultPlan()
        for path, fields in _SENT.items():
            gateway.handle(path, _ACCOUNT | fields)
        if has_faults:
            faults.replace([(None, None), (_STALL, "/v1/otp/send"), (_STALL, None)], {_STALL: 0.5})
        inbound = Inbound(url="http://127.0.0.1:9/token", post=_post)
        self._app = create_app(gateway, faults, inbound=inbound)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; its client leaves soon."""
        has_begun = False

        async def receive_soon() -> Message:
            nonlocal has_begun
            if has_begun and scope["type"] == "http":
                await anyio.sleep(_PATIENCE)
                return {"type": "http.disconnect"}
            has_begun = True
            return await receive()

        await self._app(scope, receive_soon, send)


@schemathesis.deserializer("application/json")
def _read_answer(_context: DeserializationContext, response: Response) -> Any:
    """Read an answer's JSON, and a refusal of the gateway with its documented comma."""
    text = response.content.decode()
    return json.loads(text.removesuffix(",\n}") + "}" if text.endswith(",\n}") else text)


def load_operations() -> list[APIOperation[Any, Any, Any, Any]]:
    """Return the operations of the document, without the answers that a planned fault wants."""
    document = json.loads(json.dumps(build_document(Gateway(), BASE_PATH)))
    for methods in document["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("default", None)
    schema = schemathesis.openapi.from_dict(document, config=schemathesis.Config())
    return [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]


def modes(operation: APIOperation[Any, Any, Any, Any]) -> Iterator[GenerationMode]:
    """Yield how requests can be made: as the document has them, and otherwise where that can be."""
    yield GenerationMode.POSITIVE
    raw = operation.definition.raw
    schemas = [parameter["schema"] for parameter in raw.get("parameters", ())]
    if "requestBody" in raw or any(set(schema) & {"pattern", "enum", "maximum"} for schema in schemas):
        yield GenerationMode.NEGATIVE


def hold_operation(
    app: FreshSandbox,
    operation: APIOperation[Any, Any, Any, Any],
    mode: GenerationMode,
    *,
    examples: int,
    seed: int,
) -> int:
    """Check so many requests of an operation, the same ones for a seed; return how many there were."""
    count = 0

    @seeded(seed)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode), st.booleans())
    def hold(case: Case[Any], is_known: bool) -> None:
        nonlocal count
        count += 1
        _check(app, case, is_known=is_known)

    hold()
    return count


def _check(app: FreshSandbox, case: Case[Any], *, is_known: bool) -> None:
    is_call = case.path.startswith(BASE_PATH)
    is_positive = case.meta is not None and case.meta.generation.mode.is_positive
    if is_positive and is_known:
        # Whatever is drawn is nobody's account, and nobody's number.
        if is_call and isinstance(case.body, dict):
            case.body |= {name: value for name, value in _ACCOUNT.items() if name in case.body}
        if "phone" in case.path_parameters:
            case.path_parameters |= {"phone": _PHONE}
    app.renew(has_faults=not is_call)
    response = case.call(app=app, base_url=_URL)
    excluded: list[CheckFunction] = []
    if is_call:
        # The gateway refuses in words, under 200.
        excluded.append(negative_data_rejection)
    if response.status_code == 400 and response.json().get("code") == "sandbox.rates":
        # No schema can tell that numbers add up to 1 at most.
        excluded.append(positive_data_acceptance)
    if response.status_code == 404:
        # What is asked for need not be there.
        excluded.append(positive_data_acceptance)
    case.validate_response(response, excluded_checks=excluded)


def search(*, seconds: int, seed: int) -> tuple[int, str]:
    """Check the operations round by round; return how many requests were made, and what was found."""
    app, operations, count, ends = FreshSandbox(), load_operations(), 0, monotonic() + seconds
    while True:
        for operation in operations:
            for mode in modes(operation):
                try:
                    count += hold_operation(app, operation, mode, examples=20, seed=seed)
                # Its failures are none of `Exception`.
                except (Exception, BaseExceptionGroup) as error:
                    return count, f"{operation.label}, {mode.value}: {error}"
                if monotonic() >= ends:
                    return count, ""
        seed += 1
