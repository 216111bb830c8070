"""The sandbox answers as its OpenAPI document says, to what is asked as it says and to what is not."""

from __future__ import annotations

import pytest

from tests.fuzz.openapi import FreshSandbox, hold_operation, load_operations, modes

pytestmark = pytest.mark.exhaustive

OPERATIONS = {operation.label: operation for operation in load_operations()}


@pytest.mark.parametrize("label", OPERATIONS)
def test_an_operation_is_as_documented(label: str) -> None:
    operation, app = OPERATIONS[label], FreshSandbox()
    for mode in modes(operation):
        assert hold_operation(app, operation, mode, examples=5, seed=1) > 0


def test_the_document_is_valid() -> None:
    OPERATIONS["GET /sandbox/health"].schema.validate()


def test_an_answer_that_is_not_documented_is_noticed() -> None:
    operation = next(each for each in load_operations() if each.label == "GET /sandbox/health")
    operation.definition.raw["responses"]["200"]["content"]["application/json"]["schema"]["required"].append(
        "up"
    )
    mode = next(modes(operation))
    with pytest.raises(BaseExceptionGroup, match="Schemathesis found 1 distinct failure"):
        hold_operation(FreshSandbox(), operation, mode, examples=1, seed=1)
